// SPDX-License-Identifier: MIT
/**
 * What executes a guest's instructions, as everything outside `cpu/` sees it: the machine, Xen and the tools work through
 * this interface alone, over the interpreter, the JIT or any other engine. Registers are plain data here; no engine
 * shows its own memory layout.
 * @module
 */
import type { Bus, InterruptSource } from "./bus.ts";
import type { CpuFeatures } from "./cpu_features.ts";
import type { GuestMemory } from "./guest_memory.ts";
import type { Tracer } from "./trace.ts";
import type { GprName, Vcpu } from "./vcpu.ts";

/**
 * The engines there are: `interp` has handlers per instruction, `jit` compiles what runs often, `kvm` lets the host's
 * processor do it.
 */
export type EngineName = WasmEngineName | "kvm";
/** Those that emulate the processor. */
export type WasmEngineName = "interp" | "jit";

/** What the CPU claims to be. */
export type CpuVendor = "GenuineIntel" | "AuthenticAMD";

/** Why {@linkcode Engine.run} returned. */
export type RunResult = "budget" | "halted" | "shutdown" | "stopped";

/** Segment registers and the two system ones, in the order of their numbers in `cpu/`. */
export const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"] as const;
/** Name of a segment register. */
export type SegmentName = typeof SEGMENT_NAMES[number];

/**
 * A segment register with its hidden part. `attributes`: bits 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G
 * (as bits 47:40 and 55:52 of a descriptor), bit 16 unusable.
 */
export interface Segment {
  readonly selector: number;
  readonly base: bigint;
  /** In bytes, granularity applied. */
  readonly limit: number;
  readonly attributes: number;
}

/** GDTR or IDTR. */
export interface TableRegister {
  readonly base: bigint;
  readonly limit: number;
}

/** Control registers and EFER, the registers that decide about modes. */
export const CONTROL_NAMES = ["cr0", "cr2", "cr3", "cr4", "efer"] as const;
/** Name of a control register. */
export type ControlName = typeof CONTROL_NAMES[number];

/** Registers as plain data. All values are unsigned. */
export interface CpuRegisters {
  readonly gprs: Readonly<Record<GprName, bigint>>;
  readonly rip: bigint;
  readonly rflags: bigint;
  readonly control: Readonly<Record<ControlName, bigint>>;
  readonly segments: Readonly<Record<SegmentName, Segment>>;
  readonly gdtr: TableRegister;
  readonly idtr: TableRegister;
  /** DR0..DR3, DR6, DR7 at their numbers; 4 and 5 are zero. */
  readonly debug: readonly bigint[];
}

/** Any of them; what is left out stays. */
export interface CpuRegisterChanges {
  readonly gprs?: Readonly<Partial<Record<GprName, bigint>>>;
  readonly rip?: bigint;
  readonly rflags?: bigint;
  readonly control?: Readonly<Partial<Record<ControlName, bigint>>>;
  readonly segments?: Readonly<Partial<Record<SegmentName, Segment>>>;
  readonly gdtr?: TableRegister;
  readonly idtr?: TableRegister;
}

/** What the machine around an engine answers for it. */
export interface EngineHooks {
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
  /**
   * VMCALL and VMMCALL: arguments and result through the {@linkcode Vcpu}, whose RIP is behind the instruction. Work
   * that is too long for one go asks for {@linkcode Vcpu.retryInstruction}; so does one that came by a port.
   */
  hypercall(): void;
  /** CR8: task priority, 0..15. */
  readTpr(): number;
  writeTpr(priority: number): void;
  /** 64 bits of chance, for RDRAND and RDSEED. Absent: numbers that are the same every time. */
  random?(): bigint;
  /** The clock's TSC, before the guest's own offset. */
  readTsc(): bigint;
  /** What the machine has to do and when, by its clock; an engine that ends in time ends its runs for it. */
  readonly timers?: { nowNs(): number; nextDeadlineNs(): number };
}

/** Choices made when an engine is built. */
export interface EngineOptions {
  readonly id?: number;
  readonly vendor?: CpuVendor;
  /** What the processor has; default: those of DEFAULT_CPU. */
  readonly features?: CpuFeatures;
  /** Frequency of the local APIC timer before its divider, Hz: Linux derives it from CPUID leaf 0x15. */
  readonly crystalHz?: number;
  readonly tracer?: Tracer;
}

/** An exception, as delivered last; `errorCode` -1: it has none. */
export interface LastFault {
  readonly vector: number;
  readonly errorCode: number;
}

/** Where code ran. */
export interface CodePlace {
  readonly rip: bigint;
  readonly codeBits: 16 | 32 | 64;
}

/** All of one CPU that survives `save` and `load`: structured-cloneable. */
export interface EngineState {
  /** Which engines understand it, and the version of its format, such as "wasm/1". */
  readonly format: string;
  readonly data: unknown;
  /** As {@linkcode Engine.ownTsc} of the engine that it comes from. */
  readonly ownTsc?: boolean;
}

/** One virtual CPU that runs. */
export interface Engine {
  /** Registers and memory as `xen/` needs them. */
  readonly vcpu: Vcpu;
  /** HLT was executed and nothing has ended it yet. */
  readonly halted: boolean;
  /**
   * Instructions retired since it was made; exact between runs. One that faults counts, so that time goes on, and one
   * that is executed again counts for as many as take as long. An engine
   * that cannot count says 0, and its machine's time cannot follow the instruction count.
   */
  readonly instructions: number;
  /** Bits of a physical address, as CPUID says. */
  readonly physicalAddressBits: number;
  /** False: VMCALL and VMMCALL never come to {@linkcode EngineHooks.hypercall}, whatever they do instead. */
  readonly takesHypercalls?: boolean;
  /** Runs about `budget` instructions. Always returns, whatever the guest does. */
  run(budget: number): RunResult;
  /** Makes run return "stopped" at the next instruction boundary that can be one; harmless between runs. */
  requestStop(): void;
  /** The interrupt source may have something now. */
  interruptsChanged(): void;
  /** Raises an NMI: taken once, as soon as NMIs are not blocked. */
  requestNmi(): void;
  /** Power-on state. RAM is the machine's business. */
  reset(): void;
  /** INIT: as `reset`, but what INIT leaves alone stays (SDM Vol. 3A table 9-1): x87, SSE, MSRs, CR0.CD and NW. */
  init(): void;
  readRegisters(): CpuRegisters;
  /** Writes registers without the checks of instructions; modes follow. */
  writeRegisters(changes: CpuRegisterChanges): void;
  /** Writes one of the CPU's own MSRs as WRMSR does; false: it would fault. */
  writeMsr(index: number, value: bigint): boolean;
  /** Something was put off that the guest need not wait for if it is done while the guest sleeps. Absent: never. */
  readonly hasIdleWork?: boolean;
  /** Does it; takes some milliseconds. Between runs only. */
  doIdleWork?(): void;
  /** True: a slice is over in time by itself, however slow the guest's instructions are, and heeds the hooks' timers. */
  readonly endsInTime?: boolean;
  /** True: the guest's TSC is not the hooks' but a processor's, with a frequency of its own. */
  readonly ownTsc?: boolean;
  /** What is added to the hooks' TSC to get the guest's. */
  readonly tscOffset: bigint;
  readonly lastFault: LastFault;
  /** The last places where the engine came back from emitted code, oldest first; possibly none. */
  recentCode(): readonly CodePlace[];
  /** Counters by name, for statistics. */
  counters(): Readonly<Record<string, number>>;
  /** Between runs only. */
  save(): EngineState;
  /** Throws RangeError when the state is of another format. The guest's memory must be restored first. */
  load(state: EngineState): void;
  /** Gives back what the host lent it; engines that borrow nothing have none. Registers can be read afterwards. */
  close?(): void;
}

/** Makes engines of one kind. */
export interface EngineFactory {
  /** Bytes the engine needs at the bottom of the guest memory's buffer. */
  readonly reservedBytes: number;
  create(memory: GuestMemory, hooks: EngineHooks, options?: EngineOptions): Engine;
}
