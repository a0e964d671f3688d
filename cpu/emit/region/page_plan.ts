// SPDX-License-Identifier: MIT
/**
 * Which memory operands of a region are worth a page cache: the page that was accessed last through a base register
 * (cpu/emit/region/region_emit.ts). That pays where a base stays near: within a loop that changes it by small
 * steps only. Random access through an index loses some. Elsewhere an access finds its page in the TLB, unless one before
 * it with the same base has found the same one: those share.
 *
 * All of this is guessing: what is guessed wrong costs time, never correctness.
 * @module
 */
import { PAGE_SIZE } from "../../base/bits.ts";
import { REGION_PAGE_COUNT, S, segmentLayout } from "../../state/state.ts";
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

/** Operands with the same key share the page that one of them has found, until a register in `mask` moves. */
export interface SharedPage {
  readonly how: "shared";
  readonly key: number;
  readonly mask: number;
}
/** How an operand finds its page: by a cache, which has a number (see REGION_PAGES), or in the TLB. */
export type PageUse = { readonly how: "cache"; readonly number: number } | SharedPage;

/** Number of the cache that accesses to the stack have in all regions. */
export const STACK_PAGE = 0;
const WRITTEN_PAGES = REGION_PAGE_COUNT / 2;
/** Whether something may be stored through a cache. */
export function mayBeWritten(number: number): boolean {
  return number < WRITTEN_PAGES;
}

/** The plan of a region. */
export interface PagePlan {
  /** By node and instruction. */
  readonly uses: readonly (readonly (PageUse | undefined)[])[];
  /** By node and instruction: mask of the registers that it changes by more than small steps. */
  readonly moved: readonly (readonly number[])[];
}

/** Most caches of a region, besides the stack's. */
const MOST_CACHES = 9;
/** Weights of operands, by the loops around them. */
const WEIGHTS = [1, 8, 64, 512];

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
  const loops = loopsOf(nodes, moved), near: NearOperand[] = [];
  const uses = nodes.map((node) => usesOf(node, loops, near));
  if (near.length > 0) giveCaches(near);
  return { uses, moved };
}

/** Gives a cache to those operands that are worth one. */
function giveCaches(near: readonly NearOperand[]): void {
  const weights = new Map<number, number>(), written = new Set<number>();
  for (const { key, weight, stores } of near) {
    weights.set(key, (weights.get(key) ?? 0) + weight);
    if (stores) written.add(key);
  }
  const caches = new Map<number, PageUse>(), taken = new Set([STACK_PAGE]);
  for (const [key] of [...weights].sort(([, a], [, b]) => b - a).slice(0, MOST_CACHES)) {
    caches.set(key, { how: "cache", number: numberFor(key, written.has(key), taken) });
  }
  for (const { uses, at, key } of near) uses[at] = caches.get(key) ?? uses[at];
}

/** A cache that is not taken: the same one for the same base in all regions, if it can be, for they share them. */
function numberFor(key: number, isWritten: boolean, taken: Set<number>): number {
  const first = isWritten ? 0 : WRITTEN_PAGES;
  let place = Math.floor(key / 8) % WRITTEN_PAGES;
  while (taken.has(first + place)) place = (place + 1) % WRITTEN_PAGES;
  taken.add(first + place);
  return first + place;
}

/** An operand whose base changes by small steps only in the loop around it. */
interface NearOperand {
  /** Its place in the plan. */
  readonly uses: (PageUse | undefined)[];
  readonly at: number;
  /** Operands with the same key share a cache. */
  readonly key: number;
  readonly weight: number;
  readonly stores: boolean;
}

/** How the operands of a node find their pages without a cache; those that may have one go to `near`. */
function usesOf(node: PlannedNode, loops: readonly Loop[], near: NearOperand[]): (PageUse | undefined)[] {
  let inner: Loop | undefined, depth = 0;
  for (const loop of loops) {
    if (node.address < loop.from || node.address > loop.to) continue;
    depth++;
    if (inner === undefined || loop.to - loop.from < inner.to - inner.from) inner = loop;
  }
  const weight = WEIGHTS[Math.min(depth, WEIGHTS.length - 1)] as number;
  const uses: (PageUse | undefined)[] = [];
  for (let at = 0; at < node.insns.length; at++) {
    const insn = node.insns[at] as Described, { leaves, stores } = node.summaries[at] as Summary;
    const key = leaves || !insn.form.isMemory ? NO_KEY : keyOf(insn);
    if (key === NO_KEY) {
      uses.push(undefined);
      continue;
    }
    const base = key < REGISTER_KEYS ? 1 << (key >> 3) : 0;
    uses.push(sharedBy(insn, key, base));
    if (inner !== undefined && (inner.moved & base) === 0) near.push({ uses, at, key, weight, stores });
  }
  return uses;
}

/** An index far from that of another access leads elsewhere: only those with the same share. */
function sharedBy({ form, index }: Described, key: number, base: number): SharedPage {
  const number = form.addressForm.hasIndex ? (index - S.gpr) >> 3 : -1;
  return { how: "shared", key: key * 17 + number + 1, mask: number < 0 ? base : base | 1 << number };
}

const NO_KEY = -1, REGISTER_KEYS = 16 << 3;
/** More than there are pages of displacements in either direction, and more than a base is. */
const MANY = 1 << 20;

/**
 * What an operand's address begins with, as a number: a segment with a base or none, and a register, or without one the
 * page that the displacement names. NO_KEY: the stack's, which has a cache anyway.
 */
function keyOf({ form: { addressForm: { hasIndex, segment } }, base, disp, segment: at }: Described): number {
  const prefix = segment !== "none" ? 1 + (at - S.es) / segmentLayout.size : 0;
  if (base >= S.gpr && base < S.gpr + 16 * 8) {
    const register = (base - S.gpr) >> 3;
    if (register === RSP && !hasIndex && segment === "none") return NO_KEY;
    return register * 8 + prefix;
  }
  return REGISTER_KEYS + ((Math.floor(disp / PAGE_SIZE) + MANY) * MANY + base) * 8 + prefix;
}

/** For each instruction the mask of the registers it changes, but for small steps. */
function movedIn({ insns, summaries }: PlannedNode): number[] {
  const moved: number[] = [];
  for (let i = 0; i < insns.length; i++) {
    const insn = insns[i] as Described, summary = summaries[i] as Summary;
    const written = writtenBy(insn, summary);
    moved.push(written === 0 ? 0 : written & ~writtenNearby(insn, summary));
  }
  return moved;
}

function loopsOf(nodes: readonly PlannedNode[], moved: readonly (readonly number[])[]): Loop[] {
  const loops = new Map<number, Loop>();
  const add = ({ address }: PlannedNode, edge: PlannedNode["taken"]) => {
    const header = edge === undefined ? undefined : nodes[edge.to];
    if (header === undefined || header.address > address) return;
    const known = loops.get(header.address);
    if (known !== undefined && known.to >= address) return;
    loops.set(header.address, { from: header.address, to: address, moved: 0 });
  };
  for (const node of nodes) {
    add(node, node.taken);
    add(node, node.fall);
  }
  const all = [...loops.values()];
  if (all.length === 0) return all;
  for (let at = 0; at < nodes.length; at++) {
    const { address } = nodes[at] as PlannedNode;
    let mask = 0;
    for (const registers of moved[at] as readonly number[]) mask |= registers;
    for (const loop of all) if (loop.from <= address && address <= loop.to) loop.moved |= mask;
  }
  return all;
}
