// SPDX-License-Identifier: MIT
/**
 * TCP headers as bytes: RFC 9293 §3.1, options of RFC 7323 §2 (window scale) and RFC 2018 (SACK).
 * @module
 */
import { be16, be32, putBe16, putBe32 } from "../../../frames/headers.ts";

/** Bytes of a header without options. */
export const TCP_HEADER_BYTES = 20;
/** Most bytes of a header. */
export const MAX_TCP_HEADER_BYTES = 60;

const TCPOPT_EOL = 0;
const TCPOPT_NOP = 1;
const TCPOPT_MAXSEG = 2;
const TCPOPT_WINDOW = 3;
const TCPOPT_SACK_PERMITTED = 4;
const TCPOPT_SACK = 5;

/** RFC 7323 §2.3. */
const MAX_WINDOW_SHIFT = 14;
/** RFC 9293 §3.7.1. */
const DEFAULT_MSS = 536;
/** Less is a guest that wants us to make tiny packets. */
const LEAST_MSS = 88;
/** Most blocks that fit. */
export const MAX_SACK_BLOCKS = 4;

/** A received segment; filled again by each parse. */
export class TcpSegment {
  sourcePort = 0;
  destinationPort = 0;
  seq = 0;
  ack = 0;
  flags = 0;
  /** As it stands there, not scaled. */
  window = 0;
  /** Bytes of payload, and where they are in the frame. */
  length = 0;
  payloadAt = 0;
  // options
  mss = DEFAULT_MSS;
  /** -1: none. */
  windowShift = -1;
  sackPermitted = false;
  /** Left and right edges, alternately. */
  readonly sack: number[] = [];

  /** Reads a header of `bytes` length that Headers has checked; payload of `length` bytes follows at `payloadAt`. */
  parse(header: Uint8Array, l4: number, headerBytes: number, payloadAt: number, length: number): void {
    this.sourcePort = be16(header, l4);
    this.destinationPort = be16(header, l4 + 2);
    this.seq = be32(header, l4 + 4);
    this.ack = be32(header, l4 + 8);
    this.flags = header[l4 + 13] as number;
    this.window = be16(header, l4 + 14);
    this.length = length;
    this.payloadAt = payloadAt;
    this.mss = DEFAULT_MSS;
    this.windowShift = -1;
    this.sackPermitted = false;
    this.sack.length = 0;
    if (headerBytes > TCP_HEADER_BYTES) this.#options(header, l4 + TCP_HEADER_BYTES, l4 + headerBytes);
  }

  #options(header: Uint8Array, at: number, end: number): void {
    while (at < end) {
      const kind = header[at] as number;
      if (kind === TCPOPT_EOL) return;
      if (kind === TCPOPT_NOP) {
        at++;
        continue;
      }
      const length = at + 1 < end ? header[at + 1] as number : 0;
      if (length < 2 || at + length > end) return;
      if (kind === TCPOPT_MAXSEG && length === 4) this.mss = Math.max(LEAST_MSS, be16(header, at + 2));
      else if (kind === TCPOPT_WINDOW && length === 3) {
        this.windowShift = Math.min(MAX_WINDOW_SHIFT, header[at + 2] as number);
      } else if (kind === TCPOPT_SACK_PERMITTED && length === 2) this.sackPermitted = true;
      else if (kind === TCPOPT_SACK) {
        for (let edge = at + 2; edge + 8 <= at + length; edge += 8) {
          this.sack.push(be32(header, edge), be32(header, edge + 4));
        }
      }
      at += length;
    }
  }
}

/** What a header says that we send. */
export interface TcpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
}

/** Writes a header without options; the checksum is left blank. */
export function putTcpHeader(bytes: Uint8Array, at: number, fields: TcpFields): void {
  putBe16(bytes, at, fields.sourcePort);
  putBe16(bytes, at + 2, fields.destinationPort);
  putBe32(bytes, at + 4, fields.seq >>> 0);
  putBe32(bytes, at + 8, fields.ack >>> 0);
  bytes[at + 12] = (TCP_HEADER_BYTES / 4) << 4;
  bytes[at + 13] = fields.flags;
  putBe16(bytes, at + 14, fields.window);
  putBe32(bytes, at + 16, 0);
}

/** Adds what a SYN says; returns the header's length now. `windowShift` -1: do not scale. */
export function putSynOptions(
  bytes: Uint8Array,
  at: number,
  options: { readonly mss: number; readonly windowShift: number; readonly sack: boolean },
): number {
  let to = at + TCP_HEADER_BYTES;
  bytes[to] = TCPOPT_MAXSEG;
  bytes[to + 1] = 4;
  putBe16(bytes, to + 2, options.mss);
  to += 4;
  if (options.sack) {
    bytes.set([TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERMITTED, 2], to);
    to += 4;
  }
  if (options.windowShift >= 0) {
    bytes.set([TCPOPT_NOP, TCPOPT_WINDOW, 3, options.windowShift], to);
    to += 4;
  }
  bytes[at + 12] = ((to - at) / 4) << 4;
  return to - at;
}

/** Adds blocks of what was received ahead, as [left, right) sequence numbers; returns the header's length now. */
export function putSack(bytes: Uint8Array, at: number, edges: readonly number[]): number {
  const blocks = Math.min(MAX_SACK_BLOCKS, edges.length >>> 1);
  if (blocks === 0) return TCP_HEADER_BYTES;
  let to = at + TCP_HEADER_BYTES;
  bytes.set([TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK, 2 + 8 * blocks], to);
  to += 4;
  for (let i = 0; i < 2 * blocks; i++, to += 4) putBe32(bytes, to, (edges[i] as number) >>> 0);
  bytes[at + 12] = ((to - at) / 4) << 4;
  return to - at;
}
