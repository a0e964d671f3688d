// SPDX-License-Identifier: MIT
/**
 * CPUID under KVM: the processor that the other engines show, cut to what this host can do, and Xen's leaves. KVM keeps
 * OSXSAVE itself.
 * @module
 */
import { type CpuFeature, type CpuFeatures, FEATURE_WORDS, FIXED } from "../base/cpu_features.ts";
import { type CpuidLeaf, cpuidLeaf, type CpuidSource } from "../system/cpuid.ts";
import { XSAVE_BYTES } from "../system/state_components.ts";
import { kvm_cpuid2, kvm_cpuid_entry2, KVM_CPUID_FLAG_SIGNIFCANT_INDEX } from "./api.ts";

/** A leaf as KVM takes it. `subleaf` undefined: ECX does not matter. */
export interface CpuidEntry {
  readonly leaf: number;
  readonly subleaf?: number;
  readonly values: CpuidLeaf;
}

const XEN_LEAVES = 0x4000_0000, EXTENDED_LEAVES = 0x8000_0000;
/** Where the first leaf that says how many there are may not go beyond. */
const MOST_LEAVES = 64;
/** Leaves whose answer depends on ECX, and how many subleaves are asked. */
const SUBLEAVES: Readonly<Record<number, number>> = {
  4: 5,
  7: 1,
  0xb: 3,
  0xd: 10,
  0x4000_0003: 3,
  0x4000_0004: 1,
};

const bit = (...numbers: readonly number[]) => numbers.reduce((sum, n) => sum | (1 << n), 0) >>> 0;
/**
 * Words that list features, as [leaf, subleaf, register], and the bits in them that are ours whatever the host has: what
 * the local APIC brings (in user space here), and that there is a hypervisor.
 */
const FEATURES: readonly (readonly [leaf: number, subleaf: number, register: 0 | 1 | 2 | 3, ours: number])[] =
  [
    [1, 0, 2, bit(21, 24, 31)], // x2APIC, TSC-deadline, hypervisor
    [1, 0, 3, bit(9)], // APIC
    [7, 0, 1, 0],
    [7, 0, 2, 0],
    [7, 0, 3, 0],
    [0xd, 0, 0, 0],
    [0xd, 1, 0, 0],
    [0x8000_0001, 0, 2, 0],
    [0x8000_0001, 0, 3, 0],
    [0x8000_0007, 0, 3, 0],
  ];

/** All leaves of the guest. `host`: what KVM_GET_SUPPORTED_CPUID says. */
export function guestCpuid(source: CpuidSource, host: readonly CpuidEntry[]): CpuidEntry[] {
  const entries: CpuidEntry[] = [];
  for (const base of [0, XEN_LEAVES, EXTENDED_LEAVES]) {
    const last = Math.min(cpuidLeaf(source, base, 0)[0], base + MOST_LEAVES);
    for (let leaf = base; leaf <= last; leaf++) {
      const subleaves = SUBLEAVES[leaf];
      for (let subleaf = 0; subleaf < (subleaves ?? 1); subleaf++) {
        const [...values] = cpuidLeaf(source, leaf, subleaf); // Xen's are valid until the next
        cut(values, leaf, subleaf, host);
        if (leaf === 0xd) placeState(values, subleaf, entries, host);
        entries.push({
          leaf,
          ...(subleaves !== undefined && { subleaf }),
          values: values as unknown as CpuidLeaf,
        });
      }
    }
  }
  return entries;
}

function cut(values: number[], leaf: number, subleaf: number, host: readonly CpuidEntry[]): void {
  for (const [of, index, register, ours] of FEATURES) {
    if (of !== leaf || index !== subleaf) continue;
    const entry = host.find((entry) => entry.leaf === leaf && (entry.subleaf ?? 0) === subleaf);
    values[register] = ((values[register] as number) & ((entry?.values[register] ?? 0) | ours)) >>> 0;
  }
}

/** Those of `features` that `host` lacks, so that a guest here is not shown them; but for what every processor here has. */
export function lackedFeatures(features: CpuFeatures, host: readonly CpuidEntry[]): CpuFeature[] {
  return FEATURE_WORDS.flatMap(({ leaf, subleaf, register, bits }) => {
    const entry = host.find((entry) => entry.leaf === leaf && (entry.subleaf ?? 0) === subleaf);
    const word = entry?.values[register] ?? 0;
    const all = Object.entries(bits) as [CpuFeature, number][];
    return all.filter(([name, at]) => features.has(name) && !FIXED.has(name) && (word >>> at & 1) === 0);
  }).map(([name]) => name);
}

function componentOf(host: readonly CpuidEntry[], component: number): CpuidLeaf | undefined {
  return host.find(({ leaf, subleaf = 0 }) => leaf === 0xd && subleaf === component)?.values;
}
/** Where `host` has a state component in an area that is not compacted; undefined: it has none. */
export function placeOf(host: readonly CpuidEntry[], component: number): number | undefined {
  const [bytes = 0, offset = 0] = componentOf(host, component) ?? [];
  return bytes === 0 ? undefined : offset;
}

/** State components lie where this processor has them; subleaf 0 says how much room those of the guest take. */
function placeState(
  values: number[],
  subleaf: number,
  guest: CpuidEntry[],
  host: readonly CpuidEntry[],
): void {
  const ofHost = (n: number) => componentOf(host, n);
  if (subleaf === 0) {
    for (let n = 2; n < 32; n++) {
      const [bytes = 0, offset = 0] = (values[0] as number) >>> n & 1 ? ofHost(n) ?? [] : [];
      values[2] = Math.max(n === 2 ? XSAVE_BYTES : values[2] as number, offset + bytes);
    }
  } else if (subleaf >= 2) {
    const supported = guest.find((entry) => entry.leaf === 0xd && entry.subleaf === 0)?.values[0] ?? 0;
    const place = (supported >>> subleaf & 1) !== 0 ? ofHost(subleaf) : undefined;
    values.splice(0, 4, ...place ?? [0, 0, 0, 0]);
  }
}

/** struct kvm_cpuid2 with `entries`. */
export function packCpuid(entries: readonly CpuidEntry[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(kvm_cpuid2.size + entries.length * kvm_cpuid_entry2.size));
  view.setUint32(kvm_cpuid2.at.nent, entries.length, true);
  const { at } = kvm_cpuid_entry2;
  entries.forEach(({ leaf, subleaf, values }, i) => {
    const base = kvm_cpuid2.size + i * kvm_cpuid_entry2.size;
    view.setUint32(base + at.function, leaf, true);
    if (subleaf !== undefined) {
      view.setUint32(base + at.index, subleaf, true);
      view.setUint32(base + at.flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, true);
    }
    values.forEach((value, r) => view.setUint32(base + at.eax + r * 4, value, true));
  });
  return new Uint8Array(view.buffer);
}

/** The entries of a struct kvm_cpuid2. */
export function unpackCpuid(bytes: Uint8Array<ArrayBuffer>): CpuidEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { at, size } = kvm_cpuid_entry2;
  return Array.from({ length: view.getUint32(kvm_cpuid2.at.nent, true) }, (_, i) => {
    const word = (field: number) => view.getUint32(kvm_cpuid2.size + i * size + field, true);
    const indexed = (word(at.flags) & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) !== 0;
    return {
      leaf: word(at.function),
      ...(indexed && { subleaf: word(at.index) }),
      values: [word(at.eax), word(at.ebx), word(at.ecx), word(at.edx)],
    };
  });
}
