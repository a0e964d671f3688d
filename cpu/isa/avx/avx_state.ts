// SPDX-License-Identifier: MIT
/** AVX instructions on all vector registers, and on MXCSR. SDM Vol. 2, VZEROALL, VZEROUPPER, LDMXCSR, STMXCSR. @module */
import type { Emit } from "../../emit/emit.ts";
import { EXC_GP, S } from "../../state/state.ts";
import { avx } from "./avx_patterns.ts";

/** MXCSR bits that fault when they are loaded. */
const MXCSR_RESERVED = 0xffff_0000;

const registers = (e: Emit) => e.form.codeBits === 64 ? 16 : 8;
avx("VZEROUPPER", "vex.128.0f.wig 77", (e) => {
  for (let i = 0; i < registers(e); i++) e.zeroHigh(i);
}, {});
avx("VZEROALL", "vex.256.0f.wig 77", (e) => {
  for (let i = 0; i < registers(e); i++) e.setXmm(i, e.v128(0n, 0n));
}, {});
avx(
  "VLDMXCSR m32",
  "vex.lz.0f.wig ae /2 :mem",
  (e) => {
    const value = e.load(32, e.address());
    e.faultIf(e.and(32, value, e.i32(MXCSR_RESERVED)), EXC_GP, 0);
    e.setState32(S.mxcsr, value);
  },
  {},
);
avx("VSTMXCSR m32", "vex.lz.0f.wig ae /3 :mem", (e) => e.store(32, e.address(), e.state32(S.mxcsr)), {});
