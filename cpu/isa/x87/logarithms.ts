// SPDX-License-Identifier: MIT
/**
 * Logarithms to base 2 with 128 bits, in WebAssembly. 2^e × w, w from 1 to 2, is 2^e / c × (1 + r), with c
 * near to 1 / w, and -log2(c) from a table by the first six bits of w; log2(1 + r) is r times a polynomial by
 * Horner's rule. Where the number is near to 1 and nothing comes from the table, the result is relative to r,
 * which is given exactly. Exact to LOGARITHM_ERROR of the last place; whoever rounds must see that this does
 * not matter, and leave it to cpu/fpu/transcendental.ts if it does. SDM Vol. 2A, FYL2X, FYL2XP1.
 * @module
 */
import type { WasmBuilder } from "../../emit/builder.ts";
import type { Value } from "../../emit/emit.ts";
import { highUnsigned } from "../../emit/flags.ts";
import { PER_LN2, WIDE } from "../../fpu/transcendental.ts";
import { S, X87_LOGARITHMS } from "../../state/state.ts";
import {
  behind,
  evaluate,
  fillPolynomial,
  GOOD_BITS,
  GUARD,
  type Polynomial,
  type Polynomials,
} from "./exponentials.ts";
import { load, minus, plus, store, times, timesShort, type Wide, wide, writeWide } from "./fractions.ts";

type Int = Value<"i32">;
type Long = Value<"i64">;

/** Where the magnitude is put. */
export const LOGARITHM = S.arg;
/** Bits of the answer: whether the logarithm is negative; above, the exponent of the magnitude's top bit. */
export const LOGARITHM_NEGATIVE = 0, LOGARITHM_EXPONENT = 1;
/**
 * How far from the truth it may be, and a significand times it. Each of the polynomial's 20 steps adds a
 * product's error, less than 3, and a coefficient's, less than 1, to one that has not grown: less than 80;
 * what is left out adds less than 1, and what of 64 r is below 2^-128 less than 2. A significand times that
 * is right to 84, and another times this to 86. Otherwise it was multiplied by less than 1/32 before it came
 * to the table's value.
 */
export const LOGARITHM_ERROR = 128;

/** Bits of w that the table is for, and by how many r is below 1. */
const BITS = 6n, STEPS = 1 << Number(BITS);
/** c is in units of 1/512, so that r is below 2^-6. */
const UNITS = 9n, ONE = 1n << UNITS;
/** Half of log2(1 - r) / -r by 64 r: 1 / (2 (n + 1) ln(2)) / 64^n. The next one is below 2^-130. */
const SERIES: Polynomial = { at: X87_LOGARITHMS, narrow: 10, wide: 11 };
/** -log2(c), but 0 for c = 1/2; then c, 16 bits each. */
const TABLE = behind(SERIES), FACTORS = TABLE + STEPS * 16;

/** ln(x / y), which is small. */
function logarithm(x: bigint, y: bigint): bigint {
  const n = (x - y) ** 2n, d = (x + y) ** 2n;
  let power = (x - y << GOOD_BITS + 1n) / (x + y), sum = power;
  for (let k = 3n; power !== 0n; k += 2n) {
    power = power * n / d;
    sum += power / k;
  }
  return sum;
}
/** Writes the tables. */
export function fillLogarithms(view: DataView): void {
  const perLn2 = PER_LN2 >> BigInt(WIDE) - GOOD_BITS;
  const coefficients = Array.from(
    { length: SERIES.narrow + SERIES.wide },
    (_, n) => (perLn2 >> GUARD + 1n + BITS * BigInt(n)) / BigInt(n + 1),
  );
  fillPolynomial(view, SERIES, coefficients);
  let c = ONE, sum = 0n;
  for (let n = 0; n < STEPS; n++) {
    const isLast = n === STEPS - 1, middle = BigInt(2 * (STEPS + n) + 1);
    const next = n === 0 ? ONE : isLast ? ONE / 2n : (2n * ONE * BigInt(2 * STEPS) + middle) / (2n * middle);
    sum += logarithm(c, next);
    c = next;
    writeWide(view, TABLE + n * 16, isLast ? 0n : sum * perLn2 >> GOOD_BITS + GUARD);
    view.setUint16(FACTORS + n * 2, Number(c), true);
  }
}

/**
 * Body of a function of e, w - 1 as a fraction (high, low), and a significand and its exponent, which are
 * what 2^e × w differs by from 1 where it is near to that. The magnitude is put at LOGARITHM. Not for 1.
 */
export function emitLogarithm(b: WasmBuilder, polynomials: Polynomials): void {
  const e = b.parameter(0, "i32"), x = { high: b.parameter(1, "i64"), low: b.parameter(2, "i64") };
  const difference = b.parameter(3, "i64"), differenceExponent = b.parameter(4, "i32");
  const done = (value: Wide, exponent: Int, negative: Int) => {
    store(b, LOGARITHM, value);
    b.return(b.or(32, b.shl(32, exponent, b.i32(LOGARITHM_EXPONENT)), negative));
  };
  const step = b.op("i32.wrap_i64", b.op("i64.shr_u", x.high, b.i64(64n - BITS)));
  const isFirst = b.eqz(32, step), isLast = b.eq(32, step, b.i32(STEPS - 1));
  const c = b.zeroExtend(32, 64, b.loadRaw("i32.load16_u", b.shl(32, step, b.i32(1)), FACTORS)) as Long;

  // 512 r = 512 (c w - 1), which is between -8 and 8.
  const low = b.mul(64, x.low, c), carried = highUnsigned(b, x.low, c);
  const high = b.add(64, b.mul(64, x.high, c), carried);
  const overflow = wide(b, b.ltU(64, high, carried));
  const top = b.sub(64, b.add(64, b.add(64, highUnsigned(b, x.high, c), overflow), c), b.i64(ONE));
  const isBelow = b.ltS(64, top, b.i64(0));
  const r = magnitude(b, isBelow, top, { high, low });
  // 64 r
  const argument = {
    high: b.or(64, b.op("i64.shl", r.top, b.i64(61)), b.op("i64.shr_u", r.high, b.i64(3))),
    low: b.or(64, b.op("i64.shl", r.high, b.i64(61)), b.op("i64.shr_u", r.low, b.i64(3))),
  };
  const half = evaluate(b, polynomials, SERIES, b.eqz(32, isBelow), argument);

  const known = b.add(32, e, isLast);
  b.if(b.and(32, b.eqz(32, known), b.or(32, isFirst, isLast)), () => {
    done(timesShort(b, difference, half), b.add(32, differenceExponent, b.i32(1)), isBelow);
  });
  const grown = times(b, argument, half), one = b.i64(1);
  // r times twice the value: a 32nd
  const five = b.i64(5), up = b.i64(59);
  const small = {
    high: b.op("i64.shr_u", grown.high, five),
    low: b.or(64, b.op("i64.shr_u", grown.low, five), b.op("i64.shl", grown.high, up)),
  };
  const entry = load(b, b.shl(32, step, b.i32(4)), TABLE);
  const sum = plus(b, entry, small), rest = minus(b, entry, small);
  const fraction = {
    high: b.select(isBelow, rest.high, sum.high),
    low: b.select(isBelow, rest.low, sum.low),
  };
  const carry = wide(b, isLess(b, sum, small)), borrow = wide(b, isLess(b, entry, small));
  const change = b.select(isBelow, b.sub(64, b.i64(0), borrow), carry);
  const whole = b.add(64, b.op("i64.extend_i32_s", known), change);
  const negative = b.ltS(64, whole, b.i64(0));
  const size = magnitude(b, negative, whole, fraction);
  b.if(b.eqz(64, size.top), () => done(size, b.i32(-1), negative));
  const zeros = b.op("i64.clz", size.top);
  const over = (v: Long) => b.op("i64.shr_u", b.op("i64.shr_u", v, one), b.sub(64, b.i64(63), zeros));
  done(
    {
      high: b.or(64, b.op("i64.shl", size.top, zeros), over(size.high)),
      low: b.or(64, b.op("i64.shl", size.high, zeros), over(size.low)),
    },
    b.sub(32, b.i32(63), b.op("i32.wrap_i64", zeros)),
    negative,
  );
}

/** A number of 192 bits, its `top` signed, or the negative of it. */
function magnitude(
  b: WasmBuilder,
  negative: Int,
  top: Long,
  { high, low }: Wide,
): Wide & { readonly top: Long } {
  const rest = minus(b, { high: b.i64(0), low: b.i64(0) }, { high, low });
  const borrow = wide(b, b.op("i64.ne", b.or(64, high, low), b.i64(0)));
  const negated = b.sub(64, b.sub(64, b.i64(0), top), borrow);
  return {
    top: b.select(negative, negated, top),
    high: b.select(negative, rest.high, high),
    low: b.select(negative, rest.low, low),
  };
}
function isLess(b: WasmBuilder, x: Wide, y: Wide): ReturnType<WasmBuilder["ltU"]> {
  const isEqual = b.eq(64, x.high, y.high);
  return b.or(32, b.ltU(64, x.high, y.high), b.and(32, isEqual, b.ltU(64, x.low, y.low)));
}
