// SPDX-License-Identifier: MIT
/**
 * FSQRT, FSCALE, FXTRACT, FPREM, FPREM1 and the constants among the x87 functions (./x87_function.ts), for normal numbers
 * and zeros. SDM Vol. 2A; a partial remainder takes as many bits as cpu/fpu/remainder.ts does.
 * @module
 */
import type { Variable } from "../../emit/emit.ts";
import { highUnsigned } from "../../emit/flags.ts";
import { BIAS, C0, C1, C2, C3, EXP_MAX, IE, RC_NEAREST, SIGN } from "../../fpu/float80.ts";
import type { Int, Long, Real } from "./x87_frame.ts";
import { X87Extremes } from "./x87_extremes.ts";
import { J } from "./x87_numbers.ts";

const CODES = C0 | C1 | C2 | C3;
const TWO_TO_64 = 0x43f0_0000_0000_0000n;

/** See the module's description. */
export abstract class X87Special extends X87Extremes {
  protected replaceTop(value: Real): void {
    this.store(this.top, value);
    this.finish();
  }
  /** Pushes one of FLDL2T and its like, rounded to nearest. */
  protected pushConstant(se: number, significand: bigint): void {
    this.need(this.is(this.rounding(), RC_NEAREST));
    this.push({ se: this.b.i32(se), significand: this.b.i64(significand) });
  }

  /** FSQRT. */
  protected squareRoot(): void {
    const { b } = this, from = this.st(0);
    const positive = this.without(from.se, SIGN);
    b.if(b.eqz(32, b.and(32, this.isNormal(from), positive)), () => {
      this.needPlain(from);
      const itself = b.or(32, this.isZero(from), this.isQuietNaN(from));
      b.if(b.or(32, itself, b.and(32, this.isInfinity(from), positive)), () => this.finish());
      this.raise(b.i32(IE));
      this.replaceTop(this.indefinite());
    });
    const odd = b.bit(b.sub(32, from.se, b.i32(BIAS)), 0), one = b.i64(1);
    // The root of the significand times 2^63 or 2^64.
    const high = b.select(odd, from.significand, b.op("i64.shr_u", from.significand, one));
    const low = b.select(odd, b.i64(0), b.op("i64.shl", from.significand, b.i64(63)));
    const two64 = b.op("f64.reinterpret_i64", b.i64(TWO_TO_64));
    const number = b.op("f64.mul", b.op("f64.convert_i64_u", high), two64);
    const root = b.variable(b.op("i64.trunc_sat_f64_u", b.op("f64.sqrt", number)));
    const restHigh = b.variable(b.i64(0)), restLow = b.variable(b.i64(0));
    const computeRest = () => {
      const square = b.mul(64, b.get(root), b.get(root)),
        squareHigh = highUnsigned(b, b.get(root), b.get(root));
      b.set(restLow, b.sub(64, low, square));
      const borrow = b.zeroExtend(32, 64, b.ltU(64, low, square));
      b.set(restHigh, b.sub(64, b.sub(64, high, squareHigh as Long), borrow));
    };
    // A double's bits, then one step of Newton's that is wrong by one at most.
    computeRest();
    const rest = b.op(
      "f64.add",
      b.op("f64.mul", b.op("f64.convert_i64_s", b.get(restHigh)), two64),
      b.op("f64.convert_i64_u", b.get(restLow)),
    );
    const twice = b.op("f64.convert_i64_u", b.get(root));
    const step = b.op("f64.div", rest, b.op("f64.add", twice, twice));
    b.set(root, b.add(64, b.get(root), b.op("i64.trunc_sat_f64_s", b.op("f64.floor", step))));
    b.if(b.op("i64.ge_s", b.get(root), b.i64(0)), () => b.set(root, b.i64(-1))); // it was 2^64
    computeRest();
    const move = (by: 1 | -1) => {
      b.set(root, b.add(64, b.get(root), b.i64(by)));
      computeRest();
    };
    b.doWhile(() => {
      const negative = b.ltS(64, b.get(restHigh), b.i64(0));
      b.if(negative, () => move(-1));
      return negative;
    });
    // The rest is at most twice the root.
    const doubleRoot = () => b.op("i64.shl", b.get(root), one);
    const tooLarge = () => {
      const top = b.op("i64.shr_u", b.get(root), b.i64(63)); // 1
      const same = b.and(32, b.eq(64, b.get(restHigh), top), b.ltU(64, doubleRoot(), b.get(restLow)));
      return b.or(32, b.op("i64.gt_s", b.get(restHigh), top), same);
    };
    b.doWhile(() => {
      const wrong = tooLarge();
      b.if(wrong, () => move(1));
      return wrong;
    });
    const nothing = b.eqz(64, b.or(64, b.get(restHigh), b.get(restLow)));
    const isAbove = b.or(
      32,
      b.op("i64.ne", b.get(restHigh), b.i64(0)),
      b.ltU(64, b.get(root), b.get(restLow)),
    );
    const ext = b.variable(b.select(nothing, b.i64(0), b.select(isAbove, b.i64(J | 1n), one)));
    const half = b.shrS(32, b.sub(32, b.sub(32, from.se, b.i32(BIAS)), odd), b.k(8, 1));
    const exp = b.variable(b.add(32, half, b.i32(BIAS)));
    this.round(root, exp, ext, this.dropped(), b.i32(0));
    this.replaceTop({ se: b.get(exp), significand: b.get(root) });
  }

  /** FSCALE, where the result is a normal number. */
  protected scale(): void {
    const { b } = this, from = this.st(0), by = this.st(1);
    this.need(this.isNormal(from));
    this.needOrdinary(by);
    const places = b.sub(32, this.exponent(by.se), b.i32(BIAS));
    this.need(b.ltS(32, places, b.i32(16)));
    const shift = b.zeroExtend(32, 64, b.sub(32, b.i32(63), places)) as Long;
    const whole = b.op("i32.wrap_i64", b.op("i64.shr_u", by.significand, shift));
    const magnitude = b.select(b.ltS(32, places, b.i32(0)), b.i32(0), whole);
    const steps = b.select(this.sign(by.se), b.sub(32, b.i32(0), magnitude), magnitude);
    const exp = b.add(32, this.exponent(from.se), steps);
    this.need(b.ltU(32, b.sub(32, exp, b.i32(1)), b.i32(EXP_MAX - 1)));
    this.replaceTop({ se: b.or(32, this.sign(from.se), exp), significand: from.significand });
  }

  /** FXTRACT. */
  protected extract(): void {
    const { b } = this, from = this.st(0);
    this.need(this.isNormal(from));
    this.need(b.eqz(32, this.inUse(this.register(7))));
    const exponent = b.sub(32, this.exponent(from.se), b.i32(BIAS));
    const negative = b.ltS(32, exponent, b.i32(0));
    const magnitude = b.select(negative, b.sub(32, b.i32(0), exponent), exponent);
    const first = this.real();
    this.normalize(
      first,
      b.select(negative, b.i32(SIGN), b.i32(0)),
      b.zeroExtend(32, 64, magnitude) as Long,
    );
    this.store(this.top, this.get(first));
    this.push({ se: b.or(32, this.sign(from.se), b.i32(BIAS)), significand: from.significand });
  }

  /** FPREM; `nearest`: FPREM1. */
  protected remainder(nearest: boolean): void {
    const { b } = this, from = this.st(0), by = this.st(1);
    this.needOrdinary(from);
    this.need(this.isNormal(by));
    const distance = b.sub(32, this.exponent(from.se), this.exponent(by.se));
    const small = b.ltS(32, distance, b.i32(nearest ? -1 : 0));
    b.if(b.or(32, small, this.isZero(from)), () => {
      this.#setCodes(b.i32(0));
      this.replaceTop(from);
    });
    if (nearest) this.need(b.op("i32.ge_s", distance, b.i32(0)));
    const partial = b.op("i32.ge_s", distance, b.i32(64));
    const bits = b.or(32, b.and(32, distance, b.i32(31)), b.i32(32));
    const steps = b.select(partial, bits, distance);
    const { rest, quotient } = this.#longDivision(from.significand, by.significand, steps);
    const sign = b.variable(this.sign(from.se));
    if (nearest) {
      const other = b.sub(64, by.significand, b.get(rest));
      const tie = b.and(32, b.eq(64, b.get(rest), other), b.get(quotient));
      const rounds = b.or(32, b.ltU(64, other, b.get(rest)), b.bit(tie, 0));
      b.if(b.and(32, rounds, b.eqz(32, partial)), () => {
        b.set(rest, other);
        b.set(quotient, b.add(32, b.get(quotient), b.i32(1)));
        b.set(sign, b.xor(32, b.get(sign), b.i32(SIGN)));
      });
    }
    const q = b.get(quotient);
    const code = (bit: number, flag: number) => b.select(b.bit(q, bit), b.i32(flag), b.i32(0));
    const codes = b.or(32, b.or(32, code(2, C0), code(1, C3)), code(0, C1));
    const nothing = b.eqz(64, b.get(rest)), zeros = b.op("i64.clz", b.get(rest));
    const above = b.sub(32, distance, steps);
    const lowered = b.sub(32, b.add(32, this.exponent(by.se), above), b.op("i32.wrap_i64", zeros));
    this.need(b.or(32, nothing, b.op("i32.gt_s", lowered, b.i32(0))));
    this.#setCodes(b.select(partial, b.i32(C2), codes));
    // A remainder of zero has the dividend's sign.
    const normal = b.or(32, b.get(sign), lowered);
    this.replaceTop({
      se: b.select(nothing, this.sign(from.se), normal),
      significand: b.op("i64.shl", b.get(rest), zeros),
    });
  }
  #setCodes(codes: Int): void {
    const { b } = this;
    b.set(this.newFsw, b.or(32, b.and(32, this.fsw, b.i32(~CODES)), codes));
  }
  /** The rest of dividend × 2^steps by the divisor, and the lowest bits of the quotient. */
  #longDivision(
    dividend: Long,
    divisor: Long,
    steps: Int,
  ): { rest: Variable<"i64">; quotient: Variable<"i32"> } {
    const { b } = this;
    const rest = b.variable(dividend), quotient = b.variable(b.i32(0)), left = b.variable(steps);
    const carry = b.variable(b.i32(0));
    b.doWhile(() => {
      const fits = b.or(32, b.get(carry), b.op("i64.ge_u", b.get(rest), divisor));
      const reduced = b.select(fits, b.sub(64, b.get(rest), divisor), b.get(rest));
      b.set(quotient, b.or(32, b.shl(32, b.get(quotient), b.k(8, 1)), fits));
      b.set(rest, reduced);
      const goesOn = b.op("i32.ne", b.get(left), b.i32(0));
      b.if(goesOn, () => {
        b.set(carry, b.op("i32.wrap_i64", b.op("i64.shr_u", reduced, b.i64(63))));
        b.set(rest, b.op("i64.shl", reduced, b.i64(1)));
        b.set(left, b.sub(32, b.get(left), b.i32(1)));
      });
      return goesOn;
    });
    return { rest, quotient };
  }
}
