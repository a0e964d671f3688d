// SPDX-License-Identifier: MIT
/**
 * One CPU: the core (state, MMU, microcode), the emitted code, and the loop between them.
 * @module
 */
import { assert } from "./base/assert.ts";
import { hex, PAGE_MASK } from "./base/bits.ts";
import type { GuestMemory } from "./base/guest_memory.ts";
import { MICROCODE_NAMES, microcodeNumber } from "./emit/microcode_calls.ts";
import type { Block } from "./translate/blocks/block.ts";
import { BlockCache } from "./translate/blocks/block_cache.ts";
import type { RowOptions } from "./isa/row/row.ts";
import { CpuCore, type Microcode } from "./core/core.ts";
import { fillCrc32cTable } from "./isa/simd/crc32c.ts";
import { fillAesTables } from "./isa/crypto/aes.ts";
import { fillWindowConstants } from "./emit/vector/float_emit.ts";
import { fillPlainConstants } from "./isa/simd/ordinary.ts";
import type {
  CodePlace,
  CpuRegisterChanges,
  CpuRegisters,
  Engine,
  EngineHooks,
  EngineOptions,
  EngineState,
  LastFault,
  RunResult,
  WasmEngineName,
} from "./base/engine.ts";
import { PHYSICAL_BITS } from "./mmu/mmu.ts";
import { RecentCode } from "./recent_code.ts";
import { readRegisters, writeRegisters } from "./registers_as_data.ts";
import { loadState, saveState } from "./saved_state.ts";
import { StoreBoundary } from "./store_boundary.ts";
import { writeMsr } from "./system/msr.ts";
import { compileBlocks } from "./translate/hot_blocks.ts";
import { deliverFault, deliverInterrupt, deliverNmi } from "./segments/exceptions.ts";
import { segmentedAccess } from "./segments/segmentation.ts";
import { HotQueue } from "./translate/regions/hot_queue.ts";
import { type HotBlock, Regions } from "./translate/regions/regions.ts";
import { microcode } from "./system/microcode.ts";
import { init, powerOn } from "./system/power_on.ts";
import { CoreVcpu } from "./vcpu.ts";
import { type Instead, Modules } from "./translate/handler_table.ts";
import { DR6_BS } from "./state/breakpoints.ts";
import { MODE_TF } from "./state/registers.ts";
import { record } from "./state/record.ts";
import type { FaultRecord } from "./state/registers.ts";
import { EXC_PF, FLAG_IF, FLAG_TF, REGION_INSTRUCTIONS, S, segmentLayout } from "./state/state.ts";
import {
  DISPATCH,
  FAULT,
  HALT,
  NEXT,
  SHADOW,
  SHUTDOWN,
  SLICE_END,
  type Status,
  STOP,
} from "./state/status.ts";

/**
 * Instructions between two looks at what the guest is running: few at first, and more with each look that finds what
 * has been found often. A look costs about 2 µs, an eighth of the time that regions take for 16,384 instructions. It
 * does not depend on the engine: a look may cut a block in two, and decoding costs budget.
 */
const SAMPLE_LEAST = 16_384, SAMPLE_MOST = 262_144;
/**
 * A block is hot when it was found HOT_SAMPLES times among SAMPLE_WINDOW looks. Loops get there at once; the thousands
 * of blocks of a path through a kernel's network stack never do, and must not: their functions would not fit the
 * processor's caches, while handlers, which they share, do (measured: sending TCP takes twice as long).
 */
const HOT_SAMPLES = 12;
/**
 * The same for regions, which are fewer and larger. With 12, 5 and 3 a boot, a shell loop, 200 forks and gzip spent 28, 16
 * and 13 % of their instructions in handlers. Now that blocks count their runs, too, samples are there for loops: their
 * regions need not end where others can be entered.
 */
const HOT_REGION_SAMPLES = 8;
/**
 * The same for a block that the region of a warm one has: it does not run in handlers any more, so a wider region may wait
 * until it is known what belongs to it.
 */
const WARM_REGION_SAMPLES = 16;
const SAMPLE_WINDOW = 1024;
/**
 * The same for a block that is part of a region but not one of its entries: such blocks are seen because regions
 * leave for them when the slice is nearly over.
 */
const MEMBER_SAMPLES = 40;
/**
 * What a delivery, a block that must be decoded, and a call that is executed again cost in instructions: they take about
 * as long, and a slice that is full of them must end in time.
 */
const COST_OF_DELIVERY = 50, COST_OF_DECODING = 200, COST_OF_RETRY = 20_000;
/**
 * Blocks decoded in one run without cost. Which blocks are known already is not the guest's state: a machine that was
 * restored decodes them again, and its slices must end where those of the saved one do. No guest needs as many in one
 * slice but one that keeps rewriting its code.
 */
const FREE_DECODINGS = 10_000;

/** Microcode for a unit's floating point after which a guest gets functions that do most of that. */
const FLOATS_AFTER = 8;

/** What a shadow keeps off the next instruction; what ended a run of many instructions is not known. */
type Shadow = RowOptions["shadow"] | "unknown";

/** Choices made when the CPU is built; those that are not EngineOptions are for tests but for `engine`. */
export interface CpuOptions extends EngineOptions {
  readonly engine?: WasmEngineName;
  readonly compileAtOnce?: boolean;
  /** So that comparisons have something that emitted code is not in. */
  readonly instead?: Instead;
  /** Slots for emitted functions. */
  readonly tableSize?: number;
  /** Most bytes of memory for regions, by estimate. */
  readonly codeBytes?: number;
}

/** See the module's description. */
export class Cpu implements Engine {
  readonly core: CpuCore;
  readonly vcpu: CoreVcpu;
  readonly modules: Modules;
  readonly blocks: BlockCache;
  readonly regions: Regions;
  readonly engine: WasmEngineName;
  /** Blocks are compiled when they are first found, not when they are hot: for tests. */
  readonly compileAtOnce: boolean;
  /** HLT was executed and no interrupt has come since. */
  halted = false;
  /** Why emitted code was left, by status. */
  readonly exits: Record<"dispatch" | "fault" | "halt" | "slice", number> = {
    dispatch: 0,
    fault: 0,
    halt: 0,
    slice: 0,
  };
  /** Exceptions by vector, interrupts taken, slow memory accesses, microcode by name, blocks compiled. */
  readonly exceptions = new Uint32Array(32);
  interrupts = 0;
  nmis = 0;
  slowAccesses = 0;
  compiled = 0;
  /** Times that a block was noted as warm. */
  warm = 0;
  readonly microcodeCounts: Float64Array;
  readonly microcodeNames: readonly string[] = MICROCODE_NAMES;

  /** Instructions retired since creation, up to the start of the running slice. */
  #retired = 0;
  #sliceBudget = 0;
  #parked = 0;
  #overhead = 0;
  /** Blocks decoded in this run. */
  #decodings = 0;
  /** Microcode of the running block has left with SHADOW: MOV SS or POP SS that changed the mode. */
  #stackSwitched = false;
  readonly #hot = new HotQueue();
  /** Instructions to the next sample. */
  #period = SAMPLE_LEAST;
  /** Samples taken. */
  #looks = 0;
  readonly #recent = new RecentCode();
  readonly #boundary: StoreBoundary;
  /** Record that left with FAULT. */
  #faultRecord = 0;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;

  constructor(
    memory: GuestMemory,
    hooks: EngineHooks,
    options: CpuOptions = {},
  ) {
    const core = this.core = new CpuCore(memory, hooks, options);
    this.vcpu = new CoreVcpu(options.id ?? 0, core);
    powerOn(core);
    this.#u32 = core.s.u32;
    this.#i32 = new Int32Array(this.#u32.buffer as ArrayBuffer, 0, this.#u32.length);
    fillCrc32cTable(memory.view);
    fillPlainConstants(memory.view);
    fillWindowConstants(memory.view);
    fillAesTables(memory.view);
    const counts = this.microcodeCounts = new Float64Array(MICROCODE_NAMES.length);
    const functions: Microcode[] = MICROCODE_NAMES.map((name) => microcode[name]);
    const floats = { x87: 0, sse: 0 };
    for (const [name, unit] of [["x87", "x87"], ["x87_memory", "x87"], ["sse_float", "sse"]] as const) {
      functions[microcodeNumber(name)] = (core, rec) => {
        if (++floats[unit] === FLOATS_AFTER) this.modules.addFloatFunctions(unit);
        return microcode[name](core, rec);
      };
    }
    const { mem } = core;
    const modeKeyHigh = (S.modeKey >> 2) + 1;
    const at = (rec: number, status: number): number => {
      if (status === FAULT) this.#faultRecord = rec;
      return status;
    };
    this.modules = new Modules(memory, {
      slowLoad: (rec, size) => (this.slowAccesses++, at(rec, mem.slowLoad(rec, size))),
      slowStore: (rec, size) => {
        this.slowAccesses++;
        const status = at(rec, mem.slowStore(rec, size));
        if (status === NEXT && (this.#i32[S.budget >> 2] as number) < 0) this.#boundary.setBehind(rec);
        return status;
      },
      slowUpdate: (rec, size) => (this.slowAccesses++, at(rec, mem.slowUpdate(rec, size))),
      segmented: (rec, segment, mode) => at(rec, this.#segmented(segment, mode & 0xff, (mode & 0x100) !== 0)),
      microcode: (id, rec) => {
        counts[id]!++;
        const mode = this.#u32[modeKeyHigh];
        const status = (functions[id] as Microcode)(core, rec);
        if (status === NEXT && this.#u32[modeKeyHigh] !== mode) {
          // What follows in the block was decoded for another mode.
          core.setRipBehind(rec);
          return DISPATCH;
        }
        if (status === NEXT && core.debugTraps !== 0 && ((core.modeBits & MODE_TF) === 0)) {
          // A breakpoint for data: the trap comes behind the instruction.
          core.setRipBehind(rec);
          this.#requestExit();
          return DISPATCH;
        }
        if (status === SHADOW) this.#stackSwitched = true;
        // IRET, POPF: run() must see each step, so emitted code may not go on by itself to a block it knows. Nor may it
        // with an RF that has been popped: that is for one instruction.
        if (
          status === DISPATCH &&
          (((this.#u32[S.eflags >> 2] as number) & FLAG_TF) !== 0 || core.debugTraps !== 0 ||
            (core.armed && core.resumeFlag))
        ) {
          this.#requestExit();
        }
        return at(rec, status);
      },
      raise: (rec, vector, errorCode) => at(rec, core.raise(vector, errorCode)),
      warm: (rec) => (this.#isWarm(rec), NEXT),
      link: (stub) => {
        const { decoded } = this.blocks;
        const target = this.blocks.link(stub);
        this.#chargeDecoding(decoded);
        return target;
      },
    }, options);
    this.blocks = new BlockCache(core, this.modules);
    this.#boundary = new StoreBoundary(core, this.blocks);
    this.regions = new Regions(this.modules, this.blocks, {
      ...(options.compileAtOnce === true ? { leastRuns: 0 } : {}),
      ...(options.codeBytes === undefined ? {} : { mostBytes: options.codeBytes }),
    });
    this.engine = options.engine ?? "interp";
    this.compileAtOnce = options.compileAtOnce ?? false;
    core.materializeFlags = this.modules.flags;
    core.requestExit = () => this.#requestExit();
    // counts as instructions: a long hypercall takes time, also where time is their number
    core.onRetry = () => void (this.#i32[S.budget >> 2]! -= COST_OF_RETRY);
  }

  /** Instructions retired. Exact between runs; within a slice, as of the last block end. */
  get instructions(): number {
    const used = this.#sliceBudget - (this.#i32[S.budget >> 2] as number) - this.#parked;
    return this.#retired + used - this.#overhead;
  }

  /** Budget used up by what is no instruction. */
  #charge(cost: number): void {
    this.#i32[S.budget >> 2]! -= cost;
    this.#overhead += cost;
  }

  /** A block was decoded if there were `before` until now. */
  #chargeDecoding(before: number): void {
    if (this.blocks.decoded !== before && ++this.#decodings > FREE_DECODINGS) this.#charge(COST_OF_DECODING);
  }

  /** Makes running code leave at its next block end. */
  #requestExit(): void {
    const left = this.#i32[S.budget >> 2] as number;
    if (left < 0) return;
    this.#parked += left + 1;
    this.#i32[S.budget >> 2] = -1;
  }

  /** Tells the CPU that the interrupt source may have something now. */
  interruptsChanged(): void {
    this.core.interruptsMayHaveChanged();
    if (((this.#u32[S.eflags >> 2] as number) & FLAG_IF) !== 0) this.#requestExit();
  }
  /** Makes run return "stopped" at the next block end. */
  requestStop(): void {
    this.core.stopRequested = true;
    this.#requestExit();
  }

  /** Raises an NMI: taken once, as soon as NMIs are not blocked. */
  requestNmi(): void {
    this.core.nmiPending = true;
    this.core.checkInterrupts();
  }

  /** Power-on state. */
  reset(): void {
    this.#startAfresh();
    powerOn(this.core);
  }
  init(): void {
    this.#startAfresh();
    init(this.core);
  }
  /** Forgets what was under way, and every translation; registers are the caller's. */
  #startAfresh(): void {
    this.halted = false;
    this.#recent.clear();
    this.#retired = this.instructions;
    this.#sliceBudget =
      this.#parked =
      this.#overhead =
      this.#i32[S.budget >> 2] =
        0;
    this.#hot.takeAll();
    this.blocks.reset();
  }

  readonly physicalAddressBits = PHYSICAL_BITS;
  readRegisters(): CpuRegisters {
    return readRegisters(this.core);
  }
  writeRegisters(changes: CpuRegisterChanges): void {
    writeRegisters(this.core, changes);
  }
  writeMsr(index: number, value: bigint): boolean {
    const ok = writeMsr(this.core, index, value);
    this.core.updateMode();
    return ok;
  }
  get tscOffset(): bigint {
    return this.core.s.get64(S.tscOffset);
  }
  get lastFault(): LastFault {
    return { vector: this.core.fault.vector, errorCode: this.core.fault.errorCode };
  }
  recentCode(): CodePlace[] {
    return this.#recent.places();
  }
  counters(): Record<string, number> {
    const counters: Record<string, number> = {};
    for (const [name, count] of Object.entries(this.exits)) counters[`exit.${name}`] = count;
    this.microcodeNames.forEach((name, i) => {
      const count = this.microcodeCounts[i] as number;
      if (count > 0) counters[`microcode.${name}`] = count;
    });
    this.exceptions.forEach((count, vector) => {
      if (count > 0) counters[`exception.${vector}`] = count;
    });
    counters["interrupts"] = this.interrupts;
    counters["nmis"] = this.nmis;
    counters["memory.slow_accesses"] = this.slowAccesses;
    counters["blocks.decoded"] = this.blocks.decoded;
    counters["blocks.invalidated"] = this.blocks.invalidated;
    counters["blocks.compiled"] = this.compiled;
    counters["regions.compiled"] = this.regions.compiled;
    counters["regions.ended"] = this.regions.ended;
    counters["regions.evicted"] = this.regions.evicted;
    counters["regions.live"] = this.regions.live;
    counters["regions.bytes"] = this.regions.bytes;
    counters["regions.code_instructions"] = this.regions.codeInstructions;
    const inRegions = Number(this.core.s.get64(REGION_INSTRUCTIONS));
    counters["instructions.regions"] = inRegions;
    counters["instructions.handlers"] = this.instructions - inRegions;
    counters["blocks.warm"] = this.warm;
    counters["handlers"] = this.modules.handlerCount;
    counters["code.slots"] = this.modules.slots.used;
    counters["code.blocks"] = this.blocks.count;
    counters["code.arena_bytes"] = this.blocks.arenaBytes;
    counters["code.resets"] = this.blocks.resets;
    return counters;
  }

  save(): EngineState {
    return saveState(this.core, { halted: this.halted, instructions: this.instructions });
  }
  load(state: EngineState): void {
    const run = loadState(this.core, state);
    this.#startAfresh();
    this.halted = run.halted;
    this.#retired = run.instructions;
  }

  #segmented(segment: number, bytes: number, write: boolean): Status {
    const index = (segment - S.es) / segmentLayout.size;
    return segmentedAccess(this.core, index, bytes, write);
  }

  /**
   * Runs about `budget` instructions (at least one block). Whatever the guest does costs budget: instructions count
   * when they are done or fault, and what takes long without any is charged for.
   */
  run(budget: number): RunResult {
    const core = this.core;
    const i32 = this.#i32;
    const budgetAt = S.budget >> 2;
    this.#sliceBudget = budget;
    this.#parked = this.#overhead = this.#decodings = 0;
    i32[budgetAt] = budget;
    core.lookForInterrupts();
    const finish = (result: RunResult): RunResult => {
      this.#retired = this.instructions;
      this.#sliceBudget = i32[budgetAt] as number;
      this.#parked = this.#overhead = 0;
      return result;
    };
    let boundary = true; // interrupts may be taken here
    let shadow: Shadow; // one instruction must be executed before that
    let sample = true;
    for (;;) {
      if (boundary) {
        if (core.stopRequested) {
          core.stopRequested = false;
          return finish("stopped");
        }
        if (this.#interrupt() === SHUTDOWN) return finish("shutdown");
        if (core.debugTraps !== 0 && this.#trap(0, false) === SHUTDOWN) return finish("shutdown");
        if (this.halted) return finish("halted");
        const left = (i32[budgetAt] as number) + this.#parked;
        if (left < 0) return finish("budget");
        i32[budgetAt] = Math.min(left, this.#period);
        this.#parked = left - (i32[budgetAt] as number);
      }
      const stepping = ((core.u32[S.eflags >> 2] as number) & FLAG_TF) !== 0;
      if (shadow !== undefined || core.stepWanted) {
        core.oneStep = true;
        core.updateMode();
      }
      const single = stepping || core.oneStep || core.armedForCode;
      core.stepWanted = false;
      if (single) this.#requestExit();
      if (shadow === "interrupts and traps") core.resumeFlag = true; // no breakpoint there either
      const lo = core.ripLo, hi = core.ripHi;
      this.#recent.add(lo, hi, core.codeBits);
      const rec = this.#lookup();
      if (sample) {
        sample = false;
        if (rec !== 0 && !single) this.#profile(rec);
      }
      core.resumeFlag = false;
      let status: Status = FAULT;
      if (rec === 0) i32[budgetAt]!--;
      else {
        core.stepTrapCancelled = this.#stackSwitched = false;
        status = this.modules.run(rec) as Status;
        if (this.#boundary.isSet) {
          const done = this.#boundary.restore();
          if (status === DISPATCH) i32[budgetAt]! -= done;
        }
        if (status === FAULT) {
          // The faulting instruction counts, too: time by instruction count must not stand still in a loop of faults.
          const again = core.stepWanted ? 1 : 0; // and is counted then
          i32[budgetAt]! -= (core.memory.bytes[this.#faultRecord + record.at.count] as number) - again;
          core.setRipTo(this.#faultRecord);
        }
      }
      if (core.oneStep) {
        core.oneStep = false;
        core.updateMode();
      }
      const cast = status === SHADOW ? this.#shadowOf(rec, single) : undefined;
      shadow = cast === shadow ? undefined : cast; // the second of a kind in a row casts none
      boundary = true;
      switch (status) {
        case DISPATCH:
          this.exits.dispatch++;
          boundary = (i32[budgetAt] as number) < 0;
          break;
        case SHADOW:
          this.exits.dispatch++;
          boundary = shadow === undefined;
          break;
        case SLICE_END:
          this.exits.slice++;
          sample = true;
          break;
        case FAULT:
          this.exits.fault++;
          core.debugTraps = 0; // they would come behind an instruction that is not done
          if (core.stepWanted) {
            boundary = false;
            continue;
          }
          if (this.#deliver() === SHUTDOWN) return finish("shutdown");
          break;
        case HALT:
          this.exits.halt++;
          this.halted = true;
          this.#hot.halted(this.instructions);
          break;
        case STOP:
          core.stopRequested = true;
          break;
        case SHUTDOWN:
          return finish("shutdown");
        default:
          assert(false, `status ${status} from emitted code`);
      }
      const stepped = stepping && status !== FAULT && !core.stepTrapCancelled;
      if (!stepped && core.debugTraps === 0 && !core.armedForCode) continue;
      if (shadow === "interrupts and traps") continue;
      const repeating = single && core.ripLo === lo && core.ripHi === hi &&
        this.#lastOptions(rec).repeats === true;
      // Breakpoints at a string instruction come before its first iteration only.
      if (repeating && status !== FAULT) core.resumeFlag = true;
      if (!stepped && core.debugTraps === 0) continue;
      boundary = true;
      shadow = undefined;
      // Between two iterations the instruction is still to be resumed.
      if (this.#trap(stepped ? DR6_BS : 0, repeating) === SHUTDOWN) return finish("shutdown");
    }
  }

  /** Delivers #DB for what has come behind the last instruction, and `dr6`. */
  #trap(dr6: number, resume: boolean): Status {
    const { core } = this;
    this.halted = false;
    core.raiseDebug(dr6 | core.debugTraps, true);
    core.debugTraps = 0;
    core.resumeFlag = false;
    core.fault.resume = resume;
    return this.#deliver();
  }

  /** Takes the most urgent interrupt that is due. */
  #interrupt(): Status {
    const { core } = this;
    if (!core.interruptDue) return NEXT;
    this.#charge(COST_OF_DELIVERY);
    if (core.nmiPending && !core.nmiBlocked) {
      this.halted = false;
      this.nmis++;
      return deliverNmi(core);
    }
    const vector = core.hooks.interrupts.acknowledge();
    if (vector < 0) return NEXT;
    this.halted = false;
    this.interrupts++;
    if (core.tracer.on("interrupt")) core.tracer.log("interrupt", `vector ${vector}`);
    return deliverInterrupt(core, vector);
  }

  /** First record of the block at S.rip; 0: a fault was recorded. */
  #lookup(): number {
    const { decoded } = this.blocks;
    const rec = this.blocks.lookup();
    this.#chargeDecoding(decoded);
    if (this.compileAtOnce && rec !== 0) {
      const block = this.blocks.blockAt(rec);
      if (block !== undefined && block.samples >= 0) {
        this.#compile([this.#hotBlock(block)]);
      }
    }
    return rec;
  }

  /** What waits for the next instruction after SHADOW; `single`: only the instruction at `rec` has been executed. */
  #shadowOf(rec: number, single: boolean): Shadow {
    if (this.#stackSwitched) return "interrupts and traps";
    return single ? this.#lastOptions(rec).shadow : "unknown";
  }
  /** What the row of the last instruction of the block at `rec` says of it. */
  #lastOptions(rec: number): RowOptions {
    const block = this.blocks.blockAt(rec);
    return block === undefined ? {} : this.blocks.instructionsOf(block).at(-1)?.row.options ?? {};
  }

  /** The block at `rec` runs right now, at the end of a sampling period: blocks found often are compiled. */
  #profile(rec: number): void {
    const block = this.blocks.blockAt(rec);
    const known = block === undefined || ++block.looks > HOT_SAMPLES;
    this.#period = known ? Math.min(this.#period * 2, SAMPLE_MOST) : SAMPLE_LEAST;
    const window = Math.floor(this.#looks++ / SAMPLE_WINDOW);
    if (block !== undefined && block.samples >= 0) {
      if (block.window !== window) {
        block.window = window;
        block.samples = 0;
      }
      if (++block.samples === this.#samplesNeeded(block)) {
        this.#hot.add(this.#hotBlock(block), this.instructions);
      }
    }
    if (this.#hot.isDue(this.instructions)) this.#compile(this.#hot.takeAll());
  }

  get hasIdleWork(): boolean {
    return this.#hot.length > 0;
  }
  doIdleWork(): void {
    this.#compile(this.#hot.takeSome());
  }

  /** Handlers have run the block that counts its runs in the record `rec` often; S.codeBias is of its page. */
  #isWarm(rec: number): void {
    if (this.engine !== "jit") return;
    const block = this.blocks.countingIn(rec);
    if (block === undefined) return;
    this.warm++;
    block.isWarm = true;
    this.#hot.add({ block, linear: this.core.s.get64(S.codeBias), isWarm: true }, this.instructions);
  }

  /** Looks that must find a block before it is compiled. */
  #samplesNeeded(block: Block): number {
    if (this.engine !== "jit") return HOT_SAMPLES;
    if (!this.regions.has(block)) return HOT_REGION_SAMPLES;
    return this.regions.isInHot(block) ? MEMBER_SAMPLES : WARM_REGION_SAMPLES;
  }

  /** The block at S.rip. */
  #hotBlock(block: Block): HotBlock {
    const { ripLo, ripHi } = this.core;
    return { block, linear: BigInt(ripHi) << 32n | BigInt((ripLo & ~PAGE_MASK) >>> 0) };
  }
  #compile(hot: readonly HotBlock[]): void {
    this.compiled += this.engine === "jit"
      ? this.regions.compile(hot)
      : compileBlocks(this.modules, this.blocks, hot.map(({ block }) => block));
  }

  #deliver(): Status {
    const { core } = this;
    this.#charge(COST_OF_DELIVERY);
    const { vector } = core.fault;
    this.exceptions[vector & 31]!++;
    if (core.tracer.on("exception")) {
      core.tracer.log("exception", describeFault(core.fault, core.rip));
    }
    return deliverFault(core);
  }
}

/** `vector 14 error 0x2 rip 0x… cr2 0x…`: CR2 is what a page fault is about to put there. */
function describeFault({ vector, errorCode, addressLo, addressHi }: FaultRecord, rip: bigint): string {
  const words = [`vector ${vector}`];
  if (errorCode >= 0) words.push(`error ${hex(errorCode)}`);
  words.push(`rip ${hex(rip)}`);
  if (vector === EXC_PF) words.push(`cr2 ${hex((BigInt(addressHi >>> 0) << 32n) | BigInt(addressLo >>> 0))}`);
  return words.join(" ");
}
