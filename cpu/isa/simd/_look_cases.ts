// SPDX-License-Identifier: MIT
/**
 * Instructions with a second look (cpu/translate/sse_look.ts, convert_look.ts) on pairs of numbers that matter, with
 * every rounding mode, DAZ, FTZ and PE, against cpu/fpu/sse, which they must not need.
 * @module
 */
import { assertEquals } from "@std/assert";
import { DATA_BASE, type ENGINES, TestCpu } from "../../_bare_cpu.ts";
import {
  FUSED_ORDER_SHIFT,
  narrows,
  resultOf,
  SSE_256,
  SSE_VEX,
  sseCode,
  type SseLanes,
  type SseOperands,
  type SseOperation,
  SseUnit,
} from "../../fpu/sse/sse_unit.ts";
import { PE } from "../../fpu/sse/mxcsr.ts";
import { CR4_OSXSAVE, S } from "../../state/state.ts";
import { F32, F64 } from "./_vector_cases.ts";

/** An instruction: xmm0 (or eax, rax) is the destination and the first source, xmm1 (or eax, rax) the second. */
export interface LookCase {
  readonly text: string;
  /** Bytes in hexadecimal. */
  readonly code: string;
  readonly operation: SseOperation;
  /** As in the operation's code. */
  readonly type: "f32" | "f64";
  readonly lanes: SseLanes;
  /** What its operands are instead of all that matters. */
  readonly numbers?: readonly (number | bigint)[];
  /** What the operands are made of. Default: `type`. */
  readonly operands?: "f32" | "f64" | "i32" | "i64";
  readonly vex?: 128 | 256;
  /** The second source of a 256-bit instruction has 128 bits. */
  readonly widens?: boolean;
  readonly imm?: number;
  /** Of a fused operation: which of FUSED_ORDERS. */
  readonly order?: number;
  /** May need the SSE unit this often, of a hundred times, when rounding is to nearest without FTZ, and else as it likes. */
  readonly leaves?: number;
  /** Never, when PE is set already. */
  readonly staysWhenInexact?: boolean;
}

/** MXCSR with every RC, DAZ, FTZ and PE; all exceptions are masked. */
const CONTROLS = Array.from({ length: 32 }, (_, i) => {
  return 0x1f80 | ((i & 3) << 13) | ((i & 4) << 4) | ((i & 8) << 12) | ((i & 16) << 1);
});
/** Floats and doubles next to where something changes. */
const SINGLES = [...F32, 0x4eff_ffff, 0x3eff_ffff, 0x3f00_0001, 0xbf80_0001, 0x5eff_ffff, 0xdf00_0001];
const DOUBLES = [
  ...F64,
  0x380f_ffff_efff_ffffn, // around the least normal float
  0x380f_ffff_e000_0000n,
  0xb80f_ffff_e000_0001n,
  0x380f_ffff_f000_0000n,
  0xb80f_ffff_ffff_ffffn,
  0x3810_0000_0000_0000n,
  0x37f0_0000_0000_0000n, // a denormal float
  0xb7f1_2345_6789_abcdn,
  0x3680_0000_0000_0000n, // too small for one
  0x47ef_ffff_e000_0000n, // the largest float
  0x47ef_ffff_e000_0001n,
  0xc7ef_ffff_efff_ffffn,
  0x47f0_0000_0000_0000n,
  0xc7f0_0000_0000_0001n,
  0x43df_ffff_ffff_ffffn, // 2^63 - 2^10
  0xc1df_ffff_ffff_ffffn,
  0x3fe0_0000_0000_0001n,
  0x3ff0_0000_1000_0000n, // halfway between floats
  0x3ff0_0000_3000_0001n,
];
const WORDS = [0, 1, -1, 0x7fff_ffff, -0x8000_0000, 0x100_0001, -0x100_0003, 0x7fff_ffbf, 0x7fff_ff40];
const LONGS = [
  ...[0n, 1n, -1n, (1n << 63n) - 1n, -(1n << 63n), -(1n << 63n) + 1n, (1n << 53n) + 1n, -(1n << 53n) - 3n],
  ...[(1n << 24n) + 1n, 0x7fff_ffff_ffff_fdffn, 0x7fff_ffff_ffff_fe00n, 0x7fff_ff40_0000_0000n],
  ...[0x7fff_ffc0_0000_0000n, 0x7fff_ffbf_ffff_ffffn, -0x1234_5678_9abc_def1n, 0x0020_0000_2000_0001n],
];
const NUMBERS = { f32: SINGLES, f64: DOUBLES, i32: WORDS, i64: LONGS } as const;
/** Of a record: MXCSR before and after, the second operand, the first one, the result, VEX.vvvv of fused operations. */
const BYTES = 160, AFTER = 4, SECOND = 32, FIRST = 64, RESULT = 96, THIRD = 128;

const parse = (hex: string) => Array.from(hex.matchAll(/../g), ([byte]) => parseInt(byte, 16));

/** The loop that runs `code` on each record from rsi on; ecx: how many. */
function program({ code, operation, lanes, operands = "f32" }: LookCase): number[] {
  const toGpr = resultOf(sseCode(operation, "f32", lanes)) === "gpr";
  const fromGpr = operands.startsWith("i") && lanes === "scalar";
  const body = [
    ...parse("c5fe6f4e20"), // vmovdqu ymm1, [rsi+32]
    ...parse("c5fe6f4640"), // vmovdqu ymm0, [rsi+64]
    ...parse("c5fe6f9680000000"), // vmovdqu ymm2, [rsi+128]
    ...parse(fromGpr ? "488b4620" : ""), // mov rax, [rsi+32]
    ...parse("0fae16"), // ldmxcsr [rsi]
    ...parse(code),
    ...parse("0fae5e04"), // stmxcsr [rsi+4]
    ...parse("c5fe7f4660"), // vmovdqu [rsi+96], ymm0
    ...parse(toGpr ? "48894660" : ""), // mov [rsi+96], rax
    ...parse("4881c6a0000000"), // add rsi, 160
    ...parse("ffc9"), // dec ecx
  ];
  const back = -(body.length + 2);
  return [...body, 0x75, back & 0xff];
}

function fill(
  view: DataView,
  at: number,
  all: readonly (number | bigint)[],
  first: number,
  step: number,
): void {
  const wide = typeof all[0] === "bigint";
  for (let i = 0; i < 32; i += wide ? 8 : 4, first += step) {
    const value = all[first % all.length] as number | bigint;
    if (typeof value === "bigint") view.setBigInt64(at + i, BigInt.asIntN(64, value), true);
    else view.setInt32(at + i, value, true);
  }
}

/** What the SSE unit makes of the record at `at` is put there. */
function expected(unit: SseUnit, one: LookCase, view: DataView, at: number): void {
  const mxcsr = view.getUint32(at, true), isVex = one.vex !== undefined, wide = one.vex === 256;
  const code = sseCode(one.operation, one.type, one.lanes) | (isVex ? SSE_VEX : 0) | (wide ? SSE_256 : 0) |
    ((one.order ?? 0) << FUSED_ORDER_SHIFT);
  const halves = [0, 16].slice(0, wide ? 2 : 1).map((half): SseOperands => ({
    view,
    first: at + (isFused(one.operation) ? THIRD : FIRST) + half,
    second: at + SECOND + (one.widens === true ? half / 2 : half),
    imm: one.imm ?? 0,
    third: at + FIRST + half,
  }));
  const completes = unit.execute(code, mxcsr, ...halves);
  assertEquals(completes, true);
  const put = (to: number, value: bigint) => view.setBigUint64(at + RESULT + to, value, true);
  const toGpr = resultOf(code) === "gpr", narrow = wide && narrows(code);
  for (let to = 0; to < 32; to += 8) {
    const computed = wide || to < (toGpr ? 8 : 16);
    if (narrow) put(to, to < 16 ? unit.result.getBigUint64(2 * to, true) : 0n);
    else if (computed) put(to, unit.result.getBigUint64(to, true));
    else if (to >= 16 && isVex && !toGpr) put(to, 0n);
    else put(to, view.getBigUint64(at + FIRST + to, true));
  }
  view.setUint32(at + AFTER, mxcsr | unit.raised, true);
}

function isFused(operation: SseOperation): boolean {
  return /^fn?m/.test(operation);
}
function isUnary(operation: SseOperation): boolean {
  return operation === "sqrt" || operation === "round" || /^convert|_/.test(operation);
}

/** Runs all pairs of operands with all controls. */
export function checkLooks(how: typeof ENGINES[number], one: LookCase): void {
  const t = new TestCpu(64, { ...how, ramBytes: 16 << 20 }), { s, sse } = t.cpu.core, { view } = t.memory;
  s.set32(S.cr4, s.get32(S.cr4) | CR4_OSXSAVE);
  s.set32(S.xcr0, 7);
  t.cpu.core.updateMode();
  const execute = sse.execute.bind(sse);
  let left = 0;
  sse.execute = (...args) => {
    if (one.leaves === undefined) throw new Error(`${one.text} needs the SSE unit`);
    left++;
    return execute(...args);
  };
  const sources = one.numbers ?? NUMBERS[one.operands ?? one.type], count = sources.length;
  const others = one.numbers ?? NUMBERS[one.type];
  const records = one.lanes === "scalar" && isUnary(one.operation) ? count : count * count;
  const base = t.memory.offsetOf(DATA_BASE), unit = new SseUnit();
  const wanted = new DataView(new ArrayBuffer(BYTES));
  const words = (bytes: DataView, at: number) =>
    Array.from({ length: BYTES / 4 }, (_, i) => bytes.getUint32(at + 4 * i, true).toString(16));
  for (const mxcsr of CONTROLS) {
    for (let i = 0; i < records; i++) {
      const at = base + i * BYTES;
      view.setUint32(at, mxcsr, true);
      fill(view, at + SECOND, sources, i % count, Math.floor(i / count));
      fill(view, at + FIRST, others, Math.floor(i / count), i % 7);
      fill(view, at + THIRD, others, i * 7 + (mxcsr >> 5), 5);
    }
    left = 0;
    s.setGpr(1, BigInt(records));
    s.setGpr(6, BigInt(DATA_BASE));
    t.run(program(one), 100 * records);
    const isUsual = (mxcsr & (one.operation === "cmp" ? 0xe040 : 0xe000)) === 0;
    const share = one.staysWhenInexact === true && (mxcsr & PE) !== 0 ? 0 : one.leaves ?? 0;
    if (isUsual && left > share / 100 * records) {
      throw new Error(`${one.text} left ${left} times`);
    }
    for (let i = 0; i < records; i++) {
      const at = base + i * BYTES;
      for (let n = 0; n < BYTES; n += 4) wanted.setUint32(n, view.getUint32(at + n, true), true);
      expected(unit, one, wanted, 0);
      for (let n = 0; n < BYTES; n += 4) {
        if (wanted.getUint32(n, true) === view.getUint32(at + n, true)) continue;
        assertEquals(words(view, at), words(wanted, 0), `${one.text}, MXCSR ${mxcsr.toString(16)}`);
      }
    }
  }
}
