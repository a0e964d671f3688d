// SPDX-License-Identifier: MIT
/**
 * How AVX rows are written. SDM Vol. 2A §2.3 (VEX), §2.4 (exceptions): memory operands need not be aligned, upper halves
 * become zero.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import { row, type RowOptions, type RowSize, type Semantics } from "../row/row.ts";
import { requireSse, XMM } from "../simd/sse_patterns.ts";

/** Two sources, VEX.vvvv and ModRM.rm, and a destination. */
export const THREE: RowOptions = { reg: "xmm", rm: "xmm", vvvv: "xmm" };
/** One source. */
export const TWO: RowOptions = XMM;

/** Both halves of a YMM register, the lower one first. */
export type Halves = readonly [Value, Value];

/** Defines a row of an instruction on XMM or YMM registers; `needs` in `options` where AVX alone is not enough. */
export function avx(
  text: string,
  encoding: string,
  f: Semantics,
  options: RowOptions = THREE,
  size: RowSize = 128,
): void {
  row(text, encoding, size, (e, w) => {
    requireSse(e);
    f(e, w);
  }, { needs: "avx", ...options });
}

/** The same for AVX2. */
export function avx2(text: string, encoding: string, f: Semantics, options: RowOptions = THREE): void {
  avx(text, encoding, f, { ...options, needs: "avx2" });
}

/** ymm/m256. */
export function source256(e: Emit, aligned = false): Halves {
  return e.form.isMemory ? e.load256(e.address(), aligned) : [e.vector("rm", 0), e.vector("rm", 1)];
}
/** VEX.vvvv, 256 bits. */
export function first256(e: Emit): Halves {
  return [e.vector("vvvv", 0), e.vector("vvvv", 1)];
}
/** The destination of a 256-bit instruction. */
export function set256(e: Emit, [low, high]: Halves): void {
  e.setVector("reg", low, high);
}
/** ModRM.reg = both halves the same. */
export function setBoth(e: Emit, value: Value): void {
  e.setVector("reg", value, e.form.vector === 256 ? value : undefined);
}
/** The halves an instruction has. */
export function halvesOf(e: Emit): readonly (0 | 1)[] {
  return e.form.vector === 256 ? [0, 1] : [0];
}
