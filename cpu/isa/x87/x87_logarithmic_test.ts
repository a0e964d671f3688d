// SPDX-License-Identifier: MIT
/**
 * F2XM1, FYL2X and FYL2XP1 in emitted code against microcode, and their fractions of 128 bits against bigints
 * that come by square roots and squares.
 * @module
 */
import { assert } from "@std/assert";
import { TestCpu } from "../../_bare_cpu.ts";
import { generator, prepare, type Random, randomState, runBoth, significand } from "./_x87_states.ts";
import { EXPONENTIAL, EXPONENTIAL_ERROR } from "./exponentials.ts";
import { LOGARITHM, LOGARITHM_ERROR } from "./logarithms.ts";

const F2XM1 = 0xf0, FYL2X = 0xf1, FYL2XP1 = 0xf9;
const BIAS = 0x3fff, J = 1n << 63n, ALL = (1n << 64n) - 1n;

interface Number80 {
  readonly se: number;
  readonly significand: bigint;
}
const ZERO: Number80 = { se: 0, significand: 0n };

/** Below 1, of all sizes, and near to where another entry of the table is taken. */
function belowOne(r: Random): Number80 {
  const sign = r.of([0, 0x8000]);
  switch (r.below(6)) {
    case 0:
      return r.once(4)
        ? { ...ZERO, se: sign }
        : { se: sign | 1 + r.below(BIAS - 1), significand: significand(r) };
    case 1:
      return { se: sign | BIAS - 1 - r.below(140), significand: significand(r) };
    case 2: {
      const n = BigInt(1 + r.below(63)), bits = n.toString(2).length;
      const near = BigInt.asUintN(64, (n << BigInt(64 - bits)) + BigInt(r.below(5)) - 2n) | J;
      return { se: sign | BIAS + bits - 1 - 6, significand: near };
    }
    default:
      return { se: sign | BIAS - 1 - r.below(8), significand: significand(r) };
  }
}
/**
 * Operands of logarithms: powers of two, numbers near to them, to 1, to entries of the table and to sqrt(2),
 * and any.
 */
function positive(r: Random): Number80 {
  const exponent = r.of([BIAS, BIAS, BIAS - 1, BIAS + 1, BIAS - 3 + r.below(7), 1 + r.below(0x7ffe)]);
  switch (r.below(6)) {
    case 0:
      return { se: exponent, significand: r.of([J, J + 1n, ALL, J + BigInt(r.below(1000)), ALL - 7n]) };
    case 1:
      return { se: r.of([BIAS, BIAS - 1]), significand: J + (1n << BigInt(r.below(63))) };
    case 2:
      return { se: BIAS - 1, significand: ALL - (1n << BigInt(r.below(63))) + BigInt(r.below(2)) };
    case 3: {
      const near = J + (BigInt(r.below(64)) << 57n) + BigInt(r.below(5)) - 2n;
      return { se: exponent, significand: near < J ? J : near };
    }
    case 4:
      return { se: exponent, significand: 0xb504_f333_f9de_6484n + BigInt(r.below(5)) - 2n };
    default:
      return { se: exponent, significand: significand(r) };
  }
}
/** What a logarithm is multiplied by. */
function factor(r: Random): Number80 {
  const exponent = r.of([
    BIAS - 2 + r.below(4),
    BIAS - 40 + r.below(80),
    1 + r.below(0x7ffe),
    0x7ffe,
    1,
    0x7ff0,
  ]);
  return r.once(20) ? ZERO : { se: r.of([0, 0x8000]) | exponent, significand: significand(r) };
}

for (
  const [name, modrm, operand, most] of [
    ["F2XM1", F2XM1, belowOne, 0.01],
    // what is too large or too small with the factor
    ["FYL2X", FYL2X, positive, 0.15],
    // that, and what is not above -1/2
    ["FYL2XP1", FYL2XP1, belowOne, 0.25],
  ] as const
) {
  Deno.test(`${name} in emitted code is that of microcode, and needs none for most operands`, () => {
    const t = new TestCpu(64), reference = new TestCpu(64), r = generator(modrm);
    const x87 = t.cpu.microcodeNames.indexOf("x87"), CASES = 3000;
    for (let n = 0; n < CASES; n++) {
      const state = randomState(r, 0xd9, modrm), top = state.words.fsw >> 11 & 7;
      const x = operand(r), y = factor(r);
      const registers = state.registers.map((value, i) => i === top ? x : i === (top + 1 & 7) ? y : value);
      const words = { fcw: state.words.fcw | 0x3f, fsw: state.words.fsw & 0x7f00, ftw: 0xff };
      runBoth(t, reference, { ...state, registers, words, cold: false });
    }
    const left = t.cpu.microcodeCounts[x87] as number;
    assert(left < CASES * most, `${left} of ${CASES} left to microcode`);
  });
}

Deno.test("F2XM1, FYL2X and FYL2XP1 with unmasked exceptions and empty registers are microcode's", () => {
  const t = new TestCpu(64), reference = new TestCpu(64), r = generator(0x2f);
  for (let n = 0; n < 1500; n++) {
    const modrm = r.of([F2XM1, FYL2X, FYL2XP1]);
    const state = randomState(r, 0xd9, modrm), top = state.words.fsw >> 11 & 7;
    const x = (r.once(2) ? belowOne : positive)(r), y = factor(r);
    const registers = state.registers.map((value, i) => i === top ? x : i === (top + 1 & 7) ? y : value);
    const fcw = state.words.fcw & ~r.below(64);
    runBoth(t, reference, {
      ...state,
      registers,
      words: { ...state.words, fcw, fsw: state.words.fsw & 0x7f00 },
    });
  }
});

// Expected: with 700 bits, good to some 400.
const BITS = 700n, ONE = 1n << BITS;
const bitLength = (v: bigint) => v.toString(2).length;
function root(v: bigint): bigint {
  let x = 1n << BigInt(bitLength(v) + 1 >> 1);
  for (let next = x + v / x >> 1n; next < x; next = x + v / x >> 1n) x = next;
  return x;
}
/** 2^(1/2), 2^(1/4) and so on. */
const ROOTS: bigint[] = [];
for (let v = 2n * ONE; ROOTS.length < 300;) ROOTS.push(v = root(v << BITS));
/** 2^x for a fraction x, by its bits. */
function powerOfTwo(x: bigint): bigint {
  return ROOTS.reduce((v, root, i) => (x >> BITS - 1n - BigInt(i) & 1n) === 1n ? v * root >> BITS : v, ONE);
}
/** log2 of a positive number, by squaring it: 300 bits. */
function logarithm(v: bigint): bigint {
  const exponent = BigInt(bitLength(v)) - 1n - BITS;
  let rest = exponent < 0n ? v << -exponent : v >> exponent, fraction = 0n;
  for (let i = 0; i < 300; i++) {
    rest = rest * rest >> BITS;
    const bit = rest >= 2n * ONE ? 1n : 0n;
    rest >>= bit;
    fraction = fraction << 1n | bit;
  }
  return (exponent << BITS) + (fraction << BITS - 300n);
}
/**
 * By how much of its last place the fraction at `at` is wrong, when its first bit is where that of `want` is.
 */
function errorOf({ memory: { view } }: TestCpu, at: number, want: bigint): bigint {
  const value = view.getBigUint64(at, true) | view.getBigUint64(at + 8, true) << 64n;
  const size = want < 0n ? -want : want;
  const error = value - (size >> BigInt(bitLength(size) - bitLength(value)));
  return error < 0n ? -error : error;
}
/** Runs an instruction with 1 as the factor; whether it needed no microcode. */
function runOn(t: TestCpu, r: Random, modrm: number, x: Number80): boolean {
  const state = randomState(r, 0xd9, modrm), one = { se: BIAS, significand: J };
  const registers = state.registers.map((value, i) => i === 6 ? x : i === 7 ? one : value);
  prepare(t, { ...state, registers, words: { fcw: 0x37f, fsw: 6 << 11, ftw: 0xc0 }, cold: false });
  const x87 = t.cpu.microcodeNames.indexOf("x87"), before = t.cpu.microcodeCounts[x87];
  t.run([0xd9, modrm], 0);
  return t.cpu.microcodeCounts[x87] === before;
}

for (
  const [name, modrm, at, limit, operand, of] of [
    ["2^x - 1", F2XM1, EXPONENTIAL, EXPONENTIAL_ERROR, belowOne, (x: bigint, negative: boolean) => {
      const power = powerOfTwo(x);
      return negative ? (ONE << BITS) / power - ONE : power - ONE;
    }],
    ["log2(x)", FYL2X, LOGARITHM, LOGARITHM_ERROR, positive, logarithm],
    ["log2(1 + x)", FYL2XP1, LOGARITHM, LOGARITHM_ERROR, belowOne, (x: bigint, negative: boolean) => {
      return logarithm(negative ? ONE - x : ONE + x);
    }],
  ] as const
) {
  Deno.test(`${name} as a fraction of 128 bits is right to what its module says of the last place`, () => {
    const t = new TestCpu(64), r = generator(0xe0 + modrm);
    let compared = 0, worst = 0n;
    for (let n = 0; n < 1500; n++) {
      const x = operand(r), exponent = (x.se & 0x7fff) - BIAS;
      const isTiny = exponent < (name === "2^x - 1" ? -200 : -150), isLarge = exponent > 600;
      const isExact = x.significand === 0n || name === "log2(x)" && x.significand === J;
      if (isTiny || isLarge || isExact || !runOn(t, r, modrm, x)) continue;
      const value = x.significand << BITS - 63n + BigInt(exponent);
      const error = errorOf(t, at, of(value, x.se >= 0x8000));
      if (error > worst) worst = error;
      assert(error < BigInt(limit), `${error} of ${x.significand} ${x.se}`);
      compared++;
    }
    assert(compared > 700, `${compared} compared`);
    assert(worst > 0n, "they are no bigints");
  });
}
