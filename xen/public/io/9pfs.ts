// SPDX-License-Identifier: MIT
/**
 * The shared pages of Xen's transport for 9P. Rules: Xen public/io/9pfs.h, DEFINE_XEN_FLEX_RING_AND_INTF of
 * public/io/ring.h, docs/misc/9pfs.pandoc.
 * @module
 */
import { PAGE_SHIFT } from "../../../cpu/base/bits.ts";
import { layout } from "../../../cpu/base/layout.ts";

/** struct xen_9pfs_data_intf without the references at its end: "in" is towards the guest. */
export const xen_9pfs_data_intf = layout({
  in_cons: "u32",
  in_prod: "u32",
  pad1: ["u8", 56],
  out_cons: "u32",
  out_prod: "u32",
  pad2: ["u8", 56],
  ring_order: "u32",
});

/** Where the grant references of the data pages start: ref[]. */
export const XEN_9PFS_REFS = xen_9pfs_data_intf.size;

/** XEN_FLEX_RING_SIZE: bytes each way of a ring of 2^order pages. */
export function XEN_FLEX_RING_SIZE(order: number): number {
  return 2 ** (order + PAGE_SHIFT - 1);
}
