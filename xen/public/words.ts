// SPDX-License-Identifier: MIT
/** 64-bit little-endian words as numbers: exact below 2^53, and above that still larger than any limit. @module */

/** Reads a u64; values from 2^53 up lose low bits. */
export function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/** Writes a non-negative integer below 2^53 as a u64. */
export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}
