// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { formatStats, statsJson } from "./stats.ts";

const stats = {
  instructions: 1_234_567,
  seconds: 2,
  mips: 0.617,
  counters: { interrupts: 12, "exit.hlt": 3, "exit.page_fault": 2000, "net.tx.packets": 0 },
};

Deno.test("formatStats groups counters, biggest first, and leaves zeros out", () => {
  assertEquals(
    formatStats(stats),
    `instructions  1,234,567
seconds       2.000
MIPS          0.6

exit
  page_fault  2,000 (1,000/s)
  hlt         3 (2/s)

machine
  interrupts  12
`,
  );
});

Deno.test("statsJson is one line that parses back", () => {
  const line = statsJson(stats);
  assertEquals(line.split("\n").length, 2);
  assertEquals(JSON.parse(line), stats);
});
