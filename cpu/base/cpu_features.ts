// SPDX-License-Identifier: MIT
/**
 * Features of the processor: where CPUID shows each (SDM Vol. 2A CPUID; AMD APM Vol. 3 §E), which ones the levels of the
 * x86-64 psABI (§3.1.1) have, and which need others. Names are those of Linux' /proc/cpuinfo; `ALIASES` has QEMU's.
 *
 * CPUID, the decoder, CR4 and XCR0 all ask this record. A feature is advertised only when it is done: as long as it
 * stands in `NOT_YET`, no model has it.
 * @module
 */

/** Registers of a leaf in the order in which `CpuidLeaf` has them. */
export const EAX = 0, EBX = 1, ECX = 2, EDX = 3;

/** The words of CPUID that list features, and the number of each one's bit. */
export const FEATURE_WORDS = [
  {
    leaf: 1,
    subleaf: 0,
    register: EDX,
    bits: {
      ...{
        fpu: 0,
        vme: 1,
        de: 2,
        pse: 3,
        tsc: 4,
        msr: 5,
        pae: 6,
        mce: 7,
        cx8: 8,
        apic: 9,
        sep: 11,
        mtrr: 12,
      },
      ...{
        pge: 13,
        mca: 14,
        cmov: 15,
        pat: 16,
        pse36: 17,
        clflush: 19,
        mmx: 23,
        fxsr: 24,
        sse: 25,
        sse2: 26,
      },
    },
  },
  {
    leaf: 1,
    subleaf: 0,
    register: ECX,
    bits: {
      ...{ pni: 0, pclmulqdq: 1, ssse3: 9, fma: 12, cx16: 13, pcid: 17, sse4_1: 19, sse4_2: 20, x2apic: 21 },
      ...{ movbe: 22, popcnt: 23, tsc_deadline_timer: 24, aes: 25, xsave: 26, avx: 28, f16c: 29, rdrand: 30 },
      hypervisor: 31,
    },
  },
  {
    leaf: 7,
    subleaf: 0,
    register: EBX,
    bits: {
      ...{ fsgsbase: 0, tsc_adjust: 1, bmi1: 3, avx2: 5, smep: 7, bmi2: 8, erms: 9, invpcid: 10, rdseed: 18 },
      ...{ adx: 19, smap: 20, clflushopt: 23, clwb: 24, sha_ni: 29 },
    },
  },
  {
    leaf: 7,
    subleaf: 0,
    register: ECX,
    bits: { umip: 2, pku: 3, vaes: 9, vpclmulqdq: 10, rdpid: 22 },
  },
  { leaf: 7, subleaf: 0, register: EDX, bits: { arch_capabilities: 29 } },
  { leaf: 0xd, subleaf: 1, register: EAX, bits: { xsaveopt: 0, xsavec: 1, xgetbv1: 2, xsaves: 3 } },
  { leaf: 0x8000_0001, subleaf: 0, register: ECX, bits: { lahf_lm: 0, abm: 5, "3dnowprefetch": 8 } },
  {
    leaf: 0x8000_0001,
    subleaf: 0,
    register: EDX,
    bits: { syscall: 11, nx: 20, pdpe1gb: 26, rdtscp: 27, lm: 29 },
  },
] as const;

type KeysOfUnion<T> = T extends unknown ? keyof T : never;
/** Name of a feature, as in /proc/cpuinfo. */
export type CpuFeature = KeysOfUnion<typeof FEATURE_WORDS[number]["bits"]>;
/** What a processor has. */
export type CpuFeatures = ReadonlySet<CpuFeature>;

/** Every feature there is a name for. */
export const ALL_FEATURES: readonly CpuFeature[] = FEATURE_WORDS.flatMap(({ bits }) =>
  Object.keys(bits) as CpuFeature[]
);

const list = (names: string) => names.split(" ") as CpuFeature[];

/** Part of every processor here: kernels, devices and Xen's leaves stand on them. */
export const FIXED: CpuFeatures = new Set(list(
  "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 " +
    "x2apic tsc_deadline_timer hypervisor tsc_adjust arch_capabilities syscall nx pdpe1gb lm",
));
/** What the levels have. v1 is the psABI's with what systems want besides; each has all of the one before it. */
export const LEVELS = {
  "x86-64-v1": list("rdtscp fsgsbase smep smap umip erms"),
  "x86-64-v2": list("pni ssse3 sse4_1 sse4_2 cx16 popcnt lahf_lm xsave xsaveopt"),
  "x86-64-v3": list("avx avx2 bmi1 bmi2 f16c fma abm movbe"),
  max: list(
    "3dnowprefetch adx aes clflushopt clwb invpcid pcid pclmulqdq pku rdpid rdrand rdseed sha_ni vaes vpclmulqdq " +
      "xgetbv1 xsavec xsaves",
  ),
} as const;
/** Name of a level. */
export type CpuLevel = keyof typeof LEVELS;

/** Not emulated yet: take a name away when its instructions, registers and state are there, with tests. */
export const NOT_YET: CpuFeatures = new Set();

/** What a feature cannot be without. */
export const NEEDS: Readonly<Partial<Record<CpuFeature, readonly CpuFeature[]>>> = {
  ssse3: ["pni"],
  sse4_1: ["ssse3"],
  sse4_2: ["sse4_1", "popcnt"],
  pclmulqdq: ["sse2"],
  aes: ["sse2"],
  sha_ni: ["ssse3"],
  xsaveopt: ["xsave"],
  xsavec: ["xsave"],
  xsaves: ["xsavec"],
  xgetbv1: ["xsave"],
  pku: ["xsave"],
  avx: ["xsave", "sse4_2"],
  avx2: ["avx"],
  f16c: ["avx"],
  fma: ["avx"],
  vaes: ["avx", "aes"],
  vpclmulqdq: ["avx", "pclmulqdq"],
};

/** Other names, QEMU's mostly; dots and dashes count as underscores already. */
export const ALIASES: Readonly<Record<string, CpuFeature>> = {
  sse3: "pni",
  sse41: "sse4_1",
  sse42: "sse4_2",
  lzcnt: "abm",
  cmpxchg16b: "cx16",
  pclmul: "pclmulqdq",
  sha: "sha_ni",
  prefetchw: "3dnowprefetch",
  clfsh: "clflush",
  tsc_deadline: "tsc_deadline_timer",
};

/** The bits of a word of CPUID that `features` set; unsigned. */
export function featureWord(features: CpuFeatures, leaf: number, subleaf: number, register: number): number {
  let word = 0;
  for (const entry of FEATURE_WORDS) {
    if (entry.leaf !== leaf || entry.subleaf !== subleaf || entry.register !== register) continue;
    for (const [name, bit] of Object.entries(entry.bits)) {
      if (features.has(name as CpuFeature)) word |= 1 << bit;
    }
  }
  return word >>> 0;
}
