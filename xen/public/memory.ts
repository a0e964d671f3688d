// SPDX-License-Identifier: MIT
/** memory_op. Rules: Xen public/memory.h. Left out: operations of control tools. @module */
import { layout } from "../../cpu/base/layout.ts";
import { layouts, layoutsOf } from "./abi.ts";

/** Operations of memory_op. */
export const XENMEM_increase_reservation = 0;
export const XENMEM_decrease_reservation = 1;
export const XENMEM_maximum_ram_page = 2;
export const XENMEM_current_reservation = 3;
export const XENMEM_maximum_reservation = 4;
export const XENMEM_machphys_mfn_list = 5;
export const XENMEM_populate_physmap = 6;
export const XENMEM_add_to_physmap = 7;
export const XENMEM_memory_map = 9;
export const XENMEM_machine_memory_map = 10;
export const XENMEM_exchange = 11;
export const XENMEM_machphys_mapping = 12;
export const XENMEM_set_memory_map = 13;
export const XENMEM_maximum_gpfn = 14;
export const XENMEM_remove_from_physmap = 15;
export const XENMEM_set_pod_target = 16;
export const XENMEM_get_pod_target = 17;
export const XENMEM_get_sharing_freed_pages = 18;
export const XENMEM_get_sharing_shared_pages = 19;
export const XENMEM_paging_op = 20;
export const XENMEM_access_op = 21;
export const XENMEM_sharing_op = 22;
export const XENMEM_add_to_physmap_batch = 23;
export const XENMEM_claim_pages = 24;
export const XENMEM_machphys_compat_mfn_list = 25;
export const XENMEM_get_vnumainfo = 26;
export const XENMEM_reserved_device_memory_map = 27;
export const XENMEM_acquire_resource = 28;

/** Bits of the operation number; what is above them is the extent to go on from. */
export const MEMOP_EXTENT_SHIFT = 6;

/** xen_memory_reservation.mem_flags: populate on demand. */
export const XENMEMF_populate_on_demand = 1 << 16;

/** Source spaces of XENMEM_add_to_physmap. */
export const XENMAPSPACE_shared_info = 0;
export const XENMAPSPACE_grant_table = 1;
export const XENMAPSPACE_gmfn = 2;
export const XENMAPSPACE_gmfn_range = 3;
export const XENMAPSPACE_gmfn_foreign = 4;
export const XENMAPSPACE_dev_mmio = 5;
/** Bit of xen_add_to_physmap.idx: a status frame of a version 2 grant table. */
export const XENMAPIDX_grant_table_status = 0x8000_0000;

/** struct xen_memory_reservation. */
export const xen_memory_reservation = layouts({
  extent_start: "long",
  nr_extents: "long",
  extent_order: "u32",
  mem_flags: "u32",
  domid: "u16",
});
/** struct xen_memory_domain. */
export const xen_memory_domain = layout({ domid: "u16" });
/** struct xen_add_to_physmap. */
export const xen_add_to_physmap = layouts({
  domid: "u16",
  size: "u16",
  space: "u32",
  idx: "long",
  gpfn: "long",
});
/** struct xen_add_to_physmap_batch; `u` is foreign_domid or zero. */
export const xen_add_to_physmap_batch = layouts({
  domid: "u16",
  space: "u16",
  size: "u16",
  u: "u16",
  idxs: "long",
  gpfns: "long",
  errs: "long",
});
/** struct xen_remove_from_physmap. */
export const xen_remove_from_physmap = layouts({ domid: "u16", gpfn: "long" });
/** struct xen_memory_map. */
export const xen_memory_map = layouts({ nr_entries: "u32", buffer: "long" });
/** struct xen_foreign_memory_map. */
export const xen_foreign_memory_map = layoutsOf((bits) => ({ domid: "u16", map: xen_memory_map[bits] }));
/** Bytes of an entry of xen_memory_map.buffer: u64 address, u64 size, u32 type, packed as by INT 15h E820h. */
export const E820_ENTRY_BYTES = 20;
