// SPDX-License-Identifier: MIT
/** The PV console's shared page. Rules: Xen public/io/console.h. @module */
import { layout } from "../../../cpu/base/layout.ts";

/** Bytes of the ring towards the guest. */
export const XENCONS_IN_SIZE = 1024;
/** Bytes of the ring from the guest. */
export const XENCONS_OUT_SIZE = 2048;

/** struct xencons_interface. */
export const xencons_interface = layout({
  in: ["u8", XENCONS_IN_SIZE],
  out: ["u8", XENCONS_OUT_SIZE],
  in_cons: "u32",
  in_prod: "u32",
  out_cons: "u32",
  out_prod: "u32",
});
