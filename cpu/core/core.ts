// SPDX-License-Identifier: MIT
/**
 * The system side of one CPU, put together: registers, MMU, linear memory, stack, x87, and what the machine around it
 * answers. Microcode works on it; it runs no instructions.
 * @module
 */
import type { CpuFeatures } from "../base/cpu_features.ts";
import { DEFAULT_CPU, parseCpuModel } from "../base/cpu_model.ts";
import type { CpuVendor, EngineHooks, EngineOptions } from "../base/engine.ts";
import type { GuestMemory } from "../base/guest_memory.ts";
import { Tracer } from "../base/trace.ts";
import { SseUnit } from "../fpu/sse/sse_unit.ts";
import { X87 } from "../fpu/x87.ts";
import { LinearMemory } from "../mmu/linear_memory.ts";
import { Mmu } from "../mmu/mmu.ts";
import { type Descriptor, emptyDescriptor } from "../state/descriptor.ts";
import { Registers } from "../state/registers.ts";
import { ATTENTION_INTERRUPT, ATTENTION_NMI_BLOCKED, FLAG_IF, S, VENDOR_IS_AMD } from "../state/state.ts";
import { DISPATCH, NEXT, SLICE_END, type Status, STOP } from "../state/status.ts";
import { Stack } from "./stack.ts";

const ATTENTION_AT = S.attention >> 2;

/** What emitted code calls by name: `rec` is the address of the instruction's record. */
export type Microcode = (core: CpuCore, rec: number) => Status;

/** What one step of segmentation leaves for the next within an instruction; nothing lives longer. */
export interface SegmentScratch {
  /** Code and stack segment a transfer of control goes to. */
  readonly code: Descriptor;
  readonly stack: Descriptor;
  /** For instructions that look at one descriptor only, and for loads of data segments. */
  readonly data: Descriptor;
  /** Stack of an inner privilege out of a 16- or 32-bit TSS. */
  readonly tssStack: { selector: number; sp: number };
}

/** See the module's description. */
export class CpuCore extends Registers {
  readonly mmu: Mmu;
  readonly mem: LinearMemory;
  /** Scratch for pushes and pops of microcode. */
  readonly stack: Stack;
  readonly scratch: SegmentScratch = {
    code: emptyDescriptor(),
    stack: emptyDescriptor(),
    data: emptyDescriptor(),
    tssStack: { selector: 0, sp: 0 },
  };
  /** Its memory operands, up to 108 bytes, lie in memData and behind it in arg, whose values have been read by then. */
  readonly x87: X87;
  /** SSE floating point that emitted code does not do itself. */
  readonly sse: SseUnit = new SseUnit();
  /** A page of the WebAssembly memory for copies. */
  readonly scratchPage: number;
  readonly tracer: Tracer;
  readonly vendor: CpuVendor;
  /** What the processor has: CPUID, the decoder, CR4 and XCR0 follow it. */
  readonly features: CpuFeatures;
  readonly crystalHz: number;
  /** Set by IRET when the popped RF is set: the next instruction breakpoint is not taken. The engine clears it. */
  resumeFlag = false;
  /** See Vcpu.retryInstruction; microcode that calls out looks and clears it. */
  retryRequested = false;
  /** The machine wants to stop at the next instruction boundary; checked after port and MMIO accesses. */
  stopRequested = false;
  /** An NMI waits to be taken; another one may come while NMIs are blocked, until IRET. */
  nmiPending = false;
  /** The running instruction decides that no single-step trap follows it (INT n; SYSCALL that clears TF). */
  stepTrapCancelled = false;
  /** An instruction will be executed again. Set by the engine, which charges for it. */
  onRetry: () => void = () => {};
  /** Makes the running code come back at its next block end. Set by the engine. */
  requestExit: () => void = () => {};

  constructor(memory: GuestMemory, readonly hooks: EngineHooks, options: EngineOptions = {}) {
    super(memory);
    this.vendor = options.vendor ?? "GenuineIntel";
    this.s.view.setUint32(VENDOR_IS_AMD, this.vendor === "AuthenticAMD" ? 1 : 0, true);
    this.features = options.features ?? parseCpuModel(DEFAULT_CPU).features;
    this.crystalHz = options.crystalHz ?? 1_000_000_000;
    this.tracer = options.tracer ?? new Tracer();
    this.mmu = new Mmu(this);
    const io = { bus: hooks.bus, written: () => this.checkInterrupts() };
    this.mem = new LinearMemory(this, this.mmu, io, this.vendor);
    this.stack = new Stack(this, this.mem);
    this.x87 = new X87(this.s.view, S.x87, S.memData);
    this.scratchPage = memory.allocatePage();
    memory.onRemap = () => this.mmu.flush();
  }

  get nmiBlocked(): boolean {
    return ((this.u32[ATTENTION_AT] as number) & ATTENTION_NMI_BLOCKED) !== 0;
  }
  set nmiBlocked(blocked: boolean) {
    if (blocked) this.u32[ATTENTION_AT]! |= ATTENTION_NMI_BLOCKED;
    else this.u32[ATTENTION_AT]! &= ~ATTENTION_NMI_BLOCKED;
  }
  /** True when an interrupt may be taken at an instruction boundary, but for the shadow of STI or MOV SS. */
  get interruptDue(): boolean {
    if (this.nmiPending && !this.nmiBlocked) return true;
    return ((this.u32[S.eflags >> 2] as number) & FLAG_IF) !== 0 && this.lookForInterrupts();
  }
  /** Asks the interrupt source. If it has nothing, emitted code may set IF without asking until it may have changed. */
  lookForInterrupts(): boolean {
    const { pending } = this.hooks.interrupts;
    if (pending) this.u32[ATTENTION_AT]! |= ATTENTION_INTERRUPT;
    else this.u32[ATTENTION_AT]! &= ~ATTENTION_INTERRUPT;
    return pending;
  }
  /** Something outside may have made an interrupt pending: whoever sets IF next has to ask. */
  interruptsMayHaveChanged(): void {
    this.u32[ATTENTION_AT]! |= ATTENTION_INTERRUPT;
  }
  /** Call after an interrupt may have become due. */
  checkInterrupts(): void {
    this.interruptsMayHaveChanged();
    if (this.interruptDue) this.requestExit();
  }
  /**
   * For microcode that may have made an interrupt due, with S.rip behind the instruction: NEXT, or the status that leaves
   * there.
   */
  afterSideEffects(): Status {
    this.interruptsMayHaveChanged();
    return this.stopRequested ? STOP : this.interruptDue ? SLICE_END : NEXT;
  }
  /** After a call of the machine: as afterSideEffects, but execution goes on at the record itself if that was asked for. */
  afterCall(rec: number): Status {
    const retry = this.retryRequested;
    this.retryRequested = false;
    if (!retry) return this.afterSideEffects();
    this.setRipTo(rec);
    this.onRetry();
    const status = this.afterSideEffects();
    return status === NEXT ? DISPATCH : status;
  }
  /** 64 bits for RDRAND and RDSEED. Without a source of chance, SplitMix64: the same every time. */
  random(): bigint {
    const { random } = this.hooks;
    if (random !== undefined) return BigInt.asUintN(64, random());
    const seed = BigInt.asUintN(64, this.s.get64(S.randomState) + 0x9e37_79b9_7f4a_7c15n);
    this.s.set64(S.randomState, seed);
    let z = BigInt.asUintN(64, (seed ^ (seed >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
    return z ^ (z >> 31n);
  }
  /** The guest's TSC now. */
  readTsc(): bigint {
    return BigInt.asUintN(64, this.hooks.readTsc() + this.s.get64(S.tscOffset));
  }
}
