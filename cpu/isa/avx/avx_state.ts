// SPDX-License-Identifier: MIT
/** AVX instructions on all vector registers. SDM Vol. 2, VZEROALL, VZEROUPPER. @module */
import type { Emit } from "../../emit/emit.ts";
import { avx } from "./avx_patterns.ts";

const registers = (e: Emit) => e.form.codeBits === 64 ? 16 : 8;
avx("VZEROUPPER", "vex.128.0f.wig 77", (e) => {
  for (let i = 0; i < registers(e); i++) e.zeroHigh(i);
}, {});
avx("VZEROALL", "vex.256.0f.wig 77", (e) => {
  for (let i = 0; i < registers(e); i++) e.setXmm(i, e.v128(0n, 0n));
}, {});
