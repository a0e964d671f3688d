// SPDX-License-Identifier: MIT
/**
 * Registers as plain data, for those who know no state block.
 * @module
 */
import { GPR_NAMES, type GprName } from "./base/vcpu.ts";
import {
  CONTROL_NAMES,
  type ControlName,
  type CpuRegisterChanges,
  type CpuRegisters,
  type Segment,
  SEGMENT_NAMES,
  type SegmentName,
} from "./base/engine.ts";
import type { CpuCore } from "./core/core.ts";
import { CR0_PE, CR0_PG, CR4_PAE, S, SEG_DPL_SHIFT, SS } from "./state/state.ts";

const u64 = (value: bigint) => BigInt.asUintN(64, value);

/** Every register, as it is between instructions. */
export function readRegisters(core: CpuCore): CpuRegisters {
  const s = core.s;
  return {
    gprs: Object.fromEntries(GPR_NAMES.map((name, i) => [name, s.gpr(i)])) as Record<GprName, bigint>,
    rip: core.rip,
    rflags: BigInt(core.rflags >>> 0),
    control: Object.fromEntries(CONTROL_NAMES.map((name) => [name, s.get64(S[name])])) as Record<
      ControlName,
      bigint
    >,
    segments: Object.fromEntries(SEGMENT_NAMES.map((name, i) => [name, s.segment(i)])) as Record<
      SegmentName,
      Segment
    >,
    gdtr: { base: s.get64(S.gdtrBase), limit: s.get32(S.gdtrLimit) },
    idtr: { base: s.get64(S.idtrBase), limit: s.get32(S.idtrLimit) },
    debug: Array.from({ length: 8 }, (_, n) => n === 4 || n === 5 ? 0n : s.get64(S.dr + n * 8)),
  };
}

/** Writes registers without checks; modes follow, the privilege level is that of SS, as for the processor itself. */
export function writeRegisters(core: CpuCore, changes: CpuRegisterChanges): void {
  const s = core.s;
  for (const [i, name] of GPR_NAMES.entries()) {
    const value = changes.gprs?.[name];
    if (value !== undefined) s.setGpr(i, u64(value));
  }
  if (changes.rip !== undefined) s.set64(S.rip, u64(changes.rip));
  for (const name of CONTROL_NAMES) {
    const value = changes.control?.[name];
    if (value !== undefined) s.set64(S[name], u64(value));
  }
  for (const [i, name] of SEGMENT_NAMES.entries()) {
    const value = changes.segments?.[name];
    if (value !== undefined) s.setSegment(i, { ...value, base: u64(value.base) });
  }
  for (
    const [table, base, limit] of [["gdtr", S.gdtrBase, S.gdtrLimit], [
      "idtr",
      S.idtrBase,
      S.idtrLimit,
    ]] as const
  ) {
    const value = changes[table];
    if (value === undefined) continue;
    s.set64(base, u64(value.base));
    s.set32(limit, value.limit);
  }
  if (changes.rflags !== undefined) core.setRflags(Number(BigInt.asUintN(32, changes.rflags)));
  const cr0 = s.get32(S.cr0);
  core.setCpl((cr0 & CR0_PE) === 0 ? 0 : (core.attributes(SS) >> SEG_DPL_SHIFT) & 3);
  if ((cr0 & CR0_PG) !== 0 && !core.longMode && (s.get32(S.cr4) & CR4_PAE) !== 0) {
    core.mmu.loadPdptes(s.get32(S.cr3));
  }
  core.mmu.flush();
  core.updateMode();
}
