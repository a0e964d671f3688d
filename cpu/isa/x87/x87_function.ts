// SPDX-License-Identifier: MIT
/**
 * The x87 instructions that programs are full of, as WebAssembly functions on the state record, one for each opcode and
 * ModRM.reg: arithmetic, comparison, loads and stores of numbers, FCMOVcc, FXCH, FCHS, FABS, FRNDINT, FLDCW and the like,
 * exact to the last bit, for operands that are normal numbers or zeros, many also for infinities and quiet NaNs. A function
 * gets the ModRM byte. It answers 0, having changed nothing, for all else: other instructions and operands, stack faults,
 * unmasked exceptions, a pending one, overflow and underflow but of stores. Then cpu/fpu does it. SDM Vol. 1 §8.
 * @module
 */
import { WasmBuilder } from "../../emit/builder.ts";
import type { Variable } from "../../emit/emit.ts";
import { HANDLER_PARAMETERS, HANDLER_RESULTS } from "../../emit/links.ts";
import { BIAS, C0, C1, C2, C3, EXP_MAX, IE, SIGN } from "../../fpu/float80.ts";
import { EFLAGS_CF, EFLAGS_PF, EFLAGS_ZF, FSW_EXCEPTIONS } from "../../fpu/x87_state.ts";
import { H_X87, x87Number } from "../../state/record.ts";
import { FunctionBody, type ModuleBuilder } from "../../wasm/encoder.ts";
import { emitArcTangent, fillArcTangents } from "./arc_tangent.ts";
import { emitExponential, emitPolynomial, fillExponentials } from "./exponentials.ts";
import { emitQuotient } from "./fractions.ts";
import { emitLogarithm, fillLogarithms } from "./logarithms.ts";
import { emitSeries, emitSineAndCosine, fillSeries } from "./trigonometry.ts";
import {
  AT,
  type Int,
  type Long,
  type Real,
  X87_AX,
  X87_CONDITION,
  X87_DONE,
  X87_FLAGS,
  X87_OPERAND,
  X87_RESULT,
  X87_STORE_SHIFT,
} from "./x87_frame.ts";
import { type ExtremeKind, X87Extremes } from "./x87_extremes.ts";
import { J } from "./x87_numbers.ts";
import { X87Logarithmic } from "./x87_logarithmic.ts";
import type { X87Callees } from "./x87_transcendental.ts";

const CONDITIONS = C0 | C2 | C3;
const FCW_WRITABLE = 0x1f3f, FCW_FIXED = 0x40;

/** Emits the body of the function for a group. */
export class X87Function extends X87Logarithmic {
  /** All of it. */
  emit(): void {
    const { opcode, isMemory } = this.group;
    if ((opcode & 1) === 0) this.arithmetic();
    else if (isMemory) this.move();
    else this.onRegister();
    this.fail();
  }
  /** What stands for the group's ModRM.reg and opcode; others fail. */
  protected byReg(cases: Readonly<Record<number, () => void>>): void {
    (cases[this.group.reg] ?? (() => this.fail()))();
  }
  protected byOpcode(cases: Readonly<Record<number, () => void>>): void {
    (cases[this.group.opcode] ?? (() => this.fail()))();
  }

  // D8, DA, DC, DE: arithmetic and comparison

  protected arithmetic(): void {
    const { b } = this, { opcode, isMemory, reg } = this.group;
    const other = this.real();
    let pops = !isMemory && opcode === 6 ? 1 : 0, kind = reg;
    const compares = (more: number) => {
      kind = 2;
      pops = more;
    };
    if (reg === 3) compares(1); // FCOMP
    if (isMemory) {
      this.byOpcode({
        0: () => this.fromF32(other),
        2: () => this.fromInteger(other, 4),
        4: () => this.fromF64(other),
        6: () => this.fromInteger(other, 2),
      });
    } else if (opcode === 2) {
      if (reg < 4) return this.conditionalMove();
      if (reg !== 5) return; // FUCOMPP
      this.need(this.is(this.index, 1));
      compares(2);
    } else if (opcode === 6 && (reg === 2 || reg === 3)) { // FCOMPP
      if (reg === 2) return;
      this.need(this.is(this.index, 1));
      compares(2);
    }
    if (!isMemory) {
      const { se, significand } = this.st(this.index);
      b.set(other.se, se);
      b.set(other.significand, significand);
    }
    const into = !isMemory && opcode >= 4 ? this.register(this.index) : this.top; // DC and DE
    const top = this.st(0), second = this.get(other);
    if (kind === 2) return this.compareWith(second, pops, opcode === 2 && !isMemory); // FUCOMPP
    const isReversed = (kind & 5) === 5; // FSUBR, FDIVR
    const [first, last] = isReversed ? [second, top] : [top, second];
    const done = (value: Real) => {
      this.store(into, value);
      if (pops > 0) this.pop(pops);
      this.finish();
    };
    const ordinary = b.and(32, this.isOrdinary(top), this.isOrdinary(second));
    const isPlain = kind < 6 ? ordinary : b.and(32, ordinary, b.eqz(32, this.isZero(last)));
    b.if(b.eqz(32, isPlain), () => {
      const extreme = this.callees.extreme[kind === 1 ? "product" : kind >= 6 ? "quotient" : "sum"];
      done(this.extremeResult(extreme, first, last, kind === 0 ? 0 : SIGN));
    });
    const result = this.real(), ext = b.variable(b.i64(0)), exp = b.variable(b.i32(0));
    if (kind === 1) this.multiply(first, last, result, exp, ext);
    else if (kind >= 6) this.divide(first, last, result, exp, ext);
    else {
      const term = kind === 0 ? last : { ...last, se: b.xor(32, last.se, b.i32(SIGN)) };
      this.add(first, term, result, exp, ext);
    }
    // a result of 0 is exact and has its sign only
    const sign = this.sign(b.get(result.se));
    b.if(b.get(exp), () => {
      this.need(b.op("i32.gt_s", b.get(exp), b.i32(0)));
      this.round(result.significand, exp, ext, this.dropped(), sign);
      this.need(b.op("i32.lt_s", b.get(exp), b.i32(EXP_MAX)));
    }, () => this.need(b.eqz(64, b.get(result.significand))));
    done({ se: b.or(32, sign, b.get(exp)), significand: b.get(result.significand) });
  }

  // D9, DB, DD, DF with a memory operand: loads and stores

  protected move(): void {
    const { b } = this;
    const loaded = this.real();
    const by = (cases: Readonly<Record<number, () => void>>) => () => this.byOpcode(cases);
    const push = (load: () => void) => () => {
      load();
      this.push(this.get(loaded));
    };
    const f80 = (): Real => ({
      significand: this.raw(),
      se: b.loadRaw("i32.load16_u", b.i32(X87_OPERAND + 8)),
    });
    this.byReg({
      0: by({
        1: push(() => this.fromF32(loaded, true)),
        3: push(() => this.fromInteger(loaded, 4)),
        5: push(() => this.fromF64(loaded, true)),
        7: push(() => this.fromInteger(loaded, 2)),
      }),
      1: by({
        3: () => this.storeInteger(4, 1, true),
        5: () => this.storeInteger(8, 1, true),
        7: () => this.storeInteger(2, 1, true),
      }),
      2: by({
        1: () => this.storeReal(4, 0),
        3: () => this.storeInteger(4, 0),
        5: () => this.storeReal(8, 0),
        7: () => this.storeInteger(2, 0),
      }),
      3: by({
        1: () => this.storeReal(4, 1),
        3: () => this.storeInteger(4, 1),
        5: () => this.storeReal(8, 1),
        7: () => this.storeInteger(2, 1),
      }),
      5: by({
        1: () => this.loadControl(),
        3: () => this.push(f80()),
        7: push(() => this.fromInteger(loaded, 8)),
      }),
      7: by({
        1: () => this.storeWord(this.fcw),
        3: () => {
          const { se, significand } = this.st(0);
          b.setState64(X87_RESULT, significand);
          b.setState32(X87_RESULT + 8, se);
          this.pop(1);
          this.finish(10 << X87_STORE_SHIFT);
        },
        5: () => this.storeWord(this.fsw),
        7: () => this.storeInteger(8, 1),
      }),
    });
  }
  /** FNSTCW, FNSTSW. */
  protected storeWord(value: Int): void {
    this.b.setState32(X87_RESULT, value);
    this.b.return(this.b.i32(X87_DONE | 2 << X87_STORE_SHIFT));
  }
  /** FLDCW. */
  protected loadControl(): void {
    const { b } = this;
    const given = b.and(32, b.op("i32.wrap_i64", this.raw()), b.i32(FCW_WRITABLE));
    const pending = b.and(32, b.and(32, this.fsw, b.not(32, given)), b.i32(FSW_EXCEPTIONS));
    this.need(b.eqz(32, pending));
    this.setState16(AT.fcw, b.or(32, given, b.i32(FCW_FIXED)));
    b.return(b.i32(X87_DONE));
  }
  /** ST(0) as an integer: magnitude, and whether it was one. */
  protected integer(from: Real, truncates: boolean): { magnitude: Long; exact: Variable<"i32"> } {
    const { b } = this;
    const magnitude = b.variable(b.i64(0)), ext = b.variable(b.i64(0)), exact = b.variable(b.i32(1));
    const shift = b.zeroExtend(32, 64, b.sub(32, b.i32(BIAS + 63), this.exponent(from.se))) as Long;
    b.if(this.isNormal(from), () => {
      this.need(b.op("i64.le_u", shift, b.i64(BIAS + 63))); // below 2^64
      b.if(b.ltU(64, shift, b.i64(64)), () => {
        b.set(magnitude, b.op("i64.shr_u", from.significand, shift));
        b.if(b.op("i64.ne", shift, b.i64(0)), () => {
          b.set(ext, b.op("i64.shl", from.significand, b.sub(64, b.i64(64), shift)));
        });
      }, () => {
        // from 1/2 on the significand itself is the fraction, below it is less than half
        b.set(ext, b.select(b.eq(64, shift, b.i64(64)), from.significand, b.i64(1)));
      });
      b.if(b.op("i64.ne", b.get(ext), b.i64(0)), () => {
        b.set(exact, b.i32(0));
        const odd = b.and(32, b.op("i32.wrap_i64", b.get(magnitude)), b.i32(1));
        const up = truncates ? b.i32(0) : this.goesUp(b.get(ext), odd, this.sign(from.se));
        this.inexact(up);
        b.set(magnitude, b.add(64, b.get(magnitude), b.zeroExtend(32, 64, up) as Long));
      });
    }, () => this.need(this.isZero(from)));
    return { magnitude: b.get(magnitude), exact };
  }
  protected storeInteger(bytes: 2 | 4 | 8, pops: 0 | 1, truncates = false): void {
    const { b } = this;
    const from = this.st(0);
    const invalid = () => {
      b.set(this.newFsw, b.and(32, this.fsw, b.i32(~C1)));
      this.raise(b.i32(IE));
      b.setState64(X87_RESULT, b.i64(1n << BigInt(bytes * 8 - 1)));
      if (pops === 1) this.pop(1);
      this.finish(bytes << X87_STORE_SHIFT);
    };
    b.if(b.op("i32.ge_u", this.exponent(from.se), b.i32(BIAS + 64)), invalid);
    const { magnitude } = this.integer(from, truncates);
    const negative = b.shrU(32, from.se, b.i32(15));
    const most = b.add(64, b.i64((1n << BigInt(bytes * 8 - 1)) - 1n), b.zeroExtend(32, 64, negative) as Long);
    b.if(b.ltU(64, most, magnitude), invalid);
    b.setState64(X87_RESULT, b.select(negative, b.sub(64, b.i64(0), magnitude), magnitude));
    if (pops === 1) this.pop(1);
    this.finish(bytes << X87_STORE_SHIFT);
  }

  // D9, DB, DD, DF without one

  protected onRegister(): void {
    const { b } = this;
    const by = (cases: Readonly<Record<number, () => void>>) => () => this.byReg(cases);
    this.byOpcode({
      1: by({
        0: () => this.push(this.st(this.index)),
        1: () => {
          const top = this.st(0), other = this.st(this.index);
          this.store(this.top, other);
          this.store(this.register(this.index), top);
          this.finish();
        },
        4: () =>
          this.byIndex({
            0: () =>
              this.changeTop(({ se, significand }) => ({ se: b.xor(32, se, b.i32(SIGN)), significand })),
            1: () => this.changeTop(({ se, significand }) => ({ se: this.exponent(se), significand })),
            4: () => this.compareWith({ se: b.i32(0), significand: b.i64(0) }, 0, false),
            5: () => this.examine(),
          }),
        5: () =>
          this.byIndex({
            0: () => this.push({ se: b.i32(BIAS), significand: b.i64(J) }),
            1: () => this.pushConstant(0x4000, 0xd49a_784b_cd1b_8afen), // FLDL2T
            2: () => this.pushConstant(0x3fff, 0xb8aa_3b29_5c17_f0bcn), // FLDL2E
            3: () => this.pushConstant(0x4000, 0xc90f_daa2_2168_c235n), // FLDPI
            4: () => this.pushConstant(0x3ffd, 0x9a20_9a84_fbcf_f799n), // FLDLG2
            5: () => this.pushConstant(0x3ffe, 0xb172_17f7_d1cf_79acn), // FLDLN2
            6: () => this.push({ se: b.i32(0), significand: b.i64(0) }),
          }),
        6: () =>
          this.byIndex({
            0: () => this.exponential(),
            1: () => this.yLog2X(),
            2: () => this.tangent(),
            3: () => this.arcTangent(),
            4: () => this.extract(),
            5: () => this.remainder(true),
          }),
        7: () =>
          this.byIndex({
            0: () => this.remainder(false),
            1: () => this.yLog2XPlus1(),
            2: () => this.squareRoot(),
            3: () =>
              this.trigonometric((number) => {
                this.need(b.eqz(32, this.inUse(this.register(7))));
                const sine = number("sine"), cosine = number("cosine");
                this.store(this.top, sine);
                this.push(cosine);
              }),
            4: () => this.roundToInteger(),
            5: () => this.scale(),
            6: () => this.trigonometric((number) => this.replaceTop(number("sine"))),
            7: () => this.trigonometric((number) => this.replaceTop(number("cosine"))),
          }),
      }),
      3: by({
        0: () => this.conditionalMove(),
        1: () => this.conditionalMove(),
        2: () => this.conditionalMove(),
        3: () => this.conditionalMove(),
        5: () => this.compareToFlags(0, true),
        6: () => this.compareToFlags(0, false),
      }),
      5: by({
        2: () => this.copyTop(0),
        3: () => this.copyTop(1),
        4: () => this.compareWith(this.st(this.index), 0, true),
        5: () => this.compareWith(this.st(this.index), 1, true),
      }),
      7: by({
        4: () => {
          this.need(b.eqz(32, this.index));
          b.return(b.i32(X87_DONE | X87_AX));
        },
        5: () => this.compareToFlags(1, true),
        6: () => this.compareToFlags(1, false),
      }),
    });
  }
  protected changeTop(change: (value: Real) => Real): void {
    this.store(this.top, change(this.st(0)));
    this.finish();
  }
  /** FCMOVcc: any kind of number moves as it is. */
  protected conditionalMove(): void {
    const { b } = this, top = this.st(0), other = this.st(this.index);
    this.store(this.top, this.select(b.state32(X87_CONDITION), other, top));
    b.set(this.newFsw, this.fsw); // C1 stays
    this.finish();
  }
  protected copyTop(pops: 0 | 1): void {
    const { b } = this, register = this.register(this.index);
    this.store(register, this.st(0));
    b.set(this.newTags, b.or(32, b.get(this.newTags), b.shl(32, b.i32(1), register)));
    if (pops === 1) this.pop(1);
    this.finish();
  }
  protected compareWith(other: Real, pops: number, quiet: boolean): void {
    const { b } = this;
    const codes = this.compared(this.st(0), other, quiet, { less: C0, equal: C3, unordered: C2 });
    b.set(this.newFsw, b.or(32, b.and(32, b.get(this.newFsw), b.i32(~CONDITIONS)), codes));
    if (pops > 0) this.pop(pops);
    this.finish();
  }
  /** FUCOMI, FCOMI. */
  protected compareToFlags(pops: 0 | 1, quiet: boolean): void {
    const { b } = this;
    b.set(this.newFsw, this.fsw); // C1 stays
    const codes = { less: EFLAGS_CF, equal: EFLAGS_ZF, unordered: EFLAGS_PF };
    b.setState32(X87_RESULT + 16, this.compared(this.st(0), this.st(this.index), quiet, codes));
    if (pops === 1) this.pop(1);
    this.finish(X87_FLAGS);
  }
  /** FXAM. */
  protected examine(): void {
    const { b } = this, top = this.st(0);
    const exponent = this.exponent(top.se), nothing = b.eqz(64, top.significand);
    const small = b.select(nothing, b.i32(C3), b.i32(C3 | C2)); // zero or denormal
    const large = b.select(b.eq(64, top.significand, b.i64(J)), b.i32(C2 | C0), b.i32(C0)); // infinity or NaN
    const known = b.select(this.is(exponent, EXP_MAX), large, b.i32(C2));
    const isKnown = b.ltS(64, top.significand, b.i64(0));
    const kind = b.select(exponent, b.select(isKnown, known, b.i32(0)), small);
    const sign = b.select(this.sign(top.se), b.i32(C1), b.i32(0));
    const rest = b.and(32, this.fsw, b.i32(~(CONDITIONS | C1)));
    b.set(this.newFsw, b.or(32, rest, b.or(32, kind, sign)));
    this.finish();
  }
  protected roundToInteger(): void {
    const { b } = this, from = this.st(0);
    b.if(b.op("i32.ge_u", this.exponent(from.se), b.i32(BIAS + 63)), () => {
      this.needPlain(from);
      this.finish();
    });
    const { magnitude, exact } = this.integer(from, false);
    const result = this.real();
    this.normalize(result, this.sign(from.se), magnitude);
    this.store(this.top, this.select(b.get(exact), from, this.get(result)));
    this.finish();
  }
}

/** For what stands for no instruction. */
const NO_GROUP = { opcode: 0, isMemory: false, reg: 0 };

/** Writes the tables that the functions read. */
export function fillX87Tables(view: DataView): void {
  fillSeries(view);
  fillArcTangents(view);
  fillExponentials(view);
  fillLogarithms(view);
}

/** Defines the functions of all groups, in the table from H_X87 on. */
export function defineX87(module: ModuleBuilder): void {
  const define = (type: number, params: number, fill: (b: WasmBuilder) => void, slot?: number) => {
    const body = new FunctionBody(params);
    const b = new WasmBuilder(body);
    fill(b);
    b.unreachable();
    return module.addFunction(type, body, slot === undefined ? {} : { place: { slot } });
  };
  const series = define(module.type(["i32", "i64", "i64"], ["i32"]), 3, emitSeries);
  const quotient = define(module.type(["i64", "i64", "i64", "i64"], ["i32"]), 4, emitQuotient);
  const extremeType = module.type(["i64", "i32", "i64", "i32", "i32"], ["i32"]);
  const extreme = (kind: ExtremeKind) =>
    define(extremeType, 5, (b) => new X87Extremes(b, b.i32(0), NO_GROUP).emitExtreme(kind));
  const polynomial = (isAlternating: boolean) =>
    define(
      module.type(["i32", "i32", "i32", "i64", "i64"], ["i32"]),
      5,
      (b) => emitPolynomial(b, isAlternating),
    );
  const polynomials = { rising: polynomial(false), alternating: polynomial(true) };
  const callees: X87Callees = {
    sineAndCosine: define(module.type(["i64", "i32"], ["i32"]), 2, (b) => emitSineAndCosine(b, series)),
    quotient,
    arcTangent: define(
      module.type(["i64", "i32", "i64", "i32"], ["i32"]),
      4,
      (b) => emitArcTangent(b, series, quotient),
    ),
    exponential: define(
      module.type(["i64", "i32"], ["i32"]),
      2,
      (b) => emitExponential(b, polynomials),
    ),
    logarithm: define(
      module.type(["i32", "i64", "i64", "i64", "i32"], ["i32"]),
      5,
      (b) => emitLogarithm(b, polynomials),
    ),
    extreme: { sum: extreme("sum"), product: extreme("product"), quotient: extreme("quotient") },
  };
  const handlerType = module.type(HANDLER_PARAMETERS, HANDLER_RESULTS);
  for (let opcode = 0; opcode < 8; opcode++) {
    for (const isMemory of [true, false]) {
      for (let reg = 0; reg < 8; reg++) {
        const group = { opcode, isMemory, reg };
        define(
          handlerType,
          1,
          (b) => new X87Function(b, b.parameter(0, "i32"), group, callees).emit(),
          H_X87 + x87Number(group),
        );
      }
    }
  }
}
