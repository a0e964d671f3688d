// SPDX-License-Identifier: MIT
/**
 * Numbers of 128 bits, mostly fractions, for what the x87 functions (./x87_function.ts) compute with more than the 64 bits
 * of a significand.
 * @module
 */
import type { Val, WasmBuilder } from "../../emit/builder.ts";
import type { Value } from "../../emit/emit.ts";
import { highUnsigned } from "../../emit/flags.ts";
import { S } from "../../state/state.ts";

type Long = Value<"i64">;

/** Where a quotient is put, and by how much of its last place it may be wrong. */
export const QUOTIENT = S.arg + 48, QUOTIENT_ERROR = 32;
const TWO_TO_126 = 0x47d0_0000_0000_0000n; // as a double

/** A fraction, or another number of 128 bits. */
export interface Wide {
  readonly high: Long;
  readonly low: Long;
}

/** A condition as a number. */
export function wide(b: WasmBuilder, bit: Val): Val {
  return b.zeroExtend(32, 64, bit);
}
/** Upper half of a product, less by 3 at most. */
export function times(b: WasmBuilder, x: Wide, y: Wide): Wide {
  const low = b.op("i64.mul", x.high, y.high);
  const first = b.add(64, low, highUnsigned(b, x.high, y.low));
  const second = b.add(64, first, highUnsigned(b, x.low, y.high));
  const carries = b.add(64, wide(b, b.ltU(64, first, low)), wide(b, b.ltU(64, second, first)));
  return { high: b.add(64, highUnsigned(b, x.high, y.high), carries), low: second };
}
export function minus(b: WasmBuilder, x: Wide, y: Wide): Wide {
  const borrow = wide(b, b.ltU(64, x.low, y.low));
  return { high: b.sub(64, b.sub(64, x.high, y.high), borrow), low: b.sub(64, x.low, y.low) };
}
export function plus(b: WasmBuilder, x: Wide, y: Wide): Wide {
  const low = b.add(64, x.low, y.low);
  return { high: b.add(64, b.add(64, x.high, y.high), wide(b, b.ltU(64, low, x.low))), low };
}
export function load(b: WasmBuilder, at: Value<"i32">, offset = 0): Wide {
  return { low: b.loadRaw("i64.load", at, offset), high: b.loadRaw("i64.load", at, offset + 8) };
}
export function store(b: WasmBuilder, at: number, { high, low }: Wide): void {
  b.storeRaw("i64.store", b.i32(at), low);
  b.storeRaw("i64.store", b.i32(at), high, 8);
}
/** Puts a constant where `load` finds it. */
export function writeWide(view: DataView, at: number, value: bigint): void {
  view.setBigUint64(at, BigInt.asUintN(64, value), true);
  view.setBigUint64(at + 8, value >> 64n, true);
}
/** The upper 128 bits of `x` moved left until its top bit is set, which it is not 0; by how much. */
export function normalized(b: WasmBuilder, x: Wide): { value: Wide; zeros: Long } {
  const isLow = b.eqz(64, x.high), one = b.i64(1);
  const high = b.select(isLow, x.low, x.high), low = b.select(isLow, b.i64(0), x.low);
  const zeros = b.op("i64.clz", high);
  const below = b.op("i64.shr_u", b.op("i64.shr_u", low, one), b.sub(64, b.i64(63), zeros));
  return {
    value: { high: b.or(64, b.op("i64.shl", high, zeros), below), low: b.op("i64.shl", low, zeros) },
    zeros: b.add(64, zeros, b.select(isLow, b.i64(64), b.i64(0))),
  };
}
/** Upper half of a product of a number of 64 bits, that much above, less by 1 at most. */
export function timesShort(b: WasmBuilder, x: Long, { high, low }: Wide): Wide {
  const product = b.op("i64.mul", x, high), sum = b.add(64, product, highUnsigned(b, x, low));
  return { high: b.add(64, highUnsigned(b, x, high), wide(b, b.ltU(64, sum, product))), low: sum };
}
/** `x` moved left by 1 to 63. */
export function shiftedLeft(b: WasmBuilder, { high, low }: Wide, by: bigint): Wide {
  const above = b.op("i64.shr_u", low, b.i64(64n - by));
  return { high: b.or(64, b.op("i64.shl", high, b.i64(by)), above), low: b.op("i64.shl", low, b.i64(by)) };
}
/** `x` moved right by 0 to 127. */
export function shiftedRight(b: WasmBuilder, x: Wide, by: Long): Wide {
  const one = b.i64(1), isFar = b.op("i64.ge_u", by, b.i64(64));
  const high = b.op("i64.shr_u", x.high, by);
  const above = b.op("i64.shl", b.op("i64.shl", x.high, one), b.sub(64, b.i64(63), by));
  const low = b.or(64, b.op("i64.shr_u", x.low, by), above);
  return { high: b.select(isFar, b.i64(0), high), low: b.select(isFar, high, low) };
}

/**
 * Body of a function of two numbers, high and low halves each, whose top bits are set: half of their quotient, a fraction,
 * is put at QUOTIENT, wrong by QUOTIENT_ERROR at most. The quotient must be below 2 by 2^-120.
 */
export function emitQuotient(b: WasmBuilder): void {
  const dividend = { high: b.parameter(0, "i64"), low: b.parameter(1, "i64") };
  const divisor = { high: b.parameter(2, "i64"), low: b.parameter(3, "i64") };
  // A quarter of the reciprocal: a double's bits, and so much less that it is too small for certain.
  const estimate = b.op(
    "f64.div",
    b.op("f64.reinterpret_i64", b.i64(TWO_TO_126)),
    b.op("f64.convert_i64_u", divisor.high),
  );
  const first = b.sub(64, b.op("i64.trunc_sat_f64_u", estimate), b.i64(4096));
  let quarter: Wide = { high: first, low: b.i64(0) };
  // It is too small by 2^-52 to 2^-49, then by 2^-104 to 2^-98, then by what is lost here.
  for (let step = 0; step < 2; step++) {
    const lacks = minus(b, { high: b.i64(0), low: b.i64(0) }, shiftedLeft(b, times(b, divisor, quarter), 2n));
    quarter = plus(b, quarter, times(b, quarter, lacks));
  }
  store(b, QUOTIENT, shiftedLeft(b, times(b, dividend, quarter), 1n));
  b.return(b.i32(0));
}
