// SPDX-License-Identifier: MIT
/**
 * Which of up to 32 things (flags, registers) hold something that is still needed: backward data flow over a graph.
 * @module
 */
import type { Flow } from "./graph.ts";

/** What a block does with the things, as bit masks. */
export interface BlockUse {
  /** Read before the block has written them. */
  readonly reads: number;
  /** Written on every path through the block. */
  readonly writes: number;
  /** Needed behind the block by whoever runs where it leaves the graph; 0: it never leaves at its end. */
  readonly leaves: number;
}

/** What is needed behind the last instruction of each node. */
export function liveOut(flow: Flow, uses: readonly BlockUse[]): readonly number[] {
  const { order, root, graph } = flow;
  const into = new Array<number>(root + 1).fill(0), out = into.slice();
  for (let changed = true; changed;) {
    changed = false;
    for (let i = order.length - 1; i >= 0; i--) {
      const node = order[i] as number;
      if (node === root) continue;
      const use = uses[node] as BlockUse;
      let needed = use.leaves;
      for (const to of graph.successors[node] as readonly number[]) needed |= into[to] as number;
      const before = use.reads | (needed & ~use.writes);
      out[node] = needed;
      if (into[node] !== before) {
        into[node] = before;
        changed = true;
      }
    }
  }
  return out;
}

/**
 * The longest path by weight from each checkpoint to the next one, or to where the graph is left: no more than this is
 * spent between two looks. Checkpoints are the entries and the loop headers, so that every cycle has one.
 */
export function longestPaths(flow: Flow, weights: readonly number[]): readonly number[] {
  const { order, root, graph, position, isEntry, isLoopHeader } = flow;
  const longest = new Array<number>(root + 1).fill(0);
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i] as number;
    if (node === root) continue;
    let behind = 0;
    for (const to of graph.successors[node] as readonly number[]) {
      const looks = isEntry[to] || isLoopHeader[to] ||
        (position[to] as number) <= (position[node] as number);
      if (!looks && (longest[to] as number) > behind) behind = longest[to] as number;
    }
    longest[node] = (weights[node] as number) + behind;
  }
  return longest;
}
