// SPDX-License-Identifier: MIT
/** AVX and AVX2 permutations, shifts by a count for each element, extensions to 256 bits, tests. SDM Vol. 2. @module */
import type { Emit, Value } from "../../emit/emit.ts";
import type { Semantics } from "../row/row.ts";
import { FLAG_CF, FLAG_ZF } from "../../state/state.ts";
import { shuffledDwords } from "../simd/sse_shuffle.ts";
import { bytes, extended, EXTENSIONS, fromI64, source } from "../simd/sse_patterns.ts";
import { avx, avx2, halvesOf, set256, source256, TWO } from "./avx_patterns.ts";

/** Byte indexes for i8x16.swizzle: of 32-bit elements numbered by the low two bits of each. */
function bytesOfDwords(e: Emit, numbers: Value): Value {
  const low = e.op("v128.and", numbers, e.op("i32x4.splat", e.i32(3)));
  const first = e.op("i32x4.mul", low, e.op("i32x4.splat", e.i32(0x0404_0404)));
  return e.op("i32x4.add", first, e.op("i32x4.splat", e.i32(0x0302_0100)));
}
/** Of 64-bit elements, numbered by bit 1 of each. */
function bytesOfQwords(e: Emit, numbers: Value): Value {
  const low = e.op("v128.and", numbers, e.op("i64x2.splat", e.i64(2)));
  const doubled = e.op("i8x16.swizzle", low, bytes(e, [0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8]));
  const first = e.op("i16x8.mul", doubled, e.op("i16x8.splat", e.i32(4)));
  return e.op("i8x16.add", first, bytes(e, [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]));
}

for (const [length, v] of [["128", "xmm"], ["256", "ymm"]] as const) {
  const rm = `${v}/m${length}`, head = `vex.${length}.66`;
  const byVector = (indexes: (e: Emit, numbers: Value) => Value): Semantics => (e) =>
    e.halves(() => {
      const numbers = source(e);
      e.setXmmReg(e.op("i8x16.swizzle", e.xmmReg(), indexes(e, numbers)));
    });
  avx(`VPERMILPS ${v}, ${v}, ${rm}`, `${head}.0f38.w0 0c /r`, byVector(bytesOfDwords));
  avx(`VPERMILPD ${v}, ${v}, ${rm}`, `${head}.0f38.w0 0d /r`, byVector(bytesOfQwords));
  avx(`VPERMILPS ${v}, ${rm}, imm8`, `${head}.0f3a.w0 04 /r ub`, (e) =>
    e.halves(() => {
      const b = source(e);
      e.setXmmReg(shuffledDwords(e, b, b, e.imm(8)));
    }), TWO);
  avx(`VPERMILPD ${v}, ${rm}, imm8`, `${head}.0f3a.w0 05 /r ub`, (e) =>
    e.halves(() => {
      const b = source(e), imm = e.imm(8);
      const [low, high] = [0, 1].map((i) => e.lane("i64x2.extract_lane", i, b)) as [Value, Value];
      const pick = (i: number) => e.select(e.bit(imm, i + 2 * e.half), high, low);
      e.setXmmReg(e.lane("i64x2.replace_lane", 1, e.op("i64x2.splat", pick(0)), pick(1)));
    }), TWO);

  // VTESTPx: of the sign bits
  for (
    const [name, opcode, signs] of [["VTESTPS", "0e", 0x8000_0000_8000_0000n], [
      "VTESTPD",
      "0f",
      1n << 63n,
    ]] as const
  ) {
    avx(`${name} ${v}, ${rm}`, `${head}.0f38.w0 ${opcode} /r`, (e) =>
      test(e, (bits) => {
        return e.op("v128.and", bits, e.op("i64x2.splat", e.i64(signs)));
      }), TWO);
  }

  // Shifts
  for (
    const [name, encoding, bits, shift] of [
      ["VPSRLVD", "0f38.w0 45", 32, "shr_u"],
      ["VPSRLVQ", "0f38.w1 45", 64, "shr_u"],
      ["VPSRAVD", "0f38.w0 46", 32, "shr_s"],
      ["VPSLLVD", "0f38.w0 47", 32, "shl"],
      ["VPSLLVQ", "0f38.w1 47", 64, "shl"],
    ] as const
  ) {
    avx2(`${name} ${v}, ${v}, ${rm}`, `${head}.${encoding} /r`, (e) =>
      e.halves(() => {
        const counts = source(e), a = e.xmmReg();
        e.setXmmReg(
          bits === 32 ? shift32(e, shift, a, counts) : shift64(e, shift as "shl" | "shr_u", a, counts),
        );
      }));
  }
}
avx("VPTEST ymm, ymm/m256", "vex.256.66.0f38.wig 17 /r", (e) => test(e, (bits) => bits), TWO);

/** ZF: no bit of source and destination that `of` keeps; CF: none of the source alone. */
function test(e: Emit, of: (bits: Value) => Value): void {
  const b = e.form.vector === 256 ? source256(e) : [source(e)];
  const halves = halvesOf(e);
  const nothing = (f: (a: Value, b: Value) => Value) => {
    const [first, second] = halves.map((half) => f(e.vector("reg", half), b[half] as Value)) as [
      Value,
      Value?,
    ];
    const all = second === undefined ? first : e.op("v128.or", first, second);
    return e.eqz(32, e.op("v128.any_true", of(all)));
  };
  const zf = e.select(nothing((x, y) => e.op("v128.and", y, x)), e.i32(FLAG_ZF), e.i32(0));
  const cf = e.select(nothing((x, y) => e.op("v128.andnot", y, x)), e.i32(FLAG_CF), e.i32(0));
  e.setFlagsImage(e.or(32, zf, cf));
}

/** Each 32-bit element by its own count. */
function shift32(e: Emit, shift: "shl" | "shr_u" | "shr_s", a: Value, counts: Value): Value {
  let result = a;
  for (let i = 0; i < 4; i++) {
    const count = e.lane("i32x4.extract_lane", i, counts), value = e.lane("i32x4.extract_lane", i, a);
    const fits = e.ltU(32, count, e.i32(32));
    const shifted = shift === "shr_s"
      ? e.op("i32.shr_s", value, e.select(fits, count, e.i32(31)))
      : e.select(fits, e.op(`i32.${shift}`, value, count), e.i32(0));
    result = e.lane("i32x4.replace_lane", i, result, shifted);
  }
  return result;
}
function shift64(e: Emit, shift: "shl" | "shr_u", a: Value, counts: Value): Value {
  let result = a;
  for (let i = 0; i < 2; i++) {
    const count = e.lane("i64x2.extract_lane", i, counts), value = e.lane("i64x2.extract_lane", i, a);
    const fits = e.ltU(64, count, e.i64(64));
    result = e.lane(
      "i64x2.replace_lane",
      i,
      result,
      e.select(fits, e.op(`i64.${shift}`, value, count), e.i64(0)),
    );
  }
  return result;
}

// Across the halves

for (const [name, opcode] of [["VPERMPS", "16"], ["VPERMD", "36"]] as const) {
  avx2(`${name} ymm, ymm, ymm/m256`, `vex.256.66.0f38.w0 ${opcode} /r`, (e) => {
    const [low, high] = source256(e);
    const half = (numbers: Value) => {
      const indexes = bytesOfDwords(e, numbers);
      const upper = e.op("i32x4.shr_s", e.op("i32x4.shl", numbers, e.i32(29)), e.i32(31)); // bit 2 says so
      return e.op(
        "v128.bitselect",
        e.op("i8x16.swizzle", high, indexes),
        e.op("i8x16.swizzle", low, indexes),
        upper,
      );
    };
    set256(e, [half(e.vector("vvvv", 0)), half(e.vector("vvvv", 1))]);
  });
}
for (const [name, opcode] of [["VPERMQ", "00"], ["VPERMPD", "01"]] as const) {
  avx2(`${name} ymm, ymm/m256, imm8`, `vex.256.66.0f3a.w1 ${opcode} /r ub`, (e) => {
    const imm = e.imm(8);
    const [q0, q1, q2, q3] = source256(e).flatMap((v) =>
      [0, 1].map((i) => e.lane("i64x2.extract_lane", i, v))
    ) as [Value, Value, Value, Value];
    const pick = (i: number) => {
      const odd = e.bit(imm, 2 * i);
      return e.select(e.bit(imm, 2 * i + 1), e.select(odd, q3, q2), e.select(odd, q1, q0));
    };
    const half = (i: number) => e.lane("i64x2.replace_lane", 1, e.op("i64x2.splat", pick(i)), pick(i + 1));
    set256(e, [half(0), half(2)]);
  }, TWO);
}

// VPMOVSX, VPMOVZX to 256 bits

for (const [opcode, name, from, to] of EXTENSIONS) {
  for (const [high, letter, sign] of [["2", "S", "s"], ["3", "Z", "u"]] as const) {
    const bits = 256 * from / to as 32 | 64 | 128;
    avx2(`VPMOV${letter}X${name} ymm, xmm/m${bits}`, `vex.256.66.0f38.wig ${high}${opcode} /r`, (e) => {
      const b = !e.form.isMemory
        ? e.vector("rm")
        : bits === 128
        ? e.load128(e.address())
        : bits === 64
        ? fromI64(e, e.load(64, e.address()))
        : e.op("i32x4.splat", e.load(32, e.address()));
      const half = (first: number) => { // the elements from byte `first` on
        const v = first === 0 ? b : e.shuffle([...Array(16).keys()].map((i) => (i + first) & 15), b, b);
        return extended(e, v, from, to, sign);
      };
      set256(e, [half(0), half(bits / 16)]);
    }, TWO);
  }
}
