// SPDX-License-Identifier: MIT
/** AVX and AVX2 data movement: whole registers, halves, one element to all, elements by a mask. SDM Vol. 2. @module */
import type { Emit, Value } from "../../emit/emit.ts";
import type { Semantics } from "../row/row.ts";
import { laneMask, source } from "../simd/sse_patterns.ts";
import { avx, avx2, first256, type Halves, set256, setBoth, source256, THREE, TWO } from "./avx_patterns.ts";

// Whole registers

const load = (aligned: boolean): Semantics => (e) => {
  if (e.form.vector === 256) return set256(e, source256(e, aligned));
  e.setVector("reg", e.form.isMemory ? e.load128(e.address(), aligned) : e.vector("rm"));
};
const store = (aligned: boolean): Semantics => (e) => {
  const low = e.vector("reg"), high = e.form.vector === 256 ? e.vector("reg", 1) : undefined;
  if (!e.form.isMemory) e.setVector("rm", low, high);
  else if (high === undefined) e.store128(e.address(), low, aligned);
  else e.store256(e.address(), low, high, aligned);
};
/** Defines the forms of 128 and 256 bits; `text` and `encoding` are those of 128. `define`: the form of 256 bits. */
function both(text: string, encoding: string, f: Semantics, options = TWO, define = avx): void {
  avx(text, encoding, f, options);
  define(
    text.replaceAll("xmm", "ymm").replaceAll("m128", "m256"),
    encoding.replace(".128", ".256"),
    f,
    options,
  );
}
for (const [pp, suffix] of [["", "PS"], [".66", "PD"]] as const) {
  const encoding = (opcode: string) => `vex.128${pp}.0f.wig ${opcode} /r`;
  both(`VMOVU${suffix} xmm, xmm/m128`, encoding("10"), load(false));
  both(`VMOVU${suffix} xmm/m128, xmm`, encoding("11"), store(false));
  both(`VMOVA${suffix} xmm, xmm/m128`, encoding("28"), load(true));
  both(`VMOVA${suffix} xmm/m128, xmm`, encoding("29"), store(true));
  both(`VMOVNT${suffix} m128, xmm`, `${encoding("2b")} :mem`, store(true));
}
both("VMOVDQA xmm, xmm/m128", "vex.128.66.0f.wig 6f /r", load(true));
both("VMOVDQA xmm/m128, xmm", "vex.128.66.0f.wig 7f /r", store(true));
both("VMOVDQU xmm, xmm/m128", "vex.128.f3.0f.wig 6f /r", load(false));
both("VMOVDQU xmm/m128, xmm", "vex.128.f3.0f.wig 7f /r", store(false));
both("VLDDQU xmm, m128", "vex.128.f2.0f.wig f0 /r :mem", load(false));
both("VMOVNTDQ m128, xmm", "vex.128.66.0f.wig e7 /r :mem", store(true));
both("VMOVNTDQA xmm, m128", "vex.128.66.0f38.wig 2a /r :mem", load(true), TWO, avx2);

for (const [pp, suffix, type] of [["f3", "SS", "i32"], ["f2", "SD", "i64"]] as const) {
  // The lowest element of the second source, the others of the first.
  const move = (to: "reg" | "rm", from: "reg" | "rm"): Semantics => (e) => {
    const element = e.vectorPart(from, type, 0, 0);
    e.setVector(to, e.vector("vvvv"));
    e.setVectorPart(to, element, 0, 0);
  };
  avx(`VMOV${suffix} xmm, xmm, xmm`, `vex.lig.${pp}.0f.wig 10 /r :reg`, move("reg", "rm"));
  avx(`VMOV${suffix} xmm, xmm, xmm`, `vex.lig.${pp}.0f.wig 11 /r :reg`, move("rm", "reg"));
}
avx("VMOVDDUP ymm, ymm/m256", "vex.256.f2.0f.wig 12 /r", (e) => {
  e.halves(() => e.setXmmReg(e.op("i64x2.splat", e.lane("i64x2.extract_lane", 0, source(e)))));
}, TWO);

// One element, or 128 bits, to all

/** xmm/m of `bits` to every element. */
const broadcast = (bits: 8 | 16 | 32 | 64): Semantics => (e) => {
  const { isMemory } = e.form;
  if (bits === 64) {
    const element = isMemory ? e.load(64, e.address()) : e.vectorPart("rm", "i64", 0, 0);
    return setBoth(e, e.op("i64x2.splat", element));
  }
  const shape = ({ 8: "i8x16", 16: "i16x8", 32: "i32x4" } as const)[bits];
  setBoth(e, e.op(`${shape}.splat`, isMemory ? e.load(bits, e.address()) : e.vectorPart("rm", "i32", 0, 0)));
};
for (
  const [name, opcode, bits] of [
    ["VBROADCASTSS", "18", 32],
    ["VBROADCASTSD", "19", 64],
    ["VPBROADCASTB", "78", 8],
    ["VPBROADCASTW", "79", 16],
    ["VPBROADCASTD", "58", 32],
    ["VPBROADCASTQ", "59", 64],
  ] as const
) {
  for (const [length, register] of [["128", "xmm"], ["256", "ymm"]] as const) {
    if (name === "VBROADCASTSD" && length === "128") continue;
    const f = broadcast(bits);
    // From a register they came with AVX2.
    const define = name.startsWith("VP") ? avx2 : avx;
    define(`${name} ${register}, m${bits}`, `vex.${length}.66.0f38.w0 ${opcode} /r :mem`, f, TWO);
    avx2(`${name} ${register}, xmm`, `vex.${length}.66.0f38.w0 ${opcode} /r :reg`, f, TWO);
  }
}
for (
  const [name, opcode, define] of [["VBROADCASTF128", "1a", avx], ["VBROADCASTI128", "5a", avx2]] as const
) {
  define(
    `${name} ymm, m128`,
    `vex.256.66.0f38.w0 ${opcode} /r :mem`,
    (e) => setBoth(e, e.load128(e.address())),
    TWO,
  );
}

// Halves

const bit = (e: Emit, n: number) => e.bit(e.imm(8), n);
for (const [kind, insert, extract, permute] of [["F", "18", "19", "06"], ["I", "38", "39", "46"]] as const) {
  const define = kind === "F" ? avx : avx2;
  define(`VINSERT${kind}128 ymm, ymm, xmm/m128, imm8`, `vex.256.66.0f3a.w0 ${insert} /r ub`, (e) => {
    const half = e.form.isMemory ? e.load128(e.address()) : e.vector("rm");
    const [low, high] = first256(e), upper = bit(e, 0);
    set256(e, [e.select(upper, low, half), e.select(upper, half, high)]);
  });
  define(`VEXTRACT${kind}128 xmm/m128, ymm, imm8`, `vex.256.66.0f3a.w0 ${extract} /r ub`, (e) => {
    const half = e.select(bit(e, 0), e.vector("reg", 1), e.vector("reg", 0));
    if (e.form.isMemory) e.store128(e.address(), half);
    else e.setVector("rm", half);
  }, TWO);
  define(`VPERM2${kind}128 ymm, ymm, ymm/m256, imm8`, `vex.256.66.0f3a.w0 ${permute} /r ub`, (e) => {
    const b = source256(e), a = first256(e);
    const pick = (first: number) => {
      const of = ([low, high]: Halves) => e.select(bit(e, first), high, low);
      const picked = e.select(bit(e, first + 1), of(b), of(a));
      return e.select(bit(e, first + 3), e.v128(0n, 0n), picked);
    };
    set256(e, [pick(0), pick(4)]);
  });
}

// Masks of signs

const BITMASKS = [["VMOVMSKPS", "vex.256.0f", "50", "i32x4", 4], [
  "VMOVMSKPD",
  "vex.256.66.0f",
  "50",
  "i64x2",
  2,
], [
  "VPMOVMSKB",
  "vex.256.66.0f",
  "d7",
  "i8x16",
  16,
]] as const;
for (const [name, head, opcode, shape, lanes] of BITMASKS) {
  const define = name === "VPMOVMSKB" ? avx2 : avx;
  define(`${name} r32, ymm`, `${head}.wig ${opcode} /r :reg`, (e) => {
    const [low, high] = [e.vector("rm", 0), e.vector("rm", 1)].map((v) => e.op(`${shape}.bitmask`, v));
    e.setReg(32, e.or(32, low as Value<"i32">, e.shl(32, high as Value<"i32">, e.i32(lanes))));
  }, { reg: "gpr", rm: "xmm" });
}

// Blends

for (
  const [name, encoding, shape] of [
    ["VBLENDVPS", "0f3a.w0 4a", "i32x4"],
    ["VBLENDVPD", "0f3a.w0 4b", "i64x2"],
    ["VPBLENDVB", "0f3a.w0 4c", "i8x16"],
  ] as const
) {
  both(
    `${name} xmm, xmm, xmm/m128, xmm`,
    `vex.128.66.${encoding} /r is4`,
    (e) =>
      e.halves(() => {
        const signs = e.op(`${shape}.lt_s`, e.vector("is4", e.half), e.v128(0n, 0n));
        e.setXmmReg(e.op("v128.bitselect", source(e), e.xmmReg(), signs));
      }),
    THREE,
    name === "VPBLENDVB" ? avx2 : avx,
  );
}
for (const [length, v] of [["128", "xmm"], ["256", "ymm"]] as const) {
  avx2(
    `VPBLENDD ${v}, ${v}, ${v}/m${length}, imm8`,
    `vex.${length}.66.0f3a.w0 02 /r ub`,
    (e) =>
      e.halves(() => {
        const b = source(e);
        e.setXmmReg(e.op("v128.bitselect", b, e.xmmReg(), laneMask(e, "i32x4", e.imm(8), 4 * e.half)));
      }),
  );
}
