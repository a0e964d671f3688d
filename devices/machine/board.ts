// SPDX-License-Identifier: MIT
/**
 * One boot of the machine: every chip, the CPU and the Xen platform, wired together. This file alone knows port
 * numbers, addresses and interrupt numbers. It reads like a table; behavior is elsewhere. A reset makes a new board.
 * @module
 */
import { type Gpa, PAGE_SIZE } from "../../cpu/base/bits.ts";
import { TimerQueue } from "../../cpu/base/clock.ts";
import { GuestMemory } from "../../cpu/base/guest_memory.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import type { EngineName } from "../../cpu/base/engine.ts";
import { Cpu } from "../../cpu/cpu.ts";
import { PHYSICAL_BITS } from "../../cpu/mmu/mmu.ts";
import { setFirmwareMtrrs } from "../../cpu/system/msr.ts";
import { CPU_RESERVED_BYTES, S } from "../../cpu/state/state.ts";
import { Netback } from "../../net/netback/netback.ts";
import type { NetEnd } from "../../net/ends/end.ts";
import { ConsoleBackend } from "../../xen/backend/console.ts";
import type { BackendHost } from "../../xen/backend/host.ts";
import { HYPERCALL_PORT, XenPlatform } from "../../xen/platform/platform.ts";
import {
  XEN_PLATFORM_PCI,
  XenPlatformIoBar,
  XenPlatformMmioBar,
  XenPlatformPorts,
} from "../../xen/platform/platform_pci.ts";
import { populateDomain } from "../../xen/xenstore/domain.ts";
import { XenstoreRing } from "../../xen/xenstore/ring.ts";
import { XenstoreServer } from "../../xen/xenstore/server.ts";
import { buildAcpiTables } from "../firmware/acpi_tables.ts";
import { SystemBus } from "../bus/bus.ts";
import { DebugConsole, PostCode, SystemControlA } from "../legacy/debug_ports.ts";
import { I440fx } from "../pci/i440fx.ts";
import { I8042 } from "../legacy/i8042.ts";
import { I8254 } from "../legacy/i8254.ts";
import { InterruptController, TIMER_IOAPIC_PIN } from "../interrupts/interrupts.ts";
import { IOAPIC_PINS } from "../interrupts/ioapic.ts";
import { BIOS_AREA, PCI_MEMORY, pcMemoryMap, writeBiosDataArea } from "../loaders/memory_map.ts";
import type { MachineType } from "./machine_options.ts";
import { Mc146818 } from "../legacy/mc146818.ts";
import { PciBus, PciConfigSpace, type PciFunction, type PciMapper, windowBytes } from "../pci/pci.ts";
import { assignPciResources } from "../pci/pci_firmware.ts";
import { Piix3, pirqOf, PIRQRCA } from "../pci/piix3.ts";
import { Piix4Pm, PMBASE, PMREGMISC, PMREGMISC_PMIOSE } from "../pci/piix4_pm.ts";
import { Port61 } from "../legacy/port61.ts";
import { Uart16550 } from "../legacy/uart16550.ts";

/** Guest time runs at this many TSC ticks a second; the local APIC timer too. */
export const TSC_HZ = 1_000_000_000;
const IOAPIC_BASE: Gpa = 0xfec0_0000;
const LAPIC_BASE: Gpa = 0xfee0_0000;
const PM_BASE = 0xb000;
const SMI_PORT = 0xb2;
const RESET_PORT = 0xcf9;
const RTC_IRQ = 8, SCI_IRQ = 9, COM1_IRQ = 4, KEYBOARD_IRQ = 1, AUX_IRQ = 12, TIMER_IRQ = 0;
const COM1_PORT = 0x3f8;
const PIRQ_GSI = [16, 17, 18, 19] as const;
const PIRQ_ISA = [10, 10, 11, 11] as const;
const PCI_IO = { start: 0xc000, end: 0x1_0000 };
const XEN_PLATFORM_SLOT = 3;
const DOMID = 1;
const UUID = "78656e6e-6572-4000-8000-000000000001";

/** What a board reports upwards. All of it happens inside the CPU's run or a timer. */
export interface BoardEvents {
  /** Asked for through ACPI, the keyboard controller or the reset port. */
  powerOff(): void;
  reset(): void;
  /** SHUTDOWN_* of the Xen ABI. */
  shutdown(reason: number): void;
  serial(byte: number): void;
  /** Bytes are valid during the call. */
  console(bytes: Uint8Array): void;
  debugConsole(byte: number): void;
  /** The guest notified a network backend, which has done its work: an answer may come at once. */
  netNotified(): void;
}

/** What a board is built from. */
export interface BoardOptions {
  readonly memoryBytes: number;
  readonly type: MachineType;
  readonly engine: EngineName;
  readonly hypercallPages: 1 | 2;
  readonly xenVersion: { readonly major: number; readonly minor: number };
  readonly tracer: Tracer;
  /** Guest nanoseconds since the board was made. `instructions`: retired so far, for time by instruction count. */
  nowNs(instructions: number): number;
  /** UNIX time in seconds. */
  wallclock(): number;
  readonly nets: readonly { readonly end: NetEnd; readonly mac: string; readonly queues: number }[];
  readonly events: BoardEvents;
}

/** See the module's description. */
export class Board {
  readonly memory: GuestMemory;
  readonly clock: TimerQueue;
  readonly bus: SystemBus;
  readonly cpu: Cpu;
  readonly interrupts: InterruptController;
  readonly uart: Uart16550;
  readonly xen: XenPlatform;
  readonly xenstore: XenstoreServer;
  readonly console: ConsoleBackend;
  readonly netbacks: Netback[] = [];
  readonly pm: Piix4Pm;
  /** Where the ACPI tables start. */
  readonly rsdp: Gpa;
  /** Work that backends put off until the CPU is not running. */
  readonly #deferred: (() => void)[] = [];

  constructor(readonly options: BoardOptions) {
    const { tracer, events } = options;
    const memory = this.memory = new GuestMemory(options.memoryBytes, CPU_RESERVED_BYTES);
    const clock = this.clock = new TimerQueue(() =>
      options.nowNs(this.cpu === undefined ? 0 : this.cpu.instructions)
    );
    const bus = this.bus = new SystemBus(tracer);

    // CPU and interrupt controllers
    const interrupts = this.interrupts = new InterruptController("interrupts", {
      clock,
      timerHz: TSC_HZ,
      tscToNs: (tsc) => Number(BigInt.asIntN(64, tsc - this.cpu.core.s.get64(S.tscOffset))),
      nmi: () => tracer.unimplemented("NMI"),
      intr: {
        set: (asserted) => {
          if (!asserted) return;
          this.cpu.interruptsChanged();
          this.xen.wake();
        },
      },
      mapped: (base) => this.#mapLapic(base),
      physicalAddressBits: PHYSICAL_BITS,
    });
    const cpuidOut = new Uint32Array(4);
    const cpu = this.cpu = new Cpu(memory, {
      bus,
      interrupts,
      apicId: 0,
      tscHz: TSC_HZ,
      readMsr: (index) =>
        interrupts.lapic.ownsMsr(index)
          ? interrupts.lapic.readMsr(index)
          : this.xen.ownsMsr(index)
          ? this.xen.rdmsr(index)
          : undefined,
      writeMsr: (index, value) =>
        interrupts.lapic.ownsMsr(index)
          ? interrupts.lapic.writeMsr(index, value)
          : this.xen.ownsMsr(index) && this.xen.wrmsr(index, value),
      cpuid: (leaf, subleaf) =>
        this.xen.cpuid(leaf, subleaf, cpuidOut)
          ? cpuidOut as unknown as readonly [number, number, number, number]
          : undefined,
      hypercall: () => this.xen.hypercall(),
      readTpr: () => interrupts.lapic.cr8,
      writeTpr: (priority) => interrupts.lapic.cr8 = priority,
      readTsc: () => BigInt(clock.nowNs()),
    }, { engine: options.engine, tracer, crystalHz: TSC_HZ });
    this.#mapLapic(LAPIC_BASE);
    bus.addMmio(IOAPIC_BASE, interrupts.ioapic);
    bus.addPorts(0x20, interrupts.pic.master);
    bus.addPorts(0xa0, interrupts.pic.slave);
    bus.addPorts(0x4d0, interrupts.pic.elcr);
    interrupts.lapic.setVirtualWire();

    // Timers and legacy chips
    const pit = new I8254("pit", { clock, irq: interrupts.line(TIMER_IRQ) });
    bus.addPorts(0x40, pit);
    bus.addPorts(
      0x61,
      new Port61("port61", { clock, setGate2: (on) => pit.setGate(2, on), out2: () => pit.out(2) }),
    );
    const rtc = new Mc146818("rtc", {
      clock,
      irq: interrupts.line(RTC_IRQ),
      wall: () => options.wallclock(),
    });
    rtc.setMemorySize(options.memoryBytes);
    bus.addPorts(0x70, rtc);
    this.uart = new Uart16550("com1", {
      irq: interrupts.line(COM1_IRQ),
      send: (byte) => events.serial(byte),
    });
    bus.addPorts(COM1_PORT, this.uart);
    bus.addPorts(0xe9, new DebugConsole("debug", { send: (byte) => events.debugConsole(byte) }));
    bus.addPorts(0x80, new PostCode("post"));
    bus.addPorts(0x92, new SystemControlA("port92", { reset: () => events.reset() }));
    const keyboard = new I8042("i8042", {
      keyboardIrq: interrupts.line(KEYBOARD_IRQ),
      auxIrq: interrupts.line(AUX_IRQ),
      tracer,
      reset: () => events.reset(),
    });
    bus.addPorts(0x60, keyboard.data);
    bus.addPorts(0x64, keyboard.command);

    // PCI
    const mapper: PciMapper = {
      map: (window, base) => {
        const where = { length: windowBytes(window), priority: -1 };
        return window.kind === "io"
          ? bus.addPorts(base, window.device, where)
          : bus.addMmio(base, window.device, where);
      },
    };
    const pci = new PciBus();
    const piix3 = new Piix3("piix3", {
      apic: [interrupts.line(16), interrupts.line(17), interrupts.line(18), interrupts.line(19)],
      isa: Array.from({ length: 16 }, (_, n) => PIRQ_ISA.includes(n as 10) ? interrupts.line(n) : undefined),
      reset: () => events.reset(),
    });
    const host = new I440fx("i440fx", { pci, isa: piix3.resetControl });
    const pm = this.pm = new Piix4Pm("pm", {
      mapper,
      clock,
      sci: interrupts.line(SCI_IRQ),
      tracer,
      powerOff: () => events.powerOff(),
    });
    bus.addPorts(0xcf8, host);
    bus.addPorts(SMI_PORT, pm.smi);
    pci.add(0, 0, host);
    pci.add(1, 0, piix3);
    pci.add(1, 3, pm);

    // Xen
    const xen = this.xen = new XenPlatform({
      memory,
      vcpu: cpu.vcpu,
      clock,
      tracer,
      wallclock: () => options.wallclock(),
      xenVersion: options.xenVersion,
      hypercallPages: options.hypercallPages,
      domid: DOMID,
      uuid: uuidBytes(UUID),
      memoryMap: pcMemoryMap(options.memoryBytes),
      wires: {
        gsi: (gsi, level) =>
          gsi >= 0 && gsi < IOAPIC_PINS ? interrupts.sampled(interrupts.line(gsi), level) : undefined,
        pciIntx: (device, pin, level) =>
          device < 32 && pin < 4 ? interrupts.sampled(piix3.intx(device, 0, pin + 1), level) : undefined,
        injectVector: (vector) => interrupts.lapic.inject(vector),
        interruptsChanged: () => interrupts.update(),
        shutdown: (reason) => events.shutdown(reason),
        blockedChanged: (blocked) => {
          if (blocked) cpu.requestStop();
        },
        interruptPending: () => interrupts.pending,
        consoleWrite: (bytes) => events.console(bytes),
      },
    });
    interrupts.extra = xen.upcall;
    bus.addPorts(HYPERCALL_PORT, xen.hypercallPort);
    if (options.type === "hvm") {
      const ports = new XenPlatformPorts(tracer, { unplug: () => {} });
      bus.addPorts(0x10, ports);
      pci.add(XEN_PLATFORM_SLOT, 0, xenPlatformFunction(mapper, ports));
    }
    this.xenstore = new XenstoreServer({ tracer, defer: (work) => this.#deferred.push(work) });
    const page = (offset: number) => memory.bytes.subarray(offset, offset + PAGE_SIZE);
    const storeRing = new XenstoreRing(this.xenstore, DOMID, page(xen.store.page), () => storePort?.notify());
    const storePort = xen.events.bindInterdomain(xen.store.port, () => storeRing.onEvent());
    this.console = new ConsoleBackend({
      page: page(xen.console.page),
      notify: () => consolePort?.notify(),
      output: (bytes) => events.console(bytes),
      tracer,
    });
    const consolePort = xen.events.bindInterdomain(xen.console.port, () => this.console.onEvent());
    populateDomain(this.xenstore, {
      domid: DOMID,
      name: "guest",
      uuid: UUID,
      memoryKiB: options.memoryBytes / 1024,
      vcpus: 1,
      store: { port: xen.store.port, gfn: xen.store.gfn },
      console: { port: xen.console.port, gfn: xen.console.gfn },
    });
    const backendHost: BackendHost = {
      domid: DOMID,
      grants: xen.grants,
      events: {
        bindInterdomain: (port, handler) =>
          xen.events.bindInterdomain(port, () => {
            handler();
            events.netNotified();
          }),
      },
      store: this.xenstore,
    };
    options.nets.forEach(({ end, mac, queues }, devid) => {
      const netback = new Netback(backendHost, end, { devid, mac, maxQueues: queues, tracer });
      netback.start();
      this.netbacks.push(netback);
    });

    // What firmware does before it starts an operating system
    pm.writeConfig(PMBASE, 4, PM_BASE);
    pm.writeConfig(PMREGMISC, 1, PMREGMISC_PMIOSE);
    PIRQ_ISA.forEach((irq, i) => piix3.writeConfig(PIRQRCA + i, 1, irq));
    const elcr = [...new Set<number>([...PIRQ_ISA, SCI_IRQ])].reduce((mask, irq) => mask | (1 << irq), 0);
    bus.writePort(0x4d0, 1, elcr & 0xff);
    bus.writePort(0x4d1, 1, elcr >> 8);
    assignPciResources(pci, {
      io: PCI_IO,
      memory: PCI_MEMORY,
      interruptLine: (device, pin) => PIRQ_ISA[pirqOf(device, pin)] as number,
    });
    writeBiosDataArea(memory);
    setFirmwareMtrrs(cpu.core, PCI_MEMORY.start);
    const acpi = buildAcpiTables({
      base: BIOS_AREA.start,
      cpus: 1,
      localApic: LAPIC_BASE,
      ioApic: { id: 1, address: IOAPIC_BASE, gsiBase: 0 },
      timerGsi: TIMER_IOAPIC_PIN,
      sci: SCI_IRQ,
      pmBase: PM_BASE,
      smiCommandPort: SMI_PORT,
      resetPort: RESET_PORT,
      pirqGsi: PIRQ_GSI,
      pirqIsa: PIRQ_ISA,
      pciMemory: PCI_MEMORY,
      com1: { port: COM1_PORT, irq: COM1_IRQ },
      i8042: false,
    });
    memory.write(BIOS_AREA.start, acpi.bytes);
    this.rsdp = acpi.rsdp;
  }

  /** Runs what backends put off. */
  runDeferred(): void {
    for (let i = 0; i < this.#deferred.length; i++) (this.#deferred[i] as () => void)();
    this.#deferred.length = 0;
  }

  #lapicMapping: { remove(): void } | undefined;
  #mapLapic(base: Gpa | undefined): void {
    this.#lapicMapping?.remove();
    this.#lapicMapping = base === undefined
      ? undefined
      : this.bus.addMmio(base, this.interrupts.lapic, { priority: 1 });
  }
}

/** PCI function of the Xen platform device. */
function xenPlatformFunction(mapper: PciMapper, ports: XenPlatformPorts): PciFunction<unknown> {
  const config = new PciConfigSpace(
    {
      vendorId: XEN_PLATFORM_PCI.vendorId,
      deviceId: XEN_PLATFORM_PCI.deviceId,
      classCode: (XEN_PLATFORM_PCI.classCode << 8) | XEN_PLATFORM_PCI.progIf,
      revisionId: XEN_PLATFORM_PCI.revision,
      subsystemVendorId: XEN_PLATFORM_PCI.subsystemVendorId,
      subsystemId: XEN_PLATFORM_PCI.subsystemId,
      interruptPin: XEN_PLATFORM_PCI.interruptPin,
    },
    { mapper },
    [
      { kind: "io", device: new XenPlatformIoBar(ports) },
      { kind: "memory", device: new XenPlatformMmioBar(), prefetchable: true },
    ],
  );
  return {
    name: "xen-platform-pci",
    reset: () => config.reset(),
    save: () => config.save(),
    restore: (state) => config.restore(state as ReturnType<typeof config.save>),
    readConfig: (offset, size) => config.read(offset, size),
    writeConfig: (offset, size, value) => config.write(offset, size, value),
  };
}

function uuidBytes(text: string): Uint8Array {
  return Uint8Array.from(text.replaceAll("-", "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
