// SPDX-License-Identifier: MIT
/**
 * The frame of the x87 functions (./x87_function.ts): what an instruction looks at in the state record and leaves there,
 * the stack, and the ways out. SDM Vol. 1 §8.1.
 * @module
 */
import type { Val, WasmBuilder } from "../../emit/builder.ts";
import type { Value, Variable } from "../../emit/emit.ts";
import { C1 } from "../../fpu/float80.ts";
import { FSW_ES, FSW_TOP_SHIFT, SLOT_SHIFT, X87_STATE } from "../../fpu/x87_state.ts";
import { S } from "../../state/state.ts";

/** Bits of the answer: done; FIP and its like are to be set; EFLAGS are in X87_RESULT + 16; AX gets FSW. Above: bytes to be stored. */
export const X87_DONE = 1, X87_POINTERS = 2, X87_FLAGS = 4, X87_AX = 8, X87_STORE_SHIFT = 8;
/** Where the first ten bytes of a memory operand are given, and what is to be stored is found. */
export const X87_OPERAND = S.arg + 32, X87_RESULT = S.arg;
/** Where FCMOVcc is told whether its condition holds. */
export const X87_CONDITION = X87_OPERAND;

/** Places in the state record. */
export const AT = X87_STATE.at;
const SLOTS = S.x87 + AT.r;
const TOP = 7 << FSW_TOP_SHIFT;

/** Condition or small number. */
export type Int = Value<"i32">;
/** Significand. */
export type Long = Value<"i64">;

/** A number. */
export interface Real {
  readonly se: Int;
  readonly significand: Long;
}
/** A number that is set on several paths. */
export interface RealVariable {
  readonly se: Variable<"i32">;
  readonly significand: Variable<"i64">;
}

/** Which instructions a function is for. */
export interface X87Group {
  /** The lowest three bits of the opcode. */
  readonly opcode: number;
  readonly isMemory: boolean;
  /** ModRM.reg. */
  readonly reg: number;
}

/** See the module's description. */
export abstract class X87Frame {
  protected readonly fcw: Int;
  protected readonly fsw: Int;
  protected readonly tags: Int;
  protected readonly top: Int;
  /** ModRM.rm. */
  protected readonly index: Int;
  /** FSW and tags after the instruction, as far as known. */
  protected readonly newFsw: Variable<"i32">;
  protected readonly newTags: Variable<"i32">;

  constructor(readonly b: WasmBuilder, readonly modrm: Val, readonly group: X87Group) {
    this.fcw = this.state16(AT.fcw);
    this.fsw = this.state16(AT.fsw);
    this.tags = b.loadRaw("i32.load8_u", b.i32(S.x87 + AT.ftw));
    this.need(this.without(this.fsw, FSW_ES));
    this.top = this.bits(this.fsw, FSW_TOP_SHIFT, 7);
    this.index = b.and(32, modrm, b.i32(7));
    this.newFsw = b.variable(b.and(32, this.fsw, b.i32(~C1)));
    this.newTags = b.variable(this.tags);
  }

  protected state16(at: number): Int {
    return this.b.loadRaw("i32.load16_u", this.b.i32(S.x87 + at));
  }
  protected setState16(at: number, value: Int): void {
    this.b.storeRaw("i32.store16", this.b.i32(S.x87 + at), value);
  }
  protected bits(value: Int, from: number, mask: number): Int {
    const { b } = this;
    return b.and(32, b.shrU(32, value, b.i32(from)), b.i32(mask));
  }
  protected without(value: Int, mask: number): Int {
    return this.b.eqz(32, this.b.and(32, value, this.b.i32(mask)));
  }
  protected is(value: Int, wanted: number): Int {
    return this.b.eq(32, value, this.b.i32(wanted));
  }
  protected fail(): void {
    this.b.return(this.b.i32(0));
  }
  protected need(condition: Int): void {
    this.b.if(this.b.eqz(32, condition), () => this.fail());
  }
  /** One of several by ModRM.rm; others fail. */
  protected byIndex(cases: Readonly<Record<number, () => void>>): void {
    for (const [number, then] of Object.entries(cases)) {
      this.b.if(this.is(this.index, Number(number)), () => {
        then();
        this.fail();
      });
    }
    this.fail();
  }
  protected real(): RealVariable {
    return { se: this.b.variable(this.b.i32(0)), significand: this.b.variable(this.b.i64(0)) };
  }
  protected get({ se, significand }: RealVariable): Real {
    return { se: this.b.get(se), significand: this.b.get(significand) };
  }
  protected set(into: RealVariable, { se, significand }: Real): void {
    this.b.set(into.se, se);
    this.b.set(into.significand, significand);
  }

  // The stack

  /** Number of ST(i)'s register. */
  protected register(i: Int | number): Int {
    const { b } = this;
    return b.and(32, b.add(32, this.top, typeof i === "number" ? b.i32(i) : i), b.i32(7));
  }
  protected inUse(register: Int): Int {
    return this.b.and(32, this.b.shrU(32, this.tags, register), this.b.i32(1));
  }
  protected load(register: Int): Real {
    const { b } = this, slot = b.shl(32, register, b.i32(SLOT_SHIFT));
    return {
      significand: b.loadRaw("i64.load", slot, SLOTS),
      se: b.loadRaw("i32.load16_u", slot, SLOTS + 8),
    };
  }
  protected store(register: Int, { se, significand }: Real): void {
    const { b } = this, slot = b.shl(32, register, b.i32(SLOT_SHIFT));
    b.storeRaw("i64.store", slot, significand, SLOTS);
    b.storeRaw("i32.store16", slot, se, SLOTS + 8);
  }
  protected st(i: Int | number): Real {
    const register = this.register(i);
    this.need(this.inUse(register));
    return this.load(register);
  }
  protected setTop(top: Int): void {
    const { b } = this;
    const rest = b.and(32, b.get(this.newFsw), b.i32(~TOP));
    b.set(this.newFsw, b.or(32, rest, b.shl(32, top, b.i32(FSW_TOP_SHIFT))));
  }
  protected pop(times: number): void {
    const { b } = this;
    for (let i = 0; i < times; i++) {
      const bit = b.shl(32, b.i32(1), this.register(i));
      b.set(this.newTags, b.and(32, b.get(this.newTags), b.not(32, bit)));
    }
    this.setTop(this.register(times));
  }
  protected push(value: Real): void {
    const { b } = this, register = this.register(7);
    this.need(b.eqz(32, this.inUse(register)));
    this.store(register, value);
    b.set(this.newTags, b.or(32, b.get(this.newTags), b.shl(32, b.i32(1), register)));
    this.setTop(register);
    this.finish();
  }
  /** Everything is done, but for what the answer says. */
  protected finish(more: Int | number = 0): void {
    const { b } = this;
    this.setState16(AT.fsw, b.get(this.newFsw));
    b.storeRaw("i32.store8", b.i32(S.x87 + AT.ftw), b.get(this.newTags));
    this.setState16(AT.fop, b.or(32, b.i32(this.group.opcode << 8), this.modrm));
    const rest = typeof more === "number" ? b.i32(more) : more;
    b.return(b.or(32, b.i32(X87_DONE | X87_POINTERS), rest) as Val);
  }
}
