// SPDX-License-Identifier: MIT
/**
 * xen_version. Rules: Xen public/version.h and features.h; behavior of common/kernel.c for an unprivileged HVM
 * domain, which is denied the command line and the build id.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { GuestCall } from "./guest_call.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { namesOf } from "../public/abi.ts";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM } from "../public/errno.ts";
import {
  XENFEAT_auto_translated_physmap,
  XENFEAT_hvm_callback_vector,
  XENFEAT_hvm_safe_pvclock,
  XENFEAT_not_direct_mapped,
  XENFEAT_NR_SUBMAPS,
  XENFEAT_writable_page_tables,
} from "../public/features.ts";
import * as version_h from "../public/version.ts";
import {
  XEN_CAPABILITIES_INFO_LEN,
  XEN_CHANGESET_INFO_LEN,
  XEN_COMMANDLINE_LEN,
  xen_compile_info,
  XEN_EXTRAVERSION_LEN,
  xen_feature_info,
  xen_platform_parameters,
  XENVER_build_id,
  XENVER_capabilities,
  XENVER_changeset,
  XENVER_commandline,
  XENVER_compile_info,
  XENVER_extraversion,
  XENVER_get_features,
  XENVER_guest_handle,
  XENVER_pagesize,
  XENVER_platform_parameters,
  XENVER_version,
} from "../public/version.ts";

/** Features of an HVM domain without pirqs; bits of submap 0. */
export const HVM_FEATURES = (1 << XENFEAT_writable_page_tables) | (1 << XENFEAT_auto_translated_physmap) |
  (1 << XENFEAT_hvm_callback_vector) | (1 << XENFEAT_hvm_safe_pvclock) | (1 << XENFEAT_not_direct_mapped);

const CAPABILITIES = ["x86_32", "x86_32p", "x86_64"];
/** HYPERVISOR_VIRT_START, of no use to an HVM guest. */
const VIRT_START_64 = 0xffff_8000_0000_0000n;
const VIRT_START_32 = 0xf580_0000n;
const OPERATIONS = namesOf(version_h, "XENVER_");

/** Builds xen_version. */
export function xenVersion(parts: XenParts): Hypercall {
  return { name: "xen_version", operations: OPERATIONS, run: (call) => run(parts, call) };
}

function run(parts: XenParts, call: GuestCall): number {
  const { major, minor, extra, uuid } = parts.version;
  switch (call.u32(0)) {
    case XENVER_version:
      return major * 0x1_0000 + minor;
    case XENVER_extraversion:
      return storeText(call, extra, XEN_EXTRAVERSION_LEN);
    case XENVER_compile_info:
      call.bytes.fill(0, 0, xen_compile_info.size);
      putText(call, "TypeScript", xen_compile_info.at.compiler);
      putText(call, "xenner", xen_compile_info.at.compile_by);
      return call.storeArg(1, xen_compile_info.size) ? 0 : -XEN_EFAULT;
    case XENVER_capabilities: {
      const abi = CAPABILITIES.map((machine) => `hvm-${major}.0-${machine} `).join("");
      return storeText(call, abi, XEN_CAPABILITIES_INFO_LEN);
    }
    case XENVER_changeset:
      return storeText(call, "unavailable", XEN_CHANGESET_INFO_LEN);
    case XENVER_platform_parameters:
      call.setLong(0, call.bits === 64 ? VIRT_START_64 : VIRT_START_32);
      return call.storeArg(1, xen_platform_parameters[call.bits].size) ? 0 : -XEN_EFAULT;
    case XENVER_get_features: {
      const { at, size } = xen_feature_info;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      if (call.view.getUint32(at.submap_idx, true) >= XENFEAT_NR_SUBMAPS) return -XEN_EINVAL;
      call.view.setUint32(at.submap, HVM_FEATURES, true);
      return call.storeArg(1, size) ? 0 : -XEN_EFAULT;
    }
    case XENVER_pagesize:
      return call.arg(1) === 0n ? PAGE_SIZE : -XEN_EINVAL;
    case XENVER_guest_handle:
      call.bytes.fill(0, 0, 16);
      call.bytes.set(uuid.subarray(0, 16));
      return call.storeArg(1, 16) ? 0 : -XEN_EFAULT;
    case XENVER_commandline:
      return storeText(call, "<denied>", XEN_COMMANDLINE_LEN);
    case XENVER_build_id:
      return -XEN_EPERM;
    default:
      return -XEN_ENOSYS;
  }
}

function putText(call: GuestCall, text: string, at: number): void {
  for (let i = 0; i < text.length; i++) call.bytes[at + i] = text.charCodeAt(i);
}

function storeText(call: GuestCall, text: string, length: number): number {
  call.bytes.fill(0, 0, length);
  putText(call, text.slice(0, length - 1), 0);
  return call.storeArg(1, length) ? 0 : -XEN_EFAULT;
}
