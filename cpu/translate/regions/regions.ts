// SPDX-License-Identifier: MIT
/**
 * The regions of one CPU: when one is made, and when it goes. A region grows from a hot or warm block along branches and
 * calls to blocks that have run often, too (selection.ts). Its entries are the block, loop headers, functions that are
 * called, what calls return to, and what stands behind an instruction that always leaves (nodes.ts); at their records the
 * region's function is the handler.
 *
 * Writing to the code of any of its blocks ends a region: its entries get their own handlers back. That is all, because
 * a running region has been left by the time the write happens (cpu/emit/region/region_emit.ts). When regions take too
 * much memory those of older modules end as well that samples have hardly found: what still runs gets another one.
 * @module
 */
import { compileRegion, type RegionNode } from "../../emit/region/compile_region.ts";
import { NO_ENTRY, record, RECORD_ENTRY, RECORD_RUNS } from "../../state/record.ts";
import type { Block } from "../blocks/block.ts";
import type { BlockCache } from "../blocks/block_cache.ts";
import { WARM_RUNS } from "../blocks/block_layout.ts";
import type { Modules, OpenModule } from "../handler_table.ts";
import { CodeRoom, MOST_CODE_BYTES } from "./code_room.ts";
import type { Member } from "./members.ts";
import { nodesOf } from "./nodes.ts";
import { type Selection, Selector } from "./selection.ts";

/**
 * A warm block's region has so many instructions, or is made when the block is warm for the second time, or later, the
 * smaller it is: entering and making a region cost something however small it is.
 */
const WARM_SIZE = 32;
/** Runs by handlers after which a block that some region has is warm once more, since regions are not entered at it. */
const RUNS_OF_MEMBER = 2 * WARM_RUNS;
/** Most records where a region is entered: which one it is, is a byte (RECORD_ENTRY). */
const MOST_ENTRIES = NO_ENTRY;

/** A compiled region. */
interface Region {
  readonly slot: number;
  /** It is of a warm block (see HotBlock), and one of a hot block would have more. */
  isWarm: boolean;
  readonly blocks: readonly Block[];
  readonly entries: readonly number[];
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
  readonly #selector: Selector;
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
    { leastRuns, mostBytes = MOST_CODE_BYTES }: {
      readonly leastRuns?: number;
      readonly mostBytes?: number;
    } = {},
  ) {
    this.#selector = new Selector(modules, blocks, (at) => this.#isEntry(at), leastRuns);
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
    let open: OpenModule | undefined;
    const wanted = new Set(hot.flatMap(({ block, isWarm }) => isWarm === true ? [] : [block]));
    this.#selector.begin();
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
      const { nodes, entries } = nodesOf(members, linear, wanted, (at) => this.#handlerOf(at));
      if (entries.length === 0) continue;
      const slot = this.#modules.slots.take();
      if (slot === undefined) {
        this.#modules.starved = true;
        break;
      }
      open ??= this.#modules.open();
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
    if (open === undefined) return 0;
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
      view.setUint8(at + RECORD_ENTRY, state);
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
      view.setUint8(at + RECORD_ENTRY, NO_ENTRY);
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
        found.push(this.#selector.select(block, linear, false));
      }
    }
    yield* found.sort((a, b) => b.size - a.size);
    for (const { block, linear, isWarm } of hot) {
      if (isWarm !== true || this.#claimed.has(block) || !this.#canHaveRegion(block)) continue;
      // What handlers run of it comes after a region was left within it: no other region would change that.
      if (this.#originals.has(block.start)) continue;
      const selection = this.#selector.select(block, linear, true);
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

  #isEntry(at: number): boolean {
    return this.#originals.has(at) || this.#entered.has(at);
  }
}
