// SPDX-License-Identifier: MIT
/**
 * Shifts and rotates. SDM Vol. 2, "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", "SHLD", "SHRD". A masked count of zero
 * leaves the flags alone but still writes the operand. Flags the SDM leaves undefined are set as most
 * processors do: OF as if the count were 1, AF clear.
 * @module
 */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { RCX } from "../../emit/emit.ts";
import { FLAG_AF, FLAG_CF, FLAG_OF } from "../../state/state.ts";
import { row, type Semantics } from "../row/row.ts";
import { flagAt } from "../row/values.ts";

/** What a shift gives: the result, and CF and OF as 0 or 1. */
interface Shifted {
  readonly result: Value;
  readonly carry: () => Value;
  readonly overflow: () => Value;
}
/** `count` is masked, not zero. */
type Shift = (e: Emit, w: Width, a: Value, count: Value) => Shifted;

const one = (e: Emit) => e.k(8, 1);
/** Bit `n` (i32, below 64 or 32) of a value of width w, as i32. */
function bitAt(e: Emit, w: Width, a: Value, n: Value): Value {
  return e.and(32, e.truncate(w, 8, e.shrU(w, a, n)), e.i32(1));
}
/** MSB xor the bit below it. */
function topTwoDiffer(e: Emit, w: Width, r: Value): Value {
  return e.sign(w, e.xor(w, r, e.shl(w, r, one(e))));
}

const shl: Shift = (e, w, a, count) => {
  const result = e.shl(w, a, count);
  const carry = () =>
    w >= 32 ? bitAt(e, w, a, e.op("i32.sub", e.i32(w), count)) : e.bit(e.shl(32, a, count), w);
  return { result, carry, overflow: () => e.xor(32, e.sign(w, result), carry()) };
};
const shr: Shift = (e, w, a, count) => {
  const result = e.shrU(w, a, count);
  return {
    result,
    carry: () => bitAt(e, w, a, e.op("i32.sub", count, e.i32(1))),
    overflow: () => topTwoDiffer(e, w, result),
  };
};
const sar: Shift = (e, w, a, count) => ({
  result: e.shrS(w, a, count),
  carry: () => e.and(32, e.truncate(w, 8, e.shrS(w, a, e.op("i32.sub", count, e.i32(1)))), e.i32(1)),
  overflow: () => e.i32(0),
});

function rotated(e: Emit, w: Width, a: Value, count: Value, left: boolean): Value {
  if (w >= 32) {
    const n = w === 64 ? e.zeroExtend(32, 64, count) : count;
    return e.op(`${w === 64 ? "i64" : "i32"}.${left ? "rotl" : "rotr"}`, a, n);
  }
  const n = e.and(32, count, e.i32(w - 1));
  const other = e.op("i32.sub", e.i32(w), n);
  return e.or(w, e.shl(w, a, left ? n : other), e.shrU(w, a, left ? other : n));
}
const rol: Shift = (e, w, a, count) => {
  const result = rotated(e, w, a, count, true);
  const carry = () => e.and(32, e.truncate(w, 8, result), e.i32(1));
  return { result, carry, overflow: () => e.xor(32, e.sign(w, result), carry()) };
};
const ror: Shift = (e, w, a, count) => {
  const result = rotated(e, w, a, count, false);
  return { result, carry: () => e.sign(w, result), overflow: () => topTwoDiffer(e, w, result) };
};

/** Rotates the w + 1 bits CF:a left by `count` (0..w) in an i64; w is at most 32. */
function throughCarry(e: Emit, w: 8 | 16 | 32, a: Value, count: Value): { result: Value; carry: Value } {
  const wide = e.or(64, e.zeroExtend(w, 64, a), e.shl(64, e.zeroExtend(8, 64, e.carry()), e.k(8, w)));
  const rest = e.op("i32.sub", e.i32(w + 1), count);
  const turned = e.or(64, e.shl(64, wide, count), e.shrU(64, wide, rest));
  return {
    result: e.truncate(64, w, turned),
    carry: e.and(32, e.truncate(64, 8, e.shrU(64, turned, e.k(8, w))), e.i32(1)),
  };
}
/** 8- and 16-bit rotates through carry go by the count modulo 9 and 17. */
function modulo(e: Emit, w: Width, count: Value): Value {
  return w < 32 ? e.op("i32.rem_u", count, e.i32(w + 1)) : count;
}
const rcl: Shift = (e, w, a, count) => {
  let result: Value, carry: Value;
  if (w === 64) {
    const down = e.op("i32.sub", e.i32(64), count);
    carry = bitAt(e, 64, a, down);
    const fromCarry = e.shl(64, e.zeroExtend(8, 64, e.carry()), e.op("i32.sub", count, e.i32(1)));
    const fromTop = e.shrU(64, e.shrU(64, a, one(e)), down);
    result = e.or(64, e.or(64, e.shl(64, a, count), fromCarry), fromTop);
  } else {
    ({ result, carry } = throughCarry(e, w, a, modulo(e, w, count)));
  }
  return { result, carry: () => carry, overflow: () => e.xor(32, e.sign(w, result), carry) };
};
const rcr: Shift = (e, w, a, count) => {
  let result: Value, carry: Value;
  if (w === 64) {
    const up = e.op("i32.sub", e.i32(64), count);
    carry = bitAt(e, 64, a, e.op("i32.sub", count, e.i32(1)));
    const fromCarry = e.shl(64, e.zeroExtend(8, 64, e.carry()), up);
    const fromBottom = e.shl(64, e.shl(64, a, one(e)), up);
    result = e.or(64, e.or(64, e.shrU(64, a, count), fromCarry), fromBottom);
  } else {
    const left = e.op("i32.sub", e.i32(w + 1), modulo(e, w, count));
    ({ result, carry } = throughCarry(e, w, a, left));
  }
  return { result, carry: () => carry, overflow: () => topTwoDiffer(e, w, result) };
};

/** Applies `f` to r/m with a count that may be zero (undefined: it is 1). */
function shiftRm(e: Emit, w: Width, f: Shift, kind: "shift" | "rotate", count: Value | undefined): void {
  const flags = (s: Shifted) => {
    const aux = () => e.or(32, flagAt(e, s.carry(), FLAG_CF), flagAt(e, s.overflow(), FLAG_OF));
    if (kind === "shift") e.setFlags("result", w, s.result, aux);
    else if (e.flagsLive) e.setFlagsPart(FLAG_CF | FLAG_OF, aux());
    else e.setFlagsPart(FLAG_CF | FLAG_OF, e.i32(0));
  };
  if (count === undefined) {
    e.updateRm(w, (a) => {
      const s = f(e, w, a, one(e));
      flags(s);
      return s.result;
    });
    return;
  }
  const masked = e.and(32, count, e.i32(w === 64 ? 63 : 31));
  e.updateRm(w, (a) => {
    if (e.form.countNonZero) {
      const s = f(e, w, a, masked);
      flags(s);
      return s.result;
    }
    const result = e.variable(a);
    e.if(masked, () => {
      const s = f(e, w, a, masked);
      e.set(result, s.result);
      flags(s);
    });
    return e.get(result);
  });
}

const GROUP: readonly (readonly [string, Shift, "shift" | "rotate"])[] = [
  ["ROL", rol, "rotate"],
  ["ROR", ror, "rotate"],
  ["RCL", rcl, "rotate"],
  ["RCR", rcr, "rotate"],
  ["SHL", shl, "shift"],
  ["SHR", shr, "shift"],
  ["SHL", shl, "shift"],
  ["SAR", sar, "shift"],
];
// The SDM defines OF for a count of 1 only, AF never (rotates leave it alone).
GROUP.forEach(([name, f, kind], digit) => {
  const exact = { undefinedFlags: kind === "rotate" ? 0 : FLAG_AF };
  const loose = { undefinedFlags: exact.undefinedFlags | FLAG_OF };
  const counted = { ...loose, shiftCount: true };
  row(`${name} r/m8, 1`, `d0 /${digit}`, 8, (e, w) => shiftRm(e, w, f, kind, undefined), exact);
  row(`${name} r/m, 1`, `d1 /${digit}`, "v", (e, w) => shiftRm(e, w, f, kind, undefined), exact);
  row(`${name} r/m8, CL`, `d2 /${digit}`, 8, (e, w) => shiftRm(e, w, f, kind, e.gpr(RCX, 8)), loose);
  row(`${name} r/m, CL`, `d3 /${digit}`, "v", (e, w) => shiftRm(e, w, f, kind, e.gpr(RCX, 8)), loose);
  row(`${name} r/m8, imm8`, `c0 /${digit} ib`, 8, (e, w) => shiftRm(e, w, f, kind, e.imm(8)), counted);
  row(`${name} r/m, imm8`, `c1 /${digit} ib`, "v", (e, w) => shiftRm(e, w, f, kind, e.imm(8)), counted);
});

/**
 * SHLD and SHRD. A 16-bit operand shifted by more than 16 is undefined in the SDM; as on processors, the bits
 * then come from destination:source:destination.
 */
const double = (left: boolean): Shift => (e, w, a, count) => {
  const b = e.reg(w);
  if (w === 16) {
    const wide = (v: Value) => e.zeroExtend(16, 64, v);
    const middle = e.shl(64, wide(b), e.k(8, 16));
    const all = e.or(64, e.or(64, wide(a), middle), e.shl(64, wide(a), e.k(8, 32)));
    const down = left ? e.op("i32.sub", e.i32(32), count) : count;
    const result = e.truncate(64, 16, e.shrU(64, all, down));
    return {
      result,
      carry: () =>
        left
          ? bitAt(e, 64, all, e.op("i32.sub", e.i32(48), count))
          : bitAt(e, 64, all, e.op("i32.sub", count, e.i32(1))),
      overflow: () => e.sign(16, e.xor(16, result, a)),
    };
  }
  const other = e.op("i32.sub", e.i32(w), count);
  const result = left
    ? e.or(w, e.shl(w, a, count), e.shrU(w, b, other))
    : e.or(w, e.shrU(w, a, count), e.shl(w, b, other));
  return {
    result,
    carry: () => bitAt(e, w, a, left ? other : e.op("i32.sub", count, e.i32(1))),
    overflow: () => e.sign(w, e.xor(w, result, a)),
  };
};
const shiftDouble = (left: boolean, count: (e: Emit) => Value): Semantics => (e, w) =>
  shiftRm(e, w, double(left), "shift", count(e));
const undefinedDouble = { undefinedFlags: FLAG_AF | FLAG_OF };
const countedDouble = { ...undefinedDouble, shiftCount: true };
row("SHLD r/m, r, imm8", "0fa4 /r ib", "v", shiftDouble(true, (e) => e.imm(8)), countedDouble);
row("SHLD r/m, r, CL", "0fa5 /r", "v", shiftDouble(true, (e) => e.gpr(RCX, 8)), undefinedDouble);
row("SHRD r/m, r, imm8", "0fac /r ib", "v", shiftDouble(false, (e) => e.imm(8)), countedDouble);
row("SHRD r/m, r, CL", "0fad /r", "v", shiftDouble(false, (e) => e.gpr(RCX, 8)), undefinedDouble);
