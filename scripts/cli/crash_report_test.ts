// SPDX-License-Identifier: MIT
import { assertEquals, assertMatch } from "@std/assert";
import { type CrashedMachine, crashReport } from "./crash_report.ts";

const code = (rip: bigint, ...bytes: number[]) => ({ rip, bits: 32 as const, bytes: Uint8Array.from(bytes) });
const machine: CrashedMachine = {
  crashReport: () => "rip 0x100008",
  recentCode: () => [code(0x10_0000n, 0xb0, 0x68, 0xe6, 0xe9), code(0xdead_0000n)],
  codeAround: () => code(0x10_0008n, 0x0f, 0x0b),
};
const broken = () => {
  throw new Deno.errors.PermissionDenied("x\ny");
};

Deno.test("a crash report has registers, the last blocks and the code at RIP", async () => {
  const text = await crashReport(machine);
  assertMatch(text, /^rip 0x100008\n-- 00100000 +b0 68 +mov \$0x68,%al\n +00100002 +e6 e9 +out %al,\$0xE9\n/);
  assertMatch(text, /\n\(no code at 0xdead0000\)\nthe guest is at\n=> 00100008 +0f 0b +ud2\n$/);
});

Deno.test("a crash report without a disassembler says so and shows bytes", async () => {
  const expected = "rip 0x100008\n(no disassembly: permission denied)\n-- 00100000  b0 68 e6 e9\n" +
    "(no code at 0xdead0000)\nthe guest is at\n=> 00100008  0f 0b\n";
  assertEquals(
    await crashReport(machine, () => Promise.reject(new Deno.errors.PermissionDenied("x"))),
    expected,
  );
  assertEquals(await crashReport(machine, broken), expected);
});

Deno.test("a part of a crash report that fails costs no other", async () => {
  const load = () => Promise.resolve({ disassemble: broken });
  assertMatch(await crashReport(machine, load), /permission denied\)\n=> 00100008 +0f 0b\n$/);
  assertEquals(
    await crashReport({ crashReport: broken, recentCode: broken, codeAround: broken }),
    "(no registers: permission denied)\n(no last blocks: permission denied)\n(no code: permission denied)\n",
  );
});
