// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 3A table 9-1 (reset).
import { assertEquals } from "@std/assert";
import { CODE32, DATA0, FREE, TestCore } from "./_test_core.ts";
import { MODE_CODE, MODE_FPU_TRAP, MODE_SEGMENTED, MODE_STACK_WIDE, MODE_USER } from "./core.ts";
import { ARENA_BASE, CS, DS, S, SS } from "./state/state.ts";

Deno.test("reset", () => {
  const { core } = new TestCore(), s = core.s;
  assertEquals(s.segment(CS), { selector: 0xf000, base: 0xffff_0000n, limit: 0xffff, attributes: 0x9b });
  assertEquals(s.segment(DS), { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 });
  assertEquals([core.rip, core.rflags, s.get64(S.cr0), s.gpr(2)], [0xfff0n, 2, 0x6000_0010n, 0x3_0661n]);
  assertEquals([s.get64(S.dr + 48), s.get64(S.dr + 56), s.get32(S.mxcsr)], [0xffff_0ff0n, 0x400n, 0x1f80]);
  assertEquals([core.codeBits, core.protectedMode, core.longMode], [16, false, false]);
  assertEquals(core.modeBits, MODE_SEGMENTED | MODE_FPU_TRAP);
});

Deno.test("mode bits and stack mask", () => {
  const long = new TestCore().long(3).core;
  assertEquals([long.modeBits, long.s.get64(S.stackMask)], [
    2 | MODE_STACK_WIDE | MODE_USER,
    (1n << 64n) - 1n,
  ]);
  assertEquals(long.s.get64(S.modeKey), BigInt(long.modeBits) << 56n);
  const t = new TestCore().protected32(), { core } = t;
  assertEquals([core.modeBits, core.s.get64(S.stackMask)], [1 | MODE_STACK_WIDE, 0xffff_ffffn]);
  core.setSegment(SS, DATA0, 0, 0, 0xffff_ffff, 0x8093); // B clear
  assertEquals([core.updateMode(), core.s.get64(S.stackMask)], [true, 0xffffn]);
  assertEquals(core.updateMode(), false);
  core.setSegment(CS, CODE32, 0x1000, 0, 0xffff_ffff, 0xc09b);
  core.updateMode();
  assertEquals([core.modeBits & MODE_SEGMENTED, core.modeBits & MODE_CODE], [MODE_SEGMENTED, 1]);
});

Deno.test("RIP of a record in each code size", () => {
  const t = new TestCore().long();
  t.at(0xffff_ffff_ffff_fffen, 4);
  assertEquals([t.core.ripOf(ARENA_BASE), t.core.nextRipOf(ARENA_BASE)], [0xffff_ffff_ffff_fffen, 2n]);
  t.at(0xffff_8000_ffff_fffen, 4);
  assertEquals(t.core.nextRipOf(ARENA_BASE), 0xffff_8001_0000_0002n);
  const p = new TestCore().protected32();
  p.at(0xffff_fffen, 4);
  assertEquals(p.core.nextRipOf(ARENA_BASE), 2n);
  const r = new TestCore();
  r.at(0xfffen, 4);
  assertEquals(r.core.nextRipOf(ARENA_BASE), 2n);
});

Deno.test("the flags setter keeps only bits that exist", () => {
  const { core } = new TestCore().long();
  core.setRflags(0xffff_ffff);
  // CF 1 PF AF ZF SF TF IF DF OF IOPL NT AC ID; not RF, VM, VIF, VIP.
  assertEquals(core.rflags, 0x24_7fd7);
});

Deno.test("as a Vcpu: registers and memory", () => {
  const t = new TestCore().long();
  t.core.writeGpr("r10", 0xffff_ffff_ffff_ffffn);
  assertEquals([t.gpr(10), t.core.readGpr("r10")], [0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn]);
  assertEquals(t.core.copyToGuest(BigInt(FREE), Uint8Array.of(1, 2, 3)), true);
  assertEquals(t.read32(FREE), 0x3_0201);
});
