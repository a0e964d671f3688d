// SPDX-License-Identifier: MIT
/**
 * Back end two: one function per hot basic block. Operands are constants, instructions follow each other without
 * dispatch, and lazy flags of one instruction are at hand for the next. Experimental: registers stay in the
 * state block and nothing is compiled across blocks; that is the region compiler's work.
 * @module
 */
import type { Instruction } from "../decode.ts";
import { DISPATCH } from "../status.ts";
import { S } from "../state.ts";
import type { FunctionBody } from "../wasm/encoder.ts";
import type { Val } from "./builder.ts";
import type { Variable } from "./emit.ts";
import { type InstructionForm, type Links, noFacts, type Slot, WasmEmit } from "./wasm_emit.ts";

/** See the module's description. */
export class JitEmit extends WasmEmit {
  override form!: InstructionForm;
  #insn!: Instruction;
  #record = 0;
  #count = 0;
  /** 1 when the block's own code may have changed under it. */
  readonly #changed: Variable;

  constructor(body: FunctionBody, links: Links) {
    super(body, links);
    this.startFlags(undefined);
    this.#changed = this.variable(this.i32(0));
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

  /** Leaves before the next instruction when a store hit this block. `stale`: handler number of dead records. */
  checkCode(next: number, stale: number): void {
    const handler = this.loadRaw("i32.load", this.i32(next));
    this.if(this.eq(32, handler, this.i32(stale)), () => {
      this.#count++;
      this.setState64(S.rip, this.nextRip());
      this.return(this.i32(DISPATCH));
    });
  }

  /** Goes on with the interpreter at `next`. */
  finish(next: number): void {
    if (this.facts.ends) return this.unreachable();
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
