// SPDX-License-Identifier: MIT
/**
 * Control, debug and extended control registers, and the instructions that change how memory is looked at.
 * Rules: SDM Vol. 3A §2.5-2.6, §4.1.2 (paging modes), §9.8.5 (entering long mode), Vol. 3B §17.2 (debug registers).
 * @module
 */
import type { CpuFeature } from "../base/cpu_features.ts";
import type { CpuCore } from "../core/core.ts";
import { isCanonical, PHYSICAL_BITS } from "../mmu/mmu.ts";
import { breakpointsEnabled, DR6_BD, DR7_GD } from "../state/breakpoints.ts";
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  CS,
  EFER_LMA,
  EFER_LME,
  EXC_GP,
  EXC_UD,
  S,
  SEG_L,
  TR,
  XCR0_AVX,
  XCR0_SSE,
} from "../state/state.ts";
import { DISPATCH, FAULT, NEXT, SLICE_END, type Status } from "../state/status.ts";
import { supportedStates } from "./state_components.ts";

const CR0_BITS =
  (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG) >>>
  0;
const CR0_PAGING = (CR0_PG | CR0_WP | CR0_PE) >>> 0;
/** CR4 bits that every processor has, and those that come with a feature; all others are reserved. */
const CR4_ALWAYS = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |
  CR4_OSFXSR | CR4_OSXMMEXCPT;
const CR4_FEATURES: readonly (readonly [CpuFeature, number])[] = [
  ["pcid", CR4_PCIDE],
  ["umip", CR4_UMIP],
  ["fsgsbase", CR4_FSGSBASE],
  ["xsave", CR4_OSXSAVE],
  ["smep", CR4_SMEP],
  ["smap", CR4_SMAP],
  ["pku", CR4_PKE],
];
const CR4_PAGING = CR4_PCIDE | CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_PKE;
/** DR6 and DR7: bits that always read 1, bits that can be written. */
const DR6_ONES = 0xffff_0ff0, DR6_WRITABLE = 0x0000_e00f, DR7_ONES = 0x400, DR7_WRITABLE = 0xffff_23ff;
/** DR7: which breakpoints are enabled, and what they are for. */
const DR7_BREAKPOINTS = 0xffff_00ff;

function requireCpl0(core: CpuCore): boolean {
  if (core.cpl === 0) return true;
  core.raise(EXC_GP, 0);
  return false;
}

/** Writes CR0; everything but the CPL check. False: #GP(0) recorded, nothing changed. */
function setCr0(core: CpuCore, value: number, high: number): boolean {
  const s = core.s;
  const old = s.get32(S.cr0), efer = s.get32(S.efer), cr4 = s.get32(S.cr4);
  const now = ((value & CR0_BITS) | CR0_ET) >>> 0;
  const paging = (now & CR0_PG) !== 0, was = (old & CR0_PG) !== 0;
  let bad = high !== 0 || (paging && (now & CR0_PE) === 0) || ((now & CR0_NW) !== 0 && (now & CR0_CD) === 0);
  const activates = paging && !was && (efer & EFER_LME) !== 0;
  if (activates) {
    bad ||= (cr4 & CR4_PAE) === 0 || (core.attributes(CS) & SEG_L) !== 0 || (core.attributes(TR) & 8) === 0;
  }
  bad ||= !paging && was && (core.codeBits === 64 || (cr4 & CR4_PCIDE) !== 0);
  if (!bad && paging && !was && !activates && (cr4 & CR4_PAE) !== 0) {
    bad = !core.mmu.loadPdptes(s.get32(S.cr3));
  }
  if (bad) {
    core.raise(EXC_GP, 0);
    return false;
  }
  s.set32(S.cr0, now);
  if (activates) s.set32(S.efer, efer | EFER_LMA);
  else if (!paging && was) s.set32(S.efer, efer & ~EFER_LMA);
  if (((old ^ now) & CR0_PAGING) !== 0) core.mmu.flush();
  return true;
}

function setCr3(core: CpuCore, lo: number, hi: number): boolean {
  const s = core.s;
  if (core.longMode) {
    // With PCIDE, bit 63 allows to keep the TLB: nothing is kept for another PCID here.
    if ((s.get32(S.cr4) & CR4_PCIDE) !== 0) hi &= 0x7fff_ffff;
    if (hi >>> (PHYSICAL_BITS - 32) !== 0) {
      core.raise(EXC_GP, 0);
      return false;
    }
  } else {
    hi = 0;
    if ((s.get32(S.cr0) & CR0_PG) !== 0 && (s.get32(S.cr4) & CR4_PAE) !== 0 && !core.mmu.loadPdptes(lo)) {
      core.raise(EXC_GP, 0);
      return false;
    }
  }
  s.set32(S.cr3, lo);
  s.set32(S.cr3 + 4, hi);
  core.mmu.flush(true);
  return true;
}

/** CR4 bits that exist on this processor. */
function cr4Bits(core: CpuCore): number {
  return CR4_FEATURES.reduce((sum, [name, bit]) => core.features.has(name) ? sum | bit : sum, CR4_ALWAYS);
}

function setCr4(core: CpuCore, value: number, high: number): boolean {
  const s = core.s, old = s.get32(S.cr4), changed = old ^ value;
  const paging = (s.get32(S.cr0) & CR0_PG) !== 0;
  let bad = high !== 0 || (value & ~cr4Bits(core)) !== 0 || (core.longMode && (value & CR4_PAE) === 0);
  if ((changed & value & CR4_PCIDE) !== 0) {
    bad ||= !core.longMode || (s.get32(S.cr3) & 0xfff) !== 0;
  }
  if (
    !bad && paging && !core.longMode && (value & CR4_PAE) !== 0 &&
    (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) !== 0
  ) {
    bad = !core.mmu.loadPdptes(s.get32(S.cr3));
  }
  if (bad) {
    core.raise(EXC_GP, 0);
    return false;
  }
  s.set32(S.cr4, value);
  if ((changed & CR4_PAGING) !== 0) core.mmu.flush();
  return true;
}

/** MOV CRn, r. The value is argument 1. */
export function movToCr(core: CpuCore, rec: number, n: number): Status {
  if (n !== 0 && n !== 2 && n !== 3 && n !== 4 && n !== 8) return core.raise(EXC_UD);
  if (!requireCpl0(core)) return FAULT;
  const s = core.s, lo = s.get32(S.arg + 8);
  const hi = core.codeBits === 64 ? s.get32(S.arg + 12) : 0;
  let ok = true;
  if (n === 0) ok = setCr0(core, lo, hi);
  else if (n === 2) {
    s.set32(S.cr2, lo);
    s.set32(S.cr2 + 4, hi);
    return NEXT;
  } else if (n === 3) ok = setCr3(core, lo, hi);
  else if (n === 4) ok = setCr4(core, lo, hi);
  else {
    if (lo > 15 || hi !== 0) return core.raise(EXC_GP, 0);
    core.hooks.writeTpr(lo);
    core.checkInterrupts();
    return NEXT;
  }
  if (!ok) return FAULT;
  core.setRipBehind(rec);
  core.updateMode();
  return DISPATCH;
}

/** MOV r, CRn. */
export function movFromCr(core: CpuCore, n: number): Status {
  if (n !== 0 && n !== 2 && n !== 3 && n !== 4 && n !== 8) return core.raise(EXC_UD);
  if (!requireCpl0(core)) return FAULT;
  const s = core.s;
  const value = n === 0
    ? s.get64(S.cr0)
    : n === 2
    ? s.get64(S.cr2)
    : n === 3
    ? s.get64(S.cr3)
    : n === 4
    ? s.get64(S.cr4)
    : BigInt(core.hooks.readTpr());
  s.setResult(value);
  return NEXT;
}

function afterModeChange(core: CpuCore, rec: number): Status {
  if (!core.updateMode()) return NEXT;
  core.setRipBehind(rec);
  return DISPATCH;
}

/** CLTS. */
export function clts(core: CpuCore, rec: number): Status {
  if (!requireCpl0(core)) return FAULT;
  core.s.set32(S.cr0, core.s.get32(S.cr0) & ~CR0_TS);
  return afterModeChange(core, rec);
}

/** LMSW: PE can be set but not cleared. */
export function lmsw(core: CpuCore, rec: number, value: number): Status {
  if (!requireCpl0(core)) return FAULT;
  const old = core.s.get32(S.cr0);
  const fields = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
  if (!setCr0(core, ((old & ~fields) | (value & fields) | (old & CR0_PE)) >>> 0, 0)) return FAULT;
  core.setRipBehind(rec);
  core.updateMode();
  return DISPATCH;
}

/** Shared by MOV to and from DRn: DR number after aliasing; -1 with a fault recorded. */
function debugRegister(core: CpuCore, n: number): number {
  if (n > 7 || ((n === 4 || n === 5) && (core.s.get32(S.cr4) & CR4_DE) !== 0)) {
    core.raise(EXC_UD);
    return -1;
  }
  if (!requireCpl0(core)) return -1;
  if ((core.s.get32(S.dr + 7 * 8) & DR7_GD) !== 0) {
    core.raiseDebug(DR6_BD, false);
    return -1;
  }
  return n === 4 || n === 5 ? n + 2 : n;
}

/** MOV DRn, r. The value is argument 1. SLICE_END when breakpoints change: code and data are looked at otherwise. */
export function movToDr(core: CpuCore, rec: number, n: number): Status {
  const dr = debugRegister(core, n);
  if (dr < 0) return FAULT;
  const s = core.s, lo = s.get32(S.arg + 8);
  const hi = core.codeBits === 64 ? s.get32(S.arg + 12) : 0;
  const at = S.dr + dr * 8;
  if (dr >= 6) {
    if (hi !== 0) return core.raise(EXC_GP, 0);
    const old = s.get32(at);
    s.set32(at, dr === 6 ? (lo & DR6_WRITABLE) | DR6_ONES : (lo & DR7_WRITABLE) | DR7_ONES);
    const isArmed = breakpointsEnabled(core.u32);
    if (dr === 6 || (!core.armed && !isArmed) || ((old ^ s.get32(at)) & DR7_BREAKPOINTS) === 0) return NEXT;
  } else {
    s.set32(at, lo);
    s.set32(at + 4, hi);
    if (!core.armed) return NEXT;
  }
  core.mmu.flush(); // the pages that are watched are others
  core.updateMode();
  core.resumeFlag = false;
  core.setRipBehind(rec);
  return SLICE_END;
}

/** MOV r, DRn. */
export function movFromDr(core: CpuCore, n: number): Status {
  const dr = debugRegister(core, n);
  if (dr < 0) return FAULT;
  core.s.setResult(core.s.get64(S.dr + dr * 8));
  return NEXT;
}

/** XSETBV. */
export function xsetbv(core: CpuCore, rec: number): Status {
  const s = core.s;
  if ((s.get32(S.cr4) & CR4_OSXSAVE) === 0) return core.raise(EXC_UD);
  const value = s.gpr32(0);
  // AVX state is not without SSE state
  const fits = (value & ~supportedStates(core.features)) === 0 &&
    ((value & XCR0_AVX) === 0 || (value & XCR0_SSE) !== 0);
  if (core.cpl !== 0 || s.gpr32(1) !== 0 || s.gpr32(2) !== 0 || (value & 1) === 0 || !fits) {
    return core.raise(EXC_GP, 0);
  }
  s.set32(S.xcr0, value);
  return afterModeChange(core, rec);
}

/** RDPKRU and WRPKRU, SDM Vol. 2B: whether ECX and CR4 allow it; else a fault is recorded. */
function pkruAllows(core: CpuCore): boolean {
  if ((core.s.get32(S.cr4) & CR4_PKE) === 0) core.raise(EXC_UD);
  else if (core.s.gpr32(1) !== 0) core.raise(EXC_GP, 0);
  else return true;
  return false;
}
/** RDPKRU. */
export function rdpkru(core: CpuCore): Status {
  if (!pkruAllows(core)) return FAULT;
  core.s.setGpr32(0, core.s.get32(S.pkru));
  core.s.setGpr32(2, 0);
  return NEXT;
}
/** WRPKRU. */
export function wrpkru(core: CpuCore): Status {
  if (!pkruAllows(core)) return FAULT;
  if (core.s.gpr32(2) !== 0) return core.raise(EXC_GP, 0);
  core.mmu.setPkru(core.s.gpr32(0));
  return NEXT;
}

/** INVLPG of the linear address in argument 0. */
export function invlpg(core: CpuCore, rec: number): Status {
  if (!requireCpl0(core)) return FAULT;
  const s = core.s, hi = core.codeBits === 64 ? s.get32(S.arg + 4) : 0;
  if (core.longMode && !isCanonical(hi)) return NEXT;
  core.mmu.invalidatePage(s.get32(S.arg), hi);
  // The code that runs may have been in that page.
  core.setRipBehind(rec);
  return DISPATCH;
}

/** INVPCID: type, PCID and linear address in arguments 0 to 2. All of the TLB goes, which every type allows but 0. */
export function invpcid(core: CpuCore, rec: number): Status {
  const s = core.s, type = s.arg32(0), pcid = s.get32(S.arg + 8);
  if (s.get32(S.arg + 4) !== 0 || type > 3) return core.raise(EXC_GP, 0);
  if (!requireCpl0(core)) return FAULT;
  if ((pcid & ~0xfff) !== 0 || s.get32(S.arg + 12) !== 0) return core.raise(EXC_GP, 0);
  if (type < 2 && pcid !== 0 && (s.get32(S.cr4) & CR4_PCIDE) === 0) return core.raise(EXC_GP, 0);
  if (type === 0) {
    const hi = s.get32(S.arg + 20);
    if (core.longMode && !isCanonical(hi)) return core.raise(EXC_GP, 0);
    core.mmu.invalidatePage(s.get32(S.arg + 16), core.longMode ? hi : 0);
  } else core.mmu.flush(type === 1 || type === 3); // types 0, 1 and 3 may leave global pages
  core.setRipBehind(rec); // the code that runs may have been in one of the pages
  return DISPATCH;
}

/** LGDT, LIDT: limit in argument 0, base in argument 1. */
export function loadTableRegister(core: CpuCore, base: number, limit: number): Status {
  if (!requireCpl0(core)) return FAULT;
  const s = core.s, wide = core.codeBits === 64;
  const hi = wide ? s.get32(S.arg + 12) : 0;
  if (wide && !isCanonical(hi)) return core.raise(EXC_GP, 0);
  s.set32(limit, s.arg32(0) & 0xffff);
  s.set32(base, s.get32(S.arg + 8));
  s.set32(base + 4, hi);
  return NEXT;
}

/** UMIP: SGDT, SIDT, SLDT, STR, SMSW fault above CPL 0. True when allowed. */
export function umipAllows(core: CpuCore): boolean {
  if ((core.s.get32(S.cr4) & CR4_UMIP) === 0 || core.cpl === 0 || !core.protectedMode) return true;
  core.raise(EXC_GP, 0);
  return false;
}
