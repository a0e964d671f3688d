// SPDX-License-Identifier: MIT
/** RAM in a snapshot: the pages that are not zero. @module */
import { PAGE_SIZE } from "../../../cpu/base/bits.ts";
import type { GuestMemory } from "../../../cpu/base/guest_memory.ts";

/** See the module's description. */
export interface RamState {
  readonly ramBytes: number;
  /** Page numbers, ascending, in RAM as it lies in the machine: where the guest sees a page is Xen's affair. */
  readonly pages: Uint32Array;
  /** Their content, one after the other. */
  readonly bytes: Uint8Array;
}

/** Copies RAM out. */
export function packRam(memory: GuestMemory): RamState {
  const { ram, ramBytes } = memory.map;
  const words = new BigUint64Array(memory.bytes.buffer, ram, ramBytes / 8);
  const wordsPerPage = PAGE_SIZE / 8;
  const found: number[] = [];
  for (let page = 0; page < ramBytes / PAGE_SIZE; page++) {
    const end = (page + 1) * wordsPerPage;
    let at = page * wordsPerPage;
    while (at < end && words[at] === 0n) at++;
    if (at < end) found.push(page);
  }
  const bytes = new Uint8Array(found.length * PAGE_SIZE);
  found.forEach((page, i) => {
    const from = ram + page * PAGE_SIZE;
    bytes.set(memory.bytes.subarray(from, from + PAGE_SIZE), i * PAGE_SIZE);
  });
  return { ramBytes, pages: Uint32Array.from(found), bytes };
}

/** Copies it back. The CPU must be loaded afterwards: it does not hear of these writes. */
export function unpackRam(memory: GuestMemory, state: RamState): void {
  const { ram, ramBytes } = memory.map;
  memory.bytes.fill(0, ram, ram + ramBytes);
  state.pages.forEach((page, i) => {
    memory.bytes.set(state.bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE), ram + page * PAGE_SIZE);
  });
}
