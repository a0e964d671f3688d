// SPDX-License-Identifier: MIT
/**
 * Guest physical memory inside one WebAssembly.Memory. A frame table maps every guest frame below 4 GiB to a
 * byte offset in that memory (0: no memory there, i.e. MMIO or nothing), so that Xen can put shared_info or
 * grant-table pages at any frame the guest names, and the CPU's TLB needs one lookup.
 *
 * The memory never grows, so views of it never go stale. Every write from TypeScript goes through here: pages
 * with translated code are watched, and the watcher hears of a write before it happens.
 * @module
 */
import { assert } from "./assert.ts";
import { type Gfn, GiB, type Gpa, MiB, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE } from "./bits.ts";

/** Entries in the frame table: 4 GiB worth of frames. */
export const FRAME_TABLE_ENTRIES = (4 * GiB) / PAGE_SIZE;
/** Pages for {@linkcode GuestMemory.allocatePage}: shared_info, grant table, hypercall-independent Xen pages. */
export const EXTRA_PAGES = 1024;
/** RAM begins at a multiple of this, the size of a host's large pages: some engines can be given those. */
const RAM_ALIGNMENT = 2 * MiB;
/** Attribute of a host page: holds translated code, so writes to it must be announced; see also MemoryMap.codeMap. */
export const PAGE_HAS_CODE = 1;

/** Where things lie in the WebAssembly memory; byte offsets. */
export interface MemoryMap {
  /** u32 per guest frame: byte offset of its page in the memory, or 0. */
  readonly frameTable: number;
  /** u8 per 4 KiB page of the WebAssembly memory: PAGE_* attributes. */
  readonly pageAttributes: number;
  /** u64 per 4 KiB page of the WebAssembly memory: a bit for each 64 bytes with translated code, lowest first. */
  readonly codeMap: number;
  /** First byte of extra pages. */
  readonly extra: number;
  /** First byte of guest RAM. */
  readonly ram: number;
  readonly ramBytes: number;
  readonly totalBytes: number;
}

/** Hears that host page `page` (byte offset in the memory) is about to be written; see PAGE_HAS_CODE. */
export type CodeWriteWatcher = (pageOffset: number, from: number, to: number) => void;

/** See the module's description. All multi-byte accesses are little-endian. */
export class GuestMemory {
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  /** All of the WebAssembly memory. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** All of the WebAssembly memory. */
  readonly view: DataView<ArrayBuffer>;
  /** Byte offset of each guest frame's page, 0 when there is none. Change it with mapFrame only. */
  readonly frames: Uint32Array;
  /** Called before TypeScript writes to a page with PAGE_HAS_CODE. Set by the CPU. */
  onCodeWrite: CodeWriteWatcher = () => {};
  /** Called after the frame table changed. Set by the CPU (flushes its TLB). */
  onRemap: () => void = () => {};
  readonly #attributes: Uint8Array;
  #extraUsed = 0;
  #extraFree: number[] = [];

  /**
   * `reservedBytes`: how much the CPU wants below everything here (state block, TLBs, code arena).
   * `ramBytes`: multiple of the page size; RAM is mapped from guest physical address 0.
   */
  constructor(ramBytes: number, reservedBytes = 0) {
    assert(ramBytes % PAGE_SIZE === 0 && ramBytes > 0, "RAM is a whole number of pages");
    const frameTable = Math.ceil(Math.max(reservedBytes, PAGE_SIZE) / PAGE_SIZE) * PAGE_SIZE;
    const pageAttributes = frameTable + FRAME_TABLE_ENTRIES * 4;
    const codeMap = pageAttributes + FRAME_TABLE_ENTRIES;
    const extra = codeMap + FRAME_TABLE_ENTRIES * 8;
    const ram = Math.ceil((extra + EXTRA_PAGES * PAGE_SIZE) / RAM_ALIGNMENT) * RAM_ALIGNMENT;
    const totalBytes = Math.ceil((ram + ramBytes) / 65536) * 65536;
    if (totalBytes > 65536 * 65536) {
      throw new RangeError(`Cannot fit ${ramBytes} bytes of guest RAM in 4 GiB`);
    }
    this.map = { frameTable, pageAttributes, codeMap, extra, ram, ramBytes, totalBytes };
    const pages = totalBytes / 65536;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const buffer = this.memory.buffer as ArrayBuffer;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.frames = new Uint32Array(buffer, frameTable, FRAME_TABLE_ENTRIES);
    this.#attributes = new Uint8Array(buffer, pageAttributes, FRAME_TABLE_ENTRIES);
    for (let gfn = 0; gfn < ramBytes / PAGE_SIZE; gfn++) this.frames[gfn] = ram + gfn * PAGE_SIZE;
  }

  /** Bytes of RAM, mapped at guest physical 0. */
  get ramBytes(): number {
    return this.map.ramBytes;
  }

  /** A zeroed page of our own that can be mapped into the guest. Returns its byte offset, 0 when exhausted. */
  allocatePage(): number {
    const offset = this.#extraFree.pop() ??
      (this.#extraUsed < EXTRA_PAGES ? this.map.extra + this.#extraUsed++ * PAGE_SIZE : 0);
    if (offset !== 0) this.bytes.fill(0, offset, offset + PAGE_SIZE);
    return offset;
  }

  /** Gives back a page of allocatePage that is mapped nowhere any more. */
  freePage(offset: number): void {
    this.#extraFree.push(offset);
  }

  /** Maps the page at byte `offset` (0: nothing) as guest frame `gfn`; returns what was there before. */
  mapFrame(gfn: Gfn, offset: number): number {
    assert(gfn >= 0 && gfn < FRAME_TABLE_ENTRIES && offset % PAGE_SIZE === 0, "frame in range");
    const before = this.frames[gfn] as number;
    this.frames[gfn] = offset;
    this.onRemap();
    return before;
  }

  /** True when `gfn` has memory behind it. */
  hasFrame(gfn: Gfn): boolean {
    return gfn >= 0 && gfn < FRAME_TABLE_ENTRIES && this.frames[gfn] !== 0;
  }

  /** True when every byte of [gpa, gpa+length) has memory behind it. */
  contains(gpa: Gpa, length: number): boolean {
    if (!(gpa >= 0) || length < 0) return false;
    for (let gfn = Math.floor(gpa / PAGE_SIZE); gfn * PAGE_SIZE < gpa + length; gfn++) {
      if (!this.hasFrame(gfn)) return false;
    }
    return true;
  }

  /** Byte offset in the WebAssembly memory of `gpa`, or 0 when there is no memory. */
  offsetOf(gpa: Gpa): number {
    if (!(gpa >= 0) || gpa >= 4 * GiB) return 0;
    const page = this.frames[Math.floor(gpa / PAGE_SIZE)] as number;
    return page === 0 ? 0 : page + (gpa & PAGE_MASK);
  }

  /** Byte offset of [gpa, gpa+length) when it is contiguous in our memory, else 0. */
  #contiguous(gpa: Gpa, length: number): number {
    const offset = this.offsetOf(gpa);
    if (offset === 0 || length < 0) return 0;
    let end = PAGE_SIZE - (gpa & PAGE_MASK);
    for (let next = gpa + end; end < length; end += PAGE_SIZE, next += PAGE_SIZE) {
      if (this.offsetOf(next) !== offset + end) return 0;
    }
    return offset;
  }

  /** The guest's own bytes, no copy, for reading; undefined when not all memory or not contiguous. */
  slice(gpa: Gpa, length: number): Uint8Array<ArrayBuffer> | undefined {
    const offset = this.#contiguous(gpa, length);
    return offset === 0 ? undefined : this.bytes.subarray(offset, offset + length);
  }

  /** Like slice, for writing: announces the write to the code watcher first. Write soon, then drop it. */
  sliceForWrite(gpa: Gpa, length: number): Uint8Array<ArrayBuffer> | undefined {
    const offset = this.#contiguous(gpa, length);
    if (offset === 0) return undefined;
    this.announceWrite(offset, length);
    return this.bytes.subarray(offset, offset + length);
  }

  /** Tells the watcher about a coming write to [offset, offset+length) of the WebAssembly memory. */
  announceWrite(offset: number, length: number): void {
    if (length <= 0) return;
    const last = (offset + length - 1) >>> PAGE_SHIFT;
    for (let page = offset >>> PAGE_SHIFT; page <= last; page++) {
      if (((this.#attributes[page] as number) & PAGE_HAS_CODE) === 0) continue;
      const base = page * PAGE_SIZE;
      this.onCodeWrite(base, Math.max(0, offset - base), Math.min(PAGE_SIZE, offset + length - base));
    }
  }

  /** Sets or clears attribute bits of the page at byte `offset`. */
  setAttribute(offset: number, attribute: number, on: boolean): void {
    const page = offset >>> PAGE_SHIFT;
    const old = this.#attributes[page] as number;
    this.#attributes[page] = on ? old | attribute : old & ~attribute;
  }

  /** Attribute bits of the page at byte `offset`. */
  attributes(offset: number): number {
    return this.#attributes[offset >>> PAGE_SHIFT] as number;
  }

  /** Copies guest physical memory out; false (and `into` partly filled) when some of it is missing. */
  read(gpa: Gpa, into: Uint8Array): boolean {
    for (let done = 0; done < into.length;) {
      const offset = this.offsetOf(gpa + done);
      if (offset === 0) return false;
      const n = Math.min(into.length - done, PAGE_SIZE - (offset & PAGE_MASK));
      into.set(this.bytes.subarray(offset, offset + n), done);
      done += n;
    }
    return true;
  }

  /** Copies into guest physical memory; false when some of it is missing (then a prefix is written). */
  write(gpa: Gpa, from: Uint8Array): boolean {
    for (let done = 0; done < from.length;) {
      const offset = this.offsetOf(gpa + done);
      if (offset === 0) return false;
      const n = Math.min(from.length - done, PAGE_SIZE - (offset & PAGE_MASK));
      this.announceWrite(offset, n);
      this.bytes.set(from.subarray(done, done + n), offset);
      done += n;
    }
    return true;
  }
}
