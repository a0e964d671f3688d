// SPDX-License-Identifier: MIT
/** A guest for tests of the user network: builds its frames by hand and takes ours apart, checksums and all. @module */
import { assert, assertEquals } from "@std/assert";
import { parseIpv4, parseIpv6, parseMac } from "../../frames/addresses.ts";
import { completeChecksum, fold, storeChecksum, sumBytes, sumPseudoHeader } from "../../frames/checksum.ts";
import { be16, be32, putBe16, putBe32 } from "../../frames/headers.ts";
import { type Frame, frameOf, type FrameReceiver, OFFLOAD_ALL, VIRTIO_NET_HDR_F_NEEDS_CSUM } from "../end.ts";
import { Tracer } from "../../../cpu/base/trace.ts";
import { FakeNetwork } from "./_fake_network.ts";
import { UserNetwork } from "./user_network.ts";
import type { UserNetworkOptions } from "./user_addresses.ts";

export const GUEST_MAC = parseMac("02:00:00:00:00:01") as Uint8Array<ArrayBuffer>;
export const GATEWAY_MAC = parseMac("52:55:0a:00:02:02") as Uint8Array<ArrayBuffer>;
export const GUEST = "10.0.2.15";
export const GUEST6 = "fec0::15";

const address = (text: string) => text.includes(":") ? parseIpv6(text) : parseIpv4(text);

/** What an IP packet to us or from us says. */
export interface IpPacket {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly payload: Uint8Array;
}

/** An Ethernet frame with an IP packet of a guest; checksums of the payload are the caller's. */
export function ipFrame(
  { from, to, protocol, payload, fragment = 0x4000, mac = GATEWAY_MAC }: IpPacket & {
    readonly fragment?: number;
    readonly mac?: Uint8Array;
  },
): Uint8Array<ArrayBuffer> {
  const v6 = from.includes(":");
  const l4 = 14 + (v6 ? 40 : 20);
  const bytes = new Uint8Array(l4 + payload.length);
  bytes.set(mac);
  bytes.set(GUEST_MAC, 6);
  putBe16(bytes, 12, v6 ? 0x86dd : 0x0800);
  if (v6) {
    bytes[14] = 0x60;
    putBe16(bytes, 18, payload.length);
    bytes[20] = protocol;
    bytes[21] = 255;
    bytes.set(address(from), 22);
    bytes.set(address(to), 38);
  } else {
    bytes.set([0x45, 0, 0, 0, 0x77, 0x77, 0, 0, 64, protocol], 14);
    putBe16(bytes, 16, 20 + payload.length);
    putBe16(bytes, 20, fragment);
    bytes.set(address(from), 26);
    bytes.set(address(to), 30);
    storeChecksum(bytes, 24, sumBytes(bytes, 14, 34));
  }
  bytes.set(payload, l4);
  return bytes;
}

/** Fills in the checksum at `at` behind the IP header of `bytes`. */
export function checksum(bytes: Uint8Array, protocol: number, at: number): void {
  const version = be16(bytes, 12) === 0x0800 ? 4 : 6;
  const l4 = version === 4 ? 34 : 54;
  putBe16(bytes, l4 + at, 0);
  const pseudo = protocol === 1
    ? 0
    : sumPseudoHeader(bytes, 14, { version, protocol, length: bytes.length - l4 });
  storeChecksum(bytes, l4 + at, fold(pseudo + sumBytes(bytes, l4)), protocol === 17);
}

/** A TCP segment to or from the guest. */
export interface Segment {
  seq: number;
  ack: number;
  flags: string;
  window: number;
  payload: Uint8Array;
  options: Uint8Array;
  gsoSize: number;
  sourcePort: number;
  destinationPort: number;
}

const FLAGS = "FSRPA";

export class Guest implements FrameReceiver {
  accepts = OFFLOAD_ALL;
  readonly host = new FakeNetwork();
  readonly tracer = new Tracer();
  readonly net: UserNetwork;
  /** Frames that arrived, checksums completed. */
  frames: Uint8Array[] = [];
  gso: number[] = [];
  room = Infinity;
  /** Loses what it says true for. */
  loses: (frame: Uint8Array) => boolean = () => false;
  woken = 0;

  constructor(options: UserNetworkOptions = {}, prepare: (host: FakeNetwork) => void = () => {}) {
    prepare(this.host);
    this.net = new UserNetwork(this.host, { ...options, tracer: this.tracer });
    this.net.wakeWith(() => this.woken++);
    this.net.attach(this);
  }

  window(): readonly Uint8Array[] | undefined {
    return this.room > 0 ? [] : undefined;
  }
  deliver(frame: Frame): boolean {
    if (this.room <= 0) return false;
    this.room--;
    const whole = (frame.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) === 0 ? frame : completeChecksum(frame);
    assert(whole !== undefined);
    const bytes = whole.bytes();
    if (this.loses(bytes)) return true;
    this.frames.push(bytes);
    this.gso.push(frame.gsoSize);
    return true;
  }
  flush(): void {}

  /** Sends a frame and lets everybody do what they have to. */
  send(bytes: Uint8Array): void {
    this.net.send(frameOf(bytes));
    this.turn();
  }
  turn(): void {
    this.host.run();
    for (let i = 0; this.net.poll() > 0 && i < 10_000; i++) this.host.run();
  }
  /** Time goes by. */
  wait(ms: number): void {
    this.host.advance(ms);
    this.turn();
  }
  count(name: string): number {
    return this.tracer.counters.get(`net.user.${name}`);
  }

  /** Takes the frames that arrived. */
  take(): Uint8Array[] {
    return this.frames.splice(0);
  }

  /** Takes the IP packets of `protocol` that arrived; their checksums are checked. */
  packets(protocol: number): Uint8Array[] {
    const packets: Uint8Array[] = [];
    for (const bytes of this.take()) {
      const version = be16(bytes, 12) === 0x0800 ? 4 : 6;
      if (bytes[version === 4 ? 23 : 20] !== protocol) continue;
      if (version === 4) assertEquals(sumBytes(bytes, 14, 34), 0xffff, "IPv4 header checksum");
      packets.push(bytes);
    }
    return packets;
  }
}

/** One TCP connection of the guest, step by step. */
export class GuestTcp {
  seq = 0x7fff_fff0;
  ack = 0;
  window = 0xffff;
  constructor(
    readonly guest: Guest,
    readonly to = "192.0.2.1",
    readonly port = 80,
    readonly ownPort = 40_000,
    readonly from: string = to.includes(":") ? GUEST6 : GUEST,
  ) {}

  segment(
    flags: string,
    payload: Uint8Array = new Uint8Array(0),
    more: { seq?: number; ack?: number; options?: Uint8Array; window?: number } = {},
  ): Uint8Array<ArrayBuffer> {
    const { options = new Uint8Array(0) } = more;
    const tcp = new Uint8Array(20 + options.length + payload.length);
    putBe16(tcp, 0, this.ownPort);
    putBe16(tcp, 2, this.port);
    putBe32(tcp, 4, (more.seq ?? this.seq) >>> 0);
    putBe32(tcp, 8, flags.includes("A") ? (more.ack ?? this.ack) >>> 0 : 0);
    tcp[12] = ((20 + options.length) / 4) << 4;
    for (const flag of flags) tcp[13] = (tcp[13] as number) | (1 << FLAGS.indexOf(flag));
    putBe16(tcp, 14, more.window ?? this.window);
    tcp.set(options, 20);
    tcp.set(payload, 20 + options.length);
    const bytes = ipFrame({ from: this.from, to: this.to, protocol: 6, payload: tcp });
    checksum(bytes, 6, 16);
    return bytes;
  }

  /** Sends and counts what it sent. */
  send(flags: string, payload?: Uint8Array, more?: Parameters<GuestTcp["segment"]>[2]): void {
    this.guest.send(this.segment(flags, payload, more));
    if (more?.seq !== undefined) return;
    this.seq =
      (this.seq + (payload?.length ?? 0) + Number(flags.includes("S")) + Number(flags.includes("F"))) >>> 0;
  }

  /** Takes the segments that arrived. */
  received(): Segment[] {
    const { guest } = this;
    const gso = guest.gso.splice(0);
    return guest.take().flatMap((bytes, i) => {
      const v6 = be16(bytes, 12) === 0x86dd;
      const l4 = v6 ? 54 : 34;
      if (bytes[v6 ? 20 : 23] !== 6 || be16(bytes, l4 + 2) !== this.ownPort) return [];
      const version = v6 ? 6 : 4;
      const pseudo = sumPseudoHeader(bytes, 14, { version, protocol: 6, length: bytes.length - l4 });
      assertEquals(fold(pseudo + sumBytes(bytes, l4)), 0xffff, "TCP checksum");
      if (!v6) assertEquals(sumBytes(bytes, 14, 34), 0xffff, "IPv4 header checksum");
      const data = l4 + ((bytes[l4 + 12] as number) >>> 4) * 4;
      return [{
        sourcePort: be16(bytes, l4),
        destinationPort: be16(bytes, l4 + 2),
        seq: be32(bytes, l4 + 4),
        ack: be32(bytes, l4 + 8),
        flags: [...FLAGS].filter((_, bit) => ((bytes[l4 + 13] as number) >>> bit) & 1).join(""),
        window: be16(bytes, l4 + 14),
        options: bytes.slice(l4 + 20, data),
        payload: bytes.slice(data),
        gsoSize: gso[i] ?? 0,
      }];
    });
  }

  /** The handshake, with what a Linux guest's SYN says. */
  open(options: Uint8Array = SYN_OPTIONS): void {
    this.send("S", undefined, { ...{}, options });
    this.guest.host.tcp.at(-1)?.accept();
    this.guest.turn();
    const [answer] = this.received();
    assertEquals(answer?.flags, "SA");
    assertEquals(answer?.ack, this.seq);
    this.ack = ((answer?.seq ?? 0) + 1) >>> 0;
    this.send("A");
    assertEquals(this.received().length, 0);
  }
}

/** MSS 1460, SACK permitted, window scale 7. */
export const SYN_OPTIONS = Uint8Array.of(2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 0, 0);

/** Bytes that tell where they are. */
export function pattern(length: number, from = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => ((from + i) * 7 + ((from + i) >>> 8)) & 0xff);
}

/** A SACK option. */
export function sackOption(...edges: number[]): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * edges.length);
  bytes.set([1, 1, 5, 2 + 4 * edges.length]);
  edges.forEach((edge, i) => putBe32(bytes, 4 + 4 * i, edge >>> 0));
  return bytes;
}
