// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 2A IRET/IRETD/IRETQ.
import { assertEquals } from "@std/assert";
import {
  CODE32,
  CODE64,
  DATA0,
  GDT,
  RING0_TOP,
  STACK3,
  TestCore,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
} from "../_test_core.ts";
import { CS, DS, FLAG_IF, FLAG_IOPL, FLAG_RF, GS, S, SEG_UNUSABLE, SS } from "../state/state.ts";
import { DISPATCH, FAULT } from "../state/status.ts";

function frame64(t: TestCore, ...words: (number | bigint)[]): void {
  const sp = RING0_TOP - words.length * 8;
  words.forEach((w, i) => t.write64(sp + i * 8, BigInt(w)));
  t.core.s.setGpr(4, BigInt(sp));
}
function frame32(t: TestCore, ...words: number[]): void {
  const sp = RING0_TOP - words.length * 4;
  words.forEach((w, i) => t.write32(sp + i * 4, w));
  t.core.s.setGpr(4, BigInt(sp));
}

Deno.test("IRETQ to user code: registers, flags, null data segments, FS and GS bases of null ones stay", () => {
  const t = new TestCore().long();
  t.interrupts.pending = true;
  t.core.setRflags(0x2);
  t.core.setSegment(GS, 0, 0x1234_0000, 0xffff_8880, 0, SEG_UNUSABLE);
  frame64(t, 0x7fff_1234_5678n, USER_CODE64, 0x246 | FLAG_RF, 0x7fff_0000_1000n, USER_DATA);
  assertEquals([t.run("iret", 8), t.rip, t.gpr(4)], [DISPATCH, 0x7fff_1234_5678n, 0x7fff_0000_1000n]);
  assertEquals([t.core.cpl, t.core.selector(CS), t.core.selector(SS), t.core.dataMode], [
    3,
    USER_CODE64,
    USER_DATA,
    2,
  ]);
  assertEquals([t.core.rflags, t.core.resumeFlag, t.log.exits], [0x246, true, 1]);
  assertEquals(t.core.attributes(DS) & SEG_UNUSABLE, SEG_UNUSABLE);
  assertEquals(t.core.s.segment(GS).base, 0xffff_8880_1234_0000n);
});

Deno.test("IRETQ to compatibility code cuts RSP to 32 bits", () => {
  const t = new TestCore().long();
  frame64(t, 0x8048_000, USER_CODE32, 0x202, 0x1_ffff_0000n, USER_DATA);
  assertEquals([t.run("iret", 8), t.core.codeBits, t.gpr(4)], [DISPATCH, 32, 0xffff_0000n]);
});

Deno.test("IRETQ inside the kernel may keep a null SS", () => {
  const t = new TestCore().long();
  frame64(t, 0xffff_8000_0000_1000n, CODE64, 0x2, 0x8000, 0);
  assertEquals([t.run("iret", 8), t.core.cpl, t.gpr(4)], [DISPATCH, 0, 0x8000n]);
});

// what, frame, fault
const BAD: [string, (number | bigint)[], string][] = [
  ["non-canonical RIP", [1n << 47n, USER_CODE64, 0x202, 0, USER_DATA], "13:0"],
  ["null CS", [0, 3, 0x202, 0, USER_DATA], "13:0"],
  ["data CS", [0, USER_DATA, 0x202, 0, USER_DATA], `13:${USER_DATA & ~3}`],
  ["null SS at CPL 3", [0, USER_CODE64, 0x202, 0, 3], "13:0"],
  ["SS of other RPL", [0, USER_CODE64, 0x202, 0, USER_DATA & ~3], `13:${USER_DATA & ~3}`],
  ["SS of other DPL", [0, USER_CODE64, 0x202, 0, DATA0 | 3], `13:${DATA0}`],
];
for (const [what, words, fault] of BAD) {
  Deno.test(`IRETQ refuses ${what} and changes nothing`, () => {
    const t = new TestCore().long();
    frame64(t, ...words);
    const sp = t.gpr(4);
    assertEquals([t.run("iret", 8), t.fault], [FAULT, fault]);
    assertEquals([t.gpr(4), t.core.cpl, t.core.selector(CS)], [sp, 0, CODE64]);
  });
}

Deno.test("IRETQ with NT set is #GP(0)", () => {
  const t = new TestCore().long();
  t.core.setRflags(0x4002);
  assertEquals([t.run("iret", 8), t.fault], [FAULT, "13:0"]);
});

Deno.test("IRETD to the same and to an outer privilege", () => {
  const t = new TestCore().protected32();
  frame32(t, 0x1111, CODE32, 0x3202);
  assertEquals([t.run("iret", 4), t.rip, t.gpr(4)], [DISPATCH, 0x1111n, BigInt(RING0_TOP)]);
  assertEquals(t.core.iopl, 3);
  frame32(t, 0x2222, USER_CODE32, 0x202, STACK3, USER_DATA);
  assertEquals([t.run("iret", 4), t.rip, t.gpr(4), t.core.cpl], [DISPATCH, 0x2222n, BigInt(STACK3), 3]);
});

Deno.test("IRETD at CPL 3 changes neither IOPL nor, above it, IF", () => {
  const t = new TestCore().protected32(3);
  t.core.s.setGpr(4, BigInt(STACK3));
  [0x1111, USER_CODE32, FLAG_IOPL | 0x42].forEach((v, i) => t.write32(STACK3 + i * 4, v));
  assertEquals(t.run("iret", 4), DISPATCH);
  assertEquals(t.core.rflags, FLAG_IF | 0x42);
});

Deno.test("IRETD enters virtual-8086 mode from CPL 0 only, and not beyond 64 KiB", () => {
  const t = new TestCore().protected32();
  frame32(t, 0x1_0000, 0x1000, 0x2_0202, 0, 0, 0, 0, 0, 0);
  assertEquals([t.run("iret", 4), t.fault, t.core.cpl], [FAULT, "13:0", 0]);
  frame32(t, 0x10, 0x1000, 0x1a_0202, 0xffff_1234, 0x2000, 1, 2, 3, 4);
  assertEquals([t.run("iret", 4), t.rip, t.core.rflags], [DISPATCH, 0x10n, 0x1a_0202]);
  assertEquals([t.core.cpl, t.core.virtual8086, t.gpr(4)], [3, true, 0xffff_1234n]);
  assertEquals([0, 1, 2, 3, 4, 5].map((i) => t.core.s.segment(i).base), [
    16n,
    0x1_0000n,
    0x2_0000n,
    32n,
    48n,
    64n,
  ]);
});

Deno.test("IRETD at CPL 0 loads VIF and VIP; a task switch may enter virtual-8086 mode", () => {
  const t = new TestCore().protected32();
  frame32(t, 0x1111, USER_CODE32, 0x18_0202, STACK3, USER_DATA);
  assertEquals([t.run("iret", 4), t.core.rflags], [DISPATCH, 0x18_0202]);
  const other = 0x20_0000, selector = 0x70, u = new TestCore().protected32();
  u.write64(GDT + selector, 0x0000_8920_0000_0067n);
  u.write32(other + 0x20, 0x80);
  u.write32(other + 0x24, 0x2_0202);
  [1, 0x1000, 0x2000, 2, 3, 4].forEach((v, i) => u.write32(other + 0x48 + i * 4, v));
  u.write64(GDT + 0x40, u.read64(GDT + 0x40) | (2n << 40n));
  assertEquals([u.run("far_jmp", 4, selector, 0), u.rip], [DISPATCH, 0x80n]);
  assertEquals([u.core.virtual8086, u.core.cpl, u.core.s.segment(CS).base], [true, 3, 0x1_0000n]);
});

Deno.test("real-mode IRET", () => {
  const t = new TestCore();
  t.core.s.setGpr(4, 0x8000n);
  [0x10, 0x2000, 0x0246].forEach((v, i) => t.write16(0x8000 + i * 2, v));
  assertEquals([t.run("iret", 2), t.rip, t.core.selector(CS)], [DISPATCH, 0x10n, 0x2000]);
  assertEquals([t.core.rflags, t.gpr(4), t.core.s.get32(S.cpl)], [0x246, 0x8006n, 0]);
});
