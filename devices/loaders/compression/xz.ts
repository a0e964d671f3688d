// SPDX-License-Identifier: MIT
/**
 * .xz container as kernels use it: one stream, LZMA2, optionally behind the x86 branch filter (which the npm
 * packages for .xz do not have). Rules: The .xz File Format 1.1.0; the filter as in Linux's lib/xz.
 *
 * CRC32 is verified; CRC64 and SHA-256 checks are skipped. Not done: other filters, several streams.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import { decodeLzma2, LzmaDecoder } from "./lzma.ts";
import { XZ_MAGIC } from "./xz_magic.ts";

const FOOTER_MAGIC = 0x5a59; // "YZ"
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
const CHECK_CRC32 = 0x01;
/** Size of each check type's field. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;

const corrupt = (why: string) => new ConfigError(`Cannot decompress XZ data: ${why}`);

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb8_8320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** CRC-32 of IEEE 802.3. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (let i = 0; i < bytes.length; i++) {
    crc = (CRC_TABLE[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** Decodes `input` into exactly `outputBytes` bytes. */
export function decodeXz(input: Uint8Array, outputBytes: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length < 32 || XZ_MAGIC.some((byte, i) => input[i] !== byte)) throw corrupt("no XZ header");
  if (crc32(input.subarray(6, 8)) !== view.getUint32(8, true)) throw corrupt("header checksum differs");
  const check = view.getUint8(7) & 0x0f;
  const output = new Uint8Array(outputBytes);
  const decoder = new LzmaDecoder(input, output);
  let at = 12;
  while (input[at] !== 0) { // 0 is the index
    const headerBytes = ((input[at] ?? 0) + 1) * 4;
    if (at + headerBytes > input.length) throw corrupt("input is truncated");
    const header = input.subarray(at, at + headerBytes - 4);
    if (crc32(header) !== view.getUint32(at + headerBytes - 4, true)) throw corrupt("block checksum differs");
    const x86 = parseBlockHeader(header);
    const start = decoder.position;
    at = decodeLzma2(input, at + headerBytes, decoder);
    const block = output.subarray(start, decoder.position);
    if (x86) undoX86Filter(block);
    at = Math.ceil(at / 4) * 4;
    const checkBytes = CHECK_BYTES[check] as number;
    if (at + checkBytes > input.length) throw corrupt("input is truncated");
    if (check === CHECK_CRC32 && crc32(block) !== view.getUint32(at, true)) {
      throw corrupt("data checksum differs");
    }
    at += checkBytes;
  }
  if (decoder.position !== outputBytes) throw corrupt("less output than announced");
  return output;
}

/** How many bytes `input` decodes to, as its index says; nothing is checked but that there is an index. */
export function xzOutputBytes(input: Uint8Array): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length < 32 || view.getUint16(input.length - 2, true) !== FOOTER_MAGIC) {
    throw corrupt("input is truncated");
  }
  const start = input.length - 12 - (view.getUint32(input.length - 8, true) + 1) * 4;
  if (start < 12 || input[start] !== 0) throw corrupt("no index");
  let at = start + 1;
  const records = varint(input, () => at++);
  let total = 0;
  for (let i = 0; i < records && at < input.length; i++) {
    varint(input, () => at++); // packed size
    total += varint(input, () => at++);
  }
  return total;
}

/** Reads a number of 7 bits a byte, lowest first, of at most five bytes; `next` gives their places. */
function varint(bytes: Uint8Array, next: () => number): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[next()] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  return value;
}

/** True when the block has the x86 filter in front of LZMA2. */
function parseBlockHeader(header: Uint8Array): boolean {
  const flags = header[1] ?? 0;
  let at = 2;
  const number = () => varint(header, () => at++);
  if (flags & 0x40) number(); // compressed size
  if (flags & 0x80) number(); // uncompressed size
  const filters: number[] = [];
  for (let i = 0; i <= (flags & 3); i++) {
    const id = number();
    const propertyBytes = number();
    if (id === FILTER_X86 && propertyBytes !== 0) throw corrupt("x86 filter with an offset");
    filters.push(id);
    at += propertyBytes;
  }
  const last = filters.pop();
  if (last !== FILTER_LZMA2 || filters.length > 1 || (filters.length === 1 && filters[0] !== FILTER_X86)) {
    throw corrupt("unknown filter");
  }
  return filters.length === 1;
}

const topByteOf = (byte: number | undefined) => byte === 0x00 || byte === 0xff;

/**
 * Turns the absolute targets of CALL and JMP back into relative ones, in place. `recent` remembers at which of
 * the last three bytes an opcode was seen, because the encoder leaves doubtful overlaps alone.
 */
function undoX86Filter(block: Uint8Array): void {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  /** By `recent`: whether a conversion is allowed, and which byte of the operand overlaps. */
  const allowed = [true, true, true, false, true, false, false, false];
  const overlap = [0, 1, 2, 2, 3, 3, 3, 3];
  let lastOpcode = -1;
  let recent = 0;
  for (let i = 0; i + 4 < block.length; i++) {
    if (((block[i] as number) & 0xfe) !== 0xe8) continue;
    const gap = i - lastOpcode;
    lastOpcode = i;
    if (gap > 3) recent = 0;
    else {
      recent = (recent << (gap - 1)) & 7;
      if (recent !== 0 && (!allowed[recent] || topByteOf(block[i + 4 - (overlap[recent] as number)]))) {
        recent = (recent << 1) | 1;
        continue;
      }
    }
    if (!topByteOf(block[i + 4])) {
      recent = (recent << 1) | 1;
      continue;
    }
    let target = view.getUint32(i + 1, true);
    for (;;) {
      target = (target - (i + 5)) >>> 0;
      if (recent === 0) break;
      const bit = 8 * (overlap[recent] as number);
      if (!topByteOf((target >>> (24 - bit)) & 0xff)) break;
      target = (target ^ (2 ** (32 - bit) - 1)) >>> 0;
    }
    view.setUint32(i + 1, (target << 7) >> 7, true); // bit 24 is the sign
    i += 4;
    lastOpcode = i - 4;
  }
}
