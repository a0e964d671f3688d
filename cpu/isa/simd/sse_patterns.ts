// SPDX-License-Identifier: MIT
/**
 * Operand patterns of SSE instructions and small vector idioms. Legacy SSE: 128-bit memory operands must be
 * 16-byte aligned unless the instruction is one of the unaligned moves (SDM Vol. 1 §11.3).
 * @module
 */
import type { CpuFeature } from "../../base/cpu_features.ts";
import type { Address, Emit, Value } from "../../emit/emit.ts";
import { EXC_AC, S, TLB_BASE, TLB_BYTES, TLB_MODE_USER_AC } from "../../state/state.ts";
import { row, type RowOptions, type RowSize, type Semantics } from "../row/row.ts";

/** Both operands are XMM registers (or memory). */
export const XMM: RowOptions = { reg: "xmm", rm: "xmm" };

/** #UD or #NM when CR0, CR4 and, for AVX, XCR0 say so; nothing at all when they cannot. */
export function requireSse(e: Emit): void {
  if (e.form.fpuTrap) e.microcode(e.form.vector === 0 ? "check_sse" : "check_avx", {});
}

/** What a legacy-encoded vector instruction needs beyond SSE2, by its place in the SDM's opcode maps (Vol. 2 §A.3). */
export function beyondSse2(encoding: string): { readonly needs?: CpuFeature } {
  const [, prefix, map, opcode] = /^(np|66|f3|f2) (0f38|0f3a|0f)([0-9a-f]{2})/.exec(encoding) ?? [];
  const at = parseInt(opcode ?? "0", 16);
  if (map === "0f38") {
    return { needs: at < 0x10 || (at >= 0x1c && at < 0x20) ? "ssse3" : at === 0x37 ? "sse4_2" : "sse4_1" };
  }
  if (map === "0f3a") return { needs: at === 0x0f ? "ssse3" : at >= 0x60 ? "sse4_2" : "sse4_1" };
  const sse3 = at === 0x12
    ? /f[23]/
    : at === 0x16
    ? /f3/
    : at === 0x7c || at === 0x7d || at === 0xd0
    ? /./
    : at === 0xf0
    ? /f2/
    : undefined;
  return sse3?.test(prefix as string) === true ? { needs: "pni" } : {};
}

/** Defines a row of an SSE instruction. */
export function sse(
  text: string,
  encoding: string,
  f: Semantics,
  options: RowOptions = XMM,
  size: RowSize = 128,
): void {
  row(text, encoding, size, (e, w) => {
    requireSse(e);
    f(e, w);
  }, { ...beyondSse2(encoding), ...options });
}

/** #AC, where it is on, unless `address` is a multiple of `bytes`: for what is not accessed as a whole. */
export function checkAlignment(e: Emit, address: Address, bytes: 8): void {
  const checked = e.eq(32, e.state32(S.tlbBase), e.i32(TLB_BASE + TLB_MODE_USER_AC * TLB_BYTES));
  const within = e.op("i32.wrap_i64", e.and(64, e.linear(address), e.i64(bytes - 1)));
  e.faultIf(e.select(checked, within, e.i32(0)), EXC_AC, 0);
}

/** xmm/m128, aligned unless VEX-encoded; this half of ymm/m256. */
export function source(e: Emit): Value {
  return e.form.isMemory ? e.xmmMemory() : e.xmmRm();
}
/** xmm/m64 as a v128 with the upper half zero (memory) or whatever it is (register); this half's part of xmm/m128. */
export function source64(e: Emit): Value {
  if (!e.form.isMemory) return e.xmmRm();
  return e.form.vector === 256 ? e.xmmMemory() : fromI64(e, e.load(64, e.address()));
}
/** The low scalar of xmm/m32 or xmm/m64. */
export function scalar(e: Emit, type: "f32" | "f64"): Value {
  if (!e.form.isMemory) return e.xmmPart("rm", type);
  return type === "f32"
    ? e.op("f32.reinterpret_i32", e.load(32, e.address()))
    : e.op("f64.reinterpret_i64", e.load(64, e.address()));
}
/** The low 32 or 64 bits of xmm/m as an integer. */
export function low(e: Emit, w: 32 | 64): Value {
  return e.form.isMemory ? e.load(w, e.address()) : e.xmmPart("rm", w === 32 ? "i32" : "i64");
}

/** xmm = f(xmm, xmm/m128). */
export const binary = (f: (e: Emit, a: Value, b: Value) => Value): Semantics => (e) => {
  const b = source(e);
  e.setXmmReg(f(e, e.xmmReg(), b));
};
/** xmm = f(xmm/m128). */
export const unary = (f: (e: Emit, b: Value) => Value): Semantics => (e) => e.setXmmReg(f(e, source(e)));

/** Sixteen bytes as a constant. */
export function bytes(e: Emit, values: readonly number[]): Value {
  let lowHalf = 0n, highHalf = 0n;
  for (let i = 0; i < 8; i++) {
    lowHalf |= BigInt((values[i] as number) & 0xff) << BigInt(8 * i);
    highHalf |= BigInt((values[i + 8] as number) & 0xff) << BigInt(8 * i);
  }
  return e.v128(lowHalf, highHalf);
}
/** 0, 1, ..., 15. */
export function iota(e: Emit): Value {
  return bytes(e, [...Array(16).keys()]);
}
/** All lanes zero. */
export function zero(e: Emit): Value {
  return e.v128(0n, 0n);
}
/** {value, 0} of 64-bit lanes. */
export function fromI64(e: Emit, value: Value): Value {
  return e.lane("i64x2.replace_lane", 0, zero(e), value);
}
/** {value, 0, 0, 0} of 32-bit lanes. */
export function fromI32(e: Emit, value: Value): Value {
  return e.lane("i32x4.replace_lane", 0, zero(e), value);
}
/** min(a, limit) of u32. */
export function atMost(e: Emit, a: Value, limit: number): Value {
  return e.select(e.ltU(32, a, e.i32(limit)), a, e.i32(limit));
}
/** A mask with lane i all ones when bit `from` + i of `imm` is set. */
export function laneMask(e: Emit, shape: "i32x4" | "i64x2", imm: Value, from: number): Value {
  const known = e.known(imm), width = shape === "i32x4" ? 4 : 8;
  if (known !== undefined) {
    const isSet = (i: number) => (known >> (from + Math.floor(i / width)) & 1) !== 0;
    return bytes(e, Array.from({ length: 16 }, (_, i) => isSet(i) ? 0xff : 0));
  }
  let mask = zero(e);
  for (let i = 0; i < (shape === "i32x4" ? 4 : 2); i++) {
    const ones = e.sub(32, e.i32(0), e.bit(imm, from + i));
    mask = shape === "i32x4"
      ? e.lane("i32x4.replace_lane", i, mask, ones)
      : e.lane("i64x2.replace_lane", i, mask, e.op("i64.extend_i32_s", ones));
  }
  return mask;
}

/** PMOVSX and PMOVZX: low digit of the opcode, suffix, bits of an element before and after. */
export const EXTENSIONS = [
  ["0", "BW", 8, 16],
  ["1", "BD", 8, 32],
  ["2", "BQ", 8, 64],
  ["3", "WD", 16, 32],
  ["4", "WQ", 16, 64],
  ["5", "DQ", 32, 64],
] as const;
const EXTENSION_STEPS = {
  8: "i16x8.extend_low_i8x16",
  16: "i32x4.extend_low_i16x8",
  32: "i64x2.extend_low_i32x4",
} as const;

/** The low elements of `v`, made `to` bits wide from `from`. */
export function extended(e: Emit, v: Value, from: number, to: number, sign: "s" | "u"): Value {
  for (let w = from; w < to; w *= 2) v = e.op(`${EXTENSION_STEPS[w as 8 | 16 | 32]}_${sign}`, v);
  return v;
}
