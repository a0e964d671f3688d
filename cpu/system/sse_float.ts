// SPDX-License-Identifier: MIT
/**
 * Microcode that connects the SSE floating point of cpu/fpu/sse to the CPU: operands, MXCSR, #XM.
 * An exception that is not masked leaves everything but MXCSR's flags as it was (SDM Vol. 1 §11.5.3).
 * @module
 */
import type { CpuCore, Microcode } from "../core/core.ts";
import {
  narrows,
  resultOf,
  SSE_256,
  SSE_VALUE,
  SSE_VEX,
  SSE_VVVV,
  type SseOperands,
} from "../fpu/sse/sse_unit.ts";
import { record, RECORD_VVVV } from "../state/record.ts";
import { CR4_OSXMMEXCPT, EXC_UD, EXC_XM, S, YMM_HIGH } from "../state/state.ts";
import { NEXT, type Status } from "../state/status.ts";

/**
 * Argument 0: the operation; from argument 1 on the second operand, if the operation says so, or from argument 3 on, if it
 * has 256 bits.
 */
function sseFloat(core: CpuCore, rec: number): Status {
  const s = core.s, view = s.view;
  const code = s.arg32(0), to = view.getUint16(rec + record.at.reg, true);
  const first = (code & SSE_VVVV) !== 0 ? view.getUint16(rec + RECORD_VVVV, true) : to;
  const mxcsr = s.get32(S.mxcsr);
  const imm = view.getUint8(rec + record.at.imm);
  let completes: boolean;
  if ((code & SSE_256) !== 0) {
    const [low, high] = [0, 1].map((i) => ({
      view,
      imm,
      first: first + i * YMM_HIGH,
      second: S.arg + 24 + 16 * i,
      third: to + i * YMM_HIGH,
    })) as [SseOperands, SseOperands];
    completes = core.sse.execute(code, mxcsr, low, high);
  } else {
    const second = (code & SSE_VALUE) !== 0 ? S.arg + 8 : view.getUint16(rec + record.at.rm, true);
    completes = core.sse.execute(code, mxcsr, { view, first, second, imm, third: to });
  }
  s.set32(S.mxcsr, mxcsr | core.sse.raised);
  if (!completes) return core.raise((s.get32(S.cr4) & CR4_OSXMMEXCPT) !== 0 ? EXC_XM : EXC_UD);
  const { result } = core.sse, kind = resultOf(code);
  const put = (at: number, from: number) => view.setBigUint64(at, result.getBigUint64(from, true), true);
  put(kind === "number" ? S.arg : to, 0);
  const wide = (code & SSE_256) !== 0;
  if (kind === "number" && wide) put(S.arg + 8, 16);
  if (kind !== "xmm") return NEXT;
  const narrow = wide && narrows(code);
  put(to + 8, narrow ? 16 : 8);
  if ((code & SSE_VEX) === 0) return NEXT;
  for (const at of [0, 8]) {
    if (wide && !narrow) put(to + YMM_HIGH + at, 16 + at);
    else view.setBigUint64(to + YMM_HIGH + at, 0n, true);
  }
  return NEXT;
}

/** Entry for cpu/system/microcode.ts. */
export const sseFloatMicrocode: Readonly<Record<"sse_float", Microcode>> = { sse_float: sseFloat };
