// SPDX-License-Identifier: MIT
/**
 * F2XM1, FYL2X and FYL2XP1 among the x87 functions (./x87_function.ts), for normal numbers and zeros where
 * the result is one: fractions of 128 bits, rounded once where what is not known of them does not matter. SDM
 * Vol. 2A.
 * @module
 */
import { BIAS, EXP_MAX, SIGN } from "../../fpu/float80.ts";
import { EXPONENTIAL, EXPONENTIAL_ERROR, fractionOf } from "./exponentials.ts";
import { load, minus, shiftedLeft, timesShort } from "./fractions.ts";
import { LOGARITHM, LOGARITHM_ERROR, LOGARITHM_EXPONENT, LOGARITHM_NEGATIVE } from "./logarithms.ts";
import type { Int, Long, Real } from "./x87_frame.ts";
import { J } from "./x87_numbers.ts";
import { X87Transcendental } from "./x87_transcendental.ts";

/** See the module's description. */
export abstract class X87Logarithmic extends X87Transcendental {
  /** F2XM1 between -1 and 1. */
  protected exponential(): void {
    const { b } = this, from = this.st(0);
    this.needOrdinary(from);
    b.if(this.isZero(from), () => this.replaceTop(from));
    this.need(b.ltS(32, this.exponent(from.se), b.i32(BIAS)));
    const exponent = b.call(this.callees.exponential, [from.significand, from.se], "i32") as Int;
    const value = load(b, b.i32(EXPONENTIAL));
    this.replaceTop(this.rounded(value, exponent, this.sign(from.se), b.i64(EXPONENTIAL_ERROR)));
  }

  /** FYL2X. */
  protected yLog2X(): void {
    const { b } = this, x = this.st(0), y = this.st(1);
    this.need(this.isNormal(x));
    this.need(this.without(x.se, SIGN));
    this.needOrdinary(y);
    const e = b.sub(32, x.se, b.i32(BIAS)), isPower = b.eq(64, x.significand, b.i64(J));
    b.if(b.or(32, this.isZero(y), b.and(32, isPower, b.eqz(32, e))), () => {
      const below = b.select(b.ltS(32, e, b.i32(0)), b.i32(SIGN), b.i32(0));
      this.replaceSecond({ se: b.xor(32, this.sign(y.se), below), significand: b.i64(0) });
    });
    b.if(isPower, () => this.#exact(y, e));
    // Where x is near to 1: above, and below.
    const above = b.op("i64.shl", x.significand, b.i64(1));
    const gap = b.select(b.eq(32, e, b.i32(-1)), b.sub(64, b.i64(0), x.significand), above);
    const zeros = b.op("i64.clz", gap), exponent = b.sub(32, b.i32(-1), b.op("i32.wrap_i64", zeros));
    this.#timesLogarithm(y, [e, above, b.i64(0), b.op("i64.shl", gap, zeros), exponent]);
  }
  /** y × e. Processors report it as inexact. */
  #exact(y: Real, e: Int): void {
    const { b } = this, factor = this.real(), result = this.real();
    const exp = b.variable(b.i32(0)), ext = b.variable(b.i64(0));
    const negative = b.ltS(32, e, b.i32(0)), size = b.select(negative, b.sub(32, b.i32(0), e), e);
    this.normalize(
      factor,
      b.select(negative, b.i32(SIGN), b.i32(0)),
      b.zeroExtend(32, 64, size) as Long,
    );
    this.multiply(y, this.get(factor), result, exp, ext);
    this.inexact(b.i32(0));
    const sign = b.get(result.se);
    this.round(result.significand, exp, ext, b.i32(0), sign);
    this.need(b.ltS(32, b.get(exp), b.i32(EXP_MAX)));
    this.replaceSecond({ se: b.or(32, sign, b.get(exp)), significand: b.get(result.significand) });
  }

  /** FYL2XP1 from above -1/2 to 1. */
  protected yLog2XPlus1(): void {
    const { b } = this, x = this.st(0), y = this.st(1);
    this.needOrdinary(x);
    this.needOrdinary(y);
    b.if(b.or(32, this.isZero(x), this.isZero(y)), () => {
      this.replaceSecond({ se: this.sign(b.xor(32, x.se, y.se)), significand: b.i64(0) });
    });
    const exponent = this.exponent(x.se), negative = b.bit(x.se, 15);
    this.need(b.ltS(32, exponent, b.sub(32, b.i32(BIAS), negative)));
    const fraction = fractionOf(b, x.significand, exponent);
    // 1 - x = (1 + (1 - 2 x)) / 2
    const other = minus(b, { high: b.i64(0), low: b.i64(0) }, shiftedLeft(b, fraction, 1n));
    this.#timesLogarithm(y, [
      b.sub(32, b.i32(0), negative),
      b.select(negative, other.high, fraction.high),
      b.select(negative, other.low, fraction.low),
      x.significand,
      b.sub(32, exponent, b.i32(BIAS)),
    ]);
  }

  /** `of`: see emitLogarithm. */
  #timesLogarithm(y: Real, of: readonly (Int | Long)[]): void {
    const { b } = this;
    const answer = b.call(this.callees.logarithm, of, "i32") as Int;
    const product = timesShort(b, y.significand, load(b, b.i32(LOGARITHM)));
    const exponent = b.add(32, this.exponent(y.se), b.shrS(32, answer, b.k(8, LOGARITHM_EXPONENT)));
    const negative = b.shl(32, b.bit(answer, LOGARITHM_NEGATIVE), b.i32(15));
    const sign = b.xor(32, this.sign(y.se), negative);
    this.replaceSecond(this.rounded(product, b.add(32, exponent, b.i32(1)), sign, b.i64(LOGARITHM_ERROR)));
  }
}
