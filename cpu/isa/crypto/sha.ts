// SPDX-License-Identifier: MIT
/** SHA-NI. SDM Vol. 2; FIPS 180-4 §4.1.1, §4.1.2 (functions), §6.1.2, §6.2.2 (rounds). @module */
import type { WasmBuilder } from "../../emit/builder.ts";
import type { Emit, Value } from "../../emit/emit.ts";
import { binary, source } from "../simd/sse_patterns.ts";
import { crypto, type Forms } from "./crypto_patterns.ts";

const SHA: Forms = { needs: "sha_ni", sources: 0 };
const K = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

const lane = (b: WasmBuilder, v: Value, i: number): Value => b.lane("i32x4.extract_lane", i, v);
/** Lane 3 first. */
function vector(b: WasmBuilder, [w3, w2, w1, w0]: readonly [Value, Value, Value, Value]): Value {
  let v: Value = b.op("i32x4.splat", w0);
  [w1, w2, w3].forEach((w, i) => v = b.lane("i32x4.replace_lane", i + 1, v, w));
  return v;
}
const sum = (b: WasmBuilder, ...terms: readonly Value[]): Value => terms.reduce((x, y) => b.add(32, x, y));
const rotated = (b: WasmBuilder, v: Value, left: number): Value => b.op("i32.rotl", v, b.i32(left));

/** Four rounds of SHA-1 (a, b, c, d), (w0 + e, w1, w2, w3), with the function `which` says. */
function sha1Rounds(b: WasmBuilder, state: Value, words: Value, which: Value): Value {
  const kind = lane(b, which, 0);
  const is = (n: number) => b.eq(32, kind, b.i32(n));
  const constant = b.select(
    is(0),
    b.i32(K[0] as number),
    b.select(is(1), b.i32(K[1] as number), b.select(is(2), b.i32(K[2] as number), b.i32(K[3] as number))),
  );
  let [p, q, r, s] = [3, 2, 1, 0].map((i) => lane(b, state, i)) as [Value, Value, Value, Value];
  let t: Value = b.i32(0);
  for (const i of [3, 2, 1, 0]) {
    const choice = b.xor(32, s, b.and(32, q, b.xor(32, r, s)));
    const parity = b.xor(32, q, b.xor(32, r, s));
    const majority = b.or(32, b.and(32, q, r), b.and(32, s, b.or(32, q, r)));
    const f = b.select(is(0), choice, b.select(is(2), majority, parity));
    const next = sum(b, f, rotated(b, p, 5), lane(b, words, i), t, constant);
    [p, q, r, s, t] = [next, p, rotated(b, q, 30), r, s];
  }
  return vector(b, [p, q, r, s]);
}

/** Two rounds of SHA-256: (c, d, g, h), (a, b, e, f), (-, -, w1 + k1, w0 + k0). */
function sha256Rounds(b: WasmBuilder, first: Value, second: Value, words: Value): Value {
  const [a0, b0, e0, f0] = [3, 2, 1, 0].map((i) => lane(b, second, i)) as [Value, Value, Value, Value];
  const [c0, d0, g0, h0] = [3, 2, 1, 0].map((i) => lane(b, first, i)) as [Value, Value, Value, Value];
  let state = [a0, b0, c0, d0, e0, f0, g0, h0] as const;
  const turned = (v: Value, rights: readonly number[]) =>
    rights.map((right) => rotated(b, v, 32 - right)).reduce((x, y) => b.xor(32, x, y));
  for (const i of [0, 1]) {
    const [p, q, r, s, t, u, v, w] = state;
    const choice = b.xor(32, v, b.and(32, t, b.xor(32, u, v)));
    const majority = b.or(32, b.and(32, p, q), b.and(32, r, b.or(32, p, q)));
    const common = sum(b, choice, turned(t, [6, 11, 25]), lane(b, words, i), w);
    const next = sum(b, common, majority, turned(p, [2, 13, 22]));
    state = [next, p, q, r, b.add(32, common, s), t, u, v];
  }
  return vector(b, [state[0], state[1], state[4], state[5]]);
}

/** Functions of the core module that the rows call; see ../vector_functions.ts. */
export const shaFunctions = { sha1rnds4: sha1Rounds, sha256rnds2: sha256Rounds } as const;

/** Words 1 to 4 of eight, four of `a` below four of `b`. */
const following = (e: Emit, a: Value, b: Value): Value =>
  e.shuffle([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19], a, b);
function turnedLanes(e: Emit, v: Value, right: number): Value {
  return e.op("v128.or", e.op("i32x4.shr_u", v, e.i32(right)), e.op("i32x4.shl", v, e.i32(32 - right)));
}
/** The lower-case sigma of SHA-256. */
function sigma(e: Emit, v: Value, [first, second, shift]: readonly [number, number, number]): Value {
  const turned = e.op("v128.xor", turnedLanes(e, v, first), turnedLanes(e, v, second));
  return e.op("v128.xor", turned, e.op("i32x4.shr_u", v, e.i32(shift)));
}
/** Lanes 0 and 1 of `v`, or of its upper half, in one half; zeros in the other. */
const UPPER_TO_LOWER = [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];
const LOWER_TO_UPPER = [16, 17, 18, 19, 20, 21, 22, 23, 0, 1, 2, 3, 4, 5, 6, 7];

crypto("SHA1RNDS4 xmm, xmm/m128, imm8", ["np", "0f3a", "cc /r ub"], (e) => {
  const words = source(e);
  const which = e.op("i32x4.splat", e.and(32, e.imm(8), e.i32(3)));
  e.setXmmReg(e.callVector("sha1rnds4", e.xmmReg(), words, which));
}, SHA);
crypto(
  "SHA1NEXTE xmm, xmm/m128",
  ["np", "0f38", "c8 /r"],
  binary((e, a, b) => {
    const high = e.v128(0n, 0xffff_ffff_0000_0000n);
    return e.op("i32x4.add", b, e.op("v128.and", turnedLanes(e, a, 2), high));
  }),
  SHA,
);
crypto(
  "SHA1MSG1 xmm, xmm/m128",
  ["np", "0f38", "c9 /r"],
  // Words two further on: of lanes from the highest down.
  binary((e, a, b) =>
    e.op("v128.xor", a, e.shuffle([24, 25, 26, 27, 28, 29, 30, 31, 0, 1, 2, 3, 4, 5, 6, 7], a, b))
  ),
  SHA,
);
crypto(
  "SHA1MSG2 xmm, xmm/m128",
  ["np", "0f38", "ca /r"],
  binary((e, a, b) => {
    const zero = e.v128(0n, 0n);
    // Lane i takes word i - 1 of b; lane 0 takes what lane 3 became.
    const before = e.shuffle([16, 17, 18, 19, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], b, zero);
    const most = turnedLanes(e, e.op("v128.xor", a, before), 31);
    const last = e.shuffle([12, 13, 14, 15, ...Array(12).fill(16)], most, zero);
    return e.op("v128.xor", most, turnedLanes(e, last, 31));
  }),
  SHA,
);
crypto("SHA256RNDS2 xmm, xmm/m128, <XMM0>", ["np", "0f38", "cb /r"], (e) => {
  const second = source(e);
  e.setXmmReg(e.callVector("sha256rnds2", e.xmmReg(), second, e.xmm(0)));
}, SHA);
crypto(
  "SHA256MSG1 xmm, xmm/m128",
  ["np", "0f38", "cc /r"],
  binary((e, a, b) => e.op("i32x4.add", a, sigma(e, following(e, a, b), [7, 18, 3]))),
  SHA,
);
crypto(
  "SHA256MSG2 xmm, xmm/m128",
  ["np", "0f38", "cd /r"],
  binary((e, a, b) => {
    const zero = e.v128(0n, 0n), s1 = [17, 19, 10] as const;
    const low = e.op("i32x4.add", a, sigma(e, e.shuffle(UPPER_TO_LOWER, b, zero), s1));
    return e.op("i32x4.add", low, sigma(e, e.shuffle(LOWER_TO_UPPER, low, zero), s1));
  }),
  SHA,
);
