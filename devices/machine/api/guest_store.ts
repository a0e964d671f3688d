// SPDX-License-Identifier: MIT
/**
 * The guest's xenstore for programs, as domain 0 sees it. Paths that do not start with "/" are below the guest's home,
 * `/local/domain/1`.
 * @module
 */
import { show } from "../check_options.ts";
import { ConfigError } from "../../../cpu/base/assert.ts";
import { absolutePath, SPECIAL_WATCHES } from "../../../xen/xenstore/path.ts";
import { XENSTORE_PAYLOAD_MAX } from "../../../xen/public/io/xs_wire.ts";

/** What a {@linkcode GuestStore} works with. */
export interface GuestStoreWires {
  /** Domain 0 of a store. */
  readonly store: {
    read(path: string): string | undefined;
    list(path: string): string[] | undefined;
    write(path: string, value: string): void;
    remove(path: string): void;
    watch(path: string, changed: (path: string) => void): { cancel(): void };
  };
  /** The guest. */
  readonly domid: number;
  /** The guest may have something to hear. */
  wake(): void;
}

/**
 * The guest's xenstore for programs, with the rights of domain 0. Paths that do not start with "/" are below the guest's home,
 * `/local/domain/1`. Wrong paths and values throw ConfigError.
 */
export class GuestStore {
  readonly #wires: GuestStoreWires;

  /** Machines make theirs. */
  constructor(wires: GuestStoreWires) {
    this.#wires = wires;
  }

  /** The value of a node; undefined when there is none. */
  read(path: string): string | undefined {
    return this.#wires.store.read(this.#absolute(path, "read"));
  }

  /** Names of a node's children; undefined when there is no such node. */
  list(path: string): string[] | undefined {
    return this.#wires.store.list(this.#absolute(path, "list"));
  }

  /** Writes a node, and makes it, with its parents, when there is none. */
  write(path: string, value: string): void {
    const absolute = this.#absolute(path, "write");
    if (typeof value !== "string" || new TextEncoder().encode(value).length > XENSTORE_PAYLOAD_MAX) {
      throw new ConfigError(
        `Cannot write to ${
          show(path)
        } in xenstore: the value is a string of at most ${XENSTORE_PAYLOAD_MAX} bytes`,
      );
    }
    if (absolute === "/") throw new ConfigError('Cannot write to "/" in xenstore: the root has no value');
    this.#wires.store.write(absolute, value);
    this.#wires.wake();
  }

  /** Removes a node with all below it; there may be none. */
  remove(path: string): void {
    const absolute = this.#absolute(path, "remove");
    if (absolute === "/") throw new ConfigError('Cannot remove "/" in xenstore: it is the root');
    this.#wires.store.remove(absolute);
    this.#wires.wake();
  }

  /**
   * Calls `changed` once, and then with the path of whatever changes at `path` or below it, while the machine runs. The
   * result ends it.
   */
  watch(path: string, changed: (path: string) => void): () => void {
    const absolute = SPECIAL_WATCHES.includes(path) ? path : this.#absolute(path, "watch");
    if (typeof changed !== "function") {
      throw new ConfigError(`Cannot watch ${show(path)} in xenstore: there is no function to call`);
    }
    const watch = this.#wires.store.watch(absolute, changed);
    this.#wires.wake();
    return () => watch.cancel();
  }

  #absolute(path: string, what: string): string {
    const absolute = typeof path === "string" ? absolutePath(path, this.#wires.domid) : undefined;
    if (absolute === undefined) {
      throw new ConfigError(
        `Cannot ${what} ${show(path)} in xenstore: paths are like "/local/domain/1/name"`,
      );
    }
    return absolute;
  }
}
