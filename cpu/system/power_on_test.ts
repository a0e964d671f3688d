// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 3A table 9-1 (reset).
import { assertEquals } from "@std/assert";
import { TestCore } from "../_test_core.ts";
import { MODE_AVX_TRAP, MODE_FPU_TRAP, MODE_SEGMENTED } from "../state/registers.ts";
import { CS, DS, S } from "../state/state.ts";

Deno.test("reset", () => {
  const { core } = new TestCore(), s = core.s;
  assertEquals(s.segment(CS), { selector: 0xf000, base: 0xffff_0000n, limit: 0xffff, attributes: 0x9b });
  assertEquals(s.segment(DS), { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 });
  assertEquals([core.rip, core.rflags, s.get64(S.cr0), s.gpr(2)], [0xfff0n, 2, 0x6000_0010n, 0x3_0661n]);
  assertEquals([s.get64(S.dr + 48), s.get64(S.dr + 56), s.get32(S.mxcsr)], [0xffff_0ff0n, 0x400n, 0x1f80]);
  assertEquals([core.codeBits, core.protectedMode, core.longMode], [16, false, false]);
  assertEquals(core.modeBits, MODE_SEGMENTED | MODE_FPU_TRAP | MODE_AVX_TRAP);
});
