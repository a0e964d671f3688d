// SPDX-License-Identifier: MIT
/**
 * SSE to SSE4.1 rounding and conversion. SDM Vol. 2; exceptions: ./ordinary.ts. What is exact raises nothing and knows
 * no rounding, so it need not find MXCSR.PE set.
 * @module
 */
import type { Emit, Value, Variable } from "../../emit/emit.ts";
import { integerBounds } from "../../emit/vector/float_bounds.ts";
import {
  all,
  boundsOf,
  denormalsCount,
  elsewhere,
  every,
  expectBounded,
  type FloatType,
  found,
  inexactIsQuiet,
  isNormal,
  isNotDenormal,
  isPlain,
  isZero,
  lanesNormal,
  lanesNotDenormal,
  lanesZero,
  type Look,
  type Shape,
  type Slow,
} from "./ordinary.ts";
import { guarded, KINDS } from "./sse_float.ts";
import { scalar, source, source64, sse } from "./sse_patterns.ts";
import { S } from "../../state/state.ts";
import { MXCSR_RC_SHIFT } from "../../fpu/sse/mxcsr.ts";

/** The conversion is made elsewhere, unless a second look puts its result into `right`. */
function convertElsewhere(
  e: Emit,
  how: Slow & { readonly operation: Look["operation"] },
  right: Variable,
): void {
  elsewhere(e, how, { operation: how.operation, a: how.value, b: how.value, result: e.get(right) }, right);
}

/** `v` rounded to an integral value as `mode` (0 nearest, 1 down, 2 up, 3 towards zero) says. */
function roundTo(e: Emit, shape: FloatType | Shape, v: Value, mode: Value): Value {
  const result = e.variable(v);
  e.if(mode, () => {
    const directed = e.select(
      e.eq(32, mode, e.i32(1)),
      e.op(`${shape}.floor`, v),
      e.select(e.eq(32, mode, e.i32(2)), e.op(`${shape}.ceil`, v), e.op(`${shape}.trunc`, v)),
    );
    e.set(result, directed);
  }, () => e.set(result, e.op(`${shape}.nearest`, v)));
  return e.get(result);
}
/** ROUNDxx: imm8 bit 2 selects MXCSR.RC, else bits 1:0. */
function immediateMode(e: Emit): Value {
  const imm = e.imm(8);
  const rc = e.op("i32.shr_u", e.state32(S.mxcsr), e.i32(MXCSR_RC_SHIFT));
  return e.and(32, e.select(e.bit(imm, 2), rc, imm), e.i32(3));
}
for (const [i, opcode] of ["08", "09", "0a", "0b"].entries()) {
  const k = KINDS[i as 0 | 1 | 2 | 3];
  const shape = k.packed ? k.shape : k.type;
  sse(
    `ROUND${k.suffix} xmm, xmm/m, imm8`,
    `66 0f3a${opcode} /r ub`,
    guarded(k, "round", (e, _, b) => roundTo(e, shape, b, immediateMode(e)), {
      quick: (e, { b, result: r }) => {
        const same = (x: Value, y: Value) => {
          const equal = e.op(`${shape}.eq`, x, y);
          return k.packed ? all(e, k.shape, equal) : equal;
        };
        const quiet = e.or(32, e.bit(e.imm(8), 3), inexactIsQuiet(e));
        return [() => e.or(32, same(r, b), every(e, same(b, b), denormalsCount(e), quiet))];
      },
      look: (e, { b, result }) => {
        return { operation: "round", a: e.op("i32x4.splat", e.imm(8)), b, result };
      },
    }, true),
  );
}

// Floats to integers. Out of range and NaN give the "integer indefinite" value, and are not ordinary.

/** What of an integral `v` fits into a signed integer of `w` bits. */
function fits(e: Emit, type: FloatType, w: 32 | 64, v: Value): Value {
  const constant = (n: number): Value<"f32" | "f64"> => {
    if (type === "f32") {
      return e.op("f32.reinterpret_i32", e.i32(new DataView(new Float32Array([n]).buffer).getInt32(0, true)));
    }
    return e.op(
      "f64.reinterpret_i64",
      e.i64(new DataView(new Float64Array([n]).buffer).getBigInt64(0, true)),
    );
  };
  const limit = 2 ** (w - 1);
  return e.and(32, e.op(`${type}.ge`, v, constant(-limit)), e.op(`${type}.lt`, v, constant(limit)));
}
for (const k of KINDS.filter((x) => !x.packed)) {
  const { type, suffix } = k;
  for (const [name, opcode, rounding] of [["CVTT", "2c", "trunc"], ["CVT", "2d", "nearest"]] as const) {
    sse(
      `${name}${suffix}2SI r, xmm/m`,
      `${k.prefix} 0f${opcode} /r`,
      (e, size) => {
        const w = size as 32 | 64;
        const b = scalar(e, type);
        const integral = e.op(`${type}.${rounding}`, b);
        const quiet = rounding === "trunc" ? inexactIsQuiet(e) : e.roundsQuietly();
        const result = e.variable(e.op(`i${w}.trunc_sat_${type}_s`, integral));
        const tests = [
          () => fits(e, type, w, integral),
          () => e.or(32, quiet, e.op(`${type}.eq`, integral, b)),
        ];
        e.expect(tests, () => {
          const operation = `${rounding === "trunc" ? "truncate" : "to"}_i${w}` as const;
          convertElsewhere(e, { operation, type, lanes: "scalar", value: b }, result);
        });
        e.setReg(w, e.get(result));
      },
      { reg: "gpr", rm: "xmm" },
      "y",
    );
  }
}
for (
  const [name, type, encoding, rounding] of [
    ["CVTPS2DQ", "f32", "66 0f5b", "nearest"],
    ["CVTTPS2DQ", "f32", "f3 0f5b", "trunc"],
    ["CVTPD2DQ", "f64", "f2 0fe6", "nearest"],
    ["CVTTPD2DQ", "f64", "66 0fe6", "trunc"],
  ] as const
) {
  const shape = type === "f32" ? "f32x4" : "f64x2";
  const splat = (e: Emit, n: number): Value =>
    type === "f32"
      ? e.op("f32x4.splat", e.op("f32.convert_i32_s", e.i32(n)))
      : e.op("f64x2.splat", e.op("f64.convert_i32_s", e.i32(n)));
  sse(`${name} xmm, xmm/m128`, `${encoding} /r`, (e) => {
    const b = source(e);
    const integral = e.op(`${shape}.${rounding}`, b);
    const least = splat(e, -0x8000_0000);
    const fit = e.op(
      "v128.and",
      e.op(`${shape}.ge`, integral, least),
      e.op(`${shape}.lt`, integral, e.op(`${shape}.neg`, least)),
    );
    const quiet = rounding === "trunc" ? inexactIsQuiet(e) : e.roundsQuietly();
    const exact = all(e, shape, e.op(`${shape}.eq`, integral, b));
    const result = e.variable(
      e.op(type === "f32" ? "i32x4.trunc_sat_f32x4_s" : "i32x4.trunc_sat_f64x2_s_zero", integral),
    );
    e.expect([() => e.and(32, all(e, shape, fit), e.or(32, quiet, exact))], () => {
      const operation = rounding === "trunc" ? "truncate_i32" : "to_i32";
      convertElsewhere(e, { operation, type, lanes: "packed", value: b }, result);
    });
    e.setXmmReg(e.get(result));
  });
}

// Integers to floats

for (const k of KINDS.filter((x) => !x.packed)) {
  const { type } = k;
  sse(
    `CVTSI2${k.suffix} xmm, r/m`,
    `${k.prefix} 0f2a /r`,
    (e, size) => {
      const w = size as 32 | 64;
      const n = e.rm(w);
      const converted = e.op(`${type}.convert_i${w}_s`, n);
      e.noteBounds(type, converted, integerBounds(w - 1));
      if (type === "f64" && w === 32) return e.setXmmPart("reg", converted);
      // Up to 2^precision every integer has a float.
      const bound = 1n << (type === "f32" ? 24n : 53n);
      const exact = e.ltU(w, e.add(w, n, e.k(w, bound)), e.k(w, 2n * bound));
      const right = e.variable(converted);
      e.expect([() => e.or(32, exact, e.roundsQuietly())], () => {
        convertElsewhere(e, { operation: `from_i${w}`, type, lanes: "scalar", value: n }, right);
      });
      e.setXmmPart("reg", found(e, type, right, converted));
    },
    { reg: "xmm", rm: "gpr" },
    "y",
  );
}
sse("CVTDQ2PS xmm, xmm/m128", "np 0f5b /r", (e) => {
  const b = source(e), converted = e.op("f32x4.convert_i32x4_s", b);
  e.noteBounds("f32", converted, integerBounds(31));
  const right = e.variable(converted);
  e.expect([() => e.roundsQuietly()], () => {
    // 2^31 converts back to one less, which it may come from.
    const back = e.op("i32x4.eq", e.op("i32x4.trunc_sat_f32x4_s", converted), b);
    const small = e.op("f32x4.lt", converted, e.op("i32x4.splat", e.i32(0x4f00_0000)));
    e.if(e.eqz(32, all(e, "f32x4", back, small)), () => {
      convertElsewhere(e, { operation: "from_i32", type: "f32", lanes: "packed", value: b }, right);
    });
  });
  e.setXmmReg(found(e, "f32", right, converted));
});
sse(
  "CVTDQ2PD xmm, xmm/m64",
  "f3 0fe6 /r",
  (e) => e.setXmmReg(e.op("f64x2.convert_low_i32x4_s", source64(e))),
);

// Between the formats

sse("CVTPS2PD xmm, xmm/m64", "np 0f5a /r", (e) => {
  const b = source64(e), converted = e.op("f64x2.promote_low_f32x4", b);
  const twice = e.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7], b, b);
  const right = e.variable(converted);
  expectBounded(e, {
    met: () => {
      e.meet("f32", [twice]);
      e.noteBounds("f64", converted, boundsOf(e, "f32", twice));
    },
    quick: () => [() => all(e, "f32x4", lanesNotDenormal(e, "f32x4", twice))],
  }, () => convertElsewhere(e, { operation: "convert", type: "f32", lanes: "packed", value: b }, right));
  e.setXmmReg(found(e, "f64", right, converted));
});
sse("CVTPD2PS xmm, xmm/m128", "66 0f5a /r", (e) => {
  const b = source(e);
  const result = e.op("f32x4.demote_f64x2_zero", b);
  // The upper lanes are zeros without being ordinary results: look at the lower ones twice.
  const twice = e.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7], result, result);
  const zeros = lanesZero(e, "f64x2", b);
  const fromZero = e.shuffle([0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11], zeros, zeros);
  const ordinary = all(e, "f32x4", e.op("v128.or", lanesNormal(e, "f32x4", twice), fromZero));
  const quiet = e.roundsQuietly(), right = e.variable(result);
  e.expect([() => quiet, () => ordinary], () => {
    const exact = all(e, "f64x2", e.op("f64x2.eq", e.op("f64x2.promote_low_f32x4", result), b));
    e.if(e.eqz(32, e.and(32, exact, ordinary)), () => {
      convertElsewhere(e, { operation: "convert", type: "f64", lanes: "packed", value: b }, right);
    });
  });
  e.setXmmReg(e.get(right));
});
sse("CVTSS2SD xmm, xmm/m32", "f3 0f5a /r", (e) => {
  const b = scalar(e, "f32"), converted = e.op("f64.promote_f32", b);
  const tests = [() => isNotDenormal(e, "f32", b), () => e.op("f32.eq", b, b)];
  const right = e.variable(converted);
  expectBounded(e, {
    met: () => {
      e.meet("f32", [b]);
      e.noteBounds("f64", converted, boundsOf(e, "f32", b));
    },
    quick: () => tests,
  }, () => convertElsewhere(e, { operation: "convert", type: "f32", lanes: "scalar", value: b }, right));
  e.setXmmPart("reg", found(e, "f64", right, converted));
});
sse("CVTSD2SS xmm, xmm/m64", "f2 0f5a /r", (e) => {
  const b = scalar(e, "f64"), result = e.op("f32.demote_f64", b);
  const quiet = e.roundsQuietly(), right = e.variable(result);
  e.expect([() => quiet, () => isPlain(e, "f32", result)], () => {
    const ordinary = e.or(32, isNormal(e, "f32", result), isZero(e, "f64", b));
    const exact = e.op("f64.eq", e.op("f64.promote_f32", result), b);
    e.if(e.eqz(32, e.and(32, e.or(32, quiet, exact), ordinary)), () => {
      convertElsewhere(e, { operation: "convert", type: "f64", lanes: "scalar", value: b }, right);
    });
  });
  e.setXmmPart("reg", e.get(right));
});
