// SPDX-License-Identifier: MIT
/** SSE3 horizontal and alternating additions, SSE4.1 dot products. SDM Vol. 2; exceptions: ./ordinary.ts. @module */
import type { Emit, Value } from "../../emit/emit.ts";
import { evenOdd } from "./integer_ops.ts";
import { memoryOperand, slow } from "./ordinary.ts";
import { guarded, type Kind, KINDS, ordinaryProduct, ordinarySum } from "./sse_float.ts";
import { laneMask, source, sse } from "./sse_patterns.ts";

for (const [prefix, k] of [["f2", KINDS[0]], ["66", KINDS[1]]] as const) {
  const width = k.type === "f32" ? 4 : 8, sum = ordinarySum(k, "add"); // packed: as for SUB
  for (const [opcode, name] of [["7c", "add"], ["7d", "sub"]] as const) {
    sse(
      `H${name.toUpperCase()}${k.suffix} xmm, xmm/m128`,
      `${prefix} 0f${opcode} /r`,
      guarded(
        k,
        `h${name}`,
        (e, a, b) => e.op(`${k.shape}.${name}`, ...evenOdd(e, width, a, b)),
        {
          quick: (e, a, b, r) => sum.quick(e, ...evenOdd(e, width, a, b), r),
          exact: (e, a, b, r) => sum.exact(e, ...evenOdd(e, width, a, b), r),
        },
      ),
    );
  }
  const alternating = (e: Emit, a: Value, b: Value): Value => {
    const odd = width === 8
      ? e.v128(0n, ~0n & (2n ** 64n - 1n))
      : e.op("i64x2.splat", e.i64(0xffff_ffff_0000_0000n));
    return e.op("v128.bitselect", e.op(`${k.shape}.add`, a, b), e.op(`${k.shape}.sub`, a, b), odd);
  };
  sse(
    `ADDSUB${k.suffix} xmm, xmm/m128`,
    `${prefix} 0fd0 /r`,
    guarded(k, "addsub", alternating, sum),
  );
}

/** imm8 7:4 says which products count, 3:0 which lanes get the sum. */
function dotProduct(k: Kind, opcode: string): void {
  const lanes = k.type === "f32" ? "i32x4" : "i64x2", width = k.type === "f32" ? 4 : 8;
  sse(`DP${k.suffix} xmm, xmm/m128, imm8`, `66 0f3a${opcode} /r ub`, (e) => {
    const b = source(e);
    const imm = e.imm(8);
    const counts = laneMask(e, lanes, imm, 4);
    const x = e.op("v128.and", e.xmmReg(), counts), y = e.op("v128.and", b, counts);
    let sums = e.op(`${k.shape}.mul`, x, y);
    let ok = ordinaryProduct(k, "mul").exact(e, x, y, sums);
    // Every lane comes to hold the sum of all.
    for (let n = k.type === "f32" ? 4 : 2; n > 1; n /= 2) {
      const [even, odd] = evenOdd(e, width, sums, sums);
      sums = e.op(`${k.shape}.add`, even, odd);
      ok = e.and(32, ok, ordinarySum(k, "add").exact(e, even, odd, sums));
    }
    e.if(
      ok,
      () => e.setXmmReg(e.op("v128.and", sums, laneMask(e, lanes, imm, 0))),
      () => slow(e, { operation: "dp", type: k.type, lanes: "packed", value: memoryOperand(e, b) }),
    );
  });
}
dotProduct(KINDS[0], "40");
dotProduct(KINDS[1], "41");
