// SPDX-License-Identifier: MIT
/**
 * The backend's half of a pair of byte rings with whole 9P messages in them. Rules: DEFINE_XEN_FLEX_RING_AND_INTF of
 * Xen public/io/ring.h. Every index is read once, and so is the size of a message; all that is looked at is a copy.
 * @module
 */
import { PAGE_MASK, PAGE_SHIFT, PAGE_SIZE } from "../../../cpu/base/bits.ts";
import { xen_9pfs_data_intf, XEN_9PFS_REFS, XEN_FLEX_RING_SIZE } from "../../public/io/9pfs.ts";
import { FrontendError } from "../frontend_error.ts";
import type { BackendPort, GrantAccess, MappedGrant } from "../host.ts";

const AT = xen_9pfs_data_intf.at;

/** log2 of the most pages of a ring: 256 KiB each way, twice the message size that Linux asks for. */
export const MAX_RING_PAGE_ORDER = 7;

/** size[4] type[1] tag[2]. */
const HEADER = 7;

/** See the module's description. */
export class FlexRing {
  /** Bytes each way. */
  size = 0;
  /** Where the frontend is told of answers; the owner binds it. */
  port: BackendPort | undefined;
  /** An answer that waits for room. */
  waiting: Uint8Array | undefined;
  #intf: MappedGrant | undefined;
  readonly #pages: MappedGrant[] = [];

  /** Maps everything; throws FrontendError, after which {@linkcode close} gives back what was mapped. */
  open(grants: GrantAccess, gref: number): void {
    const intf = this.#intf = map(grants, gref);
    const order = intf.view.getUint32(AT.ring_order, true);
    if (order < 1 || order > MAX_RING_PAGE_ORDER) {
      throw new FrontendError(`Ring of 2^${order} pages cannot be served`);
    }
    for (let i = 0; i < 1 << order; i++) {
      this.#pages.push(map(grants, intf.view.getUint32(XEN_9PFS_REFS + 4 * i, true)));
    }
    this.size = XEN_FLEX_RING_SIZE(order);
  }

  /** Gives everything back. */
  close(): void {
    this.port?.close();
    this.port = this.waiting = undefined;
    this.#intf?.unmap();
    this.#intf = undefined;
    for (const page of this.#pages.splice(0)) page.unmap();
  }

  /** A copy of the next message, once all of it is there. A size that cannot be is a FrontendError. */
  take(): Uint8Array<ArrayBuffer> | undefined {
    const view = this.#intf?.view;
    if (view === undefined) return undefined;
    const cons = view.getUint32(AT.out_cons, true);
    const queued = this.#queued(view.getUint32(AT.out_prod, true), cons);
    if (queued < HEADER) return undefined;
    const header = new Uint8Array(4);
    this.#transfer(this.size, cons, header, false);
    const size = new DataView(header.buffer).getUint32(0, true);
    if (size < HEADER || size > this.size) throw new FrontendError(`Message of ${size} bytes`);
    if (size > queued) return undefined;
    const message = new Uint8Array(size);
    this.#transfer(this.size, cons, message, false);
    new DataView(message.buffer).setUint32(0, size, true); // what was checked
    view.setUint32(AT.out_cons, cons + size, true);
    return message;
  }

  /** Puts an answer into the ring and tells the frontend; false when there is no room: it waits. */
  put(answer: Uint8Array): boolean {
    const view = this.#intf?.view;
    if (view === undefined) return true;
    const prod = view.getUint32(AT.in_prod, true);
    const room = this.size - this.#queued(prod, view.getUint32(AT.in_cons, true));
    if (answer.length > room) {
      this.waiting = answer;
      return false;
    }
    this.waiting = undefined;
    this.#transfer(0, prod, answer, true);
    view.setUint32(AT.in_prod, prod + answer.length, true);
    this.port?.notify();
    return true;
  }

  /** NAME_queued: never more than the ring holds. */
  #queued(prod: number, cons: number): number {
    if (prod === cons) return 0;
    return ((prod - cons) & (this.size - 1)) || this.size;
  }

  #transfer(base: number, index: number, bytes: Uint8Array, toRing: boolean): void {
    for (let done = 0; done < bytes.length;) {
      const at = base + ((index + done) & (this.size - 1));
      const offset = at & PAGE_MASK;
      // a half may be smaller than a page
      const n = Math.min(bytes.length - done, PAGE_SIZE - offset, base + this.size - at);
      const page = this.#pages[at >>> PAGE_SHIFT]?.bytes as Uint8Array;
      if (toRing) page.set(bytes.subarray(done, done + n), offset);
      else bytes.set(page.subarray(offset, offset + n), done);
      done += n;
    }
  }
}

function map(grants: GrantAccess, gref: number): MappedGrant {
  const page = grants.map(gref, false);
  if (typeof page === "number") throw new FrontendError(`Grant ${gref} cannot be mapped: status ${page}`);
  return page;
}
