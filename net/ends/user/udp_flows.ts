// SPDX-License-Identifier: MIT
/**
 * UDP of a user network: each port of a guest that sends gets a socket of the host (RFC 4787: one mapping for all peers,
 * and only whom the guest has spoken to may answer), for as long as it is used.
 * @module
 */
import { UDP_CHECKSUM_OFFSET } from "../../frames/checksum.ts";
import { bytesEqual } from "../../frames/addresses.ts";
import { be32, IPPROTO_UDP, putBe16 } from "../../frames/headers.ts";
import type { HostNetwork, HostPeer, HostUdp } from "./host_network.ts";
import type { PacketWriter } from "./packet_writer.ts";
import type { UserLink } from "./user_link.ts";
import type { TcpTuple } from "./tcp/tcp_connection.ts";
import { format, type Forward, parseAddress, type UserAddresses } from "./user_addresses.ts";

/** Most sockets; the one that was used longest ago gives way. */
const MOST_FLOWS = 256;
/** Most peers that may answer one socket; the oldest is forgotten. */
const MOST_PEERS = 64;
/** RFC 4787 REQ-5. */
const IDLE_MS = 120_000;
const IDLE_DNS_MS = 10_000;
const SWEEP_MS = 5_000;
const UDP_BYTES = 8;
const MAX_PAYLOAD4 = 65_507;
const MAX_PAYLOAD6 = 65_527;

interface Flow {
  readonly key: number | string;
  readonly version: 4 | 6;
  readonly guest: Uint8Array;
  readonly port: number;
  readonly mac: Uint8Array;
  /** By IP version of the host's side. */
  readonly sockets: Map<4 | 6, HostUdp>;
  /** Who may answer, as the guest knows them. */
  readonly peers: Map<string, { readonly address: Uint8Array; readonly port: number }>;
  /** A forwarded port: whoever comes may speak, and it stays. */
  readonly forwarded: boolean;
  lastTo: { readonly address: Uint8Array; readonly port: number; readonly peer: HostPeer } | undefined;
  untilMs: number;
}

/** See the module's description. */
export class UdpFlows {
  readonly #flows = new Map<number | string, Flow>();
  #sweepMs = Infinity;

  constructor(
    readonly link: UserLink,
    readonly host: HostNetwork,
    readonly writer: PacketWriter,
    readonly addresses: UserAddresses,
  ) {}

  /** Sockets open now. */
  get open(): number {
    return this.#flows.size;
  }

  /**
   * A port of the host that leads to a guest. `macOf`: the guest's address on the link, when it is known. Resolves when the
   * port is there; rejects with ConfigError when it cannot be had.
   */
  forward(
    rule: Forward,
    macOf: (guest: Uint8Array) => Uint8Array | undefined,
    failed: (why: string) => void,
  ): Promise<void> {
    const guest = parseAddress(rule.to.address);
    const flow = this.#make(guest.length === 4 ? 4 : 6, guest, rule.to.port, true);
    const version = rule.from.address.includes(":") ? 6 : 4;
    const received = (bytes: Uint8Array, from: HostPeer) => {
      if (flow.mac.every((byte) => byte === 0)) {
        const mac = macOf(guest);
        if (mac === undefined) return this.link.count("udp.no_guest");
        flow.mac.set(mac);
      }
      const address = this.addresses.seen(from.address, flow.version);
      remember(flow, from, { address, port: from.port });
      this.#received(flow, bytes, from);
    };
    const socket = this.host.openUdp(version, rule.from, received, failed);
    flow.sockets.set(version, socket);
    return socket.bound;
  }

  /** Takes a datagram of a guest. False: it cannot get where it should. */
  input(tuple: TcpTuple, mac: Uint8Array, payload: () => Uint8Array<ArrayBuffer>): boolean {
    const key = keyOf(tuple.guest, tuple.guestPort);
    let flow = this.#flows.get(key);
    let to = flow?.lastTo;
    if (to === undefined || to.port !== tuple.remotePort || !bytesEqual(to.address, tuple.remote)) {
      const peer = this.#answerTo(flow, tuple) ?? this.addresses.reach("udp", tuple.remote, tuple.remotePort);
      if (peer === undefined) return false;
      flow ??= this.#make(tuple.version, tuple.guest.slice(), tuple.guestPort, false);
      to = flow.lastTo = { address: tuple.remote.slice(), port: tuple.remotePort, peer };
      remember(flow, peer, to);
    }
    const known = flow as Flow;
    known.mac.set(mac);
    this.#touch(known, to.port);
    this.#socket(known, to.peer.address.includes(":") ? 6 : 4).send(payload(), to.peer);
    return true;
  }

  /** Who came through a forwarded port and is seen as the gateway is answered there. */
  #answerTo(flow: Flow | undefined, { remote, remotePort }: TcpTuple): HostPeer | undefined {
    if (flow === undefined || !flow.forwarded) return undefined;
    for (const [key, { address, port }] of flow.peers) {
      if (port === remotePort && bytesEqual(address, remote)) return peerOf(key);
    }
    return undefined;
  }

  #make(version: 4 | 6, guest: Uint8Array, port: number, forwarded: boolean): Flow {
    if (this.#flows.size >= MOST_FLOWS) this.#evict();
    const key = keyOf(guest, port);
    const flow: Flow = {
      key,
      version,
      guest,
      port,
      mac: new Uint8Array(6),
      sockets: new Map(),
      peers: new Map(),
      forwarded,
      lastTo: undefined,
      untilMs: Infinity,
    };
    this.#flows.set(key, flow);
    this.link.count("udp.opened");
    return flow;
  }

  #socket(flow: Flow, version: 4 | 6): HostUdp {
    let socket = flow.sockets.get(version);
    if (socket === undefined) {
      socket = this.host.openUdp(
        version,
        undefined,
        (bytes, from) => this.#received(flow, bytes, from),
        () => this.link.count("udp.failed"),
      );
      flow.sockets.set(version, socket);
    }
    return socket;
  }

  /** It is used: it moves to the end of the map, so that the first one is the one used longest ago. */
  #touch(flow: Flow, port: number): void {
    if (flow.forwarded) return;
    const now = this.host.nowMs();
    flow.untilMs = now + (port === 53 ? IDLE_DNS_MS : IDLE_MS);
    this.#flows.delete(flow.key);
    this.#flows.set(flow.key, flow);
    if (this.#sweepMs !== Infinity) return;
    this.#sweepMs = now + SWEEP_MS;
    this.link.timer(this.#sweepMs);
  }

  #evict(): void {
    for (const flow of this.#flows.values()) if (!flow.forwarded) return this.#close(flow);
  }

  #close(flow: Flow): void {
    this.#flows.delete(flow.key);
    for (const socket of flow.sockets.values()) socket.close();
    flow.sockets.clear();
  }

  /** Closes what is not used any more. */
  poll(): void {
    const now = this.host.nowMs();
    if (now < this.#sweepMs) return;
    let temporary = false;
    for (const flow of this.#flows.values()) {
      if (now >= flow.untilMs) this.#close(flow);
      else temporary ||= !flow.forwarded;
    }
    this.#sweepMs = temporary ? now + SWEEP_MS : Infinity;
    if (temporary) this.link.timer(this.#sweepMs);
  }

  closeAll(forwardsToo: boolean): void {
    for (const flow of [...this.#flows.values()]) if (forwardsToo || !flow.forwarded) this.#close(flow);
  }

  #received(flow: Flow, bytes: Uint8Array, from: HostPeer): void {
    const peer = flow.peers.get(nameOf(from));
    if (peer === undefined) return this.link.count("udp.uninvited");
    this.#touch(flow, peer.port);
    this.send(flow, peer, bytes);
  }

  /** Sends a datagram to a guest, in fragments when it is long. */
  send(
    to: { version: 4 | 6; guest: Uint8Array; port: number; mac: Uint8Array },
    from: { readonly address: Uint8Array; readonly port: number },
    payload: Uint8Array,
  ): void {
    const { version, guest, port, mac } = to;
    const { writer, link } = this;
    const message = new Uint8Array(UDP_BYTES + payload.length);
    if (payload.length > (version === 4 ? MAX_PAYLOAD4 : MAX_PAYLOAD6)) return link.count("udp.too_long");
    putBe16(message, 0, from.port);
    putBe16(message, 2, port);
    putBe16(message, 4, message.length);
    message.set(payload, UDP_BYTES);
    const addresses = { version, mac, from: from.address, to: guest };
    writer.datagram(addresses, IPPROTO_UDP, message, UDP_CHECKSUM_OFFSET, (frame) => link.post(frame));
  }
}

function remember(
  flow: Flow,
  peer: HostPeer,
  seen: { readonly address: Uint8Array; readonly port: number },
): void {
  const name = nameOf(peer);
  flow.peers.delete(name);
  if (flow.peers.size >= MOST_PEERS) flow.peers.delete(flow.peers.keys().next().value as string);
  flow.peers.set(name, seen);
}

function nameOf({ address, port }: HostPeer): string {
  return `${address}|${port}`;
}
function peerOf(name: string): HostPeer {
  const [address = "", port] = name.split("|");
  return { address, port: Number(port) };
}

/** A guest's address and port as a key. */
function keyOf(guest: Uint8Array, port: number): number | string {
  return guest.length === 4 ? be32(guest, 0) * 65536 + port : `${format(guest)}|${port}`;
}
