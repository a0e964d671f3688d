// SPDX-License-Identifier: MIT
/** ICMP messages that tell a guest why a packet came to nothing: RFC 792, RFC 1812 §5.2.7, RFC 4443 §3.1. @module */
import { IPPROTO_ICMP, IPPROTO_ICMPV6, putBe16 } from "../../frames/headers.ts";
import type { Frame } from "../end.ts";
import type { PacketWriter } from "./packet_writer.ts";

const ICMP_DEST_UNREACH = 3;
const ICMP_HOST_UNREACH = 1;
const ICMP_PORT_UNREACH = 3;
const ICMPV6_DEST_UNREACH = 1;
const ICMPV6_ADDR_UNREACH = 3;
const ICMPV6_PORT_UNREACH = 4;
const ICMP_BYTES = 8;
/** Of the guest's packet we give back its IP header and this much of what follows. */
const QUOTED_BYTES = 8;

/** What was not delivered. */
export interface Undelivered {
  readonly version: 4 | 6;
  readonly mac: Uint8Array;
  readonly guest: Uint8Array;
  readonly remote: Uint8Array;
  readonly protocol: number;
  /** First 8 bytes behind the IP header. */
  readonly start: Uint8Array;
}

/** "Destination unreachable" from `gateway`: the host, or only the port. */
export function destinationUnreachable(
  writer: PacketWriter,
  gateway: Uint8Array,
  packet: Undelivered,
  what: "host" | "port",
): Frame {
  const { version, mac, guest, remote, protocol, start } = packet;
  const ipBytes = version === 4 ? 20 : 40;
  // the guest's header, made again: nobody looks at more than addresses, protocol and lengths
  writer.begin({ version, mac, from: guest, to: remote }, protocol, QUOTED_BYTES);
  const message = new Uint8Array(ICMP_BYTES + ipBytes + QUOTED_BYTES);
  message.set(writer.bytes.subarray(14, 14 + ipBytes), ICMP_BYTES);
  message.set(start.subarray(0, QUOTED_BYTES), ICMP_BYTES + ipBytes);
  if (version === 4) {
    message[0] = ICMP_DEST_UNREACH;
    message[1] = what === "host" ? ICMP_HOST_UNREACH : ICMP_PORT_UNREACH;
  } else {
    message[0] = ICMPV6_DEST_UNREACH;
    message[1] = what === "host" ? ICMPV6_ADDR_UNREACH : ICMPV6_PORT_UNREACH;
  }
  const icmp = version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  writer.begin({ version, mac, from: gateway, to: guest }, icmp, message.length);
  return writer.finish(version, icmp, message, 2);
}

/** The start of a TCP or UDP header. */
export function portsAnd(from: number, to: number, seq: number): Uint8Array {
  const bytes = new Uint8Array(QUOTED_BYTES);
  putBe16(bytes, 0, from);
  putBe16(bytes, 2, to);
  putBe16(bytes, 4, seq >>> 16);
  putBe16(bytes, 6, seq & 0xffff);
  return bytes;
}
