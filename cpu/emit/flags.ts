// SPDX-License-Identifier: MIT
/**
 * Lazy flags: what is stored and how CF PF AF ZF SF OF follow from it. SDM Vol. 1 §3.4.3.1.
 *
 * kind     flagResult   flagFirst            flagAux
 * raw      -            -                    the six flags in EFLAGS positions
 * add sub  result       first operand        -
 * carry    result       carries out of each bit (ADC)   -
 * borrow   result       borrows out of each bit (SBB)   -
 * logic    result       -                    -
 * inc dec  result       -                    CF in bit 0
 * result   result       -                    CF, AF, OF in EFLAGS positions; ZF SF PF from the result
 *
 * The kind number holds the width too. A back end that knows the kind when it emits (cmp followed by jcc)
 * evaluates a condition straight from the operands.
 * @module
 */
import { FLAG_AF, FLAG_CF, FLAG_KIND_RAW, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from "../state/state.ts";
import type { ConditionCode, Emit, FlagKind, Value, Width } from "./emit.ts";

const KINDS: readonly FlagKind[] = ["add", "sub", "carry", "borrow", "logic", "inc", "dec", "result"];
const WIDTHS: readonly Width[] = [8, 16, 32, 64];
/** How many kind numbers there are. */
export const FLAG_KIND_COUNT = 1 + KINDS.length * 4;

/** Number of a kind in KINDS. */
function kindNumber(kind: FlagKind): number {
  return kind === "sub" ? 1 : kind === "logic" ? 4 : kind === "add" ? 0 : KINDS.indexOf(kind);
}
/** The number stored in S.flagKind. */
export function flagKindNumber(kind: FlagKind, w: Width): number {
  return 1 + kindNumber(kind) * 4 + (w === 64 ? 3 : w === 32 ? 2 : w === 16 ? 1 : 0);
}
/** Inverse of flagKindNumber; undefined for raw. */
export function flagKindOf(number: number): { kind: FlagKind; w: Width } | undefined {
  if (number === FLAG_KIND_RAW) return undefined;
  const n = number - 1;
  return { kind: KINDS[n >> 2] as FlagKind, w: WIDTHS[n & 3] as Width };
}

/** The subset of Emit the formulas need. */
export type FlagEmit = Pick<
  Emit,
  | "i32"
  | "k"
  | "op"
  | "add"
  | "sub"
  | "and"
  | "or"
  | "xor"
  | "eqz"
  | "eq"
  | "ltU"
  | "ltS"
  | "sign"
  | "truncate"
  | "bit"
  | "shl"
>;

/** A set of flags as stored or as still known in values. `second` saves recomputing it. */
export interface FlagSource {
  readonly kind: FlagKind;
  readonly w: Width;
  readonly result: Value;
  readonly first?: Value | undefined;
  readonly second?: Value | undefined;
  readonly aux?: Value | undefined;
}

const must = (v: Value | undefined): Value => {
  if (v === undefined) throw new Error("Assertion failed: flag source is complete");
  return v;
};

function second(e: FlagEmit, s: FlagSource): Value {
  if (s.second !== undefined) return s.second;
  const first = must(s.first);
  return s.kind === "add" ? e.sub(s.w, s.result, first) : e.sub(s.w, first, s.result);
}

/** CF as 0 or 1. */
export function carryOf(e: FlagEmit, s: FlagSource): Value {
  switch (s.kind) {
    case "add":
      return e.ltU(s.w, s.result, must(s.first));
    case "sub":
      return e.ltU(s.w, must(s.first), second(e, s));
    case "carry":
    case "borrow":
      return e.sign(s.w, must(s.first));
    case "logic":
      return e.i32(0);
    case "inc":
    case "dec":
      return e.bit(must(s.aux), 0); // a computed image may stand there: CF is bit 0 of it too
    case "result":
      return e.bit(must(s.aux), 0);
  }
}

function overflowOf(e: FlagEmit, s: FlagSource): Value {
  const { w, result } = s;
  switch (s.kind) {
    case "add": {
      const first = must(s.first);
      return e.sign(w, e.and(w, e.xor(w, first, result), e.xor(w, second(e, s), result)));
    }
    case "sub": {
      const first = must(s.first);
      return e.sign(w, e.and(w, e.xor(w, first, result), e.xor(w, first, second(e, s))));
    }
    case "carry":
    case "borrow": {
      const c = must(s.first);
      return e.sign(w, e.xor(w, c, e.shl(w, c, e.k(8, 1))));
    }
    case "logic":
      return e.i32(0);
    case "inc":
      return e.eq(w, result, e.k(w, 1n << BigInt(w - 1)));
    case "dec":
      return e.eq(w, result, e.k(w, (1n << BigInt(w - 1)) - 1n));
    case "result":
      return e.bit(must(s.aux), 11);
  }
}

function adjustOf(e: FlagEmit, s: FlagSource): Value {
  const { w, result } = s;
  const low = (v: Value) => e.truncate(w, 8, v);
  switch (s.kind) {
    case "add":
    case "sub":
      return e.bit(e.xor(8, e.xor(8, low(must(s.first)), low(second(e, s))), low(result)), 4);
    case "carry":
    case "borrow":
      return e.bit(low(must(s.first)), 3);
    case "logic":
      return e.i32(0);
    case "inc":
      return e.eqz(8, e.and(8, low(result), e.k(8, 0xf)));
    case "dec":
      return e.eq(8, e.and(8, low(result), e.k(8, 0xf)), e.k(8, 0xf));
    case "result":
      return e.bit(must(s.aux), 4);
  }
}

/** PF as 0 or 1. */
export function parityOf(e: FlagEmit, s: FlagSource): Value {
  const ones = e.op("i32.popcnt", e.truncate(s.w, 8, s.result));
  return e.xor(32, e.and(32, ones, e.i32(1)), e.i32(1));
}

/** All six in EFLAGS positions. */
export function imageOf(e: FlagEmit, s: FlagSource): Value {
  const at = (flag: Value, mask: number) => e.shl(32, flag, e.k(8, 31 - Math.clz32(mask)));
  const parts = [
    at(carryOf(e, s), FLAG_CF),
    at(parityOf(e, s), FLAG_PF),
    at(adjustOf(e, s), FLAG_AF),
    at(e.eqz(s.w, s.result), FLAG_ZF),
    at(e.sign(s.w, s.result), FLAG_SF),
    at(overflowOf(e, s), FLAG_OF),
  ];
  return parts.reduce((a, b) => e.or(32, a, b));
}

/** A condition from a known source. */
export function conditionOf(e: FlagEmit, s: FlagSource, cc: ConditionCode): Value {
  const { w, result } = s;
  const positive = (): Value => {
    if (s.kind === "sub") {
      const first = must(s.first);
      if ((cc >> 1) === 3) return e.eqz(32, e.ltU(w, second(e, s), first)); // BE: !(second < first)
      if ((cc >> 1) === 6) return e.ltS(w, first, second(e, s));
      if ((cc >> 1) === 7) return e.eqz(32, e.ltS(w, second(e, s), first));
    }
    switch (cc >> 1) {
      case 0:
        return overflowOf(e, s);
      case 1:
        return carryOf(e, s);
      case 2:
        return e.eqz(w, result);
      case 3:
        return e.or(32, carryOf(e, s), e.eqz(w, result));
      case 4:
        return e.sign(w, result);
      case 5:
        return parityOf(e, s);
      case 6:
        return e.xor(32, e.sign(w, result), overflowOf(e, s));
      default:
        return e.or(32, e.eqz(w, result), e.xor(32, e.sign(w, result), overflowOf(e, s)));
    }
  };
  return cc & 1 ? e.eqz(32, positive()) : positive();
}

/** A condition from an image in EFLAGS positions. */
export function conditionOfImage(e: FlagEmit, image: Value, cc: ConditionCode): Value {
  const any = (mask: number) => e.eqz(32, e.eqz(32, e.and(32, image, e.i32(mask))));
  const less = () => e.xor(32, e.bit(image, 7), e.bit(image, 11));
  const positive = (): Value => {
    switch (cc >> 1) {
      case 0:
        return any(FLAG_OF);
      case 1:
        return any(FLAG_CF);
      case 2:
        return any(FLAG_ZF);
      case 3:
        return any(FLAG_CF | FLAG_ZF);
      case 4:
        return any(FLAG_SF);
      case 5:
        return any(FLAG_PF);
      case 6:
        return less();
      default:
        return e.or(32, any(FLAG_ZF), less());
    }
  };
  return cc & 1 ? e.eqz(32, positive()) : positive();
}

/** What products need. */
type ProductEmit = FlagEmit & Pick<Emit, "i64" | "mul" | "shrU" | "shrS">;

/** High half of the unsigned product of two i64, from four 32-bit products. */
export function highUnsigned(e: ProductEmit, a: Value, b: Value): Value {
  const low = (v: Value) => e.and(64, v, e.i64(0xffff_ffff));
  const high = (v: Value) => e.shrU(64, v, e.k(8, 32));
  const a0 = low(a), a1 = high(a), b0 = low(b), b1 = high(b);
  const p01 = e.mul(64, a0, b1);
  const middle = e.add(64, e.add(64, high(e.mul(64, a0, b0)), low(p01)), e.mul(64, a1, b0));
  return e.add(64, e.add(64, e.mul(64, a1, b1), high(p01)), high(middle));
}
/** High half of the signed product. */
export function highSigned(e: ProductEmit, a: Value, b: Value): Value {
  const correction = (x: Value, y: Value) => e.and(64, e.shrS(64, x, e.k(8, 63)), y);
  return e.sub(64, e.sub(64, highUnsigned(e, a, b), correction(a, b)), correction(b, a));
}
/** CF and OF, in EFLAGS positions, of the signed product of two i64: whether it needs its high half. */
export function productFlags(e: ProductEmit, a: Value, b: Value): Value {
  const sign = e.shrS(64, e.mul(64, a, b), e.k(8, 63));
  const overflow = e.op("i64.ne", highSigned(e, a, b), sign);
  return e.or(32, e.shl(32, overflow, e.k(8, 0)), e.shl(32, overflow, e.k(8, 11)));
}
