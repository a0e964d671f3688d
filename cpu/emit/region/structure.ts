// SPDX-License-Identifier: MIT
/**
 * Structured control flow out of a graph: WebAssembly has no goto. Norman Ramsey, "Beyond Relooper: Recursive
 * Translation of Unstructured Control Flow to Structured Control Flow" (ICFP 2022): a node's code is followed by what
 * it dominates; a node that several forward edges lead to stands behind a block that ends there; a loop header opens
 * a loop.
 *
 * Around everything is one loop that begins with a br_table on a state, the number of an entry: entries are reached
 * through it from outside, and so are the targets of edges that no structure can express.
 * @module
 */
import { assert } from "../../base/assert.ts";
import { edgeKind, type Flow } from "./graph.ts";

/** A block or loop that is open: branches name it. */
export type Label = number & { readonly __brand: "label" };

/** Where the code goes. Whoever implements it knows how many constructs are open between a label and a branch. */
export interface StructureSink {
  /** Opens a block; a branch to its label goes behind its end. */
  block(): Label;
  /** Opens a loop; a branch to its label goes to its start. */
  loop(): Label;
  /** Closes the innermost block or loop. Its end is not reached by falling into it. */
  end(): void;
  goTo(label: Label): void;
  /** Branches to labels[state]. */
  branchByState(labels: readonly Label[]): void;
  /** The next branchByState goes to entry number `state`. */
  setState(state: number): void;
  /** The loop around everything has opened, and is about to close. */
  opened(): void;
  closing(top: Label): void;
  /** Code for being at an entry: it can be reached from outside here. */
  enter(node: number): void;
  /**
   * The node's code. It ends on every path by going elsewhere, or by calling `follow` for one of the node's edges;
   * what follow emits does not come back.
   */
  node(node: number, follow: (edge: number) => void): void;
}

/** Most nodes of a graph: their code nests, and so does the making of it. */
export const MAX_NODES = 500;

/** Emits the flow's code. */
export function structure(flow: Flow, sink: StructureSink): void {
  const { graph, root, dominated, entries, isEntry, isLoopHeader, isMerge } = flow;
  assert(root <= MAX_NODES, "a graph is not too large");
  /** Where an open label stands for a node: behind a block for forward edges, a loop for back edges. */
  const labels: (Label | undefined)[] = [];

  const go = (from: number, to: number): void => {
    const kind = edgeKind(flow, from, to);
    if (kind === "dispatch") {
      const state = entries.indexOf(to);
      assert(state >= 0, "the target of an irreducible edge is an entry");
      sink.setState(state);
      return sink.goTo(outermost);
    }
    if (kind === "forward" && !isMerge[to]) return tree(to);
    const label = labels[to];
    assert(label !== undefined, "the target of a branch is open");
    sink.goTo(label);
  };
  /** Code of `node` and of all it dominates; nothing runs past its end. */
  const tree = (node: number): void => {
    if (isLoopHeader[node]) labels[node] = sink.loop();
    if (isEntry[node]) sink.enter(node);
    const merges = dominated[node]!.filter((child) => isMerge[child]);
    open(merges);
    sink.node(node, (edge) => go(node, graph.successors[node]![edge] as number));
    close(merges);
    if (isLoopHeader[node]) sink.end();
  };
  /** Opens a block for each merge, around what is followed by their code, in their order. */
  const open = (merges: readonly number[]): void => {
    for (let i = merges.length - 1; i >= 0; i--) labels[merges[i] as number] = sink.block();
  };
  const close = (merges: readonly number[]): void => {
    for (const merge of merges) {
      sink.end();
      tree(merge);
    }
  };

  const outermost = sink.loop();
  sink.opened();
  // An entry that nothing else leads to stands behind a block as well: br_table needs a label for each.
  const reached = dominated[root] as readonly number[];
  open(reached);
  sink.branchByState(entries.map((node) => labels[node] as Label));
  close(reached);
  sink.closing(outermost);
  sink.end();
}
