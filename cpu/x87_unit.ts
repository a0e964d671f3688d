// SPDX-License-Identifier: MIT
/**
 * Between the instruction stream and cpu/x87: checks that come before an x87 instruction, its memory operand, and
 * EFLAGS for those that read or write them. SDM Vol. 1 §8, Vol. 3A §2.5 (CR0.EM, TS, NE).
 * Not done: CR0.NE clear (FERR#, IRQ 13); #MF is raised either way.
 * @module
 */
import type { CpuCore } from "./core.ts";
import { CR0_EM, CR0_TS, CS, DS, EXC_MF, EXC_NM, EXC_UD, S } from "./state.ts";
import { FAULT, NEXT, type Status } from "./status.ts";
import { formOf } from "./x87/instructions.ts";
import { X87_STATE } from "./x87/state.ts";
import { X87, X87_MF, X87_UD } from "./x87/x87.ts";

/** Operand buffer, 108 bytes, behind the x87 state in its part of the state block. */
const OPERAND = S.x87 + 256;
const units = new WeakMap<CpuCore, X87>();

function unitOf(core: CpuCore): X87 {
  let unit = units.get(core);
  if (unit === undefined) units.set(core, unit = new X87(core.s.view, S.x87, OPERAND));
  return unit;
}

/** D8..DF: opcode, modrm, linear address (memory forms), 16-bit operand size. */
export function x87(core: CpuCore, rec: number): Status {
  const s = core.s;
  if ((s.get32(S.cr0) & (CR0_EM | CR0_TS)) !== 0) return core.raise(EXC_NM);
  const opcode = s.arg32(0), modrm = s.arg32(1) & 0xff;
  const unit = unitOf(core);
  const form = formOf(opcode, modrm);
  core.setRipTo(rec);
  unit.ipLow = core.ripLo;
  unit.ipHigh = core.ripHi;
  unit.cs = core.selector(CS);
  const memory = modrm < 0xc0;
  const lo = s.arg32(2), hi = s.u32[((S.arg + 16) >> 2) + 1] as number;
  const short = s.arg32(3) !== 0;
  unit.envFormat = { short, real: !core.protectedMode };
  if (memory) {
    unit.dpLow = lo;
    unit.dpHigh = hi;
    unit.ds = core.selector(DS);
    const bytes = form.bytes(short);
    if (form.kind === "load" && !core.mem.loadTo(OPERAND, lo, hi, bytes, false, core.dataMode)) return FAULT;
    if (form.kind === "store" && !core.mem.probe(lo, hi, bytes, true, core.dataMode)) return FAULT;
  }
  if (form.eflags !== "none") unit.eflags = core.rflags;
  const result = unit.execute(opcode, modrm);
  if (result === X87_MF) return core.raise(EXC_MF);
  if (result === X87_UD) return core.raise(EXC_UD);
  if (form.kind === "ax") s.view.setUint16(S.gpr, s.view.getUint16(S.x87 + X87_STATE.at.fsw, true), true);
  if (form.eflags === "write") core.setRflags(unit.eflags);
  if (memory && unit.storeBytes > 0 && !core.mem.storeFrom(OPERAND, lo, hi, unit.storeBytes, core.dataMode)) {
    unit.cancelStore();
    return FAULT;
  }
  return NEXT;
}

/** #MF when an unmasked x87 exception waits: WAIT and MMX instructions. */
export function checkPending(core: CpuCore): Status {
  return unitOf(core).pending ? core.raise(EXC_MF) : NEXT;
}
