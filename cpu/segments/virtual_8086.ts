// SPDX-License-Identifier: MIT
/**
 * Virtual-8086 mode: how it is entered, and its instructions that look at IOPL. Rules: SDM Vol. 3A §21.2-21.3; with
 * CR4.VME, §21.3.3 and table 21-2 (methods 1 to 6), and CR4.PVI, §21.4.
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import { IMPLICIT } from "../mmu/linear_memory.ts";
import { SYS_TSS } from "../state/descriptor.ts";
import {
  CR4_PVI,
  CR4_VME,
  CS,
  DS,
  ES,
  EXC_GP,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FS,
  GS,
  S,
  segmentLayout,
  TR,
} from "../state/state.ts";
import { DISPATCH, FAULT, type Status } from "../state/status.ts";

/** Attributes of every segment there: present, DPL 3, read and write, accessed, 64 KiB. */
export const VIRTUAL_8086_SEGMENT = 0xf3;

/** Enters it: `selectors` from ES to GS, `flags` all of EFLAGS. */
export function enterVirtual8086(core: CpuCore, selectors: readonly number[], flags: number): void {
  core.setCpl(3);
  for (let i = ES; i <= GS; i++) {
    const selector = selectors[i] as number;
    core.setSegment(i, selector, selector * 16, 0, 0xffff, VIRTUAL_8086_SEGMENT);
  }
  core.setRflags(flags | FLAG_VM);
  core.updateMode();
}

function hasVme(core: CpuCore): boolean {
  return (core.s.get32(S.cr4) & CR4_VME) !== 0;
}

/** CLI, STI where CPL is above IOPL: VIF in place of IF, if CR4 allows it. False: #GP(0) recorded. */
export function setVirtualInterruptFlag(core: CpuCore, on: boolean): boolean {
  const s = core.s, flags = s.get32(S.eflags);
  const allowed = core.virtual8086
    ? hasVme(core)
    : core.cpl === 3 && (s.get32(S.cr4) & CR4_PVI) !== 0 && core.protectedMode;
  if (!allowed || (on && (flags & FLAG_VIP) !== 0)) {
    core.raise(EXC_GP, 0);
    return false;
  }
  s.set32(S.eflags, on ? flags | FLAG_VIF : flags & ~FLAG_VIF);
  return true;
}

/** The image that PUSHF and INT n push: with IOPL below 3, VIF stands in for IF, and IOPL reads 3. */
function flagsImage(core: CpuCore): number {
  const flags = core.rflags;
  if (core.iopl === 3) return flags;
  return (flags & ~FLAG_IF) | FLAG_IOPL | ((flags & FLAG_VIF) !== 0 ? FLAG_IF : 0);
}

/** What PUSHF pushes; -1: #GP(0) recorded. */
export function virtualPushf(core: CpuCore, opBytes: number): number {
  if (core.iopl < 3 && (opBytes !== 2 || !hasVme(core))) {
    core.raise(EXC_GP, 0);
    return -1;
  }
  return flagsImage(core);
}

/**
 * May POPF and IRET take `image`? Answers VIF as they leave it, or what it is with IOPL 3, where IF is what changes; -1: #GP(0)
 * recorded.
 */
export function virtualPoppedVif(core: CpuCore, image: number, opBytes: number): number {
  const vif = core.s.get32(S.eflags) & FLAG_VIF, vip = (core.s.get32(S.eflags) & FLAG_VIP) !== 0;
  if (core.iopl === 3) return vif;
  if (
    opBytes !== 2 || !hasVme(core) || (image & FLAG_TF) !== 0 || ((image & FLAG_IF) !== 0 && vip)
  ) {
    core.raise(EXC_GP, 0);
    return -1;
  }
  return (image & FLAG_IF) !== 0 ? FLAG_VIF : 0;
}

/** Bit of the interrupt redirection bitmap, in front of the I/O map: 1 leads to the IDT; -1: fault recorded. */
function isRedirected(core: CpuCore, vector: number): 0 | 1 | -1 {
  const at = S.es + TR * segmentLayout.size, s = core.s;
  const base = s.get32(at), limit = s.get32(at + segmentLayout.at.limit);
  if ((core.attributes(TR) & 0xd) === SYS_TSS && limit >= 103) {
    const map = core.mem.read16((base + 102) >>> 0, 0, IMPLICIT);
    if (map === -1) return -1;
    const offset = map - 32 + (vector >> 3);
    if (offset >= 0 && offset <= limit) {
      const bits = core.mem.read8((base + offset) >>> 0, 0, IMPLICIT);
      return bits === -1 ? -1 : (bits >> (vector & 7)) & 1 ? 1 : 0;
    }
  }
  core.raise(EXC_GP, 0);
  return -1;
}

/**
 * INT n, S.rip being behind it: through the virtual machine's own vector table when CR4.VME and the bitmap say so.
 * Undefined: through the IDT.
 */
export function virtualInterrupt(core: CpuCore, vector: number): Status | undefined {
  if (hasVme(core)) {
    const redirected = isRedirected(core, vector);
    if (redirected < 0) return FAULT;
    if (redirected === 0) return throughVectorTable(core, vector);
  }
  return core.iopl < 3 ? core.raise(EXC_GP, 0) : undefined;
}

function throughVectorTable(core: CpuCore, vector: number): Status {
  const s = core.s;
  const target = core.mem.load(vector * 4, 0, 4, IMPLICIT) ? core.mem.word(0) : undefined;
  if (target === undefined) return FAULT;
  const stack = core.stack.useCurrent();
  if (
    !stack.push(2, flagsImage(core)) || !stack.push(2, core.selector(CS)) || !stack.push(2, core.ripLo)
  ) return FAULT;
  stack.commit();
  const selector = target >>> 16;
  core.setSegment(CS, selector, selector * 16, 0, 0xffff, VIRTUAL_8086_SEGMENT);
  s.set32(S.eflags, s.get32(S.eflags) & ~(FLAG_TF | (core.iopl === 3 ? FLAG_IF : FLAG_VIF)));
  core.updateMode();
  core.setRip(target & 0xffff, 0);
  return DISPATCH;
}

/** Segment registers an interrupt out of it pushes, first to last, before SS; the handler finds them null. */
export const PUSHED_SEGMENTS = [GS, FS, DS, ES] as const;
