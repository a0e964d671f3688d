// SPDX-License-Identifier: MIT
/**
 * The memory map that the guest is told, as in E820, and may replace. Rules: Xen public/memory.h.
 * @module
 */
import { E820_ENTRY_BYTES } from "../public/memory.ts";
import { setU64 } from "../public/words.ts";

/** A range of the guest's memory map; types as in E820. */
export interface MemoryRange {
  readonly addr: number;
  readonly size: number;
  readonly type: number;
}

/** The map: entries one after the other, as guests see them. */
export class GuestMemoryMap {
  readonly #initial: Uint8Array;
  #entries: Uint8Array;

  /** The map the domain starts with. */
  constructor(ranges: readonly MemoryRange[]) {
    this.#initial = new Uint8Array(ranges.length * E820_ENTRY_BYTES);
    const view = new DataView(this.#initial.buffer);
    ranges.forEach((range, i) => {
      setU64(view, i * E820_ENTRY_BYTES, range.addr);
      setU64(view, i * E820_ENTRY_BYTES + 8, range.size);
      view.setUint32(i * E820_ENTRY_BYTES + 16, range.type, true);
    });
    this.#entries = this.#initial;
  }

  /** Bytes of all entries. */
  get entries(): Uint8Array {
    return this.#entries;
  }

  /** Replaces the map; the bytes are the callee's. */
  set(entries: Uint8Array): void {
    this.#entries = entries;
  }

  /** Back to the map the domain started with. */
  reset(): void {
    this.#entries = this.#initial;
  }

  /** The plain record of a snapshot. */
  save(): Uint8Array {
    return this.#entries.slice();
  }

  /** Restores what `save` gave. */
  restore(entries: Uint8Array): void {
    this.#entries = entries.slice();
  }
}
