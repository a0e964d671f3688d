// SPDX-License-Identifier: MIT
/**
 * Microcode that connects the SSE floating point of cpu/fpu/sse to the CPU: operands, MXCSR, #XM.
 * An exception that is not masked leaves everything but MXCSR's flags as it was (SDM Vol. 1 §11.5.3).
 * @module
 */
import type { CpuCore, Microcode } from "../core/core.ts";
import { writesXmm } from "../fpu/sse/sse_unit.ts";
import { record } from "../state/record.ts";
import { CR4_OSXMMEXCPT, EXC_UD, EXC_XM, S } from "../state/state.ts";
import { NEXT, type Status } from "../state/status.ts";

/** Argument 0: the operation. The second operand is at `second`. */
function sseFloat(core: CpuCore, rec: number, second: number): Status {
  const s = core.s, view = s.view;
  const code = s.arg32(0), first = view.getUint16(rec + record.at.reg, true);
  const mxcsr = s.get32(S.mxcsr);
  const imm = view.getUint8(rec + record.at.imm);
  const completes = core.sse.execute(code, mxcsr, { view, first, second, imm });
  s.set32(S.mxcsr, mxcsr | core.sse.raised);
  if (!completes) return core.raise((s.get32(S.cr4) & CR4_OSXMMEXCPT) !== 0 ? EXC_XM : EXC_UD);
  const result = core.sse.result, at = writesXmm(code) ? first : S.arg;
  view.setBigUint64(at, result.getBigUint64(0, true), true);
  if (at === first) view.setBigUint64(at + 8, result.getBigUint64(8, true), true);
  return NEXT;
}

/** Entries for cpu/system/microcode.ts. */
export const sseFloatMicrocode: Readonly<Record<"sse_float" | "sse_float_value", Microcode>> = {
  sse_float: (core, rec) => sseFloat(core, rec, core.s.view.getUint16(rec + record.at.rm, true)),
  sse_float_value: (core, rec) => sseFloat(core, rec, S.arg + 8),
};
