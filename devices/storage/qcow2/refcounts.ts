// SPDX-License-Identifier: MIT
/**
 * Reference counts of an image's clusters, and where new clusters come from: behind the end of the file, or from those
 * that became free since it was opened. A cluster that is taken counts for nothing until {@linkcode Refcounts.add} says
 * that something refers to it, so that what is on the disk never counts what nobody has.
 *
 * Not done: finding clusters that were free before the image was opened.
 * @module
 */
import { DiskError } from "../disk_error.ts";
import type { HostFile } from "../host_file.ts";
import { type Header, roundUp } from "./header.ts";
import { type Piece, setU64, Table, TableCache, u64 } from "./table_cache.ts";

const MAX_TABLE_BYTES = 8 << 20;
/** Bytes of blocks kept. */
const CACHE_BYTES = 16 << 20;

/** See the module's description. */
export class Refcounts {
  readonly #clusterSize: number;
  readonly #order: number;
  /** Counts in a block. */
  readonly #perBlock: number;
  readonly #blocks: TableCache;
  #table: Table;
  /** Where the table was before it grew; the header still says so. */
  #oldTable: Table | undefined;
  /** Next cluster behind all. */
  #end: number;
  readonly #free: number[] = [];

  private constructor(readonly file: HostFile, header: Header, table: Table) {
    this.#clusterSize = 2 ** header.clusterBits;
    this.#order = header.refcountOrder;
    this.#perBlock = this.#clusterSize * 8 / 2 ** this.#order;
    this.#blocks = new TableCache(file, this.#clusterSize, Math.max(64, CACHE_BYTES / this.#clusterSize));
    this.#table = table;
    this.#end = Math.ceil(file.size / this.#clusterSize);
  }

  static open(file: HostFile, header: Header): Refcounts {
    const bytes = new Uint8Array(header.refcountTableClusters * 2 ** header.clusterBits);
    file.readSync(header.refcountTableOffset, bytes);
    return new Refcounts(file, header, new Table(header.refcountTableOffset, bytes));
  }

  /** Takes `count` clusters in a row; the number of the first. `fresh`: nothing was ever there, so it is zero. */
  take(count: number): { readonly cluster: number; readonly fresh: boolean } {
    const free = count === 1 ? this.#free.pop() : undefined;
    return free === undefined ? this.takeFresh(count) : { cluster: free, fresh: false };
  }

  /** The same of those where nothing ever was. */
  takeFresh(count: number): { readonly cluster: number; readonly fresh: boolean } {
    const cluster = this.#end;
    this.#end += count;
    return { cluster, fresh: true };
  }

  /** Nothing refers to the cluster, on the disk neither. */
  release(cluster: number): void {
    this.#free.push(cluster);
  }

  /** Makes the counts of clusters `first` to `last` known to {@linkcode add}. */
  async load(first: number, last = first): Promise<void> {
    for (let i = Math.floor(first / this.#perBlock); i <= Math.floor(last / this.#perBlock); i++) {
      const offset = this.#blockOffset(i);
      if (offset !== 0 && this.#blocks.peek(offset) === undefined) await this.#blocks.load(offset);
    }
  }

  /** True when {@linkcode load} would have nothing to do. */
  has(cluster: number): boolean {
    const offset = this.#blockOffset(Math.floor(cluster / this.#perBlock));
    return offset === 0 || this.#blocks.peek(offset) !== undefined;
  }

  /** The count of a cluster that was loaded. */
  get(cluster: number): number {
    const offset = this.#blockOffset(Math.floor(cluster / this.#perBlock));
    const block = offset === 0 ? undefined : this.#blocks.peek(offset);
    if (block === undefined) return 0;
    return this.#read(block, cluster % this.#perBlock);
  }

  /** Counts one more or one less; returns the new count. The cluster was loaded in this turn. */
  add(cluster: number, delta: 1 | -1): number {
    const count = this.get(cluster) + delta;
    if (count < 0) throw new DiskError(`the image is damaged: cluster ${cluster} is used and not counted`);
    this.set(cluster, count);
    return count;
  }

  /** The cluster was loaded in this turn. */
  set(cluster: number, count: number): void {
    const index = Math.floor(cluster / this.#perBlock);
    const block = this.#blockOffset(index) === 0
      ? this.#makeBlock(index)
      : this.#blocks.peek(this.#blockOffset(index));
    if (block === undefined) throw new DiskError(`a refcount block is missing`);
    this.#write(block, cluster % this.#perBlock, count);
  }

  #blockOffset(index: number): number {
    if (8 * index >= this.#table.bytes.length) return 0;
    return u64(this.#table.view, 8 * index);
  }

  #makeBlock(index: number): Table {
    if (8 * index >= this.#table.bytes.length) {
      this.#grow(index);
      const made = this.#blocks.peek(this.#blockOffset(index)); // the larger table may be counted in it
      if (made !== undefined) return made;
    }
    const cluster = this.#end++; // not one that became free: its own count might not be here
    const block = this.#blocks.add(new Table(cluster * this.#clusterSize, new Uint8Array(this.#clusterSize)));
    block.touch(0, this.#clusterSize);
    setU64(this.#table.view, 8 * index, block.offset);
    this.#table.touch(8 * index, 8);
    this.set(cluster, 1); // in this block or, at worst, in the next one
    return block;
  }

  /** A larger table behind the end of the file; the header is told when it is written. */
  #grow(index: number): void {
    const bytes = roundUp(Math.max(2 * this.#table.bytes.length, 8 * (index + 16)), this.#clusterSize);
    if (bytes > MAX_TABLE_BYTES) throw new DiskError("the image cannot grow any more");
    const clusters = bytes / this.#clusterSize;
    const { cluster } = this.take(clusters);
    const table = new Table(cluster * this.#clusterSize, new Uint8Array(bytes));
    table.bytes.set(this.#table.bytes);
    table.touch(0, bytes);
    this.#oldTable ??= this.#table;
    this.#table = table;
    for (let i = 0; i < clusters; i++) this.set(cluster + i, 1);
  }

  #read(block: Table, index: number): number {
    const { view } = block;
    switch (this.#order) {
      case 3:
        return view.getUint8(index);
      case 4:
        return view.getUint16(2 * index);
      case 5:
        return view.getUint32(4 * index);
      case 6:
        return u64(view, 8 * index);
      default: {
        const bits = 2 ** this.#order, at = index * bits;
        return (view.getUint8(at >>> 3) >>> (at & 7)) & (2 ** bits - 1);
      }
    }
  }

  #write(block: Table, index: number, count: number): void {
    const { view } = block;
    const bits = 2 ** this.#order;
    if (bits < 53 && count >= 2 ** bits) throw new DiskError("a cluster is used too often to be counted");
    const at = Math.floor(index * bits / 8);
    block.touch(at, Math.max(1, bits / 8));
    switch (this.#order) {
      case 3:
        return view.setUint8(at, count);
      case 4:
        return view.setUint16(at, count);
      case 5:
        return view.setUint32(at, count);
      case 6:
        return setU64(view, at, count);
      default: {
        const shift = (index * bits) & 7, mask = (2 ** bits - 1) << shift;
        view.setUint8(at, (view.getUint8(at) & ~mask) | (count << shift));
      }
    }
  }

  /** What has to be written, blocks before the table. */
  takeDirty(): Piece[] {
    const pieces = this.#blocks.takeDirty();
    const table = this.#table;
    if (table.dirty) {
      pieces.push({
        offset: table.offset + table.dirtyFrom,
        bytes: table.bytes.slice(table.dirtyFrom, table.dirtyTo),
      });
      table.dirtyFrom = Infinity;
      table.dirtyTo = 0;
    }
    return pieces;
  }

  giveBack(pieces: readonly Piece[]): void {
    this.#blocks.giveBack(pieces);
    this.#table.touch(0, this.#table.bytes.length);
  }

  /** The header's words about the table, when it has moved; and the clusters of the old one. */
  takeMove(): { readonly header: Piece; readonly old: number[] } | undefined {
    const old = this.#oldTable;
    if (old === undefined) return undefined;
    this.#oldTable = undefined;
    const bytes = new Uint8Array(12);
    const view = new DataView(bytes.buffer);
    setU64(view, 0, this.#table.offset);
    view.setUint32(8, this.#table.bytes.length / this.#clusterSize);
    const clusters = old.bytes.length / this.#clusterSize;
    return {
      header: { offset: 48, bytes },
      old: Array.from({ length: clusters }, (_, i) => old.offset / this.#clusterSize + i),
    };
  }

  /** No cluster from here on has a count. */
  get covered(): number {
    const { view, bytes } = this.#table;
    let blocks = bytes.length / 8;
    while (blocks > 0 && u64(view, 8 * blocks - 8) === 0) blocks--;
    return blocks * this.#perBlock;
  }

  /** Offsets of the table and of all blocks, for a check. */
  places(): { readonly table: number; readonly tableBytes: number; readonly blocks: number[] } {
    const blocks: number[] = [];
    for (let at = 0; at < this.#table.bytes.length; at += 8) blocks.push(u64(this.#table.view, at));
    return { table: this.#table.offset, tableBytes: this.#table.bytes.length, blocks };
  }
}
