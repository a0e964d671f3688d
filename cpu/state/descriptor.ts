// SPDX-License-Identifier: MIT
/**
 * Segment descriptors as they lie in a table, taken apart. Rules: SDM Vol. 3A §3.4.5, §3.5.
 * @module
 */
import { SEG_DB } from "./state.ts";

/** Type bits of code and data segments. */
export const TYPE_CODE = 8, TYPE_CONFORMING = 4, TYPE_EXPAND_DOWN = 4, TYPE_RW = 2, TYPE_ACCESSED = 1;
/** Types of system descriptors (S clear). */
export const SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK_GATE = 5, SYS_INT16 = 6;
export const SYS_TRAP16 = 7, SYS_TSS = 9, SYS_TSS_BUSY = 11, SYS_CALL = 12, SYS_INT = 14, SYS_TRAP = 15;

/** A descriptor read from a table. */
export interface Descriptor {
  /** Low and high dwords. */
  lo: number;
  hi: number;
  /** Linear address it was read from. */
  addressLo: number;
  addressHi: number;
}

/** A descriptor to read into; one per call site that needs its own. */
export const emptyDescriptor = (): Descriptor => ({ lo: 0, hi: 0, addressLo: 0, addressHi: 0 });

/** Attributes, as in a segment register. */
export function attributesOf(d: Descriptor): number {
  return (d.hi >>> 8) & 0xf0ff;
}
/** Limit in bytes, granularity applied. */
export function limitOf(d: Descriptor): number {
  const limit = (d.hi & 0x000f_0000) | (d.lo & 0xffff);
  return (d.hi & (1 << 23)) !== 0 ? ((limit << 12) | 0xfff) >>> 0 : limit;
}
/** Low 32 bits of the base. */
export function baseOf(d: Descriptor): number {
  return ((d.lo >>> 16) | ((d.hi & 0xff) << 16) | (d.hi & 0xff00_0000)) >>> 0;
}
/** Descriptor privilege level out of attributes. */
export function dplOf(attributes: number): number {
  return (attributes >> 5) & 3;
}

/** True when [offset, offset+size) lies within the limit of a segment with these attributes. */
export function withinLimit(attributes: number, limit: number, offset: number, size: number): boolean {
  const last = offset + size - 1;
  if ((attributes & (TYPE_CODE | TYPE_EXPAND_DOWN)) === TYPE_EXPAND_DOWN) {
    return offset > limit && last <= ((attributes & SEG_DB) !== 0 ? 0xffff_ffff : 0xffff);
  }
  return last <= limit;
}
