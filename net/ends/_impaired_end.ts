// SPDX-License-Identifier: MIT
/**
 * A bad link in front of an end, as `tc netem` makes one: frames are lost, delayed, and overtaken by later ones, both ways
 * and the same every time for the same seed. Nothing is left to the hardware on it, so that what gets lost is one
 * segment. Tests only.
 * @module
 */
import { type Frame, type FrameReceiver, type NetEnd, OFFLOAD_NONE } from "./end.ts";

/** How bad. */
export interface Impairments {
  /** Of a thousand frames so many are lost. */
  readonly loss: number;
  /** Every frame takes so long. */
  readonly delayMs: number;
  /** Of a thousand frames so many are not delayed: they overtake others. */
  readonly reorder: number;
  readonly seed: number;
}

interface Waiting {
  readonly dueMs: number;
  readonly frame: Frame;
}

/** Frames that may wait, each way; more are lost. */
const MOST_WAITING = 1000;

/** See the module's description. */
export class ImpairedEnd implements NetEnd {
  readonly offloads = OFFLOAD_NONE;
  /** Frames that were lost. */
  lost = 0;
  readonly #out: Waiting[] = [];
  readonly #in: Waiting[] = [];
  #receiver: FrameReceiver | undefined;
  #wake: () => void = () => {};
  #random: number;

  constructor(readonly inner: NetEnd, readonly impairments: Impairments) {
    this.#random = impairments.seed >>> 0;
  }

  get name(): string {
    return this.inner.name;
  }

  #thousandth(): number {
    this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) >>> 0;
    return (this.#random >>> 8) % 1000;
  }

  #take(frame: Frame, into: Waiting[]): void {
    const { loss, delayMs, reorder } = this.impairments;
    if (this.#thousandth() < loss || into.length >= MOST_WAITING) return void this.lost++;
    const dueMs = performance.now() + (this.#thousandth() < reorder ? 0 : delayMs);
    const at = into.findLastIndex((waiting) => waiting.dueMs <= dueMs);
    into.splice(at + 1, 0, { dueMs, frame: frame.clone() });
    setTimeout(() => this.#wake(), Math.max(0, dueMs - performance.now()));
  }

  send(frame: Frame): boolean {
    this.#take(frame, this.#out);
    return true;
  }

  attach(receiver: FrameReceiver | undefined): void {
    this.#receiver = receiver;
    const nowhere: Uint8Array[] = [];
    this.inner.attach(
      receiver && {
        accepts: OFFLOAD_NONE,
        window: () => nowhere,
        deliver: (frame) => {
          this.#take(frame, this.#in);
          return true;
        },
        flush: () => {},
      },
    );
  }

  poll(): number {
    const now = performance.now();
    while ((this.#out[0]?.dueMs ?? Infinity) <= now) this.inner.send((this.#out.shift() as Waiting).frame);
    this.inner.poll();
    let delivered = 0;
    while (this.#receiver !== undefined && (this.#in[0]?.dueMs ?? Infinity) <= now) {
      if (!this.#receiver.deliver((this.#in[0] as Waiting).frame, 0)) break;
      this.#in.shift();
      delivered++;
    }
    if (delivered > 0) this.#receiver?.flush();
    return delivered;
  }

  receiverChanged(): void {}
  pollFd(): number {
    return this.inner.pollFd();
  }
  wakeWith(wake: () => void): void {
    this.#wake = wake;
    this.inner.wakeWith?.(wake);
  }
  get awaiting(): boolean {
    return this.#out.length > 0 || this.#in.length > 0 || (this.inner.awaiting ?? false);
  }
  close(): void {
    this.inner.close();
  }
}
