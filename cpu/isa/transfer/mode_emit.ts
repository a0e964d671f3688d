// SPDX-License-Identifier: MIT
/**
 * Privilege and mode in emitted code: what transfers between flat code at privileges 0 and 3 look at and change. What
 * follows from it in the state block is as Registers.updateMode leaves it.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import { DR7_ENABLES } from "../../state/breakpoints.ts";
import {
  MODE_CODE,
  MODE_SEGMENTED,
  MODE_STACK_WIDE,
  MODE_TF,
  MODE_USER,
  modeKeyOf,
} from "../../state/registers.ts";
import {
  ARITHMETIC_FLAGS,
  ATTENTION_INTERRUPT,
  ATTENTION_NMI_BLOCKED,
  CR4_SMAP,
  FLAG_AC,
  FLAG_RF,
  FLAG_VM,
  S,
  SYSTEM_FLAGS,
  TLB_BASE,
  TLB_BYTES,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_SUPERVISOR_AC,
  TLB_MODE_USER,
} from "../../state/state.ts";
import { nonZero } from "../row/values.ts";

type Int = Value<"i32">;

const MODE = S.modeKey + 4;
const keyOf = (bits: 32 | 64, user: boolean) =>
  modeKeyOf((bits === 64 ? 2 : 1) | MODE_STACK_WIDE | (user ? MODE_USER : 0));
/** The bits that matter; others say which instructions trap. */
const LOOKED_AT = modeKeyOf(MODE_CODE | MODE_STACK_WIDE | MODE_USER | MODE_TF | MODE_SEGMENTED);
/** What EFLAGS keeps besides the arithmetic flags. */
const KEPT = SYSTEM_FLAGS & ~(FLAG_RF | FLAG_VM);
const SUPERVISOR = TLB_BASE + TLB_MODE_SUPERVISOR * TLB_BYTES;
const SUPERVISOR_AC = TLB_BASE + TLB_MODE_SUPERVISOR_AC * TLB_BYTES;
const USER = TLB_BASE + TLB_MODE_USER * TLB_BYTES;

/** Whether all bits of `mask` are clear. */
export const clear = (e: Emit, value: Int, mask: number): Int => e.eqz(32, e.and(32, value, e.i32(mask)));

/** Flat code of `bits` runs at privilege 0 (1 and 2 look the same) or 3, without TF, breakpoints and the like. */
export const modeIs = (e: Emit, bits: 32 | 64, cpl: 0 | 3): Int =>
  e.eq(32, e.and(32, e.state32(MODE), e.i32(LOOKED_AT)), e.i32(keyOf(bits, cpl === 3)));
/** No NMI is blocked, and no interrupt can be due. */
export const undisturbed = (e: Emit): Int =>
  clear(e, e.state32(S.attention), ATTENTION_INTERRUPT | ATTENTION_NMI_BLOCKED);

/** RF of a frame need not be kept: it is clear, or there is no breakpoint, not for data either, to which it matters. */
export const dropsRf = (e: Emit, image: Int): Int =>
  e.or(32, clear(e, image, FLAG_RF), clear(e, e.state32(S.dr + 7 * 8), DR7_ENABLES));

/** EFLAGS as privilege 0 may set them. */
export function setFlags(e: Emit, flags: Int): void {
  e.setFlagsImage(e.and(32, flags, e.i32(ARITHMETIC_FLAGS)));
  e.setState32(S.eflags, e.or(32, e.and(32, flags, e.i32(KEPT)), e.i32(2)));
}
/** From flat code of `from` bits to flat code of `to` bits at privilege 3; AC is clear. */
export function toUser(e: Emit, from: 32 | 64, to: 32 | 64): void {
  setMode(e, from, to, 3);
  e.setTlbBase(e.i32(USER));
}
/** The same to privilege 0; `flags`: EFLAGS there, with AC clear if there are none. */
export function toKernel(e: Emit, from: 32 | 64, to: 32 | 64, flags?: Int): void {
  setMode(e, from, to, 0);
  if (flags === undefined) return e.setTlbBase(e.i32(SUPERVISOR));
  const smap = nonZero(e, 32, e.and(32, e.state32(S.cr4), e.i32(CR4_SMAP)));
  const access = nonZero(e, 32, e.and(32, flags, e.i32(FLAG_AC)));
  e.setTlbBase(e.select(e.and(32, smap, access), e.i32(SUPERVISOR_AC), e.i32(SUPERVISOR)));
}
function setMode(e: Emit, from: 32 | 64, to: 32 | 64, cpl: 0 | 3): void {
  e.setState32(S.cpl, e.i32(cpl));
  const others = e.and(32, e.state32(MODE), e.i32(~LOOKED_AT));
  e.setState32(MODE, e.or(32, others, e.i32(keyOf(to, cpl === 3))));
  if (from === to) return;
  const mask = e.i64(to === 64 ? -1 : 0xffff_ffff);
  e.setState32(S.codeBits, e.i32(to));
  e.setState64(S.stackMask, mask);
  e.setState64(S.codeMask, mask);
}
