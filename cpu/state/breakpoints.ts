// SPDX-License-Identifier: MIT
/**
 * Which breakpoints of DR0-3 an access meets. Rules: SDM Vol. 3B §17.2.4-17.2.5 (DR7, LEN and R/W, alignment).
 * @module
 */
import { PAGE_MASK } from "../base/bits.ts";
import { CR4_DE, S } from "./state.ts";

/** DR6: general detect, single step, task switch. */
export const DR6_BD = 1 << 13, DR6_BS = 1 << 14, DR6_BT = 1 << 15;
/** DR7: L0, G0 .. L3, G3; L0..L3 and LE, which a task switch clears; general detect enable. */
export const DR7_ENABLES = 0xff, DR7_LOCAL = 0x155, DR7_GD = 1 << 13;

/** Values of R/W in DR7: what a breakpoint is for. */
export const BREAK_EXECUTE = 0, BREAK_WRITE = 1, BREAK_IO = 2, BREAK_ACCESS = 3;
/** Bytes by LEN. */
const LENGTHS = [1n, 2n, 8n, 4n] as const;
const DR7_AT = (S.dr >> 2) + 14;

/** Is any breakpoint enabled? */
export function breakpointsEnabled(u32: Uint32Array): boolean {
  return ((u32[DR7_AT] as number) & DR7_ENABLES) !== 0;
}

/** Is any enabled that has to be looked for at every instruction: for code or I/O? */
export function codeBreakpointsEnabled(u32: Uint32Array): boolean {
  const dr7 = u32[DR7_AT] as number;
  for (let n = 0; n < 4; n++) {
    if (((dr7 >>> (n * 2)) & 3) !== 0 && ((dr7 >>> (16 + n * 4)) & 1) === 0) return true;
  }
  return false;
}

/** Does any enabled breakpoint watch data in the page of a linear address? */
export function isPageWatched(u32: Uint32Array, lo: number, hi: number): boolean {
  const at = S.dr >> 2, dr7 = u32[DR7_AT] as number;
  for (let n = 0; n < 4; n++) {
    if (((dr7 >>> (n * 2)) & 3) === 0 || ((dr7 >>> (16 + n * 4)) & 1) === 0) continue;
    // Lengths are powers of two, and low bits of the address do not count: none reaches into another page.
    if ((((u32[at + n * 2] as number) ^ lo) & ~PAGE_MASK) === 0 && u32[at + n * 2 + 1] === hi) return true;
  }
  return false;
}

/**
 * Bits for DR6, or 0 when no enabled breakpoint is met by [address, address + size). As on hardware, the bits of met
 * breakpoints that are not enabled come along. `kind`: execute, write, I/O, or access for a read.
 */
export function breakpointsMet(u32: Uint32Array, kind: number, address: bigint, size: number): number {
  const at = S.dr >> 2, dr7 = u32[DR7_AT] as number;
  let met = 0, enabled = false;
  for (let n = 0; n < 4; n++) {
    const use = (dr7 >>> (16 + n * 4)) & 3;
    if (use !== kind && !(use === BREAK_ACCESS && kind === BREAK_WRITE)) continue;
    if (use === BREAK_IO && ((u32[S.cr4 >> 2] as number) & CR4_DE) === 0) continue;
    const length = kind === BREAK_EXECUTE ? 1n : LENGTHS[(dr7 >>> (18 + n * 4)) & 3] as bigint;
    const register = (BigInt(u32[at + n * 2 + 1] as number) << 32n) | BigInt(u32[at + n * 2] as number);
    const first = register & ~(length - 1n);
    if (address >= first + length || address + BigInt(size) <= first) continue;
    met |= 1 << n;
    if (((dr7 >>> (n * 2)) & 3) !== 0) enabled = true;
  }
  return enabled ? met : 0;
}
