// SPDX-License-Identifier: MIT
/**
 * Ordinary floating point is left to WebAssembly: when an inexact result would change nothing (MXCSR.PE is set and
 * masked), rounding is to nearest, and operands and result are normal numbers or zeros, nothing can be raised and the
 * host's result is the guest's. Everything else is microcode: cpu/fpu/sse. DAZ and FTZ concern only what is not ordinary.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import { sseCode, type SseLanes, type SseOperation } from "../../fpu/sse/sse_unit.ts";
import { MXCSR_DAZ, MXCSR_MASKS, MXCSR_RC_SHIFT, PE } from "../../fpu/sse/mxcsr.ts";
import { CONSTANT_POOL, S } from "../../state/state.ts";
import { zero } from "./sse_patterns.ts";

/** Type of a scalar, and of lanes. */
export type FloatType = "f32" | "f64";
/** All lanes. */
export type Shape = "f32x4" | "f64x2";

const PRECISION_KNOWN = PE | (PE << MXCSR_MASKS);
const ROUNDING = 3 << MXCSR_RC_SHIFT;
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
/** An inexact result raises nothing new, and rounding is to nearest. */
export function roundsQuietly(e: Emit): Value {
  return mxcsrIs(e, PRECISION_KNOWN | ROUNDING, PRECISION_KNOWN);
}
/** MXCSR.RC says so. */
export function roundsToNearest(e: Emit): Value {
  return mxcsrIs(e, ROUNDING, 0);
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
/** Exponents of the operands, as tests that they are not the lowest one: v is neither zero nor denormal. */
export function exponents(e: Emit, type: FloatType, b: Value): readonly (() => Value)[] {
  const mask = e.i32(Number(INFINITY_BITS[type] >> (type === "f64" ? 32n : 0n)));
  const at = type === "f64" ? 4 : 0;
  const second = () => e.form.isMemory ? highWord(e, type, b) : e.xmmPart("rm", "i32", at);
  return [() => e.and(32, e.xmmPart("reg", "i32", at), mask), () => e.and(32, second(), mask)];
}
/** v's exponent is not the lowest, the highest, or next to one of them: a cheap way to see most normal numbers. */
export function isPlain(e: Emit, type: FloatType, v: Value): Value {
  return e.and(32, e.add(32, highWord(e, type, v), e.i32(PLAIN[type].add)), e.i32(PLAIN[type].mask));
}

/** Bits of the significand below its last one. */
function trailingZeros(e: Emit, v: Value): Value {
  return e.op("i64.ctz", e.or(64, e.op("i64.reinterpret_f64", v), e.i64(1n << 52n)));
}
/** x × y is exact in f64, and nothing near the ends of the range: few enough bits are significant. */
function multipliesExactly(e: Emit, x: Value, y: Value): Value {
  return e.ltU(64, e.i64(52), e.add(64, trailingZeros(e, x), trailingZeros(e, y)));
}
/** r, a normal number, is exactly a `operation` b (√b), as is seen at some cost: programs that never round do not set PE. */
export function isExact(
  e: Emit,
  operation: "add" | "sub" | "mul" | "div" | "sqrt",
  type: FloatType,
  { a, b, r }: { readonly a: Value; readonly b: Value; readonly r: Value },
): Value {
  if (operation === "add" || operation === "sub") { // Knuth's TwoSum finds the error
    const op = (name: "add" | "sub", x: Value, y: Value) => e.op(`${type}.${name}`, x, y);
    const addend = operation === "add" ? b : e.op(`${type}.neg`, b);
    const taken = op("sub", r, a);
    const error = op("add", op("sub", a, op("sub", r, taken)), op("sub", addend, taken));
    return isZero(e, type, error);
  }
  // The inverse operation gives the operand back, without rounding itself.
  const [x, y, product] = operation === "mul" ? [a, b, r] : operation === "div" ? [r, b, a] : [r, r, b];
  if (type === "f32") {
    const wide = (v: Value) => e.op("f64.promote_f32", v);
    return e.op("f64.eq", e.op("f64.mul", wide(x), wide(y)), wide(product));
  }
  const few = multipliesExactly(e, x, y);
  return e.and(32, few, e.op("f64.eq", e.op("f64.mul", x, y), product));
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
/** Where in the constant pool, behind the CRC32 table, a vector of the numbers in PLAIN is: a load is cheaper than making it. */
function plainAt(shape: Shape, what: "add" | "mask"): number {
  return CONSTANT_POOL + 1024 + (shape === "f32x4" ? 0 : 32) + (what === "add" ? 0 : 16);
}
/** Fills that part of the constant pool. */
export function fillPlainConstants(view: DataView): void {
  for (const what of ["add", "mask"] as const) {
    for (let at = 0; at < 16; at += 4) view.setUint32(plainAt("f32x4", what) + at, PLAIN.f32[what], true);
    for (let at = 4; at < 16; at += 8) view.setUint32(plainAt("f64x2", what) + at, PLAIN.f64[what], true);
  }
}
/** Every lane of every vector isPlain. */
export function allPlain(e: Emit, shape: Shape, ...vectors: readonly Value[]): Value {
  const [add, mask] = (["add", "mask"] as const).map((what) => e.hostLoad128(e.i32(plainAt(shape, what))));
  const fields = vectors.map((v) =>
    e.op("v128.and", e.op("i32x4.add", v, add as Value<"v128">), mask as Value<"v128">)
  );
  const least = fields.reduce((a, b) => e.op("i32x4.min_u", a, b));
  return e.op(shape === "f32x4" ? "i32x4.all_true" : "i64x2.all_true", least);
}
/** All of these. */
export function every(e: Emit, ...conditions: readonly Value[]): Value {
  return conditions.reduce((a, b) => e.and(32, a, b));
}

// Microcode

/** What microcode is to do. */
export interface Slow {
  readonly operation: SseOperation;
  readonly type: FloatType;
  readonly lanes: SseLanes;
  /** The second operand when it is not ModRM.rm as a register: scalar, integer or v128. */
  readonly value?: Value | undefined;
}
function asI64(e: Emit, v: Value): Value {
  if (v.type === "i64") return v;
  if (v.type === "f64") return e.op("i64.reinterpret_f64", v);
  return e.zeroExtend(32, 64, v.type === "f32" ? e.op("i32.reinterpret_f32", v) : v);
}
/** Has microcode do it; into XMM ModRM.reg, or see Emit.microcodeResult. */
export function slow(e: Emit, { operation, type, lanes, value }: Slow): void {
  const how = e.i32(sseCode(operation, type, lanes));
  if (value === undefined) return e.microcode("sse_float", { how });
  const [low, high] = value.type === "v128"
    ? [0, 1].map((i) => e.lane("i64x2.extract_lane", i, value))
    : [asI64(e, value), e.i64(0)];
  e.microcode("sse_float_value", { how, low: low as Value<"i64">, high: high as Value<"i64"> });
}
/** The second operand for microcode: nothing when it is a register. */
export function memoryOperand(e: Emit, value: Value): Value | undefined {
  return e.form.isMemory ? value : undefined;
}
