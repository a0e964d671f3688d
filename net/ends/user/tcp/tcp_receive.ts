// SPDX-License-Identifier: MIT
/**
 * What a guest sends on one TCP connection, on its way to the host: reassembly, the window that is offered, the SACK
 * blocks that tell what came ahead. RFC 9293 §3.4 and §3.8.6, RFC 2018 §4. Offsets count the guest's bytes.
 * @module
 */
import type { Frame } from "../../end.ts";
import { ByteRing } from "./byte_ring.ts";
import { Ranges } from "./ranges.ts";
import { MAX_SACK_BLOCKS } from "./tcp_header.ts";

/** Most gaps; what would make another is dropped, and comes again. */
const MAX_GAPS = 32;

/** See the module's description. */
export class TcpReceive {
  readonly ring: ByteRing;
  /** What came ahead of something that is missing. */
  readonly ahead = new Ranges(MAX_GAPS);
  /** The end of what was offered; it never moves back. */
  offered = 0;
  /** Where the guest's FIN lies; -1: not seen. */
  finAt = -1;
  /** The latest of `ahead`. */
  #latest: { readonly from: number } | undefined;

  constructor(capacity: number) {
    this.ring = new ByteRing(capacity);
  }

  /** The next byte that is wanted. The FIN counts as one. */
  get next(): number {
    return this.ring.tail + Number(this.finished);
  }
  /** Everything came, and so did the FIN. */
  get finished(): boolean {
    return this.finAt === this.ring.tail;
  }

  /** Takes payload at `offset`, as far as it is wanted and fits. */
  take(offset: number, frame: Frame, from: number, length: number): void {
    const { ring, ahead } = this;
    const skip = Math.max(0, ring.tail - offset);
    const start = offset + skip;
    const end = Math.min(offset + length, ring.head + ring.capacity, this.finAt < 0 ? Infinity : this.finAt);
    if (start >= end) return;
    if (start > ring.tail) {
      const range = ahead.add(start, end);
      if (range === undefined) return;
      this.#latest = range;
      ring.put(start, frame, from + skip, end - start);
      return;
    }
    ring.put(start, frame, from + skip, end - start);
    ring.commit(end - start);
    const first = ahead.list[0];
    if (first === undefined) return;
    if (first.from <= ring.tail && first.to > ring.tail) ring.commit(first.to - ring.tail);
    ahead.dropBefore(ring.tail);
  }

  /** The guest's FIN lies at `offset`. */
  finish(offset: number): void {
    if (this.finAt < 0 && offset >= this.ring.tail && offset >= this.ahead.end) this.finAt = offset;
  }

  /** The window to offer now, from `next` on: a little more than before is not worth saying (RFC 9293 §3.8.6.2.2). */
  offer(mss: number): number {
    if (this.opened(mss)) this.offered = this.ring.head + this.ring.capacity;
    return Math.max(0, this.offered - this.ring.tail);
  }

  /** Whether a window much larger than the last one could be offered. */
  opened(mss: number): boolean {
    const more = this.ring.head + this.ring.capacity - this.offered;
    return more >= Math.min(this.ring.capacity / 2, 2 * mss);
  }

  /** Edges of what came ahead, the latest first, as `toSeq` makes sequence numbers of offsets. */
  sackEdges(toSeq: (offset: number) => number, into: number[]): void {
    into.length = 0;
    const { list } = this.ahead;
    const latest = list.find(({ from, to }) =>
      this.#latest !== undefined && from <= this.#latest.from && this.#latest.from < to
    );
    if (latest !== undefined) into.push(toSeq(latest.from), toSeq(latest.to));
    for (const range of list) {
      if (into.length === 2 * MAX_SACK_BLOCKS) break;
      if (range !== latest) into.push(toSeq(range.from), toSeq(range.to));
    }
  }
}
