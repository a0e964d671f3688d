// SPDX-License-Identifier: MIT
/**
 * The chips of the PC, wired to each other and put on the bus. It reads like a table; behavior is elsewhere. All that
 * can be reset and saved is in {@linkcode Chips.list}: a chip that is not there does not exist for a reset or a snapshot.
 * @module
 */
import type { Device, IrqLine } from "../../../cpu/base/bus.ts";
import type { Clock } from "../../../cpu/base/clock.ts";
import type { Tracer } from "../../../cpu/base/trace.ts";
import type { BlockStore } from "../../../xen/backend/block_store.ts";
import { UNPLUG_ALL_IDE_DISKS, XenPlatformPorts } from "../../../xen/platform/platform_pci.ts";
import type { SystemBus } from "../../bus/bus.ts";
import { InterruptController } from "../../interrupts/interrupts.ts";
import { FwCfg, u64 } from "../../firmware/fw_cfg.ts";
import { DebugConsole, PostCode, SystemControlA } from "../../legacy/debug_ports.ts";
import { I8042 } from "../../legacy/i8042.ts";
import { I8254 } from "../../legacy/i8254.ts";
import { Mc146818 } from "../../legacy/mc146818.ts";
import { Port61 } from "../../legacy/port61.ts";
import { Pvpanic } from "../../legacy/pvpanic.ts";
import { Uart16550 } from "../../legacy/uart16550.ts";
import { I440fx } from "../../pci/i440fx.ts";
import { PciBus, type PciMapper, windowBytes } from "../../pci/pci.ts";
import { Piix3 } from "../../pci/piix3.ts";
import { piix3Ide } from "../../pci/piix3_ide.ts";
import { AtaChannel } from "../../storage/ide/ata_channel.ts";
import { Piix4Pm } from "../../pci/piix4_pm.ts";
import {
  IDE_FUNCTION,
  IOAPIC_BASE,
  IRQS,
  LAPIC_BASE,
  PCI_SLOTS,
  PIRQ_GSI,
  PIRQ_ISA,
  PM_FUNCTION,
  PORTS,
  TSC_HZ,
} from "./address_map.ts";
import type { MachineType } from "../machine_options.ts";
import { xenPlatformFunction } from "./xen_platform_function.ts";

/** What the chips are connected to. */
export interface ChipWires {
  readonly bus: SystemBus;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly type: MachineType;
  /** There is a BIOS to be told of the machine, which reads disks by IDE. */
  readonly bios: boolean;
  readonly disks: readonly BlockStore[];
  /** A disk has answered outside the CPU's run. */
  diskAnswered(): void;
  /** The CPU's INTR pin has gone up. */
  interrupt(): void;
  nmi(): void;
  /** INIT of the CPU; to be done between instructions. */
  init(): void;
  /** When, in clock time, the guest's TSC reaches a value. */
  tscToNs(tsc: bigint): number;
  physicalAddressBits(): number;
  /** UNIX time in seconds. */
  wallclock(): number;
  /** Asked for through ACPI, the keyboard controller, port 0x92 or the reset port; to be done between instructions. */
  powerOff(): void;
  reset(): void;
  serial(byte: number): void;
  debugConsole(byte: number): void;
  /** The guest's kernel says that it has panicked, or that its crash kernel takes over. */
  panicked(): void;
  crashLoaded(): void;
}

/** See the module's description. */
export interface Chips {
  readonly interrupts: InterruptController;
  readonly rtc: Mc146818;
  readonly uart: Uart16550;
  readonly pci: PciBus;
  readonly piix3: Piix3;
  readonly pm: Piix4Pm;
  readonly ata: readonly AtaChannel[];
  /** In the order of reset and restore: the interrupt controllers last, so that lines that move make no interrupts. */
  readonly list: readonly Device<unknown>[];
}

/** Makes them all. */
export function makeChips(wires: ChipWires): Chips {
  const { bus, clock, tracer } = wires;
  let lapicMapping: { remove(): void } | undefined;
  const interrupts = new InterruptController("interrupts", {
    clock,
    timerHz: TSC_HZ,
    tscToNs: (tsc) => wires.tscToNs(tsc),
    nmi: () => wires.nmi(),
    init: () => wires.init(),
    intr: { set: (asserted) => asserted && wires.interrupt() },
    mapped: (base) => {
      lapicMapping?.remove();
      lapicMapping = base === undefined ? undefined : bus.addMmio(base, interrupts.lapic, { priority: 1 });
    },
    physicalAddressBits: () => wires.physicalAddressBits(),
  });
  lapicMapping = bus.addMmio(LAPIC_BASE, interrupts.lapic, { priority: 1 });
  bus.addMmio(IOAPIC_BASE, interrupts.ioapic);
  bus.addPorts(PORTS.picMaster, interrupts.pic.master);
  bus.addPorts(PORTS.picSlave, interrupts.pic.slave);
  bus.addPorts(PORTS.elcr, interrupts.pic.elcr);
  const line = (n: number): IrqLine => interrupts.line(n);
  const reset = () => wires.reset();

  const pit = new I8254("pit", { clock, irq: line(IRQS.timer) });
  bus.addPorts(PORTS.pit, pit);
  const port61 = new Port61("port61", {
    clock,
    setGate2: (on) => pit.setGate(2, on),
    out2: () => pit.out(2),
  });
  bus.addPorts(PORTS.port61, port61);
  const rtc = new Mc146818("rtc", { clock, irq: line(IRQS.rtc), wall: () => wires.wallclock() });
  bus.addPorts(PORTS.rtc, rtc);
  const uart = new Uart16550("com1", { irq: line(IRQS.com1), send: (byte) => wires.serial(byte) });
  bus.addPorts(PORTS.com1, uart);
  const debug = new DebugConsole("debug", { send: (byte) => wires.debugConsole(byte) });
  bus.addPorts(PORTS.debug, debug);
  const pvpanic = new Pvpanic("pvpanic", {
    panicked: () => wires.panicked(),
    crashLoaded: () => wires.crashLoaded(),
  });
  bus.addPorts(PORTS.pvpanic, pvpanic);
  const post = new PostCode("post");
  bus.addPorts(PORTS.post, post);
  const port92 = new SystemControlA("port92", { reset });
  bus.addPorts(PORTS.port92, port92);
  const keyboard = new I8042("i8042", {
    keyboardIrq: line(IRQS.keyboard),
    auxIrq: line(IRQS.aux),
    tracer,
    reset,
  });
  bus.addPorts(PORTS.i8042Data, keyboard.data);
  bus.addPorts(PORTS.i8042Command, keyboard.command);

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
    apic: [line(PIRQ_GSI[0]), line(PIRQ_GSI[1]), line(PIRQ_GSI[2]), line(PIRQ_GSI[3])],
    isa: Array.from({ length: 16 }, (_, n) => PIRQ_ISA.includes(n as 10) ? line(n) : undefined),
    reset,
  });
  const host = new I440fx("i440fx", { pci, isa: piix3.resetControl });
  const pm = new Piix4Pm("pm", {
    mapper,
    clock,
    sci: line(IRQS.sci),
    tracer,
    powerOff: () => wires.powerOff(),
  });
  bus.addPorts(PORTS.pci, host);
  bus.addPorts(PORTS.smi, pm.smi);
  pci.add(PCI_SLOTS.host, 0, host);
  pci.add(PCI_SLOTS.isa, 0, piix3);
  pci.add(PCI_SLOTS.isa, PM_FUNCTION, pm);
  const list: Device<unknown>[] = [
    pit,
    port61,
    rtc,
    uart,
    debug,
    pvpanic,
    post,
    port92,
    keyboard,
    host,
    piix3,
    pm,
  ];
  const channels: AtaChannel[] = [];
  if (wires.bios) {
    const config = new FwCfg("fw_cfg", { "etc/sercon-port": u64(PORTS.com1) });
    bus.addPorts(PORTS.fwCfg, config);
    list.push(config);
    const ide = piix3Ide();
    pci.add(PCI_SLOTS.isa, IDE_FUNCTION, ide);
    list.push(ide);
    PORTS.ata.forEach((port, i) => {
      const channel = new AtaChannel(`ata${i}`, {
        irq: line(IRQS.ata[i] as number),
        // guests know the first four by it, until their own drivers take over
        disks: wires.disks.slice(2 * i, 2 * i + 2).map((store) =>
          store.sectorBytes === 4096 ? undefined : store
        ),
        answered: () => wires.diskAnswered(),
      });
      bus.addPorts(port, channel);
      bus.addPorts(PORTS.ataControl[i] as number, channel.control);
      channels.push(channel);
    });
    list.push(...channels);
  }
  if (wires.type === "hvm") {
    const ports = new XenPlatformPorts(tracer, {
      unplug: (mask) => {
        if (mask & UNPLUG_ALL_IDE_DISKS) { for (const channel of channels) channel.unplug(); }
      },
    });
    bus.addPorts(PORTS.xenPlatform, ports);
    const platformDevice = xenPlatformFunction(mapper, ports);
    pci.add(PCI_SLOTS.xenPlatform, 0, platformDevice);
    list.push(ports, platformDevice);
  }
  list.push(interrupts);
  return { interrupts, rtc, uart, pci, piix3, pm, ata: channels, list };
}
