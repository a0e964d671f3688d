// SPDX-License-Identifier: MIT
/** How much memory regions take, and which of them go when that is too much. @module */

/**
 * Bytes of the process that a module, a function and an instruction of it keep, two thirds of the instructions with memory
 * operands: what V8 has, its code and its tables, from the resident memory of some thousand of them.
 */
const MODULE_BYTES = 25_000, FUNCTION_BYTES = 3_500, INSTRUCTION_BYTES = 700;
/** Most of them: a boot and what half a dozen programs run often are some 90 MB. */
export const MOST_CODE_BYTES = 160_000_000;

/** Functions of one module. */
interface Batch<Code> {
  /** Those that have not ended: V8 keeps the whole module until all have. */
  readonly left: Set<Code>;
  readonly bytes: number;
}

/** See the module's description. */
export class CodeRoom<Code> {
  /** Bytes of all modules. */
  bytes = 0;
  readonly #batches = new Map<Code, Batch<Code>>();

  constructor(readonly most: number) {}

  /** The functions of a new module, and their instructions together. */
  add(functions: readonly Code[], instructions: number): void {
    const bytes = MODULE_BYTES + functions.length * FUNCTION_BYTES + instructions * INSTRUCTION_BYTES;
    const batch = { left: new Set(functions), bytes };
    for (const each of functions) this.#batches.set(each, batch);
    this.bytes += bytes;
  }
  /** The function has ended. */
  delete(code: Code): void {
    const batch = this.#batches.get(code);
    if (batch === undefined) return;
    this.#batches.delete(code);
    batch.left.delete(code);
    if (batch.left.size === 0) this.bytes -= batch.bytes;
  }
  clear(): void {
    this.#batches.clear();
    this.bytes = 0;
  }
  /** What must end when there is too much: all of the oldest module that has not. */
  get excess(): readonly Code[] {
    if (this.bytes <= this.most) return [];
    for (const { left } of this.#batches.values()) return [...left];
    return [];
  }
}
