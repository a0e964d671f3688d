// SPDX-License-Identifier: MIT
/**
 * Arithmetic on binary32 and binary64 as SSE has it, bit by bit, in every rounding mode and with every exception.
 * Rules: SDM Vol. 1 §4.8.4 (rounding), §4.8.3.5 and table 4-7 (NaN selection), §11.5.2 (exceptions), §10.2.3 (DAZ, FTZ).
 * Values are encodings in a bigint: this is the slow path, where clearness counts; emitted code does ordinary
 * operands itself (cpu/isa/simd/sse_float.ts).
 *
 * Operations or their exceptions into {@linkcode SseEnv}; whether one is unmasked, and the result void, the caller says.
 * @module
 */
import {
  DE,
  IE,
  MXCSR_DAZ,
  MXCSR_FTZ,
  OE,
  PE,
  RC_DOWN,
  RC_NEAREST,
  RC_UP,
  RC_ZERO,
  type SseEnv,
  UE,
  ZE,
} from "./mxcsr.ts";

/** An interchange format of IEEE 754. */
export interface Format {
  /** Of the encoding. */
  readonly bits: number;
  /** Of the significand, the hidden one included. */
  readonly precision: number;
  readonly bias: number;
  readonly sign: bigint;
  readonly infinity: bigint;
  readonly quiet: bigint;
  /** The QNaN "real indefinite". */
  readonly indefinite: bigint;
  readonly fraction: bigint;
  /** Exponent of the last place of a denormal. */
  readonly last: number;
}
/** Makes one. */
export function format(bits: number, precision: number): Format {
  const exponentBits = bits - precision, bias = 2 ** (exponentBits - 1) - 1;
  const infinity = ((1n << BigInt(exponentBits)) - 1n) << BigInt(precision - 1);
  const quiet = 1n << BigInt(precision - 2), sign = 1n << BigInt(bits - 1);
  return {
    bits,
    precision,
    bias,
    sign,
    infinity,
    quiet,
    indefinite: sign | infinity | quiet,
    fraction: (1n << BigInt(precision - 1)) - 1n,
    last: 2 - bias - precision,
  };
}
/** binary32. */
export const SINGLE = format(32, 24);
/** binary64. */
export const DOUBLE = format(64, 53);

/** The encoding without its sign. */
export function magnitude(f: Format, a: bigint): bigint {
  return a & ~f.sign;
}
/** QNaN or SNaN. */
export function isNaN(f: Format, a: bigint): boolean {
  return magnitude(f, a) > f.infinity;
}
/** SNaN. */
export function isSignaling(f: Format, a: bigint): boolean {
  return isNaN(f, a) && (a & f.quiet) === 0n;
}
function isDenormal(f: Format, a: bigint): boolean {
  const m = magnitude(f, a);
  return m !== 0n && m <= f.fraction;
}
/** The operand as DAZ has it. */
export function operand(f: Format, env: SseEnv, a: bigint): bigint {
  return (env.mxcsr & MXCSR_DAZ) !== 0 && isDenormal(f, a) ? a & f.sign : a;
}
/** Raises DE for a denormal. */
export function noteDenormal(f: Format, env: SseEnv, a: bigint): void {
  if (isDenormal(f, a)) env.raised |= DE;
}
function invalid(f: Format, env: SseEnv): bigint {
  env.raised |= IE;
  return f.indefinite;
}
/** The result when `a` or `b` is a NaN: the first operand that is one, quiet. */
function nanOf(f: Format, env: SseEnv, a: bigint, b: bigint): bigint | undefined {
  const first = isNaN(f, a);
  if (!first && !isNaN(f, b)) return undefined;
  if (isSignaling(f, a) || isSignaling(f, b)) env.raised |= IE;
  return (first ? a : b) | f.quiet;
}

/** A finite value other than zero is sig × 2^exp. */
export function exponentOf(f: Format, a: bigint): number {
  const biased = Number(magnitude(f, a) >> BigInt(f.precision - 1));
  return Math.max(biased, 1) - 1 + f.last;
}
export function significandOf(f: Format, a: bigint): bigint {
  const m = magnitude(f, a);
  return m <= f.fraction ? m : (m & f.fraction) | (f.fraction + 1n);
}

const f64 = new Float64Array(1);
const f64Bits = new BigUint64Array(f64.buffer);
/** Bits up to the highest one of `n` > 0. */
function bitLength(n: bigint): number {
  f64[0] = Number(n);
  const length = Number(f64Bits[0] as bigint >> 52n) - 1022;
  return n >> BigInt(length - 1) === 0n ? length - 1 : length; // Number() may have rounded up
}

/** sig × 2^(-shift) as an integer, rounded; `lost`: something was. */
function roundShift(sig: bigint, shift: number, negative: boolean, rc: number): [bigint, boolean] {
  if (shift <= 0) return [sig << BigInt(-shift), false];
  const count = BigInt(shift);
  const kept = sig >> count, rest = sig - (kept << count);
  if (rest === 0n) return [kept, false];
  let up: boolean;
  if (rc === RC_NEAREST) {
    const half = 1n << (count - 1n);
    up = rest > half || (rest === half && (kept & 1n) !== 0n);
  } else up = rc === (negative ? RC_DOWN : RC_UP);
  return [up ? kept + 1n : kept, true];
}

/** ±sig × 2^exp, sig > 0, rounded to the format. The lowest bit of sig may be sticky when there are bits to spare. */
export function round(f: Format, env: SseEnv, negative: boolean, sig: bigint, exp: number): bigint {
  const sign = negative ? f.sign : 0n, rc = env.rounding;
  const top = exp + bitLength(sig); // the value is in [2^(top-1), 2^top)
  const unbounded = top - f.precision;
  let [q, inexact] = roundShift(sig, unbounded - exp, negative, rc);
  let place = unbounded;
  if (q >> BigInt(f.precision) !== 0n) {
    q >>= 1n;
    place++;
  }
  if (place < f.last) { // tiny
    const denormal = roundShift(sig, f.last - exp, negative, rc);
    if (env.unmasked(UE) !== 0) env.raised |= UE | (inexact ? PE : 0);
    else if ((env.mxcsr & MXCSR_FTZ) !== 0) {
      env.raised |= UE | PE;
      return sign;
    } else if (denormal[1]) env.raised |= UE | PE;
    return sign | denormal[0];
  }
  const biased = place - f.last + 1;
  if (biased >= 2 * f.bias + 1) {
    env.raised |= OE;
    if (env.unmasked(OE) === 0 || inexact) env.raised |= PE;
    const finite = rc === RC_ZERO || rc === (negative ? RC_UP : RC_DOWN);
    return sign | (finite ? f.infinity - 1n : f.infinity);
  }
  if (inexact) env.raised |= PE;
  return sign | ((BigInt(biased - 1) << BigInt(f.precision - 1)) + q);
}

/** a + b, or a - b. */
export function add(f: Format, env: SseEnv, first: bigint, second: bigint, subtract: boolean): bigint {
  const a = operand(f, env, first);
  let b = operand(f, env, second);
  const nan = nanOf(f, env, a, b);
  if (nan !== undefined) return nan;
  if (subtract) b ^= f.sign;
  const infiniteA = magnitude(f, a) === f.infinity, infiniteB = magnitude(f, b) === f.infinity;
  if (infiniteA && infiniteB && a !== b) return invalid(f, env);
  noteDenormal(f, env, a);
  noteDenormal(f, env, b);
  if (infiniteA) return a;
  if (infiniteB) return b;
  let high = significandOf(f, a), low = significandOf(f, b);
  let exp = exponentOf(f, a), lowExp = exponentOf(f, b);
  let negative = (a & f.sign) !== 0n, lowNegative = (b & f.sign) !== 0n;
  if (high === 0n || (low !== 0n && lowExp > exp)) {
    [high, low, exp, lowExp, negative, lowNegative] = [low, high, lowExp, exp, lowNegative, negative];
  }
  if (high === 0n) { // both are zeros
    if (negative === lowNegative) return a;
    return env.rounding === RC_DOWN ? f.sign : 0n;
  }
  if (low !== 0n) {
    // Far below the last place only its being there counts.
    const distance = exp - lowExp, spare = f.precision + 3;
    const shift = Math.min(distance, spare);
    high <<= BigInt(shift);
    exp -= shift;
    if (distance > spare) low = 1n;
    high = negative === lowNegative ? high + low : high - low;
    if (high === 0n) return env.rounding === RC_DOWN ? f.sign : 0n;
    if (high < 0n) {
      high = -high;
      negative = !negative;
    }
  }
  return round(f, env, negative, high, exp);
}

/** a × b. */
export function multiply(f: Format, env: SseEnv, first: bigint, second: bigint): bigint {
  const a = operand(f, env, first), b = operand(f, env, second);
  const nan = nanOf(f, env, a, b);
  if (nan !== undefined) return nan;
  const ma = magnitude(f, a), mb = magnitude(f, b), sign = (a ^ b) & f.sign;
  const infinite = ma === f.infinity || mb === f.infinity, zero = ma === 0n || mb === 0n;
  if (infinite && zero) return invalid(f, env);
  noteDenormal(f, env, a);
  noteDenormal(f, env, b);
  if (infinite) return sign | f.infinity;
  if (zero) return sign;
  const sig = significandOf(f, a) * significandOf(f, b);
  return round(f, env, sign !== 0n, sig, exponentOf(f, a) + exponentOf(f, b));
}

/** a / b. */
export function divide(f: Format, env: SseEnv, first: bigint, second: bigint): bigint {
  const a = operand(f, env, first), b = operand(f, env, second);
  const nan = nanOf(f, env, a, b);
  if (nan !== undefined) return nan;
  const ma = magnitude(f, a), mb = magnitude(f, b), sign = (a ^ b) & f.sign;
  if ((ma === 0n && mb === 0n) || (ma === f.infinity && mb === f.infinity)) return invalid(f, env);
  if (mb === 0n && ma !== f.infinity) {
    env.raised |= ZE; // and no DE, whatever a is
    return sign | f.infinity;
  }
  noteDenormal(f, env, a);
  noteDenormal(f, env, b);
  if (ma === f.infinity) return sign | f.infinity;
  if (ma === 0n || mb === f.infinity) return sign;
  const divisor = significandOf(f, b);
  const shift = 2 * f.precision + 2; // enough for a denormal dividend, too
  const dividend = significandOf(f, a) << BigInt(shift);
  const quotient = dividend / divisor, sticky = quotient * divisor === dividend ? 0n : 1n;
  const exp = exponentOf(f, a) - exponentOf(f, b) - shift - 1;
  return round(f, env, sign !== 0n, (quotient << 1n) | sticky, exp);
}

/** Largest integer whose square is not above `n`. */
function integerSqrt(n: bigint): bigint {
  let r = BigInt(Math.floor(Math.sqrt(Number(n))));
  r = (r + n / r) >> 1n;
  while (r * r > n) r--;
  while ((r + 1n) * (r + 1n) <= n) r++;
  return r;
}

/** √a. */
export function squareRoot(f: Format, env: SseEnv, first: bigint): bigint {
  const a = operand(f, env, first);
  const nan = nanOf(f, env, a, a);
  if (nan !== undefined) return nan;
  const m = magnitude(f, a);
  if (m === 0n) return a;
  if (m !== a) return invalid(f, env);
  noteDenormal(f, env, a);
  if (m === f.infinity) return a;
  let sig = significandOf(f, a), exp = exponentOf(f, a);
  let shift = 2 * f.precision + 6 - bitLength(sig);
  if (((exp - shift) & 1) !== 0) shift++;
  sig <<= BigInt(shift);
  exp -= shift;
  const r = integerSqrt(sig);
  return round(f, env, false, (r << 1n) | (r * r === sig ? 0n : 1n), exp / 2 - 1);
}

/** Result of {@linkcode compare}. */
export const LESS = -1, EQUAL = 0, GREATER = 1, UNORDERED = 2;

/** Orders a and b. `quietToo`: a QNaN is invalid as well as an SNaN. */
export function compare(f: Format, env: SseEnv, first: bigint, second: bigint, quietToo: boolean): number {
  const a = operand(f, env, first), b = operand(f, env, second);
  if (isNaN(f, a) || isNaN(f, b)) {
    if (quietToo || isSignaling(f, a) || isSignaling(f, b)) env.raised |= IE;
    return UNORDERED;
  }
  noteDenormal(f, env, a);
  noteDenormal(f, env, b);
  const ma = magnitude(f, a), mb = magnitude(f, b);
  const x = ma === a ? ma : -ma, y = mb === b ? mb : -mb;
  return x < y ? LESS : x > y ? GREATER : EQUAL;
}

/** MIN and MAX: the second operand unless the first is less, or greater. */
export function extremum(f: Format, env: SseEnv, first: bigint, second: bigint, wanted: number): bigint {
  const takesFirst = compare(f, env, first, second, true) === wanted;
  const taken = takesFirst ? first : second;
  return operand(f, env, taken);
}

/** To another format. */
export function convert(from: Format, to: Format, env: SseEnv, first: bigint): bigint {
  const a = operand(from, env, first), m = magnitude(from, a);
  const sign = m === a ? 0n : to.sign;
  if (isNaN(from, a)) {
    if (isSignaling(from, a)) env.raised |= IE;
    const shift = BigInt(Math.abs(from.precision - to.precision));
    const payload = a & from.fraction;
    return sign | to.infinity | to.quiet |
      (from.precision > to.precision ? payload >> shift : payload << shift);
  }
  noteDenormal(from, env, a);
  if (m === from.infinity) return sign | to.infinity;
  if (m === 0n) return sign;
  return round(to, env, sign !== 0n, significandOf(from, a), exponentOf(from, a));
}

/** From a signed integer. */
export function fromInteger(f: Format, env: SseEnv, n: bigint): bigint {
  return n === 0n ? 0n : round(f, env, n < 0n, n < 0n ? -n : n, 0);
}

/** To a signed integer of `bits`, as an unsigned number. What has none gives the "integer indefinite". */
export function toInteger(f: Format, env: SseEnv, first: bigint, bits: number): bigint {
  const a = operand(f, env, first), m = magnitude(f, a), negative = m !== a;
  const limit = 1n << BigInt(bits - 1);
  if (m === 0n) return 0n;
  const exp = exponentOf(f, a);
  if (m < f.infinity && exp <= bits) {
    const [q, inexact] = roundShift(significandOf(f, a), -exp, negative, env.rounding);
    if (negative ? q <= limit : q < limit) {
      if (inexact) env.raised |= PE;
      return BigInt.asUintN(bits, negative ? -q : q);
    }
  }
  env.raised |= IE;
  return limit;
}

/** To an integral value. `quiet`: without PE. */
export function roundToIntegral(f: Format, env: SseEnv, first: bigint, quiet: boolean): bigint {
  const a = operand(f, env, first), m = magnitude(f, a), sign = a & f.sign;
  const nan = nanOf(f, env, a, a);
  if (nan !== undefined) return nan;
  const exp = exponentOf(f, a);
  if (m === 0n || m === f.infinity || exp >= 0) return a;
  const [q, inexact] = roundShift(significandOf(f, a), -exp, sign !== 0n, env.rounding);
  if (inexact && !quiet) env.raised |= PE;
  if (q === 0n) return sign;
  const place = bitLength(q) - f.precision; // at most 0
  return sign | ((BigInt(place - f.last) << BigInt(f.precision - 1)) + (q << BigInt(-place)));
}
