// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 3A §2.5, §4.1, §9.8.5; Vol. 3B §17.2.
import { assertEquals } from "@std/assert";
import { parseCpuModel } from "../base/cpu_model.ts";
import { FREE, PML4, TestCore } from "../_test_core.ts";
import { MODE_FPU_TRAP, MODE_TF } from "../state/registers.ts";
import { S } from "../state/state.ts";
import { DISPATCH, FAULT, NEXT, SLICE_END } from "../state/status.ts";

Deno.test("entering long mode: PAE, CR3, LME, PG; LMA follows", () => {
  const t = new TestCore().protected32(), s = t.core.s;
  assertEquals(t.run("mov_to_cr", 4, 0x620), DISPATCH);
  assertEquals(t.run("mov_to_cr", 3, PML4), DISPATCH);
  s.setGpr(1, 0xc000_0080n);
  s.setGpr(0, 0x101n);
  s.setGpr(2, 0n);
  assertEquals(t.run("wrmsr"), DISPATCH);
  assertEquals(s.get64(S.efer), 0x101n);
  assertEquals([t.run("mov_to_cr", 0, 0x8000_0011), t.rip], [DISPATCH, 0x1000_0002n]);
  assertEquals([s.get64(S.efer), t.core.longMode, t.core.codeBits], [0x501n, true, 32]);
  assertEquals([t.run("mov_to_cr", 4, 0x600), t.fault], [FAULT, "13:0"]); // PAE may not go
  s.setGpr(0, 0x1n);
  assertEquals([t.run("wrmsr"), t.fault], [FAULT, "13:0"]); // LME may not change while paging
  assertEquals(t.run("mov_to_cr", 0, 0x11), DISPATCH);
  assertEquals(s.get64(S.efer), 0x101n);
});

// what, CR, value, fault ("" = fine), in 64-bit mode
const WRITES: [string, number, bigint, string][] = [
  ["CR0 with PG but not PE", 0, 0x8000_0010n, "13:0"],
  ["CR0 with NW but not CD", 0, 0xa000_0011n, "13:0"],
  ["CR0 with high bits", 0, 0x1_8000_0011n, "13:0"],
  ["CR0 without PG in 64-bit code", 0, 0x11n, "13:0"],
  ["CR0 with reserved low bits", 0, 0x8001_0051n, ""],
  ["CR1", 1, 0n, "6:-1"],
  ["CR3 with bit 32", 3, 1n << 32n, "13:0"],
  ["CR3 with bit 31", 3, 1n << 31n, ""],
  ["CR4 with VMXE", 4, 0x2620n, "13:0"],
  ["CR4 with PCIDE", 4, 0x2_0620n, "13:0"],
  ["CR4 with high bits", 4, 0x1_0000_0620n, "13:0"],
  ["CR4 with SMEP and SMAP", 4, 0x30_0620n, ""],
  ["CR8 above 15", 8, 16n, "13:0"],
  ["CR8", 8, 15n, ""],
];
for (const [what, n, value, fault] of WRITES) {
  Deno.test(`mov to ${what}`, () => {
    const t = new TestCore().long();
    const status = t.run("mov_to_cr", n, value);
    if (fault !== "") assertEquals([status, t.fault], [FAULT, fault]);
    else assertEquals(status === FAULT, false);
    t.core.setCpl(3);
    assertEquals(t.run("mov_to_cr", n, value), FAULT);
  });
}

Deno.test("CR8 goes to the machine", () => {
  let tpr = 3;
  const t = new TestCore({}, { readTpr: () => tpr, writeTpr: (v) => tpr = v }).long();
  assertEquals([t.run("mov_from_cr", 8), t.core.s.arg(0)], [NEXT, 3n]);
  assertEquals([t.run("mov_to_cr", 8, 9), tpr], [NEXT, 9]);
});

Deno.test("CR0.ET always reads 1; LMSW sets PE but cannot clear it", () => {
  const t = new TestCore();
  assertEquals(t.run("mov_to_cr", 0, 0), DISPATCH);
  assertEquals(t.core.s.get64(S.cr0), 0x10n);
  assertEquals([t.run("lmsw", 0xf), t.core.s.get64(S.cr0)], [DISPATCH, 0x1fn]);
  assertEquals([t.run("lmsw", 0), t.core.s.get64(S.cr0)], [DISPATCH, 0x11n]);
});

Deno.test("CLTS ends the mode in which FPU instructions may fault", () => {
  const t = new TestCore().long();
  assertEquals(t.core.modeBits & MODE_FPU_TRAP, 0);
  assertEquals(t.run("mov_to_cr", 0, 0x8001_001b), DISPATCH);
  assertEquals(t.core.modeBits & MODE_FPU_TRAP, MODE_FPU_TRAP);
  assertEquals([t.run("check_sse"), t.fault], [FAULT, "7:-1"]);
  assertEquals([t.run("check_mmx"), t.fault], [FAULT, "7:-1"]);
  assertEquals([t.run("clts"), t.run("clts")], [DISPATCH, NEXT]);
  assertEquals([t.run("check_mmx"), t.run("check_sse"), t.core.modeBits & MODE_FPU_TRAP], [NEXT, NEXT, 0]);
  t.run("mov_to_cr", 4, 0x420); // no OSFXSR
  assertEquals([t.run("check_mmx"), t.run("check_sse"), t.fault], [NEXT, FAULT, "6:-1"]);
});

Deno.test("debug registers: reserved bits, aliases, general detect", () => {
  const t = new TestCore().long(), s = t.core.s;
  assertEquals(t.run("mov_to_dr", 7, 0xffff_ffffn & ~(1n << 13n)), SLICE_END); // breakpoints begin
  assertEquals(s.get64(S.dr + 56), 0xffff_07ffn);
  assertEquals([t.run("mov_to_dr", 4, 0), s.get64(S.dr + 48)], [NEXT, 0xffff_0ff0n]);
  assertEquals([t.run("mov_to_dr", 6, 1n << 32n), t.fault], [FAULT, "13:0"]);
  assertEquals([t.run("mov_to_dr", 0, 0xffff_8000_0000_0000n), s.get64(S.dr)], [
    SLICE_END, // another page is watched
    0xffff_8000_0000_0000n,
  ]);
  s.set64(S.cr4, s.get64(S.cr4) | 8n);
  assertEquals([t.run("mov_from_dr", 5), t.fault], [FAULT, "6:-1"]);
  t.run("mov_to_dr", 7, 0x2400);
  assertEquals([t.run("mov_from_dr", 0), t.fault], [FAULT, "1:-1"]);
  assertEquals([s.get64(S.dr + 48), s.get64(S.dr + 56)], [0xffff_2ff0n, 0x400n]);
});

Deno.test("XGETBV and XSETBV", () => {
  const t = new TestCore().long(), s = t.core.s;
  assertEquals([t.run("xgetbv"), t.fault], [FAULT, "6:-1"]);
  t.run("mov_to_cr", 4, 0x4_0620);
  s.setGpr(1, 0n);
  s.setGpr(0, 3n);
  s.setGpr(2, 0n);
  assertEquals(t.run("xsetbv"), NEXT);
  s.setGpr(0, 0n);
  assertEquals([t.run("xgetbv"), t.gpr(0), t.gpr(2)], [NEXT, 3n, 0n]);
  for (const bad of [2n, 7n, 0n]) {
    s.setGpr(0, bad);
    assertEquals([t.run("xsetbv"), t.fault], [FAULT, "13:0"]);
  }
});

Deno.test("INVLPG drops a translation", () => {
  const t = new TestCore().long(), { core } = t;
  core.mem.read32(FREE, 0, 0);
  assertEquals(core.mmu.lookup(FREE, 0, false, 0) !== 0, true);
  assertEquals([t.run("invlpg", BigInt(FREE)), core.mmu.lookup(FREE, 0, false, 0)], [DISPATCH, 0]);
});

Deno.test("LGDT needs CPL 0 and a canonical base", () => {
  const t = new TestCore().long(), s = t.core.s;
  assertEquals(t.run("lgdt", 0x7f, 0xffff_8000_0000_1000n), NEXT);
  assertEquals([s.get64(S.gdtrBase), s.get32(S.gdtrLimit)], [0xffff_8000_0000_1000n, 0x7f]);
  assertEquals([t.run("lidt", 0, 1n << 47n), t.fault], [FAULT, "13:0"]);
  t.core.setCpl(3);
  assertEquals([t.run("lgdt", 0, 0), t.fault], [FAULT, "13:0"]);
});

Deno.test("CLI, STI and POPF by privilege", () => {
  const t = new TestCore().long();
  t.interrupts.pending = true;
  assertEquals([t.run("cli"), t.core.rflags & 0x200, t.log.exits], [NEXT, 0, 0]);
  assertEquals([t.run("sti"), t.core.rflags & 0x200, t.log.exits], [NEXT, 0x200, 1]);
  assertEquals([t.run("popf", 8, 0x202), t.rip], [SLICE_END, 0x1000_0002n]); // the interrupt is due
  t.interrupts.pending = false;
  assertEquals([t.run("popf", 8, 0x3_3fd7), t.core.rflags], [DISPATCH, 0x3fd7]); // TF: another mode
  assertEquals(t.core.modeBits & MODE_TF, MODE_TF);
  const u = new TestCore().long(3);
  assertEquals([u.run("cli"), u.fault], [FAULT, "13:0"]);
  assertEquals([u.run("popf", 8, 0x3dd7), u.core.rflags], [DISPATCH, 0xfd7 & ~0x200 | 0x200]);
  assertEquals([u.run("popf", 2, 0x24_0002), u.core.rflags], [DISPATCH, 0x202]); // 16 bits: no AC, ID
});

/** 64-bit mode with PCID and INVPCID. */
function withPcid(): TestCore {
  return new TestCore({ features: parseCpuModel("v2,+pcid,+invpcid").features }).long();
}
const PCIDE = 0x2_0000;

Deno.test("CR4.PCIDE wants long mode and PCID 0; paging cannot end with it", () => {
  const t = withPcid(), s = t.core.s;
  s.set64(S.cr3, BigInt(PML4 | 1));
  assertEquals([t.run("mov_to_cr", 4, 0x620 | PCIDE), t.fault], [FAULT, "13:0"]);
  s.set64(S.cr3, BigInt(PML4));
  assertEquals(t.run("mov_to_cr", 4, 0x620 | PCIDE), DISPATCH);
  s.set64(S.cr3, BigInt(PML4 | 5));
  assertEquals(t.run("mov_to_cr", 4, 0x6a0 | PCIDE), DISPATCH); // it is set already
  const legacy = new TestCore({ features: parseCpuModel("v2,+pcid").features }).protected32();
  assertEquals([legacy.run("mov_to_cr", 4, 0x620 | PCIDE), legacy.fault], [FAULT, "13:0"]);
});

Deno.test("with CR4.PCIDE, bit 63 of what goes to CR3 is no part of it", () => {
  const t = withPcid();
  const value = (1n << 63n) | BigInt(PML4 | 7);
  assertEquals([t.run("mov_to_cr", 3, value), t.fault], [FAULT, "13:0"]);
  t.run("mov_to_cr", 4, 0x620 | PCIDE);
  assertEquals([t.run("mov_to_cr", 3, value), t.core.s.get64(S.cr3)], [DISPATCH, BigInt(PML4 | 7)]);
});

// type, PCID half, linear address, with PCIDE, fault
const INVPCID: [number, bigint, bigint, boolean, string][] = [
  [0, 0n, 0x1000n, false, ""],
  [0, 5n, 0x1000n, true, ""],
  [0, 5n, 0x1000n, false, "13:0"],
  [1, 5n, 0n, false, "13:0"],
  [1, 0n, 1n << 63n, true, ""],
  [0, 0n, 1n << 63n, true, "13:0"],
  [2, 0x1000n, 0n, true, "13:0"],
  [2, 0xfffn, 0n, false, ""],
  [3, 1n << 32n, 0n, true, "13:0"],
  [3, 0n, 0n, false, ""],
  [4, 0n, 0n, true, "13:0"],
];
for (const [type, pcid, linear, enabled, fault] of INVPCID) {
  Deno.test(`INVPCID ${type} of ${pcid} and ${linear.toString(16)}${enabled ? " with PCIDE" : ""}`, () => {
    const t = withPcid();
    if (enabled) t.run("mov_to_cr", 4, 0x620 | PCIDE);
    const status = t.run("invpcid", type, pcid, linear);
    assertEquals([status, status === FAULT ? t.fault : ""], [fault === "" ? DISPATCH : FAULT, fault]);
    t.core.setCpl(3);
    assertEquals([t.run("invpcid", type, pcid, linear), t.fault], [FAULT, "13:0"]);
  });
}

Deno.test("INVPCID forgets what the TLB had", () => {
  for (const type of [0, 1, 2, 3]) {
    const t = withPcid(), { mmu } = t.core;
    const translated = () => mmu.lookup(0x4000_0000, 0, false, t.core.dataMode) !== 0;
    mmu.translate(0x4000_0000, 0, 0, t.core.dataMode);
    assertEquals(translated(), true);
    t.run("invpcid", type, 0n, 0x4000_0000n);
    assertEquals([type, translated()], [type, false]);
  }
});
