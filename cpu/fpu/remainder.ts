// SPDX-License-Identifier: MIT
/**
 * FPREM, FPREM1, FRNDINT, FSCALE, FXTRACT on {@linkcode Float80}. None of them heeds precision control.
 * Rules: the instructions' pages in SDM Vol. 2A.
 * @module
 */
import {
  BIAS,
  C0,
  C1,
  C2,
  C3,
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
  RC_DOWN,
  RC_NEAREST,
  RC_UP,
  roundBig,
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

/** What {@linkcode rem} returns when the result is a NaN: C2 is cleared, the other codes stay. */
export const NO_QUOTIENT = -1;

/**
 * One FPREM (`nearest` false: truncated quotient) or FPREM1 (`nearest`: quotient rounded to nearest even) step,
 * r = a rem b. Returns the condition codes: C2 when the reduction is partial, else the quotient's low three bits in
 * C0, C3, C1. Exponents 64 or more apart are reduced by 32 to 63 bits a step.
 */
export function rem(r: Float80, a: Float80, b: Float80, nearest: boolean, env: FpEnv): number {
  const ka = kindOf(a);
  const kb = kindOf(b);
  if (nanResult2(r, a, ka, b, kb, env)) return NO_QUOTIENT;
  if (ka === Kind.Infinity || kb === Kind.Zero) {
    invalid(r, env);
    return NO_QUOTIENT;
  }
  if ((ka === Kind.Denormal || kb === Kind.Denormal) && denormal(env)) return NO_QUOTIENT;
  if (ka === Kind.Zero) {
    r.copy(a);
    return 0;
  }
  const sign = a.se & SIGN;
  const ea = normalize(a);
  const ma = normalized();
  if (kb === Kind.Infinity) {
    roundPack(r, sign, ea, env, PC_EXTENDED);
    return 0;
  }
  const eb = normalize(b);
  const mb = normalized();
  const distance = ea - eb;
  if (distance < -1 || (distance < 0 && !nearest)) {
    normalize(a);
    roundPack(r, sign, ea, env, PC_EXTENDED);
    return 0;
  }
  if (distance >= 64) {
    const bits = (distance & 31) | 32;
    const rest = (ma << BigInt(bits)) % mb;
    if (rest === 0n) setZero(r, sign);
    else roundBig(r, sign, rest, eb - BIAS - 63 + distance - bits, false, env);
    return C2;
  }
  // In units of half of b's last place, so that distance -1 stays integral.
  const scaled = ma << BigInt(distance + 1);
  const unit = mb << 1n;
  let quotient = scaled / unit;
  let rest = scaled - quotient * unit;
  let resultSign = sign;
  if (nearest) {
    const twice = rest << 1n;
    if (twice > unit || (twice === unit && (quotient & 1n) !== 0n)) {
      quotient++;
      rest = unit - rest;
      resultSign ^= SIGN;
    }
  }
  if (rest === 0n) setZero(r, sign);
  else roundBig(r, resultSign, rest, eb - BIAS - 64, false, env);
  const q = Number(quotient & 7n);
  return ((q & 4) !== 0 ? C0 : 0) | ((q & 2) !== 0 ? C3 : 0) | ((q & 1) !== 0 ? C1 : 0);
}

/**
 * Splits |a| (finite, nonzero) rounded to an integer by `rc`: W gets the u64, the result is 0 exact, 1 inexact,
 * 3 inexact and rounded up in magnitude; -1 when it needs more than 64 bits.
 */
export function roundToInteger(a: Float80, rc: number): number {
  const shift = BIAS + 63 - ((a.se & EXP_MAX) || 1);
  if (shift < 0) return -1;
  setW(a.hi, a.lo, 0);
  shiftRightJam(shift);
  const ext = W[2] as number;
  if (ext === 0) return 0;
  const negative = (a.se & SIGN) !== 0;
  const up = rc === RC_NEAREST
    ? ext > 0x8000_0000 || (ext === 0x8000_0000 && ((W[1] as number) & 1) !== 0)
    : rc === RC_DOWN
    ? negative
    : rc === RC_UP && !negative;
  if (!up) return 1;
  const lo = (W[1] as number) + 1; // shift >= 1, so hi cannot overflow
  W[1] = lo;
  if (lo >= TWO32) W[0] = (W[0] as number) + 1;
  return 3;
}

/** FRNDINT: r = a rounded to an integer by FCW's rounding control. */
export function rint(r: Float80, a: Float80, env: FpEnv): void {
  const kind = kindOf(a);
  if (nanResult1(r, a, kind, env)) return;
  if (kind === Kind.Denormal && denormal(env)) return;
  const status = kind === Kind.Zero || kind === Kind.Infinity ? -1 : roundToInteger(a, (env.cw >>> 10) & 3);
  if (status <= 0) {
    r.copy(a);
    return;
  }
  env.sw |= status === 3 ? PE | C1 : PE;
  const sign = a.se & SIGN;
  W[2] = 0;
  normRoundPack(r, sign, BIAS + 63, env, PC_EXTENDED);
}

/** FSCALE: r = a × 2^trunc(b). */
export function scale(r: Float80, a: Float80, b: Float80, env: FpEnv): void {
  const ka = kindOf(a);
  const kb = kindOf(b);
  if (nanResult2(r, a, ka, b, kb, env)) return;
  const sign = a.se & SIGN;
  const down = (b.se & SIGN) !== 0;
  if (kb === Kind.Infinity && ((ka === Kind.Zero && !down) || (ka === Kind.Infinity && down))) {
    return invalid(r, env);
  }
  if ((ka === Kind.Denormal || kb === Kind.Denormal) && denormal(env)) return;
  if (kb === Kind.Infinity) return down ? setZero(r, sign) : setInfinity(r, sign);
  if (ka === Kind.Zero || ka === Kind.Infinity) {
    r.copy(a);
    return;
  }
  const eb = (b.se & EXP_MAX) - BIAS;
  let steps = 0;
  if (eb >= 17) steps = 0x1_ffff; // beyond any exponent
  else if (eb >= 0) steps = b.hi >>> (31 - eb);
  const exp = normalize(a) + (down ? -steps : steps);
  roundPack(r, sign, exp, env, PC_EXTENDED);
}

/** FXTRACT: `exponent` gets a's unbiased exponent, `mantissa` a scaled into [1, 2). */
export function extract(exponent: Float80, mantissa: Float80, a: Float80, env: FpEnv): void {
  const kind = kindOf(a);
  const sign = a.se & SIGN;
  if (nanResult1(mantissa, a, kind, env)) {
    exponent.copy(mantissa);
    return;
  }
  if (kind === Kind.Zero) {
    env.sw |= ZE;
    mantissa.copy(a);
    return setInfinity(exponent, SIGN);
  }
  if (kind === Kind.Infinity) {
    mantissa.copy(a);
    return setInfinity(exponent, 0);
  }
  if (kind === Kind.Denormal && denormal(env)) return;
  const unbiased = normalize(a) - BIAS;
  mantissa.set(sign | BIAS, W[0] as number, W[1] as number);
  setW(Math.abs(unbiased), 0, 0);
  normRoundPack(exponent, unbiased < 0 ? SIGN : 0, BIAS + 31, env, PC_EXTENDED);
}
