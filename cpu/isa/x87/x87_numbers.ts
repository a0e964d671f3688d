// SPDX-License-Identifier: MIT
/**
 * Numbers of the x87 functions (./x87_function.ts): kinds, rounding as FCW says, and those in memory. A number is a
 * significand (i64) and sign with exponent (i32). Results have 64 more bits below (`ext`, the last one sticky) until
 * they are rounded.
 * @module
 */
import type { Variable } from "../../emit/emit.ts";
import {
  BIAS,
  C1,
  DE,
  EXP_MAX,
  OE,
  PC_DOUBLE,
  PC_SINGLE,
  PE,
  RC_DOWN,
  RC_NEAREST,
  RC_UP,
  SIGN,
  UE,
} from "../../fpu/float80.ts";
import {
  type Int,
  type Long,
  type Real,
  type RealVariable,
  X87_OPERAND,
  X87_RESULT,
  X87_STORE_SHIFT,
  X87Frame,
} from "./x87_frame.ts";

/** The integer bit of a significand. */
export const J: bigint = 1n << 63n;

/** See the module's description. */
export abstract class X87Numbers extends X87Frame {
  protected exponent(se: Int): Int {
    return this.b.and(32, se, this.b.i32(EXP_MAX));
  }
  protected sign(se: Int): Int {
    return this.b.and(32, se, this.b.i32(SIGN));
  }
  protected isZero({ se, significand }: Real): Int {
    const { b } = this;
    return b.eqz(64, b.or(64, significand, b.zeroExtend(32, 64, this.exponent(se))));
  }
  protected isNormal({ se, significand }: Real): Int {
    const { b } = this;
    const inside = b.ltU(32, b.sub(32, this.exponent(se), b.i32(1)), b.i32(EXP_MAX - 1));
    return b.and(32, inside, b.ltS(64, significand, b.i64(0)));
  }
  protected isInfinity({ se, significand }: Real): Int {
    const { b } = this;
    return b.and(32, this.is(this.exponent(se), EXP_MAX), b.eq(64, significand, b.i64(J)));
  }
  protected isQuietNaN({ se, significand }: Real): Int {
    const { b } = this;
    const quiet = b.eq(64, b.op("i64.shr_u", significand, b.i64(62)), b.i64(3));
    return b.and(32, this.is(this.exponent(se), EXP_MAX), quiet);
  }
  protected isOrdinary(value: Real): Int {
    return this.b.or(32, this.isNormal(value), this.isZero(value));
  }
  /** Others raise something, or are denormal. */
  protected needPlain(value: Real): void {
    const { b } = this;
    const isExtreme = b.or(32, this.isInfinity(value), this.isQuietNaN(value));
    this.need(b.or(32, this.isOrdinary(value), isExtreme));
  }
  protected needOrdinary(value: Real): void {
    this.need(this.isOrdinary(value));
  }
  protected select(condition: Int, a: Real, c: Real): Real {
    const { b } = this;
    return {
      se: b.select(condition, a.se, c.se),
      significand: b.select(condition, a.significand, c.significand),
    };
  }
  protected rounding(): Int {
    return this.bits(this.fcw, 10, 3);
  }
  /** Whether what is `ext` above a significand goes up in magnitude; ext is not 0. */
  protected goesUp(ext: Long, odd: Int, sign: Int): Int {
    const { b } = this, rc = this.rounding(), half = b.i64(J);
    const nearest = b.or(32, b.ltU(64, half, ext), b.and(32, b.eq(64, ext, half), odd));
    const directed = b.select(
      sign,
      this.is(rc, RC_DOWN),
      this.is(rc, RC_UP),
    );
    return b.select(this.is(rc, RC_NEAREST), nearest, directed);
  }
  /** Masked exceptions; unmasked ones are not for us. */
  protected raise(flags: Int): void {
    const { b } = this;
    this.need(b.eqz(32, b.and(32, flags, b.not(32, this.fcw))));
    b.set(this.newFsw, b.or(32, b.get(this.newFsw), flags));
  }
  /** An inexact result: PE, and C1 when it is `up`. */
  protected inexact(up: Int): void {
    const { b } = this;
    this.raise(b.i32(PE));
    b.set(this.newFsw, b.or(32, b.get(this.newFsw), b.select(up, b.i32(C1), b.i32(0))));
  }
  /**
   * Rounds to a significand without the last `drop` bits. `exp` may become larger by one. `ext` is used up.
   */
  protected round(
    significand: Variable<"i64">,
    exp: Variable<"i32">,
    ext: Variable<"i64">,
    drop: Int,
    sign: Int,
  ): void {
    const { b } = this;
    const wide = b.zeroExtend(32, 64, drop) as Long;
    b.if(drop, () => {
      const sticky = b.zeroExtend(32, 64, b.op("i64.ne", b.get(ext), b.i64(0))) as Long;
      const fallen = b.op("i64.shl", b.get(significand), b.sub(64, b.i64(64), wide));
      b.set(ext, b.or(64, fallen, sticky));
      const kept = b.op("i64.shl", b.op("i64.shr_u", b.get(significand), wide), wide);
      b.set(significand, kept);
    });
    b.if(b.op("i64.ne", b.get(ext), b.i64(0)), () => {
      const odd = b.and(32, b.op("i32.wrap_i64", b.op("i64.shr_u", b.get(significand), wide)), b.i32(1));
      const up = this.goesUp(b.get(ext), odd, sign);
      this.inexact(up);
      // Which way it goes no processor predicts.
      const step = b.op("i64.shl", b.zeroExtend(32, 64, up) as Long, wide);
      b.set(significand, b.add(64, b.get(significand), step));
      b.if(b.eqz(64, b.get(significand)), () => {
        b.set(significand, b.i64(J));
        b.set(exp, b.add(32, b.get(exp), b.i32(1)));
      });
    });
  }
  /** Bits of a significand that FCW's precision control drops. */
  protected dropped(): Int {
    const { b } = this, pc = this.bits(this.fcw, 8, 3);
    const single = b.select(this.is(pc, PC_SINGLE), b.i32(40), b.i32(0));
    return b.select(this.is(pc, PC_DOUBLE), b.i32(11), single);
  }

  // Memory operands

  protected raw(): Long {
    return this.b.state64(X87_OPERAND);
  }
  protected fromF32(into: RealVariable, loads = false): void {
    const { b } = this, v = b.op("i32.wrap_i64", this.raw());
    const exp = this.bits(v, 23, 0xff), fraction = b.and(32, v, b.i32(0x7f_ffff));
    const wide = b.op("i64.shl", b.zeroExtend(32, 64, fraction) as Long, b.i64(40));
    this.widen(into, this.sign(b.shrU(32, v, b.i32(16))), exp, wide, 0xff, BIAS - 127, loads);
  }
  protected fromF64(into: RealVariable, loads = false): void {
    const { b } = this, v = this.raw();
    const high = b.op("i32.wrap_i64", b.op("i64.shr_u", v, b.i64(32)));
    const wide = b.and(64, b.op("i64.shl", v, b.i64(11)), b.i64(J - 1n));
    this.widen(
      into,
      this.sign(b.shrU(32, high, b.i32(16))),
      this.bits(high, 20, 0x7ff),
      wide,
      0x7ff,
      BIAS - 1023,
      loads,
    );
  }
  /** `fraction`: below the integer bit. Signaling NaNs fail, and denormals unless FLD `loads` them. */
  protected widen(
    into: RealVariable,
    sign: Int,
    exp: Int,
    fraction: Long,
    most: number,
    bias: number,
    loads: boolean,
  ): void {
    const { b } = this;
    b.if(exp, () => {
      const isExtreme = this.is(exp, most), quiet = b.op("i64.shr_u", fraction, b.i64(62));
      const isPlain = b.or(32, b.eqz(64, fraction), b.op("i32.wrap_i64", quiet));
      this.need(b.or(32, b.eqz(32, isExtreme), isPlain));
      b.set(into.se, b.or(32, sign, b.select(isExtreme, b.i32(EXP_MAX), b.add(32, exp, b.i32(bias)))));
      b.set(into.significand, b.or(64, fraction, b.i64(J)));
    }, () => {
      b.set(into.se, sign);
      b.set(into.significand, b.i64(0));
      b.if(b.op("i64.ne", fraction, b.i64(0)), () => {
        if (!loads) return this.fail();
        this.raise(b.i32(DE));
        const zeros = b.op("i64.clz", fraction);
        b.set(into.se, b.or(32, sign, b.sub(32, b.i32(bias + 1), b.op("i32.wrap_i64", zeros))));
        b.set(into.significand, b.op("i64.shl", fraction, zeros));
      });
    });
  }
  /** FST and FSTP of a number of fewer bits. */
  protected storeReal(bytes: 4 | 8, pops: 0 | 1): void {
    const { b } = this;
    const from = this.st(0), sign = this.sign(from.se);
    const [drop, bias, most] = bytes === 4 ? [40, 127, 0xff] as const : [11, 1023, 0x7ff] as const;
    const bits = b.variable(b.i64(0)), exp = b.variable(b.i32(0));
    const setFraction = (significand: Long) =>
      b.set(bits, b.op("i64.shr_u", b.op("i64.shl", significand, b.i64(1)), b.i64(drop + 1)));
    b.if(this.isNormal(from), () => {
      const significand = b.variable(from.significand), ext = b.variable(b.i64(0));
      b.set(exp, b.sub(32, this.exponent(from.se), b.i32(BIAS - bias)));
      b.if(b.op("i32.gt_s", b.get(exp), b.i32(0)), () => {
        this.round(significand, exp, ext, b.i32(drop), sign);
        setFraction(b.get(significand));
        b.if(b.op("i32.ge_s", b.get(exp), b.i32(most)), () => {
          b.set(this.newFsw, b.and(32, b.get(this.newFsw), b.i32(~C1)));
          this.raise(b.i32(OE | PE));
          const toInfinity = this.goesUp(b.i64(-1), b.i32(0), sign);
          b.set(this.newFsw, b.or(32, b.get(this.newFsw), b.select(toInfinity, b.i32(C1), b.i32(0))));
          b.set(exp, b.add(32, b.i32(most - 1), toInfinity));
          setFraction(b.select(toInfinity, b.i64(J), b.i64(-1)));
        });
      }, () => {
        b.set(bits, this.denormal(from.significand, b.get(exp), drop, sign));
        b.set(exp, b.i32(0));
      });
    }, () => {
      this.needPlain(from);
      b.if(this.exponent(from.se), () => {
        b.set(exp, b.i32(most));
        setFraction(from.significand);
      });
    });
    const at = bytes === 4 ? 23 : 52;
    const upper = b.or(32, b.get(exp), b.shrU(32, sign, b.i32(15 - (bytes * 8 - 1 - at))));
    b.setState64(
      X87_RESULT,
      b.or(64, b.get(bits), b.op("i64.shl", b.zeroExtend(32, 64, upper) as Long, b.i64(at))),
    );
    if (pops === 1) this.pop(1);
    this.finish(bytes << X87_STORE_SHIFT);
  }
  /** Exponent, which is 0 or 1, and fraction of a number that has `exp`, 0 or less, in a format without `drop` bits. */
  protected denormal(significand: Long, exp: Int, drop: number, sign: Int): Long {
    const { b } = this;
    // where it would have rounded to 1 with more bits it is not tiny
    const kept = b.op("i64.shr_u", significand, b.i64(drop));
    this.need(b.or(32, exp, b.op("i64.ne", kept, b.i64((1n << BigInt(64 - drop)) - 1n))));
    this.need(b.bit(this.fcw, 4)); // unmasked, even an exact one is none of ours
    const places = b.sub(32, b.i32(drop + 1), exp), isFar = b.op("i32.gt_u", places, b.i32(64));
    const by = b.zeroExtend(32, 64, places) as Long;
    const moved = b.select(
      isFar,
      b.i64(0),
      b.op("i64.shr_u", b.op("i64.shr_u", significand, b.i64(1)), b.sub(64, by, b.i64(1))),
    );
    const result = b.variable(moved);
    const ext = b.select(isFar, b.i64(1), b.op("i64.shl", significand, b.sub(64, b.i64(64), by)));
    b.if(b.op("i64.ne", ext, b.i64(0)), () => {
      const up = this.goesUp(ext, b.and(32, b.op("i32.wrap_i64", moved), b.i32(1)), sign);
      this.raise(b.i32(UE));
      this.inexact(up);
      b.set(result, b.add(64, moved, b.zeroExtend(32, 64, up) as Long));
    });
    return b.get(result);
  }
  protected fromInteger(into: RealVariable, bytes: 2 | 4 | 8): void {
    const { b } = this;
    const v = bytes === 8 ? this.raw() : b.op(bytes === 4 ? "i64.extend32_s" : "i64.extend16_s", this.raw());
    const negative = b.ltS(64, v, b.i64(0));
    const magnitude = b.select(negative, b.sub(64, b.i64(0), v), v);
    this.normalize(into, b.select(negative, b.i32(SIGN), b.i32(0)), magnitude);
  }
  /** ±magnitude. */
  protected normalize(into: RealVariable, sign: Int, magnitude: Long): void {
    const { b } = this, zeros = b.op("i64.clz", magnitude);
    const exp = b.sub(32, b.i32(BIAS + 63), b.op("i32.wrap_i64", zeros));
    b.set(into.se, b.or(32, sign, b.select(b.eqz(64, magnitude), b.i32(0), exp)));
    b.set(into.significand, b.op("i64.shl", magnitude, zeros));
  }
}
