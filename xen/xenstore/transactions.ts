// SPDX-License-Identifier: MIT
/**
 * Transactions: an overlay of changed nodes over the tree, plus the generation each node had when it was first
 * looked at. A commit succeeds when all of them still have it; otherwise the client gets EAGAIN and does its
 * work again. Readers outside see all of a transaction or nothing of it.
 * @module
 */
import type { Quotas } from "./operations.ts";
import {
  type Change,
  type NodeSpace,
  ownerOf,
  restoreNode,
  type SavedNode,
  saveNode,
  type StoreNode,
  type Tree,
} from "./tree.ts";

/** Generation that stands for "there was no such node". */
const MISSING = -1;

/** What a snapshot keeps of a transaction; null: a removed node. */
export interface TransactionState {
  readonly overlay: readonly (readonly [path: string, node: SavedNode | null])[];
  readonly seen: readonly (readonly [path: string, generation: number])[];
  readonly ownedDelta: readonly (readonly [domid: number, nodes: number])[];
  readonly changes: readonly Change[];
  readonly generation: number;
}

/** A transaction's view of the nodes. */
export class Transaction implements NodeSpace {
  /** What the transaction made of nodes; null: removed. */
  readonly #overlay = new Map<string, StoreNode | null>();
  /** Generation of each node when it was first looked at. */
  readonly #seen = new Map<string, number>();
  readonly #ownedDelta = new Map<number, number>();
  /** By path, in order of first change: a node changed twice fires once. */
  readonly #changes = new Map<string, Change>();
  #generation = 0;

  /** Begins on the tree as it is; nodes are looked at when needed. */
  constructor(readonly tree: Tree) {}

  /** How many nodes it has looked at. */
  get touched(): number {
    return this.#seen.size;
  }

  get(path: string): StoreNode | undefined {
    const own = this.#overlay.get(path);
    if (own !== undefined) return own ?? undefined;
    const node = this.tree.get(path);
    if (!this.#seen.has(path)) this.#seen.set(path, node?.generation ?? MISSING);
    return node;
  }

  set(path: string, node: Omit<StoreNode, "generation">): void {
    const before = this.get(path);
    if (before !== undefined) this.#count(ownerOf(before), -1);
    // Generations inside a transaction are its own and fractional: never equal to one of the tree.
    const { value, children, permissions } = node;
    this.#overlay.set(path, { value, children, permissions, generation: ++this.#generation + 0.5 });
    this.#count(ownerOf(node), 1);
  }

  delete(path: string): void {
    const before = this.get(path);
    if (before === undefined) return;
    this.#count(ownerOf(before), -1);
    this.#overlay.set(path, null);
  }

  owned(domid: number): number {
    return this.tree.owned(domid) + (this.#ownedDelta.get(domid) ?? 0);
  }

  changed(change: Change): void {
    const before = this.#changes.get(change.path);
    const exact = change.exact && (before?.exact ?? true);
    this.#changes.set(change.path, { ...change, exact });
  }

  /**
   * Puts everything into the tree and tells the watchers. EAGAIN when somebody changed what it had read; ENOSPC when,
   * with what others have made meanwhile, a domain would own too many nodes. Then nothing is changed.
   */
  commit(quotas: Pick<Quotas, "nodes">): "EAGAIN" | "ENOSPC" | undefined {
    for (const [owner, delta] of this.#ownedDelta) {
      if (owner !== 0 && delta > 0 && this.tree.owned(owner) + delta > quotas.nodes) return "ENOSPC";
    }
    for (const [path, generation] of this.#seen) {
      if ((this.tree.get(path)?.generation ?? MISSING) !== generation) return "EAGAIN";
    }
    for (const [path, node] of this.#overlay) {
      if (node === null) this.tree.delete(path);
      else this.tree.set(path, node);
    }
    for (const change of this.#changes.values()) this.tree.changed(change);
  }

  /** The plain record of a snapshot. */
  save(): TransactionState {
    return {
      overlay: [...this.#overlay].map(([path, node]) => [path, node && saveNode(node)] as const),
      seen: [...this.#seen],
      ownedDelta: [...this.#ownedDelta],
      changes: structuredClone([...this.#changes.values()]),
      generation: this.#generation,
    };
  }

  /** Restores what `save` gave into a new transaction. */
  restore(state: TransactionState): void {
    for (const [path, node] of state.overlay) this.#overlay.set(path, node && restoreNode(node));
    for (const [path, generation] of state.seen) this.#seen.set(path, generation);
    for (const [owner, n] of state.ownedDelta) this.#ownedDelta.set(owner, n);
    for (const change of structuredClone(state.changes)) this.#changes.set(change.path, change);
    this.#generation = state.generation;
  }

  #count(owner: number, n: number): void {
    this.#ownedDelta.set(owner, (this.#ownedDelta.get(owner) ?? 0) + n);
  }
}
