// SPDX-License-Identifier: MIT
/** Names of ring ABIs, as a frontend's "protocol" node gives them. Rules: Xen public/io/protocols.h. @module */

/** Rings laid out by the i386 ABI. */
export const XEN_IO_PROTO_ABI_X86_32 = "x86_32-abi";
/** Rings laid out by the x86-64 ABI. */
export const XEN_IO_PROTO_ABI_X86_64 = "x86_64-abi";
