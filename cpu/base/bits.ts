// SPDX-License-Identifier: MIT
/** Sizes and bit fields shared by every folder. @module */

/** 2^10 bytes. */
export const KiB = 1024;
/** 2^20 bytes. */
export const MiB = 1024 * KiB;
/** 2^30 bytes. */
export const GiB = 1024 * MiB;

/** log2 of the page size. */
export const PAGE_SHIFT = 12;
/** Bytes in a page. */
export const PAGE_SIZE = 1 << PAGE_SHIFT;
/** Offset within a page. */
export const PAGE_MASK = PAGE_SIZE - 1;

/** Guest virtual (linear) address: 64 bits, canonical. */
export type Gva = bigint;
/** Guest physical address in bytes; a non-negative integer below 2^52. */
export type Gpa = number & { readonly __brand?: "gpa" };
/** Guest frame number: a guest physical address divided by the page size. */
export type Gfn = number & { readonly __brand?: "gfn" };

/** Bits `hi`..`lo` of a u32, shifted down. */
export function bits(value: number, hi: number, lo: number): number {
  return (value >>> lo) & (2 ** (hi - lo + 1) - 1);
}

/** `value` with bits `hi`..`lo` replaced by `field`, as a u32. */
export function withBits(value: number, hi: number, lo: number, field: number): number {
  const mask = ((2 ** (hi - lo + 1) - 1) << lo) >>> 0;
  return ((value & ~mask) | ((field << lo) & mask)) >>> 0;
}

/** Lowercase hexadecimal with `0x`, padded to `digits`. */
export function hex(value: number | bigint, digits = 1): string {
  return "0x" + value.toString(16).padStart(digits, "0");
}
