// SPDX-License-Identifier: MIT
/**
 * Whether the vCPU runs: blocked by sched_op, stopped by a shutdown, and its runstate. Rules: Xen public/sched.h
 * and vcpu.h; behavior of common/sched/core.c.
 *
 * Hypercalls cannot wait here: SCHEDOP_block and SCHEDOP_poll return 0 at once with `blocked` set, and whoever
 * drives the vCPU does not run it until `blocked` is clear again.
 * @module
 */
import type { Clock, Timer } from "../../cpu/base/clock.ts";
import type { Vcpu } from "../../cpu/base/vcpu.ts";
import type { GuestBits } from "../public/abi.ts";
import { RUNSTATE_blocked, RUNSTATE_offline, RUNSTATE_running, vcpu_runstate_info } from "../public/vcpu.ts";
import { setU64 } from "../public/words.ts";

const RUNSTATES = 4;

/** What a snapshot keeps. */
export interface SchedulerState {
  readonly blocked: boolean;
  readonly stopped: boolean;
  readonly pollPorts: readonly number[];
  readonly pollDeadline: number | null;
  readonly runstate: number;
  readonly enteredNs: number;
  readonly timesNs: readonly number[];
  readonly area: bigint | null;
  readonly areaBits: GuestBits;
}

/** See the module's description. */
export class Scheduler {
  readonly #clock: Clock;
  readonly #vcpu: Vcpu;
  /** Called when `blocked` changes. */
  onBlockedChanged: (blocked: boolean) => void = () => {};
  #blocked = false;
  #stopped = false;
  #pollPorts: readonly number[] = [];
  #pollTimer: Timer | undefined;
  #runstate = RUNSTATE_running;
  #enteredNs = 0;
  #timesNs: number[] = new Array(RUNSTATES).fill(0);
  #area: bigint | undefined;
  #areaBits: GuestBits = 64;
  readonly #buffer = new DataView(new ArrayBuffer(vcpu_runstate_info[64].size));

  constructor(clock: Clock, vcpu: Vcpu) {
    this.#clock = clock;
    this.#vcpu = vcpu;
  }

  /** True while the vCPU must not run. */
  get blocked(): boolean {
    return this.#blocked || this.#stopped;
  }

  /** True after a shutdown. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Blocks until wake(). */
  block(): void {
    if (this.#blocked) return;
    this.#blocked = true;
    this.onBlockedChanged(true);
    this.enter(RUNSTATE_blocked);
  }

  /** Blocks until wake(), until one of `ports` becomes pending, or until `deadlineNs` (0: no limit). */
  poll(ports: readonly number[], deadlineNs: number): void {
    this.#pollPorts = ports;
    this.#pollTimer?.cancel(); // of a poll that nothing has ended
    this.#pollTimer = undefined;
    if (deadlineNs !== 0) this.#pollTimer = this.#clock.at(deadlineNs, () => this.wake());
    this.block();
  }

  /** Some port became pending, masked or not. */
  portPending(port: number): void {
    if (this.#blocked && this.#pollPorts.includes(port)) this.wake();
  }

  /** An interrupt or an event for the vCPU: it runs again. */
  wake(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#pollPorts = [];
    this.#pollTimer?.cancel();
    this.#pollTimer = undefined;
    if (this.#stopped) return;
    this.enter(RUNSTATE_running);
    this.onBlockedChanged(false);
  }

  /** The domain was shut down. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.onBlockedChanged(true);
    this.enter(RUNSTATE_offline);
  }

  /** The domain goes on after a shutdown (suspend and resume). */
  resume(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#blocked = false;
    this.enter(RUNSTATE_running);
    this.onBlockedChanged(false);
  }

  /** Accounts time to the state that ends. Whoever drives the vCPU may tell HLT as RUNSTATE_blocked. */
  enter(runstate: number): void {
    if (runstate === this.#runstate) return;
    const now = this.#clock.nowNs();
    this.#timesNs[this.#runstate] = (this.#timesNs[this.#runstate] as number) + now - this.#enteredNs;
    this.#runstate = runstate;
    this.#enteredNs = now;
    if (runstate === RUNSTATE_running) this.#writeArea();
  }

  /** VCPUOP_register_runstate_memory_area; 0 unregisters. */
  registerArea(gva: bigint, bits: GuestBits): void {
    this.#area = gva === 0n ? undefined : gva;
    this.#areaBits = bits;
    this.#writeArea();
  }

  /** Lays vcpu_runstate_info out into `view`, time of the present state up to now included if asked for. */
  writeRunstate(view: DataView, bits: GuestBits, upToNow: boolean): void {
    const { at } = vcpu_runstate_info[bits];
    view.setInt32(at.state, this.#runstate, true);
    setU64(view, at.state_entry_time, this.#enteredNs);
    for (let i = 0; i < RUNSTATES; i++) {
      const running = upToNow && i === this.#runstate ? this.#clock.nowNs() - this.#enteredNs : 0;
      setU64(view, at.time + 8 * i, (this.#timesNs[i] as number) + running);
    }
  }

  /** As at machine start. */
  reset(): void {
    this.#pollTimer?.cancel();
    this.#pollTimer = undefined;
    this.#pollPorts = [];
    const was = this.blocked;
    this.#blocked = false;
    this.#stopped = false;
    this.#runstate = RUNSTATE_running;
    this.#enteredNs = this.#clock.nowNs();
    this.#timesNs.fill(0);
    this.#area = undefined;
    if (was) this.onBlockedChanged(false);
  }

  /** The plain record of a snapshot. */
  save(): SchedulerState {
    return {
      blocked: this.#blocked,
      stopped: this.#stopped,
      pollPorts: this.#pollPorts.slice(),
      pollDeadline: this.#pollTimer?.deadlineNs ?? null,
      runstate: this.#runstate,
      enteredNs: this.#enteredNs,
      timesNs: this.#timesNs.slice(),
      area: this.#area ?? null,
      areaBits: this.#areaBits,
    };
  }

  /** Restores what `save` gave. */
  restore(state: SchedulerState): void {
    this.reset();
    this.#stopped = state.stopped;
    this.#area = state.area ?? undefined;
    this.#areaBits = state.areaBits;
    if (state.blocked) this.poll(state.pollPorts, state.pollDeadline ?? 0);
    this.#runstate = state.runstate;
    this.#enteredNs = state.enteredNs;
    this.#timesNs = state.timesNs.slice();
  }

  #writeArea(): void {
    if (this.#area === undefined) return;
    this.writeRunstate(this.#buffer, this.#areaBits, false);
    const bytes = new Uint8Array(this.#buffer.buffer, 0, vcpu_runstate_info[this.#areaBits].size);
    this.#vcpu.copyToGuest(this.#area, bytes); // a page that is missing now may be there next time
  }
}
