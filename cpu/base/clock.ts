// SPDX-License-Identifier: MIT
/**
 * Guest time. Devices and Xen timers see a {@linkcode Clock}; the machine drives a {@linkcode TimerQueue} from
 * the host's monotonic clock or from the instruction count; tests drive it by hand.
 * @module
 */

/** A pending callback. */
export interface Timer {
  /** When it fires, ns since machine start. */
  readonly deadlineNs: number;
  /** Forgets it; harmless when it has fired. */
  cancel(): void;
}

/** Nanoseconds since machine start (an integer below 2^53) and one-shot timers. */
export interface Clock {
  nowNs(): number;
  /** Calls `fn` once, at the first poll at or after `deadlineNs`. */
  at(deadlineNs: number, fn: () => void): Timer;
}

class Entry implements Timer {
  live = true;
  constructor(
    readonly deadlineNs: number,
    readonly order: number,
    readonly fn: () => void,
    readonly onCancel: () => void,
  ) {}
  cancel(): void {
    if (!this.live) return;
    this.live = false;
    this.onCancel();
  }
}

/** A clock over a time source, with a binary heap of timers. */
export class TimerQueue implements Clock {
  #heap: Entry[] = [];
  #order = 0;
  #dead = 0; // cancelled entries still in the heap
  readonly #onCancel = () => this.#bury();

  /** `source` returns ns since machine start and never goes backwards. */
  constructor(readonly source: () => number) {}

  nowNs(): number {
    return this.source();
  }

  at(deadlineNs: number, fn: () => void): Timer {
    const entry = new Entry(deadlineNs, this.#order++, fn, this.#onCancel);
    this.#insert(entry);
    return entry;
  }

  /** Timers held, cancelled ones not yet dropped included. */
  get size(): number {
    return this.#heap.length;
  }

  /** Drops the cancelled entries when they are the most: a guest that re-arms without end must not fill memory. */
  #bury(): void {
    if (++this.#dead < 64 || this.#dead * 2 < this.#heap.length) return;
    const live = this.#heap.filter((entry) => entry.live);
    this.#heap = [];
    this.#dead = 0;
    for (const entry of live) this.#insert(entry);
  }

  #insert(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!earlier(entry, heap[parent] as Entry)) break;
      heap[i] = heap[parent] as Entry;
      i = parent;
    }
    heap[i] = entry;
  }

  /** Deadline of the next live timer, or Infinity. */
  nextDeadlineNs(): number {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined) return Infinity;
      if (first.live) return first.deadlineNs;
      this.#pop();
      this.#dead--;
    }
  }

  /** Fires every timer that is due, in deadline order (ties: in order of creation). Returns how many. */
  poll(): number {
    let fired = 0;
    const now = this.source();
    while (this.nextDeadlineNs() <= now) {
      const entry = this.#pop();
      entry.live = false;
      entry.fn();
      fired++;
    }
    return fired;
  }

  #pop(): Entry {
    const heap = this.#heap;
    const top = heap[0] as Entry;
    const last = heap.pop() as Entry;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && earlier(heap[child + 1] as Entry, heap[child] as Entry)) child++;
        if (!earlier(heap[child] as Entry, last)) break;
        heap[i] = heap[child] as Entry;
        i = child;
      }
      heap[i] = last;
    }
    return top;
  }
}

function earlier(a: Entry, b: Entry): boolean {
  return a.deadlineNs < b.deadlineNs || (a.deadlineNs === b.deadlineNs && a.order < b.order);
}

/** A clock that only moves when told to: for tests. */
export class ManualClock extends TimerQueue {
  #now = 0;
  constructor() {
    super(() => this.#now);
  }
  /** Moves time forward, firing timers at their own deadlines on the way. */
  advance(ns: number): void {
    const end = this.#now + ns;
    for (;;) {
      const next = this.nextDeadlineNs();
      if (next > end) break;
      this.#now = Math.max(this.#now, next);
      this.poll();
    }
    this.#now = end;
  }
}
