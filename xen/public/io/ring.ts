// SPDX-License-Identifier: MIT
/**
 * Shared request/response rings: the page layout and the arithmetic of the RING macros. Rules: Xen
 * public/io/ring.h. Indices run freely over 32 bits; a slot is `index & (entries - 1)`. The stateful backend
 * half is `xen/backend/ring.ts`.
 * Flex rings (DEFINE_XEN_FLEX_RING), which only 9pfs and pvcalls use, are in `9pfs.ts` and `xen/backend/p9/`.
 * @module
 */
import { layout } from "../../../cpu/base/layout.ts";

/** struct name_sring without its entries. */
export const sring = layout({
  req_prod: "u32",
  req_event: "u32",
  rsp_prod: "u32",
  rsp_event: "u32",
  pvt_pad: ["u8", 4],
  __pad: ["u8", 44],
});

/** Bytes before the first entry. */
export const SRING_HEADER = sring.size;

/** __CONST_RING_SIZE: how many entries fit in `bytes`, rounded down to a power of two; 0 when none does. */
export function CONST_RING_SIZE(bytes: number, entryBytes: number): number {
  const fit = Math.floor((bytes - SRING_HEADER) / entryBytes);
  return fit < 1 ? 0 : 2 ** Math.floor(Math.log2(fit));
}

/** `a - b` of two free-running indices, as a u32. */
export function ringDistance(a: number, b: number): number {
  return (a - b) >>> 0;
}
