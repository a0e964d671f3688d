// SPDX-License-Identifier: MIT
/**
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS. Rules: SDM Vol. 3A §5.8.7-5.8.8, Vol. 2B. With vendor
 * AuthenticAMD (APM Vol. 2 §6.1, Vol. 3): SYSCALL from compatibility mode goes to CSTAR, outside long mode to STAR;
 * SYSENTER and SYSEXIT in long mode are #UD; SYSRET to a non-canonical address faults there, at privilege 3, and
 * leaves the hidden part of SS alone.
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import { isCanonical } from "../mmu/mmu.ts";
import {
  CS,
  EFER_SCE,
  EXC_GP,
  EXC_UD,
  FLAG_IF,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  S,
  SEG_DB,
  SEG_DPL_SHIFT,
  SEG_G,
  SEG_L,
  SEG_UNUSABLE,
  SS,
} from "../state/state.ts";
import { DISPATCH, type Status } from "../state/status.ts";

const RCX_AT = (S.gpr >> 2) + 2, R11_AT = (S.gpr >> 2) + 22;
/** Flat segments as these instructions make them: present, accessed; code is readable, data writable. */
const CODE = 0x9b | SEG_G, DATA = 0x93 | SEG_G | SEG_DB;

function setFlat(
  core: CpuCore,
  selector: number,
  stackSelector: number,
  cpl: number,
  codeSize: number,
): void {
  core.setCpl(cpl);
  core.setSegment(CS, (selector & 0xfffc) | cpl, 0, 0, 0xffff_ffff, CODE | codeSize | (cpl << 5));
  core.setSegment(SS, (stackSelector & 0xfffc) | cpl, 0, 0, 0xffff_ffff, DATA | (cpl << 5));
}

/**
 * The stack segment that SYSRET leaves. AMD's processors load the selector alone, so that a null SS stays unusable (APM
 * Vol. 3, SYSRET; Linux calls it X86_BUG_SYSRET_SS_ATTRS).
 */
function keepStackSegment(
  core: CpuCore,
  selector: number,
  before: ReturnType<CpuCore["s"]["segment"]>,
): void {
  const { base, limit, attributes } = before;
  const outer = (attributes & SEG_UNUSABLE) !== 0 ? attributes : attributes | 3 << SEG_DPL_SHIFT;
  core.s.setSegment(SS, { selector: (selector & 0xfffc) | 3, base, limit, attributes: outer });
}
/** CS, SS and privilege behind SYSRET. */
function returnTo(core: CpuCore, code: number, stack: number, codeSize: number): void {
  const before = core.s.segment(SS);
  setFlat(core, code, stack, 3, codeSize);
  if (core.vendor === "AuthenticAMD") keepStackSegment(core, stack, before);
}

/** SYSCALL. */
export function syscall(core: CpuCore, rec: number): Status {
  const u32 = core.u32, s = core.s;
  const bits = core.codeBits, amd = core.vendor === "AuthenticAMD";
  if ((s.get32(S.efer) & EFER_SCE) === 0 || (bits !== 64 && !amd) || !core.protectedMode) {
    return core.raise(EXC_UD);
  }
  core.setRipBehind(rec);
  if (!core.longMode) return legacySyscall(core);
  const flags = core.rflags;
  core.stepTrapCancelled = (s.get32(S.fmask) & FLAG_TF) !== 0;
  u32[RCX_AT] = core.ripLo;
  u32[RCX_AT + 1] = core.ripHi;
  u32[R11_AT] = flags;
  u32[R11_AT + 1] = 0;
  const selector = s.get32(S.star + 4) & 0xffff;
  setFlat(core, selector, selector + 8, 0, SEG_L);
  setFlags(core, flags & ~s.get32(S.fmask));
  const at = bits === 64 ? S.lstar : S.cstar;
  core.setRip(s.get32(at), s.get32(at + 4));
  return DISPATCH;
}

/** AMD's, outside long mode: no flags are kept but in the caller's head, and the target is in STAR. */
function legacySyscall(core: CpuCore): Status {
  const s = core.s, selector = s.get32(S.star + 4) & 0xffff;
  s.setGpr32(1, core.ripLo);
  setFlat(core, selector, selector + 8, 0, SEG_DB);
  setFlags(core, core.rflags & ~(FLAG_IF | FLAG_VM | FLAG_RF));
  core.setRip(s.get32(S.star), 0);
  return DISPATCH;
}
function legacySysret(core: CpuCore): Status {
  const s = core.s, star = s.get32(S.star + 4) >>> 16;
  returnTo(core, star, star + 8, SEG_DB);
  setFlags(core, core.rflags | FLAG_IF);
  core.setRip(s.gpr32(1), 0);
  core.checkInterrupts();
  return DISPATCH;
}

function setFlags(core: CpuCore, flags: number): void {
  core.setRflags(flags);
  core.updateMode();
}

/** SYSRET. `opBytes` 8: to 64-bit code. */
export function sysret(core: CpuCore, opBytes: number): Status {
  const u32 = core.u32, s = core.s;
  const amd = core.vendor === "AuthenticAMD";
  if ((s.get32(S.efer) & EFER_SCE) === 0 || (core.codeBits !== 64 && !amd) || !core.protectedMode) {
    return core.raise(EXC_UD);
  }
  if (core.cpl !== 0) return core.raise(EXC_GP, 0);
  if (!core.longMode) return legacySysret(core);
  const lo = u32[RCX_AT] as number, hi = u32[RCX_AT + 1] as number;
  const star = s.get32(S.star + 4) >>> 16;
  if (opBytes === 8) {
    if (!isCanonical(hi) && !amd) return core.raise(EXC_GP, 0);
    returnTo(core, star + 16, star + 8, SEG_L);
    core.setRip(lo, hi);
  } else {
    returnTo(core, star, star + 8, SEG_DB);
    core.setRip(lo, 0);
  }
  setFlags(core, (u32[R11_AT] as number) & 0x3c_7fd7);
  core.checkInterrupts();
  return DISPATCH;
}

/** SYSENTER. */
export function sysenter(core: CpuCore): Status {
  const s = core.s;
  const long = core.longMode;
  if (long && core.vendor === "AuthenticAMD") return core.raise(EXC_UD);
  const selector = s.get32(S.sysenterCs) & 0xfffc;
  if (core.realMode || selector === 0) return core.raise(EXC_GP, 0);
  const at = S.eflags;
  s.set32(at, s.get32(at) & ~(FLAG_IF | FLAG_VM));
  setFlat(core, selector, selector + 8, 0, long ? SEG_L : SEG_DB);
  core.updateMode();
  const hi = long ? 0xffff_ffff : 0;
  core.u32[(S.gpr >> 2) + 8] = s.get32(S.sysenterEsp);
  core.u32[(S.gpr >> 2) + 9] = s.get32(S.sysenterEsp + 4) & hi;
  core.setRip(s.get32(S.sysenterEip), (s.get32(S.sysenterEip + 4) & hi) >>> 0);
  return DISPATCH;
}

/** SYSEXIT. `opBytes` 8: to 64-bit code. */
export function sysexit(core: CpuCore, opBytes: number): Status {
  const s = core.s;
  if (core.longMode && core.vendor === "AuthenticAMD") return core.raise(EXC_UD);
  const selector = s.get32(S.sysenterCs) & 0xfffc;
  if (!core.protectedMode || selector === 0 || core.cpl !== 0) return core.raise(EXC_GP, 0);
  const wide = opBytes === 8;
  const rdxLo = s.gpr32(2), rdxHi = s.get32(S.gpr + 2 * 8 + 4);
  const rcxLo = s.gpr32(1), rcxHi = s.get32(S.gpr + 1 * 8 + 4);
  if (wide && (!isCanonical(rdxHi) || !isCanonical(rcxHi))) return core.raise(EXC_GP, 0);
  const base = selector + (wide ? 32 : 16);
  setFlat(core, base, base + 8, 3, wide ? SEG_L : SEG_DB);
  core.updateMode();
  core.u32[(S.gpr >> 2) + 8] = rcxLo;
  core.u32[(S.gpr >> 2) + 9] = wide ? rcxHi : 0;
  core.setRip(rdxLo, wide ? rdxHi : 0);
  return DISPATCH;
}
