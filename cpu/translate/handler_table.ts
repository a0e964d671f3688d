// SPDX-License-Identifier: MIT
/**
 * Emitted modules and the handlers in them. A handler is emitted the first time a decoded instruction needs it: a
 * guest uses some thousand of the possible ones, and a module with one function costs about 30 µs. A guest that tries
 * could have some hundred thousand: when the table is nearly full, all of them are dropped together with all blocks.
 * @module
 */
import { assert } from "../base/assert.ts";
import type { GuestMemory } from "../base/guest_memory.ts";
import type { Instruction } from "../decode/decoder.ts";
import type { Facts } from "../emit/facts.ts";
import {
  type Callbacks,
  ENVIRONMENT,
  importLinks,
  type Links,
  MEMORY_NAME,
  type Sizes,
  TABLE_NAME,
} from "../emit/links.ts";
import { ModuleBuilder } from "../wasm/encoder.ts";
import { compileFunction, factsOf } from "./compile.ts";
import { coreModule, LINK_NAME, RUN_NAME } from "./core_module.ts";
import { SlotTable, TABLE_SIZE } from "./slot_table.ts";

/** What emitted code calls in TypeScript, links between blocks included. */
export interface ModuleCallbacks extends Callbacks {
  /** Record of the block a link stub leads to, or 0 with a fault recorded. */
  link(stub: number): number;
}

/** Instructions whose facts are remembered at most. */
const MOST_FACTS = 1 << 16;

/** Row and form of an instruction as one number: instructions with the same one have the same handler. */
function shapeOf(insn: Instruction): number {
  return insn.row.id * 2 ** 28 + insn.formKey;
}

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

  readonly #sizes: Sizes;
  readonly #imports: WebAssembly.Imports;
  /** Slots by shape; of two instructions that share one, by the shape of the first and then of the second. */
  readonly #single = new Map<number, number>();
  readonly #fused = new Map<number, Map<number, number>>();
  readonly #facts = new Map<number, Facts>();

  constructor(memory: GuestMemory, callbacks: ModuleCallbacks, tableSize: number = TABLE_SIZE) {
    this.slots = new SlotTable(tableSize);
    this.#sizes = { memoryPages: memory.map.totalBytes / 65536, tableSize };
    const environment: Record<string, WebAssembly.ImportValue> = {
      [MEMORY_NAME]: memory.memory,
      [TABLE_NAME]: this.slots.table,
      ...callbacks,
      [LINK_NAME]: callbacks.link,
    };
    const core = new WebAssembly.Instance(
      new WebAssembly.Module(coreModule(this.#sizes, memory.map)),
      { [ENVIRONMENT]: environment },
    );
    this.#imports = { [ENVIRONMENT]: { ...environment, ...core.exports } };
    this.run = core.exports[RUN_NAME] as (rec: number) => number;
    this.flags = core.exports.flags as () => number;
  }

  /** Handlers in the table. */
  get handlers(): number {
    let fused = 0;
    for (const seconds of this.#fused.values()) fused += seconds.size;
    return this.#single.size + fused;
  }

  /** What emission finds out about an instruction; cached. */
  factsOf(insn: Instruction): Facts {
    const shape = shapeOf(insn);
    let facts = this.#facts.get(shape);
    if (facts === undefined) {
      if (this.#facts.size === MOST_FACTS) this.#facts.clear();
      this.#facts.set(shape, facts = factsOf(insn));
    }
    return facts;
  }

  /**
   * Table slots of the handlers for groups of one or two instructions. When a module must be made for some of them,
   * handlers for the groups that `ahead` names go into it too: a module costs several times what a function in it
   * does, and most of these are needed soon. There must be a free slot for each of `groups`.
   */
  handlersOf(
    groups: readonly (readonly Instruction[])[],
    ahead: () => readonly (readonly Instruction[])[],
  ): number[] {
    let open: OpenModule | undefined;
    const slotOf = (insns: readonly Instruction[]): number | undefined => {
      const [first, second] = insns as readonly [Instruction, Instruction?];
      const shape = shapeOf(first);
      let slots = this.#single, key = shape;
      if (second !== undefined) {
        slots = this.#fused.get(shape) ?? new Map();
        this.#fused.set(shape, slots);
        key = shapeOf(second);
      }
      let slot = slots.get(key);
      if (slot !== undefined) return slot;
      slot = this.slots.take();
      if (slot === undefined) return undefined;
      open ??= this.open();
      open.module.addFunction(open.links.handlerType, compileFunction(open.links, insns), {
        tableIndex: slot,
      });
      slots.set(key, slot);
      this.handlerCount++;
      return slot;
    };
    const found = groups.map((insns) => {
      const slot = slotOf(insns);
      assert(slot !== undefined, "the caller has seen to free slots");
      return slot;
    });
    if (open !== undefined) {
      ahead().forEach(slotOf);
      this.instantiate(open);
    }
    return found;
  }

  /** Gives back the slots of all handlers. No record may lead to one any more. */
  dropHandlers(): void {
    for (const slots of [this.#single, ...this.#fused.values()]) {
      for (const slot of slots.values()) this.slots.give(slot);
    }
    this.#single.clear();
    this.#fused.clear();
    this.starved = false;
  }

  /** Begins a module. */
  open(): OpenModule {
    const module = new ModuleBuilder();
    return { module, links: importLinks(module, this.#sizes) };
  }
  /** Compiles and instantiates, which fills the table slots. */
  instantiate({ module }: OpenModule): void {
    new WebAssembly.Instance(new WebAssembly.Module(module.encode()), this.#imports);
  }
}
