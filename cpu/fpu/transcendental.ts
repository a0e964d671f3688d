// SPDX-License-Identifier: MIT
/**
 * FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1. Rules: SDM Vol. 1 §8.3.10 and the instructions' pages
 * in Vol. 2A. Results are the exact function rounded once (by RC, always to 64 bits), where processors promise 1 ulp.
 * The trigonometric argument is reduced with the processors' 66-bit pi, so that fsin(pi) is what they give.
 *
 * Method: fixed-point bigints, at least 128 good bits, Taylor series after a reduction; below 2^-130 the first term
 * and a sticky bit. The number of steps is bounded by the width, never by the operand.
 * @module
 */
import {
  BIAS,
  bitLength,
  denormal,
  EXP_MAX,
  type Float80,
  type FpEnv,
  invalid,
  Kind,
  kindOf,
  nanResult1,
  nanResult2,
  normalize,
  normalized,
  normRoundPack,
  PC_EXTENDED,
  PE,
  roundBig,
  setInfinity,
  setZero,
  SIGN,
  UE,
  W,
  ZE,
} from "./float80.ts";

/** Fraction bits of the constants. */
export const WIDE = 512;
const ONE_WIDE = 1n << BigInt(WIDE);
/** Fraction bits of a computation whose operand needs no extra ones. */
const BASE = 192;
/** Operands below 2^-TINY use the first term of their series. */
const TINY = 130;
/** Those below 2^-CUBELESS too where what it is rounded to is nearer than the next term, which BASE bits may lack. */
const CUBELESS = 60, QUOTIENT_CUBELESS = 80;

/** Σ 1 / ((2k+1) n^(2k+1)), alternating for the arc tangent. */
function inverseSeries(n: bigint, alternating: boolean): bigint {
  let power = ONE_WIDE / n;
  let sum = power;
  for (let k = 3n; power !== 0n; k += 2n) {
    power /= n * n;
    sum += (alternating && (k & 2n) !== 0n ? -power : power) / k;
  }
  return sum;
}

const PI = 4n * (4n * inverseSeries(5n, true) - inverseSeries(239n, true)); // Machin
/** ln(2) and its reciprocal. */
export const LN2 = 2n * inverseSeries(3n, false);
export const PER_LN2 = (ONE_WIDE << BigInt(WIDE)) / LN2;
/** Pi as the argument reduction knows it: 66 significant bits, 64 of them fraction. */
const PI_66 = PI >> BigInt(WIDE - 64);

/** sin or cos of r (|r| below 0.8) with p fraction bits. */
function sinSeries(r: bigint, p: bigint): bigint {
  return alternatingSeries(r, (r * r) >> p, 2n, p);
}
function cosSeries(r: bigint, p: bigint): bigint {
  return alternatingSeries(1n << p, (r * r) >> p, 1n, p);
}
function alternatingSeries(first: bigint, square: bigint, from: bigint, p: bigint): bigint {
  let term = first;
  let sum = first;
  for (let k = from; term !== 0n && term !== -1n; k += 2n) {
    term = -((term * square) >> p) / (k * (k + 1n));
    sum += term;
  }
  return sum;
}

/**
 * Reduces a finite nonzero |x| below 2^63 to [-pi/4, pi/4] with BASE fraction bits: |x| = k × pi/2 + reduced, and
 * `quadrant` is k modulo 4.
 */
function reduce(exp: number): { readonly quadrant: number; readonly reduced: bigint } {
  const x = normalized() << BigInt(BASE - 63 + exp); // exp > -TINY / 2, so this shifts left
  const half = PI_66 << BigInt(BASE - 65);
  const k = (x + (half >> 1n)) / half;
  return { quadrant: Number(k & 3n), reduced: x - k * half };
}

/** Rounds a signed fixed-point value that is a little above `v` (`sticky`). */
function pack(r: Float80, sign: number, v: bigint, p: number, env: FpEnv): void {
  if (v < 0n) roundBig(r, sign ^ SIGN, -v, -p, true, env);
  else roundBig(r, sign, v, -p, true, env);
}

/** Rounds the significand in W, moved a little away from zero or (`below`) towards it. */
function packNear(r: Float80, sign: number, exp: number, below: boolean, env: FpEnv): void {
  if (below) {
    if (W[1] === 0) W[0] = (W[0] as number) - 1;
    W[1] = (W[1] as number) - 1;
  }
  W[2] = below ? 0xffff_ffff : 1;
  normRoundPack(r, sign, exp, env, PC_EXTENDED);
}

/** Trigonometric arguments at or above 2^63 are refused with C2. */
export function outOfTrigRange(a: Float80): boolean {
  const exp = a.se & EXP_MAX;
  return exp >= BIAS + 63 && exp !== EXP_MAX && a.hi >= 0x8000_0000;
}

/** NaN, infinity, zero, DE of a trigonometric operand: true when there is nothing left to compute. */
function trigSpecial(r: Float80, a: Float80, kind: Kind, env: FpEnv): boolean {
  if (nanResult1(r, a, kind, env)) return true;
  if (kind === Kind.Infinity) {
    invalid(r, env);
    return true;
  }
  return kind === Kind.Denormal && denormal(env);
}

/** Results of FSINCOS; `cosine` is untouched by FSIN and so on. All want !outOfTrigRange(a). */
export function sinCos(sine: Float80 | undefined, cosine: Float80 | undefined, a: Float80, env: FpEnv): void {
  const kind = kindOf(a);
  const sign = a.se & SIGN;
  const result = sine ?? cosine;
  if (result !== undefined && trigSpecial(result, a, kind, env)) {
    cosine?.copy(result);
    return;
  }
  if (kind === Kind.Zero) {
    sine?.copy(a);
    cosine?.set(BIAS, 0x8000_0000, 0);
    return;
  }
  const exp = normalize(a);
  if (exp < BIAS - CUBELESS) {
    if (sine !== undefined) packNear(sine, sign, exp, true, env);
    W[0] = 0x8000_0000;
    W[1] = 0;
    if (cosine !== undefined) packNear(cosine, 0, BIAS, true, env);
    return;
  }
  const { quadrant, reduced } = reduce(exp - BIAS);
  const p = BigInt(BASE);
  const swap = (quadrant & 1) !== 0;
  if (sine !== undefined) {
    const v = swap ? cosSeries(reduced, p) : sinSeries(reduced, p);
    pack(sine, (quadrant & 2) !== 0 ? sign ^ SIGN : sign, v, BASE, env);
  }
  if (cosine !== undefined) {
    const v = swap ? sinSeries(reduced, p) : cosSeries(reduced, p);
    pack(cosine, quadrant === 1 || quadrant === 2 ? SIGN : 0, v, BASE, env);
  }
}

/** r = tan a, for !outOfTrigRange(a). */
export function tan(r: Float80, a: Float80, env: FpEnv): void {
  const kind = kindOf(a);
  const sign = a.se & SIGN;
  if (trigSpecial(r, a, kind, env)) return;
  if (kind === Kind.Zero) {
    r.copy(a);
    return;
  }
  const exp = normalize(a);
  if (exp < BIAS - TINY / 2) return packNear(r, sign, exp, false, env);
  const { quadrant, reduced } = reduce(exp - BIAS);
  const p = BigInt(BASE);
  const s = sinSeries(reduced, p);
  const c = cosSeries(reduced, p);
  const odd = (quadrant & 1) !== 0;
  pack(r, sign, odd ? -(c << p) / s : (s << p) / c, BASE, env);
}

/** arc tangents of n/8 with WIDE fraction bits, made on first use. */
let eighths: bigint[] | undefined;

function atanEighth(n: number): bigint {
  if (eighths === undefined) {
    eighths = [];
    for (let i = 0n; i < 8n; i++) eighths.push(atanSeries((i * ONE_WIDE) / 8n, BigInt(WIDE)));
    eighths.push(PI / 4n);
  }
  return eighths[n] as bigint;
}

function atanSeries(z: bigint, p: bigint): bigint {
  const square = (z * z) >> p;
  let power = z;
  let sum = z;
  for (let k = 3n; power !== 0n && power !== -1n; k += 2n) {
    power = -((power * square) >> p);
    sum += power / k;
  }
  return sum;
}

/** r = the angle of the point (x, y): FPATAN with x = ST(0), y = ST(1). */
export function atan2(r: Float80, y: Float80, x: Float80, env: FpEnv): void {
  const kx = kindOf(x);
  const ky = kindOf(y);
  if (nanResult2(r, x, kx, y, ky, env)) return;
  if ((kx === Kind.Denormal || ky === Kind.Denormal) && denormal(env)) return;
  const sign = y.se & SIGN;
  const left = (x.se & SIGN) !== 0;
  const piFraction = (numerator: bigint, denominator: bigint) =>
    roundBig(r, sign, (PI * numerator) / denominator, -WIDE, true, env);
  if (ky === Kind.Infinity) {
    if (kx === Kind.Infinity) return piFraction(left ? 3n : 1n, 4n);
    return piFraction(1n, 2n);
  }
  if (ky === Kind.Zero || kx === Kind.Infinity) return left ? piFraction(1n, 1n) : setZero(r, sign);
  if (kx === Kind.Zero) return piFraction(1n, 2n);
  const ex = normalize(x);
  const mx = normalized();
  const ey = normalize(y);
  const my = normalized();
  const steep = ey > ex || (ey === ex && my > mx);
  const distance = Math.abs(ey - ex);
  let angle: bigint; // atan of the smaller over the larger
  let p = BASE + distance;
  if (distance > QUOTIENT_CUBELESS && !steep && !left) { // a little below the quotient
    const n = my << BigInt(BASE);
    const q = n / mx;
    return roundBig(r, sign, q * mx === n ? q - 1n : q, ey - ex - BASE, true, env);
  }
  if (distance > TINY) {
    p = BASE;
    angle = 1n;
  } else {
    const z = steep ? (mx << BigInt(BASE)) / my : (my << BigInt(BASE)) / mx;
    const bits = BigInt(p);
    const n = Number((z << 3n) + (1n << (bits - 1n)) >> bits);
    if (n === 0) {
      angle = atanSeries(z, bits);
    } else {
      const wide = BigInt(n);
      const t = (((z << 3n) - (wide << bits)) << bits) / ((8n << bits) + z * wide);
      angle = (atanEighth(n) >> BigInt(WIDE - p)) + atanSeries(t, bits);
    }
  }
  const half = PI >> BigInt(WIDE - p + 1);
  const full = PI >> BigInt(WIDE - p);
  const v = steep ? (left ? half + angle : half - angle) : left ? full - angle : angle;
  roundBig(r, sign, v, -p, true, env);
}

/** r = 2^a - 1 for |a| <= 1; other operands, whose result the SDM leaves undefined, are returned as they are. */
export function exp2m1(r: Float80, a: Float80, env: FpEnv): void {
  const kind = kindOf(a);
  const sign = a.se & SIGN;
  if (nanResult1(r, a, kind, env)) return;
  if (kind === Kind.Infinity) {
    if (sign !== 0) r.set(SIGN | BIAS, 0x8000_0000, 0);
    else r.copy(a);
    return;
  }
  if (kind === Kind.Zero) {
    r.copy(a);
    return;
  }
  if (kind === Kind.Denormal && denormal(env)) return;
  const exp = normalize(a) - BIAS;
  const m = normalized();
  if (exp >= 0) {
    env.sw |= PE; // exact for -1 and 1, but processors say otherwise
    if (exp === 0 && m === 1n << 63n && sign !== 0) r.set(SIGN | (BIAS - 1), 0x8000_0000, 0);
    else r.copy(a);
    return;
  }
  if (exp < -TINY) return roundBig(r, sign, m * (LN2 >> BigInt(WIDE - BASE)), exp - 63 - BASE, true, env);
  const p = BASE - exp;
  const bits = BigInt(p);
  let x = ((m << BigInt(p + exp - 63)) * (LN2 >> BigInt(WIDE - p))) >> bits;
  if (sign !== 0) x = -x;
  pack(r, 0, expm1(x, p), p, env);
}

/** e^x - 1 with p fraction bits, as x has. */
export function expm1(x: bigint, p: number): bigint {
  const bits = BigInt(p);
  let term = x;
  let sum = x;
  for (let k = 2n; term !== 0n && term !== -1n; k++) {
    term = ((term * x) >> bits) / k;
    sum += term;
  }
  return sum;
}

/** log2(1 + f) with p fraction bits, for f (p fraction bits) in about [-0.3, 0.5]. */
function log2p1(f: bigint, p: number): bigint {
  const bits = BigInt(p);
  const s = (f << bits) / ((2n << bits) + f);
  const square = (s * s) >> bits;
  let power = s;
  let sum = s;
  for (let k = 3n; power !== 0n && power !== -1n; k += 2n) {
    power = (power * square) >> bits;
    sum += power / k;
  }
  return (sum * (PER_LN2 >> BigInt(WIDE - p - 1))) >> bits;
}

/** log2(v × 2^scale), v a positive bigint, with BASE fraction bits; exact for powers of two. */
function log2(v: bigint, scale: number): bigint {
  const bits = bitLength(v);
  let exp = scale + bits - 1;
  let f = bits - 1 > BASE ? v >> BigInt(bits - 1 - BASE) : v << BigInt(BASE - bits + 1);
  if ((f >> BigInt(BASE - 1)) === 3n) { // at least 1.5
    f >>= 1n;
    exp++;
  }
  f -= 1n << BigInt(BASE);
  return (BigInt(exp) << BigInt(BASE)) + (f === 0n ? 0n : log2p1(f, BASE));
}

/** r = y × (v × 2^-p), v inexact unless `exact`. Processors report an exact result as inexact, and so do we. */
function timesY(r: Float80, y: Float80, v: bigint, p: number, exact: boolean, env: FpEnv): void {
  const sign = (y.se & SIGN) ^ (v < 0n ? SIGN : 0);
  const exp = normalize(y) - BIAS;
  const product = normalized() * (v < 0n ? -v : v);
  roundBig(r, sign, product, exp - 63 - p, !exact, env);
  if (exact) env.sw |= (r.se & EXP_MAX) === 0 ? PE | UE : PE;
}

/** FYL2X: r = y × log2(x), x = ST(0), y = ST(1). */
export function yLog2X(r: Float80, y: Float80, x: Float80, env: FpEnv): void {
  const kx = kindOf(x);
  const ky = kindOf(y);
  if (nanResult2(r, x, kx, y, ky, env)) return;
  const ySign = y.se & SIGN;
  if (kx !== Kind.Zero && (x.se & SIGN) !== 0) return invalid(r, env);
  if (kx === Kind.Zero) {
    if (ky === Kind.Zero) return invalid(r, env);
    if (ky !== Kind.Infinity) {
      env.sw |= ZE;
      return setInfinity(r, ySign ^ SIGN);
    }
    return setInfinity(r, ySign ^ SIGN);
  }
  const one = x.se === BIAS && x.hi === 0x8000_0000 && x.lo === 0;
  if (kx === Kind.Infinity && ky === Kind.Zero) return invalid(r, env);
  if (ky === Kind.Infinity && one) return invalid(r, env);
  if ((kx === Kind.Denormal || ky === Kind.Denormal) && denormal(env)) return;
  const below = (x.se & EXP_MAX) < BIAS ? SIGN : 0;
  if (kx === Kind.Infinity || ky === Kind.Infinity) return setInfinity(r, ySign ^ below);
  if (one || ky === Kind.Zero) return setZero(r, ySign ^ below);
  const exp = normalize(x) - BIAS;
  const m = normalized();
  timesY(r, y, log2(m, exp - 63), BASE, m === 1n << 63n, env);
}

/** FYL2XP1: r = y × log2(x + 1), x = ST(0), y = ST(1). Beyond the SDM's range of x: right above -1, and x from there down. */
export function yLog2XP1(r: Float80, y: Float80, x: Float80, env: FpEnv): void {
  const kx = kindOf(x);
  const ky = kindOf(y);
  if (nanResult2(r, x, kx, y, ky, env)) return;
  const xSign = x.se & SIGN;
  const sign = xSign ^ (y.se & SIGN);
  const exp = kx === Kind.Zero || kx === Kind.Infinity ? 0 : normalize(x) - BIAS;
  const m = normalized();
  if (kx === Kind.Infinity && (xSign !== 0 || ky === Kind.Zero)) return invalid(r, env);
  if (kx === Kind.Zero && ky === Kind.Infinity) return invalid(r, env);
  if ((kx === Kind.Denormal || ky === Kind.Denormal) && denormal(env)) return;
  if (kx === Kind.Infinity || ky === Kind.Infinity) return setInfinity(r, sign);
  if (kx === Kind.Zero || ky === Kind.Zero) return setZero(r, sign);
  if (xSign !== 0 && exp >= 0) { // x <= -1
    env.sw |= PE;
    r.copy(x);
    return;
  }
  if (exp < -TINY) {
    const v = m * (PER_LN2 >> BigInt(WIDE - BASE));
    return timesY(r, y, xSign !== 0 ? -v : v, BASE + 63 - exp, false, env);
  }
  if (exp < -2) {
    const p = BASE - exp;
    const f = m << BigInt(p + exp - 63);
    return timesY(r, y, log2p1(xSign !== 0 ? -f : f, p), p, false, env);
  }
  let v = m; // 1 + x, exactly; beyond 2^130 the 1 is lost
  let scale = exp - 63;
  if (exp <= TINY) {
    if (exp > 63) {
      v <<= BigInt(exp - 63);
      scale = 0;
    }
    const one = 1n << BigInt(-scale);
    v = xSign !== 0 ? one - v : v + one;
  }
  const power = (v & (v - 1n)) === 0n && exp <= TINY;
  timesY(r, y, log2(v, scale), BASE, power, env);
}
