// SPDX-License-Identifier: MIT
/**
 * Watches: who hears of which change, and in which order. A watch hears of changes at its path and below, of the
 * removal of an ancestor (as a change at its own path), and only when its domain may read the node. Events of
 * one change come in order of registration.
 * @module
 */
import { domainPath, parentPath } from "./path.ts";
import { type Change, type NodeSpace, PERM_READ, permissionsFor } from "./tree.ts";

/** Who a watch belongs to. */
export interface Watcher {
  readonly domid: number;
  /** Takes an event; `path` is in the form the watch was given: relative when `watch.relative`. */
  event(path: string, watch: Watch): void;
}

/** A registered watch. */
export interface Watch {
  /** Absolute, or "@…". */
  readonly path: string;
  /** The client's own word, echoed in each event. */
  readonly token: string;
  /** The client gave a relative path, so events carry relative paths. */
  readonly relative: boolean;
  readonly watcher: Watcher;
  /** Order of registration. */
  readonly order: number;
}

/** All watches of a store. */
export class Watches {
  readonly #byPath = new Map<string, Set<Watch>>();
  #order = 0;

  /** Registers a watch. The caller checks quota and duplicates, and fires the first event. */
  add(watch: Omit<Watch, "order">): Watch {
    const added = { ...watch, order: this.#order++ };
    const set = this.#byPath.get(watch.path);
    if (set === undefined) this.#byPath.set(watch.path, new Set([added]));
    else set.add(added);
    return added;
  }

  /** Forgets a watch. */
  delete(watch: Watch): void {
    const set = this.#byPath.get(watch.path);
    if (set === undefined || !set.delete(watch)) return;
    if (set.size === 0) this.#byPath.delete(watch.path);
  }

  /** Tells everybody who watches `change` and may read it, as `space` stands now. */
  fire(change: Change, space: NodeSpace): void {
    const heard: Watch[] = [];
    let places = 0;
    for (let path = change.path;; path = parentPath(path)) {
      const set = this.#byPath.get(path);
      if (set !== undefined) {
        heard.push(...set);
        places++;
      }
      if (change.exact || path === "/") break;
    }
    if (places === 0) return;
    if (places > 1) heard.sort((a, b) => a.order - b.order);
    const parent = change.removed ? undefined : space.get(parentPath(change.path));
    const readable = parent === undefined ? change.permissions : [...change.permissions, parent.permissions];
    let domid = -1;
    let mayRead = false;
    for (const watch of heard) {
      if (watch.watcher.domid !== domid) {
        domid = watch.watcher.domid;
        mayRead = readable.some((perms) => (permissionsFor(perms, domid) & PERM_READ) !== 0);
      }
      if (mayRead) watch.watcher.event(reportedPath(watch, change.path), watch);
    }
  }

  /** Tells the watchers of "@introduceDomain" or "@releaseDomain"; both are for domain 0. */
  fireSpecial(path: string): void {
    for (const watch of [...this.#byPath.get(path) ?? []]) {
      if (watch.watcher.domid === 0) watch.watcher.event(path, watch);
    }
  }
}

/** `path` as an event of `watch` reports it. */
export function reportedPath(watch: Pick<Watch, "relative" | "watcher">, path: string): string {
  return watch.relative ? path.slice(domainPath(watch.watcher.domid).length + 1) : path;
}
