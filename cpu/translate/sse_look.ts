// SPDX-License-Identifier: MIT
/**
 * The second look at a result of SSE arithmetic, for the core module: emitted code only lets through what is normal and may
 * be inexact without anybody noticing (cpu/isa/simd/ordinary.ts). Here numbers and zeros are told from what is left to the
 * SSE unit (denormals, infinities, NaNs, results that are tiny or too large, directed rounding), and exact results from
 * inexact ones, for which MXCSR.PE is set. All lanes are looked at before anything is changed.
 * @module
 */
import { type Val, WasmBuilder } from "../emit/builder.ts";
import type { Variable } from "../emit/emit.ts";
import { linkType, LOOK_PARAMETERS } from "../emit/links.ts";
import { MXCSR_MASKS, MXCSR_RC_SHIFT, PE } from "../fpu/sse/mxcsr.ts";
import { SSE_DOUBLE, SSE_PACKED, sseCode, sseLookNumber } from "../fpu/sse/sse_unit.ts";
import { H_SSE_LOOK } from "../state/record.ts";
import { S } from "../state/state.ts";
import { FunctionBody, type ModuleBuilder } from "../wasm/encoder.ts";

type Operation = "add" | "sub" | "mul" | "div" | "sqrt";
type FloatType = "f32" | "f64";
type Operands = readonly [a: Val, b: Val, result: Val];

/** What is found out about one lane; it is not 0 when the result is right. */
const EXACT = 1, INEXACT = 2;
const ROUNDING = 3 << MXCSR_RC_SHIFT, PRECISION_KNOWN = PE | (PE << MXCSR_MASKS);
const MIN_NORMAL = { f32: 0x0080_0000n, f64: 0x0010_0000_0000_0000n } as const;
const INFINITY = { f32: 0x7f80_0000n, f64: 0x7ff0_0000_0000_0000n } as const;
const SHAPE = { f32: "f32x4", f64: "f64x2" } as const;

function constant(b: WasmBuilder, type: FloatType, bits: bigint): Val {
  return type === "f32"
    ? b.op("f32.reinterpret_i32", b.i32(Number(bits)))
    : b.op("f64.reinterpret_i64", b.i64(bits));
}

/** x × y, which is `product` rounded, has no more than 53 significant bits: then it is exactly that. */
function isRepresentable(b: WasmBuilder, x: Val, y: Val, product: Val): Val {
  const bits = (v: Val) => b.op("i64.reinterpret_f64", v);
  const exponent = (v: Val) => b.op("i64.and", b.op("i64.shr_u", bits(v), b.i64(52)), b.i64(0x7ff));
  const zeros = (v: Val) => b.op("i64.ctz", b.op("i64.or", bits(v), b.i64(1n << 52n)));
  // The product of significands of 53 bits has 105 bits, or 106: then the exponent is one more.
  const sum = b.op("i64.add", exponent(x), exponent(y));
  const extra = b.op("i64.sub", b.op("i64.add", exponent(product), b.i64(1023)), sum);
  return b.op("i64.ge_s", b.op("i64.add", zeros(x), zeros(y)), b.op("i64.add", extra, b.i64(52)));
}

/** Whether the result is exactly that of the operation: all of them are numbers, not tiny. */
function isExact(
  b: WasmBuilder,
  operation: Operation,
  type: FloatType,
  [first, second, result]: Operands,
): Val {
  if (operation === "add" || operation === "sub") { // Knuth's TwoSum
    const op = (name: "add" | "sub", x: Val, y: Val) => b.op(`${type}.${name}`, x, y);
    const addend = operation === "add" ? second : b.op(`${type}.neg`, second);
    const taken = op("sub", result, first);
    const error = op("add", op("sub", first, op("sub", result, taken)), op("sub", addend, taken));
    return b.op(`${type}.eq`, error, constant(b, type, 0n));
  }
  // The inverse operation gives the operand back, if it does not round itself.
  const x = operation === "mul" ? first : result, y = operation === "sqrt" ? result : second;
  const wanted = operation === "mul" ? result : operation === "div" ? first : second;
  if (type === "f32") { // 48 bits
    const wide = (v: Val) => b.op("f64.promote_f32", v);
    return b.op("f64.eq", b.op("f64.mul", wide(x), wide(y)), wide(wanted));
  }
  const product = b.op("f64.mul", x, y);
  return b.and(32, b.op("f64.eq", product, wanted), isRepresentable(b, x, y, product));
}

/** Sets `found` to what is known of one lane of the result; nothing is, as long as it is 0. */
function judge(
  b: WasmBuilder,
  operation: Operation,
  type: FloatType,
  operands: Operands,
  found: Variable,
): void {
  const [first, second, result] = operands;
  const isZero = (v: Val) => b.op(`${type}.eq`, v, constant(b, type, 0n));
  const inRange = (v: Val, from: "ge" | "gt") => {
    const magnitude = b.op(`${type}.abs`, v);
    const large = b.op(`${type}.${from}`, magnitude, constant(b, type, MIN_NORMAL[type]));
    return b.and(32, large, b.op(`${type}.lt`, magnitude, constant(b, type, INFINITY[type])));
  };
  const isTame = (v: Val) => b.or(32, inRange(v, "ge"), isZero(v));
  const tame = operation === "sqrt" ? isTame(second) : b.and(32, isTame(first), isTame(second));
  b.if(tame, () => {
    b.if(isZero(result), () => {
      // A zero that does not come from a zero was tiny, unless it is a difference.
      if (operation === "add" || operation === "sub") return b.set(found, b.i32(EXACT));
      const from = operation === "div" ? isZero(first) : isZero(second);
      b.set(found, operation === "mul" ? b.or(32, from, isZero(first)) : from);
    }, () => {
      // What is the smallest normal number may have been tiny before it was rounded.
      b.if(inRange(result, "gt"), () => {
        b.set(found, b.select(isExact(b, operation, type, operands), b.i32(EXACT), b.i32(INEXACT)));
      });
    });
  });
}

/** All lanes are right when inexact ones raise nothing new. */
function areRight(
  b: WasmBuilder,
  operation: Operation,
  type: FloatType,
  [first, second, result]: Operands,
): Val {
  const shape = SHAPE[type];
  const splat = (bits: bigint) =>
    type === "f32" ? b.op("i32x4.splat", b.i32(Number(bits))) : b.op("i64x2.splat", b.i64(bits));
  const or = (x: Val, y: Val) => b.op("v128.or", x, y), and = (x: Val, y: Val) => b.op("v128.and", x, y);
  const magnitude = (v: Val) => b.op(`${shape}.abs`, v);
  const least = splat(MIN_NORMAL[type]), beyond = splat(INFINITY[type]);
  const zeros = (v: Val) => b.op(`${shape}.eq`, v, splat(0n));
  const tame = (v: Val) => or(b.op(`${shape}.ge`, magnitude(v), least), zeros(v));
  const normal = and(
    b.op(`${shape}.gt`, magnitude(result), least),
    b.op(`${shape}.lt`, magnitude(result), beyond),
  );
  const operands = operation === "sqrt" ? tame(second) : and(tame(first), tame(second));
  let nothing = zeros(result);
  if (operation === "mul") nothing = and(nothing, or(zeros(first), zeros(second)));
  if (operation === "div") nothing = and(nothing, zeros(first));
  return b.op(type === "f32" ? "i32x4.all_true" : "i64x2.all_true", and(operands, or(normal, nothing)));
}

/** (a, b, result) to 1 when the result is right, after setting what it raised. */
function look(b: WasmBuilder, operation: Operation, type: FloatType, count: number): void {
  const vectors = [0, 1, 2].map((i) => b.parameter(i, "v128")) as [Val, Val, Val];
  const mxcsr = b.loadRaw("i32.load", b.i32(S.mxcsr));
  const known = b.and(32, mxcsr, b.i32(PRECISION_KNOWN | ROUNDING));
  if (count > 1) {
    b.if(b.eq(32, known, b.i32(PRECISION_KNOWN)), () => {
      b.if(areRight(b, operation, type, vectors), () => b.return(b.i32(1)));
    });
  }
  b.if(b.and(32, mxcsr, b.i32(ROUNDING)), () => b.return(b.i32(0)));
  const found = b.variable(b.i32(0));
  const all: Val[] = [];
  for (let i = 0; i < count; i++) {
    const operands = vectors.map((v) => b.lane(`${SHAPE[type]}.extract_lane`, i, v)) as [Val, Val, Val];
    b.set(found, b.i32(0));
    judge(b, operation, type, operands, found);
    const code = b.get(found);
    b.if(b.eqz(32, code), () => b.return(b.i32(0)));
    all.push(code);
  }
  b.if(b.and(32, all.reduce((x, y) => b.or(32, x, y)), b.i32(INEXACT)), () => {
    b.if(b.eqz(32, b.and(32, mxcsr, b.i32(PE << MXCSR_MASKS))), () => b.return(b.i32(0)));
    b.storeRaw("i32.store", b.i32(S.mxcsr), b.or(32, mxcsr, b.i32(PE)));
  });
  b.return(b.i32(1));
}

/** Defines the looks, in the table from H_SSE_LOOK on; the index of their type. */
export function defineLooks(module: ModuleBuilder): number {
  const lookType = linkType(module, LOOK_PARAMETERS);
  for (const type of ["f32", "f64"] as const) {
    for (const operation of ["add", "sub", "mul", "div", "sqrt"] as const) {
      for (const lanes of ["scalar", "packed"] as const) {
        const body = new FunctionBody(3);
        const b = new WasmBuilder(body);
        look(b, operation, type, lanes === "scalar" ? 1 : type === "f32" ? 4 : 2);
        b.unreachable();
        const tableIndex = H_SSE_LOOK + sseLookNumber(sseCode(operation, type, lanes));
        module.addFunction(lookType, body, { tableIndex });
      }
    }
  }
  return lookType;
}

/** Puts a result that was right into the register at `to`. */
export function storeResult(b: WasmBuilder, how: Val, to: Val, result: Val): void {
  b.if(
    b.and(32, how, b.i32(SSE_PACKED)),
    () => b.storeRaw("v128.store", to, result),
    () =>
      b.if(
        b.and(32, how, b.i32(SSE_DOUBLE)),
        () => b.storeRaw("f64.store", to, b.lane("f64x2.extract_lane", 0, result)),
        () => b.storeRaw("f32.store", to, b.lane("f32x4.extract_lane", 0, result)),
      ),
  );
}
