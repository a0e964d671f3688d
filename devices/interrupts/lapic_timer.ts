// SPDX-License-Identifier: MIT
/**
 * The local APIC's timer: one-shot, periodic and TSC-deadline. Rules: Intel SDM Vol. 3A §11.5.4 (section numbers
 * as of 2023). The count is a function of the time since it was loaded; periods that pass unpolled become one.
 * @module
 */
import type { Clock } from "../../cpu/base/clock.ts";
import { Deadline } from "../bus/deadline.ts";

/** LVT timer mode, bits 18:17. */
export const TIMER_ONE_SHOT = 0;
export const TIMER_PERIODIC = 1;
export const TIMER_TSC_DEADLINE = 2;

/** State of the timer. */
export interface LapicTimerState {
  mode: number;
  divide: number; // divide configuration register: bits 3, 1, 0
  initial: number; // initial count register
  startNs: number; // when that count was written
  periods: number; // expired since, in periodic mode
  armed: boolean; // counting towards an expiry
  tscDeadline: bigint; // IA32_TSC_DEADLINE; 0 when disarmed
}

/** Registers after reset. */
export const lapicTimerReset = (): LapicTimerState => ({
  mode: TIMER_ONE_SHOT,
  divide: 0,
  initial: 0,
  startNs: 0,
  periods: 0,
  armed: false,
  tscDeadline: 0n,
});

/** What the timer is connected to. */
export interface LapicTimerWires {
  readonly clock: Clock;
  /** Frequency before the divider. */
  readonly timerHz: number;
  /** When, in clock time, the TSC reaches a value. */
  tscToNs(tsc: bigint): number;
}

/** See the module's description. */
export class LapicTimer {
  #s = lapicTimerReset();
  readonly #timer: Deadline;

  /** `expired` is called at each expiry. */
  constructor(readonly wires: LapicTimerWires, readonly expired: () => void) {
    this.#timer = new Deadline(wires.clock, () => this.#update());
  }

  reset(): void {
    this.#s = lapicTimerReset();
    this.#update();
  }

  save(): LapicTimerState {
    return structuredClone(this.#s);
  }

  restore(state: LapicTimerState): void {
    this.#s = structuredClone(state);
    this.#update();
  }

  /** Follows the LVT. Going to or from TSC-deadline mode disarms. */
  setMode(mode: number): void {
    this.#update();
    const s = this.#s;
    if (mode === s.mode) return;
    if (mode === TIMER_TSC_DEADLINE || s.mode === TIMER_TSC_DEADLINE) {
      this.#s = { ...lapicTimerReset(), divide: s.divide };
    }
    this.#s.mode = mode;
    this.#update();
  }

  get divide(): number {
    return this.#s.divide;
  }

  /** The count goes on from where it is, at the new speed. */
  set divide(value: number) {
    this.#update();
    const s = this.#s;
    const done = s.initial - this.currentCount;
    s.divide = value & 0xb;
    s.startNs = this.wires.clock.nowNs() - done / this.#rate();
    s.periods = 0;
    this.#update();
  }

  get initialCount(): number {
    return this.#s.initial;
  }

  /** Starts counting down; 0 stops. Does nothing in TSC-deadline mode. */
  set initialCount(value: number) {
    this.#update();
    const s = this.#s;
    if (s.mode === TIMER_TSC_DEADLINE) return;
    s.initial = value >>> 0;
    s.startNs = this.wires.clock.nowNs();
    s.periods = 0;
    s.armed = s.initial !== 0;
    this.#update();
  }

  /** The current count register. */
  get currentCount(): number {
    const s = this.#s;
    if (!s.armed) return 0;
    const done = Math.floor((this.wires.clock.nowNs() - s.startNs) * this.#rate());
    if (s.mode === TIMER_PERIODIC) return s.initial - done % s.initial;
    return Math.max(0, (s.periods + 1) * s.initial - done);
  }

  get tscDeadline(): bigint {
    return this.#s.tscDeadline;
  }

  /** IA32_TSC_DEADLINE: fires at once when the TSC is past it; ignored in the other modes. */
  set tscDeadline(value: bigint) {
    this.#update();
    if (this.#s.mode !== TIMER_TSC_DEADLINE) return;
    this.#s.tscDeadline = value;
    this.#update();
  }

  /** Counts per nanosecond. */
  #rate(): number {
    const { divide } = this.#s;
    const field = ((divide >> 1) & 4) | (divide & 3);
    return this.wires.timerHz / 1e9 / (field === 7 ? 1 : 2 << field);
  }

  #deadlineNs(): number {
    const s = this.#s;
    if (s.mode === TIMER_TSC_DEADLINE) {
      return s.tscDeadline === 0n ? Infinity : this.wires.tscToNs(s.tscDeadline);
    }
    return s.armed ? s.startNs + (s.periods + 1) * s.initial / this.#rate() : Infinity;
  }

  /** Expires what is due, and arms the host timer for what comes next. */
  #update(): void {
    const s = this.#s;
    const now = this.wires.clock.nowNs();
    let deadline = this.#deadlineNs();
    const due = now >= deadline;
    if (due) {
      if (s.mode === TIMER_PERIODIC) {
        s.periods = Math.max(s.periods + 1, Math.floor((now - s.startNs) * this.#rate() / s.initial));
      } else {
        s.armed = false;
        s.tscDeadline = 0n;
      }
      deadline = this.#deadlineNs();
    }
    this.#timer.set(Math.max(deadline, now + 1));
    if (due) this.expired();
  }
}
