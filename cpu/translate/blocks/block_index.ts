// SPDX-License-Identifier: MIT
/**
 * Blocks by their place (byte offset in the WebAssembly memory, and mode) and by their first record, and the room in the
 * code arena that each place has. All that is known of a block before somebody looks closer (see Block) is a row of eight
 * numbers: a boot decodes eighty thousand, most of which run a few times, and as objects they are what V8 copies around.
 *
 * A place keeps its room when its block goes, for the next one there if that fits: links to it stay good, and a guest
 * that rewrites its code forever uses no more and more room. Places and room are given back by `clear` alone.
 * @module
 */
import { RECORD_BYTES } from "../../state/record.ts";
import { ARENA_BASE, ARENA_BYTES, JUMP_CACHE_HASH } from "../../state/state.ts";

/**
 * Most places: a boot of a kernel has some 65,000, one with two dozen programs behind it 150,000. Too few are dear: all
 * code is decoded anew, and regions are made anew.
 */
export const MOST_PLACES = 1 << 18;

const HASH_BITS = 17;

/** A row: host and mode with the room (in records, from bit 16 on), first record, what the block is, the next of the hash. */
const HOST = 0, MODE_ROOM = 1, START = 2, WHAT = 3, SECOND_HOST = 4, NEXT = 5;
const ROW_SHIFT = 3;
/** Bits of WHAT, which is 0 while there is no block: bytes, records, the record that counts runs (from the end), a flag. */
const LENGTH_BITS = 11, RECORDS_AT = 11, COUNTING_AT = 19, LEAVES_CANONICAL = 1 << 21;

/** What a block is, as far as its row knows; see BlockDraft. */
export interface BlockFacts {
  readonly length: number;
  readonly records: number;
  readonly counting: number;
  readonly secondHost: number;
  readonly leavesCanonical: boolean;
}

/** See the module's description. Places have numbers; 0 is none. */
export class BlockIndex {
  /** Number of the first place with a hash; the next one with the same is in its row. */
  readonly #heads = new Int32Array(1 << HASH_BITS);
  readonly #rows = new Int32Array((MOST_PLACES + 1) << ROW_SHIFT);
  /** Number of the place whose block begins with a record; stays when the block goes. */
  readonly #byRecord = new Int32Array(ARENA_BYTES / RECORD_BYTES);
  #last = 0;
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
  /** The places of all blocks. */
  *places(): Iterable<number> {
    for (let place = 1; place <= this.#last; place++) if (this.has(place)) yield place;
  }

  #placeOf(host: number, modeBits: number): number {
    const rows = this.#rows;
    let place = this.#heads[hash(host)] as number;
    while (place !== 0) {
      const row = place << ROW_SHIFT;
      if (rows[row] === (host | 0) && ((rows[row + MODE_ROOM] as number) & 0xffff) === modeBits) break;
      place = rows[row + NEXT] as number;
    }
    return place;
  }
  #get(place: number, field: number): number {
    return this.#rows[(place << ROW_SHIFT) + field] as number;
  }
  /** Has the place a block? */
  has(place: number): boolean {
    return this.#get(place, WHAT) !== 0;
  }
  /** The place of the block at `host`, of that mode. */
  find(host: number, modeBits: number): number {
    const place = this.#placeOf(host, modeBits);
    return this.has(place) ? place : 0;
  }
  /** The place of the block whose first record is `start`. */
  startingAt(start: number): number {
    const place = this.#byRecord[(start - ARENA_BASE) / RECORD_BYTES] as number;
    return this.has(place) && this.startOf(place) === start ? place : 0;
  }

  /** Room for a block of so many records at a place: the place's number. 0: there is none. */
  take(host: number, modeBits: number, records: number): number {
    const rows = this.#rows;
    let place = this.#placeOf(host, modeBits);
    if (place !== 0 && this.#get(place, MODE_ROOM) >>> 16 >= records) return place;
    const bytes = records * RECORD_BYTES;
    if (this.#free + bytes > ARENA_BASE + ARENA_BYTES) return 0;
    if (place === 0) {
      if (this.#last === MOST_PLACES) return 0;
      place = ++this.#last;
      const head = hash(host);
      rows[(place << ROW_SHIFT) + NEXT] = this.#heads[head] as number;
      this.#heads[head] = place;
    }
    const row = place << ROW_SHIFT;
    rows[row] = host;
    rows[row + MODE_ROOM] = modeBits | (records << 16);
    rows[row + START] = this.#free;
    this.#free += bytes;
    return place;
  }
  /** A block stands at its place, which had none. */
  add(place: number, { length, records, counting, secondHost, leavesCanonical }: BlockFacts): void {
    const row = place << ROW_SHIFT;
    this.#rows[row + WHAT] = length | (records << RECORDS_AT) | (counting << COUNTING_AT) |
      (leavesCanonical ? LEAVES_CANONICAL : 0);
    this.#rows[row + SECOND_HOST] = secondHost;
    this.#byRecord[(this.startOf(place) - ARENA_BASE) / RECORD_BYTES] = place;
    this.#size++;
  }
  /** The block is gone. */
  remove(place: number): void {
    this.#rows[(place << ROW_SHIFT) + WHAT] = 0;
    this.#size--;
  }
  /** All blocks are gone, and all places. */
  clear(): void {
    this.#heads.fill(0);
    this.#rows.fill(0, 0, (this.#last + 1) << ROW_SHIFT);
    this.#byRecord.fill(0, 0, this.arenaBytes / RECORD_BYTES);
    this.#free = ARENA_BASE;
    this.#last = this.#size = 0;
  }

  // Of the block at a place

  /** Byte offset of its first instruction in the WebAssembly memory. */
  hostOf(place: number): number {
    return this.#get(place, HOST) >>> 0;
  }
  /** MODE_* bits it was decoded for, without MODE_USER. */
  modeOf(place: number): number {
    return this.#get(place, MODE_ROOM) & 0xffff;
  }
  /** Its first record. */
  startOf(place: number): number {
    return this.#get(place, START);
  }
  /** Behind its last record. */
  endOf(place: number): number {
    return this.startOf(place) + ((this.#get(place, WHAT) >> RECORDS_AT) & 0xff) * RECORD_BYTES;
  }
  /** Bytes of its code. */
  lengthOf(place: number): number {
    return this.#get(place, WHAT) & ((1 << LENGTH_BITS) - 1);
  }
  /** Byte offset of its second page, if it crosses into one; else 0. */
  secondHostOf(place: number): number {
    return this.#get(place, SECOND_HOST) >>> 0;
  }
  /** The record that counts its runs; 0: none does. */
  countingOf(place: number): number {
    const fromEnd = (this.#get(place, WHAT) >> COUNTING_AT) & 3;
    return fromEnd === 0 ? 0 : this.endOf(place) - fromEnd * RECORD_BYTES;
  }
  /** See Block. */
  leavesCanonical(place: number): boolean {
    return (this.#get(place, WHAT) & LEAVES_CANONICAL) !== 0;
  }
}

function hash(host: number): number {
  return Math.imul(host, JUMP_CACHE_HASH) >>> (32 - HASH_BITS);
}
