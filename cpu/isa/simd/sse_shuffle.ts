// SPDX-License-Identifier: MIT
/**
 * SSE to SSE4.1 shuffles, insertions and extractions. SDM Vol. 2. An immediate is a run-time value to the
 * interpreter's handlers: it becomes a vector of byte indexes for i8x16.swizzle, where indexes >= 16 give zero.
 * @module
 */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { integerOp, SHAPE } from "./integer_ops.ts";
import { atMost, binary, bytes, iota, source, sse, unary } from "./sse_patterns.ts";

/** Byte indexes of four 32-bit lanes, two bits of `imm` each. */
export function dwordIndexes(e: Emit, imm: Value): Value {
  // imm times 64, 16, 4, 1, then two bits from bit 6.
  const moved = e.op("i32x4.mul", e.op("i32x4.splat", imm), e.v128(0x10_0000_0040n, 0x1_0000_0004n));
  const lanes = e.op("v128.and", e.op("i32x4.shr_u", moved, e.i32(6)), e.op("i32x4.splat", e.i32(3)));
  const first = e.op("i32x4.mul", lanes, e.op("i32x4.splat", e.i32(0x0404_0404)));
  return e.op("i32x4.add", first, e.op("i32x4.splat", e.i32(0x0302_0100)));
}
/** Byte indexes of four 16-bit lanes, two bits of `imm` each, in both halves. */
export function wordIndexes(e: Emit, imm: Value): Value {
  const factors = 0x0001_0004_0010_0040n;
  const moved = e.op("i16x8.mul", e.op("i16x8.splat", imm), e.v128(factors, factors));
  const lanes = e.op("v128.and", e.op("i16x8.shr_u", moved, e.i32(6)), e.op("i16x8.splat", e.i32(3)));
  const first = e.op("i16x8.mul", lanes, e.op("i16x8.splat", e.i32(0x0202)));
  return e.op("i16x8.add", first, e.op("i16x8.splat", e.i32(0x0100)));
}

sse(
  "PSHUFD xmm, xmm/m128, imm8",
  "66 0f70 /r ub",
  unary((e, b) => e.op("i8x16.swizzle", b, dwordIndexes(e, e.imm(8)))),
);
const LOW_THEN_OTHER = [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31];
sse(
  "PSHUFLW xmm, xmm/m128, imm8",
  "f2 0f70 /r ub",
  unary((e, b) => e.shuffle(LOW_THEN_OTHER, e.op("i8x16.swizzle", b, wordIndexes(e, e.imm(8))), b)),
);
sse(
  "PSHUFHW xmm, xmm/m128, imm8",
  "f3 0f70 /r ub",
  unary((e, b) => {
    const indexes = e.op("i8x16.add", wordIndexes(e, e.imm(8)), e.op("i8x16.splat", e.i32(8)));
    return e.shuffle(LOW_THEN_OTHER, b, e.op("i8x16.swizzle", b, indexes));
  }),
);
sse(
  "SHUFPS xmm, xmm/m128, imm8",
  "np 0fc6 /r ub",
  binary((e, a, b) => {
    const indexes = dwordIndexes(e, e.imm(8));
    const pick = (v: Value) => e.op("i8x16.swizzle", v, indexes);
    return e.shuffle(LOW_THEN_OTHER, pick(a), pick(b));
  }),
);
sse(
  "SHUFPD xmm, xmm/m128, imm8",
  "66 0fc6 /r ub",
  binary((e, a, b) => {
    const imm = e.imm(8);
    const pick = (v: Value, bit: number) =>
      e.select(
        e.bit(imm, bit + 2 * e.half),
        e.lane("i64x2.extract_lane", 1, v),
        e.lane("i64x2.extract_lane", 0, v),
      );
    return e.lane("i64x2.replace_lane", 1, e.op("i64x2.splat", pick(a, 0)), pick(b, 1));
  }),
);

// Bit 7 of an index selects zero, and so does every index >= 16 here: the other bits beyond 3 are dropped.
integerOp(
  "PSHUFB",
  "0f3800",
  (e, a, b) => e.op("i8x16.swizzle", a, e.op("v128.and", b, e.op("i8x16.splat", e.i32(0x8f)))),
);

/** Sixteen bytes of {b, a} from byte `n` on, zeros behind. */
function align(e: Emit, a: Value, b: Value, n: Value): Value {
  const low = e.op("i8x16.add", iota(e), e.op("i8x16.splat", atMost(e, n, 32)));
  const high = e.op("i8x16.sub", low, e.op("i8x16.splat", e.i32(16)));
  return e.op("v128.or", e.op("i8x16.swizzle", b, low), e.op("i8x16.swizzle", a, high));
}
sse(
  "PALIGNR xmm, xmm/m128, imm8",
  "66 0f3a0f /r ub",
  binary((e, a, b) => align(e, a, b, e.imm(8))),
);

// Insertions and extractions

const LANE_NUMBERS = {
  8: bytesOf(1),
  16: bytesOf(2),
  32: bytesOf(4),
  64: bytesOf(8),
} as const;
/** The bytes of a vector whose lanes of `width` bytes hold their own numbers. */
function bytesOf(width: number): readonly number[] {
  return [...Array(16).keys()].map((i) => i % width === 0 ? i / width : 0);
}
/** `v` with lane `lane` (below the number of lanes) replaced. */
export function insertLane(e: Emit, w: Width, v: Value, lane: Value, value: Value): Value {
  const shape = SHAPE[w];
  const number = w === 64 ? e.zeroExtend(32, 64, lane) : lane;
  const mask = e.op(`${shape}.eq`, e.op(`${shape}.splat`, number), bytes(e, LANE_NUMBERS[w]));
  return e.op("v128.bitselect", e.op(`${shape}.splat`, value), v, mask);
}
/** Lane `lane` (below the number of lanes) of `v`, zero-extended. */
export function extractLane(e: Emit, w: Width, v: Value, lane: Value): Value {
  if (w === 64) {
    const at = (i: number) => e.lane("i64x2.extract_lane", i, v);
    return e.select(lane, at(1), at(0));
  }
  const first = e.mul(32, lane, e.i32(w / 8));
  const moved = e.op("i8x16.swizzle", v, e.op("i8x16.add", iota(e), e.op("i8x16.splat", first)));
  return w === 32 ? e.lane("i32x4.extract_lane", 0, moved) : e.lane(`${SHAPE[w]}.extract_lane_u`, 0, moved);
}
/** imm8 as a lane number. */
export const laneOf = (e: Emit, w: Width, vectorBits = 128): Value =>
  e.and(32, e.imm(8), e.i32(vectorBits / w - 1));

const TO_XMM = { reg: "xmm", rm: "gpr" } as const;
const insert = (e: Emit, w: Width) => {
  const value = e.rm(w);
  e.setXmmReg(insertLane(e, w, e.xmmReg(), laneOf(e, w), value));
};
sse("PINSRW xmm, r32/m16, imm8", "66 0fc4 /r ub", insert, TO_XMM, 16);
sse("PINSRB xmm, r32/m8, imm8", "66 0f3a20 /r ub", insert, TO_XMM, 8);
sse("PINSRD/Q xmm, r/m, imm8", "66 0f3a22 /r ub", insert, TO_XMM, "y");
sse("PEXTRW r32, xmm, imm8", "66 0fc5 /r :reg ub", (e) => {
  e.setReg(32, extractLane(e, 16, e.xmmRm(), laneOf(e, 16)));
}, { reg: "gpr", rm: "xmm" });

/** To memory at width `w`, or to a whole register. */
const extract = (e: Emit, w: Width) => {
  const value = extractLane(e, w, e.xmmReg(), laneOf(e, w));
  if (w === 64) e.setRm(64, value);
  else if (e.form.isMemory) e.store(w, e.address(), value);
  else e.setRm(32, value);
};
sse("PEXTRB r32/m8, xmm, imm8", "66 0f3a14 /r ub", extract, TO_XMM, 8);
sse("PEXTRW r32/m16, xmm, imm8", "66 0f3a15 /r ub", extract, TO_XMM, 16);
sse("PEXTRD/Q r/m, xmm, imm8", "66 0f3a16 /r ub", extract, TO_XMM, "y");
sse("EXTRACTPS r/m32, xmm, imm8", "66 0f3a17 /r ub", extract, TO_XMM, 32);

/** All ones in lane i where bit i of `imm` is set. */
function maskOfBits(e: Emit, shape: "i16x8" | "i32x4", imm: Value): Value {
  const bits = bytes(
    e,
    LANE_NUMBERS[shape === "i16x8" ? 16 : 32].map((lane, i) => {
      const first = i % (shape === "i16x8" ? 2 : 4) === 0;
      return first ? 1 << lane : 0;
    }),
  );
  return e.op(`${shape}.eq`, e.op("v128.and", e.op(`${shape}.splat`, imm), bits), bits);
}
sse("INSERTPS xmm, xmm/m32, imm8", "66 0f3a21 /r ub", (e) => {
  const imm = e.imm(8);
  const value = e.form.isMemory
    ? e.load(32, e.address())
    : extractLane(e, 32, e.xmmRm(), e.op("i32.shr_u", imm, e.i32(6)));
  const lane = e.and(32, e.op("i32.shr_u", imm, e.i32(4)), e.i32(3));
  const inserted = insertLane(e, 32, e.xmmReg(), lane, value);
  e.setXmmReg(e.op("v128.andnot", inserted, maskOfBits(e, "i32x4", imm)));
});
sse("PBLENDW xmm, xmm/m128, imm8", "66 0f3a0e /r ub", (e) => {
  const b = source(e);
  e.setXmmReg(e.op("v128.bitselect", b, e.xmmReg(), maskOfBits(e, "i16x8", e.imm(8))));
});
