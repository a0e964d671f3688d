// SPDX-License-Identifier: MIT
/**
 * A disk whose writes are thrown away: they go to a file without a name, and a bitmap tells which blocks are there. What
 * is not is read from the disk below.
 * @module
 */
import type { BlockStore } from "../../xen/backend/block_store.ts";
import { HostFile, temporaryPath } from "./host_file.ts";

/** What is copied up for a smaller write. */
const BLOCK = 4096;
const CHUNK = 65536;

/** See the module's description. */
export class OverlayStore implements BlockStore {
  readonly size: number;
  readonly sectorBytes: 512 | 4096;
  /** Bitmaps of {@linkcode CHUNK} blocks each, where something was written. */
  readonly #written = new Map<number, Uint8Array>();
  readonly #top: HostFile;
  /** Writes of parts of blocks: one at a time, or two would copy up the same block. */
  #partial: Promise<void> = Promise.resolve();

  /** Takes `below` over; it is not written to. */
  constructor(readonly below: BlockStore) {
    this.size = below.size;
    this.sectorBytes = below.sectorBytes ?? 512;
    this.#top = HostFile.open(temporaryPath(), { write: true, create: "new", temporary: true });
  }

  async read(offset: number, into: Uint8Array<ArrayBuffer>): Promise<void> {
    const runs: (void | Promise<void>)[] = [];
    for (let at = offset, end = offset + into.length; at < end;) {
      const here = this.#has(at);
      let next = (Math.floor(at / BLOCK) + 1) * BLOCK;
      while (next < end && this.#has(next) === here) next += BLOCK;
      const piece = into.subarray(at - offset, Math.min(next, end) - offset);
      runs.push((here ? this.#top : this.below).read(at, piece));
      at = next;
    }
    await Promise.all(runs);
  }

  async write(offset: number, from: Uint8Array<ArrayBuffer>): Promise<void> {
    const end = offset + from.length;
    const first = Math.ceil(offset / BLOCK) * BLOCK;
    const last = end === this.size ? end : Math.floor(end / BLOCK) * BLOCK;
    if (first > last || first !== offset || last !== end) {
      const before = this.#partial;
      const copied = before.then(() => this.#writeWithEdges(offset, from));
      this.#partial = copied.catch(() => {});
      return await copied;
    }
    await this.#top.write(offset, from);
    this.#mark(offset, end);
  }

  /** The parts of blocks at both ends come from below. */
  async #writeWithEdges(offset: number, from: Uint8Array<ArrayBuffer>): Promise<void> {
    const end = offset + from.length;
    const start = Math.floor(offset / BLOCK) * BLOCK;
    const stop = Math.min(this.size, Math.ceil(end / BLOCK) * BLOCK);
    const whole = new Uint8Array(stop - start);
    await this.read(start, whole.subarray(0, offset - start));
    await this.read(end, whole.subarray(end - start));
    whole.set(from, offset - start);
    await this.#top.write(start, whole);
    this.#mark(start, stop);
  }

  flush(): void {}

  async discard(offset: number, length: number): Promise<void> {
    // only where nothing has to be remembered: below stays as it is
    const first = Math.ceil(offset / BLOCK) * BLOCK;
    const last = Math.floor((offset + length) / BLOCK) * BLOCK;
    if (last > first && await this.#top.punch(first, last - first)) this.#mark(first, last);
  }

  async close(): Promise<void> {
    this.#top.close();
    await this.below.close?.();
  }

  #has(at: number): boolean {
    const block = Math.floor(at / BLOCK);
    const bits = this.#written.get(Math.floor(block / CHUNK));
    return bits !== undefined && ((bits[(block % CHUNK) >>> 3] as number) & (1 << (block & 7))) !== 0;
  }

  #mark(from: number, to: number): void {
    for (let block = Math.floor(from / BLOCK); block * BLOCK < to; block++) {
      const chunk = Math.floor(block / CHUNK);
      let bits = this.#written.get(chunk);
      if (bits === undefined) this.#written.set(chunk, bits = new Uint8Array(CHUNK / 8));
      const byte = (block % CHUNK) >>> 3;
      bits[byte] = (bits[byte] as number) | (1 << (block & 7));
    }
  }
}
