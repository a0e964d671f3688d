// SPDX-License-Identifier: MIT
/**
 * FXSAVE, FXRSTOR: x87 and SSE state in memory, and what xsave.ts shares with them. Rules: SDM Vol. 1 §10.5. The whole area
 * is checked before a byte of it, or of the registers, changes.
 * @module
 */
import { PAGE_MASK, PAGE_SIZE } from "../base/bits.ts";
import type { CpuCore } from "../core/core.ts";
import { isCanonical } from "../mmu/mmu.ts";
import { CR0_EM, CR0_TS, EXC_GP, EXC_NM, S, XMM_BASE } from "../state/state.ts";
import { FAULT, NEXT, type Status } from "../state/status.ts";
import { initState, loadFxsave, storeFxsave, X87_STATE } from "../fpu/x87_state.ts";

/** Offsets in the image. */
export const MXCSR = 24;
const MXCSR_MASK = 28, XMM = 160;
/** MXCSR bits that exist; the others fault when loaded. */
export const MXCSR_BITS = 0xffff;
const FX_BYTES = 512;

/** x87 at power-on: FCW 0x40 is for hardware without FNINIT; kernels run FNINIT, so start there. */
export function resetX87(core: CpuCore): void {
  core.memory.bytes.fill(0, S.x87, S.x87 + X87_STATE.size);
  initState(core.memory.view, S.x87);
}

/** Bytes of the XMM registers that code of this mode has; as many are the upper halves of its YMM registers. */
export function xmmBytes(core: CpuCore): number {
  return core.codeBits === 64 ? 256 : 128;
}

/** Linear address (argument 0), canonical and aligned to `align`, into core.mem.lo/hi; else #GP(0) or #SS(0). */
export function areaAddress(core: CpuCore, rec: number, align: number): boolean {
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
export function openArea(core: CpuCore, bytes: number, write: boolean): number {
  const mem = core.mem, lo = mem.lo, hi = mem.hi;
  if ((lo & PAGE_MASK) + bytes <= PAGE_SIZE) {
    const host = mem.hostOf(lo, hi, bytes, write, core.dataMode);
    if (host !== 0) return host;
  }
  return mem.loadTo(core.scratchPage, lo, hi, bytes, write, core.dataMode) ? core.scratchPage : -1;
}

/** After changing an area opened for writing. False: fault recorded. */
export function closeArea(core: CpuCore, area: number, lo: number, hi: number, bytes: number): boolean {
  return area !== core.scratchPage || core.mem.storeFrom(area, lo, hi, bytes, core.dataMode);
}

/** The XMM registers. */
export function storeSse(core: CpuCore, area: number): void {
  core.memory.bytes.copyWithin(area + XMM, XMM_BASE, XMM_BASE + xmmBytes(core));
}
/** MXCSR and MXCSR_MASK. */
export function storeMxcsr(core: CpuCore, area: number): void {
  core.s.view.setUint32(area + MXCSR, core.s.get32(S.mxcsr), true);
  core.s.view.setUint32(area + MXCSR_MASK, MXCSR_BITS, true);
}
/** The XMM registers. */
export function loadSse(core: CpuCore, area: number): void {
  core.memory.bytes.copyWithin(XMM_BASE, area + XMM, area + XMM + xmmBytes(core));
}

/** Of what is not aligned to 16 bytes, how much is #AC where that is on depends on the processor: here, as on Zen 4. */
function fxAddress(core: CpuCore, rec: number): boolean {
  return core.mem.isAligned(core.s.get32(S.arg), 4) && areaAddress(core, rec, 16);
}

/** FXSAVE; `wide`: REX.W. */
export function fxsave(core: CpuCore, rec: number, wide: boolean): Status {
  if ((core.s.get32(S.cr0) & (CR0_EM | CR0_TS)) !== 0) return core.raise(EXC_NM);
  if (!fxAddress(core, rec)) return FAULT;
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
  if (!fxAddress(core, rec)) return FAULT;
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
