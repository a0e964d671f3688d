// SPDX-License-Identifier: MIT
/**
 * The block cache: finds or decodes the basic block at S.rip, lays its records out in the code arena, links direct
 * branches, and forgets blocks whose code is written.
 *
 * A block lies within one physical page and is keyed by its place in the WebAssembly memory and the mode bits that
 * change what code means (all of core.modeBits but MODE_USER). Direct branches within the page are linked record to
 * record, but not in segmented code, where the same page may be run with other bases and limits of CS; all others go
 * through the jump cache. An instruction that crosses a page is a block of its own, whose first record makes sure that the
 * second page is still where it was.
 *
 * Writing to a page with code turns the records of the blocks it hits into H_STALE records (the first of a block
 * into H_RELINK): whoever reaches one, by link, by the jump cache or by running on in the block, comes back here.
 *
 * All that a block owns (room in the arena, table slot, places in the maps) goes when it goes. When arena or table are
 * full, everything goes: no guest can make any of it grow.
 * @module
 */
import { BREAK_EXECUTE, breakpointsMet } from "../../state/breakpoints.ts";
import { assert } from "../../base/assert.ts";
import { PAGE_MASK, PAGE_SIZE } from "../../base/bits.ts";
import type { CpuCore } from "../../core/core.ts";
import { PIECE_BYTES } from "../../mmu/code_map.ts";
import { isCanonical } from "../../mmu/mmu.ts";
import { Decoder, UNDEFINED_OPCODE } from "../../decode/decoder.ts";
import { type DecodeMode, type Instruction, MAX_LENGTH } from "../../decode/instruction.ts";
import { usualInstructions } from "../../decode/usual_forms.ts";
import {
  H_FORWARD,
  H_GOTO,
  H_GOTO_SEGMENTED,
  H_LINK,
  H_RELINK,
  H_SHADOW,
  H_STALE,
  record,
  RECORD_BYTES,
} from "../../state/record.ts";
import {
  MODE_AVX_TRAP,
  MODE_CODE,
  MODE_FPU_TRAP,
  MODE_SEGMENTED,
  MODE_STACK_WIDE,
  MODE_TF,
  MODE_USER,
} from "../../state/registers.ts";
import { EXC_GP, S, segmentLayout } from "../../state/state.ts";
import { Block } from "./block.ts";
import { BlockIndex } from "./block_index.ts";
import { BlockDraft, MAX_INSTRUCTIONS } from "./block_draft.ts";
import { immediate, layOut } from "./block_layout.ts";
import { CodePages } from "./code_pages.ts";
import type { Modules } from "../handler_table.ts";
import { JumpCache } from "./jump_cache.ts";
import { isDirectBranch, leavingCanonical, type Run } from "../shapes.ts";

/** Whether a canonical address is so near the end of its half that a relative branch may leave it. */
const isNearHole = (lo: number, hi: number) =>
  (hi === 0x7fff && lo >= 0x7fff_0000) || (hi === 0xffff_8000 && lo <= 0x8000_ffff);

/** Instructions behind a block whose handlers are made along with its own. */
const LOOK_AHEAD = 48;

/** Most bytes in a block of segmented code: its first record has them in a byte. */
const MAX_SEGMENTED_BYTES = 255;

/** See the module's description. */
export class BlockCache {
  /** Blocks decoded and invalidated, times everything was forgotten. */
  decoded = 0;
  invalidated = 0;
  resets = 0;

  /** A block is about to be forgotten: its records still have their handlers. */
  onForget: (block: Block) => void = () => {};
  /** All blocks are forgotten. */
  onReset: () => void = () => {};

  readonly #core: CpuCore;
  readonly #words: Int32Array;
  readonly #modules: Modules;
  readonly #decoder: Decoder;
  readonly #draft: BlockDraft;
  readonly #jumps: JumpCache;
  readonly #index = new BlockIndex();
  readonly #pages: CodePages;
  /** Blocks that somebody has looked at, by place. */
  readonly #blocks = new Map<number, Block>();
  readonly #modes = new Map<number, DecodeMode>();
  readonly #crossing = new Uint8Array(2 * MAX_LENGTH);
  /** Where the last write that touched code ended. */
  #writtenTo = -1;
  #generation = 0;

  constructor(core: CpuCore, modules: Modules) {
    this.#core = core;
    this.#words = new Int32Array(core.memory.memory.buffer as ArrayBuffer);
    this.#pages = new CodePages(core.memory, this.#index);
    this.#pages.onWatched = (page) => core.mmu.onCodePageWatched(page);
    this.#modules = modules;
    this.#decoder = new Decoder(core.features, core.vendor);
    this.#draft = new BlockDraft(this.#decoder.known);
    this.#jumps = new JumpCache(core.memory);
    core.memory.onCodeWrite = (page, from, to) => this.#written(page, from, to);
    core.mmu.onFlush = (keepGlobal) => this.#jumps.mappingsChanged(keepGlobal);
    core.mmu.onInvalidate = (lo, _, mayBeLarge) =>
      mayBeLarge ? this.#jumps.mappingsChanged(false) : this.#jumps.pageChanged(lo);
  }

  /** The WebAssembly memory. */
  get view(): DataView<ArrayBuffer> {
    return this.#core.s.view;
  }
  /** Blocks that are known. */
  get count(): number {
    return this.#index.size;
  }
  /** All of them. */
  *known(): Iterable<Block> {
    for (const place of this.#index.places()) yield this.#blockOf(place);
  }
  /** Room that their records, and those of blocks that are gone, take. */
  get arenaBytes(): number {
    return this.#index.arenaBytes;
  }
  /** How much there is of what a guest can fill. */
  get occupancy(): Readonly<
    Record<"blocks" | "pages" | "listed" | "arenaBytes" | "code", number>
  > {
    return {
      blocks: this.#index.size,
      ...this.#pages.occupancy,
      arenaBytes: this.#index.arenaBytes,
      code: this.#jumps.watched,
    };
  }

  /** The first record of the block at S.rip, and S.codeBias for it; 0: a fault was recorded. */
  lookup(): number {
    const core = this.#core;
    const s = core.s;
    const modeBits = core.modeBits & ~MODE_USER;
    if (this.#modules.starved) this.reset();
    // CS.base is 0 in 64-bit code; elsewhere linear = base + RIP, 32 bits.
    let lo = core.ripLo, hi = core.ripHi;
    /** Bytes up to the limit of CS. */
    let room = Infinity;
    if (core.codeBits !== 64) {
      lo = (lo + s.get32(S.cs)) >>> 0;
      hi = 0;
      room = s.get32(S.cs + segmentLayout.at.limit) - core.ripLo + 1;
      if (room <= 0) return this.#fail(EXC_GP);
    }
    if (core.armed && !core.resumeFlag && this.#breaks(lo, hi)) return 0;
    const host = this.#codeAt(lo, hi);
    if (host === -1) return 0;
    if (host < 0) return this.#outsideMemory(lo, hi);
    const index = this.#index;
    let place = index.find(host, modeBits);
    if (place === 0 || index.lengthOf(place) > room || this.#hasMoved(place, lo, hi)) {
      place = this.#decode(host, modeBits, lo, hi, room, place);
      if (place === 0) return 0;
    }
    const start = index.startOf(place);
    const poff = host & PAGE_MASK;
    s.set32(S.codeBias, core.ripLo - poff);
    s.set32(S.codeBias + 4, core.ripHi - (core.ripLo < poff ? 1 : 0));
    this.#jumps.remember(lo, hi, start, host);
    return start;
  }

  /** Whether the block at a linear address goes on in a page that is elsewhere now. */
  #hasMoved(place: number, lo: number, hi: number): boolean {
    const secondHost = this.#index.secondHostOf(place);
    return secondHost !== 0 && this.#secondPage(lo, hi) !== secondHost;
  }

  /** Byte offset of the code at a linear address, whose page is in the code TLB then; negative as translateCode says. */
  #codeAt(lo: number, hi: number): number {
    const known = this.#jumps.hostOf(lo, hi);
    if (known !== 0) return known;
    const { mmu } = this.#core;
    const host = mmu.translateCode(lo, hi);
    if (host > 0) this.#jumps.rememberPage(lo, hi, host, mmu.isGlobal(lo));
    return host;
  }

  /** Is there an instruction breakpoint? Then the fault is recorded; it is the one whose image of RF is clear. */
  #breaks(lo: number, hi: number): boolean {
    const core = this.#core;
    const met = breakpointsMet(core.u32, BREAK_EXECUTE, (BigInt(hi) << 32n) | BigInt(lo), 1);
    if (met === 0) return false;
    core.raiseDebug(met, false);
    core.fault.resume = false;
    return true;
  }

  #fail(vector: number): 0 {
    this.#core.raise(vector, 0);
    return 0;
  }

  #outsideMemory(lo: number, hi: number): 0 {
    const at = (BigInt(hi) << 32n) | BigInt(lo);
    this.#core.tracer.warnOnce(
      "cpu.fetch_outside_memory",
      `guest runs code outside memory at 0x${at.toString(16)}`,
    );
    return this.#fail(EXC_GP);
  }

  #mode(modeBits: number): DecodeMode {
    let mode = this.#modes.get(modeBits);
    if (mode === undefined) {
      const code = modeBits & MODE_CODE;
      mode = {
        codeBits: code === 2 ? 64 : code === 1 ? 32 : 16,
        stackBits: code === 2 ? 64 : (modeBits & MODE_STACK_WIDE) !== 0 ? 32 : 16,
        flat: (modeBits & MODE_SEGMENTED) === 0,
        fpuTrap: (modeBits & MODE_FPU_TRAP) !== 0,
        avxTrap: (modeBits & MODE_AVX_TRAP) !== 0,
      };
      this.#modes.set(modeBits, mode);
    }
    return mode;
  }

  /** Linear address of the page behind the one of `lo`,`hi`. */
  #nextPage(lo: number, hi: number): { readonly lo: number; readonly hi: number } {
    if (lo >>> 12 !== 0xf_ffff) return { lo: ((lo | PAGE_MASK) + 1) >>> 0, hi };
    return { lo: 0, hi: this.#core.codeBits === 64 ? (hi + 1) >>> 0 : 0 };
  }
  /** Byte offset of that page; negative as translateCode says. */
  #secondPage(lo: number, hi: number): number {
    const next = this.#nextPage(lo, hi);
    return this.#codeAt(next.lo, next.hi);
  }

  /** Decodes the block at `host`, of at most `room` bytes, instead of the one at place `old`: its place. 0: a fault was recorded. */
  #decode(
    host: number,
    modeBits: number,
    lo: number,
    hi: number,
    room: number,
    old: number,
  ): number {
    const { bytes } = this.#core.memory;
    const mode = this.#mode(modeBits);
    const { known } = this.#decoder;
    const draft = this.#draft;
    const page = host - (host & PAGE_MASK);
    draft.begin(host, page, mode);
    const limit = page + PAGE_SIZE;
    const segmented = mode.codeBits !== 64 && !mode.flat;
    const most = (modeBits & MODE_TF) !== 0 ? 1 : MAX_INSTRUCTIONS;
    const end = host + (segmented ? Math.min(room, MAX_SEGMENTED_BYTES) : room);
    const nearHole = isNearHole(lo, hi);
    let at = host;
    let remaining = most;
    while (at < limit && remaining > 0) {
      const row = nearHole ? -1 : known.scan(bytes, at, limit, at & PAGE_MASK, mode);
      if (row >= 0 && draft.knows(row)) {
        if (at + known.length > end) {
          if (draft.count > 0) break;
          return this.#tooLong(); // for the segment
        }
        at += known.length;
        draft.add(row);
      } else {
        let insn = this.#decoder.decode(bytes, at, limit, at & PAGE_MASK, mode);
        if (insn === undefined) {
          if (draft.count > 0) break;
          if (limit - at >= MAX_LENGTH) return this.#tooLong();
          const secondHost = this.#secondPage(lo, hi);
          if (secondHost === -1) return 0;
          if (secondHost < 0) return this.#outsideMemory(lo, hi);
          insn = this.#decodeCrossing(at, secondHost, mode);
          if (insn === undefined) return this.#tooLong();
          draft.secondHost = secondHost;
        }
        if (at + insn.length > end) {
          if (draft.count > 0) break;
          return this.#tooLong(); // for the segment
        }
        at += insn.length;
        if (nearHole && this.#leavesCanonical(insn, lo, hi, at - page)) {
          draft.leavesCanonical = true;
          insn = leavingCanonical(insn);
        }
        const shape = this.#modules.shapeOf(insn);
        if (row >= 0) draft.learn(row, shape);
        draft.addInstruction(insn, shape);
      }
      remaining--;
      if (draft.ends || draft.secondHost !== 0) break;
      // In the shadow of STI or MOV SS one more instruction follows.
      if (draft.castsShadow && most > 1) {
        remaining = draft.isShadowed && draft.count < MAX_INSTRUCTIONS ? 1 : 0;
      }
    }
    draft.links = !segmented && draft.secondHost === 0;
    if (old !== 0) {
      this.#pages.remove(old);
      this.#forget(old);
    }
    this.decoded++;
    return this.#add(draft, host, modeBits, mode);
  }

  /** Whether `insn`, which ends `end` bytes behind the start of the page of `lo`,`hi`, is a direct branch out of there. */
  #leavesCanonical(insn: Instruction, lo: number, hi: number, end: number): boolean {
    if (insn.form.codeBits !== 64 || !isDirectBranch(insn)) return false;
    const page = BigInt(hi) << 32n | BigInt(lo - (lo & PAGE_MASK));
    return !isCanonical(Number(BigInt.asUintN(64, page + BigInt(end) + immediate(insn)) >> 32n));
  }

  /** An instruction of more than 15 bytes, or one that ends beyond the limit of CS. */
  #tooLong(): 0 {
    return this.#fail(EXC_GP);
  }

  /** The instruction at byte offset `at`, less than MAX_LENGTH before the end of its page, that goes on at `secondHost`. */
  #decodeCrossing(at: number, secondHost: number, mode: DecodeMode): Instruction | undefined {
    const { bytes } = this.#core.memory, first = PAGE_SIZE - (at & PAGE_MASK);
    this.#crossing.set(bytes.subarray(at, at + first));
    this.#crossing.set(bytes.subarray(secondHost, secondHost + MAX_LENGTH), first);
    return this.#decoder.decode(this.#crossing, 0, 2 * MAX_LENGTH, at & PAGE_MASK, mode);
  }

  #add(draft: BlockDraft, host: number, modeBits: number, mode: DecodeMode): number {
    const { records } = draft;
    if (mode.codeBits === 64 && this.#modules.wantsUsual) {
      this.#modules.addUsual(usualInstructions(this.#decoder));
    }
    let place = this.#index.take(host, modeBits, records);
    if (place === 0 || this.#modules.slots.free < draft.count) {
      this.reset();
      place = this.#index.take(host, modeBits, records);
      assert(place !== 0, "an empty arena has room for a block");
    }
    this.#modules.addHandlers(
      draft,
      () => this.#decodeAgain(draft, host, mode),
      () => this.#ahead(draft, mode),
    );
    const start = this.#index.startOf(place);
    layOut(this.#words, start, draft);
    this.#index.add(place, draft);
    this.#pages.add(place);
    return place;
  }

  /** The block at a place, to look at. */
  #blockOf(place: number): Block {
    let block = this.#blocks.get(place);
    if (block === undefined) {
      block = new Block(this.#index, place, this.#mode(this.#index.modeOf(place)));
      this.#blocks.set(place, block);
    }
    return block;
  }

  /** What stands behind a block, as far as it decodes within the page. */
  #ahead({ page, end }: BlockDraft, mode: DecodeMode): Run {
    const { bytes } = this.#core.memory;
    const limit = page + PAGE_SIZE;
    const found: Instruction[] = [];
    for (let at = page + end; at < limit && found.length < LOOK_AHEAD;) {
      const insn = this.#decoder.decode(bytes, at, limit, at & PAGE_MASK, mode);
      if (insn === undefined || insn.row === UNDEFINED_OPCODE) break;
      found.push(insn);
      at += insn.length;
    }
    return { insns: found, shapes: found.map((insn) => this.#modules.shapeOf(insn)) };
  }

  /** A link stub was reached: finds its target and patches the branch. 0: S.rip is set, find it the long way. */
  link(stub: number): number {
    const core = this.#core;
    const { view } = core.s;
    core.setRipTo(stub);
    const generation = this.#generation;
    const field = view.getUint32(stub + record.at.imm, true);
    const handler = view.getUint32(stub + record.at.handler, true);
    const page = view.getUint32(stub + record.at.disp, true);
    const target = this.lookup();
    if (target === 0) return 0;
    const place = this.#index.startingAt(target);
    assert(place !== 0, "a block starts at the record found");
    // Linked is what stands in the same page for whoever comes this way: mappings and segments may change.
    const mode = this.#mode(this.#index.modeOf(place)), links = mode.codeBits === 64 || mode.flat;
    if (generation !== this.#generation || target === stub || !links) return target;
    const host = this.#index.hostOf(place);
    if (host - (host & PAGE_MASK) !== page) return target;
    if (handler === H_RELINK) {
      view.setUint32(stub + record.at.handler, H_FORWARD, true);
      view.setUint32(stub + record.at.imm, target, true);
    }
    if (handler === H_LINK) view.setUint32(field, target, true);
    return target;
  }

  /** The block whose first record is `start`. */
  blockAt(start: number): Block | undefined {
    const place = this.#index.startingAt(start);
    return place === 0 ? undefined : this.#blockOf(place);
  }

  /** The block that counts its runs in the record `rec`: none, if that is a stub's or its code has gone. */
  countingIn(rec: number): Block | undefined {
    const count = this.view.getUint8(rec + record.at.count);
    // Its instructions' records are before this one, or this is the last; one that crosses has another before it.
    for (let i = count + 1; i >= count - 1 && count > 0; i--) {
      const place = this.#index.startingAt(rec - i * RECORD_BYTES);
      if (place !== 0 && this.#index.countingOf(place) === rec) return this.#blockOf(place);
    }
  }

  /** Byte offset of the page of code at a linear address, when the TLB has it for the mode that runs now; else 0. */
  codePageAt(linear: bigint): number {
    return this.#core.mmu.lookupCode(Number(linear & 0xffff_ffffn), Number(linear >> 32n));
  }
  /** The block of the mode of `like` whose code begins at `host`, if it has run. */
  find(host: number, like: Block): Block | undefined {
    const place = this.#index.find(host, like.modeBits);
    return place === 0 ? undefined : this.#blockOf(place);
  }

  /** Gives the block the function in `slot`, which it owns from now on. */
  install(block: Block, slot: number): void {
    block.slot = slot;
    this.view.setUint32(block.start + record.at.handler, slot, true);
  }

  /** Decodes the instructions of a block again, for the compiler and for dumps. */
  instructionsOf(block: Block): Instruction[] {
    return this.#decodeAgain(block, block.host, block.mode);
  }
  #decodeAgain(
    { length, secondHost, leavesCanonical }: Block | BlockDraft,
    host: number,
    mode: DecodeMode,
  ): Instruction[] {
    const insns: Instruction[] = [];
    if (secondHost !== 0) {
      const insn = this.#decodeCrossing(host, secondHost, mode);
      return insn === undefined ? [] : [leavesCanonical ? leavingCanonical(insn) : insn];
    }
    // As far as the first time: what an undefined opcode is may depend on the byte behind it.
    const limit = host - (host & PAGE_MASK) + PAGE_SIZE;
    for (let at = host; at < host + length;) {
      const insn = this.#decoder.decode(this.#core.memory.bytes, at, limit, at & PAGE_MASK, mode);
      if (insn === undefined) return [];
      insns.push(insn);
      at += insn.length;
    }
    const last = insns.at(-1);
    if (leavesCanonical && last !== undefined) insns[insns.length - 1] = leavingCanonical(last);
    return insns;
  }

  /**
   * Bytes [from, to) of the page at `page` are about to change. A write that goes on where the last one ended is part of a
   * fill or a copy: the piece of code it touches will be written to its end, and what comes is not seen here.
   */
  #written(page: number, from: number, to: number): void {
    if (!this.#pages.touches(page, from, to)) return;
    if (page + from === this.#writtenTo) to = Math.ceil(to / PIECE_BYTES) * PIECE_BYTES;
    this.#writtenTo = page + to;
    for (const place of this.#pages.take(page, from, to)) {
      this.#pages.remove(place, page);
      this.#forget(place);
    }
  }

  /** The block at a place is gone, but for the lists of its pages; whoever reaches one of its records comes back. */
  #forget(place: number): void {
    const index = this.#index, block = this.#blocks.get(place);
    if (block !== undefined) {
      this.onForget(block);
      this.#giveSlot(block);
      this.#blocks.delete(place);
    }
    this.invalidated++;
    const { view } = this.#core.s;
    const start = index.startOf(place), end = index.endOf(place), host = index.hostOf(place);
    index.remove(place);
    for (let at = start; at < end; at += RECORD_BYTES) {
      const handler = view.getUint32(at + record.at.handler, true);
      // GOTO is about no code of its own; a stale LINK would patch a record that is dead.
      if (handler === H_GOTO || handler === H_GOTO_SEGMENTED || handler === H_SHADOW) continue;
      view.setUint32(at + record.at.handler, H_STALE, true);
    }
    view.setUint32(start + record.at.handler, H_RELINK, true);
    view.setUint32(start + record.at.disp, host - (host & PAGE_MASK), true);
  }
  #giveSlot(block: Block): void {
    if (block.slot !== 0) this.#modules.slots.give(block.slot);
    block.slot = 0;
  }

  /** Forgets everything; the arena starts afresh, and the handlers too when the table is nearly full. */
  reset(): void {
    this.resets++;
    this.#generation++;
    for (const block of this.#blocks.values()) this.#giveSlot(block);
    this.#blocks.clear();
    this.#pages.clear();
    this.onReset();
    this.#index.clear();
    this.#jumps.clear();
    const { slots } = this.#modules;
    if (this.#modules.starved || slots.free < Math.max(MAX_INSTRUCTIONS, slots.size / 4)) {
      this.#modules.dropHandlers();
      this.#draft.forgetSlots();
    }
  }
}
