// SPDX-License-Identifier: MIT
/**
 * What registers hold after power-on or RESET, and after INIT. Rules: SDM Vol. 3A table 9-1: real mode at F000:FFF0.
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import { CR0_CD, CR0_ET, CR0_NW, CS, ES, LDTR, S, TR, XMM_BASE, YMM_HIGH } from "../state/state.ts";
import { CPUID_SIGNATURE } from "./cpuid.ts";
import { resetX87 } from "./fxsave.ts";
import { resetMsrs } from "./msr.ts";

/** Puts every register into its power-on state. */
export function powerOn(core: CpuCore): void {
  const s = core.s;
  core.u32.fill(0, S.gpr >> 2, (XMM_BASE + YMM_HIGH + 16 * 16) >> 2);
  s.set64(S.xcr0, 1n);
  s.set32(S.mxcsr, 0x1f80);
  resetMsrs(core);
  resetX87(core);
  s.set64(S.cr0, BigInt(CR0_CD | CR0_NW));
  init(core);
}

/**
 * INIT: x87, MMX, SSE, XCR0, the TSC, MTRRs and other MSRs but EFER stay, and so do CR0.CD and CR0.NW (the state block
 * holds all of these from XCR0 on). EFER is not in the table; processors clear it, as CR0.PG demands.
 */
export function init(core: CpuCore): void {
  const s = core.s;
  const cache = s.get32(S.cr0) & (CR0_CD | CR0_NW);
  core.u32.fill(0, S.gpr >> 2, S.xcr0 >> 2);
  s.set32(S.constant8192, 8192);
  s.setGpr32(2, CPUID_SIGNATURE[core.vendor]);
  s.set64(S.rip, 0xfff0n);
  s.set32(S.eflags, 2);
  s.set64(S.cr0, BigInt(cache | CR0_ET));
  for (let i = ES; i <= TR; i++) {
    const attributes = i === CS ? 0x9b : i === LDTR ? 0x82 : i === TR ? 0x8b : 0x93;
    s.setSegment(i, { selector: 0, base: 0n, limit: 0xffff, attributes });
  }
  s.setSegment(CS, { selector: 0xf000, base: 0xffff_0000n, limit: 0xffff, attributes: 0x9b });
  s.set32(S.gdtrLimit, 0xffff);
  s.set32(S.idtrLimit, 0xffff);
  s.set64(S.dr + 6 * 8, 0xffff_0ff0n);
  s.set64(S.dr + 7 * 8, 0x400n);
  core.resumeFlag = false;
  core.debugTraps = 0;
  core.nmiPending = core.nmiBlocked = false;
  core.mmu.flush();
  core.updateMode();
}
