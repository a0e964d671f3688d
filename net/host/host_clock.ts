// SPDX-License-Identifier: MIT
/**
 * The host's clocks, and sleeping until a deadline, a wake-up or input on a descriptor. A door to the host. With
 * FFI on Linux it sleeps in ppoll(2), which is exact to some 50 µs and sees descriptors; else by timers of the event
 * loop, exact to a millisecond (then there are no descriptors either: they come from FFI).
 * @module
 */
import { setImmediate } from "node:timers";
import { mayUseLibc } from "./libc.ts";
import { waitReadable, Waker } from "./wait.ts";

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** Clocks of the host, as a machine wants them. */
export class SystemClock {
  #waker: Waker | undefined;
  #canPoll: boolean | undefined;
  readonly #chance = new BigUint64Array(64);
  #chanceLeft = 0;

  /** Nanoseconds since some fixed time. */
  monotonicNs(): number {
    return performance.now() * 1e6;
  }

  /** UNIX time in seconds. */
  unixSeconds(): number {
    return Date.now() / 1000;
  }

  /** 64 bits that nobody can foresee. */
  random64(): bigint {
    if (this.#chanceLeft === 0) {
      crypto.getRandomValues(this.#chance);
      this.#chanceLeft = this.#chance.length;
    }
    const bits = this.#chance[--this.#chanceLeft] as bigint;
    this.#chance[this.#chanceLeft] = 0n; // given away once
    return bits;
  }

  /** Resolves after `ms`, when `wake` resolves, or when one of `fds` is readable. */
  async sleep(ms: number, wake: Promise<void>, fds: readonly number[]): Promise<void> {
    this.#canPoll ??= mayUseLibc();
    if (!this.#canPoll) return await sleepByTimer(ms, wake);
    const waker = this.#waker ??= new Waker();
    const state = { asleep: true };
    wake.then(() => {
      if (state.asleep) waker.wake();
    });
    const ready = await waitReadable([waker.fd, ...fds], ms);
    state.asleep = false;
    // a wake-up after the poll saw nothing is left for the next sleep, which it ends early: harmless
    if (ready.includes(waker.fd)) waker.clear();
  }

  /** Lets the event loop run once: input, signals, timers. Some 10 µs; a timer of 0 ms would take over 1 ms. */
  breathe(): Promise<void> {
    return new Promise((resolve) => void setImmediate(resolve));
  }

  /** Lets go of the descriptor it sleeps on; the next sleep makes a new one. */
  close(): void {
    this.#waker?.close();
    this.#waker = undefined;
  }
}

function sleepByTimer(ms: number, wake: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.min(Math.ceil(ms), LONGEST_TIMEOUT_MS));
    wake.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
