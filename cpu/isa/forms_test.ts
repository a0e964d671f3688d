// SPDX-License-Identifier: MIT
/**
 * Encodings of instructions that x86-64-v2 does not have do what they do on processors without them, and what
 * prefixes make of the others. SDM Vol. 2 (tables ); the older meanings: BSF, BSR, NOP.
 * @module
 */
import { assertEquals } from "@std/assert";
import { DATA_BASE, TestCpu } from "../_bare_cpu.ts";
import { levelFeatures } from "../base/cpu_model.ts";
import { EXC_UD } from "../state/state.ts";

const NONE = -1;

/** The exception that `hex` raises, with RBX = DATA_BASE and RAX = 0x1234. */
function exceptionOf(t: TestCpu, hex: string): number {
  t.reset();
  t.cpu.exceptions.fill(0);
  const { s } = t.cpu.core;
  s.setGpr(0, 0x1234n);
  s.setGpr(3, BigInt(DATA_BASE));
  t.run(hex.split(" ").map((byte) => parseInt(byte, 16)));
  return t.cpu.exceptions.findIndex((n) => n > 0);
}

const ABSENT: Readonly<Record<string, string>> = {
  "0f 38 f0 03": "MOVBE",
  "0f 38 f1 03": "MOVBE, store",
  "66 0f 38 f0 03": "MOVBE r16",
  "f3 0f 38 f0 03": "MOVBE with F3",
  "f3 0f 38 f1 03": "MOVBE, store, with F3",
  "f2 f3 0f 38 f1 03": "the last of F2 and F3 counts: not CRC32",
  "0f b8 c3": "POPCNT without F3",
  "f2 0f b8 c3": "POPCNT with F2",
  "f3 f2 0f b8 c3": "POPCNT whose F3 does not count",
  "f0 f3 0f b8 03": "LOCK POPCNT",
  "66 0f 38 82 03": "INVPCID",
  "f3 0f 38 f6 c3": "ADOX",
  "66 0f 38 f6 c3": "ADCX",
  "0f c7 f0": "RDRAND",
  "66 0f c7 f0": "RDRAND r16",
  "0f c7 f8": "RDSEED",
  "f3 0f c7 f8": "RDPID",
  "0f c7 23": "XSAVEC",
  "0f c7 2b": "XSAVES",
  "66 0f ae 33": "CLWB",
  "66 0f ae 3b": "CLFLUSHOPT",
  "0f 01 c8": "MONITOR",
  "0f 01 ee": "RDPKRU",
  "66 0f 38 dc c3": "AESENC",
  "66 0f 3a 44 c3 00": "PCLMULQDQ",
  "c7 f8 00 00 00 00": "XBEGIN",
  "0f 38 f9 03": "MOVDIRI",
};
Deno.test("what is not advertised is #UD", () => {
  const t = new TestCpu(64, { features: levelFeatures("x86-64-v2") });
  for (const [hex, name] of Object.entries(ABSENT)) assertEquals(exceptionOf(t, hex), EXC_UD, name);
});

const PRESENT: Readonly<Record<string, string>> = {
  "f2 0f 38 f0 03": "CRC32",
  "66 f2 0f 38 f1 03": "CRC32 r32, r/m16",
  "f2 f3 0f b8 c3": "POPCNT: the last of F2 and F3 counts",
  "66 f3 0f b8 c3": "POPCNT r16",
  "48 f3 0f b8 c3": "POPCNT r32: REX does not count there",
  "0f 0d 0b": "PREFETCHW",
  "f3 0f 1e fa": "ENDBR64",
  "0f 1c 03": "CLDEMOTE",
};
Deno.test("what is a hint, and what prefixes do not matter to, is executed", () => {
  const t = new TestCpu(64, { features: levelFeatures("x86-64-v2") });
  for (const [hex, name] of Object.entries(PRESENT)) assertEquals(exceptionOf(t, hex), NONE, name);
});

Deno.test("TZCNT and LZCNT are BSF and BSR: index of the bit, and no result for 0", () => {
  const t = new TestCpu(64, { features: levelFeatures("x86-64-v2") });
  const run = (hex: string, source: bigint) => {
    t.reset();
    const { s } = t.cpu.core;
    s.setGpr(0, 0x1122_3344_5566_7788n);
    s.setGpr(3, source);
    t.run(hex.split(" ").map((byte) => parseInt(byte, 16)));
    return [s.gpr(0), t.cpu.core.rflags >> 6 & 1];
  };
  for (const prefix of ["f3", "f2"]) {
    assertEquals(run(`${prefix} 48 0f bc c3`, 0x50n), [4n, 0]);
    assertEquals(run(`${prefix} 48 0f bd c3`, 0x50n), [6n, 0]);
    assertEquals(run(`${prefix} 48 0f bc c3`, 0n), [0x1122_3344_5566_7788n, 1]);
    assertEquals(run(`66 ${prefix} 0f bd c3`, 0x8000n), [0x1122_3344_5566_000fn, 0]);
  }
});
