// SPDX-License-Identifier: MIT
/**
 * Back end one: a handler per instruction form. Operands come from the decoded record (parameter 0); a handler
 * does its work and tail-calls the handler of the next record. A fused handler covers several records.
 * @module
 */
import { record, RECORD_BYTES } from "../state/record.ts";
import type { FunctionBody } from "../wasm/encoder.ts";
import type { Val } from "./builder.ts";
import { type InstructionForm, type Links, noFacts, type Slot, WasmEmit } from "./wasm_emit.ts";

/** See the module's description. */
export class InterpreterEmit extends WasmEmit {
  #position = 0;
  #cache = new Map<Slot, Val>();

  constructor(body: FunctionBody, links: Links, public override form: InstructionForm) {
    super(body, links);
  }

  /** The handler covers a whole block; `loops`: one that branches to itself. */
  wholeBlock(loops: boolean): void {
    this.sinksFlags = true;
    if (loops) this.startLoop(this.parameter(0, "i32"));
  }

  /** Leaves before the next record when the instruction just emitted has changed its code. */
  checkNext(staleHandler: number): void {
    const next = this.add(32, this.parameter(0, "i32"), this.i32((this.#position + 1) * RECORD_BYTES));
    this.checkCode(next, staleHandler);
  }

  /** Goes on with the instruction in the next record, in the same handler. */
  nextInstruction(form: InstructionForm): void {
    this.form = form;
    this.facts = noFacts();
    this.#position++;
    this.#cache.clear();
  }

  protected override record(): Val {
    const first = this.parameter(0, "i32");
    return this.#position === 0 ? first : this.add(32, first, this.i32(this.#position * RECORD_BYTES));
  }
  #field(load: "i32.load" | "i32.load8_u" | "i32.load16_u" | "i64.load", offset: number): Val {
    return this.loadRaw(load, this.parameter(0, "i32"), this.#position * RECORD_BYTES + offset);
  }
  protected override slot(name: Slot): Val {
    const cached = this.#cache.get(name);
    if (cached !== undefined) return cached;
    const load = name === "disp"
      ? "i32.load"
      : name === "scale" || name === "length" || name === "count"
      ? "i32.load8_u"
      : "i32.load16_u";
    const value = this.#field(load, record.at[name]);
    if (this.depth === 0) this.#cache.set(name, value);
    return value;
  }
  protected override immediate(): Val {
    return this.#field("i64.load", record.at.imm);
  }
  /** Ends the handler: goes to the record behind the last one, unless the instruction never does. */
  finish(): void {
    if (this.facts.ends) {
      this.unreachable();
      return this.endLoop();
    }
    this.flushFlags();
    const offset = (this.#position + 1) * RECORD_BYTES;
    const next = this.add(32, this.parameter(0, "i32"), this.i32(offset));
    const slot = this.loadRaw("i32.load", this.parameter(0, "i32"), offset + record.at.handler);
    this.returnCallIndirect(this.links.handlerType, [next], slot);
  }
}
