// SPDX-License-Identifier: MIT
/**
 * The last places where run() looked up a block: after exceptions, interrupts, changes of mode and every 16,384
 * instructions. Blocks that emitted code reaches by itself are not among them, which keeps this free of cost.
 * @module
 */
import type { CodePlace } from "./base/engine.ts";

/** Places remembered. */
const PLACES = 16;

/** See the module's description. */
export class RecentCode {
  /** A ring: RIP low, RIP high, codeBits. */
  readonly #ring = new Uint32Array(3 * PLACES);
  #count = 0;

  /** Notes a place, unless it is the one before again. */
  add(lo: number, hi: number, codeBits: number): void {
    const ring = this.#ring, last = 3 * ((this.#count + PLACES - 1) % PLACES);
    if (this.#count > 0 && ring[last] === lo && ring[last + 1] === hi) return;
    const at = 3 * (this.#count++ % PLACES);
    ring[at] = lo;
    ring[at + 1] = hi;
    ring[at + 2] = codeBits;
  }
  clear(): void {
    this.#count = 0;
  }
  /** Oldest first. */
  places(): CodePlace[] {
    const places: CodePlace[] = [];
    for (let i = Math.max(0, this.#count - PLACES); i < this.#count; i++) {
      const at = 3 * (i % PLACES);
      const [lo = 0, hi = 0, bits = 64] = this.#ring.subarray(at, at + 3);
      places.push({ rip: (BigInt(hi) << 32n) | BigInt(lo), codeBits: bits as CodePlace["codeBits"] });
    }
    return places;
  }
}
