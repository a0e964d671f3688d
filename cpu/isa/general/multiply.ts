// SPDX-License-Identifier: MIT
/** Multiplication and division: MUL IMUL DIV IDIV. SDM Vol. 2. @module */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { RAX, RDX } from "../../emit/emit.ts";
import { highSigned, highUnsigned, productFlags } from "../../emit/flags.ts";
import { EXC_DE, FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from "../../state/state.ts";
import { row, type Semantics } from "../row/row.ts";
import { flagAt, nonZero } from "../row/values.ts";

const undefinedFlags = FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF;
const undefinedByDivision = 0x8d5;
const AH = 4;

/** CF and OF say that the product needs its high half. The other flags follow the low half (undefined). */
function setProductFlags(e: Emit, w: Width, low: Value, overflow: () => Value): void {
  const aux = () => {
    const o = overflow();
    return e.or(32, flagAt(e, o, FLAG_CF), flagAt(e, o, FLAG_OF));
  };
  e.setFlags("result", w, low, aux);
}

/** rDX:rAX (AX for 8 bits) = rAX * r/m. */
const multiply = (signed: boolean): Semantics => (e, w) => {
  const b = e.rm(w), a = e.gpr(RAX, w);
  const extend = (to: Width, v: Value) => signed ? e.signExtend(w, to, v) : e.zeroExtend(w, to, v);
  if (w === 64) {
    const low = e.mul(64, a, b);
    const high = signed ? highSigned(e, a, b) : highUnsigned(e, a, b);
    e.setGpr(RAX, 64, low);
    e.setGpr(RDX, 64, high);
    setProductFlags(
      e,
      w,
      low,
      () => e.op("i64.ne", high, signed ? e.shrS(64, low, e.k(8, 63)) : e.i64(0)),
    );
    return;
  }
  const wide = w === 32 ? 64 : 32;
  const product = e.mul(wide, extend(wide, a), extend(wide, b));
  const low = e.truncate(wide, w, product);
  if (w === 8) e.setGpr(RAX, 16, e.truncate(32, 16, product));
  else {
    e.setGpr(RAX, w, low);
    e.setGpr(RDX, w, e.truncate(wide, w, e.shrU(wide, product, e.k(8, w))));
  }
  setProductFlags(e, w, low, () => e.op(`i${wide}.ne`, product, extend(wide, low)));
};
for (const [size, opcode] of [[8, "f6"], ["v", "f7"]] as const) {
  row("MUL r/m", `${opcode} /4`, size, multiply(false), { undefinedFlags });
  row("IMUL r/m", `${opcode} /5`, size, multiply(true), { undefinedFlags });
}

/** Truncating signed product with the flags. */
function imul(e: Emit, w: Width, a: Value, b: Value): void {
  const low = e.mul(w, a, b);
  e.setReg(w, low);
  if (w === 64) {
    const product = [a, b] as const;
    return e.setFlags("result", w, low, Object.assign(() => productFlags(e, a, b), { product }));
  }
  setProductFlags(e, w, low, () => {
    const product = e.mul(64, e.signExtend(w, 64, a), e.signExtend(w, 64, b));
    return e.op("i64.ne", product, e.signExtend(w, 64, low));
  });
}
row("IMUL r, r/m", "0faf /r", "v", (e, w) => {
  const b = e.rm(w);
  imul(e, w, e.reg(w), b);
}, { undefinedFlags });
row("IMUL r, r/m, imm32", "69 /r iz", "v", (e, w) => imul(e, w, e.rm(w), e.imm(w)), { undefinedFlags });
row("IMUL r, r/m, imm8", "6b /r ib", "v", (e, w) => imul(e, w, e.rm(w), e.imm(w)), { undefinedFlags });

// Division

function setQuotient(e: Emit, w: Width, quotient: Value, remainder: Value): void {
  e.setGpr(RAX, w, quotient);
  if (w === 8) e.setHighByte(AH, remainder);
  else e.setGpr(RDX, w, remainder);
}
/** The dividend AX, DX:AX or EDX:EAX as i64. */
function dividend(e: Emit, w: 8 | 16 | 32, signed: boolean): Value {
  if (w === 8) {
    const ax = e.gpr(RAX, 16);
    return signed ? e.signExtend(16, 64, ax) : e.zeroExtend(16, 64, ax);
  }
  const high = signed ? e.signExtend(w, 64, e.gpr(RDX, w)) : e.zeroExtend(w, 64, e.gpr(RDX, w));
  return e.or(64, e.shl(64, high, e.k(8, w)), e.zeroExtend(w, 64, e.gpr(RAX, w)));
}

/** 128 by 64 bits, unsigned, high < divisor: two digits of 32 bits, Knuth's algorithm D (TAOCP 4.3.1). */
function longDivision(e: Emit, high: Value, low: Value, divisor: Value): { q: Value; r: Value } {
  const k32 = e.k(8, 32);
  const upper = (v: Value) => e.shrU(64, v, k32), lower = (v: Value) => e.and(64, v, e.i64(0xffff_ffff));
  // Normalize: the divisor's top bit set. A shift by 64 - 0 is made of two.
  const shift = e.op("i32.wrap_i64", e.op("i64.clz", divisor));
  const d = e.shl(64, divisor, shift), d1 = upper(d), d0 = lower(d);
  const carried = e.shrU(64, e.shrU(64, low, e.k(8, 1)), e.op("i32.sub", e.i32(63), shift));
  const rest = e.or(64, e.shl(64, high, shift), carried), bits = e.shl(64, low, shift);
  /** One digit of the quotient, and the rest with `next` brought down. */
  const digit = (rest: Value, next: Value): { q: Value; rest: Value } => {
    let q = e.op("i64.div_u", rest, d1), r = e.op("i64.rem_u", rest, d1);
    // The estimate is at most 2 too big.
    for (let i = 0; i < 2; i++) {
      const large = e.ltU(64, e.i64(0xffff_ffff), q);
      const over = e.ltU(64, e.or(64, e.shl(64, r, k32), next), e.mul(64, q, d0));
      const small = e.eqz(64, upper(r));
      const fix = e.and(32, small, e.or(32, large, over));
      q = e.sub(64, q, e.zeroExtend(32, 64, fix));
      r = e.add(64, r, e.select(fix, d1, e.i64(0)));
    }
    return { q, rest: e.sub(64, e.or(64, e.shl(64, rest, k32), next), e.mul(64, q, d)) };
  };
  const first = digit(rest, upper(bits)), second = digit(first.rest, lower(bits));
  return { q: e.or(64, e.shl(64, first.q, k32), second.q), r: e.shrU(64, second.rest, shift) };
}

row("DIV r/m8", "f6 /6", 8, divide, { undefinedFlags: undefinedByDivision });
row("DIV r/m", "f7 /6", "v", divide, { undefinedFlags: undefinedByDivision });
function divide(e: Emit, w: Width): void {
  const divisor = e.rm(w);
  if (w === 64) {
    const high = e.gpr(RDX, 64), low = e.gpr(RAX, 64);
    e.faultIf(e.eqz(32, e.ltU(64, high, divisor)), EXC_DE); // also for a divisor of zero
    const q = e.variable(low), r = e.variable(low);
    e.if(nonZero(e, 64, high), () => {
      const long = longDivision(e, high, low, divisor);
      e.set(q, long.q);
      e.set(r, long.r);
    }, () => {
      e.set(q, e.op("i64.div_u", low, divisor));
      e.set(r, e.op("i64.rem_u", low, divisor));
    });
    return setQuotient(e, w, e.get(q), e.get(r));
  }
  const n = dividend(e, w, false), d = e.zeroExtend(w, 64, divisor);
  e.faultIf(e.eqz(32, e.ltU(64, e.shrU(64, n, e.k(8, w)), d)), EXC_DE);
  setQuotient(
    e,
    w,
    e.truncate(64, w, e.op("i64.div_u", n, d)),
    e.truncate(64, w, e.op("i64.rem_u", n, d)),
  );
}

const MOST_NEGATIVE = 1n << 63n;
/** #DE for a divisor of zero and for the one quotient WebAssembly traps on. */
function checkSigned(e: Emit, n: Value, d: Value): void {
  const traps = e.and(32, e.eq(64, n, e.i64(MOST_NEGATIVE)), e.eq(64, d, e.i64(-1)));
  e.faultIf(e.or(32, e.eqz(64, d), traps), EXC_DE);
}
row("IDIV r/m8", "f6 /7", 8, divideSigned, { undefinedFlags: undefinedByDivision });
row("IDIV r/m", "f7 /7", "v", divideSigned, { undefinedFlags: undefinedByDivision });
function divideSigned(e: Emit, w: Width): void {
  const divisor = e.rm(w);
  if (w !== 64) {
    const n = dividend(e, w, true), d = e.signExtend(w, 64, divisor);
    checkSigned(e, n, d);
    const q = e.op("i64.div_s", n, d);
    const quotient = e.truncate(64, w, q);
    e.faultIf(e.op("i64.ne", q, e.signExtend(w, 64, quotient)), EXC_DE);
    return setQuotient(e, w, quotient, e.truncate(64, w, e.op("i64.rem_s", n, d)));
  }
  const high = e.gpr(RDX, 64), low = e.gpr(RAX, 64);
  const q = e.variable(low), r = e.variable(low);
  e.if(e.eq(64, high, e.shrS(64, low, e.k(8, 63))), () => {
    checkSigned(e, low, divisor);
    e.set(q, e.op("i64.div_s", low, divisor));
    e.set(r, e.op("i64.rem_s", low, divisor));
  }, () => {
    // By magnitudes; signs afterwards.
    const negate = (v: Value) => e.sub(64, e.i64(0), v);
    const negative = e.sign(64, high), divisorNegative = e.sign(64, divisor);
    const borrow = e.zeroExtend(32, 64, nonZero(e, 64, low));
    const absHigh = e.select(negative, e.sub(64, negate(high), borrow), high);
    const absLow = e.select(negative, negate(low), low);
    const absDivisor = e.select(divisorNegative, negate(divisor), divisor);
    e.faultIf(e.eqz(32, e.ltU(64, absHigh, absDivisor)), EXC_DE);
    const long = longDivision(e, absHigh, absLow, absDivisor);
    const opposite = e.xor(32, negative, divisorNegative);
    // Up to 2^63 - 1, or 2^63 when the quotient is negative.
    const limit = e.add(64, e.i64(MOST_NEGATIVE - 1n), e.zeroExtend(32, 64, opposite));
    e.faultIf(e.ltU(64, limit, long.q), EXC_DE);
    e.set(q, e.select(opposite, negate(long.q), long.q));
    e.set(r, e.select(negative, negate(long.r), long.r));
  });
  setQuotient(e, w, e.get(q), e.get(r));
}
