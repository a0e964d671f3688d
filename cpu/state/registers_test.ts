// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { CODE32, DATA0, TestCore } from "../_test_core.ts";
import { MODE_AVX_TRAP, MODE_CODE, MODE_SEGMENTED, MODE_STACK_WIDE, MODE_USER } from "./registers.ts";
import { ARENA_BASE, CS, S, SS } from "./state.ts";

Deno.test("mode bits and stack mask", () => {
  const long = new TestCore().long(3).core;
  assertEquals([long.modeBits, long.s.get64(S.stackMask)], [
    2 | MODE_STACK_WIDE | MODE_USER | MODE_AVX_TRAP, // XCR0 has no AVX
    (1n << 64n) - 1n,
  ]);
  assertEquals(long.s.get64(S.modeKey), BigInt(long.modeBits) << 48n);
  const t = new TestCore().protected32(), { core } = t;
  assertEquals([core.modeBits, core.s.get64(S.stackMask)], [
    1 | MODE_STACK_WIDE | MODE_AVX_TRAP,
    0xffff_ffffn,
  ]);
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
  assertEquals(r.core.nextRipOf(ARENA_BASE), 0x1_0002n); // beyond the limit: #GP
});

Deno.test("the flags setter keeps only bits that exist", () => {
  const { core } = new TestCore().long();
  core.setRflags(0xffff_ffff);
  // CF 1 PF AF ZF SF TF IF DF OF IOPL NT AC VIF VIP ID; not RF, and VM outside long mode only.
  assertEquals(core.rflags, 0x3c_7fd7);
});
