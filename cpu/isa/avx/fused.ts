// SPDX-License-Identifier: MIT
/**
 * x × y + z with one rounding, in WebAssembly. Its relaxed operation is that where the host has one; else the error of each
 * step is computed, too, and the last sum but one is rounded to odd, so that rounding once more does no harm: S. Boldo,
 * G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd" (2008).
 * Not for denormals, nor where a product is near the ends of the range: see `isSafe`.
 * @module
 */
import type { Emit, FloatType, Value } from "../../emit/emit.ts";
import { HOST_FUSES } from "../../emit/vector/host_fuses.ts";

type Builder = Pick<Emit, "op" | "lane" | "shuffle" | "i32" | "i64" | "v128">;

const op = (b: Builder, name: "add" | "sub" | "mul", x: Value, y: Value) => b.op(`f64x2.${name}`, x, y);
/** The sum, and its error (Knuth). */
function twoSum(b: Builder, x: Value, y: Value): [Value, Value] {
  const sum = op(b, "add", x, y), taken = op(b, "sub", sum, x);
  const error = op(b, "add", op(b, "sub", x, op(b, "sub", sum, taken)), op(b, "sub", y, taken));
  return [sum, error];
}
/** The product, and its error (Dekker, Veltkamp). */
function twoProduct(b: Builder, x: Value, y: Value): [Value, Value] {
  const factor = b.op("i64x2.splat", b.i64(0x41a0_0000_0200_0000n)); // 2^27 + 1
  const split = (v: Value): [Value, Value] => {
    const scaled = op(b, "mul", v, factor), high = op(b, "sub", scaled, op(b, "sub", scaled, v));
    return [high, op(b, "sub", v, high)];
  };
  const product = op(b, "mul", x, y), [xh, xl] = split(x), [yh, yl] = split(y);
  const first = op(b, "sub", op(b, "mul", xh, yh), product);
  const middle = op(b, "add", op(b, "add", first, op(b, "mul", xh, yl)), op(b, "mul", xl, yh));
  return [product, op(b, "add", middle, op(b, "mul", xl, yl))];
}
/** x + y: what is inexact becomes the odd one of its neighbours. */
function roundedToOdd(b: Builder, x: Value, y: Value): Value {
  const [sum, error] = twoSum(b, x, y), zero = b.v128(0n, 0n), one = b.op("i64x2.splat", b.i64(1));
  const even = b.op("i64x2.eq", b.op("v128.and", sum, one), zero);
  const inexact = b.op("v128.and", b.op("f64x2.ne", error, zero), even);
  const step = b.op("v128.or", b.op("i64x2.shr_s", b.op("v128.xor", sum, error), b.i32(63)), one);
  return b.op("i64x2.add", sum, b.op("v128.and", step, inexact));
}
function fusedDouble(b: Builder, x: Value, y: Value, z: Value): Value {
  const [product, below] = twoProduct(b, x, y), [high, low] = twoSum(b, z, below);
  const [sum, rest] = twoSum(b, product, high);
  return op(b, "add", sum, roundedToOdd(b, low, rest));
}
/** Products of binary32 are exact in binary64, and it has the two bits to spare that rounding to odd wants. */
function fusedSingle(b: Builder, x: Value, y: Value, z: Value): Value {
  const half = (upper: boolean) => {
    const wide = (v: Value) => {
      const lanes = upper ? [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15] : undefined;
      return b.op("f64x2.promote_low_f32x4", lanes === undefined ? v : b.shuffle(lanes, v, v));
    };
    return b.op("f32x4.demote_f64x2_zero", roundedToOdd(b, op(b, "mul", wide(x), wide(y)), wide(z)));
  };
  return b.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23], half(false), half(true));
}

/** Functions of the core module, for hosts that do not fuse. */
export const fusedFunctions = { fma_f32: fusedSingle, fma_f64: fusedDouble } as const;

/** x × y + z, rounded once. */
export function fused(e: Emit, type: FloatType, [x, y, z]: readonly [Value, Value, Value]): Value {
  if (!HOST_FUSES) return e.callVector(`fma_${type}`, x, y, z);
  return e.op(type === "f32" ? "f32x4.relaxed_madd" : "f64x2.relaxed_madd", x, y, z);
}
/** The numeric way is right for whatever is ordinary. */
export function isAlwaysSafe(type: FloatType): boolean {
  return HOST_FUSES || type === "f32";
}
/** The numeric way is right for these products: 1, or all lanes. It computes their errors, and parts of the factors. */
export function isSafe(e: Emit, type: FloatType, x: Value, y: Value): Value {
  if (isAlwaysSafe(type)) return e.i32(1);
  const limit = (bits: bigint) => e.op("i64x2.splat", e.i64(bits));
  const magnitude = (v: Value) => e.op("f64x2.abs", v);
  const small = (v: Value) => e.op("f64x2.lt", magnitude(v), limit(0x7d00_0000_0000_0000n));
  const product = magnitude(e.op("f64x2.mul", x, y));
  const between = e.op("v128.and", e.op("f64x2.gt", product, limit(0x0800_0000_0000_0000n)), small(product));
  return e.op("i64x2.all_true", e.op("v128.and", between, e.op("v128.and", small(x), small(y))));
}
