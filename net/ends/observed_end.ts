// SPDX-License-Identifier: MIT
/**
 * Ends that behave like the one they wrap and show every frame that passes to somebody: captures, and listeners of an
 * embedding program. Directions are the guest's. Frames pass as they are, that is before segmentation and with blank
 * checksums where those are offloaded.
 * @module
 */
import {
  type EndState,
  type Frame,
  type FrameReceiver,
  type NetEnd,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
} from "./end.ts";

/** "tx": the guest sent it; "rx": the guest got it. */
export type Direction = "tx" | "rx";

/** See the module's description. `Seen`: what is kept of a frame until it has passed. */
export abstract class ObservedEnd<Seen> implements NetEnd {
  constructor(readonly inner: NetEnd) {}

  /** Takes from `frame` what is wanted of it, before its receiver does; undefined: nothing. */
  protected abstract look(frame: Frame, direction: Direction): Seen | undefined;
  /** The frame has passed. Not called for one that the guest had no room for: it comes again. */
  protected abstract passed(seen: Seen): void;

  get name(): string {
    return this.inner.name;
  }
  get gone(): boolean {
    return this.inner.gone ?? false;
  }
  get offloads(): number {
    return this.inner.offloads;
  }

  send(frame: Frame): boolean {
    const seen = this.look(frame, "tx");
    if (seen !== undefined) this.passed(seen);
    return this.inner.send(frame);
  }

  attach(receiver: FrameReceiver | undefined): void {
    this.inner.attach(
      receiver && {
        get accepts() {
          return receiver.accepts;
        },
        window: () => receiver.window(),
        deliver: (frame, inPlace) => {
          // looked at first: the receiver may answer from within, and afterwards its buffers are the guest's
          const seen = this.look(frame, "rx");
          const taken = receiver.deliver(frame, inPlace);
          if (taken && seen !== undefined) this.passed(seen);
          return taken;
        },
        flush: () => receiver.flush(),
      },
    );
  }

  receiverChanged(): void {
    this.inner.receiverChanged();
  }
  poll(idle?: boolean): number {
    return this.inner.poll(idle);
  }
  pollFd(): number {
    return this.inner.pollFd();
  }
  wakeWith(wake: () => void): void {
    this.inner.wakeWith?.(wake);
  }
  get unhurried(): boolean {
    return this.inner.unhurried ?? false;
  }
  get silent(): boolean {
    return this.inner.silent ?? false;
  }
  get awaiting(): boolean {
    return this.inner.awaiting ?? false;
  }
  save(): EndState {
    return this.inner.save?.() ?? { waiting: [] };
  }
  restore(state: EndState): void {
    this.inner.restore?.(state);
  }
  close(): void {
    this.inner.close();
  }
}

/** A frame that passed between a guest and what it is connected to. */
export interface PacketEvent {
  /** Number of the interface: 0 is the first. */
  readonly net: number;
  /** Name of the host's end: "tap0". */
  readonly name: string;
  /** "tx": the guest sent it; "rx": the guest got it. */
  readonly direction: Direction;
  /** The bytes, from the Ethernet header on: a copy. */
  readonly frame: Uint8Array;
  /** Its TCP or UDP checksum is still to be completed by whoever needs it. */
  readonly blankChecksum: boolean;
  /** Not 0: it is to be cut into TCP segments with so many bytes of payload. */
  readonly gsoSize: number;
}

/** An end whose frames go to `listener`; while there is none, looking at it is all that a frame costs. */
export class PacketWatch extends ObservedEnd<PacketEvent> {
  listener: ((event: PacketEvent) => void) | undefined;

  constructor(inner: NetEnd, readonly net: number) {
    super(inner);
  }

  protected look(frame: Frame, direction: Direction): PacketEvent | undefined {
    if (this.listener === undefined) return undefined;
    return {
      net: this.net,
      name: this.name,
      direction,
      frame: frame.bytes(),
      blankChecksum: (frame.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0,
      gsoSize: frame.gsoSize,
    };
  }

  protected passed(event: PacketEvent): void {
    this.listener?.(event);
  }
}
