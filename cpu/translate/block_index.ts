// SPDX-License-Identifier: MIT
/**
 * Blocks by their place (byte offset in the WebAssembly memory, and mode) and by their first record, and the room in the
 * code arena that each place has. Plain arrays of numbers: a boot looks a hundred thousand places up that are not there
 * yet, and maps with that many keys that are no small integers take longer than decoding.
 *
 * A place keeps its room when its block goes, for the next one there if that fits: links to it stay good, and a guest
 * that rewrites its code forever uses no more and more room. Places and room are given back by `clear` alone.
 * @module
 */
import { RECORD_BYTES } from "../state/record.ts";
import { ARENA_BASE, ARENA_BYTES, JUMP_CACHE_HASH } from "../state/state.ts";
import type { Block } from "./block.ts";

/**
 * Most places: a boot of a kernel has some 65,000, one with two dozen programs behind it 150,000. Too few are dear: all
 * code is decoded anew, and regions are made anew.
 */
export const MOST_PLACES = 1 << 18;

const HASH_BITS = 17;

/** See the module's description. */
export class BlockIndex {
  /** Number of the first place with a hash, and of the next one with the same; 0: there is none. */
  readonly #heads = new Int32Array(1 << HASH_BITS);
  readonly #next = new Int32Array(MOST_PLACES + 1);
  /** By number of the place. */
  readonly #hosts = new Uint32Array(MOST_PLACES + 1);
  readonly #modes = new Uint16Array(MOST_PLACES + 1);
  readonly #starts = new Uint32Array(MOST_PLACES + 1);
  readonly #records = new Uint8Array(MOST_PLACES + 1);
  #blocks: (Block | undefined)[] = [undefined];
  /** Number of the place whose block begins with a record; stays when the block goes. */
  readonly #byRecord = new Int32Array(ARENA_BYTES / RECORD_BYTES);
  #free = ARENA_BASE;
  #size = 0;

  /** Blocks there are. */
  get size(): number {
    return this.#size;
  }
  /** Bytes of the arena that places have. */
  get arenaBytes(): number {
    return this.#free - ARENA_BASE;
  }
  /** All blocks. */
  *known(): Iterable<Block> {
    for (const block of this.#blocks) if (block !== undefined) yield block;
  }

  #placeOf(host: number, modeBits: number): number {
    let place = this.#heads[hash(host)] as number;
    while (place !== 0 && (this.#hosts[place] !== host || this.#modes[place] !== modeBits)) {
      place = this.#next[place] as number;
    }
    return place;
  }
  /** The block at a place. */
  find(host: number, modeBits: number): Block | undefined {
    const place = this.#placeOf(host, modeBits);
    return place === 0 ? undefined : this.#blocks[place];
  }
  /** The block whose first record is `start`. */
  startingAt(start: number): Block | undefined {
    const place = this.#byRecord[(start - ARENA_BASE) / RECORD_BYTES] as number;
    return this.#starts[place] === start ? this.#blocks[place] : undefined;
  }

  /** Room for a block of so many records at a place: the place's number. 0: there is none. */
  take(host: number, modeBits: number, records: number): number {
    let place = this.#placeOf(host, modeBits);
    if (place !== 0 && (this.#records[place] as number) >= records) return place;
    const bytes = records * RECORD_BYTES;
    if (this.#free + bytes > ARENA_BASE + ARENA_BYTES) return 0;
    if (place === 0) {
      if (this.#blocks.length > MOST_PLACES) return 0;
      place = this.#blocks.push(undefined) - 1;
      this.#hosts[place] = host;
      this.#modes[place] = modeBits;
      const head = hash(host);
      this.#next[place] = this.#heads[head] as number;
      this.#heads[head] = place;
    }
    this.#starts[place] = this.#free;
    this.#records[place] = records;
    this.#free += bytes;
    return place;
  }
  /** First record of a place's room. */
  startOf(place: number): number {
    return this.#starts[place] as number;
  }
  /** The block stands at its place, which has none. */
  add(block: Block): void {
    this.#blocks[block.place] = block;
    this.#byRecord[(block.start - ARENA_BASE) / RECORD_BYTES] = block.place;
    this.#size++;
  }
  /** The block is gone. */
  remove(block: Block): void {
    this.#blocks[block.place] = undefined;
    this.#size--;
  }
  /** All blocks are gone, and all places. */
  clear(): void {
    this.#heads.fill(0);
    this.#byRecord.fill(0, 0, this.arenaBytes / RECORD_BYTES);
    this.#blocks = [undefined];
    this.#free = ARENA_BASE;
    this.#size = 0;
  }
}

function hash(host: number): number {
  return Math.imul(host, JUMP_CACHE_HASH) >>> (32 - HASH_BITS);
}
