// SPDX-License-Identifier: MIT
/** What `xenner disk` does with images: make, copy, describe, check. @module */
import { formatSize } from "../../cpu/base/sizes.ts";
import { cannotUse, DiskError } from "./disk_error.ts";
import { HostFile } from "./host_file.ts";
import { type DiskFormat, imagePath, openDisk, probe } from "./open_disk.ts";
import { checkImage, type CheckResult } from "./qcow2/check.ts";
import { createQcow2, featuresOf, readHeader } from "./qcow2/open_qcow2.ts";

const COPY_BYTES = 1 << 20;
/** Zeros of this size are left out. */
const PIECE = 65536;
const SECTOR = 512;

/** How a new image is. */
export interface CreateImage {
  readonly format: DiskFormat;
  /** Bytes; default: the backing file's. */
  readonly size?: number;
  readonly backing?: string;
  readonly backingFormat?: DiskFormat;
  readonly clusterBits?: number;
  /** An existing file is overwritten. */
  readonly force?: boolean;
}

/** Makes an empty image at `path`; its size. Throws ConfigError. */
export async function createImage(path: string, image: CreateImage): Promise<number> {
  const { format, backing, clusterBits, force = false } = image;
  let { size, backingFormat } = image;
  if (backing !== undefined) {
    if (format === "raw") throw cannotUse(path, "a raw image has no backing file");
    const below = imagePath(path, backing);
    backingFormat ??= withFile(below, probe);
    const store = await openDisk(below, { readonly: true, format: backingFormat });
    size ??= store.size;
    await store.close?.();
  }
  if (size === undefined) throw cannotUse(path, "a new image needs a size");
  if (size <= 0 || size % SECTOR !== 0) {
    throw cannotUse(path, `${size} bytes are not whole sectors of ${SECTOR}`);
  }
  if (format === "raw") {
    const file = HostFile.open(path, { write: true, create: force ? true : "new" });
    try {
      file.truncate(size);
    } finally {
      file.close();
    }
  } else {
    await createQcow2(path, {
      size,
      ...(clusterBits !== undefined && { clusterBits }),
      ...(backing !== undefined && { backing: { name: backing, format: backingFormat ?? "raw" } }),
    }, force);
  }
  return size;
}

/** Copies the disk in `from` to a new image; zeros take no room. Returns its size. Throws ConfigError. */
export async function convertImage(
  from: string,
  to: string,
  options: { readonly format: DiskFormat; readonly sourceFormat?: DiskFormat; readonly force?: boolean },
): Promise<number> {
  const { format, sourceFormat, force = false } = options;
  const source = await openDisk(from, { readonly: true, ...(sourceFormat && { format: sourceFormat }) });
  try {
    await createImage(to, { format, size: source.size, force });
    const target = await openDisk(to, { format });
    try {
      const buffer = new Uint8Array(COPY_BYTES);
      for (let at = 0; at < source.size; at += COPY_BYTES) {
        const part = buffer.subarray(0, Math.min(COPY_BYTES, source.size - at));
        await source.read(at, part);
        for (let from = 0, to; from < part.length; from = to) { // runs of pieces that are not zero
          const zero = isZero(part.subarray(from, from + PIECE));
          for (to = from + PIECE; to < part.length && isZero(part.subarray(to, to + PIECE)) === zero;) {
            to += PIECE;
          }
          if (!zero) await target.write(at + from, part.subarray(from, to));
        }
      }
      await target.flush();
    } finally {
      await target.close?.();
    }
    return source.size;
  } catch (error) {
    if (error instanceof DiskError) throw cannotUse(to, error.message, "host");
    throw error;
  } finally {
    await source.close?.();
  }
}

function isZero(bytes: Uint8Array<ArrayBuffer>): boolean {
  const words = bytes.length >>> 3;
  const view = new Float64Array(bytes.buffer, bytes.byteOffset, words);
  for (let i = 0; i < words; i++) if (!Object.is(view[i], 0)) return false;
  return true;
}

/** What there is to know of an image, line by line. Throws ConfigError. */
export function describeImage(path: string): string[] {
  return withFile(path, (file) => {
    const format = probe(file);
    const lines = [`file: ${path}`, `format: ${format}`];
    const sizes = (size: number) => lines.push(`disk: ${formatSize(size)} (${size} bytes)`);
    if (format === "raw") sizes(file.size);
    else {
      const header = readHeader(file);
      sizes(header.size);
      lines.push(`version: ${header.version}`, `clusters: ${formatSize(2 ** header.clusterBits)}`);
      if (header.backing !== undefined) {
        const { name, format } = header.backing;
        lines.push(`backing file: ${name}${format === undefined ? "" : ` (${format})`}`);
      }
      for (const word of featuresOf(header)) lines.push(`note: ${word}`);
    }
    lines.push(`file size: ${formatSize(file.size)}`);
    return lines;
  });
}

/** Checks an image, and with `repair` puts its counts right; undefined for a raw one, which has none. Throws ConfigError. */
export async function checkImageFile(path: string, repair: boolean): Promise<CheckResult | undefined> {
  const file = HostFile.open(path, { write: repair });
  try {
    if (probe(file) === "raw") return undefined;
    return await checkImage(file, readHeader(file), { repair });
  } catch (error) {
    if (error instanceof DiskError) throw cannotUse(path, error.message);
    throw error;
  } finally {
    file.close();
  }
}

function withFile<T>(path: string, look: (file: HostFile) => T): T {
  const file = HostFile.open(path, { write: false });
  try {
    return look(file);
  } catch (error) {
    if (error instanceof DiskError) throw cannotUse(path, error.message);
    throw error;
  } finally {
    file.close();
  }
}
