// SPDX-License-Identifier: MIT
/**
 * 82371SB (PIIX3) ISA bridge: PCI function 0, PIRQ router, reset control register. Rules: Intel 82371FB/SB
 * datasheet (order 290550), §2.2 and §2.5.
 *
 * PIRQA#..PIRQD# reach I/O APIC inputs of their own (GSI 16..19 on a PC with an I/O APIC) and also the ISA
 * interrupt each PIRQRC register routes them to. A PCI slot's INTA# sits on PIRQ (slot - 1) mod 4.
 * Not done: IDE and USB functions, DMA, SERIRQ, chip selects (XBCS is stored only).
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import type { AccessSize, IrqLine, PortDevice } from "../../cpu/base/bus.ts";
import { PciConfigSpace, type PciConfigState, type PciFunction } from "./pci.ts";

export const XBCS = 0x4e; // X-bus chip select
export const PIRQRCA = 0x60; // PIRQ route control A; B, C and D follow
export const PIRQRC_DISABLE = 1 << 7;
export const PIRQRC_IRQ = 0x0f;
export const RC = 1; // reset control, at 0xcf9, so offset 1 of the host bridge's ports
export const RC_SRST = 1 << 1; // hard reset when RCPU is set
export const RC_RCPU = 1 << 2; // 0 to 1 resets
/** PIRQRC values the datasheet allows: 3-7, 9-12, 14, 15. */
const ROUTABLE = 0b1101_1110_1111_1000;

/** All of a {@linkcode Piix3}. */
export interface Piix3State {
  config: PciConfigState;
  rc: number;
  /** Bit mask of PCI devices that assert each PIRQ, by PIRQ * 8 + function number. */
  asserted: number[];
}

/** Where a {@linkcode Piix3} is connected. */
export interface Piix3Wires {
  /** I/O APIC inputs of PIRQA#..PIRQD#. */
  readonly apic: readonly [IrqLine, IrqLine, IrqLine, IrqLine];
  /** ISA interrupts 0..15, true when a PIRQ is routed there and asserted. Others share these lines: OR them. */
  readonly isa: readonly (IrqLine | undefined)[];
  /** The guest asks for a hard reset; do it once the current instruction has ended. */
  reset(): void;
}

/** Which PIRQ (0..3) INTA#..INTD# (`pin` 1..4) of slot `device` is wired to. */
export function pirqOf(device: number, pin: number): number {
  return (device + pin + 2) & 3; // (device - 1) + (pin - 1), modulo 4
}

/** The ISA bridge: a PCI function, and {@linkcode resetControl} behind the host bridge. */
export class Piix3 implements PciFunction<Piix3State> {
  readonly #config: PciConfigSpace;
  #rc = 0;
  #asserted: number[] = new Array(32).fill(0);
  /** What the host bridge passes on at 0xcf8..0xcfb: RC answers byte accesses to offset 1. */
  readonly resetControl: Pick<PortDevice, "readPort" | "writePort"> = {
    readPort: (offset, size) =>
      offset === RC && size === 1 ? this.#rc : size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff,
    writePort: (offset, size, value) => {
      if (offset === RC && size === 1) this.#writeRc(value);
    },
  };

  constructor(readonly name: string, readonly wires: Piix3Wires) {
    this.#config = new PciConfigSpace(
      { vendorId: 0x8086, deviceId: 0x7000, classCode: 0x060100, multiFunction: true },
      { mapper: { map: () => ({ remove: () => {} }) } }, // it has no BARs
    );
    this.#config.define(XBCS, 2, 0x0003, 0xffff);
    for (let i = 0; i < 4; i++) {
      this.#config.define(PIRQRCA + i, 1, PIRQRC_DISABLE, PIRQRC_DISABLE | PIRQRC_IRQ);
    }
    this.#config.onWrite = () => this.#updateIrqs();
  }

  reset(): void {
    this.#rc = 0;
    this.#asserted = new Array(32).fill(0);
    this.#config.reset();
  }

  save(): Piix3State {
    return { config: this.#config.save(), rc: this.#rc, asserted: [...this.#asserted] };
  }

  restore(state: Piix3State): void {
    this.#rc = state.rc;
    this.#asserted = state.asserted.slice(0, 32);
    this.#config.restore(state.config);
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.#config.write(offset, size, value);
  }

  /** The INTx# line of `device`.`fn` (`pin` 1..4). */
  intx(device: number, fn: number, pin: number): IrqLine {
    assert(pin >= 1 && pin <= 4 && device >= 0 && device < 32 && fn >= 0 && fn < 8, "INTx# source in range");
    const index = pirqOf(device, pin) * 8 + fn;
    const bit = 1 << device;
    return {
      set: (on) => {
        const before = this.#asserted[index] as number;
        const now = on ? before | bit : before & ~bit;
        if (now === before) return;
        this.#asserted[index] = now;
        this.#updateIrqs();
      },
    };
  }

  #level(pirq: number): boolean {
    for (let fn = 0; fn < 8; fn++) if (this.#asserted[pirq * 8 + fn] !== 0) return true;
    return false;
  }

  #updateIrqs(): void {
    let isa = 0;
    let pirq = 0;
    for (const line of this.wires.apic) {
      const level = this.#level(pirq);
      line.set(level);
      const route = this.#config.read(PIRQRCA + pirq, 1);
      const irq = route & PIRQRC_IRQ;
      if (level && !(route & PIRQRC_DISABLE) && (ROUTABLE >> irq) & 1) isa |= 1 << irq;
      pirq++;
    }
    this.wires.isa.forEach((line, irq) => line?.set(((isa >> irq) & 1) !== 0));
  }

  #writeRc(value: number): void {
    const rises = (value & ~this.#rc & RC_RCPU) !== 0;
    this.#rc = value & (RC_SRST | RC_RCPU);
    if (rises) this.wires.reset();
  }
}
