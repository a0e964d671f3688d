// SPDX-License-Identifier: MIT
/**
 * The function table: who needs a slot takes one and gives it back. A free slot holds the handler of stale records, so
 * that V8 can collect the code it held, and so that whoever still gets there finds the block anew.
 * @module
 */
import { assert } from "../base/assert.ts";
import { HANDLER_PARAMETERS, HANDLER_RESULTS, TABLE_NAME } from "../emit/links.ts";
import { H_FIRST, H_STALE } from "../state/record.ts";
import { tableModule } from "../wasm/encoder.ts";

/**
 * Slots of a table. A boot of a Debian guest uses some 3,000; a guest that tries gets all of them, and each costs some
 * 14 KB of V8's memory.
 */
export const TABLE_SIZE = 1 << 14;

/** See the module's description. */
export class SlotTable {
  readonly table: WebAssembly.Table;
  /** Free slots below `#next`. */
  readonly #free: number[] = [];
  #next = H_FIRST;

  constructor(readonly size: number) {
    assert(size > H_FIRST, "a table has slots");
    // JavaScript makes no tables of one type of functions, which calls need not check.
    const bytes = tableModule(TABLE_NAME, size, HANDLER_PARAMETERS, HANDLER_RESULTS);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    this.table = exports[TABLE_NAME] as WebAssembly.Table;
  }

  /** Slots that can be taken. */
  get free(): number {
    return this.size - this.#next + this.#free.length;
  }
  /** Slots that are taken. */
  get used(): number {
    return this.#next - H_FIRST - this.#free.length;
  }
  /** A slot; undefined: there is none. */
  take(): number | undefined {
    return this.#free.pop() ?? (this.#next < this.size ? this.#next++ : undefined);
  }
  /** Gives a slot back. */
  give(slot: number): void {
    this.table.set(slot, this.table.get(H_STALE));
    this.#free.push(slot);
  }
}
