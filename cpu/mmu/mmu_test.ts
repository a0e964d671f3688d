// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 3A §4 (entry formats tables 4-4..4-20, error code §4.7).
import { assertEquals } from "@std/assert";
import { FREE, PML4, TestCore } from "../_test_core.ts";
import { ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE } from "./mmu.ts";
import { PAGE_HAS_CODE } from "../base/guest_memory.ts";
import {
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  EFER_NXE,
  FLAG_AC,
  REGION_PAGE_COUNT,
  REGION_PAGES,
  S,
  TLB_BASE,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_INVALID,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_SUPERVISOR_AC,
  TLB_MODE_USER,
  tlbEntry,
} from "../state/state.ts";

const PDPT = PML4 + 0x1000, PD = PML4 + 0x2000, PT = PML4 + 0x3000;
const VA = 0x40_3000; // PD index 2, PT index 3

/** Long mode with VA mapped to FREE by a 4 KiB page with `pte` bits, through entries with `upper` bits. */
function mapped(pte: bigint, upper = 7n): TestCore {
  const t = new TestCore().long();
  t.write64(PML4, BigInt(PDPT) | upper);
  t.write64(PDPT, BigInt(PD) | upper);
  t.write64(PD + 2 * 8, BigInt(PT) | upper);
  t.write64(PT + 3 * 8, BigInt(FREE) | pte);
  t.core.mmu.flush();
  return t;
}
function tags(
  t: TestCore,
  lo: number,
  mode: number,
): { read: bigint; write: bigint; exec: bigint; addend: number } {
  const e = TLB_BASE + mode * TLB_BYTES + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size,
    v = t.memory.view;
  return {
    read: v.getBigUint64(e + tlbEntry.at.readTag, true),
    write: v.getBigUint64(e + tlbEntry.at.writeTag, true),
    exec: v.getBigUint64(e + tlbEntry.at.execTag, true),
    addend: v.getUint32(e + tlbEntry.at.addend, true),
  };
}
const isValid = (tag: bigint) => (tag & 0xfffn) === 0n;

Deno.test("mmu reads set accessed bits at every level, writes the dirty bit in the leaf", () => {
  const t = mapped(7n);
  assertEquals(t.core.mmu.translate(VA + 5, 0, ACCESS_READ, TLB_MODE_USER), FREE + 5);
  assertEquals([PML4, PDPT, PD + 16, PT + 24].map((a) => t.read64(a) & 0x60n), [0x20n, 0x20n, 0x20n, 0x20n]);
  const read = tags(t, VA, TLB_MODE_USER);
  assertEquals([read.read, isValid(read.write), read.exec], [BigInt(VA), false, BigInt(VA)]);
  assertEquals((VA + 5 + read.addend) >>> 0, t.memory.offsetOf(FREE + 5));
  assertEquals(t.core.mmu.translate(VA, 0, ACCESS_WRITE, TLB_MODE_USER), FREE);
  assertEquals(t.read64(PT + 24) & 0x60n, 0x60n);
  assertEquals(t.read64(PD + 16) & 0x60n, 0x20n);
  assertEquals(tags(t, VA, TLB_MODE_USER).write, BigInt(VA));
});

const SUPERVISOR = TLB_MODE_SUPERVISOR, USER = TLB_MODE_USER, AC = TLB_MODE_SUPERVISOR_AC;
const SMEP = 1n << 20n, SMAP = 1n << 21n, NX = 1n << 63n;
// name, PTE bits, upper bits, CR4 bits, access, mode, expected error code (-1: allowed)
const RIGHTS: [string, bigint, bigint, bigint, number, number, number][] = [
  ["user reads user page", 7n, 7n, 0n, ACCESS_READ, USER, -1],
  ["user reads supervisor page", 3n, 7n, 0n, ACCESS_READ, USER, 5],
  ["user reads below a supervisor directory", 7n, 3n, 0n, ACCESS_READ, USER, 5],
  ["user writes read-only page", 5n, 7n, 0n, ACCESS_WRITE, USER, 7],
  ["user reads absent page", 0n, 7n, 0n, ACCESS_READ, USER, 4],
  ["user writes absent page", 6n, 7n, 0n, ACCESS_WRITE, USER, 6],
  ["user fetches from NX page", 7n | NX, 7n, 0n, ACCESS_EXEC, USER, 0x15],
  ["user fetches absent page", 0n, 7n, 0n, ACCESS_EXEC, USER, 0x14],
  ["supervisor writes read-only page, WP", 1n, 7n, 0n, ACCESS_WRITE, SUPERVISOR, 3],
  ["supervisor reads user page", 7n, 7n, 0n, ACCESS_READ, SUPERVISOR, -1],
  ["supervisor reads user page, SMAP", 7n, 7n, SMAP, ACCESS_READ, SUPERVISOR, 1],
  ["supervisor writes user page, SMAP", 7n, 7n, SMAP, ACCESS_WRITE, SUPERVISOR, 3],
  ["supervisor reads user page, SMAP, AC", 7n, 7n, SMAP, ACCESS_READ, AC, -1],
  ["supervisor fetches user page", 7n, 7n, 0n, ACCESS_EXEC, SUPERVISOR, -1],
  ["supervisor fetches user page, SMEP", 7n, 7n, SMEP, ACCESS_EXEC, SUPERVISOR, 0x11],
  ["supervisor fetches user page, SMEP, AC", 7n, 7n, SMEP, ACCESS_EXEC, AC, 0x11],
  ["reserved address bit", 3n | (1n << 45n), 7n, 0n, ACCESS_READ, SUPERVISOR, 9],
  ["PS in a PML4 entry is reserved", 3n, 7n | 0x80n, 0n, ACCESS_READ, SUPERVISOR, 9],
];
for (const [name, pte, upper, cr4, access, mode, expected] of RIGHTS) {
  Deno.test(`mmu rights: ${name}`, () => {
    const t = mapped(pte, upper);
    t.core.s.set64(S.cr4, t.core.s.get64(S.cr4) | cr4);
    const gpa = t.core.mmu.translate(VA, 0, access, mode);
    if (expected === -1) assertEquals(gpa, FREE);
    else {
      assertEquals([gpa, t.fault], [-1, `14:${expected}`]);
      assertEquals([t.core.fault.addressLo, t.core.fault.addressHi], [VA, 0]);
    }
  });
}

Deno.test("mmu lets a supervisor write read-only pages without CR0.WP", () => {
  const t = mapped(1n);
  t.core.s.set64(S.cr0, 0x8000_0011n);
  assertEquals(t.core.mmu.translate(VA, 0, ACCESS_WRITE, SUPERVISOR), FREE);
});

Deno.test("mmu: NX is a reserved bit while EFER.NXE is clear", () => {
  const t = mapped(3n | NX);
  t.core.s.set64(S.efer, 0x501n);
  assertEquals([t.core.mmu.translate(VA, 0, ACCESS_READ, SUPERVISOR), t.fault], [-1, "14:9"]);
});

Deno.test("mmu walks 2 MiB and 1 GiB pages and refuses reserved bits in them", () => {
  const t = new TestCore().long();
  t.write64(PDPT, BigInt(PD) | 7n);
  t.write64(PD + 8, 0x20_0083n);
  t.write64(PD + 16, 0x20_2083n); // bit 13 is reserved
  assertEquals(t.core.mmu.translate(0x21_2345, 0, ACCESS_READ, SUPERVISOR), 0x21_2345);
  assertEquals([t.core.mmu.translate(0x40_0000, 0, ACCESS_READ, SUPERVISOR), t.fault], [-1, "14:9"]);
  assertEquals(t.core.mmu.translate(0x4012_3456, 0, ACCESS_READ, SUPERVISOR), 0x12_3456); // 1 GiB page
});

Deno.test("mmu walks the upper half with all four indexes", () => {
  const t = new TestCore().long();
  // 0xffff8880_0060_7123: PML4 index 273, PDPT 0, PD 3, PT 7.
  t.write64(PML4 + 273 * 8, BigInt(PDPT) | 3n);
  t.write64(PDPT, BigInt(PD) | 3n);
  t.write64(PD + 3 * 8, BigInt(PT) | 3n);
  t.write64(PT + 7 * 8, BigInt(FREE) | 3n);
  assertEquals(t.core.mmu.translate(0x0060_7123, 0xffff_8880, ACCESS_READ, SUPERVISOR), FREE + 0x123);
});

Deno.test("mmu walks 32-bit tables, 4 MiB pages and PSE-36", () => {
  const t = new TestCore().protected32();
  const s = t.core.s;
  t.write32(PD, PT | 7);
  t.write32(PT + 3 * 4, FREE | 7);
  t.write32(PD + 4, 0x87 | (1 << 13)); // 4 MiB page at 2^32
  t.write32(PD + 8, 0x87);
  t.write32(PD + 12, 0x87 | (1 << 21)); // reserved
  s.set64(S.cr3, BigInt(PD));
  s.set64(S.cr4, BigInt(CR4_PSE));
  s.set64(S.cr0, 0x8001_0011n);
  assertEquals(t.core.mmu.translate(0x3004, 0, ACCESS_WRITE, USER), FREE + 4);
  assertEquals([t.read32(PD), t.read32(PT + 12)], [PT | 0x27, FREE | 0x67]);
  assertEquals(t.core.mmu.translate(0x40_0010, 0, ACCESS_READ, USER), 0x1_0000_0010);
  assertEquals(t.core.mmu.host, 0);
  assertEquals(t.core.mmu.translate(0x80_0010, 0, ACCESS_READ, USER), 0x10);
  assertEquals([t.core.mmu.translate(0xc0_0000, 0, ACCESS_READ, USER), t.fault], [-1, "14:13"]);
  s.set64(S.cr4, 0n); // without PSE bit 7 means nothing: entry 2 points to a table at 0
  assertEquals([t.core.mmu.translate(0x80_0010, 0, ACCESS_READ, USER), t.fault], [-1, "14:4"]);
});

Deno.test("mmu walks PAE through the PDPTEs that CR3 loaded", () => {
  const t = new TestCore().protected32();
  const s = t.core.s;
  t.write64(PDPT + 3 * 8, BigInt(PD) | 1n);
  t.write64(PD + 8, BigInt(PT) | 7n);
  t.write64(PT, BigInt(FREE) | 7n);
  s.set64(S.cr4, BigInt(CR4_PAE));
  t.at(0x100n, 3);
  s.set64(S.cr3, BigInt(PDPT));
  assertEquals(t.run("mov_to_cr", 0, 0x8001_0011), 1);
  t.write64(PDPT + 3 * 8, 0n); // not looked at again
  assertEquals(t.core.mmu.translate(0xc020_0008, 0, ACCESS_READ, USER), FREE + 8);
  assertEquals([t.core.mmu.translate(0x8000_0000, 0, ACCESS_READ, USER), t.fault], [-1, "14:4"]);
  t.write64(PDPT, 3n); // bit 1 is reserved in a PDPTE
  assertEquals([t.run("mov_to_cr", 3, PDPT), t.fault], [2, "13:0"]);
});

Deno.test("mmu keeps global pages over CR3 loads, INVLPG and CR4 changes drop them", () => {
  const t = mapped(0x103n);
  t.write64(PT + 4 * 8, BigInt(FREE) | 3n);
  t.core.s.set64(S.cr4, t.core.s.get64(S.cr4) | 0x80n);
  const { mmu } = t.core;
  const fill = () => {
    mmu.translate(VA, 0, ACCESS_READ, SUPERVISOR);
    mmu.translate(VA + 0x1000, 0, ACCESS_READ, SUPERVISOR);
  };
  const valid = () => [VA, VA + 0x1000].map((a) => mmu.lookup(a, 0, false, SUPERVISOR) !== 0);
  fill();
  assertEquals(valid(), [true, true]);
  mmu.flush(true);
  assertEquals(valid(), [true, false]);
  mmu.invalidatePage(VA, 0);
  assertEquals(valid(), [false, false]);
  fill();
  mmu.flush();
  assertEquals(valid(), [false, false]);
});

Deno.test("mmu: INVLPG of any address in a large page drops all of it", () => {
  const t = new TestCore().long();
  const { mmu } = t.core;
  for (const a of [0x1000, 0x5000, 0x3f_f000]) mmu.translate(a, 0, ACCESS_READ, SUPERVISOR);
  mmu.invalidatePage(0x2000_0000, 0); // same 1 GiB page
  assertEquals([0x1000, 0x5000, 0x3f_f000].map((a) => mmu.lookup(a, 0, false, SUPERVISOR)), [0, 0, 0]);
});

Deno.test("mmu: INVLPG tells whether code of a large page may be concerned", () => {
  const t = mapped(7n);
  const { core: { mmu, s } } = t;
  s.set64(S.efer, s.get64(S.efer) | BigInt(EFER_NXE));
  s.set64(S.cr4, s.get64(S.cr4) | BigInt(CR4_PGE));
  const told: boolean[] = [];
  mmu.onInvalidate = (_lo, _hi, mayBeLarge) => told.push(mayBeLarge);
  const large = 0x80_0000, far = large + 0x5000; // PD index 4
  const fill = (bits: bigint) => {
    t.write64(PD + 4 * 8, 0x83n | bits);
    mmu.translate(far, 0, ACCESS_READ, SUPERVISOR);
    assertEquals(mmu.lookup(far, 0, false, SUPERVISOR) !== 0, true);
  };
  const invalidate = () => {
    mmu.invalidatePage(large, 0);
    return [told.pop(), mmu.lookup(far, 0, false, SUPERVISOR)];
  };
  assertEquals(invalidate(), [false, 0], "no large page");
  fill(NX);
  assertEquals(invalidate(), [false, 0], "data alone");
  fill(0n);
  assertEquals(invalidate(), [true, 0]);
  mmu.flush(true);
  assertEquals(invalidate(), [false, 0], "after a CR3 load");
  fill(0x100n);
  mmu.flush(true);
  assertEquals(mmu.lookup(far, 0, false, SUPERVISOR) !== 0, true, "it is global");
  assertEquals(invalidate(), [true, 0], "global, after a CR3 load");
  mmu.invalidatePage(0, 0xffff_8000);
  assertEquals(told.pop(), false, "in the other half");
  mmu.invalidatePage(large + 0x40_0000, 0);
  assertEquals(told.pop(), false, "in another piece");
  mmu.flush();
  assertEquals(invalidate(), [false, 0], "after a flush of everything");
});

Deno.test("mmu gives pages with code no fast writes", () => {
  const t = mapped(7n);
  const { mmu } = t.core;
  mmu.translate(VA, 0, ACCESS_WRITE, SUPERVISOR);
  assertEquals(mmu.lookup(VA, 0, true, SUPERVISOR) !== 0, true);
  const host = t.memory.offsetOf(FREE);
  t.memory.setAttribute(host, PAGE_HAS_CODE, true);
  mmu.onCodePageWatched(host);
  assertEquals(mmu.lookup(VA, 0, true, SUPERVISOR), 0);
  assertEquals(mmu.lookup(VA, 0, false, SUPERVISOR) !== 0, true);
  mmu.translate(VA, 0, ACCESS_WRITE, SUPERVISOR);
  assertEquals(mmu.lookup(VA, 0, true, SUPERVISOR), 0);
});

Deno.test("what regions know of pages is forgotten with what the TLB knows, and when another TLB counts", () => {
  const t = mapped(7n), { core } = t, { mmu } = core;
  core.s.set64(S.cr4, core.s.get64(S.cr4) | SMAP);
  core.updateMode();
  const limits = new Uint32Array(t.memory.memory.buffer, REGION_PAGES, 2 * REGION_PAGE_COUNT);
  const ways: readonly [string, () => unknown][] = [
    ["flush", () => mmu.flush()],
    ["a load of CR3", () => mmu.flush(true)],
    ["INVLPG", () => mmu.invalidatePage(VA, 0)],
    ["another page in an entry of the TLB", () => mmu.translate(VA, 0, ACCESS_READ, USER)],
    ["code in a page", () => mmu.onCodePageWatched(t.memory.offsetOf(FREE))],
    ["EFLAGS.AC", () => core.setRflags(FLAG_AC | 2) && core.updateMode()],
    ["privilege", () => (core.setCpl(3), core.updateMode())],
  ];
  for (const [name, happens] of ways) {
    limits.fill(1);
    happens();
    assertEquals(Math.max(...limits), 0, name);
  }
  limits.fill(1);
  core.updateMode();
  assertEquals(Math.min(...limits), 1);
});

Deno.test("mmu announces its own writes to page tables that hold code", () => {
  const t = mapped(7n);
  const seen: number[] = [];
  t.memory.onCodeWrite = (page) => seen.push(page);
  t.memory.setAttribute(t.memory.offsetOf(PT), PAGE_HAS_CODE, true);
  t.core.mmu.translate(VA, 0, ACCESS_READ, SUPERVISOR);
  assertEquals(seen, [t.memory.offsetOf(PT)]);
});

Deno.test("mmu translateCode tells memory, no memory and faults apart", () => {
  const t = new TestCore().long();
  assertEquals(t.core.mmu.translateCode(FREE + 1, 0), t.memory.offsetOf(FREE + 1));
  assertEquals(t.core.mmu.translateCode(FREE + 2, 0), t.memory.offsetOf(FREE + 2)); // from the TLB
  assertEquals(t.core.mmu.translateCode(0x3000_0000, 0), -2);
  assertEquals([t.core.mmu.translateCode(0, 0x8000), t.fault], [-1, "13:0"]);
  assertEquals([t.core.mmu.translateCode(0, 0x7f), t.fault], [-1, "14:16"]);
});

Deno.test("mmu: frames remapped by the host are seen at once", () => {
  const t = new TestCore().long();
  t.core.mmu.translate(FREE, 0, ACCESS_READ, SUPERVISOR);
  const page = t.memory.allocatePage();
  t.memory.mapFrame(FREE / 4096, page);
  assertEquals(t.core.mmu.lookup(FREE, 0, false, SUPERVISOR), 0);
  t.core.mmu.translate(FREE, 0, ACCESS_READ, SUPERVISOR);
  assertEquals(t.core.mmu.lookup(FREE, 0, false, SUPERVISOR), page);
});

Deno.test("mmu invalid tags equal no page address", () => {
  assertEquals(isValid(TLB_INVALID), false);
});
