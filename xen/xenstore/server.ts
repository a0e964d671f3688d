// SPDX-License-Identifier: MIT
/**
 * The xenstore server: one tree, its watches, the connections of guests and the door of domain 0. Rules:
 * xenstore.txt of Xen's docs/misc and public/io/xs_wire.h. What arrives from a guest is in `connection.ts`.
 * Not done: CONTROL, INTRODUCE, RELEASE, RESUME, SET_TARGET over the wire (the machine calls methods instead; a
 * guest is refused), WATCH with a depth, permissions of the special watches.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import type { Store, StorePermission } from "../backend/host.ts";
import { Connection } from "./connection.ts";
import {
  DEFAULT_QUOTAS,
  makeNode,
  type Quotas,
  readNode,
  removeNode,
  setPermissions,
  writeNode,
} from "./operations.ts";
import { absolutePath } from "./path.ts";
import { parsePermission } from "./permissions.ts";
import { type Permission, Tree } from "./tree.ts";
import { type Watch, type Watcher, Watches } from "./watches.ts";

/** What a server may be told. */
export interface XenstoreOptions {
  readonly quotas?: Partial<Quotas>;
  readonly tracer?: Tracer;
  /** Runs `fn` soon, but not now: how domain 0's watch callbacks are called. Default: a microtask. */
  readonly defer?: (fn: () => void) => void;
}

/** See the module's description. */
export class XenstoreServer implements Store {
  readonly tree = new Tree();
  readonly watches = new Watches();
  readonly quotas: Quotas;
  readonly tracer: Tracer | undefined;
  readonly #introduced = new Set<number>([0]);
  readonly #connections = new Map<number, Connection>();
  readonly #defer: (fn: () => void) => void;
  /** Events for domain 0 that were not delivered yet. */
  #pending: (() => void)[] = [];

  /** An empty store: the root and domain 0's home. */
  constructor(options: XenstoreOptions = {}) {
    this.quotas = { ...DEFAULT_QUOTAS, ...options.quotas };
    this.tracer = options.tracer;
    this.#defer = options.defer ?? queueMicrotask;
    this.tree.onChange = (change) => this.watches.fire(change, this.tree);
    this.write("/local/domain/0", "");
  }

  /** Accepts a guest: its requests arrive at the connection's `handle`, its messages leave by `send`. */
  introduce(domid: number, send: (message: Uint8Array) => void): Connection {
    assert(!this.#introduced.has(domid), "a domain is introduced once");
    const connection = new Connection(this, domid, send);
    this.#introduced.add(domid);
    this.#connections.set(domid, connection);
    this.watches.fireSpecial("@introduceDomain");
    return connection;
  }

  /** The domain is gone: its watches and transactions go too, its nodes stay until somebody removes them. */
  release(domid: number): void {
    if (domid === 0 || !this.#introduced.delete(domid)) return;
    this.#connections.get(domid)?.reset();
    this.#connections.delete(domid);
    this.watches.fireSpecial("@releaseDomain");
  }

  /** True between introduce and release. */
  isIntroduced(domid: number): boolean {
    return this.#introduced.has(domid);
  }

  read(path: string): string | undefined {
    const node = readNode(this.tree, 0, checked(path));
    return typeof node === "string" ? undefined : node.value;
  }

  write(path: string, value: string): void {
    this.tracer?.log("xenstore", `d0 WRITE ${path} ${value}`);
    const error = writeNode(this.tree, 0, checked(path), value, this.quotas);
    assert(error === undefined, "domain 0 may write");
  }

  /** Makes the node with an empty value unless it exists. */
  mkdir(path: string): void {
    this.tracer?.log("xenstore", `d0 MKDIR ${path}`);
    const error = makeNode(this.tree, 0, checked(path), this.quotas);
    assert(error === undefined, "domain 0 may make nodes");
  }

  remove(path: string): void {
    this.tracer?.log("xenstore", `d0 RM ${path}`);
    removeNode(this.tree, 0, checked(path)); // ENOENT is fine: it is gone
  }

  list(path: string): string[] | undefined {
    const node = readNode(this.tree, 0, checked(path));
    return typeof node === "string" ? undefined : [...node.children];
  }

  setPermissions(path: string, permissions: readonly StorePermission[]): void {
    this.tracer?.log("xenstore", `d0 SET_PERMS ${path} ${permissions.join(" ")}`);
    const parsed: Permission[] = [];
    for (const text of permissions) {
      const permission = parsePermission(text);
      assert(permission !== undefined, `"${text}" is a permission`);
      parsed.push(permission);
    }
    // A guest may have removed the node meanwhile: ENOENT is no error here.
    setPermissions(this.tree, 0, checked(path), parsed, this.quotas);
  }

  watch(path: string, onChange: (changedPath: string) => void): { cancel(): void } {
    const pending = new Set<string>(); // one event per path is enough until it is delivered
    let live = true;
    const watcher: Watcher = {
      domid: 0,
      event: (changed) => {
        if (pending.has(changed)) return;
        pending.add(changed);
        this.#soon(() => {
          pending.delete(changed);
          if (live) onChange(changed);
        });
      },
    };
    const target = path.startsWith("@") ? path : checked(path);
    const watch: Watch = this.watches.add({ path: target, token: "", relative: false, watcher });
    watcher.event(target, watch);
    return {
      cancel: () => {
        live = false;
        this.watches.delete(watch);
      },
    };
  }

  #soon(fn: () => void): void {
    this.#pending.push(fn);
    if (this.#pending.length === 1) this.#defer(() => this.#deliver());
  }

  /** Delivers what was pending; events that the callbacks cause come in a later turn. */
  #deliver(): void {
    const now = this.#pending;
    this.#pending = [];
    for (const fn of now) fn();
  }
}

function checked(path: string): string {
  const absolute = absolutePath(path, 0);
  assert(absolute !== undefined, `"${path}" is a xenstore path`);
  return absolute;
}
