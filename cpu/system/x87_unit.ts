// SPDX-License-Identifier: MIT
/**
 * Microcode that connects the x87 of cpu/fpu to the CPU: faults that come first, memory operands, EFLAGS and AX.
 * Order of faults: #NM, #UD, #MF, then memory (SDM Vol. 3A table 6-2). Memory is read before, and known to be
 * writable when, anything changes.
 * Not done: FERR# instead of #MF when CR0.NE is clear.
 * @module
 */
import { assert } from "../base/assert.ts";
import type { CpuCore, Microcode } from "../core/core.ts";
import { segmentedAccess } from "../segments/segmentation.ts";
import { record } from "../state/record.ts";
import {
  CR0_EM,
  CR0_TS,
  CS,
  EXC_GP,
  EXC_MF,
  EXC_NM,
  EXC_SS,
  EXC_UD,
  S,
  segmentLayout,
  SS,
} from "../state/state.ts";
import { FAULT, NEXT, type Status } from "../state/status.ts";
import { formOf, type X87Form } from "../fpu/instructions.ts";
import { type X87, X87_OK } from "../fpu/x87.ts";
import { X87_STATE } from "../fpu/x87_state.ts";

assert(S.arg === S.memData + 64, "the microcode arguments follow the memory data");

/** #NM, #UD, #MF; then what the unit has to know. */
function prepare(core: CpuCore, rec: number, x: X87, form: X87Form, how: number): boolean {
  if ((core.s.get32(S.cr0) & (CR0_EM | CR0_TS)) !== 0) core.raise(EXC_NM);
  else if (form.run === undefined) core.raise(EXC_UD);
  else if (form.waits && x.pending) core.raise(EXC_MF);
  else {
    core.setRipTo(rec);
    x.ipLow = core.ripLo;
    x.ipHigh = core.ripHi;
    x.cs = core.selector(CS);
    if (form.eflags !== "none") x.eflags = core.rflags;
    if (form.bytes(true) !== form.bytes(false)) {
      x.envFormat = { short: (how >> 16 & 1) !== 0, real: !core.protectedMode };
    }
    return true;
  }
  return false;
}

/** Argument: ModRM, opcode in bits 15:8, 16-bit operand size in bit 16. */
function x87Register(core: CpuCore, rec: number): Status {
  const s = core.s, x = core.x87;
  const how = s.arg32(0), opcode = how >> 8 & 0xff, modrm = how & 0xff;
  const form = formOf(opcode, modrm);
  if (!prepare(core, rec, x, form, how)) return FAULT;
  const answer = x.execute(opcode, modrm);
  assert(answer === X87_OK, "x87 faults were looked for");
  if (form.eflags === "write") core.setRflags(x.eflags);
  else if (form.kind === "ax") {
    s.view.setUint16(S.gpr, s.view.getUint16(S.x87 + X87_STATE.at.fsw, true), true);
  }
  return NEXT;
}

/** Alignment of an operand, SDM Vol. 3A table 6-7. `short`: 16-bit operand size. */
function alignment(bytes: number, short: boolean): number {
  if (bytes <= 8) return bytes;
  return bytes === 10 ? 8 : short ? 2 : 4; // a number in 80 bits; the environment and all of the state
}

/** Arguments: as x87Register, offset, linear address (without a check). */
function x87Memory(core: CpuCore, rec: number): Status {
  const s = core.s, x = core.x87, mem = core.mem;
  const how = s.arg32(0), opcode = how >> 8 & 0xff, modrm = how & 0xff;
  const form = formOf(opcode, modrm);
  if (!prepare(core, rec, x, form, how)) return FAULT;
  const bytes = form.bytes((how >> 16 & 1) !== 0);
  const isStore = form.kind === "store";
  const segment = (s.view.getUint16(rec + record.at.segment, true) - S.es) / segmentLayout.size;
  x.dpLow = s.arg32(1);
  x.dpHigh = s.get32(S.arg + 12);
  x.ds = core.selector(segment);
  let lo = s.arg32(2), hi = s.get32(S.arg + 20);
  if (core.codeBits !== 64) {
    s.set32(S.memAddr, x.dpLow);
    if (segmentedAccess(core, segment, bytes, isStore) !== 0) return FAULT;
    lo = s.get32(S.memAddr);
    hi = 0;
  }
  const mode = core.dataMode, vector = segment === SS ? EXC_SS : EXC_GP;
  if (!mem.isAligned(lo, alignment(bytes, (how >> 16 & 1) !== 0))) return FAULT;
  if (!isStore) {
    const loaded = bytes <= 64
      ? mem.load(lo, hi, bytes, mode, vector)
      : mem.loadTo(S.memData, lo, hi, bytes, false, mode);
    if (!loaded) return FAULT;
  }
  const answer = x.execute(opcode, modrm);
  assert(answer === X87_OK, "x87 faults were looked for");
  if (x.storeBytes !== 0) {
    const stored = bytes <= 64
      ? mem.store(lo, hi, bytes, mode, vector)
      : mem.storeFrom(S.memData, lo, hi, bytes, mode);
    if (!stored) {
      x.cancelStore();
      return FAULT;
    }
  }
  return NEXT;
}

/** For MMX: #UD or #NM. */
function checkMmx(core: CpuCore): Status {
  const cr0 = core.s.get32(S.cr0);
  if ((cr0 & CR0_EM) !== 0) return core.raise(EXC_UD);
  return (cr0 & CR0_TS) !== 0 ? core.raise(EXC_NM) : NEXT;
}

/** Entries for cpu/system/microcode.ts. */
export const x87Microcode: Readonly<Record<"x87" | "x87_memory" | "check_mmx", Microcode>> = {
  x87: x87Register,
  x87_memory: x87Memory,
  check_mmx: checkMmx,
};
