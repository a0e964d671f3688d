// SPDX-License-Identifier: MIT
/**
 * One TCP connection of a guest, ended here and carried on by a socket of the host: RFC 9293 towards the guest. Each side
 * holds the other back: what the host's socket does not take fills `receive`, which closes the guest's window; what
 * the guest does not take fills `send`, and then the socket is not read. The guest's SYN is answered when the host's
 * connection stands, so that "refused" is told as such.
 *
 * Not done: urgent data is data, ECN, timestamps, fast open.
 * @module
 */
import { TH_ACK, TH_FIN, TH_PSH, TH_RST, TH_SYN } from "../../../frames/headers.ts";
import type { Frame } from "../../end.ts";
import type { HostFailure, HostTcp, HostTcpEvents } from "../host_network.ts";
import { type TcpSegment } from "./tcp_header.ts";
import { TcpReceive } from "./tcp_receive.ts";
import { TcpSend } from "./tcp_send.ts";

/** RFC 9293 §3.3.2; CONNECTING: the guest's SYN waits for the host's connection. */
export type TcpState =
  | "CONNECTING"
  | "SYN_SENT"
  | "SYN_RECEIVED"
  | "ESTABLISHED"
  | "FIN_WAIT_1"
  | "FIN_WAIT_2"
  | "CLOSE_WAIT"
  | "CLOSING"
  | "LAST_ACK"
  | "TIME_WAIT"
  | "CLOSED";

/** The window shift we announce: enough for the largest ring. */
export const WINDOW_SHIFT = 4;
/** Rings begin so small and double when they were full. */
export const FIRST_RING_BYTES = 32 << 10;
export const LARGEST_RING_BYTES = 512 << 10;
/** So much data is acknowledged at once. */
const LARGEST_DELAYED = 128 << 10;
/** So many acknowledgements are prompt: by them the guest learns how short the way is. */
const PROMPT_ACKS = 16;
const FIRST_SYN_MS = 1000;
const MOST_SYNS = 6;
const TIME_WAIT_MS = 10_000;
/** A connection on which nothing was said for so long is asked whether it lives (RFC 5382 REQ-5). */
const IDLE_MS = 7_200_000;
const IDLE_PROBE_MS = 75_000;
const MOST_IDLE_PROBES = 9;

/** Both ends as the guest sees them. */
export interface TcpTuple {
  readonly version: 4 | 6;
  readonly guest: Uint8Array;
  readonly guestPort: number;
  readonly remote: Uint8Array;
  readonly remotePort: number;
}

/** What a connection needs of its stack. */
export interface TcpWires {
  nowMs(): number;
  /** Sends a segment with bytes of `send.ring`; false: there is no room at the guest's interface now. */
  segment(c: TcpConnection, flags: number, seq: number, from: number, length: number): boolean;
  /** Largest payload per frame for `c`. */
  most(c: TcpConnection): number;
  /** Has `serve` called soon. */
  wake(c: TcpConnection): void;
  /** Has `acknowledge` called when the guest is idle, or soon. */
  delay(c: TcpConnection): void;
  /** `c` has a deadline at `ms`. */
  timer(ms: number): void;
  /** May so many bytes more be used for buffers? Taken when true. */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
  /** `c` is over. */
  closed(c: TcpConnection): void;
  /** The host could not reach the peer. */
  unreachable(c: TcpConnection): void;
}

/** See the module's description. */
export class TcpConnection implements HostTcpEvents {
  state: TcpState;
  readonly receive: TcpReceive;
  send: TcpSend;
  /** Where frames for it go. */
  readonly mac = new Uint8Array(6);
  /** The next of its bucket in the stack's table. */
  chained: TcpConnection | undefined;
  /** Waits for `serve`. */
  queued = false;
  /** Waits for `acknowledge`. */
  delayed = false;
  /** The guest's last data were several segments in one frame. */
  afterLarge = false;
  #delays = 0;
  #host: HostTcp | undefined;
  /** Sequence numbers of offset 0 of either direction. */
  #theirs = 0;
  readonly #ours: number;
  #shift = 0;
  #scaled = true;
  #sack = true;
  #wl1 = 0;
  #wl2 = 0;
  #ackNow = false;
  /** What the guest has been told that we have. */
  #acked = 0;
  #synNow = false;
  #syns = 0;
  #reading = false;
  #writing = false;
  #wroteEnd = false;
  /** The guest has used up its window, or nearly so: a larger one would let it go on. */
  #tight = false;
  #deadlineMs = Infinity;
  #idleMs = 0;
  #idleProbes = 0;
  #probeNow = false;
  #reserved = 0;
  readonly sackEdges: number[] = [];

  /** `segment`: the guest's SYN; without one we send the first. */
  constructor(
    readonly tuple: TcpTuple,
    readonly wires: TcpWires,
    options: { readonly iss: number; readonly mss: number; readonly segment?: TcpSegment },
  ) {
    this.#ours = (options.iss + 1) >>> 0;
    this.receive = new TcpReceive(FIRST_RING_BYTES);
    this.#reserved = 2 * FIRST_RING_BYTES;
    this.#idleMs = wires.nowMs() + IDLE_MS;
    const { segment, mss } = options;
    if (segment === undefined) {
      this.send = new TcpSend(FIRST_RING_BYTES, mss, true);
      this.state = "SYN_SENT";
      this.#synNow = true;
      wires.wake(this);
      return;
    }
    this.send = new TcpSend(FIRST_RING_BYTES, Math.min(mss, segment.mss), segment.sackPermitted);
    this.#synchronize(segment);
    this.state = "CONNECTING";
  }

  /** Bytes of buffers that it was granted. */
  get reserved(): number {
    return this.#reserved;
  }
  /** A segment's sequence number for an offset of what we send. */
  seqOf(offset: number): number {
    return (this.#ours + offset % 0x1_0000_0000) >>> 0;
  }
  /** What to acknowledge. */
  get ackSeq(): number {
    return (this.#theirs + this.receive.next % 0x1_0000_0000) >>> 0;
  }
  /** The window field of a segment. */
  windowField(syn: boolean): number {
    const window = this.receive.offer(this.send.mss);
    return Math.min(0xffff, syn || !this.#scaled ? window : window >>> WINDOW_SHIFT);
  }
  /** What our SYN says. */
  get synOptions(): { windowShift: number; sack: boolean } {
    return { windowShift: this.#scaled ? WINDOW_SHIFT : -1, sack: this.#sack };
  }
  /** The connection was made: only then is there something to say about ACKs. */
  get synchronized(): boolean {
    return this.state !== "CONNECTING" && this.state !== "SYN_SENT" && this.state !== "CLOSED";
  }

  /** The host's side of it. */
  carry(host: HostTcp): void {
    this.#host = host;
  }

  /** Takes over what the guest's SYN says. */
  #synchronize(segment: TcpSegment): void {
    this.#theirs = (segment.seq + 1) >>> 0;
    this.#scaled = segment.windowShift >= 0;
    this.#shift = Math.max(0, segment.windowShift);
    this.#sack = segment.sackPermitted;
    this.#wl1 = segment.seq;
    this.#wl2 = segment.ack;
    this.send.announce(segment.window); // that of a SYN is not scaled
  }

  // what the host tells

  connected(): void {
    if (this.state !== "CONNECTING") return;
    this.state = "SYN_RECEIVED";
    this.#synNow = true;
    this.#fill();
    this.wires.wake(this);
  }

  received(bytes: number): void {
    this.#reading = false;
    if (this.state === "CLOSED") return;
    if (bytes === 0) this.send.finish();
    else {
      const { ring } = this.send;
      ring.commit(bytes);
      if (ring.room === 0) this.#grow(ring);
      this.#fill();
    }
    this.wires.wake(this);
  }

  sent(bytes: number): void {
    this.#writing = false;
    if (this.state === "CLOSED") return;
    const { ring } = this.receive;
    if (this.#tight || ring.length + this.receive.ahead.bytes > ring.capacity / 2) this.#grow(ring);
    this.#tight = false;
    ring.consume(bytes);
    this.#drain();
    const { receive } = this;
    // a guest with half a window left hears of the rest with the next data that is acknowledged
    const wanted = receive.offered - receive.next < receive.ring.capacity / 2;
    if (wanted && receive.opened(this.send.mss) && !receive.finished) this.#acknowledgeData();
  }

  /** Data was taken: much of it is acknowledged at once, else it waits a moment for more. */
  #acknowledgeData(): void {
    const { receive, wires } = this;
    const left = receive.offered - receive.next;
    this.#tight = left <= receive.ring.capacity / 4;
    if (receive.next - this.#acked < LARGEST_DELAYED && !this.#tight) return wires.delay(this);
    this.#ackNow = true;
    wires.wake(this);
  }
  /** The guest knows the way, so its acknowledgements may come later. */
  get settled(): boolean {
    return this.#delays >= PROMPT_ACKS;
  }
  /** No more is waited for. */
  acknowledge(): void {
    this.delayed = false;
    this.#delays++;
    if (
      this.state === "CLOSED" || (this.receive.next === this.#acked && !this.receive.opened(this.send.mss))
    ) return;
    this.#ackNow = true;
    this.wires.wake(this);
  }

  failed(why: HostFailure): void {
    this.#host = undefined;
    if (this.state === "CONNECTING" && why === "unreachable") this.wires.unreachable(this);
    else this.#sendReset();
    this.close();
  }

  #grow(ring: { readonly capacity: number; grow(capacity: number): void }): void {
    const { capacity } = ring;
    if (capacity >= LARGEST_RING_BYTES || !this.wires.reserve(capacity)) return;
    this.#reserved += capacity;
    ring.grow(2 * capacity);
  }

  /** Has the host's socket read while there is room. */
  #fill(): void {
    if (this.#reading || this.#host === undefined || this.state === "CLOSED") return;
    const { ring } = this.send;
    if (ring.room === 0 || this.send.finSent) return;
    this.#reading = true;
    this.#host.read(ring.writable());
  }

  /** Has the host's socket write what the guest sent. */
  #drain(): void {
    if (this.#writing || this.#host === undefined) return;
    const { ring } = this.receive;
    if (ring.length > 0) {
      this.#writing = true;
      this.#host.write(ring.readable());
    } else if (this.receive.finished && !this.#wroteEnd) {
      this.#wroteEnd = true;
      this.#host.closeWrite();
    }
  }

  // what the guest says

  /** Takes a segment of the guest. */
  input(segment: TcpSegment, frame: Frame): void {
    this.#idleMs = this.wires.nowMs() + IDLE_MS;
    this.#idleProbes = 0;
    switch (this.state) {
      case "CLOSED":
        return;
      case "CONNECTING": // it has nothing to say yet but that it gave up
        if ((segment.flags & TH_RST) !== 0 && segment.seq === this.#theirs) this.close();
        return;
      case "SYN_SENT":
        return this.#inputSynSent(segment);
      default:
        this.#inputSynchronized(segment, frame);
    }
  }

  /** RFC 9293 §3.10.7.3. */
  #inputSynSent(segment: TcpSegment): void {
    const { flags } = segment;
    const acks = (flags & TH_ACK) !== 0;
    if (acks && segment.ack !== this.#ours) {
      if ((flags & TH_RST) === 0) this.wires.segment(this, TH_RST, segment.ack, 0, 0);
      return;
    }
    if ((flags & TH_RST) !== 0) {
      if (acks) this.close();
      return;
    }
    if ((flags & TH_SYN) === 0 || this.#syns === 0) return;
    this.send = new TcpSend(
      FIRST_RING_BYTES,
      Math.min(this.send.mss, segment.mss),
      segment.sackPermitted,
    );
    this.#synchronize(segment);
    if (acks) {
      this.#establish();
      this.#ackNow = true;
    } else { // both at once
      this.state = "SYN_RECEIVED";
      this.#synNow = true;
    }
    this.wires.wake(this);
  }

  #establish(): void {
    this.state = "ESTABLISHED";
    this.#synNow = false;
    this.#deadlineMs = Infinity;
    this.#fill();
  }

  /** RFC 9293 §3.10.7.4, with RFC 5961 for resets and SYNs. */
  #inputSynchronized(segment: TcpSegment, frame: Frame): void {
    const { receive, wires } = this;
    const { flags } = segment;
    const offset = receive.next + ((segment.seq - this.ackSeq) | 0);
    const end = offset + segment.length + Number((flags & TH_FIN) !== 0);
    const edge = Math.max(receive.offered, receive.next);
    if (this.state === "SYN_RECEIVED" && (flags & TH_SYN) !== 0 && offset === -1) { // its SYN again
      if ((flags & TH_ACK) === 0) this.#synNow = true;
      else if (segment.ack === this.#ours) this.#establish();
      this.#ackNow = !this.#synNow;
      return wires.wake(this);
    }
    const acceptable = end > offset
      ? end > receive.next && offset < Math.max(edge, receive.next + 1)
      : offset >= receive.next && offset <= edge;
    if (!acceptable || (flags & TH_SYN) !== 0) {
      if ((flags & TH_RST) !== 0) return;
      this.#ackNow = true;
      if ((flags & TH_ACK) !== 0 && offset <= receive.next) this.#acknowledge(segment, offset);
      return wires.wake(this);
    }
    if ((flags & TH_RST) !== 0) {
      if (offset === receive.next) return this.close();
      this.#ackNow = true;
      return wires.wake(this);
    }
    if ((flags & TH_ACK) === 0) return;
    if (this.state === "SYN_RECEIVED") {
      if (segment.ack !== this.#ours) {
        wires.segment(this, TH_RST, segment.ack, 0, 0);
        return;
      }
      this.#establish();
    }
    if (!this.#acknowledge(segment, offset)) return;
    if (segment.length > 0) {
      const inOrder = offset === receive.next && receive.ahead.list.length === 0;
      receive.take(offset, frame, segment.payloadAt, segment.length);
      // a gap, or the end of one, is told at once (RFC 5681 §4.2)
      if (inOrder && receive.next === offset + segment.length) this.#acknowledgeData();
      else this.#ackNow = true;
    }
    if ((flags & TH_FIN) !== 0) {
      receive.finish(offset + segment.length);
      this.#ackNow = true;
    }
    this.#drain();
    if (receive.finished) this.#guestFinished();
    wires.wake(this);
  }

  /** Takes what a segment acknowledges; false when it acknowledges what was never sent, or all is over. */
  #acknowledge(segment: TcpSegment, offset: number): boolean {
    const { send } = this;
    const nowMs = this.wires.nowMs();
    const ack = send.una + ((segment.ack - this.seqOf(send.una)) | 0);
    if (ack > send.nxt) {
      this.#ackNow = true;
      this.wires.wake(this);
      return false;
    }
    send.heard();
    const window = segment.window << this.#shift;
    const newer = ((segment.seq - this.#wl1) | 0) > 0 ||
      (segment.seq === this.#wl1 && ((segment.ack - this.#wl2) | 0) >= 0);
    const duplicate = ack === send.una && segment.length === 0 && window === send.window &&
      (segment.flags & TH_FIN) === 0 && offset === this.receive.next;
    if (newer) {
      this.#wl1 = segment.seq;
      this.#wl2 = segment.ack;
      send.announce(window);
    }
    const { sack } = segment;
    for (let i = 0; i + 1 < sack.length; i += 2) {
      const from = send.una + (((sack[i] as number) - this.seqOf(send.una)) | 0);
      send.sack(from, from + (((sack[i + 1] as number) - (sack[i] as number)) | 0));
    }
    send.acknowledge(ack, duplicate, nowMs);
    this.#fill();
    if (send.finAcknowledged) return this.#finAcknowledged();
    this.wires.wake(this);
    return true;
  }

  #finAcknowledged(): boolean {
    if (this.state === "FIN_WAIT_1") this.state = "FIN_WAIT_2";
    else if (this.state === "CLOSING") this.#timeWait();
    else if (this.state === "LAST_ACK") {
      this.close();
      return false;
    }
    return true;
  }

  /** Everything up to the guest's FIN is here. */
  #guestFinished(): void {
    if (this.state === "ESTABLISHED") this.state = "CLOSE_WAIT";
    else if (this.state === "FIN_WAIT_1") this.state = "CLOSING";
    else if (this.state === "FIN_WAIT_2") this.#timeWait();
    else if (this.state === "TIME_WAIT") this.#timeWait(); // its FIN again
  }

  #timeWait(): void {
    this.state = "TIME_WAIT";
    this.#deadlineMs = this.wires.nowMs() + TIME_WAIT_MS;
    this.wires.timer(this.#deadlineMs);
  }

  // what we say

  /** Sends what there is to send. False: no room at the guest's interface, call again. */
  serve(): boolean {
    const { wires, send } = this;
    if (this.state === "CLOSED" || this.state === "CONNECTING") return true;
    const nowMs = wires.nowMs();
    if (this.#synNow) return this.#sendSyn(nowMs);
    if (this.state === "SYN_SENT" || this.state === "SYN_RECEIVED") return true;
    while (send.next(wires.most(this))) {
      const { from, length, fin } = send.piece;
      const flags = TH_ACK | (fin ? TH_FIN : 0) |
        (length > 0 && from + length === send.ring.tail ? TH_PSH : 0);
      if (!wires.segment(this, flags, this.seqOf(from), from, length)) return false;
      this.#ackNow = this.#probeNow = false;
      this.#acked = this.receive.next;
      send.sent(nowMs);
      if (fin) this.#finSent();
    }
    if (send.probe || this.#probeNow) { // something old, that has to be answered
      if (!wires.segment(this, TH_ACK, this.seqOf(send.una - 1), 0, 0)) return false;
      send.probe = this.#probeNow = this.#ackNow = false;
      this.#acked = this.receive.next;
    }
    if (this.#ackNow) {
      if (!wires.segment(this, TH_ACK, this.seqOf(send.nxt), 0, 0)) return false;
      this.#ackNow = false;
      this.#acked = this.receive.next;
    }
    send.checkWindow(nowMs);
    wires.timer(this.deadlineMs);
    return true;
  }

  #finSent(): void {
    if (this.state === "ESTABLISHED") this.state = "FIN_WAIT_1";
    else if (this.state === "CLOSE_WAIT") this.state = "LAST_ACK";
  }

  #sendSyn(nowMs: number): boolean {
    const flags = this.state === "SYN_SENT" ? TH_SYN : TH_SYN | TH_ACK;
    if (!this.wires.segment(this, flags, (this.#ours - 1) >>> 0, 0, 0)) return false;
    this.#synNow = this.#ackNow = false;
    this.#syns++;
    this.#deadlineMs = nowMs + FIRST_SYN_MS * 2 ** (this.#syns - 1);
    this.wires.timer(this.#deadlineMs);
    return true;
  }

  /** The guest's address can be reached now: no need to wait with the SYN. */
  retrySyn(): void {
    if (this.state !== "SYN_SENT" || this.#syns > 1) return;
    this.#synNow = true;
    this.wires.wake(this);
  }

  #sendReset(): void {
    if (this.state === "CLOSED" || this.state === "SYN_SENT" || this.state === "TIME_WAIT") return;
    const seq = this.state === "CONNECTING" ? 0 : this.seqOf(this.send.nxt);
    this.wires.segment(this, TH_RST | TH_ACK, seq, 0, 0);
  }

  /** When `tick` has something to do. */
  get deadlineMs(): number {
    return Math.min(this.#deadlineMs, this.send.deadlineMs, this.#idleMs);
  }

  /** Does what is due. `lookedMs`: when somebody looked before. */
  tick(nowMs: number, lookedMs: number): void {
    if (nowMs >= this.#deadlineMs) this.#expired();
    if (this.state === "CLOSED") return;
    const { send } = this;
    if (nowMs >= send.deadlineMs) {
      send.expired(nowMs, lookedMs);
      if (send.hopeless) return this.abort();
      this.wires.wake(this);
    }
    if (nowMs >= this.#idleMs) {
      if (++this.#idleProbes > MOST_IDLE_PROBES) return this.abort();
      this.#idleMs = nowMs + IDLE_PROBE_MS;
      this.#probeNow = this.synchronized;
      this.wires.wake(this);
    }
  }

  #expired(): void {
    this.#deadlineMs = Infinity;
    if (this.state === "TIME_WAIT" || this.#syns >= MOST_SYNS) return this.close();
    this.#synNow = true;
    this.wires.wake(this);
  }

  /** Tells the guest that it is over, and ends it. */
  abort(): void {
    this.#sendReset();
    this.close();
  }

  /** Ends it without a word to the guest. */
  close(): void {
    if (this.state === "CLOSED") return;
    this.state = "CLOSED";
    this.#host?.close();
    this.#host = undefined;
    this.wires.closed(this);
  }
}
