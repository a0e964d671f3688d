// SPDX-License-Identifier: MIT
/**
 * What a BIOS does before it starts an operating system, done from outside: programs the chips, writes its tables, and
 * puts the CPU where the loader wants it. Done anew after every system reset.
 * @module
 */
import type { Gpa } from "../../../cpu/base/bits.ts";
import type { Engine, Segment } from "../../../cpu/base/engine.ts";
import type { GuestMemory } from "../../../cpu/base/guest_memory.ts";
import { GPR_NAMES, type GprName } from "../../../cpu/base/vcpu.ts";
import type { SystemBus } from "../../bus/bus.ts";
import { buildAcpiTables } from "../../firmware/acpi_tables.ts";
import { writeBiosServices } from "../../firmware/bios_services.ts";
import { TIMER_IOAPIC_PIN } from "../../interrupts/interrupts.ts";
import type { EntryState, SegmentState } from "../../loaders/entry_state.ts";
import { BIOS_AREA, HIGH_TABLES_BYTES, PCI_MEMORY, writeBiosDataArea } from "../../loaders/memory_map.ts";
import { assignPciResources } from "../../pci/pci_firmware.ts";
import { pirqOf, PIRQRCA } from "../../pci/piix3.ts";
import { PMBASE, PMREGMISC, PMREGMISC_PMIOSE } from "../../pci/piix4_pm.ts";
import { IOAPIC_BASE, IRQS, LAPIC_BASE, PCI_IO, PIRQ_GSI, PIRQ_ISA, PORTS } from "./address_map.ts";
import type { Chips } from "./chips.ts";
import type { MachineType } from "../machine_options.ts";

/** MTRRs, SDM Vol. 3A §12.11. */
const IA32_MTRR_PHYSBASE0 = 0x200;
const VARIABLE_MTRRS = 8;
const MTRR_FIXED = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f] as const;
const MTRR_FIX16K_A0000 = 0x259;
const IA32_MTRR_DEF_TYPE = 0x2ff;
const MTRR_ENABLE = 3n << 10n; // E and FE
const MTRR_VALID = 1n << 11n;
const WRITE_BACK = 6n;
const ALL_WRITE_BACK = 0x0606_0606_0606_0606n;

/** What it works on. */
export interface FirmwareParts {
  readonly type: MachineType;
  /** A BIOS of the user's has the place of the tables. */
  readonly bios: boolean;
  readonly memory: GuestMemory;
  readonly bus: SystemBus;
  readonly engine: Engine;
  readonly chips: Chips;
}

/** Sets the machine up; returns where the ACPI tables start. */
export function runFirmware({ memory, bus, engine, chips, type, bios }: FirmwareParts): Gpa {
  const { pm, piix3, pci, rtc, interrupts } = chips;
  interrupts.lapic.setVirtualWire();
  rtc.setMemorySize(memory.ramBytes);
  pm.writeConfig(PMBASE, 4, PORTS.pmBlock);
  pm.writeConfig(PMREGMISC, 1, PMREGMISC_PMIOSE);
  PIRQ_ISA.forEach((irq, i) => piix3.writeConfig(PIRQRCA + i, 1, irq));
  const elcr = [...new Set<number>([...PIRQ_ISA, IRQS.sci])].reduce((mask, irq) => mask | (1 << irq), 0);
  bus.writePort(PORTS.elcr, 1, elcr & 0xff);
  bus.writePort(PORTS.elcr + 1, 1, elcr >> 8);
  assignPciResources(pci, {
    io: PCI_IO,
    memory: PCI_MEMORY,
    interruptLine: (device, pin) => PIRQ_ISA[pirqOf(device, pin)] as number,
  });
  setMtrrs(engine, PCI_MEMORY.start);
  writeBiosDataArea(memory);
  if (type !== "pvh") writeBiosServices(memory, PORTS);
  const acpiBase = bios ? memory.ramBytes - HIGH_TABLES_BYTES : BIOS_AREA.start;
  const acpi = buildAcpiTables({
    base: acpiBase,
    cpus: 1,
    localApic: LAPIC_BASE,
    ioApic: { id: 1, address: IOAPIC_BASE, gsiBase: 0 },
    timerGsi: TIMER_IOAPIC_PIN,
    sci: IRQS.sci,
    pmBase: PORTS.pmBlock,
    smiCommandPort: PORTS.smi,
    resetPort: PORTS.reset,
    pirqGsi: PIRQ_GSI,
    pirqIsa: PIRQ_ISA,
    pciMemory: PCI_MEMORY,
    com1: { port: PORTS.com1, irq: IRQS.com1 },
    pvpanicPort: PORTS.pvpanic,
    i8042: false,
    rtc: type !== "pvh", // not told of on Xen's PVH platform, which has none
  });
  memory.write(acpiBase, acpi.bytes);
  return acpi.rsdp;
}

/** All memory is write-back but [holeStart, 4 GiB) and the legacy video area. An engine without MTRRs does without. */
export function setMtrrs(
  engine: Pick<Engine, "writeMsr" | "physicalAddressBits">,
  holeStart: Gpa,
): void {
  for (const index of MTRR_FIXED) engine.writeMsr(index, index === MTRR_FIX16K_A0000 ? 0n : ALL_WRITE_BACK);
  const physical = 1n << BigInt(engine.physicalAddressBits);
  for (let n = 0, at = holeStart; at < 2 ** 32 && n < VARIABLE_MTRRS; n++) {
    let size = 4096;
    while (at % (size * 2) === 0 && at + size * 2 <= 2 ** 32) size *= 2;
    engine.writeMsr(IA32_MTRR_PHYSBASE0 + 2 * n, BigInt(at)); // uncacheable
    engine.writeMsr(IA32_MTRR_PHYSBASE0 + 2 * n + 1, (physical - BigInt(size)) | MTRR_VALID);
    at += size;
  }
  engine.writeMsr(IA32_MTRR_DEF_TYPE, WRITE_BACK | MTRR_ENABLE);
}

/** Puts the CPU where a loader wants it. */
export function enterKernel(engine: Engine, entry: EntryState): void {
  const segment = (state: SegmentState): Segment => ({
    selector: state.selector,
    base: BigInt(state.base),
    limit: state.limit,
    attributes: state.access,
  });
  const data = segment(entry.data);
  engine.writeRegisters({
    gprs: Object.fromEntries(
      GPR_NAMES.map((name) => [name, BigInt(entry.gprs[name] ?? 0)]),
    ) as Record<GprName, bigint>,
    rip: BigInt(entry.rip),
    rflags: BigInt(entry.rflags),
    control: {
      cr0: BigInt(entry.cr0),
      cr3: BigInt(entry.cr3),
      cr4: BigInt(entry.cr4),
      efer: BigInt(entry.efer),
    },
    segments: {
      cs: segment(entry.cs),
      ds: data,
      es: data,
      ss: data,
      fs: data,
      gs: data,
      tr: segment(entry.tr),
      ldtr: segment(entry.ldtr),
    },
    gdtr: { base: BigInt(entry.gdtBase), limit: entry.gdtLimit },
    idtr: { base: 0n, limit: entry.idtLimit },
  });
}
