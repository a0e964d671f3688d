// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 3A §5.8; Vol. 2A JMP, CALL, RET.
import { assertEquals } from "@std/assert";
import {
  CALL_GATE,
  CODE32,
  CODE64,
  CONFORMING,
  DATA0,
  GDT,
  RING0_TOP,
  STACK0,
  STACK3,
  TestCore,
  TSS,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
} from "../_test_core.ts";
import { CS, DS, FS, GS, S, SEG_UNUSABLE, SS } from "../state/state.ts";
import { DISPATCH, FAULT } from "../state/status.ts";

// what, CPL, selector, offset, fault ("" = goes)
const JUMPS: [string, number, number, number, string][] = [
  ["same privilege", 0, CODE32, 0x1234, ""],
  ["RPL is ignored downwards", 3, USER_CODE32 & ~3, 0x1234, ""],
  ["conforming from CPL 3", 3, CONFORMING, 0x1234, ""],
  ["null selector", 0, 0, 0, "13:0"],
  ["data segment", 0, DATA0, 0, `13:${DATA0}`],
  ["more privileged code", 3, CODE32, 0, `13:${CODE32}`],
  ["less privileged code", 0, USER_CODE32, 0, `13:${USER_CODE32 & ~3}`],
  ["outside the GDT", 0, 0x100, 0, "13:256"],
];
for (const [what, cpl, selector, offset, fault] of JUMPS) {
  Deno.test(`far jump: ${what}`, () => {
    const t = new TestCore().protected32(cpl);
    const status = t.run("far_jmp", 4, selector, offset);
    if (fault !== "") assertEquals([status, t.fault], [FAULT, fault]);
    else {assertEquals([status, t.rip, t.core.selector(CS)], [
        DISPATCH,
        BigInt(offset),
        (selector & ~3) | cpl,
      ]);}
  });
}

Deno.test("far jump beyond the limit and to absent code fault", () => {
  const t = new TestCore().protected32();
  t.write64(GDT + CODE32, t.read64(GDT + CODE32) & ~(1n << 55n)); // byte granular: limit 0xfffff
  assertEquals([t.run("far_jmp", 4, CODE32, 0x10_0000), t.fault], [FAULT, "13:0"]);
  t.write64(GDT + CODE32, t.read64(GDT + CODE32) & ~(1n << 47n));
  assertEquals([t.run("far_jmp", 4, CODE32, 0), t.fault], [FAULT, `11:${CODE32}`]);
});

Deno.test("far jump enters and leaves 64-bit code", () => {
  const t = new TestCore().long();
  assertEquals([t.run("far_jmp", 4, CODE32, 0x5000), t.core.codeBits], [DISPATCH, 32]);
  t.at(0x5000n, 7);
  assertEquals([t.run("far_jmp", 4, CODE64, 0x6000), t.core.codeBits, t.rip], [DISPATCH, 64, 0x6000n]);
  assertEquals([t.run("far_jmp", 8, CODE64, 1n << 47n), t.fault], [FAULT, "13:0"]);
});

Deno.test("real-mode far call and return", () => {
  const t = new TestCore();
  t.at(0xfff0n, 5);
  t.core.s.setGpr(4, 0x8000n);
  assertEquals(t.run("far_call", 2, 0x1234, 0x10), DISPATCH);
  assertEquals([t.rip, t.core.selector(CS), t.core.s.segment(CS).base], [0x10n, 0x1234, 0x1_2340n]);
  assertEquals([t.read16(0x7ffc), t.read16(0x7ffe)], [0xfff5, 0xf000]);
  assertEquals(t.run("far_ret", 2, 4), DISPATCH);
  assertEquals([t.rip, t.core.selector(CS), t.gpr(4)], [0xfff5n, 0xf000, 0x8004n]);
});

Deno.test("far call pushes CS and the next EIP; a fault moves nothing", () => {
  const t = new TestCore().protected32();
  assertEquals(t.run("far_call", 4, CODE32, 0x9999), DISPATCH);
  assertEquals([t.read32(RING0_TOP - 8), t.read32(RING0_TOP - 4)], [0x1000_0002, CODE32]);
  assertEquals(t.gpr(4), BigInt(RING0_TOP - 8));
  t.core.setSegment(SS, DATA0, 0, 0, 3, 0x4093);
  t.core.updateMode();
  assertEquals([t.run("far_call", 4, CODE32, 0x9999), t.fault], [FAULT, "12:0"]);
  assertEquals(t.gpr(4), BigInt(RING0_TOP - 8));
});

Deno.test("32-bit call gate to CPL 0 copies parameters", () => {
  const t = new TestCore().protected32(3);
  t.write64(GDT + CALL_GATE, (0x0012_ec02n << 32n) | (BigInt(CODE32) << 16n) | 0x3456n); // DPL 3, 2 parameters
  t.core.s.setGpr(4, BigInt(STACK3));
  t.write32(STACK3, 0xaaaa);
  t.write32(STACK3 + 4, 0xbbbb);
  assertEquals(t.run("far_call", 4, CALL_GATE | 3, 0x7777), DISPATCH);
  assertEquals(
    [0, 4, 8, 12, 16, 20].map((i) => t.read32(STACK0 - 24 + i)),
    [0x1000_0002, USER_CODE32, 0xaaaa, 0xbbbb, STACK3, USER_DATA],
  );
  assertEquals([t.rip, t.core.cpl, t.core.selector(CS), t.core.selector(SS)], [0x12_3456n, 0, CODE32, DATA0]);
  // and back, releasing the parameters on both stacks
  assertEquals(t.run("far_ret", 4, 8), DISPATCH);
  assertEquals([t.rip, t.core.cpl, t.gpr(4)], [0x1000_0002n, 3, BigInt(STACK3 + 8)]);
  assertEquals([t.core.selector(CS), t.core.selector(SS)], [USER_CODE32, USER_DATA]);
});

Deno.test("64-bit call gate to CPL 0 switches to RSP0 with a null SS", () => {
  const t = new TestCore().long(3);
  t.write64(GDT + CALL_GATE, (0x0012_ec00n << 32n) | (BigInt(CODE64) << 16n) | 0x3456n);
  t.write64(GDT + CALL_GATE + 8, 0xffff_8000n);
  assertEquals(t.run("far_call", 8, CALL_GATE | 3, 0), DISPATCH);
  assertEquals([t.rip, t.core.cpl, t.core.selector(SS)], [0xffff_8000_0012_3456n, 0, 0]);
  assertEquals(
    [0, 8, 16, 24].map((i) => t.read64(STACK0 - 32 + i)),
    [0x1000_0002n, BigInt(USER_CODE64), BigInt(TestCore.user(STACK3)), BigInt(USER_DATA)],
  );
  t.write64(GDT + CALL_GATE, t.read64(GDT + CALL_GATE) & ~(0x6000n << 32n)); // DPL 0
  t.core.setCpl(3);
  assertEquals([t.run("far_call", 8, CALL_GATE | 3, 0), t.fault], [FAULT, `13:${CALL_GATE}`]);
});

Deno.test("far return to an outer privilege drops inner data segments", () => {
  const t = new TestCore().protected32();
  const sp = RING0_TOP - 16;
  [0x4444, USER_CODE32, STACK3, USER_DATA].forEach((v, i) => t.write32(sp + i * 4, v));
  t.core.s.setGpr(4, BigInt(sp));
  assertEquals(t.run("far_ret", 4, 0), DISPATCH);
  assertEquals([t.rip, t.core.cpl, t.gpr(4)], [0x4444n, 3, BigInt(STACK3)]);
  assertEquals(t.core.attributes(DS) & SEG_UNUSABLE, SEG_UNUSABLE);
});

Deno.test("far return checks", () => {
  const t = new TestCore().protected32(3);
  t.core.s.setGpr(4, BigInt(STACK3));
  t.write32(STACK3 + 4, CODE32); // to an inner privilege
  assertEquals([t.run("far_ret", 4, 0), t.fault], [FAULT, `13:${CODE32}`]);
  t.write32(STACK3 + 4, 0);
  assertEquals([t.run("far_ret", 4, 0), t.fault], [FAULT, "13:0"]);
  assertEquals(t.gpr(4), BigInt(STACK3));
});

Deno.test("a task jump saves the old task and loads the new one", () => {
  const t = new TestCore().protected32();
  const other = 0x20_0000, selector = 0x70, s = t.core.s;
  t.write64(GDT + selector, 0x0000_8920_0000_0067n);
  t.write32(other + 0x20, 0x5555); // EIP
  t.write32(other + 0x24, 0x2); // EFLAGS
  t.write32(other + 0x28, 0xa0a0); // EAX
  t.write32(other + 0x38, 0x9000); // ESP
  [DATA0, CODE32, DATA0, DATA0, 0, 0].forEach((v, i) => t.write32(other + 0x48 + i * 4, v));
  t.write64(GDT + 0x40, t.read64(GDT + 0x40) | (2n << 40n)); // the old one is busy
  s.setGpr(0, 0x1111n);
  assertEquals([t.run("far_call", 4, selector, 0), t.rip], [DISPATCH, 0x5555n]);
  assertEquals([t.gpr(0), t.gpr(4), t.core.selector(7)], [0xa0a0n, 0x9000n, selector]);
  assertEquals([t.read32(TSS + 0x20), t.read32(TSS + 0x28), t.read16(TSS + 0x4c)], [
    0x1000_0002,
    0x1111,
    CODE32,
  ]);
  assertEquals([t.read16(other), t.core.rflags & 0x4000, s.get32(S.cr0) & 8], [0x40, 0x4000, 8]); // link, NT, TS
  assertEquals([t.read64(GDT + 0x40) >> 41n & 1n, t.read64(GDT + selector) >> 41n & 1n], [1n, 1n]);
  t.at(0x5555n, 1);
  assertEquals([t.run("iret", 4), t.rip], [DISPATCH, 0x1000_0002n]);
  assertEquals([t.gpr(0), t.core.selector(7), t.core.rflags & 0x4000], [0x1111n, 0x40, 0]);
  assertEquals(t.read64(GDT + selector) >> 41n & 1n, 0n);
});

// The sources of Bochs and QEMU keep the base; the SDM's pseudocode touches the selector only.
Deno.test("far return to an outer privilege nulls FS and GS of privilege 0, but not their bases", () => {
  const t = new TestCore().long();
  const { s } = t.core, kernel = 0xffff_8000_1234_5000n;
  for (const index of [FS, GS]) {
    s.setSegment(index, { selector: DATA0, base: kernel, limit: 0xffff_ffff, attributes: 0xc093 });
  }
  const sp = RING0_TOP - 32;
  [0x4444, USER_CODE64, STACK3, USER_DATA].forEach((v, i) => t.write64(sp + i * 8, BigInt(v)));
  s.setGpr(4, BigInt(sp));
  assertEquals(t.run("far_ret", 8, 0), DISPATCH);
  for (const index of [FS, GS]) {
    const { selector, base, attributes } = s.segment(index);
    assertEquals([selector, base, attributes & SEG_UNUSABLE], [0, kernel, SEG_UNUSABLE]);
  }
});

// SDM Vol. 2B RET: EIP takes what the operand size has, and only limits bound it.
Deno.test("16-bit code has all of EIP when its segment has 4 GiB", () => {
  const t = new TestCore().protected32();
  t.write64(GDT + CODE32, t.read64(GDT + CODE32) & ~(1n << 54n)); // D clear
  const sp = RING0_TOP - 8;
  [0x12_3456, CODE32].forEach((v, i) => t.write32(sp + i * 4, v));
  t.core.s.setGpr(4, BigInt(sp));
  assertEquals(t.run("far_ret", 4, 0), DISPATCH);
  assertEquals([t.rip, t.core.codeBits], [0x12_3456n, 16]);
  assertEquals([t.run("far_jmp", 4, CODE32, 0x65_4321), t.rip], [DISPATCH, 0x65_4321n]);
  assertEquals([t.run("far_jmp", 2, CODE32, 0x65_4321), t.rip], [DISPATCH, 0x4321n]);
});

// SDM Vol. 3A table 7-1 checks SS before CS; Bochs 2.7 delivers the exception on the new task's stack.
Deno.test("a task whose CS cannot be loaded has its stack for the exception", () => {
  for (const cs of [DATA0, 0, USER_CODE32]) {
    const t = new TestCore().protected32();
    const other = 0x20_0000, selector = 0x70;
    t.write64(GDT + selector, 0x0000_8920_0000_0067n);
    t.write32(other + 0x24, 0x2); // EFLAGS
    t.write32(other + 0x38, 0x9000); // ESP
    [DATA0, cs, DATA0, DATA0, 0, 0].forEach((v, i) => t.write32(other + 0x48 + i * 4, v));
    t.write64(GDT + 0x40, t.read64(GDT + 0x40) | (2n << 40n)); // the old one is busy
    t.run("far_jmp", 4, selector, 0);
    const usable = (t.core.attributes(SS) & SEG_UNUSABLE) === 0;
    // With CS of privilege 3 the stack segment is wrong itself.
    assertEquals([t.core.selector(CS), usable], [cs, cs !== USER_CODE32]);
  }
});

Deno.test("a task whose TSS has T set traps with DR6.BT; local breakpoints end", () => {
  const t = new TestCore().protected32();
  const other = 0x20_0000, selector = 0x70, { s } = t.core, dr7 = S.dr + 7 * 8;
  t.write64(GDT + selector, 0x0000_8920_0000_0067n);
  t.write32(other + 0x24, 0x2); // EFLAGS
  t.write32(other + 0x64, 1); // T
  [DATA0, CODE32, DATA0, DATA0, 0, 0].forEach((v, i) => t.write32(other + 0x48 + i * 4, v));
  t.write64(GDT + 0x40, t.read64(GDT + 0x40) | (2n << 40n)); // the old one is busy
  s.set32(dr7, 0x707); // L0, G0, L1, LE, GE
  assertEquals(t.run("far_call", 4, selector, 0), DISPATCH);
  assertEquals([t.core.debugTraps, s.get32(dr7)], [0x8000, 0x602]);
});
