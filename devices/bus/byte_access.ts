// SPDX-License-Identifier: MIT
/**
 * 8-bit ISA chips behind a wider bus: a 16- or 32-bit access becomes byte cycles at successive ports, and a
 * cycle past the chip's last port finds nobody (reads all ones).
 * @module
 */
import type { AccessSize } from "../../cpu/base/bus.ts";

/** A chip that only knows byte cycles. */
export interface ByteRegisters {
  readonly portCount: number;
  readByte(offset: number): number;
  writeByte(offset: number, value: number): void;
}

/** Reads `size` bytes as byte cycles, lowest port first. */
export function readAsBytes(chip: ByteRegisters, offset: number, size: AccessSize): number {
  if (size === 1) return offset < chip.portCount ? chip.readByte(offset) : 0xff;
  let value = 0;
  for (let i = 0; i < size; i++) {
    const byte = offset + i < chip.portCount ? chip.readByte(offset + i) : 0xff;
    value |= byte << (8 * i);
  }
  return value >>> 0;
}

/** Writes `size` bytes as byte cycles, lowest port first. */
export function writeAsBytes(chip: ByteRegisters, offset: number, size: AccessSize, value: number): void {
  for (let i = 0; i < size; i++) {
    if (offset + i < chip.portCount) chip.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }
}
