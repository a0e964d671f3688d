// SPDX-License-Identifier: MIT
/**
 * What a backend driver in our process is given: the guest's grant table, event channels and xenstore, seen
 * from the backend domain (dom0). The guest is hostile: every method checks what the guest controls and
 * answers with a status, never an exception.
 * @module
 */
import type { Gpa } from "../../cpu/base/bits.ts";

/** The domain backends run in. */
export const BACKEND_DOMID = 0;

/** A granted page, accessible until unmapped. `bytes`/`view` are the guest's own page, not a copy. */
export interface MappedGrant {
  readonly gref: number;
  readonly gpa: Gpa;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  unmap(): void;
}

/** One guest's grant table as its backends use it. */
export interface GrantAccess {
  /** Maps a whole page; a negative GNTST_* status when the guest did not grant it that way. */
  map(gref: number, readonly: boolean): MappedGrant | number;
  /**
   * The granted range as live bytes for an access that ends before control returns to the guest (no map count
   * is kept, as with a grant copy); a negative GNTST_* status when refused or when offset+length leaves the page
   * (or the sub-page grant). With `write`, translated code in the page is invalidated.
   */
  access(gref: number, offset: number, length: number, write: boolean): Uint8Array<ArrayBuffer> | number;
}

/** The backend's end of an interdomain event channel. */
export interface BackendPort {
  /** Raises the event in the guest (EVTCHNOP_send from the backend). */
  notify(): void;
  close(): void;
}

/** Event channels towards one guest. */
export interface EventAccess {
  /**
   * Binds to a port the guest allocated for us (EVTCHNOP_bind_interdomain); `handler` runs whenever the guest
   * sends, from inside its hypercall: keep it short or schedule. Undefined when the port is not ours to bind.
   */
  bindInterdomain(remotePort: number, handler: () => void): BackendPort | undefined;
}

/** Permission of one domain on a node, as in xenstore's SET_PERMS ("n0", "r1", "w1", "b1"). */
export type StorePermission = `${"n" | "r" | "w" | "b"}${number}`;

/** What {@linkcode Store.whenGuest} waits for. */
export type GuestAct = "watches" | "misses";

/** xenstore as dom0 uses it, without the ring. Paths are absolute; values are byte strings (latin-1). */
export interface Store {
  read(path: string): string | undefined;
  /** Creates missing parents. Fires watches. */
  write(path: string, value: string): void;
  remove(path: string): void;
  /** Names of the children; undefined when the node does not exist. */
  list(path: string): string[] | undefined;
  setPermissions(path: string, permissions: readonly StorePermission[]): void;
  /** Fires once at registration, then on every change at or below `path`; never from inside the caller. */
  watch(path: string, onChange: (changedPath: string) => void): { cancel(): void };
  /**
   * Runs `fn` once, soon after the guest registered a watch of `path` ("watches"), or asked for `path` or something below and
   * heard that it is not there ("misses").
   */
  whenGuest(what: GuestAct, path: string, fn: () => void): { cancel(): void };
}

/** Everything a backend gets. `domid` is the guest's. */
export interface BackendHost {
  readonly domid: number;
  readonly grants: GrantAccess;
  readonly events: EventAccess;
  readonly store: Store;
}
