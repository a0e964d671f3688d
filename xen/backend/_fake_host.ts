// SPDX-License-Identifier: MIT
/**
 * A guest for tests of backends: grants, event channels and a real xenstore over a GuestMemory, all driven by
 * hand. Nothing happens behind the test's back: watch callbacks run in {@linkcode FakeHost.settle}.
 * @module
 */
import { type Gpa, PAGE_SIZE } from "../../cpu/base/bits.ts";
import { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { CONST_RING_SIZE, sring } from "../public/io/ring.ts";
import { readNode, writeNode } from "../xenstore/operations.ts";
import { XenstoreServer } from "../xenstore/server.ts";
import type { BackendHost, BackendPort, EventAccess, GrantAccess, MappedGrant } from "./host.ts";

/** public/grant_table.h: GNTST_bad_gntref. */
export const GNTST_bad_gntref = -3;
/** public/grant_table.h: GNTST_permission_denied. */
export const GNTST_permission_denied = -8;
/** public/grant_table.h: GNTST_bad_copy_arg. */
export const GNTST_bad_copy_arg = -10;

/** A grant table without a table. */
export class FakeGrants implements GrantAccess {
  readonly #grants = new Map<number, { gpa: Gpa; readonly: boolean }>();
  #next = 8; // the first references are reserved
  /** Mappings that were not unmapped yet, by reference. */
  readonly mapped = new Map<number, number>();

  /** Grants pages of `memory`. */
  constructor(readonly memory: GuestMemory) {}

  /** Grants the page at `gpa` to domain 0; returns the reference. */
  grant(gpa: Gpa, readonly = false): number {
    this.#grants.set(this.#next, { gpa, readonly });
    return this.#next++;
  }

  /** The same grants, over a copy of the memory; nothing is mapped. */
  copy(memory: GuestMemory): FakeGrants {
    const copy = new FakeGrants(memory);
    for (const [gref, grant] of this.#grants) copy.#grants.set(gref, grant);
    copy.#next = this.#next;
    return copy;
  }

  /** Takes a grant back. */
  revoke(gref: number): void {
    this.#grants.delete(gref);
  }

  /** Number of mappings of all grants. */
  get mapCount(): number {
    let sum = 0;
    for (const n of this.mapped.values()) sum += n;
    return sum;
  }

  map(gref: number, readonly: boolean): MappedGrant | number {
    const bytes = this.access(gref, 0, PAGE_SIZE, !readonly);
    if (typeof bytes === "number") return bytes;
    this.mapped.set(gref, (this.mapped.get(gref) ?? 0) + 1);
    let live = true;
    return {
      gref,
      gpa: this.#grants.get(gref)?.gpa ?? 0,
      bytes,
      view: new DataView(bytes.buffer, bytes.byteOffset, PAGE_SIZE),
      unmap: () => {
        if (!live) throw new Error(`Grant ${gref} is unmapped twice`);
        live = false;
        this.mapped.set(gref, (this.mapped.get(gref) ?? 0) - 1);
      },
    };
  }

  access(gref: number, offset: number, length: number, write: boolean): Uint8Array<ArrayBuffer> | number {
    const grant = this.#grants.get(gref);
    if (grant === undefined) return GNTST_bad_gntref;
    if (write && grant.readonly) return GNTST_permission_denied;
    if (offset < 0 || length < 0 || offset + length > PAGE_SIZE) return GNTST_bad_copy_arg;
    const { memory } = this;
    const bytes = write
      ? memory.sliceForWrite(grant.gpa + offset, length)
      : memory.slice(grant.gpa + offset, length);
    return bytes ?? GNTST_bad_gntref;
  }
}

/** Event channels between the test (the guest) and backends. */
export class FakeEvents implements EventAccess {
  readonly #ports = new Map<number, { handler: (() => void) | undefined; received: number }>();
  #next = 1;

  /** Guest: allocates a port for domain 0 to bind. */
  allocate(): number {
    this.#ports.set(this.#next, { handler: undefined, received: 0 });
    return this.#next++;
  }

  /** The same ports, bound to nobody. */
  copy(): FakeEvents {
    const copy = new FakeEvents();
    while (copy.#next < this.#next) copy.allocate();
    return copy;
  }

  /** Guest: sends on `port`; false when no backend is bound. */
  send(port: number): boolean {
    const handler = this.#ports.get(port)?.handler;
    handler?.();
    return handler !== undefined;
  }

  /** Guest: how many events came on `port` since the last call. */
  take(port: number): number {
    const entry = this.#ports.get(port);
    const n = entry?.received ?? 0;
    if (entry !== undefined) entry.received = 0;
    return n;
  }

  /** Number of ports that backends are bound to. */
  get boundCount(): number {
    return [...this.#ports.values()].filter((port) => port.handler !== undefined).length;
  }

  bindInterdomain(remotePort: number, handler: () => void): BackendPort | undefined {
    const entry = this.#ports.get(remotePort);
    if (entry === undefined || entry.handler !== undefined) return undefined;
    entry.handler = handler;
    return {
      notify: () => {
        entry.received++;
      },
      close: () => {
        entry.handler = undefined;
      },
    };
  }
}

/** A page granted by the guest; `bytes` and `view` are the guest's. */
export interface GrantedPage {
  readonly gref: number;
  readonly gpa: Gpa;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
}

/** A {@linkcode BackendHost} whose guest is the test. */
export class FakeHost implements BackendHost {
  readonly memory: GuestMemory;
  grants: FakeGrants;
  events: FakeEvents = new FakeEvents();
  readonly store: XenstoreServer;
  #deferred: (() => void)[] = [];
  #nextPage = 1;

  /** A guest with `ramPages` pages of RAM. */
  constructor(readonly domid = 1, ramPages = 256) {
    this.memory = new GuestMemory(ramPages * PAGE_SIZE);
    this.grants = new FakeGrants(this.memory);
    this.store = new XenstoreServer({ defer: (fn) => this.#deferred.push(fn) });
    this.store.write(`/local/domain/${domid}`, "");
    this.store.setPermissions(`/local/domain/${domid}`, ["n0", `r${domid}`]);
  }

  /** A guest in the same state whose backends have let go, as a restored snapshot is: memory, grants, ports, nodes. */
  copy(): FakeHost {
    const copy = new FakeHost(this.domid, this.memory.ramBytes / PAGE_SIZE);
    copy.memory.bytes.set(this.memory.bytes);
    copy.grants = this.grants.copy(copy.memory);
    copy.events = this.events.copy();
    copy.#nextPage = this.#nextPage;
    const walk = (path: string): void => {
      const node = this.store.tree.get(path === "" ? "/" : path);
      if (node === undefined) return;
      copy.store.tree.set(path === "" ? "/" : path, node);
      for (const name of node.children) walk(`${path}/${name}`);
    };
    walk("");
    return copy;
  }

  /** The page of `page` in this guest, which is a copy of the one that granted it. */
  samePage(page: GrantedPage): GrantedPage {
    const bytes = this.memory.sliceForWrite(page.gpa, PAGE_SIZE);
    if (bytes === undefined) throw new RangeError("The copy has no such page");
    return { ...page, bytes, view: new DataView(bytes.buffer, bytes.byteOffset, PAGE_SIZE) };
  }

  /** Runs watch callbacks until no more are due. Throws when there is no end. */
  settle(): void {
    for (let rounds = 0; this.#deferred.length > 0; rounds++) {
      if (rounds === 100) throw new Error("Watch callbacks do not settle");
      const now = this.#deferred;
      this.#deferred = [];
      for (const fn of now) fn();
    }
  }

  /** A zeroed page of guest RAM nobody uses yet. */
  allocatePage(): Gpa {
    const gpa = this.#nextPage++ * PAGE_SIZE;
    if (!this.memory.contains(gpa, PAGE_SIZE)) throw new RangeError("The fake guest has no more RAM");
    return gpa;
  }

  /** A page of guest RAM, granted; `bytes` and `view` are the guest's. */
  grantPage(readonly = false): GrantedPage {
    const gpa = this.allocatePage();
    const bytes = this.memory.sliceForWrite(gpa, PAGE_SIZE);
    if (bytes === undefined) throw new RangeError("The fake guest has no such page");
    const view = new DataView(bytes.buffer, bytes.byteOffset, PAGE_SIZE);
    return { gref: this.grants.grant(gpa, readonly), gpa, bytes, view };
  }

  /** Writes a node as the guest, with its permissions; throws the store's error. */
  guestWrite(path: string, value: string | number): void {
    const error = writeNode(this.store.tree, this.domid, path, String(value), this.store.quotas);
    if (error !== undefined) throw new Error(`${error}: guest writes ${path}`);
  }

  /** Reads a node as the guest; undefined when it is missing or not readable for it. */
  guestRead(path: string): string | undefined {
    const node = readNode(this.store.tree, this.domid, path);
    return typeof node === "string" ? undefined : node.value;
  }
}

/** The frontend's half of a one-page ring: the FRONT_RING macros of public/io/ring.h. */
export class FrontRing {
  readonly size: number;
  reqProdPvt = 0;
  rspCons = 0;

  /** Initialises the ring in `view`, or goes on with a copy of `from`. `entryBytes`: the larger of request and response. */
  constructor(readonly view: DataView, readonly entryBytes: number, from?: FrontRing) {
    this.size = CONST_RING_SIZE(PAGE_SIZE, entryBytes);
    if (from !== undefined) {
      this.reqProdPvt = from.reqProdPvt;
      this.rspCons = from.rspCons;
      return;
    }
    view.setUint32(sring.at.req_prod, 0, true);
    view.setUint32(sring.at.rsp_prod, 0, true);
    view.setUint32(sring.at.req_event, 1, true);
    view.setUint32(sring.at.rsp_event, 1, true);
  }

  /** RING_FREE_REQUESTS. */
  get free(): number {
    return this.size - ((this.reqProdPvt - this.rspCons) >>> 0);
  }

  /** Starts the next request: the offset in `view` to write it to. */
  nextRequest(): number {
    return this.#slot(this.reqProdPvt++);
  }

  /** RING_PUSH_REQUESTS_AND_CHECK_NOTIFY: true when the backend wants an event. */
  pushRequests(): boolean {
    const old = this.view.getUint32(sring.at.req_prod, true);
    this.view.setUint32(sring.at.req_prod, this.reqProdPvt, true);
    const event = this.view.getUint32(sring.at.req_event, true);
    return ((this.reqProdPvt - event) >>> 0) < ((this.reqProdPvt - old) >>> 0);
  }

  /** Takes all responses there are: their offsets in `view`. Asks for an event on the next one. */
  takeResponses(): number[] {
    const offsets: number[] = [];
    while (this.rspCons !== this.view.getUint32(sring.at.rsp_prod, true)) {
      offsets.push(this.#slot(this.rspCons));
      this.rspCons = (this.rspCons + 1) >>> 0;
    }
    this.view.setUint32(sring.at.rsp_event, this.rspCons + 1, true);
    return offsets;
  }

  #slot(index: number): number {
    return sring.size + (index & (this.size - 1)) * this.entryBytes;
  }
}
