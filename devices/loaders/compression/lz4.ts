// SPDX-License-Identifier: MIT
/**
 * LZ4: the legacy frame that Linux kernels are packed in, and the frame of today's lz4(1). Rules: LZ4 frame format 1.6.1
 * and LZ4 block format. Bad data ends in a {@linkcode ConfigError}, never past a bound. Checksums are not verified.
 * Not done: dictionaries, several frames.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import { Lz4Module, type Room } from "./lz4_module.ts";

/** First bytes of a legacy frame. */
export const LZ4_LEGACY_MAGIC = [0x02, 0x21, 0x4c, 0x18] as const;
/** First bytes of a frame. */
export const LZ4_FRAME_MAGIC = [0x04, 0x22, 0x4d, 0x18] as const;
const MIN_MATCH = 4;
// FLG byte of a frame
const FLG_DICTIONARY = 1 << 0;
const FLG_CONTENT_SIZE = 1 << 3;
const FLG_BLOCK_CHECKSUM = 1 << 4;
const FLG_INDEPENDENT = 1 << 5;
/** Looked at before the rest is decoded: the headers of an ELF file. */
const HEAD_BYTES = 4096;
/** Top bit of a block's size: it is stored as it is. */
const STORED = 0x8000_0000;

const corrupt = (why: string) => new ConfigError(`Cannot decompress LZ4 data: ${why}`);

/**
 * Where output may go: `head` is what it begins with, `bytes` how long it is, `room` how much the decoder needs for it and
 * itself. Undefined: nowhere in particular.
 */
export type RoomFor = (head: Uint8Array, bytes: number, room: number) => Room | undefined;

/** Decodes a legacy frame into exactly `outputBytes` bytes. */
export function decodeLz4Legacy(
  input: Uint8Array,
  outputBytes: number,
  roomFor: RoomFor = () => undefined,
): Uint8Array<ArrayBuffer> {
  if (LZ4_LEGACY_MAGIC.some((byte, i) => input[i] !== byte)) throw corrupt("no legacy frame header");
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const longest = longestBlock(input);
  const room = roomFor(headOf(input), outputBytes, Lz4Module.roomOf(outputBytes, longest));
  const module = new Lz4Module(outputBytes, longest, room), { output } = module;
  let done = 0;
  for (let at = 4; at + 4 <= input.length && done < outputBytes;) {
    const blockBytes = view.getUint32(at, true);
    at += 4;
    if (blockBytes > input.length - at) throw corrupt("input is truncated");
    done = decodeBlock(module, input.subarray(at, at + blockBytes), done);
    at += blockBytes;
  }
  if (done !== outputBytes) throw corrupt("less output than announced");
  if (room !== undefined) module.tidy();
  return output;
}

/** Bytes of the longest block of a legacy frame, as far as the frame is there. */
function longestBlock(input: Uint8Array): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let longest = 0;
  for (let at = LZ4_LEGACY_MAGIC.length; at + 4 <= input.length;) {
    const length = view.getUint32(at, true);
    at += 4;
    longest = Math.max(longest, Math.min(length, input.length - at));
    at += length;
  }
  return longest;
}

/** What a legacy frame decodes to at first, then zeros. */
function headOf(input: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES);
  const first = LZ4_LEGACY_MAGIC.length + 4;
  const { buffer, byteOffset } = input;
  const end = input.length < first
    ? first
    : first + new DataView(buffer, byteOffset).getUint32(first - 4, true);
  try {
    decodeWithReasons(input.subarray(first, end), head, 0, 0);
  } catch {
    // it goes on behind the head, or is bad: who decodes all of it says so
  }
  return head;
}

/** One block of a frame. */
interface Block {
  readonly bytes: Uint8Array;
  readonly stored: boolean;
}

/** Decodes a frame of either kind whose length nobody has announced, if it is no more than `limit` bytes. */
export function decodeLz4(input: Uint8Array, limit: number): Uint8Array<ArrayBuffer> {
  const legacy = LZ4_LEGACY_MAGIC.every((byte, i) => input[i] === byte);
  const { blocks, independent } = legacy ? legacyBlocks(input) : frameBlocks(input);
  let total = 0;
  for (const { bytes, stored } of blocks) {
    total += stored ? bytes.length : measureBlock(bytes);
    if (total > limit) throw corrupt(`more than ${limit} bytes of output`);
  }
  const longest = blocks.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
  const module = new Lz4Module(total, longest), { output } = module;
  let to = 0;
  for (const { bytes, stored } of blocks) {
    if (stored) output.set(bytes, to), to += bytes.length;
    else to = decodeBlock(module, bytes, to, independent ? to : 0);
  }
  return output;
}

function legacyBlocks(input: Uint8Array): { blocks: Block[]; independent: boolean } {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const blocks: Block[] = [];
  for (let at = LZ4_LEGACY_MAGIC.length; at < input.length;) {
    if (at + 4 > input.length) throw corrupt("input is truncated");
    const length = view.getUint32(at, true);
    at += 4;
    if (length > input.length - at) throw corrupt("input is truncated");
    blocks.push({ bytes: input.subarray(at, at + length), stored: false });
    at += length;
  }
  return { blocks, independent: true };
}

function frameBlocks(input: Uint8Array): { blocks: Block[]; independent: boolean } {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length < 11) throw corrupt("input is truncated");
  const flags = view.getUint8(4);
  if (flags >> 6 !== 1) throw corrupt("unknown version of the frame format");
  if (flags & FLG_DICTIONARY) throw corrupt("it needs a dictionary");
  const blocks: Block[] = [];
  // magic, FLG, BD, content size if any, header checksum
  for (let at = 6 + (flags & FLG_CONTENT_SIZE ? 8 : 0) + 1;;) {
    if (at + 4 > input.length) throw corrupt("input is truncated");
    const size = view.getUint32(at, true);
    if (size === 0) break; // the end mark
    const length = size % STORED;
    at += 4;
    if (length > input.length - at) throw corrupt("input is truncated");
    blocks.push({ bytes: input.subarray(at, at + length), stored: size >= STORED });
    at += length + (flags & FLG_BLOCK_CHECKSUM ? 4 : 0);
  }
  return { blocks, independent: (flags & FLG_INDEPENDENT) !== 0 };
}

/** How many bytes a block decodes to; its matches are not looked at. */
function measureBlock(input: Uint8Array): number {
  let total = 0;
  let at = 0;
  const more = (nibble: number) => {
    let length = nibble;
    for (let byte = nibble === 15 ? 255 : 0; byte === 255; length += byte) {
      if (at >= input.length) throw corrupt("input is truncated");
      byte = input[at++] as number;
    }
    return length;
  };
  while (at < input.length) {
    const token = input[at++] as number;
    const literals = more(token >> 4);
    total += literals;
    at += literals;
    if (at >= input.length) break; // the last sequence has no match
    at += 2;
    total += more(token & 15) + MIN_MATCH;
  }
  return total;
}

/** Decodes one block to the module's output at `start`; returns the position after it. Matches reach back to `oldest` at most. */
function decodeBlock(module: Lz4Module, input: Uint8Array, start: number, oldest = start): number {
  const end = module.decode(input, start, oldest);
  return end !== 0 ? end : decodeWithReasons(input, module.output, start, oldest);
}

/** The same in TypeScript: says what is wrong. */
export function decodeWithReasons(
  input: Uint8Array,
  output: Uint8Array,
  start: number,
  oldest: number,
): number {
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
    if (offset === 0 || offset > to - oldest) throw corrupt("match before the start");
    if (length > output.length - to) throw corrupt("more output than announced");
    if (offset >= length && length > 16) output.copyWithin(to, to - offset, to - offset + length);
    else for (let i = 0; i < length; i++) output[to + i] = output[to + i - offset] as number;
    to += length;
  }
  throw corrupt("block ends in a match");
}
