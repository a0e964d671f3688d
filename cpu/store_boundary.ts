// SPDX-License-Identifier: MIT
/**
 * The boundary behind a store that has made an interrupt due or an INIT (to a device, in the midst of a block): the record that
 * follows counts as one whose code has changed until emitted code has come back, which every way of running code heeds.
 * @module
 */
import type { CpuCore } from "./core/core.ts";
import { H_FIRST, H_STALE, record, RECORD_BYTES } from "./state/record.ts";
import type { Block } from "./translate/blocks/block.ts";
import type { BlockCache } from "./translate/blocks/block_cache.ts";

/** See the module's description. */
export class StoreBoundary {
  #block: Block | undefined;
  #next = 0;
  #handler = 0;
  #count = 0;

  constructor(readonly core: CpuCore, readonly blocks: BlockCache) {}

  /** True between {@linkcode setBehind} and {@linkcode restore}. */
  get isSet(): boolean {
    return this.#block !== undefined;
  }

  /** The instruction at `rec` is the last one before an interrupt, when one is due, or before the run ends, when it is to. */
  setBehind(rec: number): void {
    if (this.isSet || !(this.core.interruptDue || this.core.stopRequested)) return;
    const { view, bytes } = this.core.memory;
    const count = bytes[rec + record.at.count] as number;
    const block = this.blocks.blockAt(rec - (count - 1) * RECORD_BYTES);
    const next = rec + RECORD_BYTES;
    if (block === undefined || next >= block.end) return;
    const handler = view.getUint32(next + record.at.handler, true);
    if (handler < H_FIRST) return; // the block ends here
    view.setUint32(next + record.at.handler, H_STALE, true);
    this.#block = block;
    this.#next = next;
    this.#handler = handler;
    this.#count = count;
  }

  /** Emitted code is left: all is as before. Answers how many instructions of the block were done at the boundary. */
  restore(): number {
    const block = this.#block;
    this.#block = undefined;
    // Unless the block was written to, and all its records are stale.
    if (block !== undefined && this.blocks.blockAt(block.start) === block) {
      this.core.memory.view.setUint32(this.#next + record.at.handler, this.#handler, true);
    }
    return this.#count;
  }
}
