// SPDX-License-Identifier: MIT
/**
 * Which memory operands of a region are worth a page cache: the page that was accessed last through a base register
 * (cpu/emit/region/region_emit.ts). That pays where a base stays near: within a loop that changes it by small
 * steps only, and between accesses of a block with the same base. Random access through an index loses some.
 *
 * All of this is guessing: what is guessed wrong costs time, never correctness.
 * @module
 */
import { PAGE_SIZE } from "../../base/bits.ts";
import { S } from "../../state/state.ts";
import { RSP } from "../emit.ts";
import { type Described, registersOf, staysNear, type Summary } from "./summary.ts";

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
const MOST_CACHES = 6;
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
  const loops = loopsOf(nodes);
  const weights = new Map<string, number>();
  const found = nodes.map((node) => operandsOf(node, loops));
  for (const operands of found) {
    for (const operand of operands) {
      if (operand?.how !== "check") continue;
      weights.set(operand.key, (weights.get(operand.key) ?? 0) + operand.weight);
    }
  }
  const best = [...weights].sort(([, a], [, b]) => b - a).slice(0, MOST_CACHES).map(([key]) => key);
  const stores = best.map(() => false);
  const uses = found.map((operands) =>
    operands.map((operand) => {
      const cache = operand === undefined ? -1 : best.indexOf(operand.key);
      if (operand === undefined || cache === -1) return undefined;
      if (operand.stores) stores[cache] = true;
      return { cache, how: operand.how };
    })
  );
  return { stores, uses };
}

interface Operand {
  /** Operands with the same key share a cache. */
  readonly key: string;
  readonly how: "check" | "fill";
  readonly weight: number;
  readonly stores: boolean;
  /** An operand behind it profits. */
  useful: boolean;
}

function operandsOf(node: PlannedNode, loops: readonly Loop[]): (Operand | undefined)[] {
  const around = loops.filter(({ from, to }) => from <= node.address && node.address <= to);
  const inner = around.reduce<Loop | undefined>(
    (a, b) => a === undefined || b.to - b.from < a.to - a.from ? b : a,
    undefined,
  );
  const weight = LOOP_WEIGHT ** Math.min(around.length, DEEPEST);
  /** Operands whose bases are still as they were then, by key. */
  const known = new Map<string, { readonly register: number; readonly operand: Operand }>();
  const operands = node.insns.map((insn, i) => {
    const summary = node.summaries[i] as Summary;
    const base = summary.leaves ? undefined : baseOf(insn);
    let operand: Operand | undefined;
    if (base !== undefined) {
      const before = known.get(base.key)?.operand;
      const stays = inner !== undefined && (inner.moved & base.mask) === 0;
      const near = stays || before !== undefined;
      if (before !== undefined) before.useful = true;
      const { stores } = summary;
      operand = { key: base.key, how: near ? "check" : "fill", weight, stores, useful: near };
      known.set(base.key, { register: base.mask, operand });
    }
    const moved = movedBy(insn, summary);
    for (const [key, { register }] of known) if ((register & moved) !== 0) known.delete(key);
    return operand;
  });
  return operands.map((operand) => operand?.useful === true ? operand : undefined);
}

/** What an operand's address begins with; undefined: no memory operand, or the stack's, which has a cache anyway. */
function baseOf(insn: Described): { key: string; mask: number } | undefined {
  const { isMemory, addressForm: { hasIndex, segment } } = insn.form;
  if (!isMemory) return undefined;
  const { base, disp } = insn;
  const prefix = segment === "base" ? `${insn.segment} ` : "";
  if (base >= S.gpr && base < S.gpr + 16 * 8) {
    const register = (base - S.gpr) >> 3;
    if (register === RSP && !hasIndex && segment === "none") return undefined;
    return { key: `${prefix}r${register}`, mask: 1 << register };
  }
  // No register: the displacement says where.
  return { key: `${prefix}${base} ${Math.floor(disp / PAGE_SIZE)}`, mask: 0 };
}

/** Mask of the registers an instruction changes, but for small steps. */
function movedBy(insn: Described, summary: Summary): number {
  const { written } = registersOf(insn, summary);
  return written === 0 ? 0 : written & ~staysNear(insn);
}

function loopsOf(nodes: readonly PlannedNode[]): Loop[] {
  const loops = new Map<number, Loop>();
  for (const node of nodes) {
    for (const edge of [node.taken, node.fall]) {
      const header = edge && nodes[edge.to];
      if (header === undefined || header.address > node.address) continue;
      const known = loops.get(header.address);
      if (known !== undefined && known.to >= node.address) continue;
      loops.set(header.address, { from: header.address, to: node.address, moved: 0 });
    }
  }
  const all = [...loops.values()];
  for (const node of nodes) {
    const moved = node.insns.reduce((mask, insn, i) => mask | movedBy(insn, node.summaries[i] as Summary), 0);
    for (const loop of all) {
      if (loop.from <= node.address && node.address <= loop.to) loop.moved |= moved;
    }
  }
  return all;
}
