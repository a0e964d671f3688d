// SPDX-License-Identifier: MIT
/**
 * Packed integer operations that exist for XMM and for MMX registers: said once over v128. Defining one makes its
 * XMM row and remembers it for cpu/isa/simd/mmx.ts. SDM Vol. 2; MMX: Vol. 1 §9.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import type { OpArguments, OpName, OpResult } from "../../wasm/opcodes.ts";
import { binary, sse } from "./sse_patterns.ts";

/** A packed operation: destination, source. */
export type PackedOp = (e: Emit, a: Value, b: Value) => Value;

/**
 * How the MMX result follows from the 128-bit operation. low, high: operands are in both halves, and that half is
 * the result; pair: {a, b} is both operands, for operations that put results of b behind those of a; none: XMM only.
 */
export type MmxTwin = "low" | "high" | "pair" | "none";

/** A row that cpu/isa/simd/mmx.ts defines too. */
export interface IntegerOp {
  readonly name: string;
  /** As in a row's encoding: "0ffc". */
  readonly opcode: string;
  readonly f: PackedOp;
  readonly twin: MmxTwin;
  /** The MMX form reads only 32 bits of memory. */
  readonly half: boolean;
}

const defined: IntegerOp[] = [];
/** Every operation with an MMX twin, after the files that define them have loaded. */
export const integerOps: readonly IntegerOp[] = defined;

/** Defines "name xmm, xmm/m128" and, unless `twin` is none, lets mmx.ts define "name mm, mm/m64". */
export function integerOp(
  name: string,
  opcode: string,
  f: PackedOp,
  twin: MmxTwin = "low",
  half = false,
): void {
  sse(`${name} xmm, xmm/m128`, `66 ${opcode} /r`, binary(f));
  if (twin !== "none") defined.push({ name, opcode, f, twin, half });
}

/** Operations of two vectors. */
export type VectorOp = {
  [N in OpName]: OpArguments<N> extends ["v128", "v128"] ? OpResult<N> extends "v128" ? N : never : never;
}[OpName];
/** One WebAssembly operation. */
export const wasm = (name: VectorOp): PackedOp => (e, a, b) => e.op(name, a, b);
/** One WebAssembly operation with its operands swapped. */
export const swapped = (name: VectorOp): PackedOp => (e, a, b) => e.op(name, b, a);

/** Lanes of `width` bytes taken from {a, b}: the even ones, and the odd ones. */
export function evenOdd(e: Emit, width: number, a: Value, b: Value): [Value, Value] {
  const pick = (odd: number) => {
    const lanes: number[] = [];
    for (let at = odd * width; at < 32; at += 2 * width) for (let i = 0; i < width; i++) lanes.push(at + i);
    return e.shuffle(lanes, a, b);
  };
  return [pick(0), pick(1)];
}

/** Lanes of `width` bytes of the low or high halves of a and b, alternating. */
export function unpack(width: number, high: boolean): PackedOp {
  const half = high ? 8 : 0;
  const lanes: number[] = [];
  for (let i = 0; i < 8; i += width) {
    for (const from of [0, 16]) for (let b = 0; b < width; b++) lanes.push(from + half + i + b);
  }
  return (e, a, b) => e.shuffle(lanes, a, b);
}

/** Shapes by lane width. */
export const SHAPE = { 8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2" } as const;
/** A shift. */
export type ShiftName = "shl" | "shr_u" | "shr_s";

/** Lanes shifted by the u32 `count`: too large a count gives zero, or all sign bits. */
export function shiftLanes(e: Emit, width: 16 | 32 | 64, name: ShiftName, a: Value, count: Value): Value {
  const op = `${SHAPE[width]}.${name}` as const;
  const fits = e.ltU(32, count, e.i32(width));
  if (name === "shr_s") return e.op(op, a, e.select(fits, count, e.i32(width - 1)));
  return e.select(fits, e.op(op, a, count), e.v128(0n, 0n));
}

/** Lanes shifted by the low 64 bits of the source. */
export function shiftByVector(width: 16 | 32 | 64, name: ShiftName): PackedOp {
  return (e, a, b) => {
    const count = e.lane("i64x2.extract_lane", 0, b);
    const small = e.ltU(64, count, e.i64(width));
    return shiftLanes(e, width, name, a, e.select(small, e.truncate(64, 32, count), e.i32(width)));
  };
}
