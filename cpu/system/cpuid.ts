// SPDX-License-Identifier: MIT
/**
 * CPUID: shows the features of the model (cpu/base/cpu_features.ts). Rules: SDM Vol. 2A CPUID; AMD APM Vol. 3 §E.
 *
 * The Intel model is family 6, model 0x36 (an in-order Atom). Linux lists it as NO_SPECULATION
 * (arch/x86/kernel/cpu/common.c, cpu_vuln_whitelist), which is the truth about this CPU: no Meltdown, so no page
 * table isolation; no Spectre v1/v2, so no retpolines, RSB filling or LFENCEs; no MDS, so no VERW on exits.
 * IA32_ARCH_CAPABILITIES says the same bit by bit, for kernels that ask it (FreeBSD: RDCL_NO turns PTI off).
 * The AMD model is a family 0xf K8: not affected by Meltdown, MDS or L1TF, but Linux uses retpolines on it.
 *
 * Leaf 0x15 gives TSC and APIC timer ("crystal") frequencies, so that nobody calibrates.
 * Left out: performance monitoring (leaf 0xa), MONITOR/MWAIT, thermal sensors.
 * @module
 */
import { EAX, EBX, ECX, EDX, featureWord } from "../base/cpu_features.ts";
import type { CpuVendor } from "../base/engine.ts";
import type { CpuCore } from "../core/core.ts";
import { PHYSICAL_BITS } from "../mmu/mmu.ts";
import { CR4_OSXSAVE, CR4_PKE, S } from "../state/state.ts";
import { NEXT, type Status } from "../state/status.ts";
import { areaBytes, compactedPlaces, STATES, supportedStates } from "./state_components.ts";

/** Leaf 1 EAX: family, model, stepping. */
export const CPUID_SIGNATURE: { readonly [V in CpuVendor]: number } = {
  GenuineIntel: 0x0003_0661,
  AuthenticAMD: 0x0006_0fb1,
};

/** Brand string, leaves 0x8000_0002..4. */
export const BRAND = "Xenner virtual CPU";

const bit = (...numbers: number[]) => numbers.reduce((sum, n) => sum | (1 << n), 0) >>> 0;

const EXTENDED1_EDX_SYSCALL = bit(11);
const LEAF1_ECX_OSXSAVE = bit(27), LEAF1_EDX_APIC = bit(9), LEAF7_ECX_OSPKE = bit(4);
/** The machine's MSR, and its global enable bit. */
const IA32_APIC_BASE = 0x1b, APIC_BASE_EN = 1n << 11n;
/** Leaf-1 EDX bits that AMD repeats in leaf 0x8000_0001. */
const AMD_REPEATED = bit(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 23, 24);

/** Whose CPUID it is. */
export type CpuidSource = Pick<CpuCore, "vendor" | "features" | "hooks" | "crystalHz"> & {
  /** Of the code that asks; absent: 64. */
  readonly codeBits?: CpuCore["codeBits"];
  readonly s: Pick<CpuCore["s"], "get32">;
};

/** EAX EBX ECX EDX. */
export type CpuidLeaf = readonly [number, number, number, number];
const ZERO: CpuidLeaf = [0, 0, 0, 0];

/** A cache for leaf 4: 64-byte lines. */
function cache(type: number, level: number, ways: number, sets: number): CpuidLeaf {
  return [type | (level << 5) | (1 << 8), (63 | ((ways - 1) << 22)) >>> 0, sets - 1, 0];
}
/** L1D 32 KiB, L1I 32 KiB, L2 1 MiB, L3 16 MiB. */
const CACHES: readonly CpuidLeaf[] = [
  cache(1, 1, 8, 64),
  cache(2, 1, 8, 64),
  cache(3, 2, 16, 1024),
  cache(3, 3, 16, 16384),
];

function text(s: string, at: number): number {
  const code = (i: number) => at + i < s.length ? s.charCodeAt(at + i) : 0;
  return (code(0) | (code(1) << 8) | (code(2) << 16) | (code(3) << 24)) >>> 0;
}

function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/** What CPUID answers. */
export function cpuidLeaf(core: CpuidSource, leaf: number, subleaf: number): CpuidLeaf {
  if (leaf >= 0x4000_0000 && leaf < 0x8000_0000) return core.hooks.cpuid(leaf, subleaf) ?? ZERO;
  const intel = core.vendor === "GenuineIntel";
  return leaf < 0x4000_0000 ? basicLeaf(core, intel, leaf, subleaf) : extendedLeaf(core, intel, leaf);
}

/** Features in leaf 1 EDX that are there, but do not show now: an APIC that IA32_APIC_BASE disables (SDM Vol. 3A §11.4.3). */
function hidden(core: CpuidSource): number {
  const base = core.hooks.readMsr(IA32_APIC_BASE);
  return base !== undefined && (base & APIC_BASE_EN) === 0n ? LEAF1_EDX_APIC : 0;
}

function basicLeaf(core: CpuidSource, intel: boolean, leaf: number, subleaf: number): CpuidLeaf {
  const { apicId, tscHz } = core.hooks, { features } = core;
  const word7 = (register: number) => featureWord(features, 7, 0, register);
  switch (leaf) {
    case 0:
      return [intel ? 0x16 : 0xd, text(core.vendor, 0), text(core.vendor, 8), text(core.vendor, 4)];
    case 1: {
      const osxsave = (core.s.get32(S.cr4) & CR4_OSXSAVE) !== 0 ? LEAF1_ECX_OSXSAVE : 0;
      const ebx = ((apicId & 0xff) << 24) | (1 << 16) | (8 << 8);
      const edx = (featureWord(features, 1, 0, EDX) & ~hidden(core)) >>> 0;
      const ecx = (featureWord(features, 1, 0, ECX) | osxsave) >>> 0;
      return [CPUID_SIGNATURE[core.vendor], ebx >>> 0, ecx, edx];
    }
    case 2:
      return intel ? [0x00ff_0001, 0, 0, 0] : ZERO; // 0xff: see leaf 4
    case 4:
      return intel ? CACHES[subleaf] ?? ZERO : ZERO;
    case 6:
      return [bit(2), 0, 0, 0]; // ARAT: the APIC timer runs in C-states
    case 7: {
      if (subleaf !== 0) return ZERO;
      const ospke = (core.s.get32(S.cr4) & CR4_PKE) !== 0 ? LEAF7_ECX_OSPKE : 0;
      return [0, word7(EBX), word7(ECX) | ospke, intel ? word7(EDX) : 0]; // EDX: ARCH_CAPABILITIES
    }
    case 0xb: {
      if (!intel) return ZERO;
      const level = subleaf === 0 ? 1 : subleaf === 1 ? 2 : 0; // thread, core
      return [0, level === 0 ? 0 : 1, (subleaf & 0xff) | (level << 8), apicId];
    }
    case 0xd:
      return features.has("xsave") ? stateLeaf(core, subleaf) : ZERO;
    case 0x15: {
      if (!intel) return ZERO;
      const g = gcd(tscHz, core.crystalHz);
      return [core.crystalHz / g, tscHz / g, core.crystalHz, 0];
    }
    case 0x16: {
      const mhz = Math.round(tscHz / 1e6) & 0xffff;
      return intel ? [mhz, mhz, 100, 0] : ZERO;
    }
    default:
      return ZERO;
  }
}

/** Leaf 0xd: what XCR0 may hold, and where each state lies in an XSAVE area. */
function stateLeaf(core: CpuidSource, subleaf: number): CpuidLeaf {
  const { features } = core, supported = supportedStates(features);
  if (subleaf === 0) return [supported, areaBytes(core.s.get32(S.xcr0)), areaBytes(supported), 0];
  if (subleaf === 1) {
    const xcr0 = core.s.get32(S.xcr0);
    const bytes = features.has("xsavec") ? areaBytes(xcr0, compactedPlaces(xcr0)) : 0;
    return [featureWord(features, 0xd, 1, EAX), bytes, 0, 0]; // no supervisor states: IA32_XSS is zero
  }
  const state = STATES.find(({ component }) => component === subleaf);
  if (state === undefined || (supported & (1 << subleaf)) === 0) return ZERO;
  return [state.bytes, state.offset, 0, 0];
}

function extendedLeaf(core: CpuidSource, intel: boolean, leaf: number): CpuidLeaf {
  switch (leaf) {
    case 0x8000_0000:
      return intel
        ? [0x8000_0008, 0, 0, 0]
        : [0x8000_0008, text(core.vendor, 0), text(core.vendor, 8), text(core.vendor, 4)];
    case 0x8000_0001: {
      const { features } = core;
      const repeated = intel ? 0 : featureWord(features, 1, 0, EDX) & AMD_REPEATED & ~hidden(core);
      // Intel's processors have SYSCALL in 64-bit mode only, and say so only there (SDM Vol. 2A CPUID)
      const syscall = intel && (core.codeBits ?? 64) !== 64 ? EXTENDED1_EDX_SYSCALL : 0;
      const edx = ((featureWord(features, leaf, 0, EDX) & ~syscall) | repeated) >>> 0;
      return [intel ? 0 : CPUID_SIGNATURE[core.vendor], 0, featureWord(features, leaf, 0, ECX), edx];
    }
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004: {
      const at = (leaf - 0x8000_0002) * 16;
      return [text(BRAND, at), text(BRAND, at + 4), text(BRAND, at + 8), text(BRAND, at + 12)];
    }
    case 0x8000_0005: // L1D and L1I: 32 KiB, 8 ways, 64-byte lines
      return intel ? ZERO : [0, 0, 0x2008_0140, 0x2008_0140];
    case 0x8000_0006: // L2: 1 MiB, 16 ways (code 8)
      return [0, 0, 0x0400_8040, 0];
    case 0x8000_0007:
      return [0, 0, 0, bit(8)]; // invariant TSC
    case 0x8000_0008:
      return [PHYSICAL_BITS | (48 << 8), 0, 0, 0];
    default:
      return ZERO;
  }
}

/** CPUID. */
export function cpuid(core: CpuCore): Status {
  const s = core.s;
  const [eax, ebx, ecx, edx] = cpuidLeaf(core, s.gpr32(0), s.gpr32(1));
  s.setGpr32(0, eax);
  s.setGpr32(3, ebx);
  s.setGpr32(1, ecx);
  s.setGpr32(2, edx);
  return NEXT;
}
