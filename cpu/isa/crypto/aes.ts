// SPDX-License-Identifier: MIT
/**
 * AES-NI. SDM Vol. 2; FIPS 197: §4.2 the field, §5.1, §5.3 the rounds. A round is one look-up in a table for each byte,
 * which does SubBytes and MixColumns at once; four tables, so that nothing is to be rotated.
 * @module
 */
import type { WasmBuilder } from "../../emit/builder.ts";
import type { Value } from "../../emit/emit.ts";
import { AES_TABLES } from "../../state/state.ts";
import { binary, unary } from "../simd/sse_patterns.ts";
import { crypto } from "./crypto_patterns.ts";

/** Where the tables are: of four rounds' tables for each direction, and the two S-boxes. */
const TABLE_BYTES = 1024, DECRYPTION = AES_TABLES + 4 * TABLE_BYTES;
const S_BOX = AES_TABLES + 8 * TABLE_BYTES, INVERSE_S_BOX = S_BOX + 256;

/** a × b in GF(2^8), modulo x^8 + x^4 + x^3 + x + 1. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (; b !== 0; b >>= 1) {
    if (b & 1) product ^= a;
    a = (a << 1) ^ (a & 0x80 ? 0x11b : 0);
  }
  return product;
}
/** FIPS 197 §5.1.1: the inverse, which is the power of 254, and an affine transformation. */
function substitute(byte: number): number {
  let inverse = 1;
  for (let i = 1, power = byte; i < 8; i++) {
    power = multiply(power, power);
    inverse = multiply(inverse, power);
  }
  let result = 0x63;
  for (let i = 0; i < 5; i++) result ^= (inverse << i) | (inverse >> (8 - i));
  return result & 0xff;
}
/** Fills the tables. */
export function fillAesTables(view: DataView): void {
  /** What a byte of row 0 adds to its column, and what one of the other rows does. */
  const put = (
    table: number,
    byte: number,
    factors: readonly [number, number, number, number],
    by: number,
  ) => {
    let column = factors.reduceRight((word, factor) => (word << 8) | multiply(by, factor), 0);
    for (let row = 0; row < 4; row++) {
      view.setUint32(table + row * TABLE_BYTES + byte * 4, column, true);
      column = (column << 8) | (column >>> 24);
    }
  };
  for (let byte = 0; byte < 256; byte++) {
    const s = substitute(byte);
    view.setUint8(S_BOX + byte, s);
    view.setUint8(INVERSE_S_BOX + s, byte);
    put(AES_TABLES, byte, [2, 1, 1, 3], s);
    put(DECRYPTION, s, [14, 9, 13, 11], byte);
  }
}

type Byte = (i: number, scaled: boolean) => Value<"i32">;
/** The bytes of a vector as numbers, or as offsets into a table of four bytes each. */
function bytesOf(b: WasmBuilder, v: Value): Byte {
  const halves = [0, 1].map((i) => b.lane("i64x2.extract_lane", i, v));
  return (i, scaled) => {
    const shift = 8 * (i & 7) - (scaled ? 2 : 0), half = halves[i >> 3] as Value<"i64">;
    const moved = shift === 0
      ? half
      : shift > 0
      ? b.op("i64.shr_u", half, b.i64(shift))
      : b.op("i64.shl", half, b.i64(-shift));
    return b.and(32, b.op("i32.wrap_i64", moved), b.i32(scaled ? 0x3fc : 0xff));
  };
}
function joined(b: WasmBuilder, columns: readonly Value[]): Value {
  const half = (i: number) => {
    const [low, high] = [i, i + 1].map((at) => b.op("i64.extend_i32_u", columns[at] as Value));
    return b.or(64, low as Value, b.op("i64.shl", high as Value, b.i64(32)));
  };
  return b.lane("i64x2.replace_lane", 1, b.op("i64x2.splat", half(0)), half(2));
}
/** ShiftRows: where the byte of `row` comes from, which ends in `column`. */
const sourceOf = (column: number, row: number, step: number): number => 4 * ((column + step * row) & 3) + row;

/** All of a round but the key. `step`: 1 encrypts, 3 decrypts; 0 moves no rows. */
function round(b: WasmBuilder, byte: Byte, table: number, step: number): Value {
  return joined(
    b,
    [0, 1, 2, 3].map((column) =>
      [0, 1, 2, 3]
        .map((row) =>
          b.loadRaw("i32.load", byte(sourceOf(column, row, step), true), table + row * TABLE_BYTES)
        )
        .reduce((x, y) => b.xor(32, x, y))
    ),
  );
}
/** The last round, which has no MixColumns. */
function lastRound(b: WasmBuilder, byte: Byte, box: number, step: number): Value {
  return joined(
    b,
    [0, 1, 2, 3].map((column) =>
      [0, 1, 2, 3]
        .map((row) => {
          const s = b.loadRaw("i32.load8_u", byte(sourceOf(column, row, step), false), box);
          return row === 0 ? s : b.shl(32, s, b.i32(8 * row));
        })
        .reduce((x, y) => b.or(32, x, y))
    ),
  );
}

/** Functions of the core module that the rows call; see ../vector_functions.ts. */
export const aesFunctions = {
  aesenc: (b: WasmBuilder, state: Value) => round(b, bytesOf(b, state), AES_TABLES, 1),
  aesenclast: (b: WasmBuilder, state: Value) => lastRound(b, bytesOf(b, state), S_BOX, 1),
  aesdec: (b: WasmBuilder, state: Value) => round(b, bytesOf(b, state), DECRYPTION, 3),
  aesdeclast: (b: WasmBuilder, state: Value) => lastRound(b, bytesOf(b, state), INVERSE_S_BOX, 3),
  /** InvMixColumns: the table undoes the S-box, which is done for it. */
  aesimc: (b: WasmBuilder, state: Value) =>
    round(b, bytesOf(b, lastRound(b, bytesOf(b, state), S_BOX, 0)), DECRYPTION, 0),
  aessubword: (b: WasmBuilder, state: Value) => lastRound(b, bytesOf(b, state), S_BOX, 0),
} as const;

for (
  const [name, opcode] of [
    ["aesenc", "dc"],
    ["aesenclast", "dd"],
    ["aesdec", "de"],
    ["aesdeclast", "df"],
  ] as const
) {
  const operation = binary((e, state, key) => e.op("v128.xor", e.callVector(name, state), key));
  crypto(`${name.toUpperCase()} xmm, xmm/m128`, ["66", "0f38", `${opcode} /r`], operation, {
    needs: "aes",
    wide: "vaes",
    sources: 2,
  });
}
crypto("AESIMC xmm, xmm/m128", ["66", "0f38", "db /r"], unary((e, v) => e.callVector("aesimc", v)), {
  needs: "aes",
  sources: 1,
});
/** SubWord(x1), RotWord(SubWord(x1)) ^ RCON, and the same of x3. */
const keyGeneration = unary((e, v) => {
  const words = e.callVector("aessubword", v);
  const turned = e.shuffle([4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12], words, words);
  const constant = e.op("i64x2.splat", e.shl(64, e.zeroExtend(32, 64, e.imm(8)), e.i32(32)));
  return e.op("v128.xor", turned, constant);
});
crypto("AESKEYGENASSIST xmm, xmm/m128, imm8", ["66", "0f3a", "df /r ub"], keyGeneration, {
  needs: "aes",
  sources: 1,
});
