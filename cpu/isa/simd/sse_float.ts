// SPDX-License-Identifier: MIT
/**
 * SSE to SSE4.1 floating-point arithmetic and comparison. SDM Vol. 2. Ordinary operands are WebAssembly's, the rest is
 * microcode: ./ordinary.ts. RCPxx and RSQRTxx are correctly rounded quotients, within the error bound the SDM gives;
 * they raise nothing and obey nothing in MXCSR.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import type { SseOperation } from "../../fpu/sse/sse_unit.ts";
import { FLAG_CF, FLAG_ZF } from "../../state/state.ts";
import {
  all,
  allPlain,
  every,
  exponents,
  isExact,
  isNormal,
  isNotDenormal,
  isPlain,
  isZero,
  lanesNormal,
  lanesNotDenormal,
  lanesZero,
  memoryOperand,
  roundsQuietly,
  roundsToNearest,
  slow,
} from "./ordinary.ts";
import type { Semantics } from "../row/row.ts";
import { binary, laneMask, scalar, source, sse, unary, zero } from "./sse_patterns.ts";

/** A suffix and what it stands for. */
export interface Kind {
  readonly prefix: "np" | "66" | "f3" | "f2";
  readonly suffix: "PS" | "PD" | "SS" | "SD";
  readonly type: "f32" | "f64";
  readonly shape: "f32x4" | "f64x2";
  readonly packed: boolean;
}
/** PS, PD, SS, SD. */
export const KINDS: readonly [Kind, Kind, Kind, Kind] = [
  { prefix: "np", suffix: "PS", type: "f32", shape: "f32x4", packed: true },
  { prefix: "66", suffix: "PD", type: "f64", shape: "f64x2", packed: true },
  { prefix: "f3", suffix: "SS", type: "f32", shape: "f32x4", packed: false },
  { prefix: "f2", suffix: "SD", type: "f64", shape: "f64x2", packed: false },
];

/** When an operation is ordinary. Given are scalars or vectors, as the kind is. */
export interface Ordinary {
  /** Mostly true when it is. */
  readonly quick: (e: Emit, a: Value, b: Value, result: Value) => readonly (() => Value)[];
  /** Asked when `quick` is false. */
  readonly exact?: (e: Emit, a: Value, b: Value, result: Value) => Value;
}

/** dst = `operation` of dst and the source: `compute` when that is ordinary. */
export function guarded(
  k: Kind,
  operation: SseOperation,
  compute: (e: Emit, a: Value, b: Value) => Value,
  { quick, exact }: Ordinary,
): Semantics {
  return (e) => {
    const b = k.packed ? source(e) : scalar(e, k.type);
    const a = k.packed ? e.xmmReg() : e.xmmPart("reg", k.type);
    const result = compute(e, a, b);
    const write = () =>
      k.packed ? e.setXmmReg(result as Value<"v128">) : e.setXmmPart("reg", result as Value<"f32" | "f64">);
    const value = memoryOperand(e, b);
    const leave = () => slow(e, { operation, type: k.type, lanes: k.packed ? "packed" : "scalar", value });
    e.ifAll(
      quick(e, a, b, result),
      write,
      exact === undefined ? leave : () => e.ifAll([() => exact(e, a, b, result)], write, leave),
    );
  };
}

const quickArithmetic = (k: Kind): Ordinary["quick"] => (e, a, b, r) =>
  k.packed
    ? [() => roundsQuietly(e), () => allPlain(e, k.shape, a, b, r)]
    : [() => roundsQuietly(e), ...exponents(e, k.type, b), () => isPlain(e, k.type, r)];
/** ADD and SUB: a zero is exact. */
export function ordinarySum(k: Kind, operation: "add" | "sub"): Ordinary & Required<Pick<Ordinary, "exact">> {
  const exact = (e: Emit, a: Value, b: Value, r: Value): Value => {
    if (k.packed) {
      const results = e.op("v128.or", lanesNormal(e, k.shape, r), lanesZero(e, k.shape, r));
      const operands = e.op("v128.and", lanesNotDenormal(e, k.shape, a), lanesNotDenormal(e, k.shape, b));
      return every(e, roundsQuietly(e), all(e, k.shape, operands, results));
    }
    const quiet = e.or(32, roundsQuietly(e), isExact(e, operation, k.type, { a, b, r }));
    const result = e.or(
      32,
      e.and(32, isNormal(e, k.type, r), quiet),
      e.and(32, isZero(e, k.type, r), roundsToNearest(e)),
    );
    return every(e, isNotDenormal(e, k.type, a), isNotDenormal(e, k.type, b), result);
  };
  return { quick: quickArithmetic(k), exact };
}
/** MUL and DIV: a zero must come from a factor, or the dividend. */
export function ordinaryProduct(
  k: Kind,
  operation: "mul" | "div",
): Ordinary & Required<Pick<Ordinary, "exact">> {
  const exact = (e: Emit, a: Value, b: Value, r: Value): Value => {
    if (k.packed) {
      const zeros = (v: Value) => lanesZero(e, k.shape, v);
      const from = operation === "mul" ? e.op("v128.or", zeros(a), zeros(b)) : zeros(a);
      const results = e.op("v128.or", lanesNormal(e, k.shape, r), e.op("v128.and", zeros(r), from));
      const operands = e.op("v128.and", lanesNotDenormal(e, k.shape, a), lanesNotDenormal(e, k.shape, b));
      return every(e, roundsQuietly(e), all(e, k.shape, operands, results));
    }
    const isZeroOf = (v: Value) => isZero(e, k.type, v);
    const from = operation === "mul" ? e.or(32, isZeroOf(a), isZeroOf(b)) : isZeroOf(a);
    const quiet = e.or(32, roundsQuietly(e), isExact(e, operation, k.type, { a, b, r }));
    const result = e.or(32, e.and(32, isNormal(e, k.type, r), quiet), e.and(32, isZeroOf(r), from));
    return every(e, isNotDenormal(e, k.type, a), isNotDenormal(e, k.type, b), result);
  };
  return { quick: quickArithmetic(k), exact };
}
function ordinaryRoot(k: Kind): Ordinary {
  return {
    quick: (e, _, b, r) =>
      k.packed ? [() => roundsQuietly(e), () => allPlain(e, k.shape, b, r)] : [
        () => roundsQuietly(e),
        () => isNotDenormal(e, k.type, b),
        () => isPlain(e, k.type, r),
      ],
    exact: (e, _, b, r) => {
      if (k.packed) return ordinarySum(k, "add").exact(e, b, b, r);
      const quiet = e.or(32, roundsQuietly(e), isExact(e, "sqrt", k.type, { a: r, b, r }));
      const normal = every(e, isNotDenormal(e, k.type, b), isNormal(e, k.type, r), quiet);
      return e.or(32, isZero(e, k.type, b), normal);
    },
  };
}
/** A comparison raises nothing without denormals and NaNs. */
function ordinaryComparison(k: Kind): Ordinary {
  const { type, shape } = k;
  if (!k.packed) {
    return {
      quick: (e, a, b) => [
        () => isNotDenormal(e, type, a),
        () => isNotDenormal(e, type, b),
        () => e.op(`${type}.eq`, a, a),
        () => e.op(`${type}.eq`, b, b),
      ],
    };
  }
  return {
    quick: (e, a, b) => [() => allPlain(e, shape, a, b)],
    exact: (e, a, b) => all(e, shape, lanesNotDenormal(e, shape, a), lanesNotDenormal(e, shape, b)),
  };
}

const arithmetic = (k: Kind, name: "add" | "sub" | "mul" | "div"): Semantics =>
  guarded(
    k,
    name,
    (e, a, b) => e.op(k.packed ? `${k.shape}.${name}` : `${k.type}.${name}`, a, b),
    name === "add" || name === "sub" ? ordinarySum(k, name) : ordinaryProduct(k, name),
  );
/** MIN and MAX return the second operand for two zeros. */
const extremum = (k: Kind, name: "min" | "max"): Semantics =>
  guarded(k, name, (e, a, b) => {
    if (k.packed) return e.op(`${k.shape}.p${name}`, b, a);
    return e.select(e.op(`${k.type}.${name === "min" ? "lt" : "gt"}`, a, b), a, b);
  }, ordinaryComparison(k));

// CMPxx: predicate 0 EQ, 1 LT, 2 LE, 3 UNORD, which nothing ordinary is; bit 2 negates.
const comparison = (k: Kind): Semantics =>
  guarded(k, "cmp", (e, a, b) => {
    const p = e.and(32, e.imm(8), e.i32(7));
    const low2 = e.and(32, p, e.i32(3));
    const negated = e.bit(p, 2);
    const op = (name: "eq" | "lt" | "le") =>
      e.op(k.packed ? `${k.shape}.${name}` : `${k.type}.${name}`, a, b);
    let holds = e.select(e.eq(32, low2, e.i32(2)), op("le"), k.packed ? zero(e) : e.i32(0));
    holds = e.select(e.eq(32, low2, e.i32(1)), op("lt"), holds);
    holds = e.select(e.eqz(32, low2), op("eq"), holds);
    if (k.packed) return e.op("v128.xor", holds, e.op("i32x4.splat", e.sub(32, e.i32(0), negated)));
    const mask = e.sub(32, e.i32(0), e.xor(32, holds, negated));
    return k.type === "f32" ? mask : e.op("i64.extend_i32_s", mask);
  }, ordinaryComparison(k));

/** Denormals become zeros of their sign, as RCPxx and RSQRTxx have it. */
function withoutDenormals(e: Emit, v: Value): Value {
  const sign = e.op("i32x4.splat", e.i32(0x8000_0000));
  const magnitude = e.op("v128.andnot", v, sign);
  const tiny = e.op("i32x4.lt_u", magnitude, e.op("i32x4.splat", e.i32(0x0080_0000)));
  return e.op("v128.andnot", v, e.op("v128.andnot", tiny, sign));
}
/** RCPxx and RSQRTxx. */
const approximation = (k: Kind, f: (e: Emit, v: Value) => Value): Semantics => {
  const whole = (e: Emit, v: Value) => withoutDenormals(e, f(e, withoutDenormals(e, v)));
  if (k.packed) return unary(whole);
  return (e) => {
    const v = e.op("f32x4.splat", scalar(e, "f32"));
    e.setXmmPart("reg", e.lane("f32x4.extract_lane", 0, whole(e, v)));
  };
};
const one = (e: Emit) => e.op("i32x4.splat", e.i32(0x3f80_0000));

for (const k of KINDS) {
  const operand = k.packed ? "xmm/m128" : k.type === "f32" ? "xmm/m32" : "xmm/m64";
  const define = (name: string, opcode: string, f: Semantics) =>
    sse(`${name}${k.suffix} xmm, ${operand}`, `${k.prefix} 0f${opcode} /r`, f);
  const root = guarded(
    k,
    "sqrt",
    (e, _, b) => e.op(k.packed ? `${k.shape}.sqrt` : `${k.type}.sqrt`, b),
    ordinaryRoot(k),
  );
  define("SQRT", "51", root);
  define("ADD", "58", arithmetic(k, "add"));
  define("MUL", "59", arithmetic(k, "mul"));
  define("SUB", "5c", arithmetic(k, "sub"));
  define("MIN", "5d", extremum(k, "min"));
  define("DIV", "5e", arithmetic(k, "div"));
  define("MAX", "5f", extremum(k, "max"));
  if (k.type === "f32") {
    define("RSQRT", "52", approximation(k, (e, v) => e.op("f32x4.div", one(e), e.op("f32x4.sqrt", v))));
    define("RCP", "53", approximation(k, (e, v) => e.op("f32x4.div", one(e), v)));
  }
  sse(`CMP${k.suffix} xmm, ${operand}, imm8`, `${k.prefix} 0fc2 /r ub`, comparison(k));
}

for (const [opcode, name] of [["2e", "UCOMI"], ["2f", "COMI"]] as const) {
  for (const [prefix, k] of [["np", KINDS[2]], ["66", KINDS[3]]] as const) {
    sse(`${name}${k.suffix} xmm, xmm/m`, `${prefix} 0f${opcode} /r`, (e) => {
      const { type } = k;
      const b = scalar(e, type);
      const a = e.xmmPart("reg", type);
      const flags = e.variable(e.i32(0));
      e.ifAll(ordinaryComparison(k).quick(e, a, b, b), () => {
        const less = e.select(e.op(`${type}.lt`, a, b), e.i32(FLAG_CF), e.i32(0));
        e.set(flags, e.select(e.op(`${type}.eq`, a, b), e.i32(FLAG_ZF), less));
      }, () => {
        const operation = name === "COMI" ? "comi" : "ucomi";
        slow(e, { operation, type, lanes: "scalar", value: memoryOperand(e, b) });
        e.set(flags, e.microcodeResult(32));
      });
      e.setFlagsImage(e.get(flags));
    });
  }
}

// Bitwise
for (const prefix of ["np", "66"] as const) {
  const suffix = prefix === "np" ? "PS" : "PD";
  sse(`AND${suffix} xmm, xmm/m128`, `${prefix} 0f54 /r`, binary((e, a, b) => e.op("v128.and", a, b)));
  sse(`ANDN${suffix} xmm, xmm/m128`, `${prefix} 0f55 /r`, binary((e, a, b) => e.op("v128.andnot", b, a)));
  sse(`OR${suffix} xmm, xmm/m128`, `${prefix} 0f56 /r`, binary((e, a, b) => e.op("v128.or", a, b)));
  sse(`XOR${suffix} xmm, xmm/m128`, `${prefix} 0f57 /r`, binary((e, a, b) => e.op("v128.xor", a, b)));
}

// SSE4.1 blends
sse("BLENDPS xmm, xmm/m128, imm8", "66 0f3a0c /r ub", (e) => {
  const b = source(e);
  e.setXmmReg(e.op("v128.bitselect", b, e.xmmReg(), laneMask(e, "i32x4", e.imm(8), 0)));
});
sse("BLENDPD xmm, xmm/m128, imm8", "66 0f3a0d /r ub", (e) => {
  const b = source(e);
  e.setXmmReg(e.op("v128.bitselect", b, e.xmmReg(), laneMask(e, "i64x2", e.imm(8), 0)));
});
for (
  const [opcode, name, shape] of [["10", "PBLENDVB", "i8x16"], ["14", "BLENDVPS", "i32x4"], [
    "15",
    "BLENDVPD",
    "i64x2",
  ]] as const
) {
  sse(
    `${name} xmm, xmm/m128, <XMM0>`,
    `66 0f38${opcode} /r`,
    binary((e, a, b) => e.op("v128.bitselect", b, a, e.op(`${shape}.lt_s`, e.xmm(0), zero(e)))),
  );
}
