// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 2A CPUID; the x86-64-v2 list of the x86-64 psABI §3.1.1.
import { assertEquals } from "@std/assert";
import type { CpuFeature } from "../base/cpu_features.ts";
import { parseCpuModel } from "../base/cpu_model.ts";
import type { CpuVendor } from "../base/engine.ts";
import { S } from "../state/state.ts";
import { TestCore } from "../_test_core.ts";
import { cpuidLeaf } from "./cpuid.ts";
import { NEXT } from "../state/status.ts";

const bytes = (...words: number[]) => String.fromCharCode(...new Uint8Array(Uint32Array.from(words).buffer));

Deno.test("vendor, brand and signature", () => {
  for (const vendor of ["GenuineIntel", "AuthenticAMD"] as const) {
    const { core } = new TestCore({ vendor });
    const [max, b, c, d] = cpuidLeaf(core, 0, 0);
    assertEquals([bytes(b, d, c), max], [vendor, vendor === "GenuineIntel" ? 0x16 : 0xd]);
    const brand = [2, 3, 4].flatMap((i) => [...cpuidLeaf(core, 0x8000_0000 + i, 0)]);
    assertEquals(bytes(...brand).replace(/\0+$/, ""), "Xenner virtual CPU");
  }
  // Family 6, model 0x36: NO_SPECULATION in Linux's cpu_vuln_whitelist.
  const eax = cpuidLeaf(new TestCore().core, 1, 0)[0];
  assertEquals([(eax >> 8) & 15, ((eax >> 12) & 0xf0) | ((eax >> 4) & 15)], [6, 0x36]);
});

// leaf, register (EAX 0 .. EDX 3), bit, present
const FEATURES: [string, number, number, number, boolean][] = [
  ["CMOV", 1, 3, 15, true],
  ["CX8", 1, 3, 8, true],
  ["FPU", 1, 3, 0, true],
  ["FXSR", 1, 3, 24, true],
  ["MMX", 1, 3, 23, true],
  ["SSE", 1, 3, 25, true],
  ["SSE2", 1, 3, 26, true],
  ["VME", 1, 3, 1, true],
  ["HTT", 1, 3, 28, false],
  ["CX16", 1, 2, 13, true],
  ["SSE3", 1, 2, 0, true],
  ["PCLMULQDQ", 1, 2, 1, false],
  ["MONITOR", 1, 2, 3, false],
  ["SSSE3", 1, 2, 9, true],
  ["PCID", 1, 2, 17, false],
  ["SSE4.1", 1, 2, 19, true],
  ["SSE4.2", 1, 2, 20, true],
  ["x2APIC", 1, 2, 21, true],
  ["MOVBE", 1, 2, 22, false],
  ["POPCNT", 1, 2, 23, true],
  ["TSC deadline", 1, 2, 24, true],
  ["XSAVE", 1, 2, 26, true],
  ["AVX", 1, 2, 28, false],
  ["hypervisor", 1, 2, 31, true],
  ["FSGSBASE", 7, 1, 0, true],
  ["BMI1", 7, 1, 3, false],
  ["SMEP", 7, 1, 7, true],
  ["ERMS", 7, 1, 9, true],
  ["SMAP", 7, 1, 20, true],
  ["ARCH_CAPABILITIES", 7, 3, 29, true],
  ["LAHF", 0x8000_0001, 2, 0, true],
  ["SYSCALL", 0x8000_0001, 3, 11, true],
  ["NX", 0x8000_0001, 3, 20, true],
  ["1 GiB pages", 0x8000_0001, 3, 26, true],
  ["RDTSCP", 0x8000_0001, 3, 27, true],
  ["LM", 0x8000_0001, 3, 29, true],
  ["invariant TSC", 0x8000_0007, 3, 8, true],
];
for (const [name, leaf, register, bit, present] of FEATURES) {
  Deno.test(`cpuid ${present ? "has" : "does not have"} ${name}`, () => {
    const words = cpuidLeaf(new TestCore().long().core, leaf, 0);
    assertEquals(((words[register] as number) >>> bit & 1) === 1, present);
  });
}

Deno.test("leaf 0x15 gives the exact TSC frequency", () => {
  const { core } = new TestCore({ crystalHz: 24_000_000 });
  const [denominator, numerator, crystal] = cpuidLeaf(core, 0x15, 0);
  assertEquals([crystal * numerator / denominator, crystal], [2_000_000_000, 24_000_000]);
});

Deno.test("caches end with type 0, topology names one thread of one core", () => {
  const { core } = new TestCore();
  assertEquals([0, 1, 2, 3, 4].map((i) => cpuidLeaf(core, 4, i)[0] & 31), [1, 2, 3, 3, 0]);
  const kib = (i: number) => {
    const [, b, c] = cpuidLeaf(core, 4, i);
    return ((b >>> 22) + 1) * (((b >>> 12) & 0x3ff) + 1) * ((b & 0xfff) + 1) * (c + 1) / 1024;
  };
  assertEquals([kib(0), kib(1), kib(2), kib(3)], [32, 32, 1024, 16384]);
  assertEquals([0, 1, 2].map((i) => cpuidLeaf(core, 0xb, i)[2] >> 8), [1, 2, 0]);
});

Deno.test("hypervisor leaves are the machine's; CPUID clears the upper halves", () => {
  const t = new TestCore({}, { cpuid: (leaf) => leaf === 0x4000_0000 ? [1, 2, 3, 0xffff_ffff] : undefined });
  t.core.s.setGpr(0, 0xffff_ffff_4000_0000n);
  assertEquals([t.run("cpuid"), t.gpr(0), t.gpr(3), t.gpr(1), t.gpr(2)], [NEXT, 1n, 2n, 3n, 0xffff_ffffn]);
  assertEquals(cpuidLeaf(t.core, 0x4000_0100, 0), [0, 0, 0, 0]);
  assertEquals(cpuidLeaf(t.core, 0x17, 0), [0, 0, 0, 0]);
});

Deno.test("OSXSAVE follows CR4", () => {
  const t = new TestCore().long();
  const osxsave = () => cpuidLeaf(t.core, 1, 0)[2] >>> 27 & 1;
  assertEquals(osxsave(), 0);
  t.run("mov_to_cr", 4, 0x4_0620);
  assertEquals(osxsave(), 1);
});

Deno.test("the APIC shows while IA32_APIC_BASE enables it", () => {
  for (const vendor of ["GenuineIntel", "AuthenticAMD"] as const) {
    let base = 0xfee0_0900n;
    const { core } = new TestCore({ vendor }, { readMsr: (index) => index === 0x1b ? base : undefined });
    const shows = () => [cpuidLeaf(core, 1, 0)[3] >> 9 & 1, cpuidLeaf(core, 0x8000_0001, 0)[3] >> 9 & 1];
    assertEquals(shows(), [1, vendor === "AuthenticAMD" ? 1 : 0]);
    base = 0xfee0_0100n;
    assertEquals(shows(), [0, 0]);
  }
});

Deno.test("levels show in CPUID, and what is not theirs does not", () => {
  const words = (model: string, vendor: CpuVendor = "GenuineIntel") => {
    const { core } = new TestCore({ vendor, features: parseCpuModel(model).features });
    return [cpuidLeaf(core, 1, 0)[2], cpuidLeaf(core, 7, 0)[1], cpuidLeaf(core, 0x8000_0001, 0)[2]] as const;
  };
  const v2 = (1 << 0) | (1 << 9) | (1 << 13) | (1 << 19) | (1 << 20) | (1 << 23); // SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT
  assertEquals([words("v1")[0] & v2, words("v1")[2]], [0, 0]);
  assertEquals([words("v2")[0] & v2, words("v2")[2]], [v2, 1]);
  assertEquals(words("v2,-sse4.2")[0] & v2, v2 & ~(1 << 20));
  assertEquals(words("v2,-smep")[1], words("v2")[1] & ~(1 << 7));
  assertEquals(words("v2", "AuthenticAMD"), words("v2"));
});

Deno.test("leaf 0xd follows the features and XCR0; without XSAVE there is none", () => {
  const core = (features: readonly CpuFeature[]) => new TestCore({ features: new Set(features) }).core;
  assertEquals(cpuidLeaf(core([]), 0xd, 0), [0, 0, 0, 0]);
  assertEquals(cpuidLeaf(core(["xsave"]), 0xd, 0), [3, 576, 576, 0]);
  assertEquals(cpuidLeaf(core(["xsave"]), 0xd, 1), [0, 0, 0, 0]);
  assertEquals(cpuidLeaf(core(["xsave", "xsaveopt"]), 0xd, 1), [1, 0, 0, 0]);
  const wide = core(["xsave", "avx", "pku"]);
  assertEquals(cpuidLeaf(wide, 0xd, 0), [0x207, 576, 2696, 0]);
  assertEquals([cpuidLeaf(wide, 0xd, 2), cpuidLeaf(wide, 0xd, 9)], [[256, 576, 0, 0], [8, 2688, 0, 0]]);
  assertEquals(cpuidLeaf(core(["xsave"]), 0xd, 2), [0, 0, 0, 0]);
  wide.s.set32(S.xcr0, 7);
  assertEquals(cpuidLeaf(wide, 0xd, 0)[1], 832);
});
