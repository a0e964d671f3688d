// SPDX-License-Identifier: MIT
/**
 * The frame table as KVM's memory slots: a slot for each run of guest frames whose pages follow each other in our memory.
 * When the table changes, only slots that differ are made anew.
 * @module
 */
import { PAGE_SIZE } from "../base/bits.ts";
import type { GuestMemory } from "../base/guest_memory.ts";

/** A run of frames. */
export interface Run {
  readonly gfn: number;
  /** Byte offset in the WebAssembly memory. */
  readonly offset: number;
  readonly pages: number;
}

/** Sets slot `slot`; 0 pages: takes it away. */
export type SetSlot = (slot: number, run: Run) => void;

/** The runs of a frame table. */
export function runsOf(frames: Uint32Array): Run[] {
  const runs: Run[] = [];
  for (let gfn = 0; gfn < frames.length;) {
    const offset = frames[gfn] as number;
    if (offset === 0) {
      gfn++;
      continue;
    }
    let pages = 1;
    while (frames[gfn + pages] === offset + pages * PAGE_SIZE) pages++;
    runs.push({ gfn, offset, pages });
    gfn += pages;
  }
  return runs;
}

/** See the module's description. */
export class MemorySlots {
  readonly #used = new Map<string, { readonly slot: number; readonly run: Run }>();
  readonly #free: number[] = [];
  #next = 0;
  #stale = true;

  constructor(readonly memory: GuestMemory, readonly set: SetSlot) {}

  /** Slots in use. */
  get count(): number {
    return this.#used.size;
  }
  /** The frame table has changed. */
  changed(): void {
    this.#stale = true;
  }

  /** Makes the slots what the frame table says. Old ones go first, since slots must not overlap. */
  update(): void {
    if (!this.#stale) return;
    this.#stale = false;
    const wanted = new Map<string, Run>();
    for (const run of runsOf(this.memory.frames)) wanted.set(`${run.gfn},${run.offset},${run.pages}`, run);
    for (const [key, { slot, run }] of this.#used) {
      if (wanted.has(key)) continue;
      this.set(slot, { ...run, pages: 0 });
      this.#used.delete(key);
      this.#free.push(slot);
    }
    for (const [key, run] of wanted) {
      if (this.#used.has(key)) continue;
      const slot = this.#free.pop() ?? this.#next++;
      this.set(slot, run);
      this.#used.set(key, { slot, run });
    }
  }
}
