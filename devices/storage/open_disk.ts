// SPDX-License-Identifier: MIT
/** Opens a disk in a file: finds out its format, checks what can be checked, and puts a throw-away layer on top. @module */
import type { BlockStore } from "../../xen/backend/block_store.ts";
import { cannotUse, DiskError } from "./disk_error.ts";
import { HostFile, identityOf } from "./host_file.ts";
import { OverlayStore } from "./overlay_store.ts";
import { openQcow2 } from "./qcow2/open_qcow2.ts";
import { type CacheMode, RawStore } from "./raw_store.ts";

/** How the bytes of a disk lie in its file. */
export type DiskFormat = "raw" | "qcow2";

/** How a disk's file is opened. */
export interface DiskFileOptions {
  /** Default: by what the file starts with. */
  readonly format?: DiskFormat;
  /** The guest may not write. */
  readonly readonly?: boolean;
  /** What the guest's flushes do: writeback (default), fdatasync(2); unsafe, nothing. */
  readonly cache?: CacheMode;
  /** What is written is forgotten when the disk is closed; the file stays as it is. */
  readonly snapshot?: boolean;
}

/** Formats that are known by their first bytes, and are not ours. */
const FOREIGN: readonly (readonly [name: string, magic: string, at: number])[] = [
  ["VMDK", "KDMV", 0],
  ["VMDK", "# Disk DescriptorFile", 0],
  ["VHDX", "vhdxfile", 0],
  ["VHD", "conectix", 0],
  ["VDI", "\x7f\x10\xda\xbe", 64],
  ["QED", "QED\0", 0],
  ["LUKS", "LUKS\xba\xbe", 0],
  ["Parallels", "WithoutFreeSpace", 0],
  ["Parallels", "WithouFreSpacExt", 0],
  ["gzip", "\x1f\x8b\x08", 0],
  ["xz", "\xfd7zXZ\0", 0],
  ["zstd", "\x28\xb5\x2f\xfd", 0],
];
const QCOW_MAGIC = "QFI\xfb";
const SECTOR = 512;

/** Images below images at most. */
const MOST_BACKING = 64;

/** Opens the disk in the file at `path`. Throws {@linkcode ConfigError} in one clear line. */
export async function openDisk(path: string, options: DiskFileOptions = {}): Promise<BlockStore> {
  const { snapshot = false, readonly = false, cache = "writeback", format } = options;
  const store = await openImage(path, { write: !snapshot && !readonly, format, cache, above: [] });
  if (!snapshot || readonly) return store;
  try {
    return new OverlayStore(store);
  } catch (error) {
    await store.close?.();
    throw error;
  }
}

interface Opening {
  readonly write: boolean;
  readonly format: DiskFormat | undefined;
  readonly cache: CacheMode;
  /** Files that lead here: none may come again. */
  readonly above: readonly string[];
}

async function openImage(path: string, opening: Opening): Promise<BlockStore> {
  const { above, write, cache } = opening;
  const identity = identityOf(path);
  if (identity !== undefined && above.includes(identity)) throw cannotUse(path, "it is its own backing file");
  if (above.length > MOST_BACKING) throw cannotUse(path, `it stands below more than ${MOST_BACKING} images`);
  const file = HostFile.open(path, { write });
  try {
    const format = opening.format ?? probe(file);
    if (format === "raw") return openRaw(file, cache, above.length > 0);
    return await openQcow2(file, cache, (name, below) =>
      openImage(imagePath(path, name), {
        write: false,
        format: backingFormat(path, below),
        cache,
        above: [...above, file.identity],
      }));
  } catch (error) {
    await file.settle();
    file.close();
    if (error instanceof DiskError) {
      throw cannotUse(path, error.message, error.errno === 0 ? "input" : "host");
    }
    throw error;
  }
}

function openRaw(file: HostFile, cache: CacheMode, isBacking: boolean): BlockStore {
  const { size } = file;
  if (isBacking) return new RawStore(file, cache); // behind its end there are zeros
  if (size === 0) throw cannotUse(file.path, "it is empty");
  if (size % SECTOR !== 0) {
    throw cannotUse(
      file.path,
      `its size of ${size} bytes is no multiple of ${SECTOR}: truncate -s %${SECTOR} makes it one`,
    );
  }
  return new RawStore(file, cache);
}

/** Names in an image are relative to it. */
export function imagePath(image: string, name: string): string {
  const plain = name.startsWith("file:") ? name.slice(5) : name;
  if (/^[a-z][a-z0-9+.-]*:/.test(plain)) {
    throw cannotUse(image, `its backing file ${JSON.stringify(name)} is not a file`);
  }
  if (plain.startsWith("/") || !image.includes("/")) return plain;
  return image.slice(0, image.lastIndexOf("/") + 1) + plain;
}

function backingFormat(image: string, format: string | undefined): DiskFormat | undefined {
  if (format === undefined || format === "raw" || format === "qcow2") return format;
  throw cannotUse(
    image,
    `its backing file has the format ${JSON.stringify(format)}, which is not understood`,
  );
}

/** The format by the first bytes: who calls a file of another format raw has to say so. */
export function probe(file: HostFile): DiskFormat {
  const head = new Uint8Array(SECTOR);
  file.readSync(0, head);
  const text = String.fromCharCode(...head);
  if (text.startsWith(QCOW_MAGIC)) return "qcow2";
  const foreign = FOREIGN.find(([, magic, at]) => text.startsWith(magic, at));
  if (foreign === undefined) return "raw";
  throw cannotUse(
    file.path,
    `it looks like ${foreign[0]}, which is not understood: convert it with qemu-img, or say ,format=raw`,
  );
}
