// SPDX-License-Identifier: MIT
/**
 * FMA. SDM Vol. 2, VFMADD132PD and those behind it. The numbers say which operands are multiplied, and which one is added:
 * 1 the destination, 2 VEX.vvvv, 3 ModRM.rm. Exceptions: ../simd/ordinary.ts.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import { type Bounds, fusedBounds } from "../../emit/vector/float_bounds.ts";
import { FUSED_ORDER_SHIFT, FUSED_ORDERS, sseCode, type SseOperation } from "../../fpu/sse/sse_unit.ts";
import {
  all,
  allPlain,
  boundsOf,
  distinct,
  every,
  expectBounded,
  found,
  lanesNormal,
  lanesNotDenormal,
  lanesZero,
  noteResult,
} from "../simd/ordinary.ts";
import { type Kind, KINDS } from "../simd/sse_float.ts";
import { scalar, source } from "../simd/sse_patterns.ts";
import { avx, THREE } from "./avx_patterns.ts";
import { fused, isAlwaysSafe, isSafe } from "./fused.ts";

/** Which of the product and the third operand have their signs changed; "odd", "even": in these lanes. */
interface Fused {
  readonly name: SseOperation;
  readonly opcode: number;
  readonly product: boolean;
  readonly term: boolean | "odd" | "even";
}
const OPERATIONS: readonly Fused[] = [
  { name: "fmaddsub", opcode: 0x96, product: false, term: "even" },
  { name: "fmsubadd", opcode: 0x97, product: false, term: "odd" },
  { name: "fmadd", opcode: 0x98, product: false, term: false },
  { name: "fmsub", opcode: 0x9a, product: false, term: true },
  { name: "fnmadd", opcode: 0x9c, product: true, term: false },
  { name: "fnmsub", opcode: 0x9e, product: true, term: true },
];
const ORDER_NAMES = ["132", "213", "231"] as const;

/** `v` with the signs of some lanes changed. */
function negated(e: Emit, k: Kind, v: Value, lanes: boolean | "odd" | "even"): Value {
  if (lanes === false) return v;
  if (lanes === true) return e.op(`${k.shape}.neg`, v);
  const odd = lanes === "odd";
  if (k.type === "f64") return e.op("v128.xor", v, odd ? e.v128(0n, 1n << 63n) : e.v128(1n << 63n, 0n));
  const pair = odd ? 1n << 63n : 1n << 31n;
  return e.op("v128.xor", v, e.v128(pair, pair));
}

/** The result of one half, or of a scalar in every lane, when it is ordinary. */
function compute(
  e: Emit,
  k: Kind,
  { name, product, term }: Fused,
  order: number,
  operands: readonly [Value, Value, Value],
): Value {
  const [x, y, z] = (FUSED_ORDERS[order] as readonly number[]).map((n) => operands[n]) as [
    Value,
    Value,
    Value,
  ];
  const result = fused(e, k.type, [negated(e, k, x, product), y, negated(e, k, z, term)]);
  const quiet = e.roundsQuietly(), right = e.variable(result);
  const met = () => {
    e.meet(k.type, [x, y, z]);
    const [p, q, r] = [x, y, z].map((v) => boundsOf(e, k.type, v)) as [Bounds, Bounds, Bounds];
    noteResult(e, k.type, result, fusedBounds(p, q, r), "no zeros");
  };
  const quick = () => [
    () => quiet,
    () => allPlain(e, k.shape, { operands: distinct(x, y, z), result }),
    () => isSafe(e, k.type, x, y),
  ];
  const otherwise = () => {
    // Zeros of zeros are ordinary, too.
    const zeros = (v: Value) => lanesZero(e, k.shape, v),
      and = (v: Value, w: Value) => e.op("v128.and", v, w);
    const none = and(and(zeros(result), zeros(z)), e.op("v128.or", zeros(x), zeros(y)));
    const tame = [x, y, z].map((v) => lanesNotDenormal(e, k.shape, v)).reduce(and);
    const ordinary = all(e, k.shape, and(tame, e.op("v128.or", none, lanesNormal(e, k.shape, result))));
    e.if(e.eqz(32, every(e, quiet, ordinary, isSafe(e, k.type, x, y))), () => {
      const how = sseCode(name, k.type, k.packed ? "packed" : "scalar");
      e.floatElsewhere(how | order << FUSED_ORDER_SHIFT, operands[2], { how, a: x, b: y, result: z, right });
    });
  };
  if (isAlwaysSafe(k.type)) expectBounded(e, { met, quick, rounds: true }, otherwise);
  else e.expect(quick(), otherwise);
  return found(e, k.type, right, result);
}

for (const operation of OPERATIONS) {
  for (const k of KINDS) {
    if (!k.packed && typeof operation.term === "string") continue;
    ORDER_NAMES.forEach((digits, order) => {
      const opcode = (operation.opcode + 16 * order + (k.packed ? 0 : 1)).toString(16);
      const text = `V${operation.name.toUpperCase()}${digits}${k.suffix}`;
      const w = k.type === "f64" ? "w1" : "w0", options = { ...THREE, needs: "fma" } as const;
      if (k.packed) {
        for (const length of [128, 256] as const) {
          const register = length === 256 ? "ymm" : "xmm";
          avx(
            `${text} ${register}, ${register}, ${register}/m${length}`,
            `vex.${length}.66.0f38.${w} ${opcode} /r`,
            (e) =>
              e.halves(() => {
                const third = source(e);
                const operands = [e.vector("reg", e.half), e.vector("vvvv", e.half), third] as const;
                e.setXmmReg(compute(e, k, operation, order, operands));
              }),
            options,
          );
        }
        return;
      }
      const bits = k.type === "f32" ? 32 : 64;
      avx(`${text} xmm, xmm, xmm/m${bits}`, `vex.lig.66.0f38.${w} ${opcode} /r`, (e) => {
        const third = scalar(e, k.type);
        const part = (field: "reg" | "vvvv") => e.vectorPart(field, k.type, 0, 0);
        const lanes = [part("reg"), part("vvvv"), third].map((v) => e.op(`${k.shape}.splat`, v));
        const result = compute(e, k, operation, order, lanes as [Value, Value, Value]);
        const low = k.type === "f32"
          ? e.lane("f32x4.replace_lane", 0, e.vector("reg"), e.lane("f32x4.extract_lane", 0, result))
          : e.lane("f64x2.replace_lane", 0, e.vector("reg"), e.lane("f64x2.extract_lane", 0, result));
        e.setVector("reg", low);
      }, options);
    });
  }
}
