// SPDX-License-Identifier: MIT
/**
 * Which frames are part of a TCP stream under way, so that nobody waits for the answer to one: much data at once, and what
 * does nothing but acknowledge. RFC 9293 §3.1, RFC 791 §3.1, RFC 8200 §3. A guess for scheduling: sums are not checked.
 * @module
 */
import { type Frame, VIRTIO_NET_HDR_GSO_NONE } from "./frame.ts";
import { be16, ETH_HLEN, ETH_P_IP, ETH_P_IPV6, IPPROTO_TCP } from "./headers.ts";

/** Less may be a question. */
const LEAST_BYTES = 16 << 10;
const TH_ACK = 1 << 4;
const TCP_HEADER_BYTES = 20;

/** See the module's description. */
export function isBulk(frame: Frame): boolean {
  if (frame.gsoType !== VIRTIO_NET_HDR_GSO_NONE) return frame.length >= LEAST_BYTES;
  const b = frame.slices[0];
  if (b === undefined || b.length < ETH_HLEN + 20 + TCP_HEADER_BYTES) return false;
  const l3 = ETH_HLEN;
  let l4: number, end: number, protocol: number | undefined;
  switch (be16(b, l3 - 2)) {
    case ETH_P_IP:
      l4 = l3 + ((b[l3] as number) & 0xf) * 4;
      end = l3 + be16(b, l3 + 2);
      protocol = b[l3 + 9];
      break;
    case ETH_P_IPV6:
      l4 = l3 + 40;
      end = l4 + be16(b, l3 + 4);
      protocol = b[l3 + 6];
      break;
    default:
      return false;
  }
  if (protocol !== IPPROTO_TCP || l4 + TCP_HEADER_BYTES > b.length) return false;
  const payloadAt = l4 + ((b[l4 + 12] as number) >>> 4) * 4;
  return payloadAt === end && b[l4 + 13] === TH_ACK;
}
