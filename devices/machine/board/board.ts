// SPDX-License-Identifier: MIT
/**
 * The machine without its run loop: memory, time, bus, CPU, chips and Xen, made once. A system reset, an INIT of the CPU
 * and a snapshot are walks over the same parts.
 * @module
 */
import type { Gpa } from "../../../cpu/base/bits.ts";
import { TimerQueue } from "../../../cpu/base/clock.ts";
import type {
  Engine,
  EngineFactory,
  EngineHooks,
  EngineOptions,
  EngineState,
} from "../../../cpu/base/engine.ts";
import { GuestMemory } from "../../../cpu/base/guest_memory.ts";
import type { Tracer } from "../../../cpu/base/trace.ts";
import { HYPERCALL_PORT } from "../../../xen/platform/platform.ts";
import { SystemBus } from "../../bus/bus.ts";
import { IOAPIC_PINS } from "../../interrupts/ioapic.ts";
import { TSC_HZ } from "./address_map.ts";
import { type Chips, makeChips } from "./chips.ts";
import { runFirmware } from "./firmware.ts";
import { GuestTime, type GuestTimeState } from "./guest_time.ts";
import type { HostClock, MachineType } from "../machine_options.ts";
import { packRam, type RamState, unpackRam } from "./ram_state.ts";
import {
  type DiskOptions,
  type NetOptions,
  type ShareOptions,
  XenDomain,
  type XenDomainState,
} from "./xen_domain.ts";

/** CMOS: what firmware does after a reset of the CPU, and codes there; IBM PC AT Technical Reference, BIOS. */
const SHUTDOWN_CODE = 0x0f, SHUTDOWN_EOI_JUMP = 5, SHUTDOWN_JUMP = 0x0a;
/** 40:67, a far pointer. */
const RESTART_POINTER = 0x467;
/** OCW2: a non-specific end of interrupt. */
const PIC_EOI = 0x20;

/** What a board reports upwards. All of it happens inside the CPU's run or a timer. */
export interface BoardEvents {
  /** Asked for through ACPI, the keyboard controller or the reset port. */
  powerOff(): void;
  reset(): void;
  /** An INIT message for the CPU. */
  init(): void;
  /** SHUTDOWN_* of the Xen ABI; SHUTDOWN_soft_reset is done already. */
  shutdown(reason: number): void;
  serial(byte: number): void;
  /** Bytes are valid during the call. */
  console(bytes: Uint8Array): void;
  debugConsole(byte: number): void;
  /** By the pvpanic device. */
  panicked(): void;
  crashLoaded(): void;
  /** The guest notified a network backend, which has done its work: an answer may come at once. */
  netNotified(): void;
  /** The guest notified a disk. True: it is served at once. */
  diskNotified(): boolean;
  /** A disk has answered outside the CPU's run. */
  diskAnswered(): void;
}

/** What a board is built from. */
export interface BoardOptions {
  readonly memoryBytes: number;
  readonly type: MachineType;
  /** It starts with a BIOS of the user's. */
  readonly bios: boolean;
  readonly engine: EngineFactory;
  readonly cpu: Pick<EngineOptions, "vendor" | "features">;
  readonly hypercallPages: 1 | 2;
  readonly xenVersion: { readonly major: number; readonly minor: number };
  readonly tracer: Tracer;
  readonly host: HostClock;
  /** Time follows the instruction count. */
  readonly icount: boolean;
  /** UNIX seconds at which guest time is 0; absent: as the host's clock says. */
  readonly startsAt?: number | undefined;
  readonly nets: readonly NetOptions[];
  readonly disks: readonly DiskOptions[];
  readonly shares: readonly ShareOptions[];
  readonly events: BoardEvents;
}

/** What a snapshot keeps of a board: a plain record that survives structured cloning. */
export interface BoardState {
  readonly time: GuestTimeState;
  readonly ram: RamState;
  readonly engine: EngineState;
  readonly xen: XenDomainState;
  /** By name. */
  readonly chips: Readonly<Record<string, unknown>>;
}

/** See the module's description. */
export class Board {
  readonly memory: GuestMemory;
  readonly time: GuestTime;
  readonly clock: TimerQueue;
  readonly bus: SystemBus;
  readonly engine: Engine;
  readonly chips: Chips;
  readonly xen: XenDomain;
  #restoring = false;

  constructor(readonly options: BoardOptions) {
    const { tracer, events, host } = options;
    const memory = this.memory = new GuestMemory(options.memoryBytes, options.engine.reservedBytes);
    const time = this.time = new GuestTime(host, options.icount, options.startsAt);
    const clock = this.clock = new TimerQueue(() => time.nowNs(this.#instructions()));
    const bus = this.bus = new SystemBus(tracer);
    const chips = this.chips = makeChips({
      bus,
      clock,
      tracer,
      type: options.type,
      bios: options.bios,
      disks: options.disks.map(({ store }) => store),
      diskAnswered: () => events.diskAnswered(),
      interrupt: () => {
        if (this.#restoring) return; // nothing new: who sleeps in the snapshot sleeps on
        this.engine.interruptsChanged();
        this.xen.platform.wake();
      },
      nmi: () => this.engine.requestNmi(),
      tscToNs: (tsc) => time.nsOfTsc(tsc - this.engine.tscOffset),
      physicalAddressBits: () => this.engine.physicalAddressBits,
      wallclock: () => time.unixSeconds(clock),
      powerOff: () => events.powerOff(),
      reset: () => events.reset(),
      init: () => events.init(),
      serial: (byte) => events.serial(byte),
      debugConsole: (byte) => events.debugConsole(byte),
      panicked: () => events.panicked(),
      crashLoaded: () => events.crashLoaded(),
    });
    const engine = this.engine = options.engine.create(memory, this.#hooks(), {
      ...options.cpu,
      tracer,
      crystalHz: TSC_HZ,
    });
    const { interrupts } = chips;
    const xen = this.xen = new XenDomain({
      memory,
      vcpu: engine.vcpu,
      clock,
      tracer,
      wallclock: () => time.unixSeconds(clock),
      xenVersion: options.xenVersion,
      hypercallPages: options.hypercallPages,
      nets: options.nets,
      disks: options.disks,
      shares: options.shares,
      icount: options.icount,
      console: (bytes) => events.console(bytes),
      netNotified: () => events.netNotified(),
      diskNotified: () => events.diskNotified(),
      diskAnswered: () => events.diskAnswered(),
      wires: {
        gsi: (gsi, level) =>
          gsi >= 0 && gsi < IOAPIC_PINS ? interrupts.sampled(interrupts.line(gsi), level) : undefined,
        pciIntx: (device, pin, level) =>
          device < 32 && pin < 4
            ? interrupts.sampled(chips.piix3.intx(device, 0, pin + 1), level)
            : undefined,
        injectVector: (vector) => interrupts.lapic.inject(vector),
        interruptsChanged: () => interrupts.update(),
        shutdown: (reason) => events.shutdown(reason),
        blockedChanged: (blocked) => {
          if (blocked) engine.requestStop();
        },
        interruptPending: () => interrupts.pending,
        nmi: () => engine.requestNmi(),
        consoleWrite: (bytes) => events.console(bytes),
      },
    });
    interrupts.extra = xen.platform.upcall;
    bus.addPorts(HYPERCALL_PORT, xen.platform.hypercallPort);
  }

  /** What the engine executed; none before there is one. */
  #instructions(): number {
    return (this.engine as Engine | undefined)?.instructions ?? 0;
  }

  #hooks(): EngineHooks {
    const { bus, clock, time, chips: { interrupts }, options: { host, icount } } = this;
    const { lapic } = interrupts;
    const cpuidOut = new Uint32Array(4);
    return {
      bus,
      interrupts,
      apicId: lapic.id,
      tscHz: TSC_HZ,
      readMsr: (index) => {
        if (lapic.ownsMsr(index)) return lapic.readMsr(index);
        const { platform } = this.xen;
        return platform.ownsMsr(index) ? platform.rdmsr(index) : undefined;
      },
      writeMsr: (index, value) => {
        if (lapic.ownsMsr(index)) return lapic.writeMsr(index, value);
        const { platform } = this.xen;
        return platform.ownsMsr(index) && platform.wrmsr(index, value);
      },
      cpuid: (leaf, subleaf) =>
        this.xen.platform.cpuid(leaf, subleaf, cpuidOut)
          ? cpuidOut as unknown as readonly [number, number, number, number]
          : undefined,
      hypercall: () => this.xen.platform.hypercall(),
      readTpr: () => lapic.cr8,
      writeTpr: (priority) => lapic.cr8 = priority,
      ...(host.random64 !== undefined && !icount && { random: () => host.random64?.() ?? 0n }),
      readTsc: () => time.tscAt(clock.nowNs()),
      timers: clock,
    };
  }

  /**
   * Random bytes that a kernel is started with, so that nobody in the guest has to wait until it has found some itself. With
   * icount they are the same every time; without a source of chance there are none.
   */
  randomSeed(): Uint8Array | undefined {
    const { host, icount } = this.options;
    const random64 = icount ? () => 0n : host.random64?.bind(host);
    if (random64 === undefined) return undefined;
    return new Uint8Array(BigUint64Array.from({ length: 4 }, random64).buffer);
  }

  /** A disk or a share was asked for something that is not answered yet. */
  get disksWork(): boolean {
    return this.xen.disksWork || this.chips.ata.some(({ working }) => working);
  }

  /** Power on, and what firmware does then; returns where the ACPI tables start. Afterwards a kernel can be loaded. */
  powerOn(): Gpa {
    const { memory, bus, engine, chips, options: { type, bios } } = this;
    return runFirmware({ memory, bus, engine, chips, type, bios });
  }

  /** System reset: everything but RAM, CMOS and time is as at power-on. Between the CPU's runs only. */
  reset(): Gpa {
    this.xen.reset("system");
    for (const chip of this.chips.list) chip.reset();
    this.engine.reset();
    this.time.restartTsc(this.clock.nowNs());
    return this.powerOn();
  }

  /** INIT of the CPU and its local APIC; everything else goes on. */
  init(): void {
    this.chips.interrupts.lapic.init();
    this.engine.init();
  }

  /**
   * INIT, and what PC firmware does then: with shutdown code 5 or 0AH in CMOS it goes on at the far pointer at 40:67, with 5
   * after an EOI. False: with any other it would start the system anew. Between the CPU's runs only.
   */
  restartCpu(): boolean {
    this.init();
    const { rtc, interrupts: { pic } } = this.chips;
    const code = rtc.byte(SHUTDOWN_CODE);
    rtc.setByte(SHUTDOWN_CODE, 0);
    if (code !== SHUTDOWN_EOI_JUMP && code !== SHUTDOWN_JUMP) return false;
    if (code === SHUTDOWN_EOI_JUMP) pic.master.writePort(0, 1, PIC_EOI);
    const pointer = new Uint8Array(4);
    this.memory.read(RESTART_POINTER, pointer);
    const view = new DataView(pointer.buffer), segment = view.getUint16(2, true);
    this.engine.writeRegisters({
      rip: BigInt(view.getUint16(0, true)),
      segments: { cs: { selector: segment, base: BigInt(segment * 16), limit: 0xffff, attributes: 0x9b } },
    });
    return true;
  }

  /** The NMI button: an edge at LINT1 of the local APIC, unless port 0x70 masks NMIs. */
  pressNmi(): void {
    const { rtc, interrupts: { lapic } } = this.chips;
    if (rtc.nmiMasked) return;
    lapic.setLint(1, true);
    lapic.setLint(1, false);
  }

  /** Between the CPU's runs only. What is due is done first, so that a restored machine misses no edge. */
  save(): BoardState {
    this.clock.poll();
    this.xen.runDeferred();
    this.xen.platform.resample();
    return {
      time: this.time.save(this.clock.nowNs()),
      ram: packRam(this.memory),
      engine: this.engine.save(),
      xen: this.xen.save(),
      chips: Object.fromEntries(this.chips.list.map((chip) => [chip.name, chip.save()])),
    };
  }

  /** Restores what `save` gave into a board of the same kind. Time stands still meanwhile. */
  restore(state: BoardState): void {
    this.#restoring = true;
    try {
      this.time.restore(state.time);
      unpackRam(this.memory, state.ram);
      this.engine.load(state.engine);
      this.xen.restore(state.xen);
      for (const chip of this.chips.list) chip.restore(state.chips[chip.name]);
    } finally {
      this.#restoring = false;
      this.time.resume(this.engine.instructions);
    }
    // the world went on meanwhile; by instruction count there is no world
    const { sharedInfo } = this.xen.platform;
    // where a processor of the host's own comes in, the TSC has another rate than in the snapshot
    if (this.engine.ownTsc === true || state.engine.ownTsc === true) sharedInfo.resample();
    else if (!this.options.icount) sharedInfo.writeWallclock();
    this.engine.interruptsChanged();
  }
}
