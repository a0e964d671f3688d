// SPDX-License-Identifier: MIT
/**
 * The jump cache and the code TLB that vouches for it (layouts: cpu/state/state.ts). The core module probes them; here
 * they are filled and emptied.
 *
 * Both are keyed by linear address and mode. An entry says where the block at that address begins; it holds only while
 * the code TLB says that the block's page is still mapped where it was, and in segmented code only when the block ends
 * within the limit of CS. Changes of mappings empty the code TLB and leave the jump cache alone. It vouches for a
 * block's first page only: blocks that cross into another leave the jump cache then.
 * @module
 */
import { PAGE_MASK, PAGE_SHIFT } from "../base/bits.ts";
import type { GuestMemory } from "../base/guest_memory.ts";
import {
  CODE_TLB_BASE,
  CODE_TLB_BITS,
  codeTlbEntry,
  JUMP_CACHE_BASE,
  JUMP_CACHE_BITS,
  JUMP_CACHE_HASH,
  jumpCacheEntry,
  S,
} from "../state/state.ts";
import { IndexSet } from "./index_set.ts";

/** Where a block was found. */
export interface Place {
  readonly linearLo: number;
  readonly linearHi: number;
  /** First record, and byte offset of its code in the WebAssembly memory. */
  readonly start: number;
  readonly host: number;
  /** It crosses into another page. */
  readonly crosses: boolean;
  /** Its page is global: a CR3 load does not change it. */
  readonly isGlobal: boolean;
}

/** See the module's description. */
export class JumpCache {
  readonly #crossing = new IndexSet(1 << JUMP_CACHE_BITS);
  /** Code TLB entries of pages that are not global. */
  readonly #local = new IndexSet(1 << CODE_TLB_BITS);

  constructor(readonly memory: GuestMemory) {}

  /** Entries that must be looked after when mappings change: of crossing blocks, and of pages that are not global. */
  get watched(): { readonly crossing: number; readonly local: number } {
    return { crossing: this.#crossing.size, local: this.#local.size };
  }

  #invalidate(entry: number, bytes: number): void {
    // A tag of all ones is no linear address ^ modeKey: its address would have to be all ones in the lower half.
    this.memory.bytes.fill(0xff, entry, entry + bytes);
  }
  /** Forgets where every block is. */
  clear(): void {
    this.#invalidate(JUMP_CACHE_BASE, jumpCacheEntry.size << JUMP_CACHE_BITS);
    this.#crossing.drain(() => {});
    this.mappingsChanged(false);
  }
  /** Linear addresses may mean other pages now; global pages do not with `keepGlobal` (a CR3 load). */
  mappingsChanged(keepGlobal: boolean): void {
    if (!keepGlobal) this.#invalidate(CODE_TLB_BASE, codeTlbEntry.size << CODE_TLB_BITS);
    this.#local.drain((index) => {
      if (keepGlobal) this.#invalidate(CODE_TLB_BASE + index * codeTlbEntry.size, codeTlbEntry.size);
    });
    this.#forgetCrossing();
  }
  /** The page of linear address `lo` may be another one now. */
  pageChanged(lo: number): void {
    this.#forgetCrossing();
    this.#invalidate(CODE_TLB_BASE + codeTlbIndex(lo) * codeTlbEntry.size, codeTlbEntry.size);
  }
  #forgetCrossing(): void {
    this.#crossing.drain((index) =>
      this.#invalidate(JUMP_CACHE_BASE + index * jumpCacheEntry.size, jumpCacheEntry.size)
    );
  }

  /** Puts a block in, under the current mode. */
  remember({ linearLo: lo, linearHi: hi, start, host, crosses, isGlobal }: Place): void {
    const { view } = this.memory;
    const keyLo = view.getUint32(S.modeKey, true), keyHi = view.getUint32(S.modeKey + 4, true);
    const index = Math.imul(lo, JUMP_CACHE_HASH) >>> (32 - JUMP_CACHE_BITS);
    const entry = JUMP_CACHE_BASE + index * jumpCacheEntry.size;
    view.setUint32(entry, lo ^ keyLo, true);
    view.setUint32(entry + 4, hi ^ keyHi, true);
    view.setUint32(entry + jumpCacheEntry.at.record, start, true);
    view.setUint32(entry + jumpCacheEntry.at.host, host, true);
    if (crosses) this.#crossing.add(index);
    const code = codeTlbIndex(lo), at = CODE_TLB_BASE + code * codeTlbEntry.size;
    if (!isGlobal) this.#local.add(code);
    view.setUint32(at, (lo & ~PAGE_MASK) ^ keyLo, true);
    view.setUint32(at + 4, hi ^ keyHi, true);
    view.setUint32(at + codeTlbEntry.at.addend, host - lo, true);
  }
}

function codeTlbIndex(linearLo: number): number {
  return (linearLo >>> PAGE_SHIFT) & ((1 << CODE_TLB_BITS) - 1);
}
