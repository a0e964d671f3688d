// SPDX-License-Identifier: MIT
/**
 * Far JMP, CALL and RET: direct, through call gates, to TSSs. Rules: SDM Vol. 3A §5.8, Vol. 2A JMP, CALL, RET.
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import { IMPLICIT } from "../mmu/linear_memory.ts";
import { isCanonical } from "../mmu/mmu.ts";
import {
  attributesOf,
  type Descriptor,
  dplOf,
  limitOf,
  SYS_CALL,
  SYS_CALL16,
  SYS_TASK_GATE,
  TYPE_CODE,
  TYPE_CONFORMING,
} from "../state/descriptor.ts";
import {
  fetchDescriptor,
  markAccessed,
  setCode,
  setFromDescriptor,
  setNullSegment,
  setRealSegment,
} from "./segmentation.ts";
import type { Stack } from "../core/stack.ts";
import { deliverFault } from "./exceptions.ts";
import { readLegacyTssStack, readLongTssStack } from "./tss.ts";
import { isAvailableTss, TASK_CALL, TASK_DONE, TASK_FAULT, TASK_JMP, taskSwitch } from "./task_switch.ts";
import {
  CS,
  DS,
  ES,
  EXC_GP,
  EXC_NP,
  EXC_SS,
  FS,
  GS,
  S,
  SEG_DB,
  SEG_L,
  SEG_P,
  SEG_S,
  SEG_UNUSABLE,
  segmentLayout,
  SS,
} from "../state/state.ts";
import { DISPATCH, FAULT, type Status } from "../state/status.ts";

/** Offset valid in the code segment `d` (which may be 64-bit)? Else #GP(0) recorded. */
export function checkTarget(core: CpuCore, d: Descriptor, lo: number, hi: number): boolean {
  const long = core.longMode && (attributesOf(d) & SEG_L) !== 0;
  if (long ? isCanonical(hi) : lo <= limitOf(d)) return true;
  core.raise(EXC_GP, 0);
  return false;
}

/** L and D both set in long mode is reserved. */
export function isBadLongCode(core: CpuCore, ar: number): boolean {
  return core.longMode && (ar & (SEG_L | SEG_DB)) === (SEG_L | SEG_DB);
}

function enter(core: CpuCore, selector: number, cpl: number, lo: number, hi: number): Status {
  setCode(core, selector, cpl, core.scratch.code);
  core.updateMode();
  core.setRip(lo, core.codeBits === 64 ? hi : 0);
  return DISPATCH;
}

/** Far JMP. */
export function farJump(core: CpuCore, rec: number, opBytes: number, selector: number): Status {
  return transfer(core, rec, opBytes, selector & 0xffff, false);
}

/** Far CALL. */
export function farCall(core: CpuCore, rec: number, opBytes: number, selector: number): Status {
  return transfer(core, rec, opBytes, selector & 0xffff, true);
}

function transfer(core: CpuCore, rec: number, opBytes: number, selector: number, call: boolean): Status {
  // The offset is argument 2, cut to the operand size.
  const lo = opBytes === 2 ? core.s.get32(S.arg + 16) & 0xffff : core.s.get32(S.arg + 16);
  const hi = opBytes === 8 ? core.s.get32(S.arg + 20) : 0;
  core.setRipBehind(rec);
  if (!core.protectedMode) return transferReal(core, opBytes, selector, lo, call);
  if ((selector & 0xfffc) === 0) return core.raise(EXC_GP, 0);
  const d = core.scratch.code;
  if (!fetchDescriptor(core, selector, d)) return FAULT;
  const ar = attributesOf(d), error = selector & 0xfffc;
  if ((ar & SEG_S) === 0) return transferSystem(core, selector, call);
  const cpl = core.cpl, dpl = dplOf(ar);
  if ((ar & TYPE_CODE) === 0 || isBadLongCode(core, ar)) return core.raise(EXC_GP, error);
  if ((ar & TYPE_CONFORMING) !== 0 ? dpl > cpl : (selector & 3) > cpl || dpl !== cpl) {
    return core.raise(EXC_GP, error);
  }
  if ((ar & SEG_P) === 0) return core.raise(EXC_NP, error);
  if (!checkTarget(core, d, lo, hi)) return FAULT;
  if (!markAccessed(core, d)) return FAULT;
  if (call) {
    const stack = core.stack.useCurrent();
    if (!pushReturn(core, stack, opBytes)) return FAULT;
    stack.commit();
  }
  return enter(core, selector, cpl, lo, hi);
}

function pushReturn(core: CpuCore, stack: Stack, size: number): boolean {
  return stack.push(size, core.selector(CS)) && stack.push(size, core.ripLo, core.ripHi);
}

function transferReal(core: CpuCore, opBytes: number, selector: number, lo: number, call: boolean): Status {
  if (lo > core.s.get32(S.cs + segmentLayout.at.limit)) return core.raise(EXC_GP, 0);
  if (call) {
    const stack = core.stack.useCurrent();
    if (!pushReturn(core, stack, opBytes)) return FAULT;
    stack.commit();
  }
  setRealSegment(core, CS, selector);
  core.updateMode();
  core.setRip(lo, 0);
  return DISPATCH;
}

/** core.scratch.code is a system descriptor: call gate, task gate or TSS. */
function transferSystem(core: CpuCore, selector: number, call: boolean): Status {
  const target = core.scratch.code;
  const ar = attributesOf(target), type = ar & 0xf, dpl = dplOf(ar), error = selector & 0xfffc;
  const long = core.longMode;
  const isGate = type === SYS_CALL || (!long && (type === SYS_CALL16 || type === SYS_TASK_GATE));
  if (!isGate && (long || !isAvailableTss(type))) return core.raise(EXC_GP, error);
  if (dpl < core.cpl || dpl < (selector & 3)) return core.raise(EXC_GP, error);
  if ((ar & SEG_P) === 0) return core.raise(EXC_NP, error);
  if (type === SYS_TASK_GATE || isAvailableTss(type)) {
    const r = taskSwitch(
      core,
      type === SYS_TASK_GATE ? target.lo >>> 16 : selector,
      call ? TASK_CALL : TASK_JMP,
    );
    return r === TASK_DONE ? DISPATCH : r === TASK_FAULT ? FAULT : deliverFault(core);
  }
  const gate: Descriptor = { ...target };
  let hi = 0;
  if (long) {
    if (!fetchDescriptor(core, selector, gate, EXC_GP, 0, 16)) return FAULT;
    hi = core.mem.word(2);
    if ((core.mem.word(3) & 0x1f00) !== 0) return core.raise(EXC_GP, error);
  }
  const lo = type === SYS_CALL16 ? gate.lo & 0xffff : ((gate.lo & 0xffff) | (gate.hi & 0xffff_0000)) >>> 0;
  return throughGate(core, gate, lo, hi, long ? 8 : type === SYS_CALL16 ? 2 : 4, call);
}

function throughGate(
  core: CpuCore,
  gate: Descriptor,
  lo: number,
  hi: number,
  size: number,
  call: boolean,
): Status {
  const selector = gate.lo >>> 16, target = core.scratch.code;
  if ((selector & 0xfffc) === 0) return core.raise(EXC_GP, 0);
  if (!fetchDescriptor(core, selector, target)) return FAULT;
  const ar = attributesOf(target), dpl = dplOf(ar), error = selector & 0xfffc, cpl = core.cpl;
  const conforming = (ar & TYPE_CONFORMING) !== 0;
  if (
    (ar & (SEG_S | TYPE_CODE)) !== (SEG_S | TYPE_CODE) || dpl > cpl || (!call && !conforming && dpl !== cpl)
  ) {
    return core.raise(EXC_GP, error);
  }
  if (size === 8 && (ar & (SEG_L | SEG_DB)) !== SEG_L) return core.raise(EXC_GP, error);
  if ((ar & SEG_P) === 0) return core.raise(EXC_NP, error);
  if (!checkTarget(core, target, lo, hi)) return FAULT;
  if (!call || conforming || dpl === cpl) {
    if (!markAccessed(core, target)) return FAULT;
    if (call) {
      const stack = core.stack.useCurrent();
      if (!pushReturn(core, stack, size)) return FAULT;
      stack.commit();
    }
    return enter(core, selector, cpl, lo, hi);
  }
  return size === 8 ? callInnerLong(core, selector, dpl, lo, hi) : callInner(core, gate, dpl, lo, size);
}

function callInnerLong(core: CpuCore, selector: number, cpl: number, lo: number, hi: number): Status {
  if (!readLongTssStack(core, cpl, 0)) return FAULT;
  const s = core.s, stack = core.stack.useLong(core.mem.lo, core.mem.hi);
  const rspLo = s.gpr32(4), rspHi = s.get32(S.gpr + 36);
  if (!markAccessed(core, core.scratch.code)) return FAULT;
  if (!stack.push(8, core.selector(SS)) || !stack.push(8, rspLo, rspHi) || !pushReturn(core, stack, 8)) {
    return FAULT;
  }
  stack.commit();
  setNullSegment(core, SS, cpl, cpl);
  return enter(core, selector, cpl, lo, hi);
}

function callInner(core: CpuCore, gate: Descriptor, cpl: number, lo: number, size: number): Status {
  const { code, stack: stackSegment, tssStack } = core.scratch;
  if (!readLegacyTssStack(core, cpl, 0, stackSegment)) return FAULT;
  const count = gate.hi & 31;
  // Parameters are read from the old stack first; the order of faults among the two stacks is not defined.
  const parameters: number[] = [];
  const oldStack = core.stack.useCurrent();
  for (let i = 0; i < count; i++) {
    if (!oldStack.pop(size)) return FAULT;
    parameters.push(core.mem.word(0));
  }
  const stack = core.stack.useSegment(stackSegment, tssStack.sp, IMPLICIT, tssStack.selector & 0xfffc);
  if (!markAccessed(core, stackSegment) || !markAccessed(core, code)) return FAULT;
  if (!stack.push(size, core.selector(SS)) || !stack.push(size, core.s.gpr32(4))) return FAULT;
  for (let i = count - 1; i >= 0; i--) if (!stack.push(size, parameters[i] as number)) return FAULT;
  if (!pushReturn(core, stack, size)) return FAULT;
  setFromDescriptor(core, SS, tssStack.selector, stackSegment);
  stack.commit();
  return enter(core, gate.lo >>> 16, cpl, lo, 0);
}

// --- returns -------------------------------------------------------------------------------------------------

/** Checks of a returned-to CS for RETF and IRET, into `d`. False: fault recorded. */
export function checkReturnCode(core: CpuCore, selector: number, d: Descriptor): boolean {
  const error = selector & 0xfffc, rpl = selector & 3;
  if (error === 0) {
    core.raise(EXC_GP, 0);
    return false;
  }
  if (!fetchDescriptor(core, selector, d)) return false;
  const ar = attributesOf(d), dpl = dplOf(ar);
  if (
    (ar & (SEG_S | TYPE_CODE)) !== (SEG_S | TYPE_CODE) || rpl < core.cpl || isBadLongCode(core, ar) ||
    ((ar & TYPE_CONFORMING) !== 0 ? dpl > rpl : dpl !== rpl)
  ) {
    core.raise(EXC_GP, error);
    return false;
  }
  if ((ar & SEG_P) === 0) {
    core.raise(EXC_NP, error);
    return false;
  }
  return true;
}

/** Checks of a returned-to SS at privilege `cpl`, into `d`; a null one is right only for 64-bit code below 3. */
export function checkReturnStack(
  core: CpuCore,
  selector: number,
  cpl: number,
  code: Descriptor,
  d: Descriptor,
): boolean {
  const error = selector & 0xfffc;
  if (error === 0) {
    if (core.longMode && (attributesOf(code) & SEG_L) !== 0 && cpl !== 3 && (selector & 3) === cpl) {
      return true;
    }
    core.raise(EXC_GP, 0);
    return false;
  }
  if (!fetchDescriptor(core, selector, d)) return false;
  const ar = attributesOf(d);
  if ((selector & 3) !== cpl || dplOf(ar) !== cpl || (ar & SEG_S) === 0 || (ar & (TYPE_CODE | 2)) !== 2) {
    core.raise(EXC_GP, error);
    return false;
  }
  if ((ar & SEG_P) === 0) {
    core.raise(EXC_SS, error);
    return false;
  }
  return true;
}

/** Loads a SS that checkReturnStack let pass. False: fault recorded. */
export function loadReturnStack(core: CpuCore, selector: number, d: Descriptor): boolean {
  if ((selector & 0xfffc) === 0) {
    setNullSegment(core, SS, selector, selector & 3);
    return true;
  }
  if (!markAccessed(core, d)) return false;
  setFromDescriptor(core, SS, selector, d);
  return true;
}

/**
 * After a return to an outer privilege: data segments it may not use become null. Only the selector does: in 64-bit code
 * FS and GS keep their bases (Vol. 2B RET: "SegmentSelector := 0, segment selector invalid"; the sources of Bochs and QEMU agree).
 */
export function dropInnerSegments(core: CpuCore, cpl: number): void {
  for (let i = ES; i <= GS; i++) {
    if (i !== ES && i !== DS && i !== FS && i !== GS) continue;
    const ar = core.attributes(i);
    if ((ar & SEG_UNUSABLE) !== 0 || dplOf(ar) >= cpl) continue;
    if ((ar & (TYPE_CODE | TYPE_CONFORMING)) === (TYPE_CODE | TYPE_CONFORMING)) continue;
    const { base, limit } = core.s.segment(i);
    core.s.setSegment(i, { selector: 0, base, limit, attributes: ar | SEG_UNUSABLE });
  }
}

/** Far RET, releasing `release` bytes of parameters. */
export function farReturn(core: CpuCore, opBytes: number, release: number): Status {
  const { code: target, stack: stackSegment } = core.scratch;
  const stack = core.stack.useCurrent();
  if (!stack.pop(opBytes)) return FAULT;
  const mem = core.mem;
  const lo = mem.word(0), hi = mem.word(1);
  if (!stack.pop(opBytes)) return FAULT;
  const selector = mem.word(0) & 0xffff;
  if (!core.protectedMode) {
    if (lo > core.s.get32(S.cs + segmentLayout.at.limit)) return core.raise(EXC_GP, 0);
    stack.move(release);
    stack.commit();
    setRealSegment(core, CS, selector);
    core.updateMode();
    core.setRip(lo, 0);
    return DISPATCH;
  }
  if (!checkReturnCode(core, selector, target) || !checkTarget(core, target, lo, hi)) return FAULT;
  const cpl = selector & 3;
  stack.move(release);
  if (cpl === core.cpl) {
    if (!markAccessed(core, target)) return FAULT;
    stack.commit();
    return enter(core, selector, cpl, lo, hi);
  }
  if (!stack.pop(opBytes)) return FAULT;
  const spLo = mem.word(0), spHi = mem.word(1);
  if (!stack.pop(opBytes)) return FAULT;
  const ss = mem.word(0) & 0xffff;
  if (!checkReturnStack(core, ss, cpl, target, stackSegment) || !markAccessed(core, target)) return FAULT;
  if (!loadReturnStack(core, ss, stackSegment)) return FAULT;
  setCode(core, selector, cpl, target);
  core.updateMode();
  stack.useCurrent();
  stack.lo = spLo;
  stack.hi = spHi;
  stack.move(release);
  stack.commit();
  dropInnerSegments(core, cpl);
  core.updateMode();
  core.setRip(lo, core.codeBits === 64 ? hi : 0);
  return DISPATCH;
}
