// SPDX-License-Identifier: MIT
/**
 * The x87 instructions that programs are full of, as one WebAssembly function on the state record: arithmetic,
 * comparison, loads and stores of numbers, FXCH, FCHS, FABS, FRNDINT, FLDCW and the like, exact to the last bit, for
 * operands that are normal numbers or zeros. It answers 0, having changed nothing, for all else: other instructions and
 * operands, stack faults, exceptions but a masked PE, a pending one. Then cpu/fpu does it. SDM Vol. 1 §8.
 *
 * Numbers are a significand (i64) and sign with exponent (i32). Results have 64 more bits below (`ext`, the last one
 * sticky) until they are rounded as FCW says.
 * @module
 */
import type { Val, WasmBuilder } from "../../emit/builder.ts";
import type { Value, Variable } from "../../emit/emit.ts";
import {
  BIAS,
  C0,
  C1,
  C2,
  C3,
  EXP_MAX,
  PC_DOUBLE,
  PC_SINGLE,
  PE,
  RC_DOWN,
  RC_NEAREST,
  RC_UP,
  SIGN,
} from "../../fpu/float80.ts";
import {
  EFLAGS_CF,
  EFLAGS_ZF,
  FSW_ES,
  FSW_EXCEPTIONS,
  FSW_TOP_SHIFT,
  SLOT_SHIFT,
  X87_STATE,
} from "../../fpu/x87_state.ts";
import { S } from "../../state/state.ts";
import { TRIG_COSINE, TRIG_ERROR, TRIG_NEGATIVE, TRIG_QUADRANT, TRIG_SINE } from "./trigonometry.ts";

/** Bits of the answer: done; FIP and its like are to be set; EFLAGS are in X87_RESULT + 16; AX gets FSW. Above: bytes to be stored. */
export const X87_DONE = 1, X87_POINTERS = 2, X87_FLAGS = 4, X87_AX = 8, X87_STORE_SHIFT = 8;
/** Where the first ten bytes of a memory operand are given, and what is to be stored is found. */
export const X87_OPERAND = S.arg + 32, X87_RESULT = S.arg;

const AT = X87_STATE.at;
const SLOTS = S.x87 + AT.r;
const CONDITIONS = C0 | C2 | C3;
const TOP = 7 << FSW_TOP_SHIFT;
const J = 1n << 63n;
const FCW_WRITABLE = 0x1f3f, FCW_FIXED = 0x40;

type Int = Value<"i32">;
type Long = Value<"i64">;

/** A number. */
interface Real {
  readonly se: Int;
  readonly significand: Long;
}
interface RealVariable {
  readonly se: Variable<"i32">;
  readonly significand: Variable<"i64">;
}

/** Emits the body of the function of one argument: ModRM, opcode in bits 15:8. */
export class X87Function {
  readonly #fcw: Int;
  readonly #fsw: Int;
  readonly #tags: Int;
  readonly #top: Int;
  readonly #opcode: Int;
  readonly #reg: Int;
  readonly #index: Int;
  readonly #modrm: Int;
  /** FSW and tags after the instruction, as far as known. */
  readonly #newFsw: Variable<"i32">;
  readonly #newTags: Variable<"i32">;

  /** `sineAndCosine`: see ./trigonometry.ts. */
  constructor(readonly b: WasmBuilder, how: Val, readonly sineAndCosine: number) {
    this.#fcw = this.#state16(AT.fcw);
    this.#fsw = this.#state16(AT.fsw);
    this.#tags = b.loadRaw("i32.load8_u", b.i32(S.x87 + AT.ftw));
    this.#need(this.#without(this.#fsw, FSW_ES));
    this.#top = this.#bits(this.#fsw, FSW_TOP_SHIFT, 7);
    this.#modrm = b.and(32, how, b.i32(0xff));
    this.#opcode = this.#bits(how, 8, 7);
    this.#reg = this.#bits(how, 3, 7);
    this.#index = b.and(32, how, b.i32(7));
    this.#newFsw = b.variable(b.and(32, this.#fsw, b.i32(~C1)));
    this.#newTags = b.variable(this.#tags);
  }

  /** All of it. */
  emit(): void {
    const { b } = this;
    const isMemory = b.ltU(32, this.#modrm, b.i32(0xc0));
    b.if(b.bit(this.#opcode, 0), () => {
      b.if(isMemory, () => this.#move(), () => this.#onRegister());
    }, () => this.#arithmetic(isMemory));
    this.#fail();
  }

  // Small things

  #state16(at: number): Int {
    return this.b.loadRaw("i32.load16_u", this.b.i32(S.x87 + at));
  }
  #setState16(at: number, value: Int): void {
    this.b.storeRaw("i32.store16", this.b.i32(S.x87 + at), value);
  }
  #bits(value: Int, from: number, mask: number): Int {
    const { b } = this;
    return b.and(32, b.shrU(32, value, b.i32(from)), b.i32(mask));
  }
  #without(value: Int, mask: number): Int {
    return this.b.eqz(32, this.b.and(32, value, this.b.i32(mask)));
  }
  #is(value: Int, wanted: number): Int {
    return this.b.eq(32, value, this.b.i32(wanted));
  }
  #fail(): void {
    this.b.return(this.b.i32(0));
  }
  #need(condition: Int): void {
    this.b.if(this.b.eqz(32, condition), () => this.#fail());
  }
  /** One of several by number; others fail. */
  #choose(value: Int, cases: Readonly<Record<number, () => void>>): void {
    for (const [number, then] of Object.entries(cases)) {
      this.b.if(this.#is(value, Number(number)), () => {
        then();
        this.#fail();
      });
    }
    this.#fail();
  }
  #real(): RealVariable {
    return { se: this.b.variable(this.b.i32(0)), significand: this.b.variable(this.b.i64(0)) };
  }
  #get({ se, significand }: RealVariable): Real {
    return { se: this.b.get(se), significand: this.b.get(significand) };
  }
  #set(into: RealVariable, { se, significand }: Real): void {
    this.b.set(into.se, se);
    this.b.set(into.significand, significand);
  }

  // The stack

  /** Number of ST(i)'s register. */
  #register(i: Int | number): Int {
    const { b } = this;
    return b.and(32, b.add(32, this.#top, typeof i === "number" ? b.i32(i) : i), b.i32(7));
  }
  #inUse(register: Int): Int {
    return this.b.and(32, this.b.shrU(32, this.#tags, register), this.b.i32(1));
  }
  #load(register: Int): Real {
    const { b } = this, slot = b.shl(32, register, b.i32(SLOT_SHIFT));
    return {
      significand: b.loadRaw("i64.load", slot, SLOTS),
      se: b.loadRaw("i32.load16_u", slot, SLOTS + 8),
    };
  }
  #store(register: Int, { se, significand }: Real): void {
    const { b } = this, slot = b.shl(32, register, b.i32(SLOT_SHIFT));
    b.storeRaw("i64.store", slot, significand, SLOTS);
    b.storeRaw("i32.store16", slot, se, SLOTS + 8);
  }
  #st(i: Int | number): Real {
    const register = this.#register(i);
    this.#need(this.#inUse(register));
    return this.#load(register);
  }
  #setTop(top: Int): void {
    const { b } = this;
    const rest = b.and(32, b.get(this.#newFsw), b.i32(~TOP));
    b.set(this.#newFsw, b.or(32, rest, b.shl(32, top, b.i32(FSW_TOP_SHIFT))));
  }
  #pop(times: number): void {
    const { b } = this;
    for (let i = 0; i < times; i++) {
      const bit = b.shl(32, b.i32(1), this.#register(i));
      b.set(this.#newTags, b.and(32, b.get(this.#newTags), b.not(32, bit)));
    }
    this.#setTop(this.#register(times));
  }
  #push(value: Real): void {
    const { b } = this, register = this.#register(7);
    this.#need(b.eqz(32, this.#inUse(register)));
    this.#store(register, value);
    b.set(this.#newTags, b.or(32, b.get(this.#newTags), b.shl(32, b.i32(1), register)));
    this.#setTop(register);
    this.#finish();
  }
  /** Everything is done, but for what the answer says. */
  #finish(more: Int | number = 0): void {
    const { b } = this;
    this.#setState16(AT.fsw, b.get(this.#newFsw));
    b.storeRaw("i32.store8", b.i32(S.x87 + AT.ftw), b.get(this.#newTags));
    this.#setState16(AT.fop, b.or(32, b.shl(32, this.#opcode, b.i32(8)), this.#modrm));
    const rest = typeof more === "number" ? b.i32(more) : more;
    b.return(b.or(32, b.i32(X87_DONE | X87_POINTERS), rest) as Val);
  }

  // Numbers

  #exponent(se: Int): Int {
    return this.b.and(32, se, this.b.i32(EXP_MAX));
  }
  #sign(se: Int): Int {
    return this.b.and(32, se, this.b.i32(SIGN));
  }
  #isZero({ se, significand }: Real): Int {
    const { b } = this;
    return b.eqz(64, b.or(64, significand, b.zeroExtend(32, 64, this.#exponent(se))));
  }
  #isNormal({ se, significand }: Real): Int {
    const { b } = this;
    const inside = b.ltU(32, b.sub(32, this.#exponent(se), b.i32(1)), b.i32(EXP_MAX - 1));
    return b.and(32, inside, b.ltS(64, significand, b.i64(0)));
  }
  #needOrdinary(value: Real): void {
    this.#need(this.b.or(32, this.#isNormal(value), this.#isZero(value)));
  }
  #select(condition: Int, a: Real, c: Real): Real {
    const { b } = this;
    return {
      se: b.select(condition, a.se, c.se),
      significand: b.select(condition, a.significand, c.significand),
    };
  }
  #rounding(): Int {
    return this.#bits(this.#fcw, 10, 3);
  }
  /** Whether what is `ext` above a significand goes up in magnitude; ext is not 0. */
  #goesUp(ext: Long, odd: Int, sign: Int): Int {
    const { b } = this, rc = this.#rounding(), half = b.i64(J);
    const nearest = b.or(32, b.ltU(64, half, ext), b.and(32, b.eq(64, ext, half), odd));
    const directed = b.select(
      sign,
      this.#is(rc, RC_DOWN),
      this.#is(rc, RC_UP),
    );
    return b.select(this.#is(rc, RC_NEAREST), nearest, directed);
  }
  /** An inexact result: PE, and C1 when it is `up`. */
  #inexact(up: Int): void {
    const { b } = this;
    this.#need(b.bit(this.#fcw, 5)); // an unmasked one is not for us
    const codes = b.select(up, b.i32(PE | C1), b.i32(PE));
    b.set(this.#newFsw, b.or(32, b.get(this.#newFsw), codes));
  }
  /**
   * Rounds to a significand without the last `drop` bits. `exp` may become larger by one. `ext` is used up.
   */
  #round(
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
      const up = this.#goesUp(b.get(ext), odd, sign);
      this.#inexact(up);
      b.if(up, () => {
        b.set(significand, b.add(64, b.get(significand), b.op("i64.shl", b.i64(1), wide)));
        b.if(b.eqz(64, b.get(significand)), () => {
          b.set(significand, b.i64(J));
          b.set(exp, b.add(32, b.get(exp), b.i32(1)));
        });
      });
    });
  }
  /** Bits of a significand that FCW's precision control drops. */
  #dropped(): Int {
    const { b } = this, pc = this.#bits(this.#fcw, 8, 3);
    const single = b.select(this.#is(pc, PC_SINGLE), b.i32(40), b.i32(0));
    return b.select(this.#is(pc, PC_DOUBLE), b.i32(11), single);
  }

  // Memory operands

  #raw(): Long {
    return this.b.state64(X87_OPERAND);
  }
  #fromF32(into: RealVariable): void {
    const { b } = this, v = b.op("i32.wrap_i64", this.#raw());
    const exp = this.#bits(v, 23, 0xff), fraction = b.and(32, v, b.i32(0x7f_ffff));
    const wide = b.op("i64.shl", b.zeroExtend(32, 64, fraction) as Long, b.i64(40));
    this.#widen(into, this.#sign(b.shrU(32, v, b.i32(16))), exp, wide, 0xff, BIAS - 127);
  }
  #fromF64(into: RealVariable): void {
    const { b } = this, v = this.#raw();
    const high = b.op("i32.wrap_i64", b.op("i64.shr_u", v, b.i64(32)));
    const wide = b.and(64, b.op("i64.shl", v, b.i64(11)), b.i64(J - 1n));
    this.#widen(
      into,
      this.#sign(b.shrU(32, high, b.i32(16))),
      this.#bits(high, 20, 0x7ff),
      wide,
      0x7ff,
      BIAS - 1023,
    );
  }
  /** `fraction`: below the integer bit. Infinities, NaNs and denormals fail. */
  #widen(into: RealVariable, sign: Int, exp: Int, fraction: Long, most: number, bias: number): void {
    const { b } = this;
    b.if(exp, () => {
      this.#need(b.op("i32.ne", exp, b.i32(most)));
      b.set(into.se, b.or(32, sign, b.add(32, exp, b.i32(bias))));
      b.set(into.significand, b.or(64, fraction, b.i64(J)));
    }, () => {
      this.#need(b.eqz(64, fraction));
      b.set(into.se, sign);
      b.set(into.significand, b.i64(0));
    });
  }
  #fromInteger(into: RealVariable, bytes: 2 | 4 | 8): void {
    const { b } = this;
    const v = bytes === 8
      ? this.#raw()
      : b.op(bytes === 4 ? "i64.extend32_s" : "i64.extend16_s", this.#raw());
    const negative = b.ltS(64, v, b.i64(0));
    const magnitude = b.select(negative, b.sub(64, b.i64(0), v), v);
    this.#normalize(into, b.select(negative, b.i32(SIGN), b.i32(0)), magnitude);
  }
  /** ±magnitude. */
  #normalize(into: RealVariable, sign: Int, magnitude: Long): void {
    const { b } = this, zeros = b.op("i64.clz", magnitude);
    const exp = b.sub(32, b.i32(BIAS + 63), b.op("i32.wrap_i64", zeros));
    b.set(into.se, b.or(32, sign, b.select(b.eqz(64, magnitude), b.i32(0), exp)));
    b.set(into.significand, b.op("i64.shl", magnitude, zeros));
  }

  // D8, DA, DC, DE: arithmetic and comparison

  #arithmetic(isMemory: Int): void {
    const { b } = this;
    const other = this.#real();
    const kind = b.variable(this.#reg), pops = b.variable(b.i32(0)), into = b.variable(this.#top);
    const compares = (more: number) => {
      b.set(kind, b.i32(2));
      b.set(pops, b.i32(more));
    };
    b.if(isMemory, () => {
      const of = (opcode: number, load: () => void) => b.if(this.#is(this.#opcode, opcode), load);
      of(0, () => this.#fromF32(other));
      of(2, () => this.#fromInteger(other, 4));
      of(4, () => this.#fromF64(other));
      of(6, () => this.#fromInteger(other, 2));
      b.if(this.#is(this.#reg, 3), () => compares(1));
    }, () => {
      const { se, significand } = this.#st(this.#index);
      b.set(other.se, se);
      b.set(other.significand, significand);
      const last = b.op("i32.ge_u", this.#opcode, b.i32(4)); // DC and DE: ST(i) is the destination
      b.if(last, () => {
        b.set(into, this.#register(this.#index));
      });
      b.if(this.#is(this.#opcode, 6), () => b.set(pops, b.i32(1)));
      b.if(this.#is(this.#reg, 3), () => compares(1));
      b.if(this.#is(this.#opcode, 2), () => {
        this.#need(this.#is(this.#modrm, 0xe9)); // FUCOMPP; others are FCMOVcc
        compares(2);
      });
      b.if(this.#is(this.#opcode, 6), () => {
        b.if(this.#is(this.#reg, 2), () => this.#fail());
        b.if(this.#is(this.#reg, 3), () => {
          this.#need(this.#is(this.#modrm, 0xd9)); // FCOMPP
          compares(2);
        });
      });
    });
    const top = this.#st(0), second = this.#get(other);
    this.#needOrdinary(top);
    this.#needOrdinary(second);
    b.if(this.#is(b.get(kind), 2), () => {
      const order = this.#order(top, second);
      const rest = b.and(32, b.get(this.#newFsw), b.i32(~CONDITIONS));
      b.set(this.#newFsw, b.or(32, rest, this.#conditions(order, C0, C3)));
      b.if(this.#is(b.get(pops), 1), () => this.#pop(1));
      b.if(this.#is(b.get(pops), 2), () => this.#pop(2));
      this.#finish();
    });
    const isReversed = b.op("i32.gt_u", b.and(32, b.get(kind), b.i32(5)), b.i32(4)); // FSUBR, FDIVR
    const first = this.#select(isReversed, second, top), last = this.#select(isReversed, top, second);
    const result = this.#real(), ext = b.variable(b.i64(0)), exp = b.variable(b.i32(0));
    const operation = b.select(b.bit(b.get(kind), 2), b.and(32, b.get(kind), b.i32(6)), b.get(kind));
    b.if(this.#is(operation, 1), () => this.#multiply(first, last, result, exp, ext), () => {
      b.if(this.#is(operation, 6), () => this.#divide(first, last, result, exp, ext), () => {
        const minus = b.select(operation, b.i32(SIGN), b.i32(0));
        this.#add(first, { ...last, se: b.xor(32, last.se, minus) }, result, exp, ext);
      });
    });
    // a result of 0 is exact and has its sign only
    const sign = this.#sign(b.get(result.se));
    b.if(b.get(exp), () => {
      this.#need(b.op("i32.gt_s", b.get(exp), b.i32(0)));
      this.#round(result.significand, exp, ext, this.#dropped(), sign);
      this.#need(b.op("i32.lt_s", b.get(exp), b.i32(EXP_MAX)));
    }, () => this.#need(b.eqz(64, b.get(result.significand))));
    this.#store(b.get(into), {
      se: b.or(32, sign, b.get(exp)),
      significand: b.get(result.significand),
    });
    b.if(b.get(pops), () => this.#pop(1));
    this.#finish();
  }

  /** -1, 0 or 1 for less, equal, greater. */
  #order(a: Real, c: Real): Int {
    const { b } = this;
    const ea = this.#exponent(a.se), ec = this.#exponent(c.se);
    const sameExponent = b.eq(32, ea, ec);
    const smaller = b.select(sameExponent, b.ltU(64, a.significand, c.significand), b.ltU(32, ea, ec));
    const same = b.and(32, sameExponent, b.eq(64, a.significand, c.significand));
    const negative = b.shrU(32, a.se, b.i32(15)), other = b.shrU(32, c.se, b.i32(15));
    const magnitude = b.select(b.xor(32, smaller, negative), b.i32(-1), b.i32(1));
    const ordered = b.select(same, b.i32(0), magnitude);
    const bySign = b.select(negative, b.i32(-1), b.i32(1));
    const zeros = b.and(32, this.#isZero(a), this.#isZero(c));
    return b.select(zeros, b.i32(0), b.select(b.xor(32, negative, other), bySign, ordered));
  }
  #conditions(order: Int, less: number, equal: number): Int {
    const { b } = this;
    const unequal = b.select(b.ltS(32, order, b.i32(0)), b.i32(less), b.i32(0));
    return b.select(order, unequal, b.i32(equal));
  }

  /** `exp` is 0 for a result of 0. */
  #add(
    a: Real,
    c: Real,
    result: RealVariable,
    exp: Variable<"i32">,
    ext: Variable<"i64">,
  ): void {
    const { b } = this;
    this.#need(b.eqz(32, b.and(32, this.#isZero(a), this.#isZero(c))));
    const ea = this.#exponent(a.se), ec = this.#exponent(c.se);
    const swap = b.select(
      b.eq(32, ea, ec),
      b.ltU(64, a.significand, c.significand),
      b.ltU(32, ea, ec),
    );
    const large = this.#select(swap, c, a), small = this.#select(swap, a, c);
    const el = this.#exponent(large.se);
    const far = b.sub(32, el, this.#exponent(small.se));
    const distance = b.zeroExtend(32, 64, b.select(b.ltU(32, far, b.i32(127)), far, b.i32(127))) as Long;
    const high = b.variable(small.significand);
    b.if(b.op("i64.ge_u", distance, b.i64(64)), () => {
      const shifted = b.op("i64.shr_u", small.significand, distance); // by 64 less
      const lost = b.op("i64.ne", b.op("i64.shl", shifted, distance), small.significand);
      b.set(ext, b.or(64, shifted, b.zeroExtend(32, 64, lost) as Long));
      b.set(high, b.i64(0));
    }, () => {
      b.if(b.op("i64.ne", distance, b.i64(0)), () => {
        b.set(ext, b.op("i64.shl", small.significand, b.sub(64, b.i64(64), distance)));
        b.set(high, b.op("i64.shr_u", small.significand, distance));
      });
    });
    b.set(exp, el);
    b.set(result.se, this.#sign(large.se));
    const unlike = this.#sign(b.xor(32, a.se, c.se));
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
        b.set(result.se, b.select(this.#is(this.#rounding(), RC_DOWN), b.i32(SIGN), b.i32(0)));
      }, () => {
        const zeros = b.op("i64.clz", b.get(result.significand));
        b.if(b.op("i64.ne", zeros, b.i64(0)), () => {
          const below = b.op("i64.shr_u", b.get(ext), b.sub(64, b.i64(64), zeros));
          b.set(result.significand, b.or(64, b.op("i64.shl", b.get(result.significand), zeros), below));
          b.set(ext, b.op("i64.shl", b.get(ext), zeros));
          const lowered = b.sub(32, b.get(exp), b.op("i32.wrap_i64", zeros));
          this.#need(b.op("i32.gt_s", lowered, b.i32(0)));
          b.set(exp, lowered);
        });
      });
    }, () => {
      const sum = b.add(64, large.significand, b.get(high));
      b.set(result.significand, sum);
      b.if(b.ltU(64, sum, large.significand), () => {
        const sticky = b.and(64, b.get(ext), b.i64(1));
        const half = b.or(64, b.op("i64.shr_u", b.get(ext), b.i64(1)), b.op("i64.shl", sum, b.i64(63)));
        b.set(ext, b.or(64, half, sticky));
        b.set(result.significand, b.or(64, b.op("i64.shr_u", sum, b.i64(1)), b.i64(J)));
        b.set(exp, b.add(32, el, b.i32(1)));
      });
    });
  }

  #multiply(
    a: Real,
    c: Real,
    result: RealVariable,
    exp: Variable<"i32">,
    ext: Variable<"i64">,
  ): void {
    const { b } = this;
    b.set(result.se, this.#sign(b.xor(32, a.se, c.se)));
    b.if(b.eqz(32, b.or(32, this.#isZero(a), this.#isZero(c))), () => {
      const low = (v: Long) => b.and(64, v, b.i64(0xffff_ffffn)),
        upper = (v: Long) => b.op("i64.shr_u", v, b.i64(32));
      const times = (x: Long, y: Long) => b.op("i64.mul", x, y);
      const [al, ah, cl, ch] = [
        low(a.significand),
        upper(a.significand),
        low(c.significand),
        upper(c.significand),
      ];
      const ll = times(al, cl), lh = times(al, ch), hl = times(ah, cl), hh = times(ah, ch);
      const middle = b.add(64, b.add(64, upper(ll), low(lh)), low(hl));
      const top = b.add(64, b.add(64, hh, upper(lh)), b.add(64, upper(hl), upper(middle)));
      const rest = b.or(64, b.op("i64.shl", middle, b.i64(32)), low(ll));
      const sum = b.sub(32, b.add(32, this.#exponent(a.se), this.#exponent(c.se)), b.i32(BIAS));
      b.if(b.ltS(64, top, b.i64(0)), () => {
        b.set(result.significand, top);
        b.set(ext, rest);
        b.set(exp, b.add(32, sum, b.i32(1)));
      }, () => {
        b.set(
          result.significand,
          b.or(64, b.op("i64.shl", top, b.i64(1)), b.op("i64.shr_u", rest, b.i64(63))),
        );
        b.set(ext, b.op("i64.shl", rest, b.i64(1)));
        b.set(exp, sum);
      });
      this.#need(b.op("i32.gt_s", b.get(exp), b.i32(0)));
    });
  }

  #divide(
    a: Real,
    c: Real,
    result: RealVariable,
    exp: Variable<"i32">,
    ext: Variable<"i64">,
  ): void {
    const { b } = this;
    this.#need(b.eqz(32, this.#isZero(c)));
    b.set(result.se, this.#sign(b.xor(32, a.se, c.se)));
    b.if(b.eqz(32, this.#isZero(a)), () => {
      const d = c.significand;
      const difference = b.add(32, b.sub(32, this.#exponent(a.se), this.#exponent(c.se)), b.i32(BIAS));
      const fits = b.op("i64.ge_u", a.significand, d);
      const one = b.zeroExtend(32, 64, fits) as Long;
      const high = b.op("i64.shr_u", a.significand, one); // less than d
      const low = b.select(fits, b.op("i64.shl", a.significand, b.i64(63)), b.i64(0));
      b.set(exp, b.sub(32, difference, b.eqz(32, fits)));
      this.#need(b.op("i32.gt_s", b.get(exp), b.i32(0)));
      const first = this.#digit(high, b.op("i64.shr_u", low, b.i64(32)), d);
      const second = this.#digit(first.rest, b.and(64, low, b.i64(0xffff_ffffn)), d);
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
  #digit(high: Long, next: Long, d: Long): { digit: Long; rest: Long } {
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

  // D9, DB, DD, DF with a memory operand: loads and stores

  #move(): void {
    const { b } = this;
    const loaded = this.#real();
    const by = (cases: Readonly<Record<number, () => void>>) => () => this.#choose(this.#opcode, cases);
    const push = (load: () => void) => () => {
      load();
      this.#push(this.#get(loaded));
    };
    const f80 = (): Real => ({
      significand: this.#raw(),
      se: b.loadRaw("i32.load16_u", b.i32(X87_OPERAND + 8)),
    });
    this.#choose(this.#reg, {
      0: by({
        1: push(() => this.#fromF32(loaded)),
        3: push(() => this.#fromInteger(loaded, 4)),
        5: push(() => this.#fromF64(loaded)),
        7: push(() => this.#fromInteger(loaded, 2)),
      }),
      1: by({
        3: () => this.#storeInteger(4, 1, true),
        5: () => this.#storeInteger(8, 1, true),
        7: () => this.#storeInteger(2, 1, true),
      }),
      2: by({
        1: () => this.#storeReal(4, 0),
        3: () => this.#storeInteger(4, 0),
        5: () => this.#storeReal(8, 0),
        7: () => this.#storeInteger(2, 0),
      }),
      3: by({
        1: () => this.#storeReal(4, 1),
        3: () => this.#storeInteger(4, 1),
        5: () => this.#storeReal(8, 1),
        7: () => this.#storeInteger(2, 1),
      }),
      5: by({
        1: () => this.#loadControl(),
        3: () => this.#push(f80()),
        7: push(() => this.#fromInteger(loaded, 8)),
      }),
      7: by({
        1: () => this.#storeWord(this.#fcw),
        3: () => {
          const { se, significand } = this.#st(0);
          b.setState64(X87_RESULT, significand);
          b.setState32(X87_RESULT + 8, se);
          this.#pop(1);
          this.#finish(10 << X87_STORE_SHIFT);
        },
        5: () => this.#storeWord(this.#fsw),
        7: () => this.#storeInteger(8, 1),
      }),
    });
  }
  /** FNSTCW, FNSTSW. */
  #storeWord(value: Int): void {
    this.b.setState32(X87_RESULT, value);
    this.b.return(this.b.i32(X87_DONE | 2 << X87_STORE_SHIFT));
  }
  /** FLDCW. */
  #loadControl(): void {
    const { b } = this;
    const given = b.and(32, b.op("i32.wrap_i64", this.#raw()), b.i32(FCW_WRITABLE));
    const pending = b.and(32, b.and(32, this.#fsw, b.not(32, given)), b.i32(FSW_EXCEPTIONS));
    this.#need(b.eqz(32, pending));
    this.#setState16(AT.fcw, b.or(32, given, b.i32(FCW_FIXED)));
    b.return(b.i32(X87_DONE));
  }
  #storeReal(bytes: 4 | 8, pops: 0 | 1): void {
    const { b } = this;
    const from = this.#st(0);
    const sign = this.#sign(from.se);
    const [drop, bias, most] = bytes === 4 ? [40, 127, 0xff] as const : [11, 1023, 0x7ff] as const;
    const bits = b.variable(b.i64(0)), exp = b.variable(b.i32(0));
    b.if(this.#isNormal(from), () => {
      const significand = b.variable(from.significand), ext = b.variable(b.i64(0));
      b.set(exp, b.sub(32, this.#exponent(from.se), b.i32(BIAS - bias)));
      this.#need(b.op("i32.gt_s", b.get(exp), b.i32(0)));
      this.#round(significand, exp, ext, b.i32(drop), sign);
      this.#need(b.op("i32.lt_s", b.get(exp), b.i32(most)));
      b.set(bits, b.op("i64.shr_u", b.op("i64.shl", b.get(significand), b.i64(1)), b.i64(drop + 1)));
    }, () => this.#need(this.#isZero(from)));
    const at = bytes === 4 ? 23 : 52;
    const upper = b.or(32, b.get(exp), b.shrU(32, sign, b.i32(15 - (bytes * 8 - 1 - at))));
    b.setState64(
      X87_RESULT,
      b.or(64, b.get(bits), b.op("i64.shl", b.zeroExtend(32, 64, upper) as Long, b.i64(at))),
    );
    if (pops === 1) this.#pop(1);
    this.#finish(bytes << X87_STORE_SHIFT);
  }
  /** ST(0) as an integer: magnitude, and whether it was one. */
  #integer(from: Real, truncates: boolean): { magnitude: Long; exact: Variable<"i32"> } {
    const { b } = this;
    const magnitude = b.variable(b.i64(0)), ext = b.variable(b.i64(0)), exact = b.variable(b.i32(1));
    const shift = b.zeroExtend(32, 64, b.sub(32, b.i32(BIAS + 63), this.#exponent(from.se))) as Long;
    b.if(this.#isNormal(from), () => {
      this.#need(b.op("i64.le_u", shift, b.i64(BIAS + 63))); // below 2^64
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
        const up = truncates ? b.i32(0) : this.#goesUp(b.get(ext), odd, this.#sign(from.se));
        this.#inexact(up);
        b.set(magnitude, b.add(64, b.get(magnitude), b.zeroExtend(32, 64, up) as Long));
      });
    }, () => this.#need(this.#isZero(from)));
    return { magnitude: b.get(magnitude), exact };
  }
  #storeInteger(bytes: 2 | 4 | 8, pops: 0 | 1, truncates = false): void {
    const { b } = this;
    const from = this.#st(0);
    const { magnitude } = this.#integer(from, truncates);
    const negative = b.shrU(32, from.se, b.i32(15));
    const most = b.add(64, b.i64((1n << BigInt(bytes * 8 - 1)) - 1n), b.zeroExtend(32, 64, negative) as Long);
    this.#need(b.op("i64.le_u", magnitude, most));
    b.setState64(X87_RESULT, b.select(negative, b.sub(64, b.i64(0), magnitude), magnitude));
    if (pops === 1) this.#pop(1);
    this.#finish(bytes << X87_STORE_SHIFT);
  }

  // D9, DB, DD, DF without one

  #onRegister(): void {
    const { b } = this;
    const by = (cases: Readonly<Record<number, () => void>>) => () => this.#choose(this.#reg, cases);
    this.#choose(this.#opcode, {
      1: by({
        0: () => this.#push(this.#st(this.#index)),
        1: () => {
          const top = this.#st(0), other = this.#st(this.#index);
          this.#store(this.#top, other);
          this.#store(this.#register(this.#index), top);
          this.#finish();
        },
        4: () =>
          this.#choose(this.#index, {
            0: () =>
              this.#changeTop(({ se, significand }) => ({ se: b.xor(32, se, b.i32(SIGN)), significand })),
            1: () => this.#changeTop(({ se, significand }) => ({ se: this.#exponent(se), significand })),
            4: () => this.#compareWith({ se: b.i32(0), significand: b.i64(0) }, 0),
            5: () => this.#examine(),
          }),
        5: () =>
          this.#choose(this.#index, {
            0: () => this.#push({ se: b.i32(BIAS), significand: b.i64(J) }),
            6: () => this.#push({ se: b.i32(0), significand: b.i64(0) }),
          }),
        7: () =>
          this.#choose(this.#index, {
            3: () =>
              this.#trigonometric((number) => {
                this.#need(b.eqz(32, this.#inUse(this.#register(7))));
                const sine = number("sine"), cosine = number("cosine");
                this.#store(this.#top, sine);
                this.#push(cosine);
              }),
            4: () => this.#roundToInteger(),
            6: () => this.#trigonometric((number) => this.#replaceTop(number("sine"))),
            7: () => this.#trigonometric((number) => this.#replaceTop(number("cosine"))),
          }),
      }),
      3: by({ 5: () => this.#compareToFlags(0), 6: () => this.#compareToFlags(0) }),
      5: by({
        2: () => this.#copyTop(0),
        3: () => this.#copyTop(1),
        4: () => this.#compareWith(this.#st(this.#index), 0),
        5: () => this.#compareWith(this.#st(this.#index), 1),
      }),
      7: by({
        4: () => {
          this.#need(b.eqz(32, this.#index));
          b.return(b.i32(X87_DONE | X87_AX));
        },
        5: () => this.#compareToFlags(1),
        6: () => this.#compareToFlags(1),
      }),
    });
  }
  #changeTop(change: (value: Real) => Real): void {
    this.#store(this.#top, change(this.#st(0)));
    this.#finish();
  }
  #copyTop(pops: 0 | 1): void {
    const { b } = this, register = this.#register(this.#index);
    this.#store(register, this.#st(0));
    b.set(this.#newTags, b.or(32, b.get(this.#newTags), b.shl(32, b.i32(1), register)));
    if (pops === 1) this.#pop(1);
    this.#finish();
  }
  #ordered(other: Real): Int {
    const top = this.#st(0);
    this.#needOrdinary(top);
    this.#needOrdinary(other);
    return this.#order(top, other);
  }
  #compareWith(other: Real, pops: 0 | 1): void {
    const { b } = this, order = this.#ordered(other);
    const rest = b.and(32, b.get(this.#newFsw), b.i32(~CONDITIONS));
    b.set(this.#newFsw, b.or(32, rest, this.#conditions(order, C0, C3)));
    if (pops === 1) this.#pop(1);
    this.#finish();
  }
  #compareToFlags(pops: 0 | 1): void {
    const { b } = this, order = this.#ordered(this.#st(this.#index));
    b.setState32(X87_RESULT + 16, this.#conditions(order, EFLAGS_CF, EFLAGS_ZF));
    b.set(this.#newFsw, this.#fsw); // C1 stays
    if (pops === 1) this.#pop(1);
    this.#finish(X87_FLAGS);
  }
  #replaceTop(value: Real): void {
    this.#store(this.#top, value);
    this.#finish();
  }
  /** FXAM. */
  #examine(): void {
    const { b } = this, top = this.#st(0);
    this.#needOrdinary(top);
    const kind = b.select(this.#isZero(top), b.i32(C3), b.i32(C2));
    const sign = b.select(this.#sign(top.se), b.i32(C1), b.i32(0));
    const rest = b.and(32, this.#fsw, b.i32(~(CONDITIONS | C1)));
    b.set(this.#newFsw, b.or(32, rest, b.or(32, kind, sign)));
    this.#finish();
  }
  /** FSIN, FCOS, FSINCOS of what the fast way can: `then` says which it wants, and what becomes of them. */
  #trigonometric(then: (number: (which: "sine" | "cosine") => Real) => void): void {
    const { b } = this, from = this.#st(0);
    this.#need(this.#isNormal(from));
    const answer = b.call(this.sineAndCosine, [from.significand, from.se], "i32") as Int;
    this.#need(answer);
    b.set(this.#newFsw, b.and(32, b.get(this.#newFsw), b.i32(~C2)));
    const quadrant = this.#bits(answer, TRIG_QUADRANT, 3), swaps = b.and(32, quadrant, b.i32(1));
    const signIf = (condition: Int) => b.shl(32, condition, b.i32(15));
    const negative = this.#bits(answer, TRIG_NEGATIVE, 1);
    then((which) => {
      const isSine = which === "sine";
      // the sine of the angle within its quadrant is odd
      const isOdd = isSine ? b.eqz(32, swaps) : swaps;
      const turned = this.#bits(isSine ? quadrant : b.add(32, quadrant, b.i32(1)), 1, 1);
      const odd = b.and(32, isOdd, negative), sign = signIf(b.xor(32, turned, odd));
      return this.#rounded(
        b.select(isOdd, b.i32(TRIG_SINE), b.i32(TRIG_COSINE)),
        isSine ? b.xor(32, sign, this.#sign(from.se)) : sign,
      );
    });
  }
  /** The fraction of 128 bits at `at` as a number, when what is not known of it does not matter. */
  #rounded(at: Int, sign: Int): Real {
    const { b } = this;
    const low = b.loadRaw("i64.load", at), high = b.loadRaw("i64.load", at, 8);
    const zeros = b.op("i64.clz", high), one = b.i64(1);
    const below = b.op("i64.shr_u", b.op("i64.shr_u", low, one), b.sub(64, b.i64(63), zeros));
    const significand = b.variable(b.or(64, b.op("i64.shl", high, zeros), below));
    const ext = b.variable(b.op("i64.shl", low, zeros));
    const margin = b.op("i64.shl", b.i64(TRIG_ERROR), zeros);
    const fromHalf = b.and(64, b.add(64, b.get(ext), margin), b.i64(J - 1n));
    this.#need(b.op("i64.gt_u", fromHalf, b.op("i64.shl", margin, one)));
    const exp = b.variable(b.sub(32, b.i32(BIAS - 1), b.op("i32.wrap_i64", zeros)));
    this.#round(significand, exp, ext, b.i32(0), sign);
    return { se: b.or(32, sign, b.get(exp)), significand: b.get(significand) };
  }
  #roundToInteger(): void {
    const { b } = this, from = this.#st(0);
    const large = b.op("i32.ge_u", this.#exponent(from.se), b.i32(BIAS + 63));
    this.#need(b.eqz(32, large));
    const { magnitude, exact } = this.#integer(from, false);
    const result = this.#real();
    this.#normalize(result, this.#sign(from.se), magnitude);
    this.#store(this.#top, this.#select(b.get(exact), from, this.#get(result)));
    this.#finish();
  }
}
