// SPDX-License-Identifier: MIT
/**
 * Infinities, NaNs, denormals, overflow and underflow in the x87's emitted code against microcode: every pair of operands,
 * formats at their limits.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { TestCpu } from "../../_bare_cpu.ts";
import {
  generator,
  microcodeCalls,
  type Random,
  randomState,
  runBoth,
  significand,
  type State,
} from "./_x87_states.ts";

const J = 1n << 63n, QUIET = 3n << 62n;
type Real = State["registers"][number];

/** Operands that raise nothing by themselves, of both signs. */
const PLAIN: readonly Real[] = [0, 0x8000].flatMap((sign) => [
  { se: sign, significand: 0n },
  { se: sign | 0x3fff, significand: J },
  { se: sign | 0x4005, significand: J | 0x1234_5678_9abc_def1n },
  { se: sign | 0x7fff, significand: J },
  { se: sign | 0x7fff, significand: QUIET },
  { se: sign | 0x7fff, significand: QUIET | 0x1234_5678_9abc_def1n },
]);
/** A signaling NaN, denormals, what is no number any more. */
const OTHERS: readonly Real[] = [
  { se: 0x7fff, significand: J | 1n },
  { se: 0x8000, significand: 1n },
  { se: 0, significand: J },
  { se: 0x7fff, significand: 0n },
  { se: 0x3fff, significand: 1n },
];
/** All that compares or computes with a register, and FTST, FXAM, FSQRT, FRNDINT. */
const ON_REGISTERS: readonly [opcode: number, modrm: number][] = [
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((reg): [number, number] => [0xd8, 0xc1 | reg << 3]),
  ...[0, 1, 4, 5, 6, 7].flatMap((
    reg,
  ): [number, number][] => [[0xdc, 0xc1 | reg << 3], [0xde, 0xc1 | reg << 3]]),
  ...[[0xda, 0xe9], [0xde, 0xd9], [0xdd, 0xe1], [0xdd, 0xe9], [0xdb, 0xe9], [0xdb, 0xf1], [0xdf, 0xe9]],
  ...[[0xdf, 0xf1], [0xd9, 0xe4], [0xd9, 0xe5], [0xd9, 0xfa], [0xd9, 0xfc]],
] as [number, number][];
const MEMORY = 3; // [rbx]

/** A state with ST(0), and ST(1) or a memory operand; all exceptions masked unless `fcw` says otherwise. */
function stateOf(
  r: Random,
  [opcode, modrm]: readonly [number, number],
  first: Real,
  second?: Real,
  options: Partial<State> & { fcw?: number } = {},
): State {
  const { fcw = 0x7f | r.of([0, 2, 3]) << 8 | r.below(4) << 10, ...rest } = options;
  const state = randomState(r, opcode, modrm), top = r.below(8);
  const registers = state.registers.map((value, i) =>
    i === top ? first : i === (top + 1 & 7) && second ? second : value
  );
  const fsw = top << 11 | r.u32() & 0x473f & (fcw | 0x4700);
  const ftw = modrm === MEMORY && opcode % 2 === 1 && second === undefined
    ? 0xff & ~(1 << (top + 7 & 7))
    : 0xff;
  return {
    ...state,
    registers,
    words: { fcw, fsw, ftw },
    address: 0x30_0010,
    code: [opcode, modrm],
    cold: false,
    ...rest,
  };
}

Deno.test("x87 arithmetic and comparison of infinities and quiet NaNs is microcode's, and needs none", () => {
  const t = new TestCpu(64), reference = new TestCpu(64), r = generator(0xe1);
  for (const what of ON_REGISTERS) {
    for (const first of PLAIN) {
      for (const second of PLAIN) {
        runBoth(t, reference, stateOf(r, what, first, second));
        assertEquals(microcodeCalls(t), 0, `${what.map((n) => n.toString(16))} ${first.se} ${second.se}`);
      }
    }
  }
});

Deno.test("x87 arithmetic and comparison of anything, with any mask, is microcode's", () => {
  const t = new TestCpu(64), reference = new TestCpu(64), r = generator(0xe2);
  const all = [...PLAIN, ...OTHERS];
  for (const what of ON_REGISTERS) {
    for (const first of all) {
      for (const second of all) {
        runBoth(
          t,
          reference,
          stateOf(r, what, first, second, { fcw: 0x340 | r.below(64) | r.below(4) << 10 }),
        );
      }
    }
  }
});

/** Sixteen bytes with a number in front. */
function bytesOf(bits: 32 | 64, value: bigint): Uint8Array {
  const bytes = new Uint8Array(16), view = new DataView(bytes.buffer);
  if (bits === 32) view.setUint32(0, Number(value), true);
  else view.setBigUint64(0, value, true);
  return bytes;
}
/** Exponents and fractions at their limits. */
function narrow(r: Random, bits: 32 | 64): bigint {
  const fractionBits = bits === 32 ? 23n : 52n, most = bits === 32 ? 0xff : 0x7ff;
  const exponent = BigInt(r.of([0, 0, 1, most - 1, most, most, r.below(most)]));
  const one = 1n << fractionBits;
  const fraction = BigInt.asUintN(Number(fractionBits), r.of([0n, 1n, one >> 1n, one - 1n, r.u64()]));
  return BigInt(r.below(2)) << BigInt(bits - 1) | exponent << fractionBits | fraction;
}

Deno.test("x87 arithmetic with numbers of memory at their limits is microcode's, loads of all but signaling NaNs need none", () => {
  const t = new TestCpu(64), reference = new TestCpu(64), r = generator(0xe3);
  for (const [opcode, bits] of [[0xd8, 32], [0xdc, 64], [0xd9, 32], [0xdd, 64]] as const) {
    for (let n = 0; n < 400; n++) {
      const loads = opcode === 0xd9 || opcode === 0xdd, value = narrow(r, bits);
      const what = [opcode, loads ? MEMORY : r.below(8) << 3 | MEMORY] as const;
      const before = microcodeCalls(t), masked = r.once(2) ? {} : { fcw: 0x340 | r.below(64) };
      const options = { bytes: bytesOf(bits, value), ...masked };
      runBoth(t, reference, stateOf(r, what, r.of([...PLAIN, ...OTHERS]), undefined, options));
      const quietBit = 1n << (bits === 32 ? 22n : 51n), exponent = quietBit * (bits === 32 ? 0x1fen : 0xffen);
      const signals = (value & exponent) === exponent && (value & quietBit) === 0n &&
        (value & quietBit - 1n) !== 0n;
      if (loads && !signals && !("fcw" in masked)) {
        assertEquals(microcodeCalls(t), before, value.toString(16));
      }
    }
  }
});

Deno.test("x87 stores that overflow, underflow or do not fit are microcode's, and nearly none need it", () => {
  const t = new TestCpu(64), reference = new TestCpu(64), r = generator(0xe4);
  const reals = [[0xd9, 2], [0xd9, 3], [0xdd, 2], [0xdd, 3]] as const;
  const integers = [[0xdb, 1], [0xdb, 2], [0xdb, 3], [0xdd, 1], [0xdf, 1], [0xdf, 2], [0xdf, 3], [
    0xdf,
    7,
  ]] as const;
  const limits = { 0xd9: [127, 24], 0xdd: [1023, 53] } as const;
  let stores = 0;
  for (let n = 0; n < 4000; n++) {
    const isReal = r.once(2), [opcode, reg] = isReal ? r.of(reals) : r.of(integers);
    let exponent = r.below(70);
    if (isReal) {
      const [most, bits] = limits[opcode as 0xd9 | 0xdd];
      exponent = r.of([most + r.below(3), 3 - most - r.below(bits + 6), -0x3fff + 1 + r.below(3)]);
    }
    const sign = r.of([0, 0x8000]);
    const value = r.once(8) ? r.of(PLAIN) : { se: sign | 0x3fff + exponent, significand: significand(r) };
    const first = r.once(8)
      ? { ...value, significand: value.significand | (1n << 64n) - (1n << 10n) }
      : value;
    const masked = r.once(4) ? { fcw: 0x340 | r.below(64) | r.below(4) << 10 } : {};
    const before = microcodeCalls(t);
    runBoth(t, reference, stateOf(r, [opcode, reg << 3 | MEMORY], first, PLAIN[1], masked));
    if ("fcw" in masked) continue;
    stores += microcodeCalls(t) - before;
  }
  assert(stores < 100, `${stores} stores needed microcode`);
});
