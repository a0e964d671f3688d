// SPDX-License-Identifier: MIT
/**
 * String instructions: MOVS STOS LODS SCAS CMPS INS OUTS and their repetition. SDM Vol. 2, "REP/REPE/REPNE".
 *
 * Registers are committed after each iteration, so a fault leaves exactly the iterations before it done. A long
 * repetition starts itself again after a while to let interrupts in. Flags of CMPS and SCAS appear at the end
 * only: a fault in between restores those from before the instruction, as the SDM says.
 *
 * Fast path of MOVS and STOS: when DF is clear and the TLB knows the pages, a run of elements up to the next page
 * end is one WebAssembly operation. The element-wise path stays for everything else. A region has the fast path alone,
 * and only of a repetition that it finishes.
 * @module
 */
import { DR7_ENABLES } from "../../state/breakpoints.ts";
import type { AtOnce, Emit, Value, Width } from "../../emit/emit.ts";
import { RAX, RCX, RDI, RSI } from "../../emit/emit.ts";
import { ES, FLAG_DF, FLAG_TF, S } from "../../state/state.ts";
import { row } from "../row/row.ts";
import { eflagsAny, gprWide, nonZero, setGprWide } from "../row/values.ts";

/** Iterations (or runs of the fast path, up to a page each) before interrupts get a chance. */
const TURNS = 64;
const PAGE = 4096;
/** The fast path costs one instruction of budget for every 32 elements. */
const ELEMENTS_PER_UNIT_LOG = 5;

const source = (e: Emit) => e.sourceAddress(gprWide(e, RSI, e.form.asize));
const destination = (e: Emit) => e.segmentAddress(ES, gprWide(e, RDI, e.form.asize));

/** Not 0 while single-stepping, or when breakpoints are enabled: a trap may follow each iteration. */
const stepping = (e: Emit) =>
  e.or(32, eflagsAny(e, FLAG_TF), e.and(32, e.state32(S.dr + 7 * 8), e.i32(DR7_ENABLES)));

/** Element size with the sign of DF, as i64. */
function step(e: Emit, w: Width): Value {
  return e.select(eflagsAny(e, FLAG_DF), e.i64(-w / 8), e.i64(w / 8));
}
function advance(e: Emit, index: number, by: Value): void {
  const { asize } = e.form;
  setGprWide(e, index, asize, e.add(64, gprWide(e, index, asize), by));
}

/**
 * Runs `iterate` while rCX counts down. It has committed its own registers and says whether to go on (undefined:
 * always). `run` is the fast path: the number of elements done at once, 0 for none.
 */
function repeat(e: Emit, iterate: () => Value | undefined, run?: (count: Value) => Value | undefined): void {
  const { asize } = e.form;
  e.if(nonZero(e, asize, e.gpr(RCX, asize)), () => {
    const turns = e.variable(e.select(stepping(e), e.i32(1), e.i32(TURNS))),
      more = e.variable(e.i32(0)),
      extra = e.variable(e.i32(0));
    e.doWhile(() => {
      const count = gprWide(e, RCX, asize);
      const single = () => {
        const goes = iterate();
        const left = e.sub(64, count, e.i64(1));
        setGprWide(e, RCX, asize, left);
        const rest = nonZero(e, 64, left);
        e.set(more, goes === undefined ? rest : e.and(32, rest, goes));
      };
      const done = run?.(count);
      if (done === undefined) single();
      else {
        e.if(done, () => {
          const left = e.sub(64, count, e.zeroExtend(32, 64, done));
          setGprWide(e, RCX, asize, left);
          e.set(more, nonZero(e, 64, left));
          e.set(extra, e.add(32, e.get(extra), done));
        }, single);
      }
      const turn = e.op("i32.sub", e.get(turns), e.i32(1));
      e.set(turns, turn);
      return e.and(32, e.get(more), nonZero(e, 32, turn));
    });
    e.if(e.get(more), () => {
      // Each turn is paid for: one that goes to a device takes far longer than an instruction.
      if (run === undefined) return e.repeat(e.i32(TURNS));
      const extraCost = e.op("i32.shr_u", e.get(extra), e.i32(ELEMENTS_PER_UNIT_LOG));
      e.repeat(e.add(32, extraCost, e.i32(TURNS)));
    });
  });
}

const log2 = (w: Width) => 31 - Math.clz32(w / 8);

/** Whole elements from host address `at` to the end of its page. Guest pages are pages of the memory, too. */
function elementsToPageEnd(e: Emit, w: Width, at: Value): Value {
  const bytes = e.op("i32.sub", e.i32(PAGE), e.and(32, at, e.i32(PAGE - 1)));
  return e.op("i32.shr_u", bytes, e.i32(log2(w)));
}
/** The smaller of an i32 and an i64, both unsigned, as i32. */
function least(e: Emit, a: Value, b: Value): Value {
  const wide = e.zeroExtend(32, 64, a);
  return e.truncate(64, 32, e.select(e.ltU(64, wide, b), wide, b));
}
/** `bytes` from `from` to `to`, an element at a time, upwards: what the element-wise instruction would do. */
function copyUpwards(e: Emit, w: Width, to: Value, from: Value, bytes: Value): void {
  const at = e.variable(e.i32(0));
  e.doWhile(() => {
    const i = e.get(at);
    e.hostStore(w, e.add(32, to, i), e.hostLoad(w, e.add(32, from, i)));
    const next = e.add(32, i, e.i32(w / 8));
    e.set(at, next);
    return e.ltU(32, next, bytes);
  });
}

/** Bytes that a repetition has to do, as i32; a region leaves unless they are a page at most, upwards. */
function bytesAtOnce(e: Emit, w: Width, { leaveIf }: AtOnce): Value<"i32"> {
  const count = gprWide(e, RCX, e.form.asize);
  leaveIf(eflagsAny(e, FLAG_DF | FLAG_TF));
  leaveIf(e.ltU(64, e.i64(PAGE * 8 / w), count));
  return e.shl(32, e.truncate(64, 32, count), e.k(8, log2(w)));
}
/** Commits that a repetition has done its `bytes`, which moved the registers of `indices`. */
function finish(e: Emit, bytes: Value<"i32">, ...indices: readonly number[]): void {
  const by = e.zeroExtend(32, 64, bytes);
  for (const index of indices) advance(e, index, by);
  setGprWide(e, RCX, e.form.asize, e.i64(0));
}

function movsAtOnce(e: Emit, w: Width, region: AtOnce): void {
  const bytes = bytesAtOnce(e, w, region);
  const from = region.span(source(e), bytes, false), to = region.span(destination(e), bytes, true);
  region.leaveIf(replicates(e, to, from, bytes));
  e.hostCopy(to, from, bytes);
  finish(e, bytes, RSI, RDI);
}
/** 1 for a destination inside the source: it repeats the source's start, where memory.copy would not. */
function replicates(e: Emit, to: Value<"i32">, from: Value<"i32">, bytes: Value<"i32">): Value<"i32"> {
  const distance = e.op("i32.sub", to, from);
  return e.and(32, nonZero(e, 32, distance), e.ltU(32, distance, bytes));
}
/**
 * Where the destination is, if it is `straight` that `elements` are about to be written from there on, as far as they lie in
 * its page; else 0. Undefined: its segment needs checks.
 */
function destinationSpan(
  e: Emit,
  w: Width,
  straight: Value<"i32">,
  elements: () => Value<"i32">,
): Value<"i32"> | undefined {
  const found = e.variable(e.i32(0));
  let checked = false;
  e.if(straight, () => {
    const bytes = e.shl(32, elements(), e.k(8, log2(w)));
    const span = e.hostSpan(destination(e), true, bytes);
    if (span === undefined) checked = true;
    else e.set(found, span);
  });
  return checked ? undefined : e.get(found);
}
function movs(e: Emit, w: Width): void {
  const iterate = () => {
    e.store(w, destination(e), e.load(w, source(e)));
    const by = step(e, w);
    advance(e, RSI, by);
    advance(e, RDI, by);
    return undefined;
  };
  if (e.form.rep === 0) return void iterate();
  e.atOnce((region) => movsAtOnce(e, w, region), () =>
    repeat(e, iterate, (count) => {
      const from = e.hostSpan(source(e), false);
      if (from === undefined) return undefined;
      const fromRoom = elementsToPageEnd(e, w, from);
      // The destination's page becomes dirty when it is looked up: not before it is known that something will be written.
      const readable = e.and(32, nonZero(e, 32, from), nonZero(e, 32, fromRoom));
      const straight = e.and(32, readable, e.eqz(32, eflagsAny(e, FLAG_DF | FLAG_TF)));
      const to = destinationSpan(e, w, straight, () => least(e, fromRoom, count));
      if (to === undefined) return undefined;
      const toRoom = elementsToPageEnd(e, w, to);
      const room = e.select(e.ltU(32, fromRoom, toRoom), fromRoom, toRoom);
      const usable = nonZero(e, 32, to);
      const elements = e.select(usable, least(e, room, count), e.i32(0));
      e.if(elements, () => {
        const bytes = e.shl(32, elements, e.k(8, log2(w)));
        e.if(
          replicates(e, to, from, bytes),
          () => copyUpwards(e, w, to, from, bytes),
          () => e.hostCopy(to, from, bytes),
        );
        const by = e.zeroExtend(32, 64, bytes);
        advance(e, RSI, by);
        advance(e, RDI, by);
      });
      return elements;
    }));
}

/** 1 when all bytes of `value` are the same. */
function isUniform(e: Emit, w: Width, value: Value): Value {
  if (w === 8) return e.i32(1);
  const low = e.truncate(w, 8, value);
  const pattern = 0x0101_0101_0101_0101n;
  return e.eq(w, value, e.mul(w, e.zeroExtend(8, w, low), e.k(w, pattern)));
}
function stosAtOnce(e: Emit, w: Width, region: AtOnce): void {
  const value = e.gpr(RAX, w);
  region.leaveIf(e.eqz(32, isUniform(e, w, value)));
  const bytes = bytesAtOnce(e, w, region);
  const to = region.span(destination(e), bytes, true);
  e.hostFill(to, e.truncate(w, 8, value), bytes);
  finish(e, bytes, RDI);
}
function stos(e: Emit, w: Width): void {
  const iterate = () => {
    e.store(w, destination(e), e.gpr(RAX, w));
    advance(e, RDI, step(e, w));
    return undefined;
  };
  if (e.form.rep === 0) return void iterate();
  e.atOnce((region) => stosAtOnce(e, w, region), () =>
    repeat(e, iterate, (count) => {
      const straight = e.eqz(32, eflagsAny(e, FLAG_DF | FLAG_TF));
      const to = destinationSpan(e, w, straight, () => least(e, e.i32(PAGE * 8 / w), count));
      if (to === undefined) return undefined;
      const elements = e.select(
        nonZero(e, 32, to),
        least(e, elementsToPageEnd(e, w, to), count),
        e.i32(0),
      );
      e.if(elements, () => {
        const bytes = e.shl(32, elements, e.k(8, log2(w)));
        const value = e.gpr(RAX, w);
        e.if(isUniform(e, w, value), () => e.hostFill(to, e.truncate(w, 8, value), bytes), () => {
          // The first element goes in, the others are its repetition.
          e.hostStore(w, to, value);
          const rest = e.op("i32.sub", bytes, e.i32(w / 8));
          e.if(rest, () => copyUpwards(e, w, e.add(32, to, e.i32(w / 8)), to, rest));
        });
        advance(e, RDI, e.zeroExtend(32, 64, bytes));
      });
      return elements;
    }));
}

function lods(e: Emit, w: Width): void {
  const iterate = () => {
    e.setGpr(RAX, w, e.load(w, source(e)));
    advance(e, RSI, step(e, w));
    return undefined;
  };
  if (e.form.rep === 0) iterate();
  else repeat(e, iterate);
}

/** `operands` loads both and advances the registers. */
function comparing(e: Emit, w: Width, operands: () => { readonly a: Value; readonly b: Value }): void {
  const { rep, asize } = e.form;
  if (rep === 0) {
    const { a, b } = operands();
    return e.setFlags("sub", w, e.sub(w, a, b), a, b);
  }
  const first = e.variable(e.k(w, 0)), second = e.variable(e.k(w, 0));
  e.if(nonZero(e, asize, e.gpr(RCX, asize)), () => {
    repeat(e, () => {
      const { a, b } = operands();
      e.set(first, a);
      e.set(second, b);
      const equal = e.eq(w, a, b);
      return rep === 0xf3 ? equal : e.eqz(32, equal);
    });
    const a = e.get(first), b = e.get(second);
    e.setFlags("sub", w, e.sub(w, a, b), a, b);
  });
}
const cmps = (e: Emit, w: Width) =>
  comparing(e, w, () => {
    const a = e.load(w, source(e)), b = e.load(w, destination(e));
    const by = step(e, w);
    advance(e, RSI, by);
    advance(e, RDI, by);
    return { a, b };
  });
const scas = (e: Emit, w: Width) =>
  comparing(e, w, () => {
    const b = e.load(w, destination(e));
    advance(e, RDI, step(e, w));
    return { a: e.gpr(RAX, w), b };
  });

const stringPort = (e: Emit, w: Width) => ({
  size: e.i32(Math.min(w, 32) / 8),
  rep: e.i32(e.form.rep === 0 ? 0 : 1),
  addressBytes: e.i32(e.form.asize / 8),
});
const ins = (e: Emit, w: Width) => e.microcode("ins", stringPort(e, w));
const outs = (e: Emit, w: Width) => e.microcode("outs", { ...stringPort(e, w), segment: e.sourceSegment() });

const plain = { repeats: true };
const withSource = { repeats: true, implicitSource: true };
for (const [size, bit] of [[8, 0], ["v", 1]] as const) {
  const define = (
    name: string,
    opcode: number,
    semantics: (e: Emit, w: Width) => void,
    options: typeof plain,
  ) => row(name, (opcode + bit).toString(16), size, semantics, options);
  define("MOVS", 0xa4, movs, withSource);
  define("CMPS", 0xa6, cmps, withSource);
  define("STOS", 0xaa, stos, plain);
  define("LODS", 0xac, lods, withSource);
  define("SCAS", 0xae, scas, plain);
  define("INS", 0x6c, ins, plain);
  define("OUTS", 0x6e, outs, withSource);
}
