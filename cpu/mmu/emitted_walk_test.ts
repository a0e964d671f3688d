// SPDX-License-Identifier: MIT
/**
 * The emitted page walk does what Mmu.translate does, or nothing: random page tables, modes and accesses, with everything
 * compared that either may change. Mmu.translate itself is compared with the SDM in mmu_test.ts.
 * @module
 */
import { assertEquals } from "@std/assert";
import { FREE, PML4, TestCore } from "../_test_core.ts";
import { PAGE_HAS_CODE } from "../base/guest_memory.ts";
import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  LARGE_BASE,
  LARGE_BITS,
  S,
  TLB_BASE,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_LIST_BASE,
  TLB_MODE_USER_AC,
  TLB_TABLES,
  tlbEntry,
  tlbList,
} from "../state/state.ts";
import { emitted, random } from "./_emitted.ts";
import { pageWalk } from "./emitted_walk.ts";
import { ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE } from "./mmu.ts";

type Walk = (linear: bigint, access: number) => number;

const walkOf = ({ memory }: TestCore) => emitted<Walk>(memory, "i64", (b) => pageWalk(b, memory.map));

const TABLES = [PML4, PML4 + 0x1000, PML4 + 0x2000, PML4 + 0x3000];
const NX = 1n << 63n;

/** An entry for a table of `level` whose next is at `next`: mostly good. */
function entryOf(rnd: (n: number) => number, level: number, next: number): bigint {
  const odd = (n: number) => rnd(n) === 0;
  let entry = BigInt(next) | (odd(20) ? 0n : 1n) | (odd(4) ? 0n : 2n) | (odd(4) ? 0n : 4n);
  if (odd(2)) entry |= 0x20n;
  if (odd(2)) entry |= 0x40n;
  if (odd(3)) entry |= 0x100n;
  if (odd(6)) entry |= NX;
  if (odd(30)) entry |= 1n << BigInt(32 + rnd(20));
  if (odd(2)) entry |= BigInt(rnd(16)) << 59n; // the protection key of a leaf
  if (odd(level === 1 ? 4 : 6)) {
    // A large page, whose frame is 0 then; or PAT at the lowest level.
    if (level > 1) entry &= ~0x3fff_f000n;
    entry |= 0x80n;
    if (odd(3)) entry |= 0x1000n; // PAT
    if (odd(10)) entry |= 0x2000n; // reserved
    if (odd(10)) entry |= 0x20_0000n; // reserved in 32-bit paging, else of the address
  }
  return entry;
}

/** The buckets that know of large pages, with their numbers. */
function largePages({ memory }: TestCore): number[] {
  const words = new Uint32Array(memory.memory.buffer, LARGE_BASE, 1 << LARGE_BITS >> 2);
  const found: number[] = [];
  words.forEach((word, i) => word !== 0 && found.push(i, word));
  return found;
}

/** What a walk may change: the entries at `places`, what the TLB has of the address, large pages, head and end of its list. */
function seen(t: TestCore, lo: number, places: readonly number[]): unknown {
  const { bytes, view } = t.memory;
  const modes = Array.from({ length: TLB_TABLES }, (_, mode) => mode);
  const entry = TLB_BASE + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size;
  const count = view.getUint32(TLB_LIST_BASE + tlbList.at.count, true);
  return {
    tables: places.map((gpa) => t.read64(gpa)),
    tlb: modes.map((mode) => bytes.slice(entry + mode * TLB_BYTES, entry + mode * TLB_BYTES + tlbEntry.size)),
    list: bytes.slice(TLB_LIST_BASE, TLB_LIST_BASE + tlbList.size),
    large: largePages(t),
    newest: view.getUint32(TLB_LIST_BASE + tlbList.size + 4 * Math.max(0, count - 1), true),
  };
}

/** Paging modes: levels, bits of an index and bytes of an entry. */
const PAGING = {
  long: { levels: 4, indexBits: 9, bytes: 8 },
  pae: { levels: 2, indexBits: 9, bytes: 8 },
  narrow: { levels: 2, indexBits: 10, bytes: 4 },
} as const;
const MODES = Object.keys(PAGING) as (keyof typeof PAGING)[];

Deno.test("the emitted walk agrees with Mmu.translate, or has changed nothing", () => {
  const rnd = random(0x2545_f491);
  const a = new TestCore().long(), b = new TestCore().long();
  const walk = walkOf(a);
  const announced: number[] = [];
  b.memory.onCodeWrite = (page) => announced.push(page);
  const counts = Object.fromEntries(MODES.map((name) => [name, { walked: 0, left: 0, faults: 0 }]));
  for (let i = 0; i < 6000; i++) {
    const paging = MODES[rnd(MODES.length)]!, { levels, indexBits, bytes } = PAGING[paging];
    const count = counts[paging]!;
    const hi = rnd(4) === 0 ? [0xffff_8880, 0x7fff, 0x8000, 0xffff_ffff][rnd(4)]! : 0;
    const lo = ((rnd(4) << 30) | (rnd(3) << 21) | (rnd(3) << 12) | rnd(4096)) >>> 0;
    const linear = BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo));
    const index = (level: number) =>
      Number(BigInt.asUintN(64, linear) >> BigInt(12 + indexBits * (level - 1))) & ((1 << indexBits) - 1);
    const tables = TABLES.slice(-levels);
    const entries = tables.map((_, n) =>
      entryOf(rnd, levels - n, n + 1 < levels ? tables[n + 1]! : FREE + 0x1000 * rnd(3))
    );
    // There are no keys in PAE paging: their bits are reserved.
    if (paging === "pae" && rnd(6) !== 0) entries.forEach((e, n) => entries[n] = e & ~(0x7ffn << 52n));
    const last = levels - 1;
    if (rnd(25) === 0) entries[last] = (entries[last]! & 0xfffn) | 0xfee0_0000n; // no memory there
    const places = tables.map((gpa, n) => gpa + bytes * index(levels - n));
    const pdpte = BigInt(tables[0]!) | (rnd(20) === 0 ? 0n : 1n) | (rnd(30) === 0 ? 1n << 32n : 0n);
    const bit = (mask: number, oneIn = 2) => BigInt(rnd(oneIn) === 0 ? 0 : mask);
    const cr0 = BigInt(rnd(30) === 0 ? 0x11 : (CR0_PG | 0x11) >>> 0) | bit(CR0_WP);
    const cr4 = BigInt(paging === "narrow" ? 0 : CR4_PAE) | bit(CR4_PGE) | bit(CR4_SMAP) | bit(CR4_SMEP) |
      bit(CR4_PKE) | bit(CR4_PSE, 4);
    const pkru = rnd(2) === 0 ? 0 : rnd(0x1_0000_0000) & rnd(0x1_0000_0000);
    const efer = BigInt(paging === "long" ? EFER_LME | EFER_LMA : 0) | bit(EFER_NXE, 8);
    const mode = rnd(TLB_TABLES), access = [ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC][rnd(3)]!;
    const codeIn = rnd(6) === 0 ? [...tables, FREE][rnd(levels + 1)]! : undefined;
    const keepGlobal = rnd(2) === 0;
    if (rnd(8) === 0) { for (const t of [a, b]) t.core.mmu.flush(keepGlobal); }
    for (const t of [a, b]) {
      const { s, mmu } = t.core;
      places.forEach((gpa, n) => {
        if (bytes === 8) t.write64(gpa, entries[n]!);
        else t.write32(gpa, Number(entries[n]! & 0xffff_ffffn));
      });
      s.set64(S.cr0, cr0);
      s.set64(S.cr3, BigInt(tables[0]!));
      s.set64(S.cr4, cr4);
      s.set64(S.efer, efer);
      s.set32(S.pkru, pkru);
      s.set32(S.tlbBase, TLB_BASE + mode * TLB_BYTES);
      mmu.pdptes.fill(0);
      mmu.pdptes.set([Number(pdpte & 0xffff_ffffn), Number(pdpte >> 32n)], 2 * (lo >>> 30));
      for (const gpa of [...TABLES, FREE]) {
        t.memory.setAttribute(t.memory.offsetOf(gpa), PAGE_HAS_CODE, gpa === codeIn);
      }
    }
    announced.length = 0;
    const before = seen(a, lo, places);
    assertEquals(before, seen(b, lo, places), `case ${i}`);
    const host = walk(linear, access);
    const isAddress = paging === "long" ? linear >> 47n === 0n || linear >> 47n === -1n : hi === 0;
    if (!isAddress) {
      assertEquals([host, seen(a, lo, places)], [0, before]);
      continue;
    }
    const gpa = b.core.mmu.translate(lo, hi, access, mode);
    const what = `case ${i}, ${paging}: ${linear.toString(16)} ${
      entries.map((e) => e.toString(16))
    } mode ${mode} ${access}`;
    if (host !== 0) {
      count.walked++;
      assertEquals(
        [host, seen(a, lo, places)],
        [gpa === -1 ? 0 : b.core.mmu.host, seen(b, lo, places)],
        what,
      );
      assertEquals(announced, [], what);
      continue;
    }
    assertEquals(seen(a, lo, places), before, what);
    count.left++;
    // It leaves for a reason only.
    const reason = gpa === -1 || b.core.mmu.host === 0 || tables.includes(codeIn ?? 0) ||
      mode === TLB_MODE_USER_AC || (cr0 & BigInt(CR0_PG >>> 0)) === 0n;
    assertEquals(reason, true, what);
    if (gpa === -1) count.faults++;
    a.core.mmu.translate(lo, hi, access, mode);
  }
  // All of it has happened, many times.
  const many = Object.values(counts).flatMap((count) => Object.values(count)).every((n) => n > 150);
  assertEquals(many, true, JSON.stringify(counts));
});
