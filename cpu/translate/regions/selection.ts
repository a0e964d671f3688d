// SPDX-License-Identifier: MIT
/** Which blocks make a region: those around a hot or warm one that have run often enough, too. @module */
import { MAX_NODES } from "../../emit/region/structure.ts";
import { RECORD_RUNS } from "../../state/record.ts";
import type { Block } from "../blocks/block.ts";
import type { BlockCache } from "../blocks/block_cache.ts";
import { WARM_RUNS } from "../blocks/block_layout.ts";
import type { Modules } from "../handler_table.ts";
import { type Member, MemberFinder, type Target, waysFrom } from "./members.ts";

/**
 * Most blocks and instructions of a region. V8's time to optimize a function grows faster than its size: some 5 ms for
 * 300 instructions, 35 for 1,400, 150 for 3,500.
 */
const MOST_BLOCKS = 160, MOST_INSTRUCTIONS = 1000;

/** A region has blocks that handlers have run at least so often, or that regions have had. */
const LEAST_RUNS = WARM_RUNS / 8;
/**
 * A function of so many instructions that some region can be entered at is called there instead of copied: to go there and
 * back takes some 16 ns, a copy a millisecond of this thread, and several of V8's to optimize it.
 */
const LARGE_FUNCTION = 200;

/** A hot block, the blocks around it, and their instructions. */
export interface Selection {
  readonly root: Block;
  readonly linear: bigint;
  readonly members: readonly Member[];
  /** Instructions. */
  readonly size: number;
  readonly isWarm: boolean;
}

/** It is warm, or nobody counts how often it runs. */
function isFrequent({ isWarm, counting }: Block): boolean {
  return isWarm || counting === 0;
}
/** See the module's description. */
export class Selector {
  readonly #blocks: BlockCache;
  readonly #members: MemberFinder;
  readonly #isEntry: (at: number) => boolean;
  readonly #leastRuns: number;

  /** `isEntry`: whether some region is entered at a record, or will be. `leastRuns`: of blocks in regions, by handlers. */
  constructor(
    modules: Modules,
    blocks: BlockCache,
    isEntry: (at: number) => boolean,
    leastRuns: number = LEAST_RUNS,
  ) {
    this.#blocks = blocks;
    this.#members = new MemberFinder(modules, blocks);
    this.#isEntry = isEntry;
    this.#leastRuns = leastRuns;
  }

  /** The guest has run since the last selection. */
  begin(): void {
    this.#members.forget();
  }
  /** The blocks around `root`, nearest first; those that are rarer behind all that are warm. */
  select(root: Block, linear: bigint, isWarm: boolean): Selection {
    const members: Member[] = [];
    const seen = new Set([root]);
    const queue: Pick<Target, "block" | "linear">[] = [{ block: root, linear }], later: typeof queue = [];
    let size = 0, nodes = 0;
    for (let i = 0, j = 0;;) {
      const next = i < queue.length ? queue[i++] : later[j++];
      if (next === undefined) break;
      const member = this.#members.memberOf(next.block, next.linear);
      if (member === undefined) continue;
      const more = member.insns.length, { parts } = member;
      if (members.length > 0 && (size + more > MOST_INSTRUCTIONS || nodes + parts > MAX_NODES)) break;
      size += more;
      nodes += parts;
      members.push(member);
      if (members.length === MOST_BLOCKS) break;
      for (const target of waysFrom(member)) {
        if (seen.has(target.block)) continue;
        if (isWarm && this.#isEntry(target.block.start) || !this.#hasRun(target.block)) continue;
        const isCalled = member.after !== undefined && target !== member.after;
        if (isCalled && this.#isEntry(target.block.start) && this.#isLarge(target)) continue;
        seen.add(target.block);
        (isFrequent(target.block) ? queue : later).push(target);
      }
    }
    return { root, linear, members, size, isWarm };
  }
  /** LARGE_FUNCTION instructions or more that have run can be reached from here. */
  #isLarge(target: Target): boolean {
    const seen = new Set([target.block]), queue = [target];
    let size = 0;
    for (const { block, linear } of queue) {
      const member = this.#members.memberOf(block, linear);
      if (member === undefined) continue;
      size += member.insns.length;
      if (size >= LARGE_FUNCTION) return true;
      for (const next of waysFrom(member)) {
        if (seen.has(next.block) || !this.#hasRun(next.block)) continue;
        seen.add(next.block);
        queue.push(next);
      }
    }
    return false;
  }
  /** Whether a block has been run often enough to be in a region. */
  #hasRun(block: Block): boolean {
    if (isFrequent(block)) return true;
    return WARM_RUNS - this.#blocks.view.getUint16(block.counting + RECORD_RUNS, true) >= this.#leastRuns;
  }
}
