// SPDX-License-Identifier: MIT
/**
 * Back end two: one function per hot basic block. Operands are constants, instructions follow each other without
 * dispatch, and lazy flags of one instruction are at hand for the next. Experimental: registers stay in the
 * state block and nothing is compiled across blocks; that is the region compiler's work.
 * @module
 */
import type { Instruction } from "../decode.ts";
import type { FunctionBody } from "../wasm/encoder.ts";
import type { Val } from "./builder.ts";
import { type InstructionForm, type Links, noFacts, type Slot, WasmEmit } from "./wasm_emit.ts";

/** See the module's description. */
export class JitEmit extends WasmEmit {
  override form!: InstructionForm;
  #insn!: Instruction;
  #record = 0;
  #count = 0;
  constructor(body: FunctionBody, links: Links) {
    super(body, links);
    this.startFlags(undefined);
  }

  /** The block branches to itself; its first record is at `start`. */
  loop(start: number): void {
    this.startLoop(this.i32(start));
  }

  /** Emits one instruction; `record` is its address in the arena, `count` its number in the block from 1. */
  instruction(insn: Instruction, record: number, count: number, flagsLive: boolean): void {
    this.#insn = insn;
    this.#record = record;
    this.#count = count;
    this.form = insn.form;
    this.facts = noFacts();
    this.flagsLive = flagsLive;
    insn.row.semantics(this, insn.width);
  }

  /** Leaves before the next record, at `next`, when the instruction just emitted has changed its code. */
  checkNext(next: number, staleHandler: number): void {
    this.checkCode(this.i32(next), staleHandler);
  }

  /** Goes on with the interpreter at `next`. */
  finish(next: number): void {
    if (this.facts.ends) {
      this.unreachable();
      return this.endLoop();
    }
    const target = this.i32(next);
    this.returnCallIndirect(this.links.handlerType, [target], this.loadRaw("i32.load", target));
  }

  protected override record(): Val {
    return this.i32(this.#record);
  }
  protected override slot(name: Slot): Val {
    return this.i32(name === "count" ? this.#count : this.#insn[name as Exclude<Slot, "count">]);
  }
  protected override immediate(): Val {
    return this.i64((BigInt(this.#insn.immHigh) << 32n) | BigInt(this.#insn.immLow >>> 0));
  }
}
