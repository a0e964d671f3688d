// SPDX-License-Identifier: MIT
/**
 * Numbers of 128 bits, mostly fractions, for what the x87 functions (./x87_function.ts) compute with more than the 64 bits
 * of a significand.
 * @module
 */
import type { Val, WasmBuilder } from "../../emit/builder.ts";
import type { Value } from "../../emit/emit.ts";
import { highUnsigned } from "../../emit/flags.ts";

type Long = Value<"i64">;

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
