// SPDX-License-Identifier: MIT
/**
 * The regions of one CPU: which blocks make one, and when it goes. A region grows from a hot or warm block along branches
 * and calls to blocks that have run often, too. Its entries are the block, loop headers,
 * functions that are called, what calls return to, and what stands behind an instruction that always leaves; at their
 * records the region's function is the handler.
 *
 * Writing to the code of any of its blocks ends a region: its entries get their own handlers back. That is all, because
 * a running region has been left by the time the write happens (cpu/emit/region/region_emit.ts). When regions take too
 * much memory those of older modules end as well that samples have hardly found: what still runs gets another one.
 * @module
 */
import type { Instruction } from "../decode/instruction.ts";
import { PAGE_MASK, PAGE_SIZE } from "../base/bits.ts";
import { compileRegion, type Edge, type RegionNode } from "../emit/region/compile_region.ts";
import type { Crossing, Neighbour } from "../emit/region/region_frame.ts";
import { summarize, type Summary } from "../emit/region/summary.ts";
import type { Facts } from "../emit/facts.ts";
import {
  H_COVERED,
  H_GOTO,
  record,
  RECORD_BYTES,
  RECORD_FALL,
  RECORD_GOES_HOST,
  RECORD_RUNS,
  RECORD_TAKEN,
} from "../state/record.ts";
import { NO_ENTRY, REGION_STATES } from "../state/state.ts";
import type { Block } from "./block.ts";
import type { BlockCache } from "./block_cache.ts";
import { immediate, WARM_RUNS } from "./block_layout.ts";
import { CodeRoom, MOST_CODE_BYTES } from "./limits/code_room.ts";
import type { Modules } from "./handler_table.ts";
import { isDirectBranch } from "./shapes.ts";

/**
 * Most nodes and instructions of a region. V8's time to optimize a function grows faster than its size: some 5 ms for
 * 300 instructions, 35 for 1,400, 150 for 3,500.
 */
const MOST_NODES = 120, MOST_INSTRUCTIONS = 1000;

/** A region has blocks that handlers have run at least so often, or that regions have had. */
const LEAST_RUNS = WARM_RUNS / 8;
/**
 * A warm block's region has so many instructions, or is made when the block is warm for the second time, or later, the
 * smaller it is: entering and making a region cost something however small it is.
 */
const WARM_SIZE = 32;
/** Runs by handlers after which a block that some region has is warm once more, since regions are not entered at it. */
const RUNS_OF_MEMBER = 2 * WARM_RUNS;
/**
 * A function of so many instructions that some region can be entered at is called there instead of copied: to go there and
 * back takes some 16 ns, a copy a millisecond of this thread, and several of V8's to optimize it.
 */
const LARGE_FUNCTION = 100;
/** Most records where a region is entered: which one it is, is a byte (REGION_STATES). */
const MOST_ENTRIES = NO_ENTRY;

/** A compiled region. */
interface Region {
  readonly slot: number;
  /** It is of a warm block (see HotBlock), and one of a hot block would have more. */
  isWarm: boolean;
  readonly blocks: readonly Block[];
  readonly entries: readonly number[];
}

/** What selection knows of a block. */
interface Member {
  readonly block: Block;
  readonly insns: readonly Instruction[];
  readonly facts: readonly Facts[];
  readonly summaries: readonly Summary[];
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
interface Target {
  readonly block: Block;
  readonly linear: bigint;
  readonly crossing: Crossing | undefined;
}

/** A hot block, the blocks around it, and their instructions. */
interface Selection {
  readonly root: Block;
  readonly linear: bigint;
  readonly members: readonly Member[];
  /** Instructions. */
  readonly size: number;
  readonly isWarm: boolean;
}

/** A hot block, and the linear address of its page. */
export interface HotBlock {
  readonly block: Block;
  readonly linear: bigint;
  /**
   * Handlers have run it WARM_RUNS times; it was not found by samples, as (part of) a loop. Its region ends where others
   * can be entered.
   */
  readonly isWarm?: boolean;
}

/** See the module's description. */
export class Regions {
  /** Regions compiled, and ended because their code changed, or for want of room. */
  compiled = 0;
  ended = 0;
  evicted = 0;
  /** Instructions of all regions that were compiled. */
  codeInstructions = 0;
  readonly #modules: Modules;
  readonly #blocks: BlockCache;
  readonly #leastRuns: number;
  readonly #regions = new Map<Block, Set<Region>>();
  readonly #all = new Set<Region>();
  readonly #room: CodeRoom<Region>;
  /** Of the batch that is being made: blocks that a region has, and records where one will be entered. */
  readonly #claimed = new Set<Block>();
  readonly #entered = new Set<number>();
  /** Handlers that region functions stand in for, by record. */
  readonly #originals = new Map<number, number>();

  /** `leastRuns`: of blocks in regions, by handlers; `mostBytes`: of code, by estimate. */
  constructor(
    modules: Modules,
    blocks: BlockCache,
    { leastRuns = LEAST_RUNS, mostBytes = MOST_CODE_BYTES }: { leastRuns?: number; mostBytes?: number } = {},
  ) {
    this.#leastRuns = leastRuns;
    this.#room = new CodeRoom(
      mostBytes,
      ({ blocks }) => blocks.reduce((looks, block) => looks + block.looks, 0),
    );
    this.#modules = modules;
    this.#blocks = blocks;
    blocks.onForget = (block) => this.#regions.get(block)?.forEach((region) => this.#end(region));
    blocks.onReset = () => {
      for (const region of this.#all) modules.slots.give(region.slot);
      this.#all.clear();
      this.#room.clear();
      this.#regions.clear();
      this.#originals.clear();
    };
  }

  /** Regions there are. */
  get live(): number {
    return this.#all.size;
  }
  /** Bytes of memory that they take, by estimate. */
  get bytes(): number {
    return this.#room.bytes;
  }
  /** Whether some region has the block's code. */
  has(block: Block): boolean {
    return this.#regions.has(block);
  }
  /** Whether some hot block's region has it. */
  isInHot(block: Block): boolean {
    for (const { isWarm } of this.#regions.get(block) ?? []) if (!isWarm) return true;
    return false;
  }

  /** Whether some region has both. */
  together(one: Block, other: Block): boolean {
    return [...this.#regions.get(one) ?? []].some((region) => region.blocks.includes(other));
  }

  /**
   * Compiles regions around blocks into one module; how many. A hot block that a larger region of another one has is an
   * entry there, and gets none of its own. Warm ones are the other way round: a block that is entered first is warm first,
   * and those that its region has are not entries, since warm is all of a path and all of a loop.
   */
  compile(hot: readonly HotBlock[]): number {
    const open = this.#modules.open();
    const wanted = new Set(hot.flatMap(({ block, isWarm }) => isWarm === true ? [] : [block]));
    this.#claimed.clear();
    this.#entered.clear();
    const made: { region: Region; nodes: readonly RegionNode[] }[] = [];
    const before = this.codeInstructions;
    for (const { root, linear, members, isWarm } of this.#selectAll(hot)) {
      if (!isWarm && root.samples < 0) continue;
      if (!isWarm) {
        root.samples = -1;
        if (this.#isAsGood(root, members)) continue;
      }
      const { nodes, entries } = this.#nodesOf(members, linear, wanted);
      if (entries.length === 0) continue;
      const slot = this.#modules.slots.take();
      if (slot === undefined) {
        this.#modules.starved = true;
        break;
      }
      const compiled = compileRegion(nodes, entries, slot, open.links);
      open.module.addFunction(open.links.handlerType, compiled.body, { place: { slot } });
      const region = {
        slot,
        isWarm,
        blocks: members.map((m) => m.block),
        entries: compiled.entries.slice(0, MOST_ENTRIES).map((node) => (nodes[node] as RegionNode).start),
      };
      made.push({ region, nodes });
      for (const { insns } of nodes) this.codeInstructions += insns.length;
      this.#claim(region);
    }
    if (made.length === 0) return 0;
    this.#modules.instantiate(open);
    for (const { region } of made) this.#install(region);
    this.compiled += made.length;
    this.#room.add(made.map(({ region }) => region), this.codeInstructions - before);
    this.#makeRoom();
    return made.length;
  }

  #makeRoom(): void {
    for (let old = this.#room.excess(); old.length > 0; old = this.#room.excess()) {
      for (const region of old) this.#end(region);
      this.evicted += old.length;
      this.ended -= old.length;
    }
  }

  /** The region that is entered at `root` is a warm block's, but has all these. */
  #isAsGood(root: Block, members: readonly Member[]): boolean {
    const slot = this.#blocks.view.getUint32(root.start + record.at.handler, true);
    for (const region of this.#regions.get(root) ?? []) {
      if (region.slot !== slot || region.blocks.length < members.length) continue;
      if (members.some(({ block }) => !region.blocks.includes(block))) return false;
      region.isWarm = false;
      return true;
    }
    return false;
  }

  #claim(region: Region): void {
    const { view } = this.#blocks;
    this.#all.add(region);
    for (const at of region.entries) this.#entered.add(at);
    for (const block of region.blocks) {
      this.#claimed.add(block);
      block.isWarm = true;
      if (block.counting !== 0) view.setUint16(block.counting + RECORD_RUNS, RUNS_OF_MEMBER, true);
      if (!region.isWarm && region.entries.includes(block.start)) block.samples = -1;
      const list = this.#regions.get(block);
      if (list === undefined) this.#regions.set(block, new Set([region]));
      else list.add(region);
    }
  }

  #install(region: Region): void {
    const { view } = this.#blocks;
    region.entries.forEach((at, state) => {
      if (!this.#originals.has(at)) this.#originals.set(at, this.#handlerOf(at));
      view.setUint32(at + record.at.handler, region.slot, true);
      view.setUint8(REGION_STATES + (at >>> 5), state);
    });
  }

  /** The handler of a record without regions. */
  #handlerOf(at: number): number {
    return this.#originals.get(at) ?? this.#blocks.view.getUint32(at + record.at.handler, true);
  }

  #end(region: Region): void {
    this.ended++;
    this.#all.delete(region);
    this.#room.delete(region);
    this.#modules.slots.give(region.slot);
    const { view } = this.#blocks;
    for (const at of region.entries) {
      if (view.getUint32(at + record.at.handler, true) !== region.slot) continue; // another region's now
      view.setUint32(at + record.at.handler, this.#originals.get(at) as number, true);
      view.setUint8(REGION_STATES + (at >>> 5), NO_ENTRY);
      this.#originals.delete(at);
    }
    for (const block of region.blocks) {
      const list = this.#regions.get(block);
      list?.delete(region);
      if (list?.size === 0) {
        this.#regions.delete(block);
        block.samples = 0;
      }
    }
  }

  /** What each block can have a region of: hot ones, most instructions first, then warm ones that none of these has. */
  *#selectAll(hot: readonly HotBlock[]): Generator<Selection> {
    const found: Selection[] = [];
    for (const { block, linear, isWarm } of hot) {
      if (isWarm !== true && block.samples >= 0 && this.#canHaveRegion(block)) {
        found.push(this.#select(block, linear, false));
      }
    }
    yield* found.sort((a, b) => b.size - a.size);
    for (const { block, linear, isWarm } of hot) {
      if (isWarm !== true || this.#claimed.has(block) || !this.#canHaveRegion(block)) continue;
      // What handlers run of it comes after a region was left within it: no other region would change that.
      if (this.#originals.has(block.start)) continue;
      const selection = this.#select(block, linear, true);
      if (++block.timesWarm * selection.size >= WARM_SIZE) yield selection;
      else this.#blocks.view.setUint16(block.counting + RECORD_RUNS, WARM_RUNS, true);
    }
  }
  #canHaveRegion(block: Block): boolean {
    if (this.#blocks.blockAt(block.start) !== block) return false;
    const can = block.mode.flat && block.mode.codeBits !== 16;
    if (!can) block.samples = -1;
    return can;
  }

  /** The blocks around `root`, nearest first. */
  #select(root: Block, linear: bigint, isWarm: boolean): Selection {
    const members: Member[] = [];
    const seen = new Set([root]);
    const queue: { readonly block: Block; readonly linear: bigint }[] = [{ block: root, linear }];
    let size = 0;
    for (const next of queue) {
      const member = this.#memberOf(next.block, next.linear);
      if (member === undefined) continue;
      if (members.length > 0 && size + member.insns.length > MOST_INSTRUCTIONS) break;
      size += member.insns.length;
      members.push(member);
      if (members.length === MOST_NODES) break;
      for (const target of [member.taken, member.fall, member.computed, member.after]) {
        if (target === undefined || seen.has(target.block)) continue;
        if (isWarm && this.#isEntry(target.block.start) || !this.#hasRun(target.block)) continue;
        const isCalled = member.after !== undefined && target !== member.after;
        if (isCalled && this.#isEntry(target.block.start) && this.#isLarge(target)) continue;
        seen.add(target.block);
        queue.push(target);
      }
    }
    return { root, linear, members, size, isWarm };
  }
  /** LARGE_FUNCTION instructions or more that have run can be reached from here. */
  #isLarge(target: Target): boolean {
    const seen = new Set([target.block]), queue = [target];
    let size = 0;
    for (const { block, linear } of queue) {
      const member = this.#memberOf(block, linear);
      if (member === undefined) continue;
      size += member.insns.length;
      if (size >= LARGE_FUNCTION) return true;
      for (const next of [member.taken, member.fall, member.computed, member.after]) {
        if (next === undefined || seen.has(next.block) || !this.#hasRun(next.block)) continue;
        seen.add(next.block);
        queue.push(next);
      }
    }
    return false;
  }
  #isEntry(at: number): boolean {
    return this.#originals.has(at) || this.#entered.has(at);
  }
  /** Whether a block has been run often enough to be in a region. */
  #hasRun(block: Block): boolean {
    if (block.isWarm || block.counting === 0) return true;
    return WARM_RUNS - this.#blocks.view.getUint16(block.counting + RECORD_RUNS, true) >= this.#leastRuns;
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

  /** Where the branch that is instruction `i` of a block went last, in flat code: see Emit.jump. */
  #computedTarget(member: Block, i: number): Target | undefined {
    const { view } = this.#blocks;
    const own = i + (member.secondHost === 0 ? 0 : 1);
    const rip = view.getBigUint64(member.start + own * RECORD_BYTES + record.at.imm, true);
    const poff = Number(rip & BigInt(PAGE_MASK)), linear = rip - BigInt(poff);
    const page = this.#blocks.codePageAt(linear);
    const block = page === 0 ? undefined : this.#blocks.find(page + poff, member);
    return block && { block, linear, crossing: undefined };
  }

  #memberOf(block: Block, linear: bigint): Member | undefined {
    const insns = this.#blocks.instructionsOf(block);
    const last = insns[insns.length - 1];
    if (last === undefined) return undefined;
    const facts: Facts[] = [], summaries: Summary[] = [];
    for (const insn of insns) {
      const shape = this.#modules.shapeOf(insn);
      facts.push(shape.facts);
      summaries.push(shape.summary ??= summarize(insn));
    }
    const at = (offset: number, way?: number) => this.#target(block, linear, offset, way);
    const end = last.poff + last.length;
    const behind = block.start + (insns.length + (block.secondHost === 0 ? 0 : 1)) * RECORD_BYTES;
    const way = (field: number) => this.#blocks.view.getUint32(behind - RECORD_BYTES + field, true);
    let taken: Target | undefined, fall: Target | undefined, after: Target | undefined;
    let computed: Target | undefined;
    if (!(facts[facts.length - 1] as Facts).ends) {
      if (last.row.options.shadow === undefined) fall = at(end, behind);
    } else if (isDirectBranch(last)) {
      taken = at(end + Number(immediate(last)), way(RECORD_TAKEN));
      if (last.row.text.startsWith("CALL")) after = at(end);
      else if (!last.row.text.startsWith("JMP")) fall = at(end, way(RECORD_FALL));
    } else {
      if (/^(JMP|CALL) r\/m$/.test(last.row.text)) computed = this.#computedTarget(block, insns.length - 1);
      if (!last.row.text.startsWith("JMP")) after = at(end);
    }
    return { block, linear, insns, facts, summaries, taken, fall, after, computed };
  }

  /** Blocks cut behind instructions that always leave; those in `wanted` are entries. */
  #nodesOf(
    members: readonly Member[],
    linear: bigint,
    wanted: ReadonlySet<Block>,
  ): { nodes: RegionNode[]; entries: number[] } {
    const nodes: RegionNode[] = [];
    const first = new Map<Block, number>();
    const entries = new Set<number>();
    const parts = members.map((member) => {
      first.set(member.block, nodes.length);
      const cuts = [0];
      member.summaries.forEach((summary, i) => {
        const next = i + 1;
        if (!summary.leaves || next === member.insns.length) return;
        if (this.#handlerOf(member.block.start + next * RECORD_BYTES) !== H_COVERED) cuts.push(next);
      });
      cuts.forEach(() => nodes.push(undefined as unknown as RegionNode));
      return cuts;
    });
    const nodeOf = (target: Target | undefined) => target && first.get(target.block);
    const edge = (target: Target | undefined): Edge | undefined => {
      const to = nodeOf(target);
      return to === undefined ? undefined : { to, crossing: target?.crossing };
    };
    const neighbour = (target: Target | undefined): Neighbour | undefined =>
      target === undefined || first.has(target.block) ? undefined : neighbourAt(target.block);
    const called: Block[] = [], returned: Block[] = [];
    members.forEach((member, m) => {
      const { block, insns, facts, summaries } = member;
      const cuts = parts[m] as number[];
      const base = first.get(block) as number;
      cuts.forEach((from, part) => {
        const to = cuts[part + 1] ?? insns.length;
        const isLast = to === insns.length && summaries[to - 1]?.leaves !== true;
        const start = block.start + from * RECORD_BYTES;
        nodes[base + part] = {
          start,
          handler: this.#handlerOf(start),
          insns: insns.slice(from, to),
          facts: facts.slice(from, to),
          summaries: summaries.slice(from, to),
          secondHost: block.secondHost,
          count: insns.length,
          taken: isLast ? edge(member.taken) : undefined,
          fall: isLast ? edge(member.fall) : undefined,
          takenNeighbour: isLast ? neighbour(member.taken) : undefined,
          fallNeighbour: isLast ? neighbour(member.fall) : undefined,
          page: block.host - (block.host & PAGE_MASK),
          after: isLast ? nodeOf(member.after) : undefined,
          computed: isLast ? nodeOf(member.computed) : undefined,
          returns: isLast && /^RET( imm16)?$/.test(insns[to - 1]?.row.text ?? ""),
          address: Number(BigInt.asIntN(64, member.linear - linear)) + (insns[from] as Instruction).poff,
        };
        if (part > 0 || m === 0 || wanted.has(block)) entries.add(base + part);
      });
      if (member.computed !== undefined) called.push(member.computed.block);
      if (member.after !== undefined) {
        returned.push(member.after.block);
        if (member.taken !== undefined) called.push(member.taken.block);
      }
    });
    for (const block of [...called, ...returned]) {
      const node = first.get(block);
      if (node !== undefined) entries.add(node);
    }
    // Entering for an instruction that leaves at once is a waste.
    const useful = [...entries].filter((n) => (nodes[n] as RegionNode).summaries[0]?.leaves !== true);
    return { nodes, entries: useful };
  }
}

function neighbourAt({ start, host }: Block): Neighbour {
  return { record: start, page: host - (host & PAGE_MASK) };
}
