// SPDX-License-Identifier: MIT
/**
 * Takes the vmlinux (an ELF file) out of a bzImage on the host, so that the guest need not decompress it, and kernels
 * out of files that somebody has packed.
 * Rules: Linux Documentation/arch/x86/boot.rst (payload_offset, payload_length).
 * Not done: bzip2, LZO.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { MiB } from "../../cpu/base/bits.ts";
import { formatSize } from "../../cpu/base/sizes.ts";
import { parseSetupHeader } from "./bzimage.ts";
import { BoundedOutput } from "./compression/bounded_output.ts";
import {
  decodeLz4,
  decodeLz4Legacy,
  LZ4_FRAME_MAGIC,
  LZ4_LEGACY_MAGIC,
  type RoomFor,
} from "./compression/lz4.ts";
import { XZ_MAGIC } from "./compression/xz_magic.ts";
import { badKernel, type NamedFile } from "./named_file.ts";
import type { RoomInRam } from "./in_place/room_in_ram.ts";

/** Most bytes that a kernel may decompress to. */
const MAX_OUTPUT_BYTES = 512 * MiB;
/** Longest window of zstd data, as zstd(1) takes it. */
const MAX_ZSTD_WINDOW_LOG = 27;
const LZMA_LONGEST_MATCH = 273;

/** A way to pack a kernel, known by its first bytes. */
interface Format {
  readonly name: string;
  readonly magic: readonly number[];
  /**
   * What is in a bzImage. `packed` is without, and `outputBytes` is, the size Linux's build appends. It may go where
   * `roomFor` says.
   */
  payload?(packed: Uint8Array, outputBytes: number, roomFor?: RoomFor): Uint8Array | Promise<Uint8Array>;
  /** What is in a file, if no more than `limit` bytes. */
  file?(packed: Uint8Array, limit: number): Uint8Array | Promise<Uint8Array>;
}

const FORMATS: readonly Format[] = [
  { name: "gzip", magic: [0x1f, 0x8b], payload: gunzip, file: gunzip },
  {
    name: "xz",
    magic: XZ_MAGIC,
    payload: async (packed, outputBytes) => (await xz()).decodeXz(packed, outputBytes),
    file: decodeXzFile,
  },
  { name: "lz4", magic: LZ4_LEGACY_MAGIC, payload: decodeLz4Legacy, file: decodeLz4 },
  { name: "lz4", magic: LZ4_FRAME_MAGIC, file: decodeLz4 },
  {
    name: "zstd",
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    payload: async (packed, outputBytes) => (await zstd()).decompress(packed, new Uint8Array(outputBytes)),
    file: decodeZstdFile,
  },
  { name: "lzma", magic: [0x5d, 0x00, 0x00], payload: decodeLzmaAlone, file: decodeLzmaAlone },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68] },
  { name: "lzo", magic: [0x89, 0x4c, 0x5a, 0x4f] },
];

function formatOf(bytes: Uint8Array): Format | undefined {
  return FORMATS.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte));
}

function payloadOf(file: NamedFile): Uint8Array {
  const { protectedModeOffset, payloadOffset, payloadLength } = parseSetupHeader(file);
  if (payloadLength < 16) throw badKernel(file, "it has no compressed payload");
  const start = protectedModeOffset + payloadOffset;
  if (start + payloadLength > file.bytes.length) throw badKernel(file, "its payload is truncated");
  return file.bytes.subarray(start, start + payloadLength);
}

/** True when bzImage `file` has a payload in a format we can decompress. */
export function isExtractable(file: NamedFile): boolean {
  return parseSetupHeader(file).payloadLength >= 16 && formatOf(payloadOf(file))?.payload !== undefined;
}

/** The vmlinux inside bzImage `file`: in RAM if there is `room` for it. */
export async function extractVmlinux(file: NamedFile, room?: RoomInRam): Promise<NamedFile> {
  const bytes = await decompress({ name: file.name, bytes: payloadOf(file) }, room?.take.bind(room));
  return { name: `${file.name} (vmlinux)`, bytes, inRam: room?.start };
}

/** Decompresses a payload that ends in its uncompressed size (u32), as gzip and the Linux build write it. */
export async function decompress(file: NamedFile, roomFor?: RoomFor): Promise<Uint8Array> {
  const { bytes } = file;
  const format = formatOf(bytes);
  if (format === undefined) throw badKernel(file, "it is compressed in an unknown way");
  const { payload } = format;
  if (payload === undefined) throw badKernel(file, `${format.name} compression is not supported`);
  if (bytes.length < 8) throw badKernel(file, "its payload is truncated");
  const outputBytes = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(
    bytes.length - 4,
    true,
  );
  if (outputBytes > MAX_OUTPUT_BYTES) {
    throw badKernel(
      file,
      `it would decompress to ${outputBytes} bytes, more than ${formatSize(MAX_OUTPUT_BYTES)}`,
    );
  }
  const packed = format.name === "gzip" ? bytes : bytes.subarray(0, bytes.length - 4);
  const output = await decode(file, format, () => payload(packed, outputBytes, roomFor));
  if (output.length !== outputBytes) throw badKernel(file, `its ${format.name} data has the wrong length`);
  return output;
}

/** The kernel in `file`, if that is packed as a whole; else `file` itself. */
export async function unpackKernel(file: NamedFile): Promise<NamedFile> {
  const format = formatOf(file.bytes);
  if (format === undefined) return file;
  const unpack = format.file;
  if (unpack === undefined) {
    throw badKernel(file, `it is packed, and ${format.name} is not supported: unpack it first`);
  }
  const bytes = await decode(file, format, () => unpack(file.bytes, MAX_OUTPUT_BYTES));
  if (bytes.length === 0) throw badKernel(file, `there is nothing in it but ${format.name} data of length 0`);
  if (formatOf(bytes) !== undefined) throw badKernel(file, "it is packed more than once: unpack it first");
  return { name: file.name, bytes };
}

/** What `decoder` gives; whatever it throws is said to be the fault of `file`. */
async function decode(
  file: NamedFile,
  format: Format,
  decoder: () => Uint8Array | Promise<Uint8Array>,
): Promise<Uint8Array> {
  try {
    return await decoder();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const why = message.replace(/^Cannot decompress \w+ data: /, "").replaceAll(/\s*\n\s*/g, " ");
    throw new ConfigError(`Cannot load kernel "${file.name}": bad ${format.name} data: ${why}`, "input", {
      cause,
    });
  }
}

async function gunzip(packed: Uint8Array, limit: number): Promise<Uint8Array> {
  const input = new Blob([packed.slice()]).stream();
  const output = new BoundedOutput(limit);
  for await (const chunk of input.pipeThrough(new DecompressionStream("gzip"))) output.push(chunk);
  return output.bytes();
}

// Decoders that are loaded when a kernel needs them: the others begin sooner.
const xz = () => import("./compression/xz.ts");
const lzma = () => import("./compression/lzma.ts");
const zstd = () => import("npm:fzstd@0.1.1");

async function decodeXzFile(packed: Uint8Array, limit: number): Promise<Uint8Array> {
  const { decodeXz, xzOutputBytes } = await xz();
  const outputBytes = xzOutputBytes(packed);
  if (outputBytes > limit) throw new ConfigError(`more than ${limit} bytes of output`);
  return decodeXz(packed, outputBytes);
}

/** Frames say how long they are, or not. */
async function decodeZstdFile(packed: Uint8Array, limit: number): Promise<Uint8Array> {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  // Zstandard (RFC 8878) §3.1.1.1: the descriptor says which fields follow it
  if (packed.length < 18) throw new ConfigError("input is truncated");
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  if (!single && view.getUint8(5) >> 3 > MAX_ZSTD_WINDOW_LOG - 10) {
    throw new ConfigError("its window is too long");
  }
  const at = (single ? 5 : 6) + [0, 1, 2, 4][descriptor & 3]!;
  let announced: number | undefined;
  if (descriptor >> 6 === 3) announced = Number(view.getBigUint64(at, true));
  else if (descriptor >> 6 === 2) announced = view.getUint32(at, true);
  else if (descriptor >> 6 === 1) announced = view.getUint16(at, true) + 256;
  else if (single) announced = view.getUint8(at);
  if (announced !== undefined) {
    if (announced > limit) throw new ConfigError(`more than ${limit} bytes of output`);
    return (await zstd()).decompress(packed, new Uint8Array(announced));
  }
  const output = new BoundedOutput(limit);
  const { Decompress } = await zstd();
  new Decompress((part) => output.push(part)).push(packed, true);
  return output.bytes();
}

/**
 * The .lzma format: properties, dictionary size (u32), size (u64, or all ones for unknown), then one stream. Gives what
 * there is, up to `limit` bytes; more is an error.
 */
async function decodeLzmaAlone(packed: Uint8Array, limit: number): Promise<Uint8Array> {
  if (packed.length < 18) throw new ConfigError("input is truncated");
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const size = view.getBigUint64(5, true);
  const known = size !== 2n ** 64n - 1n;
  if (known && size > BigInt(limit)) throw new ConfigError(`more than ${limit} bytes of output`);
  const { LzmaDecoder } = await lzma();
  const decoderInto = (bytes: number) => {
    const decoder = new LzmaDecoder(packed, new Uint8Array(bytes));
    decoder.setProperties(packed[0] ?? 0xff);
    decoder.resetState();
    return decoder;
  };
  // Nobody says how long it is: look whether it fits in what is likely, before taking all there may be.
  const likely = 16 * packed.length;
  if (!known && likely < limit) {
    const decoder = decoderInto(likely);
    try {
      decoder.decode(13, packed.length, likely, true);
    } catch (error) {
      if (decoder.position + LZMA_LONGEST_MATCH < likely) throw error;
    }
    if (decoder.position + LZMA_LONGEST_MATCH < likely) return decoder.output.subarray(0, decoder.position);
  }
  const decoder = decoderInto(known ? Number(size) : limit);
  decoder.decode(13, packed.length, decoder.output.length, true);
  return decoder.output.subarray(0, decoder.position);
}
