// SPDX-License-Identifier: MIT
/**
 * The engine that lets the host's processor execute the guest: Linux' KVM. Everything but instructions stays ours: KVM
 * makes no interrupt controller and no Xen; ports, MMIO, HLT and the hypervisor's MSRs come here (KVM_EXIT_*).
 *
 * VMCALL and VMMCALL come here too where the host's KVM hands them over (KVM_CAP_XEN_HVM); else KVM answers them itself.
 *
 * Not done: counting instructions, so `instructions` stays 0.
 * @module
 */
import { ConfigError } from "../base/assert.ts";
import type { AccessSize } from "../base/bus.ts";
import type { CpuFeatures } from "../base/cpu_features.ts";
import { DEFAULT_CPU, parseCpuModel } from "../base/cpu_model.ts";
import type {
  CodePlace,
  CpuRegisterChanges,
  CpuRegisters,
  CpuVendor,
  Engine,
  EngineFactory,
  EngineHooks,
  EngineOptions,
  EngineState,
  LastFault,
  RunResult,
} from "../base/engine.ts";
import type { GuestMemory } from "../base/guest_memory.ts";
import { PAGE_SIZE } from "../base/bits.ts";
import type { KvmHost } from "../base/kvm_host.ts";
import { PHYSICAL_BITS } from "../mmu/mmu.ts";
import * as api from "./api.ts";
import { type CpuidEntry, guestCpuid, lackedFeatures, packCpuid, placeOf, unpackCpuid } from "./cpuid.ts";
import { KvmVcpu } from "./kvm_vcpu.ts";
import { KvmVm } from "./kvm_vm.ts";
import { MemorySlots } from "./memory_slots.ts";
import { exitProblem } from "./exit_problem.ts";
import { KvmRegisters } from "./registers.ts";
import {
  loadNative,
  loadState,
  type NativeState,
  type Processor,
  saveNative,
  saveState,
} from "./saved_state.ts";

const EINTR = 4, EAGAIN = 11;
const FLAG_IF = 1n << 9n;
const IA32_TIME_STAMP_COUNTER = 0x10, IA32_APIC_BASE = 0x1b, IA32_TSC_DEADLINE = 0x6e0;
/** A slice lasts 5 ns for each instruction of its budget, within these bounds, or until the machine has something due. */
const NS_PER_INSTRUCTION = 5, LONGEST_SLICE_NS = 4_000_000, SHORTEST_SLICE_NS = 50_000;
/** And not less than the machine's turn since the last one, up to this. */
const LONGEST_MATCH_NS = 40_000_000;
/**
 * All this is for a processor that enters a guest and leaves it in so much time. Where it takes longer, as on a processor that
 * is emulated itself, so does all that happens between two slices, and each leaves empty caches and TLBs behind: slices are
 * longer by the same factor, within a limit. The best of some tries is taken.
 */
const ENTRY_NS = 2_000, SLOWEST_PACE = 25, PACE_TRIES = 32;
/**
 * Stands where KVM says why it has come back. It says so of a signal too, and that is what counts: errno is read when the call
 * is over, and the runtime may have had a call of its own fail by then.
 */
const NO_EXIT = 0xffff_ffff;
const OUT_IMM8 = 0xe7, OUT_IMM8_BYTE = 0xe6;

const EXIT_NAMES: Readonly<Record<number, string>> = {
  [api.KVM_EXIT_IO]: "io",
  [api.KVM_EXIT_HLT]: "hlt",
  [api.KVM_EXIT_MMIO]: "mmio",
  [api.KVM_EXIT_IRQ_WINDOW_OPEN]: "irq_window",
  [api.KVM_EXIT_SHUTDOWN]: "shutdown",
  [api.KVM_EXIT_INTR]: "intr",
  [api.KVM_EXIT_X86_RDMSR]: "rdmsr",
  [api.KVM_EXIT_X86_WRMSR]: "wrmsr",
  [api.KVM_EXIT_XEN]: "xen",
};

/** See the module's description. */
export class KvmEngine implements Engine {
  readonly vcpu: KvmVcpu;
  readonly physicalAddressBits = PHYSICAL_BITS;
  readonly instructions = 0;
  readonly takesHypercalls: boolean;
  readonly ownTsc = true;
  readonly endsInTime = true;
  readonly tscOffset = 0n; // deadlines are converted when they are written
  readonly lastFault: LastFault = { vector: 0, errorCode: -1 };
  halted = false;
  readonly #vm: KvmVm;
  readonly #registers: KvmRegisters;
  readonly #slots: MemorySlots;
  readonly #hooks: EngineHooks;
  readonly #memory: GuestMemory;
  readonly #vendor: CpuVendor;
  readonly #features: CpuFeatures;
  readonly #crystalHz: number;
  readonly #hostCpuid: readonly CpuidEntry[];
  readonly #exits = new Map<number, number>();
  #interrupts = 0;
  #nmis = 0;
  #powerOn: NativeState | undefined;
  #stop = false;
  #nmi = false;
  /** An instruction has left for us and is not finished: KVM does that when the guest goes on. "out": it may be now. */
  #unfinished: "out" | "in" | undefined;
  /** RIP when it left. */
  #leftAt = 0n;
  #retry = false;
  /** By the machine's TSC, when the last slice was over, if the guest would have gone on. */
  #endedAt: bigint | undefined;
  /** How many times more than ENTRY_NS an entry takes, at least 1. Measured when the guest first runs. */
  #pace: number | undefined;
  /** By the machine's clock, when the slice ends, and before when it does not. */
  #alarmNs = 0;
  #earliestNs = 0;
  #closed: CpuRegisters | undefined;

  constructor(memory: GuestMemory, hooks: EngineHooks, host: KvmHost, options: EngineOptions) {
    const vm = this.#vm = new KvmVm(host);
    this.#hooks = hooks;
    this.#memory = memory;
    this.takesHypercalls = vm.takesHypercalls;
    this.#vendor = options.vendor ?? "GenuineIntel";
    this.#features = options.features ?? parseCpuModel(DEFAULT_CPU).features;
    this.#crystalHz = options.crystalHz ?? hooks.tscHz;
    this.#hostCpuid = unpackCpuid(vm.supportedCpuid);
    const registers = this.#registers = new KvmRegisters(vm);
    const base = host.addressOf(memory.memory.buffer);
    this.#slots = new MemorySlots(memory, (slot, { gfn, offset, pages }) => {
      vm.setSlot(slot, gfn * PAGE_SIZE, pages * PAGE_SIZE, base + offset);
    });
    host.preferLargePages(base + memory.map.ram, memory.map.ramBytes);
    memory.onRemap = () => this.#slots.changed();
    this.vcpu = new KvmVcpu({
      id: options.id ?? 0,
      memory,
      registers,
      tscHz: vm.tscHz,
      settle: () => this.#settle("out"),
      retry: () => this.#retry = true,
      readTsc: () => vm.readMsr(IA32_TIME_STAMP_COUNTER) ?? 0n,
    });
  }

  /** What the machine around us must be there for; and the state after power-on, to come back to. */
  #prepare(): void {
    if (this.#powerOn !== undefined) return;
    const source = {
      vendor: this.#vendor,
      features: this.#features,
      crystalHz: this.#crystalHz,
      hooks: { ...this.#hooks, tscHz: this.#vm.tscHz },
      s: { get32: () => 0 }, // OSXSAVE is KVM's
    };
    this.#vm.call("KVM_SET_CPUID2", packCpuid(guestCpuid(source, this.#hostCpuid)));
    this.#registers.setApicBase(this.#hooks.readMsr(IA32_APIC_BASE) ?? 0n);
    this.#powerOn = saveNative(this.#vm);
  }

  /** Lets KVM finish the instruction that left for us, and nothing more. */
  #settle(which: "out" | "any" = "any"): void {
    if (this.#unfinished === undefined || (which === "out" && this.#unfinished === "in")) return;
    this.#unfinished = undefined;
    this.#enterOnly();
  }
  /** As KVM_RUN, without the guest: KVM takes registers and finishes what is unfinished. */
  #enterOnly(): void {
    const { run } = this.#vm;
    run.setUint8(api.kvm_run.at.immediate_exit, 1);
    // one that touches several pages leaves again and again: its parts have been done, the rest has nobody to go to
    for (let tries = 0; tries < 16 && this.#vm.enter() >= 0; tries++);
    run.setUint8(api.kvm_run.at.immediate_exit, 0);
    this.#registers.ran();
  }

  run(budget: number): RunResult {
    const { run, host } = this.#vm;
    const { interrupts } = this.#hooks;
    this.#prepare();
    this.#startSlice(budget);
    for (;;) {
      if (this.#stop) {
        this.#settle();
        this.#stop = false;
        return "stopped";
      }
      if (this.#nmi) {
        this.#nmi = this.halted = false;
        this.#nmis++;
        this.#vm.call("KVM_NMI");
      }
      if (interrupts.pending) this.#interrupt();
      else run.setUint8(api.kvm_run.at.request_interrupt_window, 0);
      if (this.halted) return "halted";
      this.#slots.update();
      run.setBigUint64(api.kvm_run.at.cr8, BigInt(this.#hooks.readTpr()), true);
      this.#unfinished = undefined;
      run.setUint32(api.kvm_run.at.exit_reason, NO_EXIT, true);
      const result = this.#vm.enter();
      this.#registers.ran();
      const tpr = Number(run.getBigUint64(api.kvm_run.at.cr8, true)) & 15;
      if (tpr !== this.#hooks.readTpr()) this.#hooks.writeTpr(tpr);
      const interrupted = run.getUint32(api.kvm_run.at.exit_reason, true) === api.KVM_EXIT_INTR;
      if (result === -EINTR || result === -EAGAIN || (result < 0 && interrupted)) {
        this.#count(api.KVM_EXIT_INTR);
        host.takeAlarm();
        this.#endedAt = this.#hooks.readTsc();
        return "budget";
      }
      if (result < 0) {
        throw new ConfigError(`Cannot go on with KVM: KVM_RUN: ${host.strerror(-result)}`, "host");
      }
      const end = this.#exit(run.getUint32(api.kvm_run.at.exit_reason, true));
      if (end !== undefined) return end;
      this.#heedTimers();
    }
  }

  #startSlice(budget: number): void {
    const { timers } = this.#hooks;
    const now = timers?.nowNs() ?? 0, due = timers?.nextDeadlineNs() ?? Infinity;
    const pace = this.#pace ??= this.#measurePace();
    const wanted = pace * Math.min(LONGEST_SLICE_NS, budget * NS_PER_INSTRUCTION);
    this.#earliestNs = now + Math.max(pace * SHORTEST_SLICE_NS, this.#shareNs(pace));
    this.#alarmNs = Math.max(this.#earliestNs, Math.min(now + wanted, due));
    this.#vm.host.setAlarm(this.#alarmNs - now);
    this.#endedAt = undefined;
  }
  /** What the guest gets at least, ns. */
  #shareNs(pace: number): number {
    if (this.#endedAt === undefined) return 0;
    const between = Number(this.#hooks.readTsc() - this.#endedAt) * 1e9 / this.#hooks.tscHz;
    return Math.min(pace * between, LONGEST_MATCH_NS);
  }
  #measurePace(): number {
    const { host } = this.#vm;
    let best = Infinity;
    for (let i = 0; i < PACE_TRIES; i++) {
      const before = host.nowNs();
      this.#enterOnly();
      best = Math.min(best, host.nowNs() - before);
    }
    return Math.min(SLOWEST_PACE, Math.max(1, best / ENTRY_NS));
  }
  /** Ends the slice earlier if the guest has just set a timer that is due within it. */
  #heedTimers(): void {
    const { timers } = this.#hooks;
    if (timers === undefined) return;
    const due = Math.max(timers.nextDeadlineNs(), this.#earliestNs);
    if (due >= this.#alarmNs) return;
    this.#alarmNs = due;
    this.#vm.host.setAlarm(Math.max(1, due - timers.nowNs()));
  }

  #count(reason: number): void {
    this.#exits.set(reason, (this.#exits.get(reason) ?? 0) + 1);
  }

  /** Gives the guest an interrupt if it takes one now, or else has KVM tell when it does. */
  #interrupt(): void {
    const { run } = this.#vm;
    if ((this.#registers.get("rflags") & FLAG_IF) !== 0n) this.halted = false;
    else if (this.halted) return;
    if (run.getUint8(api.kvm_run.at.ready_for_interrupt_injection) !== 0) {
      const vector = this.#hooks.interrupts.acknowledge();
      if (vector >= 0) {
        this.#vm.call("KVM_INTERRUPT", new Uint8Array(Uint32Array.of(vector).buffer));
        this.#interrupts++;
        run.setUint8(api.kvm_run.at.ready_for_interrupt_injection, 0);
      }
    }
    run.setUint8(api.kvm_run.at.request_interrupt_window, this.#hooks.interrupts.pending ? 1 : 0);
  }

  /** The guest has left for us. */
  #exit(reason: number): RunResult | undefined {
    this.#count(reason);
    this.#leftAt = this.#registers.get("rip");
    switch (reason) {
      case api.KVM_EXIT_IO:
        this.#portAccess();
        break;
      case api.KVM_EXIT_MMIO:
        this.#mmioAccess();
        break;
      case api.KVM_EXIT_X86_RDMSR:
      case api.KVM_EXIT_X86_WRMSR:
        this.#msrAccess(reason === api.KVM_EXIT_X86_WRMSR);
        break;
      case api.KVM_EXIT_XEN:
        this.#hypercall();
        break;
      case api.KVM_EXIT_HLT:
        this.halted = true;
        break;
      case api.KVM_EXIT_IRQ_WINDOW_OPEN:
        break;
      case api.KVM_EXIT_INTR:
        return "budget";
      case api.KVM_EXIT_SHUTDOWN:
        return "shutdown";
      default:
        throw new ConfigError(`Cannot go on with KVM: ${this.#problem(reason)}`, "host");
    }
    if (this.#retry) this.#doAgain();
    return undefined;
  }

  /** VMCALL or VMMCALL: RIP is on it. */
  #hypercall(): void {
    const { run } = this.#vm;
    const xen = api.kvm_run.at.io, { at } = api.kvm_run_xen;
    const type = run.getUint32(xen + at.type, true);
    if (type !== api.KVM_EXIT_XEN_HCALL) {
      throw new ConfigError(`Cannot go on with KVM: ${this.#problem(api.KVM_EXIT_XEN)}`, "host");
    }
    run.setBigUint64(xen + at.result, this.#registers.get("rax"), true); // KVM changes nothing but RIP
    this.#unfinished = "out";
    this.#settle();
    this.#hooks.hypercall();
  }

  #portAccess(): void {
    const { run } = this.#vm, { bus } = this.#hooks;
    const io = api.kvm_run.at.io, { at } = api.kvm_run_io;
    const out = run.getUint8(io + at.direction) === api.KVM_EXIT_IO_OUT;
    const size = run.getUint8(io + at.size) as AccessSize, port = run.getUint16(io + at.port, true);
    const count = run.getUint32(io + at.count, true);
    const data = Number(run.getBigUint64(io + at.data_offset, true));
    this.#unfinished = out ? "out" : "in";
    const values: number[] = [];
    if (out) { for (let i = 0; i < count; i++) values.push(getSized(run, data + i * size, size)); }
    for (let i = 0; i < count; i++) {
      if (out) bus.writePort(port, size, values[i] as number);
      else setSized(run, data + i * size, size, bus.readPort(port, size));
    }
  }

  #mmioAccess(): void {
    const { run } = this.#vm, { bus } = this.#hooks;
    const mmio = api.kvm_run.at.io, { at } = api.kvm_run_mmio;
    const gpa = Number(run.getBigUint64(mmio + at.phys_addr, true));
    const length = run.getUint32(mmio + at.len, true);
    const write = run.getUint8(mmio + at.is_write) !== 0;
    this.#unfinished = "in";
    for (let done = 0; done < length;) {
      const left = length - done;
      const size: AccessSize = left >= 4 ? 4 : left >= 2 ? 2 : 1;
      const data = mmio + at.data + done;
      if (write) bus.writeMmio(gpa + done, size, getSized(run, data, size));
      else setSized(run, data, size, bus.readMmio(gpa + done, size));
      done += size;
    }
  }

  #msrAccess(write: boolean): void {
    const { run } = this.#vm;
    const msr = api.kvm_run.at.io, { at } = api.kvm_run_msr;
    const index = run.getUint32(msr + at.index, true);
    this.#unfinished = "in";
    let ok: boolean;
    if (write) ok = this.#writeOurMsr(index, run.getBigUint64(msr + at.data, true));
    else {
      let value = this.#hooks.readMsr(index);
      if (index === IA32_TSC_DEADLINE && value) {
        value = this.#convertTsc(value, this.#hooks.tscHz, this.vcpu.tscHz);
      }
      ok = value !== undefined;
      run.setBigUint64(msr + at.data, value ?? 0n, true);
    }
    run.setUint8(msr + at.error, ok ? 0 : 1);
  }
  #writeOurMsr(index: number, value: bigint): boolean {
    if (index === IA32_TSC_DEADLINE && value !== 0n) {
      value = this.#convertTsc(value, this.vcpu.tscHz, this.#hooks.tscHz);
    }
    const ok = this.#hooks.writeMsr(index, value);
    if (ok && index === IA32_APIC_BASE) this.#registers.setApicBase(value);
    return ok;
  }
  /** A moment by the guest's TSC as one by the machine's, or the other way round; never 0, which disarms. */
  #convertTsc(value: bigint, from: number, to: number): bigint {
    const [guest, ours] = [this.vcpu.readTsc(), this.#hooks.readTsc()];
    const [here, there] = to === this.#hooks.tscHz ? [guest, ours] : [ours, guest];
    const ahead = BigInt.asIntN(64, value - here);
    const moment = there + (ahead * BigInt(to)) / BigInt(from);
    return moment > 0n ? BigInt.asUintN(64, moment) : 1n;
  }

  /** The instruction that left is executed once more, with the registers as they are now. */
  #doAgain(): void {
    this.#retry = false;
    this.#settle();
    const after = this.#registers.get("rip");
    if (this.#leftAt !== after) return this.#registers.set("rip", this.#leftAt);
    // KVM had moved RIP before it came to us: OUT has two bytes with the port in it, one with the port in DX
    const code = new Uint8Array(2);
    const known = this.vcpu.copyFromGuest(after - 2n, code);
    const long = known && (code[0] === OUT_IMM8 || code[0] === OUT_IMM8_BYTE);
    this.#registers.set("rip", after - (long ? 2n : 1n));
  }

  #problem(reason: number): string {
    return `${exitProblem(this.#vm.run, reason)} at RIP 0x${this.#leftAt.toString(16)}`;
  }

  requestStop(): void {
    this.#stop = true;
  }
  interruptsChanged(): void {} // looked at before each entry
  requestNmi(): void {
    this.#nmi = true;
  }

  reset(): void {
    this.#restart([]);
  }
  init(): void {
    this.#restart(["XCRS", "XSAVE", "msrs"]);
  }
  #restart(keep: NonNullable<Parameters<typeof loadNative>[2]>): void {
    this.#prepare();
    this.#settle();
    loadNative(this.#vm, this.#powerOn as NativeState, keep);
    this.#registers.ran();
    this.#registers.setApicBase(this.#hooks.readMsr(IA32_APIC_BASE) ?? 0n);
    this.halted = this.#nmi = this.#retry = false;
  }

  readRegisters(): CpuRegisters {
    return this.#closed ?? this.#registers.read();
  }
  writeRegisters(changes: CpuRegisterChanges): void {
    this.#prepare();
    this.#registers.write(changes);
  }
  writeMsr(index: number, value: bigint): boolean {
    this.#prepare();
    return this.#vm.writeMsr(index, value);
  }
  recentCode(): readonly CodePlace[] {
    return [];
  }
  counters(): Readonly<Record<string, number>> {
    const counters: Record<string, number> = {};
    for (const [reason, count] of this.#exits) counters[`exit.${EXIT_NAMES[reason] ?? reason}`] = count;
    counters["interrupts"] = this.#interrupts;
    counters["nmis"] = this.#nmis;
    counters["memory.slots"] = this.#slots.count;
    return counters;
  }

  save(): EngineState {
    this.#prepare();
    this.#enterOnly(); // registers that somebody has set get to KVM
    return saveState(this.#processor(), { halted: this.halted, nmi: this.#nmi });
  }
  load(state: EngineState): void {
    this.#prepare();
    const { halted, nmi } = loadState(this.#processor(), state);
    this.#registers.ran();
    this.#registers.setApicBase(this.#hooks.readMsr(IA32_APIC_BASE) ?? 0n);
    this.halted = halted;
    this.#nmi = nmi;
    this.#stop = this.#retry = false;
    this.#unfinished = undefined;
  }

  #processor(): Processor {
    return {
      vm: this.#vm,
      registers: this.#registers,
      memory: this.#memory,
      clockTsc: this.#hooks.readTsc(),
      lacks: lackedFeatures(this.#features, this.#hostCpuid),
      placeOf: (component) => placeOf(this.#hostCpuid, component),
    };
  }

  close(): void {
    if (this.#closed !== undefined) return;
    this.#closed = this.#registers.read();
    this.#vm.close();
  }
}

function getSized(view: DataView, at: number, size: AccessSize): number {
  return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at, true) : view.getUint32(at, true);
}
function setSized(view: DataView, at: number, size: AccessSize, value: number): void {
  if (size === 1) view.setUint8(at, value);
  else if (size === 2) view.setUint16(at, value, true);
  else view.setUint32(at, value, true);
}

/** Makes engines on `host`'s KVM. */
export function kvmFactory(host: KvmHost): EngineFactory {
  return {
    reservedBytes: 0,
    create: (memory, hooks, options = {}) => new KvmEngine(memory, hooks, host, options),
  };
}
