// SPDX-License-Identifier: MIT
/** What a PVH guest finds in EBX. Rules: Xen public/arch-x86/hvm/start_info.h. @module */
import { layout } from "../../../../cpu/base/layout.ts";

/** hvm_start_info.magic. */
export const XEN_HVM_START_MAGIC_VALUE = 0x336e_c578;

/** Types of memory, as in E820. */
export const XEN_HVM_MEMMAP_TYPE_RAM = 1;
export const XEN_HVM_MEMMAP_TYPE_RESERVED = 2;
export const XEN_HVM_MEMMAP_TYPE_ACPI = 3;
export const XEN_HVM_MEMMAP_TYPE_NVS = 4;
export const XEN_HVM_MEMMAP_TYPE_UNUSABLE = 5;
export const XEN_HVM_MEMMAP_TYPE_DISABLED = 6;
export const XEN_HVM_MEMMAP_TYPE_PMEM = 7;

/** struct hvm_start_info, version 1. */
export const hvm_start_info = layout({
  magic: "u32",
  version: "u32",
  flags: "u32",
  nr_modules: "u32",
  modlist_paddr: "u64",
  cmdline_paddr: "u64",
  rsdp_paddr: "u64",
  memmap_paddr: "u64",
  memmap_entries: "u32",
  reserved: "u32",
});
/** struct hvm_modlist_entry. */
export const hvm_modlist_entry = layout({
  paddr: "u64",
  size: "u64",
  cmdline_paddr: "u64",
  reserved: "u64",
});
/** struct hvm_memmap_table_entry. */
export const hvm_memmap_table_entry = layout({ addr: "u64", size: "u64", type: "u32", reserved: "u32" });
