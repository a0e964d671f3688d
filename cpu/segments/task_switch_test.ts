// SPDX-License-Identifier: MIT
// What goes wrong behind the point where a task switch has committed is the new task's: SDM Vol. 3A §8.3, table 8-1.
// Vectors, error codes, stacks and EIPs are those of Bochs 2.7, where a guest did the same.
import { assertEquals } from "@std/assert";
import { CODE32, DATA0, GDT, TestCore, USER_CODE32, USER_DATA } from "../_test_core.ts";
import { CS, EXC_GP, EXC_NP, EXC_SS, EXC_TS, FLAG_VM, S, SS, TR } from "../state/state.ts";
import { DISPATCH, FAULT } from "../state/status.ts";

const OTHER = 0x20_0000, SELECTOR = 0x70, LDT = 0x68, ABSENT_CODE = 0x48;
const EIP = 0x1234, ESP = 0x9000, ESP0 = 0x8000, HANDLER = 0x5000;

interface Task {
  readonly ldt?: number;
  readonly ss?: number;
  readonly cs?: number;
  readonly ds?: number;
  readonly eflags?: number;
}
/** Protected mode with a second task, gates for the exceptions and a task gate for INT 0x40. */
function tasks({ ldt = 0, ss = DATA0, cs = CODE32, ds = DATA0, eflags = 2 }: Task): TestCore {
  const t = new TestCore().protected32();
  t.write64(GDT + 0x40, t.read64(GDT + 0x40) | (2n << 40n)); // the old one is busy
  t.write64(GDT + SELECTOR, 0x0000_8920_0000_0067n);
  t.write64(GDT + LDT, 0x0000_8220_1000_0017n);
  t.write64(GDT + ABSENT_CODE, t.read64(GDT + CODE32) & ~(1n << 47n));
  t.write32(OTHER + 4, ESP0);
  t.write32(OTHER + 8, DATA0);
  t.write32(OTHER + 0x20, EIP);
  t.write32(OTHER + 0x24, eflags);
  t.write32(OTHER + 0x38, ESP);
  [ds, cs, ss, ds, 0, 0].forEach((v, i) => t.write32(OTHER + 0x48 + i * 4, v));
  t.write32(OTHER + 0x60, ldt);
  for (const vector of [EXC_TS, EXC_NP, EXC_SS, EXC_GP]) t.gate(vector, CODE32, BigInt(HANDLER + vector));
  t.gate(0x40, SELECTOR, 0n, 5);
  return t;
}

/** The exception's vector and error code, whether it came on the stack in the TSS, the EIP and CS it pushed. */
function outcome(t: TestCore): string {
  const sp = Number(t.gpr(4)), inner = sp < ESP0;
  const vector = Number(t.rip) - HANDLER;
  const [error, eip, cs, flags] = [0, 4, 8, 12].map((at) => t.read32(sp + at));
  const where = `${(eip as number).toString(16)} ${(cs as number).toString(16)}`;
  const virtual = ((flags as number) & FLAG_VM) !== 0 ? " virtual" : "";
  return `${vector}:${(error as number).toString(16)} ${inner ? "inner" : "own"} at ${where}${virtual}`;
}

const CASES: [string, Task, string][] = [
  ["LDT in an LDT", { ldt: LDT | 4 }, "10:6c inner at 1234 18"],
  ["LDT beyond the table", { ldt: 0x200 }, "10:200 inner at 1234 18"],
  ["LDT of another type", { ldt: DATA0 }, "10:10 inner at 1234 18"],
  ["LDT before a bad SS", { ldt: 0x200, ss: 0x208 }, "10:200 inner at 1234 18"],
  ["LDT of privilege 3", { ldt: 0x200, cs: USER_CODE32, ss: USER_DATA }, "10:200 inner at 1234 33"],
  [
    "LDT of virtual-8086 mode",
    { ldt: 0x200, cs: 0, ss: 0, ds: 0, eflags: FLAG_VM | 2 },
    "10:200 inner at 1234 0 virtual",
  ],
  ["SS null", { ss: 0 }, "10:0 inner at 1234 18"],
  ["SS in the null LDT", { ss: 0xc }, "10:c inner at 1234 18"],
  ["SS code", { ss: CODE32 }, "10:18 inner at 1234 18"],
  ["SS of another privilege", { ss: USER_DATA }, "10:20 inner at 1234 18"],
  ["SS absent", { ss: 0x58 }, "12:58 inner at 1234 18"],
  ["SS of privilege 0, CS of 3", { cs: USER_CODE32 }, "10:10 inner at 1234 33"],
  ["CS null", { cs: 0 }, "10:0 own at 1234 0"],
  ["CS data", { cs: DATA0 }, "10:10 own at 1234 10"],
  ["CS absent", { cs: ABSENT_CODE }, "11:48 own at 1234 48"],
  ["DS beyond the table", { ds: 0x200 }, "10:200 own at 1234 18"],
  ["DS absent", { ds: 0x58 }, "11:58 own at 1234 18"],
  ["DS of privilege 0", { cs: USER_CODE32, ss: USER_DATA }, "10:10 inner at 1234 33"],
];
for (
  const [way, name, args] of [["JMP", "far_jmp", [4, SELECTOR, 0]], ["INT by a task gate", "int_n", [
    0x40,
  ]]] as const
) {
  for (const [what, task, expected] of CASES) {
    Deno.test(`a task switch by ${way}, and the new task's ${what}`, () => {
      const t = tasks(task);
      assertEquals(t.run(name, ...args), DISPATCH);
      assertEquals([outcome(t), t.core.selector(TR)], [expected, SELECTOR]);
      assertEquals([t.core.selector(CS), t.core.selector(SS), t.core.cpl], [CODE32, DATA0, 0]);
    });
  }
}

Deno.test("a task gate to what is no TSS faults in the old task", () => {
  const t = tasks({});
  t.gate(0x40, LDT, 0n, 5);
  assertEquals([t.run("int_n", 0x40), t.fault], [FAULT, `13:${LDT}`]);
  assertEquals([t.core.selector(TR), Number(t.core.s.get64(S.rip))], [0x40, 0x1000_0002]);
});
