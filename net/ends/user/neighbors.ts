// SPDX-License-Identifier: MIT
/**
 * Which guest has which address, as ARP (RFC 826) and neighbour discovery (RFC 4861) tell; and asking for it, for those who
 * were not heard yet when somebody outside wants them.
 * @module
 */
import { MAC_BROADCAST } from "../../frames/addresses.ts";
import { ETH_P_ARP, IPPROTO_ICMPV6, putBe16 } from "../../frames/headers.ts";
import { type Frame, frameOf } from "../end.ts";
import type { PacketWriter } from "./packet_writer.ts";
import { format } from "./user_addresses.ts";

const MOST_NEIGHBORS = 256;
const ND_NEIGHBOR_SOLICIT = 135;
const ND_OPT_SOURCE_LINKADDR = 1;
const ND_HOP_LIMIT = 255;

/** See the module's description. */
export class Neighbors {
  readonly #macs = new Map<string, Uint8Array>();

  /** `address` is at `mac`. True when that is news. */
  learn(address: Uint8Array, mac: Uint8Array): boolean {
    if (((mac[0] as number) & 1) !== 0 || address.every((byte) => byte === 0)) return false;
    const name = format(address);
    const before = this.#macs.get(name);
    if (before?.every((byte, i) => byte === mac[i])) return false;
    this.#macs.delete(name);
    if (this.#macs.size >= MOST_NEIGHBORS) this.#macs.delete(this.#macs.keys().next().value as string);
    this.#macs.set(name, mac.slice());
    return true;
  }

  /** Where `address` is, as far as known. */
  macOf(address: Uint8Array): Uint8Array | undefined {
    return this.#macs.get(format(address));
  }
}

/** A question for the owner of an IPv4 address. */
export function arpRequest(mac: Uint8Array, from: Uint8Array, wanted: Uint8Array): Frame {
  const bytes = new Uint8Array(42);
  bytes.set(MAC_BROADCAST);
  bytes.set(mac, 6);
  putBe16(bytes, 12, ETH_P_ARP);
  bytes.set([0, 1, 8, 0, 6, 4, 0, 1], 14);
  bytes.set(mac, 22);
  bytes.set(from, 28);
  bytes.set(wanted, 38);
  return frameOf(bytes);
}

/** The same for IPv6, to the solicited-node group of the address. */
export function neighborSolicit(writer: PacketWriter, from: Uint8Array, wanted: Uint8Array): Frame {
  const message = new Uint8Array(32);
  message[0] = ND_NEIGHBOR_SOLICIT;
  message.set(wanted, 8);
  message[24] = ND_OPT_SOURCE_LINKADDR;
  message[25] = 1;
  message.set(writer.mac, 26);
  const [a = 0, b = 0, c = 0] = wanted.subarray(13);
  const group = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c);
  const mac = Uint8Array.of(0x33, 0x33, 0xff, a, b, c);
  writer.begin({ version: 6, mac, from, to: group }, IPPROTO_ICMPV6, message.length);
  writer.bytes[14 + 7] = ND_HOP_LIMIT;
  return writer.finish(6, IPPROTO_ICMPV6, message, 2);
}
