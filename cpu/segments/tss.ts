// SPDX-License-Identifier: MIT
/**
 * Stacks out of the task-state segment. Rules: SDM Vol. 3A §8.2.1 (32 bits), §8.7 (64 bits), §8.6 (16 bits).
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import { IMPLICIT } from "../mmu/linear_memory.ts";
import { isCanonical } from "../mmu/mmu.ts";
import { attributesOf, type Descriptor, dplOf, SYS_TSS16 } from "../state/descriptor.ts";
import { EXC_SS, EXC_TS, S, SEG_P, SEG_S, SEG_UNUSABLE, segmentLayout, TR } from "../state/state.ts";
import { fetchDescriptor } from "./segmentation.ts";

/** Reads RSP0..2 (`index` 0..2) or IST1..7 (3 + n) of a 64-bit TSS into core.mem. False: fault recorded. */
export function readLongTssStack(core: CpuCore, index: number, external: number): boolean {
  const at = S.es + TR * segmentLayout.size, s = core.s;
  const offset = index < 3 ? 4 + index * 8 : 0x24 + (index - 4) * 8;
  if ((core.attributes(TR) & SEG_UNUSABLE) !== 0 || offset + 7 > s.get32(at + segmentLayout.at.limit)) {
    core.raise(EXC_TS, (core.selector(TR) & 0xfffc) | external);
    return false;
  }
  const lo = s.get32(at) + offset;
  const hi = (s.get32(at + 4) + (lo > 0xffff_ffff ? 1 : 0)) >>> 0;
  if (!core.mem.read64(lo >>> 0, hi, IMPLICIT)) return false;
  if (!isCanonical(core.mem.hi)) {
    core.raise(EXC_SS, external);
    return false;
  }
  return true;
}

/** Reads SSn:ESPn of a 16- or 32-bit TSS into core.scratch.tssStack, and the stack segment, checked, into `d`. */
export function readLegacyTssStack(
  core: CpuCore,
  dpl: number,
  external: number,
  d: Descriptor,
): boolean {
  const at = S.es + TR * segmentLayout.size, s = core.s;
  const narrow = (core.attributes(TR) & 0xd) === SYS_TSS16;
  const offset = narrow ? 2 + dpl * 4 : 4 + dpl * 8;
  if (
    (core.attributes(TR) & SEG_UNUSABLE) !== 0 ||
    offset + (narrow ? 3 : 5) > s.get32(at + segmentLayout.at.limit)
  ) {
    core.raise(EXC_TS, (core.selector(TR) & 0xfffc) | external);
    return false;
  }
  const base = s.get32(at), mem = core.mem;
  const sp = narrow
    ? mem.read16((base + offset) >>> 0, 0, IMPLICIT)
    : mem.read32((base + offset) >>> 0, 0, IMPLICIT);
  if (sp === -1) return false;
  const selector = mem.read16((base + offset + (narrow ? 2 : 4)) >>> 0, 0, IMPLICIT);
  if (selector === -1) return false;
  core.scratch.tssStack.sp = sp;
  core.scratch.tssStack.selector = selector;
  const error = (selector & 0xfffc) | external;
  if ((selector & 0xfffc) === 0) {
    core.raise(EXC_TS, external);
    return false;
  }
  if (!fetchDescriptor(core, selector, d, EXC_TS, external)) return false;
  const ar = attributesOf(d);
  if ((selector & 3) !== dpl || dplOf(ar) !== dpl || (ar & SEG_S) === 0 || (ar & 0xa) !== 2) {
    core.raise(EXC_TS, error);
    return false;
  }
  if ((ar & SEG_P) === 0) {
    core.raise(EXC_SS, error);
    return false;
  }
  return true;
}
