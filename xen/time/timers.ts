// SPDX-License-Identifier: MIT
/**
 * The vCPU's single-shot and periodic timers, which raise VIRQ_TIMER, and the domain's watchdogs. Rules: Xen
 * public/vcpu.h and sched.h; behavior of common/domain.c and common/sched.
 * @module
 */
import type { Clock, Timer } from "../../cpu/base/clock.ts";
import { XEN_EINVAL, XEN_ENOSPC, XEN_ETIME } from "../public/errno.ts";

const MILLISECOND = 1_000_000;
const SECOND = 1_000_000_000;
/** Xen's watchdogs per domain. */
const NR_DOMAIN_WATCHDOG_TIMERS = 2;
/** Timeouts this far away are a wrapped jiffies counter of an old Linux: set_timer_op fires in 100 ms instead. */
const SET_TIMER_OP_FAR = 2 ** 50;
/** Longest period; Xen's STIME_DELTA_MAX is 2^63 less two seconds, a number here ends at 2^53 (104 days). */
const LONGEST_PERIOD = Number.MAX_SAFE_INTEGER;

/** Deadlines in system time; null when not running. */
export interface TimersState {
  readonly singleshot: number | null;
  readonly periodic: number | null;
  readonly periodNs: number;
  readonly watchdogs: readonly (number | null)[];
}

/** See the module's description. */
export class XenTimers {
  readonly #clock: Clock;
  readonly #tick: () => void;
  readonly #bark: () => void;
  #singleshot: Timer | undefined;
  #periodic: Timer | undefined;
  #periodNs = 0;
  readonly #watchdogs: (Timer | undefined)[] = new Array(NR_DOMAIN_WATCHDOG_TIMERS).fill(undefined);

  /** `tick` raises VIRQ_TIMER; `bark` shuts the domain down because a watchdog expired. */
  constructor(clock: Clock, tick: () => void, bark: () => void) {
    this.#clock = clock;
    this.#tick = tick;
    this.#bark = bark;
  }

  /** VCPUOP_set_singleshot_timer. Returns 0, or -ETIME when `future` was asked for and the time has passed. */
  setSingleshot(deadlineNs: number, future: boolean): number {
    if (future && deadlineNs < this.#clock.nowNs()) return -XEN_ETIME;
    this.#singleshot?.cancel();
    this.#singleshot = this.#clock.at(deadlineNs, () => {
      this.#singleshot = undefined;
      this.#tick();
    });
    return 0;
  }

  /** VCPUOP_stop_singleshot_timer. */
  stopSingleshot(): void {
    this.#singleshot?.cancel();
    this.#singleshot = undefined;
  }

  /** VCPUOP_set_periodic_timer. Returns 0 or a negative errno. */
  setPeriodic(periodNs: number): number {
    if (periodNs < MILLISECOND || periodNs > LONGEST_PERIOD) return -XEN_EINVAL;
    this.stopPeriodic();
    this.#periodNs = periodNs;
    this.#armPeriodic(this.#clock.nowNs() + periodNs);
    return 0;
  }

  /** VCPUOP_stop_periodic_timer. */
  stopPeriodic(): void {
    this.#periodic?.cancel();
    this.#periodic = undefined;
    this.#periodNs = 0;
  }

  /** set_timer_op: `timeoutNs` is a signed absolute time, 0 stops. */
  setTimerOp(timeoutNs: number): number {
    if (timeoutNs === 0) {
      this.stopSingleshot();
      return 0;
    }
    const now = this.#clock.nowNs();
    const wrapped = timeoutNs < 0 || timeoutNs - now >= SET_TIMER_OP_FAR;
    return this.setSingleshot(wrapped ? now + 100 * MILLISECOND : timeoutNs, false);
  }

  /** SCHEDOP_watchdog. Returns the new watchdog's id, 0, or a negative errno. */
  watchdog(id: number, timeoutSeconds: number): number {
    if (id > NR_DOMAIN_WATCHDOG_TIMERS) return -XEN_EINVAL;
    if (id === 0) {
      const free = this.#watchdogs.findIndex((timer) => timer === undefined);
      if (free < 0) return -XEN_ENOSPC;
      this.#armWatchdog(free, this.#clock.nowNs() + timeoutSeconds * SECOND);
      return free + 1;
    }
    const timer = this.#watchdogs[id - 1];
    if (timer === undefined) return -XEN_EINVAL;
    timer.cancel();
    this.#watchdogs[id - 1] = undefined;
    if (timeoutSeconds !== 0) this.#armWatchdog(id - 1, this.#clock.nowNs() + timeoutSeconds * SECOND);
    return 0;
  }

  /** True while a watchdog may end the domain. */
  get watchdogRuns(): boolean {
    return this.#watchdogs.some((timer) => timer !== undefined);
  }

  /** Stops everything. */
  reset(): void {
    this.stopSingleshot();
    this.stopPeriodic();
    for (let i = 0; i < NR_DOMAIN_WATCHDOG_TIMERS; i++) {
      this.#watchdogs[i]?.cancel();
      this.#watchdogs[i] = undefined;
    }
  }

  /** The plain record of a snapshot. */
  save(): TimersState {
    return {
      singleshot: this.#singleshot?.deadlineNs ?? null,
      periodic: this.#periodic?.deadlineNs ?? null,
      periodNs: this.#periodNs,
      watchdogs: this.#watchdogs.map((timer) => timer?.deadlineNs ?? null),
    };
  }

  /** Restores what `save` gave; the clock must be restored already. */
  restore(state: TimersState): void {
    this.reset();
    if (state.singleshot !== null) this.setSingleshot(state.singleshot, false);
    this.#periodNs = state.periodNs;
    if (state.periodic !== null) this.#armPeriodic(state.periodic);
    state.watchdogs.forEach((deadline, i) => {
      if (deadline !== null && i < NR_DOMAIN_WATCHDOG_TIMERS) this.#armWatchdog(i, deadline);
    });
  }

  #armPeriodic(deadlineNs: number): void {
    this.#periodic = this.#clock.at(deadlineNs, () => {
      // Ticks that were missed are dropped, not delivered in a burst.
      const late = Math.floor((this.#clock.nowNs() - deadlineNs) / this.#periodNs);
      this.#armPeriodic(deadlineNs + (late + 1) * this.#periodNs);
      this.#tick();
    });
  }

  #armWatchdog(i: number, deadlineNs: number): void {
    this.#watchdogs[i] = this.#clock.at(deadlineNs, () => {
      this.#watchdogs[i] = undefined;
      this.#bark();
    });
  }
}
