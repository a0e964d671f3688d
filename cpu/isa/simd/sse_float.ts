// SPDX-License-Identifier: MIT
/**
 * SSE to SSE4.1 floating-point arithmetic and comparison. SDM Vol. 2. Ordinary operands are WebAssembly's, the rest is
 * microcode: ./ordinary.ts. RCPxx and RSQRTxx are correctly rounded quotients, within the error bound the SDM gives;
 * they raise nothing and obey nothing in MXCSR.
 * @module
 */
import type { Emit, FloatType, Value } from "../../emit/emit.ts";
import {
  either,
  productBounds,
  quotientBounds,
  rootBounds,
  sumBounds,
} from "../../emit/vector/float_bounds.ts";
import type { SseOperation } from "../../fpu/sse/sse_unit.ts";
import { FLAG_CF, FLAG_PF, FLAG_ZF } from "../../state/state.ts";
import {
  all,
  allPlain,
  boundsOf,
  distinct,
  elsewhere,
  expectBounded,
  exponents,
  found,
  isNotDenormal,
  isPlain,
  type Look,
  memoryOperand,
  noteResult,
  secondLook,
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

/** Operands and result of an operation, all scalars or all vectors. */
export interface Computed {
  readonly a: Value;
  readonly b: Value;
  readonly result: Value;
}
/** How it is seen that an operation is ordinary. */
export interface Ordinary {
  /** Conditions that mostly hold when it is. */
  readonly quick: (e: Emit, computed: Computed) => readonly (() => Value)[];
  /** What to look at when they do not. */
  readonly look?: (e: Emit, computed: Computed) => Look | undefined;
  /** Has operands met, and notes the bounds of the result; there is nothing that bounds say if it is not there. */
  readonly met?: (e: Emit, computed: Computed) => void;
  /** The result may be inexact, which the second look knows. */
  readonly rounds?: true;
}

/** The result, when `computed` is ordinary or turns out to be right; else `operation` is done elsewhere. */
export function expectOrdinary(
  e: Emit,
  k: Kind,
  operation: SseOperation,
  computed: Computed,
  { quick, look, met, rounds }: Ordinary,
): Value {
  const { result } = computed;
  const right = look === undefined ? undefined : e.variable(result);
  const otherwise = () => {
    const how = {
      operation,
      type: k.type,
      lanes: k.packed ? "packed" : "scalar",
      value: computed.b,
    } as const;
    elsewhere(e, how, look?.(e, computed), right);
  };
  if (met === undefined) e.expect(quick(e, computed), otherwise);
  else {
    const bounded = { met: () => met(e, computed), quick: () => quick(e, computed) };
    expectBounded(e, rounds ? { ...bounded, rounds, looks: true } : bounded, otherwise);
  }
  if (right === undefined) return result;
  return found(e, k.type, right, result);
}
/** The source, and the destination's value unless the operation has one operand. */
function operands(e: Emit, k: Kind, unary: boolean): { a: Value; b: Value } {
  const b = k.packed ? source(e) : scalar(e, k.type);
  return { a: unary ? b : k.packed ? e.xmmReg() : e.xmmPart("reg", k.type), b };
}
/** dst = `operation` of dst and the source, or of the source: `compute` when that is ordinary. */
export function guarded(
  k: Kind,
  operation: SseOperation,
  compute: (e: Emit, a: Value, b: Value) => Value,
  ordinary: Ordinary,
  unary = false,
): Semantics {
  return (e) => {
    const { a, b } = operands(e, k, unary), result = compute(e, a, b);
    const right = expectOrdinary(e, k, operation, { a, b, result }, ordinary);
    if (k.packed) e.setXmmReg(right as Value<"v128">);
    else e.setXmmPart("reg", right as Value<"f32" | "f64">);
  };
}

/** The result is in the middle of the range, where no infinity leads, and the operands are not denormal. */
export function quickArithmetic(k: Kind): Ordinary["quick"] {
  return (e, { a, b, result }) => {
    const quiet = e.roundsQuietly();
    const tests = k.packed
      ? [() => allPlain(e, k.shape, { operands: distinct(a, b), result })]
      : [...exponents(e, k.type, a === b ? { b } : { a, b }), () => isPlain(e, k.type, result)];
    return [() => quiet, ...tests];
  };
}
/** The same by bounds. */
export const metArithmetic: Readonly<
  Record<"add" | "mul" | "div" | "sqrt", (type: FloatType) => NonNullable<Ordinary["met"]>>
> = {
  add: (type) => (e, { a, b, result }) => {
    e.meet(type, [a, b]);
    noteResult(e, type, result, sumBounds(boundsOf(e, type, a), boundsOf(e, type, b)), "any");
  },
  mul: (type) => (e, { a, b, result }) => {
    e.meet(type, [a, b]);
    const bounds = productBounds(type, boundsOf(e, type, a), boundsOf(e, type, b));
    noteResult(e, type, result, bounds, "no zeros"); // which may have been tiny
  },
  div: (type) => (e, { a, b, result }) => {
    e.meet(type, [b], "no zeros");
    e.meet(type, [a]);
    const bounds = quotientBounds(type, boundsOf(e, type, a), boundsOf(e, type, b));
    noteResult(e, type, result, bounds, "no zeros");
  },
  sqrt: (type) => (e, { b, result }) => {
    e.meet(type, [b], "positive");
    e.noteBounds(type, result, rootBounds(type, boundsOf(e, type, b)));
  },
};
const arithmetic = (k: Kind, operation: "add" | "sub" | "mul" | "div"): Semantics =>
  guarded(
    k,
    operation,
    (e, a, b) => e.op(k.packed ? `${k.shape}.${operation}` : `${k.type}.${operation}`, a, b),
    {
      quick: quickArithmetic(k),
      look: (_, computed) => ({ operation, ...computed }),
      met: metArithmetic[operation === "sub" ? "add" : operation](k.type),
      rounds: true,
    },
  );
const root = (k: Kind): Semantics =>
  guarded(
    k,
    "sqrt",
    (e, _, b) => e.op(k.packed ? `${k.shape}.sqrt` : `${k.type}.sqrt`, b),
    {
      quick: quickArithmetic(k),
      look: (_, computed) => ({ operation: "sqrt", ...computed }),
      met: metArithmetic.sqrt(k.type),
      rounds: true,
    },
    true,
  );

/** Which look a comparison wants: the one that raises for all NaNs, or for signaling ones. */
type Comparing = (e: Emit) => "min" | "max" | "comi" | "cmp" | undefined;
/** A comparison raises nothing without denormals and NaNs. */
function ordinaryComparison(k: Kind, comparing: Comparing): Ordinary {
  const { type, shape } = k;
  const look: Ordinary["look"] = (e, computed) => {
    const operation = comparing(e);
    return operation && { operation, ...computed };
  };
  const met: Ordinary["met"] = (e, { a, b }) => e.meet(type, [a, b]);
  if (!k.packed) {
    return {
      quick: (e, { a, b }) => {
        const wild = distinct(a, b);
        const ordered = () =>
          wild.length === 1
            ? e.op(`${type}.eq`, wild[0] as Value, wild[0] as Value)
            : e.or(32, e.op(`${type}.lt`, a, b), e.op(`${type}.ge`, a, b));
        return [...wild.map((v) => () => isNotDenormal(e, type, v)), ordered];
      },
      look,
      met,
    };
  }
  return {
    quick: (e, { a, b }) => {
      const wild = distinct(a, b);
      const ordered = () => all(e, shape, ...wild.map((v) => e.op(`${shape}.eq`, v, v)));
      return [() => allPlain(e, shape, { operands: wild }), ordered];
    },
    look,
    met,
  };
}
/** MIN and MAX return the second operand for two zeros. */
const extremum = (k: Kind, name: "min" | "max"): Semantics =>
  guarded(k, name, (e, a, b) => {
    if (k.packed) return e.op(`${k.shape}.p${name}`, b, a);
    return e.select(e.op(`${k.type}.${name === "min" ? "lt" : "gt"}`, a, b), a, b);
  }, {
    ...ordinaryComparison(k, () => name),
    met: (e, { a, b, result }) => {
      e.meet(k.type, [a, b]);
      e.noteBounds(k.type, result, either(boundsOf(e, k.type, a), boundsOf(e, k.type, b)));
    },
  });

/** The predicate, if it is known: with bit 4, and with bit 3 for NaNs, they are VEX's alone. */
function knownPredicate(e: Emit): number | undefined {
  const imm = e.known(e.imm(8));
  return imm === undefined ? undefined : imm & (e.form.vector === 0 ? 7 : 31);
}
/** Half of them raise something for quiet NaNs, too. */
const predicateLook: Comparing = (e) => {
  const predicate = knownPredicate(e);
  if (predicate === undefined) return undefined;
  const orders = (predicate & 3) === 1 || (predicate & 3) === 2;
  return orders !== ((predicate & 16) !== 0) ? "comi" : "cmp";
};
// CMPxx: predicate 0 EQ, 1 LT, 2 LE, 3 UNORD, which nothing ordinary is; bit 2 negates.
const comparison = (k: Kind): Semantics =>
  guarded(k, "cmp", (e, a, b) => {
    const known = knownPredicate(e);
    if (known !== undefined) return comparedBy(e, k, known & 15, a, b);
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
  }, ordinaryComparison(k, predicateLook));
/** The same with NaNs: unordered is what makes the negated predicates hold, of the first eight. */
function comparedBy(e: Emit, k: Kind, predicate: number, a: Value, b: Value): Value {
  const prefix = k.packed ? k.shape : k.type;
  const op = (name: "eq" | "lt" | "le" | "ne" | "gt" | "ge", x: Value, y: Value): Value =>
    e.op(`${prefix}.${name}`, x, y);
  const mask = (holds: Value, negated: boolean): Value => {
    if (k.packed) return negated ? e.op("v128.not", holds) : holds;
    const ones = e.sub(32, e.i32(0), negated ? e.eqz(32, holds) : holds);
    return k.type === "f32" ? ones : e.op("i64.extend_i32_s", ones);
  };
  const or = (x: Value, y: Value) => k.packed ? e.op("v128.or", x, y) : e.or(32, x, y);
  switch (predicate) {
    case 8: // EQ_UQ
    case 12: // NEQ_OQ
      return mask(or(op("lt", a, b), op("gt", a, b)), predicate === 8);
    case 9: // NGE
    case 13: // GE
      return mask(op("ge", a, b), predicate === 9);
    case 10: // NGT
    case 14: // GT
      return mask(op("gt", a, b), predicate === 10);
    case 11: // FALSE
    case 15: // TRUE
      return mask(k.packed ? zero(e) : e.i32(0), predicate === 15);
  }
  const name = (["eq", "lt", "le", undefined] as const)[predicate & 3];
  const pair = name === undefined ? [a, b].map((v) => op("ne", v, v)) as [Value, Value] : [a, b] as const;
  return mask(name === undefined ? or(...pair) : op(name, a, b), predicate > 3);
}

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
  define("SQRT", "51", root(k));
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
      const { type } = k, { a, b } = operands(e, k, false);
      const flags = e.variable(e.i32(0));
      const less = e.select(e.op(`${type}.lt`, a, b), e.i32(FLAG_CF), e.i32(0));
      e.set(flags, e.select(e.op(`${type}.eq`, a, b), e.i32(FLAG_ZF), less));
      const computed = { a, b, result: b };
      const { quick, met } = ordinaryComparison(k, () => undefined);
      expectBounded(e, { met: () => met?.(e, computed), quick: () => quick(e, computed) }, () => {
        const look = { operation: name === "COMI" ? "comi" : "cmp", ...computed } as const;
        e.if(e.looksRight(secondLook(e, type, "scalar", look)), () => {
          const unordered = e.or(32, e.op(`${type}.ne`, a, a), e.op(`${type}.ne`, b, b));
          e.if(unordered, () => e.set(flags, e.i32(FLAG_ZF | FLAG_PF | FLAG_CF)));
        }, () => {
          // Its handler may be that of the branch behind it, too: no going on elsewhere.
          const operation = name === "COMI" ? "comi" : "ucomi";
          slow(e, { operation, type, lanes: "scalar", value: memoryOperand(e, b) });
          e.set(flags, e.microcodeResult(32));
        });
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
  e.setXmmReg(e.op("v128.bitselect", b, e.xmmReg(), laneMask(e, "i32x4", e.imm(8), 4 * e.half)));
});
sse("BLENDPD xmm, xmm/m128, imm8", "66 0f3a0d /r ub", (e) => {
  const b = source(e);
  e.setXmmReg(e.op("v128.bitselect", b, e.xmmReg(), laneMask(e, "i64x2", e.imm(8), 2 * e.half)));
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
