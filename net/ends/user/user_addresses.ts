// SPDX-License-Identifier: MIT
/**
 * Addresses of a user network, and what they stand for on the host: the gateway is the host's loopback, the name server is
 * the host's, what was forwarded goes where it was told, everything else is itself. Options as QEMU's `-netdev user`.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import { bytesEqual, formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "../../frames/addresses.ts";
import { be32, putBe32 } from "../../frames/headers.ts";
import type { HostPeer } from "./host_network.ts";

/** What a user network is asked for. */
export interface UserNetworkOptions {
  /** IPv4 network and prefix length; default "10.0.2.0/24". Guests get addresses from .15 on. */
  readonly net?: string;
  /** Address of the gateway; default .2 of the network. */
  readonly host?: string;
  /**
   * The name server guests are told; default .3 of the network, which stands for the one that the host asks. An address
   * outside the network is that server itself.
   */
  readonly dns?: string;
  /** Guests reach nothing but each other, the gateway's services, and what is forwarded. */
  readonly restrict?: boolean;
  /** Ports of the host that lead to a guest: "tcp:127.0.0.1:2222-:22". */
  readonly hostfwd?: readonly string[];
  /** Ports that lead from guests to the host: "tcp:10.0.2.100:80-127.0.0.1:8080". */
  readonly guestfwd?: readonly string[];
}

/** A port that leads elsewhere. */
export interface Forward {
  readonly protocol: "tcp" | "udp";
  readonly from: HostPeer;
  readonly to: HostPeer;
  /** As it was written. */
  readonly text: string;
}

const GATEWAY6 = "fec0::2"; // QEMU's
const DNS6 = "fec0::3";
const PREFIX6_BYTES = 8;
const DNS_PORT = 53;
const V4_MAPPED = parseIpv6("::ffff:0:0").subarray(0, 12);

/** See the module's description. */
export class UserAddresses {
  readonly prefixLength: number;
  readonly gateway: Uint8Array;
  readonly dns: Uint8Array;
  readonly firstLease: Uint8Array;
  readonly gateway6 = parseIpv6(GATEWAY6);
  readonly dns6 = parseIpv6(DNS6);
  readonly restrict: boolean;
  readonly hostForwards: readonly Forward[];
  readonly guestForwards: readonly Forward[];
  readonly #network: number;
  readonly #mask: number;

  /** Throws ConfigError. */
  constructor(options: UserNetworkOptions, readonly nameServer: () => string | undefined) {
    const text = options.net ?? "10.0.2.0/24";
    const match = /^([\d.]+)\/(\d{1,2})$/.exec(text);
    const length = Number(match?.[2]);
    if (match === null || length < 8 || length > 27) {
      throw new ConfigError(
        `Cannot use ${JSON.stringify(text)} as network: write it like 10.0.2.0/24, /8 to /27`,
      );
    }
    this.prefixLength = length;
    this.#mask = (-1 << (32 - length)) >>> 0;
    this.#network = (be32(parseIpv4(match[1] as string), 0) & this.#mask) >>> 0;
    const first = this.#network >>> 24;
    if (first === 0 || first === 127 || first >= 224) {
      throw new ConfigError(`Cannot use ${JSON.stringify(text)} as network: guests have no addresses there`);
    }
    this.gateway = options.host === undefined ? this.#at(2) : parseIpv4(options.host);
    this.dns = options.dns === undefined ? this.#at(3) : parseIpv4(options.dns);
    this.firstLease = this.#at(15);
    this.restrict = options.restrict ?? false;
    if (!this.#ours(this.gateway)) {
      throw new ConfigError(`Cannot use ${formatIpv4(this.gateway)} as gateway: it is outside ${text}`);
    }
    for (const [what, address] of [["gateway", this.gateway], ["name server", this.dns]] as const) {
      const why = this.#ours(address) ? this.#notFree(address) : undefined;
      if (why !== undefined) throw new ConfigError(`Cannot use ${formatIpv4(address)} as ${what}: ${why}`);
    }
    if (bytesEqual(this.gateway, this.dns)) {
      throw new ConfigError(`Cannot use ${formatIpv4(this.dns)} as name server: it is the gateway`);
    }
    const guest = formatIpv4(this.firstLease);
    this.hostForwards = (options.hostfwd ?? []).map((rule) =>
      parseForward("hostfwd", rule, "0.0.0.0", guest)
    );
    this.guestForwards = (options.guestfwd ?? []).map((rule) =>
      parseForward("guestfwd", rule, formatIpv4(this.#at(100)), "127.0.0.1")
    );
    for (const [name, rules] of [["hostfwd", this.hostForwards], ["guestfwd", this.guestForwards]] as const) {
      const seen = new Set<string>();
      for (const { protocol, from, text } of rules) {
        const key = `${protocol} ${from.address} ${from.port}`;
        if (seen.has(key)) {
          throw new ConfigError(`Cannot use ${name}=${text}: that port leads somewhere already`);
        }
        seen.add(key);
      }
    }
    for (const { from, text } of this.guestForwards) {
      const address = parseAddress(from.address);
      if (address.length === 4 ? !this.#ours(address) : !this.#ours6(address)) {
        throw new ConfigError(
          `Cannot forward ${JSON.stringify(text)}: ${from.address} is outside the network`,
        );
      }
      const why = address.length === 4 ? this.#notFree(address) : undefined;
      if (why !== undefined) {
        throw new ConfigError(`Cannot forward ${JSON.stringify(text)} from ${from.address}: ${why}`);
      }
    }
    for (const { to, text } of this.hostForwards) {
      const address = parseAddress(to.address);
      if (address.length === 4 ? !this.#ours(address) : !this.#ours6(address)) {
        throw new ConfigError(`Cannot forward ${JSON.stringify(text)}: ${to.address} is outside the network`);
      }
      const why = this.#notAGuest(address);
      if (why !== undefined) {
        throw new ConfigError(`Cannot forward ${JSON.stringify(text)} to ${to.address}: ${why}`);
      }
    }
  }

  #at(host: number): Uint8Array {
    const address = new Uint8Array(4);
    putBe32(address, 0, this.#network + host);
    return address;
  }
  #ours(address: Uint8Array): boolean {
    return ((be32(address, 0) & this.#mask) >>> 0) === this.#network;
  }
  /** Why an address of the network cannot be one of ours. */
  #notFree(address: Uint8Array): string | undefined {
    const host = (be32(address, 0) & ~this.#mask) >>> 0;
    if (host === 0) return "it is the network's own";
    if (host === (~this.#mask >>> 0)) return "it is the network's broadcast address";
    return bytesEqual(address, this.firstLease) ? "it is the first guest's" : undefined;
  }
  /** Why no guest can have an address of the network. */
  #notAGuest(address: Uint8Array): string | undefined {
    if (bytesEqual(address, this.gateway) || bytesEqual(address, this.gateway6)) return "it is the gateway";
    if (bytesEqual(address, this.dns) || bytesEqual(address, this.dns6)) return "it is the name server";
    const guests = address.length !== 4 || bytesEqual(address, this.firstLease);
    return guests ? undefined : this.#notFree(address);
  }
  #ours6(address: Uint8Array): boolean {
    return bytesEqual(address, this.gateway6.subarray(0, PREFIX6_BYTES)) || isLinkLocal6(address);
  }

  /** Addresses that we answer for besides the gateway's. */
  others(): { readonly ipv4: Uint8Array[]; readonly ipv6: Uint8Array[] } {
    const ipv4 = this.#ours(this.dns) ? [this.dns] : [];
    const ipv6 = [this.dns6];
    for (const { from } of this.guestForwards) {
      const address = parseAddress(from.address);
      (address.length === 4 ? ipv4 : ipv6).push(address);
    }
    return { ipv4, ipv6 };
  }

  /** Where on the host a guest's packet for `address` and `port` goes; undefined: nowhere. */
  reach(protocol: "tcp" | "udp", address: Uint8Array, port: number): HostPeer | undefined {
    const text = format(address);
    for (const rule of this.guestForwards) {
      if (rule.protocol === protocol && rule.from.port === port && rule.from.address === text) return rule.to;
    }
    if (this.restrict || port === 0) return undefined;
    const host = this.hostOf(address);
    if (host !== undefined) return { address: host, port };
    const dns = address.length === 4
      ? bytesEqual(address, this.dns) && this.#ours(address)
      : bytesEqual(address, this.dns6);
    if (!dns || port !== DNS_PORT) return undefined;
    const server = this.nameServer();
    return server === undefined ? undefined : { address: server, port };
  }

  /** The host's name for an address outside, or the gateway's loopback; undefined for what cannot be reached. */
  hostOf(address: Uint8Array): string | undefined {
    if (address.length === 4) {
      if (bytesEqual(address, this.gateway)) return "127.0.0.1";
      const first = address[0] as number;
      if (this.#ours(address) || first === 0 || first === 127 || first >= 224) return undefined;
      return formatIpv4(address);
    }
    if (bytesEqual(address, this.gateway6)) return "::1";
    const first = address[0] as number;
    if (this.#ours6(address) || first === 0xff || first === 0 || bytesEqual(address, V4_MAPPED)) {
      return undefined;
    }
    return formatIpv6(address);
  }

  /** How a guest sees a peer of the host: as itself where that is possible, else as the gateway. */
  seen(peer: string, version: 4 | 6): Uint8Array {
    const text = peer.startsWith("::ffff:") && peer.includes(".") ? peer.slice(7) : peer;
    if (version === 4) {
      const address = text.includes(":") ? undefined : parseIpv4(text);
      return address === undefined || this.hostOf(address) === undefined ? this.gateway : address;
    }
    const plain = text.split("%")[0] as string;
    const address = plain.includes(":") ? parseIpv6(plain) : undefined;
    return address === undefined || this.hostOf(address) === undefined ? this.gateway6 : address;
  }
}

function isLinkLocal6(address: Uint8Array): boolean {
  return address[0] === 0xfe && ((address[1] as number) & 0xc0) === 0x80;
}

/** An address of either kind as bytes. Throws ConfigError. */
export function parseAddress(text: string): Uint8Array {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** An address of either kind as text. */
export function format(address: Uint8Array): string {
  return address.length === 4 ? formatIpv4(address) : formatIpv6(address);
}

/** "tcp:127.0.0.1:2222-:22", "udp::53-[fec0::15]:53". Throws ConfigError. */
function parseForward(name: string, text: string, fromDefault: string, toDefault: string): Forward {
  const end = String.raw`(\[[^\]]*\]|[\d.]*):(\d{1,5})`;
  const match = new RegExp(`^(?:(tcp|udp):)?${end}-(?:tcp:|udp:)?${end}$`).exec(text);
  const wrong = (why: string) => {
    const example = name === "hostfwd" ? "tcp:127.0.0.1:2222-:22" : `tcp:${fromDefault}:80-127.0.0.1:8080`;
    return new ConfigError(`Cannot use ${name}=${text}: ${why}; write it like ${example}`);
  };
  if (match === null) throw wrong("it is no forward");
  const [, protocol, from, fromPort, to, toPort] = match;
  const peer = (address: string | undefined, port: string | undefined, otherwise: string): HostPeer => {
    const number = Number(port);
    if (!(number >= 1 && number <= 65535)) throw wrong(`${port} is no port`);
    const plain = (address ?? "").replace(/^\[|\]$/g, "");
    return { address: plain === "" ? otherwise : format(parseAddress(plain)), port: number };
  };
  return {
    protocol: protocol === "udp" ? "udp" : "tcp",
    from: peer(from, fromPort, fromDefault),
    to: peer(to, toPort, toDefault),
    text,
  };
}
