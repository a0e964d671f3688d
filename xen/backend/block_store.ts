// SPDX-License-Identifier: MIT
/** What a block backend reads and writes: an image, without its format or where it lives. @module */

/**
 * A disk's bytes. Offsets and lengths are multiples of 512 and inside the disk. A method may do its work before it
 * returns, or return a promise; one that fails throws or rejects, and the guest gets an I/O error. Several may be under
 * way at a time, in no order among themselves, but never two that touch the same bytes if one of them writes.
 */
export interface BlockStore {
  /** In bytes. May grow while the disk is in use; see {@linkcode Blkback.resized}. */
  readonly size: number;
  /** True: the guest is told so, and no write reaches the store. Default: false. */
  readonly readonly?: boolean;
  /** The unit that guests are told to use, 512 (default) or 4096. */
  readonly sectorBytes?: 512 | 4096;
  /** Fills all of `into`. */
  read(offset: number, into: Uint8Array<ArrayBuffer>): void | Promise<void>;
  /**
   * Fills `pieces` one after the other, if that needs no waiting; false: not done, or not all of it, and `read` is next. They
   * are pieces of one buffer, which may be the guest's memory itself. Absent: only `read` is there.
   */
  readAtOnce?(offset: number, pieces: readonly Uint8Array<ArrayBuffer>[]): boolean;
  /** Writes all of `from`, which the caller leaves alone until then. */
  write(offset: number, from: Uint8Array<ArrayBuffer>): void | Promise<void>;
  /** Makes all finished writes durable. */
  flush(): void | Promise<void>;
  /** The range's contents do not matter any more. Absent: not offered to the guest. */
  discard?(offset: number, length: number): void | Promise<void>;
  /** The range reads as zeros afterwards; without it, zeros are written. */
  writeZeroes?(offset: number, length: number): void | Promise<void>;
  /** Makes the disk `size` bytes long, which is more than before. Absent: who brought the store does that elsewhere. */
  resize?(size: number): void | Promise<void>;
  /** Lets go of it, after what is under way. Nothing follows. */
  close?(): void | Promise<void>;
}

/** A disk in memory; not durable. */
export class MemoryBlockStore implements BlockStore {
  /** `bytes`: the disk's contents, used in place. Its length is a multiple of 512. */
  constructor(readonly bytes: Uint8Array, readonly readonly = false) {}

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, into: Uint8Array): void {
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  write(offset: number, from: Uint8Array): void {
    this.bytes.set(from, offset);
  }

  flush(): void {}

  discard(offset: number, length: number): void {
    this.bytes.fill(0, offset, offset + length);
  }
}
