// SPDX-License-Identifier: MIT
/** Ethernet and IP headers of what the user network sends: RFC 894, RFC 791, RFC 8200. @module */
import {
  fold,
  storeChecksum,
  storeSum,
  sumBytes,
  sumFrame,
  sumPseudoHeader,
  TCP_CHECKSUM_OFFSET,
  UDP_CHECKSUM_OFFSET,
} from "../../frames/checksum.ts";
import {
  ETH_HLEN,
  ETH_P_IP,
  ETH_P_IPV6,
  IPPROTO_FRAGMENT,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  putBe16,
  putBe32,
} from "../../frames/headers.ts";
import { Frame, VIRTIO_NET_HDR_F_NEEDS_CSUM } from "../end.ts";
import { MTU } from "./user_link.ts";
import { MAX_TCP_HEADER_BYTES } from "./tcp/tcp_header.ts";

const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const IPV6_FRAGMENT_BYTES = 8;
const HOP_LIMIT = 64;
const IPV4_DF = 0x4000;
const IPV4_MF = 0x2000;

/** Who sends to whom. */
export interface PacketAddresses {
  readonly version: 4 | 6;
  readonly mac: Uint8Array;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** See the module's description. One packet at a time: it lies in a buffer that the next one uses. */
export class PacketWriter {
  readonly frame = new Frame();
  /** The headers. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(ETH_HLEN + IPV6_BYTES + MAX_TCP_HEADER_BYTES);
  /** Where the transport header goes. */
  l4 = 0;
  #id = 0;

  /** `mac`: ours. */
  constructor(readonly mac: Uint8Array) {}

  /**
   * Starts a packet with `length` bytes behind its IP header, of which the caller puts the first in `bytes` at `l4`.
   * `fragment`: this many bytes of the datagram came before, and whether more follow.
   */
  begin(
    { version, mac, from, to }: PacketAddresses,
    protocol: number,
    length: number,
    fragment?: { readonly id: number; readonly offset: number; readonly more: boolean },
  ): void {
    const { bytes } = this;
    bytes.set(mac);
    bytes.set(this.mac, 6);
    const ip = ETH_HLEN;
    if (version === 4) {
      putBe16(bytes, 12, ETH_P_IP);
      bytes.fill(0, ip, ip + IPV4_BYTES);
      bytes[ip] = 0x45;
      putBe16(bytes, ip + 2, IPV4_BYTES + length);
      putBe16(bytes, ip + 4, fragment?.id ?? this.nextId());
      const where = fragment === undefined ? IPV4_DF : fragment.offset >>> 3 | (fragment.more ? IPV4_MF : 0);
      putBe16(bytes, ip + 6, where);
      bytes[ip + 8] = HOP_LIMIT;
      bytes[ip + 9] = protocol;
      bytes.set(from, ip + 12);
      bytes.set(to, ip + 16);
      storeChecksum(bytes, ip + 10, sumBytes(bytes, ip, ip + IPV4_BYTES));
      this.l4 = ip + IPV4_BYTES;
    } else {
      putBe16(bytes, 12, ETH_P_IPV6);
      bytes.fill(0, ip, ip + 8);
      bytes[ip] = 0x60;
      bytes[ip + 7] = HOP_LIMIT;
      bytes.set(from, ip + 8);
      bytes.set(to, ip + 24);
      this.l4 = ip + IPV6_BYTES;
      putBe16(bytes, ip + 4, length);
      bytes[ip + 6] = protocol;
      if (fragment === undefined) return;
      putBe16(bytes, ip + 4, IPV6_FRAGMENT_BYTES + length);
      bytes[ip + 6] = IPPROTO_FRAGMENT;
      putBe16(bytes, this.l4, protocol << 8);
      putBe16(bytes, this.l4 + 2, fragment.offset | Number(fragment.more));
      putBe32(bytes, this.l4 + 4, fragment.id);
      this.l4 += IPV6_FRAGMENT_BYTES;
    }
  }

  /** A number for the next datagram. */
  nextId(): number {
    return this.#id = (this.#id + 1) & 0xffff;
  }

  /** Ends a TCP packet with a header of `headerBytes`: its checksum is left to whoever needs it. */
  tcp(version: 4 | 6, headerBytes: number, payloadBytes: number): Frame {
    const { l4, frame, bytes } = this;
    const pseudo = { version, protocol: IPPROTO_TCP, length: headerBytes + payloadBytes };
    storeSum(bytes, l4 + TCP_CHECKSUM_OFFSET, sumPseudoHeader(bytes, ETH_HLEN, pseudo));
    frame.reset().append(bytes.subarray(0, l4 + headerBytes));
    frame.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    frame.csumStart = l4;
    frame.csumOffset = TCP_CHECKSUM_OFFSET;
    frame.hdrLen = l4 + headerBytes;
    return frame;
  }

  /** Ends a packet whose whole rest is `message`, and computes its checksum, which lies at `at` in it. */
  finish(version: 4 | 6, protocol: number, message: Uint8Array, at: number): Frame {
    const frame = this.frame.reset().append(this.bytes.subarray(0, this.l4)).append(message);
    message[at] = message[at + 1] = 0;
    const pseudo = protocol === IPPROTO_ICMP
      ? 0
      : sumPseudoHeader(this.bytes, ETH_HLEN, { version, protocol, length: message.length });
    storeChecksum(message, at, fold(pseudo + sumFrame(frame, this.l4)), at === UDP_CHECKSUM_OFFSET);
    return frame;
  }

  /**
   * A packet whose whole rest is `message`, with its checksum at `at` in it, goes to `post`: in fragments when it is longer
   * than the MTU.
   */
  datagram(
    addresses: PacketAddresses,
    protocol: number,
    message: Uint8Array,
    at: number,
    post: (frame: Frame) => void,
  ): void {
    const { version } = addresses;
    this.begin(addresses, protocol, message.length);
    const frame = this.finish(version, protocol, message, at);
    const room = MTU - (version === 4 ? IPV4_BYTES : IPV6_BYTES);
    if (message.length <= room) return post(frame);
    const part = (version === 4 ? room : room - IPV6_FRAGMENT_BYTES) & ~7;
    const id = this.nextId();
    for (let offset = 0; offset < message.length; offset += part) {
      const end = Math.min(message.length, offset + part);
      this.begin(addresses, protocol, end - offset, { id, offset, more: end < message.length });
      post(this.frame.reset().append(this.bytes.subarray(0, this.l4)).append(message.subarray(offset, end)));
    }
  }
}
