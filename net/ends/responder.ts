// SPDX-License-Identifier: MIT
/**
 * A host that lives on a hub: the gateway of a network without any TAP. Answers ARP (RFC 826), ICMP echo (RFC 792), DHCP
 * (see dhcp.ts), and for IPv6 neighbour and router solicitation (RFC 4861, with a prefix for RFC 4862) and
 * ICMPv6 echo (RFC 4443). So a guest configures itself and pings with nothing set up on the host.
 *
 * Everything is answered at once from within `deliver`; no state but leases, no timers.
 * Not done: routing to the world, fragments, TCP.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import { bytesEqual, MAC_BROADCAST, parseIpv4, parseIpv6, parseMac } from "../frames/addresses.ts";
import { fold, storeChecksum, sumBytes, sumPseudoHeader, UDP_CHECKSUM_OFFSET } from "../frames/checksum.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpServer, type DhcpState } from "./dhcp.ts";
import {
  type Frame,
  frameOf,
  type FrameReceiver,
  MAX_FRAME_BYTES,
  type NetEnd,
  OFFLOAD_CSUM,
  OFFLOAD_CSUM6,
} from "./end.ts";
import {
  be16,
  be32,
  ETH_HLEN,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_UDP,
  putBe16,
  putBe32,
} from "../frames/headers.ts";

const ARP_BYTES = 28;
const ARPHRD_ETHER = 1;
const ARPOP_REQUEST = 1;
const ARPOP_REPLY = 2;
const ICMP_ECHOREPLY = 0;
const ICMP_ECHO = 8;
const ICMPV6_ECHO_REQUEST = 128;
const ICMPV6_ECHO_REPLY = 129;
const ND_ROUTER_SOLICIT = 133;
const ND_ROUTER_ADVERT = 134;
const ND_NEIGHBOR_SOLICIT = 135;
const ND_NEIGHBOR_ADVERT = 136;
const ND_NA_FLAG_ROUTER = 0x8000_0000;
const ND_NA_FLAG_SOLICITED = 0x4000_0000;
const ND_NA_FLAG_OVERRIDE = 0x2000_0000;
const ND_OPT_SOURCE_LINKADDR = 1;
const ND_OPT_TARGET_LINKADDR = 2;
const ND_OPT_PREFIX_INFORMATION = 3;
const ND_OPT_RDNSS = 25;
const ND_OPT_PI_ONLINK_AUTO = 0xc0;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP_BYTES = 8;
const HOP_LIMIT = 64;
const ND_HOP_LIMIT = 255;
const ALL_NODES = parseIpv6("ff02::1");
const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

/** Addresses of the responder; the defaults are those of QEMU's user network. */
export interface ResponderOptions {
  /** Its MAC address. */
  readonly mac?: string;
  /** Its IPv4 address and prefix length. */
  readonly ipv4?: string;
  /** First address of its DHCP pool. */
  readonly firstLease?: string;
  /** A name server to announce; none by default (there is none here). */
  readonly dns?: string;
  /** Its IPv6 address and prefix length; the prefix is announced. */
  readonly ipv6?: string;
  /** A name server to announce to IPv6 guests (RFC 8106). */
  readonly dns6?: string;
  /**
   * More addresses to answer for.
   * @internal
   */
  readonly also?: { readonly ipv4: readonly Uint8Array[]; readonly ipv6: readonly Uint8Array[] };
  /** For counters and traces. */
  readonly tracer?: Tracer;
}

/**
 * A small gateway for guests, on `end`, usually a hub's port: answers ARP, DHCP, neighbour and router solicitations and pings,
 * and leads nowhere.
 */
export class Responder implements FrameReceiver {
  /** A blank checksum is fine: nothing here checks them. */
  readonly accepts = OFFLOAD_CSUM | OFFLOAD_CSUM6;
  /**
   * Its DHCP server, with the leases.
   * @internal
   */
  readonly dhcp: DhcpServer;
  /**
   * Its MAC address.
   * @internal
   */
  readonly mac: Uint8Array;
  /**
   * Its address on the link.
   * @internal
   */
  readonly linkLocal: Uint8Array;
  readonly #ipv4: Uint8Array;
  readonly #ipv6: Uint8Array;
  readonly #ours: readonly Uint8Array[];
  readonly #dns6: Uint8Array | undefined;
  readonly #prefix6: number;
  readonly #tracer: Tracer | undefined;
  readonly #buffer = new Uint8Array(MAX_FRAME_BYTES);
  readonly #nowhere: Uint8Array[] = [];

  /** Answers what comes in at `end`, through `end`. */
  constructor(readonly end: Pick<NetEnd, "attach" | "send">, options: ResponderOptions = {}) {
    const macText = options.mac ?? "52:55:0a:00:02:02";
    const mac = parseMac(macText);
    if (mac === undefined) throw new ConfigError(`Cannot use ${JSON.stringify(macText)} as MAC address`);
    const [ipv4, prefix4] = withPrefix(options.ipv4 ?? "10.0.2.2/24", 30);
    const [ipv6, prefix6] = withPrefix(options.ipv6 ?? "fec0::2/64", 128);
    this.mac = mac;
    this.#ipv4 = parseIpv4(ipv4);
    this.#ipv6 = parseIpv6(ipv6);
    this.#prefix6 = prefix6;
    this.#dns6 = options.dns6 === undefined ? undefined : parseIpv6(options.dns6);
    this.linkLocal = parseIpv6("fe80::2");
    const { ipv4: more4 = [], ipv6: more6 = [] } = options.also ?? {};
    this.#ours = [this.#ipv4, ...more4, this.#ipv6, this.linkLocal, ...more6];
    this.#tracer = options.tracer;
    const first = options.firstLease === undefined ? this.#leaseAfter(13) : parseIpv4(options.firstLease);
    const networkBits = prefix4 === 0 ? 0 : -1 << (32 - prefix4);
    const last = (be32(this.#ipv4, 0) | ~networkBits) >>> 0; // the broadcast address is none to give
    if (((be32(first, 0) ^ be32(this.#ipv4, 0)) & networkBits) !== 0) {
      throw new ConfigError(`Cannot lease from ${first.join(".")}: it is outside ${ipv4}/${prefix4}`);
    }
    this.dhcp = new DhcpServer({
      server: this.#ipv4,
      prefixLength: prefix4,
      first,
      count: Math.min(256, last - be32(first, 0)),
      ...(options.dns === undefined ? {} : { dns: parseIpv4(options.dns) }),
    });
    end.attach(this);
  }

  #leaseAfter(distance: number): Uint8Array {
    const first = new Uint8Array(4);
    putBe32(first, 0, be32(this.#ipv4, 0) + distance);
    return first;
  }

  /** The plain record of a snapshot: its leases, all that it remembers. */
  save(): DhcpState {
    return this.dhcp.save();
  }

  /** Restores what `save` gave. */
  restore(state: DhcpState): void {
    this.dhcp.restore(state);
  }

  window(): readonly Uint8Array[] {
    return this.#nowhere;
  }

  flush(): void {}

  deliver(frame: Frame): boolean {
    const bytes = frame.bytes(); // a copy: what we look at must not change, and the answer reuses it
    if (bytes.length < ETH_HLEN) return true;
    const forUs = bytesEqual(bytes, this.mac) || ((bytes[0] as number) & 1) !== 0;
    if (!forUs) return true;
    switch (be16(bytes, 12)) {
      case ETH_P_ARP:
        this.#arp(bytes);
        break;
      case ETH_P_IP:
        this.#ip4(bytes);
        break;
      case ETH_P_IPV6:
        this.#ip6(bytes);
        break;
    }
    return true;
  }

  /**
   * True when `address` is one of its own.
   * @internal
   */
  answersFor(address: Uint8Array): boolean {
    return this.#ours.some((own) => own.length === address.length && bytesEqual(own, address));
  }

  #arp(bytes: Uint8Array): void {
    const arp = bytes.subarray(ETH_HLEN, ETH_HLEN + ARP_BYTES);
    if (arp.length < ARP_BYTES || be16(arp, 0) !== ARPHRD_ETHER || be16(arp, 2) !== ETH_P_IP) return;
    if (be16(arp, 4) !== 0x0604 || be16(arp, 6) !== ARPOP_REQUEST) return;
    const wanted = arp.slice(24, 28);
    if (!this.answersFor(wanted)) return;
    const sender = arp.slice(8, 18);
    putBe16(arp, 6, ARPOP_REPLY);
    arp.set(sender, 18);
    arp.set(this.mac, 8);
    arp.set(wanted, 14);
    this.#send(bytes.subarray(0, ETH_HLEN + ARP_BYTES), sender.subarray(0, 6), ETH_P_ARP, "arp");
  }

  #ip4(bytes: Uint8Array): void {
    const ip = bytes.subarray(ETH_HLEN);
    if (ip.length < IPV4_BYTES || (ip[0] as number) >>> 4 !== 4) return;
    const headerBytes = ((ip[0] as number) & 0xf) * 4;
    const total = be16(ip, 2);
    if (headerBytes < IPV4_BYTES || total < headerBytes || total > ip.length) return;
    if ((be16(ip, 6) & 0x3fff) !== 0) return; // a fragment
    const payload = ip.subarray(headerBytes, total);
    const target = ip.slice(16, 20);
    const protocol = ip[9];
    if (
      protocol === IPPROTO_ICMP && this.answersFor(target) && payload.length >= 8 && payload[0] === ICMP_ECHO
    ) {
      const reply = payload.slice();
      reply[0] = ICMP_ECHOREPLY;
      putBe16(reply, 2, 0);
      storeChecksum(reply, 2, sumBytes(reply));
      this.#sendIp4(target, bytes.slice(6, 12), ip.slice(12, 16), IPPROTO_ICMP, reply, "echo");
    } else if (protocol === IPPROTO_UDP && payload.length >= UDP_BYTES) {
      const length = be16(payload, 4);
      if (be16(payload, 2) !== DHCP_SERVER_PORT || length < UDP_BYTES || length > payload.length) return;
      const reply = this.dhcp.handle(payload.subarray(UDP_BYTES, length));
      if (reply === undefined) return;
      const mac = reply.broadcast ? MAC_BROADCAST : bytes.slice(6, 12);
      this.#sendIp4(
        this.#ipv4,
        mac,
        reply.destination,
        IPPROTO_UDP,
        udp(DHCP_SERVER_PORT, DHCP_CLIENT_PORT, reply.payload),
        "dhcp",
      );
    }
  }

  #sendIp4(
    from: Uint8Array,
    mac: Uint8Array,
    to: Uint8Array,
    protocol: number,
    payload: Uint8Array,
    what: string,
  ): void {
    const out = this.#buffer;
    const ip = out.subarray(ETH_HLEN, ETH_HLEN + IPV4_BYTES + payload.length).fill(0, 0, IPV4_BYTES);
    ip[0] = 0x45;
    putBe16(ip, 2, ip.length);
    ip[8] = HOP_LIMIT;
    ip[9] = protocol;
    ip.set(from, 12);
    ip.set(to, 16);
    storeChecksum(ip, 10, sumBytes(ip, 0, IPV4_BYTES));
    ip.set(payload, IPV4_BYTES);
    if (protocol === IPPROTO_UDP) {
      const pseudo = sumPseudoHeader(ip, 0, { version: 4, protocol, length: payload.length });
      const sum = fold(pseudo + sumBytes(ip, IPV4_BYTES));
      storeChecksum(ip, IPV4_BYTES + UDP_CHECKSUM_OFFSET, sum, true);
    }
    this.#send(out.subarray(0, ETH_HLEN + ip.length), mac, ETH_P_IP, what);
  }

  #ip6(bytes: Uint8Array): void {
    const ip = bytes.subarray(ETH_HLEN);
    if (ip.length < IPV6_BYTES || (ip[0] as number) >>> 4 !== 6 || ip[6] !== IPPROTO_ICMPV6) return;
    const end = IPV6_BYTES + be16(ip, 4);
    if (end > ip.length) return;
    const icmp = ip.subarray(IPV6_BYTES, end);
    const mac = bytes.slice(6, 12);
    const source = ip.slice(8, 24);
    const target = ip.slice(24, 40);
    const ours = this.answersFor(target);
    if (icmp.length < 8) return;
    switch (icmp[0]) {
      case ICMPV6_ECHO_REQUEST: {
        if (!ours) return;
        const reply = icmp.slice();
        reply[0] = ICMPV6_ECHO_REPLY;
        this.#sendIcmp6(mac, target, source, HOP_LIMIT, reply, "echo6");
        return;
      }
      case ND_NEIGHBOR_SOLICIT: {
        const wanted = icmp.slice(8, 24);
        if (!this.answersFor(wanted)) return;
        if (ip[7] !== ND_HOP_LIMIT) return;
        const duplicateCheck = isUnspecified(source); // RFC 4862 §5.4: somebody else wants our address; say so to all
        const advert = neighborAdvert(wanted, this.mac, !duplicateCheck);
        const to = duplicateCheck ? ALL_NODES : source;
        this.#sendIcmp6(duplicateCheck ? ALL_NODES_MAC : mac, wanted, to, ND_HOP_LIMIT, advert, "neighbor");
        return;
      }
      case ND_ROUTER_SOLICIT: {
        if (ip[7] !== ND_HOP_LIMIT) return;
        if (isUnspecified(source)) this.advertise();
        else this.#sendAdvert(mac, source);
      }
    }
  }

  /**
   * Tells everybody that it is their router.
   * @internal
   */
  advertise(): void {
    this.#sendAdvert(ALL_NODES_MAC, ALL_NODES);
  }

  #sendAdvert(mac: Uint8Array, to: Uint8Array): void {
    const advert = routerAdvert(this.#ipv6, this.#prefix6, this.mac, this.#dns6);
    this.#sendIcmp6(mac, this.linkLocal, to, ND_HOP_LIMIT, advert, "router");
  }

  #sendIcmp6(
    mac: Uint8Array,
    from: Uint8Array,
    to: Uint8Array,
    hopLimit: number,
    message: Uint8Array,
    what: string,
  ): void {
    const out = this.#buffer;
    const ip = out.subarray(ETH_HLEN, ETH_HLEN + IPV6_BYTES + message.length).fill(0, 0, IPV6_BYTES);
    ip[0] = 0x60;
    putBe16(ip, 4, message.length);
    ip[6] = IPPROTO_ICMPV6;
    ip[7] = hopLimit;
    ip.set(from, 8);
    ip.set(to, 24);
    ip.set(message, IPV6_BYTES);
    putBe16(ip, IPV6_BYTES + 2, 0);
    const pseudo = sumPseudoHeader(ip, 0, { version: 6, protocol: IPPROTO_ICMPV6, length: message.length });
    storeChecksum(ip, IPV6_BYTES + 2, fold(pseudo + sumBytes(ip, IPV6_BYTES)));
    this.#send(out.subarray(0, ETH_HLEN + ip.length), mac, ETH_P_IPV6, what);
  }

  #send(bytes: Uint8Array, mac: Uint8Array, etherType: number, what: string): void {
    bytes.set(mac);
    bytes.set(this.mac, 6);
    putBe16(bytes, 12, etherType);
    this.#tracer?.counters.add(`net.responder.${what}`);
    this.end.send(frameOf(bytes));
  }
}

function udp(from: number, to: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(UDP_BYTES + payload.length);
  putBe16(bytes, 0, from);
  putBe16(bytes, 2, to);
  putBe16(bytes, 4, bytes.length);
  bytes.set(payload, UDP_BYTES);
  return bytes;
}

function neighborAdvert(target: Uint8Array, mac: Uint8Array, solicited: boolean): Uint8Array {
  const message = new Uint8Array(32);
  message[0] = ND_NEIGHBOR_ADVERT;
  const flags = ND_NA_FLAG_ROUTER | ND_NA_FLAG_OVERRIDE | (solicited ? ND_NA_FLAG_SOLICITED : 0);
  putBe32(message, 4, flags >>> 0);
  message.set(target, 8);
  message[24] = ND_OPT_TARGET_LINKADDR;
  message[25] = 1; // in units of 8 bytes
  message.set(mac, 26);
  return message;
}

function routerAdvert(
  address: Uint8Array,
  prefixLength: number,
  mac: Uint8Array,
  dns: Uint8Array | undefined,
): Uint8Array {
  const message = new Uint8Array(16 + 8 + 32 + (dns === undefined ? 0 : 24));
  message[0] = ND_ROUTER_ADVERT;
  message[4] = HOP_LIMIT;
  putBe16(message, 6, 1800); // router lifetime in seconds
  message[16] = ND_OPT_SOURCE_LINKADDR;
  message[17] = 1;
  message.set(mac, 18);
  message[24] = ND_OPT_PREFIX_INFORMATION;
  message[25] = 4;
  message[26] = prefixLength;
  message[27] = ND_OPT_PI_ONLINK_AUTO;
  putBe32(message, 28, 86_400); // valid lifetime
  putBe32(message, 32, 14_400); // preferred lifetime
  const prefix = message.subarray(40, 56);
  prefix.set(address);
  for (let bit = prefixLength; bit < 128; bit++) {
    prefix[bit >>> 3] = (prefix[bit >>> 3] as number) & ~(0x80 >>> (bit & 7));
  }
  if (dns !== undefined) {
    message[56] = ND_OPT_RDNSS;
    message[57] = 3;
    putBe32(message, 60, 1800); // lifetime in seconds: the router's
    message.set(dns, 64);
  }
  return message;
}

function isUnspecified(address: Uint8Array): boolean {
  return address.every((byte) => byte === 0);
}

function withPrefix(text: string, longest: number): [string, number] {
  const match = /^(.*)\/(\d{1,3})$/.exec(text);
  const length = Number(match?.[2]);
  if (match === null || !(length <= longest)) {
    throw new ConfigError(
      `Cannot use ${JSON.stringify(text)} as address: it needs a prefix length, such as /24`,
    );
  }
  return [match[1] as string, length];
}
