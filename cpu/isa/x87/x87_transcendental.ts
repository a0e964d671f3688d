// SPDX-License-Identifier: MIT
/**
 * FSIN, FCOS, FSINCOS, FPTAN and FPATAN among the x87 functions (./x87_function.ts), for normal numbers and zeros: fractions
 * of 128 bits, rounded once where what is not known of them does not matter. SDM Vol. 1 §8.3.8, §8.3.10.
 * @module
 */
import type { Val, WasmBuilder } from "../../emit/builder.ts";
import { BIAS, C2, EXP_MAX } from "../../fpu/float80.ts";
import { ARC_TANGENT, ARC_TANGENT_ERROR } from "./arc_tangent.ts";
import { load, normalized, QUOTIENT, type Wide } from "./fractions.ts";
import { TRIG_COSINE, TRIG_ERROR, TRIG_NEGATIVE, TRIG_QUADRANT, TRIG_SINE } from "./trigonometry.ts";
import type { ExtremeKind } from "./x87_extremes.ts";
import type { Int, Long, Real, X87Group } from "./x87_frame.ts";
import { J } from "./x87_numbers.ts";
import { X87Special } from "./x87_special.ts";

/** Functions that others call, by their numbers; see the files beside this one. */
export interface X87Callees {
  readonly sineAndCosine: number;
  readonly quotient: number;
  readonly arcTangent: number;
  readonly exponential: number;
  readonly logarithm: number;
  readonly extreme: Readonly<Record<ExtremeKind, number>>;
}

/** See the module's description. */
export abstract class X87Transcendental extends X87Special {
  constructor(b: WasmBuilder, modrm: Val, group: X87Group, readonly callees: X87Callees) {
    super(b, modrm, group);
  }

  /** FSIN, FCOS, FSINCOS of what the fast way can: `then` says which it wants, and what becomes of them. */
  protected trigonometric(then: (number: (which: "sine" | "cosine") => Real) => void): void {
    const { b } = this, from = this.st(0);
    b.set(this.newFsw, b.and(32, b.get(this.newFsw), b.i32(~C2)));
    b.if(this.isZero(from), () => then((which) => which === "sine" ? from : this.one()));
    const { quadrant, swaps, negative } = this.turned(from);
    const signIf = (condition: Int) => b.shl(32, condition, b.i32(15));
    then((which) => {
      const isSine = which === "sine";
      // the sine of the angle within its quadrant is odd
      const isOdd = isSine ? b.eqz(32, swaps) : swaps;
      const turned = this.bits(isSine ? quadrant : b.add(32, quadrant, b.i32(1)), 1, 1);
      const odd = b.and(32, isOdd, negative), sign = signIf(b.xor(32, turned, odd));
      return this.rounded(
        load(b, b.select(isOdd, b.i32(TRIG_SINE), b.i32(TRIG_COSINE))),
        b.i32(BIAS - 1),
        isSine ? b.xor(32, sign, this.sign(from.se)) : sign,
        b.i64(TRIG_ERROR),
      );
    });
  }
  /** Has the sine and cosine of a normal number computed; in which quadrant, and so on. */
  protected turned(from: Real): { quadrant: Int; swaps: Int; negative: Int } {
    const { b } = this;
    this.need(this.isNormal(from));
    const answer = b.call(this.callees.sineAndCosine, [from.significand, from.se], "i32") as Int;
    this.need(answer);
    const quadrant = this.bits(answer, TRIG_QUADRANT, 3);
    return { quadrant, swaps: b.and(32, quadrant, b.i32(1)), negative: this.bits(answer, TRIG_NEGATIVE, 1) };
  }
  protected one(): Real {
    return { se: this.b.i32(BIAS), significand: this.b.i64(J) };
  }

  /** FPTAN. */
  protected tangent(): void {
    const { b } = this, from = this.st(0);
    this.need(b.eqz(32, this.inUse(this.register(7))));
    b.set(this.newFsw, b.and(32, b.get(this.newFsw), b.i32(~C2)));
    b.if(this.isZero(from), () => this.push(this.one()));
    const { swaps, negative } = this.turned(from);
    const number = (at: Int) => normalized(b, load(b, at));
    const dividend = number(b.select(swaps, b.i32(TRIG_COSINE), b.i32(TRIG_SINE)));
    const divisor = number(b.select(swaps, b.i32(TRIG_SINE), b.i32(TRIG_COSINE)));
    const halves = [dividend, divisor].flatMap(({ value: { high, low } }) => [high, low]);
    b.call(this.callees.quotient, halves, "i32");
    const moved = b.op("i32.wrap_i64", b.sub(64, divisor.zeros, dividend.zeros));
    // Each error is twice as large relative to a number from 1/2 on, and moved with it; a cosine as divisor is not moved.
    const error = b.op("i64.shl", b.i64(8 * TRIG_ERROR), b.add(64, dividend.zeros, divisor.zeros));
    const sign = b.shl(32, b.xor(32, swaps, negative), b.i32(15));
    const result = this.rounded(
      load(b, b.i32(QUOTIENT)),
      b.add(32, b.i32(BIAS), moved),
      b.xor(32, sign, this.sign(from.se)),
      error,
    );
    this.store(this.top, result);
    this.push(this.one());
  }

  /** The result of FPATAN and its like: in ST(1), which becomes ST(0). */
  protected replaceSecond(result: Real): void {
    this.store(this.register(1), result);
    this.pop(1);
    this.finish();
  }
  /** FPATAN. */
  protected arcTangent(): void {
    const { b } = this, y = this.st(1), x = this.st(0), sign = this.sign(y.se);
    this.needOrdinary(y);
    this.needOrdinary(x);
    const right = b.eqz(32, this.sign(x.se));
    b.if(b.and(32, this.isZero(y), right), () => this.replaceSecond({ se: sign, significand: b.i64(0) }));
    const operands = [y.significand, y.se, x.significand, x.se];
    const exponent = b.call(this.callees.arcTangent, operands, "i32") as Int;
    this.need(exponent);
    this.replaceSecond(this.rounded(load(b, b.i32(ARC_TANGENT)), exponent, sign, b.i64(ARC_TANGENT_ERROR)));
  }

  /**
   * A fraction of 128 bits, whose top bit has the biased exponent given, as a normal number, when an error of so many units
   * of its last place does not matter.
   */
  protected rounded({ high, low }: Wide, topExponent: Int, sign: Int, error: Long): Real {
    const { b } = this;
    const zeros = b.op("i64.clz", high), one = b.i64(1);
    const below = b.op("i64.shr_u", b.op("i64.shr_u", low, one), b.sub(64, b.i64(63), zeros));
    const significand = b.variable(b.or(64, b.op("i64.shl", high, zeros), below));
    const ext = b.variable(b.op("i64.shl", low, zeros));
    const margin = b.op("i64.shl", error, zeros);
    const fromHalf = b.and(64, b.add(64, b.get(ext), margin), b.i64(J - 1n));
    this.need(b.op("i64.gt_u", fromHalf, b.op("i64.shl", margin, one)));
    const exp = b.variable(b.sub(32, topExponent, b.op("i32.wrap_i64", zeros)));
    this.need(b.ltU(32, b.sub(32, b.get(exp), b.i32(1)), b.i32(EXP_MAX - 1)));
    this.round(significand, exp, ext, b.i32(0), sign);
    this.need(b.ltS(32, b.get(exp), b.i32(EXP_MAX)));
    return { se: b.or(32, sign, b.get(exp)), significand: b.get(significand) };
  }
}
