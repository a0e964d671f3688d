// SPDX-License-Identifier: MIT
/**
 * A small DHCP server: RFC 2131, options of RFC 2132. Takes the payload of a UDP datagram to port 67 and returns that of
 * the answer. Each client (by hardware address) keeps its address as long as the server lives.
 *
 * Not done: relays (giaddr), lease expiry, client identifiers.
 * @module
 */
import { bytesEqual, formatIpv4, formatMac } from "../frames/addresses.ts";
import { be32, putBe32 } from "../frames/headers.ts";

/** UDP port of servers. */
export const DHCP_SERVER_PORT = 67;
/** UDP port of clients. */
export const DHCP_CLIENT_PORT = 68;

const BOOTREQUEST = 1;
const BOOTREPLY = 2;
const HTYPE_ETHERNET = 1;
const COOKIE = 0x6382_5363;
const FIXED_BYTES = 240; // with the cookie
const LEAST_BYTES = 300; // RFC 951: clients may drop shorter ones
const FLAG_BROADCAST = 0x8000;
// offsets in the fixed part
const XID = 4;
const FLAGS = 10;
const CIADDR = 12;
const YIADDR = 16;
const SIADDR = 20;
const GIADDR = 24;
const CHADDR = 28;
const MAGIC = 236;

const OPTION_PAD = 0;
const OPTION_MASK = 1;
const OPTION_ROUTER = 3;
const OPTION_DNS = 6;
const OPTION_BROADCAST = 28;
const OPTION_REQUESTED = 50;
const OPTION_LEASE = 51;
const OPTION_TYPE = 53;
const OPTION_SERVER = 54;
const OPTION_END = 255;

/** Message types (option 53). */
export const DHCPDISCOVER = 1;
export const DHCPOFFER = 2;
export const DHCPREQUEST = 3;
export const DHCPDECLINE = 4;
export const DHCPACK = 5;
export const DHCPNAK = 6;
export const DHCPRELEASE = 7;
export const DHCPINFORM = 8;

const LEASE_SECONDS = 86_400;

/** What the server hands out. All IPv4 addresses are four bytes. */
export interface DhcpOptions {
  /** The server, and the clients' gateway. */
  readonly server: Uint8Array;
  /** Bits of network in the mask. */
  readonly prefixLength: number;
  /** The first address to give; more follow it. */
  readonly first: Uint8Array;
  /** How many there are to give. */
  readonly count: number;
  /** A name server, if any. */
  readonly dns?: Uint8Array;
}

/** An answer and where it goes. */
export interface DhcpReply {
  readonly type: number;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The client's address, or the broadcast address when it cannot be reached by that yet. */
  readonly destination: Uint8Array;
  readonly broadcast: boolean;
}

/** What a snapshot keeps of a DHCP server. */
export interface DhcpState {
  /** Who has which address, as [hardware address, the address's number in the pool]. */
  readonly leases: readonly (readonly [client: string, index: number])[];
}

/** See the module's description. */
export class DhcpServer {
  readonly #leases = new Map<string, number>(); // hardware address → index of the address

  constructor(readonly options: DhcpOptions) {}

  /** Answers one datagram; undefined when there is nothing to say to it. */
  handle(request: Uint8Array): DhcpReply | undefined {
    if (request.length < FIXED_BYTES || request[0] !== BOOTREQUEST || request[1] !== HTYPE_ETHERNET) {
      return undefined;
    }
    if (request[2] !== 6 || be32(request, MAGIC) !== COOKIE || be32(request, GIADDR) !== 0) return undefined;
    const options = readOptions(request);
    const type = options.get(OPTION_TYPE)?.[0];
    const server = options.get(OPTION_SERVER);
    if (server !== undefined && !bytesEqual(server, this.options.server)) return undefined; // another server's
    if (type === DHCPINFORM) return this.#reply(request, DHCPACK, undefined);
    if (type !== DHCPDISCOVER && type !== DHCPREQUEST) return undefined; // after a release the lease stays reserved
    const address = this.#addressOf(formatMac(request, CHADDR));
    if (address === undefined) return undefined;
    if (type === DHCPDISCOVER) return this.#reply(request, DHCPOFFER, address);
    const wanted = options.get(OPTION_REQUESTED) ?? request.subarray(CIADDR, CIADDR + 4);
    const ours = wanted.length === 4 && bytesEqual(wanted, address);
    return this.#reply(request, ours ? DHCPACK : DHCPNAK, address);
  }

  #addressOf(client: string): Uint8Array | undefined {
    let index = this.#leases.get(client);
    if (index === undefined) {
      index = this.#leases.size;
      if (index >= this.options.count) return undefined;
      this.#leases.set(client, index);
    }
    const address = new Uint8Array(4);
    putBe32(address, 0, be32(this.options.first, 0) + index);
    return address;
  }

  #reply(request: Uint8Array, type: number, address: Uint8Array | undefined): DhcpReply {
    const payload = new Uint8Array(LEAST_BYTES + 32);
    payload[0] = BOOTREPLY;
    payload[1] = HTYPE_ETHERNET;
    payload[2] = 6;
    payload.set(request.subarray(XID, XID + 4), XID);
    payload.set(request.subarray(FLAGS, FLAGS + 2), FLAGS);
    payload.set(request.subarray(CHADDR, CHADDR + 16), CHADDR);
    putBe32(payload, MAGIC, COOKIE);
    let at = FIXED_BYTES;
    const option = (code: number, value: Uint8Array): void => {
      payload[at] = code;
      payload[at + 1] = value.length;
      payload.set(value, at + 2);
      at += 2 + value.length;
    };
    const { server, prefixLength, dns } = this.options;
    option(OPTION_TYPE, Uint8Array.of(type));
    option(OPTION_SERVER, server);
    if (type !== DHCPNAK) {
      const mask = prefixLength === 0 ? 0 : (-1 << (32 - prefixLength)) >>> 0;
      payload.set(server, SIADDR);
      if (address !== undefined) {
        payload.set(address, YIADDR);
        option(OPTION_LEASE, u32(LEASE_SECONDS));
      } else {
        payload.set(request.subarray(CIADDR, CIADDR + 4), CIADDR);
      }
      option(OPTION_MASK, u32(mask));
      option(OPTION_BROADCAST, u32(be32(server, 0) | ~mask));
      option(OPTION_ROUTER, server);
      if (dns !== undefined) option(OPTION_DNS, dns);
    }
    payload[at] = OPTION_END;
    const reachable = be32(request, CIADDR) !== 0 && type !== DHCPNAK;
    const broadcast = !reachable &&
      (type === DHCPNAK || ((request[FLAGS] as number) & (FLAG_BROADCAST >>> 8)) !== 0);
    const destination = broadcast
      ? new Uint8Array(4).fill(0xff)
      : reachable
      ? request.slice(CIADDR, CIADDR + 4)
      : address ?? new Uint8Array(4).fill(0xff);
    return { type, payload, destination, broadcast };
  }

  /** The plain record of a snapshot. */
  save(): DhcpState {
    return { leases: [...this.#leases] };
  }

  /** Forgets all leases but those that `save` recorded. */
  restore(state: DhcpState): void {
    this.#leases.clear();
    for (const [client, index] of state.leases) this.#leases.set(client, index);
  }

  /** Who has which address, for messages. */
  leases(): string[] {
    return [...this.#leases.keys()].map((client) =>
      `${client} ${formatIpv4(this.#addressOf(client) as Uint8Array)}`
    );
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  putBe32(bytes, 0, value >>> 0);
  return bytes;
}

/** Options of a message by code; stops at the first that leaves the message. */
function readOptions(message: Uint8Array): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (let at = FIXED_BYTES; at < message.length;) {
    const code = message[at] as number;
    if (code === OPTION_END) break;
    if (code === OPTION_PAD) {
      at++;
      continue;
    }
    const length = message[at + 1];
    if (length === undefined || at + 2 + length > message.length) break;
    options.set(code, message.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return options;
}
