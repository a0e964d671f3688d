// SPDX-License-Identifier: MIT
/**
 * Guest accesses that miss the inline TLB check: page crossings, MMIO, watched code pages, faults; and the
 * linear-memory accesses of microcode and of the host. Rules: SDM Vol. 3A §4.6-4.7, §6.15 (#AC), Vol. 1 §3.3.7.1
 * (canonical addresses).
 * Data goes through S.memData. An access is checked in both of its pages before a byte is written.
 * @module
 */
import { type Gpa, type Gva, PAGE_MASK, PAGE_SIZE } from "../base/bits.ts";
import { PAGE_HAS_CODE } from "../base/guest_memory.ts";
import type { Bus } from "../base/bus.ts";
import type { CpuVendor } from "../base/engine.ts";
import { BREAK_ACCESS, BREAK_WRITE, breakpointsMet } from "../state/breakpoints.ts";
import { record } from "../state/record.ts";
import { MODE_TF, type Registers } from "../state/registers.ts";
import { ACCESS_READ, ACCESS_WRITE, isCanonical, type Mmu } from "./mmu.ts";
import {
  EXC_AC,
  EXC_GP,
  EXC_SS,
  S,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_SUPERVISOR_AC,
  TLB_MODE_USER_AC,
} from "../state/state.ts";
import { FAULT } from "../state/status.ts";

/**
 * In the `size` of a slow access: the stack segment was used, so a non-canonical address is #SS(0); no processor checks
 * the alignment; none of Intel's does.
 */
export const SIZE_STACK = 0x100, SIZE_UNCHECKED = 0x200, SIZE_UNCHECKED_BY_INTEL = 0x400;

const DATA = S.memData, DATA_AT = S.memData >> 2, ADDR_AT = S.memAddr >> 2;

/** The world beyond memory. */
export interface MmioAccess {
  readonly bus: Bus;
  /** A write has been made: interrupts may have become due. */
  written(): void;
}

/** The accesses of one CPU. */
export class LinearMemory {
  /** Result of read64. */
  lo = 0;
  /** Result of read64. */
  hi = 0;
  readonly #registers: Registers;
  readonly #mmu: Mmu;
  readonly #io: MmioAccess;
  readonly #view: DataView<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #u32: Uint32Array;
  readonly #amd: boolean;
  /** Parts of the current access: guest physical and host addresses of the first and second page. */
  #gpa1 = 0;
  #host1 = 0;
  #gpa2 = 0;
  #host2 = 0;
  /** Bytes in the first page. */
  #first = 0;

  constructor(registers: Registers, mmu: Mmu, io: MmioAccess, vendor: CpuVendor) {
    this.#amd = vendor === "AuthenticAMD";
    this.#registers = registers;
    this.#mmu = mmu;
    this.#io = io;
    this.#view = registers.memory.view;
    this.#bytes = registers.memory.bytes;
    this.#u32 = registers.u32;
  }

  /** Translates an access of at most a page, and looks for breakpoints. False: fault recorded. */
  #translate(lo: number, hi: number, size: number, write: boolean, tlbMode: number, vector: number): boolean {
    if (!this.#translateEnds(lo, hi, size, write, tlbMode, vector)) return false;
    const registers = this.#registers;
    if (registers.armed) {
      const address = (BigInt(hi) << 32n) | BigInt(lo);
      registers.debugTraps |= breakpointsMet(this.#u32, write ? BREAK_WRITE : BREAK_ACCESS, address, size);
    }
    return true;
  }

  /** Translates both ends of an access of at most a page. False: fault recorded. */
  #translateEnds(
    lo: number,
    hi: number,
    size: number,
    write: boolean,
    tlbMode: number,
    vector: number,
  ): boolean {
    const registers = this.#registers, mmu = this.#mmu;
    const long = registers.longMode;
    const access = write ? ACCESS_WRITE : ACCESS_READ;
    if (long && !isCanonical(hi)) {
      registers.raise(vector, 0);
      return false;
    }
    const first = Math.min(size, PAGE_SIZE - (lo & PAGE_MASK));
    this.#first = first;
    if (first !== size) {
      const next = lo + first;
      const carry = next > 0xffff_ffff && long && (hi !== 0 || registers.codeBits === 64) ? 1 : 0;
      const hi2 = (hi + carry) >>> 0;
      if (long && !isCanonical(hi2)) {
        registers.raise(vector, 0);
        return false;
      }
      // The first page is translated before the second, so that its fault is the one reported.
      const gpa1 = mmu.translate(lo, hi, access, tlbMode);
      if (gpa1 === -1) return false;
      this.#gpa1 = gpa1;
      this.#host1 = mmu.host;
      const gpa2 = mmu.translate(next >>> 0, hi2, access, tlbMode);
      if (gpa2 === -1) return false;
      this.#gpa2 = gpa2;
      this.#host2 = mmu.host;
      return true;
    }
    const gpa = mmu.translate(lo, hi, access, tlbMode);
    if (gpa === -1) return false;
    this.#gpa1 = gpa;
    this.#host1 = mmu.host;
    return true;
  }

  /** Memory to S.memData; at most 64 bytes. False: fault recorded. */
  load(lo: number, hi: number, size: number, tlbMode: number, vector = EXC_GP): boolean {
    if ((lo & PAGE_MASK) + size <= PAGE_SIZE) {
      const host = this.#mmu.lookup(lo, hi, false, tlbMode);
      if (host !== 0) {
        this.#copy(DATA, host, size);
        return true;
      }
    }
    if (!this.#translate(lo, hi, size, false, tlbMode, vector)) return false;
    this.#loadParts(size);
    return true;
  }

  #loadParts(size: number): void {
    const first = this.#first;
    if (this.#host1 !== 0) this.#copy(DATA, this.#host1, first);
    else this.#readMmio(this.#gpa1, DATA, first);
    if (first === size) return;
    if (this.#host2 !== 0) this.#copy(DATA + first, this.#host2, size - first);
    else this.#readMmio(this.#gpa2, DATA + first, size - first);
  }

  /** S.memData to memory; at most 64 bytes. False: fault recorded, nothing written. */
  store(lo: number, hi: number, size: number, tlbMode: number, vector = EXC_GP): boolean {
    if ((lo & PAGE_MASK) + size <= PAGE_SIZE) {
      const host = this.#mmu.lookup(lo, hi, true, tlbMode);
      if (host !== 0) {
        this.#copy(host, DATA, size);
        return true;
      }
    }
    if (!this.#translate(lo, hi, size, true, tlbMode, vector)) return false;
    const first = this.#first;
    this.#storePart(this.#gpa1, this.#host1, DATA, first);
    if (first !== size) this.#storePart(this.#gpa2, this.#host2, DATA + first, size - first);
    return true;
  }

  #storePart(gpa: Gpa, host: number, from: number, size: number): void {
    if (host === 0) return this.#writeMmio(gpa, from, size);
    const memory = this.#registers.memory;
    if ((memory.attributes(host) & PAGE_HAS_CODE) !== 0) memory.announceWrite(host, size);
    if (size <= 64) this.#copy(host, from, size);
    else this.#bytes.copyWithin(host, from, from + size);
  }

  /** Byte offset of a range within one page that is memory, announced when `write`; 0 when it must take loadTo. */
  hostOf(lo: number, hi: number, size: number, write: boolean, tlbMode: number): number {
    const host = this.#mmu.lookup(lo, hi, write, tlbMode);
    if (host !== 0) return host;
    if (!this.#translate(lo, hi, size, write, tlbMode, EXC_GP) || this.#first !== size) return 0;
    if (write && this.#host1 !== 0) this.#registers.memory.announceWrite(this.#host1, size);
    return this.#host1;
  }

  /**
   * Copies a range (at most a page) to byte offset `to` of the WebAssembly memory; `write`: it must be writable too,
   * because storeFrom follows. False: fault recorded.
   */
  loadTo(to: number, lo: number, hi: number, size: number, write: boolean, tlbMode: number): boolean {
    if (!this.#translate(lo, hi, size, write, tlbMode, EXC_GP)) return false;
    const first = this.#first, bytes = this.#bytes;
    if (this.#host1 !== 0) bytes.copyWithin(to, this.#host1, this.#host1 + first);
    else this.#readMmio(this.#gpa1, to, first);
    if (first === size) return true;
    if (this.#host2 !== 0) bytes.copyWithin(to + first, this.#host2, this.#host2 + size - first);
    else this.#readMmio(this.#gpa2, to + first, size - first);
    return true;
  }

  /** Copies `size` bytes (at most a page) at byte offset `from` to guest memory. False: fault, nothing written. */
  storeFrom(from: number, lo: number, hi: number, size: number, tlbMode: number): boolean {
    if (!this.#translate(lo, hi, size, true, tlbMode, EXC_GP)) return false;
    const first = this.#first;
    this.#storePart(this.#gpa1, this.#host1, from, first);
    if (first !== size) this.#storePart(this.#gpa2, this.#host2, from + first, size - first);
    return true;
  }

  /** Checks that all of a range (at most a page) can be read or written. False: fault recorded. */
  probe(lo: number, hi: number, size: number, write: boolean, tlbMode: number, vector = EXC_GP): boolean {
    return this.#translate(lo, hi, size, write, tlbMode, vector);
  }

  /** Copies up to 64 bytes inside the WebAssembly memory. */
  #copy(to: number, from: number, size: number): void {
    const view = this.#view;
    if (size === 8) {
      view.setUint32(to, view.getUint32(from, true), true);
      view.setUint32(to + 4, view.getUint32(from + 4, true), true);
    } else if (size === 4) view.setUint32(to, view.getUint32(from, true), true);
    else if (size === 2) view.setUint16(to, view.getUint16(from, true), true);
    else if ((size & 3) === 0) {
      for (let i = 0; i < size; i += 4) view.setUint32(to + i, view.getUint32(from + i, true), true);
    } else {
      for (let i = 0; i < size; i++) this.#bytes[to + i] = this.#bytes[from + i] as number;
    }
  }

  #readMmio(gpa: Gpa, to: number, size: number): void {
    const bus = this.#io.bus, view = this.#view;
    for (let done = 0; done < size;) {
      const left = size - done;
      if (left >= 4) {
        view.setUint32(to + done, bus.readMmio(gpa + done, 4), true);
        done += 4;
      } else if (left >= 2) {
        view.setUint16(to + done, bus.readMmio(gpa + done, 2), true);
        done += 2;
      } else {
        view.setUint8(to + done, bus.readMmio(gpa + done, 1));
        done++;
      }
    }
  }

  #writeMmio(gpa: Gpa, from: number, size: number): void {
    const bus = this.#io.bus, view = this.#view;
    for (let done = 0; done < size;) {
      const left = size - done;
      if (left >= 4) {
        bus.writeMmio(gpa + done, 4, view.getUint32(from + done, true));
        done += 4;
      } else if (left >= 2) {
        bus.writeMmio(gpa + done, 2, view.getUint16(from + done, true));
        done += 2;
      } else {
        bus.writeMmio(gpa + done, 1, view.getUint8(from + done));
        done++;
      }
    }
    this.#io.written();
  }

  // --- for microcode -----------------------------------------------------------------------------------------

  /** u8, or -1 with the fault recorded. */
  read8(lo: number, hi: number, tlbMode: number, vector = EXC_GP): number {
    return this.load(lo, hi, 1, tlbMode, vector) ? this.#view.getUint8(DATA) : -1;
  }
  /** u16, or -1 with the fault recorded. */
  read16(lo: number, hi: number, tlbMode: number, vector = EXC_GP): number {
    return this.load(lo, hi, 2, tlbMode, vector) ? this.#view.getUint16(DATA, true) : -1;
  }
  /** u32, or -1 with the fault recorded. */
  read32(lo: number, hi: number, tlbMode: number, vector = EXC_GP): number {
    return this.load(lo, hi, 4, tlbMode, vector) ? this.#u32[DATA_AT] as number : -1;
  }
  /** Into `lo` and `hi`. False: fault recorded. */
  read64(lo: number, hi: number, tlbMode: number, vector = EXC_GP): boolean {
    if (!this.load(lo, hi, 8, tlbMode, vector)) return false;
    this.lo = this.#u32[DATA_AT] as number;
    this.hi = this.#u32[DATA_AT + 1] as number;
    return true;
  }
  /** Writes the low `size` (1, 2 or 4) bytes of `value`. False: fault recorded. */
  write(lo: number, hi: number, size: number, value: number, tlbMode: number, vector = EXC_GP): boolean {
    this.#u32[DATA_AT] = value;
    return this.store(lo, hi, size, tlbMode, vector);
  }
  /** Word `i` (u32) of the data last loaded, or to be stored. */
  word(i: number): number {
    return this.#u32[DATA_AT + i] as number;
  }
  setWord(i: number, value: number): void {
    this.#u32[DATA_AT + i] = value;
  }

  /**
   * What a non-canonical operand of the instruction at `rec` raises: #SS if RSP or RBP is its base (Vol. 3A §6.15,
   * vector 12), whatever override of CS, DS, ES or SS it has.
   */
  operandVector(rec: number): number {
    return this.#view.getUint16(rec + record.at.segment, true) === S.ss ? EXC_SS : EXC_GP;
  }

  // --- called from emitted code ------------------------------------------------------------------------------

  /**
   * False, with #AC recorded: alignment is checked, and `lo` is no multiple of `bytes`, a power of two. SDM Vol. 3A §6.15,
   * vector 17; APM Vol. 2 §8.2.17.
   */
  isAligned(lo: number, bytes: number): boolean {
    const registers = this.#registers;
    if (registers.dataMode !== TLB_MODE_USER_AC || (lo & (bytes - 1)) === 0) return true;
    registers.raise(EXC_AC, 0);
    return false;
  }
  /** What an operand of the `size` of a slow access has to be aligned to while alignment is checked. */
  #alignment(size: number): number {
    const length = size & 0xff;
    if ((size & SIZE_UNCHECKED) !== 0 || ((size & SIZE_UNCHECKED_BY_INTEL) !== 0 && !this.#amd)) return 1;
    // Of those of vectors, only 16 bytes; Intel's processors want vectors aligned where they say #GP else, or not at all.
    return length < 16 ? length : this.#amd ? 16 : 1;
  }
  /** Length without flags, with the address of outside 64-bit code cut to 32 bits; -1: fault recorded. */
  #prepare(size: number): number {
    if (this.#registers.codeBits !== 64) this.#u32[ADDR_AT + 1] = 0;
    return this.isAligned(this.#u32[ADDR_AT] as number, this.#alignment(size)) ? size & 0xff : -1;
  }

  /**
   * Has the instruction executed again as one step if it meets a breakpoint for data, and is none yet: what runs now goes on
   * to the next instruction by itself. The access has been translated.
   */
  #wantsStep(): boolean {
    const registers = this.#registers;
    if (registers.debugTraps === 0 || (registers.modeBits & MODE_TF) !== 0) return false;
    registers.debugTraps = 0;
    return registers.stepWanted = true;
  }

  /** Loads from S.memAddr into S.memData. */
  slowLoad(rec: number, size: number): 0 | typeof FAULT {
    const length = this.#prepare(size);
    if (length < 0) return FAULT;
    const lo = this.#u32[ADDR_AT] as number, hi = this.#u32[ADDR_AT + 1] as number;
    const vector = (size & SIZE_STACK) !== 0 ? EXC_SS : this.operandVector(rec);
    if (!this.#translate(lo, hi, length, false, this.#registers.dataMode, vector)) return FAULT;
    if (this.#wantsStep()) return FAULT;
    this.#loadParts(length);
    return 0;
  }

  /** Stores S.memData to S.memAddr. */
  slowStore(rec: number, size: number): 0 | typeof FAULT {
    const length = this.#prepare(size);
    if (length < 0) return FAULT;
    const lo = this.#u32[ADDR_AT] as number, hi = this.#u32[ADDR_AT + 1] as number;
    const vector = (size & SIZE_STACK) !== 0 ? EXC_SS : this.operandVector(rec);
    const registers = this.#registers, mode = registers.dataMode;
    if (registers.armed && (registers.modeBits & MODE_TF) === 0) {
      if (!this.#translate(lo, hi, length, true, mode, vector) || this.#wantsStep()) return FAULT;
    }
    return this.store(lo, hi, length, mode, vector) ? 0 : FAULT;
  }

  /** Like slowLoad, with write permission checked: the slowStore of the same range that follows cannot fault. */
  slowUpdate(rec: number, size: number): 0 | typeof FAULT {
    const length = this.#prepare(size);
    if (length < 0) return FAULT;
    const lo = this.#u32[ADDR_AT] as number, hi = this.#u32[ADDR_AT + 1] as number;
    const vector = (size & SIZE_STACK) !== 0 ? EXC_SS : this.operandVector(rec);
    if (!this.#translate(lo, hi, length, true, this.#registers.dataMode, vector)) return FAULT;
    if (this.#wantsStep()) return FAULT;
    this.#loadParts(length);
    return 0;
  }

  // --- for the host (Vcpu): user pages allowed, no fault is taken --------------------------------------------

  /** Guest physical address; undefined when not mapped that way. */
  translateForHost(gva: Gva, write: boolean): Gpa | undefined {
    const lo = Number(gva & 0xffff_ffffn), hi = Number((gva >> 32n) & 0xffff_ffffn);
    if (this.#registers.longMode ? !isCanonical(hi) : hi !== 0) return undefined;
    const gpa = this.#mmu.translate(lo, hi, write ? ACCESS_WRITE : ACCESS_READ, TLB_MODE_SUPERVISOR_AC);
    return gpa === -1 ? undefined : gpa;
  }

  copyFromGuest(gva: Gva, into: Uint8Array): boolean {
    for (let done = 0; done < into.length;) {
      const at = gva + BigInt(done);
      const gpa = this.translateForHost(at, false);
      if (gpa === undefined) return false;
      const n = Math.min(into.length - done, PAGE_SIZE - (gpa & PAGE_MASK));
      if (!this.#registers.memory.read(gpa, into.subarray(done, done + n))) return false;
      done += n;
    }
    return true;
  }

  copyToGuest(gva: Gva, from: Uint8Array): boolean {
    for (let done = 0; done < from.length;) {
      const at = gva + BigInt(done);
      const gpa = this.translateForHost(at, true);
      if (gpa === undefined) return false;
      const n = Math.min(from.length - done, PAGE_SIZE - (gpa & PAGE_MASK));
      if (!this.#registers.memory.write(gpa, from.subarray(done, done + n))) return false;
      done += n;
    }
    return true;
  }
}

/** Mode of implicit accesses (descriptor tables, TSS): always a supervisor, EFLAGS.AC ignored. */
export const IMPLICIT = TLB_MODE_SUPERVISOR;
