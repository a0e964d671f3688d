// SPDX-License-Identifier: MIT
/** A few ranges of a stream, in order and apart: what was received or acknowledged ahead of the rest. @module */

/** See the module's description. */
export class Ranges {
  /** [from, to) of each, ascending. */
  readonly list: { from: number; to: number }[] = [];

  constructor(readonly most: number) {}

  /** Sum of the lengths. */
  get bytes(): number {
    let sum = 0;
    for (const { from, to } of this.list) sum += to - from;
    return sum;
  }
  /** The end of the last one; 0 when there is none. */
  get end(): number {
    return this.list.at(-1)?.to ?? 0;
  }

  /** Adds a range, joined with those it touches; undefined when there are too many already. */
  add(from: number, to: number): { from: number; to: number } | undefined {
    const { list } = this;
    let i = 0;
    while (i < list.length && (list[i] as { to: number }).to < from) i++;
    let end = i;
    const range = { from, to };
    for (; end < list.length; end++) {
      const other = list[end] as { from: number; to: number };
      if (other.from > to) break;
      range.from = Math.min(range.from, other.from);
      range.to = Math.max(range.to, other.to);
    }
    if (end === i && list.length >= this.most) return undefined;
    list.splice(i, end - i, range);
    return range;
  }

  /** Forgets everything before `offset`. */
  dropBefore(offset: number): void {
    const { list } = this;
    while (list.length > 0 && (list[0] as { to: number }).to <= offset) list.shift();
    const first = list[0];
    if (first !== undefined && first.from < offset) first.from = offset;
  }

  clear(): void {
    this.list.length = 0;
  }

  /** Bytes of [from, to) that are in none. */
  missing(from: number, to: number): number {
    if (from >= to) return 0;
    let sum = to - from;
    for (const range of this.list) sum -= Math.max(0, Math.min(range.to, to) - Math.max(range.from, from));
    return sum;
  }

  /** The first offset from `from` on that is in none. */
  firstMissing(from: number): number {
    for (const range of this.list) {
      if (from < range.from) break;
      if (from < range.to) from = range.to;
    }
    return from;
  }

  /** Where the first range behind `offset` begins; Infinity when there is none. */
  nextAfter(offset: number): number {
    for (const range of this.list) if (range.from > offset) return range.from;
    return Infinity;
  }
}
