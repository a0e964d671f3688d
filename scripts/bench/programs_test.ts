// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { runNatively, runOnTestCpu, whyNotNative } from "./cpu.ts";
import { type Program, PROGRAMS } from "./programs.ts";

/** Rounds of the points (cr, ci) of the programs' grid, as `rounds` counts them. */
function overGrid(n: number, rounds: (cr: number, ci: number) => number): bigint {
  let total = 0;
  for (let row = 1; row <= n; row++) {
    for (let column = 1; column <= n; column++) total += rounds(column * (3 / n) - 2, row * (3 / n) - 1);
  }
  return BigInt(total);
}
/** Rounds until a point is outside, that round included when `outsideToo`. */
const mandelbrot = (outsideToo: boolean) => (cr: number, ci: number): number => {
  for (let round = 1, zr = 0, zi = 0; round <= 256; round++) {
    const r2 = zr * zr, i2 = zi * zi, product = zi * zr;
    zi = product + product + ci;
    zr = r2 - i2 + cr;
    if (r2 + i2 > 4) return outsideToo ? round : round - 1;
  }
  return 256;
};

/** The same work in TypeScript. */
const JUDGES: Record<string, { amount: number; result(amount: number): bigint }> = {
  crc32: {
    amount: 1,
    result(mib) {
      let seed = 1;
      const data = Uint8Array.from(
        { length: 1 << 20 },
        () => (seed = (Math.imul(seed, 1103515245) + 12345) | 0) >>> 16,
      );
      let crc = -1;
      for (let pass = 0; pass < mib; pass++) {
        for (const byte of data) {
          crc ^= byte;
          for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
        }
      }
      return BigInt(~crc >>> 0);
    },
  },
  sieve: { amount: 1000, result: () => 168n }, // π(1000)
  xorshift: {
    amount: 1000,
    result(rounds) {
      let x = 0x9e3779b97f4a7c15n;
      for (let i = 0; i < rounds; i++) {
        x ^= x >> 12n;
        x = BigInt.asUintN(64, x ^ (x << 25n));
        x ^= x >> 27n;
        x = BigInt.asUintN(64, x * 0x2545f4914f6cdd1dn);
      }
      return x;
    },
  },
  fib: { amount: 20, result: () => 6765n },
  mandelbrot: { amount: 8, result: (n) => overGrid(n, mandelbrot(true)) },
  packed: { amount: 8, result: (n) => overGrid(n, mandelbrot(false)) },
  x87: { amount: 8, result: (n) => overGrid(n, mandelbrot(true)) }, // the counts of doubles, for so few points
  logistic: {
    amount: 1000,
    result(rounds) {
      const f = Math.fround, words = new Uint32Array(8), x = new Float32Array(words.buffer);
      x.set([0.7, 0.3, 0.6, 0.1]);
      for (let i = 0; i < 4; i++) x[i + 4] = x[i]! * x[i]!;
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < 8; i++) x[i] = f(f(x[i]! * f(3.7)) * f(1 - x[i]!));
      }
      const word = (i: number) =>
        BigInt(words[i]! ^ words[i + 2]! ^ words[i + 4]! ^ words[i + 6]!) & 0xffff_ffffn;
      return word(1) << 32n | word(0);
    },
  },
};

for (const program of PROGRAMS) {
  const judge = JUDGES[program.name];
  if (judge === undefined) throw new Error(`no judge for ${program.name}`);
  const small: Program = { ...program, amount: judge.amount };
  for (const engine of ["interp", "jit"] as const) {
    Deno.test(`bench program ${program.name} computes what it says, ${engine}`, () => {
      assertEquals(runOnTestCpu(small, engine).result, judge.result(judge.amount));
    });
  }
  const missing = whyNotNative();
  Deno.test({
    name: `bench program ${program.name} computes what it says, natively${
      missing ? ` (skipped: ${missing})` : ""
    }`,
    ignore: missing !== undefined,
    fn: () => assertEquals(runNatively(small).result, judge.result(judge.amount)),
  });
}
