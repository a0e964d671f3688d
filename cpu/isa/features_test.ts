// SPDX-License-Identifier: MIT
/**
 * What a processor lacks is #UD, or what the encoding meant before (SDM Vol. 2: "F3 prefix ignored" of LZCNT and TZCNT;
 * Vol. 2A §2.1.1).
 * @module
 */
import { assertEquals } from "@std/assert";
import { CODE_BASE, TestCpu } from "../_bare_cpu.ts";
import type { CpuFeatures } from "../base/cpu_features.ts";
import { parseCpuModel } from "../base/cpu_model.ts";
import { CR4_OSXSAVE, EXC_GP, EXC_UD, S } from "../state/state.ts";

const bytes = (hex: string) => hex.split(" ").map((byte) => parseInt(byte, 16));
const features = (model: string): CpuFeatures => parseCpuModel(model).features;

/** The exceptions that running `hex` raises, and RAX after it. */
function outcome(model: string, hex: string, bits: 32 | 64 = 64): { ud: boolean; rax: bigint } {
  const t = new TestCpu(bits, { features: features(model) });
  const { s } = t.cpu.core;
  s.setGpr(0, 0x1234n);
  s.setGpr(1, 0x00f0n);
  s.setGpr(3, 0x30_0000n);
  t.run(bytes(hex));
  return { ud: t.cpu.exceptions[EXC_UD] === 1, rax: s.gpr(0) };
}

// model with it, model without it, code
const GATED: readonly (readonly [string, string, string, (32 | 64)?])[] = [
  ["v2", "v2,-popcnt,-sse4.2", "f3 0f b8 c1"], // popcnt eax, ecx
  ["v2", "v2,-popcnt,-sse4.2", "66 f3 0f b8 c1", 32],
  ["v2", "v2,-sse4.2", "f2 0f 38 f1 c1"], // crc32 eax, ecx
  ["v2", "v2,-sse4.2", "66 0f 38 37 c1"], // pcmpgtq
  ["v2", "v2,-sse4.2", "66 0f 3a 63 c1 00"], // pcmpistri
  ["v2", "v2,-sse4.1,-sse4.2", "66 0f 38 17 c1"], // ptest
  ["v2", "v2,-sse4.1,-sse4.2", "66 0f 3a 0e c1 01"], // pblendw
  ["v2", "v1,+sse3", "66 0f 38 00 c1"], // pshufb
  ["v2", "v1,+sse3", "0f 38 00 c1"], // pshufb mm
  ["v2", "v1,+sse3", "66 0f 3a 0f c1 01"], // palignr
  ["v2", "v1", "f2 0f 12 c1"], // movddup
  ["v2", "v1", "66 0f 7c c1"], // haddpd
  ["v2", "v1", "f2 0f f0 03"], // lddqu
  ["v2", "v1", "db 0b"], // fisttp
  ["v2", "v1", "df 0b", 32],
  ["v2", "v2,-cx16", "48 0f c7 0b"], // cmpxchg16b
  ["v2", "v2,-lahf_lm", "9f"],
  ["v2", "v2,-lahf_lm", "9e"],
  ["v2", "v2,-rdtscp", "0f 01 f9"],
  ["v2", "v2,-smap", "0f 01 cb"],
  ["v2,+movbe", "v2", "0f 38 f0 03"],
  ["v2,+movbe", "v2,-sse4.2", "66 0f 38 f1 03", 32],
  ["v2,+bmi1", "v2", "c4 e2 70 f2 c1"], // andn
  ["v2,+bmi1", "v2", "c4 e2 78 f3 c9", 32], // blsr
  ["v2,+bmi2", "v2", "c4 e2 73 f6 c1"], // mulx
  ["v2,+bmi2", "v2", "c4 e3 7b f0 c1 05", 32], // rorx
  ["v2,+adx", "v2", "66 0f 38 f6 c1"],
  ["v2,+adx", "v2", "f3 0f 38 f6 c1", 32],
  ["v2,+rdrand", "v2", "0f c7 f0"],
  ["v2,+rdseed", "v2", "66 0f c7 f8"],
  ["v2,+rdpid", "v2", "f3 0f c7 f8"],
  ["v2,+clflushopt", "v2", "66 0f ae 3b"],
  ["v2,+clwb", "v2", "66 0f ae 33"],
  ["v2,+invpcid", "v2", "66 0f 38 82 03"],
];
for (const [having, lacking, code, bits] of GATED) {
  Deno.test(`${code} is #UD on ${lacking}, not on ${having}`, () => {
    assertEquals([outcome(having, code, bits).ud, outcome(lacking, code, bits).ud], [false, true]);
  });
}

Deno.test("F3 before BSF and BSR means nothing without BMI1 and ABM", () => {
  // tzcnt, lzcnt eax, ecx of 0xf0; with 66, too
  assertEquals([outcome("v2,+bmi1", "f3 0f bc c1").rax, outcome("v2", "f3 0f bc c1").rax], [4n, 4n]);
  assertEquals([outcome("v2,+abm", "f3 0f bd c1").rax, outcome("v2", "f3 0f bd c1").rax], [24n, 7n]);
  assertEquals(outcome("v2,+bmi1", "66 f3 0f bd c1").rax, 7n); // one does not bring the other
  // of zero (esi): 32, and nothing
  assertEquals([outcome("v2,+bmi1", "f3 0f bc c6").rax, outcome("v2", "f3 0f bc c6").rax], [32n, 0x1234n]);
  // F2 never means anything
  assertEquals([outcome("max", "f2 0f bd c1").rax, outcome("max", "f2 0f bc c1").rax], [7n, 4n]);
});

Deno.test("prefixes that make no instruction of MOVBE, POPCNT, RDRAND are #UD, on every processor", () => {
  for (
    const code of [
      "f3 0f 38 f0 03",
      "f3 0f 38 f1 03",
      "0f b8 c1",
      "f2 0f b8 c1",
      "66 0f b8 c1",
      "f2 0f c7 f0",
    ]
  ) {
    assertEquals([code, outcome("max", code).ud, outcome("v1", code).ud], [code, true, true]);
  }
  assertEquals(outcome("v2,+movbe,-sse4.2", "f2 0f 38 f0 03").ud, true); // not MOVBE where CRC32 is not
});

Deno.test("VEX-encoded instructions on general registers are #UD in real mode", () => {
  const t = new TestCpu(32, { features: features("max") });
  t.cpu.core.s.set64(S.cr0, 0x10n);
  t.cpu.core.s.set32(S.idtrLimit, 0); // no handlers
  t.cpu.core.updateMode();
  t.run(bytes("c4 e2 70 f2 c1"));
  assertEquals(t.cpu.exceptions[EXC_UD], 1);
});

Deno.test("LAHF and SAHF are always there outside 64-bit mode", () => {
  assertEquals([outcome("v1", "9f", 32).ud, outcome("v1", "9e", 32).ud], [false, false]);
});

Deno.test("what is left of x87 DB, DD, DF without FISTTP", () => {
  for (const code of ["db 03", "db 13", "dd 03", "df 2b"]) assertEquals(outcome("v1", code).ud, false, code);
});

Deno.test("what XSAVE brings is #UD without it", () => {
  const model = "v2,-xsave,-xsaveopt";
  for (const code of ["0f 01 d0", "0f 01 d1", "0f ae 23", "0f ae 2b", "0f ae 33"]) {
    const t = new TestCpu(64, { features: features(model) });
    t.cpu.core.s.set64(S.cr4, t.cpu.core.s.get64(S.cr4) | (1n << 18n)); // as no guest can
    t.run(bytes(code));
    assertEquals([code, t.cpu.exceptions[EXC_UD]], [code, 1]);
  }
});

Deno.test("CR4 has the bits of the features", () => {
  const bit = { umip: 11, fsgsbase: 16, xsave: 18, smep: 20, smap: 21 } as const;
  for (const [name, n] of Object.entries(bit)) {
    const setBit = (model: string) => {
      const t = new TestCpu(64, { features: features(model) });
      t.cpu.core.s.setGpr(0, t.cpu.core.s.get64(S.cr4) | (1n << BigInt(n)));
      t.run(bytes("0f 22 e0")); // mov cr4, rax
      return t.cpu.exceptions[EXC_GP];
    };
    const without = name === "xsave" ? "v2,-xsaveopt,-xsave" : `v2,-${name}`;
    assertEquals([name, setBit("v2"), setBit(without)], [name, 0, 1]);
  }
});

Deno.test("66 before a near branch in 64-bit code cuts RIP to 16 bits on AMD's processors only", () => {
  for (
    const [vendor, at] of [["GenuineIntel", CODE_BASE + 8], [
      "AuthenticAMD",
      (CODE_BASE + 8) & 0xffff,
    ]] as const
  ) {
    for (const engine of ["interp", "jit"] as const) {
      for (const hex of ["66 eb 05", "66 74 05", "66 e3 05"]) { // jmp, jz, jrcxz: +5
        const t = new TestCpu(64, { engine, compileAtOnce: engine === "jit", vendor });
        t.cpu.core.setRflags(0x42);
        t.cpu.core.s.setGpr(1, 0n);
        t.write(0, new Uint8Array(16).fill(0xf4));
        t.write(CODE_BASE + 3, new Uint8Array(16).fill(0xf4));
        t.write(CODE_BASE, bytes(hex));
        t.resume();
        assertEquals([vendor, hex, t.cpu.core.rip], [vendor, hex, BigInt(at + 1)]);
      }
    }
  }
});

Deno.test("VEX.W of VPINSRD and VPEXTRD in 32-bit code is ignored on Intel's processors, #UD on AMD's", () => {
  // vpinsrd xmm1, xmm2, eax, 0; vpextrd eax, xmm1, 0; vmovd xmm1, eax, which takes VEX.W from both
  for (
    const [hex, amds] of [["c4 e3 e9 22 c8 00", 1], ["c4 e3 f9 16 c8 00", 1], ["c4 e1 f9 6e c8", 0]] as const
  ) {
    for (const [vendor, count] of [["GenuineIntel", 0], ["AuthenticAMD", amds]] as const) {
      const t = new TestCpu(32, { vendor, features: features("max") });
      const { s } = t.cpu.core;
      s.set32(S.cr4, s.get32(S.cr4) | CR4_OSXSAVE);
      s.set32(S.xcr0, 7); // AVX is on
      t.cpu.core.updateMode();
      t.run(bytes(hex));
      assertEquals([vendor, hex, t.cpu.exceptions[EXC_UD]], [vendor, hex, count]);
    }
  }
});

Deno.test("Intel's processors show SYSCALL to 64-bit code only", () => {
  for (
    const [vendor, bits, shows] of [
      ["GenuineIntel", 64, 1],
      ["GenuineIntel", 32, 0],
      ["AuthenticAMD", 32, 1],
    ] as const
  ) {
    const t = new TestCpu(bits, { vendor });
    t.cpu.core.s.setGpr(0, 0x8000_0001n);
    t.run(bytes("0f a2"));
    assertEquals([vendor, bits, Number(t.cpu.core.s.gpr(2) >> 11n & 1n)], [vendor, bits, shows]);
  }
});
