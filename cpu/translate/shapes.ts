// SPDX-License-Identifier: MIT
/**
 * Shapes: row and form of an instruction. Instructions of one shape have the same facts and the same handler. A guest can
 * show some hundred thousand of them; those without a handler are forgotten when there are too many.
 * @module
 */
import type { Instruction } from "../decode/instruction.ts";
import type { Facts } from "../emit/facts.ts";
import type { Summary } from "../emit/region/summary.ts";
import type { RowOptions } from "../isa/row/row.ts";
import { isComputedBranch } from "../emit/form.ts";
import { factsOf } from "./compile.ts";

/** Shapes remembered, but for those with handlers. */
const MOST_SHAPES = 1 << 16;

/** See the module's description. */
export interface Shape {
  readonly facts: Facts;
  /** See isDirectBranch, and RowOptions.shadow. */
  readonly isDirectBranch: boolean;
  readonly shadow: RowOptions["shadow"];
  /** What regions want to know, when one has asked. */
  summary: Summary | undefined;
  /** Table slot of the handler for one such instruction; 0: there is none. */
  slot: number;
  /** The same for two instructions, this one and one of another shape. */
  fused: Map<Shape, number> | undefined;
}

/** Others, whose target is computed and checked: see cpu/isa/general/control.ts. */
export function isDirectBranch(insn: Instruction): boolean {
  const kind = insn.row.immediates[0];
  return (kind === "cb" || kind === "cz") && !isComputedBranch(insn.form, insn.form.osize);
}

/** A direct branch of 64-bit code as one that looks at where it goes when it is executed. */
export function leavingCanonical(insn: Instruction): Instruction {
  return { ...insn, form: { ...insn.form, leavesCanonical: true }, formKey: insn.formKey | 1 << 27 };
}

/** The shape of an instruction, without a handler. */
export function newShape(insn: Instruction): Shape {
  return {
    facts: factsOf(insn),
    isDirectBranch: isDirectBranch(insn),
    shadow: insn.row.options.shadow,
    summary: undefined,
    slot: 0,
    fused: undefined,
  };
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
      shape = newShape(insn);
      forms.set(formKey, shape);
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
