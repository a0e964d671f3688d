// SPDX-License-Identifier: MIT
/**
 * The system side of one CPU: registers behind a typed face, modes, fault records, and what microcode and the
 * engine share. It runs no instructions; the engine does, and calls in here for what is complicated.
 * Rules: SDM Vol. 3A §2, §3, §6; reset values table 9-1.
 * Left out: SMM, VMX, performance counters, virtual-8086 mode (IRET refuses to enter it), NMIs of our own.
 * @module
 */
import type { Gpa, Gva } from "./base/bits.ts";
import type { Bus, InterruptSource } from "./base/bus.ts";
import type { GuestMemory } from "./base/guest_memory.ts";
import { Tracer } from "./base/trace.ts";
import { GPR_NAMES, type GprName, type Vcpu } from "./base/vcpu.ts";
import { FLAG_KIND_RAW } from "./emit/flags.ts";
import { deliverWithEscalation, type EventKind, EXTERNAL, FAULT_EVENT } from "./segments/exceptions.ts";
import { CPUID_SIGNATURE, type CpuVendor } from "./system/cpuid.ts";
import { LinearMemory } from "./mmu/linear_memory.ts";
import { resetMsrs } from "./system/msr.ts";
import { Mmu } from "./mmu/mmu.ts";
import { record } from "./state/record.ts";
import { segmentedAccess } from "./segments/segmentation.ts";
import { Stack } from "./segments/stack.ts";
import {
  ARITHMETIC_FLAGS,
  CpuState,
  CR0_AM,
  CR0_EM,
  CR0_PE,
  CR0_TS,
  CR4_OSFXSR,
  CR4_SMAP,
  CS,
  DS,
  EFER_LMA,
  ES,
  EXC_DB,
  EXC_PF,
  FLAG_AC,
  FLAG_IF,
  FLAG_TF,
  FLAG_VM,
  S,
  SEG_DB,
  SEG_L,
  SEG_P,
  SEG_S,
  SEG_UNUSABLE,
  segmentLayout,
  SS,
  TLB_BASE,
  TLB_BYTES,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_SUPERVISOR_AC,
  TLB_MODE_USER,
  XMM_BASE,
} from "./state/state.ts";
import { FAULT, type Status } from "./state/status.ts";
import { resetX87 } from "./fpu/fxsave.ts";

/** What the machine around the CPU answers for it. */
export interface CpuHooks {
  readonly bus: Bus;
  readonly interrupts: InterruptSource;
  readonly apicId: number;
  readonly tscHz: number;
  /** MSRs that are not the CPU's own (APIC, Xen); undefined: #GP. */
  readMsr(index: number): bigint | undefined;
  /** False: #GP. */
  writeMsr(index: number, value: bigint): boolean;
  /** EAX, EBX, ECX, EDX of leaves from 0x4000_0000; undefined: zeros. */
  cpuid(leaf: number, subleaf: number): readonly [number, number, number, number] | undefined;
  /** VMCALL and VMMCALL. S.rip is the next instruction. */
  hypercall(): Status;
  /** CR8: task priority, 0..15. */
  readTpr(): number;
  writeTpr(priority: number): void;
  /** The clock's TSC, before the guest's own offset. */
  readTsc(): bigint;
}

/** Choices made when the CPU is built. */
export interface CpuOptions {
  readonly id?: number;
  readonly vendor?: CpuVendor;
  /** Frequency of the local APIC timer before its divider, Hz: Linux derives it from CPUID leaf 0x15. */
  readonly crystalHz?: number;
  readonly tracer?: Tracer;
}

/** modeBits 1:0: 0 = 16-bit, 1 = 32-bit, 2 = 64-bit code. */
export const MODE_CODE = 3;
/** SS.B set, or 64-bit code. */
export const MODE_STACK_WIDE = 1 << 2;
/** CPL is 3. */
export const MODE_USER = 1 << 3;
/** EFLAGS.TF is set. */
export const MODE_TF = 1 << 4;
/** Outside 64-bit code: CS, DS, ES or SS is not a plain 4 GiB segment (DS, ES, SS writable). */
export const MODE_SEGMENTED = 1 << 5;
/** An x87, MMX or SSE instruction may fault: CR0.EM, CR0.TS or no CR4.OSFXSR. Clear: no check is needed. */
export const MODE_FPU_TRAP = 1 << 6;

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
  EFER_AT = S.efer >> 2;
const ATTRIBUTES = segmentLayout.at.attributes, LIMIT = segmentLayout.at.limit;
/** EFLAGS bits that exist outside the arithmetic ones: TF IF DF IOPL NT RF VM AC ID. */
const SYSTEM_FLAGS = 0x0025_7700;
const FLAT_DATA = SEG_S | SEG_P | 2, FLAT_DATA_MASK = SEG_S | SEG_P | SEG_UNUSABLE | 0xe;

/** See the module's description. */
export class CpuCore implements Vcpu {
  readonly id: number;
  readonly s: CpuState;
  readonly u32: Uint32Array;
  readonly mmu: Mmu;
  readonly mem: LinearMemory;
  /** Scratch for pushes and pops of microcode. */
  readonly stack: Stack;
  /** A page of the WebAssembly memory for copies. */
  readonly scratchPage: number;
  readonly tracer: Tracer;
  readonly vendor: CpuVendor;
  readonly crystalHz: number;
  readonly fault: FaultRecord = { vector: 0, errorCode: -1, addressLo: 0, addressHi: 0, resume: true };
  /** Set by IRET when the popped RF is set: the next instruction breakpoint is not taken. The engine clears it. */
  resumeFlag = false;
  /** See Vcpu.retryInstruction; microcode that calls out looks and clears it. */
  retryRequested = false;
  /** The machine wants to stop at the next instruction boundary; checked after port and MMIO accesses. */
  stopRequested = false;
  /** The arithmetic flags out of the lazy ones. Set by the engine; by default only raw flags are known. */
  materializeFlags: () => number = () => (this.u32[AUX_AT] as number) & ARITHMETIC_FLAGS;
  /** Makes the running code come back at its next block end. Set by the engine. */
  requestExit: () => void = () => {};
  /** Linear-to-physical mappings changed. Set by the engine. */
  onTlbFlush: (keepGlobal: boolean) => void = () => {};
  /** One page's mapping changed (INVLPG). Set by the engine; by default a flush. */
  onTlbInvalidate: (lo: number, hi: number) => void = () => this.onTlbFlush(false);

  constructor(readonly memory: GuestMemory, readonly hooks: CpuHooks, options: CpuOptions = {}) {
    this.id = options.id ?? 0;
    this.vendor = options.vendor ?? "GenuineIntel";
    this.crystalHz = options.crystalHz ?? 1_000_000_000;
    this.tracer = options.tracer ?? new Tracer();
    this.s = new CpuState(memory);
    this.u32 = this.s.u32;
    this.mmu = new Mmu(this);
    this.mem = new LinearMemory(this);
    this.stack = new Stack(this);
    this.scratchPage = memory.allocatePage();
    memory.onRemap = () => this.mmu.flush();
    this.reset();
  }

  /** Power-on state (SDM table 9-1): real mode at F000:FFF0. */
  reset(): void {
    const s = this.s;
    this.u32.fill(0, S.gpr >> 2, (XMM_BASE + 16 * 16) >> 2);
    s.set32(S.constant8192, 8192);
    s.setGpr32(2, CPUID_SIGNATURE[this.vendor]);
    s.set64(S.rip, 0xfff0n);
    s.set32(S.eflags, 2);
    s.set64(S.cr0, 0x6000_0010n);
    for (let i = ES; i <= 7; i++) {
      const attributes = i === CS ? 0x9b : i === 6 ? 0x82 : i === 7 ? 0x8b : 0x93;
      s.setSegment(i, { selector: 0, base: 0n, limit: 0xffff, attributes });
    }
    s.setSegment(CS, { selector: 0xf000, base: 0xffff_0000n, limit: 0xffff, attributes: 0x9b });
    s.set32(S.gdtrLimit, 0xffff);
    s.set32(S.idtrLimit, 0xffff);
    s.set64(S.dr + 6 * 8, 0xffff_0ff0n);
    s.set64(S.dr + 7 * 8, 0x400n);
    s.set64(S.xcr0, 1n);
    s.set32(S.mxcsr, 0x1f80);
    resetMsrs(this);
    resetX87(this);
    this.resumeFlag = false;
    this.mmu.flush();
    this.updateMode();
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
    u32[CODE_MASK_AT] = (mode & MODE_CODE) === 0 ? 0xffff : 0xffff_ffff;
    u32[CODE_MASK_AT + 1] = long ? 0xffff_ffff : 0;
    if (user) mode |= MODE_USER;
    if ((eflags & FLAG_TF) !== 0) mode |= MODE_TF;
    if ((cr0 & (CR0_EM | CR0_TS)) !== 0 || (cr4 & CR4_OSFXSR) === 0) mode |= MODE_FPU_TRAP;
    let tlb = TLB_MODE_SUPERVISOR;
    if (user) tlb = TLB_MODE_USER;
    else if ((eflags & FLAG_AC) !== 0 && (cr4 & CR4_SMAP) !== 0) tlb = TLB_MODE_SUPERVISOR_AC;
    u32[TLB_BASE_AT] = TLB_BASE + tlb * TLB_BYTES;
    this.mmu.setAlignmentCheck(user && (eflags & FLAG_AC) !== 0 && (cr0 & CR0_AM) !== 0);
    const key = mode << 24;
    const changed = u32[MODE_KEY_HI] !== key;
    u32[MODE_KEY_HI] = key;
    return changed;
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
    return (this.u32[MODE_KEY_HI] as number) >>> 24;
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
  /** Sets all of EFLAGS (RF is never kept). True when modeBits changed. */
  setRflags(value: number): boolean {
    const u32 = this.u32;
    const old = u32[EFLAGS_AT] as number;
    u32[KIND_AT] = FLAG_KIND_RAW;
    u32[AUX_AT] = value & ARITHMETIC_FLAGS;
    const now = (value & SYSTEM_FLAGS & ~(1 << 16)) | 2;
    u32[EFLAGS_AT] = now;
    return ((old ^ now) & (FLAG_TF | FLAG_AC | FLAG_VM)) !== 0 && this.updateMode();
  }
  /** Call after IF may have become set. */
  checkInterrupts(): void {
    if (((this.u32[EFLAGS_AT] as number) & FLAG_IF) !== 0 && this.hooks.interrupts.pending) {
      this.requestExit();
    }
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
  get ripLo(): number {
    return this.u32[RIP_AT] as number;
  }
  get ripHi(): number {
    return this.u32[RIP_AT + 1] as number;
  }
  #lo = 0;
  #hi = 0;
  #computeRip(rec: number, more: number): void {
    const u32 = this.u32;
    const bias = u32[BIAS_AT] as number;
    const sum = bias + this.s.view.getUint16(rec + record.at.poff, true) + more;
    this.#lo = sum >>> 0;
    this.#hi = 0;
    const bits = u32[CODE_BITS_AT];
    if (bits === 64) this.#hi = ((u32[BIAS_AT + 1] as number) + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
    else if (bits === 16) this.#lo = sum & 0xffff;
  }
  #pair(): bigint {
    return (BigInt(this.#hi) << 32n) | BigInt(this.#lo);
  }

  // --- faults and interrupts ---------------------------------------------------------------------------------

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
  /** Delivers the recorded fault; S.rip is the faulting instruction. DISPATCH or SHUTDOWN. */
  deliverFault(): Status {
    return deliverWithEscalation(this, FAULT_EVENT);
  }
  /** Delivers an external interrupt; S.rip is the next instruction. DISPATCH or SHUTDOWN. */
  deliverInterrupt(vector: number): Status {
    return this.#deliver(vector, EXTERNAL);
  }
  #deliver(vector: number, kind: EventKind): Status {
    this.raise(vector);
    this.fault.resume = false;
    return deliverWithEscalation(this, kind);
  }

  // --- called from emitted code (with mem.slowLoad, slowStore, slowUpdate) -----------------------------------

  /** The offset in S.memAddr, in segment `index`, becomes a linear address: checks outside 64-bit mode. */
  segmentedAccess(index: number, size: number, write: boolean): 0 | typeof FAULT {
    return segmentedAccess(this, index, size, write);
  }

  // --- Vcpu --------------------------------------------------------------------------------------------------

  readGpr(reg: GprName): bigint {
    return this.s.gpr(GPR_NUMBER[reg]);
  }
  writeGpr(reg: GprName, value: bigint): void {
    this.s.setGpr(GPR_NUMBER[reg], value);
  }
  get rip(): bigint {
    return this.s.get64(S.rip);
  }
  translate(gva: Gva, write: boolean): Gpa | undefined {
    return this.mem.translateForHost(gva, write);
  }
  copyFromGuest(gva: Gva, into: Uint8Array): boolean {
    return this.mem.copyFromGuest(gva, into);
  }
  copyToGuest(gva: Gva, bytes: Uint8Array): boolean {
    return this.mem.copyToGuest(gva, bytes);
  }
  readTsc(): bigint {
    return BigInt.asUintN(64, this.hooks.readTsc() + this.s.get64(S.tscOffset));
  }
  retryInstruction(): void {
    this.retryRequested = true;
  }
  get tscHz(): number {
    return this.hooks.tscHz;
  }
}

const GPR_NUMBER = Object.fromEntries(GPR_NAMES.map((name, i) => [name, i])) as {
  readonly [R in GprName]: number;
};
