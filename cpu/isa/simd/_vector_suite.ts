// SPDX-License-Identifier: MIT
/**
 * SSE, MMX and x87 rows as a suite for _oracle.ts: general, XMM, MMX and x87 registers, flags and memory, or the
 * exception; after #XM both. Not compared: x87 instruction and data pointers.
 * @module
 */
import { ARITHMETIC_FLAGS, EXC_GP } from "../../state/state.ts";
import { type NativeCase, type NativeResult, SCRATCH_BYTES, XM } from "../_native_runner.ts";
import { type Group, groupName, makeCases, type Suite } from "../_oracle.ts";
import { type Row, rows } from "../mod.ts";
import { needsOf } from "../row/row.ts";
import { FX, isVectorRow, vectorCase } from "./_vector_cases.ts";

const CASES_PER_ROW = 40;
/** RCPxx and RSQRTxx approximate: SDM Vol. 2. */
export const isApproximate = (row: Row): boolean => /^V?R(CP|SQRT)[PS]S/.test(row.text);
const RELATIVE_ERROR = 1.5 * 2 ** -12;
/** SDM Vol. 2, RCPPS: around here results are tiny and flushed, or not, as the implementation has it. */
const FLUSHED = 2 ** -126 * (1 + 2 ** -10);
/** SDM Vol. 2, DPPS: which NaN comes out of the sum, and where, "is implementation dependent"; that one does, is not. */
export const isDotProduct = (row: Row): boolean => /^V?DPP[SD] /.test(row.text);
/** The SHA extensions. */
export const isSha = (row: Row): boolean => needsOf(row).includes("sha_ni");
/** Bytes of XMM registers in an image. */
export const XMM_BYTES = { 32: 8 * 16, 64: 16 * 16 } as const;

/** The FXSAVE image; what is not compared is as it was before. */
function comparedImage(memory: Uint8Array, before: Uint8Array, bits: 32 | 64): DataView<ArrayBuffer> {
  const image = Uint8Array.from(before);
  const keep = (at: number, bytes: number) => image.set(memory.subarray(at, at + bytes), at);
  keep(FX.fcw, 2);
  keep(FX.fsw, 2);
  keep(FX.ftw, 1);
  keep(FX.mxcsr, 4);
  for (let i = 0; i < 8; i++) keep(FX.st + 16 * i, 10);
  keep(FX.xmm, XMM_BYTES[bits]);
  keep(FX.available, SCRATCH_BYTES - FX.available);
  return new DataView(image.buffer);
}

/** Every quiet NaN in a register that changed becomes the default one. */
export function unifyNans(view: DataView, before: Uint8Array, w: 32 | 64, first: number = FX.xmm): void {
  const old = new DataView(before.buffer, before.byteOffset);
  for (let at = first; at < first + XMM_BYTES[64]; at += 16) {
    const same = [0, 8].every((n) => view.getBigUint64(at + n, true) === old.getBigUint64(at + n, true));
    for (let lane = at; !same && lane < at + 16; lane += w / 8) {
      const high = view.getUint32(lane + w / 8 - 4, true), quiet = w === 32 ? 0x7fc0_0000 : 0x7ff8_0000;
      if ((high & quiet) !== quiet) continue;
      view.setUint32(lane, 0, true);
      view.setUint32(lane + w / 8 - 4, quiet, true);
    }
  }
}

/** Lanes that are near enough to the judge's become the judge's. */
export function approximate(view: DataView, judge: Uint8Array, first: number = FX.xmm): void {
  const theirs = new DataView(judge.buffer, judge.byteOffset);
  for (let at = first; at < first + XMM_BYTES[64]; at += 4) {
    const wanted = theirs.getFloat32(at, true), is = view.getFloat32(at, true);
    const maybeTiny = Math.abs(wanted) < FLUSHED && Math.abs(is) < FLUSHED && Object.is(wanted * 0, is * 0);
    if (!maybeTiny && Math.abs(is - wanted) > 2 * RELATIVE_ERROR * Math.abs(wanted)) continue;
    view.setUint32(at, theirs.getUint32(at, true), true);
  }
}

function settle(
  row: Row,
  bits: 32 | 64,
  one: NativeCase,
  result: NativeResult,
  judge?: NativeResult,
): NativeResult {
  const view = comparedImage(result.memory, one.memory, bits);
  if (isDotProduct(row)) unifyNans(view, one.memory, row.text.startsWith("DPPS") ? 32 : 64);
  if (isApproximate(row) && judge !== undefined) approximate(view, judge.memory);
  return withMemory(bits, result, view);
}

/** `result` with the memory in `view`, and of the rest what `bits`-bit code has. */
export function withMemory(
  bits: 32 | 64,
  result: NativeResult,
  view: DataView<ArrayBuffer>,
): NativeResult {
  return {
    vector: result.vector,
    flags: result.flags & ARITHMETIC_FLAGS,
    gpr: result.gpr.map((value, r) => bits === 64 ? value : r < 8 ? value & 0xffff_ffffn : 0n),
    memory: new Uint8Array(view.buffer),
  };
}

/** Exception, flags and general registers for people. */
export function shownGeneral(bits: 32 | 64, { vector, gpr, flags }: NativeResult): Record<string, string> {
  const out: Record<string, string> = { vector: String(vector), flags: flags.toString(16) };
  const names = "ax cx dx bx sp bp si di r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
  for (let r = 0; r < (bits === 64 ? 16 : 8); r++) out[names[r] as string] = (gpr[r] as bigint).toString(16);
  return out;
}

/** `length` bytes of `memory` as a little-endian number in hexadecimal. */
export function hexAt(memory: Uint8Array, at: number, length: number): string {
  return Array.from(memory.subarray(at, at + length), (b) => b.toString(16).padStart(2, "0")).reverse().join(
    "",
  );
}

/** The 16 bytes from `at` on as four lanes, highest first. */
export function lanesAt(memory: Uint8Array, at: number): string {
  return [12, 8, 4, 0].map((lane) => hexAt(memory, at + lane, 4)).join("_");
}

function show(bits: 32 | 64, result: NativeResult): Record<string, string> {
  const { vector, memory } = result;
  if (vector >= 0 && vector !== XM) return { vector: String(vector) };
  const out = shownGeneral(bits, result);
  const hex = (at: number, length: number) => hexAt(memory, at, length);
  Object.assign(out, {
    fcw: hex(FX.fcw, 2),
    fsw: hex(FX.fsw, 2),
    ftw: hex(FX.ftw, 1),
    mxcsr: hex(FX.mxcsr, 4),
  });
  for (let i = 0; i < 8; i++) out[`st${i}`] = hex(FX.st + 16 * i, 10);
  for (let i = 0; i < 16; i++) out[`xmm${i}`] = lanesAt(memory, FX.xmm + 16 * i);
  for (let at = FX.available; at < SCRATCH_BYTES; at += 16) out[`memory+${at}`] = hex(at, 16);
  return out;
}

/** The suite for `bits`-bit code. */
export function vectorSuite(bits: 32 | 64): Suite {
  return {
    name: `simd_${bits}`,
    bits,
    groups: rows.filter((row) => isVectorRow(row, bits)).map((row): Group => {
      const name = groupName(row);
      return {
        name,
        needs: needsOf(row),
        cases: makeCases(
          { name, bits, count: CASES_PER_ROW },
          (random, place) => vectorCase(row, random, place),
        ),
        settle: (one, result, judge) => settle(row, bits, one, result, judge),
        // SHA: Zen 4 does not want the operand aligned, whatever the manual says.
        isAmds: (intels, amds) => isSha(row) && intels.vector === EXC_GP && amds.vector === -1,
      };
    }),
    show: (result) => show(bits, result),
  };
}
