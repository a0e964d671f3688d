// SPDX-License-Identifier: MIT
/** SSE3 horizontal and alternating additions, SSE4.1 dot products. SDM Vol. 2; exceptions: ./ordinary.ts. @module */
import type { Emit, Value } from "../../emit/emit.ts";
import { evenOdd } from "./integer_ops.ts";
import { all, elsewhere, lanesNormal, lanesNotDenormal, lanesZero } from "./ordinary.ts";
import { guarded, type Kind, KINDS, metArithmetic, quickArithmetic } from "./sse_float.ts";
import { laneMask, source, sse } from "./sse_patterns.ts";

for (const [prefix, k] of [["f2", KINDS[0]], ["66", KINDS[1]]] as const) {
  const width = k.type === "f32" ? 4 : 8, quick = quickArithmetic(k);
  for (const [opcode, operation] of [["7c", "add"], ["7d", "sub"]] as const) {
    const operands = (e: Emit, a: Value, b: Value) => {
      const [even, odd] = evenOdd(e, width, a, b);
      return { a: even, b: odd };
    };
    sse(
      `H${operation.toUpperCase()}${k.suffix} xmm, xmm/m128`,
      `${prefix} 0f${opcode} /r`,
      guarded(
        k,
        `h${operation}`,
        (e, a, b) => e.op(`${k.shape}.${operation}`, ...evenOdd(e, width, a, b)),
        {
          quick: (e, { a, b, result }) => quick(e, { ...operands(e, a, b), result }),
          look: (e, { a, b, result }) => ({ operation, ...operands(e, a, b), result }),
          met: (e, { a, b, result }) => metArithmetic.add(k.type)(e, { ...operands(e, a, b), result }),
          rounds: true,
        },
      ),
    );
  }
  const odd = (e: Emit): Value =>
    width === 8 ? e.v128(0n, ~0n & (2n ** 64n - 1n)) : e.op("i64x2.splat", e.i64(0xffff_ffff_0000_0000n));
  sse(
    `ADDSUB${k.suffix} xmm, xmm/m128`,
    `${prefix} 0fd0 /r`,
    guarded(
      k,
      "addsub",
      (e, a, b) => e.op("v128.bitselect", e.op(`${k.shape}.add`, a, b), e.op(`${k.shape}.sub`, a, b), odd(e)),
      {
        quick,
        look: (_, computed) => ({ operation: "addsub", ...computed }),
        met: metArithmetic.add(k.type),
        rounds: true,
      },
    ),
  );
}

/** Lanes of a product that are ordinary when nobody notices whether they are exact; a zero comes from a factor. */
function ordinaryProducts(e: Emit, k: Kind, a: Value, b: Value, r: Value): Value {
  const zeros = (v: Value) => lanesZero(e, k.shape, v);
  const zero = e.op("v128.and", zeros(r), e.op("v128.or", zeros(a), zeros(b)));
  const results = e.op("v128.or", lanesNormal(e, k.shape, r), zero);
  const operands = e.op("v128.and", lanesNotDenormal(e, k.shape, a), lanesNotDenormal(e, k.shape, b));
  return all(e, k.shape, operands, results);
}
/** The same of a sum of ordinary numbers. */
function ordinarySums(e: Emit, k: Kind, r: Value): Value {
  return all(e, k.shape, e.op("v128.or", lanesNormal(e, k.shape, r), lanesZero(e, k.shape, r)));
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
    const tests = [e.roundsQuietly(), ordinaryProducts(e, k, x, y, sums)];
    // Every lane comes to hold the sum of all.
    for (let n = k.type === "f32" ? 4 : 2; n > 1; n /= 2) {
      sums = e.op(`${k.shape}.add`, ...evenOdd(e, width, sums, sums));
      tests.push(ordinarySums(e, k, sums));
    }
    e.expect(tests.map((test) => () => test), () => {
      elsewhere(e, { operation: "dp", type: k.type, lanes: "packed", value: b });
    });
    e.setXmmReg(e.op("v128.and", sums, laneMask(e, lanes, imm, 0)));
  });
}
dotProduct(KINDS[0], "40");
dotProduct(KINDS[1], "41");
