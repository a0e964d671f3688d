// SPDX-License-Identifier: MIT
/**
 * All TCP connections of a user network: finds the one a segment is for, makes new ones within bounds, and turns what they
 * say into frames of up to 64 KiB, with blank checksums.
 * @module
 */
import { bytesEqual } from "../../../frames/addresses.ts";
import { IPPROTO_TCP, TH_ACK, TH_FIN, TH_PSH, TH_RST, TH_SYN } from "../../../frames/headers.ts";
import {
  Frame,
  type FrameState,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from "../../end.ts";
import type { HostNetwork, HostPeer, HostTcp, HostTcpEvents } from "../host_network.ts";
import type { PacketAddresses, PacketWriter } from "../packet_writer.ts";
import { MTU, type UserLink } from "../user_link.ts";
import { FIRST_RING_BYTES, TcpConnection, type TcpTuple, type TcpWires } from "./tcp_connection.ts";
import { putSack, putSynOptions, putTcpHeader, TCP_HEADER_BYTES, type TcpSegment } from "./tcp_header.ts";

/** Most connections at a time; whoever wants more is refused. */
export const MOST_CONNECTIONS = 1024;
/** Buffers of all connections together, beyond the smallest ones. */
const MOST_BUFFER_BYTES = 64 << 20;
/** Largest payload in a GSO frame: a 64 KiB packet less the longest headers. */
const LARGEST_GSO = 65_535 - 40 - 60;
const MOST_GSO_SEGMENTS = 64;
const BUCKETS = 1024;
/**
 * A guest that is busy does not hear of data that has arrived before this, unless it is much. At first not longer: Linux
 * makes its frames as large as what it thinks a millisecond carries, and all of 64 KiB where the least round trip of some
 * minutes is below half of one.
 */
const FIRST_ACK_DELAY_MS = 0.25;
const ACK_DELAY_MS = 1;
/** Segments a turn may send, so that a flood does not keep the guest from running. */
const TURN_BUDGET = 256;

/** See the module's description. */
export class TcpStack implements TcpWires {
  readonly #buckets: (TcpConnection | undefined)[] = new Array(BUCKETS).fill(undefined);
  #count = 0;
  #buffered = 0;
  #queue: TcpConnection[] = [];
  #serving: TcpConnection[] = [];
  #deadlineMs = Infinity;
  #polledMs = 0;
  readonly #edges: number[] = [];
  /** What a guest sent last was part of much data, in order: nobody has to hear of it at once. */
  onlyData = false;
  /** Connections whose acknowledgements wait for more to acknowledge. */
  #delayed: TcpConnection[] = [];
  /** When they have waited long enough. */
  #delayedToMs = 0;
  #seed: number;

  constructor(readonly link: UserLink, readonly host: HostNetwork, readonly writer: PacketWriter) {
    const random = host.random(4);
    this.#seed = new DataView(random.buffer, random.byteOffset).getUint32(0);
  }

  /** Connections now. */
  get connections(): number {
    return this.#count;
  }

  /** Takes a segment. `reach`: where on the host a new connection goes; undefined: nowhere. */
  input(
    tuple: TcpTuple,
    mac: Uint8Array,
    segment: TcpSegment,
    frame: Frame,
    reach: (tuple: TcpTuple) => HostPeer | undefined,
  ): void {
    let c = this.find(tuple);
    const { flags } = segment;
    const opens = (flags & (TH_SYN | TH_ACK | TH_RST)) === TH_SYN;
    if (c?.state === "TIME_WAIT" && opens && ((segment.seq - c.ackSeq) | 0) >= 0) { // RFC 9293 §3.6.1
      c.close();
      c = undefined;
    }
    if (c !== undefined) {
      c.mac.set(mac);
      c.input(segment, frame);
      if (segment.length === 0) { // of an acknowledgement nobody waits for the answer
        this.onlyData = (flags & ~TH_PSH) === TH_ACK && c.state === "ESTABLISHED";
        return;
      }
      // of one small segment somebody may; unless it is the rest of what a program wrote, of which the most came before
      const large = segment.length > c.send.mss;
      this.onlyData = c.delayed && (large || c.afterLarge);
      c.afterLarge = large;
      return;
    }
    if ((flags & TH_RST) !== 0) return;
    const peer = opens ? reach(tuple) : undefined;
    if (peer === undefined || this.#count >= MOST_CONNECTIONS) {
      if (peer !== undefined) this.link.count("tcp.full");
      return this.#refuse(tuple, mac, segment);
    }
    this.#open(tuple, mac, segment, peer);
  }

  #open(tuple: TcpTuple, mac: Uint8Array, segment: TcpSegment, peer: HostPeer): void {
    const own = { ...tuple, guest: tuple.guest.slice(), remote: tuple.remote.slice() };
    const c = new TcpConnection(own, this, { iss: this.#newIss(), mss: mssOf(tuple.version), segment });
    c.mac.set(mac);
    this.#insert(c);
    this.link.count("tcp.opened");
    c.carry(this.host.connectTcp(peer, c));
  }

  /** A connection from outside to a guest; undefined when there are too many, or one like it. */
  forward(tuple: TcpTuple, mac: Uint8Array | undefined, host: HostTcp): HostTcpEvents | undefined {
    if (this.#count >= MOST_CONNECTIONS || this.find(tuple) !== undefined) return undefined;
    const c = new TcpConnection(tuple, this, { iss: this.#newIss(), mss: mssOf(tuple.version) });
    if (mac !== undefined) c.mac.set(mac);
    this.#insert(c);
    this.link.count("tcp.forwarded");
    c.carry(host);
    return c;
  }

  /** A guest's address has become known. */
  learned(guest: Uint8Array, mac: Uint8Array): void {
    for (const c of this.#all()) {
      if (c.state !== "SYN_SENT" || !bytesEqual(c.tuple.guest, guest)) continue;
      c.mac.set(mac);
      c.retrySyn();
    }
  }

  #newIss(): number {
    const random = this.host.random(4);
    return new DataView(random.buffer, random.byteOffset).getUint32(0);
  }

  // the table

  #bucket({ guest, guestPort, remote, remotePort }: TcpTuple): number {
    let hash = this.#seed ^ (guestPort << 16) ^ remotePort;
    for (const byte of guest) hash = Math.imul(hash ^ byte, 0x0100_0193);
    for (const byte of remote) hash = Math.imul(hash ^ byte, 0x0100_0193);
    return (hash ^ (hash >>> 15)) & (BUCKETS - 1);
  }

  /** The connection between these ends. */
  find(tuple: TcpTuple): TcpConnection | undefined {
    let c = this.#buckets[this.#bucket(tuple)];
    while (c !== undefined && !same(c.tuple, tuple)) c = c.chained;
    return c;
  }

  #insert(c: TcpConnection): void {
    const bucket = this.#bucket(c.tuple);
    c.chained = this.#buckets[bucket];
    this.#buckets[bucket] = c;
    this.#count++;
    this.timer(c.deadlineMs);
  }

  closed(c: TcpConnection): void {
    const bucket = this.#bucket(c.tuple);
    let at = this.#buckets[bucket];
    if (at === c) this.#buckets[bucket] = c.chained;
    while (at !== undefined) {
      if (at.chained === c) at.chained = c.chained;
      at = at.chained;
    }
    this.#count--;
    this.release(c.reserved - 2 * FIRST_RING_BYTES);
    if (c.send.retransmitted > 0) this.link.count("tcp.retransmitting");
  }

  *#all(): Generator<TcpConnection> {
    for (const first of this.#buckets) {
      let next: TcpConnection | undefined;
      for (let c = first; c !== undefined; c = next) {
        next = c.chained;
        yield c;
      }
    }
  }

  // what connections need

  nowMs(): number {
    return this.host.nowMs();
  }
  wake(c: TcpConnection): void {
    if (c.queued) return;
    c.queued = true;
    this.#queue.push(c);
    this.link.wake();
  }
  delay(c: TcpConnection): void {
    if (c.delayed) return;
    c.delayed = true;
    const toMs = this.host.nowMs() + (c.settled ? ACK_DELAY_MS : FIRST_ACK_DELAY_MS);
    this.#delayedToMs = this.#delayed.length === 0 ? toMs : Math.min(this.#delayedToMs, toMs);
    this.#delayed.push(c);
  }
  timer(ms: number): void {
    if (ms >= this.#deadlineMs) return;
    this.#deadlineMs = ms;
    this.link.timer(ms);
  }
  reserve(bytes: number): boolean {
    if (this.#buffered + bytes > MOST_BUFFER_BYTES) return false;
    this.#buffered += bytes;
    return true;
  }
  release(bytes: number): void {
    this.#buffered -= bytes;
  }
  unreachable(c: TcpConnection): void {
    this.link.unreachable(c.tuple, c.mac, (c.ackSeq - 1) >>> 0);
  }

  most(c: TcpConnection): number {
    const { mss } = c.send;
    const tso = c.tuple.version === 4 ? OFFLOAD_TSO4 : OFFLOAD_TSO6;
    if ((this.link.accepts & tso) === 0) return mss;
    return mss * Math.max(1, Math.min(MOST_GSO_SEGMENTS, Math.floor(LARGEST_GSO / mss)));
  }

  segment(c: TcpConnection, flags: number, seq: number, from: number, length: number): boolean {
    const { tuple } = c;
    if (isZero(c.mac)) {
      const mac = this.link.resolve(tuple.guest);
      if (mac === undefined) return true; // as if it were lost: when the guest answers, or later, it is sent again
      c.mac.set(mac);
    }
    const { version } = tuple;
    const { writer } = this;
    const syn = (flags & TH_SYN) !== 0;
    const header = writer.bytes;
    const l4 = l4Of(version);
    putTcpHeader(header, l4, {
      sourcePort: tuple.remotePort,
      destinationPort: tuple.guestPort,
      seq,
      ack: (flags & TH_ACK) !== 0 ? c.ackSeq : 0,
      flags,
      window: (flags & TH_ACK) !== 0 || syn ? c.windowField(syn) : 0,
    });
    let headerBytes = TCP_HEADER_BYTES;
    if (syn) headerBytes = putSynOptions(header, l4, { mss: mssOf(version), ...c.synOptions });
    else if (length === 0 && c.receive.ahead.list.length > 0 && c.synOptions.sack) {
      c.receive.sackEdges((offset) => c.ackSeq + (offset - c.receive.next), this.#edges);
      headerBytes = putSack(header, l4, this.#edges);
    }
    writer.begin(this.#addresses(tuple, c.mac), IPPROTO_TCP, headerBytes + length);
    const frame = writer.tcp(version, headerBytes, length);
    c.send.ring.appendTo(frame, from, length);
    if (length > c.send.mss) {
      frame.gsoType = version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
      frame.gsoSize = c.send.mss;
    }
    if ((flags & TH_RST) === 0) return this.link.deliver(frame);
    this.link.post(frame);
    return true;
  }

  #addresses(tuple: TcpTuple, mac: Uint8Array): PacketAddresses {
    return { version: tuple.version, mac, from: tuple.remote, to: tuple.guest };
  }

  /** Answers a segment that is for nobody. */
  #refuse(tuple: TcpTuple, mac: Uint8Array, segment: TcpSegment): void {
    const { flags } = segment;
    const acks = (flags & TH_ACK) !== 0;
    const length = segment.length + Number((flags & TH_SYN) !== 0) + Number((flags & TH_FIN) !== 0);
    this.link.count("tcp.refused");
    this.link.post(
      this.#reset(tuple, mac, acks ? segment.ack : 0, acks ? undefined : (segment.seq + length) >>> 0),
    );
  }

  #reset(tuple: TcpTuple, mac: Uint8Array, seq: number, ack: number | undefined): Frame {
    const { writer } = this;
    putTcpHeader(writer.bytes, l4Of(tuple.version), {
      sourcePort: tuple.remotePort,
      destinationPort: tuple.guestPort,
      seq,
      ack: ack ?? 0,
      flags: TH_RST | (ack === undefined ? 0 : TH_ACK),
      window: 0,
    });
    writer.begin(this.#addresses(tuple, mac), IPPROTO_TCP, TCP_HEADER_BYTES);
    return writer.tcp(tuple.version, TCP_HEADER_BYTES, 0);
  }

  // turns

  /** Sends what there is to send, as far as there is room. `idle`: guests have nothing else to do. */
  poll(idle: boolean): void {
    const nowMs = this.host.nowMs();
    if (this.#delayed.length > 0 && (idle || nowMs >= this.#delayedToMs)) {
      for (const c of this.#delayed.splice(0)) c.acknowledge();
    }
    if (nowMs >= this.#deadlineMs) this.#tick(nowMs);
    this.#polledMs = nowMs;
    if (this.#queue.length === 0) return;
    const serving = this.#queue;
    this.#queue = this.#serving;
    this.#serving = serving;
    let i = 0;
    for (let budget = TURN_BUDGET; i < serving.length && budget > 0; i++, budget--) {
      const c = serving[i] as TcpConnection;
      c.queued = false;
      if (c.serve()) continue;
      c.queued = true;
      break;
    }
    // who had no turn comes first next time; those that were woken meanwhile are in the other list
    for (; i < serving.length; i++) this.#queue.push(serving[i] as TcpConnection);
    serving.length = 0;
  }

  /** There is something to send. */
  get waiting(): boolean {
    return this.#queue.length > 0;
  }

  #tick(nowMs: number): void {
    this.#deadlineMs = Infinity;
    let next = Infinity;
    for (const c of this.#all()) {
      if (nowMs >= c.deadlineMs) c.tick(nowMs, this.#polledMs);
      if (c.state !== "CLOSED") next = Math.min(next, c.deadlineMs);
    }
    this.timer(next);
  }

  /** For a snapshot: what tells the guest, when it wakes up elsewhere, that its connections are gone. */
  resets(): FrameState[] {
    const frames: FrameState[] = [];
    for (const c of this.#all()) {
      if (!c.synchronized || c.state === "TIME_WAIT") continue;
      frames.push(this.#reset(c.tuple, c.mac, c.seqOf(c.send.nxt), c.ackSeq).save());
    }
    return frames;
  }

  /** Ends every connection without a word to the guest. */
  closeAll(): void {
    for (const c of this.#all()) c.close();
  }
}

function mssOf(version: 4 | 6): number {
  return MTU - TCP_HEADER_BYTES - (version === 4 ? 20 : 40);
}

function l4Of(version: 4 | 6): number {
  return 14 + (version === 4 ? 20 : 40);
}

function isZero(mac: Uint8Array): boolean {
  for (const byte of mac) if (byte !== 0) return false;
  return true;
}

function same(a: TcpTuple, b: TcpTuple): boolean {
  return a.guestPort === b.guestPort && a.remotePort === b.remotePort && a.version === b.version &&
    bytesEqual(a.guest, b.guest) && bytesEqual(a.remote, b.remote);
}
