// SPDX-License-Identifier: MIT
/** hvm_op. Rules: Xen public/hvm/hvm_op.h. Left out: operations of device models and altp2m. @module */
import { layout } from "../../../cpu/base/layout.ts";

/** Operations of hvm_op. */
export const HVMOP_set_param = 0;
export const HVMOP_get_param = 1;
export const HVMOP_flush_tlbs = 5;
export const HVMOP_pagetable_dying = 9;
export const HVMOP_get_time = 10;
export const HVMOP_xentrace = 11;
export const HVMOP_get_mem_type = 15;
export const HVMOP_set_evtchn_upcall_vector = 23;
export const HVMOP_guest_request_vm_event = 24;
export const HVMOP_altp2m = 25;

/** hvmmem_type_t: normal RAM. */
export const HVMMEM_ram_rw = 0;
/** hvmmem_type_t: read-only RAM. */
export const HVMMEM_ram_ro = 1;
/** hvmmem_type_t: accesses go to the device model. */
export const HVMMEM_mmio_dm = 2;

/** struct xen_hvm_param. */
export const xen_hvm_param = layout({ domid: "u16", pad: "u16", index: "u32", value: "u64" });
/** struct xen_hvm_pagetable_dying. */
export const xen_hvm_pagetable_dying = layout({ domid: "u16", pad: ["u16", 3], gpa: "u64" });
/** struct xen_hvm_get_time. */
export const xen_hvm_get_time = layout({ now: "u64" });
/** struct xen_hvm_get_mem_type. */
export const xen_hvm_get_mem_type = layout({ domid: "u16", mem_type: "u16", pad: ["u16", 2], pfn: "u64" });
/** struct xen_hvm_evtchn_upcall_vector. */
export const xen_hvm_evtchn_upcall_vector = layout({ vcpu: "u32", vector: "u8" });
