// SPDX-License-Identifier: MIT
/** What a block consists of and where it leads, as regions want to know it. @module */
import { PAGE_MASK, PAGE_SIZE } from "../../base/bits.ts";
import type { Instruction } from "../../decode/instruction.ts";
import type { Facts } from "../../emit/facts.ts";
import type { Crossing } from "../../emit/region/region_frame.ts";
import { summarize, type Summary } from "../../emit/region/summary.ts";
import {
  H_GOTO,
  record,
  RECORD_BYTES,
  RECORD_FALL,
  RECORD_GOES_HOST,
  RECORD_TAKEN,
} from "../../state/record.ts";
import type { Block } from "../blocks/block.ts";
import type { BlockCache } from "../blocks/block_cache.ts";
import type { Modules } from "../handler_table.ts";
import { isDirectBranch } from "../shapes.ts";

/** Blocks whose code is remembered: some kilobyte each. */
const MOST_CODES = 4096;

/** The instructions of a block. */
interface Code {
  readonly insns: readonly Instruction[];
  readonly facts: readonly Facts[];
  readonly summaries: readonly Summary[];
  /** Most nodes that it becomes: it is cut behind each instruction that always leaves the region. */
  readonly parts: number;
}

/** What selection knows of a block. */
export interface Member extends Code {
  readonly block: Block;
  /** Linear address of its page, as the region was found. */
  readonly linear: bigint;
  readonly taken: Target | undefined;
  readonly fall: Target | undefined;
  /** Where it returns to, when it ends with a call. */
  readonly after: Target | undefined;
  /** Where its computed branch went last. */
  readonly computed: Target | undefined;
}

/** A block that another one goes to. */
export interface Target {
  readonly block: Block;
  readonly linear: bigint;
  readonly crossing: Crossing | undefined;
}

/** All ways from a block, in the order in which a region grows along them. */
export function waysFrom({ taken, fall, computed, after }: Member): readonly Target[] {
  const ways: Target[] = [];
  if (taken !== undefined) ways.push(taken);
  if (fall !== undefined) ways.push(fall);
  if (computed !== undefined) ways.push(computed);
  if (after !== undefined) ways.push(after);
  return ways;
}

/** See the module's description. */
export class MemberFinder {
  readonly #modules: Modules;
  readonly #blocks: BlockCache;
  /** What was found since the last forget(). */
  readonly #known = new Map<Block, Member | undefined>();
  /** Code of blocks that was looked at: most are looked at again, and a block whose code changes is no more. */
  readonly #codes = new Map<Block, Code>();

  constructor(modules: Modules, blocks: BlockCache) {
    this.#modules = modules;
    this.#blocks = blocks;
  }

  /** The guest has run: code, and where branches went, may be other than they were. */
  forget(): void {
    this.#known.clear();
  }

  /** What a block is whose page has the address `linear`; undefined: its code cannot be decoded any more. */
  memberOf(block: Block, linear: bigint): Member | undefined {
    let member = this.#known.get(block);
    if (member === undefined || member.linear !== linear) {
      this.#known.set(block, member = this.#find(block, linear));
    }
    return member;
  }
  #codeOf(block: Block): Code {
    let code = this.#codes.get(block);
    if (code !== undefined) return code;
    const insns = this.#blocks.instructionsOf(block);
    const facts: Facts[] = [], summaries: Summary[] = [];
    let parts = 1;
    for (const insn of insns) {
      const shape = this.#modules.shapeOf(insn), summary = shape.summary ??= summarize(insn);
      facts.push(shape.facts);
      summaries.push(summary);
      if (summary.leaves) parts++;
    }
    code = { insns, facts, summaries, parts };
    if (insns.length === 0) return code;
    if (this.#codes.size === MOST_CODES) this.#codes.clear();
    this.#codes.set(block, code);
    return code;
  }
  #find(block: Block, linear: bigint): Member | undefined {
    const { insns, facts, summaries, parts } = this.#codeOf(block);
    const last = insns[insns.length - 1];
    if (last === undefined) return undefined;
    const at = (offset: number, way?: number) => this.#target(block, linear, offset, way);
    const end = last.poff + last.length;
    const behind = block.start + (insns.length + (block.secondHost === 0 ? 0 : 1)) * RECORD_BYTES;
    const own = behind - RECORD_BYTES;
    const way = (field: number) => this.#blocks.view.getUint32(own + field, true);
    let taken: Target | undefined, fall: Target | undefined, after: Target | undefined;
    let computed: Target | undefined;
    if (!(facts[facts.length - 1] as Facts).ends) {
      if (last.row.options.shadow === undefined) fall = at(end, behind);
    } else if (isDirectBranch(last)) {
      taken = at(end + last.immLow, way(RECORD_TAKEN));
      if (last.row.text.startsWith("CALL")) after = at(end);
      else if (!last.row.text.startsWith("JMP")) fall = at(end, way(RECORD_FALL));
    } else {
      if (/^(JMP|CALL) r\/m$/.test(last.row.text)) computed = this.#computedTarget(block, own);
      if (!last.row.text.startsWith("JMP")) after = at(end);
    }
    return { block, linear, insns, facts, summaries, parts, taken, fall, after, computed };
  }

  /**
   * What stands at an offset from the start of a member's page, if it has run and its page is known. A record `way` with
   * H_GOTO tells where handlers went last; the TLB tells what is mapped now, when perhaps another program runs.
   */
  #target(member: Block, linear: bigint, offset: number, way = 0): Target | undefined {
    const distance = Math.floor(offset / PAGE_SIZE) * PAGE_SIZE;
    const own = member.host - (member.host & PAGE_MASK);
    if (distance === 0) {
      const block = this.#blocks.find(own + offset, member);
      return block && { block, linear, crossing: undefined };
    }
    const wide = linear + BigInt(distance);
    const to = member.mode.codeBits === 64 ? BigInt.asUintN(64, wide) : BigInt.asUintN(32, wide);
    const page = this.#pageBehind(way) || this.#blocks.codePageAt(to);
    const block = page === 0 ? undefined : this.#blocks.find(page + offset - distance, member);
    return block && { block, linear: to, crossing: { distance, page } };
  }

  /** Page of the code that handlers went to last by the record `way`; 0: they did not, or it leads to no other page. */
  #pageBehind(way: number): number {
    const { view } = this.#blocks;
    if (way === 0 || view.getUint32(way + record.at.handler, true) !== H_GOTO) return 0;
    const host = view.getUint32(way + RECORD_GOES_HOST, true);
    return host - (host & PAGE_MASK);
  }

  /** Where the branch at the record `own` of a block went last, in flat code: see Emit.jump. */
  #computedTarget(member: Block, own: number): Target | undefined {
    const rip = this.#blocks.view.getBigUint64(own + record.at.imm, true);
    const poff = Number(rip & BigInt(PAGE_MASK)), linear = rip - BigInt(poff);
    const page = this.#blocks.codePageAt(linear);
    const block = page === 0 ? undefined : this.#blocks.find(page + poff, member);
    return block && { block, linear, crossing: undefined };
  }
}
