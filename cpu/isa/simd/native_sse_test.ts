// SPDX-License-Identifier: MIT
/**
 * SSE, MMX and x87 rows against the host's own CPU: the same bytes run natively and here; general, XMM, MMX and x87
 * registers, flags and memory, or the exception, must agree. Not compared: MXCSR's exception flags (not done), x87
 * instruction and data pointers. RCPxx and RSQRTxx are approximations: their error is (SDM Vol. 2: 1.5 * 2^-12).
 * Needs Linux on x86-64; otherwise the tests are ignored and say why.
 * @module
 */
import { assertEquals } from "@std/assert";
import { MiB } from "../../base/bits.ts";
import { ARITHMETIC_FLAGS } from "../../state/state.ts";
import { ENGINES, TestCpu } from "../../_bare_cpu.ts";
import { runHere } from "../_emulated_runner.ts";
import { Random } from "../_cases.ts";
import {
  codeAddress,
  endAddress,
  type NativeCase,
  type NativeResult,
  runNative,
  SCRATCH_BYTES,
  scratchAddress,
} from "../_native_runner.ts";
import { FX, isVectorRow, vectorCase } from "./_vector_cases.ts";
import { type Row, rows } from "../mod.ts";

const SEED = 0x5eed_055e;
const CASES_PER_ROW = 40;
/** RCPxx and RSQRTxx. */
const isApproximate = (row: Row) => /^R(CP|SQRT)[PS]S/.test(row.text);
const RELATIVE_ERROR = 1.5 * 2 ** -12;

/** What is compared, as readable text. Approximations in `here` that are close enough become those of `native`. */
function comparable(
  result: NativeResult,
  bits: 32 | 64,
  approximates?: NativeResult,
): Record<string, string> {
  if (result.vector >= 0) return { vector: String(result.vector) };
  const out: Record<string, string> = {};
  const names = "ax cx dx bx sp bp si di r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
  for (let r = 0; r < (bits === 64 ? 16 : 8); r++) {
    const value = result.gpr[r] as bigint;
    out[names[r] as string] = (bits === 64 ? value : value & 0xffff_ffffn).toString(16);
  }
  out.flags = (result.flags & ARITHMETIC_FLAGS).toString(16);
  const view = new DataView(result.memory.buffer, result.memory.byteOffset);
  out.fcw = view.getUint16(FX.fcw, true).toString(16);
  out.fsw = view.getUint16(FX.fsw, true).toString(16);
  out.ftw = view.getUint8(FX.ftw).toString(16);
  out.mxcsr = (view.getUint32(FX.mxcsr, true) & ~0x3f).toString(16);
  const hex = (at: number, length: number) =>
    Array.from(result.memory.subarray(at, at + length), (b) => b.toString(16).padStart(2, "0")).reverse()
      .join("");
  for (let i = 0; i < 8; i++) out[`st${i}`] = hex(FX.st + 16 * i, 10);
  for (let i = 0; i < (bits === 64 ? 16 : 8); i++) {
    out[`xmm${i}`] = [12, 8, 4, 0].map((lane) => {
      const at = FX.xmm + 16 * i + lane;
      const judge = approximates?.memory;
      if (judge !== undefined) {
        const theirs = new DataView(judge.buffer, judge.byteOffset).getFloat32(at, true);
        const ours = view.getFloat32(at, true);
        if (Math.abs(ours - theirs) <= 2 * RELATIVE_ERROR * Math.abs(theirs)) {
          return Array.from(judge.subarray(at, at + 4), (b) => b.toString(16).padStart(2, "0")).reverse()
            .join("");
        }
      }
      return hex(at, 4);
    }).join("_");
  }
  for (let at = FX.available; at < SCRATCH_BYTES; at += 16) out[`memory+${at}`] = hex(at, 16);
  return out;
}

async function compare(t: Deno.TestContext, bits: 32 | 64, how: typeof ENGINES[number]): Promise<void> {
  const random = new Random(SEED);
  const chosen = rows.filter((row) => isVectorRow(row, bits));
  const list = chosen.flatMap((row) => Array<Row>(CASES_PER_ROW).fill(row));
  const cases = list.map((row, i) =>
    vectorCase(row, random, { bits, scratch: scratchAddress(list.length, i) })
  );
  const native = await runNative(bits, cases);
  if (typeof native === "string") {
    await t.step({ name: native, ignore: true, fn: () => {} });
    return;
  }
  const ramBytes = Math.ceil(endAddress(list.length) / (2 * MiB)) * 2 * MiB;
  const cpu = new TestCpu(bits, { ...how, ramBytes });
  for (let n = 0; n < chosen.length; n++) {
    const row = chosen[n] as Row;
    await t.step(row.text, () => {
      for (let i = n * CASES_PER_ROW; i < (n + 1) * CASES_PER_ROW; i++) {
        const one = cases[i] as NativeCase, judge = native[i] as NativeResult;
        const here = runHere(cpu, one, codeAddress(bits, i), scratchAddress(list.length, i), 1000);
        const bytes = one.code.map((b) => b.toString(16).padStart(2, "0")).join(" ");
        assertEquals(
          comparable(here, bits, isApproximate(row) ? judge : undefined),
          comparable(judge, bits),
          `${bytes} with flags ${one.flags.toString(16)}, image ${
            Array.from(one.memory, (b) => b.toString(16).padStart(2, "0")).join("")
          }`,
        );
      }
    });
  }
}

for (const bits of [64, 32] as const) {
  for (const how of ENGINES) {
    const name =
      `SSE, MMX and x87 instructions do in ${bits}-bit code what the host's CPU does (${how.name})`;
    Deno.test(name, async (t) => await compare(t, bits, how));
  }
}
