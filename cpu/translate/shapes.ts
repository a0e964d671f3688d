// SPDX-License-Identifier: MIT
/**
 * Shapes: row and form of an instruction. Instructions of one shape have the same facts and the same handler. A guest can
 * show some hundred thousand of them; those without a handler are forgotten when there are too many.
 * @module
 */
import type { Instruction } from "../decode/instruction.ts";
import type { Facts } from "../emit/facts.ts";
import { describe, type Summary } from "../emit/region/summary.ts";
import type { RowOptions } from "../isa/row/row.ts";
import { isComputedBranch } from "../emit/form.ts";

/** Instructions that follow each other, and the shape of each. */
export interface Run {
  readonly insns: readonly Instruction[];
  readonly shapes: readonly Shape[];
}

/** Shapes remembered, but for those with handlers. */
const MOST_SHAPES = 1 << 16;

/** See the module's description. */
export interface Shape {
  readonly facts: Facts;
  /** See isDirectBranch, and RowOptions.shadow. */
  readonly isDirectBranch: boolean;
  readonly shadow: RowOptions["shadow"];
  /** What regions want to know; undefined: it is to be found when one asks. */
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

/**
 * What a block must know of the shapes of its instructions, as bits; none has no bit at all. It ends its block; it is a
 * direct branch; its record counts the runs; it writes flags in a way that the next one may go on with; it is a direct
 * branch that reads flags; what it keeps off the next instruction.
 */
export const TRAIT_KNOWN = 1,
  TRAIT_ENDS = 2,
  TRAIT_DIRECT_BRANCH = 4,
  TRAIT_COUNTS_RUNS = 8,
  TRAIT_MAKES_FLAGS = 16,
  TRAIT_TAKES_FLAGS = 32,
  TRAIT_SHADOW = 192;
const SHADOW_AT = 6, SHADOWS = [undefined, "interrupts", "interrupts and traps"] as const;

/** See TRAIT_KNOWN. */
export function traitsOf({ facts, isDirectBranch, shadow }: Shape): number {
  const makesFlags = facts.flagsWritten !== 0 && !facts.stores && !facts.ends;
  return TRAIT_KNOWN | (facts.ends ? TRAIT_ENDS : 0) | (isDirectBranch ? TRAIT_DIRECT_BRANCH : 0) |
    (facts.countsRuns ? TRAIT_COUNTS_RUNS : 0) | (makesFlags ? TRAIT_MAKES_FLAGS : 0) |
    (isDirectBranch && facts.flagsRead !== 0 ? TRAIT_TAKES_FLAGS : 0) |
    (SHADOWS.indexOf(shadow) << SHADOW_AT);
}

/**
 * A producer of flags and the conditional branch behind it have one handler, every other instruction one of its own. By
 * their traits; 0 when there is none.
 */
export function areFused(first: number, second: number): boolean {
  return (first & TRAIT_MAKES_FLAGS) !== 0 && (second & TRAIT_TAKES_FLAGS) !== 0;
}
/** Whether one handler does both; see areFused. */
export function fusesWithNext(shape: Shape, next: Shape | undefined): boolean {
  return next !== undefined && areFused(traitsOf(shape), traitsOf(next));
}

/** A direct branch of 64-bit code as one that looks at where it goes when it is executed. */
export function leavingCanonical(insn: Instruction): Instruction {
  return { ...insn, form: { ...insn.form, leavesCanonical: true }, formKey: insn.formKey | 1 << 27 };
}

/** The shape of an instruction, without a handler. */
export function newShape(insn: Instruction): Shape {
  const { facts, summary } = describe(insn);
  return {
    facts,
    isDirectBranch: isDirectBranch(insn),
    shadow: insn.row.options.shadow,
    summary,
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
