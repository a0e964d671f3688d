// SPDX-License-Identifier: MIT
/**
 * Between an end and its receiver: makes frames fit what the receiver accepts, and keeps copies of what it has no
 * room for. Bounded; a full queue drops the newest, as a switch does.
 * @module
 */
import { Frame, type FrameReceiver, type FrameState } from "./end.ts";
import { conform } from "../frames/gso.ts";

/** How much a {@linkcode DeliveryQueue} holds. */
export interface DeliveryLimits {
  readonly frames: number;
  readonly bytes: number;
}

/** See the module's description. */
export class DeliveryQueue {
  /** Frames dropped for want of room. */
  dropped = 0;
  #frames: Frame[] = [];
  #head = 0;
  #bytes = 0;

  constructor(readonly limits: DeliveryLimits) {}

  /** Frames waiting. */
  get waiting(): number {
    return this.#frames.length - this.#head;
  }

  /** Delivers or queues; returns how many frames the receiver took now (a GSO frame may have become many). */
  offer(receiver: FrameReceiver, frame: Frame): number {
    let delivered = 0;
    conform(frame, receiver.accepts, (piece) => {
      if (this.waiting === 0 && receiver.deliver(piece, 0)) delivered++;
      else if (this.waiting < this.limits.frames && this.#bytes + piece.length <= this.limits.bytes) {
        this.#frames.push(piece.clone());
        this.#bytes += piece.length;
      } else {
        this.dropped++;
        return false;
      }
      return true;
    });
    return delivered;
  }

  /** Delivers what waits, as far as there is room; returns how many. */
  drain(receiver: FrameReceiver): number {
    let delivered = 0;
    while (this.#head < this.#frames.length) {
      const frame = this.#frames[this.#head] as Frame;
      if (!receiver.deliver(frame, 0)) return delivered;
      this.#head++;
      this.#bytes -= frame.length;
      delivered++;
    }
    this.clear();
    return delivered;
  }

  /** Copies of what waits, oldest first. */
  save(): FrameState[] {
    return this.#frames.slice(this.#head).map((frame) => frame.save());
  }

  /** Has exactly these wait, as far as the limits allow. */
  restore(frames: readonly FrameState[]): void {
    this.clear();
    for (const state of frames) {
      if (this.#frames.length === this.limits.frames) break;
      if (this.#bytes + state.bytes.length > this.limits.bytes) break;
      this.#frames.push(Frame.from(state));
      this.#bytes += state.bytes.length;
    }
  }

  /** Forgets what waits. */
  clear(): void {
    this.#frames = [];
    this.#head = this.#bytes = 0;
  }
}
