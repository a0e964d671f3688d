// SPDX-License-Identifier: MIT
/** A set of numbers below a bound, cheap to fill and to empty. @module */

/** See the module's description. */
export class IndexSet {
  readonly #isIn: Uint8Array;
  #list: number[] = [];

  constructor(bound: number) {
    this.#isIn = new Uint8Array(bound);
  }
  /** Members, each once. */
  get size(): number {
    return this.#list.length;
  }
  add(index: number): void {
    if (this.#isIn[index] === 1) return;
    this.#isIn[index] = 1;
    this.#list.push(index);
  }
  /** Calls `f` for each member and empties the set. */
  drain(f: (index: number) => void): void {
    for (const index of this.#list) {
      this.#isIn[index] = 0;
      f(index);
    }
    this.#list.length = 0;
  }
}
