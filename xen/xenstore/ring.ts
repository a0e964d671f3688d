// SPDX-License-Identifier: MIT
/**
 * The page a guest shares with xenstore. Rules: xenstore-ring.txt of Xen's docs/misc, public/io/xs_wire.h.
 *
 * The indices live in the page alone: firmware zeroes the page when it hands over to a kernel, and a kernel may
 * skip what it does not want. Bytes arrive and leave in any portions. While much output waits, no more requests
 * are taken, so a guest that does not read cannot make us hold its replies; watch events beyond a limit that no
 * working guest reaches are dropped. A wrong index or length stops the ring until the guest reconnects.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import {
  XENSTORE_CONNECTED,
  xenstore_domain_interface,
  XENSTORE_ERROR_NONE,
  XENSTORE_ERROR_PROTO,
  XENSTORE_ERROR_RINGIDX,
  XENSTORE_PAYLOAD_MAX,
  XENSTORE_RECONNECT,
  XENSTORE_RING_SIZE,
  XENSTORE_SERVER_FEATURE_ERROR,
  XENSTORE_SERVER_FEATURE_RECONNECTION,
  xsd_sockmsg,
} from "../public/io/xs_wire.ts";
import { type Connection, MESSAGE_OVERHEAD } from "./connection.ts";
import type { XenstoreServer } from "./server.ts";

const AT = xenstore_domain_interface.at;
const HEADER = xsd_sockmsg.size;
const MASK = XENSTORE_RING_SIZE - 1;

/** With more than this waiting to leave, no request is taken. */
const OUTPUT_STOPS_INPUT = 64 * 1024;
/** With more than this waiting to leave, overhead included, messages are dropped; only watch events can get there. */
const OUTPUT_LIMIT = 4 * 1024 * 1024;

/** What a snapshot keeps of a ring besides its page. */
export interface XenstoreRingState {
  /** The request that has arrived in part. */
  readonly request: Uint8Array;
  /** What waits to leave. */
  readonly output: Uint8Array;
  readonly broken: boolean;
}

/** A guest's ring, connected to the server. */
export class XenstoreRing {
  readonly connection: Connection;
  readonly #page: Uint8Array;
  readonly #view: DataView;
  /** The request being received: header, then payload. */
  readonly #request = new Uint8Array(HEADER + XENSTORE_PAYLOAD_MAX);
  readonly #requestView = new DataView(this.#request.buffer);
  #received = 0;
  /** Messages that wait to leave, from #first on. */
  #output: Uint8Array[] = [];
  #first = 0;
  #sentOfFirst = 0;
  #outputBytes = 0;
  #broken = false;
  #busy = false;

  /**
   * `page`: the guest's page, live. `notify` raises the guest's event. The page is initialised here; the guest
   * must be told of it (HVM_PARAM_STORE_PFN, HVM_PARAM_STORE_EVTCHN) afterwards.
   */
  constructor(readonly server: XenstoreServer, domid: number, page: Uint8Array, readonly notify: () => void) {
    this.#page = page;
    this.#view = new DataView(page.buffer, page.byteOffset, PAGE_SIZE);
    this.#initialisePage();
    this.connection = server.introduce(domid, (message) => this.#enqueue(message));
  }

  /** The guest sent an event: takes its requests and gives it what waits. */
  onEvent(): void {
    if (this.#view.getUint32(AT.connection, true) === XENSTORE_RECONNECT) return this.#reconnect();
    if (this.#broken) return;
    this.#busy = true;
    let moved = false;
    while (this.#step()) moved = true;
    this.#busy = false;
    if (moved) this.notify();
  }

  /** Forgets the conversation and initialises the page: a new guest takes over. */
  reset(): void {
    this.connection.reset();
    this.#forget();
    this.#initialisePage();
  }

  /** The plain record of a snapshot. The page is saved where it is, the connection by the server. */
  save(): XenstoreRingState {
    const output = new Uint8Array(this.#outputBytes);
    let done = -this.#sentOfFirst;
    for (const message of this.#output.slice(this.#first)) {
      output.set(done < 0 ? message.subarray(-done) : message, Math.max(done, 0));
      done += message.length;
    }
    return { request: this.#request.slice(0, this.#received), output, broken: this.#broken };
  }

  /** Restores what `save` gave; the page is restored already. */
  restore(state: XenstoreRingState): void {
    this.#forget();
    this.#request.set(state.request);
    this.#received = state.request.length;
    if (state.output.length > 0) this.#output.push(state.output.slice());
    this.#outputBytes = state.output.length;
    this.#broken = state.broken;
  }

  #initialisePage(): void {
    this.#page.fill(0, 0, xenstore_domain_interface.size);
    const features = XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR;
    this.#view.setUint32(AT.server_features, features, true);
  }

  #forget(): void {
    this.#output = [];
    this.#outputBytes =
      this.#first =
      this.#sentOfFirst =
      this.#received =
        0;
    this.#broken = false;
  }

  /** Moves some bytes either way; false when nothing can move. */
  #step(): boolean {
    if (this.#broken) return false;
    const sent = this.#transmit();
    if (this.#broken || this.#outputBytes > OUTPUT_STOPS_INPUT) return sent;
    return this.#receive() || sent;
  }

  /** Takes bytes of at most one request; handles it when complete. */
  #receive(): boolean {
    const view = this.#view;
    const cons = view.getUint32(AT.req_cons, true);
    const available = (view.getUint32(AT.req_prod, true) - cons) >>> 0;
    if (available > XENSTORE_RING_SIZE) return this.#break(XENSTORE_ERROR_RINGIDX, "request index");
    if (available === 0) return false;
    let wanted = HEADER - this.#received;
    if (wanted <= 0) wanted = HEADER + this.#payloadLength() - this.#received;
    const n = Math.min(wanted, available);
    for (let i = 0; i < n; i++) {
      this.#request[this.#received + i] = this.#page[AT.req + ((cons + i) & MASK)] as number;
    }
    this.#received += n;
    view.setUint32(AT.req_cons, cons + n, true);
    if (this.#received < HEADER) return true;
    const length = this.#payloadLength();
    if (length > XENSTORE_PAYLOAD_MAX) return this.#break(XENSTORE_ERROR_PROTO, "payload length");
    if (this.#received < HEADER + length) return true;
    this.#received = 0;
    const header = this.#requestView;
    this.connection.handle(
      header.getUint32(xsd_sockmsg.at.type, true),
      header.getUint32(xsd_sockmsg.at.req_id, true),
      header.getUint32(xsd_sockmsg.at.tx_id, true),
      this.#request.subarray(HEADER, HEADER + length),
    );
    return true;
  }

  #payloadLength(): number {
    return this.#requestView.getUint32(xsd_sockmsg.at.len, true);
  }

  /** Puts waiting bytes into the ring. */
  #transmit(): boolean {
    const view = this.#view;
    let moved = false;
    for (;;) {
      const first = this.#output[this.#first];
      if (first === undefined) {
        this.#output.length = this.#first = 0;
        return moved;
      }
      const prod = view.getUint32(AT.rsp_prod, true);
      const used = (prod - view.getUint32(AT.rsp_cons, true)) >>> 0;
      if (used > XENSTORE_RING_SIZE) {
        this.#break(XENSTORE_ERROR_RINGIDX, "response index");
        return moved;
      }
      const n = Math.min(XENSTORE_RING_SIZE - used, first.length - this.#sentOfFirst);
      if (n === 0) return moved;
      for (let i = 0; i < n; i++) {
        this.#page[AT.rsp + ((prod + i) & MASK)] = first[this.#sentOfFirst + i] as number;
      }
      view.setUint32(AT.rsp_prod, prod + n, true);
      moved = true;
      this.#outputBytes -= n;
      this.#sentOfFirst += n;
      if (this.#sentOfFirst === first.length) {
        this.#sentOfFirst = 0;
        if (++this.#first >= 1024) this.#output.splice(0, this.#first), this.#first = 0;
      }
    }
  }

  /** A message for the guest: a reply, or an event that may come at any time. */
  #enqueue(message: Uint8Array): void {
    if (this.#broken) return;
    if (this.#outputBytes + MESSAGE_OVERHEAD * (this.#output.length - this.#first) > OUTPUT_LIMIT) {
      this.server.tracer?.warnOnce(
        "xenstore.dropped",
        `xenstore: domain ${this.connection.domid} does not read its ring; dropping events`,
      );
      return;
    }
    this.#output.push(message);
    this.#outputBytes += message.length;
    if (!this.#busy && this.#transmit()) this.notify();
  }

  #break(error: number, what: string): false {
    this.#broken = true;
    this.#view.setUint32(AT.error, error, true);
    this.server.tracer?.warnOnce(
      "xenstore.broken",
      `xenstore: domain ${this.connection.domid} broke its ring (${what}); ignored until it reconnects`,
    );
    this.notify();
    return false;
  }

  #reconnect(): void {
    this.connection.reset();
    this.#forget();
    const view = this.#view;
    for (const at of [AT.req_cons, AT.req_prod, AT.rsp_cons, AT.rsp_prod]) view.setUint32(at, 0, true);
    view.setUint32(AT.error, XENSTORE_ERROR_NONE, true);
    view.setUint32(AT.connection, XENSTORE_CONNECTED, true);
    this.notify();
  }
}
