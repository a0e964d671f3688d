// SPDX-License-Identifier: MIT
/**
 * One guest's connection to xenstore: parses its requests, which may be any bytes, and answers each with exactly
 * one reply or error. Rules: xenstore.txt of Xen's docs/misc. A reply is sent before the watch events that the
 * request caused.
 * @module
 */
import {
  XENSTORE_PAYLOAD_MAX,
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_ERROR,
  XS_GET_DOMAIN_PATH,
  XS_GET_PERMS,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RESUME,
  XS_RM,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_TYPE_NAMES,
  XS_UNWATCH,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
  xsd_sockmsg,
  type XsError,
} from "../public/io/xs_wire.ts";
import { MiB } from "../../cpu/base/bits.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import type { GuestAct } from "../backend/host.ts";
import {
  lookup,
  makeNode,
  type Quotas,
  readNode,
  removeNode,
  setPermissions,
  writeNode,
} from "./operations.ts";
import { absolutePath, domainPath, SPECIAL_WATCHES } from "./path.ts";
import { formatPermission, parsePermission } from "./permissions.ts";
import { Transaction, type TransactionState } from "./transactions.ts";
import { type NodeSpace, PERM_READ, type Permission, type Tree } from "./tree.ts";
import { reportedPath, type Watch, type Watcher, type Watches } from "./watches.ts";

/** The store a connection works on. */
export interface ConnectedStore {
  readonly tree: Tree;
  readonly watches: Watches;
  readonly quotas: Quotas;
  readonly tracer: Tracer | undefined;
  /** A guest has registered a watch of `path`, or was told that there is nothing. */
  guestActed(what: GuestAct, path: string): void;
}

/** What a snapshot keeps of a connection; watches oldest first. */
export interface ConnectionState {
  readonly watches: readonly { readonly path: string; readonly token: string; readonly relative: boolean }[];
  readonly transactions: readonly (readonly [id: number, transaction: TransactionState])[];
  readonly nextTransaction: number;
}

/** A reply's payload; an array of one is an error. */
type Result = string | readonly [XsError];

const HEADER = xsd_sockmsg.size;
const OK = "OK\0";
/** What a message that waits costs besides its bytes. */
export const MESSAGE_OVERHEAD = 128;
/** Cost of the events of one request at most, further ones are dropped: no working guest gets there. */
const EVENTS_LIMIT = 1 * MiB;

/** Requests for domain 0 alone: machines call methods instead. */
const PRIVILEGED: ReadonlySet<number> = new Set([
  XS_CONTROL,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_RELEASE,
  XS_RESUME,
  XS_SET_TARGET,
]);
/** Requests that have nothing to do with transactions, whatever id they carry. */
const WITHOUT_TRANSACTION: ReadonlySet<number> = new Set([XS_WATCH, XS_UNWATCH]);
/** Messages that are no requests. */
const REPLIES: ReadonlySet<number> = new Set([XS_WATCH_EVENT, XS_ERROR]);

/** Splits "one\0two\0…", every part terminated; undefined when the last is not. */
function strings(payload: string): string[] | undefined {
  if (!payload.endsWith("\0")) return undefined;
  return payload.slice(0, -1).split("\0");
}

/** See the module's description. */
export class Connection implements Watcher {
  readonly #transactions = new Map<number, Transaction>();
  readonly #watches = new Map<string, Watch>(); // by path and token
  #nextTransaction = 1;
  /** Events caused by the request being handled: they follow its reply. */
  #events: Uint8Array[] | undefined;
  #eventsCost = 0;

  /** Made by {@linkcode XenstoreServer.introduce}. `send` gets whole messages, header included. */
  constructor(
    readonly store: ConnectedStore,
    readonly domid: number,
    readonly send: (message: Uint8Array) => void,
  ) {}

  /** Handles one request. `payload` is at most XENSTORE_PAYLOAD_MAX long and is not kept. */
  handle(type: number, reqId: number, txId: number, payload: Uint8Array): void {
    const text = fromBytes(payload);
    this.#events = [];
    this.#eventsCost = 0;
    const result = this.#dispatch(type, txId, text);
    const events = this.#events;
    this.#events = undefined;
    this.#trace(type, txId, text, result);
    if (typeof result === "string") this.send(message(type, reqId, txId, result));
    else this.send(message(XS_ERROR, reqId, txId, result[0] + "\0"));
    if (result[0] === "ENOENT") this.#missed(text);
    for (const event of events) this.send(event);
  }

  /** Drops all watches and transactions: a new kernel has taken over. */
  reset(): void {
    for (const watch of this.#watches.values()) this.store.watches.delete(watch);
    this.#watches.clear();
    this.#transactions.clear();
  }

  /** The plain record of a snapshot. */
  save(): ConnectionState {
    return {
      watches: [...this.#watches.values()].map(({ path, token, relative }) => ({ path, token, relative })),
      transactions: [...this.#transactions].map(([id, transaction]) => [id, transaction.save()] as const),
      nextTransaction: this.#nextTransaction,
    };
  }

  /** Restores what `save` gave, without the first events of the watches. The tree is restored already. */
  restore(state: ConnectionState): void {
    this.reset();
    for (const { path, token, relative } of state.watches) this.#addWatch(path, token, relative);
    for (const [id, saved] of state.transactions) {
      const transaction = new Transaction(this.store.tree);
      transaction.restore(saved);
      this.#transactions.set(id, transaction);
    }
    this.#nextTransaction = state.nextTransaction;
  }

  /** Number of watches. */
  get watchCount(): number {
    return this.#watches.size;
  }

  /** Number of open transactions. */
  get transactionCount(): number {
    return this.#transactions.size;
  }

  event(path: string, watch: Watch): void {
    if (this.#events !== undefined && this.#eventsCost > EVENTS_LIMIT) return;
    const length = path.length + watch.token.length + 2;
    // Path and token may each fit a request, but not fit an event together: nothing can be told then.
    if (length > XENSTORE_PAYLOAD_MAX) return;
    this.#eventsCost += HEADER + length + MESSAGE_OVERHEAD;
    if (this.#events !== undefined && this.#eventsCost > EVENTS_LIMIT) {
      this.store.tracer?.warnOnce(
        "xenstore.events",
        `xenstore: one request of domain ${this.domid} causes too many watch events; dropping the others`,
      );
      return;
    }
    const event = message(XS_WATCH_EVENT, 0, 0, `${path}\0${watch.token}\0`);
    if (this.#events === undefined) this.send(event);
    else this.#events.push(event);
  }

  #dispatch(type: number, txId: number, payload: string): Result {
    const { store, domid } = this;
    let space: NodeSpace = store.tree;
    if (XS_TYPE_NAMES[type] === undefined || REPLIES.has(type)) return ["ENOSYS"];
    if (PRIVILEGED.has(type)) return ["EACCES"];
    if (txId !== 0 && !WITHOUT_TRANSACTION.has(type)) {
      const transaction = this.#transactions.get(txId);
      if (transaction === undefined) return ["ENOENT"];
      if (type === XS_TRANSACTION_END) return this.#endTransaction(txId, transaction, payload);
      if (transaction.touched > store.quotas.transactionNodes) return ["ENOSPC"];
      space = transaction;
    }
    switch (type) {
      case XS_DIRECTORY:
        return this.#withPath(payload, (path) => {
          const node = readNode(space, domid, path);
          if (typeof node === "string") return [node];
          const names = terminated(node.children);
          return names.length > XENSTORE_PAYLOAD_MAX ? ["E2BIG"] : names;
        });
      case XS_DIRECTORY_PART:
        return this.#directoryPart(space, payload);
      case XS_READ:
        return this.#withPath(payload, (path) => {
          const node = readNode(space, domid, path);
          return typeof node === "string" ? [node] : node.value;
        });
      case XS_WRITE: {
        const end = payload.indexOf("\0");
        const path = end < 0 ? undefined : absolutePath(payload.slice(0, end), domid);
        if (path === undefined) return ["EINVAL"];
        return done(writeNode(space, domid, path, payload.slice(end + 1), store.quotas));
      }
      case XS_MKDIR:
        return this.#withPath(payload, (path) => done(makeNode(space, domid, path, store.quotas)));
      case XS_RM:
        return this.#withPath(payload, (path) => done(removeNode(space, domid, path)));
      case XS_GET_PERMS:
        return this.#withPath(payload, (path) => {
          const node = lookup(space, domid, path, PERM_READ);
          return typeof node === "string" ? [node] : terminated(node.permissions.map(formatPermission));
        });
      case XS_SET_PERMS:
        return this.#setPermissions(space, payload);
      case XS_WATCH:
        return this.#watch(payload);
      case XS_UNWATCH:
        return this.#unwatch(payload);
      case XS_RESET_WATCHES:
        this.reset();
        return OK;
      case XS_TRANSACTION_START:
        return txId !== 0 ? ["EBUSY"] : this.#startTransaction();
      case XS_TRANSACTION_END: // without a transaction; with one it was handled above
        return payload === "T\0" || payload === "F\0" ? ["ENOENT"] : ["EINVAL"];
      case XS_GET_DOMAIN_PATH: {
        const id = /^([0-9]{1,5})\0$/.exec(payload)?.[1];
        return id === undefined || Number(id) > 0xffff ? ["EINVAL"] : domainPath(Number(id)) + "\0";
      }
      default:
        return ["ENOSYS"];
    }
  }

  /** The request of `payload` was answered with ENOENT, because of its node or because of its transaction. */
  #missed(payload: string): void {
    const path = absolutePath(payload.split("\0", 1)[0] as string, this.domid);
    if (path !== undefined && lookup(this.store.tree, this.domid, path, PERM_READ) === "ENOENT") {
      this.store.guestActed("misses", path);
    }
  }

  #withPath(payload: string, fn: (path: string) => Result): Result {
    const path = payload.indexOf("\0") === payload.length - 1
      ? absolutePath(payload.slice(0, -1), this.domid)
      : undefined;
    return path === undefined ? ["EINVAL"] : fn(path);
  }

  #directoryPart(space: NodeSpace, payload: string): Result {
    const parts = strings(payload);
    const path = absolutePath(parts?.[0] ?? "", this.domid);
    if (parts?.length !== 2 || path === undefined || !/^[0-9]{1,9}$/.test(parts[1] ?? "")) return ["EINVAL"];
    const node = readNode(space, this.domid, path);
    if (typeof node === "string") return [node];
    const names = terminated(node.children);
    const generation = `${Math.floor(node.generation)}\0`;
    const from = Number(parts[1]);
    // An empty name says that the list is complete.
    if (from >= names.length) return generation + "\0";
    const room = XENSTORE_PAYLOAD_MAX - generation.length - 1;
    if (names.length - from <= room) return generation + names.slice(from) + "\0";
    const whole = names.lastIndexOf("\0", from + room - 1) + 1; // only whole names
    return whole <= from ? ["EINVAL"] : generation + names.slice(from, whole);
  }

  #setPermissions(space: NodeSpace, payload: string): Result {
    const parts = strings(payload);
    const path = absolutePath(parts?.[0] ?? "", this.domid);
    if (parts === undefined || parts.length < 2 || path === undefined) return ["EINVAL"];
    const permissions: Permission[] = [];
    for (const text of parts.slice(1)) {
      const permission = parsePermission(text);
      if (permission === undefined) return ["EINVAL"];
      permissions.push(permission);
    }
    return done(setPermissions(space, this.domid, path, permissions, this.store.quotas));
  }

  /** The path of a watch: absolute, relative or special. */
  #watchPath(text: string): string | undefined {
    return SPECIAL_WATCHES.includes(text) ? text : absolutePath(text, this.domid);
  }

  #watch(payload: string): Result {
    const parts = strings(payload);
    if (parts?.length !== 2) return ["EINVAL"];
    const [text, token] = parts as [string, string];
    const path = this.#watchPath(text);
    if (path === undefined) return ["EINVAL"];
    const key = watchKey(path, token);
    if (this.#watches.has(key)) return ["EEXIST"];
    if (this.#watches.size >= this.store.quotas.watches) return ["E2BIG"];
    const relative = !text.startsWith("/") && !text.startsWith("@");
    const watch = this.#addWatch(path, token, relative);
    this.event(reportedPath(watch, path), watch);
    this.store.guestActed("watches", path);
    return OK;
  }

  #addWatch(path: string, token: string, relative: boolean): Watch {
    const watch = this.store.watches.add({ path, token, relative, watcher: this });
    this.#watches.set(watchKey(path, token), watch);
    return watch;
  }

  #unwatch(payload: string): Result {
    const parts = strings(payload);
    if (parts?.length !== 2) return ["EINVAL"];
    const path = this.#watchPath(parts[0] as string);
    if (path === undefined) return ["EINVAL"];
    const key = watchKey(path, parts[1] as string);
    const watch = this.#watches.get(key);
    if (watch === undefined) return ["ENOENT"];
    this.#watches.delete(key);
    this.store.watches.delete(watch);
    return OK;
  }

  #startTransaction(): Result {
    if (this.#transactions.size >= this.store.quotas.transactions) return ["ENOSPC"];
    let id = this.#nextTransaction;
    while (this.#transactions.has(id)) id = id >= 0x7fff_ffff ? 1 : id + 1;
    this.#nextTransaction = id >= 0x7fff_ffff ? 1 : id + 1;
    this.#transactions.set(id, new Transaction(this.store.tree));
    return `${id}\0`;
  }

  #endTransaction(id: number, transaction: Transaction, payload: string): Result {
    if (payload !== "T\0" && payload !== "F\0") return ["EINVAL"];
    this.#transactions.delete(id);
    if (payload === "F\0") return OK;
    return done(transaction.commit(this.store.quotas));
  }

  #trace(type: number, txId: number, payload: string, result: Result): void {
    const { tracer } = this.store;
    tracer?.counters.add("xenstore.requests");
    if (!tracer?.on("xenstore")) return;
    const name = XS_TYPE_NAMES[type] ?? `type ${type}`;
    const outcome = typeof result === "string" ? JSON.stringify(result) : result[0];
    const tx = txId === 0 ? "" : ` (tx ${txId})`;
    tracer.log("xenstore", `d${this.domid} ${name}${tx} ${JSON.stringify(payload)} -> ${outcome}`);
  }
}

function watchKey(path: string, token: string): string {
  return `${path}\0${token}`;
}

function done(error: XsError | undefined): Result {
  return error === undefined ? OK : [error];
}

function terminated(names: Iterable<string>): string {
  let all = "";
  for (const name of names) all += name + "\0";
  return all;
}

function fromBytes(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function message(type: number, reqId: number, txId: number, payload: string): Uint8Array {
  const bytes = new Uint8Array(HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(xsd_sockmsg.at.type, type, true);
  view.setUint32(xsd_sockmsg.at.req_id, reqId, true);
  view.setUint32(xsd_sockmsg.at.tx_id, txId, true);
  view.setUint32(xsd_sockmsg.at.len, payload.length, true);
  for (let i = 0; i < payload.length; i++) bytes[HEADER + i] = payload.charCodeAt(i);
  return bytes;
}
