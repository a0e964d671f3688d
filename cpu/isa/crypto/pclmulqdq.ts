// SPDX-License-Identifier: MIT
/**
 * PCLMULQDQ: a product of polynomials over GF(2). SDM Vol. 2. Integer multiplication of numbers with every fourth bit at
 * most gives sums of at most eight, whose lowest bits are the product's: the rest of each sum falls into the gaps.
 * @module
 */
import type { WasmBuilder } from "../../emit/builder.ts";
import type { Value } from "../../emit/emit.ts";
import { binary } from "../simd/sse_patterns.ts";
import { crypto } from "./crypto_patterns.ts";

const EVERY_FOURTH = 0x1111_1111_1111_1111n;

/** The product, of 63 bits, of two polynomials of 32 bits in i64. */
function multiply32(b: WasmBuilder, x: Value, y: Value): Value {
  const parts = (v: Value) =>
    [0n, 1n, 2n, 3n].map((i) => b.and(64, v, b.i64((EVERY_FOURTH << i) & 0xffff_ffffn)));
  const xs = parts(x), ys = parts(y);
  return [0, 1, 2, 3].map((k) => {
    const products = [0, 1, 2, 3].map((i) => b.op("i64.mul", xs[i] as Value, ys[(k - i) & 3] as Value));
    const sum = products.reduce((p, q) => b.xor(64, p, q));
    return b.and(64, sum, b.i64(BigInt.asUintN(64, EVERY_FOURTH << BigInt(k))));
  }).reduce((p, q) => b.or(64, p, q));
}

/** The product of the lower halves of two vectors. */
function carrylessProduct(b: WasmBuilder, x: Value, y: Value): Value {
  const low = (v: Value) => b.and(64, v, b.i64(0xffff_ffff)),
    high = (v: Value) => b.op("i64.shr_u", v, b.i64(32));
  const p = b.lane("i64x2.extract_lane", 0, x), q = b.lane("i64x2.extract_lane", 0, y);
  const lows = multiply32(b, low(p), low(q)), highs = multiply32(b, high(p), high(q));
  // Karatsuba
  const sums = multiply32(b, b.xor(64, low(p), high(p)), b.xor(64, low(q), high(q)));
  const middle = b.xor(64, sums, b.xor(64, lows, highs));
  const bottom = b.op("i64x2.splat", b.xor(64, lows, b.op("i64.shl", middle, b.i64(32))));
  return b.lane("i64x2.replace_lane", 1, bottom, b.xor(64, highs, high(middle)));
}

/** The function of the core module that the rows call. */
export const carrylessFunctions = { clmul: carrylessProduct } as const;

// imm8 bits 0 and 4 say which halves.
const operation = binary((e, a, b) => {
  const half = (v: Value, bit: number) =>
    e.op(
      "i64x2.splat",
      e.select(
        e.bit(e.imm(8), bit),
        e.lane("i64x2.extract_lane", 1, v),
        e.lane("i64x2.extract_lane", 0, v),
      ),
    );
  return e.callVector("clmul", half(a, 0), half(b, 4));
});
crypto("PCLMULQDQ xmm, xmm/m128, imm8", ["66", "0f3a", "44 /r ub"], operation, {
  needs: "pclmulqdq",
  wide: "vpclmulqdq",
  sources: 2,
});
