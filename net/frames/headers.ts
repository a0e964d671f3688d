// SPDX-License-Identifier: MIT
/**
 * Finds the network and transport headers of an Ethernet frame: IEEE 802.1Q/802.1ad tags, IPv4 (RFC 791), IPv6 and its
 * extension headers (RFC 8200 §4), TCP and UDP. Works on a private copy of the first bytes, so that a guest
 * cannot change them between the check and the use.
 * @module
 */
import type { Frame } from "./frame.ts";

/** Ethertypes. */
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_IPV6 = 0x86dd;
export const ETH_P_8021AD = 0x88a8;
/** Bytes of an Ethernet header. */
export const ETH_HLEN = 14;
/** Bytes of a VLAN tag. */
export const VLAN_HLEN = 4;

/** IP protocol numbers. */
export const IPPROTO_HOPOPTS = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ROUTING = 43;
export const IPPROTO_FRAGMENT = 44;
export const IPPROTO_AH = 51;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_DSTOPTS = 60;

/** Fields of the headers. */
export const IPV4_TOTAL_LENGTH = 2;
export const IPV6_PAYLOAD_LENGTH = 4;
export const IPV6_HEADER_BYTES = 40;
export const TCP_FLAGS = 13;

/** TCP's flags. */
export const TH_FIN = 1 << 0;
export const TH_SYN = 1 << 1;
export const TH_RST = 1 << 2;
export const TH_PSH = 1 << 3;
export const TH_ACK = 1 << 4;
export const TH_CWR = 1 << 7;

/** Bytes of a frame that are looked at. Two tags, IPv4 and TCP with all options need 142; IPv6 options the rest. */
export const HEADER_BYTES = 256;
const MAX_VLAN_TAGS = 2;
const MAX_EXTENSION_HEADERS = 8;

/** Big-endian u16. */
export function be16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

/** Big-endian u32. */
export function be32(bytes: Uint8Array, at: number): number {
  return ((be16(bytes, at) << 16) | be16(bytes, at + 2)) >>> 0;
}

/** Stores a big-endian u16. */
export function putBe16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Stores a big-endian u32. */
export function putBe32(bytes: Uint8Array, at: number, value: number): void {
  putBe16(bytes, at, value >>> 16);
  putBe16(bytes, at + 2, value);
}

/** What is known about a frame's headers; filled again by each parse. */
export class Headers {
  /** The first bytes of the frame, copied. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(HEADER_BYTES);
  /** How many of them there are. */
  available = 0;
  /** Ethertype behind VLAN tags. */
  etherType = 0;
  /** Where the network header starts. */
  l3 = 0;
  /** IP version; 0: not IP, or its header is damaged, and what follows is unset. */
  version: 0 | 4 | 6 = 0;
  /** IP protocol of the transport header, behind IPv6's extension headers. */
  protocol = 0;
  /** Where the transport header starts. */
  l4 = 0;
  /** True for a fragment: what follows its header may start anywhere, and is not looked at. */
  fragment = false;
  /** Where IPv6's fragment header starts, and the byte that says that it comes; 0: there is none. */
  fragmentAt = 0;
  fragmentNamedAt = 0;
  /** Length of the TCP or UDP header when it is complete and sound, else 0. */
  l4Bytes = 0;

  /** Looks at a frame. True when it is a whole TCP or UDP packet over IP as far as its headers tell. */
  parse(frame: Frame): boolean {
    const b = this.bytes;
    const n = this.available = frame.copyTo(b);
    this.version = 0;
    this.protocol = this.l4 = this.l4Bytes = 0;
    this.fragment = false;
    this.fragmentAt = this.fragmentNamedAt = 0;
    this.etherType = 0;
    this.l3 = ETH_HLEN;
    if (n < ETH_HLEN) return false;
    let type = be16(b, 12);
    for (let tags = 0; (type === ETH_P_8021Q || type === ETH_P_8021AD) && tags < MAX_VLAN_TAGS; tags++) {
      if (n < this.l3 + VLAN_HLEN) return false;
      type = be16(b, this.l3 + 2);
      this.l3 += VLAN_HLEN;
    }
    this.etherType = type;
    if (type === ETH_P_IP) return this.#ipv4() && this.#transport();
    if (type === ETH_P_IPV6) return this.#ipv6() && this.#transport();
    return false;
  }

  #ipv4(): boolean {
    const b = this.bytes;
    const l3 = this.l3;
    if (this.available < l3 + 20) return false;
    const first = b[l3] as number;
    const bytes = (first & 0xf) * 4;
    if (first >>> 4 !== 4 || bytes < 20 || this.available < l3 + bytes) return false;
    this.version = 4;
    this.protocol = b[l3 + 9] as number;
    this.l4 = l3 + bytes;
    this.fragment = (be16(b, l3 + 6) & 0x3fff) !== 0; // MF or an offset
    return true;
  }

  #ipv6(): boolean {
    const b = this.bytes;
    const l3 = this.l3;
    if (this.available < l3 + 40 || (b[l3] as number) >>> 4 !== 6) return false;
    let next = b[l3 + 6] as number;
    let namedAt = l3 + 6;
    let at = l3 + 40;
    for (let headers = 0; isExtension(next) && !this.fragment; headers++) {
      if (headers === MAX_EXTENSION_HEADERS || this.available < at + 8) return false;
      const length = b[at + 1] as number;
      if (next === IPPROTO_FRAGMENT) {
        this.fragment = true;
        this.fragmentAt = at;
        this.fragmentNamedAt = namedAt;
      }
      const bytes = next === IPPROTO_FRAGMENT ? 8 : next === IPPROTO_AH ? (length + 2) * 4 : (length + 1) * 8;
      next = b[at] as number;
      namedAt = at;
      at += bytes;
    }
    this.version = 6;
    this.protocol = next;
    this.l4 = at;
    return true;
  }

  #transport(): boolean {
    const left = this.available - this.l4;
    if (this.fragment) return false;
    if (this.protocol === IPPROTO_TCP && left >= 20) {
      const bytes = ((this.bytes[this.l4 + 12] as number) >>> 4) * 4;
      if (bytes >= 20 && bytes <= left) this.l4Bytes = bytes;
    } else if (this.protocol === IPPROTO_UDP && left >= 8) {
      this.l4Bytes = 8;
    }
    return this.l4Bytes !== 0;
  }
}

function isExtension(protocol: number): boolean {
  return protocol === IPPROTO_HOPOPTS || protocol === IPPROTO_ROUTING || protocol === IPPROTO_FRAGMENT ||
    protocol === IPPROTO_AH || protocol === IPPROTO_DSTOPTS;
}
