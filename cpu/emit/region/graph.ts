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
  readonly position: Int32Array;
  /** Immediate dominator of each node; the root's is itself; -1: unreachable. */
  readonly dominator: Int32Array;
  /** Nodes each node dominates immediately, in reverse postorder. */
  readonly dominated: readonly (readonly number[])[];
  /** Targets of back edges. */
  readonly isLoopHeader: readonly boolean[];
  /** Nodes with more than one forward edge to them, that of the root included. */
  readonly isMerge: readonly boolean[];
}

/** How an edge can be taken. */
export type EdgeKind = "forward" | "back" | "dispatch";

/** Kind of the edge from `from` to `to`. */
export function edgeKind(flow: Flow, from: number, to: number): EdgeKind {
  if ((flow.position[to] as number) > (flow.position[from] as number)) return "forward";
  return dominates(flow, to, from) ? "back" : "dispatch";
}

/** Whether every path from the root to `b` goes through `a`. */
export function dominates(flow: Flow, a: number, b: number): boolean {
  const { position, dominator } = flow;
  while ((position[b] as number) > (position[a] as number)) b = dominator[b] as number;
  return a === b;
}

/**
 * Orders the graph. `headersAreEntries`: loops can be entered at their headers from outside, which V8 needs to get
 * from slow code of a loop to fast code of it.
 */
export function analyse(graph: Graph, headersAreEntries: boolean): Flow {
  const entries = [...graph.entries];
  const known = new Set(entries);
  assert(entries.length > 0 && known.size === entries.length, "a graph has entries, each once");
  // Each turn adds entries, so it ends.
  for (;;) {
    const flow = order(graph, [...entries]);
    for (const from of flow.order) {
      if (from === flow.root) continue;
      for (const to of graph.successors[from] as readonly number[]) {
        const kind = edgeKind(flow, from, to);
        if (known.has(to) || !(kind === "dispatch" || (kind === "back" && headersAreEntries))) continue;
        known.add(to);
        entries.push(to);
      }
    }
    if (entries.length === flow.entries.length) return flow;
  }
}

function order(graph: Graph, entries: readonly number[]): Flow {
  const root = graph.successors.length;
  const successors = (node: number) => node === root ? entries : graph.successors[node] as readonly number[];
  const nodes = postorder(root, successors).reverse();
  const position = new Int32Array(root + 1).fill(-1);
  nodes.forEach((node, i) => position[node] = i);
  const predecessors: number[][] = Array.from({ length: root + 1 }, () => []);
  for (const from of nodes) for (const to of successors(from)) predecessors[to]!.push(from);

  const dominator = new Int32Array(root + 1).fill(-1);
  dominator[root] = root;
  const common = (a: number, b: number): number => {
    while (a !== b) {
      while ((position[a] as number) > (position[b] as number)) a = dominator[a] as number;
      while ((position[b] as number) > (position[a] as number)) b = dominator[b] as number;
    }
    return a;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const node of nodes) {
      if (node === root || dominator[node] === root) continue; // as high as it gets
      let found = -1;
      for (const from of predecessors[node] as number[]) {
        if (dominator[from] === -1) continue;
        found = found === -1 ? from : common(found, from);
      }
      if (dominator[node] !== found) {
        dominator[node] = found;
        changed = true;
      }
    }
  }
  const dominated: number[][] = Array.from({ length: root + 1 }, () => []);
  for (const node of nodes) if (node !== root) dominated[dominator[node] as number]!.push(node);

  const isLoopHeader = new Array<boolean>(root + 1).fill(false), isMerge = [...isLoopHeader];
  const flow = { graph, root, entries, order: nodes, position, dominator, dominated, isLoopHeader, isMerge };
  const forward = new Int32Array(root + 1);
  for (const from of nodes) {
    for (const to of successors(from)) {
      const kind = edgeKind(flow, from, to);
      if (kind === "back") isLoopHeader[to] = true;
      else if (kind === "forward") forward[to]!++;
    }
  }
  forward.forEach((count, node) => isMerge[node] = count > 1);
  return flow;
}

/** Nodes by the time a depth-first search is done with them; what it sees first ends up last. */
function postorder(root: number, successors: (node: number) => readonly number[]): number[] {
  const done: number[] = [];
  /** For each node the number of its successor to look at next; -1: it has not been seen. */
  const next = new Int32Array(root + 1).fill(-1);
  next[root] = 0;
  const path = [root];
  for (;;) {
    const node = path[path.length - 1];
    if (node === undefined) return done;
    const to = successors(node)[next[node]!++];
    if (to === undefined) {
      done.push(node);
      path.pop();
    } else if (next[to] === -1) {
      next[to] = 0;
      path.push(to);
    }
  }
}
