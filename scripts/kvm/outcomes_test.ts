// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { outcomeLine, readOutcomes, summary, type TestOutcome } from "./outcomes.ts";

const ALL: readonly TestOutcome[] = [
  { outcome: "passed", seconds: 12, name: "KVM: a guest: says so, 64 bit" },
  { outcome: "failed", seconds: 0, name: "KVM: another" },
  { outcome: "skipped", seconds: 0, name: "KVM: a third (skipped: no TAP)" },
];

Deno.test("outcomes are read back from a console between other lines", () => {
  const text = ALL.map((one) => `noise passed after\r\n${outcomeLine(one)}\r\nrunning 3 tests`).join("\r\n");
  assertEquals(readOutcomes(text), ALL);
  assertEquals(readOutcomes(outcomeLine({ ...ALL[0] as TestOutcome, seconds: 11.6 }) + "\n"), [ALL[0]]);
  assertEquals(readOutcomes(outcomeLine(ALL[0] as TestOutcome).slice(0, 20)), []);
});

Deno.test("the summary names what failed and what was skipped", () => {
  assertEquals(summary(ALL), [
    "Skipped:",
    "  KVM: a third (skipped: no TAP)",
    "Failed:",
    "  KVM: another",
    "1 passed, 1 failed, 1 skipped",
  ]);
  assertEquals(summary([]), ["0 passed, 0 failed, 0 skipped"]);
});
