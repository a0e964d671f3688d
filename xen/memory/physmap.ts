// SPDX-License-Identifier: MIT
/**
 * Which page the guest sees at which frame: RAM given back by the balloon, and pages of Xen's own (shared_info,
 * grant table, rings) that the guest placed. Rules: Xen public/memory.h; behavior of p2m and xenmem_add_to_physmap
 * in Xen: a Xen page is visible at one frame at most, and RAM it covers goes back to the pool of free pages.
 *
 * Deviations: populating a frame that has RAM keeps that RAM; a removed RAM page can be populated again.
 * @module
 */
import { type Gfn, PAGE_SIZE } from "../../cpu/base/bits.ts";
import { FRAME_TABLE_ENTRIES, type GuestMemory } from "../../cpu/base/guest_memory.ts";
import { XEN_EINVAL, XEN_ENOENT } from "../public/errno.ts";

interface XenPage {
  readonly name: string;
  gfn: Gfn | undefined;
}

/** A page as snapshots call it: a RAM page's number, or the name of a Xen page. */
export type PageName = number | string;

/** Changed frames by number; null for a hole. */
export interface PhysmapState {
  readonly frames: readonly (readonly [gfn: number, page: PageName | null])[];
  readonly free: readonly number[];
  readonly maximumGfn: number;
}

/** The guest's physical memory map as hypercalls change it. */
export class Physmap {
  readonly #memory: GuestMemory;
  /** RAM pages (byte offsets) that are at no frame. */
  readonly #free = new Set<number>();
  readonly #xenPages = new Map<number, XenPage>();
  /** What was at a frame before the first change, as long as something else is there now. */
  readonly #original = new Map<Gfn, number>();
  #maximumGfn: Gfn;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
    this.#maximumGfn = this.maximumPages - 1;
  }

  /** Frames that differ from the machine's start. */
  get changedFrames(): number {
    return this.#original.size;
  }

  /** Pages of RAM the guest could have. */
  get maximumPages(): number {
    return this.#memory.ramBytes / PAGE_SIZE;
  }

  /** Pages of RAM the guest has. */
  get currentPages(): number {
    return this.maximumPages - this.#free.size;
  }

  /** Highest frame that ever had memory behind it: what Xen keeps as max_mapped_pfn. */
  maximumGfn(): Gfn {
    return this.#maximumGfn;
  }

  /** True when RAM is at `gfn`. */
  isRam(gfn: Gfn): boolean {
    return this.#isRamPage(this.#pageAt(gfn));
  }

  /** Makes a page of GuestMemory.allocatePage known under a name that snapshots use. */
  addXenPage(page: number, name: string): void {
    this.#xenPages.set(page, { name, gfn: undefined });
  }

  /** Forgets a Xen page and takes it out of the guest's sight. */
  dropXenPage(page: number): void {
    const gfn = this.#xenPages.get(page)?.gfn;
    if (gfn !== undefined) this.#set(gfn, 0);
    this.#xenPages.delete(page);
  }

  /** Where the guest sees a Xen page; undefined when nowhere. */
  gfnOf(page: number): Gfn | undefined {
    return this.#xenPages.get(page)?.gfn;
  }

  /** Shows a Xen page at `gfn`, and no longer where it was. Returns 0 or a negative errno. */
  place(gfn: Gfn, page: number): number {
    const xenPage = this.#xenPages.get(page);
    if (xenPage === undefined || !validGfn(gfn)) return -XEN_EINVAL;
    if (xenPage.gfn === gfn) return 0;
    this.#vacate(gfn);
    if (xenPage.gfn !== undefined) this.#set(xenPage.gfn, 0);
    xenPage.gfn = gfn;
    this.#set(gfn, page);
    return 0;
  }

  /** Moves whatever is at `from` to `to` (XENMAPSPACE_gmfn). Returns 0 or a negative errno. */
  move(from: Gfn, to: Gfn): number {
    const page = this.#pageAt(from);
    const xenPage = this.#xenPages.get(page);
    if (!validGfn(to) || (!this.#isRamPage(page) && xenPage === undefined)) return -XEN_EINVAL;
    if (from === to) return 0;
    this.#vacate(to);
    this.#set(from, 0);
    this.#set(to, page);
    if (xenPage !== undefined) xenPage.gfn = to;
    return 0;
  }

  /** Leaves a hole at `gfn`. Returns 0 or a negative errno. */
  remove(gfn: Gfn): number {
    if (this.#pageAt(gfn) === 0) return -XEN_ENOENT;
    this.#vacate(gfn);
    this.#set(gfn, 0);
    return 0;
  }

  /** Takes the RAM at `gfn` back; false when there is none. */
  decrease(gfn: Gfn): boolean {
    if (!this.isRam(gfn)) return false;
    this.#vacate(gfn);
    this.#set(gfn, 0);
    return true;
  }

  /** Puts zeroed RAM at `gfn`; false when the guest has all it may have. */
  populate(gfn: Gfn): boolean {
    if (!validGfn(gfn)) return false;
    if (this.isRam(gfn)) return true;
    const home = this.#memory.map.ram + gfn * PAGE_SIZE;
    const page = this.#free.has(home) ? home : this.#free.values().next().value;
    if (page === undefined) return false;
    this.#free.delete(page);
    this.#memory.announceWrite(page, PAGE_SIZE);
    this.#memory.bytes.fill(0, page, page + PAGE_SIZE);
    this.#vacate(gfn);
    this.#set(gfn, page);
    return true;
  }

  /** Takes all Xen pages out of the guest's sight; RAM that they covered is back, if there is some. */
  withdrawXenPages(): void {
    const { ram, ramBytes } = this.#memory.map;
    for (const xenPage of this.#xenPages.values()) {
      const { gfn } = xenPage;
      if (gfn === undefined) continue;
      xenPage.gfn = undefined;
      this.#set(gfn, 0);
      if (gfn < ramBytes / PAGE_SIZE && this.#original.get(gfn) === ram + gfn * PAGE_SIZE) this.populate(gfn);
    }
  }

  /** Back to the map the machine started with. */
  reset(): void {
    for (const [gfn, page] of this.#original) this.#memory.mapFrame(gfn, page);
    this.#original.clear();
    this.#free.clear();
    this.#maximumGfn = this.maximumPages - 1;
    for (const xenPage of this.#xenPages.values()) xenPage.gfn = undefined;
  }

  /** What snapshots call a page: the number of a RAM page, the name of a Xen page, null for none. */
  nameOf(page: number): PageName | null {
    if (this.#isRamPage(page)) return (page - this.#memory.map.ram) / PAGE_SIZE;
    return this.#xenPages.get(page)?.name ?? null;
  }

  /** The page of that name; 0 when there is none. */
  pageNamed(name: PageName | null): number {
    if (name === null) return 0;
    if (typeof name === "number") return this.#memory.map.ram + name * PAGE_SIZE;
    for (const [page, xenPage] of this.#xenPages) if (xenPage.name === name) return page;
    return 0;
  }

  /** What differs from the machine's start. */
  save(): PhysmapState {
    const { ram } = this.#memory.map;
    return {
      frames: [...this.#original.keys()].map((gfn) => [gfn, this.nameOf(this.#pageAt(gfn))] as const),
      free: [...this.#free].map((page) => (page - ram) / PAGE_SIZE),
      maximumGfn: this.#maximumGfn,
    };
  }

  /** Restores what `save` gave; Xen pages must be known by their names already. */
  restore(state: PhysmapState): void {
    this.reset();
    const { ram } = this.#memory.map;
    for (const [gfn, page] of state.frames) {
      const offset = this.pageNamed(page);
      const xenPage = this.#xenPages.get(offset);
      if (xenPage !== undefined) xenPage.gfn = gfn;
      this.#set(gfn, offset);
    }
    for (const page of state.free) this.#free.add(ram + page * PAGE_SIZE);
    this.#maximumGfn = state.maximumGfn;
  }

  #pageAt(gfn: Gfn): number {
    return validGfn(gfn) ? this.#memory.frames[gfn] as number : 0;
  }

  #isRamPage(page: number): boolean {
    const { ram, ramBytes } = this.#memory.map;
    return page >= ram && page < ram + ramBytes;
  }

  /** Gives up what is at `gfn`, which the caller is about to replace. */
  #vacate(gfn: Gfn): void {
    const page = this.#pageAt(gfn);
    if (this.#isRamPage(page)) this.#free.add(page);
    const xenPage = this.#xenPages.get(page);
    if (xenPage !== undefined) xenPage.gfn = undefined;
  }

  #set(gfn: Gfn, page: number): void {
    const before = this.#memory.mapFrame(gfn, page);
    const original = this.#original.get(gfn);
    if (original === undefined) this.#original.set(gfn, before);
    else if (original === page) this.#original.delete(gfn);
    if (page !== 0 && gfn > this.#maximumGfn) this.#maximumGfn = gfn;
  }
}

function validGfn(gfn: Gfn): boolean {
  return gfn >= 0 && gfn < FRAME_TABLE_ENTRIES;
}
