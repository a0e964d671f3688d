// SPDX-License-Identifier: MIT
/**
 * 82441FX host bridge (PMC): function 0:00.0 and configuration mechanism #1. Rules: Intel 82441FX datasheet
 * (order 290549), §3; PCI 3.0 §3.2.2.3.2.
 *
 * PAM and SMRAM can be written and read back, but the memory behind 0xA0000..0xFFFFF is always RAM.
 * @module
 */
import type { AccessSize, PortDevice } from "../../cpu/base/bus.ts";
import { devfn, type PciBus, PciConfigSpace, type PciConfigState, type PciFunction } from "./pci.ts";

export const CONFADD = 0; // configuration address, at 0xcf8; dword accesses only
export const CONFADD_CONE = 0x8000_0000; // configuration enable
export const CONFDATA = 4; // configuration data, at 0xcfc
export const PAM0 = 0x59; // programmable attribute map, 0x59..0x5f
export const SMRAM = 0x72; // system management RAM control

/** All of an {@linkcode I440fx}. */
export interface I440fxState {
  confadd: number;
  config: PciConfigState;
}

/** Where an {@linkcode I440fx} is connected. */
export interface I440fxWires {
  readonly pci: PciBus;
  /** Accesses to 0xcf8..0xcfb that are not dwords pass to the ISA side: {@linkcode Piix3.resetControl} sits there. */
  readonly isa: Pick<PortDevice, "readPort" | "writePort">;
}

/** The host bridge: ports 0xcf8..0xcff, and a PCI function. */
export class I440fx implements PortDevice<I440fxState>, PciFunction<I440fxState> {
  readonly portCount = 8;
  readonly #config: PciConfigSpace;
  #confadd = 0;

  constructor(readonly name: string, readonly wires: I440fxWires) {
    this.#config = new PciConfigSpace(
      { vendorId: 0x8086, deviceId: 0x1237, classCode: 0x060000, revisionId: 0x02 },
      { mapper: { map: () => ({ remove: () => {} }) } }, // it has no BARs
    );
    for (let i = 0; i < 7; i++) this.#config.define(PAM0 + i, 1, 0, i === 0 ? 0xf0 : 0xff);
    this.#config.define(SMRAM, 1, 0x02, 0x78);
  }

  reset(): void {
    this.#confadd = 0;
    this.#config.reset();
  }

  save(): I440fxState {
    return { confadd: this.#confadd, config: this.#config.save() };
  }

  restore(state: I440fxState): void {
    this.#confadd = state.confadd >>> 0;
    this.#config.restore(state.config);
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.#config.write(offset, size, value);
  }

  readPort(offset: number, size: AccessSize): number {
    if (offset >= CONFDATA) {
      const target = this.#target(offset, size);
      return target === undefined
        ? (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff)
        : target.readConfig((this.#confadd & 0xfc) | (offset & 3), size);
    }
    if (offset === CONFADD && size === 4) return this.#confadd;
    return this.wires.isa.readPort(offset, size);
  }

  writePort(offset: number, size: AccessSize, value: number): void {
    if (offset >= CONFDATA) {
      this.#target(offset, size)?.writeConfig((this.#confadd & 0xfc) | (offset & 3), size, value);
    } else if (offset === CONFADD && size === 4) {
      this.#confadd = (value & 0x80ff_fffc) >>> 0;
    } else {
      this.wires.isa.writePort(offset, size, value);
    }
  }

  /** The function CONFADD selects, when the access stays inside one dword. */
  #target(offset: number, size: number): PciFunction | undefined {
    const address = this.#confadd;
    if ((address & CONFADD_CONE) === 0 || (address & 0xff_0000) !== 0) return undefined;
    if ((offset & 3) + size > 4) return undefined;
    const index = (address >>> 8) & 0xff;
    return this.wires.pci.at(index >> 3, index & 7);
  }
}

/** CONFADD for register `offset` of bus 0, `device`.`fn`. */
export function confadd(device: number, fn: number, offset: number): number {
  return (CONFADD_CONE | (devfn(device, fn) << 8) | (offset & 0xfc)) >>> 0;
}
