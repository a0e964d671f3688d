// SPDX-License-Identifier: MIT
/** Binary integer arithmetic and logic: ADD OR ADC SBB ADCX ADOX AND SUB XOR CMP TEST INC DEC NEG NOT. SDM Vol. 2. @module */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import {
  AI,
  type Binary,
  type Compare,
  compareAI,
  compareMI,
  compareMR,
  compareRM,
  M,
  MI,
  MR,
  O,
  RM,
  type Unary,
} from "../row/patterns.ts";
import { FLAG_CF, FLAG_OF } from "../../state/state.ts";
import { row } from "../row/row.ts";
import { flagAt } from "../row/values.ts";

/** The condition that OF is set. */
const CONDITION_O = 0;

const add: Binary = (e, w, a, b) => {
  const r = e.add(w, a, b);
  e.setFlags("add", w, r, a, b);
  return r;
};
const sub: Binary = (e, w, a, b) => {
  const r = e.sub(w, a, b);
  e.setFlags("sub", w, r, a, b);
  return r;
};
/** Carries out of every bit of a + b (+ carry) = r. */
function carries(e: Emit, w: Width, a: Value, b: Value, r: Value): Value {
  return e.or(w, e.and(w, a, b), e.and(w, e.or(w, a, b), e.not(w, r)));
}
const adc: Binary = (e, w, a, b) => {
  const r = e.add(w, e.add(w, a, b), e.zeroExtend(8, w, e.carry()));
  e.setFlags("carry", w, r, () => carries(e, w, a, b, r));
  return r;
};
const sbb: Binary = (e, w, a, b) => {
  const r = e.sub(w, e.sub(w, a, b), e.zeroExtend(8, w, e.carry()));
  e.setFlags("borrow", w, r, () => carries(e, w, e.not(w, a), b, e.not(w, r)));
  return r;
};
const logic = (name: "and" | "or" | "xor"): Binary => (e, w, a, b) => {
  const r = e[name](w, a, b);
  e.setFlags("logic", w, r);
  return r;
};
const cmp: Compare = (e, w, a, b) => e.setFlags("sub", w, e.sub(w, a, b), a, b);
const test: Compare = (e, w, a, b) => e.setFlags("logic", w, e.and(w, a, b));
const inc: Unary = (e, w, a) => {
  const r = e.add(w, a, e.k(w, 1));
  e.setFlags("inc", w, r);
  return r;
};
const dec: Unary = (e, w, a) => {
  const r = e.sub(w, a, e.k(w, 1));
  e.setFlags("dec", w, r);
  return r;
};
const neg: Unary = (e, w, a) => {
  const zero = e.k(w, 0);
  const r = e.sub(w, zero, a);
  e.setFlags("sub", w, r, zero, a);
  return r;
};
const not: Unary = (e, w, a) => e.not(w, a);

const hex = (n: number) => n.toString(16).padStart(2, "0");
const GROUP: readonly (readonly [string, Binary])[] = [
  ["ADD", add],
  ["OR", logic("or")],
  ["ADC", adc],
  ["SBB", sbb],
  ["AND", logic("and")],
  ["SUB", sub],
  ["XOR", logic("xor")],
];
const lockable = { lockable: true };
GROUP.forEach(([name, f], i) => {
  row(`${name} r/m8, r8`, `${hex(i * 8)} /r`, 8, MR(f), lockable);
  row(`${name} r/m, r`, `${hex(i * 8 + 1)} /r`, "v", MR(f), lockable);
  row(`${name} r8, r/m8`, `${hex(i * 8 + 2)} /r`, 8, RM(f));
  row(`${name} r, r/m`, `${hex(i * 8 + 3)} /r`, "v", RM(f));
  row(`${name} AL, imm8`, `${hex(i * 8 + 4)} ib`, 8, AI(f));
  row(`${name} rAX, imm32`, `${hex(i * 8 + 5)} iz`, "v", AI(f));
  row(`${name} r/m8, imm8`, `80 /${i} ib`, 8, MI(f), lockable);
  row(`${name} r/m, imm32`, `81 /${i} iz`, "v", MI(f), lockable);
  row(`${name} r/m8, imm8`, `no64 82 /${i} ib`, 8, MI(f), lockable);
  row(`${name} r/m, imm8`, `83 /${i} ib`, "v", MI(f), lockable);
});
// ADX: two chains of carries at a time
row("ADCX r, r/m", "66 0f38f6 /r", "y", (e, w) => {
  const a = e.reg(w), b = e.rm(w);
  const r = e.add(w, e.add(w, a, b), e.zeroExtend(8, w, e.carry()));
  e.setReg(w, r);
  e.setFlagsPart(FLAG_CF, flagAt(e, e.sign(w, carries(e, w, a, b, r)), FLAG_CF));
}, { needs: "adx" });
row("ADOX r, r/m", "f3 0f38f6 /r", "y", (e, w) => {
  const a = e.reg(w), b = e.rm(w);
  const r = e.add(w, e.add(w, a, b), e.zeroExtend(8, w, e.condition(CONDITION_O)));
  e.setReg(w, r);
  e.setFlagsPart(FLAG_OF, flagAt(e, e.sign(w, carries(e, w, a, b, r)), FLAG_OF));
}, { needs: "adx" });
row("CMP r/m8, r8", "38 /r", 8, compareMR(cmp));
row("CMP r/m, r", "39 /r", "v", compareMR(cmp));
row("CMP r8, r/m8", "3a /r", 8, compareRM(cmp));
row("CMP r, r/m", "3b /r", "v", compareRM(cmp));
row("CMP AL, imm8", "3c ib", 8, compareAI(cmp));
row("CMP rAX, imm32", "3d iz", "v", compareAI(cmp));
row("CMP r/m8, imm8", "80 /7 ib", 8, compareMI(cmp));
row("CMP r/m, imm32", "81 /7 iz", "v", compareMI(cmp));
row("CMP r/m8, imm8", "no64 82 /7 ib", 8, compareMI(cmp));
row("CMP r/m, imm8", "83 /7 ib", "v", compareMI(cmp));
row("TEST r/m8, r8", "84 /r", 8, compareMR(test));
row("TEST r/m, r", "85 /r", "v", compareMR(test));
row("TEST AL, imm8", "a8 ib", 8, compareAI(test));
row("TEST rAX, imm32", "a9 iz", "v", compareAI(test));
for (const digit of [0, 1]) {
  row("TEST r/m8, imm8", `f6 /${digit} ib`, 8, compareMI(test));
  row("TEST r/m, imm32", `f7 /${digit} iz`, "v", compareMI(test));
}
row("INC r/m8", "fe /0", 8, M(inc), lockable);
row("INC r/m", "ff /0", "v", M(inc), lockable);
row("DEC r/m8", "fe /1", 8, M(dec), lockable);
row("DEC r/m", "ff /1", "v", M(dec), lockable);
row("INC r", "no64 40+r", "v", O(inc));
row("DEC r", "no64 48+r", "v", O(dec));
row("NOT r/m8", "f6 /2", 8, M(not), lockable);
row("NOT r/m", "f7 /2", "v", M(not), lockable);
row("NEG r/m8", "f6 /3", 8, M(neg), lockable);
row("NEG r/m", "f7 /3", "v", M(neg), lockable);
