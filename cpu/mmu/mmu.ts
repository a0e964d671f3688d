// SPDX-License-Identifier: MIT
/**
 * Page walks and the software TLB. Rules: SDM Vol. 3A §4 (paging), §4.10 (TLBs).
 * A TLB entry covers 4 KiB whatever the guest's page size is; entries of large pages are marked, because one
 * INVLPG must drop all of them. Global pages survive CR3 loads. Physical addresses have 32 bits.
 * Rights by protection keys are in the entries, too: a change of PKRU drops them if such a key may be cached.
 * Left out: TLB entries by PCID, 5-level paging, PAT and MTRR memory types (everything is coherent).
 * @module
 */
import { PAGE_HAS_CODE } from "../base/guest_memory.ts";
import { breakpointsEnabled, isPageWatched } from "../state/breakpoints.ts";
import type { Registers } from "../state/registers.ts";
import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_NXE,
  EXC_GP,
  JUMP_CACHE_HASH,
  LARGE_BASE,
  LARGE_BITS,
  LARGE_CODE,
  LARGE_DATA,
  LARGE_GLOBAL_SHIFT,
  LARGE_SHIFT,
  LARGE_SHIFT_1G,
  MARK_1G,
  MARK_2M,
  MARK_4M,
  MARK_GLOBAL,
  MARK_LISTED,
  MARK_LISTED_GLOBAL,
  PDPTES,
  S,
  TLB_BASE,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_GLOBALS,
  TLB_LIST_BASE,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_USER,
  TLB_MODE_USER_AC,
  TLB_TABLES,
  tlbEntry,
  tlbList,
} from "../state/state.ts";

/** Kinds of access. */
export const ACCESS_READ = 0, ACCESS_WRITE = 1, ACCESS_EXEC = 2;

/** Page-fault error code bits. */
export const PFEC_P = 1, PFEC_W = 2, PFEC_U = 4, PFEC_RSVD = 8, PFEC_I = 16, PFEC_PK = 32;
/** PKRU: two bits for each key. */
export const PKRU_AD = 1, PKRU_WD = 2;
/**
 * Physical address bits, as CPUID 0x8000_0008 says: all that a WebAssembly memory can hold. Linux 6.1 started by PVH
 * looks for room for its grant table from the top of RAM up to here, so more would be a promise we cannot keep.
 */
export const PHYSICAL_BITS = 32;

const PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100;
/** Bits 51:32 of an entry, in its high half. */
const RSVD_HI = 0x000f_ffff;
const NX_HI = 0x8000_0000;
/** The protection key, in the high half of an entry. */
const KEY_SHIFT_HI = 27, KEY_MASK = 15;
const GIB4 = 0x1_0000_0000;

const CR0_AT = S.cr0 >> 2, CR3_AT = S.cr3 >> 2, CR4_AT = S.cr4 >> 2, EFER_AT = S.efer >> 2;
const PKRU_AT = S.pkru >> 2;
const TLB_BASE_AT = S.tlbBase >> 2;
const READ_TAG = tlbEntry.at.readTag >> 2, WRITE_TAG = tlbEntry.at.writeTag >> 2;
const EXEC_TAG = tlbEntry.at.execTag >> 2, ADDEND = tlbEntry.at.addend >> 2, MARKS = tlbEntry.at.pad >> 2;
const USED = (TLB_LIST_BASE + tlbList.at.count) >> 2, FIRST_USED = (TLB_LIST_BASE + tlbList.size) >> 2;
const USED_GLOBAL = (TLB_LIST_BASE + tlbList.at.globals) >> 2, FIRST_GLOBAL = FIRST_USED + (TLB_GLOBALS >> 2);
const LISTED_MARKS = MARK_LISTED | MARK_LISTED_GLOBAL;
const LARGE_ANY = (TLB_LIST_BASE + tlbList.at.large) >> 2;
const FIRST_LARGE = LARGE_BASE >> 2, END_LARGE = FIRST_LARGE + (1 << LARGE_BITS >> 2);
const LARGE = LARGE_DATA | LARGE_CODE;
const KEYS = (TLB_LIST_BASE + tlbList.at.keys) >> 2;
/** Low half of an invalid tag. */
const INVALID = 1;
const MARK_LARGE = MARK_2M | MARK_4M | MARK_1G;

/** See the module's description. */
export class Mmu {
  /** After translate: byte offset of the address in the WebAssembly memory, 0 when there is no memory. */
  host = 0;
  /** PAE: the four page-directory-pointer entries, loaded with CR3 (low, high halves). */
  readonly pdptes: Uint32Array;
  /** Linear-to-physical mappings changed. Set by the engine. */
  onFlush: (keepGlobal: boolean) => void = () => {};
  /** The mapping of one page, or perhaps of a large one of code, changed (INVLPG). Set by the engine; by default a flush. */
  onInvalidate: (lo: number, hi: number, mayBeLarge: boolean) => void = () => this.onFlush(false);
  readonly #registers: Registers;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #frames: Uint32Array;
  /** Byte offsets of the entries of the current walk. */
  readonly #path = new Float64Array(4);

  constructor(registers: Registers) {
    this.#registers = registers;
    const memory = registers.memory;
    this.#words = new Uint32Array(memory.memory.buffer as ArrayBuffer);
    this.#bytes = memory.bytes;
    this.#frames = memory.frames;
    this.pdptes = this.#words.subarray(PDPTES >> 2, (PDPTES >> 2) + 8);
    // one entry, then twice as many each time: a loop over all of them would run before V8 has compiled it
    this.#drop(TLB_BASE >> 2);
    const end = TLB_BASE + TLB_TABLES * TLB_BYTES;
    for (let at = TLB_BASE + tlbEntry.size; at < end; at += at - TLB_BASE) {
      memory.bytes.copyWithin(at, TLB_BASE, Math.min(at, TLB_BASE + end - at));
    }
    this.#registers.forgetRegionPages();
  }

  /**
   * Guest physical address of a canonical linear address, or -1 with the fault recorded. Fills the TLB entry and
   * leaves the byte offset in `host`. Sets accessed and dirty bits.
   */
  translate(lo: number, hi: number, access: number, tlbMode: number): number {
    const words = this.#words;
    const cr0 = words[CR0_AT] as number;
    if ((cr0 & CR0_PG) === 0) return this.#fill(lo, hi, lo, true, true, true, tlbMode, 0);
    const cr4 = words[CR4_AT] as number, efer = words[EFER_AT] as number;
    const path = this.#path;
    const nxe = (efer & EFER_NXE) !== 0;
    const long = (efer & EFER_LMA) !== 0, pae = (cr4 & CR4_PAE) !== 0;
    let level: number, table: number;
    let user = true, writable = true, noExec = false;
    if (long) {
      level = 4;
      table = ((words[CR3_AT + 1] as number) & 0xff) * GIB4 + (((words[CR3_AT] as number) & ~0xfff) >>> 0);
    } else if (pae) {
      const i = (lo >>> 30) * 2;
      const entry = this.pdptes[i] as number;
      if ((entry & PTE_P) === 0) return this.#fault(lo, hi, access, tlbMode, 0, nxe);
      level = 2;
      table = ((this.pdptes[i + 1] as number) & 0xff) * GIB4 + ((entry & ~0xfff) >>> 0);
    } else {
      return this.#translate32(lo, access, tlbMode, cr4);
    }
    const bottom = level;
    let entryLo = 0, entryHi = 0, marks = 0;
    for (;;) {
      const index = level === 4
        ? (hi >>> 7) & 511
        : level === 3
        ? ((hi & 0x7f) << 2) | (lo >>> 30)
        : level === 2
        ? (lo >>> 21) & 511
        : (lo >>> 12) & 511;
      const page = table < GIB4 ? this.#frames[table / 4096] as number : 0;
      if (page === 0) return this.#fault(lo, hi, access, tlbMode, PFEC_P | PFEC_RSVD, nxe);
      const at = page + index * 8;
      entryLo = words[at >>> 2] as number;
      entryHi = words[(at >>> 2) + 1] as number;
      if ((entryLo & PTE_P) === 0) return this.#fault(lo, hi, access, tlbMode, 0, nxe);
      let reserved = (entryHi & RSVD_HI) !== 0 || (!nxe && (entryHi & NX_HI) !== 0) ||
        (!long && (entryHi & 0x7ff0_0000) !== 0);
      path[level - 1] = at;
      if ((entryLo & PTE_W) === 0) writable = false;
      if ((entryLo & PTE_U) === 0) user = false;
      if ((entryHi & NX_HI) !== 0) noExec = true;
      if (level === 1) {
        if (reserved) return this.#fault(lo, hi, access, tlbMode, PFEC_P | PFEC_RSVD, nxe);
        break;
      }
      if ((entryLo & PTE_PS) !== 0) {
        if (level === 4 || (entryLo & (level === 3 ? 0x3fff_e000 : 0x001f_e000)) !== 0) reserved = true;
        if (reserved) return this.#fault(lo, hi, access, tlbMode, PFEC_P | PFEC_RSVD, nxe);
        marks = level === 3 ? MARK_1G : MARK_2M;
        break;
      }
      if (reserved) return this.#fault(lo, hi, access, tlbMode, PFEC_P | PFEC_RSVD, nxe);
      table = (entryHi & 0xff) * GIB4 + ((entryLo & ~0xfff) >>> 0);
      level--;
    }
    const offsetMask = level === 1 ? 0xfff : level === 2 ? 0x1f_ffff : 0x3fff_ffff;
    const gpa = (entryHi & 0xff) * GIB4 + ((((entryLo & ~offsetMask) | (lo & offsetMask)) & ~0xfff) >>> 0) +
      (lo & 0xfff);
    return this.#finish(
      lo,
      hi,
      access,
      tlbMode,
      gpa,
      user,
      writable,
      noExec && nxe,
      level,
      bottom,
      entryLo,
      marks,
      long && user && (cr4 & CR4_PKE) !== 0 ? (entryHi >>> KEY_SHIFT_HI) & KEY_MASK : -1,
    );
  }

  /** 32-bit paging: two levels of four-byte entries, 4 MiB pages with PSE-36. */
  #translate32(lo: number, access: number, tlbMode: number, cr4: number): number {
    const words = this.#words, path = this.#path;
    const directory = this.#frames[(words[CR3_AT] as number) >>> 12] as number;
    if (directory === 0) return this.#fault(lo, 0, access, tlbMode, 0, false);
    const at = directory + (lo >>> 22) * 4;
    const pde = words[at >>> 2] as number;
    if ((pde & PTE_P) === 0) return this.#fault(lo, 0, access, tlbMode, 0, false);
    path[1] = at;
    let user = (pde & PTE_U) !== 0, writable = (pde & PTE_W) !== 0;
    if ((pde & PTE_PS) !== 0 && (cr4 & CR4_PSE) !== 0) {
      if ((pde & (1 << 21)) !== 0) return this.#fault(lo, 0, access, tlbMode, PFEC_P | PFEC_RSVD, false);
      const gpa = ((pde >>> 13) & 0xff) * GIB4 + (((pde & 0xffc0_0000) | (lo & 0x3f_ffff)) >>> 0);
      return this.#finish(lo, 0, access, tlbMode, gpa, user, writable, false, 2, 2, pde, MARK_4M, -1);
    }
    const table = this.#frames[pde >>> 12] as number;
    if (table === 0) return this.#fault(lo, 0, access, tlbMode, 0, false);
    const at1 = table + ((lo >>> 12) & 1023) * 4;
    const pte = words[at1 >>> 2] as number;
    if ((pte & PTE_P) === 0) return this.#fault(lo, 0, access, tlbMode, 0, false);
    path[0] = at1;
    if ((pte & PTE_U) === 0) user = false;
    if ((pte & PTE_W) === 0) writable = false;
    const gpa = ((pte & ~0xfff) | (lo & 0xfff)) >>> 0;
    return this.#finish(lo, 0, access, tlbMode, gpa, user, writable, false, 1, 2, pte, 0, -1);
  }

  /** Rights (SDM Vol. 3A §4.6.1; by `key`, §4.6.2, if there is one), accessed and dirty bits (§4.8), TLB entry. */
  #finish(
    lo: number,
    hi: number,
    access: number,
    tlbMode: number,
    gpa: number,
    user: boolean,
    writable: boolean,
    noExec: boolean,
    level: number,
    top: number,
    leaf: number,
    marks: number,
    key: number,
  ): number {
    const words = this.#words;
    const cr4 = words[CR4_AT] as number;
    let canRead: boolean, canWrite: boolean, canExec = !noExec;
    if (tlbMode >= TLB_MODE_USER) {
      canRead = user;
      canWrite = user && writable;
      canExec = canExec && user;
    } else {
      canRead = !(user && tlbMode === TLB_MODE_SUPERVISOR && (cr4 & CR4_SMAP) !== 0);
      canWrite = canRead && (writable || ((words[CR0_AT] as number) & CR0_WP) === 0);
      if (user && (cr4 & CR4_SMEP) !== 0) canExec = false;
    }
    let keyForbids = 0;
    if (key >= 0) {
      const rights = (words[PKRU_AT] as number) >>> (2 * key);
      const noWrite = (rights & PKRU_AD) !== 0 ||
        ((rights & PKRU_WD) !== 0 &&
          (tlbMode >= TLB_MODE_USER || ((words[CR0_AT] as number) & CR0_WP) !== 0));
      if (access === ACCESS_WRITE ? noWrite : access === ACCESS_READ && (rights & PKRU_AD) !== 0) {
        keyForbids = PFEC_PK;
      }
      if ((rights & PKRU_AD) !== 0) canRead = false;
      if (noWrite) canWrite = false;
    }
    if (!(access === ACCESS_WRITE ? canWrite : access === ACCESS_EXEC ? canExec : canRead)) {
      const nx = ((words[EFER_AT] as number) & EFER_NXE) !== 0 && (cr4 & CR4_PAE) !== 0;
      return this.#fault(lo, hi, access, tlbMode, PFEC_P | keyForbids, nx);
    }
    if (key >= 0) words[KEYS] = (words[KEYS] as number) | (1 << key);
    const path = this.#path;
    for (let l = top; l > level; l--) this.#setBits(path[l - 1] as number, PTE_A);
    this.#setBits(path[level - 1] as number, access === ACCESS_WRITE ? PTE_A | PTE_D : PTE_A);
    const dirty = access === ACCESS_WRITE || (leaf & PTE_D) !== 0;
    if ((leaf & PTE_G) !== 0 && (cr4 & CR4_PGE) !== 0) marks |= MARK_GLOBAL;
    return this.#fill(lo, hi, gpa, canRead, canWrite && dirty, canExec, tlbMode, marks);
  }

  #setBits(at: number, bits: number): void {
    const old = this.#words[at >>> 2] as number;
    if ((old & bits) === bits) return;
    this.#registers.memory.announceWrite(at, 4);
    this.#words[at >>> 2] = old | bits;
  }

  #fault(lo: number, hi: number, access: number, tlbMode: number, code: number, nxe: boolean): -1 {
    if (access === ACCESS_WRITE) code |= PFEC_W;
    if (tlbMode >= TLB_MODE_USER) code |= PFEC_U;
    if (access === ACCESS_EXEC && (nxe || ((this.#words[CR4_AT] as number) & CR4_SMEP) !== 0)) code |= PFEC_I;
    this.#registers.raisePageFault(code, lo, hi);
    return -1;
  }

  #fill(
    lo: number,
    hi: number,
    gpa: number,
    read: boolean,
    write: boolean,
    exec: boolean,
    tlbMode: number,
    marks: number,
  ): number {
    const page = gpa < GIB4 ? this.#frames[(gpa - (gpa & 0xfff)) / 4096] as number : 0;
    if (page === 0) {
      this.host = 0;
      return gpa;
    }
    this.host = page + (gpa & 0xfff);
    this.#registers.forgetRegionPages();
    const words = this.#words;
    const pageLo = (lo & ~0xfff) >>> 0;
    const e = (TLB_BASE + tlbMode * TLB_BYTES + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size) >>> 2;
    let listed = (words[e + MARKS] as number) & LISTED_MARKS;
    if ((marks & MARK_GLOBAL) !== 0) {
      if ((listed & MARK_LISTED_GLOBAL) === 0) words[FIRST_GLOBAL + words[USED_GLOBAL]!++] = e * 4;
      listed |= MARK_LISTED_GLOBAL;
    } else {
      if ((listed & MARK_LISTED) === 0) words[FIRST_USED + words[USED]!++] = e * 4;
      listed |= MARK_LISTED;
    }
    words[e + MARKS] = marks | listed;
    if ((marks & MARK_LARGE) !== 0) {
      const kinds = (exec ? LARGE : LARGE_DATA) << ((marks & MARK_GLOBAL) !== 0 ? LARGE_GLOBAL_SHIFT : 0);
      this.#bytes[bucketOf(lo, hi, (marks & MARK_1G) !== 0 ? LARGE_SHIFT_1G : LARGE_SHIFT)]! |= kinds;
      words[LARGE_ANY]! |= kinds;
    }
    // Breakpoints are looked for where the fast path does not go.
    const fast = tlbMode !== TLB_MODE_USER_AC && !(breakpointsEnabled(words) && isPageWatched(words, lo, hi));
    words[e + READ_TAG] = read && fast ? pageLo : INVALID;
    words[e + READ_TAG + 1] = hi;
    words[e + WRITE_TAG] = write && fast && (this.#registers.memory.attributes(page) & PAGE_HAS_CODE) === 0
      ? pageLo
      : INVALID;
    words[e + WRITE_TAG + 1] = hi;
    words[e + EXEC_TAG] = exec ? pageLo : INVALID;
    words[e + EXEC_TAG + 1] = hi;
    words[e + ADDEND] = page - pageLo;
    return gpa;
  }

  /**
   * For the engine's block lookup: byte offset in the WebAssembly memory of the code byte at a linear address;
   * -1: fault recorded; -2: no memory there.
   */
  translateCode(lo: number, hi: number): number {
    const words = this.#words;
    const e = ((words[TLB_BASE_AT] as number) + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size) >>> 2;
    if (words[e + EXEC_TAG] === ((lo & ~0xfff) >>> 0) && words[e + EXEC_TAG + 1] === hi) {
      return (lo + (words[e + ADDEND] as number)) >>> 0;
    }
    const registers = this.#registers;
    if (!isCanonical(hi) && registers.longMode) {
      registers.raise(EXC_GP, 0);
      return -1;
    }
    if (this.translate(lo, hi, ACCESS_EXEC, registers.dataMode) === -1) return -1;
    return this.host === 0 ? -2 : this.host;
  }

  /** Byte offset of a linear address whose code the TLB has, in the mode that runs now; else 0. Never a fault. */
  lookupCode(lo: number, hi: number): number {
    const words = this.#words;
    const e = ((words[TLB_BASE_AT] as number) + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size) >>> 2;
    if (words[e + EXEC_TAG] !== ((lo & ~0xfff) >>> 0) || words[e + EXEC_TAG + 1] !== hi) return 0;
    return (lo + (words[e + ADDEND] as number)) >>> 0;
  }

  /** True when the TLB holds the page, in the mode that runs now, as a global page. */
  isGlobal(lo: number): boolean {
    const words = this.#words;
    const e = ((words[TLB_BASE_AT] as number) + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size) >>> 2;
    return words[e + EXEC_TAG] === ((lo & ~0xfff) >>> 0) &&
      ((words[e + MARKS] as number) & MARK_GLOBAL) !== 0;
  }

  /**
   * Byte offset of a linear address if the TLB grants the access, else 0. Never -1, never a fault.
   */
  lookup(lo: number, hi: number, write: boolean, tlbMode: number): number {
    const words = this.#words;
    const e = (TLB_BASE + tlbMode * TLB_BYTES + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size) >>> 2;
    const tag = e + (write ? WRITE_TAG : READ_TAG);
    if (words[tag] !== ((lo & ~0xfff) >>> 0) || words[tag + 1] !== hi) return 0;
    return (lo + (words[e + ADDEND] as number)) >>> 0;
  }

  #drop(e: number, marks = 0): void {
    const words = this.#words;
    words[e + READ_TAG] = INVALID;
    words[e + WRITE_TAG] = INVALID;
    words[e + EXEC_TAG] = INVALID;
    words[e + MARKS] = marks;
  }

  /** Forgets every translation; with `keepGlobal`, as a CR3 load does. */
  flush(keepGlobal = false): void {
    this.#registers.forgetRegionPages();
    const words = this.#words;
    for (let i = words[USED] as number; i > 0; i--) {
      const e = (words[FIRST_USED + i - 1] as number) >> 2, marks = words[e + MARKS] as number;
      // It may be a global page's by now, and in the other list.
      if ((marks & MARK_GLOBAL) === 0) this.#drop(e, marks & MARK_LISTED_GLOBAL);
      else words[e + MARKS] = marks & ~MARK_LISTED;
    }
    words[USED] = 0;
    if (!keepGlobal) {
      for (let i = words[USED_GLOBAL] as number; i > 0; i--) {
        this.#drop((words[FIRST_GLOBAL + i - 1] as number) >> 2);
      }
      words[USED_GLOBAL] = 0;
    }
    this.#forgetLarge(keepGlobal ? LARGE << LARGE_GLOBAL_SHIFT : 0);
    if (!keepGlobal) words[KEYS] = 0;
    this.onFlush(keepGlobal);
  }

  #forgetLarge(kept: number): void {
    const words = this.#words;
    if (((words[LARGE_ANY] as number) & ~kept) === 0) return;
    words[LARGE_ANY]! &= kept;
    for (let i = FIRST_LARGE; i < END_LARGE; i++) words[i]! &= kept * 0x0101_0101;
  }

  /** Changes PKRU. Rights that the TLB has of keys whose rights are others now are forgotten. */
  setPkru(value: number): void {
    const words = this.#words, changed = (words[PKRU_AT] as number) ^ value;
    if (changed === 0) return;
    words[PKRU_AT] = value;
    const cached = words[KEYS] as number;
    for (let key = 0; key <= KEY_MASK; key++) {
      if ((cached & (1 << key)) === 0 || ((changed >>> (2 * key)) & (PKRU_AD | PKRU_WD)) === 0) continue;
      // Code is not subject to keys: what is known of it stays.
      this.#forgetData(FIRST_USED, words[USED] as number);
      this.#forgetData(FIRST_GLOBAL, words[USED_GLOBAL] as number);
      words[KEYS] = 0;
      return;
    }
  }
  #forgetData(first: number, used: number): void {
    this.#registers.forgetRegionPages();
    const words = this.#words;
    for (let i = 0; i < used; i++) {
      const e = (words[first + i] as number) >> 2;
      words[e + READ_TAG] = words[e + WRITE_TAG] = INVALID;
    }
  }

  /** INVLPG: forgets the page, global or not, and all of a large page around it. */
  invalidatePage(lo: number, hi: number): void {
    this.#registers.forgetRegionPages();
    const words = this.#words;
    const pageLo = (lo & ~0xfff) >>> 0;
    let e = (TLB_BASE + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size) >>> 2;
    for (let mode = 0; mode < TLB_TABLES; mode++, e += TLB_BYTES >> 2) {
      words[e + READ_TAG] = INVALID;
      words[e + WRITE_TAG] = INVALID;
      words[e + EXEC_TAG] = INVALID;
    }
    const bytes = this.#bytes;
    const large = (bytes[bucketOf(lo, hi, LARGE_SHIFT)] as number) |
      (bytes[bucketOf(lo, hi, LARGE_SHIFT_1G)] as number);
    if ((large & LARGE) !== 0) this.#invalidateLargeOf(FIRST_USED, words[USED] as number, pageLo, hi);
    if (large >> LARGE_GLOBAL_SHIFT !== 0) {
      this.#invalidateLargeOf(FIRST_GLOBAL, words[USED_GLOBAL] as number, pageLo, hi);
    }
    this.onInvalidate(pageLo, hi, (large & (LARGE_CODE | LARGE_CODE << LARGE_GLOBAL_SHIFT)) !== 0);
  }

  #invalidateLargeOf(first: number, used: number, lo: number, hi: number): void {
    const words = this.#words;
    for (let i = 0; i < used; i++) {
      const e = (words[first + i] as number) >> 2;
      const marks = words[e + MARKS] as number;
      if ((marks & MARK_LARGE) === 0 || words[e + READ_TAG + 1] !== hi) continue;
      const shift = (marks & MARK_1G) !== 0 ? 30 : (marks & MARK_4M) !== 0 ? 22 : 21;
      // One of the three tags is valid, or none; invalid ones are 1 and only match page 0's region.
      for (let tag = e + READ_TAG; tag <= e + EXEC_TAG; tag += 2) {
        if ((words[tag] as number) >>> shift === lo >>> shift) {
          words[e + READ_TAG] = INVALID;
          words[e + WRITE_TAG] = INVALID;
          words[e + EXEC_TAG] = INVALID;
          break;
        }
      }
    }
  }

  /** Code in the page at byte offset `hostPage` is about to be watched: no fast writes to it any more. */
  onCodePageWatched(hostPage: number): void {
    this.#registers.forgetRegionPages();
    this.#forbidWrites(FIRST_USED, this.#words[USED] as number, hostPage);
    this.#forbidWrites(FIRST_GLOBAL, this.#words[USED_GLOBAL] as number, hostPage);
  }
  #forbidWrites(first: number, used: number, hostPage: number): void {
    const words = this.#words;
    for (let i = 0; i < used; i++) {
      const e = (words[first + i] as number) >> 2;
      const tag = words[e + WRITE_TAG] as number;
      if (tag !== INVALID && (tag + (words[e + ADDEND] as number)) >>> 0 === hostPage) {
        words[e + WRITE_TAG] = INVALID;
      }
    }
  }

  /**
   * PAE, on loads of CR3 and when paging begins: reads the four PDPTEs at `cr3`. False, and nothing changed, when
   * a present one has reserved bits set (#GP).
   */
  loadPdptes(cr3: number): boolean {
    const base = this.#registers.memory.offsetOf((cr3 & ~31) >>> 0);
    const fresh = new Uint32Array(8);
    for (let i = 0; i < 8 && base !== 0; i++) fresh[i] = this.#words[(base >>> 2) + i] as number;
    for (let i = 0; i < 8; i += 2) {
      const lo = fresh[i] as number;
      if ((lo & PTE_P) !== 0 && ((lo & 0x1e6) !== 0 || ((fresh[i + 1] as number) & 0xffff_ff00) !== 0)) {
        return false;
      }
    }
    this.pdptes.set(fresh);
    return true;
  }
}

/** Place of the bucket of the 2^`shift` bytes around an address: see LARGE_BASE. */
function bucketOf(lo: number, hi: number, shift: number): number {
  const piece = (lo >>> shift) | (hi << (32 - shift));
  return LARGE_BASE + (Math.imul(piece, JUMP_CACHE_HASH) >>> (32 - LARGE_BITS));
}

/** True when bits 63:47 of the address with high half `hi` are equal. */
export function isCanonical(hi: number): boolean {
  const top = (hi | 0) >> 15;
  return top === 0 || top === -1;
}
