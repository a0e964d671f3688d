// SPDX-License-Identifier: MIT
/**
 * Sine and cosine of one number as fractions of 128 bits, in WebAssembly: Taylor series by Horner's rule after the
 * reduction that processors do with 66 bits of pi. Exact to TRIG_ERROR of the last place; whoever rounds must see that
 * this does not matter, and leave it to cpu/fpu/transcendental.ts if it does. SDM Vol. 1 §8.3.8, §8.3.10.
 * Not done: operands below 2^-30 and from 2^31 on, results as small as that.
 * @module
 */
import type { Val, WasmBuilder } from "../../emit/builder.ts";
import type { Value } from "../../emit/emit.ts";
import { BIAS, EXP_MAX } from "../../fpu/float80.ts";
import { S, X87_SERIES } from "../../state/state.ts";
import { load, minus, store, times, type Wide, wide, writeWide } from "./fractions.ts";

/** Where the magnitudes are put: sine and cosine of the reduced operand, low half first. */
export const TRIG_SINE = S.arg, TRIG_COSINE = S.arg + 16;
/** What `emitSeries` leaves. */
export const SERIES_RESULT = S.arg + 32;
/** Bits of the answer besides bit 0: the quadrant modulo 4, whether the reduced operand is negative. */
export const TRIG_QUADRANT = 1, TRIG_NEGATIVE = 3;
/**
 * How far from the truth the magnitudes may be. A product loses less than 3, a coefficient 1; a step of Horner's rule keeps
 * at most 0.62 of the error before it, so the sums are right to 11, and the results to 14.
 */
export const TRIG_ERROR = 64;

/** Terms behind the first: the next one would be below 2^-144 for pi/4. */
const TERMS = 16;
/** What fits in a table of `emitSeries`, which ends where an address is a multiple of its bytes. */
export const SERIES_TERMS = 16;
const TABLE_BYTES = 16 * SERIES_TERMS;
const SINE_TABLE = X87_SERIES, COSINE_TABLE = X87_SERIES + TABLE_BYTES;

/** Pi as processors know it, 64 fraction bits. */
const PI_INTEGER = 3n, PI_FRACTION = 0x243f_6a88_85a3_08d3n;
const LEAST_EXPONENT = -30, EXPONENTS = 61;

/** Writes the coefficients, the last one first: 1 / (2n + 1)! and 1 / (2n)!. */
export function fillSeries(view: DataView): void {
  let factorial = 1n;
  for (let n = 1; n <= TERMS; n++) {
    for (const [table, k] of [[COSINE_TABLE, 2 * n], [SINE_TABLE, 2 * n + 1]] as const) {
      factorial = factorial * BigInt(k);
      writeWide(view, table + (TERMS - n) * 16, (1n << 128n) / factorial);
    }
  }
}

/**
 * Body of a function: where to begin in a table, and a square z (high, low); z (c1 - z (c2 - …)) is put at SERIES_RESULT. c1
 * is the table's last entry.
 */
export function emitSeries(b: WasmBuilder): void {
  const table = b.parameter(0, "i32");
  const z = { high: b.parameter(1, "i64"), low: b.parameter(2, "i64") };
  const at = b.variable(table), start = load(b, table);
  const high = b.variable(start.high), low = b.variable(start.low);
  const sum = () => ({ high: b.get(high), low: b.get(low) });
  b.doWhile(() => {
    const next = b.add(32, b.get(at), b.i32(16));
    const { high: h, low: l } = minus(b, load(b, next), times(b, z, sum()));
    b.set(high, h);
    b.set(low, l);
    b.set(at, next);
    return b.and(32, b.add(32, next, b.i32(16)), b.i32(TABLE_BYTES - 1));
  });
  store(b, SERIES_RESULT, times(b, z, sum()));
  b.return(b.i32(0));
}

/** Body of a function of a normal number's significand and sign with exponent; 0: not done here. `series`: see above. */
export function emitSineAndCosine(b: WasmBuilder, series: number): void {
  const significand = b.parameter(0, "i64"), se = b.parameter(1, "i32");
  const need = (condition: Value<"i32">) => b.if(b.eqz(32, condition), () => b.return(b.i32(0)));
  const exponent = b.sub(32, b.and(32, se, b.i32(EXP_MAX)), b.i32(BIAS));
  need(b.ltU(32, b.sub(32, exponent, b.i32(LEAST_EXPONENT)), b.i32(EXPONENTS)));
  const high = b.variable(b.i64(0)), low = b.variable(b.i64(0));
  const quadrant = b.variable(b.i32(0)), negative = b.variable(b.i32(0));
  const exponent64 = b.op("i64.extend_i32_s", exponent);
  /** The significand moved left by 1 to 63. */
  const moved = (by: Val): Wide => ({
    low: b.op("i64.shl", significand, by),
    high: b.op("i64.shr_u", significand, b.sub(64, b.i64(64), by)),
  });
  b.if(b.ltS(32, exponent, b.i32(-1)), () => {
    const r = moved(b.add(64, exponent64, b.i64(65)));
    b.set(high, r.high);
    b.set(low, r.low);
  }, () => {
    // In units of 2^-65, of which pi/2 has PI.
    const x = moved(b.add(64, exponent64, b.i64(2)));
    const scale = b.op("i64.shl", b.add(64, exponent64, b.i64(1023 - 63)), b.i64(52));
    const turns = b.op(
      "f64.mul",
      b.op("f64.reinterpret_i64", scale),
      b.op("f64.reinterpret_i64", twoByPi(b)),
    );
    const nearest = b.op("f64.nearest", b.op("f64.mul", b.op("f64.convert_i64_u", significand), turns));
    const k = b.op("i64.trunc_sat_f64_u", nearest);
    const lower = b.op("i64.mul", k, b.i64(PI_FRACTION & 0xffff_ffffn));
    const upper = b.op("i64.mul", k, b.i64(PI_FRACTION >> 32n));
    const product = b.add(64, lower, b.op("i64.shl", upper, b.i64(32)));
    const carried = b.add(64, b.op("i64.shr_u", upper, b.i64(32)), wide(b, b.ltU(64, product, lower)));
    const whole = b.add(64, carried, b.op("i64.mul", k, b.i64(PI_INTEGER)));
    const difference = minus(b, x, { high: whole, low: product });
    const isNegative = b.ltS(64, difference.high, b.i64(0));
    const negated = minus(b, { high: b.i64(0), low: b.i64(0) }, difference);
    const r = {
      high: b.select(isNegative, negated.high, difference.high),
      low: b.select(isNegative, negated.low, difference.low),
    };
    // The estimate of k is right when this is nearer than half of pi/2.
    const one = b.i64(1), top = b.i64(63);
    const twiceHigh = b.or(64, b.op("i64.shl", r.high, one), b.op("i64.shr_u", r.low, top));
    const twiceLow = b.op("i64.shl", r.low, one);
    const isBelow = b.and(
      32,
      b.eq(64, twiceHigh, b.i64(PI_INTEGER)),
      b.ltU(64, twiceLow, b.i64(PI_FRACTION)),
    );
    need(b.or(32, b.ltU(64, twiceHigh, b.i64(PI_INTEGER)), isBelow));
    b.set(high, b.or(64, b.op("i64.shl", r.high, top), b.op("i64.shr_u", r.low, one)));
    b.set(low, b.op("i64.shl", r.low, top));
    b.set(quadrant, b.and(32, b.op("i32.wrap_i64", k), b.i32(3)));
    b.set(negative, isNegative);
  });
  const r = { high: b.get(high), low: b.get(low) };
  need(b.op("i64.ne", b.op("i64.shr_u", r.high, b.i64(64 + LEAST_EXPONENT)), b.i64(0)));
  const z = times(b, r, r);
  b.call(series, [b.i32(SINE_TABLE), z.high, z.low], "i32");
  store(b, TRIG_SINE, minus(b, r, times(b, r, load(b, b.i32(SERIES_RESULT)))));
  b.call(series, [b.i32(COSINE_TABLE), z.high, z.low], "i32");
  store(b, TRIG_COSINE, minus(b, { high: b.i64(0), low: b.i64(0) }, load(b, b.i32(SERIES_RESULT))));
  const bits = b.or(
    32,
    b.shl(32, b.get(quadrant), b.i32(TRIG_QUADRANT)),
    b.shl(32, b.get(negative), b.i32(TRIG_NEGATIVE)),
  );
  b.return(b.or(32, bits, b.i32(1)));
}

/** 2 / pi as a double. */
function twoByPi(b: WasmBuilder): Val {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, 2 / Math.PI);
  return b.i64(view.getBigUint64(0));
}
