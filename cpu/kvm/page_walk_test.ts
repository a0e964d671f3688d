// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { MiB } from "../base/bits.ts";
import { GuestMemory } from "../base/guest_memory.ts";
import { type PagingState, walkPages } from "./page_walk.ts";

const PG_WP = 0x8001_0001n, PG = 0x8000_0001n, PAE = 1n << 5n, PSE = 1n << 4n, LMA = 1n << 10n;
const P = 1, W = 2, LARGE = 0x80;
const T1 = 0x1000, T2 = 0x2000, T3 = 0x3000, T4 = 0x4000;

function memoryWith(entries: readonly (readonly [at: number, value: bigint, bytes: 4 | 8])[]): GuestMemory {
  const memory = new GuestMemory(MiB);
  for (const [at, value, bytes] of entries) {
    const word = new DataView(new ArrayBuffer(8));
    word.setBigUint64(0, value, true);
    memory.write(at, new Uint8Array(word.buffer, 0, bytes));
  }
  return memory;
}
const state = (cr4: bigint, efer = 0n, cr0 = PG_WP, cr3 = BigInt(T1)): PagingState => ({
  cr0,
  cr3,
  cr4,
  efer,
});

Deno.test("walkPages: without paging addresses are physical ones", () => {
  assertEquals(walkPages(memoryWith([]), state(0n, 0n, 1n), 0x1_2345_6789n, true), 0x2345_6789);
});

Deno.test("walkPages: 4 levels, pages of 4 KiB, 2 MiB and 1 GiB, rights", () => {
  const memory = memoryWith([
    [T1 + 511 * 8, BigInt(T2 | P | W), 8],
    [T2, BigInt(T3 | P | W), 8],
    [T2 + 8, 0x1_4000_0000n | BigInt(P | W | LARGE), 8],
    [T3, BigInt(T4 | P | W), 8],
    [T3 + 8, 0x60_0000n | BigInt(P | LARGE) | (1n << 63n), 8], // read-only, NX
    [T4, 0x8000_0000_0005_0000n | BigInt(P | W), 8],
    [T4 + 8, 0x5_1000n, 8], // not present
  ]);
  const s = state(PAE, LMA), top = 0xffff_ff80_0000_0000n;
  assertEquals(walkPages(memory, s, top + 0x123n, true), 0x5_0123);
  assertEquals(walkPages(memory, s, top + 0x1000n, false), undefined);
  assertEquals(walkPages(memory, s, top + 0x20_0456n, false), 0x60_0456);
  assertEquals(walkPages(memory, s, top + 0x20_0456n, true), undefined);
  assertEquals(walkPages(memory, state(PAE, LMA, PG), top + 0x20_0456n, true), 0x60_0456); // no CR0.WP
  assertEquals(walkPages(memory, s, top + 0x4765_4321n, true), 0x1_4765_4321);
  assertEquals(walkPages(memory, s, top & 0xffff_ffff_ffffn, false), undefined); // not canonical
  assertEquals(walkPages(memory, s, 0n, false), undefined);
});

Deno.test("walkPages: PAE, whose first level has no rights", () => {
  const memory = memoryWith([
    [T1 + 0x20 + 24, BigInt(T2 | P), 8],
    [T2 + 8, BigInt(0xa0_0000 | P | W | LARGE), 8],
  ]);
  assertEquals(walkPages(memory, state(PAE, 0n, PG_WP, BigInt(T1 + 0x20)), 0xc020_0001n, true), 0xa0_0001);
  assertEquals(walkPages(memory, state(PAE, 0n, PG_WP, BigInt(T1 + 0x20)), 0xc000_0001n, true), undefined);
});

Deno.test("walkPages: two levels, with pages of 4 MiB where CR4.PSE allows them", () => {
  const memory = memoryWith([
    [T1 + 4, BigInt(T2 | P | W | LARGE), 4],
    [T1 + 8, 0x40_0000n | BigInt(P | W | LARGE), 4],
    [T1 + 12, 0xffff_f000n | BigInt(P), 4], // a table where no memory is
    [T2 + 12, 0x5000n | BigInt(P), 4],
  ]);
  assertEquals(walkPages(memory, state(PSE), 0x80_0010n, true), 0x40_0010);
  assertEquals(walkPages(memory, state(0n), 0x40_3010n, false), 0x5010);
  assertEquals(walkPages(memory, state(0n), 0x40_3010n, true), undefined);
  assertEquals(walkPages(memory, state(0n), 0xc0_0000n, false), undefined);
});
