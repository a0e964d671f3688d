// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { levelFeatures } from "../base/cpu_model.ts";
import { noHooks } from "../_bare_cpu.ts";
import { type CpuidEntry, guestCpuid, lackedFeatures, packCpuid, unpackCpuid } from "./cpuid.ts";

const ALL = 0xffff_ffff;
const FEATURE_LEAVES = [[1, 0], [7, 0], [0xd, 0], [0xd, 1], [0x8000_0001, 0], [0x8000_0007, 0]] as const;

function guest(host: readonly CpuidEntry[]): CpuidEntry[] {
  const source = {
    vendor: "GenuineIntel",
    features: levelFeatures("x86-64-v2"),
    crystalHz: 1_000_000_000,
    s: { get32: () => 0 },
    hooks: {
      ...noHooks(),
      cpuid: (leaf: number, subleaf: number) =>
        leaf <= 0x4000_0003 ? [0x4000_0003, leaf, subleaf, 7] as const : undefined,
    },
  } as const;
  return guestCpuid(source, host);
}
const values = (entries: readonly CpuidEntry[], leaf: number, subleaf?: number) =>
  entries.find((entry) => entry.leaf === leaf && entry.subleaf === subleaf)?.values;

Deno.test("guestCpuid shows no feature that the host lacks, but what user space brings", () => {
  const nothing = guest([]);
  assertEquals(values(nothing, 1)?.slice(2), [((1 << 21) | (1 << 24) | (1 << 31)) >>> 0, 1 << 9]);
  assertEquals(values(nothing, 7, 0), [0, 0, 0, 0]);
  assertEquals(values(nothing, 0x8000_0001)?.slice(2), [0, 0]);

  const everything = guest(FEATURE_LEAVES.map(([leaf, subleaf]) => ({
    leaf,
    subleaf,
    values: [ALL, ALL, ALL, ALL],
  })));
  const without = everything.filter(({ leaf }) => leaf !== 1);
  assertEquals(((values(everything, 1)?.[3] ?? 0) & (1 << 26)) !== 0, true); // SSE2
  assertEquals(((values(everything, 1)?.[2] ?? 0) & (1 << 28)) === 0, true); // AVX: the host's, not ours
  const noGigabytePages = guest([{ leaf: 0x8000_0001, values: [0, 0, ALL, ~(1 << 26) >>> 0] }]);
  assertEquals(((values(noGigabytePages, 0x8000_0001)?.[3] ?? 0) >>> 26) & 1, 0);
  assertEquals(without.length > 10, true);
});

Deno.test("guestCpuid has Xen's leaves, each subleaf by itself", () => {
  const entries = guest([]);
  assertEquals(values(entries, 0x4000_0001), [0x4000_0003, 0x4000_0001, 0, 7]);
  assertEquals(values(entries, 0x4000_0003, 2), [0x4000_0003, 0x4000_0003, 2, 7]);
});

Deno.test("lackedFeatures: those that can be taken from a model, by name", () => {
  const all = FEATURE_LEAVES.map(([leaf, subleaf]) => ({
    leaf,
    subleaf,
    values: [ALL, ALL, ALL, ALL] as const,
  }));
  const features = levelFeatures("x86-64-v2");
  assertEquals(lackedFeatures(features, all), []);
  const less = all.map((entry) =>
    entry.leaf !== 1
      ? entry
      : { ...entry, values: [ALL, ALL, ~(1 << 13 | 1 << 26 | 1 << 28 | 1 << 31) >>> 0, 0] as const }
  );
  assertEquals(lackedFeatures(features, less), ["cx16", "xsave"]); // AVX is not of the model, the others of every one
  assertEquals(lackedFeatures(features, []).includes("umip"), true);
});

Deno.test("packCpuid and unpackCpuid", () => {
  const entries: CpuidEntry[] = [
    { leaf: 1, values: [1, 2, 3, 0xffff_fff0] },
    { leaf: 0xd, subleaf: 1, values: [5, 6, 7, 8] },
  ];
  assertEquals(unpackCpuid(packCpuid(entries)), entries);
});
