// SPDX-License-Identifier: MIT
/**
 * Hardware task switches. Rules: SDM Vol. 3A §8.3 (steps), figures 8-2 and 8-9 (TSS layouts).
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import { breakpointsEnabled, DR6_BT, DR7_LOCAL } from "../state/breakpoints.ts";
import { IMPLICIT } from "../mmu/linear_memory.ts";
import {
  attributesOf,
  baseOf,
  dplOf,
  emptyDescriptor,
  limitOf,
  SYS_LDT,
  SYS_TSS,
  SYS_TSS16,
  TYPE_CODE,
  TYPE_CONFORMING,
} from "../state/descriptor.ts";
import {
  fetchDescriptor,
  loadDataSegment,
  markAccessed,
  rewriteHigh,
  setCode,
  setNullSegment,
} from "./segmentation.ts";
import { enterVirtual8086 } from "./virtual_8086.ts";
import {
  CR0_PG,
  CR0_TS,
  CR4_PAE,
  CS,
  DS,
  ES,
  EXC_GP,
  EXC_NP,
  EXC_TS,
  FLAG_NT,
  FLAG_RF,
  FLAG_VM,
  FS,
  GS,
  LDTR,
  S,
  SEG_P,
  SEG_S,
  segmentLayout,
  SS,
  TR,
} from "../state/state.ts";

/** Why the task is switched to. */
export const TASK_JMP = 0, TASK_CALL = 1, TASK_IRET = 2;
/** A fault was recorded in the old task; nothing changed. */
export const TASK_FAULT = 0;
/** The new task is current; S.rip is its EIP. */
export const TASK_DONE = 1;
/** A fault was recorded in the new task; S.rip is its EIP. */
export const TASK_FAULT_IN_NEW = 2;

/** Byte offsets in a TSS: EIP, EFLAGS, first register, first segment, LDT; step; and its least limit. */
const TSS32 = { ip: 0x20, flags: 0x24, gpr: 0x28, seg: 0x48, ldt: 0x60, step: 4, limit: 0x67 } as const;
const TSS16 = { ip: 0x0e, flags: 0x10, gpr: 0x12, seg: 0x22, ldt: 0x2a, step: 2, limit: 0x2b } as const;

/** Switches to the task of `selector`; the caller has done the DPL checks. S.rip is what the old task goes on at. */
export function taskSwitch(
  core: CpuCore,
  selector: number,
  why: number,
  options: { readonly external?: number; readonly resume?: boolean } = {},
): 0 | 1 | 2 {
  const ext = options.external ?? 0;
  const tss = emptyDescriptor(), old = emptyDescriptor();
  const s = core.s, mem = core.mem;
  const vector = why === TASK_IRET ? EXC_TS : EXC_GP;
  const error = (selector & 0xfffc) | ext;
  if ((selector & 0xfffc) === 0 || (selector & 4) !== 0) return fail(core, vector, error);
  if (!fetchDescriptor(core, selector, tss, vector, ext)) return TASK_FAULT;
  const ar = attributesOf(tss);
  const wanted = why === TASK_IRET ? 2 : 0;
  if ((ar & 0x17) !== (SYS_TSS16 | wanted)) return fail(core, vector, error);
  if ((ar & SEG_P) === 0) return fail(core, EXC_NP, error);
  const to = (ar & 8) !== 0 ? TSS32 : TSS16;
  const base = baseOf(tss), limit = limitOf(tss);
  if (limit < to.limit) return fail(core, EXC_TS, error);

  const oldSelector = core.selector(TR), oldBase = s.get32(S.es + TR * segmentLayout.size);
  const from = (core.attributes(TR) & 8) !== 0 ? TSS32 : TSS16;
  // Both must be there before anything changes.
  if (!mem.probe(oldBase, 0, from.limit + 1, true, IMPLICIT)) return TASK_FAULT;
  if (!mem.probe(base, 0, to.limit + 1, why === TASK_CALL, IMPLICIT)) return TASK_FAULT;

  let flags = core.rflags;
  if (options.resume === true) flags |= FLAG_RF;
  if (why === TASK_IRET) flags &= ~FLAG_NT;
  const put = (offset: number, size: number, value: number) =>
    mem.write((oldBase + offset) >>> 0, 0, size, value, IMPLICIT);
  let ok = put(from.ip, from.step, core.ripLo) && put(from.flags, from.step, flags);
  for (let i = 0; i < 8 && ok; i++) ok = put(from.gpr + i * from.step, from.step, s.gpr32(i));
  const segments = from === TSS32 ? 6 : 4;
  for (let i = 0; i < segments && ok; i++) ok = put(from.seg + i * from.step, 2, core.selector(i));
  if (ok && why !== TASK_CALL) {
    ok = fetchDescriptor(core, oldSelector, old, EXC_TS, ext);
    old.hi &= ~(2 << 8);
    ok = ok && rewriteHigh(core, old);
  }
  if (ok && why !== TASK_IRET) {
    tss.hi |= 2 << 8;
    ok = rewriteHigh(core, tss);
  }
  if (ok && why === TASK_CALL) ok = mem.write(base, 0, 2, oldSelector, IMPLICIT);
  if (!ok) return TASK_FAULT;

  // Read everything, then the new task is current.
  const get = (offset: number, size: number): number => {
    const v = size === 4
      ? mem.read32((base + offset) >>> 0, 0, IMPLICIT)
      : mem.read16((base + offset) >>> 0, 0, IMPLICIT);
    if (v === -1) ok = false;
    return v;
  };
  const high = to === TSS16 ? 0xffff_0000 : 0;
  const ip = get(to.ip, to.step);
  let newFlags = get(to.flags, to.step);
  const gprs = Array.from({ length: 8 }, (_, i) => (get(to.gpr + i * to.step, to.step) | high) >>> 0);
  const selectors = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < (to === TSS32 ? 6 : 4); i++) selectors[i] = get(to.seg + i * to.step, 2);
  const ldt = get(to.ldt, 2);
  const cr3 = to === TSS32 ? get(0x1c, 4) : 0;
  const trapFlag = to === TSS32 && (get(0x64, 2) & 1) !== 0;
  if (!ok) return TASK_FAULT;

  core.setSegment(TR, selector, base, 0, limit, ar | 2);
  s.set32(S.cr0, s.get32(S.cr0) | CR0_TS);
  if (to === TSS32 && (s.get32(S.cr0) & CR0_PG) !== 0 && cr3 !== s.get32(S.cr3)) {
    if ((s.get32(S.cr4) & CR4_PAE) === 0 || core.mmu.loadPdptes(cr3)) {
      s.set64(S.cr3, BigInt(cr3));
      core.mmu.flush(true);
    } else ok = false;
  }
  for (let i = 0; i < 8; i++) s.setGpr32(i, gprs[i] as number);
  if (why === TASK_CALL) newFlags |= FLAG_NT;
  core.setRflags(newFlags & ~FLAG_VM);
  core.setRip(ip, 0);
  for (let i = ES; i <= GS; i++) setNullSegment(core, i, selectors[i] as number);
  setNullSegment(core, LDTR, ldt);
  const loaded = ok && loadTaskSegments(core, ldt, selectors, newFlags);
  if (!ok) core.raise(EXC_TS, error);
  const dr7 = S.dr + 7 * 8;
  s.set32(dr7, s.get32(dr7) & ~DR7_LOCAL);
  if (core.armed && !breakpointsEnabled(core.u32)) core.mmu.flush();
  core.updateMode();
  if (trapFlag) {
    core.debugTraps |= DR6_BT;
    core.requestExit();
  }
  core.checkInterrupts(); // the new task may have IF set
  return loaded ? TASK_DONE : TASK_FAULT_IN_NEW;
}

function fail(core: CpuCore, vector: number, error: number): typeof TASK_FAULT {
  core.raise(vector, error);
  return TASK_FAULT;
}

function loadTaskSegments(core: CpuCore, ldt: number, selectors: readonly number[], flags: number): boolean {
  // As in Bochs: until SS is loaded an exception changes the stack, to that of its handler's privilege in the new TSS.
  core.setCpl(3);
  const d = emptyDescriptor();
  const refuse = (vector: number, selector: number): false => {
    core.raise(vector, selector & 0xfffc);
    return false;
  };
  const loadTable = (): boolean => {
    if ((ldt & 0xfffc) === 0) return true;
    if ((ldt & 4) !== 0) return refuse(EXC_TS, ldt);
    if (!fetchDescriptor(core, ldt, d, EXC_TS)) return false;
    const ar = attributesOf(d);
    if ((ar & 0x1f) !== SYS_LDT || (ar & SEG_P) === 0) return refuse(EXC_TS, ldt);
    core.setSegment(LDTR, ldt, baseOf(d), 0, limitOf(d), ar);
    return true;
  };
  if (!loadTable()) {
    core.setRflags(flags); // with VM
    return false;
  }
  if ((flags & FLAG_VM) !== 0) {
    enterVirtual8086(core, selectors, flags);
    return core.ripLo <= 0xffff || refuse(EXC_GP, 0);
  }
  const cs = selectors[CS] as number;
  // SS first, for the privilege that CS asks for: with a bad CS there is a stack for the exception (table 7-1).
  core.setCpl(cs & 3);
  const load = (i: number): boolean => {
    if (loadDataSegment(core, i, selectors[i] as number)) return true;
    if (core.fault.vector === EXC_GP) core.fault.vector = EXC_TS;
    return false;
  };
  if (!load(SS)) {
    core.setCpl(3);
    return false;
  }
  if ((cs & 0xfffc) === 0) return refuse(EXC_TS, cs);
  if (!fetchDescriptor(core, cs, d, EXC_TS)) return false;
  const ar = attributesOf(d), rpl = cs & 3;
  const conforming = (ar & TYPE_CONFORMING) !== 0;
  if (
    (ar & (SEG_S | TYPE_CODE)) !== (SEG_S | TYPE_CODE) || (conforming ? dplOf(ar) > rpl : dplOf(ar) !== rpl)
  ) {
    return refuse(EXC_TS, cs);
  }
  if ((ar & SEG_P) === 0) return refuse(EXC_NP, cs);
  if (!markAccessed(core, d)) return false;
  setCode(core, cs, rpl, d);
  for (const i of [DS, ES, FS, GS]) if (!load(i)) return false;
  if (core.ripLo > limitOf(d)) return refuse(EXC_GP, 0);
  return true;
}

/** TSS types a far JMP or CALL may name. */
export function isAvailableTss(type: number): boolean {
  return type === SYS_TSS || type === SYS_TSS16;
}
