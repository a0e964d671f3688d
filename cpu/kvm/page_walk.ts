// SPDX-License-Identifier: MIT
/**
 * The guest's page tables, walked from outside, as a supervisor data access (SDM Vol. 3A §4.3 to §4.5). Access and dirty
 * bits stay as they are: the guest does not see that its hypervisor has looked.
 *
 * Not done: 5-level paging, which our CPUID does not offer; protection keys and SMAP, which Xen's copies ignore.
 * @module
 */
import type { Gpa, Gva } from "../base/bits.ts";
import type { GuestMemory } from "../base/guest_memory.ts";

/** What decides about paging. */
export interface PagingState {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

const CR0_WP = 1n << 16n, CR0_PG = 1n << 31n;
const CR4_PSE = 1n << 4n, CR4_PAE = 1n << 5n;
const EFER_LMA = 1n << 10n;
const PRESENT = 1n, WRITABLE = 2n, LARGE = 1n << 7n;
const ADDRESS_64 = 0x000f_ffff_ffff_f000n;

/** Where `gva` is, or undefined when it is not mapped (or, for `write`, not writable). */
export function walkPages(
  memory: GuestMemory,
  state: PagingState,
  gva: Gva,
  write: boolean,
): Gpa | undefined {
  if ((state.cr0 & CR0_PG) === 0n) return Number(BigInt.asUintN(32, gva));
  const protect = write && (state.cr0 & CR0_WP) !== 0n;
  const long = (state.efer & EFER_LMA) !== 0n;
  if (!long && (state.cr4 & CR4_PAE) === 0n) {
    return walk32(memory, state, BigInt.asUintN(32, gva), protect);
  }
  let address = BigInt.asUintN(64, gva);
  if (!long) address = BigInt.asUintN(32, address);
  else if (BigInt.asIntN(48, address) !== BigInt.asIntN(64, address)) return undefined;
  let table = long ? state.cr3 & ADDRESS_64 : state.cr3 & 0xffff_ffe0n;
  for (let shift = long ? 39n : 30n; shift >= 12n; shift -= 9n) {
    const index = (address >> shift) & (!long && shift === 30n ? 3n : 0x1ffn);
    const entry = readEntry(memory, table + index * 8n, 8);
    if (entry === undefined || (entry & PRESENT) === 0n) return undefined;
    const pdpte = !long && shift === 30n; // has no rights
    if (protect && !pdpte && (entry & WRITABLE) === 0n) return undefined;
    if (shift === 12n || (!pdpte && shift <= 30n && (entry & LARGE) !== 0n)) {
      const offset = (1n << shift) - 1n;
      return toGpa((entry & ADDRESS_64 & ~offset) | (address & offset));
    }
    table = entry & ADDRESS_64;
  }
  return undefined;
}

function walk32(memory: GuestMemory, state: PagingState, address: bigint, protect: boolean): Gpa | undefined {
  const pde = readEntry(memory, (state.cr3 & 0xffff_f000n) + ((address >> 22n) * 4n), 4);
  if (pde === undefined || (pde & PRESENT) === 0n || (protect && (pde & WRITABLE) === 0n)) return undefined;
  if ((pde & LARGE) !== 0n && (state.cr4 & CR4_PSE) !== 0n) {
    const high = (pde >> 13n) & 0xffn; // PSE-36
    return toGpa((high << 32n) | (pde & 0xffc0_0000n) | (address & 0x3f_ffffn));
  }
  const pte = readEntry(memory, (pde & 0xffff_f000n) + ((address >> 12n) & 0x3ffn) * 4n, 4);
  if (pte === undefined || (pte & PRESENT) === 0n || (protect && (pte & WRITABLE) === 0n)) return undefined;
  return toGpa((pte & 0xffff_f000n) | (address & 0xfffn));
}

function toGpa(address: bigint): Gpa {
  return Number(address); // 52 bits: exact
}

function readEntry(memory: GuestMemory, at: bigint, bytes: 4 | 8): bigint | undefined {
  const offset = memory.offsetOf(toGpa(at));
  if (offset === 0) return undefined;
  return bytes === 8 ? memory.view.getBigUint64(offset, true) : BigInt(memory.view.getUint32(offset, true));
}
