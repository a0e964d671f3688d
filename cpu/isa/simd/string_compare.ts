// SPDX-License-Identifier: MIT
/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM as one WebAssembly function that all handlers and regions call: programs
 * call it once in 16 bytes of each string. Rules: SDM Vol. 2B §4.1 (imm8 fields, table 4-7 for elements behind the
 * end of a string). A vector of elements compared with another becomes a mask with one bit per element.
 * @module
 */
import type { Emit, Value, Variable } from "../../emit/emit.ts";
import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF, S } from "../../state/state.ts";

/** What of Emit the function needs. */
export type CompareEmit = Pick<
  Emit,
  | "i32"
  | "i64"
  | "v128"
  | "op"
  | "select"
  | "and"
  | "or"
  | "xor"
  | "sub"
  | "add"
  | "shl"
  | "shrU"
  | "eq"
  | "ltS"
  | "ltU"
  | "bit"
  | "if"
  | "doWhile"
  | "variable"
  | "get"
  | "set"
  | "state64"
  | "setState64"
  | "state128"
  | "setState128"
>;

/** imm8 bits: elements are words, and signed; the result is negated, only as far as the second string goes; the last index, or a mask of elements. */
const WORDS = 0, SIGNED = 1, NEGATIVE = 4, MASKED = 5, HIGH = 6;
/** imm8 bits 3:2. */
const EQUAL_ANY = 0, RANGES = 1, EQUAL_EACH = 2;

/** Bits of `how`: lengths are given in S.arg 6 and 7; the result is a vector in S.arg 0. */
export const EXPLICIT_LENGTHS = 1, MASK_RESULT = 2;
/** Where the operands are. */
export const FIRST_OPERAND = S.arg + 16, SECOND_OPERAND = S.arg + 32, LENGTHS = S.arg + 48;
const RESULT = S.arg;

type Int = Value<"i32">;
type Vector = Value<"v128">;

/** A bit for each of `n` elements. */
interface Elements {
  readonly n: 8 | 16;
  equal(a: Vector, b: Vector): Int;
  atMost(a: Vector, b: Vector): Vector;
  bits(v: Vector): Int;
  /** All elements are the one at `index` of v. */
  pick(v: Vector, index: Int): Vector;
}

function elementsOf(e: CompareEmit, words: boolean): Elements {
  const shape = words ? "i16x8" : "i8x16";
  const bits = (v: Vector) => e.op(`${shape}.bitmask`, v);
  return {
    n: words ? 8 : 16,
    equal: (a, b) => bits(e.op(`${shape}.eq`, a, b)),
    atMost: (a, b) => e.op(`${shape}.le_u`, a, b),
    bits,
    pick: (v, index) => {
      const lanes = words
        ? e.op("i16x8.splat", e.add(32, e.op("i32.mul", index, e.i32(0x202)), e.i32(0x100)))
        : e.op("i8x16.splat", index);
      return e.op("i8x16.swizzle", v, lanes);
    },
  };
}

/** `body` for each index from 0 to below `count`. */
function each(e: CompareEmit, count: Int, body: (index: Int) => void): void {
  e.if(count, () => {
    const at = e.variable(e.i32(0));
    e.doWhile(() => {
      body(e.get(at));
      e.set(at, e.add(32, e.get(at), e.i32(1)));
      return e.ltU(32, e.get(at), count);
    });
  });
}

/** The function's body: (imm8, how) to the index in bits 15:0 (without MASK_RESULT) and the flags' image above. */
export function stringCompare(e: CompareEmit, imm: Int, how: Int): Int {
  const out = e.variable(e.i32(0));
  e.if(
    e.bit(imm, WORDS),
    () => compare(e, imm, how, elementsOf(e, true), out),
    () => compare(e, imm, how, elementsOf(e, false), out),
  );
  return e.get(out);
}

function compare(e: CompareEmit, imm: Int, how: Int, elements: Elements, out: Variable<"i32">): void {
  const { n } = elements;
  const all = (1 << n) - 1;
  const a = e.state128(FIRST_OPERAND), b = e.state128(SECOND_OPERAND);
  const lengthA = lengthOf(e, how, elements, a, LENGTHS),
    lengthB = lengthOf(e, how, elements, b, LENGTHS + 8);
  const below = (length: Int) => e.sub(32, e.shl(32, e.i32(1), length), e.i32(1));
  const validA = below(lengthA), validB = below(lengthB);
  const result = e.variable(e.i32(0));
  const kind = e.and(32, e.shrU(32, imm, e.i32(2)), e.i32(3));
  e.if(e.eq(32, kind, e.i32(EQUAL_EACH)), () => {
    const both = e.and(32, elements.equal(a, b), e.and(32, validA, validB));
    const neither = e.xor(32, e.or(32, validA, validB), e.i32(all));
    e.set(result, e.or(32, both, neither));
  }, () => {
    e.if(e.eq(32, kind, e.i32(EQUAL_ANY)), () => {
      each(e, lengthA, (i) => {
        e.set(result, e.or(32, e.get(result), elements.equal(b, elements.pick(a, i))));
      });
      e.set(result, e.and(32, e.get(result), validB));
    }, () => {
      e.if(
        e.eq(32, kind, e.i32(RANGES)),
        () => ranges(e, imm, elements, { a, b, lengthA, validB, result }),
        () => {
          // the whole of a at each place, as far as b goes
          e.set(result, e.i32(all));
          each(e, lengthA, (i) => {
            const here = e.and(32, elements.equal(b, elements.pick(a, i)), validB);
            const behind = e.xor(32, e.shrU(32, e.i32(all), i), e.i32(all));
            e.set(result, e.and(32, e.get(result), e.or(32, e.shrU(32, here, i), behind)));
          });
        },
      );
    });
  });
  const inverted = e.select(e.bit(imm, MASKED), validB, e.i32(all));
  const r = e.xor(32, e.get(result), e.select(e.bit(imm, NEGATIVE), inverted, e.i32(0)));
  const flag = (condition: Int, mask: number) => e.select(condition, e.i32(mask), e.i32(0));
  const image = [
    flag(r, FLAG_CF),
    flag(e.ltU(32, lengthB, e.i32(n)), FLAG_ZF),
    flag(e.ltU(32, lengthA, e.i32(n)), FLAG_SF),
    flag(e.bit(r, 0), FLAG_OF),
  ].reduce((x, y) => e.or(32, x, y));
  e.set(out, e.shl(32, image, e.i32(16)));
  e.if(
    e.and(32, how, e.i32(MASK_RESULT)),
    () => e.setState128(RESULT, maskOf(e, imm, elements, r)),
    () => {
      const last = e.sub(32, e.i32(31), e.op("i32.clz", r));
      const found = e.select(e.bit(imm, HIGH), last, e.op("i32.ctz", r));
      e.set(out, e.or(32, e.get(out), e.select(r, found, e.i32(n))));
    },
  );
}

/** The explicit length at `at`, its absolute value and at most n, or the place of the first zero. */
function lengthOf(e: CompareEmit, how: Int, { n, equal }: Elements, v: Vector, at: number): Int {
  const length = e.variable(e.i32(0));
  e.if(e.and(32, how, e.i32(EXPLICIT_LENGTHS)), () => {
    const given = e.state64(at);
    const size = e.select(e.ltS(64, given, e.i64(0)), e.sub(64, e.i64(0), given), given);
    const least = e.select(e.ltU(64, size, e.i64(n)), size, e.i64(n));
    e.set(length, e.op("i32.wrap_i64", least));
  }, () => {
    e.set(length, e.op("i32.ctz", e.or(32, equal(v, e.v128(0n, 0n)), e.i32(1 << n))));
  });
  return e.get(length);
}

/** Pairs of lower and upper bounds; the last element of an odd number is none. */
function ranges(
  e: CompareEmit,
  imm: Int,
  elements: Elements,
  { a, b, lengthA, validB, result }: {
    readonly a: Vector;
    readonly b: Vector;
    readonly lengthA: Int;
    readonly validB: Int;
    readonly result: Variable<"i32">;
  },
): void {
  const sign = elements.n === 8 ? 0x8000_8000 : 0x8080_8080;
  const bias = e.op("i32x4.splat", e.select(e.bit(imm, SIGNED), e.i32(sign), e.i32(0)));
  const low = e.op("v128.xor", a, bias), value = e.op("v128.xor", b, bias);
  each(e, e.shrU(32, lengthA, e.i32(1)), (i) => {
    const first = e.shl(32, i, e.i32(1));
    const from = elements.atMost(elements.pick(low, first), value);
    const to = elements.atMost(value, elements.pick(low, e.add(32, first, e.i32(1))));
    e.set(result, e.or(32, e.get(result), elements.bits(e.op("v128.and", from, to))));
  });
  e.set(result, e.and(32, e.get(result), validB));
}

/** The result as a vector: its bits, or all ones in each element whose bit is set. */
function maskOf(e: CompareEmit, imm: Int, { n }: Elements, r: Int): Vector {
  const zero = e.v128(0n, 0n);
  const low = e.op("v128.and", e.op("i32x4.splat", r), e.v128(0xffffn, 0n));
  const spread = n === 8
    ? e.op("i16x8.splat", r)
    : e.op("i8x16.swizzle", e.op("i16x8.splat", r), e.v128(0n, 0x0101_0101_0101_0101n));
  const places = n === 8
    ? e.v128(0x0008_0004_0002_0001n, 0x0080_0040_0020_0010n)
    : e.v128(0x8040_2010_0804_0201n, 0x8040_2010_0804_0201n);
  const chosen = e.op("v128.and", spread, places);
  const expanded = n === 8 ? e.op("i16x8.ne", chosen, zero) : e.op("i8x16.ne", chosen, zero);
  return e.select(e.bit(imm, HIGH), expanded, low);
}
