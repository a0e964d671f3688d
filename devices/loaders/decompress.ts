// SPDX-License-Identifier: MIT
/**
 * Takes the vmlinux (an ELF file) out of a bzImage on the host, so that the guest need not decompress it.
 * Rules: Linux Documentation/arch/x86/boot.rst (payload_offset, payload_length).
 * Not done: bzip2, LZO.
 * @module
 */
import * as fzstd from "npm:fzstd@0.1.1";
import { ConfigError } from "../../cpu/base/assert.ts";
import { GiB } from "../../cpu/base/bits.ts";
import { parseSetupHeader } from "./bzimage.ts";
import { decodeLz4Legacy, LZ4_LEGACY_MAGIC } from "./compression/lz4.ts";
import { LzmaDecoder } from "./compression/lzma.ts";
import { badKernel, type NamedFile } from "./named_file.ts";
import { decodeXz, XZ_MAGIC } from "./compression/xz.ts";

const MAX_OUTPUT_BYTES = 1 * GiB;

/** A way to pack a kernel, known by its first bytes. */
interface Format {
  readonly name: string;
  readonly magic: readonly number[];
  /** `packed` is without, and `outputBytes` is, the size Linux's build appends. */
  decode?(packed: Uint8Array, outputBytes: number): Uint8Array | Promise<Uint8Array>;
}

const FORMATS: readonly Format[] = [
  { name: "gzip", magic: [0x1f, 0x8b], decode: gunzip },
  { name: "xz", magic: XZ_MAGIC, decode: decodeXz },
  { name: "lz4", magic: LZ4_LEGACY_MAGIC, decode: decodeLz4Legacy },
  {
    name: "zstd",
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    decode: (packed, outputBytes) => fzstd.decompress(packed, new Uint8Array(outputBytes)),
  },
  { name: "lzma", magic: [0x5d, 0x00, 0x00], decode: decodeLzmaAlone },
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
  return parseSetupHeader(file).payloadLength >= 16 && formatOf(payloadOf(file))?.decode !== undefined;
}

/** The vmlinux inside bzImage `file`. */
export async function extractVmlinux(file: NamedFile): Promise<NamedFile> {
  const bytes = await decompress({ name: file.name, bytes: payloadOf(file) });
  return { name: `${file.name} (vmlinux)`, bytes };
}

/** Decompresses a payload that ends in its uncompressed size (u32), as gzip and the Linux build write it. */
export async function decompress(file: NamedFile): Promise<Uint8Array> {
  const { bytes } = file;
  const format = formatOf(bytes);
  if (format === undefined) throw badKernel(file, "it is compressed in an unknown way");
  if (format.decode === undefined) throw badKernel(file, `${format.name} compression is not supported`);
  if (bytes.length < 8) throw badKernel(file, "its payload is truncated");
  const outputBytes = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(
    bytes.length - 4,
    true,
  );
  if (outputBytes > MAX_OUTPUT_BYTES) throw badKernel(file, `it would decompress to ${outputBytes} bytes`);
  const packed = format.name === "gzip" ? bytes : bytes.subarray(0, bytes.length - 4);
  let output: Uint8Array;
  try {
    output = await format.decode(packed, outputBytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`Cannot load kernel "${file.name}": bad ${format.name} data: ${why}`, "input", {
      cause,
    });
  }
  if (output.length !== outputBytes) throw badKernel(file, `its ${format.name} data has the wrong length`);
  return output;
}

async function gunzip(packed: Uint8Array, outputBytes: number): Promise<Uint8Array> {
  const input = new Blob([packed.slice()]).stream();
  const output = new Uint8Array(outputBytes);
  let done = 0;
  for await (const chunk of input.pipeThrough(new DecompressionStream("gzip"))) {
    if (chunk.length > outputBytes - done) throw new ConfigError("more output than announced");
    output.set(chunk, done);
    done += chunk.length;
  }
  return output.subarray(0, done);
}

/** The .lzma format: properties, dictionary size (u32), size (u64, unknown), then one stream. */
function decodeLzmaAlone(packed: Uint8Array, outputBytes: number): Uint8Array {
  const output = new Uint8Array(outputBytes);
  const decoder = new LzmaDecoder(packed, output);
  decoder.setProperties(packed[0] ?? 0xff);
  decoder.resetState();
  decoder.decode(13, packed.length, outputBytes, true);
  return output.subarray(0, decoder.position);
}
