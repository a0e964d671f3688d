// SPDX-License-Identifier: MIT
/**
 * Frames over a byte stream, each behind its length in four bytes, big-endian: what QEMU's `-netdev stream` and
 * `socket`, passt and others speak, so that guests of several programs and hosts can be linked. There is no word for
 * offloads in it: frames go out whole, with their checksums.
 *
 * The stream may end and come again; meanwhile frames are lost, as on a cable that is pulled. A peer that sends a length no
 * frame has is let go of.
 * @module
 */
import type { Tracer } from "../../cpu/base/trace.ts";
import { be32, putBe32 } from "../frames/headers.ts";
import {
  Frame,
  frameOf,
  type FrameReceiver,
  MAX_FRAME_BYTES,
  MIN_FRAME_BYTES,
  type NetEnd,
  OFFLOAD_NONE,
} from "./end.ts";
import type { HostFailure, HostTcp, HostTcpEvents } from "./user/host_network.ts";
import { ByteRing } from "./user/tcp/byte_ring.ts";

const LENGTH_BYTES = 4;
const RING_BYTES = 512 << 10;
/** Most frames per poll, so that a flood does not keep the guest from running. */
const POLL_BUDGET = 256;

/** See the module's description. Its owner gives it streams: one at a time. */
export class StreamEnd implements NetEnd {
  readonly offloads = OFFLOAD_NONE;
  readonly #tracer: Tracer | undefined;
  readonly #frame = new Frame();
  readonly #length = new Uint8Array(LENGTH_BYTES);
  #in = new ByteRing(RING_BYTES);
  #out = new ByteRing(RING_BYTES);
  #stream: HostTcp | undefined;
  #reading = false;
  #writing = false;
  #receiver: FrameReceiver | undefined;
  #wake: () => void = () => {};
  #closed = false;

  /** `closed`: called when the end is closed, to let go of what makes streams; `lost`: when a stream has ended. */
  constructor(
    readonly name: string,
    readonly owner: { closed(): void; lost(): void },
    tracer?: Tracer,
  ) {
    this.#tracer = tracer;
  }

  /** A stream is there. */
  get connected(): boolean {
    return this.#stream !== undefined;
  }
  get awaiting(): boolean {
    return this.connected;
  }

  /** Takes a stream; what it tells goes to the events returned. Undefined: there is one already. */
  connect(stream: HostTcp): HostTcpEvents | undefined {
    if (this.#stream !== undefined || this.#closed) return undefined;
    this.#stream = stream;
    this.#in = new ByteRing(RING_BYTES); // the last one's may still be read into
    this.#out = new ByteRing(RING_BYTES);
    this.#reading = this.#writing = false;
    const current = () => this.#stream === stream;
    return {
      connected: () => {},
      received: (bytes) => current() && this.#received(bytes),
      sent: (bytes) => current() && this.#sent(bytes),
      failed: (why) => current() && this.#lost(why),
    };
  }

  /** The stream can be used. */
  begin(): void {
    this.#read();
    this.#write();
  }

  #received(bytes: number): void {
    this.#reading = false;
    if (bytes === 0) return this.#lost("reset");
    this.#in.commit(bytes);
    this.#read();
    this.#wake();
  }

  #sent(bytes: number): void {
    this.#writing = false;
    this.#out.consume(bytes);
    this.#write();
  }

  #lost(_why: HostFailure): void {
    this.#stream?.close();
    this.#stream = undefined;
    if (this.#closed) return;
    this.#tracer?.counters.add("net.stream.lost");
    this.owner.lost();
  }

  #read(): void {
    if (this.#reading || this.#stream === undefined || this.#in.room === 0) return;
    this.#reading = true;
    this.#stream.read(this.#in.writable());
  }

  #write(): void {
    if (this.#writing || this.#stream === undefined || this.#out.length === 0) return;
    this.#writing = true;
    this.#stream.write(this.#out.readable());
  }

  send(frame: Frame): boolean {
    const { length } = frame;
    if (this.#stream === undefined || length < MIN_FRAME_BYTES) return false;
    const out = this.#out;
    if (out.room < LENGTH_BYTES + length) {
      this.#tracer?.counters.add("net.stream.dropped");
      return false;
    }
    putBe32(this.#length, 0, length);
    out.put(out.tail, frameOf(this.#length), 0, LENGTH_BYTES);
    out.put(out.tail + LENGTH_BYTES, frame, 0, length);
    out.commit(LENGTH_BYTES + length);
    this.#write();
    return true;
  }

  attach(receiver: FrameReceiver | undefined): void {
    this.#receiver = receiver;
  }
  receiverChanged(): void {}
  wakeWith(wake: () => void): void {
    this.#wake = wake;
  }
  pollFd(): number {
    return -1;
  }

  poll(): number {
    const receiver = this.#receiver;
    const ring = this.#in;
    let delivered = 0;
    while (delivered < POLL_BUDGET && ring.length >= LENGTH_BYTES) {
      this.#frame.reset();
      ring.appendTo(this.#frame, ring.head, LENGTH_BYTES);
      this.#frame.copyTo(this.#length);
      const length = be32(this.#length, 0);
      if (length > MAX_FRAME_BYTES) {
        this.#tracer?.warnOnce(
          "net.stream.broken",
          `${this.name} does not send frames: a length of ${length}`,
        );
        this.#lost("reset");
        break;
      }
      if (ring.length < LENGTH_BYTES + length) break;
      ring.appendTo(this.#frame.reset(), ring.head + LENGTH_BYTES, length);
      // without a receiver frames are lost, but the peer is not held back
      if (length >= MIN_FRAME_BYTES && receiver !== undefined && !receiver.deliver(this.#frame, 0)) break;
      delivered++;
      ring.consume(LENGTH_BYTES + length);
    }
    this.#read();
    if (delivered > 0) receiver?.flush();
    return delivered;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receiver = undefined;
    this.#stream?.close();
    this.#stream = undefined;
    this.owner.closed();
  }
}
