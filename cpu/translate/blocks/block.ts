// SPDX-License-Identifier: MIT
/** A decoded block that somebody looks at: the profiler, a region, whoever dumps it. @module */
import type { DecodeMode } from "../../decode/instruction.ts";
import type { BlockIndex } from "./block_index.ts";

/**
 * A decoded block. It owns the table slot of its function; its room in the arena is its place's, see block_index.ts.
 *
 * It is a class because V8 has what an object literal makes in its old space once most of it has lived long, as in a
 * boot: the blocks of a guest that keeps rewriting its code then fill that until the next collection of everything.
 */
export class Block {
  /** Bytes of its code. */
  readonly length: number;
  /** Where the second page was, for a block that crosses into one; else 0. */
  readonly secondHost: number;
  /** Its last instruction is a branch that left the canonical addresses where it was decoded: Form.leavesCanonical. */
  readonly leavesCanonical: boolean;
  /** Record that counts its runs by handlers (RECORD_RUNS); 0: none does. */
  readonly counting: number;
  /** Slot of the block's own function; 0: it has none. */
  slot = 0;
  /** Handlers have run it WARM_RUNS times, or some region has had it. */
  isWarm = false;
  /** How often a region for it was thought about since it was warm. */
  timesWarm = 0;
  /** Times the profiler saw it in its current window; -1 once it has been compiled, or found not worth it. */
  samples = 0;
  window = 0;
  /** Times the profiler saw it at all. */
  looks = 0;

  /** Byte offset of its first instruction in the WebAssembly memory. */
  readonly host: number;
  /** MODE_* bits it was decoded for, without MODE_USER. */
  readonly modeBits: number;
  /** Its first record, and behind the last one (branch stubs included). */
  readonly start: number;
  readonly end: number;

  /** The block at `place` of `index`; `mode` is what its mode bits mean to the decoder. */
  constructor(index: BlockIndex, readonly place: number, readonly mode: DecodeMode) {
    this.host = index.hostOf(place);
    this.modeBits = index.modeOf(place);
    this.start = index.startOf(place);
    this.end = index.endOf(place);
    this.length = index.lengthOf(place);
    this.secondHost = index.secondHostOf(place);
    this.leavesCanonical = index.leavesCanonical(place);
    this.counting = index.countingOf(place);
  }
}
