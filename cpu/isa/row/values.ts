// SPDX-License-Identifier: MIT
/** Small compositions over Emit that several row files need. @module */
import type { Address, Emit, Value, Width } from "../../emit/emit.ts";
import { RSP } from "../../emit/emit.ts";
import { S, segmentLayout, SS } from "../../state/state.ts";

/** A general register as i64, cut to `w`. */
export function gprWide(e: Emit, index: number, w: Width): Value {
  return e.zeroExtend(w, 64, e.gpr(index, w));
}
/** Writes the low `w` bits of an i64 to a general register. */
export function setGprWide(e: Emit, index: number, w: Width, value: Value): void {
  e.setGpr(index, w, e.truncate(64, w, value));
}
/** 1 when `a` is not zero. */
export function nonZero(e: Emit, w: Width, a: Value): Value {
  return w === 64 ? e.op("i64.ne", a, e.i64(0)) : e.op("i32.ne", a, e.i32(0));
}
/** A flag (0 or 1) at its place in EFLAGS. */
export function flagAt(e: Emit, flag: Value, mask: number): Value {
  return e.shl(32, flag, e.k(8, 31 - Math.clz32(mask)));
}
/** 1 when some bit of `mask` is set in EFLAGS (not the arithmetic ones). */
export function eflagsAny(e: Emit, mask: number): Value {
  return e.op("i32.ne", e.and(32, e.state32(S.eflags), e.i32(mask)), e.i32(0));
}
/** Selector of segment register `index`: i32. */
export function selector(e: Emit, index: number): Value {
  return e.state32(S.es + index * segmentLayout.size + segmentLayout.at.selector);
}
/** The low bits of an i64 that an address (or stack pointer) of `bits` has. */
export function wrap(e: Emit, bits: 16 | 32 | 64, value: Value): Value {
  return bits === 64 ? value : e.and(64, value, e.i64(bits === 32 ? 0xffff_ffff : 0xffff));
}
/** The stack pointer as i64, cut to the stack's width. */
export function stackPointer(e: Emit): Value {
  return wrap(e, e.form.stackBits, e.gpr(RSP, 64));
}
/** Sets the stack pointer at the stack's width. */
export function setStackPointer(e: Emit, value: Value): void {
  setGprWide(e, RSP, e.form.stackBits, value);
}
/** The stack operand at `pointer` (i64, wrapped to the stack's width). */
export function stackAddress(e: Emit, pointer: Value): Address {
  return e.segmentAddress(SS, wrap(e, e.form.stackBits, pointer));
}
/** 1 when bits 63:47 of an address differ. */
export function isNotCanonical(e: Emit, address: Value<"i64">): Value<"i32"> {
  return e.op("i64.gt_u", e.op("i64.add", e.op("i64.shr_s", address, e.i64(47)), e.i64(1)), e.i64(1));
}
