// SPDX-License-Identifier: MIT
/**
 * VEX-encoded rows on vectors as a suite for _oracle.ts: general and YMM registers, MXCSR, flags and memory, or the
 * exception; after #XM both.
 * @module
 */
import { EXC_UD } from "../../state/state.ts";
import { type NativeCase, type NativeResult, WIDE_SCRATCH_BYTES, XM, YMM_AT } from "../_native_runner.ts";
import { type Group, groupName, makeCases, type Suite } from "../_oracle.ts";
import { type Row, rows } from "../mod.ts";
import { needsOf } from "../row/row.ts";
import { FX } from "../simd/_vector_cases.ts";
import {
  approximate,
  hexAt,
  isApproximate,
  isDotProduct,
  lanesAt,
  shownGeneral,
  unifyNans,
  withMemory,
  XMM_BYTES,
} from "../simd/_vector_suite.ts";
import { avxCase, isAvxRow, OPERAND_AT } from "./_avx_cases.ts";

const CASES_PER_ROW = 12;
const HIGHS = [FX.xmm, YMM_AT];

/** The XSAVE area and the operand; what is not compared is as it was before. */
function comparedImage(memory: Uint8Array, before: Uint8Array, bits: 32 | 64): DataView<ArrayBuffer> {
  const image = Uint8Array.from(before);
  const keep = (at: number, bytes: number) => image.set(memory.subarray(at, at + bytes), at);
  keep(FX.mxcsr, 4);
  for (const at of HIGHS) keep(at, XMM_BYTES[bits]);
  keep(OPERAND_AT, WIDE_SCRATCH_BYTES - OPERAND_AT);
  return new DataView(image.buffer);
}

function settle(
  row: Row,
  bits: 32 | 64,
  one: NativeCase,
  result: NativeResult,
  judge?: NativeResult,
): NativeResult {
  const view = comparedImage(result.memory, one.memory, bits);
  for (const at of HIGHS) {
    if (isDotProduct(row)) unifyNans(view, one.memory, row.text.startsWith("VDPPS") ? 32 : 64, at);
    if (isApproximate(row) && judge !== undefined) approximate(view, judge.memory, at);
  }
  return withMemory(bits, result, view);
}

function show(bits: 32 | 64, result: NativeResult): Record<string, string> {
  const { vector, memory } = result;
  if (vector >= 0 && vector !== XM) return { vector: String(vector) };
  const out = shownGeneral(bits, result);
  const half = (at: number) => lanesAt(memory, at);
  out.mxcsr = hexAt(memory, FX.mxcsr, 4);
  for (let i = 0; i < 16; i++) out[`ymm${i}`] = `${half(YMM_AT + 16 * i)}__${half(FX.xmm + 16 * i)}`;
  for (let at = OPERAND_AT; at < WIDE_SCRATCH_BYTES; at += 16) out[`memory+${at}`] = hexAt(memory, at, 16);
  return out;
}

/** The suite for `bits`-bit code. */
export function avxSuite(bits: 32 | 64): Suite {
  return {
    name: `avx_${bits}`,
    bits,
    groups: rows.filter((row) => isAvxRow(row, bits)).map((row): Group => {
      const name = groupName(row);
      return {
        name,
        needs: needsOf(row),
        cases: makeCases(
          { name, bits, count: CASES_PER_ROW, scratchBytes: WIDE_SCRATCH_BYTES },
          (random, place) => avxCase(row, random, place),
        ),
        settle: (one, result, judge) => settle(row, bits, one, result, judge),
        // Intel's ignore VEX.W in 32-bit code; for AMD's it asks for VPINSRQ and VPEXTRQ, which there are none of.
        isAmds: (intels, amds) =>
          bits === 32 && /^VP(INS|EXT)RD\/Q /.test(row.text) && intels.vector === -1 &&
          amds.vector === EXC_UD,
      };
    }),
    show: (result) => show(bits, result),
  };
}
