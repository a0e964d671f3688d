// SPDX-License-Identifier: MIT
/**
 * The CPU state block: one layout, read and written by TypeScript microcode and by emitted WebAssembly alike.
 * It lies below 64 KiB of the WebAssembly memory, so that a decoded operand is a u16 byte address: AH, SPL, R8D
 * and XMM3 are all just addresses, and "no index register" is the address of a zero.
 * Names of registers and bits: Intel SDM Vol. 3A §2, Vol. 4.
 * @module
 */
import { assert } from "../base/assert.ts";
import { type Field, type Layout, layout } from "../base/layout.ts";
import type { GuestMemory } from "../base/guest_memory.ts";

/** A segment register with its hidden part. `attributes` is descriptor bits 55:52 and 47:40 as the SDM's AR
 * byte layout: bits 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G; bit 16 = unusable (null selector). */
export const segmentLayout = layout({
  base: "u64",
  limit: "u32",
  attributes: "u32",
  selector: "u32",
  pad: "u32",
});

/** Everything the CPU is. Arithmetic flags live in flag* (see cpu/flags.ts), the other EFLAGS bits in `eflags`. */
const stateFields = {
  gpr: ["u64", 16], // RAX..R15 in encoding order
  zero: "u64", // always zero: the "no register" operand
  constant8192: "u64", // always 8192: an index that keeps RIP-relative displacements within 32 bits
  rip: "u64", // valid only while no code runs, and for DISPATCH; running code keeps codeBias + record offset
  codeBias: "u64", // RIP minus the physical page offset of the running block's page
  flagResult: "u64", // lazy flags, see cpu/flags.ts
  flagFirst: "u64",
  flagKind: "u32",
  flagAux: "u32",
  eflags: "u32", // all bits but CF PF AF ZF SF OF; bit 1 set
  cpl: "u32",
  tlbBase: "u32", // address of the data TLB for the current access mode, see TLB_MODE_*
  codeBits: "u32", // 16, 32 or 64
  stackMask: "u64", // 0xffff, 0xffffffff or all ones: what RSP arithmetic keeps
  codeMask: "u64", // 0xffffffff or all ones: what RIP arithmetic keeps
  modeKey: "u64", // what a jump-cache tag is XORed with, see cpu/translate/blocks/jump_cache.ts
  budget: "i32", // instructions left in this slice; block ends leave when it is negative
  attention: "u32", // ATTENTION_*: what keeps emitted code from letting interrupts in by itself
  memAddr: "u64", // slow path: linear address
  memData: ["u64", 8], // slow path: data in or out
  arg: ["u64", 8], // microcode arguments and result (arg[0])
  es: segmentLayout,
  cs: segmentLayout,
  ss: segmentLayout,
  ds: segmentLayout,
  fs: segmentLayout,
  gs: segmentLayout,
  ldtr: segmentLayout,
  tr: segmentLayout,
  gdtrBase: "u64",
  idtrBase: "u64",
  gdtrLimit: "u32",
  idtrLimit: "u32",
  cr0: "u64",
  cr2: "u64",
  cr3: "u64",
  cr4: "u64",
  dr: ["u64", 8],
  efer: "u64",
  xcr0: "u64",
  star: "u64",
  lstar: "u64",
  cstar: "u64",
  fmask: "u64",
  kernelGsBase: "u64",
  sysenterCs: "u64",
  sysenterEsp: "u64",
  sysenterEip: "u64",
  tscAux: "u64",
  randomState: "u64", // of RDRAND's numbers when they are to repeat
  pat: "u64",
  tscOffset: "u64", // added to the clock's TSC (IA32_TSC writes, IA32_TSC_ADJUST)
  tscAdjust: "u64",
  miscEnable: "u64",
  debugctl: "u64",
  mtrrDefType: "u64",
  mtrrFixed: ["u64", 11],
  mtrrVariable: ["u64", 16],
  pkru: "u64", // PKRU, in the lower half
  mxcsr: "u32",
  mxcsrPad: "u32",
  x87: ["u64", 64], // owned by cpu/x87: its own layout, at most 512 bytes
} as const satisfies Record<string, Field>;

/** Byte address of the state block. Page 0 stays empty so that address 0 means "nothing". */
export const STATE_BASE = 0x1000;
const raw: Layout<keyof typeof stateFields> = layout(stateFields);

/** Absolute byte address of each field in the WebAssembly memory. */
export const S: { readonly [P in keyof typeof stateFields]: number } = Object.fromEntries(
  Object.entries(raw.at).map(([name, offset]) => [name, STATE_BASE + offset]),
) as { [P in keyof typeof stateFields]: number };

/** XMM0..15, 16-byte aligned, right behind the state block. */
export const XMM_BASE = Math.ceil((STATE_BASE + raw.size) / 64) * 64;
/** The upper halves of YMM0..15: that many bytes behind their lower ones. */
export const YMM_HIGH = 16 * 16;
/** Constant pool for SSE (cpu/emit): filled by the engine, 16-byte aligned. */
export const CONSTANT_POOL = XMM_BASE + YMM_HIGH + 16 * 16;
/** Vectors in it, behind the CRC32 table: cpu/emit/vector/float_emit.ts, cpu/isa/simd/ordinary.ts. */
export const VECTOR_CONSTANTS = CONSTANT_POOL + 1024 + 64;
/** Bytes for the constant pool. */
export const CONSTANT_POOL_BYTES = 1024 + 64 + 96;
assert(CONSTANT_POOL + CONSTANT_POOL_BYTES <= 0x4000, "state block fits below 16 KiB");

/** Tables of AES, see cpu/isa/crypto/aes.ts: filled by the engine, too. */
export const AES_TABLES = 0x4000;

/** Every field with its place, SSE registers included: all that a copy of the state block needs. */
export const STATE_FIELDS: readonly { readonly name: string; readonly at: number; readonly size: number }[] =
  [
    ...Object.keys(stateFields).map((name, i, names) => {
      const at = S[name as keyof typeof S], next = names[i + 1] as keyof typeof S | undefined;
      return { name, at, size: (next === undefined ? STATE_BASE + raw.size : S[next]) - at };
    }),
    { name: "xmm", at: XMM_BASE, size: 16 * 16 },
    { name: "ymmHigh", at: XMM_BASE + YMM_HIGH, size: 16 * 16 },
  ];

/** Coefficients of series, see cpu/isa/x87/trigonometry.ts: filled when a guest computes. */
export const X87_SERIES = 0x8400;
/** See cpu/isa/x87/arc_tangent.ts. */
export const X87_ARC_TANGENTS = 0x9000;
/** See cpu/isa/x87/exponentials.ts and logarithms.ts. */
export const X87_EXPONENTIALS = 0xa000, X87_LOGARITHMS = 0xa400;

/** Instructions that regions have executed, u64: a counter, no part of the state. */
export const REGION_INSTRUCTIONS = 0x8000;
/** u32: 1 if the processor is one of AMD's. No part of the state. */
export const VENDOR_IS_AMD = 0x8008;
/**
 * Pages of data that regions know, see cpu/emit/region/region_frame.ts: no part of the state. The TLB that counts has each
 * of them; they are forgotten when it may lose something or when another one counts. Their limits (u64), then the rest.
 */
export const REGION_PAGES = 0x8010;
/** How many there are; the first half may be written, and the very first is the stack's. */
export const REGION_PAGE_COUNT = 32;
const regionPage = layout({ page: "u64", host: "u32", pad: "u32" });
/** Addresses of what is known of page `number`. */
export function regionPageAt(number: number): { readonly [P in "page" | "limit" | "host"]: number } {
  const at = REGION_PAGES + REGION_PAGE_COUNT * 8 + number * regionPage.size;
  return { limit: REGION_PAGES + number * 8, page: at + regionPage.at.page, host: at + regionPage.at.host };
}

/** PAE: the four page-directory-pointer entries that CR3 was loaded with, u64. Saved beside the state block's fields. */
export const PDPTES: number = REGION_PAGES + REGION_PAGE_COUNT * (8 + regionPage.size);
assert(PDPTES + 4 * 8 <= X87_SERIES, "pages of regions and PDPTEs fit");

/** Data TLB: four tables (see TLB_MODE_*), each direct mapped by linear page number. */
export const TLB_BASE = 0x1_0000;
/** log2 of entries per table. */
export const TLB_BITS = 14;
/** Entries per table. */
export const TLB_ENTRIES = 1 << TLB_BITS;
/**
 * One TLB entry. Each tag is the linear page address when that kind of access may take the fast path, else
 * TLB_INVALID. `addend` (u32, wraps): WebAssembly address = (u32) linear address + addend.
 */
export const tlbEntry = layout({
  readTag: "u64",
  writeTag: "u64",
  execTag: "u64",
  addend: "u32",
  pad: "u32",
});
/**
 * Marks in a TLB entry's padding: it is in the list of pages that are not global; it is of a global page, of a large page
 * of that size; it is in the list of global pages.
 */
export const MARK_LISTED = 1,
  MARK_GLOBAL = 2,
  MARK_2M = 4,
  MARK_4M = 8,
  MARK_1G = 16,
  MARK_LISTED_GLOBAL = 32;
/** A tag no page-aligned address equals. */
export const TLB_INVALID = 1n;
/** Bytes of one table. */
export const TLB_BYTES = TLB_ENTRIES * tlbEntry.size;
/** Supervisor access with SMAP in force (or no SMAP: then both supervisor tables act alike). */
export const TLB_MODE_SUPERVISOR = 0;
/** Supervisor access with EFLAGS.AC set: user pages may be touched. */
export const TLB_MODE_SUPERVISOR_AC = 1;
/** User access. */
export const TLB_MODE_USER = 2;
/** User access whose alignment is checked (CR0.AM, EFLAGS.AC): its entries never grant the fast path to data. */
export const TLB_MODE_USER_AC = 3;
/** How many tables there are. */
export const TLB_TABLES = 4;

/** Jump cache: linear address to record, direct mapped; see cpu/translate/blocks/jump_cache.ts. */
export const JUMP_CACHE_BASE = TLB_BASE + TLB_TABLES * TLB_BYTES;
/** log2 of the number of entries. */
export const JUMP_CACHE_BITS = 14;
/** Index = upper bits of the low half of the linear address times this (2^32 over the golden ratio). */
export const JUMP_CACHE_HASH = 0x9e37_79b1;
/** tag = linear address ^ modeKey; record = address of the decoded block; host = where its code lies in this memory. */
export const jumpCacheEntry = layout({ tag: "u64", record: "u32", host: "u32" });
/**
 * Code TLB: a jump-cache entry holds only while its code page is still mapped where it was. tag = (linear page ^
 * modeKey); host address = (u32) linear address + addend. Every change of mappings clears it, not the jump cache.
 * `marks`: CODE_LISTED, CODE_GLOBAL, CODE_LISTED_GLOBAL.
 */
export const CODE_TLB_BASE = JUMP_CACHE_BASE + (16 << JUMP_CACHE_BITS);
/** log2 of the number of entries. */
export const CODE_TLB_BITS = 12;
/** See CODE_TLB_BASE. */
export const codeTlbEntry = layout({ tag: "u64", addend: "u32", marks: "u32" });
/** Half of a tag that nobody has: a linear address ^ modeKey would have to be all ones in its lower half. */
export const CODE_INVALID = 0xffff_ffff;
/** The entry is in the list of pages that are not global; it is of a global page; it is in the list of those. */
export const CODE_LISTED = MARK_LISTED, CODE_GLOBAL = MARK_GLOBAL, CODE_LISTED_GLOBAL = MARK_LISTED_GLOBAL;
/**
 * Code TLB entries that hold something, in two lists as those of the data TLB: how many are in each (u32), then the place
 * of each in the table in bytes (u32).
 */
export const CODE_LIST_BASE = CODE_TLB_BASE + (codeTlbEntry.size << CODE_TLB_BITS);
/** Of the counts and the lists, from CODE_LIST_BASE. */
export const codeLists = { count: 0, globals: 4, first: 64, firstGlobal: 64 + (4 << CODE_TLB_BITS) } as const;
/**
 * Block table: place in memory and mode to record, for what the jump cache has not. Sets of two entries, lossy. tag =
 * host | modeKey without MODE_USER.
 */
export const BLOCK_TABLE_BASE = CODE_LIST_BASE + 64 + (8 << CODE_TLB_BITS);
/** log2 of the number of sets; a set's number is hashed as JUMP_CACHE_HASH says. */
export const BLOCK_TABLE_BITS = 15;
/** See BLOCK_TABLE_BASE. */
export const blockTableEntry = layout({ tag: "u64", record: "u32", pad: "u32" });
/** Bytes of the block table. */
export const BLOCK_TABLE_BYTES = (2 * blockTableEntry.size) << BLOCK_TABLE_BITS;
/**
 * Data TLB entries that hold something, in two lists of their addresses (u32): of pages that are not global, which CR3
 * loads go through, behind the head; of global pages TLB_GLOBALS bytes further on.
 */
export const TLB_LIST_BASE = BLOCK_TABLE_BASE + BLOCK_TABLE_BYTES;
/** See TLB_LIST_BASE. */
export const TLB_GLOBALS = 4 * TLB_TABLES * TLB_ENTRIES;
/**
 * Head of the lists: how many are in each. large: what is in any of the buckets at LARGE_BASE. keys: bit n is set if rights
 * of a page with protection key n may be cached.
 */
export const tlbList = layout({
  count: "u32",
  globals: "u32",
  large: "u32",
  keys: "u32",
});
/**
 * Buckets (u8) that say which large pages may be cached: for pieces of 4 MiB, which pages of 2 and 4 MiB lie in, and for
 * those of 1 GiB. A bucket's number is the upper bits of the piece's number times JUMP_CACHE_HASH: several share one.
 */
export const LARGE_BASE = TLB_LIST_BASE + tlbList.size + 2 * TLB_GLOBALS;
/** log2 of the number of buckets. */
export const LARGE_BITS = 12;
/** log2 of the bytes of a piece. */
export const LARGE_SHIFT = 22, LARGE_SHIFT_1G = 30;
/**
 * Bits of a bucket: there may be large pages, and among them pages of code; for global ones both are shifted by
 * LARGE_GLOBAL_SHIFT, because CR3 loads leave those.
 */
export const LARGE_DATA = 1, LARGE_CODE = 2, LARGE_GLOBAL_SHIFT = 2;
/** Decoded records, see cpu/state/record.ts. */
export const ARENA_BASE = Math.ceil((LARGE_BASE + (1 << LARGE_BITS)) / 4096) * 4096;
/** Bytes for decoded records. */
export const ARENA_BYTES = 64 * 1024 * 1024;
/** What the CPU reserves at the bottom of the WebAssembly memory. */
export const CPU_RESERVED_BYTES = ARENA_BASE + ARENA_BYTES;

/** Segment register numbers as encoded in ModRM.reg; LDTR and TR follow. */
export const ES = 0, CS = 1, SS = 2, DS = 3, FS = 4, GS = 5, LDTR = 6, TR = 7;

/** EFLAGS bits, SDM Vol. 1 §3.4.3. */
export const FLAG_CF = 1 << 0, FLAG_PF = 1 << 2, FLAG_AF = 1 << 4, FLAG_ZF = 1 << 6, FLAG_SF = 1 << 7;
export const FLAG_TF = 1 << 8, FLAG_IF = 1 << 9, FLAG_DF = 1 << 10, FLAG_OF = 1 << 11, FLAG_IOPL = 3 << 12;
export const FLAG_NT = 1 << 14, FLAG_RF = 1 << 16, FLAG_VM = 1 << 17, FLAG_AC = 1 << 18, FLAG_VIF = 1 << 19;
export const FLAG_VIP = 1 << 20, FLAG_ID = 1 << 21;
/** CF PF AF ZF SF OF. */
export const ARITHMETIC_FLAGS = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF;

/** EFLAGS bits that exist outside the arithmetic ones: TF IF DF IOPL NT RF VM AC VIF VIP ID. */
export const SYSTEM_FLAGS = 0x003f_7700;
/**
 * Bits of S.attention: an interrupt may be due as soon as IF is set, ask the interrupt source; NMIs are blocked, which IRET
 * ends.
 */
export const ATTENTION_INTERRUPT = 1 << 0, ATTENTION_NMI_BLOCKED = 1 << 1;

/** S.flagKind of flags stored explicitly, in S.flagAux; the lazy kinds are cpu/emit/flags.ts's. */
export const FLAG_KIND_RAW = 0;

/** CR0 bits. */
export const CR0_PE = 1 << 0,
  CR0_MP = 1 << 1,
  CR0_EM = 1 << 2,
  CR0_TS = 1 << 3,
  CR0_ET = 1 << 4,
  CR0_NE = 1 << 5;
export const CR0_WP = 1 << 16, CR0_AM = 1 << 18, CR0_NW = 1 << 29, CR0_CD = 1 << 30, CR0_PG = 0x8000_0000;
/** CR4 bits. */
export const CR4_VME = 1 << 0, CR4_PVI = 1 << 1, CR4_TSD = 1 << 2, CR4_DE = 1 << 3, CR4_PSE = 1 << 4;
export const CR4_PAE = 1 << 5, CR4_MCE = 1 << 6, CR4_PGE = 1 << 7, CR4_PCE = 1 << 8, CR4_OSFXSR = 1 << 9;
export const CR4_OSXMMEXCPT = 1 << 10, CR4_UMIP = 1 << 11, CR4_FSGSBASE = 1 << 16, CR4_PCIDE = 1 << 17;
export const CR4_OSXSAVE = 1 << 18,
  CR4_SMEP = 1 << 20,
  CR4_SMAP = 1 << 21,
  CR4_PKE = 1 << 22;
/** XCR0 bits, SDM Vol. 1 §13.3. */
export const XCR0_X87 = 1 << 0, XCR0_SSE = 1 << 1, XCR0_AVX = 1 << 2, XCR0_PKRU = 1 << 9;
/** IA32_EFER bits. */
export const EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11;

/** Exception vectors, SDM Vol. 3A §6.15. */
export const EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5, EXC_UD = 6, EXC_NM = 7;
export const EXC_DF = 8, EXC_TS = 10, EXC_NP = 11, EXC_SS = 12, EXC_GP = 13, EXC_PF = 14, EXC_MF = 16;
export const EXC_AC = 17, EXC_MC = 18, EXC_XM = 19;

/** Segment attribute bits as stored in `attributes`. */
export const SEG_TYPE = 0xf,
  SEG_S = 1 << 4,
  SEG_DPL_SHIFT = 5,
  SEG_P = 1 << 7,
  SEG_AVL = 1 << 12,
  SEG_L = 1 << 13;
export const SEG_DB = 1 << 14, SEG_G = 1 << 15, SEG_UNUSABLE = 1 << 16;

/** A segment register's fields, as plain values. */
export interface SegmentValue {
  selector: number;
  base: bigint;
  limit: number;
  attributes: number;
}

/** Typed access to the state block for microcode (cold paths: 64-bit values are bigint). */
export class CpuState {
  readonly view: DataView<ArrayBuffer>;
  readonly u32: Uint32Array;
  constructor(readonly memory: GuestMemory) {
    this.view = memory.view;
    this.u32 = new Uint32Array(memory.memory.buffer as ArrayBuffer, 0, 0x4000 / 4);
  }
  /** u64 field at absolute address `at` (use S.*). */
  get64(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }
  set64(at: number, value: bigint): void {
    this.view.setBigUint64(at, value, true);
  }
  /** u32 field at absolute address `at`. */
  get32(at: number): number {
    return this.u32[at >> 2] as number;
  }
  set32(at: number, value: number): void {
    this.u32[at >> 2] = value;
  }
  gpr(index: number): bigint {
    return this.view.getBigUint64(S.gpr + index * 8, true);
  }
  setGpr(index: number, value: bigint): void {
    this.view.setBigUint64(S.gpr + index * 8, value, true);
  }
  /** Low half of a general register. */
  gpr32(index: number): number {
    return this.u32[(S.gpr >> 2) + index * 2] as number;
  }
  /** Writes a 32-bit result: zero-extends. */
  setGpr32(index: number, value: number): void {
    this.u32[(S.gpr >> 2) + index * 2] = value;
    this.u32[(S.gpr >> 2) + index * 2 + 1] = 0;
  }
  /** Microcode argument `i` as a bigint. */
  arg(i: number): bigint {
    return this.view.getBigUint64(S.arg + i * 8, true);
  }
  /** Low 32 bits of microcode argument `i`. */
  arg32(i: number): number {
    return this.u32[(S.arg >> 2) + i * 2] as number;
  }
  /** Microcode result `i` (0 unless there are several). */
  setResult(value: bigint, i = 0): void {
    this.view.setBigUint64(S.arg + i * 8, value, true);
  }
  /** Segment register `index` (ES..TR). */
  segment(index: number): SegmentValue {
    const at = S.es + index * segmentLayout.size;
    return {
      selector: this.get32(at + segmentLayout.at.selector),
      base: this.get64(at),
      limit: this.get32(at + segmentLayout.at.limit),
      attributes: this.get32(at + segmentLayout.at.attributes),
    };
  }
  setSegment(index: number, value: SegmentValue): void {
    const at = S.es + index * segmentLayout.size;
    this.set64(at, value.base);
    this.set32(at + segmentLayout.at.limit, value.limit);
    this.set32(at + segmentLayout.at.attributes, value.attributes);
    this.set32(at + segmentLayout.at.selector, value.selector);
  }
}
