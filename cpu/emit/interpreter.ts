// SPDX-License-Identifier: MIT
/**
 * Back end one: operands come from the decoded records, the first of which is parameter 0. A handler of one
 * instruction does its work and tail-calls the handler of the next record; a fused handler, or one of a whole block,
 * covers several.
 * @module
 */
import { assert } from "../base/assert.ts";
import { record, RECORD_BYTES, RECORD_VVVV } from "../state/record.ts";
import type { Val } from "./builder.ts";
import type { Variable } from "./emit.ts";
import type { Facts } from "./facts.ts";
import type { Operands, Slot } from "./form.ts";
import { isVectorRegister } from "./vector/vector_emit.ts";
import { WasmEmit } from "./wasm_emit.ts";

/** The operand fields, in the order in which they lie. */
const OPERAND_FIELDS: readonly Slot[] = ["reg", "rm", "index", "base"];
assert(
  OPERAND_FIELDS.every((name, i) => record.at[name as keyof typeof record.at] === record.at.reg + 2 * i) &&
    record.at.disp + 4 === RECORD_BYTES,
  "fields that are loaded together lie together",
);

/** See the module's description. */
export class InterpreterEmit extends WasmEmit {
  /** Fields of the current record that every path has read. */
  readonly #cache = new Map<Slot, Val>();
  #operands: Operands | undefined;
  /** The operand fields of the current record by one load, when it reads several of them. */
  #packed: Val | undefined;
  #packs = false;
  /** The handler of the record behind, loaded ahead. */
  #next: Variable | undefined;

  override begin(operands: Operands, position: number, facts?: Facts, flagsLive?: boolean): void {
    super.begin(operands, position, facts, flagsLive);
    this.#cache.clear();
    this.#operands = operands;
    this.#packed = this.#next = undefined;
    this.#packs = false;
  }
  /**
   * Of an instruction whose facts are known, loads what it will need by few loads. The way to the next handler, which
   * the processor is likely not to foresee, begins with what is loaded here, so that it comes early.
   */
  loadAhead(facts: Facts, isLast: boolean): void {
    this.#packs = (facts.operandFields & (facts.operandFields - 1)) !== 0;
    if (!isLast || facts.ends || facts.calls) return;
    if (!this.form.isMemory) {
      this.#next = this.variable(super.nextHandler());
      return;
    }
    const both = this.#field("i64.load", record.at.disp);
    this.#cache.set("disp", this.op("i32.wrap_i64", both));
    this.#next = this.variable(this.op("i32.wrap_i64", this.shrU(64, both, this.k(8, 32))));
  }
  protected override recordsChanged(): void {
    if (this.#next !== undefined) this.set(this.#next, super.nextHandler());
  }
  protected override nextHandler(): Val {
    return this.#next === undefined ? super.nextHandler() : this.get(this.#next);
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
    const number = OPERAND_FIELDS.indexOf(name);
    if (number >= 0) {
      this.facts.operandFields |= 1 << number;
      if (this.#packs && this.depth === 0) this.#packed ??= this.#field("i64.load", record.at.reg);
      if (this.#packed !== undefined) return this.#operandField(name, number, this.#packed);
    }
    const load = name === "disp"
      ? "i32.load"
      : name === "scale" || name === "length" || name === "count"
      ? "i32.load8_u"
      : "i32.load16_u";
    return this.#remember(name, this.#field(load, name === "vvvv" ? RECORD_VVVV : record.at[name]));
  }
  #remember(name: Slot, value: Val): Val {
    if (this.depth === 0) this.#cache.set(name, value);
    return value;
  }
  #operandField(name: Slot, number: number, packed: Val): Val {
    const from = number < 2 ? packed : this.shrU(64, packed, this.k(8, 32));
    const half = this.op("i32.wrap_i64", from);
    const isLow = number % 2 === 0;
    return this.#remember(
      name,
      isLow ? this.and(32, half, this.i32(0xffff)) : this.shrU(32, half, this.i32(16)),
    );
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
