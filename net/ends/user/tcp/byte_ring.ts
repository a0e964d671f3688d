// SPDX-License-Identifier: MIT
/**
 * A bounded byte queue at whose places a stream's bytes lie: offsets count from the stream's start (a double holds them
 * for ever), and the ring has those from `head` on.
 * @module
 */
import type { Frame } from "../../end.ts";

/** See the module's description. The capacity is a power of two. */
export class ByteRing {
  /** Offset of the first byte that is kept. */
  head = 0;
  /** Offset behind the last one. */
  tail = 0;
  #bytes: Uint8Array<ArrayBuffer>;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  get capacity(): number {
    return this.#bytes.length;
  }
  /** Bytes kept. */
  get length(): number {
    return this.tail - this.head;
  }
  get room(): number {
    return this.#bytes.length - this.length;
  }

  /** Where the next bytes go: free places at `tail` that lie side by side. */
  writable(): Uint8Array<ArrayBuffer> {
    const at = this.tail % this.#bytes.length;
    return this.#bytes.subarray(at, Math.min(this.#bytes.length, at + this.room));
  }

  /** The first `bytes` of `writable` are filled. */
  commit(bytes: number): void {
    this.tail += bytes;
  }

  /** Bytes from `head` on that lie side by side. */
  readable(): Uint8Array<ArrayBuffer> {
    const at = this.head % this.#bytes.length;
    return this.#bytes.subarray(at, Math.min(this.#bytes.length, at + this.length));
  }

  /** Forgets the first bytes. */
  consume(bytes: number): void {
    this.head += bytes;
  }

  /** Puts bytes [from, from + length) of a frame at `offset`, which may lie behind `tail`; there must be room. */
  put(offset: number, frame: Frame, from: number, length: number): void {
    const at = offset % this.#bytes.length;
    const first = Math.min(length, this.#bytes.length - at);
    frame.copyTo(this.#bytes.subarray(at, at + first), from);
    if (first < length) frame.copyTo(this.#bytes.subarray(0, length - first), from + first);
  }

  /** Appends bytes [offset, offset + length) to a frame without copying them. */
  appendTo(frame: Frame, offset: number, length: number): void {
    if (length === 0) return;
    const at = offset % this.#bytes.length;
    const first = Math.min(length, this.#bytes.length - at);
    frame.append(this.#bytes.subarray(at, at + first));
    if (first < length) frame.append(this.#bytes.subarray(0, length - first));
  }

  /** Moves to a larger place, with all that lies behind `tail` too. Nobody may be reading into or writing from the old. */
  grow(capacity: number): void {
    const old = this.#bytes;
    const bytes = new Uint8Array(capacity);
    for (let done = 0; done < old.length;) { // everything, the part behind the tail may hold what came out of order
      const from = (this.head + done) % old.length;
      const to = (this.head + done) % capacity;
      const n = Math.min(old.length - done, old.length - from, capacity - to);
      bytes.set(old.subarray(from, from + n), to);
      done += n;
    }
    this.#bytes = bytes;
  }
}
