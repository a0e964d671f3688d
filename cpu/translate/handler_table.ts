// SPDX-License-Identifier: MIT
/**
 * Emitted modules and the handlers in them. A handler is emitted the first time a decoded instruction needs it: a
 * guest uses some thousand of the possible ones, and a module with one function costs about 30 µs. A guest that tries
 * could have some hundred thousand: when the table is nearly full, all of them are dropped together with all blocks.
 * @module
 */
import { assert } from "../base/assert.ts";
import type { GuestMemory } from "../base/guest_memory.ts";
import type { Instruction } from "../decode/instruction.ts";
import type { Facts } from "../emit/facts.ts";
import {
  type Callbacks,
  ENVIRONMENT,
  importLinks,
  type Links,
  MEMORY_NAME,
  OTHER_TABLE_NAME,
  OTHER_TABLE_SIZE,
  type Sizes,
  TABLE_NAME,
} from "../emit/links.ts";
import { fillX87Tables } from "../isa/x87/x87_function.ts";
import { H_COVERED } from "../state/record.ts";
import { ModuleBuilder } from "../wasm/encoder.ts";
import type { BlockDraft } from "./blocks/block_draft.ts";
import { compileHandler } from "./compile.ts";
import { coreModule, floatModule, type FloatUnit, LINK_NAME, RUN_NAME, WRITTEN_NAME } from "./core_module.ts";
import { fusesWithNext, type Run, type Shape, Shapes } from "./shapes.ts";
import { SlotTable, TABLE_SIZE } from "./slot_table.ts";

/**
 * Handlers after which a guest counts as one that will need the usual ones (cpu/decode/usual_forms.ts), which are made
 * then in one module. Every instance has data and pages of code of its own that the processor's caches and TLBs must hold,
 * besides what it costs to make: a boot takes 0.83 to 0.88 of the main thread's time when all its handlers are in one.
 */
const USUAL_AFTER = 200;

/** What emitted code calls in TypeScript, links between blocks included. */
export interface ModuleCallbacks extends Callbacks {
  /** Record of the block a link stub leads to, or 0 with a fault recorded. */
  link(stub: number): number;
}

/** Makes functions that emitted code gets in place of some of the core module. */
export type Instead = (
  core: WebAssembly.Exports,
  callbacks: Callbacks,
  memory: GuestMemory,
) => WebAssembly.ModuleImports;

/** A module being made, and the indices of what it imports. */
export interface OpenModule {
  readonly module: ModuleBuilder;
  readonly links: Links;
}

/** See the module's description. */
export class Modules {
  readonly slots: SlotTable;
  /** Runs the record at the given address until something leaves with a status. */
  readonly run: (rec: number) => number;
  /** Arithmetic flags in EFLAGS positions, from the lazy state. */
  readonly flags: () => number;
  /** Handlers emitted so far. */
  handlerCount = 0;
  /** Somebody wanted a slot and got none: everything must go at the next opportunity. */
  starved = false;

  readonly #memory: GuestMemory;
  readonly #sizes: Sizes;
  readonly #imports: WebAssembly.Imports;
  /** One without functions, which others begin as. */
  readonly #empty: OpenModule;
  readonly #shapes = new Shapes();
  /** Shapes with handlers, once for each; and their slots. */
  readonly #shaped: Shape[] = [];
  readonly #handlers: number[] = [];
  #hasUsual = false;

  constructor(
    memory: GuestMemory,
    callbacks: ModuleCallbacks,
    { tableSize = TABLE_SIZE, instead = () => ({}) }: {
      readonly tableSize?: number | undefined;
      readonly instead?: Instead | undefined;
    } = {},
  ) {
    this.#memory = memory;
    this.slots = new SlotTable(tableSize);
    this.#sizes = { memoryPages: memory.map.totalBytes / 65536, tableSize };
    const module = new ModuleBuilder();
    this.#empty = { module, links: importLinks(module, this.#sizes) };
    const environment: Record<string, WebAssembly.ImportValue> = {
      [MEMORY_NAME]: memory.memory,
      [TABLE_NAME]: this.slots.table,
      [OTHER_TABLE_NAME]: new WebAssembly.Table({
        element: "anyfunc",
        initial: OTHER_TABLE_SIZE,
        maximum: OTHER_TABLE_SIZE,
      }),
      ...callbacks,
      [LINK_NAME]: callbacks.link,
      [WRITTEN_NAME]: (offset: number, bytes: number) => (memory.announceWrite(offset, bytes), 0),
    };
    const core = new WebAssembly.Instance(
      new WebAssembly.Module(coreModule(this.#sizes, memory.map)),
      { [ENVIRONMENT]: environment },
    );
    const functions = { ...core.exports, ...instead(core.exports, callbacks, memory) };
    this.#imports = { [ENVIRONMENT]: { ...environment, ...functions } };
    this.run = core.exports[RUN_NAME] as (rec: number) => number;
    this.flags = core.exports.flags as () => number;
  }

  /** Handlers in the table. */
  get handlers(): number {
    return this.#handlers.length;
  }

  /** See {@linkcode Shape}. */
  shapeOf(insn: Instruction): Shape {
    return this.#shapes.of(insn);
  }
  /** What emission finds out about an instruction; remembered. */
  factsOf(insn: Instruction): Facts {
    return this.#shapes.of(insn).facts;
  }

  /**
   * Says in each record of `draft` which handler it has: a table slot, or H_COVERED when the handler before does it, too.
   * When a module must be made for some of `insns`, its instructions, handlers for those that `ahead` names go into it
   * too: a module costs several times what a function in it does, and most of these are needed soon. There must be a free
   * slot for each instruction.
   */
  addHandlers(draft: BlockDraft, insns: () => readonly Instruction[], ahead: () => Run): void {
    if (this.#findHandlers(draft)) return;
    const slots: number[] = [], shapes = Array.from({ length: draft.count }, (_, i) => draft.shapeOf(i));
    const open = this.#addHandlers({ insns: insns(), shapes }, undefined, slots);
    assert(slots.length === draft.count, "decoding again finds the same instructions");
    slots.forEach((slot, i) => draft.setHandler(i, slot));
    if (open !== undefined) {
      this.#addHandlers(ahead(), open);
      this.instantiate(open);
    }
  }
  /** The same, when all of them are there. */
  #findHandlers(draft: BlockDraft): boolean {
    for (let i = 0; i < draft.count; i++) {
      if (draft.isFused(i)) {
        const slot = draft.shapeOf(i).fused?.get(draft.shapeOf(i + 1)) ?? 0;
        if (slot === 0) return false;
        draft.setHandler(i, slot);
        draft.setHandler(++i, H_COVERED);
      } else if (draft.handlerOf(i) === 0) {
        const { slot } = draft.shapeOf(i);
        if (slot === 0) return false;
        draft.noteHandler(i, slot);
      }
    }
    return true;
  }
  /**
   * Makes the handlers that are not there, as long as there are free slots: in `open`, or the module it answers. With
   * `again` those that are there are made anew, once for each slot.
   */
  #addHandlers(
    run: Run,
    open: OpenModule | undefined,
    slots?: number[],
    again?: Set<number>,
  ): OpenModule | undefined {
    const { insns, shapes } = run;
    for (let i = 0; i < insns.length; i++) {
      const shape = shapes[i] as Shape;
      const second = fusesWithNext(shape, shapes[i + 1]) ? shapes[i + 1] as Shape : undefined;
      let slot = second === undefined ? shape.slot : shape.fused?.get(second) ?? 0;
      const isNew = slot === 0;
      if (isNew) {
        const free = this.slots.take();
        assert(free !== undefined || slots === undefined, "the caller has seen to free slots");
        if (free === undefined) return open;
        slot = free;
        if (second === undefined) shape.slot = slot;
        else (shape.fused ??= new Map()).set(second, slot);
        this.#shaped.push(shape);
        this.#handlers.push(slot);
        this.handlerCount++;
      }
      if (isNew || again?.has(slot) === false) {
        again?.add(slot);
        open ??= this.open();
        const end = second === undefined ? i + 1 : i + 2;
        const facts = shapes.slice(i, end).map((each) => each.facts);
        const body = compileHandler(open.links, insns.slice(i, end), facts);
        open.module.addFunction(open.links.handlerType, body, { place: { slot } });
      }
      slots?.push(slot);
      if (second === undefined) continue;
      slots?.push(H_COVERED);
      i++;
    }
    return open;
  }

  /** There are so many handlers that it pays to make the usual ones at once, and room for them. */
  get wantsUsual(): boolean {
    return !this.#hasUsual && this.#handlers.length >= USUAL_AFTER && this.slots.free > this.slots.size / 2;
  }
  /**
   * Makes the handlers for each of `usual`: an instruction, or two that are fused. Those that are there already move into
   * the same module: they came first because they are the most usual ones.
   */
  addUsual(usual: Iterable<readonly Instruction[]>): void {
    this.#hasUsual = true;
    const open = this.open(), made = new Set<number>();
    for (const insns of usual) {
      this.#addHandlers({ insns, shapes: insns.map((insn) => this.shapeOf(insn)) }, open, undefined, made);
    }
    this.instantiate(open);
  }

  /** Gives back the slots of all handlers. No record may lead to one any more. */
  dropHandlers(): void {
    for (const slot of this.#handlers) this.slots.give(slot);
    for (const shape of this.#shaped) {
      shape.slot = 0;
      shape.fused = undefined;
    }
    this.#handlers.length = this.#shaped.length = 0;
    this.starved = this.#hasUsual = false;
  }

  /** Makes the functions that do most of a unit's floating point in place of microcode. */
  addFloatFunctions(unit: FloatUnit): void {
    if (unit === "x87") fillX87Tables(this.#memory.view);
    new WebAssembly.Instance(new WebAssembly.Module(floatModule(this.#sizes, unit)), this.#imports);
  }

  /** Begins a module. */
  open(): OpenModule {
    const { module, links } = this.#empty;
    return { module: new ModuleBuilder(module), links };
  }
  /** Compiles and instantiates, which fills the table slots. */
  instantiate({ module }: OpenModule): void {
    new WebAssembly.Instance(new WebAssembly.Module(module.encode()), this.#imports);
  }
}
