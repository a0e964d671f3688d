// SPDX-License-Identifier: MIT
/**
 * Header of a qcow2 image, versions 2 and 3. Rules: QEMU's docs/interop/qcow2.txt. Nothing in it is believed before it is
 * checked here: sizes are bounded as QEMU bounds them, tables lie inside the file.
 *
 * Refused: encryption, external data files, extended L2 entries, incompatible features nobody knows.
 * @module
 */
import { DiskError } from "../disk_error.ts";

export const MAGIC = 0x514649fb;
/** Incompatible features. */
export const INCOMPAT_DIRTY = 1;
export const INCOMPAT_CORRUPT = 2;
export const INCOMPAT_COMPRESSION = 8;
const INCOMPAT_KNOWN = INCOMPAT_DIRTY | INCOMPAT_CORRUPT | INCOMPAT_COMPRESSION;
const INCOMPAT_NAMES = ["dirty", "corrupt", "external data file", "compression type", "extended L2 entries"];
/** Where features stand. */
export const INCOMPAT_AT = 72;
const AUTOCLEAR_AT = 88;

const EXTENSION_END = 0;
const EXTENSION_BACKING_FORMAT = 0xe2792aca;
const MAX_L1_BYTES = 32 << 20;
const MAX_REFCOUNT_TABLE_BYTES = 8 << 20;
const MAX_SNAPSHOTS = 65536;
const MAX_BACKING_NAME = 1023;
/** Largest disk: offsets stay exact numbers, with room. */
const MAX_SIZE = 2 ** 52;

/** How clusters are compressed. */
export type Compression = "zlib" | "zstd";

/** What the header says. */
export interface Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  /** Bytes of the disk. */
  readonly size: number;
  /** Entries. */
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** log2 of the bits of a reference count. */
  readonly refcountOrder: number;
  readonly snapshots: number;
  readonly snapshotsOffset: number;
  /** INCOMPAT_*. */
  readonly incompatible: number;
  /** Some feature that writers who do not know it have to switch off. */
  readonly autoclear: boolean;
  readonly compression: Compression;
  readonly backing?: { readonly name: string; readonly format?: string };
}

/** Understands the first bytes of a file of `fileSize` bytes. Throws {@linkcode DiskError}. */
export function parseHeader(bytes: Uint8Array<ArrayBuffer>, fileSize: number): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const u32 = (at: number) => view.getUint32(at);
  const u64 = (at: number) => view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
  if (fileSize < 72 || u32(0) !== MAGIC) throw new DiskError("it is no qcow2 image");
  const version = u32(4);
  if (version !== 2 && version !== 3) refuse(`qcow2 version ${version} is not understood`);
  if (version === 3 && fileSize < 104) refuse("it ends within its header");
  const clusterBits = u32(20);
  if (clusterBits < 9 || clusterBits > 21) refuse(`its clusters of 2^${clusterBits} bytes are not allowed`);
  const clusterSize = 2 ** clusterBits;
  if (u32(32) !== 0) refuse("it is encrypted, which is not understood");
  const headerLength = version === 3 ? u32(100) : 72;
  if (headerLength < (version === 3 ? 104 : 72) || headerLength > clusterSize || headerLength % 8 !== 0) {
    refuse(`its header of ${headerLength} bytes is not allowed`);
  }
  const unknown = version === 3 ? checkFeatures(u32(72), u32(76)) : 0;
  const size = u64(24);
  if (size > MAX_SIZE || size % 512 !== 0) refuse(`a disk of ${size} bytes is not allowed`);
  const l1Entries = u32(36), l1Offset = u64(40);
  const covered = 2 ** (2 * clusterBits - 3); // bytes of one L1 entry
  if (l1Entries * 8 > MAX_L1_BYTES || l1Entries < Math.ceil(size / covered)) {
    refuse(`its L1 table of ${l1Entries} entries does not fit its size`);
  }
  inside("L1 table", l1Offset, l1Entries * 8);
  const refcountTableOffset = u64(48), refcountTableClusters = u32(56);
  if (refcountTableClusters === 0 || refcountTableClusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES) {
    refuse(`its refcount table of ${refcountTableClusters} clusters is not allowed`);
  }
  inside("refcount table", refcountTableOffset, refcountTableClusters * clusterSize);
  const refcountOrder = version === 3 ? u32(96) : 4;
  if (refcountOrder > 6) refuse(`reference counts of 2^${refcountOrder} bits are not allowed`);
  const snapshots = u32(60), snapshotsOffset = u64(64);
  if (snapshots > MAX_SNAPSHOTS) refuse(`${snapshots} snapshots are too many`);
  if (snapshots > 0) inside("snapshot table", snapshotsOffset, 40);
  const compressionByte = headerLength > 104 ? view.getUint8(104) : 0;
  if (compressionByte > 1) refuse(`compression type ${compressionByte} is not understood`);
  const backing = readBacking(headerLength, u64(8), u32(16));
  return {
    version: version as 2 | 3,
    clusterBits,
    size,
    l1Entries,
    l1Offset,
    refcountTableOffset,
    refcountTableClusters,
    refcountOrder,
    snapshots,
    snapshotsOffset,
    incompatible: unknown,
    autoclear: version === 3 && (u32(AUTOCLEAR_AT) !== 0 || u32(AUTOCLEAR_AT + 4) !== 0),
    compression: compressionByte === 1 ? "zstd" : "zlib",
    ...(backing && { backing }),
  };

  function inside(what: string, offset: number, length: number): void {
    if (
      offset % clusterSize !== 0 || offset === 0 && length > 0 ||
      offset + length > roundUp(fileSize, clusterSize)
    ) {
      refuse(`its ${what} at ${offset} is not inside the file`);
    }
  }

  function readBacking(from: number, nameAt: number, nameLength: number) {
    if (nameAt === 0 || nameLength === 0) return undefined;
    if (nameLength > MAX_BACKING_NAME || nameAt + nameLength > Math.min(clusterSize, bytes.length)) {
      refuse("the name of its backing file is not inside the header");
    }
    const decode = (at: number, length: number) => new TextDecoder().decode(bytes.subarray(at, at + length));
    const name = decode(nameAt, nameLength);
    let format: string | undefined;
    for (let at = from; at + 8 <= nameAt;) {
      const type = u32(at), length = u32(at + 4);
      if (type === EXTENSION_END) break;
      if (at + 8 + length > Math.min(clusterSize, bytes.length)) {
        refuse("a header extension leaves the header");
      }
      if (type === EXTENSION_BACKING_FORMAT) format = decode(at + 8, length);
      at += 8 + roundUp(length, 8);
    }
    return { name, ...(format !== undefined && { format }) };
  }
}

function checkFeatures(high: number, low: number): number {
  const unknown = low & ~INCOMPAT_KNOWN;
  if (high !== 0 || unknown !== 0) {
    const bit = 31 - Math.clz32(unknown & -unknown);
    refuse(`it uses ${INCOMPAT_NAMES[bit] ?? "a feature nobody knows"}, which is not understood`);
  }
  return low;
}

function refuse(why: string): never {
  throw new DiskError(why);
}

/** The next multiple of `unit`. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** The first cluster of a new image. */
export function formatHeader(header: Header): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  const view = new DataView(bytes.buffer);
  const u64 = (at: number, value: number) => {
    view.setUint32(at, Math.floor(value / 2 ** 32));
    view.setUint32(at + 4, value >>> 0);
  };
  view.setUint32(0, MAGIC);
  view.setUint32(4, header.version);
  view.setUint32(20, header.clusterBits);
  u64(24, header.size);
  view.setUint32(36, header.l1Entries);
  u64(40, header.l1Offset);
  u64(48, header.refcountTableOffset);
  view.setUint32(56, header.refcountTableClusters);
  const headerLength = header.version === 3 ? 112 : 72;
  if (header.version === 3) {
    view.setUint32(INCOMPAT_AT + 4, header.incompatible);
    view.setUint32(96, header.refcountOrder);
    view.setUint32(100, headerLength);
    view.setUint8(104, header.compression === "zstd" ? 1 : 0);
  }
  let at = headerLength;
  const { backing } = header;
  if (backing?.format !== undefined) {
    const format = new TextEncoder().encode(backing.format);
    view.setUint32(at, EXTENSION_BACKING_FORMAT);
    view.setUint32(at + 4, format.length);
    bytes.set(format, at + 8);
    at += 8 + roundUp(format.length, 8);
  }
  at += 8; // the end of the extensions
  if (backing !== undefined) {
    const name = new TextEncoder().encode(backing.name);
    if (name.length > MAX_BACKING_NAME || at + name.length > bytes.length) {
      refuse("the name of the backing file is too long");
    }
    bytes.set(name, at);
    u64(8, at);
    view.setUint32(16, name.length);
  }
  return bytes;
}
