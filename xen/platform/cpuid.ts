// SPDX-License-Identifier: MIT
/**
 * CPUID leaves 0x40000000..0x40000004. Rules: Xen public/arch-x86/cpuid.h. Only what works is advertised.
 *
 * TSC mode 2 (never emulated) and the "reliable" bit let Linux take the TSC as its clock without calibration.
 * XEN_HVM_CPUID_UPCALL_VECTOR is off by default although HVMOP_set_evtchn_upcall_vector works: Linux would then pay
 * a local APIC EOI for each upcall, which the callback vector does not need.
 * @module
 */
import { XEN_HYPERCALL_MSR } from "./hypercall_page.ts";
import {
  XEN_CPUID_SIGNATURE_EBX,
  XEN_CPUID_SIGNATURE_ECX,
  XEN_CPUID_SIGNATURE_EDX,
  XEN_HVM_CPUID_DOMID_PRESENT,
  XEN_HVM_CPUID_UPCALL_VECTOR,
  XEN_HVM_CPUID_VCPU_ID_PRESENT,
} from "../public/arch_x86/cpuid.ts";
import { timeScale } from "../memory/shared_info.ts";

/** First leaf. */
export const XEN_CPUID_BASE = 0x4000_0000;
/** Last leaf with something in it. */
export const XEN_CPUID_LAST = XEN_CPUID_BASE + 4;
/** Leaves up to here read as zero. */
const XEN_CPUID_END = XEN_CPUID_BASE + 0x100;

const TSC_RELIABLE = 1 << 1;
const RDTSCP_AVAILABLE = 1 << 2;
const TSC_MODE_NEVER_EMULATE = 2;

/** What the leaves tell. */
export interface CpuidInfo {
  readonly major: number;
  readonly minor: number;
  readonly hypercallPages: number;
  readonly tscHz: number;
  readonly vcpuId: number;
  readonly domid: number;
  readonly advertiseUpcallVector: boolean;
}

/** Fills EAX..EDX of a Xen leaf into `out`; false when the leaf is not one. */
export function xenCpuid(info: CpuidInfo, leaf: number, subleaf: number, out: Uint32Array): boolean {
  if (leaf < XEN_CPUID_BASE || leaf >= XEN_CPUID_END) return false;
  out.fill(0, 0, 4);
  switch (leaf - XEN_CPUID_BASE) {
    case 0:
      out[0] = XEN_CPUID_LAST;
      out[1] = XEN_CPUID_SIGNATURE_EBX;
      out[2] = XEN_CPUID_SIGNATURE_ECX;
      out[3] = XEN_CPUID_SIGNATURE_EDX;
      break;
    case 1:
      out[0] = (info.major << 16) | info.minor;
      break;
    case 2:
      out[0] = info.hypercallPages;
      out[1] = XEN_HYPERCALL_MSR;
      break;
    case 3:
      if (subleaf === 0) {
        out[0] = TSC_RELIABLE | RDTSCP_AVAILABLE;
        out[1] = TSC_MODE_NEVER_EMULATE;
        out[2] = Math.round(info.tscHz / 1000);
      } else if (subleaf === 1) {
        const scale = timeScale(info.tscHz); // the offset to the host's TSC is zero
        out[2] = scale.tsc_to_system_mul;
        out[3] = scale.tsc_shift;
      } else if (subleaf === 2) {
        out[0] = Math.round(info.tscHz / 1000);
      }
      break;
    case 4:
      if (subleaf !== 0) break;
      out[0] = XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT |
        (info.advertiseUpcallVector ? XEN_HVM_CPUID_UPCALL_VECTOR : 0);
      out[1] = info.vcpuId;
      out[2] = info.domid;
      break;
  }
  return true;
}
