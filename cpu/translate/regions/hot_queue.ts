// SPDX-License-Identifier: MIT
/**
 * Hot and warm blocks that wait to be compiled, and for how long. Compiling takes the thread that runs the guest some
 * milliseconds, so it is best done while the guest sleeps: then nobody waits for it. A guest that does not sleep has it
 * done in the middle of its work, many blocks at a time, since a module costs more than a function in it.
 * @module
 */
import type { HotBlock } from "./regions.ts";

/** So many blocks of a busy guest are compiled together; and at most so many at once while it sleeps, which it may not for long. */
const BATCH = 16;
/** Instructions the guest runs at most while a block waits for others, or for the guest to sleep. */
const LONGEST_WAIT = 5 << 17;
/** A guest that halted within so many instructions will do so again soon. */
const SLEEPS_OFTEN = 1 << 18;

/** See the module's description. `instructions`: those the CPU has retired. */
export class HotQueue {
  readonly #waiting: HotBlock[] = [];
  /** When the first of them came. */
  #since = 0;
  #haltedAt = -Infinity;

  /** Blocks that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** One more waits. */
  add(block: HotBlock, instructions: number): void {
    if (this.#waiting.length === 0) this.#since = instructions;
    this.#waiting.push(block);
  }

  /** The guest has executed HLT. */
  halted(instructions: number): void {
    this.#haltedAt = instructions;
  }

  /** Whether the guest must wait for them to be compiled. */
  isDue(instructions: number): boolean {
    if (this.#waiting.length === 0) return false;
    if (instructions - this.#since >= LONGEST_WAIT) return true;
    return this.#waiting.length >= BATCH && instructions - this.#haltedAt >= SLEEPS_OFTEN;
  }

  /** All that wait, first come first; none does any more. */
  takeAll(): HotBlock[] {
    return this.#waiting.splice(0);
  }

  /** Some of them: a piece of work that takes a few milliseconds. */
  takeSome(): HotBlock[] {
    return this.#waiting.splice(0, BATCH);
  }
}
