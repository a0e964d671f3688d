// SPDX-License-Identifier: MIT
/**
 * Fused multiply-add and the conversions of binary16, bit by bit like ./soft_float.ts. SDM Vol. 1 §14.5.2 (FMA: one
 * rounding, NaNs in the order of the factors and the term), Vol. 2 VCVTPH2PS (denormals are exact and raise nothing, DAZ
 * or not) and VCVTPS2PH (FTZ does not count).
 * @module
 */
import { IE, MXCSR_FTZ, RC_DOWN, type SseEnv } from "./mxcsr.ts";
import {
  convert,
  exponentOf,
  type Format,
  format,
  isNaN,
  isSignaling,
  magnitude,
  noteDenormal,
  operand,
  round,
  significandOf,
  SINGLE,
} from "./soft_float.ts";

/** binary16. */
export const HALF: Format = format(16, 11);

/** Which of the product and the third operand is taken with the other sign. */
export interface FusedSigns {
  readonly product: boolean;
  readonly term: boolean;
}

/** ±(x × y) ± z. */
export function fusedMultiplyAdd(
  f: Format,
  env: SseEnv,
  operands: readonly [x: bigint, y: bigint, z: bigint],
  signs: FusedSigns,
): bigint {
  const [x, y, z] = operands.map((value) => operand(f, env, value)) as [bigint, bigint, bigint];
  const nan = [x, y, z].find((value) => isNaN(f, value));
  if (nan !== undefined) {
    if ([x, y, z].some((value) => isSignaling(f, value))) env.raised |= IE;
    return nan | f.quiet;
  }
  const [mx, my, mz] = [x, y, z].map((value) => magnitude(f, value)) as [bigint, bigint, bigint];
  const negative = ((x ^ y) & f.sign) !== 0n !== signs.product,
    negativeTerm = (z & f.sign) !== 0n !== signs.term;
  const infinite = mx === f.infinity || my === f.infinity;
  if (
    (infinite && (mx === 0n || my === 0n)) || (infinite && mz === f.infinity && negative !== negativeTerm)
  ) {
    env.raised |= IE;
    return f.indefinite;
  }
  for (const value of [x, y, z]) noteDenormal(f, env, value);
  const signOf = (isNegative: boolean) => isNegative ? f.sign : 0n;
  if (infinite) return signOf(negative) | f.infinity;
  if (mz === f.infinity) return signOf(negativeTerm) | f.infinity;
  const product = significandOf(f, x) * significandOf(f, y), term = significandOf(f, z);
  const zero = () => negative === negativeTerm ? signOf(negative) : signOf(env.rounding === RC_DOWN);
  if (product === 0n && term === 0n) return zero();
  const exponent = exponentOf(f, x) + exponentOf(f, y);
  if (product === 0n) return round(f, env, negativeTerm, term, exponentOf(f, z));
  if (term === 0n) return round(f, env, negative, product, exponent);
  const last = Math.min(exponent, exponentOf(f, z));
  const high = product << BigInt(exponent - last), low = term << BigInt(exponentOf(f, z) - last);
  const sum = (negative ? -high : high) + (negativeTerm ? -low : low);
  if (sum === 0n) return signOf(env.rounding === RC_DOWN);
  return roundLong(f, env, sum < 0n, sum < 0n ? -sum : sum, last);
}

/** `round` of a significand of any length: what is far below the last place only has to be there. */
function roundLong(f: Format, env: SseEnv, negative: boolean, significand: bigint, exponent: number): bigint {
  const spare = BigInt(4 * significand.toString(16).length - 4 * f.precision);
  if (spare <= 0n) return round(f, env, negative, significand, exponent);
  const kept = significand >> spare;
  const sticky = kept << spare === significand ? 0n : 1n;
  return round(f, env, negative, (kept << 1n) | sticky, exponent + Number(spare) - 1);
}

/** binary16 to binary32. */
export function fromHalf(env: SseEnv, value: bigint): bigint {
  const before = env.raised, { mxcsr } = env;
  env.mxcsr = mxcsr & ~(1 << 6); // DAZ
  const result = convert(HALF, SINGLE, env, value);
  env.mxcsr = mxcsr;
  env.raised = before | (env.raised & IE);
  return result;
}
/** binary32 to binary16. */
export function toHalf(env: SseEnv, value: bigint): bigint {
  const { mxcsr } = env;
  env.mxcsr = mxcsr & ~MXCSR_FTZ;
  const result = convert(SINGLE, HALF, env, value);
  env.mxcsr = mxcsr;
  return result;
}
