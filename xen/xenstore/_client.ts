// SPDX-License-Identifier: MIT
/**
 * A xenstore client for tests: the guest's half of the wire protocol, over a connection or over a ring.
 * @module
 */
import {
  xenstore_domain_interface,
  XENSTORE_RING_SIZE,
  XS_ERROR,
  XS_WATCH_EVENT,
  xsd_sockmsg,
} from "../public/io/xs_wire.ts";
import type { Connection } from "./connection.ts";
import type { XenstoreServer } from "./server.ts";

/** A message as the guest receives it. */
export interface Received {
  readonly type: number;
  readonly reqId: number;
  readonly txId: number;
  readonly payload: string;
}

/** Bytes of a latin-1 string. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/** A request's bytes. */
export function encode(type: number, reqId: number, txId: number, payload: string): Uint8Array {
  const bytes = new Uint8Array(xsd_sockmsg.size + payload.length);
  const view = new DataView(bytes.buffer);
  [type, reqId, txId, payload.length].forEach((field, i) => view.setUint32(4 * i, field, true));
  bytes.set(latin1(payload), xsd_sockmsg.size);
  return bytes;
}

/** Reads all messages that are complete in `bytes`. */
export function decode(bytes: Uint8Array): Received[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: Received[] = [];
  for (let at = 0; at + 16 <= bytes.length;) {
    const [type, reqId, txId, len] = [0, 4, 8, 12].map((o) => view.getUint32(at + o, true));
    const payload = String.fromCharCode(...bytes.subarray(at + 16, at + 16 + (len as number)));
    messages.push({ type: type as number, reqId: reqId as number, txId: txId as number, payload });
    at += 16 + (len as number);
  }
  return messages;
}

/** A guest that sends one request at a time. */
export class Client {
  readonly connection: Connection;
  /** Everything received and not taken yet, in order. */
  inbox: Received[] = [];
  #reqId = 100;

  /** Introduces domain `domid`. */
  constructor(server: XenstoreServer, domid = 1) {
    this.connection = server.introduce(domid, (message) => this.inbox.push(...decode(message)));
  }

  /** Sends; returns the reply's payload, or the error's name without its NUL as an array of one. */
  call(type: number, payload: string, txId = 0): string | [string] {
    const reqId = this.#reqId++;
    this.connection.handle(type, reqId, txId, latin1(payload));
    const at = this.inbox.findIndex((m) => m.type !== XS_WATCH_EVENT && m.reqId === reqId);
    const reply = this.inbox[at];
    if (reply === undefined || reply.txId !== txId) throw new Error("No reply to the request");
    this.inbox.splice(at, 1);
    if (reply.type === XS_ERROR) return [reply.payload.replace(/\0$/, "")];
    if (reply.type !== type) throw new Error(`Reply of type ${reply.type} to a request of type ${type}`);
    return reply.payload;
  }

  /** Takes the watch events received so far, as "path token". */
  events(): string[] {
    const events = this.inbox.filter((m) => m.type === XS_WATCH_EVENT);
    this.inbox = this.inbox.filter((m) => m.type !== XS_WATCH_EVENT);
    return events.map((m) => m.payload.replace(/\0$/, "").replace("\0", " "));
  }
}

/** The guest's half of the ring page. */
export class RingClient {
  readonly view: DataView;
  received: number[] = [];

  /** Works on the shared page. */
  constructor(readonly page: Uint8Array) {
    this.view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  }

  /** Reads an index or another word of the page. */
  get(field: keyof typeof xenstore_domain_interface.at): number {
    return this.view.getUint32(xenstore_domain_interface.at[field], true);
  }

  /** Writes one. */
  set(field: keyof typeof xenstore_domain_interface.at, value: number): void {
    this.view.setUint32(xenstore_domain_interface.at[field], value, true);
  }

  /** Puts as many of `bytes` into the request ring as fit; returns how many. */
  put(bytes: Uint8Array): number {
    const prod = this.get("req_prod");
    const n = Math.min(bytes.length, XENSTORE_RING_SIZE - ((prod - this.get("req_cons")) >>> 0));
    for (let i = 0; i < n; i++) this.page[(prod + i) % XENSTORE_RING_SIZE] = bytes[i] as number;
    this.set("req_prod", prod + n);
    return n;
  }

  /** Takes at most `limit` bytes out of the response ring; returns how many. */
  take(limit = Infinity): number {
    const cons = this.get("rsp_cons");
    const n = Math.min(limit, (this.get("rsp_prod") - cons) >>> 0);
    for (let i = 0; i < n; i++) {
      this.received.push(this.page[XENSTORE_RING_SIZE + ((cons + i) % XENSTORE_RING_SIZE)] as number);
    }
    this.set("rsp_cons", cons + n);
    return n;
  }

  /** The messages that were taken. */
  messages(): Received[] {
    return decode(Uint8Array.from(this.received));
  }
}
