// SPDX-License-Identifier: MIT
/**
 * Puts fragmented datagrams of guests together: RFC 791 §3.2, RFC 8200 §4.5, RFC 815 in outline. Bounded in number, size and
 * time; overlaps end a datagram (RFC 5722).
 * @module
 */
import {
  be16,
  type Headers,
  IPV4_TOTAL_LENGTH,
  IPV6_HEADER_BYTES,
  IPV6_PAYLOAD_LENGTH,
  putBe16,
} from "../../frames/headers.ts";
import { type Frame, frameOf } from "../end.ts";
import { Ranges } from "./tcp/ranges.ts";

const MOST_DATAGRAMS = 16;
const MOST_FRAGMENTS = 64;
const KEEP_MS = 15_000;
const MAX_IP_BYTES = 65_535;
const IPV4_FLAGS = 6;
const IPV4_MF = 0x2000;
const IPV6_FRAGMENT_BYTES = 8;
const IPV6_FLAGS = 2;
const IPV6_ID = 4;
const IPV6_M = 1;
/** Room for all headers, twice: they are kept at the start, and moved before the data. */
const HEADROOM = 512;

interface Partial {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly have: Ranges;
  /** Headers of the fragment that came first at offset 0. */
  headerBytes: number;
  /** Bytes of the datagram; -1: the last fragment is missing. */
  total: number;
  readonly untilMs: number;
}

/** Where a fragment belongs. */
interface Place {
  /** Datagrams that have the same are the same. */
  readonly key: string;
  readonly offset: number;
  readonly more: boolean;
  /** Bytes of headers that the whole datagram has. */
  readonly headerBytes: number;
  /** Where the data starts. */
  readonly from: number;
}

/** See the module's description. */
export class IpFragments {
  readonly #partial = new Map<string, Partial>();

  /**
   * Takes a fragment whose IP packet ends at `end`; gives the whole datagram as a frame, if this was the last. An IPv4 header
   * lacks its checksum then.
   */
  take(frame: Frame, headers: Headers, end: number, nowMs: number): Frame | undefined {
    const { bytes: header, l3, version } = headers;
    const { key, offset, more, headerBytes, from } = version === 4 ? place4(headers) : place6(headers);
    const length = end - from;
    const counted = version === 4 ? headerBytes - l3 : headerBytes - l3 - IPV6_HEADER_BYTES;
    if (length <= 0 || counted + offset + length > MAX_IP_BYTES || (more && length % 8 !== 0)) {
      return undefined;
    }
    const partial = this.#partial.get(key) ?? this.#make(key, nowMs);
    const { have, bytes } = partial;
    const before = have.missing(offset, offset + length);
    if (before !== length || have.add(offset, offset + length) === undefined) {
      this.#partial.delete(key);
      return undefined;
    }
    if (offset === 0) {
      partial.headerBytes = headerBytes;
      bytes.set(header.subarray(0, headerBytes));
      if (version === 6) bytes[headers.fragmentNamedAt] = header[headers.fragmentAt] as number;
    }
    if (!more) partial.total = offset + length;
    frame.copyTo(bytes.subarray(HEADROOM + offset, HEADROOM + offset + length), from);
    const { total: all } = partial;
    if (all < 0 || partial.headerBytes === 0 || have.missing(0, all) > 0 || have.end > all) return undefined;
    this.#partial.delete(key);
    return whole(partial, l3, version);
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

function place4({ bytes: b, l3, l4 }: Headers): Place {
  const where = be16(b, l3 + IPV4_FLAGS);
  return {
    key: `4|${b.subarray(l3 + 4, l3 + 6)}|${b[l3 + 9]}|${b.subarray(l3 + 12, l3 + 20)}`,
    offset: (where & 0x1fff) * 8,
    more: (where & IPV4_MF) !== 0,
    headerBytes: l4,
    from: l4,
  };
}

function place6({ bytes: b, l3, fragmentAt }: Headers): Place {
  const where = be16(b, fragmentAt + IPV6_FLAGS);
  return {
    key: `6|${b.subarray(fragmentAt + IPV6_ID, fragmentAt + IPV6_FRAGMENT_BYTES)}|${
      b.subarray(l3 + 8, l3 + IPV6_HEADER_BYTES)
    }`,
    offset: where & 0xfff8,
    more: (where & IPV6_M) !== 0,
    headerBytes: fragmentAt,
    from: fragmentAt + IPV6_FRAGMENT_BYTES,
  };
}

function whole({ bytes, headerBytes, total }: Partial, l3: number, version: number): Frame {
  const start = HEADROOM - headerBytes;
  bytes.copyWithin(start, 0, headerBytes);
  const b = bytes.subarray(start, HEADROOM + total);
  const ipBytes = headerBytes - l3 + total;
  if (version === 4) {
    putBe16(b, l3 + IPV4_TOTAL_LENGTH, ipBytes);
    putBe16(b, l3 + IPV4_FLAGS, 0);
  } else putBe16(b, l3 + IPV6_PAYLOAD_LENGTH, ipBytes - IPV6_HEADER_BYTES);
  return frameOf(b);
}
