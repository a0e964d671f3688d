// SPDX-License-Identifier: MIT
/**
 * LZ4: the legacy frame that Linux kernels are packed in. Rules: LZ4 frame format ("Legacy frame") and LZ4 block
 * format. Bad data ends in a {@linkcode ConfigError}, never past a bound.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";

/** First bytes of a legacy frame. */
export const LZ4_LEGACY_MAGIC = [0x02, 0x21, 0x4c, 0x18] as const;
const MIN_MATCH = 4;

const corrupt = (why: string) => new ConfigError(`Cannot decompress LZ4 data: ${why}`);

/** Decodes a legacy frame into exactly `outputBytes` bytes. */
export function decodeLz4Legacy(input: Uint8Array, outputBytes: number): Uint8Array<ArrayBuffer> {
  if (LZ4_LEGACY_MAGIC.some((byte, i) => input[i] !== byte)) throw corrupt("no legacy frame header");
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const output = new Uint8Array(outputBytes);
  let done = 0;
  for (let at = 4; at + 4 <= input.length && done < outputBytes;) {
    const blockBytes = view.getUint32(at, true);
    at += 4;
    if (blockBytes > input.length - at) throw corrupt("input is truncated");
    done = decodeBlock(input.subarray(at, at + blockBytes), output, done);
    at += blockBytes;
  }
  if (done !== outputBytes) throw corrupt("less output than announced");
  return output;
}

/** Decodes one block to `output` at `start`; returns the position after it. Matches stay inside the block. */
export function decodeBlock(input: Uint8Array, output: Uint8Array, start: number): number {
  let to = start;
  for (let at = 0; at < input.length;) {
    const token = input[at++] as number;
    let literals = token >> 4;
    if (literals === 15) {
      let byte: number;
      do {
        if (at >= input.length) throw corrupt("input is truncated");
        byte = input[at++] as number;
        literals += byte;
      } while (byte === 255);
    }
    if (literals > input.length - at) throw corrupt("input is truncated");
    if (literals > output.length - to) throw corrupt("more output than announced");
    if (literals <= 16) { for (let i = 0; i < literals; i++) output[to + i] = input[at + i] as number; }
    else output.set(input.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at === input.length) return to; // the last sequence has no match
    if (at + 2 > input.length) throw corrupt("input is truncated");
    const offset = (input[at] as number) | ((input[at + 1] as number) << 8);
    at += 2;
    let length = (token & 15) + MIN_MATCH;
    if ((token & 15) === 15) {
      let byte: number;
      do {
        if (at >= input.length) throw corrupt("input is truncated");
        byte = input[at++] as number;
        length += byte;
      } while (byte === 255);
    }
    if (offset === 0 || offset > to - start) throw corrupt("match before the start");
    if (length > output.length - to) throw corrupt("more output than announced");
    if (offset >= length && length > 16) output.copyWithin(to, to - offset, to - offset + length);
    else for (let i = 0; i < length; i++) output[to + i] = output[to + i - offset] as number;
    to += length;
  }
  throw corrupt("block ends in a match");
}
