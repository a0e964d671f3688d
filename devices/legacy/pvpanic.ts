// SPDX-License-Identifier: MIT
/**
 * The pvpanic device: a port by which a guest's kernel says that it has panicked. Rules: QEMU docs/specs/pvpanic.rst; Linux
 * has the driver (pvpanic-mmio, by ACPI QEMU0001).
 * @module
 */
import type { AccessSize, PortDevice } from "../../cpu/base/bus.ts";

export const PVPANIC_PANICKED = 1 << 0;
export const PVPANIC_CRASH_LOADED = 1 << 1; // a crash kernel is about to run, which deals with the panic

/** What it is connected to. */
export interface PvpanicWires {
  panicked(): void;
  crashLoaded(): void;
}

/** It keeps nothing: what was written has happened. */
export class Pvpanic implements PortDevice<Record<never, never>> {
  readonly portCount = 1;
  constructor(readonly name: string, readonly wires: PvpanicWires) {}
  reset(): void {}
  save(): Record<never, never> {
    return {};
  }
  restore(_state: Record<never, never>): void {}
  /** The events that it understands. */
  readPort(_offset: number, size: AccessSize): number {
    const above = size === 4 ? 0xffff_ff00 : size === 2 ? 0xff00 : 0;
    return (above | PVPANIC_PANICKED | PVPANIC_CRASH_LOADED) >>> 0;
  }
  writePort(_offset: number, _size: AccessSize, value: number): void {
    if ((value & PVPANIC_CRASH_LOADED) !== 0) this.wires.crashLoaded();
    if ((value & PVPANIC_PANICKED) !== 0) this.wires.panicked();
  }
}
