// SPDX-License-Identifier: MIT
/** A decoded block, and the room in the code arena that blocks own. @module */
import type { DecodeMode } from "../decode/decoder.ts";
import { RECORD_BYTES } from "../state/record.ts";
import { ARENA_BASE, ARENA_BYTES } from "../state/state.ts";

/** Records of one block, as byte addresses in the WebAssembly memory. */
export interface ArenaRange {
  readonly start: number;
  readonly end: number;
}

/** A decoded block. It owns its range of the arena, and the table slot of its function. */
export interface Block {
  /** Place and mode: see BlockCache. */
  readonly key: number;
  /** Byte offset of its first instruction in the WebAssembly memory, and the length of its code. */
  readonly host: number;
  readonly length: number;
  /** Where the second page was, for a block that crosses into one; else 0. */
  readonly secondHost: number;
  /** First record, and behind the last one (branch stubs included). */
  readonly start: number;
  readonly end: number;
  /** What it owns; `end` may lie before its end. */
  readonly range: ArenaRange;
  readonly mode: DecodeMode;
  /** Slot of the block's own function; 0: it has none. */
  slot: number;
  /** Times the profiler saw it in its current window; -1 once it has been compiled, or found not worth it. */
  samples: number;
  window: number;
  /** Times the profiler saw it at all. */
  looks: number;
  /** Times in a row that it was branched to often, and when it last was: instructions retired then. */
  arrivals: number;
  arrivedAt: number;
}

/**
 * Room for records. A block whose code has changed leaves its range to the next one in the same place and mode, if
 * that fits: links to it stay good, and a guest that rewrites its code forever uses no more and more room.
 */
export class Arena {
  #free = ARENA_BASE;
  readonly #left = new Map<number, ArenaRange>();

  /** Bytes handed out since the last reset. */
  get used(): number {
    return this.#free - ARENA_BASE;
  }
  /** Ranges of blocks that are gone. */
  get left(): number {
    return this.#left.size;
  }
  /** A range for `records` records of the block with `key`; undefined: full. */
  take(key: number, records: number): ArenaRange | undefined {
    const bytes = records * RECORD_BYTES;
    const old = this.#left.get(key);
    if (old !== undefined && old.end - old.start >= bytes) {
      this.#left.delete(key);
      return old;
    }
    if (this.#free + bytes > ARENA_BASE + ARENA_BYTES) return undefined;
    this.#left.delete(key);
    const start = this.#free;
    this.#free += bytes;
    return { start, end: this.#free };
  }
  /** The block with `key` is gone. */
  leave(key: number, range: ArenaRange): void {
    this.#left.set(key, range);
  }
  /** All blocks are gone. */
  reset(): void {
    this.#free = ARENA_BASE;
    this.#left.clear();
  }
}
