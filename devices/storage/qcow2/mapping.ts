// SPDX-License-Identifier: MIT
/** Where a disk's clusters are in an image: L1 and L2 tables. Rules: QEMU's docs/interop/qcow2.txt. @module */
import { DiskError } from "../disk_error.ts";
import type { HostFile } from "../host_file.ts";
import type { Header } from "./header.ts";
import { type Piece, setU64, Table, TableCache } from "./table_cache.ts";

/** Bit 63: the only reference to the cluster. */
const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;
/** Bits 55:32 of an offset. */
const OFFSET_HIGH = 0x00ff_ffff;
/** Version 3: reads as zeros. */
const ZERO = 1;
/** Bytes of L2 tables kept. */
const CACHE_BYTES = 32 << 20;

/** What an L2 entry says. */
export type Mapping =
  /** In the backing file, or zeros without one. */
  | { readonly kind: "absent" }
  /** `host`: an offset that is reserved for it, or 0. */
  | { readonly kind: "zero"; readonly host: number; readonly copied: boolean }
  | { readonly kind: "data"; readonly host: number; readonly copied: boolean }
  /** In `length` bytes at `host`, which need not be aligned. */
  | { readonly kind: "compressed"; readonly host: number; readonly length: number };

const ABSENT: Mapping = { kind: "absent" };

/** Understands the L2 entry at `at`. Throws {@linkcode DiskError} for one that cannot be. */
export function decodeEntry(view: DataView, at: number, header: Header, fileSize: number): Mapping {
  const high = view.getUint32(at), low = view.getUint32(at + 4);
  if (high === 0 && low === 0) return ABSENT;
  const { clusterBits } = header;
  if ((high & COMPRESSED) !== 0) {
    const split = 62 - (clusterBits - 8) - 32; // bits of the offset in the upper half
    const sectors = ((high & 0x3fff_ffff) >>> split) + 1;
    const host = (high & (2 ** split - 1)) * 2 ** 32 + low;
    if (host >= fileSize || host < 2 ** clusterBits) throw damaged(host);
    return { kind: "compressed", host, length: sectors * 512 - host % 512 };
  }
  const copied = (high & COPIED) !== 0;
  const offset = offsetOf(high, low);
  if (offset % 2 ** clusterBits !== 0 || offset >= fileSize && offset > 0) throw damaged(offset);
  if (header.version === 3 && (low & ZERO) !== 0) return { kind: "zero", host: offset, copied };
  return offset === 0 ? ABSENT : { kind: "data", host: offset, copied };
}

/** Bits 55:9 of an entry: exact, whatever flags are around them. */
function offsetOf(high: number, low: number): number {
  return (high & OFFSET_HIGH) * 2 ** 32 + ((low & 0xffff_fe00) >>> 0);
}

function damaged(offset: number): DiskError {
  return new DiskError(`the image is damaged: no cluster can be at ${offset}`);
}

/** See the module's description. */
export class MappingTables {
  readonly l2: TableCache;
  readonly #l1: Table;
  readonly #dirtyL1 = new Set<number>();
  readonly #perL2: number;
  /** No mapping leads behind it; grows as clusters are taken. */
  fileEnd: number;

  constructor(readonly file: HostFile, readonly header: Header) {
    const bytes = new Uint8Array(8 * header.l1Entries);
    file.readSync(header.l1Offset, bytes);
    this.#l1 = new Table(header.l1Offset, bytes);
    const clusterSize = 2 ** header.clusterBits;
    this.#perL2 = clusterSize / 8;
    this.l2 = new TableCache(file, clusterSize, Math.max(16, CACHE_BYTES / clusterSize));
    this.fileEnd = file.size;
  }

  /** Of the disk's cluster: which L1 entry leads to it. */
  l1Index(cluster: number): number {
    return Math.floor(cluster / this.#perL2);
  }

  /** Where the L2 table is, and whether it is ours alone; offset 0: there is none. */
  l1Entry(index: number): { readonly offset: number; readonly copied: boolean } {
    const { view } = this.#l1;
    const high = view.getUint32(8 * index);
    return { offset: offsetOf(high, view.getUint32(8 * index + 4)), copied: (high & COPIED) !== 0 };
  }

  setL1(index: number, offset: number): void {
    const { view } = this.#l1;
    setU64(view, 8 * index, offset);
    view.setUint32(8 * index, (view.getUint32(8 * index) | COPIED) >>> 0);
    this.#dirtyL1.add(index);
  }

  /** The L2 table of the disk's cluster, if it is here; undefined when it has to be loaded, null when there is none. */
  peek(cluster: number): Table | null | undefined {
    const { offset } = this.l1Entry(this.l1Index(cluster));
    return offset === 0 ? null : this.l2.peek(offset);
  }

  /** Loads the L2 tables of the disk's clusters `first` to `last`. */
  async load(first: number, last: number): Promise<void> {
    for (let i = this.l1Index(first); i <= this.l1Index(last); i++) {
      const { offset } = this.l1Entry(i);
      if (offset !== 0 && this.l2.peek(offset) === undefined) await this.l2.load(offset);
    }
  }

  /** What the table says of the disk's cluster. */
  get(table: Table | null, cluster: number): Mapping {
    if (table === null) return ABSENT;
    return decodeEntry(table.view, 8 * (cluster % this.#perL2), this.header, this.fileEnd);
  }

  /** Points the disk's cluster to one of the file that is its own. */
  set(table: Table, cluster: number, host: number): void {
    const at = 8 * (cluster % this.#perL2);
    setU64(table.view, at, host);
    table.view.setUint32(at, (table.view.getUint32(at) | COPIED) >>> 0);
    table.touch(at, 8);
    this.fileEnd = Math.max(this.fileEnd, host + 2 ** this.header.clusterBits);
  }

  /** The disk's cluster reads as zeros and has a place of its own in the file. Version 3 alone. */
  reserve(table: Table, cluster: number, host: number): void {
    this.set(table, cluster, host);
    const at = 8 * (cluster % this.#perL2) + 4;
    table.view.setUint32(at, (table.view.getUint32(at) | ZERO) >>> 0);
  }

  /** The disk's cluster reads as zeros, or as the backing file where there is none. */
  clear(table: Table, cluster: number): void {
    const at = 8 * (cluster % this.#perL2);
    setU64(table.view, at, this.header.version === 3 ? ZERO : 0);
    table.touch(at, 8);
  }

  /** Changed L1 entries, as they are now. */
  takeDirtyL1(): Piece[] {
    const pieces = [...this.#dirtyL1].map((index) => ({
      offset: this.#l1.offset + 8 * index,
      bytes: this.#l1.bytes.slice(8 * index, 8 * index + 8),
    }));
    this.#dirtyL1.clear();
    return pieces;
  }

  giveBackL1(pieces: readonly Piece[]): void {
    for (const { offset } of pieces) this.#dirtyL1.add((offset - this.#l1.offset) / 8);
  }

  get dirty(): boolean {
    return this.#dirtyL1.size > 0 || this.l2.dirtyCount > 0;
  }
}
