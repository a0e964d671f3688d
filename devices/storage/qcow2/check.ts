// SPDX-License-Identifier: MIT
/**
 * Counts anew what every cluster of an image is used for, and compares with its reference counts. Needs memory for the
 * clusters that the file really has, and no more: a table that leads outside is an error, not followed.
 * @module
 */
import { DiskError } from "../disk_error.ts";
import type { HostFile } from "../host_file.ts";
import { type Header, INCOMPAT_AT, INCOMPAT_DIRTY } from "./header.ts";
import { decodeEntry, type Mapping } from "./mapping.ts";
import { Refcounts } from "./refcounts.ts";
import { u64 } from "./table_cache.ts";

/** What a check found. */
export interface CheckResult {
  /** Places where the image contradicts itself. */
  readonly errors: number;
  /** Clusters that count and that nobody uses. */
  readonly leaks: number;
  /** Counts that were put right. */
  readonly repaired: number;
  /** The first of each kind, in words. */
  readonly lines: readonly string[];
}

const MOST_CLUSTERS = 1 << 27;
const MOST_LINES = 20;

/** Checks `file`. With `repair`, counts are put right and the image is clean again. Throws {@linkcode DiskError}. */
export async function checkImage(
  file: HostFile,
  header: Header,
  options: { readonly repair?: boolean } = {},
): Promise<CheckResult> {
  const walk = new Walk(file, header);
  await walk.run();
  return await walk.compare(options.repair === true);
}

class Walk {
  readonly #clusterSize: number;
  readonly #clusters: number;
  readonly #used: Uint16Array;
  readonly #lines: string[] = [];
  readonly #refcounts: Refcounts;
  readonly #fileSize: number;
  #errors = 0;

  constructor(readonly file: HostFile, readonly header: Header) {
    this.#clusterSize = 2 ** header.clusterBits;
    this.#fileSize = file.size;
    this.#clusters = Math.ceil(this.#fileSize / this.#clusterSize);
    if (this.#clusters > MOST_CLUSTERS) throw new DiskError("it has too many clusters to be checked");
    this.#used = new Uint16Array(this.#clusters);
    this.#refcounts = Refcounts.open(file, header);
  }

  async run(): Promise<void> {
    const { header } = this;
    this.#use(0, this.#clusterSize, "the header");
    await this.#walkL1(header.l1Offset, header.l1Entries);
    await this.#walkSnapshots();
    const { table, tableBytes, blocks } = this.#refcounts.places();
    this.#use(table, tableBytes, "the refcount table");
    for (const offset of blocks) if (offset !== 0) this.#use(offset, this.#clusterSize, "a refcount block");
  }

  async #walkL1(offset: number, entries: number): Promise<void> {
    this.#use(offset, 8 * entries, "an L1 table");
    const l1 = new Uint8Array(8 * entries);
    await this.file.read(offset, l1);
    const view = new DataView(l1.buffer);
    const table = new Uint8Array(this.#clusterSize);
    const l2 = new DataView(table.buffer);
    for (let i = 0; i < entries; i++) {
      const at = (view.getUint32(8 * i) & 0xff_ffff) * 2 ** 32 +
        ((view.getUint32(8 * i + 4) & 0xffff_fe00) >>> 0);
      if (at === 0 || !this.#use(at, this.#clusterSize, "an L2 table")) continue;
      await this.file.read(at, table);
      for (let j = 0; j < table.length; j += 8) this.#walkEntry(l2, j);
    }
  }

  #walkEntry(l2: DataView, at: number): void {
    let mapping: Mapping;
    try {
      mapping = decodeEntry(l2, at, this.header, this.#fileSize);
    } catch (error) {
      return this.#error(error instanceof DiskError ? error.message : String(error));
    }
    if (mapping.kind === "absent" || mapping.host === 0) return;
    if (mapping.kind !== "compressed") return void this.#use(mapping.host, this.#clusterSize, "data");
    this.#use(mapping.host, Math.min(mapping.length, this.#fileSize - mapping.host), "compressed data");
  }

  /** Rules: "Snapshots" of qcow2.txt: entries of 40 bytes, extra data, id and name, padded to 8. */
  async #walkSnapshots(): Promise<void> {
    let at = this.header.snapshotsOffset;
    const start = at;
    for (let i = 0; i < this.header.snapshots; i++) {
      const entry = new Uint8Array(40);
      await this.file.read(at, entry);
      const view = new DataView(entry.buffer);
      const entries = view.getUint32(8);
      if (8 * entries > 32 << 20) return this.#error("a snapshot's L1 table is too large");
      await this.#walkL1(u64(view, 0), entries);
      at += Math.ceil((40 + view.getUint32(36) + view.getUint16(12) + view.getUint16(14)) / 8) * 8;
      if (at > this.#fileSize) return this.#error("the snapshot table leaves the file");
    }
    if (at > start) this.#use(start, at - start, "the snapshot table");
  }

  /** Counts one use of the clusters of a range; false when they are not in the file. */
  #use(offset: number, length: number, what: string): boolean {
    const first = Math.floor(offset / this.#clusterSize);
    const last = Math.floor((offset + Math.max(1, length) - 1) / this.#clusterSize);
    if (
      offset < 0 || last >= this.#clusters || what !== "compressed data" && offset % this.#clusterSize !== 0
    ) {
      this.#error(`${what} at ${offset} cannot be there`);
      return false;
    }
    for (let i = first; i <= last; i++) this.#used[i] = Math.min(0xffff, (this.#used[i] as number) + 1);
    return true;
  }

  async compare(repair: boolean): Promise<CheckResult> {
    let leaks = 0, repaired = 0;
    const end = Math.min(MOST_CLUSTERS, Math.max(this.#clusters, this.#refcounts.covered));
    for (let cluster = 0; cluster < end; cluster++) {
      if (!this.#refcounts.has(cluster)) await this.#refcounts.load(cluster);
      const counted = this.#refcounts.get(cluster), used = this.#used[cluster] ?? 0; // behind the end: nobody
      if (counted === used) continue;
      if (counted > used) leaks++;
      else this.#error(`cluster ${cluster} is used ${used} times and counted ${counted} times`);
      if (counted > used && this.#lines.length < MOST_LINES) {
        this.#lines.push(`cluster ${cluster} is counted ${counted} times and used ${used} times`);
      }
      if (repair) {
        this.#refcounts.set(cluster, used);
        repaired++;
      }
    }
    if (repair) await this.#write();
    return { errors: this.#errors, leaks, repaired, lines: this.#lines };
  }

  async #write(): Promise<void> {
    for (const { offset, bytes } of this.#refcounts.takeDirty()) await this.file.write(offset, bytes);
    const move = this.#refcounts.takeMove();
    if (move !== undefined) await this.file.write(move.header.offset, move.header.bytes);
    await this.file.sync();
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(4, this.header.incompatible & ~INCOMPAT_DIRTY);
    if (this.header.version === 3) await this.file.write(INCOMPAT_AT, bytes);
    await this.file.sync();
  }

  #error(line: string): void {
    this.#errors++;
    if (this.#lines.length < MOST_LINES) this.#lines.push(line);
  }
}
