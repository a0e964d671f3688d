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
import type { GuestAct, Store, StorePermission } from "../backend/host.ts";
import { type ConnectedStore, Connection, type ConnectionState } from "./connection.ts";
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
import { type Permission, Tree, type TreeState } from "./tree.ts";
import { type Watch, type Watcher, Watches } from "./watches.ts";

/** What a server may be told. */
export interface XenstoreOptions {
  readonly quotas?: Partial<Quotas>;
  readonly tracer?: Tracer;
  /** Runs `fn` soon, but not now: how domain 0's watch callbacks are called. Default: a microtask. */
  readonly defer?: (fn: () => void) => void;
}

/** What a snapshot keeps of a store. */
export interface XenstoreState {
  readonly tree: TreeState;
  readonly connections: readonly (ConnectionState & { readonly domid: number })[];
  /** What watches of domain 0 at `path` have still to hear. */
  readonly pending: readonly { readonly path: string; readonly changed: string }[];
}

/** See the module's description. */
export class XenstoreServer implements Store, ConnectedStore {
  readonly tree: Tree = new Tree();
  readonly watches: Watches = new Watches();
  readonly quotas: Quotas;
  readonly tracer: Tracer | undefined;
  readonly #introduced = new Set<number>([0]);
  readonly #connections = new Map<number, Connection>();
  readonly #defer: (fn: () => void) => void;
  readonly #dom0Watches = new Map<Dom0Watcher, Watch>();
  /** Who waits for an act of a guest's. */
  readonly #awaited = new Map<object, { what: GuestAct; path: string; fn: () => void }>();
  /** Events for domain 0 that were not delivered yet. */
  #pending: Due[] = [];

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
    const target = path.startsWith("@") ? path : checked(path);
    const watcher = new Dom0Watcher(target, onChange, (due) => this.#soon(due));
    const watch = this.watches.add({ path: target, token: "", relative: false, watcher });
    this.#dom0Watches.set(watcher, watch);
    watcher.event(target);
    return {
      cancel: () => {
        watcher.live = false;
        this.#dom0Watches.delete(watcher);
        this.watches.delete(watch);
      },
    };
  }

  whenGuest(what: GuestAct, path: string, fn: () => void): { cancel(): void } {
    const waiting = { cancel: () => void this.#awaited.delete(waiting) };
    this.#awaited.set(waiting, { what, path: checked(path), fn });
    return waiting;
  }

  guestActed(what: GuestAct, path: string): void {
    for (const [waiting, { what: awaited, path: wanted, fn }] of this.#awaited) {
      if (what !== awaited || path !== wanted && !(what === "misses" && path.startsWith(wanted + "/"))) {
        continue;
      }
      this.#defer(() => {
        if (this.#awaited.delete(waiting)) fn();
      });
    }
  }

  /**
   * An empty store: nodes, the guests' watches and their transactions are gone. Guests stay introduced, and domain 0's
   * watches stay: each of them fires once.
   */
  reset(): void {
    this.tree.reset();
    for (const connection of this.#connections.values()) connection.reset();
    this.write("/local/domain/0", "");
    this.#begin();
  }

  /** The plain record of a snapshot. Domain 0's watches belong to whoever registered them and are not in it. */
  save(): XenstoreState {
    return {
      tree: this.tree.save(),
      connections: [...this.#connections].map(([domid, connection]) => ({ domid, ...connection.save() })),
      pending: this.#pending.flatMap(({ watcher, changed }) => {
        const watch = this.#dom0Watches.get(watcher);
        return watch === undefined ? [] : [{ path: watch.path, changed }];
      }),
    };
  }

  /**
   * Restores what `save` gave. The same guests are introduced already; domain 0's watches stay, each fires once, and
   * hears of what its like had not heard of when the snapshot was made.
   */
  restore(state: XenstoreState): void {
    for (const { domid } of state.connections) {
      if (!this.#connections.has(domid)) {
        throw new RangeError(`Cannot restore xenstore: domain ${domid} is not introduced`);
      }
    }
    this.tree.restore(state.tree);
    for (const [domid, connection] of this.#connections) {
      const saved = state.connections.find((entry) => entry.domid === domid);
      if (saved === undefined) connection.reset();
      else connection.restore(saved);
    }
    this.#begin();
    for (const { path, changed } of state.pending) {
      for (const [watcher, watch] of this.#dom0Watches) if (watch.path === path) watcher.event(changed);
    }
  }

  /** The tree is another one: what was pending means nothing any more, and every watcher of domain 0 looks anew. */
  #begin(): void {
    this.#pending = [];
    for (const [watcher, watch] of this.#dom0Watches) {
      watcher.pending.clear();
      watcher.event(watch.path);
    }
  }

  #soon(due: Due): void {
    this.#pending.push(due);
    if (this.#pending.length === 1) this.#defer(() => this.#deliver());
  }

  /** Delivers what was pending; events that the callbacks cause come in a later turn. */
  #deliver(): void {
    const now = this.#pending;
    this.#pending = [];
    for (const { watcher, changed } of now) watcher.deliver(changed);
  }
}

/** An event of domain 0 on its way. */
interface Due {
  readonly watcher: Dom0Watcher;
  readonly changed: string;
}

/** Paths one watcher may have on their way; of further ones it hears that something changed. Guests choose names. */
const MOST_PENDING = 1000;

/** Receives for domain 0. */
class Dom0Watcher implements Watcher {
  readonly domid = 0;
  live = true;
  /** Paths whose events are on their way: one per path is enough. */
  readonly pending = new Set<string>();
  constructor(
    readonly path: string,
    readonly onChange: (changedPath: string) => void,
    readonly soon: (due: Due) => void,
  ) {}

  event(path: string): void {
    const changed = this.pending.size < MOST_PENDING ? path : this.path;
    if (this.pending.has(changed)) return;
    this.pending.add(changed);
    this.soon({ watcher: this, changed });
  }

  deliver(changed: string): void {
    if (this.pending.delete(changed) && this.live) this.onChange(changed);
  }
}

function checked(path: string): string {
  const absolute = absolutePath(path, 0);
  assert(absolute !== undefined, `"${path}" is a xenstore path`);
  return absolute;
}
