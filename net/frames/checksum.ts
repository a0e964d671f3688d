// SPDX-License-Identifier: MIT
/**
 * The Internet checksum: RFC 1071, RFC 1624; TCP and UDP pseudo-headers of RFC 9293 §3.1, RFC 768, RFC 8200 §8.1.
 *
 * Sums are 16-bit one's complement sums in host (little-endian) order of the bytes, as RFC 1071 §2(B) allows;
 * {@linkcode storeChecksum} writes them so that the bytes come out right. 0 and 0xffff are both zero.
 * @module
 */
import { Frame, VIRTIO_NET_HDR_F_NEEDS_CSUM } from "./frame.ts";

/** Folds a sum of 16-bit words (below 2^32) to 16 bits. */
export function fold(sum: number): number {
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

/** Exchanges the two bytes: the sum of the same bytes one place further. */
function swap16(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8);
}

const aligned = new WeakMap<ArrayBufferLike, Uint32Array>();
let lastBuffer: ArrayBufferLike | undefined;
let lastWords: Uint32Array = new Uint32Array(0);

/** A whole-buffer view of 32-bit words, made once per buffer: making one per sum costs more than most sums. */
function wordsOf(buffer: ArrayBufferLike): Uint32Array {
  if (buffer === lastBuffer) return lastWords;
  let words = aligned.get(buffer);
  if (words === undefined || words.length !== buffer.byteLength >>> 2) {
    words = new Uint32Array(buffer, 0, buffer.byteLength >>> 2);
    aligned.set(buffer, words);
  }
  lastBuffer = buffer;
  lastWords = words;
  return words;
}

/** One's complement sum of bytes [from, to), as if `from` were even. See the module for the byte order. */
export function sumBytes(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let at = from;
  let odd = 0; // sum of what lies before the first word boundary of the buffer
  let sum = 0;
  let swapped = false;
  if (to - from >= 32) {
    const buffer = bytes.buffer;
    const base = bytes.byteOffset;
    if (((base + at) & 1) !== 0) { // the words are at odd places: sum them there, exchange at the end
      odd = bytes[at++] as number;
      swapped = true;
    }
    if (((base + at) & 2) !== 0) {
      sum = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
      at += 2;
    }
    const words = wordsOf(buffer);
    let index = (base + at) >>> 2;
    const last = (base + to) >>> 2;
    at = (last << 2) - base;
    while (index < last) { // at most 2^14 words between folds keep both sums below 2^31
      const stop = Math.min(last, index + 16384);
      let low = sum;
      let high = 0;
      for (; index + 4 <= stop; index += 4) {
        const a = words[index] as number;
        const b = words[index + 1] as number;
        const c = words[index + 2] as number;
        const d = words[index + 3] as number;
        low += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff) | 0;
        high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) | 0;
      }
      for (; index < stop; index++) {
        const a = words[index] as number;
        low += a & 0xffff;
        high += a >>> 16;
      }
      sum = fold(fold(low) + fold(high));
    }
  }
  for (; at + 1 < to; at += 2) sum += (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  if (at < to) sum += bytes[at] as number;
  sum = fold(sum);
  return swapped ? fold(swap16(sum) + odd) : sum;
}

/** One's complement sum of bytes [from, to) of a frame. */
export function sumFrame(frame: Frame, from = 0, to = frame.length): number {
  let sum = 0;
  let at = 0;
  for (const slice of frame.slices) {
    if (at >= to) break;
    const start = Math.max(from - at, 0);
    const end = Math.min(to - at, slice.length);
    if (start < end) {
      const part = sumBytes(slice, start, end);
      sum = fold(sum + (((at + start - from) & 1) === 0 ? part : swap16(part)));
    }
    at += slice.length;
  }
  return sum;
}

/** Stores a sum itself (as in a blank checksum that holds the pseudo-header's sum). */
export function storeSum(bytes: Uint8Array, at: number, sum: number): void {
  bytes[at] = sum & 0xff;
  bytes[at + 1] = sum >>> 8;
}

/** Stores the complement of a sum: the checksum. `udp`: zero means "none" there, so write 0xffff instead. */
export function storeChecksum(bytes: Uint8Array, at: number, sum: number, udp = false): void {
  const value = ~sum & 0xffff;
  storeSum(bytes, at, udp && value === 0 ? 0xffff : value);
}

/** The checksum of a whole buffer in network order, as a number (0x1234 means bytes 12 34). */
export function internetChecksum(bytes: Uint8Array): number {
  return swap16(~sumBytes(bytes) & 0xffff);
}

/** The sum of a 16-bit number in network order. */
export function sumOfU16(value: number): number {
  return swap16(value & 0xffff);
}

/**
 * Sum of the pseudo-header: addresses from the IP header at `l3` of `header`, the protocol, and `length` bytes of TCP
 * or UDP (header and payload; below 2^32).
 */
export function sumPseudoHeader(
  header: Uint8Array,
  l3: number,
  ip: { readonly version: 4 | 6; readonly protocol: number; readonly length: number },
): number {
  const addresses = ip.version === 4 ? sumBytes(header, l3 + 12, l3 + 20) : sumBytes(header, l3 + 8, l3 + 40);
  return fold(addresses + sumOfU16(ip.protocol) + sumOfU16(ip.length) + sumOfU16(ip.length >>> 16));
}

/** Offset of the checksum in a UDP header; other protocols' fields lie elsewhere. */
export const UDP_CHECKSUM_OFFSET = 6;
/** Offset of the checksum in a TCP header. */
export const TCP_CHECKSUM_OFFSET = 16;

/**
 * The same frame with its blank checksum filled in, or undefined when the metadata point outside the frame. Never
 * writes to the frame's slices (they may be a guest's read-only grants): the headers are copied.
 */
export function completeChecksum(frame: Frame): Frame | undefined {
  const field = frame.csumStart + frame.csumOffset;
  if (!(field + 2 <= frame.length)) return undefined;
  const header = new Uint8Array(field + 2);
  frame.copyTo(header);
  const sum = sumFrame(frame, frame.csumStart);
  storeChecksum(header, field, sum, frame.csumOffset === UDP_CHECKSUM_OFFSET);
  const out = new Frame().append(header).appendRange(frame, field + 2, frame.length).copyOffload(frame);
  out.flags &= ~VIRTIO_NET_HDR_F_NEEDS_CSUM;
  out.csumStart = out.csumOffset = 0;
  return out;
}
