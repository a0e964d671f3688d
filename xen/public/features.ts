// SPDX-License-Identifier: MIT
/** Feature bits of XENVER_get_features. Rules: Xen public/features.h. @module */

/** Page tables need not be write-protected. */
export const XENFEAT_writable_page_tables = 0;
/** Descriptor tables need not be write-protected. */
export const XENFEAT_writable_descriptor_tables = 1;
/** Guest frames are not machine frames. */
export const XENFEAT_auto_translated_physmap = 2;
/** The kernel runs in ring 0. */
export const XENFEAT_supervisor_mode_kernel = 3;
/** PAE page directories may lie above 4 GiB. */
export const XENFEAT_pae_pgdir_above_4gb = 4;
/** MMU_PT_UPDATE_PRESERVE_AD works. */
export const XENFEAT_mmu_pt_update_preserve_ad = 5;
/** MMU_{CLEAR,COPY}_PAGE work. */
export const XENFEAT_highmem_assist = 6;
/** GNTTABOP_map_grant_ref honors flags for available PTE bits. */
export const XENFEAT_gnttab_map_avail_bits = 7;
/** HVM_PARAM_CALLBACK_TYPE_VECTOR works. */
export const XENFEAT_hvm_callback_vector = 8;
/** HVM guests may use the PV clock. */
export const XENFEAT_hvm_safe_pvclock = 9;
/** HVM guests may use pirqs. */
export const XENFEAT_hvm_pirqs = 10;
/** The domain may be Dom0. */
export const XENFEAT_dom0 = 11;
/** XENMEMF_vnode works. */
export const XENFEAT_memory_op_vnode_supported = 13;
/** The guest's frames are not the machine's. */
export const XENFEAT_not_direct_mapped = 16;
/** The guest's frames are the machine's. */
export const XENFEAT_direct_mapped = 17;
/** 32-bit words of features. */
export const XENFEAT_NR_SUBMAPS = 1;
