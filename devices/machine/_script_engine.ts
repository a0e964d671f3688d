// SPDX-License-Identifier: MIT
/**
 * An engine without instructions, for tests of what is around engines: it executes a list of steps, one "instruction" each,
 * in 32-bit code whose addresses are physical ones. Interrupts are taken between steps and only noted.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import type {
  CodePlace,
  ControlName,
  CpuRegisterChanges,
  CpuRegisters,
  Engine,
  EngineFactory,
  EngineHooks,
  EngineState,
  RunResult,
  Segment,
  SegmentName,
} from "../../cpu/base/engine.ts";
import { CONTROL_NAMES, SEGMENT_NAMES } from "../../cpu/base/engine.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { GPR_NAMES, type GprName, type Vcpu } from "../../cpu/base/vcpu.ts";

/** One step. A hypercall's result goes to {@linkcode ScriptState.results}. */
export type Step =
  | { readonly out: readonly [port: number, value: number, size?: 1 | 2 | 4] }
  | { readonly store: readonly [gpa: number, bytes: Uint8Array] }
  | { readonly hypercall: readonly [nr: number, ...args: number[]]; readonly by: "port" | "vmcall" }
  | { readonly msr: readonly [index: number, value: bigint] }
  | "sti"
  | "cli"
  | "hlt";

/** What it keeps. */
interface ScriptState {
  at: number;
  instructions: number;
  halted: boolean;
  nmi: boolean;
  rflags: number;
  gprs: Record<GprName, bigint>;
  control: Record<ControlName, bigint>;
  /** What hypercalls returned. */
  results: number[];
  /** Vectors of the interrupts it took. */
  vectors: number[];
}

const FORMAT = "script/1";
const FLAG_IF = 1 << 9;
const HYPERCALL_PORT = 0xe4;
const ARGUMENTS: readonly GprName[] = ["rbx", "rcx", "rdx", "rsi", "rdi", "rbp"];

function powerOn(): ScriptState {
  const zeros = <N extends string>(names: readonly N[]) =>
    Object.fromEntries(names.map((name) => [name, 0n])) as Record<N, bigint>;
  return {
    at: 0,
    instructions: 0,
    halted: false,
    nmi: false,
    rflags: 2,
    gprs: zeros(GPR_NAMES),
    control: zeros(CONTROL_NAMES),
    results: [],
    vectors: [],
  };
}

/** See the module's description. */
export class ScriptEngine implements Engine, Vcpu {
  readonly id = 0;
  readonly codeBits = 32;
  readonly longMode = false;
  readonly cpl = 0;
  readonly physicalAddressBits = 32;
  readonly tscOffset = 0n;
  readonly lastFault = { vector: 0, errorCode: -1 };
  state = powerOn();
  #stop = false;
  #again = false;

  constructor(readonly memory: GuestMemory, readonly hooks: EngineHooks, readonly script: readonly Step[]) {}

  get vcpu(): Vcpu {
    return this;
  }
  get halted(): boolean {
    return this.state.halted;
  }
  get instructions(): number {
    return this.state.instructions;
  }
  run(budget: number): RunResult {
    const s = this.state;
    for (let left = budget; left > 0; left--) {
      if (this.#stop) {
        this.#stop = false;
        return "stopped";
      }
      if (s.nmi) s.halted = s.nmi = false;
      if ((s.rflags & FLAG_IF) !== 0 && this.hooks.interrupts.pending) {
        s.vectors.push(this.hooks.interrupts.acknowledge());
        s.halted = false;
      }
      if (s.halted) return "halted";
      const step = this.script[s.at++];
      if (step === undefined) return "shutdown";
      s.instructions++;
      this.#perform(step);
      if (this.#again) s.at--;
      this.#again = false;
    }
    return "budget";
  }
  #perform(step: Step): void {
    const s = this.state;
    if (step === "hlt") s.halted = true;
    else if (step === "sti") s.rflags |= FLAG_IF;
    else if (step === "cli") s.rflags &= ~FLAG_IF;
    else if ("out" in step) {
      const [port, value, size = 1] = step.out;
      this.hooks.bus.writePort(port, size, value);
    } else if ("store" in step) this.memory.write(...step.store);
    else if ("msr" in step) this.hooks.writeMsr(...step.msr);
    else {
      const [nr, ...args] = step.hypercall;
      s.gprs.rax = BigInt(nr);
      args.forEach((arg, i) => s.gprs[ARGUMENTS[i] as GprName] = BigInt(arg));
      if (step.by === "vmcall") this.hooks.hypercall();
      else this.hooks.bus.writePort(HYPERCALL_PORT, 4, nr);
      if (!this.#again) s.results.push(Number(BigInt.asIntN(32, s.gprs.rax)));
    }
  }
  requestStop(): void {
    this.#stop = true;
  }
  interruptsChanged(): void {}
  requestNmi(): void {
    this.state.nmi = true;
  }
  reset(): void {
    const { instructions } = this.state;
    this.state = { ...powerOn(), instructions };
  }
  init(): void {
    this.reset();
  }
  readRegisters(): CpuRegisters {
    const flat: Segment = { selector: 0, base: 0n, limit: 0xffff_ffff, attributes: 0xc093 };
    const table = { base: 0n, limit: 0 };
    return {
      gprs: { ...this.state.gprs },
      rip: this.rip,
      rflags: BigInt(this.state.rflags),
      control: { ...this.state.control },
      segments: Object.fromEntries(SEGMENT_NAMES.map((name) => [name, flat])) as Record<SegmentName, Segment>,
      gdtr: table,
      idtr: table,
      debug: new Array(8).fill(0n),
    };
  }
  /** The script says where it goes: RIP and segments mean nothing. */
  writeRegisters(changes: CpuRegisterChanges): void {
    Object.assign(this.state.gprs, changes.gprs);
    Object.assign(this.state.control, changes.control);
    if (changes.rflags !== undefined) this.state.rflags = Number(changes.rflags);
  }
  writeMsr(): boolean {
    return false;
  }
  recentCode(): readonly CodePlace[] {
    return [];
  }
  counters(): Readonly<Record<string, number>> {
    return { steps: this.state.instructions };
  }
  save(): EngineState {
    return { format: FORMAT, data: structuredClone(this.state) };
  }
  load(state: EngineState): void {
    if (state.format !== FORMAT) {
      throw new ConfigError(`Cannot load ${state.format}: this is ${FORMAT}`, "input");
    }
    this.state = structuredClone(state.data) as ScriptState;
    this.#stop = this.#again = false;
  }

  // Vcpu
  readGpr(reg: GprName): bigint {
    return this.state.gprs[reg];
  }
  writeGpr(reg: GprName, value: bigint): void {
    this.state.gprs[reg] = value;
  }
  get rip(): bigint {
    return BigInt(this.state.at);
  }
  get rflags(): number {
    return this.state.rflags;
  }
  translate(gva: bigint): number | undefined {
    return this.memory.contains(Number(gva), 1) ? Number(gva) : undefined;
  }
  copyFromGuest(gva: bigint, into: Uint8Array): boolean {
    return this.memory.read(Number(gva), into);
  }
  copyToGuest(gva: bigint, bytes: Uint8Array): boolean {
    return this.memory.write(Number(gva), bytes);
  }
  readTsc(): bigint {
    return this.hooks.readTsc();
  }
  get tscHz(): number {
    return this.hooks.tscHz;
  }
  retryInstruction(): void {
    this.#again = true;
  }
}

/** Makes engines that execute `script`. */
export function scriptEngine(script: readonly Step[]): EngineFactory {
  return { reservedBytes: 0, create: (memory, hooks) => new ScriptEngine(memory, hooks, script) };
}
