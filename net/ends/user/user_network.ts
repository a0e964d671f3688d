// SPDX-License-Identifier: MIT
/**
 * A network end that reaches the host's networks with no privilege: it ends the guest's TCP and UDP here and carries them on
 * by sockets of the host, as QEMU's user network does. The gateway (see responder.ts) answers ARP, DHCP, neighbour and
 * router solicitation and pings for itself.
 *
 * What happens on the host's side comes in the host's time: runs with it do not repeat exactly under --icount.
 * A snapshot keeps no connections: after a restore guests find them reset.
 *
 * Frames of guests are checked and counted: what is malformed goes nowhere.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import type { Tracer } from "../../../cpu/base/trace.ts";
import { bytesEqual, formatIpv4, formatIpv6 } from "../../frames/addresses.ts";
import { fold, storeChecksum, sumBytes, sumFrame, sumPseudoHeader } from "../../frames/checksum.ts";
import { conform, takesAsIs } from "../../frames/gso.ts";
import {
  be16,
  be32,
  ETH_HLEN,
  ETH_P_ARP,
  Headers,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
} from "../../frames/headers.ts";
import { DeliveryQueue } from "../delivery_queue.ts";
import { DHCP_SERVER_PORT } from "../dhcp.ts";
import {
  type EndState,
  type Frame,
  type FrameReceiver,
  MIN_FRAME_BYTES,
  type NetEnd,
  OFFLOAD_ALL,
  OFFLOAD_NONE,
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
} from "../end.ts";
import { Responder } from "../responder.ts";
import { EchoRelay } from "./echo_relay.ts";
import type { HostListener, HostNetwork } from "./host_network.ts";
import { destinationUnreachable, portsAnd } from "./icmp_errors.ts";
import { IpFragments } from "./ip_fragments.ts";
import { arpRequest, Neighbors, neighborSolicit } from "./neighbors.ts";
import { PacketWriter } from "./packet_writer.ts";
import type { TcpTuple } from "./tcp/tcp_connection.ts";
import { TcpSegment } from "./tcp/tcp_header.ts";
import { TcpStack } from "./tcp/tcp_stack.ts";
import { MTU, type UserLink } from "./user_link.ts";
import { UdpFlows } from "./udp_flows.ts";
import {
  format,
  type Forward,
  parseAddress,
  UserAddresses,
  type UserNetworkOptions,
} from "./user_addresses.ts";

const MAC = "52:55:0a:00:02:02"; // QEMU's gateway
const QUEUE_LIMITS = { frames: 512, bytes: 1 << 20 };
/** RFC 4861 §6.2.1; the lifetime that we announce is three times as long. */
const ADVERTISE_MS = 600_000;
const UDP_BYTES = 8;
const ND_ROUTER_SOLICIT = 133;
const ND_NEIGHBOR_SOLICIT = 135;
const ND_NEIGHBOR_ADVERT = 136;
const ICMP_ECHO = 8;
const ICMPV6_ECHO_REQUEST = 128;
const FIRST_FORWARD_PORT = 49_152;

/** A packet of a guest as it was parsed: valid until the next one. */
interface Packet extends TcpTuple {
  frame: Frame;
  readonly mac: Uint8Array;
  /** Bytes up to the end of the IP packet. */
  end: number;
  protocol: number;
}

/** See the module's description. */
export class UserNetwork implements NetEnd, UserLink {
  readonly name = "user";
  readonly offloads = OFFLOAD_ALL;
  readonly #host: HostNetwork;
  readonly #tracer: Tracer | undefined;
  readonly #addresses: UserAddresses;
  readonly #writer: PacketWriter;
  readonly #responder: Responder;
  readonly #tcp: TcpStack;
  readonly #udp: UdpFlows;
  readonly #echo: EchoRelay;
  readonly #fragments = new IpFragments();
  readonly #neighbors = new Neighbors();
  readonly #queue = new DeliveryQueue(QUEUE_LIMITS);
  readonly #listeners: HostListener[] = [];
  readonly #opening: Promise<void>[] = [];
  readonly #headers = new Headers();
  readonly #segment = new TcpSegment();
  #receiver: FrameReceiver | undefined;
  #wake: () => void = () => {};
  #delivered = 0;
  #timerMs = Infinity;
  #cancelTimer: () => void = () => {};
  #advertiseMs = Infinity;
  #forwardPort = FIRST_FORWARD_PORT;
  #closed = false;

  /** Opens the forwarded ports; those of UDP are open when {@linkcode opened} resolves. Throws ConfigError. */
  constructor(host: HostNetwork, options: UserNetworkOptions & { readonly tracer?: Tracer } = {}) {
    this.#host = host;
    this.#tracer = options.tracer;
    const addresses = this.#addresses = new UserAddresses(options, () => host.nameServer());
    this.#responder = new Responder(
      { attach() {}, send: (frame) => (this.#answer(frame), true) },
      {
        mac: MAC,
        ipv4: `${formatIpv4(addresses.gateway)}/${addresses.prefixLength}`,
        ipv6: `${formatIpv6(addresses.gateway6)}/64`,
        firstLease: formatIpv4(addresses.firstLease),
        dns: formatIpv4(addresses.dns),
        dns6: formatIpv6(addresses.dns6),
        also: addresses.others(),
        ...(options.tracer && { tracer: options.tracer }),
      },
    );
    this.#writer = new PacketWriter(this.#responder.mac);
    this.#tcp = new TcpStack(this, host, this.#writer);
    this.#udp = new UdpFlows(this, host, this.#writer, addresses);
    this.#echo = new EchoRelay(this, host, this.#writer);
    try {
      for (const rule of addresses.hostForwards) this.#forward(rule);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Connections open now: TCP, and ports of guests that use UDP. */
  get open(): { readonly tcp: number; readonly udp: number } {
    return { tcp: this.#tcp.connections, udp: this.#udp.open };
  }

  /** Resolves when all forwarded ports are open; rejects with ConfigError when one cannot be. */
  async opened(): Promise<void> {
    await Promise.all(this.#opening);
  }

  // the end

  attach(receiver: FrameReceiver | undefined): void {
    this.#queue.clear();
    this.#receiver = receiver;
  }
  receiverChanged(): void {}
  wakeWith(wake: () => void): void {
    this.#wake = wake;
  }
  get awaiting(): boolean {
    return this.#delivered > 0 || this.#tcp.connections > 0 ||
      this.#udp.open > this.#addresses.hostForwards.length ||
      this.#echo.pollFd() >= 0;
  }
  /** All that was sent lately was data of connections, whose acknowledgements may wait for more. */
  get unhurried(): boolean {
    return this.#tcp.onlyData;
  }
  pollFd(): number {
    return this.#closed ? -1 : this.#echo.pollFd();
  }

  poll(idle = true): number {
    const receiver = this.#receiver;
    if (receiver === undefined || this.#closed) return 0;
    this.#echo.poll();
    this.#udp.poll();
    if (this.#host.nowMs() >= this.#advertiseMs) this.#advertise();
    this.#delivered += this.#queue.drain(receiver);
    if (this.#queue.waiting === 0) this.#tcp.poll(idle);
    const delivered = this.#delivered;
    this.#delivered = 0;
    if (delivered > 0) receiver.flush();
    return delivered;
  }

  send(frame: Frame): boolean {
    if (this.#closed || frame.length < MIN_FRAME_BYTES) return false;
    this.#tcp.onlyData = false;
    try {
      this.#input(frame);
    } catch (error) { // only the host's side throws, and never for what a guest can repair
      if (!(error instanceof ConfigError)) throw error;
      this.#tracer?.warnOnce("net.user.host", error.message);
    }
    return true;
  }

  save(): EndState {
    return { waiting: [...this.#queue.save(), ...this.#tcp.resets()] };
  }

  restore(state: EndState): void {
    this.#tcp.closeAll();
    this.#udp.closeAll(false);
    this.#queue.restore(state.waiting);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receiver = undefined;
    this.#queue.clear();
    this.#cancelTimer();
    for (const listener of this.#listeners) listener.close();
    this.#tcp.closeAll();
    this.#udp.closeAll(true);
    this.#echo.close();
  }

  // what the protocols use

  get accepts(): number {
    return this.#receiver?.accepts ?? OFFLOAD_NONE;
  }

  deliver(frame: Frame): boolean {
    const receiver = this.#receiver;
    if (receiver === undefined || this.#queue.waiting > 0) return false;
    const taken = takesAsIs(frame, receiver.accepts)
      ? receiver.deliver(frame, 0)
      : conform(frame, receiver.accepts, (piece) => receiver.deliver(piece, 0));
    if (taken) this.#delivered++;
    return taken;
  }

  post(frame: Frame): void {
    const receiver = this.#receiver;
    if (receiver === undefined || this.#closed) return;
    const before = this.#queue.dropped;
    this.#delivered += this.#queue.offer(receiver, frame);
    const dropped = this.#queue.dropped - before;
    if (dropped > 0) this.#tracer?.counters.add("net.user.dropped", dropped);
    this.#wake();
  }

  wake(): void {
    this.#wake();
  }

  timer(ms: number): void {
    if (ms >= this.#timerMs || this.#closed) return;
    this.#cancelTimer();
    this.#timerMs = ms;
    this.#cancelTimer = this.#host.after(Math.max(0, ms - this.#host.nowMs()), () => {
      this.#timerMs = Infinity;
      this.#wake();
    });
  }

  count(what: string): void {
    this.#tracer?.counters.add(`net.user.${what}`);
  }

  unreachable(tuple: TcpTuple, mac: Uint8Array, seq: number): void {
    const start = portsAnd(tuple.guestPort, tuple.remotePort, seq);
    this.#unreachable({ ...tuple, mac, protocol: IPPROTO_TCP, start }, "host");
  }

  resolve(guest: Uint8Array): Uint8Array | undefined {
    const mac = this.#neighbors.macOf(guest);
    if (mac !== undefined) return mac;
    const { gateway } = this.#addresses;
    this.post(
      guest.length === 4
        ? arpRequest(this.#writer.mac, gateway, guest)
        : neighborSolicit(this.#writer, this.#responder.linkLocal, guest),
    );
    return undefined;
  }

  #unreachable(
    packet: {
      version: 4 | 6;
      mac: Uint8Array;
      guest: Uint8Array;
      remote: Uint8Array;
      protocol: number;
      start: Uint8Array;
    },
    what: "host" | "port",
  ): void {
    const { gateway, gateway6 } = this.#addresses;
    this.count("unreachable");
    this.post(destinationUnreachable(this.#writer, packet.version === 4 ? gateway : gateway6, packet, what));
  }

  #advertise(): void {
    this.#advertiseMs = this.#host.nowMs() + ADVERTISE_MS;
    this.timer(this.#advertiseMs);
    this.#responder.advertise();
  }

  // forwarded ports

  #forward(rule: Forward): void {
    const failed = (why: string) => {
      this.#tracer?.warnOnce("net.user.forward", `Cannot forward ${rule.text}: ${why}`);
    };
    if (rule.protocol === "udp") {
      this.#opening.push(this.#udp.forward(rule, (guest) => this.resolve(guest), failed));
      return;
    }
    const guest = parseAddress(rule.to.address);
    const version = guest.length === 4 ? 4 : 6;
    this.#listeners.push(
      this.#host.listenTcp(rule.from, (peer, connection) => {
        const remote = this.#addresses.seen(peer.address, version);
        const tuple = { version, guest, guestPort: rule.to.port, remote, remotePort: peer.port } as const;
        const free = this.#freePort(tuple);
        return free && this.#tcp.forward(free, this.#neighbors.macOf(guest), connection);
      }),
    );
  }

  /** `tuple`, with another port when a connection like it is open. */
  #freePort(tuple: TcpTuple): TcpTuple | undefined {
    if (this.#tcp.find(tuple) === undefined) return tuple;
    for (let tries = 0; tries < 1 << 14; tries++) {
      this.#forwardPort = this.#forwardPort === 65_535 ? FIRST_FORWARD_PORT : this.#forwardPort + 1;
      const other = { ...tuple, remotePort: this.#forwardPort };
      if (this.#tcp.find(other) === undefined) return other;
    }
    return undefined;
  }

  // what guests send

  /** `reassembled`: the frame is made of fragments, and is none again. */
  #input(frame: Frame, reassembled = false): void {
    const headers = this.#headers;
    const whole = headers.parse(frame);
    const b = headers.bytes;
    const group = ((b[0] as number) & 1) !== 0;
    if (!group && !bytesEqual(b, this.#writer.mac)) return; // for somebody else on this link
    if (headers.l3 !== ETH_HLEN) return this.count("tagged");
    if (headers.etherType === ETH_P_ARP) return this.#arp(frame);
    if (headers.version === 0) return this.count("malformed");
    const packet = this.#packet(frame);
    if (packet === undefined) return this.count("malformed");
    if (headers.fragment) return reassembled ? this.count("malformed") : this.#fragment(packet);
    if (packet.protocol === IPPROTO_ICMP || packet.protocol === IPPROTO_ICMPV6) {
      return this.#icmp(packet, group);
    }
    const transport = packet.protocol === IPPROTO_TCP || packet.protocol === IPPROTO_UDP;
    if (!transport) return group ? undefined : this.#unknownProtocol(packet);
    if (!whole || headers.l4 + headers.l4Bytes > packet.end || !this.#soundChecksum(packet)) {
      return this.count("malformed");
    }
    if (packet.protocol === IPPROTO_UDP) return this.#udpInput(packet, group);
    if (!group) this.#tcpInput(packet);
  }

  /** Addresses and lengths, or undefined when the IP header does not fit the frame. */
  #packet(frame: Frame): Packet | undefined {
    const { bytes: b, l3, l4, version, protocol } = this.#headers;
    const mac = b.subarray(6, 12);
    if (version === 4) {
      const end = l3 + be16(b, l3 + 2);
      if (end < l4 || end > frame.length || sumBytes(b, l3, l4) !== 0xffff) return undefined;
      const guest = b.subarray(l3 + 12, l3 + 16);
      const first = guest[0] as number;
      if (first === 127 || first >= 224) return undefined;
      const remote = b.subarray(l3 + 16, l3 + 20);
      return { frame, mac, end, protocol, version, guest, remote, ...this.#ports() };
    }
    const end = l3 + 40 + be16(b, l3 + 4);
    if (version !== 6 || end < l4 || end > frame.length || b[l3 + 8] === 0xff) return undefined;
    const guest = b.subarray(l3 + 8, l3 + 24);
    const remote = b.subarray(l3 + 24, l3 + 40);
    return { frame, mac, end, protocol, version, guest, remote, ...this.#ports() };
  }

  #ports(): { guestPort: number; remotePort: number } {
    const { bytes, l4, l4Bytes } = this.#headers;
    if (l4Bytes === 0) return { guestPort: 0, remotePort: 0 };
    return { guestPort: be16(bytes, l4), remotePort: be16(bytes, l4 + 2) };
  }

  /** A checksum that the guest has left to us is not looked at: nothing can have changed it. */
  #soundChecksum({ frame, version, protocol, end }: Packet): boolean {
    if ((frame.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID)) !== 0) return true;
    const { bytes, l3, l4 } = this.#headers;
    if (protocol === IPPROTO_UDP && version === 4 && be16(bytes, l4 + 6) === 0) return true; // RFC 768: none
    const pseudo = sumPseudoHeader(bytes, l3, { version, protocol, length: end - l4 });
    return fold(pseudo + sumFrame(frame, l4, end)) === 0xffff;
  }

  /** What the gateway says; its answers to long pings are long. */
  #answer(frame: Frame): void {
    if (frame.length <= ETH_HLEN + MTU) return this.post(frame);
    const b = frame.bytes();
    const [version, ipBytes, address] = b[ETH_HLEN] === 0x45 ? [4, 20, 4] as const : [6, 40, 16] as const;
    const l4 = ETH_HLEN + ipBytes;
    const addresses = {
      version,
      mac: b.subarray(0, 6),
      from: b.subarray(l4 - 2 * address, l4 - address),
      to: b.subarray(l4 - address, l4),
    };
    const protocol = version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    this.#writer.datagram(addresses, protocol, b.subarray(l4), 2, (part) => this.post(part));
  }

  #arp(frame: Frame): void {
    const { bytes: b } = this.#headers;
    if (frame.length >= 42) this.#learn(b.subarray(28, 32), b.subarray(22, 28));
    this.#responder.deliver(frame);
  }

  #learn(address: Uint8Array, mac: Uint8Array): void {
    if (this.#neighbors.learn(address, mac)) this.#tcp.learned(address, mac);
  }

  #fragment(packet: Packet): void {
    const { version, frame, end } = packet;
    const whole = this.#fragments.take(frame, this.#headers, end, this.#host.nowMs());
    if (whole === undefined) return;
    if (version === 4) {
      const b = whole.slices[0] as Uint8Array;
      b[ETH_HLEN + 10] = b[ETH_HLEN + 11] = 0;
      storeChecksum(b, ETH_HLEN + 10, sumBytes(b, ETH_HLEN, ETH_HLEN + ((b[ETH_HLEN] as number) & 0xf) * 4));
    }
    this.#input(whole, true);
  }

  #icmp(packet: Packet, group: boolean): void {
    const { bytes: b, l3, l4 } = this.#headers;
    const { version, frame, end, remote, guest, mac, protocol } = packet;
    if ((version === 4) !== (protocol === IPPROTO_ICMP)) return this.count("malformed");
    const type = b[l4];
    const discovery = version === 6 && (type === ND_ROUTER_SOLICIT || type === ND_NEIGHBOR_SOLICIT);
    if (version === 6 && type === ND_NEIGHBOR_ADVERT && end >= l4 + 24 && b[l3 + 7] === 255) {
      return this.#learn(b.subarray(l4 + 8, l4 + 24), mac);
    }
    if (discovery) {
      if (type === ND_ROUTER_SOLICIT && this.#advertiseMs === Infinity) {
        this.#advertiseMs = this.#host.nowMs() + ADVERTISE_MS;
        this.timer(this.#advertiseMs);
      }
      if (guest.some((byte) => byte !== 0)) this.#learn(guest, mac);
      return void this.#responder.deliver(frame);
    }
    if (type !== (version === 4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST)) return;
    if (this.#responder.answersFor(remote)) return void this.#responder.deliver(frame);
    if (group) return;
    const to = this.#addresses.restrict ? undefined : this.#addresses.hostOf(remote);
    if (to !== undefined && this.#echo.request(packet, to, this.#payload(frame, l4, end))) return;
    this.#unreachable({ ...packet, start: b.slice(l4, l4 + UDP_BYTES) }, "host");
  }

  #payload(frame: Frame, from: number, to: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(to - from);
    frame.copyTo(bytes, from);
    return bytes;
  }

  #unknownProtocol(packet: Packet): void {
    const { bytes, l4 } = this.#headers;
    this.#unreachable({ ...packet, start: bytes.slice(l4, l4 + UDP_BYTES) }, "host");
  }

  #udpInput(packet: Packet, group: boolean): void {
    const { bytes, l4 } = this.#headers;
    const { frame, version, remotePort, guestPort, end } = packet;
    const length = be16(bytes, l4 + 4);
    if (length < UDP_BYTES || l4 + length > end || guestPort === 0) return this.count("malformed");
    if (version === 4 && remotePort === DHCP_SERVER_PORT) return void this.#responder.deliver(frame);
    if (group) return;
    const payload = () => this.#payload(frame, l4 + UDP_BYTES, l4 + length);
    if (this.#udp.input(packet, packet.mac, payload)) return;
    this.#unreachable({ ...packet, start: bytes.slice(l4, l4 + UDP_BYTES) }, "port");
  }

  #tcpInput(packet: Packet): void {
    const { bytes, l4, l4Bytes } = this.#headers;
    const at = l4 + l4Bytes;
    const segment = this.#segment;
    segment.parse(bytes, l4, l4Bytes, at, packet.end - at);
    if (packet.guestPort === 0 || be32(packet.guest, 0) === 0 && packet.version === 4) {
      return this.count("malformed");
    }
    this.#tcp.input(packet, packet.mac, segment, packet.frame, this.#reachTcp);
  }

  readonly #reachTcp = ({ remote, remotePort }: TcpTuple) => this.#addresses.reach("tcp", remote, remotePort);

  /** For messages: the network and what guests are told. */
  toString(): string {
    const { gateway, prefixLength, dns } = this.#addresses;
    return `user network ${format(gateway)}/${prefixLength}, name server ${format(dns)}`;
  }
}
