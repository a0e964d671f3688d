// SPDX-License-Identifier: MIT
/**
 * Brings an image's metadata to the disk in an order that leaves it right whenever the program or the machine stops.
 *
 * Version 3: the image is marked dirty before its metadata changes, as with QEMU's lazy_refcounts: who opens it after a
 * crash counts anew. All tables are then written in one go: counts that grow, what refers to the clusters, counts that
 * shrink; a process that is killed within these microseconds leaves clusters that nobody uses, at worst. Version 2 has no such mark: counts first, then what refers to
 * the clusters, then what does not refer to them any more; a crash may leave clusters that nobody uses.
 *
 * Data that was copied within the image is synced before anything refers to the copy. Clusters that became free are not
 * used again before the disk knows that nothing refers to them.
 * @module
 */
import type { HostFile } from "../host_file.ts";
import { type Header, INCOMPAT_AT, INCOMPAT_DIRTY } from "./header.ts";
import type { MappingTables } from "./mapping.ts";
import type { Refcounts } from "./refcounts.ts";
import type { Piece } from "./table_cache.ts";

/** See the module's description. */
export class Journal {
  /** Something was copied: sync before the tables. */
  dataFirst = false;
  /** Clusters nothing refers to any more. */
  #freed: number[] = [];
  /** Changes of the header that are not on the disk. */
  #header: Piece[] = [];
  #marked = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(
    readonly file: HostFile,
    readonly header: Header,
    readonly mapping: MappingTables,
    readonly refcounts: Refcounts,
    readonly sync: boolean,
  ) {}

  /** Clusters of the file `first` to `last` have one user less, once that is on the disk. */
  free(first: number, last = first): void {
    for (let cluster = first; cluster <= last; cluster++) this.#freed.push(cluster);
  }

  /** Everything that was finished before is durable afterwards. */
  flush(): Promise<void> {
    const flushed = this.#turn.then(() => this.#flush());
    this.#turn = flushed.catch(() => {});
    return flushed;
  }

  /** Before the first change of metadata. */
  async #mark(): Promise<void> {
    if (this.header.version === 2 || this.#marked) return;
    this.#writeFeatures(true);
    await this.#sync();
    this.#marked = true;
  }

  /** The image is whole again: at the end. */
  async finish(): Promise<void> {
    await this.flush();
    if (this.#freed.length > 0) await this.flush();
    if (!this.#marked) return;
    this.#writeFeatures(false);
    await this.#sync();
    this.#marked = false;
  }

  #writeFeatures(dirty: boolean): void {
    const bytes = new Uint8Array(8);
    const { incompatible } = this.header;
    const value = dirty ? incompatible | INCOMPAT_DIRTY : incompatible & ~INCOMPAT_DIRTY;
    new DataView(bytes.buffer).setUint32(4, value);
    this.file.writeSync(INCOMPAT_AT, bytes);
    if (this.header.autoclear) this.file.writeSync(88, new Uint8Array(8));
  }

  async #flush(): Promise<void> {
    const { mapping, refcounts } = this;
    if (!mapping.dirty && this.#freed.length === 0) return await this.#sync();
    await this.#mark();
    for (let i = 0; i < 8 && this.dataFirst; i++) { // more may be copied meanwhile
      this.dataFirst = false;
      await this.#sync();
    }
    const old = this.header.version === 2;
    const freed = this.#freed.splice(0);
    try {
      for (const cluster of freed) await refcounts.load(cluster);
    } catch (error) {
      this.#freed.push(...freed);
      throw error;
    }
    // from here to the end of the writes nothing else runs
    const l1 = mapping.takeDirtyL1();
    const l2 = mapping.l2.takeDirty();
    const move = refcounts.takeMove();
    const counts = refcounts.takeDirty();
    const unused = old ? [] : this.#uncount(freed);
    const uncounts = refcounts.takeDirty();
    if (move !== undefined) this.#header.push(move.header);
    const header = [...this.#header];
    try {
      if (!old) this.#write([...counts, ...header, ...l2, ...l1, ...uncounts]);
      else for (const step of [counts, header, l2, l1]) if (this.#write(step)) await this.#sync();
      await this.#sync();
      this.#header = [];
    } catch (error) {
      mapping.giveBackL1(l1);
      mapping.l2.giveBack(l2);
      refcounts.giveBack([...counts, ...uncounts]);
      if (old) this.#freed.push(...freed);
      throw error;
    }
    if (move !== undefined) this.#freed.push(...move.old);
    if (old) {
      for (const cluster of freed) await refcounts.load(cluster);
      unused.push(...this.#uncount(freed));
      this.#write(refcounts.takeDirty());
    }
    for (const cluster of unused) refcounts.release(cluster);
  }

  /** Those that nobody uses now. */
  #uncount(clusters: readonly number[]): number[] {
    return clusters.filter((cluster) =>
      this.refcounts.get(cluster) > 0 && this.refcounts.add(cluster, -1) === 0
    );
  }

  #write(pieces: readonly Piece[]): boolean {
    for (const { offset, bytes } of pieces) this.file.writeSync(offset, bytes);
    return pieces.length > 0;
  }

  async #sync(): Promise<void> {
    if (this.sync) await this.file.sync();
  }
}
