// SPDX-License-Identifier: MIT
/**
 * One re-armable timer over a {@linkcode Clock}: what every chip with a comparator needs. Derived from the
 * device's record like an interrupt pin, so it is not part of the state.
 * @module
 */
import type { Clock, Timer } from "../../cpu/base/clock.ts";

/** Calls `fn` at the armed deadline; arming replaces what was armed. */
export class Deadline {
  #timer: Timer | undefined;

  constructor(readonly clock: Clock, readonly fn: () => void) {}

  /** Arms for `deadlineNs` (rounded up); Infinity, or past what a clock can count, disarms. */
  set(deadlineNs: number): void {
    const deadline = Math.ceil(deadlineNs);
    if (this.#timer?.deadlineNs === deadline) return;
    this.#timer?.cancel();
    this.#timer = Number.isSafeInteger(deadline) ? this.clock.at(deadline, () => this.#fire()) : undefined;
  }

  #fire(): void {
    this.#timer = undefined;
    this.fn();
  }
}
