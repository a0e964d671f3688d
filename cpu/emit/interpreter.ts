// SPDX-License-Identifier: MIT
/**
 * Back end one: operands come from the decoded records, the first of which is parameter 0. A handler of one
 * instruction does its work and tail-calls the handler of the next record; a fused handler, or one of a whole block,
 * covers several.
 * @module
 */
import { record, RECORD_BYTES, RECORD_VVVV } from "../state/record.ts";
import type { Val } from "./builder.ts";
import type { Facts } from "./facts.ts";
import type { Operands, Slot } from "./form.ts";
import { isVectorRegister } from "./vector/vector_emit.ts";
import { WasmEmit } from "./wasm_emit.ts";

/** See the module's description. */
export class InterpreterEmit extends WasmEmit {
  /** Fields of the current record that every path has read. */
  readonly #cache = new Map<Slot, Val>();
  #operands: Operands | undefined;

  override begin(operands: Operands, position: number, facts?: Facts, flagsLive?: boolean): void {
    super.begin(operands, position, facts, flagsLive);
    this.#cache.clear();
    this.#operands = operands;
  }
  protected override firstRecord(): Val {
    return this.parameter(0, "i32");
  }
  protected override recordAt(position: number): Val {
    const first = this.firstRecord();
    return position === 0 ? first : this.add(32, first, this.i32(position * RECORD_BYTES));
  }
  #field(load: "i32.load" | "i32.load8_u" | "i32.load16_u" | "i64.load", offset: number): Val {
    return this.loadRaw(load, this.firstRecord(), this.position * RECORD_BYTES + offset);
  }
  protected override slot(name: Slot): Val {
    const cached = this.#cache.get(name) ?? this.#vectorRegister(name);
    if (cached !== undefined) return cached;
    const load = name === "disp"
      ? "i32.load"
      : name === "scale" || name === "length" || name === "count"
      ? "i32.load8_u"
      : "i32.load16_u";
    const value = this.#field(load, name === "vvvv" ? RECORD_VVVV : record.at[name]);
    if (this.depth === 0) this.#cache.set(name, value);
    return value;
  }
  /** In a block's function it is known which they are, so that what they hold can be remembered. */
  #vectorRegister(name: Slot): Val | undefined {
    if (!this.remembersVectors || (name !== "reg" && name !== "rm" && name !== "vvvv")) return undefined;
    const at = this.#operands?.[name];
    return at !== undefined && isVectorRegister(at) ? this.i32(at) : undefined;
  }
  protected override immediate(): Val {
    return this.#field("i64.load", record.at.imm);
  }
}
