// SPDX-License-Identifier: MIT
/**
 * The guest's grant table, version 1 and 2, and what backends in dom0 may do with it. Rules: Xen
 * public/grant_table.h; behavior of common/grant_table.c.
 *
 * Table and status pages are ours and are seen by the guest where it places them. An entry is read once per
 * access; while a grant is mapped, its page is the one that was mapped, whatever the guest writes into the entry.
 * Transitive grants are refused, since there is no third domain.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { BACKEND_DOMID, type GrantAccess, type MappedGrant } from "../backend/host.ts";
import type { PageName, Physmap } from "./physmap.ts";
import { XEN_EBUSY, XEN_EINVAL, XEN_ENOMEM } from "../public/errno.ts";
import {
  GNTST_bad_copy_arg,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_eagain,
  GNTST_general_error,
  GNTST_okay,
  GNTTAB_NR_RESERVED_ENTRIES,
  grant_entry_v1,
  grant_entry_v2_full_page,
  grant_entry_v2_sub_page,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_sub_page,
  GTF_type_mask,
  GTF_writing,
} from "../public/grant_table.ts";

const V1 = grant_entry_v1.at;
const V1_FRAME = V1.frame;
const V2_FRAME = grant_entry_v2_full_page.at["full_page.frame"];
const V2_PAGE_OFF = grant_entry_v2_sub_page.at["sub_page.page_off"];
const V2_LENGTH = grant_entry_v2_sub_page.at["sub_page.length"];
const V1_PER_PAGE_SHIFT = 9; // 512 entries of 8 bytes
const V2_PER_PAGE_SHIFT = 8; // 256 entries of 16 bytes
const STATUS_PER_PAGE_SHIFT = 11; // 2048 words of 2 bytes

/** Frames a grant table may have, as Xen allows by default. */
export const MAX_GRANT_FRAMES = 64;

/** A mapped grant's page and how often it is mapped. */
interface Pin {
  readonly page: number;
  readonly gfn: number;
  readers: number;
  writers: number;
  /** Of these, mappings of a snapshot whose owners have not mapped again yet. */
  orphanReaders: number;
  orphanWriters: number;
}

/** A pin in a snapshot. */
interface SavedPin {
  readonly gref: number;
  readonly page: PageName;
  readonly gfn: number;
  readonly readers: number;
  readonly writers: number;
}

/** What a snapshot keeps; whoever had a mapping maps again after it. */
export interface GrantTableState {
  readonly version: 1 | 2;
  readonly frames: readonly Uint8Array[];
  readonly statusFrames: readonly Uint8Array[];
  readonly pins: readonly SavedPin[];
}

class Mapping implements MappedGrant {
  #table: GrantTable | undefined;
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #view: DataView<ArrayBuffer> | undefined;
  constructor(
    table: GrantTable,
    readonly memory: GuestMemory,
    readonly gref: number,
    readonly pin: Pin,
    readonly readonly: boolean,
  ) {
    this.#table = table;
  }
  get gpa(): number {
    return this.pin.gfn * PAGE_SIZE;
  }
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes ??= this.memory.bytes.subarray(this.pin.page, this.pin.page + PAGE_SIZE);
  }
  get view(): DataView<ArrayBuffer> {
    return this.#view ??= new DataView(this.memory.view.buffer, this.pin.page, PAGE_SIZE);
  }
  unmap(): void {
    this.#table?.release(this.gref, this.pin, this.readonly);
    this.#table = undefined;
  }
}

/** See the module's description. */
export class GrantTable implements GrantAccess {
  /** Version of every entry. */
  version: 1 | 2 = 1;
  readonly maxFrames: number;
  readonly #memory: GuestMemory;
  readonly #view: DataView;
  readonly #physmap: Physmap;
  readonly #domid: number;
  #frames: number[] = [];
  #statusFrames: number[] = [];
  #entries = 0;
  readonly #pins = new Map<number, Pin>();
  /** Last view handed out per grant reference: a frontend's references come back with the same range. */
  #views: (Uint8Array<ArrayBuffer> | undefined)[] = [];

  constructor(memory: GuestMemory, physmap: Physmap, domid: number, maxFrames = MAX_GRANT_FRAMES) {
    this.#memory = memory;
    this.#view = memory.view;
    this.#physmap = physmap;
    this.#domid = domid;
    this.maxFrames = maxFrames;
    this.grow(1);
  }

  /** Frames of entries. */
  get frameCount(): number {
    return this.#frames.length;
  }

  /** Frames of status words; 0 with version 1. */
  get statusFrameCount(): number {
    return this.#statusFrames.length;
  }

  /** Entries the table has. */
  get entryCount(): number {
    return this.#entries;
  }

  /** Page of frame `index`, growing the table up to it; undefined when it cannot. */
  framePage(index: number): number | undefined {
    if (index >= this.#frames.length && index < this.maxFrames) this.grow(index + 1);
    return this.#frames[index];
  }

  /** Page of status frame `index`, growing the table so that it needs it; undefined when it cannot. */
  statusFramePage(index: number): number | undefined {
    if (this.version !== 2) return undefined;
    const perStatusFrame = 1 << (STATUS_PER_PAGE_SHIFT - V2_PER_PAGE_SHIFT);
    if (index >= this.#statusFrames.length && index * perStatusFrame < this.maxFrames) {
      this.grow(index * perStatusFrame + 1);
    }
    return this.#statusFrames[index];
  }

  /** Page of frame `index` if it exists. */
  existingFrame(index: number, status: boolean): number | undefined {
    return status ? this.#statusFrames[index] : this.#frames[index];
  }

  /** Grows the table to `frames` frames. Returns 0 or a negative errno; 0 when it is that large already. */
  grow(frames: number): number {
    if (frames > this.maxFrames) return -XEN_EINVAL;
    while (this.#frames.length < frames) {
      if (!this.#addPage(this.#frames, "grant")) return -XEN_ENOMEM;
      if (this.version === 2 && !this.#growStatus()) return -XEN_ENOMEM;
      this.#countEntries();
    }
    return 0;
  }

  /** GNTTABOP_set_version: keeps the reserved entries. Returns 0 or a negative errno. */
  setVersion(version: 1 | 2): number {
    if (version === this.version) return 0;
    for (const gref of this.#pins.keys()) if (gref >= GNTTAB_NR_RESERVED_ENTRIES) return -XEN_EBUSY;
    const reserved: { flags: number; domid: number; frame: number }[] = [];
    for (let gref = 0; gref < GNTTAB_NR_RESERVED_ENTRIES; gref++) {
      const at = this.#entryAt(gref);
      let flags = this.#view.getUint16(at + V1.flags, true);
      let frame = this.#view.getUint32(at + V1_FRAME, true);
      if (this.version === 2) {
        const plain = (flags & (GTF_type_mask | GTF_sub_page)) === GTF_permit_access;
        flags = plain ? flags | this.#view.getUint16(this.#flagsAt(gref), true) : 0;
        frame = this.#view.getUint32(at + V2_FRAME, true);
      }
      reserved.push({ flags, domid: this.#view.getUint16(at + V1.domid, true), frame });
    }
    const before = this.version;
    this.version = version;
    if (version === 2 && !this.#growStatus()) {
      this.version = before;
      return -XEN_ENOMEM;
    }
    if (version === 1) this.#dropStatus();
    for (const page of this.#frames) this.#memory.bytes.fill(0, page, page + PAGE_SIZE);
    this.#countEntries();
    reserved.forEach((entry, gref) => {
      const xenFlags = entry.flags & (GTF_reading | GTF_writing);
      const at = this.#entryAt(gref);
      this.#view.setUint16(at + V1.flags, version === 2 ? entry.flags & ~xenFlags : entry.flags, true);
      this.#view.setUint16(at + V1.domid, entry.domid, true);
      this.#view.setUint32(at + (version === 2 ? V2_FRAME : V1_FRAME), entry.frame, true);
      if (version === 2) this.#view.setUint16(this.#flagsAt(gref), xenFlags, true);
    });
    return 0;
  }

  /** GNTTABOP_swap_grant_ref. Returns a GNTST_* status. */
  swap(a: number, b: number): number {
    if (a >= this.#entries || b >= this.#entries) return GNTST_bad_gntref;
    if (a === b) return GNTST_okay;
    if (this.#pins.has(a) || this.#pins.has(b)) return GNTST_eagain;
    this.#swapBytes(this.#entryAt(a), this.#entryAt(b), this.version === 1 ? 8 : 16);
    if (this.version === 2) this.#swapBytes(this.#flagsAt(a), this.#flagsAt(b), 2);
    return GNTST_okay;
  }

  /** Writes a version 1 entry, as the tools do for the reserved ones before the guest starts. */
  seed(gref: number, gfn: number): void {
    const at = this.#entryAt(gref);
    this.#view.setUint16(at + V1.flags, GTF_permit_access, true);
    this.#view.setUint16(at + V1.domid, BACKEND_DOMID, true);
    this.#view.setUint32(at + V1_FRAME, gfn, true);
  }

  /**
   * Byte offset in the memory of a granted range for an access that ends before the guest runs on, or a negative
   * GNTST_* status. Allocates nothing. `domid`: who accesses.
   */
  locate(gref: number, offset: number, length: number, write: boolean, domid = BACKEND_DOMID): number {
    if (!(offset >= 0 && length >= 0 && offset + length <= PAGE_SIZE)) return GNTST_bad_copy_arg;
    if (!(gref >= 0 && gref < this.#entries)) return GNTST_bad_gntref;
    const at = this.#entryAt(gref);
    const header = this.#view.getUint32(at, true);
    if (write && (header & GTF_readonly) !== 0) return GNTST_general_error;
    let page: number;
    const pin = this.#pins.size === 0 ? undefined : this.#pins.get(gref);
    if (pin !== undefined) {
      page = pin.page;
    } else {
      if ((header & GTF_type_mask) !== GTF_permit_access || (header >>> 16) !== domid) {
        return GNTST_general_error;
      }
      if (this.version === 2 && (header & GTF_sub_page) !== 0) {
        const start = this.#view.getUint16(at + V2_PAGE_OFF, true);
        const bytes = this.#view.getUint16(at + V2_LENGTH, true);
        if (offset < start || offset + length > start + bytes) return GNTST_general_error;
      }
      page = this.#pageOfEntry(at);
      if (page === 0) return GNTST_bad_page;
    }
    if (write) this.#memory.announceWrite(page + offset, length);
    return page + offset;
  }

  access(gref: number, offset: number, length: number, write: boolean): Uint8Array<ArrayBuffer> | number {
    const at = this.locate(gref, offset, length, write);
    if (at < 0) return at;
    const last = this.#views[gref];
    if (last !== undefined && last.byteOffset === at && last.length === length) return last;
    return this.#views[gref] = this.#memory.bytes.subarray(at, at + length);
  }

  map(gref: number, readonly: boolean): MappedGrant | number {
    if (!(gref >= 0 && gref < this.#entries)) return GNTST_bad_gntref;
    const at = this.#entryAt(gref);
    const header = this.#view.getUint32(at, true);
    let pin = this.#pins.get(gref);
    if (pin !== undefined && (readonly ? pin.orphanReaders : pin.orphanWriters) > 0) {
      if (readonly) pin.orphanReaders--;
      else pin.orphanWriters--;
      return new Mapping(this, this.#memory, gref, pin, readonly);
    }
    if (pin === undefined) {
      if (
        (header & (GTF_type_mask | GTF_sub_page)) !== GTF_permit_access || (header >>> 16) !== BACKEND_DOMID
      ) return GNTST_general_error;
    }
    if (!readonly && (header & GTF_readonly) !== 0) return GNTST_general_error;
    if (pin === undefined) {
      const page = this.#pageOfEntry(at);
      if (page === 0) return GNTST_bad_page;
      const gfn = this.#view.getUint32(at + (this.version === 1 ? V1_FRAME : V2_FRAME), true);
      pin = { page, gfn, readers: 0, writers: 0, orphanReaders: 0, orphanWriters: 0 };
      this.#pins.set(gref, pin);
    }
    if (readonly) pin.readers++;
    else {
      pin.writers++;
      this.#memory.announceWrite(pin.page, PAGE_SIZE);
    }
    const flagsAt = this.#flagsAt(gref);
    const xenFlags = readonly ? GTF_reading : GTF_reading | GTF_writing;
    this.#view.setUint16(flagsAt, this.#view.getUint16(flagsAt, true) | xenFlags, true);
    return new Mapping(this, this.#memory, gref, pin, readonly);
  }

  /** Ends one mapping of `gref`: called by the mapping itself, once. */
  release(gref: number, pin: Pin, readonly: boolean): void {
    if (this.#pins.get(gref) !== pin) return; // the table was reset meanwhile
    if (readonly) pin.readers--;
    else {
      pin.writers--;
      this.#memory.announceWrite(pin.page, PAGE_SIZE);
    }
    let clear = pin.writers === 0 ? GTF_writing : 0;
    if (pin.writers === 0 && pin.readers === 0) {
      clear |= GTF_reading;
      this.#pins.delete(gref);
    }
    const at = this.#flagsAt(gref);
    this.#view.setUint16(at, this.#view.getUint16(at, true) & ~clear, true);
  }

  /** Back to one empty frame of version 1, forgetting all mappings. */
  reset(): void {
    this.#pins.clear();
    this.#views = [];
    this.#dropStatus();
    this.version = 1;
    for (const page of this.#frames.splice(1)) this.#dropPage(page);
    const first = this.#frames[0] as number;
    this.#memory.bytes.fill(0, first, first + PAGE_SIZE);
    this.#countEntries();
  }

  /** The plain record of a snapshot. */
  save(): GrantTableState {
    const copy = (page: number) => this.#memory.bytes.slice(page, page + PAGE_SIZE);
    return {
      version: this.version,
      frames: this.#frames.map(copy),
      statusFrames: this.#statusFrames.map(copy),
      pins: [...this.#pins].flatMap(([gref, { page, gfn, readers, writers }]) => {
        const name = this.#physmap.nameOf(page);
        return name === null ? [] : [{ gref, page: name, gfn, readers, writers }];
      }),
    };
  }

  /**
   * Restores what `save` gave; then the physmap can be restored. Backends map again and get what they had, whatever the
   * entries say by now; then {@linkcode dropOrphans}.
   */
  restore(state: GrantTableState): void {
    this.reset();
    this.version = state.version;
    if (state.version === 2) this.#growStatus();
    this.grow(state.frames.length);
    this.#countEntries();
    state.frames.forEach((bytes, i) => this.#memory.bytes.set(bytes, this.#frames[i] as number));
    state.statusFrames.forEach((bytes, i) => this.#memory.bytes.set(bytes, this.#statusFrames[i] as number));
    for (const { gref, page: name, gfn, readers, writers } of state.pins) {
      const page = this.#physmap.pageNamed(name);
      if (page === 0) continue;
      this.#pins.set(gref, {
        page,
        gfn,
        readers,
        writers,
        orphanReaders: readers,
        orphanWriters: writers,
      });
    }
  }

  /** Ends the mappings of a snapshot that nobody has taken over. */
  dropOrphans(): void {
    for (const [gref, pin] of [...this.#pins]) {
      for (; pin.orphanReaders > 0; pin.orphanReaders--) this.release(gref, pin, true);
      for (; pin.orphanWriters > 0; pin.orphanWriters--) this.release(gref, pin, false);
    }
  }

  #entryAt(gref: number): number {
    return this.version === 1
      ? (this.#frames[gref >>> V1_PER_PAGE_SHIFT] as number) + (gref & 511) * 8
      : (this.#frames[gref >>> V2_PER_PAGE_SHIFT] as number) + (gref & 255) * 16;
  }

  /** Where GTF_reading and GTF_writing of an entry are. */
  #flagsAt(gref: number): number {
    return this.version === 1
      ? this.#entryAt(gref) + V1.flags
      : (this.#statusFrames[gref >>> STATUS_PER_PAGE_SHIFT] as number) + (gref & 2047) * 2;
  }

  /** Byte offset of the page an entry names, 0 when there is no memory at that frame. */
  #pageOfEntry(at: number): number {
    if (this.version === 1) return this.#memory.frames[this.#view.getUint32(at + V1_FRAME, true)] ?? 0;
    if (this.#view.getUint32(at + V2_FRAME + 4, true) !== 0) return 0;
    return this.#memory.frames[this.#view.getUint32(at + V2_FRAME, true)] ?? 0;
  }

  #countEntries(): void {
    const shift = this.version === 1 ? V1_PER_PAGE_SHIFT : V2_PER_PAGE_SHIFT;
    this.#entries = this.#frames.length << shift;
  }

  #growStatus(): boolean {
    const words = this.#frames.length << V2_PER_PAGE_SHIFT;
    while (this.#statusFrames.length << STATUS_PER_PAGE_SHIFT < words) {
      if (!this.#addPage(this.#statusFrames, "grant_status")) return false;
    }
    return true;
  }

  #dropStatus(): void {
    for (const page of this.#statusFrames.splice(0)) this.#dropPage(page);
  }

  #addPage(list: number[], name: string): boolean {
    const page = this.#memory.allocatePage();
    if (page === 0) return false;
    this.#physmap.addXenPage(page, `${name}:${list.length}`);
    list.push(page);
    return true;
  }

  #dropPage(page: number): void {
    this.#physmap.dropXenPage(page);
    this.#memory.freePage(page);
  }

  #swapBytes(a: number, b: number, length: number): void {
    const { bytes } = this.#memory;
    const copy = bytes.slice(a, a + length);
    bytes.copyWithin(a, b, b + length);
    bytes.set(copy, b);
  }
}
