// SPDX-License-Identifier: MIT
/**
 * BMI1 and BMI2: ANDN, BEXTR, BLSI, BLSMSK, BLSR; BZHI, MULX, PDEP, PEXT, RORX, SARX, SHLX, SHRX (TZCNT and LZCNT:
 * bit.ts). SDM Vol. 2; exceptions: table 2-29, type 13. Flags the SDM leaves undefined are as after AND.
 * @module
 */
import { highUnsigned } from "../../emit/flags.ts";
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { RDX } from "../../emit/emit.ts";
import { FLAG_AF, FLAG_CF, FLAG_PF, FLAG_SF } from "../../state/state.ts";
import { type RowOptions, rowsThatNeed, type Semantics } from "../row/row.ts";
import { flagAt, nonZero } from "../row/values.ts";
import { checkProtected } from "./system.ts";

const bmi1 = rowsThatNeed("bmi1"), bmi2 = rowsThatNeed("bmi2");
const THREE: RowOptions = { vvvv: "gpr" };
const undefinedFlags = FLAG_AF | FLAG_PF;

/** Widths of these instructions. */
type Wide = 32 | 64;
/** VEX does not exist in real and virtual-8086 mode, which 64-bit code is never in. */
const vex = (f: (e: Emit, w: Wide) => void): Semantics => (e, w) => {
  if (e.form.codeBits !== 64) checkProtected(e);
  f(e, w as Wide);
};
/** An i32 that is 0 or 1 as CF of a result; OF is clear. */
function setFlags(e: Emit, w: Width, result: Value, carry: Value): void {
  e.setFlags("result", w, result, flagAt(e, carry, FLAG_CF));
}

bmi1(
  "ANDN r, r, r/m",
  "vex.lz.0f38.wig f2 /r",
  "y",
  vex((e, w) => {
    const result = e.and(w, e.not(w, e.vvvv(w)), e.rm(w));
    e.setReg(w, result);
    e.setFlags("logic", w, result);
  }),
  { ...THREE, undefinedFlags },
);

/** The low `count` bits of `a`, all of them from `w` on; `count` is an i32 below 256. */
function lowBits(e: Emit, w: Wide, a: Value, count: Value): Value {
  const mask = e.sub(w, e.shl(w, e.k(w, 1), e.and(32, count, e.i32(w - 1))), e.k(w, 1));
  return e.select(e.ltU(32, count, e.i32(w)), e.and(w, a, mask), a);
}
bmi1(
  "BEXTR r, r/m, r",
  "vex.lz.0f38.wig f7 /r",
  "y",
  vex((e, w) => {
    const control = e.truncate(w, 32, e.vvvv(w));
    const start = e.and(32, control, e.i32(0xff)),
      length = e.and(32, e.shrU(32, control, e.k(8, 8)), e.i32(0xff));
    const shifted = e.shrU(w, e.rm(w), e.and(32, start, e.i32(w - 1)));
    const field = e.select(e.ltU(32, start, e.i32(w)), shifted, e.k(w, 0));
    const result = lowBits(e, w, field, length);
    e.setReg(w, result);
    e.setFlags("logic", w, result);
  }),
  { ...THREE, undefinedFlags: undefinedFlags | FLAG_SF },
);
bmi2(
  "BZHI r, r/m, r",
  "vex.lz.0f38.wig f5 /r",
  "y",
  vex((e, w) => {
    const count = e.and(32, e.truncate(w, 32, e.vvvv(w)), e.i32(0xff));
    const result = lowBits(e, w, e.rm(w), count);
    e.setReg(w, result);
    setFlags(e, w, result, e.eqz(32, e.ltU(32, count, e.i32(w))));
  }),
  { ...THREE, undefinedFlags },
);

const LOWEST: readonly (readonly [string, number, (e: Emit, w: Wide, a: Value) => Value, boolean])[] = [
  // name, extension, result, whether CF says that the source is zero (or else that it is not)
  ["BLSR", 1, (e, w, a) => e.and(w, e.sub(w, a, e.k(w, 1)), a), true],
  ["BLSMSK", 2, (e, w, a) => e.xor(w, e.sub(w, a, e.k(w, 1)), a), true],
  ["BLSI", 3, (e, w, a) => e.and(w, e.sub(w, e.k(w, 0), a), a), false],
];
for (const [name, extension, f, ofZero] of LOWEST) {
  bmi1(
    `${name} r, r/m`,
    `vex.lz.0f38.wig f3 /${extension}`,
    "y",
    vex((e, w) => {
      const a = e.rm(w);
      const result = f(e, w, a);
      e.setVvvv(w, result);
      setFlags(e, w, result, ofZero ? e.eqz(w, a) : nonZero(e, w, a));
    }),
    { ...THREE, undefinedFlags },
  );
}

// The rest leaves flags alone.

bmi2(
  "MULX r, r, r/m",
  "vex.lz.f2.0f38.wig f6 /r",
  "y",
  vex((e, w) => {
    const a = e.gpr(RDX, w), b = e.rm(w);
    if (w === 64) {
      const high = highUnsigned(e, a, b);
      e.setVvvv(64, e.mul(64, a, b));
      return e.setReg(64, high); // the high half, when both go to one register
    }
    const product = e.mul(64, e.zeroExtend(w, 64, a), e.zeroExtend(w, 64, b));
    e.setVvvv(w, e.truncate(64, w, product));
    e.setReg(w, e.truncate(64, w, e.shrU(64, product, e.k(8, 32))));
  }),
  THREE,
);

/** For each bit of `mask`, lowest first: `step` gets it, and the lowest bit not used yet of the other side. */
function eachBit(e: Emit, w: Wide, mask: Value, step: (bit: Value, dense: Value) => void): void {
  const left = e.variable(mask), dense = e.variable(e.k(w, 1));
  e.if(nonZero(e, w, mask), () => {
    e.doWhile(() => {
      const m = e.get(left), d = e.get(dense);
      step(e.and(w, m, e.sub(w, e.k(w, 0), m)), d);
      e.set(dense, e.shl(w, d, e.k(8, 1)));
      const rest = e.and(w, m, e.sub(w, m, e.k(w, 1)));
      e.set(left, rest);
      return nonZero(e, w, rest);
    });
  });
}
/** Where `from` has the bit `tested`, `result` gets the bit `made`. */
const moveBits = (deposit: boolean) =>
  vex((e, w) => {
    const source = e.vvvv(w), result = e.variable(e.k(w, 0));
    eachBit(e, w, e.rm(w), (sparse, dense) => {
      const [tested, made] = deposit ? [dense, sparse] : [sparse, dense];
      const is = nonZero(e, w, e.and(w, source, tested));
      e.set(result, e.or(w, e.get(result), e.select(is, made, e.k(w, 0))));
    });
    e.setReg(w, e.get(result));
  });
bmi2("PDEP r, r, r/m", "vex.lz.f2.0f38.wig f5 /r", "y", moveBits(true), THREE);
bmi2("PEXT r, r, r/m", "vex.lz.f3.0f38.wig f5 /r", "y", moveBits(false), THREE);

bmi2(
  "RORX r, r/m, imm8",
  "vex.lz.f2.0f3a.wig f0 /r ub",
  "y",
  vex((e, w) => {
    const count = e.imm(8);
    if (w === 64) e.setReg(64, e.op("i64.rotr", e.rm(64), e.zeroExtend(8, 64, count)));
    else e.setReg(w, e.op("i32.rotr", e.rm(w), count));
  }),
);
for (
  const [name, prefix, shift] of [["SARX", "f3", "shrS"], ["SHLX", "66", "shl"], [
    "SHRX",
    "f2",
    "shrU",
  ]] as const
) {
  bmi2(
    `${name} r, r/m, r`,
    `vex.lz.${prefix}.0f38.wig f7 /r`,
    "y",
    vex((e, w) => {
      const count = e.and(32, e.truncate(w, 32, e.vvvv(w)), e.i32(w - 1));
      e.setReg(w, e[shift](w, e.rm(w), count));
    }),
    THREE,
  );
}
