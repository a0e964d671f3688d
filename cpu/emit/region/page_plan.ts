// SPDX-License-Identifier: MIT
/**
 * Which memory operands of a region are worth a page cache: the page that was accessed last through a base register
 * (cpu/emit/region/region_emit.ts). That pays where a base stays near: within a loop that changes it by small
 * steps only, and between accesses of a block with the same base. Random access through an index loses some.
 *
 * All of this is guessing: what is guessed wrong costs time, never correctness.
 * @module
 */
import { assert } from "../../base/assert.ts";
import { PAGE_SIZE } from "../../base/bits.ts";
import { REGION_PAGES, regionPage, S, segmentLayout, X87_SERIES } from "../../state/state.ts";
import { RSP } from "../emit.ts";
import { type Described, type Summary, writtenBy, writtenNearby } from "./summary.ts";

/** What the plan wants to know of a node. */
export interface PlannedNode {
  /** Linear address of the node's first instruction, relative to the region's. */
  readonly address: number;
  readonly insns: readonly Described[];
  readonly summaries: readonly Summary[];
  readonly taken: { readonly to: number } | undefined;
  readonly fall: { readonly to: number } | undefined;
}

/** How an operand uses its cache. `fill`: look the page up and put it there, without looking whether it is there. */
export interface PageUse {
  readonly cache: number;
  readonly how: "check" | "fill";
}

/** The plan of a region. */
export interface PagePlan {
  /** For each cache, whether something is stored through it. */
  readonly stores: readonly boolean[];
  /** By node and instruction. */
  readonly uses: readonly (readonly (PageUse | undefined)[])[];
}

/** Most caches of a region: each is emptied when the region is entered. */
const MOST_CACHES = 9;
assert(REGION_PAGES + (MOST_CACHES + 1) * regionPage.size <= X87_SERIES, "page caches fit");
/** What a loop multiplies the weight of its operands by, and the deepest nesting that counts. */
const LOOP_WEIGHT = 8, DEEPEST = 3;

/** A loop as compilers lay them out: the code between the target of a branch backwards and the branch. */
interface Loop {
  readonly from: number;
  readonly to: number;
  /** Registers that it changes by more than small steps. */
  moved: number;
}

/** Plans. */
export function planPages(nodes: readonly PlannedNode[]): PagePlan {
  const moved = nodes.map(movedIn);
  const loops = loopsOf(nodes, moved);
  const weights = new Map<number, number>();
  const found = nodes.map((node, at) => operandsOf(node, moved[at] as readonly number[], loops));
  for (const operands of found) {
    for (const operand of operands) {
      if (operand === undefined || !operand.useful || operand.how !== "check") continue;
      weights.set(operand.key, (weights.get(operand.key) ?? 0) + operand.weight);
    }
  }
  const best = [...weights].sort(([, a], [, b]) => b - a).slice(0, MOST_CACHES).map(([key]) => key);
  const stores = best.map(() => false);
  const uses = found.map((operands) =>
    operands.map((operand) => {
      if (operand === undefined || !operand.useful) return undefined;
      const cache = best.indexOf(operand.key);
      if (cache === -1) return undefined;
      if (operand.stores) stores[cache] = true;
      return { cache, how: operand.how };
    })
  );
  return { stores, uses };
}

interface Operand {
  /** Operands with the same key share a cache. */
  readonly key: number;
  /** Mask of the register that its address begins with. */
  readonly mask: number;
  readonly how: "check" | "fill";
  readonly weight: number;
  readonly stores: boolean;
  /** An operand behind it profits. */
  useful: boolean;
}

function operandsOf(
  node: PlannedNode,
  moved: readonly number[],
  loops: readonly Loop[],
): (Operand | undefined)[] {
  let inner: Loop | undefined, depth = 0;
  for (const loop of loops) {
    if (node.address < loop.from || node.address > loop.to) continue;
    depth++;
    if (inner === undefined || loop.to - loop.from < inner.to - inner.from) inner = loop;
  }
  const weight = LOOP_WEIGHT ** Math.min(depth, DEEPEST);
  /** The last operands whose bases are still as they were then, each of another key. */
  let known: Operand[] = [];
  return node.insns.map((insn, i) => {
    const summary = node.summaries[i] as Summary;
    const key = summary.leaves || !insn.form.isMemory ? NO_KEY : keyOf(insn);
    let operand: Operand | undefined;
    if (key !== NO_KEY) {
      const mask = key < REGISTER_KEYS ? 1 << (key >> 3) : 0;
      const at = known.findIndex((other) => other.key === key), before = known[at];
      if (before !== undefined) before.useful = true;
      const near = before !== undefined || (inner !== undefined && (inner.moved & mask) === 0);
      operand = { key, mask, how: near ? "check" : "fill", weight, stores: summary.stores, useful: near };
      if (at === -1) known.push(operand);
      else known[at] = operand;
    }
    const changed = moved[i] as number;
    if (changed !== 0 && known.length > 0) known = known.filter(({ mask }) => (mask & changed) === 0);
    return operand;
  });
}

const NO_KEY = -1, REGISTER_KEYS = 16 << 3;

/**
 * What an operand's address begins with, as a number: a segment with a base or none, and a register, or without one the
 * page that the displacement names. NO_KEY: the stack's, which has a cache anyway.
 */
function keyOf({ form: { addressForm: { hasIndex, segment } }, base, disp, segment: at }: Described): number {
  const prefix = segment === "base" ? 1 + (at - S.es) / segmentLayout.size : 0;
  if (base >= S.gpr && base < S.gpr + 16 * 8) {
    const register = (base - S.gpr) >> 3;
    if (register === RSP && !hasIndex && segment === "none") return NO_KEY;
    return register * 8 + prefix;
  }
  return REGISTER_KEYS + ((Math.floor(disp / PAGE_SIZE) + 2 ** 20) * 2 ** 20 + base) * 8 + prefix;
}

/** For each instruction the mask of the registers it changes, but for small steps. */
function movedIn({ insns, summaries }: PlannedNode): number[] {
  return insns.map((insn, i) => {
    const summary = summaries[i] as Summary, written = writtenBy(insn, summary);
    return written === 0 ? 0 : written & ~writtenNearby(insn, summary);
  });
}

function loopsOf(nodes: readonly PlannedNode[], moved: readonly (readonly number[])[]): Loop[] {
  const loops = new Map<number, Loop>();
  for (const node of nodes) {
    for (const edge of [node.taken, node.fall]) {
      if (edge === undefined) continue;
      const header = nodes[edge.to];
      if (header === undefined || header.address > node.address) continue;
      const known = loops.get(header.address);
      if (known !== undefined && known.to >= node.address) continue;
      loops.set(header.address, { from: header.address, to: node.address, moved: 0 });
    }
  }
  const all = [...loops.values()];
  if (all.length === 0) return all;
  nodes.forEach((node, at) => {
    let mask = 0;
    for (const registers of moved[at] as readonly number[]) mask |= registers;
    for (const loop of all) {
      if (loop.from <= node.address && node.address <= loop.to) loop.moved |= mask;
    }
  });
  return all;
}
