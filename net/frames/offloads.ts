// SPDX-License-Identifier: MIT
/** What whoever takes a frame can finish itself: bits of {@linkcode NetEnd} `offloads` and receivers' `accepts`. @module */

/** Blank TCP and UDP checksums over IPv4 are welcome. */
export const OFFLOAD_CSUM = 1 << 0;
/** Blank TCP and UDP checksums over IPv6 are welcome. */
export const OFFLOAD_CSUM6 = 1 << 1;
/** TCP over IPv4 GSO frames are welcome. */
export const OFFLOAD_TSO4 = 1 << 2;
/** TCP over IPv6 GSO frames are welcome. */
export const OFFLOAD_TSO6 = 1 << 3;
/** So are those with ECN's CWR flag set. */
export const OFFLOAD_TSO_ECN = 1 << 4;
/** Nothing is: complete checksums and frames up to the MTU only. */
export const OFFLOAD_NONE = 0;
/** Everything is. */
export const OFFLOAD_ALL = OFFLOAD_CSUM | OFFLOAD_CSUM6 | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_TSO_ECN;
