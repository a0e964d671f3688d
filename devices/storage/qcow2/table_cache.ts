// SPDX-License-Identifier: MIT
/** Tables of an image in memory: loaded when needed, kept while dirty, forgotten when many. @module */
import { DiskError } from "../disk_error.ts";
import type { HostFile } from "../host_file.ts";

/** A cluster of the image that is a table of big-endian numbers. */
export class Table {
  readonly view: DataView<ArrayBuffer>;
  /** What has to be written: a range of bytes, empty when clean. */
  dirtyFrom = Infinity;
  dirtyTo = 0;

  constructor(readonly offset: number, readonly bytes: Uint8Array<ArrayBuffer>) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get dirty(): boolean {
    return this.dirtyTo > this.dirtyFrom;
  }

  touch(from: number, length: number): void {
    this.dirtyFrom = Math.min(this.dirtyFrom, from);
    this.dirtyTo = Math.max(this.dirtyTo, from + length);
  }
}

/** Bytes on their way to the file. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** See the module's description. */
export class TableCache {
  readonly #tables = new Map<number, Table>();
  readonly #loading = new Map<number, Promise<Table>>();

  /** `most`: clean tables kept, at least. */
  constructor(readonly file: HostFile, readonly clusterSize: number, readonly most: number) {}

  /** The table at `offset`, if it is here. */
  peek(offset: number): Table | undefined {
    const table = this.#tables.get(offset);
    if (table === undefined) return undefined;
    this.#tables.delete(offset); // used last
    this.#tables.set(offset, table);
    return table;
  }

  /** The table at `offset`. Throws {@linkcode DiskError} where none can be. */
  load(offset: number): Table | Promise<Table> {
    const here = this.peek(offset) ?? this.#loading.get(offset);
    if (here !== undefined) return here;
    if (offset % this.clusterSize !== 0 || offset === 0 || offset >= this.file.size) {
      throw new DiskError(`the image is damaged: no table can be at ${offset}`);
    }
    const table = new Table(offset, new Uint8Array(this.clusterSize));
    const reading = this.file.read(offset, table.bytes);
    if (reading === undefined) return this.add(table);
    const loading = reading.then(() => this.add(table)).finally(() => this.#loading.delete(offset));
    this.#loading.set(offset, loading);
    return loading;
  }

  /** Takes a table in, in place of what was at its offset. */
  add(table: Table): Table {
    this.#tables.delete(table.offset);
    this.#tables.set(table.offset, table);
    if (this.#tables.size > this.most) this.#forget();
    return table;
  }

  drop(offset: number): void {
    this.#tables.delete(offset);
  }

  /** What has to be written, as it is now; the tables are clean afterwards. */
  takeDirty(): Piece[] {
    const pieces: Piece[] = [];
    for (const table of this.#tables.values()) {
      if (!table.dirty) continue;
      const { offset, bytes, dirtyFrom, dirtyTo } = table;
      pieces.push({ offset: offset + dirtyFrom, bytes: bytes.slice(dirtyFrom, dirtyTo) });
      table.dirtyFrom = Infinity;
      table.dirtyTo = 0;
    }
    return pieces;
  }

  /** They could not be written. */
  giveBack(pieces: readonly Piece[]): void {
    for (const { offset, bytes } of pieces) {
      const at = offset % this.clusterSize;
      this.#tables.get(offset - at)?.touch(at, bytes.length);
    }
  }

  get dirtyCount(): number {
    let count = 0;
    for (const table of this.#tables.values()) if (table.dirty) count++;
    return count;
  }

  /** The clean ones that were used longest ago go. */
  #forget(): void {
    for (const [offset, table] of this.#tables) {
      if (this.#tables.size <= this.most) return;
      if (!table.dirty) this.#tables.delete(offset);
    }
  }
}

/** A big-endian u64 as a number; exact below 2^53, which all that is inside a file is. */
export function u64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value % 2 ** 32);
}
