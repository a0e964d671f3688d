// SPDX-License-Identifier: MIT
/**
 * SSE to SSE4.1 shuffles, insertions and extractions. SDM Vol. 2. An immediate is a run-time value to the
 * interpreter's handlers: it becomes a vector of byte indexes for i8x16.swizzle, where indexes >= 16 give zero. Where it
 * is known, there is one shuffle.
 * @module
 */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { integerOp, SHAPE } from "./integer_ops.ts";
import { atMost, binary, bytes, iota, source, sse, unary, zero } from "./sse_patterns.ts";

const LOW_THEN_OTHER = [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31];
/** Byte numbers of lanes of `width` bytes. */
function bytesOfLanes(width: number, lanes: readonly number[]): number[] {
  return lanes.flatMap((lane) => Array.from({ length: width }, (_, i) => lane * width + i));
}
/** Four numbers of two bits each. */
const quarters = (imm: number) => [0, 2, 4, 6].map((at) => (imm >> at) & 3);

/** Byte indexes of four 32-bit lanes, two bits of `imm` each. */
function dwordIndexes(e: Emit, imm: Value): Value {
  // imm times 64, 16, 4, 1, then two bits from bit 6.
  const moved = e.op("i32x4.mul", e.op("i32x4.splat", imm), e.v128(0x10_0000_0040n, 0x1_0000_0004n));
  const lanes = e.op("v128.and", e.op("i32x4.shr_u", moved, e.i32(6)), e.op("i32x4.splat", e.i32(3)));
  const first = e.op("i32x4.mul", lanes, e.op("i32x4.splat", e.i32(0x0404_0404)));
  return e.op("i32x4.add", first, e.op("i32x4.splat", e.i32(0x0302_0100)));
}
/** 32-bit lanes as `imm` says: two of `a`, then two of `b`. */
export function shuffledDwords(e: Emit, a: Value, b: Value, imm: Value): Value {
  const known = e.known(imm);
  if (known !== undefined) {
    return e.shuffle(bytesOfLanes(4, quarters(known).map((n, i) => i < 2 ? n : n + 4)), a, b);
  }
  const indexes = dwordIndexes(e, imm), pick = (v: Value) => e.op("i8x16.swizzle", v, indexes);
  return a === b ? pick(a) : e.shuffle(LOW_THEN_OTHER, pick(a), pick(b));
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
  unary((e, b) => shuffledDwords(e, b, b, e.imm(8))),
);
sse(
  "PSHUFLW xmm, xmm/m128, imm8",
  "f2 0f70 /r ub",
  unary((e, b) => {
    const known = e.known(e.imm(8));
    if (known !== undefined) return e.shuffle(bytesOfLanes(2, [...quarters(known), 4, 5, 6, 7]), b, b);
    return e.shuffle(LOW_THEN_OTHER, e.op("i8x16.swizzle", b, wordIndexes(e, e.imm(8))), b);
  }),
);
sse(
  "PSHUFHW xmm, xmm/m128, imm8",
  "f3 0f70 /r ub",
  unary((e, b) => {
    const known = e.known(e.imm(8));
    if (known !== undefined) {
      return e.shuffle(bytesOfLanes(2, [0, 1, 2, 3, ...quarters(known).map((n) => n + 4)]), b, b);
    }
    const indexes = e.op("i8x16.add", wordIndexes(e, e.imm(8)), e.op("i8x16.splat", e.i32(8)));
    return e.shuffle(LOW_THEN_OTHER, b, e.op("i8x16.swizzle", b, indexes));
  }),
);
sse(
  "SHUFPS xmm, xmm/m128, imm8",
  "np 0fc6 /r ub",
  binary((e, a, b) => shuffledDwords(e, a, b, e.imm(8))),
);
sse(
  "SHUFPD xmm, xmm/m128, imm8",
  "66 0fc6 /r ub",
  binary((e, a, b) => {
    const imm = e.imm(8), known = e.known(imm);
    if (known !== undefined) {
      const numbers = known >> (2 * e.half);
      return e.shuffle(bytesOfLanes(8, [numbers & 1, 2 + ((numbers >> 1) & 1)]), a, b);
    }
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
  const known = e.known(n);
  if (known !== undefined) {
    const [low, high] = known < 16 ? [b, a] : known < 32 ? [a, zero(e)] : [zero(e), zero(e)];
    return e.shuffle([...Array(16).keys()].map((i) => i + (known & 15)), low, high);
  }
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
  const shape = SHAPE[w], known = e.known(lane);
  if (known !== undefined) return e.lane(`${shape}.replace_lane`, known, v, value);
  const number = w === 64 ? e.zeroExtend(32, 64, lane) : lane;
  const mask = e.op(`${shape}.eq`, e.op(`${shape}.splat`, number), bytes(e, LANE_NUMBERS[w]));
  return e.op("v128.bitselect", e.op(`${shape}.splat`, value), v, mask);
}
/** Lane `lane` (below the number of lanes) of `v`, zero-extended. */
export function extractLane(e: Emit, w: Width, v: Value, lane: Value): Value {
  const known = e.known(lane);
  if (known !== undefined) {
    return w >= 32
      ? e.lane(`${SHAPE[w as 32 | 64]}.extract_lane`, known, v)
      : e.lane(`${SHAPE[w as 8 | 16]}.extract_lane_u`, known, v);
  }
  if (w === 64) {
    const at = (i: number) => e.lane("i64x2.extract_lane", i, v);
    return e.select(lane, at(1), at(0));
  }
  const first = e.mul(32, lane, e.i32(w / 8));
  const moved = e.op("i8x16.swizzle", v, e.op("i8x16.add", iota(e), e.op("i8x16.splat", first)));
  return w === 32 ? e.lane("i32x4.extract_lane", 0, moved) : e.lane(`${SHAPE[w]}.extract_lane_u`, 0, moved);
}
/** What `mask` leaves of imm8 from bit `from` on, still known where that is. */
function field(e: Emit, from: number, mask: number): Value {
  const imm = e.imm(8), known = e.known(imm);
  if (known !== undefined) return e.i32((known >> from) & mask);
  return e.and(32, from === 0 ? imm : e.op("i32.shr_u", imm, e.i32(from)), e.i32(mask));
}
/** imm8 as a lane number. */
export const laneOf = (e: Emit, w: Width, vectorBits = 128): Value => field(e, 0, vectorBits / w - 1);

const TO_XMM = { reg: "xmm", rm: "gpr" } as const;
const insert = (e: Emit, w: Width) => {
  const value = e.rm(w);
  e.setXmmReg(insertLane(e, w, e.xmmReg(), laneOf(e, w), value));
};
sse("PINSRW xmm, r32/m16, imm8", "66 0fc4 /r ub", insert, TO_XMM, 16);
sse("PINSRB xmm, r32/m8, imm8", "66 0f3a20 /r ub", insert, TO_XMM, 8);
sse("PINSRD/Q xmm, r/m, imm8", "66 0f3a22 /r ub", insert, { ...TO_XMM, quadword: true }, "y");
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
sse("PEXTRD/Q r/m, xmm, imm8", "66 0f3a16 /r ub", extract, { ...TO_XMM, quadword: true }, "y");
sse("EXTRACTPS r/m32, xmm, imm8", "66 0f3a17 /r ub", extract, TO_XMM, 32);

/** All ones in lane i where bit i of `imm` is set. */
function maskOfBits(e: Emit, shape: "i16x8" | "i32x4", imm: Value): Value {
  const known = e.known(imm), width = shape === "i16x8" ? 2 : 4;
  if (known !== undefined) {
    return bytes(
      e,
      Array.from({ length: 16 }, (_, i) => (known >> Math.floor(i / width) & 1) !== 0 ? 0xff : 0),
    );
  }
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
  const value = e.form.isMemory ? e.load(32, e.address()) : extractLane(e, 32, e.xmmRm(), field(e, 6, 3));
  const lane = field(e, 4, 3);
  const inserted = insertLane(e, 32, e.xmmReg(), lane, value);
  e.setXmmReg(e.op("v128.andnot", inserted, maskOfBits(e, "i32x4", imm)));
});
sse("PBLENDW xmm, xmm/m128, imm8", "66 0f3a0e /r ub", (e) => {
  const b = source(e);
  e.setXmmReg(e.op("v128.bitselect", b, e.xmmReg(), maskOfBits(e, "i16x8", e.imm(8))));
});
