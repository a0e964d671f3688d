// SPDX-License-Identifier: MIT
/**
 * The registers of one CPU behind a typed face: modes and what follows from them, RIP, EFLAGS, segment registers, and
 * the record of the last fault. MMU, linear memory, stack and microcode work on these.
 * Rules: SDM Vol. 3A §2, §3.
 * Left out: SMM.
 * @module
 */
import type { GuestMemory } from "../base/guest_memory.ts";
import { breakpointsEnabled, codeBreakpointsEnabled } from "./breakpoints.ts";
import { record } from "./record.ts";
import {
  ARITHMETIC_FLAGS,
  CpuState,
  CR0_AM,
  CR0_EM,
  CR0_PE,
  CR0_TS,
  CR4_OSFXSR,
  CR4_OSXSAVE,
  CR4_SMAP,
  CS,
  DS,
  EFER_LMA,
  ES,
  EXC_DB,
  EXC_PF,
  FLAG_AC,
  FLAG_KIND_RAW,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  REGION_PAGE_COUNT,
  REGION_PAGES,
  S,
  SEG_DB,
  SEG_L,
  SEG_P,
  SEG_S,
  SEG_UNUSABLE,
  segmentLayout,
  SS,
  SYSTEM_FLAGS,
  TLB_BASE,
  TLB_BYTES,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_SUPERVISOR_AC,
  TLB_MODE_USER,
  TLB_MODE_USER_AC,
  XCR0_AVX,
  XCR0_SSE,
} from "./state.ts";
import { FAULT } from "./status.ts";

/**
 * modeBits: what decides, besides the bytes, what code means and does. There are 16 bits of room: they lie above the
 * 48 bits of a canonical linear address in the keys of the jump cache. Bits 8 and up are free; virtual-8086 mode and the
 * number of a vCPU will want some.
 */
const MODE_KEY_SHIFT = 16;
/** modeBits 1:0: 0 = 16-bit, 1 = 32-bit, 2 = 64-bit code. */
export const MODE_CODE = 3;
/** SS.B set, or 64-bit code. */
export const MODE_STACK_WIDE = 1 << 2;
/** CPL is 3. */
export const MODE_USER = 1 << 3;
/**
 * Blocks have one instruction: EFLAGS.TF is set, breakpoints for code or I/O are enabled, the shadow of STI or MOV SS is to
 * end, or the instruction meets a breakpoint for data.
 */
export const MODE_TF = 1 << 4;
/** Outside 64-bit code: CS, DS, ES or SS is not a plain 4 GiB segment (DS, ES, SS writable). */
export const MODE_SEGMENTED = 1 << 5;
/** An x87, MMX or SSE instruction may fault: CR0.EM, CR0.TS or no CR4.OSFXSR. Clear: no check is needed. */
export const MODE_FPU_TRAP = 1 << 6;
/** An AVX instruction may fault: no CR4.OSXSAVE, XCR0 without SSE or AVX, CR0.TS, real mode, virtual-8086 mode. */
export const MODE_AVX_TRAP = 1 << 7;

/** The upper half of S.modeKey for these bits. */
export function modeKeyOf(bits: number): number {
  return (bits << MODE_KEY_SHIFT) >>> 0;
}

/** The recorded fault; `errorCode` -1: the vector has none. */
export interface FaultRecord {
  vector: number;
  errorCode: number;
  /** Linear address of a page fault. */
  addressLo: number;
  addressHi: number;
  /** The saved EFLAGS.RF: set for faults, clear for traps. */
  resume: boolean;
}

const TLB_BASE_AT = S.tlbBase >> 2, CODE_BITS_AT = S.codeBits >> 2, CPL_AT = S.cpl >> 2;
const EFLAGS_AT = S.eflags >> 2, MODE_KEY_HI = (S.modeKey >> 2) + 1, RIP_AT = S.rip >> 2;
const BIAS_AT = S.codeBias >> 2, STACK_MASK_AT = S.stackMask >> 2, KIND_AT = S.flagKind >> 2;
const CODE_MASK_AT = S.codeMask >> 2,
  AUX_AT = S.flagAux >> 2,
  CR0_AT = S.cr0 >> 2,
  CR4_AT = S.cr4 >> 2,
  EFER_AT = S.efer >> 2,
  XCR0_AT = S.xcr0 >> 2;
const ATTRIBUTES = segmentLayout.at.attributes, LIMIT = segmentLayout.at.limit;
/** Attributes of DS, ES and SS that count as flat: those in the mask. */
export const FLAT_DATA = SEG_S | SEG_P | 2, FLAT_DATA_MASK = SEG_S | SEG_P | SEG_UNUSABLE | 0xe;

/** See the module's description. */
export class Registers {
  readonly s: CpuState;
  readonly u32: Uint32Array;
  readonly fault: FaultRecord = { vector: 0, errorCode: -1, addressLo: 0, addressHi: 0, resume: true };
  /** The arithmetic flags out of the lazy ones. Set by the engine; by default only raw flags are known. */
  materializeFlags: () => number = () => (this.u32[AUX_AT] as number) & ARITHMETIC_FLAGS;
  /** One instruction is executed, as if EFLAGS.TF were set but without the trap. Call updateMode after a change. */
  oneStep = false;
  /** DR7 enables a breakpoint: accesses to pages with breakpoints for data take the slow path. Follows DR7 in updateMode. */
  armed = false;
  /** One of them is for code or I/O: every instruction comes back to the engine. */
  armedForCode = false;
  /**
   * The instruction has been left, with FAULT, before it changed anything, because it meets a breakpoint for data: it is to
   * be executed again, as one step, so that the trap comes behind it.
   */
  stepWanted = false;
  /** DR6 bits of traps that come behind the running instruction: data and I/O breakpoints, a task switch. */
  debugTraps = 0;
  /** Of REGION_PAGES. */
  readonly #regionLimits: Uint32Array;
  /** Result of the last computation of a record's RIP. */
  #lo = 0;
  #hi = 0;

  constructor(readonly memory: GuestMemory) {
    this.s = new CpuState(memory);
    this.#regionLimits = new Uint32Array(
      memory.memory.buffer as ArrayBuffer,
      REGION_PAGES,
      2 * REGION_PAGE_COUNT,
    );
    this.u32 = this.s.u32;
  }

  // --- modes -------------------------------------------------------------------------------------------------

  /** Recomputes what follows from CS, SS, DS, ES, CPL, CR0, CR4, EFER and EFLAGS. True when modeBits changed. */
  updateMode(): boolean {
    const u32 = this.u32;
    const eflags = u32[EFLAGS_AT] as number, cr0 = u32[CR0_AT] as number, cr4 = u32[CR4_AT] as number;
    const user = u32[CPL_AT] === 3;
    const cs = this.attributes(CS);
    const long = ((u32[EFER_AT] as number) & EFER_LMA) !== 0 && (cs & SEG_L) !== 0;
    let mode: number;
    if (long) {
      mode = 2 | MODE_STACK_WIDE;
      u32[CODE_BITS_AT] = 64;
      u32[STACK_MASK_AT] = 0xffff_ffff;
      u32[STACK_MASK_AT + 1] = 0xffff_ffff;
    } else {
      mode = (cs & SEG_DB) !== 0 ? 1 : 0;
      u32[CODE_BITS_AT] = mode === 1 ? 32 : 16;
      const wide = (this.attributes(SS) & SEG_DB) !== 0;
      if (wide) mode |= MODE_STACK_WIDE;
      u32[STACK_MASK_AT] = wide ? 0xffff_ffff : 0xffff;
      u32[STACK_MASK_AT + 1] = 0;
      if (!this.#isFlat()) mode |= MODE_SEGMENTED;
    }
    u32[CODE_MASK_AT] = 0xffff_ffff; // also in 16-bit code: near branches with 16-bit operands cut EIP, nothing else does
    u32[CODE_MASK_AT + 1] = long ? 0xffff_ffff : 0;
    if (user) mode |= MODE_USER;
    this.armed = breakpointsEnabled(u32);
    this.armedForCode = this.armed && codeBreakpointsEnabled(u32);
    if ((eflags & FLAG_TF) !== 0 || this.oneStep || this.armedForCode) mode |= MODE_TF;
    if ((cr0 & (CR0_EM | CR0_TS)) !== 0 || (cr4 & CR4_OSFXSR) === 0) mode |= MODE_FPU_TRAP;
    if ((cr0 & CR0_TS) !== 0 || !this.avxEnabled) mode |= MODE_AVX_TRAP;
    let tlb = TLB_MODE_SUPERVISOR;
    const ac = (eflags & FLAG_AC) !== 0;
    if (user) tlb = ac && (cr0 & CR0_AM) !== 0 ? TLB_MODE_USER_AC : TLB_MODE_USER;
    else if (ac && (cr4 & CR4_SMAP) !== 0) tlb = TLB_MODE_SUPERVISOR_AC;
    if (this.dataMode !== tlb) {
      u32[TLB_BASE_AT] = TLB_BASE + tlb * TLB_BYTES;
      this.forgetRegionPages();
    }
    const key = modeKeyOf(mode);
    const changed = u32[MODE_KEY_HI] !== key;
    u32[MODE_KEY_HI] = key;
    return changed;
  }

  /** VEX-encoded instructions on XMM and YMM registers are not #UD: SDM Vol. 1 §14.3, Vol. 2A §2.4. */
  get avxEnabled(): boolean {
    const u32 = this.u32, states = XCR0_SSE | XCR0_AVX;
    return ((u32[CR4_AT] as number) & CR4_OSXSAVE) !== 0 && ((u32[XCR0_AT] as number) & states) === states &&
      this.protectedMode;
  }

  #isFlat(): boolean {
    const view = this.s.view;
    for (let i = ES; i <= DS; i++) {
      const at = S.es + i * segmentLayout.size;
      if (this.u32[at >> 2] !== 0 || this.u32[(at + LIMIT) >> 2] !== 0xffff_ffff) return false;
      const attributes = view.getUint32(at + ATTRIBUTES, true);
      if (i === CS ? (attributes & SEG_UNUSABLE) !== 0 : (attributes & FLAT_DATA_MASK) !== FLAT_DATA) {
        return false;
      }
    }
    return true;
  }

  /** MODE_* bits in force. */
  get modeBits(): number {
    return (this.u32[MODE_KEY_HI] as number) >>> MODE_KEY_SHIFT;
  }
  get codeBits(): 16 | 32 | 64 {
    return this.u32[CODE_BITS_AT] as 16 | 32 | 64;
  }
  get longMode(): boolean {
    return ((this.u32[EFER_AT] as number) & EFER_LMA) !== 0;
  }
  /** CR0.PE set and not virtual-8086 mode. */
  get protectedMode(): boolean {
    return ((this.u32[CR0_AT] as number) & CR0_PE) !== 0 && ((this.u32[EFLAGS_AT] as number) & FLAG_VM) === 0;
  }
  /** CR0.PE and EFLAGS.VM are set. */
  get virtual8086(): boolean {
    return ((this.u32[EFLAGS_AT] as number) & FLAG_VM) !== 0 && !this.realMode;
  }
  /** CR0.PE is clear. */
  get realMode(): boolean {
    return ((this.u32[CR0_AT] as number) & CR0_PE) === 0;
  }
  get cpl(): number {
    return this.u32[CPL_AT] as number;
  }
  /** Sets the privilege level; call updateMode afterwards. */
  setCpl(cpl: number): void {
    this.u32[CPL_AT] = cpl;
  }
  get iopl(): number {
    return ((this.u32[EFLAGS_AT] as number) >>> 12) & 3;
  }
  /** The TLB may lose something, be it for another translation of the same page, or another one counts. */
  forgetRegionPages(): void {
    this.#regionLimits.fill(0);
  }
  /** TLB_MODE_* of an ordinary data access now. */
  get dataMode(): number {
    return ((this.u32[TLB_BASE_AT] as number) - TLB_BASE) / TLB_BYTES;
  }
  /** Attributes of segment register `index`. */
  attributes(index: number): number {
    return this.u32[(S.es + index * segmentLayout.size + ATTRIBUTES) >> 2] as number;
  }
  /** Selector in segment register `index`. */
  selector(index: number): number {
    return this.u32[(S.es + index * segmentLayout.size + segmentLayout.at.selector) >> 2] as number;
  }
  /** Sets a segment register; `baseHi` matters for FS, GS, LDTR, TR in long mode. */
  setSegment(
    index: number,
    selector: number,
    baseLo: number,
    baseHi: number,
    limit: number,
    ar: number,
  ): void {
    const at = (S.es + index * segmentLayout.size) >> 2, u32 = this.u32;
    u32[at] = baseLo;
    u32[at + 1] = baseHi;
    u32[at + (LIMIT >> 2)] = limit;
    u32[at + (ATTRIBUTES >> 2)] = ar;
    u32[at + (segmentLayout.at.selector >> 2)] = selector;
  }

  // --- flags and RIP -----------------------------------------------------------------------------------------

  /** EFLAGS with the arithmetic flags computed. */
  get rflags(): number {
    return ((this.u32[EFLAGS_AT] as number) & ~ARITHMETIC_FLAGS) | this.materializeFlags();
  }
  /** Sets all of EFLAGS (RF is never kept, there is no VM in long mode). True when modeBits changed. */
  setRflags(value: number): boolean {
    const u32 = this.u32;
    const old = u32[EFLAGS_AT] as number;
    u32[KIND_AT] = FLAG_KIND_RAW;
    u32[AUX_AT] = value & ARITHMETIC_FLAGS;
    const dropped = this.longMode ? FLAG_RF | FLAG_VM : FLAG_RF;
    const now = (value & SYSTEM_FLAGS & ~dropped) | 2;
    u32[EFLAGS_AT] = now;
    return ((old ^ now) & (FLAG_TF | FLAG_AC | FLAG_VM)) !== 0 && this.updateMode();
  }
  /** Architectural RIP of the record's instruction. */
  ripOf(rec: number): bigint {
    this.#computeRip(rec, 0);
    return this.#pair();
  }
  /** RIP of the instruction behind it. */
  nextRipOf(rec: number): bigint {
    this.#computeRip(rec, this.memory.bytes[rec + record.at.length] as number);
    return this.#pair();
  }
  /** S.rip = the record's instruction. */
  setRipTo(rec: number): void {
    this.#computeRip(rec, 0);
    this.setRip(this.#lo, this.#hi);
  }
  /** S.rip = the instruction behind the record's. */
  setRipBehind(rec: number): void {
    this.#computeRip(rec, this.memory.bytes[rec + record.at.length] as number);
    this.setRip(this.#lo, this.#hi);
  }
  setRip(lo: number, hi: number): void {
    this.u32[RIP_AT] = lo;
    this.u32[RIP_AT + 1] = hi;
  }
  get rip(): bigint {
    return this.s.get64(S.rip);
  }
  get ripLo(): number {
    return this.u32[RIP_AT] as number;
  }
  get ripHi(): number {
    return this.u32[RIP_AT + 1] as number;
  }
  #computeRip(rec: number, more: number): void {
    const u32 = this.u32;
    const bias = u32[BIAS_AT] as number;
    const sum = bias + this.s.view.getUint16(rec + record.at.poff, true) + more;
    this.#lo = sum >>> 0;
    this.#hi = 0;
    const bits = u32[CODE_BITS_AT];
    if (bits === 64) this.#hi = ((u32[BIAS_AT + 1] as number) + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
  }
  #pair(): bigint {
    return (BigInt(this.#hi) << 32n) | BigInt(this.#lo);
  }

  // --- faults ------------------------------------------------------------------------------------------------

  /** Records a fault. */
  raise(vector: number, errorCode = -1): typeof FAULT {
    const fault = this.fault;
    fault.vector = vector;
    fault.errorCode = errorCode;
    fault.resume = true;
    return FAULT;
  }
  /** Records a page fault at a linear address. */
  raisePageFault(errorCode: number, lo: number, hi: number): typeof FAULT {
    this.fault.addressLo = lo;
    this.fault.addressHi = hi;
    return this.raise(EXC_PF, errorCode);
  }
  /**
   * Records #DB: sets `dr6` bits, clears DR7.GD. `trap`: S.rip is already behind the instruction (TF, data
   * breakpoint); otherwise an instruction breakpoint or general detect.
   */
  raiseDebug(dr6: number, trap: boolean): typeof FAULT {
    const u32 = this.u32, at = S.dr >> 2;
    u32[at + 12] = ((u32[at + 12] as number) & ~0xf) | dr6;
    u32[at + 14] = (u32[at + 14] as number) & ~(1 << 13);
    this.raise(EXC_DB);
    this.fault.resume = !trap;
    return FAULT;
  }
}
