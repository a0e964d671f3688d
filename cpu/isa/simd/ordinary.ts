// SPDX-License-Identifier: MIT
/**
 * Ordinary floating point is left to WebAssembly: when an inexact result would change nothing (MXCSR.PE is set and
 * masked), rounding is to nearest, and operands and result are normal numbers or zeros, nothing can be raised and the
 * host's result is the guest's. Emitted code sees most such cases by few comparisons: a result in the middle of the range
 * has no infinities and NaNs among its operands. What it does not see goes to Emit.floatElsewhere: a second look
 * (cpu/translate/sse_look.ts), then microcode (cpu/fpu/sse). DAZ and FTZ concern only what is not ordinary.
 * @module
 */
import { assert } from "../../base/assert.ts";
import type { Emit, FloatType, SecondLook, Value, Variable } from "../../emit/emit.ts";
import { type Bounds, fits, type Wanted } from "../../emit/vector/float_bounds.ts";
import { SSE_VALUE, sseCode, type SseLanes, type SseOperation } from "../../fpu/sse/sse_unit.ts";
import { MXCSR_DAZ, MXCSR_MASKS, PE } from "../../fpu/sse/mxcsr.ts";
import { CONSTANT_POOL, S } from "../../state/state.ts";
import { zero } from "./sse_patterns.ts";

export type { FloatType };
/** All lanes. */
export type Shape = "f32x4" | "f64x2";

const PRECISION_KNOWN = PE | (PE << MXCSR_MASKS);
const MIN_NORMAL = { f32: 0x0080_0000n, f64: 0x0010_0000_0000_0000n } as const;
const INFINITY_BITS = { f32: 0x7f80_0000n, f64: 0x7ff0_0000_0000_0000n } as const;

/** Added to the exponent, 2 turns the outer four values into 0 to 3, modulo its range. */
const PLAIN = {
  f32: { add: 2 << 23, mask: 0xfc << 23 & 0x7fff_ffff },
  f64: { add: 2 << 20, mask: 0x7fc << 20 & 0x7fff_ffff },
} as const;

function mxcsrIs(e: Emit, mask: number, value: number): Value {
  return e.eq(32, e.and(32, e.state32(S.mxcsr), e.i32(mask)), e.i32(value));
}
/** An inexact result raises nothing new. */
export function inexactIsQuiet(e: Emit): Value {
  return mxcsrIs(e, PRECISION_KNOWN, PRECISION_KNOWN);
}
/** Denormal operands count. */
export function denormalsCount(e: Emit): Value {
  return mxcsrIs(e, MXCSR_DAZ, 0);
}

// Scalars: the encoding without its sign, times two

const width = (type: FloatType) => type === "f32" ? 32 : 64;
function doubled(e: Emit, type: FloatType, v: Value): Value {
  const bits = type === "f32" ? e.op("i32.reinterpret_f32", v) : e.op("i64.reinterpret_f64", v);
  return e.shl(width(type), bits, e.k(8, 1));
}
/** v is no denormal. */
export function isNotDenormal(e: Emit, type: FloatType, v: Value): Value {
  const w = width(type);
  const less = e.sub(w, doubled(e, type, v), e.k(w, 1)); // zero becomes the largest
  return e.eqz(32, e.ltU(w, less, e.k(w, 2n * MIN_NORMAL[type] - 1n)));
}
/** v is finite, and larger in magnitude than the smallest normal number (which may have been tiny before rounding). */
export function isNormal(e: Emit, type: FloatType, v: Value): Value {
  const w = width(type), from = 2n * MIN_NORMAL[type] + 1n;
  return e.ltU(w, e.sub(w, doubled(e, type, v), e.k(w, from)), e.k(w, 2n * INFINITY_BITS[type] - from));
}
/** v is a zero. */
export function isZero(e: Emit, type: FloatType, v: Value): Value {
  return e.eqz(width(type), doubled(e, type, v));
}

const highWord = (e: Emit, type: FloatType, v: Value): Value =>
  type === "f32"
    ? e.op("i32.reinterpret_f32", v)
    : e.op("i32.wrap_i64", e.op("i64.shr_u", e.op("i64.reinterpret_f64", v), e.i64(32)));
/** Tests that the exponents of the operands are not the lowest one: that they are neither zero nor denormal. */
export function exponents(e: Emit, type: FloatType, { a, b }: { a?: Value; b: Value }): (() => Value)[] {
  const mask = e.i32(Number(INFINITY_BITS[type] >> (type === "f64" ? 32n : 0n)));
  const at = type === "f64" ? 4 : 0;
  const tests: (() => Value)[] = [];
  if (a !== undefined) {
    tests.push(() => e.and(32, e.xmmPart("reg", "i32", at), mask));
  }
  const second = () => e.form.isMemory ? highWord(e, type, b) : e.xmmPart("rm", "i32", at);
  tests.push(() => e.and(32, second(), mask));
  return tests;
}
/** v's exponent is not the lowest, the highest, or next to one of them: a cheap way to see most normal numbers. */
export function isPlain(e: Emit, type: FloatType, v: Value): Value {
  return e.and(32, e.add(32, highWord(e, type, v), e.i32(PLAIN[type].add)), e.i32(PLAIN[type].mask));
}

// Packed: masks

function splat(e: Emit, shape: Shape, bits: Readonly<Record<FloatType, bigint>>): Value {
  return shape === "f32x4"
    ? e.op("i32x4.splat", e.i32(Number(bits.f32)))
    : e.op("i64x2.splat", e.i64(bits.f64));
}
/** Lanes that are no denormals and no NaNs. */
export function lanesNotDenormal(e: Emit, shape: Shape, v: Value): Value {
  const large = e.op(`${shape}.ge`, e.op(`${shape}.abs`, v), splat(e, shape, MIN_NORMAL));
  return e.op("v128.or", large, lanesZero(e, shape, v));
}
/** Lanes that isNormal holds for. */
export function lanesNormal(e: Emit, shape: Shape, v: Value): Value {
  const magnitude = e.op(`${shape}.abs`, v);
  return e.op(
    "v128.and",
    e.op(`${shape}.gt`, magnitude, splat(e, shape, MIN_NORMAL)),
    e.op(`${shape}.lt`, magnitude, splat(e, shape, INFINITY_BITS)),
  );
}
/** Lanes that are zeros. */
export function lanesZero(e: Emit, shape: Shape, v: Value): Value {
  return e.op(`${shape}.eq`, v, zero(e));
}
/** Every lane of every mask is set. */
export function all(e: Emit, shape: Shape, ...masks: readonly Value[]): Value {
  const mask = masks.reduce((a, b) => e.op("v128.and", a, b));
  return e.op(shape === "f32x4" ? "i32x4.all_true" : "i64x2.all_true", mask);
}
/**
 * Where in the constant pool, behind the CRC32 table, a vector is: a load is cheaper than making it. Two as exponent of
 * every lane, and all bits of a number but its sign.
 */
function plainAt(shape: Shape, what: "two" | "magnitude"): number {
  return CONSTANT_POOL + 1024 + (shape === "f32x4" ? 0 : 32) + (what === "two" ? 0 : 16);
}
/** Fills that part of the constant pool. */
export function fillPlainConstants(view: DataView): void {
  for (let at = 0; at < 16; at += 4) {
    view.setUint32(plainAt("f32x4", "two") + at, 2 << 23, true);
    view.setUint32(plainAt("f32x4", "magnitude") + at, 0x7fff_ffff, true);
  }
  for (let at = 0; at < 16; at += 8) {
    view.setBigUint64(plainAt("f64x2", "two") + at, 2n << 52n, true);
    view.setBigUint64(plainAt("f64x2", "magnitude") + at, 0x7fff_ffff_ffff_ffffn, true);
  }
}
/** Every lane of `result` isPlain, and no lane of `operands` is denormal, or next to it. */
export function allPlain(
  e: Emit,
  shape: Shape,
  { result, operands }: { readonly result?: Value; readonly operands: readonly Value[] },
): Value {
  const lanes = shape === "f32x4" ? "i32x4" : "i64x2", minusOne = e.v128(~0n, ~0n);
  const load = (what: "two" | "magnitude"): Value<"v128"> => e.hostLoad128(e.i32(plainAt(shape, what)));
  const two = load("two"), magnitude = load("magnitude");
  const signs = operands.map((v) => {
    // One less than a zero has all exponent bits, one less than another number has its own, or the one below.
    const less = e.op("v128.and", e.op(`${lanes}.add`, v, minusOne), magnitude);
    return e.op(`${lanes}.sub`, less, two);
  });
  if (result !== undefined) {
    const absolute = e.op("v128.and", result, magnitude);
    signs.push(e.op(`${lanes}.sub`, absolute, two), e.op(`${lanes}.add`, absolute, two));
  }
  return e.eqz(32, e.op(`${lanes}.bitmask`, signs.reduce((a, b) => e.op("v128.or", a, b))));
}
/** Each of these once. */
export function distinct(...values: readonly Value[]): Value[] {
  return values.filter((v, i) => values.indexOf(v) === i);
}
/**
 * Goes on when something is ordinary: code that keeps bounds has operands met, and looks at nothing else while they hold;
 * what they leave open is told by conditions that mostly hold when it is, unless `otherwise` begins with a second look,
 * which knows as much: straight code for both would be most of what an instruction has. `rounds`: an inexact result has
 * to set MXCSR.PE.
 */
export function expectBounded(
  e: Emit,
  { met, quick, rounds = false, looks = false }: {
    met(): void;
    quick(): readonly (() => Value<"i32">)[];
    readonly rounds?: boolean;
    readonly looks?: boolean;
  },
  otherwise: () => void,
): void {
  if (!e.knowsFloats) return e.expect(quick(), otherwise);
  met();
  e.expect([() => rounds ? e.calm() : e.isWithin()], looks ? otherwise : () => e.expect(quick(), otherwise));
}
/** Notes the bounds of a result, if it is sure to be ordinary; else it is looked at. */
export function noteResult(e: Emit, type: FloatType, result: Value, bounds: Bounds, wanted: Wanted): void {
  if (fits(type, bounds)) e.noteBounds(type, result, bounds);
  else e.meet(type, [result], wanted);
}
/** The bounds of what has been met. */
export function boundsOf(e: Emit, type: FloatType, value: Value): Bounds {
  const bounds = e.bounds(type, value);
  assert(bounds !== undefined, "an operand has been met");
  return bounds;
}
/** All of these. */
export function every(e: Emit, ...conditions: readonly Value[]): Value {
  return conditions.reduce((a, b) => e.and(32, a, b));
}

// What is not ordinary

/** What is to be done elsewhere. */
export interface Slow {
  readonly operation: SseOperation;
  readonly type: FloatType;
  readonly lanes: SseLanes;
  /** The second operand: scalar, integer or v128. */
  readonly value: Value;
}
/** What has no second look. */
type Unseen =
  | "ucomi"
  | "hadd"
  | "hsub"
  | "dp"
  | `fm${string}`
  | `fnm${string}`
  | "to_f16"
  | "from_f16";
/** Operation, operands and result for a second look; "cmp" raises for signaling NaNs only, "min" for all. Conversions have one operand. */
export interface Look {
  readonly operation: Exclude<SseOperation, Unseen>;
  readonly a: Value;
  readonly b: Value;
  readonly result: Value;
}
function asVector(e: Emit, v: Value): Value<"v128"> {
  if (v.type === "v128") return v;
  const shape = { f32: "f32x4", f64: "f64x2", i32: "i32x4", i64: "i64x2" } as const;
  return e.op(`${shape[v.type]}.splat`, v);
}
/**
 * Inside of Emit.expect: the instruction is done elsewhere, and nothing behind this is run, unless the second look found
 * the result to be right.
 */
export function elsewhere(
  e: Emit,
  { operation, type, lanes, value }: Slow,
  look?: Look,
  right?: Variable,
): void {
  const how = sseCode(operation, type, lanes);
  if (look === undefined) return e.floatElsewhere(how, asVector(e, value));
  const second = secondLook(e, type, lanes, look, right);
  e.floatElsewhere(how, look.b === value ? second.b : asVector(e, value), second);
}
/** The result that was looked at, or what a second look put into `right`: its bounds hold while everything is ordinary. */
export function found(e: Emit, type: FloatType, right: Variable, result: Value): Value {
  const value = e.get(right), bounds = e.bounds(type, result);
  if (bounds !== undefined) e.noteBounds(type, value, bounds);
  return value;
}
/** What a second look wants. */
export function secondLook(
  e: Emit,
  type: FloatType,
  lanes: SseLanes,
  look: Look,
  right?: Variable,
): SecondLook {
  const [a, b, result] = [look.a, look.b, look.result].map((v) => asVector(e, v)) as [Value, Value, Value];
  const how = sseCode(look.operation, type, lanes);
  return { how, a, b, result, ...(right === undefined ? {} : { right }) };
}
/** Microcode that gives a result, for Emit.microcodeResult; `value` unless it is ModRM.rm as a register. */
export function slow(
  e: Emit,
  { operation, type, lanes, value }: Omit<Slow, "value"> & { readonly value: Value | undefined },
): void {
  const code = sseCode(operation, type, lanes);
  const vector = value && asVector(e, value);
  const half = (i: number): Value<"i64"> =>
    vector === undefined ? e.i64(0) : e.lane("i64x2.extract_lane", i, vector);
  e.microcode("sse_float", {
    how: e.i32(vector === undefined ? code : code | SSE_VALUE),
    low: half(0),
    high: half(1),
  });
}
/** The second operand for that: nothing when it is a register. */
export function memoryOperand(e: Emit, value: Value): Value | undefined {
  return e.form.isMemory ? value : undefined;
}
