// SPDX-License-Identifier: MIT
/**
 * What x87 instructions work on: the register stack, stack faults and other exceptions, condition codes. SDM Vol. 1 §8.1.
 * @module
 */
import { C0, C1, C2, C3, defaultNaN, Float80, FpEnv, IE, PRE_FAULTS, SF } from "./float80.ts";
import { EQUAL, GREATER, LESS } from "./arithmetic.ts";
import {
  EFLAGS_CF,
  EFLAGS_PF,
  EFLAGS_ZF,
  type EnvFormat,
  FSW_TOP_SHIFT,
  SLOT_SHIFT,
  X87_STATE,
} from "./x87_state.ts";

const AT = X87_STATE.at;
/** The six arithmetic flags, all of which FCOMI writes. */
const EFLAGS_OSZAPC = 0x8d5;
const CONDITIONS = C0 | C2 | C3;

/** One x87 as its instructions see it. All architectural state is in the record; what is here lives for one of them. */
export class X87Stack {
  /** Address of the instruction being executed and its CS; recorded as FIP and FCS by all but control instructions. */
  ipLow = 0;
  ipHigh = 0;
  cs = 0;
  /** Address (offset) of its memory operand and that segment's selector; FDP and FDS. */
  dpLow = 0;
  dpHigh = 0;
  ds = 0;
  /** For the instructions that load or store the environment. */
  envFormat: EnvFormat = { short: false, real: false };
  /** In: EFLAGS for FCMOVcc. Out: EFLAGS after FCOMI and its kin. */
  eflags = 0;
  /** Out: bytes at `operand` that are to be written to memory; 0 also when an unmasked exception suppressed it. */
  storeBytes = 0;

  /** @internal Control word and exceptions of the running instruction. */
  readonly env = new FpEnv();
  /** @internal FSW while an instruction runs; written back at its end. */
  fsw = 0;
  /** @internal Scratch operands. */
  readonly a = new Float80();
  /** @internal */
  readonly b = new Float80();
  /** @internal */
  readonly c = new Float80();

  /**
   * `view`: memory that holds the state record at `base` and, at `operand`, 108 bytes for memory operands: loaded by
   * the caller before an instruction runs, or stored by the caller after it.
   */
  constructor(readonly view: DataView, readonly base: number, readonly operand: number) {}

  /** @internal Byte offset of ST(i)'s slot. */
  slot(i: number): number {
    return this.base + AT.r + ((((this.fsw >>> FSW_TOP_SHIFT) + i) & 7) << SLOT_SHIFT);
  }

  /** @internal True when ST(i) is empty. */
  empty(i: number): boolean {
    return (this.view.getUint8(this.base + AT.ftw) >>> (((this.fsw >>> FSW_TOP_SHIFT) + i) & 7) & 1) === 0;
  }

  /** @internal Reads ST(i). */
  get(into: Float80, i: number): Float80 {
    const slot = this.slot(i);
    into.lo = this.view.getUint32(slot, true);
    into.hi = this.view.getUint32(slot + 4, true);
    into.se = this.view.getUint16(slot + 8, true);
    return into;
  }

  /** @internal Writes ST(i), which is in use from now on. */
  put(i: number, from: Float80): void {
    const slot = this.slot(i);
    this.view.setUint32(slot, from.lo, true);
    this.view.setUint32(slot + 4, from.hi, true);
    this.view.setUint16(slot + 8, from.se, true);
    this.#tag(i, true);
  }

  #tag(i: number, used: boolean): void {
    const at = this.base + AT.ftw;
    const bit = 1 << (((this.fsw >>> FSW_TOP_SHIFT) + i) & 7);
    const tags = this.view.getUint8(at);
    this.view.setUint8(at, used ? tags | bit : tags & ~bit);
  }

  /** @internal FFREE. */
  free(i: number): void {
    this.#tag(i, false);
  }

  /** @internal Adds to TOP. */
  turn(by: number): void {
    const top = (this.fsw >>> FSW_TOP_SHIFT) + by & 7;
    this.fsw = (this.fsw & ~(7 << FSW_TOP_SHIFT)) | (top << FSW_TOP_SHIFT);
  }

  /** @internal */
  pop(): void {
    this.#tag(0, false);
    this.turn(1);
  }

  /** @internal */
  push(from: Float80): void {
    this.turn(-1);
    this.put(0, from);
  }

  /** @internal True when an exception found so far forbids the result; see PRE_FAULTS. */
  get stopped(): boolean {
    return (this.env.sw & ~this.env.cw & PRE_FAULTS) !== 0;
  }

  /** @internal Writes a result unless stopped; says whether it did. */
  commit(i: number, from: Float80): boolean {
    if (this.stopped) return false;
    this.put(i, from);
    return true;
  }

  /** @internal Stack underflow: an operand is empty. True when masked: `r` is the response. */
  underflow(r: Float80): boolean {
    this.fsw &= ~C1;
    this.env.sw |= IE | SF;
    defaultNaN(r);
    return (this.env.cw & IE) !== 0;
  }

  /** @internal Stack overflow: the register to push into is in use. True when masked. */
  overflow(r: Float80): boolean {
    this.env.sw |= IE | SF | C1;
    defaultNaN(r);
    return (this.env.cw & IE) !== 0;
  }

  /** @internal Pushes a loaded value, or the response to an overflow. */
  load(from: Float80): void {
    if (!this.empty(7)) {
      this.env.sw = 0; // a stack fault precedes what the conversion found
      if (!this.overflow(from)) return;
    } else if ((this.env.sw & ~this.env.cw & IE) !== 0) { // an unmasked DE does not keep it from being pushed
      return;
    }
    this.push(from);
  }

  /** @internal Condition codes of FCOM. */
  setConditions(order: number): void {
    const codes = order === GREATER ? 0 : order === LESS ? C0 : order === EQUAL ? C3 : CONDITIONS;
    this.fsw = (this.fsw & ~CONDITIONS) | codes;
  }

  /** @internal EFLAGS of FCOMI. */
  setEflags(order: number): void {
    const flags = order === GREATER
      ? 0
      : order === LESS
      ? EFLAGS_CF
      : order === EQUAL
      ? EFLAGS_ZF
      : EFLAGS_CF | EFLAGS_PF | EFLAGS_ZF;
    this.eflags = (this.eflags & ~EFLAGS_OSZAPC) | flags;
  }

  /** @internal Replaces condition codes (C1 too). */
  setCodes(mask: number, codes: number): void {
    this.fsw = (this.fsw & ~mask) | codes;
  }
}
