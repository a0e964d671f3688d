// SPDX-License-Identifier: MIT
/**
 * The block cache: finds or decodes the basic block at S.rip, lays its records out in the code arena, links
 * direct branches, and forgets blocks whose code is written.
 *
 * A block lies within one physical page and is keyed by its place in the WebAssembly memory and the mode bits
 * that change what code means (all of core.modeBits but MODE_USER). Direct branches within the page are linked
 * record to record; all others go through the jump cache, whose entries hold only while the code TLB says that
 * their page is still mapped where it was. An instruction that crosses a page is a block of its own, found only
 * through the jump cache, and remembers where its second page was.
 *
 * Writing to a page with code turns the records of the blocks it hits into H_STALE records (the first of a block
 * into H_RELINK): whoever reaches one, by link, by the jump cache or by running on in the block, comes back here.
 * @module
 */
import { assert } from "../base/assert.ts";
import { PAGE_MASK, PAGE_SIZE } from "../base/bits.ts";
import { PAGE_HAS_CODE } from "../base/guest_memory.ts";
import type { CpuCore } from "../core/core.ts";
import {
  MODE_CODE,
  MODE_FPU_TRAP,
  MODE_SEGMENTED,
  MODE_STACK_WIDE,
  MODE_TF,
  MODE_USER,
} from "../state/registers.ts";
import {
  type DecodeMode,
  Decoder,
  type Instruction,
  MAX_LENGTH,
  UNDEFINED_OPCODE,
} from "../decode/decoder.ts";
import type { Facts } from "../emit/wasm_emit.ts";
import {
  H_COVERED,
  H_FORWARD,
  H_GOTO,
  H_LINK,
  H_RELINK,
  H_SHADOW,
  H_STALE,
  type Modules,
} from "./handler_table.ts";
import { record, RECORD_BYTES, RECORD_FALL, RECORD_TAKEN } from "../state/record.ts";
import {
  ARENA_BASE,
  ARENA_BYTES,
  CODE_TLB_BASE,
  CODE_TLB_BITS,
  codeTlbEntry,
  EXC_GP,
  JUMP_CACHE_BASE,
  JUMP_CACHE_BITS,
  JUMP_CACHE_HASH,
  jumpCacheEntry,
  S,
  segmentLayout,
} from "../state/state.ts";

/** Most instructions in a block; a record counts them in a byte. */
const MAX_INSTRUCTIONS = 96;

/** Instructions behind a block whose handlers are made along with its own. */
const LOOK_AHEAD = 48;

/** A decoded block. */
export interface Block {
  readonly key: number;
  /** Byte offset of its first instruction in the WebAssembly memory, and the length of its code. */
  readonly host: number;
  readonly length: number;
  /** Where the second page was, for a block that crosses into one. */
  readonly secondHost: number;
  /** First record, and behind the last one (branch stubs included). */
  readonly start: number;
  readonly end: number;
  readonly mode: DecodeMode;
  /** Times the profiler saw it in its current window; -1 once it has a function of its own. */
  samples: number;
  window: number;
}

/** See the module's description. */
export class BlockCache {
  /** Blocks decoded and invalidated, arena resets. */
  decoded = 0;
  invalidated = 0;
  resets = 0;

  readonly #core: CpuCore;
  readonly #modules: Modules;
  readonly #decoder = new Decoder();
  readonly #blocks = new Map<number, Block>();
  /** Blocks with code in each page, by byte offset of the page. */
  readonly #pages = new Map<number, Block[]>();
  readonly #modes = new Map<number, DecodeMode>();
  readonly #crossing = new Uint8Array(2 * MAX_LENGTH);
  readonly #byStart = new Map<number, Block>();
  readonly #crossingEntries: number[] = [];
  /** Code TLB entries of pages that are not global. */
  readonly #localPages: number[] = [];
  #free = ARENA_BASE;
  #generation = 0;

  constructor(core: CpuCore, modules: Modules) {
    this.#core = core;
    this.#modules = modules;
    core.memory.onCodeWrite = (page, from, to) => this.#written(page, from, to);
    core.mmu.onFlush = (keepGlobal) => this.#mappingsChanged(keepGlobal);
    core.mmu.onInvalidate = (lo) => {
      this.#forgetCrossing();
      core.memory.bytes.fill(0xff, codeTlbAt(lo), codeTlbAt(lo) + codeTlbEntry.size);
    };
    this.clearJumpCache();
  }

  /** The WebAssembly memory. */
  get view(): DataView<ArrayBuffer> {
    return this.#core.s.view;
  }

  /** Forgets where every block is. */
  clearJumpCache(): void {
    const bytes = jumpCacheEntry.size << JUMP_CACHE_BITS;
    // A tag of all ones is no RIP ^ modeKey: it is canonical in no mode.
    this.#core.memory.bytes.fill(0xff, JUMP_CACHE_BASE, JUMP_CACHE_BASE + bytes);
    this.#crossingEntries.length = 0;
    this.#mappingsChanged(false);
  }
  /** Linear addresses may mean other pages now; global pages do not with `keepGlobal` (a CR3 load). */
  #mappingsChanged(keepGlobal: boolean): void {
    const { bytes } = this.#core.memory;
    if (keepGlobal) {
      for (const entry of this.#localPages) bytes.fill(0xff, entry, entry + codeTlbEntry.size);
    } else {
      bytes.fill(0xff, CODE_TLB_BASE, CODE_TLB_BASE + (codeTlbEntry.size << CODE_TLB_BITS));
    }
    this.#localPages.length = 0;
    this.#forgetCrossing();
  }
  /** The code TLB vouches for a block's first page only: blocks that cross into another leave the jump cache. */
  #forgetCrossing(): void {
    for (const entry of this.#crossingEntries) {
      this.#core.memory.bytes.fill(0xff, entry, entry + jumpCacheEntry.size);
    }
    this.#crossingEntries.length = 0;
  }

  /** The first record of the block at S.rip, and S.codeBias for it; 0: a fault was recorded. */
  lookup(): number {
    const core = this.#core;
    const s = core.s;
    const modeBits = core.modeBits;
    // CS.base is 0 in 64-bit code; elsewhere linear = base + RIP, 32 bits.
    let lo = core.ripLo, hi = core.ripHi;
    if (core.codeBits !== 64) {
      lo = (lo + s.get32(S.cs)) >>> 0;
      hi = 0;
      if (core.ripLo > s.get32(S.cs + segmentLayout.at.limit)) return this.#fail(EXC_GP);
    }
    const host = core.mmu.translateCode(lo, hi);
    if (host === -1) return 0;
    if (host < 0) return this.#outsideMemory(lo, hi);
    const key = host + (modeBits & ~MODE_USER) * 2 ** 32;
    let block = this.#blocks.get(key);
    if (block === undefined || (block.secondHost !== 0 && this.#secondPage(lo, hi) !== block.secondHost)) {
      block = this.#decode(host, key, lo, hi, this.#mode(modeBits));
      if (block === undefined) return 0;
    }
    this.#remember(block, host, lo, hi);
    return block.start;
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

  /** Puts the block into the jump cache under the current RIP, and sets codeBias. */
  #remember(block: Block, host: number, linearLo: number, linearHi: number): void {
    const core = this.#core;
    const { view } = core.s;
    const u32 = core.s.u32;
    const lo = core.ripLo, hi = core.ripHi;
    const poff = view.getUint16(block.start + record.at.poff, true);
    u32[S.codeBias >> 2] = lo - poff;
    u32[(S.codeBias >> 2) + 1] = hi - (lo < poff ? 1 : 0);
    // The cache is keyed by RIP and checked by linear address: only where the two are the same.
    if (lo !== linearLo || hi !== linearHi) return;
    const keyLo = u32[S.modeKey >> 2] as number, keyHi = u32[(S.modeKey >> 2) + 1] as number;
    const index = Math.imul(lo, JUMP_CACHE_HASH) >>> (32 - JUMP_CACHE_BITS);
    const entry = JUMP_CACHE_BASE + index * jumpCacheEntry.size;
    view.setUint32(entry, lo ^ keyLo, true);
    view.setUint32(entry + 4, hi ^ keyHi, true);
    view.setUint32(entry + jumpCacheEntry.at.record, block.start, true);
    view.setUint32(entry + jumpCacheEntry.at.host, host, true);
    if (block.secondHost !== 0) this.#crossingEntries.push(entry);
    const code = codeTlbAt(lo);
    if (!core.mmu.isGlobal(lo)) this.#localPages.push(code);
    view.setUint32(code, (lo & ~PAGE_MASK) ^ keyLo, true);
    view.setUint32(code + 4, hi ^ keyHi, true);
    view.setUint32(code + codeTlbEntry.at.addend, host - lo, true);
  }

  #mode(modeBits: number): DecodeMode {
    const key = modeBits & ~MODE_USER;
    let mode = this.#modes.get(key);
    if (mode === undefined) {
      const code = modeBits & MODE_CODE;
      mode = {
        codeBits: code === 2 ? 64 : code === 1 ? 32 : 16,
        stackBits: code === 2 ? 64 : (modeBits & MODE_STACK_WIDE) !== 0 ? 32 : 16,
        flat: (modeBits & MODE_SEGMENTED) === 0,
        fpuTrap: (modeBits & MODE_FPU_TRAP) !== 0,
      };
      this.#modes.set(key, mode);
    }
    return mode;
  }

  /** Byte offset of the page behind the one of linear address `lo`,`hi`; negative as translateCode says. */
  #secondPage(lo: number, hi: number): number {
    const next = (lo | PAGE_MASK) + 1;
    if (lo >>> 12 === 0xf_ffff) {
      return this.#core.mmu.translateCode(0, this.#core.codeBits === 64 ? (hi + 1) >>> 0 : 0);
    }
    return this.#core.mmu.translateCode(next >>> 0, hi);
  }

  #decode(host: number, key: number, lo: number, hi: number, mode: DecodeMode): Block | undefined {
    const { memory } = this.#core;
    const insns: Instruction[] = [];
    const facts: Facts[] = [];
    const pageStart = host - (host & PAGE_MASK);
    const limit = pageStart + PAGE_SIZE;
    const most = (this.#core.modeBits & MODE_TF) !== 0 ? 1 : MAX_INSTRUCTIONS;
    let at = host;
    let secondHost = 0;
    let remaining = most;
    while (at < limit && remaining > 0) {
      let insn = this.#decoder.decode(memory.bytes, at, limit, at & PAGE_MASK, mode);
      if (insn === undefined) {
        if (insns.length > 0) break;
        if (limit - at >= MAX_LENGTH) {
          this.#core.raise(EXC_GP, 0); // longer than 15 bytes
          return undefined;
        }
        secondHost = this.#secondPage(lo, hi);
        if (secondHost === -1) return undefined;
        if (secondHost < 0) {
          this.#outsideMemory(lo, hi);
          return undefined;
        }
        const first = limit - at;
        this.#crossing.set(memory.bytes.subarray(at, limit));
        this.#crossing.set(memory.bytes.subarray(secondHost, secondHost + MAX_LENGTH), first);
        insn = this.#decoder.decode(this.#crossing, 0, 2 * MAX_LENGTH, at & PAGE_MASK, mode);
        if (insn === undefined) {
          this.#core.raise(EXC_GP, 0);
          return undefined;
        }
      }
      const fact = this.#modules.factsOf(insn);
      insns.push(insn);
      facts.push(fact);
      at += insn.length;
      remaining--;
      if (fact.ends || secondHost !== 0) break;
      // In the shadow of STI or MOV SS one more instruction follows.
      if (insn.row.options.shadow !== undefined && most > 1) {
        remaining = shadowed(insns) && insns.length < MAX_INSTRUCTIONS ? 1 : 0;
      }
    }
    const block = this.#layOut(insns, facts, host, key, secondHost, mode);
    this.decoded++;
    this.#blocks.set(key, block);
    this.#byStart.set(block.start, block);
    this.#watch(block, pageStart);
    if (secondHost !== 0) this.#watch(block, secondHost);
    return block;
  }

  #watch(block: Block, page: number): void {
    const list = this.#pages.get(page);
    if (list !== undefined) list.push(block);
    else {
      this.#pages.set(page, [block]);
      this.#core.memory.setAttribute(page, PAGE_HAS_CODE, true);
      this.#core.mmu.onCodePageWatched(page);
    }
  }

  #layOut(
    insns: readonly Instruction[],
    facts: readonly Facts[],
    host: number,
    key: number,
    secondHost: number,
    mode: DecodeMode,
  ): Block {
    const records = insns.length + 4;
    if (this.#free + records * RECORD_BYTES > ARENA_BASE + ARENA_BYTES) this.reset();
    const start = this.#free;
    const { view } = this.#core.s;
    let at = start;
    const first = insns[0] as Instruction;
    insns.forEach((insn, i) => {
      this.#put(at, 0, insn.poff, insn.length, i + 1);
      view.setUint16(at + record.at.reg, insn.reg, true);
      view.setUint16(at + record.at.rm, insn.rm, true);
      view.setUint16(at + record.at.base, insn.base, true);
      view.setUint16(at + record.at.index, insn.index, true);
      view.setInt32(at + record.at.disp, insn.disp, true);
      view.setUint8(at + record.at.scale, insn.scale);
      view.setUint16(at + record.at.segment, insn.segment, true);
      view.setInt32(at + record.at.imm, insn.immLow, true);
      view.setInt32(at + record.at.imm + 4, insn.immHigh, true);
      at += RECORD_BYTES;
    });
    this.#chooseHandlers(insns, facts, start, host, mode);
    const last = insns[insns.length - 1] as Instruction;
    const lastRecord = at - RECORD_BYTES;
    const end = last.poff + last.length;
    const crossing = secondHost !== 0;
    if (!(facts[facts.length - 1] as Facts).ends) {
      // Right behind STI or MOV SS no interrupt is taken, so the block's end must not look for one.
      this.#put(at, shadowed(insns) ? H_SHADOW : H_GOTO, 0, 0, insns.length);
      view.setBigInt64(at + record.at.imm, BigInt(end), true);
      at += RECORD_BYTES;
    } else if (isDirectBranch(last)) {
      at = this.#stub(at, lastRecord + RECORD_TAKEN, BigInt(end) + immediate(last), crossing);
      at = this.#stub(at, lastRecord + RECORD_FALL, BigInt(end), crossing);
    }
    this.#free = at;
    const length = last.poff + last.length - first.poff;
    return { key, host, length, secondHost, start, end: at, mode, samples: 0, window: 0 };
  }

  #put(at: number, handler: number, poff: number, length: number, count: number): void {
    const { view } = this.#core.s;
    view.setUint32(at + record.at.handler, handler, true);
    view.setUint16(at + record.at.poff, poff, true);
    view.setUint8(at + record.at.length, length);
    view.setUint8(at + record.at.count, count);
  }

  /**
   * One handler per instruction, but a producer of flags and the conditional branch behind it share one. Handlers
   * compute all flags: who computes only the live ones is the function of a hot block (cpu/translate/compile.ts).
   */
  #chooseHandlers(
    insns: readonly Instruction[],
    facts: readonly Facts[],
    at: number,
    host: number,
    mode: DecodeMode,
  ): void {
    const { view } = this.#core.s;
    const groups = groupsOf(insns, facts);
    const slots = this.#modules.handlers(groups, () => this.#ahead(insns, host, mode));
    let i = 0;
    groups.forEach((group, n) => {
      view.setUint32(at + i * RECORD_BYTES + record.at.handler, slots[n] as number, true);
      for (let k = 1; k < group.length; k++) {
        view.setUint32(at + (i + k) * RECORD_BYTES + record.at.handler, H_COVERED, true);
      }
      i += group.length;
    });
  }

  /** What stands behind a block, as far as it decodes within the page. */
  #ahead(insns: readonly Instruction[], host: number, mode: DecodeMode): readonly (readonly Instruction[])[] {
    const { bytes } = this.#core.memory;
    const last = insns[insns.length - 1] as Instruction;
    const limit = host - (host & PAGE_MASK) + PAGE_SIZE;
    const found: Instruction[] = [];
    for (
      let at = host - (host & PAGE_MASK) + last.poff + last.length;
      at < limit && found.length < LOOK_AHEAD;
    ) {
      const insn = this.#decoder.decode(bytes, at, limit, at & PAGE_MASK, mode);
      if (insn === undefined || insn.row === UNDEFINED_OPCODE) break;
      found.push(insn);
      at += insn.length;
    }
    return groupsOf(found, found.map((insn) => this.#modules.factsOf(insn)));
  }

  /** Writes a branch stub for page offset `target` and points the link field at it. */
  #stub(at: number, linkField: number, target: bigint, crossing: boolean): number {
    const { view } = this.#core.s;
    const local = !crossing && target >= 0n && target < BigInt(PAGE_SIZE);
    this.#put(at, local ? H_LINK : H_GOTO, local ? Number(target) : 0, 0, 0);
    view.setBigInt64(at + record.at.imm, local ? BigInt(linkField) : target, true);
    view.setUint32(linkField, at, true);
    return at + RECORD_BYTES;
  }

  /** A link stub was reached: finds its target and patches the branch. 0: S.rip is set, find it the long way. */
  link(stub: number): number {
    const core = this.#core;
    const { view } = core.s;
    core.setRipTo(stub);
    const generation = this.#generation;
    const field = view.getUint32(stub + record.at.imm, true);
    const handler = view.getUint32(stub + record.at.handler, true);
    const target = this.lookup();
    if (target === 0) return 0;
    const block = this.#byStart.get(target);
    assert(block !== undefined, "a block starts at the record found");
    if (generation !== this.#generation) return target;
    if (handler === H_RELINK && block.secondHost === 0) {
      view.setUint32(stub + record.at.handler, H_FORWARD, true);
      view.setUint32(stub + record.at.imm, target, true);
    }
    if (handler !== H_LINK) return target;
    if (block.secondHost === 0) view.setUint32(field, target, true);
    else {
      // Its second page may move: from now on by the jump cache.
      const poff = view.getUint16(stub + record.at.poff, true);
      view.setUint32(stub + record.at.handler, H_GOTO, true);
      view.setBigInt64(stub + record.at.imm, BigInt(poff), true);
    }
    return target;
  }

  /** Every block. */
  allBlocks(): Iterable<Block> {
    return this.#byStart.values();
  }
  /** The block whose first record is `start`. */
  blockAt(start: number): Block | undefined {
    return this.#byStart.get(start);
  }

  /** Decodes the instructions of a block again, for the JIT and for dumps. */
  instructionsOf(block: Block): Instruction[] {
    const insns: Instruction[] = [];
    const limit = block.host + block.length;
    for (let at = block.host; at < limit;) {
      const insn = this.#decoder.decode(this.#core.memory.bytes, at, limit, at & PAGE_MASK, block.mode);
      if (insn === undefined) return [];
      insns.push(insn);
      at += insn.length;
    }
    return insns;
  }

  /** Bytes [from, to) of the page at `page` are about to change. */
  #written(page: number, from: number, to: number): void {
    const list = this.#pages.get(page);
    if (list === undefined) return;
    const kept = list.filter((block) => {
      const start = block.host - page;
      const hit = block.secondHost === page || (start < to && start + block.length > from);
      if (hit) this.#forget(block);
      return !hit;
    });
    if (kept.length > 0) this.#pages.set(page, kept);
    else {
      this.#pages.delete(page);
      this.#core.memory.setAttribute(page, PAGE_HAS_CODE, false);
    }
  }

  #forget(block: Block): void {
    this.invalidated++;
    if (this.#blocks.get(block.key) === block) this.#blocks.delete(block.key);
    this.#byStart.delete(block.start);
    const { view } = this.#core.s;
    for (let at = block.start; at < block.end; at += RECORD_BYTES) {
      const handler = view.getUint32(at + record.at.handler, true);
      // GOTO is about no code of its own; a stale LINK would patch a record that is dead.
      if (handler !== H_GOTO && handler !== H_SHADOW) view.setUint32(at + record.at.handler, H_STALE, true);
    }
    view.setUint32(block.start + record.at.handler, block.secondHost === 0 ? H_RELINK : H_STALE, true);
  }

  /** Forgets everything; the arena starts afresh. Called when it is full. */
  reset(): void {
    this.resets++;
    this.#generation++;
    for (const page of this.#pages.keys()) this.#core.memory.setAttribute(page, PAGE_HAS_CODE, false);
    this.#blocks.clear();
    this.#byStart.clear();
    this.#pages.clear();
    this.#free = ARENA_BASE;
    this.clearJumpCache();
  }
}

/** Does the last of these instructions keep interrupts off the next one? The second of a kind in a row does not. */
function shadowed(insns: readonly Instruction[]): boolean {
  const before = insns[insns.length - 2]?.row.options.shadow,
    now = insns[insns.length - 1]?.row.options.shadow;
  return now !== undefined && now !== before;
}

/** A producer of flags and the conditional branch behind it make a group, every other instruction one of its own. */
function groupsOf(insns: readonly Instruction[], facts: readonly Facts[]): Instruction[][] {
  const groups: Instruction[][] = [];
  for (let i = 0; i < insns.length;) {
    const fact = facts[i] as Facts, next = facts[i + 1];
    const fused = next !== undefined && fact.flagsWritten !== 0 && !fact.stores && !fact.ends &&
      next.flagsRead !== 0 && isDirectBranch(insns[i + 1] as Instruction);
    groups.push(insns.slice(i, fused ? i + 2 : i + 1));
    i += fused ? 2 : 1;
  }
  return groups;
}

function codeTlbAt(linearLo: number): number {
  return CODE_TLB_BASE + ((linearLo >>> 12) & ((1 << CODE_TLB_BITS) - 1)) * codeTlbEntry.size;
}

function immediate(insn: Instruction): bigint {
  return (BigInt(insn.immHigh) << 32n) | BigInt(insn.immLow >>> 0);
}

/** Prefix 66 in 32-bit code cuts the target to 16 bits: that is a computed jump, see cpu/isa/general/control.ts. */
function isDirectBranch(insn: Instruction): boolean {
  const kind = insn.row.immediates[0];
  return (kind === "cb" || kind === "cz") && !(insn.form.osize === 16 && insn.form.codeBits === 32);
}
