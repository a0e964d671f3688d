// SPDX-License-Identifier: MIT
/**
 * Hypercall numbers, virtual interrupts, domain ids and the shared pages. Rules: Xen public/xen.h and
 * arch-x86/xen.h. Left out: everything only PV guests use.
 * @module
 */
import { layout } from "../../cpu/base/layout.ts";
import { layouts, layoutsOf } from "./abi.ts";

/** Hypercall numbers; the name of the call follows `__HYPERVISOR_`. */
export const __HYPERVISOR_set_trap_table = 0;
export const __HYPERVISOR_mmu_update = 1;
export const __HYPERVISOR_set_gdt = 2;
export const __HYPERVISOR_stack_switch = 3;
export const __HYPERVISOR_set_callbacks = 4;
export const __HYPERVISOR_fpu_taskswitch = 5;
export const __HYPERVISOR_sched_op_compat = 6;
export const __HYPERVISOR_platform_op = 7;
export const __HYPERVISOR_set_debugreg = 8;
export const __HYPERVISOR_get_debugreg = 9;
export const __HYPERVISOR_update_descriptor = 10;
export const __HYPERVISOR_memory_op = 12;
export const __HYPERVISOR_multicall = 13;
export const __HYPERVISOR_update_va_mapping = 14;
export const __HYPERVISOR_set_timer_op = 15;
export const __HYPERVISOR_event_channel_op_compat = 16;
export const __HYPERVISOR_xen_version = 17;
export const __HYPERVISOR_console_io = 18;
export const __HYPERVISOR_physdev_op_compat = 19;
export const __HYPERVISOR_grant_table_op = 20;
export const __HYPERVISOR_vm_assist = 21;
export const __HYPERVISOR_update_va_mapping_otherdomain = 22;
export const __HYPERVISOR_iret = 23;
export const __HYPERVISOR_vcpu_op = 24;
export const __HYPERVISOR_set_segment_base = 25;
export const __HYPERVISOR_mmuext_op = 26;
export const __HYPERVISOR_xsm_op = 27;
export const __HYPERVISOR_nmi_op = 28;
export const __HYPERVISOR_sched_op = 29;
export const __HYPERVISOR_callback_op = 30;
export const __HYPERVISOR_xenoprof_op = 31;
export const __HYPERVISOR_event_channel_op = 32;
export const __HYPERVISOR_physdev_op = 33;
export const __HYPERVISOR_hvm_op = 34;
export const __HYPERVISOR_sysctl = 35;
export const __HYPERVISOR_domctl = 36;
export const __HYPERVISOR_kexec_op = 37;
export const __HYPERVISOR_tmem_op = 38;
export const __HYPERVISOR_argo_op = 39;
export const __HYPERVISOR_xenpmu_op = 40;
export const __HYPERVISOR_dm_op = 41;
export const __HYPERVISOR_hypfs_op = 42;

/** Virtual interrupts. V: one binding per vCPU; the others are global. */
export const VIRQ_TIMER = 0; // V
export const VIRQ_DEBUG = 1; // V
export const VIRQ_CONSOLE = 2;
export const VIRQ_DOM_EXC = 3;
export const VIRQ_TBUF = 4;
export const VIRQ_DEBUGGER = 6;
export const VIRQ_XENOPROF = 7; // V
export const VIRQ_CON_RING = 8;
export const VIRQ_PCPU_STATE = 9;
export const VIRQ_MEM_EVENT = 10;
export const VIRQ_ARGO = 11;
export const VIRQ_ENOMEM = 12;
export const VIRQ_XENPMU = 13; // V
/** First virtual interrupt that does not exist. */
export const NR_VIRQS = 24;

/** console_io: write to the hypervisor's console. */
export const CONSOLEIO_write = 0;
/** console_io: read from it. */
export const CONSOLEIO_read = 1;

/** vm_assist: switch a type on. */
export const VMASST_CMD_enable = 0;
/** vm_assist: switch a type off. */
export const VMASST_CMD_disable = 1;
/** The only assist for HVM guests: XEN_RUNSTATE_UPDATE is set while Xen writes the runstate area. */
export const VMASST_TYPE_runstate_update_flag = 5;

/** First domain id that is no ordinary domain. */
export const DOMID_FIRST_RESERVED = 0x7ff0;
/** The calling domain. */
export const DOMID_SELF = 0x7ff0;

/** vCPUs that have a vcpu_info in shared_info. */
export const XEN_LEGACY_MAX_VCPUS = 32;

/** struct vcpu_time_info, the same for all guests. */
export const vcpu_time_info = layout({
  version: "u32",
  pad0: "u32",
  tsc_timestamp: "u64",
  system_time: "u64",
  tsc_to_system_mul: "u32",
  tsc_shift: "i8",
  flags: "u8",
  pad1: ["u8", 2],
});
/** vcpu_time_info.flags: the TSC is good enough to skip the guest's monotonicity check. */
export const XEN_PVCLOCK_TSC_STABLE_BIT = 1 << 0;
/** vcpu_time_info.flags: the guest was paused. */
export const XEN_PVCLOCK_GUEST_STOPPED = 1 << 1;

/** struct vcpu_info. */
export const vcpu_info = layoutsOf((bits) => ({
  evtchn_upcall_pending: "u8",
  evtchn_upcall_mask: "u8",
  evtchn_pending_sel: "long",
  arch: ["long", bits === 64 ? 2 : 6],
  time: { ...vcpu_time_info, align: bits === 64 ? 8 : 4 },
}));

/** struct arch_shared_info; `wc_sec_hi` is here for 32-bit guests only. */
export const arch_shared_info = layouts({
  max_pfn: "long",
  pfn_to_mfn_frame_list_list: "long",
  nmi_reason: "long",
  p2m_cr3: "long",
  p2m_vaddr: "long",
  p2m_generation: "long",
});

/** struct shared_info. For 32-bit guests the field arch.wc_sec_hi follows arch. */
export const shared_info = layoutsOf((bits) => ({
  vcpu_info: [vcpu_info[bits], XEN_LEGACY_MAX_VCPUS],
  evtchn_pending: ["long", bits],
  evtchn_mask: ["long", bits],
  wc_version: "u32",
  wc_sec: "u32",
  wc_nsec: "u32",
  ...(bits === 64
    ? { wc_sec_hi: "u32", arch: arch_shared_info[bits] }
    : { arch: arch_shared_info[bits], wc_sec_hi: "u32" }) as {
      wc_sec_hi: "u32";
      arch: typeof arch_shared_info[64];
    },
}));

/** struct multicall_entry. */
export const multicall_entry = layouts({ op: "long", result: "long", args: ["long", 6] });
