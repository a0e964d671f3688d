// SPDX-License-Identifier: MIT
/**
 * 82093AA I/O APIC, 24 inputs. Rules: Intel 82093AA datasheet (290566-001).
 *
 * Inputs are levels of assertion: the polarity bit is stored but changes nothing, as lines here have no
 * voltage. Writing edge mode to an entry clears its Remote IRR, which Linux uses as an EOI on version 0x11.
 * An edge on a masked input is lost; a level waits.
 *
 * Not done: the arbitration ID (reads as the ID), delivery status (a message is delivered or refused at once).
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import type { AccessSize, MmioDevice } from "../../cpu/base/bus.ts";

export const IOREGSEL = 0x00; // register select
export const IOWIN = 0x10; // data window
export const IOAPICID = 0x00;
export const IOAPICVER = 0x01;
export const IOAPICARB = 0x02;
export const IOREDTBL = 0x10; // two 32-bit registers for each input
export const IOREDTBL_INTVEC = 0xff;
export const IOREDTBL_DELMOD = [10, 8] as const; // delivery mode, DELMOD_*
export const IOREDTBL_DESTMOD = 1 << 11; // 1: logical
export const IOREDTBL_REMOTE_IRR = 1 << 14;
export const IOREDTBL_LEVEL = 1 << 15; // trigger mode
export const IOREDTBL_MASK = 1 << 16;

/** Delivery modes of an interrupt message; the same in IOREDTBL, LVT, ICR and MSI. */
export const DELMOD_Fixed = 0;
export const DELMOD_LowestPriority = 1;
export const DELMOD_SMI = 2;
export const DELMOD_NMI = 4;
export const DELMOD_INIT = 5;
export const DELMOD_StartUp = 6;
export const DELMOD_ExtINT = 7;

/** Redirection entries. */
export const IOAPIC_PINS = 24;
const VERSION = 0x11 | (IOAPIC_PINS - 1) << 16;
/** Writable bits of the low half: all but Delivery Status, Remote IRR and the reserved ones. */
const LOW_WRITABLE = 0x0001_afff;

/**
 * Where interrupt messages go: the local APICs. True when one took it. `destination` is 8 bits wide from an
 * IOAPIC, and logical or physical.
 */
export type ApicBus = (
  vector: number,
  deliveryMode: number,
  level: boolean,
  destination: number,
  logical: boolean,
) => boolean;

/** What the chip is connected to. */
export interface IoapicWires {
  readonly send: ApicBus;
  /** Brings the inputs up to date; called before a level decides something. Default: they always are. */
  sample?(): void;
}

/** All the state. */
export interface IoapicState {
  select: number;
  id: number; // 0..15
  pins: number; // levels of the inputs
  low: number[]; // IOREDTBL bits 31:0
  high: number[]; // IOREDTBL bits 63:32
}

const powerOn = (): IoapicState => ({
  select: 0,
  id: 0,
  pins: 0,
  low: new Array(IOAPIC_PINS).fill(IOREDTBL_MASK),
  high: new Array(IOAPIC_PINS).fill(0),
});

/** The chip. */
export class Ioapic implements MmioDevice<IoapicState> {
  readonly mmioBytes = 0x1000;
  #s = powerOn();

  constructor(readonly name: string, readonly wires: IoapicWires) {}

  /** Inputs keep their level: they belong to the devices. */
  reset(): void {
    this.#s = { ...powerOn(), pins: this.#s.pins };
  }

  save(): IoapicState {
    return structuredClone(this.#s);
  }

  /** Sends nothing: what was delivered is in the local APIC's own state. */
  restore(state: IoapicState): void {
    this.#s = structuredClone(state);
  }

  /** Drives input `pin`. */
  setPin(pin: number, asserted: boolean): void {
    assert(pin >= 0 && pin < IOAPIC_PINS, "the IOAPIC has this input");
    const s = this.#s;
    const bit = 1 << pin;
    if (asserted === ((s.pins & bit) !== 0)) return;
    s.pins ^= bit;
    if (!asserted) return;
    const entry = this.#low(pin);
    if ((entry & IOREDTBL_LEVEL) !== 0) this.#update(pin);
    else if ((entry & IOREDTBL_MASK) === 0) this.#send(pin, entry);
  }

  /** A local APIC ended a level-triggered interrupt. */
  eoi(vector: number): void {
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const entry = this.#low(pin);
      if ((entry & IOREDTBL_REMOTE_IRR) === 0 || (entry & IOREDTBL_INTVEC) !== vector) continue;
      this.#s.low[pin] = entry & ~IOREDTBL_REMOTE_IRR;
      this.#update(pin);
    }
  }

  /** A local APIC takes messages that it may have refused: a level-triggered input sends until somebody takes it. */
  retry(): void {
    for (let pin = 0; pin < IOAPIC_PINS; pin++) this.#update(pin);
  }

  /** True when some unmasked input raises NMIs. */
  get sendsNmi(): boolean {
    return this.#s.low.some((entry) => (entry & IOREDTBL_MASK) === 0 && ((entry >> 8) & 7) === DELMOD_NMI);
  }

  readMmio(offset: number, size: AccessSize): number {
    if (offset === IOREGSEL) return this.#s.select;
    if (offset === IOWIN && size === 4) return this.#readRegister(this.#s.select);
    return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
  }

  writeMmio(offset: number, size: AccessSize, value: number): void {
    if (offset === IOREGSEL) this.#s.select = value & 0xff;
    else if (offset === IOWIN && size === 4) this.#writeRegister(this.#s.select, value >>> 0);
  }

  #readRegister(index: number): number {
    switch (index) {
      case IOAPICID:
      case IOAPICARB:
        return this.#s.id << 24;
      case IOAPICVER:
        return VERSION;
      default: {
        const pin = (index - IOREDTBL) >> 1;
        return ((index & 1) === 0 ? this.#s.low[pin] : this.#s.high[pin]) ?? 0; // reserved: 0
      }
    }
  }

  #writeRegister(index: number, value: number): void {
    const s = this.#s;
    if (index === IOAPICID) s.id = (value >>> 24) & 15;
    const pin = (index - IOREDTBL) >> 1;
    if (pin < 0 || pin >= IOAPIC_PINS) return;
    if ((index & 1) !== 0) {
      s.high[pin] = (value & 0xff00_0000) >>> 0;
      return;
    }
    const keep = (value & IOREDTBL_LEVEL) !== 0 ? this.#low(pin) & IOREDTBL_REMOTE_IRR : 0;
    s.low[pin] = (value & LOW_WRITABLE) | keep;
    this.#update(pin);
  }

  #low(pin: number): number {
    return this.#s.low[pin] ?? IOREDTBL_MASK;
  }

  #send(pin: number, entry: number): boolean {
    const destination = (this.#s.high[pin] ?? 0) >>> 24;
    const level = (entry & IOREDTBL_LEVEL) !== 0;
    const logical = (entry & IOREDTBL_DESTMOD) !== 0;
    return this.wires.send(entry & IOREDTBL_INTVEC, (entry >> 8) & 7, level, destination, logical);
  }

  /** Sends a level-triggered input that is asserted, unmasked and not in service; Remote IRR once accepted. */
  #update(pin: number): void {
    if ((this.#s.pins & (1 << pin)) === 0) return;
    this.wires.sample?.();
    const entry = this.#low(pin);
    const blocked = IOREDTBL_MASK | IOREDTBL_REMOTE_IRR;
    if ((this.#s.pins & (1 << pin)) === 0 || (entry & (IOREDTBL_LEVEL | blocked)) !== IOREDTBL_LEVEL) return;
    if (this.#send(pin, entry)) this.#s.low[pin] = entry | IOREDTBL_REMOTE_IRR;
  }
}
