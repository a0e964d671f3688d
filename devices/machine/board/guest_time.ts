// SPDX-License-Identifier: MIT
/**
 * Guest time: nanoseconds since the machine was made, from the host's monotonic clock or from the instruction count. It
 * goes on over system resets, which only the TSC notices, and over a snapshot, which nobody does.
 * @module
 */
import type { HostClock } from "../machine_options.ts";

/** What a snapshot keeps. */
export interface GuestTimeState {
  readonly nowNs: number;
  /** Guest time at which the TSC was 0. */
  readonly tscZeroNs: number;
}

/** See the module's description. */
export class GuestTime {
  readonly #host: HostClock;
  readonly #icount: boolean;
  /** Host time at which guest time was 0. */
  #epochNs: number;
  /** By instruction count: nanoseconds that passed without instructions. */
  #skippedNs = 0;
  #tscZeroNs = 0;
  /** UNIX seconds at guest time 0; undefined: the host knows the date. */
  readonly #startsAt: number | undefined;
  /** While set, time stands still. */
  #frozenNs: number | undefined;

  constructor(host: HostClock, icount: boolean, startsAt?: number) {
    this.#host = host;
    this.#startsAt = startsAt;
    this.#icount = icount;
    this.#epochNs = host.monotonicNs();
  }

  /** `instructions`: how many the engine has executed. */
  nowNs(instructions: number): number {
    if (this.#frozenNs !== undefined) return this.#frozenNs;
    if (this.#icount) return Math.floor(instructions) + this.#skippedNs;
    return Math.floor(this.#host.monotonicNs() - this.#epochNs);
  }

  /** The date, in seconds since 1970: the host's, or one that moves with guest time alone. */
  unixSeconds(clock: { nowNs(): number }): number {
    if (this.#startsAt === undefined) return this.#host.unixSeconds();
    return this.#startsAt + clock.nowNs() / 1e9;
  }

  /** The TSC at guest time `nowNs`: it counts nanoseconds, see TSC_HZ. */
  tscAt(nowNs: number): bigint {
    return BigInt(nowNs - this.#tscZeroNs);
  }
  /** When the TSC reaches `tsc`. */
  nsOfTsc(tsc: bigint): number {
    return Number(BigInt.asIntN(64, tsc)) + this.#tscZeroNs;
  }
  /** RESET# clears the TSC. */
  restartTsc(nowNs: number): void {
    this.#tscZeroNs = nowNs;
  }

  /** The guest sleeps: by instruction count, time jumps. */
  skip(ns: number): void {
    this.#skippedNs += ns;
  }

  save(nowNs: number): GuestTimeState {
    return { nowNs, tscZeroNs: this.#tscZeroNs };
  }

  /** Time stands still at the saved moment until {@linkcode resume}. */
  restore(state: GuestTimeState): void {
    this.#frozenNs = state.nowNs;
    this.#tscZeroNs = state.tscZeroNs;
  }
  /** Time stands still at `nowNs` until {@linkcode resume}. */
  freeze(nowNs: number): void {
    this.#frozenNs = nowNs;
  }
  /** Goes on from where it stands. `instructions`: of the engine that will run. */
  resume(instructions: number): void {
    if (this.#frozenNs === undefined) return;
    this.#skippedNs = this.#frozenNs - Math.floor(instructions);
    this.#epochNs = this.#host.monotonicNs() - this.#frozenNs;
    this.#frozenNs = undefined;
  }
}
