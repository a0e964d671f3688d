// SPDX-License-Identifier: MIT
/**
 * Three single ports every PC emulator has: the debug console of Bochs and QEMU (0xe9), the POST code port
 * (0x80), and system control port A (0x92: fast A20 gate and fast reset, IBM PS/2).
 *
 * The A20 gate is remembered and reported, but address line 20 is always enabled.
 * @module
 */
import type { AccessSize, PortDevice } from "../../cpu/base/bus.ts";

/** What a read of the debug console returns, so that guests can probe for it. */
export const DEBUG_CONSOLE_MAGIC = 0xe9;
export const PORTA_FAST_RESET = 1 << 0; // 0 to 1 resets
export const PORTA_A20 = 1 << 1; // A20 enabled

function ones(size: AccessSize): number {
  return size === 4 ? 0xffff_ff00 : size === 2 ? 0xff00 : 0;
}

/** Port 0xe9: bytes written come out on the host. */
export class DebugConsole implements PortDevice<Record<never, never>> {
  readonly portCount = 1;
  constructor(readonly name: string, readonly wires: { send(byte: number): void }) {}
  reset(): void {}
  save(): Record<never, never> {
    return {};
  }
  restore(_state: Record<never, never>): void {}
  readPort(_offset: number, size: AccessSize): number {
    return (ones(size) | DEBUG_CONSOLE_MAGIC) >>> 0;
  }
  writePort(_offset: number, _size: AccessSize, value: number): void {
    this.wires.send(value & 0xff);
  }
}

/** Port 0x80: the last code written can be read back. Linux also writes it as a delay. */
export class PostCode implements PortDevice<{ code: number }> {
  readonly portCount = 1;
  #s = { code: 0 };
  constructor(readonly name: string) {}
  /** The last code the guest wrote. */
  get code(): number {
    return this.#s.code;
  }
  reset(): void {
    this.#s = { code: 0 };
  }
  save(): { code: number } {
    return { ...this.#s };
  }
  restore(state: { code: number }): void {
    this.#s = { ...state };
  }
  readPort(_offset: number, size: AccessSize): number {
    return (ones(size) | this.#s.code) >>> 0;
  }
  writePort(_offset: number, _size: AccessSize, value: number): void {
    this.#s.code = value & 0xff;
  }
}

/** Port 0x92. */
export class SystemControlA implements PortDevice<{ value: number }> {
  readonly portCount = 1;
  #s = { value: PORTA_A20 };
  /** `reset`: the guest asks for a reset; do it once the current instruction has ended. */
  constructor(readonly name: string, readonly wires: { reset(): void }) {}
  reset(): void {
    this.#s = { value: PORTA_A20 };
  }
  save(): { value: number } {
    return { ...this.#s };
  }
  restore(state: { value: number }): void {
    this.#s = { ...state };
  }
  readPort(_offset: number, size: AccessSize): number {
    return (ones(size) | this.#s.value) >>> 0;
  }
  writePort(_offset: number, _size: AccessSize, value: number): void {
    const rises = (value & ~this.#s.value & PORTA_FAST_RESET) !== 0;
    this.#s.value = value & (PORTA_FAST_RESET | PORTA_A20);
    if (rises) this.wires.reset();
  }
}
