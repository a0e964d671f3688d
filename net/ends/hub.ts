// SPDX-License-Identifier: MIT
/**
 * A hub between ends in one process: guests, the built-in responder, and (by crossConnect) a TAP or any other end. It
 * learns at which port an address is, as a bridge does (IEEE 802.1D §7.8); a frame for an address it does not know, or
 * for a group, goes to every other port. Checksums and segments are made in software only for ports whose receiver
 * does not take the offload.
 *
 * Not done: ageing. An address that moves is found again when it sends something.
 * @module
 */
import type { Tracer } from "../../cpu/base/trace.ts";
import { be32 } from "../frames/headers.ts";
import { DeliveryQueue } from "./delivery_queue.ts";
import {
  type EndState,
  type Frame,
  type FrameReceiver,
  MIN_FRAME_BYTES,
  type NetEnd,
  OFFLOAD_ALL,
} from "./end.ts";

/** What waits for a port whose receiver has no room. */
const PORT_LIMITS = { frames: 1024, bytes: 4 << 20 };
/** How deep a frame may travel through hubs that answer or forward at once, before we call it a loop. */
const MAX_DEPTH = 8;

/** Most addresses it knows; the one that was learned first is forgotten. */
const MOST_ADDRESSES = 1024;

/**
 * Links guests of this process to each other, as a bridge does: give it to interfaces of several machines, `nets: [{ hub }]`,
 * or a port of it to a {@linkcode Responder}. It learns at which port an address is.
 */
export class Hub {
  readonly #ports = new Set<HubPort>();
  readonly #portOf = new Map<number, HubPort>();
  readonly #header = new Uint8Array(12);
  #depth = 0;

  /** `tracer`: for counters and warnings. */
  constructor(readonly tracer?: Tracer) {}

  /** A new port. Close it to unplug. */
  port(name = `hub${this.#ports.size}`): NetEnd {
    const port = new HubPort(this, name);
    this.#ports.add(port);
    return port;
  }

  /**
   * Hands a frame to the port where its destination is, or to all other ports.
   * @internal
   */
  repeat(from: HubPort, frame: Frame): boolean {
    if (this.#depth === MAX_DEPTH) {
      this.tracer?.warnOnce("net.hub.loop", "a hub's frames come back to it: it is part of a loop");
      return false;
    }
    this.#depth++;
    try {
      const header = this.#header;
      frame.copyTo(header);
      const to = isGroup(header, 0) ? undefined : this.#portOf.get(address(header, 0));
      this.#learn(header, from);
      if (to === undefined) {
        for (const port of this.#ports) if (port !== from) port.take(frame);
      } else if (to !== from) to.take(frame);
    } finally {
      this.#depth--;
    }
    return true;
  }

  #learn(header: Uint8Array, from: HubPort): void {
    if (isGroup(header, 6)) return;
    const source = address(header, 6);
    const before = this.#portOf.get(source);
    if (before === from) return;
    if (before === undefined && this.#portOf.size >= MOST_ADDRESSES) {
      this.#portOf.delete(this.#portOf.keys().next().value as number);
    }
    this.#portOf.set(source, from);
  }

  /**
   * Forgets a port, and who was there.
   * @internal
   */
  remove(port: HubPort): void {
    this.#ports.delete(port);
    for (const [source, at] of this.#portOf) if (at === port) this.#portOf.delete(source);
  }
}

/** A MAC address as a number: 48 bits fit a double. */
function address(header: Uint8Array, at: number): number {
  return ((header[at] as number) << 8 | (header[at + 1] as number)) * 2 ** 32 + be32(header, at + 2);
}

/** Broadcast and multicast addresses are nobody's. */
function isGroup(header: Uint8Array, at: number): boolean {
  return ((header[at] as number) & 1) !== 0;
}

class HubPort implements NetEnd {
  readonly offloads = OFFLOAD_ALL;
  readonly #queue = new DeliveryQueue(PORT_LIMITS);
  #receiver: FrameReceiver | undefined;
  /** Closed. */
  gone = false;

  constructor(readonly hub: Hub, readonly name: string) {}

  send(frame: Frame): boolean {
    return !this.gone && frame.length >= MIN_FRAME_BYTES && this.hub.repeat(this, frame);
  }

  take(frame: Frame): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    const before = this.#queue.dropped;
    if (this.#queue.offer(receiver, frame) > 0) receiver.flush();
    this.hub.tracer?.counters.add("net.hub.dropped", this.#queue.dropped - before);
  }

  attach(receiver: FrameReceiver | undefined): void {
    this.#queue.clear();
    this.#receiver = receiver;
  }

  /** Nothing to do: frames are made to fit when they come, and a queue holds no more than a moment. */
  receiverChanged(): void {}

  poll(): number {
    const receiver = this.#receiver;
    if (receiver === undefined || this.#queue.waiting === 0) return 0;
    const delivered = this.#queue.drain(receiver);
    if (delivered > 0) receiver.flush();
    return delivered;
  }

  pollFd(): number {
    return -1;
  }

  save(): EndState {
    return { waiting: this.#queue.save() };
  }

  restore(state: EndState): void {
    this.#queue.restore(state.waiting);
  }

  close(): void {
    this.gone = true;
    this.attach(undefined);
    this.hub.remove(this);
  }
}
