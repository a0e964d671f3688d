// SPDX-License-Identifier: MIT
/**
 * Xenstore's nodes: a flat table from path to an immutable record, as xenstored keeps them. Each change gives
 * the node a new generation, by which transactions find conflicts and clients find changed directories; adding
 * or removing a child changes the parent. Nodes are counted per owner for the quota.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";

/** May read the value, the children and the permissions. */
export const PERM_READ = 1;
/** May change the value and make children. */
export const PERM_WRITE = 2;
/** May change the permissions. */
export const PERM_OWNER = 4;

/** One entry of a node's permissions. The first names the owner, and what everybody not listed may do. */
export interface Permission {
  readonly domid: number;
  /** PERM_READ and PERM_WRITE. */
  readonly access: number;
}

/** A node. Never changed, only replaced. */
export interface StoreNode {
  readonly value: string;
  /** Names, oldest first. */
  readonly children: ReadonlySet<string>;
  readonly permissions: readonly Permission[];
  readonly generation: number;
}

/** A node in a snapshot. */
export interface SavedNode {
  readonly value: string;
  readonly children: readonly string[];
  readonly permissions: readonly Permission[];
  readonly generation: number;
}

/** What a snapshot keeps of the tree. */
export interface TreeState {
  readonly nodes: readonly (readonly [path: string, node: SavedNode])[];
  readonly generation: number;
}

/** A node as a snapshot has it. */
export function saveNode(node: StoreNode): SavedNode {
  const { value, children, permissions, generation } = node;
  return { value, children: [...children], permissions: permissions.map((p) => ({ ...p })), generation };
}

/** The node a snapshot has. */
export function restoreNode(saved: SavedNode): StoreNode {
  const { value, children, permissions, generation } = saved;
  return { value, children: new Set(children), permissions: permissions.map((p) => ({ ...p })), generation };
}

/** Where operations read and write: the tree itself, or a transaction on top of it. */
export interface NodeSpace {
  get(path: string): StoreNode | undefined;
  /** Stores a node; it gets its generation here. */
  set(path: string, node: Omit<StoreNode, "generation">): void;
  delete(path: string): void;
  /** Number of nodes `domid` owns. */
  owned(domid: number): number;
  /** Notes what watchers are to hear. */
  changed(change: Change): void;
}

/** What watchers hear of. */
export interface Change {
  readonly path: string;
  /** The node went with an ancestor: only watches of exactly this path hear of it, the others heard already. */
  readonly exact: boolean;
  /** True when the node is gone. */
  readonly removed: boolean;
  /** Permissions a listener may read it by; before and after when they changed. */
  readonly permissions: readonly (readonly Permission[])[];
}

/** What `domid` may do by `permissions`. Domain 0 and the owner may do everything. */
export function permissionsFor(permissions: readonly Permission[], domid: number): number {
  const first = permissions[0];
  if (first === undefined || domid === 0 || first.domid === domid) {
    return PERM_READ | PERM_WRITE | PERM_OWNER;
  }
  for (let i = 1; i < permissions.length; i++) {
    const permission = permissions[i] as Permission;
    if (permission.domid === domid) return permission.access;
  }
  return first.access;
}

/** Owner of a node. */
export function ownerOf(node: Pick<StoreNode, "permissions">): number {
  return node.permissions[0]?.domid ?? 0;
}

/** The committed nodes. */
export class Tree implements NodeSpace {
  readonly #nodes = new Map<string, StoreNode>();
  readonly #owned = new Map<number, number>();
  #generation = 0;
  /** Hears of each change, after it was made. Set by the server. */
  onChange: (change: Change) => void = () => {};

  /** A tree of the root alone, owned by domain 0 and readable by nobody else. */
  constructor() {
    this.reset();
  }

  /** The root alone. Nobody is told. */
  reset(): void {
    this.#nodes.clear();
    this.#owned.clear();
    this.#generation = 0;
    this.set("/", { value: "", children: new Set(), permissions: [{ domid: 0, access: 0 }] });
  }

  get(path: string): StoreNode | undefined {
    return this.#nodes.get(path);
  }

  set(path: string, node: Omit<StoreNode, "generation">): void {
    const before = this.#nodes.get(path);
    if (before !== undefined) this.#count(before, -1);
    const { value, children, permissions } = node;
    this.#nodes.set(path, { value, children, permissions, generation: ++this.#generation });
    this.#count(node, 1);
  }

  delete(path: string): void {
    assert(path !== "/", "the root stays");
    const before = this.#nodes.get(path);
    if (before === undefined) return;
    this.#count(before, -1);
    this.#nodes.delete(path);
    this.#generation++;
  }

  owned(domid: number): number {
    return this.#owned.get(domid) ?? 0;
  }

  changed(change: Change): void {
    this.onChange(change);
  }

  /** Number of nodes. */
  get size(): number {
    return this.#nodes.size;
  }

  /** The plain record of a snapshot. */
  save(): TreeState {
    return {
      nodes: [...this.#nodes].map(([path, node]) => [path, saveNode(node)] as const),
      generation: this.#generation,
    };
  }

  /** Restores what `save` gave. Nobody is told. */
  restore(state: TreeState): void {
    this.reset();
    for (const [path, saved] of state.nodes) {
      const node = restoreNode(saved);
      this.set(path, node);
      this.#nodes.set(path, node); // with the generation it had
    }
    this.#generation = state.generation;
  }

  #count(node: Pick<StoreNode, "permissions">, n: number): void {
    const owner = ownerOf(node);
    this.#owned.set(owner, this.owned(owner) + n);
  }
}
