// SPDX-License-Identifier: MIT
/**
 * A qcow2 image as a disk. Rules: QEMU's docs/interop/qcow2.txt. Reads follow the tables, backing files and compressed
 * clusters included; a write goes in place where the cluster is ours alone, and else to a new one, whose mapping changes
 * when the data is there. Metadata reaches the disk with a flush: see journal.ts.
 *
 * In images of version 3 without a backing file clusters are reserved many at a time: the file has holes for them, and
 * their entries say that they read as zeros. A write to one of them, and a discard, changes nothing but the entry, so that
 * counts change once in a long while: a program that is killed in the middle of its work leaves nothing to repair.
 *
 * Not done: writing compressed clusters, internal snapshots other than leaving them intact, bitmaps.
 * @module
 */
import { assert } from "../../../cpu/base/assert.ts";
import type { BlockStore } from "../../../xen/backend/block_store.ts";
import { DiskError } from "../disk_error.ts";
import type { HostFile } from "../host_file.ts";
import { unpackCluster } from "./compressed.ts";
import type { Header } from "./header.ts";
import { Journal } from "./journal.ts";
import { type Mapping, MappingTables } from "./mapping.ts";
import type { Refcounts } from "./refcounts.ts";
import { Table } from "./table_cache.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Later = void | Promise<void>;

/** Dirty tables are written when they are this many, without waiting for a flush. */
const MOST_DIRTY = 64;
/** Of the disk's size in the header. */
const SIZE_AT = 24;
/** So much of the disk is reserved at a time. */
const RESERVED_BYTES = 64 << 20;
/** Smaller clusters have too few in a table. */
const LEAST_RESERVED_CLUSTER = 4096;

/** See the module's description. */
export class Qcow2Store implements BlockStore {
  #size: number;
  readonly readonly: boolean;
  readonly clusterSize: number;
  readonly mapping: MappingTables;
  readonly #journal: Journal | undefined;
  /** Clusters of the disk that get another place just now. */
  readonly #moving = new Map<number, Promise<void>>();
  /** Clusters of the file from here on were never written: holes. */
  readonly #freshFrom: number;
  /** Other reserved clusters of the file that are all zeros, by offset. */
  readonly #blank = new Set<number>();
  /** The file system can make holes. */
  #punches = true;
  #underWay = 0;
  #idle: (() => void) | undefined;
  /** The compressed cluster that was unpacked last. */
  #unpacked: { readonly cluster: number; readonly bytes: Bytes } | undefined;

  /** Takes `file` and `backing` over. Without `refcounts` it is read-only. */
  constructor(
    readonly file: HostFile,
    readonly header: Header,
    readonly backing: BlockStore | undefined,
    readonly refcounts: Refcounts | undefined,
    sync: boolean,
  ) {
    this.#size = header.size;
    this.clusterSize = 2 ** header.clusterBits;
    this.readonly = refcounts === undefined;
    this.mapping = new MappingTables(file, header);
    this.#freshFrom = Math.ceil(file.size / this.clusterSize) * this.clusterSize;
    this.#journal = refcounts && new Journal(file, header, this.mapping, refcounts, sync);
  }

  get size(): number {
    return this.#size;
  }

  /** As far as the L1 table reaches, whose clusters are filled by none but the first images. */
  async resize(size: number): Promise<void> {
    const most = this.header.l1Entries * this.clusterSize * (this.clusterSize / 8);
    if (this.readonly || this.header.snapshots > 0) {
      throw new DiskError("the image cannot be resized while it is in use");
    }
    if (size > most) {
      throw new DiskError(
        `the image's L1 table reaches to ${most} bytes: qemu-img resize makes it longer, not in use`,
      );
    }
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(size));
    this.file.writeSync(SIZE_AT, bytes);
    await this.file.sync();
    this.#size = size;
  }

  read(offset: number, into: Bytes): Later {
    const first = this.#cluster(offset), last = this.#cluster(offset + into.length - 1);
    return this.#have(first, last)
      ? this.#readHere(offset, into)
      : this.#readLater(offset, into, first, last);
  }

  async #readLater(offset: number, into: Bytes, first: number, last: number): Promise<void> {
    // piece by piece: no more tables are needed at a time than are kept
    for (let cluster = first; cluster <= last; cluster++) {
      const from = Math.max(offset, cluster * this.clusterSize);
      const to = Math.min(offset + into.length, (cluster + 1) * this.clusterSize);
      while (!this.#have(cluster, cluster)) await this.mapping.load(cluster, cluster);
      await this.#readHere(from, into.subarray(from - offset, to - offset));
    }
  }

  /** All tables are here. Neighbours in the file are read together. */
  #readHere(offset: number, into: Bytes): Later {
    const waits: Promise<void>[] = [];
    const end = offset + into.length;
    for (let at = offset; at < end;) {
      const mapping = this.#map(this.#cluster(at));
      let to = this.#clusterEnd(at, end);
      while (to < end && this.#follows(mapping, at, to)) to = this.#clusterEnd(to, end);
      const wait = this.#readRun(mapping, at, into.subarray(at - offset, to - offset));
      if (wait !== undefined) waits.push(wait);
      at = to;
    }
    if (waits.length === 1) return waits[0];
    if (waits.length > 1) return Promise.all(waits).then(() => {});
  }

  /** True when the cluster at `to` goes on where the run that started at `at` ends. */
  #follows(mapping: Mapping, at: number, to: number): boolean {
    const next = this.#map(this.#cluster(to));
    if (mapping.kind === "compressed" || next.kind !== mapping.kind) return false;
    if (mapping.kind !== "data" || next.kind !== "data") return true;
    return next.host === mapping.host + (this.#cluster(to) - this.#cluster(at)) * this.clusterSize;
  }

  #readRun(mapping: Mapping, at: number, into: Bytes): Later {
    switch (mapping.kind) {
      case "data":
        return this.file.read(mapping.host + at % this.clusterSize, into);
      case "zero":
        return void into.fill(0);
      case "compressed":
        return this.#readCompressed(mapping, at, into);
      case "absent":
        return this.#readBacking(at, into);
    }
  }

  #readBacking(at: number, into: Bytes): Later {
    const { backing } = this;
    const there = backing === undefined ? 0 : Math.min(into.length, Math.max(0, backing.size - at));
    into.fill(0, there);
    if (there > 0) return backing?.read(at, into.subarray(0, there));
  }

  async #readCompressed(mapping: Mapping & { kind: "compressed" }, at: number, into: Bytes): Promise<void> {
    const cluster = this.#cluster(at), start = at % this.clusterSize;
    if (this.#unpacked?.cluster !== cluster) {
      const packed = new Uint8Array(mapping.length);
      await this.file.read(mapping.host, packed);
      this.#unpacked = { cluster, bytes: unpackCluster(packed, this.clusterSize, this.header.compression) };
    }
    into.set(this.#unpacked.bytes.subarray(start, start + into.length));
  }

  write(offset: number, from: Bytes): Later {
    const host = this.#placeOf(offset, from.length);
    // nothing but data changes; what is on its way to another thread is waited for by `close`
    return host === undefined ? this.#writePieces(offset, from) : this.file.write(host, from);
  }

  /** Where the range lies in one piece that is ours alone, if it does. */
  #placeOf(offset: number, length: number): number | undefined {
    const first = this.#cluster(offset), last = this.#cluster(offset + length - 1);
    if (this.#journal === undefined || length === 0 || !this.#inPlace(first)) return undefined;
    const mapping = this.#map(first) as Mapping & { kind: "data" };
    for (let cluster = first + 1; cluster <= last; cluster++) {
      if (!this.#inPlace(cluster) || !this.#follows(mapping, offset, cluster * this.clusterSize)) {
        return undefined;
      }
    }
    return mapping.host + offset % this.clusterSize;
  }

  async #writePieces(offset: number, from: Bytes): Promise<void> {
    await this.#change(async () => {
      const end = offset + from.length;
      for (let at = offset; at < end;) {
        const to = await this.#writeRun(at, from.subarray(at - offset));
        at = to;
      }
    });
  }

  /** Writes the first part of `from`, as far as it goes in one piece; returns the end of that. */
  async #writeRun(at: number, from: Bytes): Promise<number> {
    const end = at + from.length;
    const cluster = this.#cluster(at);
    for (;;) {
      const moving = this.#moving.get(cluster);
      if (moving !== undefined) await moving;
      else if (this.#have(cluster, cluster)) break;
      else await this.mapping.load(cluster, cluster);
    }
    if (this.#canReserve) await this.#reserve(cluster);
    const mapping = this.#map(cluster);
    let to = this.#clusterEnd(at, end);
    if (mapping.kind === "zero" && mapping.copied && await this.#makeBlank(cluster)) {
      return await this.#writeReserved(at, from);
    }
    if (mapping.kind === "data" && mapping.copied) {
      while (to < end && this.#inPlace(this.#cluster(to)) && this.#follows(mapping, at, to)) {
        to = this.#clusterEnd(to, end);
      }
      await this.file.write(mapping.host + at % this.clusterSize, from.subarray(0, to - at));
      return to;
    }
    while (to < end && this.#movable(this.#cluster(to))) to = this.#clusterEnd(to, end);
    await this.#move(at, from.subarray(0, to - at));
    return to;
  }

  /** Counts can be changed many at a time. */
  get #canReserve(): boolean {
    return this.header.version === 3 && this.backing === undefined &&
      this.clusterSize >= LEAST_RESERVED_CLUSTER;
  }

  /** Gives the disk's cluster, and those around it, a place in the file, unless it has one. */
  async #reserve(cluster: number): Promise<void> {
    if (this.#map(cluster).kind !== "absent") return;
    const many = RESERVED_BYTES / this.clusterSize;
    const perTable = this.clusterSize / 8;
    const first = Math.max(cluster - cluster % many, cluster - cluster % perTable);
    const last = Math.min(
      first + many,
      Math.ceil(this.size / this.clusterSize),
      first - first % perTable + perTable,
    );
    const refcounts = this.refcounts as Refcounts;
    let table: Table | undefined;
    while ((table = this.#ownedTable(cluster)) === undefined) await this.#makeOwnTable(cluster);
    for (;;) {
      table = this.#ownedTable(cluster);
      if (table === undefined || this.mapping.get(table, cluster).kind !== "absent") return; // somebody was faster
      const { cluster: place } = refcounts.takeFresh(last - first);
      await refcounts.load(place, place + last - first);
      table = this.#ownedTable(cluster);
      if (table === undefined || !this.#counted(place, last - first)) continue;
      // nothing else runs from the last look on; entries lead to places that the file has
      const end = (place + last - first) * this.clusterSize;
      if (this.file.size < end) this.file.truncate(end);
      for (let i = first; i < last; i++) {
        if (this.mapping.get(table, i).kind !== "absent" || this.#moving.has(i)) continue;
        refcounts.set(place + i - first, 1);
        this.mapping.reserve(table, i, (place + i - first) * this.clusterSize);
      }
      return;
    }
  }

  #counted(place: number, count: number): boolean {
    const refcounts = this.refcounts as Refcounts;
    for (let i = 0; i < count; i++) if (!refcounts.has(place + i)) return false;
    return true;
  }

  /** Sees that the reserved place of the disk's cluster is all zeros; false when that cannot be had. */
  async #makeBlank(cluster: number): Promise<boolean> {
    const mapping = this.#map(cluster);
    if (mapping.kind !== "zero" || mapping.host === 0) return false;
    const { host } = mapping;
    if (host >= this.#freshFrom || this.#blank.has(host)) return true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#moving.set(cluster, promise);
    try {
      if (!await this.file.punch(host, this.clusterSize)) return false;
      this.#blank.add(host);
      return true;
    } finally {
      this.#moving.delete(cluster);
      resolve();
    }
  }

  /** Writes into reserved clusters, which are zeros around it. */
  async #writeReserved(at: number, from: Bytes): Promise<number> {
    const end = at + from.length;
    const first = this.#cluster(at);
    const { host } = this.#map(first) as Mapping & { kind: "zero" };
    let to = this.#clusterEnd(at, end);
    while (
      to < end && this.#isReserved(this.#cluster(to), host + (this.#cluster(to) - first) * this.clusterSize)
    ) {
      to = this.#clusterEnd(to, end);
    }
    await this.file.write(host + at % this.clusterSize, from.subarray(0, to - at));
    for (let cluster = first; cluster <= this.#cluster(to - 1); cluster++) {
      let table: Table | undefined;
      while ((table = this.#ownedTable(cluster)) === undefined) await this.#makeOwnTable(cluster);
      const place = host + (cluster - first) * this.clusterSize;
      this.mapping.set(table, cluster, place);
      this.#blank.delete(place);
    }
    return to;
  }

  /** The disk's cluster is reserved at `host`, and all zeros there. */
  #isReserved(cluster: number, host: number): boolean {
    if (!this.#have(cluster, cluster) || this.#moving.has(cluster)) return false;
    const mapping = this.#map(cluster);
    return mapping.kind === "zero" && mapping.copied && mapping.host === host &&
      (host >= this.#freshFrom || this.#blank.has(host));
  }

  #inPlace(cluster: number): boolean {
    if (!this.#have(cluster, cluster) || this.#moving.has(cluster)) return false;
    const mapping = this.#map(cluster);
    return mapping.kind === "data" && mapping.copied;
  }

  #movable(cluster: number): boolean {
    return this.#have(cluster, cluster) && !this.#moving.has(cluster) && !this.#inPlace(cluster);
  }

  /** Gives the clusters below `from` a new place in the file, with what was in them around it. */
  async #move(at: number, from: Bytes): Promise<void> {
    const first = this.#cluster(at), last = this.#cluster(at + from.length - 1);
    const { promise, resolve } = Promise.withResolvers<void>();
    for (let cluster = first; cluster <= last; cluster++) this.#moving.set(cluster, promise);
    const refcounts = this.refcounts as Refcounts;
    const { cluster: host, fresh } = refcounts.take(last - first + 1);
    let pointed = first;
    try {
      await this.#fill(at, from, host * this.clusterSize, fresh);
      for (; pointed <= last; pointed++) await this.#point(pointed, host + pointed - first);
    } finally {
      for (let i = pointed; i <= last; i++) refcounts.release(host + i - first);
      for (let cluster = first; cluster <= last; cluster++) this.#moving.delete(cluster);
      resolve();
    }
  }

  /** Writes the new clusters. */
  async #fill(at: number, from: Bytes, host: number, fresh: boolean): Promise<void> {
    const { clusterSize } = this;
    const start = at - at % clusterSize;
    const end = at + from.length;
    const stop = Math.ceil(end / clusterSize) * clusterSize;
    const head = at > start ? await this.#before(start, at - start) : undefined;
    const tail = stop > end ? await this.#before(end, stop - end) : undefined;
    // around it there are zeros already
    if (fresh && !head && !tail) return await this.file.write(host + at - start, from);
    if (head === undefined && tail === undefined) return await this.file.write(host, from);
    const whole = new Uint8Array(stop - start);
    if (head) whole.set(head);
    whole.set(from, at - start);
    if (tail) whole.set(tail, end - start);
    await this.file.write(host, whole);
    (this.#journal as Journal).dataFirst = true;
  }

  /** What is there now, within one cluster; null for zeros. */
  async #before(at: number, length: number): Promise<Bytes | null> {
    const cluster = this.#cluster(at);
    while (!this.#have(cluster, cluster)) await this.mapping.load(cluster, cluster);
    const mapping = this.#map(cluster);
    const nothing = mapping.kind === "zero" || mapping.kind === "absent" && (this.backing?.size ?? 0) <= at;
    if (nothing) return null;
    const bytes = new Uint8Array(length);
    await this.#readRun(mapping, at, bytes);
    return bytes;
  }

  /** The disk's cluster is `target` of the file. */
  async #point(cluster: number, target: number): Promise<void> {
    const refcounts = this.refcounts as Refcounts;
    let table: Table | undefined;
    while ((table = this.#ownedTable(cluster)) === undefined || !refcounts.has(target)) {
      await this.#makeOwnTable(cluster);
      await refcounts.load(target);
    }
    const before = this.mapping.get(table, cluster); // nothing else runs from the last look on
    refcounts.set(target, 1);
    this.mapping.set(table, cluster, target * this.clusterSize);
    this.#free(before);
    if (this.#unpacked?.cluster === cluster) this.#unpacked = undefined;
  }

  #free(mapping: Mapping): void {
    if (mapping.kind === "absent" || mapping.host === 0) return;
    const length = mapping.kind === "compressed" ? mapping.length : this.clusterSize;
    (this.#journal as Journal).free(this.#cluster(mapping.host), this.#cluster(mapping.host + length - 1));
  }

  /** The L2 table of the disk's cluster, when it is here and may be changed. */
  #ownedTable(cluster: number): Table | undefined {
    const { offset, copied } = this.mapping.l1Entry(this.mapping.l1Index(cluster));
    return offset !== 0 && copied ? this.mapping.l2.peek(offset) : undefined;
  }

  /** Sees that there is one: loaded, made, or copied. */
  async #makeOwnTable(cluster: number): Promise<void> {
    const { mapping } = this;
    const refcounts = this.refcounts as Refcounts;
    const index = mapping.l1Index(cluster);
    const entry = mapping.l1Entry(index);
    const old = entry.offset === 0 ? undefined : await mapping.l2.load(entry.offset);
    if (entry.offset !== 0 && entry.copied) return;
    const taken = refcounts.take(1).cluster;
    while (!refcounts.has(taken)) await refcounts.load(taken);
    if (mapping.l1Entry(index).offset !== entry.offset) return refcounts.release(taken); // somebody was faster
    const bytes = old === undefined ? new Uint8Array(this.clusterSize) : old.bytes.slice();
    const table = mapping.l2.add(new Table(taken * this.clusterSize, bytes));
    table.touch(0, bytes.length);
    refcounts.set(taken, 1);
    mapping.setL1(index, table.offset);
    if (entry.offset !== 0) (this.#journal as Journal).free(this.#cluster(entry.offset));
  }

  flush(): Later {
    return this.#journal?.flush();
  }

  /** Whole clusters are given back; what remains at the ends stays. */
  async discard(offset: number, length: number): Promise<void> {
    await this.#change(() => this.#clear(offset, length));
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    await this.#change(async () => {
      const { from, to } = await this.#clear(offset, length);
      for (const [at, end] of [[offset, from], [to, offset + length]] as const) {
        for (let done = at; done < end;) {
          const n = Math.min(end - done, this.clusterSize);
          await this.write(done, new Uint8Array(n));
          done += n;
        }
      }
    });
  }

  /** Makes whole clusters read as zeros; the range that does. */
  async #clear(offset: number, length: number): Promise<{ readonly from: number; readonly to: number }> {
    const end = offset + length;
    const first = Math.ceil(offset / this.clusterSize);
    const last = end === this.size ? this.#cluster(end - 1) : this.#cluster(end) - 1;
    if (last < first || this.header.version === 2 && this.backing !== undefined) {
      return { from: offset, to: offset };
    }
    for (let cluster = first; cluster <= last; cluster++) {
      for (let moving; (moving = this.#moving.get(cluster)) !== undefined;) await moving;
      if (this.mapping.peek(cluster) === null && this.backing === undefined) continue;
      const table = this.#ownedTable(cluster);
      if (table === undefined) {
        await this.#makeOwnTable(cluster);
        cluster--; // once more
        continue;
      }
      const before = this.mapping.get(table, cluster);
      if (
        before.kind === "absent" && this.backing === undefined || before.kind === "zero" && before.host === 0
      ) continue;
      if (this.#canReserve && this.#punches && before.kind === "data" && before.copied) {
        // zeros, whichever of the two reaches the disk; the place stays reserved
        this.#punches = await this.file.punch(before.host, this.clusterSize);
        const now = this.#ownedTable(cluster);
        if (now !== undefined && this.#punches) {
          this.mapping.reserve(now, cluster, before.host);
          this.#blank.add(before.host);
        } else cluster--; // once more
        continue;
      }
      this.mapping.clear(table, cluster);
      this.#free(before);
      if (this.#unpacked?.cluster === cluster) this.#unpacked = undefined;
    }
    return { from: first * this.clusterSize, to: Math.min(end, (last + 1) * this.clusterSize) };
  }

  /** Lets go of image and backing file, with everything written. */
  async close(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle = resolve);
    try {
      await this.#journal?.finish();
    } finally {
      await this.file.settle(); // a write beside one that failed may still be under way
      this.file.close();
      await this.backing?.close?.();
    }
  }

  async #change<T>(work: () => Promise<T>): Promise<T> {
    if (this.#journal === undefined) throw new DiskError("the image is open for reading only");
    this.#underWay++;
    try {
      const result = await work();
      if (this.mapping.l2.dirtyCount > MOST_DIRTY) await this.#journal.flush();
      return result;
    } finally {
      if (--this.#underWay === 0) this.#idle?.();
    }
  }

  #cluster(offset: number): number {
    return Math.floor(offset / this.clusterSize);
  }
  #clusterEnd(at: number, end: number): number {
    return Math.min(end, (this.#cluster(at) + 1) * this.clusterSize);
  }
  /** The tables of these clusters are here. */
  #have(first: number, last: number): boolean {
    for (let i = this.mapping.l1Index(first); i <= this.mapping.l1Index(last); i++) {
      const { offset } = this.mapping.l1Entry(i);
      if (offset !== 0 && this.mapping.l2.peek(offset) === undefined) return false;
    }
    return true;
  }
  #map(cluster: number): Mapping {
    const table = this.mapping.peek(cluster);
    assert(table !== undefined, "tables are here when they are asked");
    return this.mapping.get(table, cluster);
  }
}
