// SPDX-License-Identifier: MIT
/** Decimal adjustment: DAA DAS AAA AAS AAM AAD, not in 64-bit mode. SDM Vol. 2. @module */
import type { Emit, Value } from "../../emit/emit.ts";
import { RAX } from "../../emit/emit.ts";
import { EXC_DE, FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from "../../state/state.ts";
import { row } from "../row/row.ts";
import { flagAt } from "../row/values.ts";

/** AF set, or the low digit above 9. */
function adjusts(e: Emit, al: Value): Value {
  const digit = e.and(32, al, e.i32(0xf));
  return e.or(32, e.bit(e.flagsImage(), 4), e.ltU(32, e.i32(9), digit));
}
function auxiliary(e: Emit, carry: Value, adjust: Value): Value {
  return e.or(32, flagAt(e, carry, FLAG_CF), flagAt(e, adjust, FLAG_AF));
}

/** DAA (add) and DAS (subtract) differ in the sign, and in that DAS keeps a borrow of its first step. */
const decimal = (subtract: boolean) => (e: Emit) => {
  const al = e.gpr(RAX, 8), carry = e.carry(), adjust = adjusts(e, al);
  const move = (a: Value, by: Value) => subtract ? e.sub(8, a, by) : e.add(8, a, by);
  const high = e.or(32, carry, e.ltU(32, e.i32(0x99), al));
  const low = e.select(adjust, e.i32(6), e.i32(0));
  const result = move(move(al, low), e.select(high, e.i32(0x60), e.i32(0)));
  const out = subtract ? e.or(32, high, e.ltU(32, al, low)) : high;
  e.setGpr(RAX, 8, result);
  e.setFlags("result", 8, result, auxiliary(e, out, adjust));
};
row("DAA", "no64 27", 8, decimal(false), { undefinedFlags: FLAG_OF });
row("DAS", "no64 2f", 8, decimal(true), { undefinedFlags: FLAG_OF });

const ascii = (subtract: boolean) => (e: Emit) => {
  const ax = e.gpr(RAX, 16), adjust = adjusts(e, e.gpr(RAX, 8));
  const by = e.select(adjust, e.i32(0x106), e.i32(0));
  const result = e.and(32, subtract ? e.sub(16, ax, by) : e.add(16, ax, by), e.i32(0xff0f));
  e.setGpr(RAX, 16, result);
  e.setFlags("result", 8, e.truncate(16, 8, result), auxiliary(e, adjust, adjust));
};
const undefinedByAscii = { undefinedFlags: FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF };
row("AAA", "no64 37", 8, ascii(false), undefinedByAscii);
row("AAS", "no64 3f", 8, ascii(true), undefinedByAscii);

const undefinedByScale = { undefinedFlags: FLAG_OF | FLAG_AF | FLAG_CF };
row("AAM imm8", "no64 d4 ub", 8, (e) => {
  const al = e.gpr(RAX, 8), base = e.imm(8);
  e.faultIf(e.eqz(8, base), EXC_DE);
  const low = e.op("i32.rem_u", al, base);
  e.setGpr(RAX, 16, e.or(32, low, e.shl(32, e.op("i32.div_u", al, base), e.k(8, 8))));
  e.setFlags("logic", 8, low);
}, undefinedByScale);
row("AAD imm8", "no64 d5 ub", 8, (e) => {
  const al = e.gpr(RAX, 8);
  const result = e.add(8, al, e.mul(8, e.highByte(4), e.imm(8)));
  e.setGpr(RAX, 16, result);
  e.setFlags("logic", 8, result);
}, undefinedByScale);
