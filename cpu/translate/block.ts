// SPDX-License-Identifier: MIT
/** A decoded block. @module */
import type { DecodeMode } from "../decode/instruction.ts";

/** A decoded block. It owns the table slot of its function; its room in the arena is its place's, see block_index.ts. */
export interface Block {
  /** Byte offset of its first instruction in the WebAssembly memory, and the length of its code. */
  readonly host: number;
  readonly length: number;
  /** Where the second page was, for a block that crosses into one; else 0. */
  readonly secondHost: number;
  /** Its last instruction is a branch that left the canonical addresses where it was decoded: Form.leavesCanonical. */
  readonly leavesCanonical: boolean;
  /** MODE_* bits it was decoded for, without MODE_USER, and what they mean to the decoder. */
  readonly modeBits: number;
  readonly mode: DecodeMode;
  /** First record, and behind the last one (branch stubs included). */
  readonly start: number;
  readonly end: number;
  /** Number of its place in the index. */
  readonly place: number;
  /** Slot of the block's own function; 0: it has none. */
  slot: number;
  /** Record that counts its runs by handlers (RECORD_RUNS); 0: none does. */
  readonly counting: number;
  /** Handlers have run it WARM_RUNS times, or some region has had it. */
  isWarm: boolean;
  /** How often a region for it was thought about since it was warm. */
  timesWarm: number;
  /** Times the profiler saw it in its current window; -1 once it has been compiled, or found not worth it. */
  samples: number;
  window: number;
  /** Times the profiler saw it at all. */
  looks: number;
}
