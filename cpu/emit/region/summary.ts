// SPDX-License-Identifier: MIT
/**
 * What the region compiler wants to know of an instruction before it emits it: general registers, and whether a region
 * can hold it at all. Found by running its description against an emitter whose code is thrown away.
 * @module
 */
import { S } from "../../state/state.ts";
import { FunctionBody } from "../../wasm/encoder.ts";
import type { Val } from "../builder.ts";
import {
  type Address,
  type AtOnce,
  type Emit,
  type MicrocodeArguments,
  type MicrocodeOptions,
  RAX,
  RDI,
  RSI,
  type Value,
  type Width,
} from "../emit.ts";
import type { Facts } from "../facts.ts";
import type { Operands } from "../form.ts";
import { InterpreterEmit } from "../interpreter.ts";
import { NO_LINKS } from "../links.ts";
import type { MicrocodeName } from "../microcode_calls.ts";

/** A decoded instruction: its operands, and its description. */
export interface Described extends Operands {
  readonly width: Width;
  readonly row: { readonly text: string; readonly semantics: (e: Emit, w: Width) => void };
}

/** Of one form of a row. */
export interface Summary {
  /** Every execution leaves the region: microcode, most repeated strings, and those in segments with limits. */
  readonly leaves: boolean;
  /** Masks of the general registers it names by itself. */
  readonly reads: number;
  readonly writes: number;
  /** It writes its operands reg, rm and vvvv. */
  readonly writesReg: boolean;
  readonly writesRm: boolean;
  readonly writesVvvv: boolean;
  /** It stores through its memory operand, or elsewhere. */
  readonly stores: boolean;
  /** What of it may change by small steps: see writtenNearby. */
  readonly steps: "reg" | "rm" | "rm by immediate" | "rAX by immediate" | "address" | "strings" | undefined;
  /** It sets flags by a product of 64 bits. */
  readonly multiplies: boolean;
}

/** Mask of the general registers an instruction touches. */
export function touchedBy(insn: Described, summary: Summary): number {
  return summary.reads | summary.writes | maskAt(insn.reg) | maskAt(insn.rm) | maskAt(insn.vvvv) |
    maskAt(insn.base) | maskAt(insn.index);
}
/** Mask of the general registers it writes. */
export function writtenBy(insn: Described, summary: Summary): number {
  return summary.writes | (summary.writesReg ? maskAt(insn.reg) : 0) |
    (summary.writesRm ? maskAt(insn.rm) : 0) | (summary.writesVvvv ? maskAt(insn.vvvv) : 0);
}

/** What counts as a small step: an eighth of a page, so that most accesses stay in the page of the one before. */
const SMALL_STEP = 512;

/** Mask of the registers that an instruction changes by a small step only, if it changes them at all. */
export function writtenNearby(insn: Described, { steps }: Summary): number {
  const { form, reg, rm, base, disp, immLow } = insn;
  switch (steps) {
    case undefined:
      return 0;
    case "reg":
      return maskAt(reg);
    case "rm":
      return form.isMemory ? 0 : maskAt(rm);
    case "rm by immediate":
      return form.isMemory || Math.abs(immLow) > SMALL_STEP ? 0 : maskAt(rm);
    case "rAX by immediate":
      return Math.abs(immLow) > SMALL_STEP ? 0 : 1 << RAX;
    case "address":
      return base === reg && !form.addressForm.hasIndex && Math.abs(disp) <= SMALL_STEP ? maskAt(reg) : 0;
    case "strings":
      return 1 << RSI | 1 << RDI;
  }
}
function stepsOf({ row: { text }, width }: Described): Summary["steps"] {
  if (/^(INC|DEC) r/.test(text)) return text.includes("r/m") ? "rm" : "reg";
  if (/^(ADD|SUB) r.*imm/.test(text)) return text.includes("rAX") ? "rAX by immediate" : "rm by immediate";
  if (text.startsWith("LEA ")) return "address";
  return /^(MOVS|CMPS|STOS|LODS|SCAS)$/.test(text) && width <= 64 ? "strings" : undefined;
}

/**
 * Runs the description as a handler's: its facts, and its summary unless regions do it in another way (Emit.atOnce). The
 * first run of a description takes most of the time, which is compiled then.
 */
export function describe(insn: Described): { readonly facts: Facts; readonly summary: Summary | undefined } {
  const probe = probed(insn, false);
  return { facts: probe.facts, summary: probe.differs ? undefined : summaryOf(probe, insn) };
}
/** Runs the description as a region's. */
export function summarize(insn: Described): Summary {
  return summaryOf(probed(insn, true), insn);
}

function probed(insn: Described, isRegion: boolean): Probe {
  const body = new FunctionBody(1), probe = new Probe(body, isRegion);
  probe.begin(insn, 0);
  insn.row.semantics(probe, insn.width);
  body.release();
  return probe;
}
function summaryOf({ summary }: Probe, insn: Described): Summary {
  const { leaves, reads, writes, writesReg, writesRm, writesVvvv, stores } = summary;
  const steps = stepsOf(insn), multiplies = insn.width === 64 && insn.row.text.startsWith("IMUL r, ");
  return { leaves, reads, writes, writesReg, writesRm, writesVvvv, stores, steps, multiplies };
}

class Probe extends InterpreterEmit {
  /** A region's code is another than a handler's. */
  differs = false;
  readonly summary = {
    leaves: false,
    reads: 0,
    writes: 0,
    writesReg: false,
    writesRm: false,
    writesVvvv: false,
    stores: false,
  };

  constructor(body: FunctionBody, readonly isRegion: boolean) {
    super(body, NO_LINKS);
  }

  protected override loadRegister(w: Width, address: Val): Val {
    if (address.constant !== undefined) this.summary.reads |= maskAt(address.constant);
    return super.loadRegister(w, address);
  }
  protected override storeRegister(w: Width, address: Val, value: Value): void {
    if (address.constant !== undefined) this.summary.writes |= maskAt(address.constant);
    super.storeRegister(w, address, value);
  }
  override setReg(w: Width, value: Value): void {
    this.summary.writesReg = true;
    super.setReg(w, value);
  }
  override setRm(w: Width, value: Value): void {
    if (!this.form.isMemory) this.summary.writesRm = true;
    super.setRm(w, value);
  }
  override setVvvv(w: Width, value: Value): void {
    this.summary.writesVvvv = true;
    super.setVvvv(w, value);
  }
  override updateRm(w: Width, f: (old: Value) => Value): void {
    if (!this.form.isMemory) this.summary.writesRm = true;
    super.updateRm(w, f);
  }
  override microcode<N extends MicrocodeName>(
    name: N,
    args: MicrocodeArguments<N>,
    options?: MicrocodeOptions,
  ): void {
    if (this.depth === 0) this.summary.leaves = true;
    super.microcode(name, args, options);
  }
  override jumpFar(target: Value): void {
    this.summary.leaves = true;
    super.jumpFar(target);
  }
  override atOnce(usual: (region: AtOnce) => void, all: () => void): void {
    this.differs = true;
    if (!this.isRegion) return all();
    usual({
      leaveIf: () => {},
      span: (address, _bytes, write) => {
        this.#check(address);
        if (write) this.summary.stores = true;
        return this.i32(0);
      },
    });
  }
  override repeat(extra?: Value): void {
    this.summary.leaves = true;
    super.repeat(extra);
  }
  override fault(vector: number, errorCode?: number): void {
    if (this.depth === 0) this.summary.leaves = true;
    super.fault(vector, errorCode);
  }
  override linear(address: Address): Value {
    if ((address as Address & { how?: string }).how === "checked") this.summary.leaves = true;
    return super.linear(address);
  }
  override store(w: Width, address: Address, value: Value): void {
    this.summary.stores = true;
    super.store(w, address, value);
  }
  override loadForUpdate(w: Width, address: Address): ReturnType<InterpreterEmit["loadForUpdate"]> {
    this.summary.stores = true;
    return super.loadForUpdate(w, address);
  }
  override store128(address: Address, value: Value, aligned?: boolean): void {
    this.summary.stores = true;
    super.store128(address, value, aligned);
  }
  override store256(address: Address, low: Value, high: Value, aligned?: boolean): void {
    this.summary.stores = true;
    super.store256(address, low, high, aligned);
  }
  #check(address: Address): void {
    if ((address as Address & { how?: string }).how === "checked") this.summary.leaves = true;
  }
}

function maskAt(at: number): number {
  return at >= S.gpr && at < S.gpr + 16 * 8 ? 1 << ((at - S.gpr) >> 3) : 0;
}
