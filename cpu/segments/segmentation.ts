// SPDX-License-Identifier: MIT
/**
 * Descriptors and segment registers: loads with their checks, LAR/LSL/VERR/VERW/ARPL, and addresses in segments
 * that are not flat. Rules: SDM Vol. 3A §3.4-3.5, §5.2-5.7; Vol. 2A, MOV (sreg), LLDT, LTR, LAR, LSL, VERR.
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import {
  attributesOf,
  baseOf,
  type Descriptor,
  dplOf,
  limitOf,
  SYS_LDT,
  SYS_TSS,
  SYS_TSS16,
  TYPE_ACCESSED,
  TYPE_CODE,
  TYPE_CONFORMING,
  TYPE_RW,
  withinLimit,
} from "../state/descriptor.ts";
import { IMPLICIT } from "../mmu/linear_memory.ts";
import { isCanonical } from "../mmu/mmu.ts";
import {
  CS,
  DS,
  EXC_GP,
  EXC_NP,
  EXC_SS,
  EXC_UD,
  LDTR,
  S,
  SEG_DB,
  SEG_G,
  SEG_P,
  SEG_S,
  SEG_UNUSABLE,
  segmentLayout,
  SS,
  TR,
} from "../state/state.ts";
import { VIRTUAL_8086_SEGMENT } from "./virtual_8086.ts";
import { DISPATCH, FAULT, NEXT, SHADOW, type Status } from "../state/status.ts";

/** Selector without RPL, as error codes carry it. */
export function selectorError(selector: number): number {
  return selector & 0xfffc;
}

/** The descriptor was read. */
export const READ_OK = 0;
/** The selector is outside its table: the caller picks the fault. */
export const READ_OUTSIDE = 1;
/** Reading the table faulted; recorded. */
export const READ_FAULT = 2;

/** Reads the descriptor of a selector that is not null. */
export function readDescriptor(core: CpuCore, selector: number, into: Descriptor, bytes = 8): number {
  const s = core.s;
  let lo: number, hi: number, limit: number;
  if ((selector & 4) !== 0) {
    if ((core.attributes(LDTR) & SEG_UNUSABLE) !== 0) return READ_OUTSIDE;
    const at = S.es + LDTR * segmentLayout.size;
    lo = s.get32(at);
    hi = s.get32(at + 4);
    limit = s.get32(at + segmentLayout.at.limit);
  } else {
    lo = s.get32(S.gdtrBase);
    hi = s.get32(S.gdtrBase + 4);
    limit = s.get32(S.gdtrLimit);
  }
  const offset = selector & 0xfff8;
  if (offset + bytes - 1 > limit) return READ_OUTSIDE;
  const sum = lo + offset;
  if (sum > 0xffff_ffff && core.longMode) hi = (hi + 1) >>> 0;
  into.addressLo = sum >>> 0;
  into.addressHi = hi;
  if (!core.mem.load(into.addressLo, hi, bytes, IMPLICIT)) return READ_FAULT;
  into.lo = core.mem.word(0);
  into.hi = core.mem.word(1);
  return READ_OK;
}

/** Reads a descriptor; outside the table is `vector`(selector). False: fault recorded. */
export function fetchDescriptor(
  core: CpuCore,
  selector: number,
  into: Descriptor,
  vector = EXC_GP,
  external = 0,
  bytes = 8,
): boolean {
  const r = readDescriptor(core, selector, into, bytes);
  if (r === READ_OUTSIDE) core.raise(vector, selectorError(selector) | external);
  return r === READ_OK;
}

/** Sets the accessed bit in the table when it is clear. False: fault recorded. */
export function markAccessed(core: CpuCore, d: Descriptor): boolean {
  if ((d.hi & (TYPE_ACCESSED << 8)) !== 0) return true;
  d.hi |= TYPE_ACCESSED << 8;
  return rewriteHigh(core, d);
}

/** Writes back the high dword of a descriptor. False: fault recorded. */
export function rewriteHigh(core: CpuCore, d: Descriptor): boolean {
  const lo = d.addressLo + 4;
  return core.mem.write(lo >>> 0, (d.addressHi + (lo > 0xffff_ffff ? 1 : 0)) >>> 0, 4, d.hi, IMPLICIT);
}

/** Loads the hidden part from a checked code or data descriptor. */
export function setFromDescriptor(core: CpuCore, index: number, selector: number, d: Descriptor): void {
  core.setSegment(index, selector, baseOf(d), 0, limitOf(d), attributesOf(d));
}

/** Real-address and virtual-8086 mode: base from the selector; in real mode the limit stays. */
export function setRealSegment(core: CpuCore, index: number, selector: number): void {
  const at = S.es + index * segmentLayout.size;
  const kind = core.virtual8086 ? VIRTUAL_8086_SEGMENT : index === CS ? 0x9b : 0x93;
  const attributes = (core.attributes(index) & (SEG_DB | SEG_G)) | kind;
  core.setSegment(index, selector, selector * 16, 0, core.s.get32(at + segmentLayout.at.limit), attributes);
}

/** An unusable segment register. */
export function setNullSegment(core: CpuCore, index: number, selector: number, dpl = 0): void {
  core.setSegment(index, selector, 0, 0, 0, SEG_UNUSABLE | (dpl << 5));
}

/** A null selector for ES, DS, FS or GS: Intel's processors clear base and limit, AMD's leave them (APM Vol. 2 §4.5.3). */
function loadNull(core: CpuCore, index: number, selector: number): void {
  if (core.vendor !== "AuthenticAMD") return setNullSegment(core, index, selector);
  const at = S.es + index * segmentLayout.size, { base, limit } = segmentLayout.at;
  const [lo, hi] = [core.s.get32(at + base), core.s.get32(at + base + 4)];
  core.setSegment(index, selector, lo, hi, core.s.get32(at + limit), SEG_UNUSABLE);
}

/** Makes a checked CS current at privilege `cpl`. The caller calls updateMode. */
export function setCode(core: CpuCore, selector: number, cpl: number, d: Descriptor): void {
  setFromDescriptor(core, CS, (selector & ~3) | cpl, d);
  core.setCpl(cpl);
}

/** Loads ES, SS, DS, FS or GS without looking at modes afterwards. False: fault recorded, nothing changed. */
export function loadDataSegment(core: CpuCore, index: number, selector: number): boolean {
  if (!core.protectedMode) {
    setRealSegment(core, index, selector);
    return true;
  }
  const cpl = core.cpl, rpl = selector & 3;
  if ((selector & 0xfffc) === 0) {
    if (index === SS && (core.codeBits !== 64 || cpl === 3 || rpl !== cpl)) {
      core.raise(EXC_GP, 0);
      return false;
    }
    if (index === SS) setNullSegment(core, SS, selector, cpl);
    else loadNull(core, index, selector);
    return true;
  }
  const d = core.scratch.data;
  if (!fetchDescriptor(core, selector, d)) return false;
  const ar = attributesOf(d), dpl = dplOf(ar), type = ar & 0xf;
  const error = selectorError(selector);
  let ok: boolean;
  if (index === SS) {
    ok = (ar & SEG_S) !== 0 && (type & (TYPE_CODE | TYPE_RW)) === TYPE_RW && rpl === cpl && dpl === cpl;
  } else {
    const code = (type & TYPE_CODE) !== 0;
    ok = (ar & SEG_S) !== 0 && (!code || (type & TYPE_RW) !== 0) &&
      ((code && (type & TYPE_CONFORMING) !== 0) || (rpl <= dpl && cpl <= dpl));
  }
  if (!ok) {
    core.raise(EXC_GP, error);
    return false;
  }
  if ((ar & SEG_P) === 0) {
    core.raise(index === SS ? EXC_SS : EXC_NP, error);
    return false;
  }
  if (!markAccessed(core, d)) return false;
  setFromDescriptor(core, index, selector, d);
  return true;
}

/** MOV and POP to a segment register. DISPATCH (SS: SHADOW) when the mode of the code changed with it. */
export function loadSegment(core: CpuCore, rec: number, index: number, selector: number): Status {
  if (index === CS || index > 5) return core.raise(EXC_UD);
  if (!loadDataSegment(core, index, selector & 0xffff)) return FAULT;
  if (index > DS || !core.updateMode()) return NEXT;
  core.setRipBehind(rec);
  return index === SS ? SHADOW : DISPATCH;
}

/** True, or #UD / #GP(0) recorded: LLDT, LTR need protected mode and CPL 0. */
function systemAllowed(core: CpuCore): boolean {
  if (!core.protectedMode) core.raise(EXC_UD);
  else if (core.cpl !== 0) core.raise(EXC_GP, 0);
  else return true;
  return false;
}

/** Reads a system descriptor, 16 bytes in long mode; the upper base comes back through core.mem.hi. */
function fetchSystem(core: CpuCore, selector: number, d: Descriptor): boolean {
  const long = core.longMode;
  if ((selector & 4) !== 0) {
    core.raise(EXC_GP, selectorError(selector));
    return false;
  }
  if (!fetchDescriptor(core, selector, d, EXC_GP, 0, long ? 16 : 8)) return false;
  core.mem.hi = long ? core.mem.word(2) : 0;
  if (long && (core.mem.word(3) & 0x1f00) !== 0) {
    core.raise(EXC_GP, selectorError(selector));
    return false;
  }
  return true;
}

/** LLDT. */
export function lldt(core: CpuCore, selector: number): Status {
  selector &= 0xffff;
  if (!systemAllowed(core)) return FAULT;
  if ((selector & 0xfffc) === 0) {
    setNullSegment(core, LDTR, selector);
    return NEXT;
  }
  const d = core.scratch.data;
  if (!fetchSystem(core, selector, d)) return FAULT;
  const baseHi = core.mem.hi, ar = attributesOf(d);
  if ((ar & 0x1f) !== SYS_LDT) return core.raise(EXC_GP, selectorError(selector));
  if ((ar & SEG_P) === 0) return core.raise(EXC_NP, selectorError(selector));
  if (!isCanonical(baseHi)) return core.raise(EXC_GP, selectorError(selector));
  core.setSegment(LDTR, selector, baseOf(d), baseHi, limitOf(d), ar);
  return NEXT;
}

/** LTR. */
export function ltr(core: CpuCore, selector: number): Status {
  selector &= 0xffff;
  if (!systemAllowed(core)) return FAULT;
  if ((selector & 0xfffc) === 0) return core.raise(EXC_GP, 0);
  const d = core.scratch.data;
  if (!fetchSystem(core, selector, d)) return FAULT;
  const baseHi = core.mem.hi, type = attributesOf(d) & 0x1f;
  if (type !== SYS_TSS && (type !== SYS_TSS16 || core.longMode)) {
    return core.raise(EXC_GP, selectorError(selector));
  }
  if ((attributesOf(d) & SEG_P) === 0) return core.raise(EXC_NP, selectorError(selector));
  if (!isCanonical(baseHi)) return core.raise(EXC_GP, selectorError(selector));
  d.hi |= 2 << 8; // busy
  if (!rewriteHigh(core, d)) return FAULT;
  core.setSegment(TR, selector, baseOf(d), baseHi, limitOf(d), attributesOf(d));
  return NEXT;
}

/** Descriptor types LAR and LSL accept, as bit masks over the type of a system descriptor. */
const LAR_LEGACY = 0b0001_1010_0011_1110, LAR_LONG = 0b0001_1010_0000_0100;
const LSL_LEGACY = 0b0000_1010_0000_1110, LSL_LONG = 0b0000_1010_0000_0100;

/** Descriptor visible to LAR, LSL, VERR, VERW at the current privilege; 1 yes, 0 no, -1 fault recorded. */
function visible(core: CpuCore, selector: number, systemTypes: number, d: Descriptor): number {
  if (!core.protectedMode) {
    core.raise(EXC_UD);
    return -1;
  }
  if ((selector & 0xfffc) === 0) return 0;
  const r = readDescriptor(core, selector, d);
  if (r !== READ_OK) return r === READ_FAULT ? -1 : 0;
  const ar = attributesOf(d);
  if ((ar & SEG_S) === 0) {
    if (((systemTypes >> (ar & 0xf)) & 1) === 0) return 0;
  } else if ((ar & (TYPE_CODE | TYPE_CONFORMING)) === (TYPE_CODE | TYPE_CONFORMING)) return 1;
  const dpl = dplOf(ar);
  return core.cpl <= dpl && (selector & 3) <= dpl ? 1 : 0;
}

/** Result 0 and ZF (result 1). */
function answer(core: CpuCore, value: number, zf: boolean): Status {
  core.s.setResult(BigInt(value), 0);
  core.s.setResult(zf ? 1n : 0n, 1);
  return NEXT;
}

/** LAR: access rights, ZF. */
export function lar(core: CpuCore, selector: number): Status {
  const d = core.scratch.data;
  const v = visible(core, selector & 0xffff, core.longMode ? LAR_LONG : LAR_LEGACY, d);
  if (v < 0) return FAULT;
  // Bits 19:16, which the SDM leaves undefined, are the descriptor's on Intel's and AMD's processors.
  return answer(core, v === 1 ? d.hi & 0x00ff_ff00 : 0, v === 1);
}

/** LSL: limit, ZF. */
export function lsl(core: CpuCore, selector: number): Status {
  const d = core.scratch.data;
  const v = visible(core, selector & 0xffff, core.longMode ? LSL_LONG : LSL_LEGACY, d);
  if (v < 0) return FAULT;
  return answer(core, v === 1 ? limitOf(d) : 0, v === 1);
}

/** VERR, VERW: ZF. */
export function verify(core: CpuCore, selector: number, write: boolean): Status {
  const d = core.scratch.data;
  const v = visible(core, selector & 0xffff, 0, d);
  if (v < 0) return FAULT;
  const type = attributesOf(d) & 0xf;
  const code = (type & TYPE_CODE) !== 0, rw = (type & TYPE_RW) !== 0;
  return answer(core, 0, v === 1 && (write ? !code && rw : !code || rw));
}

/**
 * Linear address of an access outside 64-bit code, with every check of SDM Vol. 3A §5.3-5.4; -1 with #GP(0) or
 * #SS(0) recorded. The result is a u32 (0xffff_ffff is an address, not the fault).
 */
export function linearAddress(
  core: CpuCore,
  index: number,
  offset: number,
  size: number,
  write: boolean,
): number {
  const at = S.es + index * segmentLayout.size, s = core.s;
  const attributes = s.get32(at + segmentLayout.at.attributes);
  const code = (attributes & TYPE_CODE) !== 0, rw = (attributes & TYPE_RW) !== 0;
  const allowed = (attributes & SEG_UNUSABLE) === 0 &&
    (write ? (!code && rw) || !core.protectedMode : !code || rw || !core.protectedMode);
  if (!allowed || !withinLimit(attributes, s.get32(at + segmentLayout.at.limit), offset >>> 0, size)) {
    core.raise(index === SS ? EXC_SS : EXC_GP, 0);
    return -1;
  }
  return (s.get32(at) + offset) >>> 0;
}

/** For emitted code outside 64-bit mode: the offset in S.memAddr becomes a linear address, checked. */
export function segmentedAccess(
  core: CpuCore,
  index: number,
  size: number,
  write: boolean,
): 0 | typeof FAULT {
  const s = core.s;
  const linear = linearAddress(core, index, s.get32(S.memAddr), size, write);
  if (linear < 0) return FAULT;
  s.set32(S.memAddr, linear);
  s.set32(S.memAddr + 4, 0);
  return 0;
}
