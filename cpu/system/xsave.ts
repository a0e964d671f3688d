// SPDX-License-Identifier: MIT
/**
 * XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS, XGETBV. Rules: SDM Vol. 1 §13.4-13.12. A component in its initial
 * configuration is not in use, and nothing else is: XINUSE follows from the registers. The modified optimization, which
 * a processor need not make, is not made: every component counts as modified. There are no supervisor states, so IA32_XSS
 * is zero. The whole area is checked before a byte of it, or of the registers, changes.
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import { FCW_INIT, loadFxsave, storeFxsave, X87_STATE } from "../fpu/x87_state.ts";
import {
  CR0_TS,
  CR4_OSXSAVE,
  EXC_GP,
  EXC_NM,
  EXC_UD,
  S,
  XCR0_AVX,
  XCR0_SSE,
  XCR0_X87,
  XMM_BASE,
  YMM_HIGH,
} from "../state/state.ts";
import { FAULT, NEXT, type Status } from "../state/status.ts";
import {
  areaAddress,
  closeArea,
  loadSse,
  MXCSR,
  MXCSR_BITS,
  openArea,
  resetX87,
  storeMxcsr,
  storeSse,
  xmmBytes,
} from "./fxsave.ts";
import { areaBytes, compactedPlaces, STATES, XSAVE_BYTES } from "./state_components.ts";

/** Offsets of the header's fields. */
const XSTATE_BV = 512, XCOMP_BV = 520, RESERVED = 528, HEADER_END = 576;
/** In the upper half of XCOMP_BV: the area is compacted. */
const COMPACTED = 0x8000_0000;
const MXCSR_INIT = 0x1f80;

/** How an instruction saves. */
interface Saving {
  /** Components that are not in use are not written. */
  readonly initOptimization: boolean;
  readonly compacts: boolean;
  readonly privileged: boolean;
}
const XSAVE: Saving = { initOptimization: false, compacts: false, privileged: false };
const XSAVEOPT: Saving = { initOptimization: true, compacts: false, privileged: false };
const XSAVEC: Saving = { initOptimization: true, compacts: true, privileged: false };
const XSAVES: Saving = { initOptimization: true, compacts: true, privileged: true };

/** Components in `features` that are asked for: XCR0 and EDX:EAX; -1 with a fault recorded. */
function requested(core: CpuCore, rec: number, privileged: boolean): number {
  const s = core.s;
  if ((s.get32(S.cr4) & CR4_OSXSAVE) === 0) core.raise(EXC_UD);
  else if ((s.get32(S.cr0) & CR0_TS) !== 0) core.raise(EXC_NM);
  else if (privileged && core.cpl !== 0) core.raise(EXC_GP, 0);
  else if (areaAddress(core, rec, 64)) return s.get32(S.xcr0) & s.gpr32(0);
  return -1;
}

function isZero(core: CpuCore, at: number, bytes: number): boolean {
  for (let word = at >> 2; word < (at + bytes) >> 2; word++) if (core.u32[word] !== 0) return false;
  return true;
}
function x87InUse(core: CpuCore): boolean {
  const { at, size } = X87_STATE, view = core.s.view;
  if (view.getUint16(S.x87 + at.fcw, true) !== FCW_INIT) return true;
  for (let offset = 2; offset < at.r; offset += 2) {
    if (view.getUint16(S.x87 + offset, true) !== 0) return true;
  }
  return !isZero(core, S.x87 + at.r, size - at.r);
}
/** XINUSE: which components are not in their initial configuration. MXCSR does not count. */
export function componentsInUse(core: CpuCore): number {
  let inUse = x87InUse(core) ? XCR0_X87 : 0;
  if (!isZero(core, XMM_BASE, 256)) inUse |= XCR0_SSE;
  for (const { component, at, bytes } of STATES) if (!isZero(core, at, bytes)) inUse |= 1 << component;
  return inUse;
}

/** Bytes of a component that code of this mode sees. */
function visibleBytes(core: CpuCore, at: number, bytes: number): number {
  return at === XMM_BASE + YMM_HIGH ? xmmBytes(core) : bytes;
}

/** `wide`: REX.W. */
function save(core: CpuCore, rec: number, wide: boolean, how: Saving): Status {
  const features = requested(core, rec, how.privileged);
  if (features < 0) return FAULT;
  const view = core.s.view, { lo, hi } = core.mem;
  let inUse = features & componentsInUse(core);
  // With compaction MXCSR is part of the SSE state.
  if (how.compacts && (features & XCR0_SSE) !== 0 && core.s.get32(S.mxcsr) !== MXCSR_INIT) inUse |= XCR0_SSE;
  const written = how.initOptimization ? inUse : features;
  const places = how.compacts ? compactedPlaces(features) : STATES;
  const bytes = areaBytes(written, places);
  const area = openArea(core, bytes, true);
  if (area === -1) return FAULT;
  if ((written & XCR0_X87) !== 0) storeFxsave(view, S.x87, area, wide);
  const controls = how.compacts ? written & XCR0_SSE : features & (XCR0_SSE | XCR0_AVX);
  if (controls !== 0) storeMxcsr(core, area);
  if ((written & XCR0_SSE) !== 0) storeSse(core, area);
  for (const { component, offset, at, bytes } of places) {
    if ((written & (1 << component)) === 0) continue;
    core.memory.bytes.copyWithin(area + offset, at, at + visibleBytes(core, at, bytes));
  }
  const old = how.compacts ? 0 : view.getUint32(area + XSTATE_BV, true) & ~features;
  view.setUint32(area + XSTATE_BV, old | inUse, true);
  if (how.compacts) {
    view.setUint32(area + XSTATE_BV + 4, 0, true);
    view.setUint32(area + XCOMP_BV, features, true);
    view.setUint32(area + XCOMP_BV + 4, COMPACTED, true);
  }
  return closeArea(core, area, lo, hi, bytes) ? NEXT : FAULT;
}

/** XRSTOR and XRSTORS, which is privileged and wants a compacted area; `wide`: REX.W. */
function restore(core: CpuCore, rec: number, wide: boolean, privileged: boolean): Status {
  const features = requested(core, rec, privileged);
  if (features < 0) return FAULT;
  const s = core.s, view = s.view, { lo, hi } = core.mem, xcr0 = s.get32(S.xcr0);
  let area = openArea(core, XSAVE_BYTES, false);
  if (area === -1) return FAULT;
  const word = (offset: number) => view.getUint32(area + offset, true);
  const compacted = (word(XCOMP_BV + 4) & COMPACTED) !== 0 && core.features.has("xsavec");
  const present = word(XSTATE_BV), held = word(XCOMP_BV);
  let bad = word(XSTATE_BV + 4) !== 0 || (present & ~xcr0) !== 0;
  if (compacted) {
    bad ||= word(XCOMP_BV + 4) !== COMPACTED || (held & ~xcr0) !== 0 || (present & ~held) !== 0;
    for (let at = RESERVED; at < HEADER_END; at += 4) bad ||= word(at) !== 0;
  } else {
    bad ||= privileged || held !== 0 || word(XCOMP_BV + 4) !== 0 || word(RESERVED) !== 0 ||
      word(RESERVED + 4) !== 0;
  }
  const loaded = features & present;
  const loadsControls = compacted ? (loaded & XCR0_SSE) !== 0 : (features & (XCR0_SSE | XCR0_AVX)) !== 0;
  bad ||= loadsControls && (word(MXCSR) & ~MXCSR_BITS) !== 0;
  if (bad) return core.raise(EXC_GP, 0);
  const places = compacted ? compactedPlaces(held) : STATES;
  const bytes = areaBytes(loaded, places);
  if (bytes > XSAVE_BYTES) {
    core.mem.lo = lo;
    core.mem.hi = hi;
    area = openArea(core, bytes, false);
    if (area === -1) return FAULT;
  }
  if ((loaded & XCR0_X87) !== 0) loadFxsave(view, S.x87, area, wide);
  else if ((features & XCR0_X87) !== 0) resetX87(core);
  if (loadsControls) s.set32(S.mxcsr, word(MXCSR));
  else if (compacted && (features & XCR0_SSE) !== 0) s.set32(S.mxcsr, MXCSR_INIT);
  const memory = core.memory.bytes, pkru = s.get32(S.pkru);
  if ((loaded & XCR0_SSE) !== 0) loadSse(core, area);
  else if ((features & XCR0_SSE) !== 0) memory.fill(0, XMM_BASE, XMM_BASE + xmmBytes(core));
  for (const { component, offset, at, bytes } of places) {
    const visible = visibleBytes(core, at, bytes);
    if ((loaded & (1 << component)) !== 0) memory.copyWithin(at, area + offset, area + offset + visible);
    else if ((features & (1 << component)) !== 0) memory.fill(0, at, at + visible);
  }
  const newPkru = s.get32(S.pkru);
  s.set64(S.pkru, BigInt(pkru)); // the upper half of what was in memory means nothing
  core.mmu.setPkru(newPkru);
  return NEXT;
}

/** XGETBV: XCR0, or what of it is in use. */
export function xgetbv(core: CpuCore): Status {
  const s = core.s, index = s.gpr32(1), xcr0 = s.get32(S.xcr0);
  if ((s.get32(S.cr4) & CR4_OSXSAVE) === 0) return core.raise(EXC_UD);
  if (index > 1 || (index === 1 && !core.features.has("xgetbv1"))) return core.raise(EXC_GP, 0);
  s.setGpr32(0, index === 0 ? xcr0 : xcr0 & componentsInUse(core));
  s.setGpr32(2, 0);
  return NEXT;
}

const wide = (core: CpuCore) => core.s.arg32(1) !== 0;
/** Entries for cpu/system/microcode.ts. */
export const xsaveMicrocode = {
  xsave: (core: CpuCore, rec: number): Status => save(core, rec, wide(core), XSAVE),
  xsaveopt: (core: CpuCore, rec: number): Status => save(core, rec, wide(core), XSAVEOPT),
  xsavec: (core: CpuCore, rec: number): Status => save(core, rec, wide(core), XSAVEC),
  xsaves: (core: CpuCore, rec: number): Status => save(core, rec, wide(core), XSAVES),
  xrstor: (core: CpuCore, rec: number): Status => restore(core, rec, wide(core), false),
  xrstors: (core: CpuCore, rec: number): Status => restore(core, rec, wide(core), true),
  xgetbv,
} as const;
