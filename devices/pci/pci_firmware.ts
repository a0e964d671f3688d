// SPDX-License-Identifier: MIT
/**
 * What a BIOS does to a PCI bus before it starts an operating system: sizes every base address register,
 * gives it an address, enables decoding and writes the interrupt line. Rules: PCI 3.0 §6.2.5.1. It works
 * through configuration accesses only, as firmware does.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { hex } from "../../cpu/base/bits.ts";
import {
  PCI_BASE_ADDRESS_0,
  PCI_BASE_ADDRESS_SPACE_IO,
  PCI_COMMAND,
  PCI_COMMAND_IO,
  PCI_COMMAND_MASTER,
  PCI_COMMAND_MEMORY,
  PCI_INTERRUPT_LINE,
  PCI_INTERRUPT_PIN,
  type PciBus,
} from "./pci.ts";

/** What firmware may hand out; ends are exclusive. */
export interface PciResources {
  readonly io: { readonly start: number; readonly end: number };
  readonly memory: { readonly start: number; readonly end: number };
  /** Value of the interrupt line register for INTA#..INTD# (pin 1..4) of `device`. */
  interruptLine(device: number, pin: number): number;
}

interface Need {
  readonly order: number;
  readonly bytes: number;
  readonly io: boolean;
  set(base: number): void;
}

/** Assigns everything, biggest first so that natural alignment wastes nothing. */
export function assignPciResources(bus: PciBus, resources: PciResources): void {
  const needs: Need[] = [];
  for (const [devfn, fn] of bus.functions()) {
    let command = fn.readConfig(PCI_COMMAND, 2);
    fn.writeConfig(PCI_COMMAND, 2, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
    for (let i = 0; i < 6; i++) {
      const bar = PCI_BASE_ADDRESS_0 + 4 * i;
      const old = fn.readConfig(bar, 4);
      fn.writeConfig(bar, 4, 0xffff_ffff);
      const sized = fn.readConfig(bar, 4);
      fn.writeConfig(bar, 4, old);
      if (sized === 0) continue;
      const io = (sized & PCI_BASE_ADDRESS_SPACE_IO) !== 0;
      const bytes = (~(sized & (io ? ~0x3 : ~0xf)) + 1) >>> 0;
      const set = (base: number) => fn.writeConfig(bar, 4, base);
      needs.push({ order: needs.length, bytes, io, set });
      command |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    }
    const pin = fn.readConfig(PCI_INTERRUPT_PIN, 1);
    if (pin !== 0) fn.writeConfig(PCI_INTERRUPT_LINE, 1, resources.interruptLine(devfn >> 3, pin));
    const enable = command | PCI_COMMAND_MASTER;
    needs.push({
      order: needs.length,
      bytes: 0,
      io: true,
      set: () => fn.writeConfig(PCI_COMMAND, 2, enable),
    });
  }
  needs.sort((a, b) => b.bytes - a.bytes || a.order - b.order); // enabling (0 bytes) comes last
  const next = { io: resources.io.start, memory: resources.memory.start };
  for (const need of needs) {
    if (need.bytes === 0) {
      need.set(0);
      continue;
    }
    const space = need.io ? "io" : "memory";
    const base = Math.ceil(next[space] / need.bytes) * need.bytes;
    next[space] = base + need.bytes;
    if (next[space] > resources[space].end) {
      throw new ConfigError(
        `Cannot place a PCI ${space} range of ${hex(need.bytes)} bytes: no room left`,
        "input",
      );
    }
    need.set(base);
  }
}
