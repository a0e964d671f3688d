// SPDX-License-Identifier: MIT
/**
 * Emitted modules: the core module (dispatch, lazy flags, link and exit handlers) and the makers of handler
 * modules. A handler is emitted the first time a decoded instruction needs it: a guest uses some thousand of
 * the possible ones, and a module with one function costs about 30 µs.
 * @module
 */
import { assert } from "../base/assert.ts";
import type { GuestMemory } from "../base/guest_memory.ts";
import type { Instruction } from "../decode/decoder.ts";
import { WasmBuilder } from "../emit/builder.ts";
import type { FlagKind, Width } from "../emit/emit.ts";
import { carryOf, FLAG_KIND_COUNT, flagKindOf, type FlagSource, imageOf } from "../emit/flags.ts";
import { InterpreterEmit } from "../emit/interpreter.ts";
import { type Facts, type Links } from "../emit/wasm_emit.ts";
import { PAGE_SHIFT } from "../base/bits.ts";
import { record } from "../state/record.ts";
import {
  CODE_TLB_BASE,
  CODE_TLB_BITS,
  codeTlbEntry,
  FLAG_KIND_RAW,
  JUMP_CACHE_BASE,
  JUMP_CACHE_BITS,
  JUMP_CACHE_HASH,
  jumpCacheEntry,
  S,
} from "../state/state.ts";
import { DISPATCH, SHADOW, SLICE_END } from "../state/status.ts";
import { FunctionBody, ModuleBuilder } from "../wasm/encoder.ts";

/** Slots in the handler table. */
export const TABLE_SIZE = 1 << 18;
/** Handler of a direct branch that is not linked yet. */
export const H_LINK = 1;
/** Handler that goes to codeBias + imm, charging `count` instructions. */
export const H_GOTO = 2;
/** Handler of a record whose code has changed. */
export const H_STALE = 3;
/** Marks a record that another record's handler covers; never entered. */
export const H_COVERED = 4;
/** Like H_GOTO, but looks for no interrupt on the way. */
export const H_SHADOW = 5;
/** First record of a block whose code has changed: links to it lead on to the block that stands there now. */
export const H_RELINK = 6;
/** Goes to the record at `imm`. */
export const H_FORWARD = 7;
/** First slot for handlers of instructions. */
export const H_FIRST = 8;

/** What emitted code calls in TypeScript. Status results are those of cpu/state/status.ts. */
export interface Callbacks {
  slowLoad(rec: number, size: number): number;
  slowStore(rec: number, size: number): number;
  slowUpdate(rec: number, size: number): number;
  segmented(rec: number, segment: number, mode: number): number;
  microcode(id: number, rec: number): number;
  raise(rec: number, vector: number, errorCode: number): number;
  /** Record of the block a link stub leads to, or 0 with a fault recorded. */
  link(stub: number): number;
}

const CALLBACK_TYPES = {
  slowLoad: 2,
  slowStore: 2,
  slowUpdate: 2,
  segmented: 3,
  microcode: 2,
  raise: 3,
} as const;
const CORE_EXPORTS = { flags: 0, carry: 0, leave: 2, jump: 0, sliceEnd: 1 } as const;
const NO_LINKS: Omit<Links, "microcodeId"> = {
  handlerType: 0,
  slowLoad: 0,
  slowStore: 0,
  slowUpdate: 0,
  segmented: 0,
  microcode: 0,
  raise: 0,
  flags: 0,
  carry: 0,
  leave: 0,
  jump: 0,
  sliceEnd: 0,
};

/** Owns the table and every module in it. */
export class Modules {
  readonly table: WebAssembly.Table;
  /** Runs the record at the given address until something leaves with a status. */
  readonly run: (rec: number) => number;
  /** Arithmetic flags in EFLAGS positions, from the lazy state. */
  readonly flags: () => number;
  /** Handlers emitted so far. */
  handlerCount = 0;

  readonly #memory: GuestMemory;
  readonly #imports: WebAssembly.Imports;
  readonly #microcodeIds: ReadonlyMap<string, number>;
  #nextSlot = H_FIRST;
  #handlers = new Map<string, number>();
  #facts = new Map<number, Map<number, Facts>>();

  constructor(memory: GuestMemory, callbacks: Callbacks, microcodeNames: readonly string[]) {
    this.#memory = memory;
    this.#microcodeIds = new Map(microcodeNames.map((name, i) => [name, i]));
    this.table = new WebAssembly.Table({ element: "anyfunc", initial: TABLE_SIZE, maximum: TABLE_SIZE });
    const environment = { m: memory.memory, t: this.table, ...callbacks };
    const core = new WebAssembly.Instance(
      new WebAssembly.Module(this.#coreModule()),
      { e: environment } as unknown as WebAssembly.Imports,
    );
    this.#imports = { e: { ...environment, ...core.exports } } as unknown as WebAssembly.Imports;
    this.run = core.exports.run as (rec: number) => number;
    this.flags = core.exports.flags as () => number;
  }

  #microcodeId = (name: string): number => {
    const id = this.#microcodeIds.get(name);
    assert(id !== undefined, `microcode ${name} exists`);
    return id;
  };

  /** A module that imports everything handlers use, and the indices of it. */
  #start(): { module: ModuleBuilder; links: Links } {
    const module = new ModuleBuilder();
    module.importMemory("e", "m", this.#memory.map.totalBytes / 65536);
    module.importTable("e", "t", TABLE_SIZE);
    const links: Record<string, number> = { handlerType: module.type(["i32"], ["i32"]) };
    for (const [name, count] of Object.entries({ ...CALLBACK_TYPES, ...CORE_EXPORTS })) {
      links[name] = module.importFunction("e", name, module.type(Array(count).fill("i32"), ["i32"]));
    }
    return { module, links: { ...links, microcodeId: this.#microcodeId } as unknown as Links };
  }

  #coreModule(): Uint8Array<ArrayBuffer> {
    const module = new ModuleBuilder();
    module.importMemory("e", "m", this.#memory.map.totalBytes / 65536);
    module.importTable("e", "t", TABLE_SIZE);
    const handlerType = module.type(["i32"], ["i32"]);
    const nullary = module.type([], ["i32"]);
    const binary = module.type(["i32", "i32"], ["i32"]);
    const link = module.importFunction("e", "link", handlerType);

    const define = (
      type: number,
      params: number,
      fill: (b: WasmBuilder) => void,
      where: { exportName?: string; tableIndex?: number },
    ) => {
      const body = new FunctionBody(params);
      const b = new WasmBuilder(body);
      fill(b);
      b.unreachable();
      return module.addFunction(type, body, where);
    };
    const state64 = (b: WasmBuilder, at: number) => b.loadRaw("i64.load", b.i32(at));
    const setRip = (b: WasmBuilder, rip: ReturnType<WasmBuilder["op"]>) =>
      b.storeRaw("i64.store", b.i32(S.rip), b.and(64, rip, state64(b, S.codeMask)));
    const enter = (b: WasmBuilder, rec: ReturnType<WasmBuilder["op"]>) =>
      b.returnCallIndirect(handlerType, [rec], b.loadRaw("i32.load", rec, record.at.handler));
    const poffOf = (b: WasmBuilder, rec: ReturnType<WasmBuilder["op"]>) =>
      b.zeroExtend(32, 64, b.loadRaw("i32.load16_u", rec, record.at.poff));
    const spent = (b: WasmBuilder) => b.op("i32.lt_s", b.loadRaw("i32.load", b.i32(S.budget)), b.i32(0));

    // A binary search for the kind: there are 33, and this runs for every INC whose carry comes from elsewhere.
    const byKind = (b: WasmBuilder, leaf: (number: number) => void) => {
      const kind = b.loadRaw("i32.load", b.i32(S.flagKind));
      const search = (from: number, to: number): void => {
        if (to - from === 1) return leaf(from);
        const middle = (from + to) >> 1;
        b.if(b.ltU(32, kind, b.i32(middle)), () => search(from, middle), () => search(middle, to));
      };
      search(0, FLAG_KIND_COUNT);
    };
    const aux = (b: WasmBuilder) => b.loadRaw("i32.load", b.i32(S.flagAux));
    const stored = (b: WasmBuilder, known: { kind: FlagKind; w: Width }): FlagSource => {
      const load = (at: number) => b.loadRaw(known.w === 64 ? "i64.load" : "i32.load", b.i32(at));
      return { ...known, result: load(S.flagResult), first: load(S.flagFirst), aux: aux(b) };
    };
    define(nullary, 0, (b) =>
      byKind(b, (number) => {
        const known = flagKindOf(number);
        if (known === undefined) return b.return(aux(b));
        const image = imageOf(b, stored(b, known)) as ReturnType<WasmBuilder["op"]>;
        // What was computed once is kept in explicit form.
        b.storeRaw("i32.store", b.i32(S.flagAux), image);
        b.storeRaw("i32.store", b.i32(S.flagKind), b.i32(FLAG_KIND_RAW));
        b.return(image);
      }), { exportName: "flags" });
    define(nullary, 0, (b) =>
      byKind(b, (number) => {
        const known = flagKindOf(number);
        if (known === undefined) return b.return(b.bit(aux(b), 0));
        b.return(carryOf(b, stored(b, known)));
      }), { exportName: "carry" });

    // Goes to the block at S.rip if the jump cache has it.
    const probe = define(nullary, 0, (b) => {
      const rip = state64(b, S.rip);
      const low = b.op("i32.wrap_i64", rip);
      const hash = b.op("i32.mul", low, b.i32(JUMP_CACHE_HASH));
      const index = b.op("i32.shr_u", hash, b.i32(32 - JUMP_CACHE_BITS));
      const entry = b.op("i32.mul", index, b.i32(jumpCacheEntry.size));
      const tag = b.xor(64, rip, state64(b, S.modeKey));
      const cached = b.loadRaw("i64.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.tag);
      b.if(b.op("i64.ne", cached, tag), () => b.return(b.i32(DISPATCH)));
      // The block is still there if its page is still mapped where it was.
      const page = b.op("i32.shr_u", low, b.i32(PAGE_SHIFT));
      const code = b.op(
        "i32.mul",
        b.and(32, page, b.i32((1 << CODE_TLB_BITS) - 1)),
        b.i32(codeTlbEntry.size),
      );
      const pageTag = b.xor(64, b.and(64, rip, b.i64(-4096n)), state64(b, S.modeKey));
      const mapped = b.loadRaw("i64.load", code, CODE_TLB_BASE + codeTlbEntry.at.tag);
      b.if(b.op("i64.ne", mapped, pageTag), () => b.return(b.i32(DISPATCH)));
      const host = b.add(32, low, b.loadRaw("i32.load", code, CODE_TLB_BASE + codeTlbEntry.at.addend));
      const expected = b.loadRaw("i32.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.host);
      b.if(b.op("i32.ne", host, expected), () => b.return(b.i32(DISPATCH)));
      const rec = b.loadRaw("i32.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.record);
      b.storeRaw("i64.store", b.i32(S.codeBias), b.sub(64, rip, poffOf(b, rec)));
      enter(b, rec);
    }, {});
    // Near branch to S.rip, the block already charged.
    const jump = define(nullary, 0, (b) => {
      b.if(spent(b), () => b.return(b.i32(SLICE_END)));
      b.returnCall(probe, []);
    }, { exportName: "jump" });

    // Microcode said `status` (not NEXT) at record `rec`: its instructions count.
    define(binary, 2, (b) => {
      const status = b.parameter(0, "i32");
      const rec = b.parameter(1, "i32");
      const left = b.op(
        "i32.sub",
        b.loadRaw("i32.load", b.i32(S.budget)),
        b.loadRaw("i32.load8_u", rec, record.at.count),
      );
      b.storeRaw("i32.store", b.i32(S.budget), left);
      b.if(b.op("i32.ne", status, b.i32(DISPATCH)), () => b.return(status));
      b.returnCall(jump, []);
    }, { exportName: "leave" });

    // The budget ran out before the block at record `rec`, which may be a stub.
    define(handlerType, 1, (b) => {
      const rec = b.parameter(0, "i32");
      const isGoto = b.eq(32, b.loadRaw("i32.load", rec, record.at.handler), b.i32(H_GOTO));
      const delta = b.select(isGoto, b.loadRaw("i64.load", rec, record.at.imm), poffOf(b, rec));
      setRip(b, b.add(64, state64(b, S.codeBias), delta));
      b.return(b.i32(SLICE_END));
    }, { exportName: "sliceEnd" });

    for (const tableIndex of [H_LINK, H_RELINK]) {
      define(handlerType, 1, (b) => {
        const rec = b.call(link, [b.parameter(0, "i32")], "i32") as ReturnType<WasmBuilder["op"]>;
        b.if(rec, () => enter(b, rec));
        b.return(b.i32(DISPATCH));
      }, { tableIndex });
    }
    define(handlerType, 1, (b) => {
      enter(b, b.loadRaw("i32.load", b.parameter(0, "i32"), record.at.imm));
    }, { tableIndex: H_FORWARD });

    const goTo = (end: (b: WasmBuilder) => void) => (b: WasmBuilder) => {
      const rec = b.parameter(0, "i32");
      setRip(b, b.add(64, state64(b, S.codeBias), b.loadRaw("i64.load", rec, record.at.imm)));
      const left = b.op(
        "i32.sub",
        b.loadRaw("i32.load", b.i32(S.budget)),
        b.loadRaw("i32.load8_u", rec, record.at.count),
      );
      b.storeRaw("i32.store", b.i32(S.budget), left);
      end(b);
    };
    define(handlerType, 1, goTo((b) => b.returnCall(jump, [])), { tableIndex: H_GOTO });
    const inShadow = (b: WasmBuilder) => {
      b.if(spent(b), () => b.return(b.i32(SHADOW)));
      b.returnCall(probe, []);
    };
    define(handlerType, 1, goTo(inShadow), { tableIndex: H_SHADOW });

    define(handlerType, 1, (b) => {
      setRip(b, b.add(64, state64(b, S.codeBias), poffOf(b, b.parameter(0, "i32"))));
      b.return(b.i32(DISPATCH));
    }, { tableIndex: H_STALE });

    define(handlerType, 1, (b) => enter(b, b.parameter(0, "i32")), { exportName: "run" });
    return module.encode();
  }

  /** What emission finds out about an instruction; cached. */
  factsOf(insn: Instruction): Facts {
    let byForm = this.#facts.get(insn.row.id);
    if (byForm === undefined) this.#facts.set(insn.row.id, byForm = new Map());
    let facts = byForm.get(insn.formKey);
    if (facts === undefined) {
      const links = { ...NO_LINKS, microcodeId: this.#microcodeId };
      const emit = new InterpreterEmit(new FunctionBody(1), links, insn.form);
      insn.row.semantics(emit, insn.width);
      facts = emit.facts;
      byForm.set(insn.formKey, facts);
    }
    return facts;
  }

  /**
   * Table slots of the handlers for groups of instructions, each group of one or more that are fused. When a module
   * must be made for some of them, handlers for the groups that `ahead` names go into it too: a module costs several
   * times what a function in it does, and most of these are needed soon.
   */
  handlers(
    groups: readonly (readonly Instruction[])[],
    ahead: () => readonly (readonly Instruction[])[],
  ): number[] {
    let open: { module: ModuleBuilder; links: Links } | undefined;
    const slotOf = (insns: readonly Instruction[]): number => {
      const key = insns.map((i) => `${i.row.id},${i.formKey}`).join("|");
      let slot = this.#handlers.get(key);
      if (slot === undefined) {
        slot = this.#nextSlot++;
        assert(slot < TABLE_SIZE, "handler table has room");
        open ??= this.#start();
        open.module.addFunction(open.links.handlerType, this.#emitHandler(insns, open.links), {
          tableIndex: slot,
        });
        this.#handlers.set(key, slot);
        this.handlerCount++;
      }
      return slot;
    };
    const slots = groups.map(slotOf);
    if (open !== undefined) {
      ahead().forEach(slotOf);
      this.instantiate(open.module);
    }
    return slots;
  }

  #emitHandler(insns: readonly Instruction[], links: Links): FunctionBody {
    const body = new FunctionBody(1);
    const emit = new InterpreterEmit(body, links, (insns[0] as Instruction).form);
    insns.forEach((insn, i) => {
      if (i > 0) emit.nextInstruction(insn.form);
      insn.row.semantics(emit, insn.width);
    });
    emit.finish();
    return body;
  }

  /** A fresh module for functions of whole blocks. */
  startBatch(): { module: ModuleBuilder; links: Links } {
    return this.#start();
  }
  /** A free table slot; undefined when there is none left. */
  newSlot(): number | undefined {
    return this.#nextSlot < TABLE_SIZE ? this.#nextSlot++ : undefined;
  }
  /** Compiles and instantiates, which fills the table slots. */
  instantiate(module: ModuleBuilder): void {
    new WebAssembly.Instance(new WebAssembly.Module(module.encode()), this.#imports);
  }
}
