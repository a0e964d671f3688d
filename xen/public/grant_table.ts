// SPDX-License-Identifier: MIT
/** Grant tables. Rules: Xen public/grant_table.h. @module */
import { layout } from "../../cpu/base/layout.ts";
import { layouts, layoutsOf } from "./abi.ts";

/** struct grant_entry_v1. */
export const grant_entry_v1 = layout({ flags: "u16", domid: "u16", frame: "u32" });
/** union grant_entry_v2 as full_page. */
export const grant_entry_v2_full_page = layout({
  "full_page.hdr.flags": "u16",
  "full_page.hdr.domid": "u16",
  "full_page.pad0": "u32",
  "full_page.frame": "u64",
});
/** union grant_entry_v2 as sub_page. */
export const grant_entry_v2_sub_page = layout({
  "sub_page.hdr.flags": "u16",
  "sub_page.hdr.domid": "u16",
  "sub_page.page_off": "u16",
  "sub_page.length": "u16",
  "sub_page.frame": "u64",
});
/** union grant_entry_v2 as transitive; 12 of the union's 16 bytes. */
export const grant_entry_v2_transitive = layout({
  "transitive.hdr.flags": "u16",
  "transitive.hdr.domid": "u16",
  "transitive.trans_domid": "u16",
  "transitive.pad0": "u16",
  "transitive.gref": "u32",
});

/** Entries the tools may have filled in before the guest started. */
export const GNTTAB_NR_RESERVED_ENTRIES = 8;
/** Reserved entry: the console page. */
export const GNTTAB_RESERVED_CONSOLE = 0;
/** Reserved entry: the xenstore page. */
export const GNTTAB_RESERVED_XENSTORE = 1;

/** Type of entry: grants nothing. */
export const GTF_invalid = 0;
/** Type of entry: `domid` may map or copy. */
export const GTF_permit_access = 1;
/** Type of entry: `domid` may transfer a page to us. */
export const GTF_accept_transfer = 2;
/** Type of entry: `domid` may use another domain's grant. */
export const GTF_transitive = 3;
/** Mask of the type. */
export const GTF_type_mask = 3;
/** Only for reading. */
export const GTF_readonly = 1 << 2;
/** Xen: mapped for reading. */
export const GTF_reading = 1 << 3;
/** Xen: mapped for writing. */
export const GTF_writing = 1 << 4;
/** Only a part of the page (version 2); may be copied, not mapped. */
export const GTF_sub_page = 1 << 8;

/** Operations of grant_table_op. */
export const GNTTABOP_map_grant_ref = 0;
export const GNTTABOP_unmap_grant_ref = 1;
export const GNTTABOP_setup_table = 2;
export const GNTTABOP_dump_table = 3;
export const GNTTABOP_transfer = 4;
export const GNTTABOP_copy = 5;
export const GNTTABOP_query_size = 6;
export const GNTTABOP_unmap_and_replace = 7;
export const GNTTABOP_set_version = 8;
export const GNTTABOP_get_status_frames = 9;
export const GNTTABOP_get_version = 10;
export const GNTTABOP_swap_grant_ref = 11;
export const GNTTABOP_cache_flush = 12;

/** struct gnttab_map_grant_ref. */
export const gnttab_map_grant_ref = layout({
  host_addr: "u64",
  flags: "u32",
  ref: "u32",
  dom: "u16",
  status: "i16",
  handle: "u32",
  dev_bus_addr: "u64",
});
/** struct gnttab_unmap_grant_ref. */
export const gnttab_unmap_grant_ref = layouts({
  host_addr: "u64",
  dev_bus_addr: "u64",
  handle: "u32",
  status: "i16",
});
/** struct gnttab_setup_table. */
export const gnttab_setup_table = layouts({
  dom: "u16",
  nr_frames: "u32",
  status: "i16",
  frame_list: "long",
});
/** struct gnttab_dump_table. */
export const gnttab_dump_table = layout({ dom: "u16", status: "i16" });
/** struct gnttab_transfer. */
export const gnttab_transfer = layouts({ mfn: "long", domid: "u16", ref: "u32", status: "i16" });
/** GNTTABOP_copy: the source is a grant reference. */
export const GNTCOPY_source_gref = 1 << 0;
/** GNTTABOP_copy: the destination is a grant reference. */
export const GNTCOPY_dest_gref = 1 << 1;
/** struct gnttab_copy_ptr; the union holds a u32 grant reference or a frame number. */
export const gnttab_copy_ptr = layouts({ "u.gmfn": "long", domid: "u16", offset: "u16" });
/** struct gnttab_copy. */
export const gnttab_copy = layoutsOf((bits) => ({
  source: gnttab_copy_ptr[bits],
  dest: gnttab_copy_ptr[bits],
  len: "u16",
  flags: "u16",
  status: "i16",
}));
/** struct gnttab_query_size. */
export const gnttab_query_size = layout({
  dom: "u16",
  nr_frames: "u32",
  max_nr_frames: "u32",
  status: "i16",
});
/** struct gnttab_unmap_and_replace. */
export const gnttab_unmap_and_replace = layouts({
  host_addr: "u64",
  new_addr: "u64",
  handle: "u32",
  status: "i16",
});
/** struct gnttab_set_version. */
export const gnttab_set_version = layout({ version: "u32" });
/** struct gnttab_get_status_frames. */
export const gnttab_get_status_frames = layouts({
  nr_frames: "u32",
  dom: "u16",
  status: "i16",
  frame_list: "long",
});
/** struct gnttab_get_version. */
export const gnttab_get_version = layout({ dom: "u16", pad: "u16", version: "u32" });
/** struct gnttab_swap_grant_ref. */
export const gnttab_swap_grant_ref = layout({ ref_a: "u32", ref_b: "u32", status: "i16" });

/** Normal return. */
export const GNTST_okay = 0;
/** General undefined error. */
export const GNTST_general_error = -1;
/** No such domain. */
export const GNTST_bad_domain = -2;
/** No such grant reference. */
export const GNTST_bad_gntref = -3;
/** No such handle. */
export const GNTST_bad_handle = -4;
/** Inappropriate virtual address to map. */
export const GNTST_bad_virt_addr = -5;
/** Inappropriate device address to unmap. */
export const GNTST_bad_dev_addr = -6;
/** Out of space in the I/O MMU. */
export const GNTST_no_device_space = -7;
/** Not enough privilege. */
export const GNTST_permission_denied = -8;
/** The page is invalid for the operation. */
export const GNTST_bad_page = -9;
/** Arguments of a copy cross a page boundary. */
export const GNTST_bad_copy_arg = -10;
/** The page to transfer is too high. */
export const GNTST_address_too_big = -11;
/** Try again. */
export const GNTST_eagain = -12;
/** Out of handles. */
export const GNTST_no_space = -13;
