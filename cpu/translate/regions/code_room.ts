// SPDX-License-Identifier: MIT
/** How much memory regions take, and which of them go when that is too much. @module */

/**
 * Bytes of the process that a module, a function and an instruction of it keep, two thirds of the instructions with memory
 * operands: what V8 has, its code and its tables, from the resident memory of some thousand of them.
 */
const MODULE_BYTES = 25_000, FUNCTION_BYTES = 3_500, INSTRUCTION_BYTES = 700;
/** Most of them: a boot and what half a dozen programs run often are some 90 MB. */
export const MOST_CODE_BYTES = 160_000_000;
/** What is left of them when that was too much. */
const SHARE_LEFT = 7 / 8;

/** Functions of one module. */
interface Batch<Code> {
  /** Those that have not ended: V8 keeps the whole module until all have. */
  readonly left: Set<Code>;
  readonly bytes: number;
  /** What `uses` said of them when they were made, or when they were last found worth keeping. */
  uses: number;
}

/** See the module's description. */
export class CodeRoom<Code> {
  /** Bytes of all modules. */
  bytes = 0;
  /** Oldest first. */
  readonly #batches = new Set<Batch<Code>>();
  readonly #batchOf = new Map<Code, Batch<Code>>();

  /** `uses`: how often a function was seen to run so far. */
  constructor(readonly most: number, readonly uses: (code: Code) => number) {}

  /** The functions of a new module, and their instructions together. */
  add(functions: readonly Code[], instructions: number): void {
    const bytes = MODULE_BYTES + functions.length * FUNCTION_BYTES + instructions * INSTRUCTION_BYTES;
    const batch = { left: new Set(functions), bytes, uses: 0 };
    batch.uses = this.#usesOf(batch);
    this.#batches.add(batch);
    for (const each of functions) this.#batchOf.set(each, batch);
    this.bytes += bytes;
  }
  /** The function has ended. */
  delete(code: Code): void {
    const batch = this.#batchOf.get(code);
    if (batch === undefined) return;
    this.#batchOf.delete(code);
    batch.left.delete(code);
    if (batch.left.size > 0) return;
    this.#batches.delete(batch);
    this.bytes -= batch.bytes;
  }
  clear(): void {
    this.#batches.clear();
    this.#batchOf.clear();
    this.bytes = 0;
  }

  #usesOf({ left }: Batch<Code>): number {
    let uses = 0;
    for (const code of left) uses += this.uses(code);
    return uses;
  }

  /**
   * What must end when there is too much: of the older half of the modules all of those with the fewest uses for their size
   * since they were made, or kept here. The others of that half count as new ones.
   */
  excess(): readonly Code[] {
    if (this.bytes <= this.most) return [];
    const old = [...this.#batches].slice(0, Math.ceil(this.#batches.size / 2)).map((batch) => {
      const uses = this.#usesOf(batch);
      return { batch, uses, worth: (uses - batch.uses) / batch.bytes };
    });
    old.sort((a, b) => a.worth - b.worth);
    let bytes = this.bytes;
    const excess: Code[] = [];
    for (const { batch, uses } of old) {
      if (bytes > this.most * SHARE_LEFT) {
        bytes -= batch.bytes;
        excess.push(...batch.left);
        continue;
      }
      batch.uses = uses;
      this.#batches.delete(batch);
      this.#batches.add(batch);
    }
    return excess;
  }
}
