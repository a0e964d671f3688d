// SPDX-License-Identifier: MIT
/**
 * Model-specific registers. Names and rules: SDM Vol. 4; MTRRs Vol. 3A §12.11; PAT §12.12.
 * MTRRs and PAT are kept, not obeyed: all memory is coherent. There are no machine-check banks.
 * MSRs of the APIC and of Xen are the machine's (EngineHooks). Unknown ones are #GP(0), which kernels expect,
 * counted (`cpu.msr.refused`) and traced as "cpu".
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import { isCanonical, PHYSICAL_BITS } from "../mmu/mmu.ts";
import {
  CR0_PG,
  CR4_TSD,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  EXC_GP,
  FS,
  GS,
  S,
  segmentLayout,
} from "../state/state.ts";
import { DISPATCH, FAULT, NEXT, type Status } from "../state/status.ts";

export const IA32_TIME_STAMP_COUNTER = 0x10;
export const IA32_PLATFORM_ID = 0x17;
export const IA32_FEATURE_CONTROL = 0x3a;
export const IA32_TSC_ADJUST = 0x3b;
export const IA32_BIOS_UPDT_TRIG = 0x79;
export const IA32_BIOS_SIGN_ID = 0x8b;
export const MSR_PLATFORM_INFO = 0xce;
export const IA32_MTRRCAP = 0xfe;
export const IA32_ARCH_CAPABILITIES = 0x10a;
export const MISC_FEATURES_ENABLES = 0x140;
export const IA32_SYSENTER_CS = 0x174;
export const IA32_SYSENTER_ESP = 0x175;
export const IA32_SYSENTER_EIP = 0x176;
export const IA32_MCG_CAP = 0x179;
export const IA32_MCG_STATUS = 0x17a;
export const IA32_MISC_ENABLE = 0x1a0;
export const IA32_DEBUGCTL = 0x1d9;
export const IA32_MTRR_PHYSBASE0 = 0x200;
export const IA32_MTRR_PHYSMASK7 = 0x20f;
export const IA32_PAT = 0x277;
export const IA32_MTRR_DEF_TYPE = 0x2ff;
export const IA32_XSS = 0xda0;
export const IA32_EFER = 0xc000_0080;
export const IA32_STAR = 0xc000_0081;
export const IA32_LSTAR = 0xc000_0082;
export const IA32_CSTAR = 0xc000_0083;
export const IA32_FMASK = 0xc000_0084;
export const IA32_FS_BASE = 0xc000_0100;
export const IA32_GS_BASE = 0xc000_0101;
export const IA32_KERNEL_GS_BASE = 0xc000_0102;
export const IA32_TSC_AUX = 0xc000_0103;

/** MTRR_FIX64K_00000, FIX16K_80000, FIX16K_A0000, FIX4K_C0000..F8000, in the order of S.mtrrFixed. */
const MTRR_FIXED = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];

/** 8 variable ranges, fixed ranges, write combining. */
const MTRRCAP = 8n | (1n << 8n) | (1n << 10n);
/** Fast strings on, BTS and PEBS unavailable. Linux drops ERMS when fast strings are off. */
const MISC_ENABLE_DEFAULT = 1n | (1n << 11n) | (1n << 12n);
const MISC_ENABLE_FIXED = (1n << 11n) | (1n << 12n);
/** PAT at reset: WB WT UC- UC twice. */
export const PAT_RESET = 0x0007_0406_0007_0406n;
/** Microcode revision, in the high half of BIOS_SIGN_ID. */
const MICROCODE_REVISION = 0x10dn;

/** RDCL_NO SKIP_VMENTRY_L1DFLUSH SSB_NO MDS_NO IF_PSCHANGE_MC_NO TAA_NO SBDR_SSDP_NO FBSDP_NO PSDP_NO BHI_NO
 * PBRSB_NO GDS_NO RFDS_NO ITS_NO: there is no speculation to leak from. */
export const ARCH_CAPABILITIES = [0, 3, 4, 5, 6, 8, 13, 14, 15, 20, 24, 26, 27, 62]
  .reduce((sum, n) => sum | (1n << BigInt(n)), 0n);

/** MSRs AMD kernels read and write without looking: SYSCFG, HWCR, NB_CFG, INT_PENDING, VM_CR, LS_CFG, IC_CFG,
 * DC_CFG, DE_CFG, BU_CFG2. They read 0 and keep nothing. */
const AMD_IGNORED = new Set([
  0xc001_0010,
  0xc001_0015,
  0xc001_001f,
  0xc001_0055,
  0xc001_0114,
  0xc001_1020,
  0xc001_1021,
  0xc001_1022,
  0xc001_1029,
  0xc001_102a,
]);

/** MSRs that are a field, with any value. */
const PLAIN = new Map<number, number>([
  [IA32_SYSENTER_CS, S.sysenterCs],
  [IA32_STAR, S.star],
]);
/** MSRs that hold a canonical address. */
const ADDRESSES = new Map<number, number>([
  [IA32_SYSENTER_ESP, S.sysenterEsp],
  [IA32_SYSENTER_EIP, S.sysenterEip],
  [IA32_LSTAR, S.lstar],
  [IA32_CSTAR, S.cstar],
  [IA32_FS_BASE, S.es + FS * segmentLayout.size],
  [IA32_GS_BASE, S.es + GS * segmentLayout.size],
  [IA32_KERNEL_GS_BASE, S.kernelGsBase],
]);

/** Power-on values. */
export function resetMsrs(core: CpuCore): void {
  core.s.set64(S.pat, PAT_RESET);
  core.s.set64(S.miscEnable, MISC_ENABLE_DEFAULT);
}

/** Value of an MSR; undefined: #GP(0). */
export function readMsr(core: CpuCore, index: number): bigint | undefined {
  const s = core.s;
  const plain = PLAIN.get(index) ?? ADDRESSES.get(index);
  if (plain !== undefined) return s.get64(plain);
  if (index >= IA32_MTRR_PHYSBASE0 && index <= IA32_MTRR_PHYSMASK7) {
    return s.get64(S.mtrrVariable + (index - IA32_MTRR_PHYSBASE0) * 8);
  }
  const fixed = index >= 0x250 && index <= 0x26f ? MTRR_FIXED.indexOf(index) : -1;
  if (fixed >= 0) return s.get64(S.mtrrFixed + fixed * 8);
  switch (index) {
    case IA32_TIME_STAMP_COUNTER:
      return core.readTsc();
    case IA32_TSC_ADJUST:
      return s.get64(S.tscAdjust);
    case IA32_XSS:
      return core.features.has("xsaves") ? 0n : undefined;
    case IA32_EFER:
      return s.get64(S.efer);
    case IA32_FMASK:
      return s.get64(S.fmask);
    case IA32_TSC_AUX:
      return s.get64(S.tscAux);
    case IA32_PAT:
      return s.get64(S.pat);
    case IA32_MTRRCAP:
      return MTRRCAP;
    case IA32_MTRR_DEF_TYPE:
      return s.get64(S.mtrrDefType);
    case IA32_MISC_ENABLE:
      return s.get64(S.miscEnable);
    case IA32_DEBUGCTL:
      return s.get64(S.debugctl);
    case IA32_BIOS_SIGN_ID:
      return MICROCODE_REVISION << 32n;
    case IA32_FEATURE_CONTROL:
      return 1n; // locked, nothing enabled
    case MSR_PLATFORM_INFO:
      return BigInt(Math.round(core.hooks.tscHz / 1e8) & 0xff) << 8n;
    case IA32_ARCH_CAPABILITIES:
      return core.vendor === "GenuineIntel" ? ARCH_CAPABILITIES : undefined;
    case 0: // IA32_P5_MC_ADDR, _TYPE
    case 1:
    case IA32_PLATFORM_ID:
    case MISC_FEATURES_ENABLES:
    case IA32_MCG_CAP:
    case IA32_MCG_STATUS:
    case 0x1db: // MSR_LASTBRANCHFROMIP, _TOIP, LASTINTFROMIP, _TOIP
    case 0x1dc:
    case 0x1dd:
    case 0x1de:
      return 0n;
    default:
      if (core.vendor === "AuthenticAMD" && AMD_IGNORED.has(index)) return 0n;
      return core.hooks.readMsr(index);
  }
}

const MEMORY_TYPES = new Set([0, 1, 4, 5, 6]);
function everyByte(value: bigint, allowed: (byte: number) => boolean): boolean {
  for (let i = 0n; i < 64n; i += 8n) if (!allowed(Number((value >> i) & 0xffn))) return false;
  return true;
}

function writeEfer(core: CpuCore, value: bigint): boolean {
  const s = core.s, old = s.get32(S.efer);
  const allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
  if ((value & ~BigInt(allowed)) !== 0n) return false;
  const now = Number(value);
  if (((old ^ now) & EFER_LME) !== 0 && (s.get32(S.cr0) & CR0_PG) !== 0) return false;
  s.set32(S.efer, (now & ~EFER_LMA) | (old & EFER_LMA));
  if (((old ^ now) & EFER_NXE) !== 0) core.mmu.flush();
  return true;
}

function writeTsc(core: CpuCore, delta: bigint): void {
  const s = core.s;
  s.set64(S.tscOffset, BigInt.asUintN(64, s.get64(S.tscOffset) + delta));
  s.set64(S.tscAdjust, BigInt.asUintN(64, s.get64(S.tscAdjust) + delta));
}

function writeMtrrVariable(core: CpuCore, n: number, value: bigint): boolean {
  const physical = (1n << BigInt(PHYSICAL_BITS)) - 1n;
  if ((value & ~physical) !== 0n) return false;
  if (
    (n & 1) === 0
      ? (value & 0xf00n) !== 0n || !MEMORY_TYPES.has(Number(value & 0xffn))
      : (value & 0x7ffn) !== 0n
  ) {
    return false;
  }
  core.s.set64(S.mtrrVariable + n * 8, value);
  return true;
}

/** Writes an MSR; false: #GP(0). */
export function writeMsr(core: CpuCore, index: number, value: bigint): boolean {
  const s = core.s;
  const plain = PLAIN.get(index);
  if (plain !== undefined) {
    s.set64(plain, value);
    return true;
  }
  const address = ADDRESSES.get(index);
  if (address !== undefined) {
    if (!isCanonical(Number(value >> 32n))) return false;
    s.set64(address, value);
    return true;
  }
  if (index >= IA32_MTRR_PHYSBASE0 && index <= IA32_MTRR_PHYSMASK7) {
    return writeMtrrVariable(core, index - IA32_MTRR_PHYSBASE0, value);
  }
  const fixed = index >= 0x250 && index <= 0x26f ? MTRR_FIXED.indexOf(index) : -1;
  if (fixed >= 0) {
    if (!everyByte(value, (b) => MEMORY_TYPES.has(b))) return false;
    s.set64(S.mtrrFixed + fixed * 8, value);
    return true;
  }
  switch (index) {
    case IA32_TIME_STAMP_COUNTER:
      writeTsc(core, value - core.readTsc());
      return true;
    case IA32_TSC_ADJUST:
      writeTsc(core, value - s.get64(S.tscAdjust));
      return true;
    case IA32_XSS: // no supervisor states
      return core.features.has("xsaves") && value === 0n;
    case IA32_EFER:
      return writeEfer(core, value);
    case IA32_FMASK:
    case IA32_TSC_AUX:
      if (value > 0xffff_ffffn) return false;
      s.set64(index === IA32_FMASK ? S.fmask : S.tscAux, value);
      return true;
    case IA32_PAT:
      if (!everyByte(value, (b) => b <= 7 && b !== 2 && b !== 3)) return false;
      s.set64(S.pat, value);
      return true;
    case IA32_MTRR_DEF_TYPE:
      if ((value & ~0xcffn) !== 0n || !MEMORY_TYPES.has(Number(value & 0xffn))) return false;
      s.set64(S.mtrrDefType, value);
      return true;
    case IA32_MISC_ENABLE:
      s.set64(S.miscEnable, value | MISC_ENABLE_FIXED);
      return true;
    case IA32_DEBUGCTL:
      if ((value & ~3n) !== 0n) return false; // LBR, BTF
      s.set64(S.debugctl, value);
      return true;
    case IA32_BIOS_SIGN_ID:
    case IA32_BIOS_UPDT_TRIG:
      return true;
    case MISC_FEATURES_ENABLES:
    case IA32_MCG_STATUS:
    case 0:
    case 1:
      return value === 0n;
    case IA32_PLATFORM_ID:
    case IA32_FEATURE_CONTROL:
    case MSR_PLATFORM_INFO:
    case IA32_MTRRCAP:
    case IA32_ARCH_CAPABILITIES:
    case IA32_MCG_CAP:
      return false;
    default:
      if (core.vendor === "AuthenticAMD" && AMD_IGNORED.has(index)) return true;
      return core.hooks.writeMsr(index, value);
  }
}

function unknown(core: CpuCore, verb: string, index: number): typeof FAULT {
  core.tracer.counters.add("cpu.msr.refused");
  if (core.tracer.on("cpu")) core.tracer.log("cpu", `${verb} of MSR 0x${index.toString(16)}: #GP`);
  return core.raise(EXC_GP, 0);
}

/** RDMSR. */
export function rdmsr(core: CpuCore): Status {
  const s = core.s, index = s.gpr32(1);
  if (core.cpl !== 0) return core.raise(EXC_GP, 0);
  const value = readMsr(core, index);
  if (value === undefined) return unknown(core, "read", index);
  s.setGpr32(0, Number(value & 0xffff_ffffn));
  s.setGpr32(2, Number((value >> 32n) & 0xffff_ffffn));
  return NEXT;
}

/** WRMSR. DISPATCH when the mode changed, STOP is left to the machine. */
export function wrmsr(core: CpuCore, rec: number): Status {
  const s = core.s, index = s.gpr32(1);
  if (core.cpl !== 0) return core.raise(EXC_GP, 0);
  const value = (BigInt(s.gpr32(2)) << 32n) | BigInt(s.gpr32(0));
  core.setRipBehind(rec);
  if (!writeMsr(core, index, value)) return unknown(core, "write", index);
  core.checkInterrupts();
  return core.updateMode() || index === IA32_EFER ? DISPATCH : NEXT;
}

/** RDTSC; `aux`: RDTSCP. */
export function rdtsc(core: CpuCore, aux: boolean): Status {
  const s = core.s;
  if ((s.get32(S.cr4) & CR4_TSD) !== 0 && core.cpl !== 0) return core.raise(EXC_GP, 0);
  s.setResult(core.readTsc()); // halves of a bigint are cheaper there
  s.setGpr32(0, s.get32(S.arg));
  s.setGpr32(2, s.get32(S.arg + 4));
  if (aux) s.setGpr32(1, s.get32(S.tscAux));
  return NEXT;
}
