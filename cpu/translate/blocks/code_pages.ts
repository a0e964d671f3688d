// SPDX-License-Identifier: MIT
/**
 * Which blocks have code in each page of memory: whoever writes there has to know. Lists of places (see BlockIndex) in
 * plain arrays, the newest first. Pages in a list are marked for the memory and the code map.
 * @module
 */
import { PAGE_MASK, PAGE_SHIFT, PAGE_SIZE } from "../../base/bits.ts";
import { type GuestMemory, PAGE_HAS_CODE } from "../../base/guest_memory.ts";
import { CodeMap } from "../../mmu/code_map.ts";
import { type BlockIndex, MOST_PLACES } from "./block_index.ts";

/** See the module's description. Pages are byte offsets in the WebAssembly memory. */
export class CodePages {
  /** A page has its first block. */
  onWatched: (page: number) => void = () => {};

  readonly #memory: GuestMemory;
  readonly #index: BlockIndex;
  readonly #codeMap: CodeMap;
  /** By number of the page, the first of its list: twice the number of a place, and 1 when this is its second page. */
  readonly #first: Int32Array;
  /** The next one, by the same number. */
  readonly #next = new Int32Array(2 * (MOST_PLACES + 1));
  #pages = 0;
  #listed = 0;

  constructor(memory: GuestMemory, index: BlockIndex) {
    this.#memory = memory;
    this.#index = index;
    this.#codeMap = new CodeMap(memory);
    this.#first = new Int32Array(memory.map.totalBytes >>> PAGE_SHIFT);
  }

  /** Pages with code, and how often blocks are in their lists. */
  get occupancy(): { readonly pages: number; readonly listed: number } {
    return { pages: this.#pages, listed: this.#listed };
  }

  /** The block at `place` has code in its pages. */
  add(place: number): void {
    const host = this.#index.hostOf(place), second = this.#index.secondHostOf(place);
    this.#enlist(host - (host & PAGE_MASK), 2 * place);
    if (second !== 0) this.#enlist(second, 2 * place + 1);
  }
  #enlist(page: number, entry: number): void {
    const number = page >>> PAGE_SHIFT, first = this.#first[number] as number;
    if (first === 0) {
      this.#pages++;
      this.#memory.setAttribute(page, PAGE_HAS_CODE, true);
      this.onWatched(page);
      this.#codeMap.clear(page);
    }
    this.#next[entry] = first;
    this.#first[number] = entry;
    this.#listed++;
    this.#map(page, entry);
  }
  #map(page: number, entry: number): void {
    const place = entry >> 1, from = this.#index.hostOf(place) & PAGE_MASK;
    const end = from + this.#index.lengthOf(place);
    if ((entry & 1) === 0) this.#codeMap.add(page, from, Math.min(PAGE_SIZE, end));
    else this.#codeMap.add(page, 0, end - PAGE_SIZE);
  }

  /** The block at `place` has gone, or goes: out of the lists of its pages, that of `but` excepted. */
  remove(place: number, but = -1): void {
    const host = this.#index.hostOf(place);
    for (const page of [host - (host & PAGE_MASK), this.#index.secondHostOf(place)]) {
      if (page !== 0 && page !== but) this.#filter(page, (entry) => entry >> 1 !== place);
    }
  }
  /** Whether there may be code in the bytes [from, to) of the page. */
  touches(page: number, from: number, to: number): boolean {
    return this.#codeMap.touches(page, from, to);
  }
  /** Takes all that the bytes [from, to) of the page are code of out of its list: their places. */
  take(page: number, from: number, to: number): number[] {
    const index = this.#index, hits = new Set<number>();
    this.#filter(page, (entry) => {
      const place = entry >> 1, host = index.hostOf(place), start = host & PAGE_MASK;
      const end = start + index.lengthOf(place);
      const isHit = (host - start === page && start < to && end > from) ||
        (index.secondHostOf(place) === page && from < end - PAGE_SIZE); // both pages may be the same one
      if (isHit) hits.add(place);
      return !isHit;
    });
    return [...hits];
  }
  /** Keeps those of a page's list that `stays` says yes to. */
  #filter(page: number, stays: (entry: number) => boolean): void {
    const number = page >>> PAGE_SHIFT, next = this.#next;
    let entry = this.#first[number] as number, before = 0, gone = 0;
    if (entry === 0) return;
    for (; entry !== 0; entry = next[entry] as number) {
      if (stays(entry)) before = entry;
      else {
        gone++;
        if (before === 0) this.#first[number] = next[entry] as number;
        else next[before] = next[entry] as number;
      }
    }
    if (gone === 0) return;
    this.#listed -= gone;
    entry = this.#first[number] as number;
    if (entry === 0) return this.#unmark(page);
    this.#codeMap.clear(page);
    for (; entry !== 0; entry = next[entry] as number) this.#map(page, entry);
  }
  #unmark(page: number): void {
    this.#pages--;
    this.#memory.setAttribute(page, PAGE_HAS_CODE, false);
  }

  /** No page has code any more; before the index forgets its places. */
  clear(): void {
    for (const place of this.#index.places()) {
      const host = this.#index.hostOf(place);
      for (const page of [host - (host & PAGE_MASK), this.#index.secondHostOf(place)]) {
        const number = page >>> PAGE_SHIFT;
        if (this.#first[number] === 0) continue;
        this.#first[number] = 0;
        this.#unmark(page);
      }
    }
    this.#listed = 0;
  }
}
