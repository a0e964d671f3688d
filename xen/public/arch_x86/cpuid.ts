// SPDX-License-Identifier: MIT
/** CPUID leaves of Xen. Rules: Xen public/arch-x86/cpuid.h. @module */

/** "XenV". */
export const XEN_CPUID_SIGNATURE_EBX = 0x566e_6558;
/** "MMXe". */
export const XEN_CPUID_SIGNATURE_ECX = 0x6558_4d4d;
/** "nVMM". */
export const XEN_CPUID_SIGNATURE_EDX = 0x4d4d_566e;

/** Leaf 4: APIC registers are virtualized. */
export const XEN_HVM_CPUID_APIC_ACCESS_VIRT = 1 << 0;
/** Leaf 4: x2APIC accesses are virtualized. */
export const XEN_HVM_CPUID_X2APIC_VIRT = 1 << 1;
/** Leaf 4: foreign memory has IOMMU entries. */
export const XEN_HVM_CPUID_IOMMU_MAPPINGS = 1 << 2;
/** Leaf 4: EBX is the vCPU's id. */
export const XEN_HVM_CPUID_VCPU_ID_PRESENT = 1 << 3;
/** Leaf 4: ECX is the domain's id. */
export const XEN_HVM_CPUID_DOMID_PRESENT = 1 << 4;
/** Leaf 4: extended destination ids. */
export const XEN_HVM_CPUID_EXT_DEST_ID = 1 << 5;
/** Leaf 4: HVMOP_set_evtchn_upcall_vector works with pirqs too. */
export const XEN_HVM_CPUID_UPCALL_VECTOR = 1 << 6;
/** Largest leaf, relative to the base, that any guest can have. */
export const XEN_CPUID_MAX_NUM_LEAVES = 5;
