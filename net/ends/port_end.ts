// SPDX-License-Identifier: MIT
/**
 * A hub's port in another thread: frames go as messages, both ways, and no more of them are on their way than were
 * answered for, so that a guest that floods a thread that is busy loses frames instead of filling its memory.
 * @module
 */
import { DeliveryQueue } from "./delivery_queue.ts";
import { Frame, type FrameReceiver, type FrameState, type NetEnd, OFFLOAD_ALL } from "./end.ts";

/** Frames on their way at most, and bytes. */
const LIMITS = { frames: 512, bytes: 4 << 20 };

/** What passes: a frame, or how many bytes of how many frames have arrived. */
type Message = { readonly frame: FrameState } | { readonly arrived: number; readonly bytes: number };

/** One side of the passage: counts what is on its way. */
class Passage {
  #frames = 0;
  #bytes = 0;

  constructor(readonly port: MessagePort, readonly take: (frame: Frame) => void) {
    port.onmessage = ({ data }: MessageEvent<Message>) => {
      if ("frame" in data) {
        this.port.postMessage({ arrived: 1, bytes: data.frame.bytes.length } satisfies Message);
        return this.take(new Frame().append(data.frame.bytes).copyOffload(data.frame));
      }
      this.#frames -= data.arrived;
      this.#bytes -= data.bytes;
    };
  }

  /** False: too much is on its way. */
  send(frame: Frame): boolean {
    if (this.#frames >= LIMITS.frames || this.#bytes + frame.length > LIMITS.bytes) return false;
    this.#frames++;
    this.#bytes += frame.length;
    const state = frame.save();
    this.port.postMessage({ frame: state } satisfies Message, [state.bytes.buffer as ArrayBuffer]);
    return true;
  }
}

/** The side of the guest's thread. */
export class PortEnd implements NetEnd {
  readonly name = "hub";
  readonly offloads = OFFLOAD_ALL;
  /** What comes, comes by the event loop. */
  readonly awaiting = true;
  readonly #passage: Passage;
  readonly #queue = new DeliveryQueue(LIMITS);
  #receiver: FrameReceiver | undefined;
  #delivered = 0;
  #wake: () => void = () => {};

  constructor(port: MessagePort) {
    this.#passage = new Passage(port, (frame) => {
      if (this.#receiver === undefined) return;
      this.#delivered += this.#queue.offer(this.#receiver, frame);
      this.#wake();
    });
  }

  send(frame: Frame): boolean {
    return this.#passage.send(frame);
  }
  attach(receiver: FrameReceiver | undefined): void {
    this.#queue.clear();
    this.#receiver = receiver;
  }
  receiverChanged(): void {}
  wakeWith(wake: () => void): void {
    this.#wake = wake;
  }
  poll(): number {
    if (this.#receiver === undefined) return 0;
    const delivered = this.#delivered + this.#queue.drain(this.#receiver);
    this.#delivered = 0;
    if (delivered > 0) this.#receiver.flush();
    return delivered;
  }
  pollFd(): number {
    return -1;
  }
  close(): void {
    this.attach(undefined);
    this.#passage.port.close();
  }
}

/** Leads `end`, whose frames come by themselves as a hub's do, to a {@linkcode PortEnd} on the other side of `port`. */
export function extend(end: NetEnd, port: MessagePort): void {
  const passage = new Passage(port, (frame) => end.send(frame));
  const anywhere: Uint8Array[] = [];
  end.attach({
    accepts: OFFLOAD_ALL,
    window: () => anywhere,
    deliver: (frame) => (passage.send(frame), true), // a drop, if it is one
    flush() {},
  });
}
