// SPDX-License-Identifier: MIT
/**
 * FIFO event ABI: an event word per port in pages of the guest, linked into one queue per priority. Rules: Xen
 * public/event_channel.h ("FIFO ABI"); behavior of common/event_fifo.c. One vCPU.
 *
 * The guest may write anything into words and control block at any time: tails and priorities are our own copies,
 * and every word address is computed from a port number of ours.
 * @module
 */
import { type Gfn, PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import type { EventAbi } from "./event_2l.ts";
import { XEN_EINVAL, XEN_ENOSPC } from "../public/errno.ts";
import {
  evtchn_fifo_control_block,
  EVTCHN_FIFO_LINK_MASK,
  EVTCHN_FIFO_LINKED,
  EVTCHN_FIFO_MASKED,
  EVTCHN_FIFO_MAX_QUEUES,
  EVTCHN_FIFO_NR_CHANNELS,
  EVTCHN_FIFO_PENDING,
  EVTCHN_FIFO_PRIORITY_DEFAULT,
  EVTCHN_FIFO_PRIORITY_MIN,
} from "../public/event_channel.ts";
import type { Upcall } from "./upcall.ts";

const BLOCK = evtchn_fifo_control_block.at;
const PENDING = 1 << EVTCHN_FIFO_PENDING;
const MASKED = 1 << EVTCHN_FIFO_MASKED;
const LINKED = 1 << EVTCHN_FIFO_LINKED;
const WORDS_PER_PAGE = PAGE_SIZE / 4;
const MAX_PAGES = EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE;

/** What a snapshot keeps; places are byte offsets from the start of RAM. */
export interface FifoState {
  readonly control: number;
  readonly pages: readonly number[];
  readonly tails: readonly number[];
  readonly priorities: Uint8Array;
  readonly queues: Uint8Array;
  readonly deferred: Uint8Array;
}

/** See the module's description. */
export class FifoEvents implements EventAbi {
  readonly portLimit: number;
  readonly #memory: GuestMemory;
  readonly #view: DataView;
  readonly #upcall: Upcall;
  readonly #control: number;
  readonly #pages: number[] = [];
  /** Last port of each queue, 0 when there never was one. */
  readonly #tails: number[] = new Array(EVTCHN_FIFO_MAX_QUEUES).fill(0);
  readonly #priorities: Uint8Array;
  /** Queue each port was last linked into. */
  readonly #queues: Uint8Array;
  /** Ports that became pending before their page of the event array came. */
  readonly #deferred: Uint8Array;

  /** `control`: byte offset of the control block in the memory. `maxPorts`: ports that can ever be allocated. */
  constructor(memory: GuestMemory, upcall: Upcall, control: number, maxPorts: number) {
    this.#memory = memory;
    this.#view = memory.view;
    this.#upcall = upcall;
    this.#control = control;
    this.portLimit = Math.min(maxPorts, EVTCHN_FIFO_NR_CHANNELS);
    this.#priorities = new Uint8Array(this.portLimit).fill(EVTCHN_FIFO_PRIORITY_DEFAULT);
    this.#queues = new Uint8Array(this.portLimit).fill(EVTCHN_FIFO_PRIORITY_DEFAULT);
    this.#deferred = new Uint8Array(this.portLimit);
  }

  /** Remembers that `port` was pending before this ABI was chosen. */
  defer(port: number): void {
    this.#deferred[port] = 1;
  }

  /** EVTCHNOP_expand_array. Returns 0 or a negative errno. */
  expandArray(gfn: Gfn): number {
    if (this.#pages.length >= MAX_PAGES) return -XEN_ENOSPC;
    const page = this.#memory.hasFrame(gfn) ? this.#memory.frames[gfn] as number : 0;
    if (page < this.#memory.map.ram) return -XEN_EINVAL;
    this.#memory.announceWrite(page, PAGE_SIZE);
    const first = this.#pages.length * WORDS_PER_PAGE;
    this.#pages.push(page);
    const end = Math.min(first + WORDS_PER_PAGE, this.portLimit);
    for (let port = first; port < end; port++) {
      if (this.#deferred[port] !== 0) {
        this.#deferred[port] = 0;
        this.setPending(port);
      }
    }
    return 0;
  }

  /** EVTCHNOP_set_priority. Returns 0 or a negative errno. */
  setPriority(port: number, priority: number): number {
    if (priority > EVTCHN_FIFO_PRIORITY_MIN) return -XEN_EINVAL;
    this.#priorities[port] = priority;
    return 0;
  }

  initialise(port: number): void {
    this.#priorities[port] = EVTCHN_FIFO_PRIORITY_DEFAULT;
    this.#deferred[port] = 0;
  }

  setPending(port: number): boolean {
    const at = this.#wordOf(port);
    if (at === 0) {
      this.#deferred[port] = 1;
      return false;
    }
    const view = this.#view;
    const word = view.getInt32(at, true);
    if ((word & (MASKED | LINKED)) !== 0) {
      view.setInt32(at, word | PENDING, true);
    } else {
      view.setInt32(at, word | PENDING | LINKED, true);
      this.#link(port);
    }
    return (word & PENDING) === 0;
  }

  clearPending(port: number): void {
    this.#deferred[port] = 0;
    const at = this.#wordOf(port);
    if (at !== 0) this.#view.setInt32(at, this.#view.getInt32(at, true) & ~PENDING, true);
  }

  isPending(port: number): boolean {
    const at = this.#wordOf(port);
    return at === 0 ? this.#deferred[port] !== 0 : (this.#view.getInt32(at, true) & PENDING) !== 0;
  }

  /** A port that is linked into a queue: the guest takes it out when it gets there. */
  isBusy(port: number): boolean {
    const at = this.#wordOf(port);
    return at !== 0 && (this.#view.getInt32(at, true) & LINKED) !== 0;
  }

  unmask(port: number): void {
    const at = this.#wordOf(port);
    if (at === 0) return;
    const word = this.#view.getInt32(at, true) & ~MASKED;
    this.#view.setInt32(at, word, true);
    if ((word & PENDING) !== 0) this.setPending(port);
  }

  /** Appends a port, whose word says LINKED already, to the queue of its priority. */
  #link(port: number): void {
    const view = this.#view;
    const queue = this.#priorities[port] as number;
    const before = this.#queues[port] as number;
    // A port that was the tail of its queue finds that queue empty: nothing may be linked behind its old place.
    if (this.#tails[before] === port) this.#tails[before] = 0;
    this.#queues[port] = queue;
    const tail = this.#tails[queue] as number;
    let linked = false;
    if (tail !== 0) {
      const at = this.#wordOf(tail);
      const word = view.getInt32(at, true);
      if ((word & LINKED) !== 0) {
        view.setInt32(at, (word & ~EVTCHN_FIFO_LINK_MASK) | port, true);
        linked = true;
      }
    }
    this.#tails[queue] = port;
    if (linked) return;
    view.setUint32(this.#control + BLOCK.head + 4 * queue, port, true);
    const ready = view.getInt32(this.#control + BLOCK.ready, true);
    if ((ready & (1 << queue)) !== 0) return;
    view.setInt32(this.#control + BLOCK.ready, ready | (1 << queue), true);
    this.#upcall.markPending();
  }

  /** Byte offset of the event word of `port`, 0 when its page is not there yet. */
  #wordOf(port: number): number {
    const page = this.#pages[port >>> 10];
    return page === undefined ? 0 : page + (port & (WORDS_PER_PAGE - 1)) * 4;
  }

  /** The plain record of a snapshot. */
  save(): FifoState {
    const { ram } = this.#memory.map;
    return {
      control: this.#control - ram,
      pages: this.#pages.map((page) => page - ram),
      tails: this.#tails.slice(),
      priorities: this.#priorities.slice(),
      queues: this.#queues.slice(),
      deferred: this.#deferred.slice(),
    };
  }

  /** Restores what `save` gave into a fresh object with the same control block. */
  restore(state: FifoState): void {
    const { ram } = this.#memory.map;
    this.#pages.push(...state.pages.map((page) => page + ram));
    state.tails.forEach((tail, queue) => this.#tails[queue] = tail);
    this.#priorities.set(state.priorities);
    this.#queues.set(state.queues);
    this.#deferred.set(state.deferred);
  }
}
