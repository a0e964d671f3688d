// SPDX-License-Identifier: MIT
/**
 * The core module: what all emitted code shares. Dispatch by RIP, lazy flags, links between blocks, ways out.
 * @module
 */
import { PAGE_SIZE } from "../base/bits.ts";
import { countRun } from "../emit/count_run.ts";
import { mappedCode } from "../emit/region/mapped_code.ts";
import { type Val, WasmBuilder } from "../emit/builder.ts";
import type { FlagKind, Width } from "../emit/emit.ts";
import { carryOf, FLAG_KIND_COUNT, flagKindOf, type FlagSource, imageOf } from "../emit/flags.ts";
import {
  type CoreExport,
  ENVIRONMENT,
  importSpace,
  linkType,
  LOOK_PARAMETERS,
  LOOK_RESULT,
  OTHER_TABLE,
  type Sizes,
  SSE_SLOW_PARAMETERS,
  VECTOR_FUNCTIONS,
  vectorType,
} from "../emit/links.ts";
import { microcodeNumber } from "../emit/microcode_calls.ts";
import { LANES_SHIFT, LOOK_REPLACED, SSE_LOOK, SSE_VALUE } from "../fpu/sse/sse_unit.ts";
import { VECTOR_FUNCTION_BODIES } from "../isa/vector_functions.ts";
import { defineX87 } from "../isa/x87/x87_function.ts";
import { stringCompare } from "../isa/simd/string_compare.ts";
import {
  H_CROSSING,
  H_FORWARD,
  H_GOTO,
  H_GOTO_SEGMENTED,
  H_LINK,
  H_RELINK,
  H_SHADOW,
  H_SSE_LOOK,
  H_STALE,
  H_VECTOR_FUNCTION,
  H_X87,
  record,
  RECORD_BYTES,
  RECORD_GOES_HOST,
  RECORD_GOES_TO,
  SSE_LOOKS,
  X87_FUNCTIONS,
} from "../state/record.ts";
import {
  FLAG_KIND_RAW,
  JUMP_CACHE_BASE,
  JUMP_CACHE_BITS,
  JUMP_CACHE_HASH,
  jumpCacheEntry,
  S,
  segmentLayout,
} from "../state/state.ts";
import { DISPATCH, SHADOW, SLICE_END } from "../state/status.ts";
import { FunctionBody, ModuleBuilder, type TablePlace } from "../wasm/encoder.ts";
import { defineLooks, storeResult } from "./sse_look.ts";
import { SLOW_ACCESSES, slowAccess, spanOf } from "../mmu/emitted_access.ts";
import { invalidatePage } from "../mmu/emitted_invalidate.ts";
import { pageWalk, type WalkMap } from "../mmu/emitted_walk.ts";
import { findBlock } from "./find_block.ts";

/** The export that runs the record at the given address until something leaves with a status. */
export const RUN_NAME = "run";
/** An import that only the core module has: record of the block a link stub leads to, or 0 with a fault recorded. */
export const LINK_NAME = "link";
/** The other one: that many bytes from an offset in the WebAssembly memory on are about to be written; answers 0. */
export const WRITTEN_NAME = "written";

/** Floating point that WebAssembly functions do in place of microcode: all of the x87, and second looks at SSE. */
export type FloatUnit = "x87" | "sse";
/**
 * The bytes of the module with the functions of one unit. Emitting both takes a tenth of a machine's start; most kernels come
 * to their first program without either, and most programs use but one.
 */
export function floatModule(sizes: Sizes, unit: FloatUnit): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  importSpace(module, sizes);
  (unit === "x87" ? defineX87 : defineLooks)(module);
  return module.encode();
}

/** The module's bytes. */
export function coreModule(sizes: Sizes, map: WalkMap): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const handlerType = importSpace(module, sizes);
  const nullary = module.type([], ["i32"]);
  const binary = module.type(["i32", "i32"], ["i32"]);
  const link = module.importFunction(ENVIRONMENT, LINK_NAME, handlerType);
  const warm = module.importFunction(ENVIRONMENT, "warm", handlerType);
  const microcode = module.importFunction(ENVIRONMENT, "microcode", binary);
  const written = module.importFunction(ENVIRONMENT, WRITTEN_NAME, binary);
  const unary64 = module.type(["i64"], ["i32"]), mixed = module.type(["i64", "i32"], ["i32"]);
  const slow = SLOW_ACCESSES.map((name) => module.importFunction(ENVIRONMENT, name, binary));

  const define = (
    type: number,
    params: number,
    fill: (b: WasmBuilder) => void,
    where: { exportName?: CoreExport | typeof SLOW_ACCESSES[number] | typeof RUN_NAME; place?: TablePlace },
  ) => {
    const body = new FunctionBody(params);
    const b = new WasmBuilder(body);
    fill(b);
    b.unreachable();
    return module.addFunction(type, body, where);
  };
  const state64 = (b: WasmBuilder, at: number) => b.loadRaw("i64.load", b.i32(at));
  const setRip = (b: WasmBuilder, rip: Val) =>
    b.storeRaw("i64.store", b.i32(S.rip), b.and(64, rip, state64(b, S.codeMask)));
  const enter = (b: WasmBuilder, rec: Val) =>
    b.returnCallIndirect(handlerType, [rec], b.loadRaw("i32.load", rec, record.at.handler));
  const poffOf = (b: WasmBuilder, rec: Val) =>
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
      const image = imageOf(b, stored(b, known)) as Val;
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

  const walk = define(mixed, 2, (b) => pageWalk(b, map), {});
  SLOW_ACCESSES.forEach((exportName, i) => {
    const otherwise = slow[i] as number;
    define(binary, 2, (b) => slowAccess(b, exportName, { walk, otherwise, map }), { exportName });
  });
  define(handlerType, 1, (b) => spanOf(b, { walk, map, written }), { exportName: "span" });
  const isLong = (b: WasmBuilder) => b.eq(32, b.loadRaw("i32.load", b.i32(S.codeBits)), b.i32(64));
  const find = define(unary64, 1, (b) => findBlock(b, walk), {});
  // Goes to the block at S.rip if it is known; `segmented`: RIP need not be the linear address; `from`: for a record with
  // H_GOTO, which keeps what is found.
  const probe = (segmented: boolean, from = false) =>
    define(from ? handlerType : nullary, from ? 1 : 0, (b) => {
      const rip = state64(b, S.rip);
      const ripLow = b.op("i32.wrap_i64", rip);
      let low = ripLow, linear = rip;
      if (segmented) {
        // Outside 64-bit code linear addresses are base + RIP, cut to 32 bits, and RIP has no upper half.
        const base = b.loadRaw("i32.load", b.i32(S.cs + segmentLayout.at.base));
        low = b.add(32, ripLow, b.select(isLong(b), b.i32(0), base));
        linear = b.or(64, b.and(64, rip, b.i64(0xffff_ffff_0000_0000n)), b.zeroExtend(32, 64, low));
      }
      const hash = b.op("i32.mul", low, b.i32(JUMP_CACHE_HASH));
      const index = b.op("i32.shr_u", hash, b.i32(32 - JUMP_CACHE_BITS));
      const entry = b.op("i32.mul", index, b.i32(jumpCacheEntry.size));
      const tag = b.xor(64, linear, state64(b, S.modeKey));
      const cached = b.loadRaw("i64.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.tag);
      // The block is still there if its page is still mapped where it was.
      const { elsewhere, host } = mappedCode(b, b.and(64, linear, b.i64(-PAGE_SIZE)), low);
      const expected = b.loadRaw("i32.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.host);
      const isMissing = b.or(
        32,
        b.or(32, b.op("i64.ne", cached, tag), elsewhere),
        b.op("i32.ne", host, expected),
      );
      const known = b.variable(b.loadRaw("i32.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.record));
      b.body.hint(0);
      b.if(isMissing, () => {
        const found = b.call(find, [linear], "i32") as Val;
        b.if(b.eqz(32, found), () => b.return(b.i32(DISPATCH)));
        b.set(known, found);
      });
      const rec = b.get(known);
      if (from) {
        const at = b.parameter(0, "i32");
        const place = b.loadRaw("i32.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.host);
        b.storeRaw("i32.store", at, rec, RECORD_GOES_TO);
        b.storeRaw("i32.store", at, place, RECORD_GOES_HOST);
      }
      if (segmented) {
        // The whole block lies within the segment. In flat code, which has all 4 GiB, that byte is RECORD_ENTRY.
        const bytes = b.zeroExtend(32, 64, b.loadRaw("i32.load8_u", rec, record.at.bytes));
        const end = b.add(64, b.zeroExtend(32, 64, ripLow), bytes);
        const limit = b.loadRaw("i32.load", b.i32(S.cs + segmentLayout.at.limit));
        const beyond = b.ltU(64, b.add(64, b.zeroExtend(32, 64, limit), b.i64(1)), end);
        b.if(b.and(32, beyond, b.eqz(32, isLong(b))), () => b.return(b.i32(DISPATCH)));
      }
      b.storeRaw("i64.store", b.i32(S.codeBias), b.sub(64, rip, poffOf(b, rec)));
      enter(b, rec);
    }, {});
  // Near branch to S.rip, the block already charged.
  const jumpBy = (probe: number, exportName: CoreExport) =>
    define(nullary, 0, (b) => {
      b.if(spent(b), () => b.return(b.i32(SLICE_END)));
      b.returnCall(probe, []);
    }, { exportName });
  const probeSegmented = probe(true);
  jumpBy(probe(false), "jump");
  const jumpSegmented = jumpBy(probeSegmented, "jumpSegmented");

  define(binary, 2, (b) => {
    b.return(stringCompare(b, b.parameter(0, "i32"), b.parameter(1, "i32")));
  }, { exportName: "stringCompare" });
  define(binary, 2, invalidatePage, { exportName: "invalidatePage" });

  // In place of the functions that floatModule has: they leave everything to microcode.
  const lookType = linkType(module, LOOK_PARAMETERS);
  const refuse = (b: WasmBuilder) => b.return(b.i32(0));
  define(handlerType, 1, refuse, { place: { slot: H_X87, count: X87_FUNCTIONS } });
  define(lookType, 3, refuse, { place: { table: OTHER_TABLE, slot: H_SSE_LOOK, count: SSE_LOOKS } });

  // Microcode said `status` (not NEXT) at record `rec`: its instructions count.
  const leave = define(binary, 2, (b) => {
    const status = b.parameter(0, "i32");
    const rec = b.parameter(1, "i32");
    const left = b.op(
      "i32.sub",
      b.loadRaw("i32.load", b.i32(S.budget)),
      b.loadRaw("i32.load8_u", rec, record.at.count),
    );
    b.storeRaw("i32.store", b.i32(S.budget), left);
    b.if(b.op("i32.ne", status, b.i32(DISPATCH)), () => b.return(status));
    b.returnCall(jumpSegmented, []); // the mode may be another now
  }, { exportName: "leave" });

  VECTOR_FUNCTIONS.forEach((name, i) => {
    const body = new FunctionBody(3);
    const b = new WasmBuilder(body);
    const [first, second, third] = [0, 1, 2].map((p) => b.parameter(p, "v128")) as [Val, Val, Val];
    b.return(VECTOR_FUNCTION_BODIES[name](b, first, second, third));
    b.unreachable();
    module.addFunction(vectorType(module), body, {
      place: { table: OTHER_TABLE, slot: H_VECTOR_FUNCTION + i },
    });
  });

  // SSE: emitted code did not like what came out.
  define(linkType(module, SSE_SLOW_PARAMETERS), SSE_SLOW_PARAMETERS.length, (b) => {
    const [rec, how] = [b.parameter(0, "i32"), b.parameter(1, "i32")];
    const [first, second, result] = [2, 3, 4].map((i) => b.parameter(i, "v128")) as [Val, Val, Val];
    const next = b.add(32, rec, b.i32(RECORD_BYTES));
    b.if(b.eqz(32, b.and(32, how, b.i32(SSE_VALUE))), () => {
      const number = b.shl(32, b.and(32, how, b.i32(SSE_LOOK)), b.i32(1)); // sseLookNumber
      const packed = b.bit(how, LANES_SHIFT);
      const slot = b.add(32, b.or(32, number, packed), b.i32(H_SSE_LOOK));
      const found = b.callIndirect(lookType, [first, second, result], slot, "i32", OTHER_TABLE);
      b.if(found, () => {
        const right = b.variable(result);
        const replaced = b.eq(32, found, b.i32(LOOK_REPLACED));
        b.if(replaced, () => b.set(right, b.loadRaw("v128.load", b.i32(LOOK_RESULT))));
        storeResult(b, how, b.loadRaw("i32.load16_u", rec, record.at.reg), b.get(right));
        enter(b, next);
      });
    });
    b.storeRaw("i32.store", b.i32(S.arg), b.or(32, how, b.i32(SSE_VALUE)));
    b.storeRaw("v128.store", b.i32(S.arg + 8), second);
    const status = b.call(microcode, [b.i32(microcodeNumber("sse_float")), rec], "i32") as Val;
    b.if(status, () => b.returnCall(leave, [status, rec]));
    enter(b, next);
  }, { exportName: "sseSlow" });

  // The budget ran out before the block at record `rec`, which may be a stub.
  define(handlerType, 1, (b) => {
    const rec = b.parameter(0, "i32");
    const handler = b.loadRaw("i32.load", rec, record.at.handler);
    const isGoto = b.or(32, b.eq(32, handler, b.i32(H_GOTO)), b.eq(32, handler, b.i32(H_GOTO_SEGMENTED)));
    const delta = b.select(isGoto, b.loadRaw("i64.load", rec, record.at.imm), poffOf(b, rec));
    setRip(b, b.add(64, state64(b, S.codeBias), delta));
    b.return(b.i32(SLICE_END));
  }, { exportName: "sliceEnd" });

  for (const slot of [H_LINK, H_RELINK]) {
    define(handlerType, 1, (b) => {
      const rec = b.call(link, [b.parameter(0, "i32")], "i32") as Val;
      b.if(rec, () => enter(b, rec));
      b.return(b.i32(DISPATCH));
    }, { place: { slot } });
  }
  define(handlerType, 1, (b) => {
    enter(b, b.loadRaw("i32.load", b.parameter(0, "i32"), record.at.imm));
  }, { place: { slot: H_FORWARD } });

  const goTo = (end: (b: WasmBuilder) => void) => (b: WasmBuilder) => {
    const rec = b.parameter(0, "i32");
    countRun(b, () => rec, () => void b.call(warm, [rec], "i32"));
    setRip(b, b.add(64, state64(b, S.codeBias), b.loadRaw("i64.load", rec, record.at.imm)));
    const left = b.op(
      "i32.sub",
      b.loadRaw("i32.load", b.i32(S.budget)),
      b.loadRaw("i32.load8_u", rec, record.at.count),
    );
    b.storeRaw("i32.store", b.i32(S.budget), left);
    end(b);
  };
  const search = probe(false, true);
  define(
    handlerType,
    1,
    goTo((b) => {
      b.if(spent(b), () => b.return(b.i32(SLICE_END)));
      const from = b.parameter(0, "i32");
      const rip = state64(b, S.rip), low = b.op("i32.wrap_i64", rip);
      const { elsewhere, host } = mappedCode(b, b.and(64, rip, b.i64(-PAGE_SIZE)), low);
      const expected = b.loadRaw("i32.load", from, RECORD_GOES_HOST);
      b.body.hint(0);
      b.if(b.or(32, elsewhere, b.op("i32.ne", host, expected)), () => b.returnCall(search, [from]));
      const rec = b.loadRaw("i32.load", from, RECORD_GOES_TO);
      b.storeRaw("i64.store", b.i32(S.codeBias), b.sub(64, rip, poffOf(b, rec)));
      enter(b, rec);
    }),
    { place: { slot: H_GOTO } },
  );
  define(handlerType, 1, goTo((b) => b.returnCall(jumpSegmented, [])), { place: { slot: H_GOTO_SEGMENTED } });
  const inShadow = (b: WasmBuilder) => {
    b.if(spent(b), () => b.return(b.i32(SHADOW)));
    b.returnCall(probeSegmented, []);
  };
  define(handlerType, 1, goTo(inShadow), { place: { slot: H_SHADOW } });

  const leaveFor = (b: WasmBuilder, rec: Val) => {
    setRip(b, b.add(64, state64(b, S.codeBias), poffOf(b, rec)));
    b.return(b.i32(DISPATCH));
  };
  define(handlerType, 1, (b) => leaveFor(b, b.parameter(0, "i32")), { place: { slot: H_STALE } });
  define(handlerType, 1, (b) => {
    const rec = b.parameter(0, "i32");
    const sum = b.add(64, state64(b, S.codeBias), b.i64(PAGE_SIZE));
    const base = b.loadRaw("i32.load", b.i32(S.cs + segmentLayout.at.base));
    const low = b.add(32, b.op("i32.wrap_i64", sum), base);
    const next = b.select(isLong(b), sum, b.zeroExtend(32, 64, low));
    const { elsewhere, host } = mappedCode(b, next, b.op("i32.wrap_i64", next));
    const expected = b.loadRaw("i32.load", rec, record.at.imm);
    b.body.hint(0);
    b.if(b.or(32, elsewhere, b.op("i32.ne", host, expected)), () => leaveFor(b, rec));
    enter(b, b.add(32, rec, b.i32(RECORD_BYTES)));
  }, { place: { slot: H_CROSSING } });

  define(handlerType, 1, (b) => enter(b, b.parameter(0, "i32")), { exportName: RUN_NAME });
  return module.encode();
}
