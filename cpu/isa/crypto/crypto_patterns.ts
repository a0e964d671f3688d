// SPDX-License-Identifier: MIT
/** Rows of instructions that have a legacy form and VEX-encoded ones, of which one may have 256 bits. SDM Vol. 2. @module */
import type { CpuFeature } from "../../base/cpu_features.ts";
import { row, type Semantics } from "../row/row.ts";
import { requireSse, XMM } from "../simd/sse_patterns.ts";

/** Forms of an instruction. */
export interface Forms {
  readonly needs: CpuFeature;
  /** Feature of the 256-bit form, which does the same in each half; none: there is no such form. */
  readonly wide?: CpuFeature;
  /** How many sources VEX-encoded forms name; 0: there are none of these. */
  readonly sources: 0 | 1 | 2;
}

/** Defines them; `encoding` is the mandatory prefix, the opcode map and the rest. */
export function crypto(
  text: string,
  [prefix, map, opcode]: readonly [prefix: "np" | "66", map: "0f38" | "0f3a", opcode: string],
  operation: Semantics,
  { needs, wide, sources }: Forms,
): void {
  const f: Semantics = (e, w) => {
    requireSse(e);
    e.halves(() => operation(e, w));
  };
  row(text, `${prefix} ${map}${opcode}`, 128, f, { ...XMM, needs });
  if (sources === 0) return;
  const vex = (length: 128 | 256, features: readonly CpuFeature[]) => {
    const operands = sources === 2 ? text.replace("xmm,", "xmm, xmm,") : text;
    const named = length === 256 ? operands.replaceAll("xmm", "ymm").replace("m128", "m256") : operands;
    row(`V${named}`, `vex.${length}.${prefix}.${map}.wig ${opcode}`, 128, f, {
      ...XMM,
      ...(sources === 2 ? { vvvv: "xmm" } as const : {}),
      needs: features,
    });
  };
  vex(128, [needs, "avx"]);
  if (wide !== undefined) vex(256, [wide]);
}
