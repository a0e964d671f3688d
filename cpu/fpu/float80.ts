// SPDX-License-Identifier: MIT
/**
 * The x87's 80-bit extended real: representation, classes, NaN rules, and the one place where results are rounded.
 * Rules: SDM Vol. 1 §4.2.2 (formats), §4.8.3.5 (NaN selection), §8.5 (exceptions). Where the SDM leaves a choice we
 * do what current processors were measured to do (tests/_x87_native.c).
 *
 * Operations write their result into a caller's {@linkcode Float80} and or their exceptions into {@linkcode FpEnv}.
 * An operation that raised an unmasked IE, DE or ZE leaves no meaningful result: the caller must not commit it.
 * @module
 */

/** Invalid operation; FSW and FCW mask bit. */
export const IE = 1 << 0;
/** Denormal operand. */
export const DE = 1 << 1;
/** Zero divide. */
export const ZE = 1 << 2;
/** Overflow. */
export const OE = 1 << 3;
/** Underflow. */
export const UE = 1 << 4;
/** Precision (inexact). */
export const PE = 1 << 5;
/** Stack fault (FSW only). */
export const SF = 1 << 6;
/** FSW condition codes. */
export const C0 = 1 << 8;
/** Rounded up; low quotient bit; stack overflow. */
export const C1 = 1 << 9;
/** Unordered; incomplete. */
export const C2 = 1 << 10;
/** Equal. */
export const C3 = 1 << 14;
/** Exceptions that are found before a result exists, so that an unmasked one keeps it from being written. */
export const PRE_FAULTS = IE | DE | ZE;

/** Precision control, FCW bits 9:8, as {@linkcode roundPack} takes it. */
export const PC_SINGLE = 0, PC_DOUBLE = 2, PC_EXTENDED = 3;
/** Rounding control, FCW bits 11:10. */
export const RC_NEAREST = 0, RC_DOWN = 1, RC_UP = 2, RC_ZERO = 3;

/** Largest biased exponent: infinities and NaNs. */
export const EXP_MAX = 0x7fff;
/** Exponent bias. */
export const BIAS = 0x3fff;
/** Sign bit in `se`. */
export const SIGN = 0x8000;
/** What is added to (underflow) or taken off (overflow) the exponent of an unmasked result; SDM Vol. 1 §8.5.4. */
const BIAS_ADJUST = 0x6000;
const J = 0x8000_0000; // explicit integer bit, in `hi`
const QUIET = 0x4000_0000; // quiet bit, in `hi`
const TWO32 = 4294967296;

/**
 * An 80-bit value: sign and exponent (u16), and the two halves of the significand (u32 each). The halves are kept
 * signed, which V8 stores without a box: reading and writing them costs 6 ns instead of 21.
 */
export class Float80 {
  se: number;
  #hi: number;
  #lo: number;
  constructor(se = 0, hi = 0, lo = 0) {
    this.se = se;
    this.#hi = hi | 0;
    this.#lo = lo | 0;
  }
  /** Upper half of the significand: integer bit, quiet bit, fraction. */
  get hi(): number {
    return this.#hi >>> 0;
  }
  set hi(value: number) {
    this.#hi = value | 0;
  }
  /** Lower half of the significand. */
  get lo(): number {
    return this.#lo >>> 0;
  }
  set lo(value: number) {
    this.#lo = value | 0;
  }
  /** Becomes the given value. */
  set(se: number, hi: number, lo: number): this {
    this.se = se;
    this.hi = hi;
    this.lo = lo;
    return this;
  }
  /** Becomes a copy. */
  copy(from: Float80): this {
    this.se = from.se;
    this.hi = from.hi;
    this.lo = from.lo;
    return this;
  }
}

/** Control in, exceptions out. */
export class FpEnv {
  /** FCW: masks, precision control, rounding control. */
  cw = 0x37f;
  /** IE..PE and C1, as in FSW; operations only ever add bits. */
  sw = 0;
}

/** What kind of operand an encoding is. Ordered: everything from QNaN on needs no arithmetic. */
export const Kind = {
  Zero: 0,
  Normal: 1,
  /** Pseudo-denormals too. */
  Denormal: 2,
  Infinity: 3,
  QNaN: 4,
  SNaN: 5,
  /** Unnormal, pseudo-infinity, pseudo-NaN. */
  Unsupported: 6,
} as const;
/** One of {@linkcode Kind}. */
export type Kind = typeof Kind[keyof typeof Kind];

/** Classifies an encoding. */
export function kindOf(a: Float80): Kind {
  const exp = a.se & EXP_MAX;
  if (exp === 0) return (a.hi | a.lo) === 0 ? Kind.Zero : Kind.Denormal;
  if (a.hi < J) return Kind.Unsupported;
  if (exp !== EXP_MAX) return Kind.Normal;
  if (a.hi === J && a.lo === 0) return Kind.Infinity;
  return (a.hi & QUIET) !== 0 ? Kind.QNaN : Kind.SNaN;
}

/** Real indefinite: what every masked invalid operation gives. */
export function defaultNaN(r: Float80): void {
  r.set(0xffff, 0xc000_0000, 0);
}

/** Raises IE; the masked response. */
export function invalid(r: Float80, env: FpEnv): void {
  env.sw |= IE;
  defaultNaN(r);
}

/** ±0. */
export function setZero(r: Float80, sign: number): void {
  r.set(sign, 0, 0);
}

/** ±infinity. */
export function setInfinity(r: Float80, sign: number): void {
  r.set(sign | EXP_MAX, J, 0);
}

/** Raises DE; true when it is unmasked and the operation must stop. */
export function denormal(env: FpEnv): boolean {
  env.sw |= DE;
  return (env.cw & DE) === 0;
}

/** The result of a one-operand operation when `a` is a NaN or unsupported; false when it is neither. */
export function nanResult1(r: Float80, a: Float80, kind: Kind, env: FpEnv): boolean {
  if (kind < Kind.QNaN) return false;
  if (kind === Kind.Unsupported) {
    invalid(r, env);
    return true;
  }
  if (kind === Kind.SNaN) env.sw |= IE;
  r.set(a.se, (a.hi | QUIET) >>> 0, a.lo);
  return true;
}

/** The same for two operands. The NaN chosen: quiet before signaling, then the larger significand. */
export function nanResult2(r: Float80, a: Float80, ka: Kind, b: Float80, kb: Kind, env: FpEnv): boolean {
  if (ka < Kind.QNaN && kb < Kind.QNaN) return false;
  if (ka === Kind.Unsupported || kb === Kind.Unsupported) {
    invalid(r, env);
    return true;
  }
  if (ka === Kind.SNaN || kb === Kind.SNaN) env.sw |= IE;
  let useA = kb < Kind.QNaN;
  if (ka >= Kind.QNaN && kb >= Kind.QNaN) {
    if (ka !== kb) useA = ka === Kind.QNaN;
    else if (a.hi !== b.hi) useA = a.hi > b.hi;
    else if (a.lo !== b.lo) useA = a.lo > b.lo;
    else useA = a.se < b.se;
  }
  const from = useA ? a : b;
  r.set(from.se, (from.hi | QUIET) >>> 0, from.lo);
  return true;
}

/**
 * The significand in hand: hi, lo, and the fraction below them, its lowest bit sticky. Operations leave their raw
 * result here for {@linkcode roundPack}: as arguments, u32 values would be boxed.
 */
export const W = new Uint32Array(3);

/** Sets {@linkcode W}. */
export function setW(hi: number, lo: number, ext: number): void {
  W[0] = hi;
  W[1] = lo;
  W[2] = ext;
}

/** Shifts W right by n >= 0; bits that fall off are remembered in the last one ("jamming"). */
export function shiftRightJam(n: number): void {
  let hi = W[0] as number;
  let lo = W[1] as number;
  let ext = W[2] as number;
  let sticky = 0;
  while (n >= 32) {
    if (n >= 128) n = 96 + (n & 31); // nothing is left after three words
    sticky |= ext;
    ext = lo;
    lo = hi;
    hi = 0;
    n -= 32;
  }
  if (n !== 0) {
    sticky |= ext << (32 - n);
    ext = (ext >>> n) | (lo << (32 - n));
    lo = (lo >>> n) | (hi << (32 - n));
    hi = hi >>> n;
  }
  W[0] = hi;
  W[1] = lo;
  W[2] = sticky !== 0 ? ext | 1 : ext;
}

/** What {@linkcode roundTo} did: something was dropped; the magnitude grew; it became 2.0 and is written as 1.0. */
const INEXACT = 1, ROUNDED_UP = 2, CARRIED = 4;

/** Rounds W to `pc` bits; W[2] is stale afterwards. */
function roundTo(negative: boolean, pc: number, rc: number): number {
  let hi = W[0] as number;
  let lo = W[1] as number;
  const ext = W[2] as number;
  let rest: number; // 0: exact, 1: below half, 2: half, 3: above half
  let odd: boolean;
  let unitLo = 1; // one unit in the last place
  let unitHi = 0;
  if (pc === PC_DOUBLE) {
    const tail = lo & 0x7ff;
    rest = (tail | ext) === 0 ? 0 : tail < 0x400 ? 1 : tail === 0x400 && ext === 0 ? 2 : 3;
    lo = (lo & ~0x7ff) >>> 0;
    odd = (lo & 0x800) !== 0;
    unitLo = 0x800;
  } else if (pc === PC_SINGLE) {
    const tail = hi & 0xff;
    const below = (lo | ext) !== 0;
    rest = tail === 0 && !below ? 0 : tail < 0x80 ? 1 : tail === 0x80 && !below ? 2 : 3;
    hi = (hi & ~0xff) >>> 0;
    lo = 0;
    odd = (hi & 0x100) !== 0;
    unitLo = 0;
    unitHi = 0x100;
  } else {
    rest = ext === 0 ? 0 : ext < J ? 1 : ext === J ? 2 : 3;
    odd = (lo & 1) !== 0;
  }
  let status = 0;
  if (rest !== 0) {
    status = INEXACT;
    const up = rc === RC_NEAREST
      ? rest === 3 || (rest === 2 && odd)
      : rc === RC_DOWN
      ? negative
      : rc === RC_UP && !negative;
    if (up) {
      status = INEXACT | ROUNDED_UP;
      lo += unitLo;
      if (lo >= TWO32) {
        lo = 0;
        hi += 1;
      }
      hi += unitHi;
      if (hi >= TWO32) {
        hi = J;
        status = INEXACT | ROUNDED_UP | CARRIED;
      }
    }
  }
  W[0] = hi;
  W[1] = lo;
  return status;
}

/** PE and C1 for a {@linkcode roundTo}. */
function raiseInexact(env: FpEnv, status: number): void {
  if (status !== 0) env.sw |= (status & ROUNDED_UP) !== 0 ? PE | C1 : PE;
}

/** FCW's precision control. The reserved encoding 1 acts as extended. */
export function precision(env: FpEnv): number {
  return (env.cw >>> 8) & 3;
}

/**
 * Rounds and packs ±W × 2^(exp - BIAS - 63), normalized (top bit of W[0] set), to precision `pc`. Handles overflow,
 * underflow and their unmasked forms.
 */
export function roundPack(r: Float80, sign: number, exp: number, env: FpEnv, pc: number): void {
  if (exp <= 0) return packTiny(r, sign, exp, env, pc);
  const rc = (env.cw >>> 10) & 3;
  const status = roundTo(sign !== 0, pc, rc);
  if (status !== 0) {
    if ((status & CARRIED) !== 0) exp++;
    if (exp < EXP_MAX) raiseInexact(env, status);
  }
  if (exp >= EXP_MAX) return packHuge(r, sign, exp, env, pc, status);
  r.se = sign | exp;
  r.hi = W[0] as number;
  r.lo = W[1] as number;
}

function packHuge(r: Float80, sign: number, exp: number, env: FpEnv, pc: number, status: number): void {
  const rc = (env.cw >>> 10) & 3;
  env.sw |= OE;
  if ((env.cw & OE) === 0) {
    exp -= BIAS_ADJUST;
    if (exp >= EXP_MAX) { // FSCALE only
      env.sw |= PE | C1;
      return setInfinity(r, sign);
    }
    raiseInexact(env, status);
    r.set(sign | exp, W[0] as number, W[1] as number);
    return;
  }
  env.sw |= PE;
  if (rc === RC_NEAREST || rc === (sign !== 0 ? RC_DOWN : RC_UP)) {
    env.sw |= C1;
    return setInfinity(r, sign);
  }
  env.sw &= ~C1;
  if (pc === PC_SINGLE) r.set(sign | 0x7ffe, 0xffff_ff00, 0);
  else r.set(sign | 0x7ffe, 0xffff_ffff, pc === PC_DOUBLE ? 0xffff_f800 : 0xffff_ffff);
}

function packTiny(r: Float80, sign: number, exp: number, env: FpEnv, pc: number): void {
  const rc = (env.cw >>> 10) & 3;
  const hi = W[0] as number, lo = W[1] as number, ext = W[2] as number;
  let status = roundTo(sign !== 0, pc, rc);
  const carry = (status & CARRIED) !== 0 ? 1 : 0;
  const tiny = exp < 0 || carry === 0; // after rounding, as if the exponent had no bounds
  if (tiny && (env.cw & UE) === 0) {
    env.sw |= UE;
    exp += BIAS_ADJUST + carry;
    if (exp <= 0) { // FSCALE only
      env.sw |= PE;
      return setZero(r, sign);
    }
    raiseInexact(env, status);
    r.set(sign | exp, W[0] as number, W[1] as number);
    return;
  }
  setW(hi, lo, ext);
  shiftRightJam(1 - exp);
  status = roundTo(sign !== 0, pc, rc);
  raiseInexact(env, status);
  if (tiny && status !== 0) env.sw |= UE;
  const top = W[0] as number;
  r.set(top >= J ? sign | 1 : sign, top, W[1] as number);
}

/** Like roundPack for a significand that may have leading zeros; all zero gives ±0. */
export function normRoundPack(r: Float80, sign: number, exp: number, env: FpEnv, pc: number): void {
  let hi = W[0] as number;
  if (hi < J) {
    let lo = W[1] as number;
    let ext = W[2] as number;
    if (hi === 0) {
      if ((lo | ext) === 0) return setZero(r, sign);
      exp -= 32;
      hi = lo;
      lo = ext;
      ext = 0;
      if (hi === 0) {
        exp -= 32;
        hi = lo;
        lo = 0;
      }
    }
    const n = Math.clz32(hi);
    if (n !== 0) {
      exp -= n;
      hi = (hi << n) | (lo >>> (32 - n));
      lo = (lo << n) | (ext >>> (32 - n));
      ext = ext << n;
    }
    W[0] = hi;
    W[1] = lo;
    W[2] = ext;
  }
  roundPack(r, sign, exp, env, pc);
}

/** Makes a nonzero operand's top bit set: W gets the significand (W[2] zero), the result is its (maybe negative) exponent. */
export function normalize(a: Float80): number {
  let exp = a.se & EXP_MAX;
  let hi = a.hi;
  let lo = a.lo;
  if (exp === 0) {
    exp = 1;
    if (hi === 0) {
      exp -= 32;
      hi = lo;
      lo = 0;
    }
    const n = Math.clz32(hi);
    if (n !== 0) {
      exp -= n;
      hi = (hi << n) | (lo >>> (32 - n));
      lo = lo << n;
    }
  }
  setW(hi, lo, 0);
  return exp;
}

/** The 64-bit significand as a bigint. */
export function significand(a: Float80): bigint {
  return (BigInt(a.hi) << 32n) | BigInt(a.lo);
}

/** The significand left in W by {@linkcode normalize}. */
export function normalized(): bigint {
  return (BigInt(W[0] as number) << 32n) | BigInt(W[1] as number);
}

/** Number of bits in a positive bigint. */
export function bitLength(v: bigint): number {
  const text = v.toString(16);
  return text.length * 4 - Math.clz32(parseInt(text.charAt(0), 16)) + 28;
}

/**
 * Rounds ±v × 2^scale (v > 0, `scale` counted from an unbiased 2^0) to 64 bits. `sticky`: the true value is a
 * little above v.
 */
export function roundBig(
  r: Float80,
  sign: number,
  v: bigint,
  scale: number,
  sticky: boolean,
  env: FpEnv,
  pc = PC_EXTENDED,
): void {
  const bits = bitLength(v);
  const drop = bits - 96;
  let top: bigint;
  if (drop > 0) {
    top = v >> BigInt(drop);
    if (!sticky && top << BigInt(drop) !== v) sticky = true;
  } else {
    top = v << BigInt(-drop);
  }
  const ext = Number(top & 0xffff_ffffn);
  setW(Number(top >> 64n), Number((top >> 32n) & 0xffff_ffffn), sticky ? ext | 1 : ext);
  roundPack(r, sign, scale + bits - 1 + BIAS, env, pc);
}
