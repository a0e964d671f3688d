// SPDX-License-Identifier: MIT
/**
 * Pings of guests to the world, by the host's unprivileged ping sockets: Linux's net.ipv4.ping_group_range says who may
 * have one. Where nobody may, other hosts do not answer.
 * @module
 */
import { be16, IPPROTO_ICMP, IPPROTO_ICMPV6, putBe16 } from "../../frames/headers.ts";
import type { HostEcho, HostNetwork } from "./host_network.ts";
import type { PacketWriter } from "./packet_writer.ts";
import type { UserLink } from "./user_link.ts";

const ICMP_ECHOREPLY = 0;
const ICMPV6_ECHO_REPLY = 129;
/** Requests that are waited for; a power of two. */
const MOST_WAITING = 256;
const ANSWER_MS = 10_000;
const MOST_PER_POLL = 64;

/** Who asked, and how. */
interface Asked {
  readonly version: 4 | 6;
  readonly mac: Uint8Array;
  readonly guest: Uint8Array;
  readonly remote: Uint8Array;
  readonly id: number;
  readonly seq: number;
  readonly ours: number;
  readonly untilMs: number;
}

/** See the module's description. */
export class EchoRelay {
  readonly #sockets = new Map<4 | 6, HostEcho | undefined>();
  readonly #asked: (Asked | undefined)[] = new Array(MOST_WAITING).fill(undefined);
  #next = 0;
  #untilMs = 0;
  #asking: 4 | 6 = 4;

  constructor(readonly link: UserLink, readonly host: HostNetwork, readonly writer: PacketWriter) {}

  /** Sends a guest's echo request on. `to`: the host's name for `remote`. False: that cannot be done here. */
  request(
    packet: { version: 4 | 6; mac: Uint8Array; guest: Uint8Array; remote: Uint8Array },
    to: string,
    message: Uint8Array,
  ): boolean {
    const { version } = packet;
    if (!this.#sockets.has(version)) this.#sockets.set(version, this.host.openEcho(version));
    const socket = this.#sockets.get(version);
    if (socket === undefined || message.length < 8) return false;
    const ours = this.#next = (this.#next + 1) & 0xffff;
    this.#untilMs = this.host.nowMs() + ANSWER_MS;
    this.#asking = version;
    this.#asked[ours % MOST_WAITING] = {
      version,
      mac: packet.mac.slice(),
      guest: packet.guest.slice(),
      remote: packet.remote.slice(),
      id: be16(message, 4),
      seq: be16(message, 6),
      ours,
      untilMs: this.#untilMs,
    };
    putBe16(message, 6, ours);
    return socket.send(message, to);
  }

  /** Hands answers on. */
  poll(): void {
    for (const [version, socket] of this.#sockets) {
      for (let i = 0; socket !== undefined && i < MOST_PER_POLL; i++) {
        const reply = socket.receive();
        if (reply === undefined) break;
        this.#reply(version, reply.slice());
      }
    }
  }

  #reply(version: 4 | 6, message: Uint8Array): void {
    if (message.length < 8 || message[0] !== (version === 4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY)) return;
    const ours = be16(message, 6);
    const asked = this.#asked[ours % MOST_WAITING];
    if (asked === undefined || asked.ours !== ours || asked.version !== version) return;
    this.#asked[ours % MOST_WAITING] = undefined;
    if (this.host.nowMs() > asked.untilMs) return;
    putBe16(message, 4, asked.id);
    putBe16(message, 6, asked.seq);
    const protocol = version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    const addresses = { version, mac: asked.mac, from: asked.remote, to: asked.guest };
    this.writer.datagram(addresses, protocol, message, 2, (frame) => this.link.post(frame));
  }

  /** What to sleep on while an answer may come; -1: nothing. */
  pollFd(): number {
    if (this.host.nowMs() > this.#untilMs) return -1;
    return this.#sockets.get(this.#asking)?.fd ?? -1; // the other's answers come with the next turn
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket?.close();
    this.#sockets.clear();
  }
}
