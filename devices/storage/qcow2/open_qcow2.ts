// SPDX-License-Identifier: MIT
/** Opens a qcow2 image with its backing files, and makes new ones. @module */
import type { BlockStore } from "../../../xen/backend/block_store.ts";
import { cannotUse, DiskError } from "../disk_error.ts";
import { HostFile } from "../host_file.ts";
import type { CacheMode } from "../raw_store.ts";
import { checkImage } from "./check.ts";
import {
  formatHeader,
  type Header,
  INCOMPAT_COMPRESSION,
  INCOMPAT_CORRUPT,
  INCOMPAT_DIRTY,
  parseHeader,
  roundUp,
} from "./header.ts";
import { Qcow2Store } from "./qcow2_store.ts";
import { Refcounts } from "./refcounts.ts";
import { setU64 } from "./table_cache.ts";

/** Opens the backing file that an image names. */
export type OpenBacking = (name: string, format: string | undefined) => Promise<BlockStore>;

const MAX_CLUSTER = 1 << 21;

/** The header of `file`. Throws {@linkcode DiskError}. */
export function readHeader(file: HostFile): Header {
  const size = file.size;
  const bytes = new Uint8Array(Math.min(MAX_CLUSTER, roundUp(Math.max(size, 512), 512)));
  file.readSync(0, bytes);
  return parseHeader(bytes, size);
}

/** Takes `file` over when it succeeds. An image that its writer did not close gets its counts right first. */
export async function openQcow2(
  file: HostFile,
  cache: CacheMode,
  openBacking: OpenBacking,
): Promise<Qcow2Store> {
  let header = readHeader(file);
  if (header.size === 0) throw new DiskError("it is empty");
  if (file.writable) {
    if ((header.incompatible & INCOMPAT_CORRUPT) !== 0) {
      throw new DiskError("it is marked as damaged: qemu-img check -r all repairs it, ,ro reads it as it is");
    }
    if ((header.incompatible & INCOMPAT_DIRTY) !== 0) {
      await checkImage(file, header, { repair: true });
      header = readHeader(file);
    }
  }
  const { backing } = header;
  const below = backing === undefined ? undefined : await openBacking(backing.name, backing.format);
  const refcounts = file.writable ? Refcounts.open(file, header) : undefined;
  return new Qcow2Store(file, header, below, refcounts, cache === "writeback");
}

/** How a new image is. */
export interface NewImage {
  readonly size: number;
  /** 2 or 3; default 3. */
  readonly version?: 2 | 3;
  /** Default 16: 64 KiB. */
  readonly clusterBits?: number;
  readonly backing?: { readonly name: string; readonly format: string };
}

/** Makes an image of nothing but metadata: header, L1 table, refcount table and its first block. */
export async function createQcow2(path: string, image: NewImage, overwrite = false): Promise<void> {
  const { size, version = 3, clusterBits = 16, backing } = image;
  const clusterSize = 2 ** clusterBits;
  if (!(size > 0 && size % 512 === 0)) throw cannotUse(path, `${size} bytes are not whole sectors of 512`);
  const l1Entries = Math.ceil(size / 2 ** (2 * clusterBits - 3));
  const l1Clusters = Math.ceil(8 * l1Entries / clusterSize);
  const clusters = 3 + l1Clusters; // header, refcount table, its block, L1
  const perBlock = clusterSize / 2;
  if (8 * l1Entries > 32 << 20 || clusters > perBlock) {
    throw cannotUse(path, "it is too large for its clusters");
  }
  const header: Header = {
    version,
    clusterBits,
    size,
    l1Entries,
    l1Offset: 3 * clusterSize,
    refcountTableOffset: clusterSize,
    refcountTableClusters: 1,
    refcountOrder: 4,
    snapshots: 0,
    snapshotsOffset: 0,
    incompatible: 0,
    autoclear: false,
    compression: "zlib",
    ...(backing && { backing }),
  };
  const bytes = new Uint8Array(clusters * clusterSize);
  bytes.set(formatHeader(header));
  const view = new DataView(bytes.buffer);
  setU64(view, clusterSize, 2 * clusterSize);
  for (let i = 0; i < clusters; i++) view.setUint16(2 * clusterSize + 2 * i, 1);
  const file = HostFile.open(path, { write: true, create: overwrite ? true : "new" });
  try {
    await file.write(0, bytes);
    await file.sync();
  } finally {
    file.close();
  }
}

/** Features of `header`, in words. */
export function featuresOf(header: Header): string[] {
  const { incompatible, snapshots } = header;
  const words: string[] = [];
  if ((incompatible & INCOMPAT_DIRTY) !== 0) words.push("not closed by its writer");
  if ((incompatible & INCOMPAT_CORRUPT) !== 0) words.push("damaged");
  if ((incompatible & INCOMPAT_COMPRESSION) !== 0) words.push(`compressed with ${header.compression}`);
  if (snapshots > 0) words.push(`${snapshots} internal snapshot${snapshots === 1 ? "" : "s"}`);
  return words;
}
