// SPDX-License-Identifier: MIT
/** The interrupt controllers of a PC, driven by hand: for tests. @module */
import { ManualClock } from "../../cpu/base/clock.ts";
import { InterruptController } from "./interrupts.ts";

/** See the module's description. */
export class Rig {
  clock = new ManualClock();
  /** Level of INTR. */
  intr = false;
  nmis = 0;
  ic = new InterruptController("irq", {
    clock: this.clock,
    timerHz: 1e9,
    tscToNs: Number,
    nmi: () => void this.nmis++,
    intr: { set: (on) => void (this.intr = on) },
  });

  /** 8259s as Linux sets them up: vectors 0x30 and 0x38, all unmasked; APIC in virtual wire mode. `icw4`: of both. */
  boot(icw4 = 1): this {
    for (const [p, base, icw3] of [[this.ic.pic.master, 0x30, 4], [this.ic.pic.slave, 0x38, 2]] as const) {
      p.writePort(0, 1, 0x11);
      for (const v of [base, icw3, icw4, 0]) p.writePort(1, 1, v);
    }
    this.ic.lapic.setVirtualWire();
    return this;
  }
  /** Writes the low half of an IOAPIC entry. */
  entry(pin: number, low: number): this {
    this.ic.ioapic.writeMmio(0, 4, 0x10 + 2 * pin);
    this.ic.ioapic.writeMmio(0x10, 4, low);
    return this;
  }
  /** The low half of an IOAPIC entry. */
  readEntry(pin: number): number {
    this.ic.ioapic.writeMmio(0, 4, 0x10 + 2 * pin);
    return this.ic.ioapic.readMmio(0x10, 4);
  }
  maskPic(): this {
    this.ic.pic.master.writePort(1, 1, 0xff);
    this.ic.pic.slave.writePort(1, 1, 0xff);
    return this;
  }
  /** Writes a local APIC register. */
  apic(offset: number, value: number): this {
    this.ic.lapic.writeMmio(offset, 4, value);
    return this;
  }
  eoi(): this {
    return this.apic(0xb0, 0);
  }
  /** INTA. */
  take(): number {
    return this.ic.acknowledge();
  }
}
