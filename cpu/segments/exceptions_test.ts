// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 3A §6.12-6.15.
import { assertEquals } from "@std/assert";
import { deliverFault, deliverInterrupt } from "./exceptions.ts";
import {
  CODE32,
  CODE64,
  CONFORMING,
  DATA0,
  GDT,
  IST1,
  NOT_PRESENT,
  RING0_TOP,
  STACK0,
  STACK3,
  TestCore,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
} from "../_test_core.ts";
import {
  CS,
  EXC_DB,
  EXC_DF,
  EXC_GP,
  EXC_NP,
  EXC_PF,
  EXC_UD,
  FLAG_IF,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  S,
  SS,
} from "../state/state.ts";
import { DISPATCH, FAULT, SHUTDOWN } from "../state/status.ts";

const HANDLER = 0x12_3456n, HIGH = 0xffff_8000_0012_3456n;

Deno.test("64-bit: a fault from CPL 3 switches to RSP0 and pushes six words", () => {
  const t = new TestCore().long(3);
  t.gate(EXC_PF, CODE64, HIGH);
  t.core.setRflags(0x246 | FLAG_TF | FLAG_NT);
  t.core.raisePageFault(6, 0x1234_5678, 0x7f);
  assertEquals(deliverFault(t.core), DISPATCH);
  const at = STACK0 - 48;
  assertEquals(
    [0, 1, 2, 3, 4, 5].map((i) => t.read64(at + i * 8)),
    [
      6n,
      0x1000_0000n,
      BigInt(USER_CODE64),
      BigInt(0x246 | FLAG_TF | FLAG_NT | FLAG_RF),
      BigInt(TestCore.user(STACK3)),
      BigInt(USER_DATA),
    ],
  );
  assertEquals([t.rip, t.gpr(4), t.core.cpl], [HIGH, BigInt(at), 0]);
  assertEquals([t.core.selector(CS), t.core.selector(SS)], [CODE64, 0]);
  assertEquals(t.core.rflags, 0x46); // IF, TF, NT cleared by an interrupt gate
  assertEquals(t.core.s.get64(S.cr2), 0x7f_1234_5678n);
  assertEquals(t.core.dataMode, 0);
});

Deno.test("64-bit: same privilege aligns RSP to 16; a trap gate keeps IF", () => {
  const t = new TestCore().long();
  t.gate(EXC_UD, CODE64, HANDLER, 0xf);
  t.core.s.setGpr(4, BigInt(RING0_TOP - 4));
  t.core.raise(EXC_UD);
  assertEquals(deliverFault(t.core), DISPATCH);
  assertEquals(t.gpr(4), BigInt(RING0_TOP - 16 - 40));
  assertEquals(t.read64(RING0_TOP - 16 - 8), BigInt(DATA0));
  assertEquals(t.read64(RING0_TOP - 16 - 16), BigInt(RING0_TOP - 4));
  assertEquals(t.core.rflags & FLAG_IF, FLAG_IF);
});

Deno.test("64-bit: IST is used at the same privilege too; external interrupts push no RF", () => {
  const t = new TestCore().long();
  t.gate(0x80, CODE64, HANDLER, 0xe, 0, 1);
  assertEquals(deliverInterrupt(t.core, 0x80), DISPATCH);
  assertEquals(t.gpr(4), BigInt(IST1 - 40));
  assertEquals(t.read64(IST1 - 24), 0x202n);
});

Deno.test("INT n checks the gate's DPL, INT3 from CPL 3 passes a DPL 3 gate and pushes the next RIP", () => {
  const t = new TestCore().long(3);
  t.gate(3, CODE64, HANDLER, 0xe, 3);
  t.gate(0x20, CODE64, HANDLER, 0xe, 0);
  assertEquals([t.run("int_n", 0x20), t.fault], [FAULT, `13:${0x20 * 8 + 2}`]); // EXT clear
  assertEquals(t.run("int_n", 3), DISPATCH);
  assertEquals(t.read64(STACK0 - 40), 0x1000_0002n);
  assertEquals(t.read64(STACK0 - 24), 0x202n); // no RF
});

Deno.test("nested faults report EXT; a missing gate is #NP, a bad one #GP", () => {
  const t = new TestCore().long();
  t.gate(EXC_UD, CODE64, HANDLER);
  t.write64(0x2000 + EXC_UD * 16, t.read64(0x2000 + EXC_UD * 16) & ~(1n << 47n));
  t.gate(EXC_NP, CODE64, HANDLER);
  t.core.raise(EXC_UD);
  assertEquals(deliverFault(t.core), DISPATCH);
  assertEquals(t.read64(Number(t.gpr(4))), BigInt(EXC_UD * 8 + 3));
  t.gate(EXC_GP, CODE64, HANDLER);
  t.gate(0x30, CODE64, HANDLER, 5); // not a 64-bit gate type
  assertEquals(deliverInterrupt(t.core, 0x30), DISPATCH);
  assertEquals(t.read64(Number(t.gpr(4))), BigInt(0x30 * 8 + 3));
});

// first fault, is its gate present?, gates present, expected vector on the stack (or -1: shutdown)
const ESCALATION: [string, number, number[], number][] = [
  ["#UD then #GP is #GP", EXC_UD, [EXC_GP], EXC_GP],
  ["#GP then #GP is #DF", EXC_GP, [EXC_DF], EXC_DF],
  ["#PF then #GP is #DF", EXC_PF, [EXC_DF], EXC_DF],
  ["#GP then #GP without #DF is shutdown", EXC_GP, [], -1],
];
for (const [name, first, gates, expected] of ESCALATION) {
  Deno.test(`escalation: ${name}`, () => {
    const t = new TestCore().long();
    for (const v of gates) t.gate(v, CODE64, BigInt(0x5_0000 + v));
    // Empty IDT entries are of type 0: #GP.
    t.core.raise(first, 0);
    const status = deliverFault(t.core);
    if (expected === -1) assertEquals(status, SHUTDOWN);
    else assertEquals([status, t.rip], [DISPATCH, BigInt(0x5_0000 + expected)]);
  });
}

Deno.test("escalation: a #PF while delivering #GP is delivered as #PF", () => {
  const t = new TestCore().long(3);
  t.gate(EXC_GP, CODE64, HANDLER);
  t.gate(EXC_PF, CODE64, HANDLER + 1n, 0xe, 0, 1);
  t.write64(0x3004, 0x8000_1000n); // RSP0 is not mapped
  t.core.raise(EXC_GP, 0);
  assertEquals([deliverFault(t.core), t.rip], [DISPATCH, HANDLER + 1n]);
  assertEquals(t.core.s.get64(S.cr2), 0x8000_1000n - 48n);
});

Deno.test("32-bit: a fault from CPL 3 switches to SS0:ESP0", () => {
  const t = new TestCore().protected32(3);
  t.gate(EXC_GP, CODE32, HANDLER);
  t.core.s.setGpr(4, 0x7777n);
  t.core.raise(EXC_GP, 0x28);
  assertEquals(deliverFault(t.core), DISPATCH);
  assertEquals(
    [0, 4, 8, 12, 16, 20].map((i) => t.read32(STACK0 - 24 + i)),
    [0x28, 0x1000_0000, USER_CODE32, 0x202 | FLAG_RF, 0x7777, USER_DATA],
  );
  assertEquals([t.rip, t.gpr(4), t.core.cpl, t.core.selector(SS)], [HANDLER, BigInt(STACK0 - 24), 0, DATA0]);
});

Deno.test("32-bit: same privilege pushes three words; 16-bit gates push 16-bit ones", () => {
  const t = new TestCore().protected32();
  t.gate(0x40, CODE32, HANDLER);
  t.gate(0x41, CODE32, 0x3456n, 6);
  assertEquals(deliverInterrupt(t.core, 0x40), DISPATCH);
  assertEquals(t.gpr(4), BigInt(RING0_TOP - 12));
  assertEquals(deliverInterrupt(t.core, 0x41), DISPATCH);
  assertEquals([t.gpr(4), t.rip], [BigInt(RING0_TOP - 18), 0x3456n]);
  assertEquals([t.read16(RING0_TOP - 18), t.read16(RING0_TOP - 16)], [0x3456, CODE32]);
});

Deno.test("32-bit: bad TSS stacks are #TS, an absent handler segment #NP", () => {
  const t = new TestCore().protected32(3);
  t.gate(0x40, CODE32, HANDLER, 0xe, 3);
  t.write32(0x3008, CODE32);
  assertEquals([t.run("int_n", 0x40), t.fault], [FAULT, `10:${CODE32}`]);
  t.write32(0x3008, NOT_PRESENT);
  assertEquals([t.run("int_n", 0x40), t.fault], [FAULT, `12:${NOT_PRESENT}`]);
  t.write64(GDT + CODE32, t.read64(GDT + CODE32) & ~(1n << 47n));
  assertEquals([t.run("int_n", 0x40), t.fault], [FAULT, `11:${CODE32}`]);
});

Deno.test("32-bit: a conforming handler runs at the interrupted privilege", () => {
  const t = new TestCore().protected32(3);
  t.gate(0x40, CONFORMING, HANDLER, 0xe, 3);
  t.core.s.setGpr(4, BigInt(STACK3));
  assertEquals(t.run("int_n", 0x40), DISPATCH);
  assertEquals([t.core.cpl, t.core.selector(CS), t.gpr(4)], [3, CONFORMING | 3, BigInt(STACK3 - 12)]);
});

Deno.test("real mode: IVT, three words, no error code", () => {
  const t = new TestCore();
  t.at(0x100n, 2);
  t.write32(0x40 * 4, 0x1234_5678);
  t.write32(13 * 4, 0x1000_0010);
  t.core.setRflags(0x202);
  t.core.s.setGpr(4, 0xffff_0000n);
  assertEquals(t.run("int_n", 0x40), DISPATCH);
  assertEquals([t.rip, t.core.selector(CS), t.core.s.segment(CS).base], [0x5678n, 0x1234, 0x1_2340n]);
  assertEquals([t.gpr(4), t.read16(0xfffe), t.read16(0xfffc), t.read16(0xfffa)], [
    0xffff_fffan,
    0x202,
    0xf000,
    0x102,
  ]);
  assertEquals(t.core.rflags & FLAG_IF, 0);
  t.core.raise(EXC_GP, 0);
  assertEquals([deliverFault(t.core), t.gpr(4), t.rip], [DISPATCH, 0xffff_fff4n, 0x10n]);
});

Deno.test("#DB sets DR6 and clears DR7.GD; a trap pushes no RF", () => {
  const t = new TestCore().long();
  t.gate(EXC_DB, CODE64, HANDLER);
  t.core.s.set64(S.dr + 56, 0x2400n);
  t.core.raiseDebug(1 << 14, true);
  assertEquals(deliverFault(t.core), DISPATCH);
  assertEquals([t.core.s.get64(S.dr + 48), t.core.s.get64(S.dr + 56)], [0xffff_4ff0n, 0x400n]);
  assertEquals(t.read64(Number(t.gpr(4)) + 16), 0x202n);
});

Deno.test("a frame that crosses into an absent page changes no register", () => {
  const t = new TestCore().long();
  t.gate(0x40, CODE64, HANDLER);
  t.core.s.setGpr(4, 0x8000_0010n); // the lower page is mapped, the upper is not
  t.gate(EXC_DF, CODE64, HANDLER + 2n, 0xe, 0, 1);
  t.gate(EXC_PF, CODE64, HANDLER + 1n, 0xe, 0, 1);
  assertEquals([deliverInterrupt(t.core, 0x40), t.rip], [DISPATCH, HANDLER + 1n]);
  assertEquals(t.read64(IST1 - 16), 0x8000_0010n);
});
