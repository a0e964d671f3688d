// SPDX-License-Identifier: MIT
/**
 * Operand patterns: how the operands in the SDM's "Op/En" column are read and written around a semantic function.
 * A pattern loads, computes, stores, in that order, so that a semantic function cannot get the order wrong.
 * @module
 */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import type { Semantics } from "./row.ts";

/** result = f(first, second), flags included. */
export type Binary = (e: Emit, w: Width, a: Value, b: Value) => Value;
/** result = f(operand). */
export type Unary = (e: Emit, w: Width, a: Value) => Value;
/** Flags only. */
export type Compare = (e: Emit, w: Width, a: Value, b: Value) => void;

/** r/m, r: read and written. */
export const MR = (f: Binary): Semantics => (e, w) => {
  const b = e.reg(w);
  e.updateRm(w, (a) => f(e, w, a, b));
};
/** r, r/m: read and written. */
export const RM = (f: Binary): Semantics => (e, w) => {
  const b = e.rm(w);
  e.setReg(w, f(e, w, e.reg(w), b));
};
/** r/m, imm. */
export const MI = (f: Binary): Semantics => (e, w) => e.updateRm(w, (a) => f(e, w, a, e.imm(w)));
/** AL/eAX/rAX, imm. */
export const AI = (f: Binary): Semantics => (e, w) => e.setGpr(0, w, f(e, w, e.gpr(0, w), e.imm(w)));
/** r/m alone. */
export const M = (f: Unary): Semantics => (e, w) => e.updateRm(w, (a) => f(e, w, a));
/** The register in the opcode. */
export const O = (f: Unary): Semantics => (e, w) => e.setReg(w, f(e, w, e.reg(w)));
/** r/m, r: compared. */
export const compareMR = (f: Compare): Semantics => (e, w) => {
  const a = e.rm(w);
  f(e, w, a, e.reg(w));
};
/** r, r/m: compared. */
export const compareRM = (f: Compare): Semantics => (e, w) => {
  const b = e.rm(w);
  f(e, w, e.reg(w), b);
};
/** r/m, imm: compared. */
export const compareMI = (f: Compare): Semantics => (e, w) => f(e, w, e.rm(w), e.imm(w));
/** AL/eAX/rAX, imm: compared. */
export const compareAI = (f: Compare): Semantics => (e, w) => f(e, w, e.gpr(0, w), e.imm(w));
