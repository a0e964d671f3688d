// SPDX-License-Identifier: MIT
// Expected values: the x86-64 psABI §3.1.1 (levels), Linux' arch/x86/include/asm/cpufeatures.h (names and bits).
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "./assert.ts";
import {
  ALL_FEATURES,
  type CpuFeature,
  EBX,
  ECX,
  featureWord,
  FIXED,
  NEEDS,
  NOT_YET,
} from "./cpu_features.ts";
import { DEFAULT_CPU, levelFeatures, parseCpuModel } from "./cpu_model.ts";

const has = (text: string, ...names: readonly CpuFeature[]) => {
  const { features } = parseCpuModel(text);
  return names.map((name) => features.has(name));
};

Deno.test("levels by their long and short names", () => {
  assertEquals(parseCpuModel("v1").name, "x86-64-v1");
  assertEquals(parseCpuModel("x86-64-v3").name, "x86-64-v3");
  assertEquals(parseCpuModel("max").name, "max");
  assertEquals(has("v1", "sse2", "cmov", "pni", "popcnt", "cx16", "lahf_lm", "xsave"), [
    ...[true, true, false, false, false, false, false],
  ]);
  assertEquals(
    has("v2", "pni", "ssse3", "sse4_1", "sse4_2", "popcnt", "cx16", "lahf_lm"),
    Array(7).fill(true),
  );
});

Deno.test("a level has all that the psABI asks for and that is emulated", () => {
  const v3 = ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"] as const;
  const features = levelFeatures("x86-64-v3");
  assertEquals(v3.filter((name) => !features.has(name) && !NOT_YET.has(name)), []);
  const max = levelFeatures("max");
  assertEquals(ALL_FEATURES.filter((name) => !max.has(name) && !NOT_YET.has(name)), []);
});

Deno.test("no level lacks what its features need", () => {
  for (const level of ["x86-64-v1", "x86-64-v2", "x86-64-v3", "max"] as const) {
    const features = levelFeatures(level);
    for (const name of features) {
      assertEquals((NEEDS[name] ?? []).filter((need) => !features.has(need)), [], `${level}: ${name}`);
    }
  }
});

Deno.test("single features by /proc/cpuinfo's and QEMU's names; the last word counts", () => {
  for (const name of ["sse4_2", "sse4.2", "sse4-2", "SSE4_2"]) {
    assertEquals(has(`v2,-${name}`, "sse4_2", "sse4_1"), [false, true], name);
  }
  assertEquals(has("-sse4.2", "sse4_2", "pni"), [false, true]);
  assertEquals(has("v2,-lahf-lm,+lahf_lm", "lahf_lm"), [true]);
  assertEquals(has("v1,+sse3", "pni"), [true]);
});

Deno.test("features without a level change the default, which has SHA-NI besides x86-64-v2", () => {
  assertEquals(parseCpuModel(DEFAULT_CPU).name, DEFAULT_CPU);
  assertEquals(has(DEFAULT_CPU, "sse4_2", "sha_ni", "aes", "avx"), [true, true, false, false]);
  assertEquals(parseCpuModel(" -sse4_2, -umip,+cx16").name, "x86-64-v2,+sha_ni,-sse4_2,-umip");
  assertEquals(parseCpuModel("-sha_ni").name, "x86-64-v2");
});

Deno.test("a model's name does not depend on how it was written", () => {
  assertEquals(parseCpuModel("v2,-umip,-sse4.2").name, "x86-64-v2,-sse4_2,-umip");
  assertEquals(parseCpuModel("v2,+cx16,+sha,-umip").name, "x86-64-v2,+sha_ni,-umip");
});

for (
  const [text, message] of [
    ["v4", 'Cannot use "v4" as CPU: there are x86-64-v1, x86-64-v2, x86-64-v3 and max'],
    ["", 'Cannot use "" as CPU'],
    ["Haswell", 'Cannot use "Haswell" as CPU'],
    ["v2,sse3", 'Cannot use "sse3" in a CPU: behind the first comma come +FEATURE and -FEATURE'],
    ["v2,", 'Cannot use "" in a CPU'],
    ["v2,+", 'Cannot find the CPU feature ""'],
    ["v2,+sse5", 'Cannot find the CPU feature "sse5": there are '],
    ["v2,+constructor", 'Cannot find the CPU feature "constructor"'],
    ["v2,-lm", "Cannot take lm from the CPU: every CPU here has it"],
    ["v1,+ssse3", "Cannot make a CPU with ssse3 but without pni: say +pni or -ssse3"],
    ["v2,-xsave", "Cannot make a CPU with xsaveopt but without xsave: say +xsave or -xsaveopt"],
  ] as const
) {
  Deno.test(`${JSON.stringify(text)} is no CPU`, () => {
    const error = assertThrows(() => parseCpuModel(text), ConfigError) as ConfigError;
    assertEquals(error.message.slice(0, message.length), message);
    assertEquals(error.message.includes("\n"), false);
  });
}

Deno.test("words of CPUID", () => {
  assertEquals(featureWord(new Set(["umip", "smep", "fsgsbase"]), 7, 0, ECX), 1 << 2);
  assertEquals(featureWord(new Set(["umip", "smep", "fsgsbase"]), 7, 0, EBX), (1 << 7) | 1);
  assertEquals(featureWord(new Set(["hypervisor"]), 1, 0, ECX), 0x8000_0000);
  assertEquals(featureWord(new Set(["hypervisor"]), 1, 1, ECX), 0);
  assertEquals([...FIXED].filter((name) => NOT_YET.has(name)), []);
});
