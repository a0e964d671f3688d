// SPDX-License-Identifier: MIT
/** Bit tests and scans: BT BTS BTR BTC BSF BSR TZCNT LZCNT POPCNT. SDM Vol. 2. @module */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from "../../state/state.ts";
import { row } from "../row/row.ts";
import { flagAt } from "../row/values.ts";

const undefinedFlags = FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF;
const LOG: { readonly [W in Width]: number } = { 8: 3, 16: 4, 32: 5, 64: 6 };

/** What becomes of the operand given the bit's mask; undefined: it is only tested. */
type Change = ((e: Emit, w: Width, a: Value, mask: Value) => Value) | undefined;

/** `offset`: the register operand, which in memory reaches beyond r/m; undefined: an immediate. */
function bitTest(e: Emit, w: Width, change: Change, offset: Value | undefined): void {
  const low = offset === undefined ? e.imm(8) : e.truncate(w, 8, offset);
  const n = e.and(32, low, e.i32(w - 1));
  const test = (a: Value) => e.setFlagsPart(FLAG_CF, e.and(32, e.truncate(w, 8, e.shrU(w, a, n)), e.i32(1)));
  const changed = (a: Value): Value => change === undefined ? a : change(e, w, a, e.shl(w, e.k(w, 1), n));
  if (!e.form.isMemory) {
    const a = e.rm(w);
    if (change !== undefined) e.setRm(w, changed(a));
    return test(a);
  }
  let address = e.address();
  if (offset !== undefined) {
    const units = e.shrS(64, e.signExtend(w, 64, offset), e.k(8, LOG[w]));
    address = e.offsetBy(address, e.shl(64, units, e.k(8, LOG[w] - 3)));
  }
  if (change === undefined) return test(e.load(w, address));
  const access = e.loadForUpdate(w, address);
  access.store(changed(access.value));
  test(access.value);
}

const OPERATIONS: readonly (readonly [string, number, number, Change])[] = [
  ["BT", 0xa3, 4, undefined],
  ["BTS", 0xab, 5, (e, w, a, mask) => e.or(w, a, mask)],
  ["BTR", 0xb3, 6, (e, w, a, mask) => e.and(w, a, e.not(w, mask))],
  ["BTC", 0xbb, 7, (e, w, a, mask) => e.xor(w, a, mask)],
];
for (const [name, opcode, digit, change] of OPERATIONS) {
  const options = { undefinedFlags, lockable: change !== undefined };
  const hex = opcode.toString(16);
  row(`${name} r/m, r`, `0f${hex} /r`, "v", (e, w) => bitTest(e, w, change, e.reg(w)), options);
  row(`${name} r/m, imm8`, `0fba /${digit} ib`, "v", (e, w) => bitTest(e, w, change, undefined), options);
}

// The destination stays when the source is zero: processors do so, and Linux relies on it. Without BMI1 and ABM, F3
// means nothing here.
const scan = (reverse: boolean) => (e: Emit, w: Width) => {
  const a = e.rm(w);
  const wide = e.zeroExtend(w, 64, a);
  const n = reverse ? e.sub(64, e.i64(63), e.op("i64.clz", wide)) : e.op("i64.ctz", wide);
  e.if(e.eqz(32, e.eqz(w, a)), () => e.setReg(w, e.truncate(64, w, n)));
  e.setFlags("logic", w, a);
};
const undefinedByScan = { undefinedFlags: undefinedFlags | FLAG_CF };
row("BSF r, r/m", "0fbc /r", "v", scan(false), undefinedByScan);
row("BSR r, r/m", "0fbd /r", "v", scan(true), undefinedByScan);
/** Zeros at one end; all of the width when there are no ones. */
const count = (leading: boolean) => (e: Emit, w: Width) => {
  const a = e.rm(w);
  const wide = e.zeroExtend(w, 64, a);
  const n = leading
    ? e.sub(64, e.op("i64.clz", wide), e.i64(64 - w))
    : e.op("i64.ctz", w === 64 ? wide : e.or(64, wide, e.i64(1n << BigInt(w))));
  e.setReg(w, e.truncate(64, w, n));
  e.setFlagsImage(e.or(32, flagAt(e, e.eqz(w, a), FLAG_CF), flagAt(e, e.eqz(64, n), FLAG_ZF)));
};
row("TZCNT r, r/m", "f3 0fbc /r", "v", count(false), { undefinedFlags, needs: "bmi1" });
row("LZCNT r, r/m", "f3 0fbd /r", "v", count(true), { undefinedFlags, needs: "abm" });
row("POPCNT r, r/m", "f3 0fb8 /r", "v", (e, w) => {
  const a = e.rm(w);
  e.setReg(w, w === 64 ? e.op("i64.popcnt", a) : e.op("i32.popcnt", a));
  e.setFlagsImage(flagAt(e, e.eqz(w, a), FLAG_ZF));
}, { needs: "popcnt" });
