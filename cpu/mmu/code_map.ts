// SPDX-License-Identifier: MIT
/**
 * Which parts of a page have code that blocks were made of, 64 bytes each (MemoryMap.codeMap). Writes elsewhere in the page
 * concern nobody, and emitted code does them by itself (emitted_access.ts).
 * @module
 */
import { PAGE_SHIFT } from "../base/bits.ts";
import type { GuestMemory } from "../base/guest_memory.ts";

const PIECE_SHIFT = 6;
/** Bytes of a part. */
export const PIECE_BYTES = 1 << PIECE_SHIFT;

/** Of pieces 32 * `half` and up, those that the bytes [from, to) of a page touch. */
function pieces(from: number, to: number, half: 0 | 1): number {
  const first = Math.max(0, (from >> PIECE_SHIFT) - 32 * half);
  const last = Math.min(31, ((to - 1) >> PIECE_SHIFT) - 32 * half);
  return last < first ? 0 : (-1 >>> (31 - last)) & (-1 << first);
}

/** See the module's description. */
export class CodeMap {
  readonly #words: Uint32Array;
  readonly #first: number;

  constructor({ memory, map }: GuestMemory) {
    this.#words = new Uint32Array(memory.buffer as ArrayBuffer);
    this.#first = map.codeMap >> 2;
  }

  #at(page: number): number {
    return this.#first + (page >>> PAGE_SHIFT) * 2;
  }
  /** The page at byte offset `page` has no code. */
  clear(page: number): void {
    const at = this.#at(page);
    this.#words[at] = this.#words[at + 1] = 0;
  }
  /** The bytes [from, to) of the page have code. */
  add(page: number, from: number, to: number): void {
    const at = this.#at(page);
    this.#words[at]! |= pieces(from, to, 0);
    this.#words[at + 1]! |= pieces(from, to, 1);
  }
  /** Whether there may be code in the bytes [from, to) of the page. */
  touches(page: number, from: number, to: number): boolean {
    const at = this.#at(page);
    return ((this.#words[at] as number) & pieces(from, to, 0)) !== 0 ||
      ((this.#words[at + 1] as number) & pieces(from, to, 1)) !== 0;
  }
}
