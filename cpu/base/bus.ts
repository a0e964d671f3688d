// SPDX-License-Identifier: MIT
/**
 * What the CPU sees of the machine (a {@linkcode Bus}) and what the bus sees of a device. Devices see offsets,
 * never absolute addresses; `devices/machine/board/chips.ts` alone maps them.
 * @module
 */
import type { Gpa } from "./bits.ts";

/** Access sizes in bytes. The bus splits larger accesses. */
export type AccessSize = 1 | 2 | 4;

/** Port and MMIO space as the CPU sees them. Values are u8/u16/u32. Nobody home reads as all ones. */
export interface Bus {
  readPort(port: number, size: AccessSize): number;
  writePort(port: number, size: AccessSize, value: number): void;
  readMmio(gpa: Gpa, size: AccessSize): number;
  writeMmio(gpa: Gpa, size: AccessSize, value: number): void;
}

/** An interrupt pin. `set` is level; repeating a level is harmless. */
export interface IrqLine {
  set(asserted: boolean): void;
}

/** Everything that can be reset and snapshotted. `State` is a plain, structured-cloneable record. */
export interface Device<State> {
  /** Log prefix and snapshot key, such as "com1". */
  readonly name: string;
  reset(): void;
  save(): State;
  restore(state: State): void;
}

/** A range of I/O ports. */
export interface PortDevice<State = unknown> extends Device<State> {
  readonly portCount: number;
  /** Widest access it takes (8-bit chips: 1); the bus splits wider ones into ascending pieces. Default 4. */
  readonly maxAccess?: AccessSize;
  readPort(offset: number, size: AccessSize): number;
  writePort(offset: number, size: AccessSize, value: number): void;
}

/** A range of physical addresses. */
export interface MmioDevice<State = unknown> extends Device<State> {
  readonly mmioBytes: number;
  readMmio(offset: number, size: AccessSize): number;
  writeMmio(offset: number, size: AccessSize, value: number): void;
}

/** Where the CPU gets its maskable interrupts from. */
export interface InterruptSource {
  /** True while some vector waits to be taken. */
  readonly pending: boolean;
  /** Takes the highest-priority vector (INTA cycle); -1 when it went away meanwhile. */
  acknowledge(): number;
}
