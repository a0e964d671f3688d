// SPDX-License-Identifier: MIT
/**
 * The jump cache, the code TLB that vouches for it, and the block table behind them (layouts: cpu/state/state.ts). The
 * core module probes them (cpu/translate/find_block.ts); here they are filled and emptied.
 *
 * Jump cache and code TLB are keyed by linear address and mode. An entry says where the block at that address begins; it
 * holds only while the code TLB says that the block's page is still mapped where it was, and in segmented code only when
 * the block ends within the limit of CS. Changes of mappings empty the code TLB and leave the jump cache alone, and the
 * block table, which knows blocks by their place in memory. Nothing else does: code is fetched from where the code TLB has
 * it, though page tables say otherwise by now, and with them the TLB. So it does not matter who asks when, and engines
 * stay together while a guest has changed tables and not yet said so. All this is about a block's first page: one that crosses into
 * another begins with a record that asks the code TLB about that (H_CROSSING).
 * @module
 */
import { PAGE_MASK, PAGE_SHIFT } from "../../base/bits.ts";
import type { GuestMemory } from "../../base/guest_memory.ts";
import { isCanonical } from "../../mmu/mmu.ts";
import { MODE_USER, modeKeyOf } from "../../state/registers.ts";
import {
  BLOCK_TABLE_BASE,
  BLOCK_TABLE_BITS,
  BLOCK_TABLE_BYTES,
  blockTableEntry,
  CODE_GLOBAL,
  CODE_INVALID,
  CODE_LIST_BASE,
  CODE_LISTED,
  CODE_LISTED_GLOBAL,
  CODE_TLB_BASE,
  CODE_TLB_BITS,
  codeLists,
  codeTlbEntry,
  JUMP_CACHE_BASE,
  JUMP_CACHE_BITS,
  JUMP_CACHE_HASH,
  jumpCacheEntry,
  S,
} from "../../state/state.ts";

const KEY_LO_AT = S.modeKey >> 2, KEY_HI_AT = KEY_LO_AT + 1;
const COUNT = (CODE_LIST_BASE + codeLists.count) >> 2, FIRST = (CODE_LIST_BASE + codeLists.first) >> 2;
const GLOBALS = (CODE_LIST_BASE + codeLists.globals) >> 2;
const FIRST_GLOBAL = (CODE_LIST_BASE + codeLists.firstGlobal) >> 2;
/** Words of a code TLB entry. */
const ADDEND = codeTlbEntry.at.addend >> 2, MARKS = codeTlbEntry.at.marks >> 2;
const TABLE_RECORD = blockTableEntry.at.record >> 2;
const RECORD = jumpCacheEntry.at.record >> 2, HOST = jumpCacheEntry.at.host >> 2;
/** modeKey's upper half without MODE_USER: blocks are the same for users. */
const MODES_OF_BLOCKS = ~(MODE_USER << 16);
/** Modes, in the upper half of modeKey, in which a linear page of code is the same page: all but MODE_USER. */
export const MODES_OF_PAGES: number = modeKeyOf(0xffff & ~MODE_USER);

/** See the module's description. */
export class JumpCache {
  readonly #words: Uint32Array;

  constructor(readonly memory: GuestMemory) {
    this.#words = new Uint32Array(memory.memory.buffer as ArrayBuffer);
    this.clear();
    this.#clearPages();
  }

  /** Entries of the code TLB, which must be looked after when mappings change. */
  get watched(): number {
    return (this.#words[COUNT] as number) + (this.#words[GLOBALS] as number);
  }

  /** Forgets where every block is. */
  clear(): void {
    const { bytes } = this.memory;
    bytes.fill(0xff, JUMP_CACHE_BASE, JUMP_CACHE_BASE + (jumpCacheEntry.size << JUMP_CACHE_BITS));
    bytes.fill(0, BLOCK_TABLE_BASE, BLOCK_TABLE_BASE + BLOCK_TABLE_BYTES);
  }
  #clearPages(): void {
    const words = this.#words;
    words.fill(CODE_INVALID, CODE_TLB_BASE >> 2, (CODE_TLB_BASE + (codeTlbEntry.size << CODE_TLB_BITS)) >> 2);
    for (let i = 0; i < 1 << CODE_TLB_BITS; i++) {
      words[((CODE_TLB_BASE + i * codeTlbEntry.size) >> 2) + MARKS] = 0;
    }
    words[COUNT] = words[GLOBALS] = 0;
  }
  /** Linear addresses may mean other pages now; global pages do not with `keepGlobal` (a CR3 load). */
  mappingsChanged(keepGlobal: boolean): void {
    const words = this.#words;
    for (let i = words[COUNT] as number; i > 0; i--) {
      const entry = (CODE_TLB_BASE + (words[FIRST + i - 1] as number)) >> 2;
      const marks = words[entry + MARKS] as number;
      // It may be a global page's by now, and in the other list.
      if ((marks & CODE_GLOBAL) === 0) {
        words[entry] = CODE_INVALID;
        words[entry + MARKS] = marks & CODE_LISTED_GLOBAL;
      } else words[entry + MARKS] = marks & ~CODE_LISTED;
    }
    words[COUNT] = 0;
    if (!keepGlobal) {
      for (let i = words[GLOBALS] as number; i > 0; i--) {
        const entry = (CODE_TLB_BASE + (words[FIRST_GLOBAL + i - 1] as number)) >> 2;
        words[entry] = CODE_INVALID;
        words[entry + MARKS] = 0;
      }
      words[GLOBALS] = 0;
    }
  }
  /** The page of linear address `lo` may be another one now. */
  pageChanged(lo: number): void {
    this.#words[codeTlbAt(lo)] = CODE_INVALID;
  }

  /** Byte offset of the code at a linear address, when the code TLB has its page; else 0. */
  hostOf(lo: number, hi: number): number {
    const words = this.#words;
    if (!isCanonical(hi)) return 0;
    const entry = codeTlbAt(lo), tagHi = (hi ^ (words[KEY_HI_AT] as number)) >>> 0;
    if (words[entry] !== ((lo & ~PAGE_MASK) ^ (words[KEY_LO_AT] as number)) >>> 0) return 0;
    if ((((words[entry + 1] as number) ^ tagHi) & ~MODES_OF_PAGES) !== 0) return 0;
    words[entry + 1] = tagHi;
    return (lo + (words[entry + ADDEND] as number)) >>> 0;
  }

  /**
   * Puts a block in, under the current mode: its linear address, its first record, where its code lies in the WebAssembly
   * memory.
   */
  remember(lo: number, hi: number, start: number, host: number): void {
    const words = this.#words;
    const keyLo = words[KEY_LO_AT] as number, keyHi = words[KEY_HI_AT] as number;
    const index = Math.imul(lo, JUMP_CACHE_HASH) >>> (32 - JUMP_CACHE_BITS);
    const entry = (JUMP_CACHE_BASE + index * jumpCacheEntry.size) >> 2;
    words[entry] = lo ^ keyLo;
    words[entry + 1] = hi ^ keyHi;
    words[entry + RECORD] = start;
    words[entry + HOST] = host;
    this.#enter(host, keyHi & MODES_OF_BLOCKS, start);
  }
  /** Puts the page of linear address `lo`,`hi`, at `host`, into the code TLB; `isGlobal`: a CR3 load does not change it. */
  rememberPage(lo: number, hi: number, host: number, isGlobal: boolean): void {
    const words = this.#words;
    const code = codeTlbAt(lo);
    const place = code * 4 - CODE_TLB_BASE;
    let marks = (words[code + MARKS] as number) & (CODE_LISTED | CODE_LISTED_GLOBAL);
    if (isGlobal) {
      if ((marks & CODE_LISTED_GLOBAL) === 0) words[FIRST_GLOBAL + words[GLOBALS]!++] = place;
      marks |= CODE_GLOBAL | CODE_LISTED_GLOBAL;
    } else {
      if ((marks & CODE_LISTED) === 0) words[FIRST + words[COUNT]!++] = place;
      marks |= CODE_LISTED;
    }
    words[code] = (lo & ~PAGE_MASK) ^ (words[KEY_LO_AT] as number);
    words[code + 1] = hi ^ (words[KEY_HI_AT] as number);
    words[code + ADDEND] = host - lo;
    words[code + MARKS] = marks;
  }
  /** Into the block table: the newest of a set stands first. */
  #enter(host: number, mode: number, start: number): void {
    const words = this.#words;
    const set = Math.imul(host, JUMP_CACHE_HASH) >>> (32 - BLOCK_TABLE_BITS);
    const first = (BLOCK_TABLE_BASE + set * 2 * blockTableEntry.size) >> 2;
    if (words[first] !== host || words[first + 1] !== mode >>> 0) {
      words[first + 4] = words[first] as number;
      words[first + 5] = words[first + 1] as number;
      words[first + 4 + TABLE_RECORD] = words[first + TABLE_RECORD] as number;
      words[first] = host;
      words[first + 1] = mode;
    }
    words[first + TABLE_RECORD] = start;
  }
}

/** Word index of the code TLB entry for a linear address. */
function codeTlbAt(linearLo: number): number {
  const index = (linearLo >>> PAGE_SHIFT) & ((1 << CODE_TLB_BITS) - 1);
  return (CODE_TLB_BASE + index * codeTlbEntry.size) >> 2;
}
