// SPDX-License-Identifier: MIT
/**
 * NMI status and control register, port 0x61 of a PC. Rules: 82371SB (PIIX3) datasheet, NMISC. Gates the 8254's
 * channel 2 and shows its OUT. The refresh bit toggles every 15.085 µs (18 input clocks of the 8254), as
 * channel 1 makes it on hardware, whatever the guest programs there: old software waits by it.
 *
 * Not done: parity (SERR#) and IOCHK# never happen here, so bits 7 and 6 read 0. The speaker is silent.
 * @module
 */
import type { AccessSize, PortDevice } from "../../cpu/base/bus.ts";
import type { Clock } from "../../cpu/base/clock.ts";
import { nsToPitTick } from "./i8254.ts";

export const NMISC_TIM2_EN = 1 << 0; // GATE of channel 2
export const NMISC_SPKR_EN = 1 << 1; // speaker data
export const NMISC_PAR_EN = 1 << 2; // 1: SERR# checks off
export const NMISC_IOCHK_EN = 1 << 3; // 1: IOCHK# checks off
export const NMISC_REFRESH = 1 << 4; // toggles with each refresh
export const NMISC_TIM2_OUT = 1 << 5; // OUT of channel 2
const WRITABLE = 0x0f;
const REFRESH_TICKS = 18;

/** State of the register. */
export interface Port61State {
  control: number; // bits 3..0
}

/** What the register is connected to. */
export interface Port61Wires {
  readonly clock: Clock;
  setGate2(level: boolean): void;
  out2(): boolean;
}

/** The register, at offset 0. */
export class Port61 implements PortDevice<Port61State> {
  readonly portCount = 1;
  readonly maxAccess = 1;
  #s: Port61State = { control: 0 };

  constructor(readonly name: string, readonly wires: Port61Wires) {}

  reset(): void {
    this.#s = { control: 0 };
    this.#update();
  }

  save(): Port61State {
    return structuredClone(this.#s);
  }

  restore(state: Port61State): void {
    this.#s = structuredClone(state);
    this.#update();
  }

  readPort(_offset: number, _size: AccessSize): number {
    const refreshes = Math.floor(nsToPitTick(this.wires.clock.nowNs()) / REFRESH_TICKS);
    return this.#s.control | ((refreshes & 1) !== 0 ? NMISC_REFRESH : 0) |
      (this.wires.out2() ? NMISC_TIM2_OUT : 0);
  }

  writePort(_offset: number, _size: AccessSize, value: number): void {
    this.#s.control = value & WRITABLE;
    this.#update();
  }

  #update(): void {
    this.wires.setGate2((this.#s.control & NMISC_TIM2_EN) !== 0);
  }
}
