// SPDX-License-Identifier: MIT
/**
 * The control-flow graph of a region: orders, dominators, and which blocks must be entries. Knows neither x86 nor
 * WebAssembly. Dominators: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
 *
 * A virtual root has an edge to every entry. An edge that goes back in reverse postorder is a loop's back edge when
 * its target dominates its source; any other (irreducible flow, or a loop that can be entered in its middle) can only
 * be taken through the root, so its target becomes an entry too.
 * @module
 */
import { assert } from "../../base/assert.ts";

/** Nodes are 0 to successors.length - 1. */
export interface Graph {
  /** Targets of each node's edges that stay in the graph. */
  readonly successors: readonly (readonly number[])[];
  /** Nodes that can be entered from outside; at least one. */
  readonly entries: readonly number[];
}

/** What {@linkcode analyse} found out. The virtual root has the number successors.length. */
export interface Flow {
  readonly graph: Graph;
  readonly root: number;
  /** All entries: those given first, in their order, then those that were added. */
  readonly entries: readonly number[];
  /** Reachable nodes in reverse postorder; the root is first. */
  readonly order: readonly number[];
  /** Place of each node in `order`; -1: unreachable. */
  readonly position: readonly number[];
  /** Immediate dominator of each node; the root's is itself; -1: unreachable. */
  readonly dominator: readonly number[];
  /** Reachable nodes with an edge to each node, the root included. */
  readonly predecessors: readonly (readonly number[])[];
  /** Nodes each node dominates immediately, in reverse postorder. */
  readonly dominated: readonly (readonly number[])[];
  readonly isEntry: readonly boolean[];
  /** Targets of back edges. */
  readonly isLoopHeader: readonly boolean[];
  /** Nodes with more than one forward edge to them, that of the root included. */
  readonly isMerge: readonly boolean[];
}
/** What is needed to tell how an edge can be taken. */
type Order = Pick<Flow, "order" | "position" | "dominator" | "predecessors">;

/** How an edge can be taken. */
export type EdgeKind = "forward" | "back" | "dispatch";

/** Kind of the edge from `from` to `to`. */
export function edgeKind(flow: Order, from: number, to: number): EdgeKind {
  if ((flow.position[to] as number) > (flow.position[from] as number)) return "forward";
  return dominates(flow, to, from) ? "back" : "dispatch";
}

/** Whether every path from the root to `b` goes through `a`. */
export function dominates(flow: Order, a: number, b: number): boolean {
  const { position, dominator } = flow;
  while ((position[b] as number) > (position[a] as number)) b = dominator[b] as number;
  return a === b;
}

/**
 * Orders the graph. `headersAreEntries`: loops can be entered at their headers from outside, which V8 needs to get
 * from slow code of a loop to fast code of it.
 */
export function analyse(graph: Graph, headersAreEntries: boolean): Flow {
  const root = graph.successors.length;
  const entries = [...graph.entries], isEntry = new Array<boolean>(root + 1).fill(false);
  assert(entries.length > 0, "a graph has entries");
  for (const entry of entries) {
    assert(isEntry[entry] === false, "each entry is given once");
    isEntry[entry] = true;
  }
  // Each turn adds entries, so it ends.
  for (;;) {
    const ordered = order(graph, entries), { position } = ordered;
    const before = entries.length;
    for (let i = 1; i < ordered.order.length; i++) {
      const from = ordered.order[i] as number, at = position[from] as number;
      for (const to of graph.successors[from] as readonly number[]) {
        if (isEntry[to] || (position[to] as number) > at) continue;
        if (!headersAreEntries && dominates(ordered, to, from)) continue;
        isEntry[to] = true;
        entries.push(to);
      }
    }
    if (entries.length === before) return flowOf(graph, entries, isEntry, ordered);
  }
}

/** Orders the nodes that can be reached from the entries. */
function order(graph: Graph, entries: readonly number[]): Order {
  const root = graph.successors.length;
  const successors = [...graph.successors, entries];
  const nodes = postorder(root, successors).reverse();
  const position = new Array<number>(root + 1).fill(-1);
  const predecessors: number[][] = [];
  for (let node = 0; node <= root; node++) predecessors.push([]);
  for (let i = 0; i < nodes.length; i++) {
    const from = nodes[i] as number;
    position[from] = i;
    for (const to of successors[from] as readonly number[]) predecessors[to]!.push(from);
  }
  const dominator = new Array<number>(root + 1).fill(-1);
  dominator[root] = root;
  for (let changed = true; changed;) {
    changed = false;
    for (const node of nodes) {
      if (node === root || dominator[node] === root) continue; // as high as it gets
      let found = -1;
      for (const from of predecessors[node] as number[]) {
        if (dominator[from] === -1) continue;
        found = found === -1 ? from : common(position, dominator, found, from);
      }
      if (dominator[node] !== found) {
        dominator[node] = found;
        changed = true;
      }
    }
  }
  return { order: nodes, position, dominator, predecessors };
}

/** The nearest node that dominates both, as far as dominators are known. */
function common(position: readonly number[], dominator: readonly number[], a: number, b: number): number {
  while (a !== b) {
    while ((position[a] as number) > (position[b] as number)) a = dominator[a] as number;
    while ((position[b] as number) > (position[a] as number)) b = dominator[b] as number;
  }
  return a;
}

function flowOf(
  graph: Graph,
  entries: readonly number[],
  isEntry: readonly boolean[],
  ordered: Order,
): Flow {
  const { order, position, dominator, predecessors } = ordered;
  const root = graph.successors.length;
  const dominated: number[][] = [];
  for (let node = 0; node <= root; node++) dominated.push([]);
  const isLoopHeader = new Array<boolean>(root + 1).fill(false), isMerge = isLoopHeader.slice();
  for (const node of order) {
    if (node === root) continue;
    dominated[dominator[node] as number]!.push(node);
    let forward = 0;
    for (const from of predecessors[node] as readonly number[]) {
      if ((position[from] as number) < (position[node] as number)) forward++;
      else if (dominates(ordered, node, from)) isLoopHeader[node] = true;
    }
    isMerge[node] = forward > 1;
  }
  return {
    graph,
    root,
    entries,
    order,
    position,
    dominator,
    predecessors,
    dominated,
    isEntry,
    isLoopHeader,
    isMerge,
  };
}

/** Nodes by the time a depth-first search is done with them; what it sees first ends up last. */
function postorder(root: number, successors: readonly (readonly number[])[]): number[] {
  const done: number[] = [];
  /** For each node the number of its successor to look at next; -1: it has not been seen. */
  const next = new Array<number>(root + 1).fill(-1);
  next[root] = 0;
  const path = [root];
  for (;;) {
    const node = path[path.length - 1];
    if (node === undefined) return done;
    const ways = successors[node] as readonly number[], way = next[node] as number;
    if (way === ways.length) {
      done.push(node);
      path.pop();
      continue;
    }
    next[node] = way + 1;
    const to = ways[way] as number;
    if (next[to] === -1) {
      next[to] = 0;
      path.push(to);
    }
  }
}
