// SPDX-License-Identifier: MIT
/**
 * SSE to SSE4.1 floating-point arithmetic, comparison and conversion. SDM Vol. 2; rounding: Vol. 1 §11.6.
 * Not done: MXCSR exception flags and unmasked exceptions, FTZ and DAZ; arithmetic rounds to nearest whatever
 * MXCSR.RC says (conversions to integers and ROUNDxx do obey it). RCPxx and RSQRTxx are correctly rounded
 * quotients, within the error bound the SDM gives.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import { FLAG_CF, FLAG_PF, FLAG_ZF, S } from "../../state/state.ts";
import { evenOdd } from "./integer_ops.ts";
import type { Semantics } from "../row/row.ts";
import { binary, scalar, source, source64, sse, unary, zero } from "./sse_patterns.ts";

const MXCSR_RC_SHIFT = 13;

interface Kind {
  readonly prefix: "np" | "66" | "f3" | "f2";
  readonly suffix: "PS" | "PD" | "SS" | "SD";
  readonly type: "f32" | "f64";
  readonly shape: "f32x4" | "f64x2";
  readonly packed: boolean;
}
const KINDS: readonly Kind[] = [
  { prefix: "np", suffix: "PS", type: "f32", shape: "f32x4", packed: true },
  { prefix: "66", suffix: "PD", type: "f64", shape: "f64x2", packed: true },
  { prefix: "f3", suffix: "SS", type: "f32", shape: "f32x4", packed: false },
  { prefix: "f2", suffix: "SD", type: "f64", shape: "f64x2", packed: false },
];

/** dst = a op b, for a packed and a scalar operation of the same name. */
const arithmetic = (k: Kind, name: "add" | "sub" | "mul" | "div"): Semantics =>
  k.packed ? binary((e, a, b) => e.op(`${k.shape}.${name}`, a, b)) : (e) => {
    const b = scalar(e, k.type);
    e.setXmmPart("reg", e.op(`${k.type}.${name}`, e.xmmPart("reg", k.type), b));
  };
const single = (k: Kind, f: (e: Emit, v: Value) => Value, g: (e: Emit, v: Value) => Value): Semantics =>
  k.packed ? unary(f) : (e) => e.setXmmPart("reg", g(e, scalar(e, k.type)));
/** Denormals become zeros of their sign, as RCPxx and RSQRTxx have it. */
function withoutDenormals(e: Emit, v: Value): Value {
  const sign = e.op("i32x4.splat", e.i32(0x8000_0000));
  const magnitude = e.op("v128.andnot", v, sign);
  const tiny = e.op("i32x4.lt_u", magnitude, e.op("i32x4.splat", e.i32(0x0080_0000)));
  return e.op("v128.andnot", v, e.op("v128.andnot", tiny, sign));
}
type Comparison = "eq" | "ne" | "lt" | "le";
/** MIN and MAX return the second operand for NaN and for two zeros. */
const extremum = (k: Kind, name: "min" | "max"): Semantics =>
  k.packed ? binary((e, a, b) => e.op(`${k.shape}.p${name}`, b, a)) : (e) => {
    const b = scalar(e, k.type);
    const a = e.xmmPart("reg", k.type);
    const less = name === "min" ? e.op(`${k.type}.lt`, a, b) : e.op(`${k.type}.gt`, a, b);
    e.setXmmPart("reg", e.select(less, a, b));
  };

for (const k of KINDS) {
  const operand = k.packed ? "xmm/m128" : k.type === "f32" ? "xmm/m32" : "xmm/m64";
  const define = (name: string, opcode: string, f: Semantics) =>
    sse(`${name}${k.suffix} xmm, ${operand}`, `${k.prefix} 0f${opcode} /r`, f);
  define("SQRT", "51", single(k, (e, v) => e.op(`${k.shape}.sqrt`, v), (e, v) => e.op(`${k.type}.sqrt`, v)));
  define("ADD", "58", arithmetic(k, "add"));
  define("MUL", "59", arithmetic(k, "mul"));
  define("SUB", "5c", arithmetic(k, "sub"));
  define("MIN", "5d", extremum(k, "min"));
  define("DIV", "5e", arithmetic(k, "div"));
  define("MAX", "5f", extremum(k, "max"));
  if (k.type === "f32") {
    const approximation = (f: (e: Emit, v: Value) => Value) => {
      const whole = (e: Emit, v: Value) => withoutDenormals(e, f(e, withoutDenormals(e, v)));
      return single(k, whole, (e, v) => e.lane("f32x4.extract_lane", 0, whole(e, e.op("f32x4.splat", v))));
    };
    const one = (e: Emit) => e.op("i32x4.splat", e.i32(0x3f80_0000));
    define("RSQRT", "52", approximation((e, v) => e.op("f32x4.div", one(e), e.op("f32x4.sqrt", v))));
    define("RCP", "53", approximation((e, v) => e.op("f32x4.div", one(e), v)));
  }

  // CMPxx: predicate 0 EQ, 1 LT, 2 LE, 3 UNORD; bit 2 negates.
  const predicate = (e: Emit) => e.and(32, e.imm(8), e.i32(7));
  sse(
    `CMP${k.suffix} xmm, ${operand}, imm8`,
    `${k.prefix} 0fc2 /r ub`,
    k.packed
      ? (e) => {
        const b = source(e);
        const a = e.xmmReg();
        const op = (name: Comparison, x = a, y = b) => e.op(`${k.shape}.${name}`, x, y);
        const p = predicate(e);
        const low2 = e.and(32, p, e.i32(3));
        const unordered = e.op("v128.or", op("ne", a, a), op("ne", b, b));
        let mask = e.select(e.eq(32, low2, e.i32(2)), op("le"), unordered);
        mask = e.select(e.eq(32, low2, e.i32(1)), op("lt"), mask);
        mask = e.select(e.eqz(32, low2), op("eq"), mask);
        e.setXmmReg(e.op("v128.xor", mask, e.op("i32x4.splat", e.sub(32, e.i32(0), e.bit(p, 2)))));
      }
      : (e) => {
        const b = scalar(e, k.type);
        const a = e.xmmPart("reg", k.type);
        const op = (name: Comparison, x = a, y = b) => e.op(`${k.type}.${name}`, x, y);
        const p = predicate(e);
        const low2 = e.and(32, p, e.i32(3));
        const unordered = e.or(32, op("ne", a, a), op("ne", b, b));
        let bit = e.select(e.eq(32, low2, e.i32(2)), op("le"), unordered);
        bit = e.select(e.eq(32, low2, e.i32(1)), op("lt"), bit);
        bit = e.xor(32, e.select(e.eqz(32, low2), op("eq"), bit), e.bit(p, 2));
        const mask = e.sub(32, e.i32(0), bit);
        e.setXmmPart("reg", k.type === "f32" ? mask : e.op("i64.extend_i32_s", mask));
      },
  );
}

for (const [opcode, name] of [["2e", "UCOMI"], ["2f", "COMI"]] as const) {
  for (const [prefix, type] of [["np", "f32"], ["66", "f64"]] as const) {
    sse(`${name}S${type === "f32" ? "S" : "D"} xmm, xmm/m`, `${prefix} 0f${opcode} /r`, (e) => {
      const b = scalar(e, type);
      const a = e.xmmPart("reg", type);
      const unordered = e.or(32, e.op(`${type}.ne`, a, a), e.op(`${type}.ne`, b, b));
      const flags = e.select(
        e.op(`${type}.eq`, a, b),
        e.i32(FLAG_ZF),
        e.select(e.op(`${type}.lt`, a, b), e.i32(FLAG_CF), e.i32(0)),
      );
      e.setFlagsImage(e.select(unordered, e.i32(FLAG_ZF | FLAG_PF | FLAG_CF), flags));
    });
  }
}

// Rounding

/** `v` rounded to an integral value as `mode` (0 nearest, 1 down, 2 up, 3 towards zero) says. */
export function roundTo(e: Emit, shape: "f32" | "f64" | "f32x4" | "f64x2", v: Value, mode: Value): Value {
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
/** MXCSR.RC. */
export function mxcsrMode(e: Emit): Value {
  return e.and(32, e.op("i32.shr_u", e.state32(S.mxcsr), e.i32(MXCSR_RC_SHIFT)), e.i32(3));
}
/** ROUNDxx: imm8 bit 2 selects MXCSR.RC, else bits 1:0. */
function immediateMode(e: Emit): Value {
  const imm = e.imm(8);
  return e.select(e.bit(imm, 2), mxcsrMode(e), e.and(32, imm, e.i32(3)));
}
for (const [opcode, k] of [["08", KINDS[0]], ["09", KINDS[1]], ["0a", KINDS[2]], ["0b", KINDS[3]]] as const) {
  if (k === undefined) continue;
  sse(
    `ROUND${k.suffix} xmm, xmm/m, imm8`,
    `66 0f3a${opcode} /r ub`,
    k.packed
      ? unary((e, b) => roundTo(e, k.shape, b, immediateMode(e)))
      : (e) => e.setXmmPart("reg", roundTo(e, k.type, scalar(e, k.type), immediateMode(e))),
  );
}

// Conversions

/** Float to i32/i64: out of range and NaN give the "integer indefinite" value. `v` is integral or truncated. */
export function toInteger(e: Emit, type: "f32" | "f64", w: 32 | 64, v: Value): Value {
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
  // For f64 to i32 the values between -2^31 - 1 and -2^31 truncate into range.
  const above = type === "f64" && w === 32
    ? e.op("f64.gt", v, constant(-limit - 1))
    : e.op(`${type}.ge`, v, constant(-limit));
  const inRange = e.and(32, above, e.op(`${type}.lt`, v, constant(limit)));
  const converted = e.op(`i${w}.trunc_sat_${type}_s`, v);
  return e.select(inRange, converted, e.k(w, 1n << BigInt(w - 1)));
}
for (const k of KINDS.filter((x) => !x.packed)) {
  const name = k.suffix;
  sse(
    `CVTSI2${name} xmm, r/m`,
    `${k.prefix} 0f2a /r`,
    (e, w) => {
      e.setXmmPart("reg", e.op(`${k.type}.convert_${w === 64 ? "i64" : "i32"}_s`, e.rm(w)));
    },
    { reg: "xmm", rm: "gpr" },
    "y",
  );
  const options = { reg: "gpr", rm: "xmm" } as const;
  sse(
    `CVTT${name}2SI r, xmm/m`,
    `${k.prefix} 0f2c /r`,
    (e, w) => {
      e.setReg(w, toInteger(e, k.type, w as 32 | 64, scalar(e, k.type)));
    },
    options,
    "y",
  );
  sse(
    `CVT${name}2SI r, xmm/m`,
    `${k.prefix} 0f2d /r`,
    (e, w) => {
      const rounded = roundTo(e, k.type, scalar(e, k.type), mxcsrMode(e));
      e.setReg(w, toInteger(e, k.type, w as 32 | 64, rounded));
    },
    options,
    "y",
  );
}
/** Packed float to i32: lanes out of range and NaN become 0x8000_0000. */
export function toPackedInteger(e: Emit, v: Value): Value {
  const splat = (bits: number) => e.op("i32x4.splat", e.i32(bits));
  const inRange = e.op(
    "v128.and",
    e.op("f32x4.ge", v, splat(0xcf00_0000)), // -2^31
    e.op("f32x4.lt", v, splat(0x4f00_0000)), // 2^31
  );
  return e.op("v128.bitselect", e.op("i32x4.trunc_sat_f32x4_s", v), splat(0x8000_0000), inRange);
}
/** Two doubles to i32 in the low half, zero above. */
export function toPackedIntegerFromDouble(e: Emit, v: Value): Value {
  const lanes = [0, 1].map((i) => toInteger(e, "f64", 32, e.lane("f64x2.extract_lane", i, v)));
  const first = e.lane("i32x4.replace_lane", 0, zero(e), lanes[0] as Value);
  return e.lane("i32x4.replace_lane", 1, first, lanes[1] as Value);
}
sse("CVTDQ2PS xmm, xmm/m128", "np 0f5b /r", unary((e, b) => e.op("f32x4.convert_i32x4_s", b)));
sse(
  "CVTPS2DQ xmm, xmm/m128",
  "66 0f5b /r",
  unary((e, b) => toPackedInteger(e, roundTo(e, "f32x4", b, mxcsrMode(e)))),
);
sse("CVTTPS2DQ xmm, xmm/m128", "f3 0f5b /r", unary(toPackedInteger));
sse(
  "CVTDQ2PD xmm, xmm/m64",
  "f3 0fe6 /r",
  (e) => e.setXmmReg(e.op("f64x2.convert_low_i32x4_s", source64(e))),
);
sse("CVTTPD2DQ xmm, xmm/m128", "66 0fe6 /r", unary(toPackedIntegerFromDouble));
sse(
  "CVTPD2DQ xmm, xmm/m128",
  "f2 0fe6 /r",
  unary((e, b) => toPackedIntegerFromDouble(e, roundTo(e, "f64x2", b, mxcsrMode(e)))),
);
sse("CVTPS2PD xmm, xmm/m64", "np 0f5a /r", (e) => e.setXmmReg(e.op("f64x2.promote_low_f32x4", source64(e))));
sse("CVTPD2PS xmm, xmm/m128", "66 0f5a /r", unary((e, b) => e.op("f32x4.demote_f64x2_zero", b)));
sse(
  "CVTSS2SD xmm, xmm/m32",
  "f3 0f5a /r",
  (e) => e.setXmmPart("reg", e.op("f64.promote_f32", scalar(e, "f32"))),
);
sse(
  "CVTSD2SS xmm, xmm/m64",
  "f2 0f5a /r",
  (e) => e.setXmmPart("reg", e.op("f32.demote_f64", scalar(e, "f64"))),
);

// Bitwise
for (const prefix of ["np", "66"] as const) {
  const suffix = prefix === "np" ? "PS" : "PD";
  sse(`AND${suffix} xmm, xmm/m128`, `${prefix} 0f54 /r`, binary((e, a, b) => e.op("v128.and", a, b)));
  sse(`ANDN${suffix} xmm, xmm/m128`, `${prefix} 0f55 /r`, binary((e, a, b) => e.op("v128.andnot", b, a)));
  sse(`OR${suffix} xmm, xmm/m128`, `${prefix} 0f56 /r`, binary((e, a, b) => e.op("v128.or", a, b)));
  sse(`XOR${suffix} xmm, xmm/m128`, `${prefix} 0f57 /r`, binary((e, a, b) => e.op("v128.xor", a, b)));
}

// SSE3 horizontal and alternating
for (const [prefix, shape, width, suffix] of [["66", "f64x2", 8, "PD"], ["f2", "f32x4", 4, "PS"]] as const) {
  const horizontal = (name: "add" | "sub") =>
    binary((e, a, b) => {
      const [even, odd] = evenOdd(e, width, a, b);
      return e.op(`${shape}.${name}`, even, odd);
    });
  sse(`HADD${suffix} xmm, xmm/m128`, `${prefix} 0f7c /r`, horizontal("add"));
  sse(`HSUB${suffix} xmm, xmm/m128`, `${prefix} 0f7d /r`, horizontal("sub"));
  sse(
    `ADDSUB${suffix} xmm, xmm/m128`,
    `${prefix} 0fd0 /r`,
    binary((e, a, b) => {
      const odd = width === 8
        ? e.v128(0n, ~0n & (2n ** 64n - 1n))
        : e.op("i64x2.splat", e.i64(0xffff_ffff_0000_0000n));
      return e.op("v128.bitselect", e.op(`${shape}.add`, a, b), e.op(`${shape}.sub`, a, b), odd);
    }),
  );
}

// SSE4.1 dot products: imm8 7:4 says which products count, 3:0 which lanes get the sum.
/** A mask with lane i all ones when bit `from` + i of `imm` is set. */
function laneMask(e: Emit, shape: "i32x4" | "i64x2", imm: Value, from: number): Value {
  let mask = zero(e);
  for (let i = 0; i < (shape === "i32x4" ? 4 : 2); i++) {
    const ones = e.sub(32, e.i32(0), e.bit(imm, from + i));
    mask = shape === "i32x4"
      ? e.lane("i32x4.replace_lane", i, mask, ones)
      : e.lane("i64x2.replace_lane", i, mask, e.op("i64.extend_i32_s", ones));
  }
  return mask;
}
sse("DPPS xmm, xmm/m128, imm8", "66 0f3a40 /r ub", (e) => {
  const b = source(e);
  const imm = e.imm(8);
  const products = e.op("v128.and", e.op("f32x4.mul", e.xmmReg(), b), laneMask(e, "i32x4", imm, 4));
  const lane = (i: number) => e.lane("f32x4.extract_lane", i, products);
  const sum = e.op("f32.add", e.op("f32.add", lane(0), lane(1)), e.op("f32.add", lane(2), lane(3)));
  e.setXmmReg(e.op("v128.and", e.op("f32x4.splat", sum), laneMask(e, "i32x4", imm, 0)));
});
sse("DPPD xmm, xmm/m128, imm8", "66 0f3a41 /r ub", (e) => {
  const b = source(e);
  const imm = e.imm(8);
  const products = e.op("v128.and", e.op("f64x2.mul", e.xmmReg(), b), laneMask(e, "i64x2", imm, 4));
  const lane = (i: number) => e.lane("f64x2.extract_lane", i, products);
  const sum = e.op("f64.add", lane(0), lane(1));
  e.setXmmReg(e.op("v128.and", e.op("f64x2.splat", sum), laneMask(e, "i64x2", imm, 0)));
});

// SSE4.1 blends
sse("BLENDPS xmm, xmm/m128, imm8", "66 0f3a0c /r ub", (e) => {
  const b = source(e);
  e.setXmmReg(e.op("v128.bitselect", b, e.xmmReg(), laneMask(e, "i32x4", e.imm(8), 0)));
});
sse("BLENDPD xmm, xmm/m128, imm8", "66 0f3a0d /r ub", (e) => {
  const b = source(e);
  e.setXmmReg(e.op("v128.bitselect", b, e.xmmReg(), laneMask(e, "i64x2", e.imm(8), 0)));
});
for (
  const [opcode, name, shape] of [["10", "PBLENDVB", "i8x16"], ["14", "BLENDVPS", "i32x4"], [
    "15",
    "BLENDVPD",
    "i64x2",
  ]] as const
) {
  sse(
    `${name} xmm, xmm/m128, <XMM0>`,
    `66 0f38${opcode} /r`,
    binary((e, a, b) => e.op("v128.bitselect", b, a, e.op(`${shape}.lt_s`, e.xmm(0), zero(e)))),
  );
}
