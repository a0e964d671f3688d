// SPDX-License-Identifier: MIT
/**
 * The arc tangent of a quotient as a fraction of 128 bits, in WebAssembly: that of the nearest n/16 from a table, and a Taylor
 * series by Horner's rule for what is left, then the quadrant. Wrong by ARC_TANGENT_ERROR of the last place at most; whoever
 * rounds must see that this does not matter, and leave it to cpu/fpu/transcendental.ts if it does. SDM Vol. 2A, FPATAN.
 * @module
 */
import type { Val, WasmBuilder } from "../../emit/builder.ts";
import type { Value } from "../../emit/emit.ts";
import { highUnsigned } from "../../emit/flags.ts";
import { BIAS, EXP_MAX } from "../../fpu/float80.ts";
import { S, X87_ARC_TANGENTS } from "../../state/state.ts";
import {
  load,
  minus,
  normalized,
  plus,
  QUOTIENT,
  shiftedRight,
  store,
  times,
  type Wide,
  writeWide,
} from "./fractions.ts";
import { SERIES_RESULT, SERIES_TERMS } from "./trigonometry.ts";

type Long = Value<"i64">;
type Int = Value<"i32">;

/** Where the fraction is put. */
export const ARC_TANGENT = S.arg;
/**
 * How far from the truth it may be: a quotient 32, the series 11, a product 3, and what is taken from the table 1. Where
 * the quotient is the tangent of a difference from n/16 it is shifted right by 3 at least.
 */
export const ARC_TANGENT_ERROR = 64;

/** Steps of the table for [0, 1]. */
const STEPS = 16;
/** Terms behind the first: the next one would be below 2^-144 for 1/32. */
const TERMS = 13;
/** 1/3, 1/5 and so on, the last one first and up to the end that `emitSeries` knows. */
const SERIES = X87_ARC_TANGENTS, FIRST = SERIES + (SERIES_TERMS - TERMS) * 16;
/** Arc tangents of n/16; pi and its half in units of 2^-126. */
const TABLE = SERIES + SERIES_TERMS * 16, PI = TABLE + (STEPS + 1) * 16, HALF_PI = PI + 16;
/** From this distance of the exponents on the cube does not count in what is rounded. */
const TINY = 57;

/** The arc tangent of `n / d`, which is small, with `bits` fraction bits. */
function arcTangent(n: bigint, d: bigint, bits: bigint): bigint {
  let power = (n << bits) / d, sum = power;
  for (let k = 3n; power !== 0n; k += 2n) {
    power = (power * n * n) / (d * d);
    sum += ((k & 2n) === 0n ? power : -power) / k;
  }
  return sum;
}
/** Writes the tables. */
export function fillArcTangents(view: DataView): void {
  for (let n = 1; n <= TERMS; n++) {
    writeWide(view, SERIES + (SERIES_TERMS - n) * 16, (1n << 128n) / BigInt(2 * n + 1));
  }
  const GUARD = 32n, steps = BigInt(STEPS);
  let sum = 0n;
  for (let n = 0n; n <= steps; n++) {
    writeWide(view, TABLE + Number(n) * 16, sum >> GUARD);
    if (n < steps) sum += arcTangent(steps, steps * steps + n * (n + 1n), 128n + GUARD);
  }
  writeWide(view, PI, sum >> GUARD);
  writeWide(view, HALF_PI, sum >> (GUARD + 1n));
}

/**
 * Body of a function of the significands and signs with exponents of y, then x, normal numbers or zeros but not both: the
 * angle's magnitude at ARC_TANGENT, the biased exponent of its top bit, or 0 for what is too small.
 */
export function emitArcTangent(b: WasmBuilder, series: number, quotient: number): void {
  const ySignificand = b.parameter(0, "i64"), ySe = b.parameter(1, "i32");
  const xSignificand = b.parameter(2, "i64"), xSe = b.parameter(3, "i32");
  const done = (value: Wide, exponent: Int) => {
    store(b, ARC_TANGENT, value);
    b.return(exponent as Val);
  };
  const nothing: Wide = { high: b.i64(0), low: b.i64(0) };
  b.if(b.eqz(64, ySignificand), () => done(load(b, b.i32(PI)), b.i32(BIAS + 1)));
  b.if(b.eqz(64, xSignificand), () => done(load(b, b.i32(HALF_PI)), b.i32(BIAS + 1)));
  const ey = b.and(32, ySe, b.i32(EXP_MAX)), ex = b.and(32, xSe, b.i32(EXP_MAX));
  const left = b.bit(xSe, 15);
  const steep = b.select(b.eq(32, ey, ex), b.ltU(64, xSignificand, ySignificand), b.ltU(32, ex, ey));
  const small = b.select(steep, xSignificand, ySignificand);
  const large = b.select(steep, ySignificand, xSignificand);
  const distance = b.select(steep, b.sub(32, ey, ex), b.sub(32, ex, ey));
  /** At most what a shift of 128 bits may have. */
  const capped = (v: Int) => b.zeroExtend(32, 64, b.select(b.ltU(32, v, b.i32(127)), v, b.i32(127)));
  const far = capped(distance);

  const scale = b.op("i64.shl", b.sub(64, b.i64(1023 + Math.log2(STEPS)), far), b.i64(52));
  const ratio = b.op("f64.div", b.op("f64.convert_i64_u", small), b.op("f64.convert_i64_u", large));
  const steps = b.op("f64.mul", ratio, b.op("f64.reinterpret_i64", scale));
  const n = b.op("i64.trunc_sat_f64_u", b.op("f64.nearest", steps));

  const high = b.variable(b.i64(0)), low = b.variable(b.i64(0)), exponent = b.variable(b.i32(BIAS - 1));
  const set = (v: Wide) => {
    b.set(high, v.high);
    b.set(low, v.low);
  };
  const value = (): Wide => ({ high: b.get(high), low: b.get(low) });
  /** Takes the third power and so on from the value, which stands for `argument`. */
  const takeRest = (argument: Wide) => {
    const square = times(b, argument, argument);
    b.call(series, [b.i32(FIRST), square.high, square.low], "i32");
    set(minus(b, value(), times(b, value(), load(b, b.i32(SERIES_RESULT)))));
  };
  b.if(b.op("i64.ne", n, b.i64(0)), () => {
    // z is within 1/32 of n/16: the tangent of the difference is (16 z - n) / (16 + n z), of integers of 75 bits.
    const product = (x: Long, y: Long): Wide => ({
      high: highUnsigned(b, x, y) as Long,
      low: b.mul(64, x, y),
    });
    const placed = b.op("i64.shl", b.i64(STEPS), far);
    const divisor = normalized(b, plus(b, product(large, placed), product(small, n)));
    const signed = minus(b, product(small, b.i64(STEPS)), product(large, b.op("i64.shl", n, far)));
    const negative = b.ltS(64, signed.high, b.i64(0)), negated = minus(b, nothing, signed);
    const magnitude = {
      high: b.select(negative, negated.high, signed.high),
      low: b.select(negative, negated.low, signed.low),
    };
    b.if(b.op("i64.ne", b.or(64, magnitude.high, magnitude.low), b.i64(0)), () => {
      const dividend = normalized(b, magnitude);
      const { high, low } = dividend.value, by = divisor.value;
      b.call(quotient, [high, low, by.high, by.low], "i32");
      const moves = b.sub(64, b.sub(64, dividend.zeros, divisor.zeros), b.i64(1));
      set(shiftedRight(b, load(b, b.i32(QUOTIENT)), moves));
      takeRest(value());
    });
    const entry = b.op("i32.wrap_i64", b.op("i64.shl", n, b.i64(4)));
    const known = load(b, entry, TABLE), sum = plus(b, known, value()), difference = minus(b, known, value());
    set({
      high: b.select(negative, difference.high, sum.high),
      low: b.select(negative, difference.low, sum.low),
    });
  }, () => {
    // Relative to the quotient, however small.
    b.call(quotient, [small, b.i64(0), large, b.i64(0)], "i32");
    set(load(b, b.i32(QUOTIENT)));
    takeRest(shiftedRight(b, value(), b.sub(64, far, b.i64(1))));
    const isExact = b.eq(64, large, b.i64(1n << 63n));
    b.if(b.and(32, isExact, b.op("i64.gt_u", far, b.i64(TINY))), () => {
      set({ high: b.sub(64, small, b.i64(1)), low: b.i64(0xe000_0000_0000_0000n) }); // a little below
    });
    b.set(exponent, b.sub(32, b.i32(BIAS), distance));
  });
  b.if(b.eqz(32, b.or(32, steep, left)), () => {
    const is = b.get(exponent);
    done(value(), b.select(b.op("i32.gt_s", is, b.i32(0)), is, b.i32(0)));
  });
  // Units of 2^-126.
  const angle = shiftedRight(b, value(), capped(b.sub(32, b.i32(BIAS + 1), b.get(exponent))));
  const base = load(b, b.select(steep, b.i32(HALF_PI), b.i32(PI)));
  const beyond = plus(b, base, angle), within = minus(b, base, angle), adds = b.and(32, steep, left);
  done(
    { high: b.select(adds, beyond.high, within.high), low: b.select(adds, beyond.low, within.low) },
    b.i32(BIAS + 1),
  );
}
