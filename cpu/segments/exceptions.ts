// SPDX-License-Identifier: MIT
/**
 * Delivery of exceptions, external and software interrupts through the IDT. Rules: SDM Vol. 3A §6 (table 6-5 for
 * double faults, §6.12 for 32-bit, §6.14 for 64-bit gates); real mode §20.1.4.
 * @module
 */
import { hex } from "../base/bits.ts";
import { isCanonical } from "../mmu/mmu.ts";
import type { CpuCore } from "../core/core.ts";
import { IMPLICIT } from "../mmu/linear_memory.ts";
import {
  attributesOf,
  dplOf,
  limitOf,
  SYS_INT,
  SYS_INT16,
  SYS_TASK_GATE,
  SYS_TRAP,
  SYS_TRAP16,
  TYPE_CODE,
  TYPE_CONFORMING,
} from "../state/descriptor.ts";
import {
  fetchDescriptor,
  markAccessed,
  setFromDescriptor,
  setNullSegment,
  setRealSegment,
} from "./segmentation.ts";
import { readLegacyTssStack, readLongTssStack } from "./tss.ts";
import {
  CS,
  EXC_DE,
  EXC_DF,
  EXC_GP,
  EXC_NMI,
  EXC_NP,
  EXC_PF,
  EXC_TS,
  FLAG_AC,
  FLAG_IF,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  S,
  SEG_DB,
  SEG_L,
  SEG_P,
  SEG_S,
  SS,
  TR,
} from "../state/state.ts";
import { TASK_CALL, TASK_DONE, TASK_FAULT, TASK_FAULT_IN_NEW, taskSwitch } from "./task_switch.ts";
import { PUSHED_SEGMENTS, virtualInterrupt } from "./virtual_8086.ts";
import { DISPATCH, FAULT, SHUTDOWN, type Status } from "../state/status.ts";

/** An exception of the processor. */
export const FAULT_EVENT = 0;
/** An external interrupt. */
export const EXTERNAL = 1;
/** INT n, INT3, INTO: the gate's DPL is checked. */
export const SOFTWARE = 2;
/** INT1: no DPL check. */
export const PRIVILEGED_SOFTWARE = 3;
/** What is being delivered. */
export type EventKind = 0 | 1 | 2 | 3;

/** Classes of table 6-4. */
const BENIGN = 0, CONTRIBUTORY = 1, PAGE_FAULT = 2;

function classOf(vector: number): number {
  if (vector === EXC_PF) return PAGE_FAULT;
  return vector === EXC_DE || (vector >= EXC_TS && vector <= EXC_GP) ? CONTRIBUTORY : BENIGN;
}

/** Delivers core.fault; what faults on the way is delivered instead, becomes #DF, or shuts the CPU down. */
function deliverWithEscalation(core: CpuCore, kind: EventKind): Status {
  const fault = core.fault;
  for (;;) {
    const vector = fault.vector;
    if (vector === EXC_PF && kind === FAULT_EVENT) {
      core.s.set32(S.cr2, fault.addressLo);
      core.s.set32(S.cr2 + 4, fault.addressHi);
    }
    if (core.tracer.on("cpu")) {
      core.tracer.log(
        "cpu",
        `event ${vector} kind ${kind}${fault.errorCode < 0 ? "" : ` error ${hex(fault.errorCode)}`}`,
      );
    }
    if (deliver(core, vector, kind, fault.errorCode, fault.resume) === true) return DISPATCH;
    const first = kind === FAULT_EVENT ? classOf(vector) : BENIGN;
    const second = classOf(fault.vector);
    if (kind === FAULT_EVENT && vector === EXC_DF) {
      core.tracer.log("cpu", `triple fault: vector ${fault.vector} while delivering #DF`);
      return SHUTDOWN;
    }
    if ((first === CONTRIBUTORY && second === CONTRIBUTORY) || (first === PAGE_FAULT && second !== BENIGN)) {
      if (!core.realMode) core.raise(EXC_DF, 0);
      else core.raise(EXC_DF);
    }
    kind = FAULT_EVENT;
  }
}

/** Delivers the recorded fault; S.rip is the faulting instruction. DISPATCH or SHUTDOWN. */
export function deliverFault(core: CpuCore): Status {
  return deliverWithEscalation(core, FAULT_EVENT);
}

/** Delivers an external interrupt; S.rip is the next instruction. DISPATCH or SHUTDOWN. */
export function deliverInterrupt(core: CpuCore, vector: number): Status {
  core.raise(vector);
  core.fault.resume = core.armed && core.resumeFlag; // what IRET has just popped
  core.resumeFlag = false;
  return deliverWithEscalation(core, EXTERNAL);
}

/** Delivers an NMI, which blocks others until IRET; S.rip is the next instruction. DISPATCH or SHUTDOWN. */
export function deliverNmi(core: CpuCore): Status {
  core.nmiPending = false;
  core.nmiBlocked = true;
  return deliverInterrupt(core, EXC_NMI);
}

/** INT n, whose next instruction is S.rip. FAULT: the INT itself faulted. */
export function interruptNumber(core: CpuCore, vector: number): Status {
  const status = core.virtual8086 ? virtualInterrupt(core, vector) : undefined;
  return status ?? softwareInterrupt(core, vector, SOFTWARE);
}

/** A software interrupt whose next instruction is S.rip. FAULT: the INT itself faulted. */
export function softwareInterrupt(core: CpuCore, vector: number, kind: EventKind): Status {
  const done = deliver(core, vector, kind, -1, false);
  return done === TASK_FAULT_IN_NEW ? deliverFault(core) : done ? DISPATCH : FAULT;
}

/**
 * False: a fault was recorded and nothing changed but memory below the stack pointer. TASK_FAULT_IN_NEW: a fault was
 * recorded in the task that a gate has led to.
 */
function deliver(
  core: CpuCore,
  vector: number,
  kind: EventKind,
  errorCode: number,
  resume: boolean,
): boolean | typeof TASK_FAULT_IN_NEW {
  if (core.longMode) return deliverLong(core, vector, kind, errorCode, resume);
  return !core.realMode ? deliverProtected(core, vector, kind, errorCode, resume) : deliverReal(core, vector);
}

function refuse(core: CpuCore, vector: number, errorCode: number): false {
  core.raise(vector, errorCode);
  return false;
}

/** The handler's code segment into core.scratch.code, checked; -1: fault recorded, else its attributes. */
function handlerCode(core: CpuCore, selector: number, ext: number): number {
  if ((selector & 0xfffc) === 0) {
    core.raise(EXC_GP, ext);
    return -1;
  }
  const code = core.scratch.code;
  if (!fetchDescriptor(core, selector, code, EXC_GP, ext)) return -1;
  const ar = attributesOf(code), error = (selector & 0xfffc) | ext;
  if ((ar & (SEG_S | TYPE_CODE)) !== (SEG_S | TYPE_CODE) || dplOf(ar) > core.cpl) {
    core.raise(EXC_GP, error);
    return -1;
  }
  if ((ar & SEG_P) === 0) {
    core.raise(EXC_NP, error);
    return -1;
  }
  return ar;
}

function deliverLong(
  core: CpuCore,
  vector: number,
  kind: EventKind,
  errorCode: number,
  resume: boolean,
): boolean {
  const ext = kind === SOFTWARE ? 0 : 1;
  const s = core.s, mem = core.mem, code = core.scratch.code;
  const gateError = vector * 8 + 2 + ext;
  if (vector * 16 + 15 > s.get32(S.idtrLimit)) return refuse(core, EXC_GP, gateError);
  const sum = s.get32(S.idtrBase) + vector * 16;
  const gateHi = (s.get32(S.idtrBase + 4) + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
  if (!mem.load(sum >>> 0, gateHi, 16, IMPLICIT)) return false;
  const w0 = mem.word(0), w1 = mem.word(1), offsetHi = mem.word(2);
  const type = (w1 >>> 8) & 0x1f;
  if (type !== SYS_INT && type !== SYS_TRAP) return refuse(core, EXC_GP, gateError);
  const cpl = core.cpl;
  if (kind === SOFTWARE && ((w1 >>> 13) & 3) < cpl) return refuse(core, EXC_GP, gateError);
  if ((w1 & 0x8000) === 0) return refuse(core, EXC_NP, gateError);
  const selector = w0 >>> 16, ist = w1 & 7;
  const ar = handlerCode(core, selector, ext);
  if (ar < 0) return false;
  if ((ar & (SEG_L | SEG_DB)) !== SEG_L) return refuse(core, EXC_GP, (selector & 0xfffc) | ext);
  const newCpl = (ar & TYPE_CONFORMING) !== 0 ? cpl : dplOf(ar);
  const offsetLo = ((w0 & 0xffff) | (w1 & 0xffff_0000)) >>> 0;
  if (!isCanonical(offsetHi)) return refuse(core, EXC_GP, ext);

  const stack = core.stack;
  const oldRspLo = s.gpr32(4), oldRspHi = s.get32(S.gpr + 4 * 8 + 4);
  if (ist !== 0) {
    if (!readLongTssStack(core, 3 + ist, ext)) return false;
    stack.useLong(mem.lo, mem.hi, ext);
  } else if (newCpl !== cpl) {
    if (!readLongTssStack(core, newCpl, ext)) return false;
    stack.useLong(mem.lo, mem.hi, ext);
  } else {
    stack.useCurrent(ext);
    if (!stack.wide) stack.useLong(oldRspLo, oldRspHi, ext);
  }
  if (!markAccessed(core, code)) return false;
  stack.lo = (stack.lo & ~0xf) >>> 0;
  let flags = core.rflags;
  if (resume) flags |= FLAG_RF;
  let n = 0;
  if (errorCode >= 0) {
    mem.setWord(n++, errorCode);
    mem.setWord(n++, 0);
  }
  mem.setWord(n++, core.ripLo);
  mem.setWord(n++, core.ripHi);
  mem.setWord(n++, core.selector(CS));
  mem.setWord(n++, 0);
  mem.setWord(n++, flags);
  mem.setWord(n++, 0);
  mem.setWord(n++, oldRspLo);
  mem.setWord(n++, oldRspHi);
  mem.setWord(n++, core.selector(SS));
  mem.setWord(n++, 0);
  if (!stack.pushBlock(n * 4)) return false;

  stack.commit();
  core.setCpl(newCpl);
  if (newCpl !== cpl) setNullSegment(core, SS, newCpl, newCpl);
  setFromDescriptor(core, CS, (selector & ~3) | newCpl, code);
  enterHandler(core, type === SYS_INT);
  core.setRip(offsetLo, offsetHi);
  return true;
}

function enterHandler(core: CpuCore, clearIf: boolean): void {
  const at = S.eflags >> 2;
  let flags = (core.u32[at] as number) & ~(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
  if (clearIf) flags &= ~FLAG_IF;
  core.u32[at] = flags;
  core.updateMode();
}

function deliverProtected(
  core: CpuCore,
  vector: number,
  kind: EventKind,
  errorCode: number,
  resume: boolean,
): boolean | typeof TASK_FAULT_IN_NEW {
  const ext = kind === SOFTWARE ? 0 : 1;
  const s = core.s, mem = core.mem, code = core.scratch.code;
  const gateError = vector * 8 + 2 + ext;
  if (vector * 8 + 7 > s.get32(S.idtrLimit)) return refuse(core, EXC_GP, gateError);
  if (!mem.load((s.get32(S.idtrBase) + vector * 8) >>> 0, 0, 8, IMPLICIT)) return false;
  const w0 = mem.word(0), w1 = mem.word(1);
  const type = (w1 >>> 8) & 0x1f;
  const isGate = type === SYS_INT || type === SYS_TRAP || type === SYS_INT16 || type === SYS_TRAP16 ||
    type === SYS_TASK_GATE;
  const cpl = core.cpl;
  if (!isGate || (kind === SOFTWARE && ((w1 >>> 13) & 3) < cpl)) return refuse(core, EXC_GP, gateError);
  if ((w1 & 0x8000) === 0) return refuse(core, EXC_NP, gateError);
  const selector = w0 >>> 16;
  if (type === SYS_TASK_GATE) return deliverByTask(core, selector, ext, errorCode, resume);
  const ar = handlerCode(core, selector, ext);
  if (ar < 0) return false;
  const newCpl = (ar & TYPE_CONFORMING) !== 0 ? cpl : dplOf(ar);
  const virtual = core.virtual8086;
  if (virtual && newCpl !== 0) return refuse(core, EXC_GP, (selector & 0xfffc) | ext);
  const wide = type === SYS_INT || type === SYS_TRAP;
  const size = wide ? 4 : 2;
  const offset = wide ? ((w0 & 0xffff) | (w1 & 0xffff_0000)) >>> 0 : w0 & 0xffff;
  const stack = core.stack, { stack: stackSegment, tssStack } = core.scratch;
  const oldSs = core.selector(SS), oldEsp = s.gpr32(4);
  const inner = newCpl < cpl;
  if (inner) {
    if (!readLegacyTssStack(core, newCpl, ext, stackSegment)) return false;
    stack.useSegment(stackSegment, tssStack.sp, IMPLICIT, (tssStack.selector & 0xfffc) | ext);
  } else stack.useCurrent(ext);
  if (offset > limitOf(code)) return refuse(core, EXC_GP, ext);
  if (inner && !markAccessed(core, stackSegment)) return false;
  if (!markAccessed(core, code)) return false;
  let flags = core.rflags;
  if (resume) flags |= FLAG_RF;
  if (virtual) {
    for (const index of PUSHED_SEGMENTS) if (!stack.push(size, core.selector(index))) return false;
  }
  if (inner && !(stack.push(size, oldSs) && stack.push(size, oldEsp))) return false;
  if (!stack.push(size, flags) || !stack.push(size, core.selector(CS)) || !stack.push(size, core.ripLo)) {
    return false;
  }
  if (errorCode >= 0 && !stack.push(size, errorCode)) return false;

  stack.commit();
  core.setCpl(newCpl);
  if (inner) setFromDescriptor(core, SS, tssStack.selector, stackSegment);
  if (virtual) { for (const index of PUSHED_SEGMENTS) setNullSegment(core, index, 0); }
  setFromDescriptor(core, CS, (selector & ~3) | newCpl, code);
  enterHandler(core, type === SYS_INT || type === SYS_INT16);
  core.setRip(offset, 0);
  return true;
}

function deliverByTask(
  core: CpuCore,
  selector: number,
  ext: number,
  errorCode: number,
  resume: boolean,
): boolean | typeof TASK_FAULT_IN_NEW {
  const switched = taskSwitch(core, selector, TASK_CALL, { external: ext, resume });
  if (switched !== TASK_DONE) return switched === TASK_FAULT ? false : switched;
  if (errorCode >= 0) {
    const stack = core.stack.useCurrent(ext);
    if (!stack.push((core.attributes(TR) & 8) !== 0 ? 4 : 2, errorCode)) return false;
    stack.commit();
  }
  return true;
}

function deliverReal(core: CpuCore, vector: number): boolean {
  const s = core.s, mem = core.mem;
  if (vector * 4 + 3 > s.get32(S.idtrLimit)) return refuse(core, EXC_GP, -1);
  const target = mem.read32((s.get32(S.idtrBase) + vector * 4) >>> 0, 0, IMPLICIT);
  if (target === -1) return false;
  const stack = core.stack.useCurrent(-1);
  if (!stack.push(2, core.rflags) || !stack.push(2, core.selector(CS)) || !stack.push(2, core.ripLo)) {
    return false;
  }
  stack.commit();
  setRealSegment(core, CS, target >>> 16);
  const at = S.eflags >> 2;
  core.u32[at] = (core.u32[at] as number) & ~(FLAG_IF | FLAG_TF | FLAG_RF | FLAG_AC);
  core.updateMode();
  core.setRip(target & 0xffff, 0);
  return true;
}
