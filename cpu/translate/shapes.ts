// SPDX-License-Identifier: MIT
/**
 * Shapes: row and form of an instruction. Instructions of one shape have the same facts and the same handler. A guest can
 * show some hundred thousand of them; those without a handler are forgotten when there are too many.
 * @module
 */
import type { Instruction } from "../decode/decoder.ts";
import type { Facts } from "../emit/facts.ts";
import { factsOf } from "./compile.ts";

/** Shapes remembered, but for those with handlers. */
const MOST_SHAPES = 1 << 16;

/** See the module's description. */
export interface Shape {
  readonly facts: Facts;
  /** Table slot of the handler for one such instruction; 0: there is none. */
  slot: number;
  /** The same for two instructions, this one and one of another shape. */
  fused: Map<Shape, number> | undefined;
}

/** See the module's description. */
export class Shapes {
  /** By the row's number, then by the form's. */
  readonly #byRow: (Map<number, Shape> | undefined)[] = [];
  #size = 0;

  /** The shape of an instruction. */
  of(insn: Instruction): Shape {
    const { row: { id }, formKey } = insn;
    let forms = this.#byRow[id];
    if (forms === undefined) this.#byRow[id] = forms = new Map();
    let shape = forms.get(formKey);
    if (shape === undefined) {
      if (this.#size >= MOST_SHAPES) this.#forget();
      forms.set(formKey, shape = { facts: factsOf(insn), slot: 0, fused: undefined });
      this.#size++;
    }
    return shape;
  }

  #forget(): void {
    this.#size = 0;
    for (const forms of this.#byRow) {
      forms?.forEach((shape, key) => {
        if (shape.slot === 0 && shape.fused === undefined) forms.delete(key);
      });
      this.#size += forms?.size ?? 0;
    }
  }
}
