// SPDX-License-Identifier: MIT
/**
 * F16C: conversions of binary16. SDM Vol. 2, VCVTPH2PS and VCVTPS2PH. To binary32 everything is exact, and only signaling
 * NaNs raise something. What is ordinary in the other direction (rounded to nearest, normal or zero) is done here, the rest
 * by microcode.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import { MXCSR_RC_SHIFT } from "../../fpu/sse/mxcsr.ts";
import { SSE_256, SSE_VALUE, SSE_VEX, sseCode } from "../../fpu/sse/sse_unit.ts";
import { S } from "../../state/state.ts";
import { all, elsewhere, inexactIsQuiet, slow } from "../simd/ordinary.ts";
import { fromI64, source64 } from "../simd/sse_patterns.ts";
import { avx, TWO } from "./avx_patterns.ts";

const splat = (e: Emit, bits: number): Value => e.op("i32x4.splat", e.i32(bits));

/** Four numbers of binary16 in the lower half of `v`. */
function toSingle(e: Emit, v: Value): Value {
  const half = e.op("i32x4.extend_low_i16x8_u", v);
  const magnitude = e.op("v128.and", half, splat(e, 0x7fff));
  const sign = e.op("i32x4.shl", e.op("v128.and", half, splat(e, 0x8000)), e.i32(16));
  const infinity = splat(e, 0x7c00);
  const isNan = e.op("i32x4.gt_s", magnitude, infinity);
  const quiet = e.op("i32x4.ge_s", magnitude, splat(e, 0x7e00));
  e.expect([() => all(e, "f32x4", e.op("v128.or", e.op("v128.not", isNan), quiet))], () => {
    elsewhere(e, { operation: "from_f16", type: "f32", lanes: "packed", value: v });
  });
  // Normal numbers get another bias, infinities and NaNs twice that; denormals are so many times 2^-24.
  const shifted = e.op("i32x4.shl", magnitude, e.i32(13)), bias = splat(e, 112 << 23);
  const extra = e.op("v128.and", e.op("i32x4.ge_s", magnitude, infinity), bias);
  const normal = e.op("i32x4.add", e.op("i32x4.add", shifted, bias), extra);
  const denormal = e.op("f32x4.mul", e.op("f32x4.convert_i32x4_s", magnitude), splat(e, 103 << 23));
  const isDenormal = e.op("i32x4.lt_s", magnitude, splat(e, 0x400));
  return e.op("v128.or", sign, e.op("v128.bitselect", denormal, normal, isDenormal));
}
/** Four of them from xmm/m64; or this half's. Intel's processors do not check alignment: SDM Vol. 2A §2.7.6 (type 11). */
function halfNumbers(e: Emit): Value {
  const { isMemory, vector } = e.form;
  return isMemory && vector === 128 ? fromI64(e, e.load(64, e.address(), "unchecked by Intel")) : source64(e);
}
for (const [length, text] of [[128, "xmm, xmm/m64"], [256, "ymm, xmm/m128"]] as const) {
  avx(
    `VCVTPH2PS ${text}`,
    `vex.${length}.66.0f38.w0 13 /r`,
    (e) => e.halves(() => e.setXmmReg(toSingle(e, halfNumbers(e))), { widens: true }),
    { ...TWO, needs: "f16c" },
  );
}

/** `v` as binary16 in the lower halves of lanes, when `ordinary` holds for all of them. */
function toHalf(e: Emit, v: Value): { readonly halves: Value; readonly ordinary: Value } {
  const magnitude = e.op("v128.and", v, splat(e, 0x7fff_ffff));
  const isZero = e.op("i32x4.eq", magnitude, splat(e, 0));
  const large = e.op("i32x4.ge_s", magnitude, splat(e, 0x3880_0000)); // 2^-14
  const small = e.op("i32x4.lt_s", magnitude, splat(e, 0x477f_f000)); // 65520 would become 2^16
  const ordinary = all(e, "f32x4", e.op("v128.or", isZero, e.op("v128.and", large, small)));
  const odd = e.op("v128.and", e.op("i32x4.shr_u", magnitude, e.i32(13)), splat(e, 1));
  const rounded = e.op("i32x4.add", magnitude, e.op("i32x4.add", odd, splat(e, 0xfff - (112 << 23))));
  const number = e.op("v128.andnot", e.op("i32x4.shr_u", rounded, e.i32(13)), isZero);
  const sign = e.op("i32x4.shr_u", e.op("v128.and", v, splat(e, 0x8000_0000)), e.i32(16));
  return { halves: e.op("v128.or", number, sign), ordinary };
}
/** imm8 bit 2 selects MXCSR.RC, else bits 1:0 say it. */
function roundsToNearest(e: Emit): Value {
  const imm = e.imm(8), rc = e.op("i32.shr_u", e.state32(S.mxcsr), e.i32(MXCSR_RC_SHIFT));
  return e.eqz(32, e.and(32, e.select(e.bit(imm, 2), rc, imm), e.i32(3)));
}
for (const [length, text] of [[128, "xmm/m64, xmm"], [256, "xmm/m128, ymm"]] as const) {
  avx(`VCVTPS2PH ${text}, imm8`, `vex.${length}.66.0f3a.w0 1d /r ub`, (e) => {
    const parts = length === 256 ? [0, 1] as const : [0] as const;
    // Nothing may have happened when a store faults: it is looked at first.
    const address = e.form.isMemory ? e.address() : undefined;
    // AMD's processors want 16 bytes aligned to 16.
    if (address !== undefined && length === 256) e.load128(address);
    const places = address &&
      parts.map((i) => e.loadForUpdate(64, e.offsetBy(address, 8 * i), "unchecked by Intel"));
    const sources = parts.map((i) => e.vector("reg", i));
    const converted = sources.map((v) => toHalf(e, v));
    const zero = e.v128(0n, 0n), words = [0, 1, 4, 5, 8, 9, 12, 13, ...Array(8).fill(16)];
    const results = converted.map(({ halves }) =>
      e.variable(e.lane("i64x2.extract_lane", 0, e.shuffle(words, halves, zero)))
    );
    const ready = [
      () => roundsToNearest(e),
      () => inexactIsQuiet(e),
      ...converted.map((c) => () => c.ordinary),
    ];
    e.expect(ready, () => {
      if (length === 256) {
        sources.forEach((v, i) => e.setState128(S.arg + 24 + 16 * i, v));
        const how = sseCode("to_f16", "f32", "packed") | SSE_VALUE | SSE_VEX | SSE_256;
        e.microcode("sse_float", { how: e.i32(how), low: e.i64(0), high: e.i64(0) });
      } else {slow(e, {
          operation: "to_f16",
          type: "f32",
          lanes: "packed",
          value: sources[0] as Value<"v128">,
        });}
      results.forEach((result, i) => e.set(result, e.microcodeResult(64, i)));
    });
    const values = results.map((result) => e.get(result));
    if (places !== undefined) return places.forEach((place, i) => place.store(values[i] as Value<"i64">));
    const low = e.lane("i64x2.replace_lane", 0, zero, values[0] as Value<"i64">);
    e.setVector("rm", values[1] === undefined ? low : e.lane("i64x2.replace_lane", 1, low, values[1]));
  }, { ...TWO, needs: "f16c" });
}
