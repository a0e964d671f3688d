// SPDX-License-Identifier: MIT
/**
 * Whether results are exact, for operands within bounds (cpu/emit/vector/float_bounds.ts): while MXCSR.PE is clear the first
 * that is not has to set it. By the errors of operations, which are numbers themselves: Knuth's TwoSum, and the rest of the
 * inverse operation in one fused step, where the host has that.
 * @module
 */
import type { Emit, FloatType, Value } from "../../emit/emit.ts";
import { HOST_FUSES } from "../../emit/vector/host_fuses.ts";
import { boundsOf, isZero } from "./ordinary.ts";

/** The least power of two that a denormal is a multiple of. */
const LAST_PLACE = { f32: -149, f64: -1074 } as const;
/** An operation that rounds. */
export type Rounding = "add" | "sub" | "mul" | "div" | "sqrt";

/** All lanes are exact, or the scalar is; undefined: there is no quick way to know. */
export function isExact(
  e: Emit,
  type: FloatType,
  operation: Rounding,
  { a, b, result }: { readonly a: Value; readonly b: Value; readonly result: Value },
): Value<"i32"> | undefined {
  const shape = type === "f32" ? "f32x4" : "f64x2", lanes = type === "f32" ? "i32x4" : "i64x2";
  const isVector = result.type === "v128";
  if (operation === "add" || operation === "sub") {
    const op = (name: "add" | "sub", x: Value, y: Value): Value =>
      e.op(isVector ? `${shape}.${name}` : `${type}.${name}`, x, y);
    const taken = op("sub", result, a); // b, or -b, as far as the result has it
    const first = op("sub", a, op("sub", result, taken));
    const second = op(operation === "add" ? "sub" : "add", b, taken);
    const error = op(operation, first, second);
    if (!isVector) return isZero(e, type, error);
    return e.op(`${lanes}.all_true`, e.op(`${shape}.eq`, error, e.v128(0n, 0n)));
  }
  if (!HOST_FUSES) return undefined;
  const [p, q, wanted] = operation === "mul"
    ? [a, b, result]
    : operation === "div"
    ? [result, b, a]
    : [result, result, b];
  if (boundsOf(e, type, p).grain + boundsOf(e, type, q).grain < LAST_PLACE[type]) return undefined;
  const wide = (v: Value): Value => isVector ? v : e.op(`${shape}.splat`, v);
  const rest = e.op(`${shape}.relaxed_madd`, wide(p), wide(q), e.op(`${shape}.neg`, wide(wanted)));
  return e.op(`${lanes}.all_true`, e.op(`${shape}.eq`, rest, e.v128(0n, 0n)));
}
