// SPDX-License-Identifier: MIT
/**
 * 2^x - 1 with 128 bits, in WebAssembly: a table for the first four bits of |x|, and Horner's rule for the
 * rest, relative to it where it is all of x. Exact to EXPONENTIAL_ERROR of the last place; whoever rounds
 * must see that this does not matter, and leave it to cpu/fpu/transcendental.ts if it does. SDM Vol. 2A,
 * F2XM1.
 * @module
 */
import { assert } from "../../base/assert.ts";
import type { WasmBuilder } from "../../emit/builder.ts";
import type { Value } from "../../emit/emit.ts";
import { highUnsigned } from "../../emit/flags.ts";
import { BIAS, EXP_MAX } from "../../fpu/float80.ts";
import { expm1, LN2, WIDE } from "../../fpu/transcendental.ts";
import { S, X87_EXPONENTIALS } from "../../state/state.ts";
import {
  load,
  minus,
  plus,
  shiftedLeft,
  shiftedRight,
  store,
  times,
  timesShort,
  type Wide,
  writeWide,
} from "./fractions.ts";

/** Where the magnitude is put. */
export const EXPONENTIAL = S.arg;
/**
 * How far from the truth it may be. Each of the polynomial's 17 steps adds a product's error, less than 3,
 * and a coefficient's, less than 1, to one that has not grown: less than 68; what is left out adds less than
 * 1, and what of x is below 2^-128 less than 2. A significand times that is right to 72. With the table's
 * value, it was multiplied by less than 1/16, and two products are added.
 */
export const EXPONENTIAL_ERROR = 96;

/**
 * A polynomial whose coefficients are in a table, the last one first; those below 2^-64 have 64 bits there.
 */
export interface Polynomial {
  readonly at: number;
  /** How many there are of less than 2^-64, and of others. */
  readonly narrow: number;
  readonly wide: number;
}
/** Functions made by `emitPolynomial`. */
export interface Polynomials {
  readonly rising: number;
  readonly alternating: number;
}
/** Where they put their value. */
export const POLYNOMIAL_VALUE = S.arg + 32;

/** Where a wide coefficient is the first one, and where the table ends. */
function placesOf({ at, narrow, wide }: Polynomial): { middle: number; end: number } {
  const middle = at + narrow * 8;
  return { middle, end: middle + wide * 16 };
}
/** What comes behind the coefficients. */
export function behind(polynomial: Polynomial): number {
  return placesOf(polynomial).end;
}
/** Writes coefficients of 128 bits. */
export function fillPolynomial(
  view: DataView,
  polynomial: Polynomial,
  coefficients: readonly bigint[],
): void {
  const { middle, end } = placesOf(polynomial);
  coefficients.forEach((coefficient, n) => {
    if (n < polynomial.wide) return writeWide(view, end - (n + 1) * 16, coefficient);
    assert(coefficient < 1n << 63n, "a narrow coefficient, and what is added to it, has 64 bits");
    view.setBigUint64(middle - (n + 1 - polynomial.wide) * 8, coefficient, true);
  });
}

/**
 * Body of a function: where coefficients begin, where wide ones do and where they end, and a fraction x
 * (high, low); c0 ± x (c1 ± x (c2 ± …)) is put at POLYNOMIAL_VALUE.
 */
export function emitPolynomial(b: WasmBuilder, isAlternating: boolean): void {
  const start = b.parameter(0, "i32"), wide = b.parameter(1, "i32"), end = b.parameter(2, "i32");
  const x = { high: b.parameter(3, "i64"), low: b.parameter(4, "i64") };
  const at = b.variable(start), low = b.variable(b.i64(0)), high = b.variable(b.i64(0));
  b.doWhile(() => {
    const c = b.loadRaw("i64.load", b.get(at)), product = highUnsigned(b, x.high, b.get(low));
    b.set(low, isAlternating ? b.sub(64, c, product) : b.add(64, c, product));
    b.set(at, b.add(32, b.get(at), b.i32(8)));
    return b.ltU(32, b.get(at), wide);
  });
  b.doWhile(() => {
    const c = load(b, b.get(at)), product = times(b, x, { high: b.get(high), low: b.get(low) });
    const sum = isAlternating ? minus(b, c, product) : plus(b, c, product);
    b.set(low, sum.low);
    b.set(high, sum.high);
    b.set(at, b.add(32, b.get(at), b.i32(16)));
    return b.ltU(32, b.get(at), end);
  });
  store(b, POLYNOMIAL_VALUE, { high: b.get(high), low: b.get(low) });
  b.return(b.i32(0));
}
/** The value of a polynomial that alternates if the condition says so. */
export function evaluate(
  b: WasmBuilder,
  { rising, alternating }: Polynomials,
  polynomial: Polynomial,
  alternates: Value<"i32">,
  x: Wide,
): Wide {
  const { middle, end } = placesOf(polynomial);
  const args = [b.i32(polynomial.at), b.i32(middle), b.i32(end), x.high, x.low];
  b.if(alternates, () => b.call(alternating, args, "i32"), () => b.call(rising, args, "i32"));
  return load(b, b.i32(POLYNOMIAL_VALUE));
}

/** Fraction bits of what tables are computed from, and how many too many. */
export const GOOD_BITS = 160n, GUARD = GOOD_BITS - 128n;
/** What the table is for: |x| in steps of 1/16, and below 1. */
const BITS = 4n, STEPS = 1 << Number(BITS);
/** (2^x - 1) / x by 16 x: ln(2)^(n + 1) / (n + 1)! / 16^n. The next one is below 2^-129. */
const SERIES: Polynomial = { at: X87_EXPONENTIALS, narrow: 7, wide: 10 };
/** |2^x - 1| for x = n/16, then for x = -n/16. */
const TABLE = behind(SERIES);

/** Writes the tables. */
export function fillExponentials(view: DataView): void {
  const ONE = 1n << GOOD_BITS, ln2 = LN2 >> BigInt(WIDE) - GOOD_BITS;
  let product = ONE;
  const coefficients = Array.from({ length: SERIES.narrow + SERIES.wide }, (_, n) => {
    product = ((product * ln2) >> GOOD_BITS) / BigInt(n + 1);
    return product >> BITS * BigInt(n) + GUARD;
  });
  fillPolynomial(view, SERIES, coefficients);
  const step = ONE + expm1(ln2 >> BITS, Number(GOOD_BITS));
  let power = ONE;
  writeWide(view, TABLE, 0n);
  writeWide(view, TABLE + STEPS * 16, 0n);
  for (let n = 1; n < STEPS; n++) {
    power = (power * step) >> GOOD_BITS;
    writeWide(view, TABLE + n * 16, power - ONE >> GUARD);
    writeWide(view, TABLE + (2 * STEPS - n) * 16, ONE - (power >> 1n) >> GUARD); // -(16 - n)
  }
}

/**
 * Body of a function of the significand and the sign with exponent of a normal number between -1 and 1: the
 * magnitude is put at EXPONENTIAL; the biased exponent of its top bit.
 */
export function emitExponential(b: WasmBuilder, polynomials: Polynomials): void {
  const significand = b.parameter(0, "i64"), se = b.parameter(1, "i32");
  const exponent = b.and(32, se, b.i32(EXP_MAX)), negative = b.bit(se, 15);
  const x = fractionOf(b, significand, exponent);
  const value = evaluate(b, polynomials, SERIES, negative, shiftedLeft(b, x, BITS));
  const step = b.op("i64.shr_u", x.high, b.i64(64n - BITS));
  b.if(b.eqz(64, step), () => {
    store(b, EXPONENTIAL, timesShort(b, significand, value));
    b.return(exponent);
  });
  const rest = { high: b.and(64, x.high, b.i64((1n << 64n - BITS) - 1n)), low: x.low };
  const grown = times(b, rest, value);
  const entry = b.add(32, b.op("i32.wrap_i64", step), b.shl(32, negative, b.i32(Number(BITS))));
  const known = load(b, b.shl(32, entry, b.i32(4)), TABLE);
  const sum = plus(b, known, grown), product = times(b, known, grown);
  const above = plus(b, sum, product), below = minus(b, sum, product);
  store(b, EXPONENTIAL, {
    high: b.select(negative, below.high, above.high),
    low: b.select(negative, below.low, above.low),
  });
  b.return(b.i32(BIAS - 1));
}
/** A number below 1 as a fraction; not 0, if nothing is left of it. */
export function fractionOf(b: WasmBuilder, significand: Value<"i64">, exponent: Value<"i32">): Wide {
  const far = b.sub(32, b.i32(BIAS - 1), exponent);
  const by = b.zeroExtend(32, 64, b.select(b.ltU(32, far, b.i32(127)), far, b.i32(127)));
  return shiftedRight(b, { high: significand, low: b.i64(0) }, by as Value<"i64">);
}
