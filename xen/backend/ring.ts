// SPDX-License-Identifier: MIT
/**
 * The backend's half of a shared ring. Rules: the BACK_RING macros of Xen public/io/ring.h.
 *
 * A frontend may write any byte of the ring at any time, so: read each field of a request once (or copy the
 * whole request with {@linkcode BackRing.copyRequest}) and check only what was read; a producer index further
 * ahead than the ring holds is a {@linkcode FrontendError}. The number of requests handed out never exceeds the
 * number of free response slots. The guest does not run while we do, so no barriers are needed.
 *
 * Slots of a one-page ring are read and written in place through {@linkcode BackRing.view}. In a ring of several
 * pages a slot may straddle two of them: use copyRequest and putResponse.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import { PAGE_MASK, PAGE_SHIFT, PAGE_SIZE } from "../../cpu/base/bits.ts";
import { CONST_RING_SIZE, sring, SRING_HEADER } from "../public/io/ring.ts";
import { FrontendError } from "./frontend_error.ts";
import type { MappedGrant } from "./host.ts";

const { req_prod, req_event, rsp_prod, rsp_event } = sring.at;

/** What a snapshot keeps of a ring besides its pages. */
export interface BackRingState {
  readonly reqCons: number;
  readonly rspProdPvt: number;
}

/** See the module's description. */
export class BackRing {
  /** Number of slots, a power of two. */
  readonly size: number;
  /** The first page: the indices, and in a one-page ring all slots. */
  readonly view: DataView<ArrayBuffer>;
  /** Index of the next request to take. */
  reqCons: number;
  /** Index of the next response to write; the frontend sees it after pushResponses. */
  rspProdPvt: number;
  readonly #mask: number;
  readonly #entryBytes: number;
  readonly #pages: readonly Uint8Array<ArrayBuffer>[];

  /**
   * Attaches to a ring in `pages`, 2^n of them, where its last backend left off (a new one starts at 0).
   * `entryBytes`: the larger of request and response.
   */
  constructor(pages: readonly Pick<MappedGrant, "bytes" | "view">[], entryBytes: number) {
    const first = pages[0];
    assert(first !== undefined, "a ring has a page");
    this.view = first.view;
    this.#pages = pages.map((page) => page.bytes);
    this.#entryBytes = entryBytes;
    this.size = CONST_RING_SIZE(pages.length * PAGE_SIZE, entryBytes);
    this.#mask = this.size - 1;
    this.reqCons = this.rspProdPvt = this.view.getUint32(rsp_prod, true);
    this.unconsumedRequests();
  }

  /** The plain record of a snapshot; the pages are the guest's. */
  save(): BackRingState {
    return { reqCons: this.reqCons, rspProdPvt: this.rspProdPvt };
  }

  /** Restores what `save` gave into a ring attached to the same pages. */
  restore(state: BackRingState): void {
    this.reqCons = state.reqCons;
    this.rspProdPvt = state.rspProdPvt;
  }

  /** RING_HAS_UNCONSUMED_REQUESTS, with RING_REQUEST_PROD_OVERFLOW checked: how many may be taken now. */
  unconsumedRequests(): number {
    const produced = this.view.getUint32(req_prod, true);
    if (((produced - this.rspProdPvt) >>> 0) > this.size) {
      throw new FrontendError(
        `Request producer ${produced} is beyond the ring (responses at ${this.rspProdPvt}, ${this.size} slots)`,
      );
    }
    const requests = (produced - this.reqCons) >>> 0;
    const room = this.size - ((this.reqCons - this.rspProdPvt) >>> 0);
    return requests < room ? requests : room;
  }

  /** Takes the next request: its offset in {@linkcode view}. One-page rings; ask unconsumedRequests first. */
  takeRequest(): number {
    const at = SRING_HEADER + (this.reqCons & this.#mask) * this.#entryBytes;
    this.reqCons = (this.reqCons + 1) >>> 0;
    return at;
  }

  /** Offset in {@linkcode view} of the slot of request or response `index`. One-page rings. */
  slotAt(index: number): number {
    return SRING_HEADER + (index & this.#mask) * this.#entryBytes;
  }

  /** Starts the next response: the offset in {@linkcode view} to write it to. One-page rings. */
  nextResponse(): number {
    const at = SRING_HEADER + (this.rspProdPvt & this.#mask) * this.#entryBytes;
    this.rspProdPvt = (this.rspProdPvt + 1) >>> 0;
    return at;
  }

  /** Copies the next request out and takes it: RING_COPY_REQUEST. `into` is at most a slot long. */
  copyRequest(into: Uint8Array): void {
    this.#transfer(this.slotAt(this.reqCons), into, false);
    this.reqCons = (this.reqCons + 1) >>> 0;
  }

  /** Copies a response into the next slot. `from` is at most a slot long. */
  putResponse(from: Uint8Array): void {
    this.#transfer(this.slotAt(this.rspProdPvt), from, true);
    this.rspProdPvt = (this.rspProdPvt + 1) >>> 0;
  }

  #transfer(at: number, bytes: Uint8Array, toRing: boolean): void {
    assert(bytes.length <= this.#entryBytes, "a copy fits its slot");
    for (let done = 0; done < bytes.length;) {
      const page = this.#pages[(at + done) >>> PAGE_SHIFT] as Uint8Array;
      const offset = (at + done) & PAGE_MASK;
      const n = Math.min(bytes.length - done, PAGE_SIZE - offset);
      if (toRing) page.set(bytes.subarray(done, done + n), offset);
      else bytes.set(page.subarray(offset, offset + n), done);
      done += n;
    }
  }

  /**
   * RING_FINAL_CHECK_FOR_REQUESTS: when nothing is left, asks to be notified of the next request and looks once
   * more. True: go on; false: wait for the event.
   */
  finalCheckForRequests(): boolean {
    if (this.unconsumedRequests() > 0) return true;
    this.view.setUint32(req_event, this.reqCons + 1, true);
    return this.unconsumedRequests() > 0;
  }

  /** Asks for an event once `count` (1 or more) requests beyond those taken have been pushed: req_event. */
  requestEventAfter(count: number): void {
    this.view.setUint32(req_event, this.reqCons + count, true);
  }

  /** RING_PUSH_RESPONSES_AND_CHECK_NOTIFY: shows the responses; true when the frontend wants an event. */
  pushResponses(): boolean {
    const old = this.view.getUint32(rsp_prod, true);
    const now = this.rspProdPvt;
    this.view.setUint32(rsp_prod, now, true);
    return ((now - this.view.getUint32(rsp_event, true)) >>> 0) < ((now - old) >>> 0);
  }
}
