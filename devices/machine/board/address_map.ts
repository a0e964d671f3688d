// SPDX-License-Identifier: MIT
/** Where everything in this PC is: port numbers, addresses, interrupt numbers. No other file knows one. @module */
import type { Gpa } from "../../../cpu/base/bits.ts";

/** Guest time runs at this many TSC ticks a second; the local APIC timer too. */
export const TSC_HZ = 1_000_000_000;

export const IOAPIC_BASE: Gpa = 0xfec0_0000;
export const LAPIC_BASE: Gpa = 0xfee0_0000;

/** First port of each chip. */
export const PORTS = {
  xenPlatform: 0x10,
  picMaster: 0x20,
  pit: 0x40,
  i8042Data: 0x60,
  port61: 0x61,
  i8042Command: 0x64,
  rtc: 0x70,
  post: 0x80,
  port92: 0x92,
  picSlave: 0xa0,
  smi: 0xb2,
  debug: 0xe9,
  com1: 0x3f8,
  elcr: 0x4d0,
  pvpanic: 0x505,
  fwCfg: 0x510,
  ata: [0x1f0, 0x170],
  ataControl: [0x3f6, 0x376],
  pci: 0xcf8,
  reset: 0xcf9,
  pmBlock: 0xb000,
} as const;

/** ISA interrupts. */
export const IRQS = { timer: 0, keyboard: 1, com1: 4, rtc: 8, sci: 9, aux: 12, ata: [14, 15] } as const;

/** GSIs of PIRQA..D, and the ISA interrupts firmware routes them to for the 8259s. */
export const PIRQ_GSI = [16, 17, 18, 19] as const;
export const PIRQ_ISA = [10, 10, 11, 11] as const;

/** What firmware hands out to I/O BARs; end exclusive. */
export const PCI_IO = { start: 0xc000, end: 0x1_0000 } as const;
/** Slots on PCI bus 0. */
export const PCI_SLOTS = { host: 0, isa: 1, xenPlatform: 3 } as const;
/** Functions of the ISA bridge's slot. */
export const IDE_FUNCTION = 1;
export const PM_FUNCTION = 3;
