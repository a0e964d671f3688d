// SPDX-License-Identifier: MIT
/**
 * Infinities and quiet NaNs as operands of the x87 functions (./x87_function.ts), and the exceptions that they and zeros
 * raise, where these are masked. SDM Vol. 1 §4.8.3, §8.5.
 * Not done: signaling NaNs, denormals and unsupported encodings as operands of arithmetic.
 * @module
 */
import type { Variable } from "../../emit/emit.ts";
import { EXP_MAX, IE, SIGN, ZE } from "../../fpu/float80.ts";
import { X87Arithmetic } from "./x87_arithmetic.ts";
import { type Int, type Long, type Real, type RealVariable, X87_RESULT } from "./x87_frame.ts";
import { J } from "./x87_numbers.ts";

const INDEFINITE_SE = 0xffff, INDEFINITE = 0xc000_0000_0000_0000n;

/** Where a result of what is below is put. */
const RESULT = X87_RESULT, FLAGS_SHIFT = 1;
/** For each there is a function. */
export type ExtremeKind = "sum" | "product" | "quotient";

/** See the module's description. */
export class X87Extremes extends X87Arithmetic {
  protected indefinite(): Real {
    return { se: this.b.i32(INDEFINITE_SE), significand: this.b.i64(INDEFINITE) };
  }

  /**
   * Has a function below compute what becomes of operands of which one is an infinity or a NaN, or the divisor zero; a sum's
   * second term is `c` with its sign flipped by `flip`, which NaNs do not heed.
   */
  protected extremeResult(number: number, a: Real, c: Real, flip: 0 | typeof SIGN): Real {
    const { b } = this;
    const operands = [a.significand, a.se, c.significand, c.se, b.i32(flip)];
    const answer = b.call(number, operands, "i32") as Int;
    this.need(answer);
    this.raise(b.shrU(32, answer, b.i32(FLAGS_SHIFT)));
    return { significand: b.state64(RESULT), se: b.state32(RESULT + 8) };
  }
  /** Body of such a function: the result is put at RESULT; 1 and above it flags are the answer, 0 for operands that raise more. */
  emitExtreme(kind: ExtremeKind): void {
    const { b } = this, result = this.real(), flags = b.variable(b.i32(0));
    const operand = (i: number): Real => ({
      significand: b.parameter(i, "i64") as Long,
      se: b.parameter(i + 1, "i32") as Int,
    });
    const a = operand(0), c = operand(2), flip = b.parameter(4, "i32");
    this.needPlain(a);
    this.needPlain(c);
    const aNaN = this.isQuietNaN(a), cNaN = this.isQuietNaN(c);
    b.if(b.or(32, aNaN, cNaN), () => this.set(result, this.chosenNaN(a, aNaN, c, cNaN)), () => {
      if (kind === "product") this.extremeProduct(a, c, result, flags);
      else if (kind === "quotient") this.extremeQuotient(a, c, result, flags);
      else this.extremeSum(a, { ...c, se: b.xor(32, c.se, flip) }, result, flags);
      b.if(b.bit(b.get(flags), 0), () => this.set(result, this.indefinite()));
    });
    b.setState64(RESULT, b.get(result.significand));
    b.setState32(RESULT + 8, b.get(result.se));
    b.return(b.or(32, b.shl(32, b.get(flags), b.i32(FLAGS_SHIFT)), b.i32(1)));
  }
  /** The one with the larger significand; of the same, the positive one. */
  protected chosenNaN(a: Real, aNaN: Int, c: Real, cNaN: Int): Real {
    const { b } = this;
    const same = b.and(32, b.eq(64, a.significand, c.significand), b.ltU(32, a.se, c.se));
    const wins = b.or(32, b.ltU(64, c.significand, a.significand), same);
    return this.select(b.and(32, aNaN, b.or(32, b.eqz(32, cNaN), wins)), a, c);
  }
  protected extremeSum(a: Real, c: Real, result: RealVariable, flags: Variable<"i32">): void {
    const { b } = this, first = this.isInfinity(a);
    const both = b.and(32, first, this.isInfinity(c));
    const unlike = b.op("i32.ne", this.sign(b.xor(32, a.se, c.se)), b.i32(0));
    b.set(flags, b.select(b.and(32, both, unlike), b.i32(IE), b.i32(0)));
    this.set(result, this.select(first, a, c));
  }
  protected extremeProduct(a: Real, c: Real, result: RealVariable, flags: Variable<"i32">): void {
    const { b } = this;
    b.set(flags, b.select(b.or(32, this.isZero(a), this.isZero(c)), b.i32(IE), b.i32(0)));
    b.set(result.se, b.or(32, this.sign(b.xor(32, a.se, c.se)), b.i32(EXP_MAX)));
    b.set(result.significand, b.i64(J));
  }
  protected extremeQuotient(a: Real, c: Real, result: RealVariable, flags: Variable<"i32">): void {
    const { b } = this, sign = this.sign(b.xor(32, a.se, c.se));
    const infinite = this.isInfinity(a), byInfinity = this.isInfinity(c), byZero = this.isZero(c);
    const invalid = b.or(32, b.and(32, infinite, byInfinity), b.and(32, byZero, this.isZero(a)));
    const divides = b.and(32, byZero, b.eqz(32, infinite));
    b.set(flags, b.select(invalid, b.i32(IE), b.select(divides, b.i32(ZE), b.i32(0))));
    b.set(result.se, b.or(32, sign, b.select(byInfinity, b.i32(0), b.i32(EXP_MAX))));
    b.set(result.significand, b.select(byInfinity, b.i64(0), b.i64(J)));
  }

  /**
   * Codes for less, equal, greater (none) and unordered (all) of plain operands. `quiet`: FUCOM, to which a quiet NaN is
   * nothing invalid.
   */
  protected compared(
    a: Real,
    c: Real,
    quiet: boolean,
    codes: { readonly less: number; readonly equal: number; readonly unordered: number },
  ): Int {
    const { b } = this;
    const result = b.variable(this.conditions(this.order(a, c), codes.less, codes.equal));
    b.if(b.eqz(32, b.and(32, this.isOrdinary(a), this.isOrdinary(c))), () => {
      this.needPlain(a);
      this.needPlain(c);
      b.if(b.or(32, this.isQuietNaN(a), this.isQuietNaN(c)), () => {
        if (!quiet) this.raise(b.i32(IE));
        b.set(result, b.i32(codes.less | codes.equal | codes.unordered));
      });
    });
    return b.get(result);
  }
}
