// SPDX-License-Identifier: MIT
/**
 * Arithmetic of the x87 functions (./x87_function.ts): sums, products and quotients of normal numbers and zeros, before
 * they are rounded, and their order.
 * @module
 */
import type { Variable } from "../../emit/emit.ts";
import { highUnsigned } from "../../emit/flags.ts";
import { BIAS, RC_DOWN, SIGN } from "../../fpu/float80.ts";
import type { Int, Long, Real, RealVariable } from "./x87_frame.ts";
import { J, X87Numbers } from "./x87_numbers.ts";

/** See the module's description. */
export abstract class X87Arithmetic extends X87Numbers {
  /** -1, 0 or 1 for less, equal, greater. */
  protected order(a: Real, c: Real): Int {
    const { b } = this;
    const ea = this.exponent(a.se), ec = this.exponent(c.se);
    const sameExponent = b.eq(32, ea, ec);
    const smaller = b.select(sameExponent, b.ltU(64, a.significand, c.significand), b.ltU(32, ea, ec));
    const same = b.and(32, sameExponent, b.eq(64, a.significand, c.significand));
    const negative = b.shrU(32, a.se, b.i32(15)), other = b.shrU(32, c.se, b.i32(15));
    const magnitude = b.select(b.xor(32, smaller, negative), b.i32(-1), b.i32(1));
    const ordered = b.select(same, b.i32(0), magnitude);
    const bySign = b.select(negative, b.i32(-1), b.i32(1));
    const zeros = b.and(32, this.isZero(a), this.isZero(c));
    return b.select(zeros, b.i32(0), b.select(b.xor(32, negative, other), bySign, ordered));
  }
  protected conditions(order: Int, less: number, equal: number): Int {
    const { b } = this;
    const unequal = b.select(b.ltS(32, order, b.i32(0)), b.i32(less), b.i32(0));
    return b.select(order, unequal, b.i32(equal));
  }

  /** `exp` is 0 for a result of 0. */
  protected add(
    a: Real,
    c: Real,
    result: RealVariable,
    exp: Variable<"i32">,
    ext: Variable<"i64">,
  ): void {
    const { b } = this;
    b.if(b.and(32, this.isZero(a), this.isZero(c)), () => {
      const unlike = this.sign(b.xor(32, a.se, c.se));
      b.set(result.se, b.select(unlike, this.signOfNothing(), this.sign(a.se)));
    }, () => this.addNumbers(a, c, result, exp, ext));
  }
  /** The sign of a sum of opposite numbers. */
  protected signOfNothing(): Int {
    const { b } = this;
    return b.select(this.is(this.rounding(), RC_DOWN), b.i32(SIGN), b.i32(0));
  }
  /** One of the terms may be zero. */
  protected addNumbers(
    a: Real,
    c: Real,
    result: RealVariable,
    exp: Variable<"i32">,
    ext: Variable<"i64">,
  ): void {
    const { b } = this;
    const ea = this.exponent(a.se), ec = this.exponent(c.se);
    const swap = b.select(
      b.eq(32, ea, ec),
      b.ltU(64, a.significand, c.significand),
      b.ltU(32, ea, ec),
    );
    const large = this.select(swap, c, a), small = this.select(swap, a, c);
    const el = this.exponent(large.se);
    const far = b.sub(32, el, this.exponent(small.se));
    const distance = b.zeroExtend(32, 64, b.select(b.ltU(32, far, b.i32(127)), far, b.i32(127))) as Long;
    const high = b.variable(small.significand), one = b.i64(1);
    b.if(b.op("i64.ge_u", distance, b.i64(64)), () => {
      const shifted = b.op("i64.shr_u", small.significand, distance); // by 64 less
      const lost = b.op("i64.ne", b.op("i64.shl", shifted, distance), small.significand);
      b.set(ext, b.or(64, shifted, b.zeroExtend(32, 64, lost) as Long));
      b.set(high, b.i64(0));
    }, () => {
      b.set(ext, b.op("i64.shl", b.op("i64.shl", small.significand, one), b.sub(64, b.i64(63), distance)));
      b.set(high, b.op("i64.shr_u", small.significand, distance));
    });
    b.set(exp, el);
    b.set(result.se, this.sign(large.se));
    const unlike = this.sign(b.xor(32, a.se, c.se));
    b.if(unlike, () => {
      const borrow = b.zeroExtend(32, 64, b.op("i64.ne", b.get(ext), b.i64(0))) as Long;
      const difference = b.sub(64, b.sub(64, large.significand, b.get(high)), borrow);
      b.set(result.significand, difference);
      b.set(ext, b.sub(64, b.i64(0), b.get(ext)));
      b.if(b.eqz(64, difference), () => {
        b.set(result.significand, b.get(ext));
        b.set(exp, b.sub(32, el, b.i32(64)));
        b.set(ext, b.i64(0));
      });
      b.if(b.eqz(64, b.get(result.significand)), () => {
        b.set(exp, b.i32(0));
        b.set(result.se, this.signOfNothing());
      }, () => {
        const zeros = b.op("i64.clz", b.get(result.significand));
        const below = b.op("i64.shr_u", b.op("i64.shr_u", b.get(ext), one), b.sub(64, b.i64(63), zeros));
        b.set(result.significand, b.or(64, b.op("i64.shl", b.get(result.significand), zeros), below));
        b.set(ext, b.op("i64.shl", b.get(ext), zeros));
        const lowered = b.sub(32, b.get(exp), b.op("i32.wrap_i64", zeros));
        this.need(b.op("i32.gt_s", lowered, b.i32(0)));
        b.set(exp, lowered);
      });
    }, () => {
      const sum = b.add(64, large.significand, b.get(high));
      const carry = b.ltU(64, sum, large.significand), rest = b.get(ext);
      const half = b.or(64, b.op("i64.shr_u", rest, one), b.op("i64.shl", sum, b.i64(63)));
      b.set(ext, b.select(carry, b.or(64, half, b.and(64, rest, one)), rest));
      b.set(result.significand, b.select(carry, b.or(64, b.op("i64.shr_u", sum, one), b.i64(J)), sum));
      b.set(exp, b.add(32, el, carry));
    });
  }

  protected multiply(
    a: Real,
    c: Real,
    result: RealVariable,
    exp: Variable<"i32">,
    ext: Variable<"i64">,
  ): void {
    const { b } = this;
    b.set(result.se, this.sign(b.xor(32, a.se, c.se)));
    b.if(b.eqz(32, b.or(32, this.isZero(a), this.isZero(c))), () => {
      const top = highUnsigned(b, a.significand, c.significand) as Long;
      const rest = b.mul(64, a.significand, c.significand) as Long;
      const sum = b.sub(32, b.add(32, this.exponent(a.se), this.exponent(c.se)), b.i32(BIAS));
      const whole = b.ltS(64, top, b.i64(0)), one = b.i64(1);
      const doubled = b.or(64, b.op("i64.shl", top, one), b.op("i64.shr_u", rest, b.i64(63)));
      b.set(result.significand, b.select(whole, top, doubled));
      b.set(ext, b.select(whole, rest, b.op("i64.shl", rest, one)));
      b.set(exp, b.add(32, sum, whole));
      this.need(b.op("i32.gt_s", b.get(exp), b.i32(0)));
    });
  }

  /** The divisor is not zero. */
  protected divide(
    a: Real,
    c: Real,
    result: RealVariable,
    exp: Variable<"i32">,
    ext: Variable<"i64">,
  ): void {
    const { b } = this;
    b.set(result.se, this.sign(b.xor(32, a.se, c.se)));
    b.if(b.eqz(32, this.isZero(a)), () => {
      const d = c.significand;
      const difference = b.add(32, b.sub(32, this.exponent(a.se), this.exponent(c.se)), b.i32(BIAS));
      const fits = b.op("i64.ge_u", a.significand, d);
      const one = b.zeroExtend(32, 64, fits) as Long;
      const high = b.op("i64.shr_u", a.significand, one); // less than d
      const low = b.select(fits, b.op("i64.shl", a.significand, b.i64(63)), b.i64(0));
      b.set(exp, b.sub(32, difference, b.eqz(32, fits)));
      this.need(b.op("i32.gt_s", b.get(exp), b.i32(0)));
      const first = this.digit(high, b.op("i64.shr_u", low, b.i64(32)), d);
      const second = this.digit(first.rest, b.and(64, low, b.i64(0xffff_ffffn)), d);
      b.set(result.significand, b.or(64, b.op("i64.shl", first.digit, b.i64(32)), second.digit));
      // the rest against half of the divisor
      const { rest } = second, twice = b.op("i64.shl", rest, b.i64(1));
      const above = b.or(32, b.ltS(64, rest, b.i64(0)), b.ltU(64, d, twice));
      const below = b.select(above, b.i64(J | 1n), b.i64(1));
      const exactly = b.select(
        b.and(32, b.eq(64, twice, d), b.eqz(32, b.ltS(64, rest, b.i64(0)))),
        b.i64(J),
        below,
      );
      b.set(ext, b.select(b.eqz(64, rest), b.i64(0), exactly));
    });
  }
  /** A base-2^32 digit of high:next / d and what is left; high < d, the top bit of d is set. Knuth, Vol. 2 §4.3.1, D. */
  protected digit(high: Long, next: Long, d: Long): { digit: Long; rest: Long } {
    const { b } = this;
    const dh = b.op("i64.shr_u", d, b.i64(32)), dl = b.and(64, d, b.i64(0xffff_ffffn));
    const q = b.variable(b.op("i64.div_u", high, dh));
    const r = b.variable(b.sub(64, high, b.op("i64.mul", b.get(q), dh)));
    const tooLarge = () => {
      const wide = b.op("i64.ge_u", b.get(q), b.i64(1n << 32n));
      const product = b.op("i64.mul", b.get(q), dl);
      const known = b.or(64, b.op("i64.shl", b.get(r), b.i64(32)), next);
      const small = b.ltU(64, b.get(r), b.i64(1n << 32n)); // else the estimate is right
      return b.and(32, small, b.or(32, wide, b.ltU(64, known, product)));
    };
    for (let i = 0; i < 2; i++) {
      b.if(tooLarge(), () => {
        b.set(q, b.sub(64, b.get(q), b.i64(1)));
        b.set(r, b.add(64, b.get(r), dh));
      });
    }
    const whole = b.or(64, b.op("i64.shl", high, b.i64(32)), next); // modulo 2^64, as the rest fits
    return { digit: b.get(q), rest: b.sub(64, whole, b.op("i64.mul", b.get(q), d)) };
  }
}
