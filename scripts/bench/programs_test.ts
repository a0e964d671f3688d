// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { runNatively, runOnTestCpu, whyNotNative } from "./cpu.ts";
import { type Program, PROGRAMS } from "./programs.ts";

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
