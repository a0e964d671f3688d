// SPDX-License-Identifier: MIT
/**
 * Edges of branches whose target is computed: a function returns behind the calls that lead to it, an indirect branch
 * goes where it went last. Such an edge is taken after a comparison; other targets are looked up. With them a loop that
 * calls something is a loop of the region's graph.
 * @module
 */
import { PAGE_SIZE } from "../../base/bits.ts";
import type { Crossing } from "./region_frame.ts";

/** What is wanted of a node. */
export interface BranchingNode {
  readonly insns: readonly { readonly poff: number }[];
  /** Linear address of the first instruction, relative to where the region was found. */
  readonly address: number;
  /** Byte offset of its page in the WebAssembly memory. */
  readonly page: number;
  readonly taken: { readonly to: number } | undefined;
  readonly fall: { readonly to: number } | undefined;
  /** It ends with a call: where that returns to. */
  readonly after: number | undefined;
  /** Where its indirect branch went last. */
  readonly computed: number | undefined;
  /** It ends with a near return. */
  readonly returns: boolean;
}

/** A computed branch to another node. */
export interface ComputedEdge {
  readonly to: number;
  /** From the start of the page of code that runs to the target. */
  readonly offset: number;
  readonly crossing: Crossing | undefined;
}

/** Most edges of a return: each costs a comparison. */
const MOST_RETURNS = 4;

const NONE: readonly ComputedEdge[] = [];

/** The edges of each node, most likely first. */
export function computedEdges(nodes: readonly BranchingNode[]): (readonly ComputedEdge[])[] {
  const targets = nodes.map(({ computed }) => computed === undefined ? undefined : [computed]);
  const returns: (readonly number[])[] = [];
  for (const node of nodes) {
    const { after } = node, callee = node.taken?.to ?? node.computed;
    if (after === undefined || callee === undefined) continue;
    for (const end of returns[callee] ??= returnsOf(nodes, callee)) {
      const list = targets[end] ??= [];
      if (list.length < MOST_RETURNS && !list.includes(after)) list.push(after);
    }
  }
  return targets.map((list, from) => {
    if (list === undefined) return NONE;
    const edges: ComputedEdge[] = [];
    for (const to of list) {
      const edge = edgeBetween(nodes[from] as BranchingNode, nodes[to] as BranchingNode, to);
      if (edge !== undefined) edges.push(edge);
    }
    return edges;
  });
}

function edgeBetween(
  from: BranchingNode,
  { address, page }: BranchingNode,
  to: number,
): ComputedEdge | undefined {
  const offset = address - from.address + (from.insns[0]?.poff ?? 0);
  if (!Number.isSafeInteger(offset)) return undefined;
  const distance = Math.floor(offset / PAGE_SIZE) * PAGE_SIZE;
  if (distance === 0 && page === from.page) return { to, offset, crossing: undefined };
  return distance === 0 ? undefined : { to, offset, crossing: { distance, page } };
}

/** The returns of the function that begins at `start`, not those of the functions it calls. */
function returnsOf(nodes: readonly BranchingNode[], start: number): number[] {
  const seen: boolean[] = [], queue: number[] = [], found: number[] = [];
  const visit = (to: number | undefined) => {
    if (to === undefined || seen[to]) return;
    seen[to] = true;
    queue.push(to);
  };
  visit(start);
  for (const at of queue) {
    const { taken, fall, after, returns } = nodes[at] as BranchingNode;
    if (returns) found.push(at);
    if (after !== undefined) visit(after);
    else {
      visit(taken?.to);
      visit(fall?.to);
    }
  }
  return found;
}
