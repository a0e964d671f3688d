// SPDX-License-Identifier: MIT
/**
 * Memory accesses of single elements: VMASKMOVPx, VPMASKMOVx, gathers. SDM Vol. 2. What the mask leaves out is not
 * accessed, and nothing raises #AC. A gather that faults has done the elements before, and its mask says so: executed again, it goes on.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import type { RowOptions, Semantics } from "../row/row.ts";
import { avx, avx2, halvesOf, THREE } from "./avx_patterns.ts";

const typeOf = (bits: 32 | 64) => bits === 32 ? "i32" as const : "i64" as const;
interface Element {
  readonly half: 0 | 1;
  /** Byte offset in the half, and in memory. */
  readonly offset: number;
  readonly at: number;
}
/** Elements of `bits` in an instruction's vectors, or in the lowest `most` bits of them. */
function elements(e: Emit, bits: 32 | 64, most: number = e.form.vector): Element[] {
  return halvesOf(e).flatMap((half) =>
    Array.from(
      { length: 128 / bits },
      (_, i) => ({ half, offset: i * bits / 8, at: half * 16 + i * bits / 8 }),
    )
  ).filter(({ at }) => at * 8 < most);
}
const isSet = (e: Emit, field: "vvvv", bits: 32 | 64, { half, offset }: Element) =>
  e.op("i32.lt_s", e.vectorPart(field, "i32", offset + bits / 8 - 4, half), e.i32(0));

function maskedLoad(bits: 32 | 64): Semantics {
  return (e) => {
    const address = e.address();
    const halves = halvesOf(e).map(() => e.variable(e.v128(0n, 0n)));
    for (const element of elements(e, bits)) {
      const half = halves[element.half] as typeof halves[number], lane = element.offset * 8 / bits;
      e.if(isSet(e, "vvvv", bits, element), () => {
        const value = e.load(bits, e.offsetBy(address, element.at), "unchecked");
        const shape = bits === 32 ? "i32x4" : "i64x2";
        e.set(half, e.lane(`${shape}.replace_lane`, lane, e.get(half), value));
      });
    }
    const [low, high] = halves.map((half) => e.get(half)) as [Value<"v128">, Value<"v128">?];
    e.setVector("reg", low, high);
  };
}
/** Nothing is stored when one element faults. */
function maskedStore(bits: 32 | 64): Semantics {
  return (e) => {
    const all = elements(e, bits), address = e.address();
    for (const element of all) {
      e.if(
        isSet(e, "vvvv", bits, element),
        () => void e.loadForUpdate(bits, e.offsetBy(address, element.at), "unchecked"),
      );
    }
    for (const element of all) {
      e.if(isSet(e, "vvvv", bits, element), () => {
        const value = e.vectorPart("reg", typeOf(bits), element.offset, element.half);
        e.store(bits, e.offsetBy(address, element.at), value, "unchecked");
      });
    }
  };
}
for (
  const [name, load, store, bits] of [
    ["VMASKMOVPS", "w0 2c", "w0 2e", 32],
    ["VMASKMOVPD", "w0 2d", "w0 2f", 64],
    ["VPMASKMOVD", "w0 8c", "w0 8e", 32],
    ["VPMASKMOVQ", "w1 8c", "w1 8e", 64],
  ] as const
) {
  for (const [length, v] of [["128", "xmm"], ["256", "ymm"]] as const) {
    const define = name.startsWith("VP") ? avx2 : avx;
    define(`${name} ${v}, ${v}, m${length}`, `vex.${length}.66.0f38.${load} /r :mem`, maskedLoad(bits));
    define(`${name} m${length}, ${v}, ${v}`, `vex.${length}.66.0f38.${store} /r :mem`, maskedStore(bits));
  }
}

const GATHER: RowOptions = { ...THREE, vsib: true };
/** `bits` of an element, and of its index. */
function gather(bits: 32 | 64, indexBits: 32 | 64): Semantics {
  return (e) => {
    const type = typeOf(bits);
    // The destination has as many elements as there are indexes, the indexes have as many as there are elements.
    const all = elements(e, bits, Math.min(e.form.vector, e.form.vector * bits / indexBits));
    const wide = e.form.vector === 256 && bits >= indexBits;
    // A mask is extended from its sign bits before anything is accessed.
    const shape = bits === 32 ? "i32x4" : "i64x2";
    const signs = (half: 0 | 1) => e.op(`${shape}.shr_s`, e.vector("vvvv", half), e.i32(bits - 1));
    // What is beyond the elements becomes zero, in the mask at once.
    const cut = (v: Value<"v128">) =>
      all.length * bits === 64 ? e.lane("i64x2.replace_lane", 1, v, e.i64(0)) : v;
    e.setVector("vvvv", cut(signs(0)), wide ? signs(1) : undefined);
    all.forEach((element, i) => {
      e.if(isSet(e, "vvvv", bits, element), () => {
        const at = i * indexBits / 8, half = at >= 16 ? 1 : 0;
        const index = e.indexPart(typeOf(indexBits), at & 15, half);
        const value = e.load(
          bits,
          e.vsibAddress(indexBits === 64 ? index : e.op("i64.extend_i32_s", index)),
          "unchecked",
        );
        e.setVectorPart("reg", value, element.offset, element.half);
      });
      e.setVectorPart("vvvv", type === "i32" ? e.i32(0) : e.i64(0), element.offset, element.half);
    });
    e.setVector("reg", cut(e.vector("reg")), wide ? e.vector("reg", 1) : undefined);
    e.setVector("vvvv", e.v128(0n, 0n));
  };
}
for (const [name, opcode] of [["VPGATHER", 0x90], ["VGATHER", 0x92]] as const) {
  const suffixes = name === "VPGATHER" ? ["D", "Q"] as const : ["PS", "PD"] as const;
  for (const indexBits of [32, 64] as const) {
    for (const bits of [32, 64] as const) {
      const suffix = suffixes[bits === 32 ? 0 : 1], code = (opcode + (indexBits === 64 ? 1 : 0)).toString(16);
      const text = `${name}${indexBits === 32 ? "D" : "Q"}${suffix}`;
      for (const length of ["128", "256"] as const) {
        const v = length === "256" && bits >= indexBits ? "ymm" : "xmm";
        avx2(
          `${text} ${v}, m${bits}, ${v}`,
          `vex.${length}.66.0f38.w${bits === 64 ? 1 : 0} ${code} /r :mem`,
          gather(bits, indexBits),
          GATHER,
        );
      }
    }
  }
}
