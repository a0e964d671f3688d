// SPDX-License-Identifier: MIT
/**
 * Conversions between {@linkcode Float80} and what instructions have in memory: f32, f64, i16, i32, i64, packed
 * BCD, little-endian in a DataView. Rules: SDM Vol. 1 §4.2, §4.7, §8.2.
 *
 * Stores return false when an unmasked exception keeps the memory from being written.
 * @module
 */
import {
  BIAS,
  C1,
  EXP_MAX,
  type Float80,
  type FpEnv,
  IE,
  Kind,
  kindOf,
  OE,
  PE,
  RC_DOWN,
  RC_NEAREST,
  RC_UP,
  RC_ZERO,
  setW,
  setZero,
  shiftRightJam,
  SIGN,
  UE,
  W,
} from "./float80.ts";
import { roundToInteger } from "./remainder.ts";

const TWO32 = 4294967296;
const J = 0x8000_0000;

/** r = the f32 at `at`, exactly, signaling NaNs included. True when it was a denormal, which r does not show. */
export function widenF32(r: Float80, view: DataView, at: number): boolean {
  const v = view.getUint32(at, true);
  const sign = (v >>> 16) & SIGN;
  const exp = (v >>> 23) & 0xff;
  const fraction = v & 0x7f_ffff;
  if (exp === 0) {
    if (fraction === 0) {
      setZero(r, sign);
      return false;
    }
    const n = Math.clz32(fraction);
    r.set(sign | (BIAS - 118 - n), (fraction << n) >>> 0, 0);
    return true;
  }
  r.set(sign | (exp === 0xff ? EXP_MAX : exp + BIAS - 127), (J | (fraction << 8)) >>> 0, 0);
  return false;
}

/** The same for the f64 at `at`. */
export function widenF64(r: Float80, view: DataView, at: number): boolean {
  const low = view.getUint32(at, true);
  const high = view.getUint32(at + 4, true);
  const sign = (high >>> 16) & SIGN;
  const exp = (high >>> 20) & 0x7ff;
  if (exp === 0) {
    const top = high & 0xf_ffff;
    if ((top | low) === 0) {
      setZero(r, sign);
      return false;
    }
    fromU64(r, sign, top, low);
    r.se -= 1074;
    return true;
  }
  r.se = sign | (exp === 0x7ff ? EXP_MAX : exp + BIAS - 1023);
  r.hi = (J | (high << 11) | (low >>> 21)) >>> 0;
  r.lo = (low << 11) >>> 0;
  return false;
}

/** r = an i16 or i32. */
export function fromI32(r: Float80, v: number): void {
  if (v === 0) return setZero(r, 0);
  const sign = v < 0 ? SIGN : 0;
  const magnitude = Math.abs(v);
  const n = Math.clz32(magnitude);
  r.set(sign | (BIAS + 31 - n), (magnitude << n) >>> 0, 0);
}

/** r = ±hi:lo. */
function fromU64(r: Float80, sign: number, hi: number, lo: number): void {
  if (hi === 0) {
    if (lo === 0) return setZero(r, sign);
    const n = Math.clz32(lo);
    r.set(sign | (BIAS + 31 - n), (lo << n) >>> 0, 0);
    return;
  }
  const n = Math.clz32(hi);
  if (n === 0) r.set(sign | (BIAS + 63), hi, lo);
  else r.set(sign | (BIAS + 63 - n), ((hi << n) | (lo >>> (32 - n))) >>> 0, (lo << n) >>> 0);
}

/** r = the i64 at `at`. */
export function fromI64(r: Float80, view: DataView, at: number): void {
  let lo = view.getUint32(at, true);
  let hi = view.getUint32(at + 4, true);
  const sign = (hi >>> 16) & SIGN;
  if (sign !== 0) {
    lo = (-lo) >>> 0;
    hi = (~hi + (lo === 0 ? 1 : 0)) >>> 0;
  }
  fromU64(r, sign, hi, lo);
}

/** r = the packed BCD at `at` (10 bytes). Digits above 9 count as what they are. */
export function fromBcd(r: Float80, view: DataView, at: number): void {
  let high = 0; // nine decimal digits each
  let low = 0;
  for (let digit = 17; digit >= 0; digit--) {
    const d = (view.getUint8(at + (digit >> 1)) >>> ((digit & 1) << 2)) & 15;
    if (digit >= 9) high = high * 10 + d;
    else low = low * 10 + d;
  }
  const sum = BigInt(high) * 1_000_000_000n + BigInt(low);
  const sign = (view.getUint8(at + 9) & 0x80) !== 0 ? SIGN : 0;
  fromU64(r, sign, Number(sum >> 32n), Number(sum & 0xffff_ffffn));
}

/** What distinguishes the two narrower formats. */
interface Narrow {
  readonly bias: number;
  readonly maxExp: number;
  /** Significand bits, integer bit included, counted from the top of 64. */
  readonly bits: number;
  write(view: DataView, at: number, sign: number, exp: number, hi: number, lo: number): void;
}

const F32: Narrow = {
  bias: 127,
  maxExp: 0xff,
  bits: 24,
  write(view, at, sign, exp, hi) {
    view.setUint32(at, ((sign << 16) | (exp << 23) | ((hi >>> 8) & 0x7f_ffff)) >>> 0, true);
  },
};

const F64: Narrow = {
  bias: 1023,
  maxExp: 0x7ff,
  bits: 53,
  write(view, at, sign, exp, hi, lo) {
    view.setUint32(at + 4, ((sign << 16) | (exp << 20) | ((hi >>> 11) & 0xf_ffff)) >>> 0, true);
    view.setUint32(at, ((hi << 21) | (lo >>> 11)) >>> 0, true);
  },
};

/** Stores a as f32. */
export function toF32(a: Float80, view: DataView, at: number, env: FpEnv): boolean {
  return narrow(F32, a, view, at, env);
}

/** Stores a as f64. */
export function toF64(a: Float80, view: DataView, at: number, env: FpEnv): boolean {
  const exp = (a.se & EXP_MAX) - BIAS + 1023;
  if (a.hi >= J && exp > 0 && exp < 0x7ff && (a.lo & 0x7ff) === 0) { // exact: needs no rounding
    F64.write(view, at, a.se & SIGN, exp, a.hi, a.lo);
    return true;
  }
  return narrow(F64, a, view, at, env);
}

function narrow(format: Narrow, a: Float80, view: DataView, at: number, env: FpEnv): boolean {
  const sign = a.se & SIGN;
  const kind = kindOf(a);
  if (kind === Kind.Zero) {
    format.write(view, at, sign, 0, 0, 0);
    return true;
  }
  if (kind === Kind.Infinity) {
    format.write(view, at, sign, format.maxExp, J, 0);
    return true;
  }
  if (kind >= Kind.QNaN) {
    if (kind !== Kind.QNaN) env.sw |= IE;
    if ((env.sw & IE & ~env.cw) !== 0) return false;
    if (kind === Kind.Unsupported) format.write(view, at, SIGN, format.maxExp, 0xc000_0000, 0);
    else format.write(view, at, sign, format.maxExp, a.hi | 0x4000_0000, a.lo);
    return true;
  }
  const rc = (env.cw >>> 10) & 3;
  let exp = ((a.se & EXP_MAX) || 1) - BIAS + format.bias; // extended denormals are tiny here in any case
  let status = roundAt(a.hi, a.lo, format.bits, sign !== 0, rc);
  let carry = status & 4;
  const tiny = exp < 0 || (exp === 0 && carry === 0);
  if (tiny) {
    if ((env.cw & UE) === 0) {
      env.sw |= UE;
      return false;
    }
    setW(a.hi, a.lo, 0);
    shiftRightJam(1 - exp);
    const sticky = W[2] !== 0 ? 1 : 0; // far below the format's last bit, so it may go into bit 0
    status = roundAt(W[0] as number, ((W[1] as number) | sticky) >>> 0, format.bits, sign !== 0, rc);
    carry = 0;
    exp = (W[0] as number) >= J ? 1 : 0;
    if ((status & 1) !== 0) env.sw |= UE;
  }
  if (carry !== 0) exp++;
  if (exp >= format.maxExp) {
    env.sw |= OE;
    if ((env.cw & OE) === 0) return false;
    env.sw |= PE;
    if (rc === RC_NEAREST || rc === (sign !== 0 ? RC_DOWN : RC_UP)) {
      env.sw |= C1;
      format.write(view, at, sign, format.maxExp, 0, 0);
    } else {
      format.write(view, at, sign, format.maxExp - 1, 0xffff_ffff, 0xffff_ffff);
    }
    return true;
  }
  if ((status & 1) !== 0) env.sw |= (status & 2) !== 0 ? PE | C1 : PE;
  format.write(view, at, sign, exp, W[0] as number, W[1] as number);
  return true;
}

/** Rounds hi:lo to its top `bits` into W. Result: bit 0 inexact, bit 1 rounded up, bit 2 carried into the exponent. */
function roundAt(hi: number, lo: number, bits: number, negative: boolean, rc: number): number {
  const single = bits === 24;
  const unit = single ? 0x100 : 0x800;
  const tail = single ? hi & 0xff : lo & 0x7ff;
  const below = single ? lo !== 0 : false;
  const kept = ((single ? hi : lo) - tail) >>> 0;
  let status = 0;
  let sum = kept;
  if (tail !== 0 || below) {
    status = 1;
    const half = unit >>> 1;
    const up = rc === RC_NEAREST
      ? tail > half || (tail === half && (below || (kept & unit) !== 0))
      : rc === RC_DOWN
      ? negative
      : rc === RC_UP && !negative;
    if (up) {
      status = 3;
      sum += unit;
    }
  }
  let top = hi;
  if (single) {
    top = sum;
    lo = 0;
  } else {
    lo = sum;
    if (sum >= TWO32) {
      lo = 0;
      top++;
    }
  }
  if (top >= TWO32) {
    top = J;
    status |= 4;
  }
  W[0] = top;
  W[1] = lo;
  return status;
}

/** Stores a as a signed integer of `bytes`; `truncate` as FISTTP. Out of range: IE and the integer indefinite. */
export function toInteger(
  a: Float80,
  bytes: 2 | 4 | 8,
  view: DataView,
  at: number,
  truncate: boolean,
  env: FpEnv,
): boolean {
  const kind = kindOf(a);
  let status = 0;
  let hi = 0;
  let lo = 0;
  if (kind !== Kind.Zero) {
    status = kind >= Kind.Infinity ? -1 : roundToInteger(a, truncate ? RC_ZERO : (env.cw >>> 10) & 3);
    hi = W[0] as number;
    lo = W[1] as number;
  }
  const negative = (a.se & SIGN) !== 0;
  const most = 2 ** (bytes === 8 ? 31 : bytes * 8 - 1); // of the top word
  const word = bytes === 8 ? hi : lo;
  const inRange = status >= 0 && (bytes === 8 || hi === 0) &&
    (word < most || (negative && word === most && (bytes < 8 || lo === 0)));
  if (!inRange) {
    env.sw |= IE;
    if ((env.cw & IE) === 0) return false;
    hi = J;
    lo = bytes === 8 ? 0 : most;
  } else {
    if (status > 0) env.sw |= status === 3 ? PE | C1 : PE;
    if (negative) {
      lo = (-lo) >>> 0;
      hi = (~hi + (lo === 0 ? 1 : 0)) >>> 0;
    }
  }
  if (bytes === 2) view.setUint16(at, lo & 0xffff, true);
  else view.setUint32(at, lo, true);
  if (bytes === 8) view.setUint32(at + 4, hi, true);
  return true;
}

const BCD_LIMIT = 1_000_000_000_000_000_000n;

/** Stores a as packed BCD. Out of range: IE and the packed BCD indefinite. */
export function toBcd(a: Float80, view: DataView, at: number, env: FpEnv): boolean {
  const kind = kindOf(a);
  let status = 0;
  let rest = 0n;
  if (kind !== Kind.Zero) {
    status = kind >= Kind.Infinity ? -1 : roundToInteger(a, (env.cw >>> 10) & 3);
    rest = (BigInt(W[0] as number) << 32n) | BigInt(W[1] as number);
  }
  if (status < 0 || rest >= BCD_LIMIT) {
    env.sw |= IE;
    if ((env.cw & IE) === 0) return false;
    view.setUint32(at, 0, true);
    view.setUint32(at + 4, 0xc000_0000, true);
    view.setUint16(at + 8, 0xffff, true);
    return true;
  }
  if (status > 0) env.sw |= status === 3 ? PE | C1 : PE;
  let low = Number(rest % 1_000_000_000n);
  let high = Number(rest / 1_000_000_000n);
  view.setUint8(at + 9, (a.se & SIGN) >>> 8);
  let previous = 0;
  for (let digit = 0; digit < 18; digit++) {
    const d = digit < 9 ? low % 10 : high % 10;
    if (digit < 9) low = Math.floor(low / 10);
    else high = Math.floor(high / 10);
    if ((digit & 1) === 0) previous = d;
    else view.setUint8(at + (digit >> 1), (d << 4) | previous);
  }
  return true;
}
