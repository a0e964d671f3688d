// SPDX-License-Identifier: MIT
/**
 * FADD, FSUB, FMUL, FDIV, FSQRT and comparison on {@linkcode Float80}, rounded to FCW's precision control. 64-bit
 * significands are pairs of u32 held in numbers; no bigint but in the square root.
 * @module
 */
import {
  BIAS,
  denormal,
  EXP_MAX,
  type Float80,
  type FpEnv,
  IE,
  invalid,
  Kind,
  kindOf,
  nanResult1,
  nanResult2,
  normalize,
  normalized,
  normRoundPack,
  precision,
  RC_DOWN,
  roundPack,
  setInfinity,
  setW,
  setZero,
  shiftRightJam,
  SIGN,
  W,
  ZE,
} from "./float80.ts";

const TWO32 = 4294967296;
const PER_TWO32 = 1 / TWO32;
const J = 0x8000_0000;

/** True when both are normal: the case that needs no questions. */
function bothNormal(a: Float80, b: Float80): boolean {
  const ae = a.se & EXP_MAX;
  const be = b.se & EXP_MAX;
  return ae !== 0 && be !== 0 && ae !== EXP_MAX && be !== EXP_MAX && a.hi >= J && b.hi >= J;
}

/** r = a + b. `r` may be either operand, here and below. */
export function add(r: Float80, a: Float80, b: Float80, env: FpEnv): void {
  addWithSign(r, a, b, b.se & SIGN, env);
}

/** r = a - b. */
export function sub(r: Float80, a: Float80, b: Float80, env: FpEnv): void {
  addWithSign(r, a, b, (b.se & SIGN) ^ SIGN, env);
}

function addWithSign(r: Float80, a: Float80, b: Float80, bSign: number, env: FpEnv): void {
  const aSign = a.se & SIGN;
  if (!bothNormal(a, b)) {
    const ka = kindOf(a);
    const kb = kindOf(b);
    if (nanResult2(r, a, ka, b, kb, env)) return;
    if (ka === Kind.Infinity && kb === Kind.Infinity && aSign !== bSign) return invalid(r, env);
    if ((ka === Kind.Denormal || kb === Kind.Denormal) && denormal(env)) return;
    if (ka === Kind.Infinity) return setInfinity(r, aSign);
    if (kb === Kind.Infinity) return setInfinity(r, bSign);
    if (ka === Kind.Zero && kb === Kind.Zero) return setZero(r, aSign === bSign ? aSign : zeroSign(env));
  }
  let exp = (a.se & EXP_MAX) || 1;
  let ah = a.hi;
  let al = a.lo;
  let be = (b.se & EXP_MAX) || 1;
  let bh = b.hi;
  let bl = b.lo;
  let sign = aSign;
  if (exp < be || (exp === be && (ah < bh || (ah === bh && al < bl)))) {
    const e = exp, h = ah, l = al;
    exp = be, ah = bh, al = bl;
    be = e, bh = h, bl = l;
    sign = bSign;
  }
  W[0] = bh;
  W[1] = bl;
  W[2] = 0;
  let bx = 0;
  if (exp !== be) {
    shiftRightJam(exp - be);
    bh = W[0] as number;
    bl = W[1] as number;
    bx = W[2] as number;
  }
  const pc = precision(env);
  if (aSign === bSign) {
    let lo = al + bl;
    let hi = ah + bh;
    if (lo >= TWO32) {
      lo -= TWO32;
      hi++;
    }
    if (hi >= TWO32) {
      bx = (bx >>> 1) | (bx & 1) | (lo << 31);
      lo = (lo >>> 1) | (hi << 31);
      hi = ((hi - TWO32) >>> 1) | J;
      exp++;
    }
    W[0] = hi;
    W[1] = lo;
    W[2] = bx;
    return normRoundPack(r, sign, exp, env, pc);
  }
  let lo = al - bl;
  let hi = ah - bh;
  if (bx !== 0) lo--;
  if (lo < 0) {
    lo += TWO32;
    hi--;
  }
  if (hi === 0 && lo === 0 && bx === 0) return setZero(r, zeroSign(env));
  W[0] = hi;
  W[1] = lo;
  W[2] = -bx;
  normRoundPack(r, sign, exp, env, pc);
}

/** Sign of an exact zero sum of unlike signs. */
function zeroSign(env: FpEnv): number {
  return ((env.cw >>> 10) & 3) === RC_DOWN ? SIGN : 0;
}

/** High half of the 64-bit product of two u32, given its low half. The rounding errors of a*b stay below 2^12. */
function highProduct(a: number, b: number, low: number): number {
  return ((a * b - low) * PER_TWO32 + 0.5) >>> 0;
}

/** r = a × b. */
export function mul(r: Float80, a: Float80, b: Float80, env: FpEnv): void {
  const sign = (a.se ^ b.se) & SIGN;
  let ah = a.hi, al = a.lo, bh = b.hi, bl = b.lo;
  let exp: number;
  if (bothNormal(a, b)) {
    exp = (a.se & EXP_MAX) + (b.se & EXP_MAX) - BIAS;
  } else {
    const ka = kindOf(a);
    const kb = kindOf(b);
    if (nanResult2(r, a, ka, b, kb, env)) return;
    const infinite = ka === Kind.Infinity || kb === Kind.Infinity;
    if (infinite && (ka === Kind.Zero || kb === Kind.Zero)) return invalid(r, env);
    if ((ka === Kind.Denormal || kb === Kind.Denormal) && denormal(env)) return;
    if (infinite) return setInfinity(r, sign);
    if (ka === Kind.Zero || kb === Kind.Zero) return setZero(r, sign);
    exp = normalize(a) - BIAS;
    ah = W[0] as number, al = W[1] as number;
    exp += normalize(b);
    bh = W[0] as number, bl = W[1] as number;
  }
  const l00 = Math.imul(al, bl) >>> 0;
  const l01 = Math.imul(al, bh) >>> 0;
  const l10 = Math.imul(ah, bl) >>> 0;
  const l11 = Math.imul(ah, bh) >>> 0;
  const s1 = highProduct(al, bl, l00) + l01 + l10;
  const w1 = s1 >>> 0;
  const s2 = highProduct(al, bh, l01) + highProduct(ah, bl, l10) + l11 + (s1 - w1) * PER_TWO32;
  const w2 = s2 >>> 0;
  const w3 = highProduct(ah, bh, l11) + (s2 - w2) * PER_TWO32;
  const ext = l00 !== 0 ? w1 | 1 : w1;
  if (w3 >= J) {
    exp++;
    W[0] = w3;
    W[1] = w2;
    W[2] = ext;
  } else {
    W[0] = (w3 << 1) | (w2 >>> 31);
    W[1] = (w2 << 1) | (w1 >>> 31);
    W[2] = (ext << 1) | (ext & 1);
  }
  roundPack(r, sign, exp, env, precision(env));
}

/** The divisor of {@linkcode divideDigit} (dh, dl), and the digit it found. */
const D = new Uint32Array(3);

/**
 * One base-2^32 digit of a division: W / (dh:dl), the first two words of W less than dh:dl and dh's top bit set.
 * D[2] gets the digit, W the remainder with a zero below. The estimate in doubles is off by at most one either way.
 */
function divideDigit(): void {
  const rh = W[0] as number, rl = W[1] as number, next = W[2] as number;
  const dh = D[0] as number, dl = D[1] as number;
  let q = Math.floor(((rh * TWO32 + rl) * TWO32 + next) / (dh * TWO32 + dl));
  if (q >= TWO32) q = TWO32 - 1;
  const l0 = Math.imul(q, dl) >>> 0;
  const l1 = Math.imul(q, dh) >>> 0;
  const s = highProduct(q, dl, l0) + l1;
  const w1 = s >>> 0;
  let low = next - l0;
  let mid = rl - w1;
  let top = rh - highProduct(q, dh, l1) - (s - w1) * PER_TWO32;
  if (low < 0) low += TWO32, mid--;
  if (mid < 0) mid += TWO32, top--;
  if (top < 0) {
    q--;
    low += dl, mid += dh;
    if (low >= TWO32) low -= TWO32, mid++;
    if (mid >= TWO32) mid -= TWO32;
  } else if (top > 0 || mid > dh || (mid === dh && low >= dl)) {
    q++;
    low -= dl, mid -= dh;
    if (low < 0) low += TWO32, mid--;
    if (mid < 0) mid += TWO32;
  }
  W[0] = mid;
  W[1] = low;
  W[2] = 0;
  D[2] = q;
}

/** r = a ÷ b. */
export function div(r: Float80, a: Float80, b: Float80, env: FpEnv): void {
  const sign = (a.se ^ b.se) & SIGN;
  let ah = a.hi, al = a.lo, bh = b.hi, bl = b.lo;
  let exp: number;
  if (bothNormal(a, b)) {
    exp = (a.se & EXP_MAX) - (b.se & EXP_MAX) + BIAS;
  } else {
    const ka = kindOf(a);
    const kb = kindOf(b);
    if (nanResult2(r, a, ka, b, kb, env)) return;
    if (ka === kb && (ka === Kind.Zero || ka === Kind.Infinity)) return invalid(r, env);
    if (kb === Kind.Zero && ka !== Kind.Infinity) {
      env.sw |= ZE;
      return setInfinity(r, sign);
    }
    if ((ka === Kind.Denormal || kb === Kind.Denormal) && denormal(env)) return;
    if (ka === Kind.Infinity) return setInfinity(r, sign);
    if (ka === Kind.Zero || kb === Kind.Infinity) return setZero(r, sign);
    exp = normalize(a) + BIAS;
    ah = W[0] as number, al = W[1] as number;
    exp -= normalize(b);
    bh = W[0] as number, bl = W[1] as number;
  }
  if (ah > bh || (ah === bh && al >= bl)) {
    W[0] = ah >>> 1;
    W[1] = (al >>> 1) | (ah << 31);
    W[2] = al << 31;
  } else {
    exp--;
    W[0] = ah;
    W[1] = al;
    W[2] = 0;
  }
  D[0] = bh;
  D[1] = bl;
  divideDigit();
  const hi = D[2] as number;
  divideDigit();
  const lo = D[2] as number;
  divideDigit();
  const ext = D[2] as number;
  W[2] = ((W[0] as number) | (W[1] as number)) !== 0 ? ext | 1 : ext;
  W[0] = hi;
  W[1] = lo;
  roundPack(r, sign, exp, env, precision(env));
}

/** r = √a. */
export function sqrt(r: Float80, a: Float80, env: FpEnv): void {
  const kind = kindOf(a);
  if (nanResult1(r, a, kind, env)) return;
  if (kind === Kind.Zero) {
    r.copy(a);
    return;
  }
  if ((a.se & SIGN) !== 0) return invalid(r, env);
  if (kind === Kind.Denormal && denormal(env)) return;
  if (kind === Kind.Infinity) return setInfinity(r, 0);
  const exp = normalize(a) - BIAS;
  const odd = exp & 1;
  const n = normalized() << (odd !== 0 ? 64n : 63n);
  const root = isqrt(n);
  const rest = n - root * root;
  const ext = rest === 0n ? 0 : rest > root ? 0x8000_0001 : 1;
  const half = (exp - odd) / 2 + BIAS;
  setW(Number(root >> 32n), Number(root & 0xffff_ffffn), ext);
  roundPack(r, 0, half, env, precision(env));
}

/** floor(√n) for 2^126 <= n < 2^128: a double's 53 bits, one Newton step, and a correction. */
function isqrt(n: bigint): bigint {
  const guess = BigInt(Math.floor(Math.sqrt(Number(n))));
  let root = (guess + n / guess) >> 1n;
  while (root * root > n) root--;
  while ((root + 1n) * (root + 1n) <= n) root++;
  return root;
}

/** Outcome of a comparison of a with b. */
export const LESS = -1, EQUAL = 0, GREATER = 1, UNORDERED = 2;

/** Compares; `quiet` (FUCOM) raises IE for signaling NaNs and unsupported encodings only. */
export function compare(a: Float80, b: Float80, quiet: boolean, env: FpEnv): number {
  if (!bothNormal(a, b)) {
    const ka = kindOf(a);
    const kb = kindOf(b);
    if (ka >= Kind.QNaN || kb >= Kind.QNaN) {
      if (!quiet || ka > Kind.QNaN || kb > Kind.QNaN) env.sw |= IE;
      return UNORDERED;
    }
    if (ka === Kind.Denormal || kb === Kind.Denormal) denormal(env);
    if (ka === Kind.Zero && kb === Kind.Zero) return EQUAL;
  }
  const negative = (a.se & SIGN) !== 0;
  if (negative !== ((b.se & SIGN) !== 0)) return negative ? LESS : GREATER;
  const ae = (a.se & EXP_MAX) || 1;
  const be = (b.se & EXP_MAX) || 1;
  const order = ae - be || a.hi - b.hi || a.lo - b.lo;
  if (order === 0) return EQUAL;
  return (order < 0) !== negative ? LESS : GREATER;
}
