// SPDX-License-Identifier: MIT
/** xen_version. Rules: Xen public/version.h. @module */
import { layout } from "../../cpu/base/layout.ts";
import { layouts } from "./abi.ts";

/** Sub-operations of xen_version. */
export const XENVER_version = 0;
export const XENVER_extraversion = 1;
export const XENVER_compile_info = 2;
export const XENVER_capabilities = 3;
export const XENVER_changeset = 4;
export const XENVER_platform_parameters = 5;
export const XENVER_get_features = 6;
export const XENVER_pagesize = 7;
export const XENVER_guest_handle = 8;
export const XENVER_commandline = 9;
export const XENVER_build_id = 10;

/** Bytes of xen_extraversion_t. */
export const XEN_EXTRAVERSION_LEN = 16;
/** Bytes of xen_capabilities_info_t. */
export const XEN_CAPABILITIES_INFO_LEN = 1024;
/** Bytes of xen_changeset_info_t. */
export const XEN_CHANGESET_INFO_LEN = 64;
/** Bytes of xen_commandline_t. */
export const XEN_COMMANDLINE_LEN = 1024;

/** struct xen_compile_info. */
export const xen_compile_info = layout({
  compiler: ["u8", 64],
  compile_by: ["u8", 16],
  compile_domain: ["u8", 32],
  compile_date: ["u8", 32],
});
/** struct xen_platform_parameters. */
export const xen_platform_parameters = layouts({ virt_start: "long" });
/** struct xen_feature_info. */
export const xen_feature_info = layout({ submap_idx: "u32", submap: "u32" });
