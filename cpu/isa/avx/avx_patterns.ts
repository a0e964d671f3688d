// SPDX-License-Identifier: MIT
/**
 * How AVX rows are written. SDM Vol. 2A §2.3 (VEX), §2.4 (exceptions): memory operands need not be aligned, upper halves
 * become zero.
 * @module
 */
import { row, type RowOptions, type RowSize, type Semantics } from "../row/row.ts";
import { requireSse } from "../simd/sse_patterns.ts";

/** Two sources, VEX.vvvv and ModRM.rm, and a destination. */
export const THREE: RowOptions = { reg: "xmm", rm: "xmm", vvvv: "xmm" };

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
