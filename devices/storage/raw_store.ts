// SPDX-License-Identifier: MIT
/** A raw image: the disk's bytes are the file's. @module */
import type { BlockStore } from "../../xen/backend/block_store.ts";
import type { HostFile } from "./host_file.ts";

/** What `flush` means: writeback, fdatasync(2); unsafe, nothing. */
export type CacheMode = "writeback" | "unsafe";

/** See the module's description. */
export class RawStore implements BlockStore {
  #size: number;
  readonly readonly: boolean;

  /** Takes `file` over. */
  constructor(readonly file: HostFile, readonly cache: CacheMode = "writeback") {
    this.#size = file.size;
    this.readonly = !file.writable;
  }

  /** The file's size when it was opened, or what it was given since: it does not grow by itself. */
  get size(): number {
    return this.#size;
  }

  /** Makes image and disk longer. */
  resize(size: number): void {
    this.file.truncate(size);
    this.#size = size;
  }

  read(offset: number, into: Uint8Array<ArrayBuffer>): void | Promise<void> {
    return this.file.read(offset, into);
  }

  readAtOnce(offset: number, pieces: readonly Uint8Array<ArrayBuffer>[]): boolean {
    return this.file.readAtOnce(offset, pieces);
  }

  write(offset: number, from: Uint8Array<ArrayBuffer>): void | Promise<void> {
    return this.file.write(offset, from);
  }

  flush(): void | Promise<void> {
    if (this.cache === "writeback" && !this.readonly) return this.file.sync();
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.file.punch(offset, length);
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    if (!await this.file.punch(offset, length)) await this.file.zero(offset, length);
  }

  async close(): Promise<void> {
    await this.file.settle();
    this.file.close();
  }
}
