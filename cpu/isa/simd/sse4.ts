// SPDX-License-Identifier: MIT
/**
 * SSSE3, SSE4.1 and SSE4.2 packed integers (insertions and shuffles: sse_shuffle.ts), CRC32 and the string
 * comparisons. SDM Vol. 2; PCMPxSTRx: Vol. 2 §4.1, done by string_compare.ts.
 * @module
 */
import { CRC32C_TABLE } from "./crc32c.ts";
import { type Emit, RAX, RCX, RDX, type Value, type Width } from "../../emit/emit.ts";
import { FLAG_CF, FLAG_ZF, S } from "../../state/state.ts";
import { evenOdd, integerOp, type PackedOp, SHAPE, type VectorOp, wasm } from "./integer_ops.ts";
import { row } from "../row/row.ts";
import { multiplyEven } from "./sse_integer.ts";
import { EXPLICIT_LENGTHS, FIRST_OPERAND, LENGTHS, MASK_RESULT, SECOND_OPERAND } from "./string_compare.ts";
import {
  binary,
  bytes,
  extended,
  EXTENSIONS,
  fromI32,
  fromI64,
  iota,
  source,
  sse,
  unary,
  XMM,
  zero,
} from "./sse_patterns.ts";

// SSSE3

const horizontal = (width: number, name: VectorOp): PackedOp => (e, a, b) => {
  const [even, odd] = evenOdd(e, width, a, b);
  return e.op(name, even, odd);
};
integerOp("PHADDW", "0f3801", horizontal(2, "i16x8.add"), "pair");
integerOp("PHADDD", "0f3802", horizontal(4, "i32x4.add"), "pair");
integerOp("PHADDSW", "0f3803", horizontal(2, "i16x8.add_sat_s"), "pair");
integerOp("PHSUBW", "0f3805", horizontal(2, "i16x8.sub"), "pair");
integerOp("PHSUBD", "0f3806", horizontal(4, "i32x4.sub"), "pair");
integerOp("PHSUBSW", "0f3807", horizontal(2, "i16x8.sub_sat_s"), "pair");
// The destination is unsigned, the source signed: a product fits 16 bits, a sum of two may not.
integerOp("PMADDUBSW", "0f3804", (e, a, b) => {
  const eight = e.i32(8);
  const evenA = e.op("v128.and", a, e.op("i16x8.splat", e.i32(0xff)));
  const evenB = e.op("i16x8.shr_s", e.op("i16x8.shl", b, eight), eight);
  const even = e.op("i16x8.mul", evenA, evenB);
  const odd = e.op("i16x8.mul", e.op("i16x8.shr_u", a, eight), e.op("i16x8.shr_s", b, eight));
  return e.op("i16x8.add_sat_s", even, odd);
});
for (const [name, opcode, width] of [["B", "0f3808", 8], ["W", "0f3809", 16], ["D", "0f380a", 32]] as const) {
  const shape = SHAPE[width];
  integerOp(`PSIGN${name}`, opcode, (e, a, b) => {
    const negative = e.op(`${shape}.lt_s`, b, zero(e));
    const signed = e.op(`${shape}.sub`, e.op("v128.xor", a, negative), negative);
    return e.op("v128.and", signed, e.op(`${shape}.ne`, b, zero(e)));
  });
}
// The same but for -1 * -1, where the processor wraps to -1 and WebAssembly saturates.
integerOp("PMULHRSW", "0f380b", (e, a, b) => {
  const minimum = e.op("i16x8.splat", e.i32(0x8000));
  const wraps = e.op("i16x8.eq", e.op("v128.and", a, e.op("i16x8.eq", a, b)), minimum);
  return e.op("v128.xor", e.op("i16x8.q15mulr_sat_s", a, b), wraps);
});
integerOp("PABSB", "0f381c", (e, _, b) => e.op("i8x16.abs", b));
integerOp("PABSW", "0f381d", (e, _, b) => e.op("i16x8.abs", b));
integerOp("PABSD", "0f381e", (e, _, b) => e.op("i32x4.abs", b));

// SSE4.1

sse("PTEST xmm, xmm/m128", "66 0f3817 /r", (e) => {
  const b = source(e);
  const a = e.xmmReg();
  const nothingOf = (v: Value) => e.eqz(32, e.op("v128.any_true", v));
  const zf = e.select(nothingOf(e.op("v128.and", b, a)), e.i32(FLAG_ZF), e.i32(0));
  const cf = e.select(nothingOf(e.op("v128.andnot", b, a)), e.i32(FLAG_CF), e.i32(0));
  e.setFlagsImage(e.or(32, zf, cf));
});

/** The low 16, 32 or 64 bits of xmm/m, with whatever behind them in a register. */
function part(e: Emit, bits: 16 | 32 | 64): Value {
  if (!e.form.isMemory) return e.xmmRm();
  const value = e.load(bits, e.address());
  return bits === 64 ? fromI64(e, value) : fromI32(e, value);
}
for (const [opcode, name, from, to] of EXTENSIONS) {
  for (const [high, letter, sign] of [["2", "S", "s"], ["3", "Z", "u"]] as const) {
    const bits = 128 * from / to as 16 | 32 | 64;
    sse(`PMOV${letter}X${name} xmm, xmm/m${bits}`, `66 0f38${high}${opcode} /r`, (e) => {
      e.setXmmReg(extended(e, part(e, bits), from, to, sign));
    });
  }
}
const packed = (name: string, opcode: string, f: PackedOp) => integerOp(name, opcode, f, "none");
packed("PMULDQ", "0f3828", multiplyEven("s"));
packed("PCMPEQQ", "0f3829", wasm("i64x2.eq"));
packed("PACKUSDW", "0f382b", wasm("i16x8.narrow_i32x4_u"));
packed("PMINSB", "0f3838", wasm("i8x16.min_s"));
packed("PMINSD", "0f3839", wasm("i32x4.min_s"));
packed("PMINUW", "0f383a", wasm("i16x8.min_u"));
packed("PMINUD", "0f383b", wasm("i32x4.min_u"));
packed("PMAXSB", "0f383c", wasm("i8x16.max_s"));
packed("PMAXSD", "0f383d", wasm("i32x4.max_s"));
packed("PMAXUW", "0f383e", wasm("i16x8.max_u"));
packed("PMAXUD", "0f383f", wasm("i32x4.max_u"));
packed("PMULLD", "0f3840", wasm("i32x4.mul"));
// The smallest of word * 8 + its number; the lower number wins a tie.
sse(
  "PHMINPOSUW xmm, xmm/m128",
  "66 0f3841 /r",
  unary((e, b) => {
    const keys = (half: "low" | "high", numbers: readonly number[]) => {
      const wide = e.op("i32x4.shl", e.op(`i32x4.extend_${half}_i16x8_u`, b), e.i32(3));
      return e.op("v128.or", wide, bytes(e, numbers.flatMap((n) => [n, 0, 0, 0])));
    };
    const four = e.op("i32x4.min_u", keys("low", [0, 1, 2, 3]), keys("high", [4, 5, 6, 7]));
    const lane = (i: number) => e.lane("i32x4.extract_lane", i, four);
    const smaller = (x: Value, y: Value) => e.select(e.ltU(32, x, y), x, y);
    const key = smaller(smaller(lane(0), lane(1)), smaller(lane(2), lane(3)));
    const word = e.op("i32.shr_u", key, e.i32(3));
    return fromI32(e, e.or(32, word, e.shl(32, e.and(32, key, e.i32(7)), e.i32(16))));
  }),
);
// Word j: sum over k < 4 of |a[offset of a + j + k] - b[offset of b + k]|.
sse(
  "MPSADBW xmm, xmm/m128, imm8",
  "66 0f3a42 /r ub",
  binary((e, a, b) => {
    const imm = e.half === 0 ? e.imm(8) : e.op("i32.shr_u", e.imm(8), e.i32(3)); // three bits for each half
    const offset = (bits: Value) => e.op("i8x16.splat", e.shl(32, bits, e.i32(2)));
    const window = e.op("i8x16.swizzle", a, e.op("i8x16.add", iota(e), offset(e.bit(imm, 2))));
    const block = e.op("i8x16.swizzle", b, e.op("i8x16.add", iota(e), offset(e.and(32, imm, e.i32(3)))));
    const difference = (k: number) => {
      const moved = e.shuffle([...Array(16).keys()].map((i) => Math.min(i + k, 15)), window, window);
      const words = e.op("i16x8.extend_low_i8x16_u", moved);
      const one = e.op("i16x8.splat", e.lane("i8x16.extract_lane_u", k, block));
      return e.op("i16x8.abs", e.op("i16x8.sub", words, one));
    };
    const sum = (x: Value, y: Value) => e.op("i16x8.add", x, y);
    return sum(sum(difference(0), difference(1)), sum(difference(2), difference(3)));
  }),
);

// SSE4.2

packed("PCMPGTQ", "0f3837", wasm("i64x2.gt_s"));

/** CRC-32C of `bytes` bytes of `value`, lowest first. */
function crc32c(e: Emit, seed: Value, w: Width, value: Value): Value {
  let crc = w === 64 ? e.xor(32, seed, e.truncate(64, 32, value)) : e.xor(32, seed, value);
  const step = () => {
    const entry = e.shl(32, e.and(32, crc, e.i32(0xff)), e.i32(2));
    const shifted = e.op("i32.shr_u", crc, e.i32(8));
    crc = e.xor(32, shifted, e.hostLoad(32, e.add(32, entry, e.i32(CRC32C_TABLE))));
  };
  for (let i = 0; i < Math.min(w, 32); i += 8) step();
  if (w !== 64) return crc;
  crc = e.xor(32, crc, e.truncate(64, 32, e.shrU(64, value, e.i32(32))));
  for (let i = 0; i < 4; i++) step();
  return crc;
}
const crc = (e: Emit, w: Width) => {
  const value = e.rm(w);
  e.setReg(32, crc32c(e, e.reg(32), w, value));
};
row("CRC32 r32, r/m8", "f2 0f38f0 /r", 8, crc, { reg: "gpr", rm: "gpr8", needs: "sse4_2" });
row("CRC32 r32, r/m", "f2 0f38f1 /r", "v", crc, { needs: "sse4_2" });

const STRING_COMPARES = [
  ["PCMPESTRM", "60", true, true],
  ["PCMPESTRI", "61", true, false],
  ["PCMPISTRM", "62", false, true],
  ["PCMPISTRI", "63", false, false],
] as const;
for (const [name, opcode, explicit, mask] of STRING_COMPARES) {
  sse(
    `${name} xmm, xmm/m128, imm8`,
    `66 0f3a${opcode} /r ub`,
    (e, w) => {
      const b = e.form.isMemory ? e.load128(e.address()) : e.xmmRm(); // need not be aligned
      e.setState128(FIRST_OPERAND, e.xmmReg());
      e.setState128(SECOND_OPERAND, b);
      if (explicit) {
        [RAX, RDX].forEach((register, i) => {
          const length = w === 64 ? e.gpr(register, 64) : e.signExtend(32, 64, e.gpr(register, 32));
          e.setState64(LENGTHS + 8 * i, length);
        });
      }
      const how = e.i32((explicit ? EXPLICIT_LENGTHS : 0) | (mask ? MASK_RESULT : 0));
      const answer = e.callCore("stringCompare", e.imm(8), how);
      if (mask) e.setXmm(0, e.state128(S.arg));
      else e.setGpr(RCX, 32, e.and(32, answer, e.i32(0xffff)));
      e.setFlagsImage(e.shrU(32, answer, e.i32(16)));
    },
    XMM,
    "y",
  );
}
