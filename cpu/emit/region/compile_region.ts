// SPDX-License-Identifier: MIT
/**
 * Makes one WebAssembly function of a region: orders its nodes, finds which flags are live, and emits each node's
 * instructions within the structure. A node is a block, or a part of one behind an instruction that always leaves.
 * @module
 */
import { RECORD_BYTES } from "../../state/record.ts";
import { ARITHMETIC_FLAGS, FLAG_CF } from "../../state/state.ts";
import { FunctionBody } from "../../wasm/encoder.ts";
import type { Facts } from "../facts.ts";
import type { Links } from "../links.ts";
import type { VectorKnowledge } from "../vector/vector_emit.ts";
import { type BranchingNode, type ComputedEdge, computedEdges } from "./computed_edges.ts";
import { analyse, type Flow } from "./graph.ts";
import { type BlockUse, liveOut, longestPaths } from "./liveness.ts";
import { type PageUse, planPages } from "./page_plan.ts";
import { type FoundPages, RegionEmit } from "./region_emit.ts";
import type { Crossing, Neighbour } from "./region_frame.ts";
import { structure } from "./structure.ts";
import { type Described, type Summary, touchedBy, writtenBy } from "./summary.ts";

/** A straight run of instructions. */
export interface RegionNode extends BranchingNode {
  /** Address of the first instruction's record. */
  readonly start: number;
  /** The handler that stands there without regions. */
  readonly handler: number;
  readonly insns: readonly Described[];
  readonly facts: readonly Facts[];
  readonly summaries: readonly Summary[];
  /**
   * Its one instruction goes on in the next page of code, at this byte offset of the WebAssembly memory; else 0. Then
   * `start` and `handler` are those of the record before the instruction's own, which makes sure of that.
   */
  readonly secondHost: number;
  /** Instructions of its block, charged at the block's end. */
  readonly count: number;
  /** Nodes the last instruction goes to, taken and not; undefined: it leaves the region, or never goes there. */
  readonly taken: Edge | undefined;
  readonly fall: Edge | undefined;
  /** What is there where no edge goes, if that is known. */
  readonly takenNeighbour: Neighbour | undefined;
  readonly fallNeighbour: Neighbour | undefined;
}

/** Where a node goes on in the region. */
export interface Edge {
  readonly to: number;
  /** The other node is in another page. */
  readonly crossing: Crossing | undefined;
}

/** What came out. */
export interface CompiledRegion {
  readonly body: FunctionBody;
  /** Nodes that can be entered; an entry's state is its place here. */
  readonly entries: readonly number[];
}

/** Compiles; `entries`: nodes that must be entries, the first is where the region was found. */
export function compileRegion(
  nodes: readonly RegionNode[],
  entries: readonly number[],
  slot: number,
  links: Links,
): CompiledRegion {
  const computed = computedEdges(nodes);
  const successors = nodes.map(({ taken, fall }, at) => {
    const to: number[] = [];
    if (taken !== undefined) to.push(taken.to);
    if (fall !== undefined) to.push(fall.to);
    for (const edge of computed[at] as readonly ComputedEdge[]) to.push(edge.to);
    return to;
  });
  const flow = analyse({ successors, entries }, true);
  const live = liveOut(flow, nodes.map(flagUse));
  const needed = longestPaths(flow, nodes.map((node) => leavesAtEnd(node) ? 0 : node.count));
  let touched = 0, written = 0, products = false;
  for (const { insns, summaries } of nodes) {
    for (let i = 0; i < insns.length; i++) {
      const insn = insns[i] as Described, summary = summaries[i] as Summary;
      touched |= touchedBy(insn, summary);
      written |= writtenBy(insn, summary);
      products ||= summary.multiplies;
    }
  }
  const body = new FunctionBody(1);
  const plan = planPages(nodes);
  const emit = new RegionEmit(body, links, {
    slot,
    touched,
    written,
    readsFlags: nodes.some(readsFlags),
    neighbours: nodes.some((node) => node.takenNeighbour !== undefined || node.fallNeighbour !== undefined),
    products,
  });
  const kinds = new Kinds(flow);
  const known: ({ readonly vectors: VectorKnowledge | undefined; readonly pages: FoundPages } | undefined)[] =
    [];
  emit.frame(() =>
    structure(flow, {
      block: () => emit.block(),
      loop: () => emit.loop(),
      end: () => emit.end(),
      goTo: (label) => emit.goTo(label),
      branchByState: (labels) => emit.branchByState(labels),
      setState: (state) => emit.setState(state),
      opened: () => emit.openIndirect(),
      closing: (top) => emit.closeIndirect(top),
      enter: (at) => {
        const node = nodes[at] as RegionNode;
        emit.beginBlock(undefined, node.count, undefined, undefined);
        emit.checkBudget({ record: node.start, handler: node.handler }, needed[at] as number, node.page);
      },
      node: (at, follow) => {
        const only = kinds.only(at), before = only === undefined ? undefined : known[only];
        const { count } = nodes[at] as RegionNode;
        emit.beginBlock(kinds.before(at), count, before?.vectors, before?.pages);
        const done = () => {
          kinds.after(at, emit.kind);
          known[at] = { vectors: emit.vectorKnowledge, pages: emit.foundPages };
        };
        const more = {
          pages: plan.uses[at] as readonly (PageUse | undefined)[],
          moved: plan.moved[at] as readonly number[],
          computed: computed[at] as readonly ComputedEdge[],
          liveAfter: live[at] as number,
        };
        emitNode(emit, nodes[at] as RegionNode, more, follow, done);
      },
    })
  );
  return { body, entries: flow.entries };
}

function emitNode(
  emit: RegionEmit,
  node: RegionNode,
  { pages, moved, computed, liveAfter }: {
    readonly pages: readonly (PageUse | undefined)[];
    readonly moved: readonly number[];
    readonly computed: readonly ComputedEdge[];
    readonly liveAfter: number;
  },
  follow: (edge: number) => void,
  done: () => void,
): void {
  const { insns, facts, summaries, start } = node;
  const flags = liveFlags(facts, liveAfter);
  const fallEdge = node.taken === undefined ? 0 : 1;
  const last = insns.length - 1;
  const crosses = node.secondHost !== 0, own = crosses ? start + RECORD_BYTES : start;
  if (crosses) {
    emit.form = (insns[0] as Described).form;
    emit.requireNextPage(node.secondHost, { record: start, handler: node.handler });
  }
  for (let i = 0; i <= last; i++) {
    const insn = insns[i] as Described, fact = facts[i] as Facts;
    const place = { record: own + i * RECORD_BYTES, handler: i === 0 && !crosses ? node.handler : undefined };
    if ((summaries[i] as Summary).leaves) {
      emit.leaveAt(place);
      continue;
    }
    if (fact.ends) {
      if (liveAfter !== 0) emit.sync();
      done();
      const end = insn.poff + insn.length;
      const way = (edge: Edge | undefined, number: number, offset: number, neighbour?: Neighbour) => () => {
        const leave = () => emit.leaveTo(offset, neighbour);
        if (edge === undefined) return leave();
        if (edge.crossing !== undefined) emit.cross(edge.crossing, leave);
        follow(number);
      };
      const firstComputed = (node.taken === undefined ? 0 : 1) + (node.fall === undefined ? 0 : 1);
      emit.ways = {
        taken: way(node.taken, 0, end + insn.immLow, node.takenNeighbour),
        fall: way(node.fall, fallEdge, end, node.fallNeighbour),
        computed: computed.map(({ offset, crossing }, i) => ({
          offset,
          go: (otherwise) => {
            if (crossing !== undefined) emit.cross(crossing, otherwise);
            follow(firstComputed + i);
          },
        })),
      };
    }
    emit.instruction(insn, place, fact, flags[i] as boolean, pages[i], moved[i] as number);
  }
  if ((facts[last] as Facts).ends || leavesAtEnd(node)) return;
  const leave = () => emit.leaveAt({ record: own + insns.length * RECORD_BYTES, handler: undefined });
  if (node.fall === undefined) return leave();
  if (liveAfter !== 0 || node.fall.crossing !== undefined) emit.sync();
  done();
  if (node.fall.crossing !== undefined) emit.cross(node.fall.crossing, leave);
  emit.charge();
  follow(fallEdge);
}

/** The last instruction leaves before it is done. */
function leavesAtEnd(node: RegionNode): boolean {
  return node.summaries[node.insns.length - 1]?.leaves === true;
}

function flagUse(node: RegionNode): BlockUse {
  let reads = node.secondHost !== 0 ? ARITHMETIC_FLAGS : 0, writes = 0;
  for (let i = 0; i < node.facts.length; i++) {
    const fact = node.facts[i] as Facts;
    const leaves = fact.canLeave || (node.summaries[i] as Summary).leaves;
    reads |= (leaves ? ARITHMETIC_FLAGS : fact.flagsRead) & ~writes;
    writes |= fact.flagsWritten;
  }
  const last = node.facts[node.facts.length - 1] as Facts;
  const stays = last.ends && node.taken !== undefined && node.fall !== undefined ||
    !last.ends && node.fall !== undefined;
  const crosses = node.taken?.crossing !== undefined || node.fall?.crossing !== undefined;
  return { reads, writes, leaves: stays && !crosses ? 0 : ARITHMETIC_FLAGS };
}

/** Something reads flags, or passes CF on, before they are written. */
function readsFlags(node: RegionNode): boolean {
  let written = 0;
  for (const fact of node.facts) {
    const passesCarry = (fact.flagsMayWrite & FLAG_CF) === 0 && fact.flagsMayWrite !== 0;
    if (((fact.flagsRead | (passesCarry ? FLAG_CF : 0)) & ~written) !== 0) return true;
    written |= fact.flagsWritten;
  }
  return false;
}

/** Which instructions must leave the flags they write, when those in `needed` are needed behind the last. */
function liveFlags(facts: readonly Facts[], needed: number): boolean[] {
  const live: boolean[] = [];
  for (let i = facts.length - 1; i >= 0; i--) {
    const fact = facts[i] as Facts;
    live[i] = (fact.flagsMayWrite & needed) !== 0;
    needed &= ~fact.flagsWritten;
    needed |= fact.canLeave ? ARITHMETIC_FLAGS : fact.flagsRead;
  }
  return live;
}

/** The kind of flags a node begins with, when all ways to it agree. Ways to a node are emitted before it, loops aside. */
class Kinds {
  readonly #after: (number | undefined)[] = [];
  readonly #flow: Flow;

  constructor(flow: Flow) {
    this.#flow = flow;
  }
  after(node: number, kind: number | undefined): void {
    this.#after[node] = kind;
  }
  /** The node that alone leads to this one, which is emitted behind it. */
  only(node: number): number | undefined {
    const { isEntry, predecessors } = this.#flow;
    const [from, another] = predecessors[node] as readonly number[];
    if (isEntry[node] || from === undefined || another !== undefined) return undefined;
    return this.#isForward(from, node) ? from : undefined;
  }
  before(node: number): number | undefined {
    const { isEntry, predecessors } = this.#flow;
    if (isEntry[node]) return undefined;
    const froms = predecessors[node] as readonly number[];
    const kind = this.#after[froms[0] as number];
    for (const from of froms) {
      if (!this.#isForward(from, node) || this.#after[from] !== kind) return undefined;
    }
    return kind;
  }
  #isForward(from: number, to: number): boolean {
    const { position } = this.#flow;
    return (position[to] as number) > (position[from] as number);
  }
}
