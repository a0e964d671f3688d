// SPDX-License-Identifier: MIT
/**
 * Which frames are part of a TCP stream under way, so that nobody waits for the answer to one: much data at once, and what
 * does nothing but acknowledge. RFC 9293 §3.1. A guess for scheduling: sums are not checked.
 * @module
 */
import { type Frame, VIRTIO_NET_HDR_GSO_NONE } from "./frame.ts";
import {
  be16,
  type Headers,
  IPPROTO_TCP,
  IPV4_TOTAL_LENGTH,
  IPV6_HEADER_BYTES,
  IPV6_PAYLOAD_LENGTH,
  TCP_FLAGS,
  TH_ACK,
} from "./headers.ts";

/** Less may be a question. */
const LEAST_BYTES = 16 << 10;

/** See the module's description. `headers` is overwritten. */
export function isBulk(frame: Frame, headers: Headers): boolean {
  if (frame.gsoType !== VIRTIO_NET_HDR_GSO_NONE) return frame.length >= LEAST_BYTES;
  if (!headers.parse(frame) || headers.protocol !== IPPROTO_TCP) return false;
  const { bytes, version, l3, l4, l4Bytes } = headers;
  const end = l3 +
    (version === 4
      ? be16(bytes, l3 + IPV4_TOTAL_LENGTH)
      : IPV6_HEADER_BYTES + be16(bytes, l3 + IPV6_PAYLOAD_LENGTH));
  return l4 + l4Bytes === end && bytes[l4 + TCP_FLAGS] === TH_ACK;
}
