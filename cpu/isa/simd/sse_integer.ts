// SPDX-License-Identifier: MIT
/** SSE2 packed integer arithmetic, logic and shifts; MMX and SSE have most of them for MM registers. SDM Vol. 2. @module */
import type { Emit, Value } from "../../emit/emit.ts";
import {
  integerOp,
  type PackedOp,
  shiftByVector,
  shiftLanes,
  type ShiftName,
  swapped,
  wasm,
} from "./integer_ops.ts";
import { atMost, iota, sse, XMM } from "./sse_patterns.ts";

integerOp("PADDB", "0ffc", wasm("i8x16.add"));
integerOp("PADDW", "0ffd", wasm("i16x8.add"));
integerOp("PADDD", "0ffe", wasm("i32x4.add"));
integerOp("PADDQ", "0fd4", wasm("i64x2.add"));
integerOp("PADDSB", "0fec", wasm("i8x16.add_sat_s"));
integerOp("PADDSW", "0fed", wasm("i16x8.add_sat_s"));
integerOp("PADDUSB", "0fdc", wasm("i8x16.add_sat_u"));
integerOp("PADDUSW", "0fdd", wasm("i16x8.add_sat_u"));
integerOp("PSUBB", "0ff8", wasm("i8x16.sub"));
integerOp("PSUBW", "0ff9", wasm("i16x8.sub"));
integerOp("PSUBD", "0ffa", wasm("i32x4.sub"));
integerOp("PSUBQ", "0ffb", wasm("i64x2.sub"));
integerOp("PSUBSB", "0fe8", wasm("i8x16.sub_sat_s"));
integerOp("PSUBSW", "0fe9", wasm("i16x8.sub_sat_s"));
integerOp("PSUBUSB", "0fd8", wasm("i8x16.sub_sat_u"));
integerOp("PSUBUSW", "0fd9", wasm("i16x8.sub_sat_u"));

/** The upper halves of 16-bit products. */
const multiplyHigh = (sign: "s" | "u"): PackedOp => (e, a, b) => {
  const low = e.op(`i32x4.extmul_low_i16x8_${sign}`, a, b);
  const high = e.op(`i32x4.extmul_high_i16x8_${sign}`, a, b);
  return e.shuffle([2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31], low, high);
};
/** 64-bit products of lanes 0 and 2. */
export const multiplyEven = (sign: "s" | "u"): PackedOp => (e, a, b) => {
  const even = (v: Value) => e.shuffle([0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11], v, v);
  return e.op(`i64x2.extmul_low_i32x4_${sign}`, even(a), even(b));
};
integerOp("PMULLW", "0fd5", wasm("i16x8.mul"));
integerOp("PMULHW", "0fe5", multiplyHigh("s"));
integerOp("PMULHUW", "0fe4", multiplyHigh("u"));
integerOp("PMULUDQ", "0ff4", multiplyEven("u"));
integerOp("PMADDWD", "0ff5", wasm("i32x4.dot_i16x8_s"));
integerOp("PSADBW", "0ff6", (e, a, b) => {
  const difference = e.op("i8x16.sub", e.op("i8x16.max_u", a, b), e.op("i8x16.min_u", a, b));
  const words = e.op("i16x8.extadd_pairwise_i8x16_u", difference);
  const sums = e.op("i32x4.extadd_pairwise_i16x8_u", words);
  const low = e.op("v128.and", sums, e.op("i64x2.splat", e.i64(0xffff)));
  return e.op("i64x2.add", low, e.op("i64x2.shr_u", sums, e.i32(32)));
});
integerOp("PAVGB", "0fe0", wasm("i8x16.avgr_u"));
integerOp("PAVGW", "0fe3", wasm("i16x8.avgr_u"));
integerOp("PMINUB", "0fda", wasm("i8x16.min_u"));
integerOp("PMINSW", "0fea", wasm("i16x8.min_s"));
integerOp("PMAXUB", "0fde", wasm("i8x16.max_u"));
integerOp("PMAXSW", "0fee", wasm("i16x8.max_s"));
integerOp("PCMPEQB", "0f74", wasm("i8x16.eq"));
integerOp("PCMPEQW", "0f75", wasm("i16x8.eq"));
integerOp("PCMPEQD", "0f76", wasm("i32x4.eq"));
integerOp("PCMPGTB", "0f64", wasm("i8x16.gt_s"));
integerOp("PCMPGTW", "0f65", wasm("i16x8.gt_s"));
integerOp("PCMPGTD", "0f66", wasm("i32x4.gt_s"));
integerOp("PAND", "0fdb", wasm("v128.and"));
integerOp("PANDN", "0fdf", swapped("v128.andnot"));
integerOp("POR", "0feb", wasm("v128.or"));
integerOp("PXOR", "0fef", wasm("v128.xor"));
integerOp("PACKSSWB", "0f63", wasm("i8x16.narrow_i16x8_s"), "pair");
integerOp("PACKSSDW", "0f6b", wasm("i16x8.narrow_i32x4_s"), "pair");
integerOp("PACKUSWB", "0f67", wasm("i8x16.narrow_i16x8_u"), "pair");

integerOp("PSRLW", "0fd1", shiftByVector(16, "shr_u"));
integerOp("PSRLD", "0fd2", shiftByVector(32, "shr_u"));
integerOp("PSRLQ", "0fd3", shiftByVector(64, "shr_u"));
integerOp("PSRAW", "0fe1", shiftByVector(16, "shr_s"));
integerOp("PSRAD", "0fe2", shiftByVector(32, "shr_s"));
integerOp("PSLLW", "0ff1", shiftByVector(16, "shl"));
integerOp("PSLLD", "0ff2", shiftByVector(32, "shl"));
integerOp("PSLLQ", "0ff3", shiftByVector(64, "shl"));

/** Shifts by an immediate: name, opcode and extension, lane width, operation. */
export const IMMEDIATE_SHIFTS: readonly (readonly [string, string, 16 | 32 | 64, ShiftName])[] = [
  ["PSRLW", "0f71 /2", 16, "shr_u"],
  ["PSRAW", "0f71 /4", 16, "shr_s"],
  ["PSLLW", "0f71 /6", 16, "shl"],
  ["PSRLD", "0f72 /2", 32, "shr_u"],
  ["PSRAD", "0f72 /4", 32, "shr_s"],
  ["PSLLD", "0f72 /6", 32, "shl"],
  ["PSRLQ", "0f73 /2", 64, "shr_u"],
  ["PSLLQ", "0f73 /6", 64, "shl"],
];
for (const [name, encoding, width, shift] of IMMEDIATE_SHIFTS) {
  sse(`${name} xmm, imm8`, `66 ${encoding} :reg ub`, (e) => {
    e.setXmmRm(shiftLanes(e, width, shift, e.xmmRm(), e.imm(8)));
  }, XMM);
}

/** Index vector 0..15 moved by `by`; indexes outside 0..15 select zero. */
function movedIndexes(e: Emit, by: Value, up: boolean): Value {
  return e.op(up ? "i8x16.add" : "i8x16.sub", iota(e), e.op("i8x16.splat", atMost(e, by, 16)));
}
sse("PSRLDQ xmm, imm8", "66 0f73 /3 :reg ub", (e) => {
  e.setXmmRm(e.op("i8x16.swizzle", e.xmmRm(), movedIndexes(e, e.imm(8), true)));
});
sse("PSLLDQ xmm, imm8", "66 0f73 /7 :reg ub", (e) => {
  e.setXmmRm(e.op("i8x16.swizzle", e.xmmRm(), movedIndexes(e, e.imm(8), false)));
});
