// SPDX-License-Identifier: MIT
/** A decoded block. @module */
import type { DecodeMode, Instruction } from "../decode/instruction.ts";
import { type BlockCode, countingRecord } from "./block_layout.ts";

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

  /**
   * `host`: byte offset of its first instruction in the WebAssembly memory. `modeBits`: MODE_* bits it was decoded for,
   * without MODE_USER; `mode` is what they mean to the decoder. `place`: number of its place in the index. `start`, `end`:
   * its first record, and behind the last one (branch stubs included).
   */
  constructor(
    code: BlockCode,
    readonly host: number,
    readonly modeBits: number,
    readonly mode: DecodeMode,
    readonly place: number,
    readonly start: number,
    readonly end: number,
  ) {
    const first = code.insns[0] as Instruction, last = code.insns[code.insns.length - 1] as Instruction;
    this.length = last.poff + last.length - first.poff;
    this.secondHost = code.secondHost;
    this.leavesCanonical = code.leavesCanonical;
    this.counting = countingRecord(start, code);
  }
}
