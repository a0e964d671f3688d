// SPDX-License-Identifier: MIT
/**
 * FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR: x87 and SSE state in memory. Rules: SDM Vol. 1 §10.5, §13.4-13.8.
 * The whole area is checked before a byte of it, or of the registers, changes. XSAVEOPT saves like XSAVE.
 * Left out: the compacted format (not advertised), AVX state.
 * @module
 */
import { PAGE_MASK, PAGE_SIZE } from "../base/bits.ts";
import type { CpuCore } from "../core/core.ts";
import { isCanonical } from "../mmu/mmu.ts";
import { XSAVE_BYTES } from "./state_components.ts";
import { CR0_EM, CR0_TS, CR4_OSXSAVE, EXC_GP, EXC_NM, EXC_UD, S, XMM_BASE } from "../state/state.ts";
import { FAULT, NEXT, type Status } from "../state/status.ts";
import { initState, loadFxsave, storeFxsave, X87_STATE } from "../fpu/x87_state.ts";

/** Offsets in the legacy region and the XSAVE header. */
const MXCSR = 24, MXCSR_MASK = 28, XMM = 160, XSTATE_BV = 512, XCOMP_BV = 520;
/** MXCSR bits that exist; the others fault when loaded. */
export const MXCSR_BITS = 0xffff;
const FX_BYTES = 512;
/** State components. */
const XFEATURE_X87 = 1, XFEATURE_SSE = 2;

/** x87 at power-on: FCW 0x40 is for hardware without FNINIT; kernels run FNINIT, so start there. */
export function resetX87(core: CpuCore): void {
  core.memory.bytes.fill(0, S.x87, S.x87 + X87_STATE.size);
  initState(core.memory.view, S.x87);
}

function xmmBytes(core: CpuCore): number {
  return core.codeBits === 64 ? 256 : 128;
}

/** Linear address (argument 0), canonical and aligned to `align`, into core.mem.lo/hi; else #GP(0) or #SS(0). */
function areaAddress(core: CpuCore, rec: number, align: number): boolean {
  const s = core.s, lo = s.get32(S.arg);
  if (core.codeBits === 64 && !isCanonical(s.get32(S.arg + 4))) {
    core.raise(core.mem.operandVector(rec), 0);
    return false;
  }
  if ((lo & (align - 1)) !== 0) {
    core.raise(EXC_GP, 0);
    return false;
  }
  core.mem.lo = lo;
  core.mem.hi = core.codeBits === 64 ? s.get32(S.arg + 4) : 0;
  return true;
}

/**
 * Byte offset where the area can be read (and changed, for `write`): the guest's own page, or our scratch page
 * with a copy when it crosses a page or is not memory. -1: fault recorded.
 */
function openArea(core: CpuCore, bytes: number, write: boolean): number {
  const mem = core.mem, lo = mem.lo, hi = mem.hi;
  if ((lo & PAGE_MASK) + bytes <= PAGE_SIZE) {
    const host = mem.hostOf(lo, hi, bytes, write, core.dataMode);
    if (host !== 0) return host;
  }
  return mem.loadTo(core.scratchPage, lo, hi, bytes, write, core.dataMode) ? core.scratchPage : -1;
}

/** After changing an area opened for writing. False: fault recorded. */
function closeArea(core: CpuCore, area: number, lo: number, hi: number, bytes: number): boolean {
  return area !== core.scratchPage || core.mem.storeFrom(area, lo, hi, bytes, core.dataMode);
}

function storeSse(core: CpuCore, area: number): void {
  core.memory.bytes.copyWithin(area + XMM, XMM_BASE, XMM_BASE + xmmBytes(core));
}
function storeMxcsr(core: CpuCore, area: number): void {
  core.s.view.setUint32(area + MXCSR, core.s.get32(S.mxcsr), true);
  core.s.view.setUint32(area + MXCSR_MASK, MXCSR_BITS, true);
}
function loadSse(core: CpuCore, area: number): void {
  core.memory.bytes.copyWithin(XMM_BASE, area + XMM, area + XMM + xmmBytes(core));
}

/** FXSAVE; `wide`: REX.W. */
export function fxsave(core: CpuCore, rec: number, wide: boolean): Status {
  if ((core.s.get32(S.cr0) & (CR0_EM | CR0_TS)) !== 0) return core.raise(EXC_NM);
  if (!areaAddress(core, rec, 16)) return FAULT;
  const lo = core.mem.lo, hi = core.mem.hi;
  const area = openArea(core, FX_BYTES, true);
  if (area === -1) return FAULT;
  storeFxsave(core.s.view, S.x87, area, wide);
  storeMxcsr(core, area);
  storeSse(core, area);
  return closeArea(core, area, lo, hi, FX_BYTES) ? NEXT : FAULT;
}

/** FXRSTOR; `wide`: REX.W. */
export function fxrstor(core: CpuCore, rec: number, wide: boolean): Status {
  if ((core.s.get32(S.cr0) & (CR0_EM | CR0_TS)) !== 0) return core.raise(EXC_NM);
  if (!areaAddress(core, rec, 16)) return FAULT;
  const area = openArea(core, FX_BYTES, false);
  if (area === -1) return FAULT;
  const view = core.s.view;
  const mxcsr = view.getUint32(area + MXCSR, true);
  if ((mxcsr & ~MXCSR_BITS) !== 0) return core.raise(EXC_GP, 0);
  loadFxsave(view, S.x87, area, wide);
  core.s.set32(S.mxcsr, mxcsr);
  loadSse(core, area);
  return NEXT;
}

/** Requested features: XCR0 and EDX:EAX; -1 with a fault recorded. */
function requested(core: CpuCore, rec: number): number {
  const s = core.s;
  if ((s.get32(S.cr4) & CR4_OSXSAVE) === 0) {
    core.raise(EXC_UD);
    return -1;
  }
  if ((s.get32(S.cr0) & CR0_TS) !== 0) {
    core.raise(EXC_NM);
    return -1;
  }
  return areaAddress(core, rec, 64) ? s.get32(S.xcr0) & s.gpr32(0) : -1;
}

/** XSAVE and XSAVEOPT; `wide`: REX.W. Every component counts as in use. */
export function xsave(core: CpuCore, rec: number, wide: boolean): Status {
  const features = requested(core, rec);
  if (features < 0) return FAULT;
  const view = core.s.view, lo = core.mem.lo, hi = core.mem.hi;
  const area = openArea(core, XSAVE_BYTES, true);
  if (area === -1) return FAULT;
  if ((features & XFEATURE_X87) !== 0) storeFxsave(view, S.x87, area, wide);
  if ((features & XFEATURE_SSE) !== 0) {
    storeMxcsr(core, area);
    storeSse(core, area);
  }
  const old = view.getUint32(area + XSTATE_BV, true);
  view.setUint32(area + XSTATE_BV, old | features, true);
  return closeArea(core, area, lo, hi, XSAVE_BYTES) ? NEXT : FAULT;
}

/** XRSTOR; `wide`: REX.W. */
export function xrstor(core: CpuCore, rec: number, wide: boolean): Status {
  const features = requested(core, rec);
  if (features < 0) return FAULT;
  const view = core.s.view;
  const area = openArea(core, XSAVE_BYTES, false);
  if (area === -1) return FAULT;
  const present = view.getUint32(area + XSTATE_BV, true);
  let bad = (present & ~core.s.get32(S.xcr0)) !== 0 || view.getUint32(area + XSTATE_BV + 4, true) !== 0;
  for (let at = XCOMP_BV; at < XCOMP_BV + 16; at += 4) bad ||= view.getUint32(area + at, true) !== 0;
  const mxcsr = view.getUint32(area + MXCSR, true);
  bad ||= (features & XFEATURE_SSE) !== 0 && (mxcsr & ~MXCSR_BITS) !== 0;
  if (bad) return core.raise(EXC_GP, 0);
  if ((features & XFEATURE_X87) !== 0) {
    if ((present & XFEATURE_X87) !== 0) loadFxsave(view, S.x87, area, wide);
    else resetX87(core);
  }
  if ((features & XFEATURE_SSE) !== 0) {
    core.s.set32(S.mxcsr, mxcsr);
    if ((present & XFEATURE_SSE) !== 0) loadSse(core, area);
    else core.memory.bytes.fill(0, XMM_BASE, XMM_BASE + xmmBytes(core));
  }
  return NEXT;
}
