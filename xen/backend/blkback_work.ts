// SPDX-License-Identifier: MIT
/**
 * Requests a block store works on. They outlive the connection they came by: a store that takes its time is left alone
 * with them, and the next connection waits until it is done, so that an old write never lands on top of a new one.
 * @module
 */
import { BLKIF_OP_READ, BLKIF_RSP_ERROR, BLKIF_RSP_OKAY } from "../public/io/blkif.ts";
import { type BlockRequest, perform } from "./blkback_request.ts";
import type { BlockStore } from "./block_store.ts";

/** See the module's description. */
export class BlockWork {
  readonly #requests = new Set<BlockRequest>();
  #bytes = 0;

  /** With `ordered`: when the request that was submitted last is finished. */
  #last: Promise<void> = Promise.resolve();

  /**
   * `failed`: told what the store threw. `ordered`: requests are finished one after the other as they were submitted, and
   * never at once, so that nobody can tell a fast store from a slow one.
   */
  constructor(
    readonly store: BlockStore,
    readonly failed: (error: unknown) => void,
    readonly ordered = false,
  ) {}

  /** Requests under way. */
  get count(): number {
    return this.#requests.size;
  }

  /** Bytes of their data. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Lets the store work; `finish` gets BLKIF_RSP_*, before the return when the store answers at once. */
  submit(request: BlockRequest, finish: (status: number, later: boolean) => void): void {
    let pending: void | Promise<void>;
    try {
      pending = perform(this.store, request);
    } catch (error) {
      if (this.ordered) pending = Promise.reject(error);
      else {
        this.failed(error);
        return finish(BLKIF_RSP_ERROR, false);
      }
    }
    if (pending === undefined && !this.ordered) return finish(BLKIF_RSP_OKAY, false);
    this.#requests.add(request);
    this.#bytes += request.data.length;
    const before = this.#last;
    const done = Promise.resolve(pending).then(() => BLKIF_RSP_OKAY, (error) => {
      this.failed(error);
      return BLKIF_RSP_ERROR;
    }).then(async (status) => {
      if (this.ordered) await before;
      this.#requests.delete(request);
      this.#bytes -= request.data.length;
      finish(status, true);
    });
    if (this.ordered) this.#last = done;
  }

  /** The requests under way, oldest first, for a snapshot. */
  save(): BlockRequest[] {
    return [...this.#requests].map(saveRequest);
  }
}

/** A copy of its own; what a read has got so far is not kept. */
export function saveRequest(request: BlockRequest): BlockRequest {
  const { data, segments } = request;
  const kept = request.operation === BLKIF_OP_READ ? new Uint8Array(data.length) : data.slice();
  return { ...request, segments: segments.slice(), data: kept };
}
