// SPDX-License-Identifier: MIT
/**
 * Puts fragmented IPv4 datagrams of guests together: RFC 791 §3.2, RFC 815 in outline. Bounded in number, size and time;
 * overlaps end a datagram (RFC 5722 for IPv6 says why).
 *
 * Not done: IPv6.
 * @module
 */
import { be16 } from "../../frames/headers.ts";
import { type Frame, frameOf } from "../end.ts";
import { Ranges } from "./tcp/ranges.ts";

const MOST_DATAGRAMS = 16;
const MOST_FRAGMENTS = 64;
const KEEP_MS = 15_000;
const MAX_IP_BYTES = 65_535;
const IPV4_MF = 0x2000;

interface Partial {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly have: Ranges;
  /** Headers of the fragment that came first at offset 0. */
  headerBytes: number;
  /** Bytes of the datagram; -1: the last fragment is missing. */
  total: number;
  readonly untilMs: number;
}

/** See the module's description. */
export class IpFragments {
  readonly #partial = new Map<string, Partial>();

  /** Takes a fragment whose IP header lies at `l3` of `header`; gives the whole datagram as a frame, if this was the last. */
  take(
    frame: Frame,
    header: Uint8Array,
    { l3, l4, total }: { readonly l3: number; readonly l4: number; readonly total: number },
    nowMs: number,
  ): Frame | undefined {
    const where = be16(header, l3 + 6);
    const offset = (where & 0x1fff) * 8;
    const more = (where & IPV4_MF) !== 0;
    const length = total - (l4 - l3);
    if (length <= 0 || offset + length > MAX_IP_BYTES - 60 || (more && length % 8 !== 0)) return undefined;
    const key = `${header.subarray(l3 + 4, l3 + 6)}|${header[l3 + 9]}|${header.subarray(l3 + 12, l3 + 20)}`;
    const partial = this.#partial.get(key) ?? this.#make(key, nowMs);
    const { have, bytes } = partial;
    const before = have.missing(offset, offset + length);
    if (before !== length || have.add(offset, offset + length) === undefined) {
      this.#partial.delete(key);
      return undefined;
    }
    if (offset === 0) {
      partial.headerBytes = l4;
      bytes.set(header.subarray(0, l4));
    }
    if (!more) partial.total = offset + length;
    frame.copyTo(bytes.subarray(HEADROOM + offset, HEADROOM + offset + length), l4);
    const { total: all, headerBytes } = partial;
    if (all < 0 || headerBytes === 0 || have.missing(0, all) > 0 || have.end > all) return undefined;
    this.#partial.delete(key);
    const start = HEADROOM - headerBytes;
    bytes.copyWithin(start, 0, headerBytes);
    const whole = bytes.subarray(start, HEADROOM + all);
    const ipBytes = headerBytes - l3 + all;
    whole[l3 + 2] = ipBytes >>> 8;
    whole[l3 + 3] = ipBytes;
    whole[l3 + 6] = whole[l3 + 7] = 0;
    return frameOf(whole);
  }

  #make(key: string, nowMs: number): Partial {
    for (const [other, { untilMs }] of this.#partial) {
      if (nowMs >= untilMs || this.#partial.size >= MOST_DATAGRAMS) this.#partial.delete(other);
      else break;
    }
    const partial: Partial = {
      bytes: new Uint8Array(HEADROOM + MAX_IP_BYTES),
      have: new Ranges(MOST_FRAGMENTS),
      headerBytes: 0,
      total: -1,
      untilMs: nowMs + KEEP_MS,
    };
    this.#partial.set(key, partial);
    return partial;
  }
}

/** Room for Ethernet and the longest IPv4 header, twice: they are kept at the start, and moved before the data. */
const HEADROOM = 160;
