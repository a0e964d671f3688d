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
  EXP_MAX,
  PC_DOUBLE,
  PC_SINGLE,
  PE,
  RC_DOWN,
  RC_NEAREST,
  RC_UP,
  SIGN,
} from "../../fpu/float80.ts";
import { type Int, type Long, type Real, type RealVariable, X87_OPERAND, X87Frame } from "./x87_frame.ts";

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
  protected needOrdinary(value: Real): void {
    this.need(this.b.or(32, this.isNormal(value), this.isZero(value)));
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
  /** An inexact result: PE, and C1 when it is `up`. */
  protected inexact(up: Int): void {
    const { b } = this;
    this.need(b.bit(this.fcw, 5)); // an unmasked one is not for us
    const codes = b.select(up, b.i32(PE | C1), b.i32(PE));
    b.set(this.newFsw, b.or(32, b.get(this.newFsw), codes));
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
  protected fromF32(into: RealVariable): void {
    const { b } = this, v = b.op("i32.wrap_i64", this.raw());
    const exp = this.bits(v, 23, 0xff), fraction = b.and(32, v, b.i32(0x7f_ffff));
    const wide = b.op("i64.shl", b.zeroExtend(32, 64, fraction) as Long, b.i64(40));
    this.widen(into, this.sign(b.shrU(32, v, b.i32(16))), exp, wide, 0xff, BIAS - 127);
  }
  protected fromF64(into: RealVariable): void {
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
    );
  }
  /** `fraction`: below the integer bit. Infinities, NaNs and denormals fail. */
  protected widen(into: RealVariable, sign: Int, exp: Int, fraction: Long, most: number, bias: number): void {
    const { b } = this;
    b.if(exp, () => {
      this.need(b.op("i32.ne", exp, b.i32(most)));
      b.set(into.se, b.or(32, sign, b.add(32, exp, b.i32(bias))));
      b.set(into.significand, b.or(64, fraction, b.i64(J)));
    }, () => {
      this.need(b.eqz(64, fraction));
      b.set(into.se, sign);
      b.set(into.significand, b.i64(0));
    });
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
