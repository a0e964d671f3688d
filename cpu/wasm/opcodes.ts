// SPDX-License-Identifier: MIT
/**
 * WebAssembly instructions by name: opcode bytes and types. Source: WebAssembly Core Specification 2.0 §5.4
 * (numeric and vector instructions), the tail-call and the relaxed-simd proposal. Instructions with immediates other than a lane
 * index are encoded by cpu/wasm/encoder.ts.
 * @module
 */

/** Value types with their binary encoding. */
export const VALUE_TYPE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
/** A WebAssembly value type. */
export type ValueType = keyof typeof VALUE_TYPE;

/** One instruction without memory or branch immediates. */
export interface Op {
  readonly bytes: readonly number[];
  readonly params: readonly ValueType[];
  readonly result: ValueType;
  /** True when a lane index byte follows. */
  readonly lane: boolean;
}

const T = { i: "i32", l: "i64", f: "f32", d: "f64", v: "v128" } as const;

/** "first opcode; signature; names in opcode order, _ for a hole". */
const SCALAR = [
  [0x45, "i:i", "i32.eqz"],
  [
    0x46,
    "ii:i",
    "i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u",
  ],
  [0x50, "l:i", "i64.eqz"],
  [
    0x51,
    "ll:i",
    "i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u",
  ],
  [0x5b, "ff:i", "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge"],
  [0x61, "dd:i", "f64.eq f64.ne f64.lt f64.gt f64.le f64.ge"],
  [0x67, "i:i", "i32.clz i32.ctz i32.popcnt"],
  [
    0x6a,
    "ii:i",
    "i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr",
  ],
  [0x79, "l:l", "i64.clz i64.ctz i64.popcnt"],
  [
    0x7c,
    "ll:l",
    "i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr",
  ],
  [0x8b, "f:f", "f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt"],
  [0x92, "ff:f", "f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign"],
  [0x99, "d:d", "f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt"],
  [0xa0, "dd:d", "f64.add f64.sub f64.mul f64.div f64.min f64.max f64.copysign"],
  [0xa7, "l:i", "i32.wrap_i64"],
  [0xac, "i:l", "i64.extend_i32_s i64.extend_i32_u"],
  [0xb2, "i:f", "f32.convert_i32_s f32.convert_i32_u"],
  [0xb4, "l:f", "f32.convert_i64_s f32.convert_i64_u"],
  [0xb6, "d:f", "f32.demote_f64"],
  [0xb7, "i:d", "f64.convert_i32_s f64.convert_i32_u"],
  [0xb9, "l:d", "f64.convert_i64_s f64.convert_i64_u"],
  [0xbb, "f:d", "f64.promote_f32"],
  [0xbc, "f:i", "i32.reinterpret_f32"],
  [0xbd, "d:l", "i64.reinterpret_f64"],
  [0xbe, "i:f", "f32.reinterpret_i32"],
  [0xbf, "l:d", "f64.reinterpret_i64"],
  [0xc0, "i:i", "i32.extend8_s i32.extend16_s"],
  [0xc2, "l:l", "i64.extend8_s i64.extend16_s i64.extend32_s"],
] as const;
const SATURATING = [
  [0, "f:i", "i32.trunc_sat_f32_s i32.trunc_sat_f32_u"],
  [2, "d:i", "i32.trunc_sat_f64_s i32.trunc_sat_f64_u"],
  [4, "f:l", "i64.trunc_sat_f32_s i64.trunc_sat_f32_u"],
  [6, "d:l", "i64.trunc_sat_f64_s i64.trunc_sat_f64_u"],
] as const;
const INTEGER_COMPARE = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const FLOAT_COMPARE = "eq ne lt gt le ge";
const VECTOR = [
  [14, "vv:v", "swizzle", "i8x16"],
  [15, "i:v", "i8x16.splat i16x8.splat i32x4.splat"],
  [18, "l:v", "i64x2.splat"],
  [19, "f:v", "f32x4.splat"],
  [20, "d:v", "f64x2.splat"],
  [21, "v:i#", "i8x16.extract_lane_s i8x16.extract_lane_u"],
  [23, "vi:v#", "i8x16.replace_lane"],
  [24, "v:i#", "i16x8.extract_lane_s i16x8.extract_lane_u"],
  [26, "vi:v#", "i16x8.replace_lane"],
  [27, "v:i#", "i32x4.extract_lane"],
  [28, "vi:v#", "i32x4.replace_lane"],
  [29, "v:l#", "i64x2.extract_lane"],
  [30, "vl:v#", "i64x2.replace_lane"],
  [31, "v:f#", "f32x4.extract_lane"],
  [32, "vf:v#", "f32x4.replace_lane"],
  [33, "v:d#", "f64x2.extract_lane"],
  [34, "vd:v#", "f64x2.replace_lane"],
  [35, "vv:v", INTEGER_COMPARE, "i8x16"],
  [45, "vv:v", INTEGER_COMPARE, "i16x8"],
  [55, "vv:v", INTEGER_COMPARE, "i32x4"],
  [65, "vv:v", FLOAT_COMPARE, "f32x4"],
  [71, "vv:v", FLOAT_COMPARE, "f64x2"],
  [77, "v:v", "not", "v128"],
  [78, "vv:v", "and andnot or xor", "v128"],
  [82, "vvv:v", "bitselect", "v128"],
  [83, "v:i", "any_true", "v128"],
  [94, "v:v", "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4"],
  [96, "v:v", "abs neg popcnt", "i8x16"],
  [99, "v:i", "all_true bitmask", "i8x16"],
  [101, "vv:v", "narrow_i16x8_s narrow_i16x8_u", "i8x16"],
  [103, "v:v", "ceil floor trunc nearest", "f32x4"],
  [107, "vi:v", "shl shr_s shr_u", "i8x16"],
  [110, "vv:v", "add add_sat_s add_sat_u sub sub_sat_s sub_sat_u", "i8x16"],
  [116, "v:v", "ceil floor", "f64x2"],
  [118, "vv:v", "min_s min_u max_s max_u", "i8x16"],
  [122, "v:v", "trunc", "f64x2"],
  [123, "vv:v", "avgr_u", "i8x16"],
  [124, "v:v", "i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u"],
  [126, "v:v", "i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u"],
  [128, "v:v", "abs neg", "i16x8"],
  [130, "vv:v", "q15mulr_sat_s", "i16x8"],
  [131, "v:i", "all_true bitmask", "i16x8"],
  [133, "vv:v", "narrow_i32x4_s narrow_i32x4_u", "i16x8"],
  [135, "v:v", "extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u", "i16x8"],
  [139, "vi:v", "shl shr_s shr_u", "i16x8"],
  [142, "vv:v", "add add_sat_s add_sat_u sub sub_sat_s sub_sat_u", "i16x8"],
  [148, "v:v", "nearest", "f64x2"],
  [149, "vv:v", "mul min_s min_u max_s max_u _ avgr_u", "i16x8"],
  [156, "vv:v", "extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u", "i16x8"],
  [160, "v:v", "abs neg", "i32x4"],
  [163, "v:i", "all_true bitmask", "i32x4"],
  [167, "v:v", "extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u", "i32x4"],
  [171, "vi:v", "shl shr_s shr_u", "i32x4"],
  [174, "vv:v", "add _ _ sub _ _ _ mul min_s min_u max_s max_u dot_i16x8_s", "i32x4"],
  [188, "vv:v", "extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u", "i32x4"],
  [192, "v:v", "abs neg", "i64x2"],
  [195, "v:i", "all_true bitmask", "i64x2"],
  [199, "v:v", "extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u", "i64x2"],
  [203, "vi:v", "shl shr_s shr_u", "i64x2"],
  [206, "vv:v", "add _ _ sub _ _ _ mul eq ne lt_s gt_s le_s ge_s", "i64x2"],
  [220, "vv:v", "extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u", "i64x2"],
  [224, "v:v", "abs neg _ sqrt", "f32x4"],
  [228, "vv:v", "add sub mul div min max pmin pmax", "f32x4"],
  [236, "v:v", "abs neg _ sqrt", "f64x2"],
  [240, "vv:v", "add sub mul div min max pmin pmax", "f64x2"],
  [248, "v:v", "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u"],
  [250, "v:v", "f32x4.convert_i32x4_s f32x4.convert_i32x4_u"],
  [252, "v:v", "i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero"],
  [254, "v:v", "f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u"],
  [261, "vvv:v", "relaxed_madd relaxed_nmadd", "f32x4"],
  [263, "vvv:v", "relaxed_madd relaxed_nmadd", "f64x2"],
] as const;

// The tables' names and signatures as types

type Letter = keyof typeof T;
type Words<S extends string> = S extends `${infer First} ${infer Rest}` ? First | Words<Rest> : S;
type Types<S extends string> = S extends `${infer First extends Letter}${infer Rest}`
  ? [(typeof T)[First], ...Types<Rest>]
  : [];
type Entry = (typeof SCALAR)[number] | (typeof SATURATING)[number] | (typeof VECTOR)[number];
type NamesOf<E> = E extends readonly [number, string, infer N extends string, infer Shape extends string]
  ? `${Shape}.${Exclude<Words<N>, "_">}`
  : E extends readonly [number, string, infer N extends string] ? Exclude<Words<N>, "_">
  : never;
type SignatureOf<E> = E extends
  readonly [number, `${infer P}:${infer R extends Letter}${infer Lane}`, ...unknown[]]
  ? { readonly params: Types<P>; readonly result: (typeof T)[R]; readonly lane: Lane }
  : never;
type Signatures = { readonly [E in Entry as NamesOf<E>]: SignatureOf<E> };
type NamesWith<Lane extends string> = {
  [N in keyof Signatures]: Signatures[N] extends { readonly lane: Lane } ? N : never;
}[keyof Signatures];

/** Names of operations without immediates. */
export type OpName = NamesWith<"">;
/** Names of operations with a lane index. */
export type LaneName = NamesWith<"#">;
/** Types of the operands. */
export type OpArguments<N extends OpName> = Signatures[N]["params"];
/** Type of the result. */
export type OpResult<N extends OpName> = Signatures[N]["result"];
/** Types of the operands. */
export type LaneArguments<N extends LaneName> = Signatures[N]["params"];
/** Type of the result. */
export type LaneResult<N extends LaneName> = Signatures[N]["result"];

/** Unsigned LEB128. */
export function leb(value: number): number[] {
  const out: number[] = [];
  do {
    const byte = value & 0x7f;
    value >>>= 7;
    out.push(value === 0 ? byte : byte | 0x80);
  } while (value !== 0);
  return out;
}

function build(): Map<OpName | LaneName, Op> {
  const ops = new Map<OpName | LaneName, Op>();
  const add = (prefix: number[], encode: boolean) =>
  (
    [first, signature, names, shape]: readonly [number, string, string, string?],
  ) => {
    const [params = "", rest = ""] = signature.split(":");
    names.split(" ").forEach((name, i) => {
      if (name === "_") return;
      ops.set((shape === undefined ? name : `${shape}.${name}`) as OpName | LaneName, {
        bytes: [...prefix, ...(encode ? leb(first + i) : [first + i])],
        params: [...params].map((c) => T[c as Letter]),
        result: T[rest[0] as Letter],
        lane: rest.endsWith("#"),
      });
    });
  };
  SCALAR.forEach(add([], false));
  SATURATING.forEach(add([0xfc], true));
  VECTOR.forEach(add([0xfd], true));
  return ops;
}

/** Every instruction of the tables above, by its name in the specification's text format. */
export const OPS: ReadonlyMap<OpName | LaneName, Op> = build();
