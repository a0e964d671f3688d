// SPDX-License-Identifier: MIT
/**
 * Emitted INVLPG does what Mmu.invalidatePage and the code TLB behind it do, or nothing; Mmu.invalidatePage itself is
 * compared with the SDM in mmu_test.ts.
 * @module
 */
import { assertEquals } from "@std/assert";
import { TestCpu } from "../_bare_cpu.ts";
import { FREE, PML4, TestCore } from "../_test_core.ts";
import {
  CODE_TLB_BASE,
  CODE_TLB_BITS,
  codeTlbEntry,
  CR4_PGE,
  REGION_PAGE_COUNT,
  REGION_PAGES,
  S,
  TLB_BASE,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_TABLES,
  tlbEntry,
} from "../state/state.ts";
import { JumpCache } from "../translate/blocks/jump_cache.ts";
import { emitted, random } from "./_emitted.ts";
import { invalidatePage } from "./emitted_invalidate.ts";
import { ACCESS_EXEC, ACCESS_READ } from "./mmu.ts";

type Invalidate = (low: number, high: number) => number;

const invalidateOf = ({ memory }: TestCore) => emitted<Invalidate>(memory, "i32", invalidatePage);

const PDPT = PML4 + 0x1000, PD = PML4 + 0x2000, PT = PML4 + 0x3000;
const GIB = 1 << 30, MIB2 = 2 << 20, MIB4 = 4 << 20;
/** 1 GiB pages at 0, global ones at 1 GiB; at 2 GiB small pages, large, large global, small ones. */
function tables(t: TestCore): void {
  t.write64(PML4 + 256 * 8, BigInt(PDPT) | 7n);
  t.write64(PDPT, 0x87n);
  t.write64(PDPT + 8, 0x187n);
  t.write64(PDPT + 16, BigInt(PD) | 7n);
  [PT | 7, 0, 0x87, 0x87, 0x187, 0x187, PT | 7].forEach((entry, i) => t.write64(PD + 8 * i, BigInt(entry)));
  for (let i = 0; i < 512; i++) {
    t.write64(PT + 8 * i, BigInt((FREE + 0x1000 * (i & 15)) | (i & 1 ? 0x107 : 7)));
  }
}

/** What INVLPG may change at an address: the TLBs, and what regions know. */
function seen({ memory: { bytes } }: TestCore, lo: number): unknown {
  const entry = TLB_BASE + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size;
  const code = CODE_TLB_BASE + ((lo >>> 12) & ((1 << CODE_TLB_BITS) - 1)) * codeTlbEntry.size;
  return [
    ...Array.from({ length: TLB_TABLES }, (_, mode) => entry + mode * TLB_BYTES)
      .map((at) => bytes.slice(at, at + tlbEntry.size)),
    bytes.slice(code, code + codeTlbEntry.size),
    bytes.slice(REGION_PAGES, REGION_PAGES + 8 * REGION_PAGE_COUNT),
  ];
}

Deno.test("emitted INVLPG agrees with Mmu.invalidatePage, or has changed nothing", () => {
  const rnd = random(0x1234_5671);
  const cores = [new TestCore().long(), new TestCore().long()] as const, [a, b] = cores;
  const jumps = cores.map((t) => {
    tables(t);
    const { mmu, s } = t.core, cache = new JumpCache(t.memory);
    s.set64(S.cr4, s.get64(S.cr4) | BigInt(CR4_PGE));
    mmu.flush();
    mmu.onFlush = (keepGlobal) => cache.mappingsChanged(keepGlobal);
    mmu.onInvalidate = (lo, _, mayBeLarge) =>
      mayBeLarge ? cache.mappingsChanged(false) : cache.pageChanged(lo);
    return cache;
  });
  const invalidate = invalidateOf(a);
  /** Where large pages may be cached, by the first address of their 4 MiB or GiB; whether they are global. */
  const large = new Map<number, boolean>();
  const counts = { done: 0, dropped: 0, left: 0 };
  const address = (inMemory: boolean) => {
    const [at, pieces] = rnd(8) !== 0 ? [2 * GIB, 7] : [rnd(2) * GIB, inMemory ? 2 : GIB / MIB2];
    return { lo: at! + rnd(pieces!) * MIB2 + 0x1000 * rnd(4), hi: rnd(3) === 0 ? 0xffff_8000 : 0 };
  };
  for (let i = 0; i < 4000; i++) {
    if (rnd(6) === 0) {
      const keepGlobal = rnd(2) === 0;
      for (const t of cores) t.core.mmu.flush(keepGlobal);
      for (const [at, isGlobal] of large) if (!keepGlobal || !isGlobal) large.delete(at);
    }
    for (let n = rnd(4); n > 0; n--) {
      const { lo, hi } = address(true), mode = rnd(3), access = rnd(2) === 0 ? ACCESS_READ : ACCESS_EXEC;
      cores.forEach(({ core: { mmu, s } }, k) => {
        s.set32(S.tlbBase, TLB_BASE + mode * TLB_BYTES);
        if (mmu.translate(lo, hi, access, mode) === -1 || mmu.host === 0) return;
        if (access === ACCESS_EXEC) jumps[k]!.rememberPage(lo, hi, mmu.host, mmu.isGlobal(lo));
      });
      const offset = lo - 2 * GIB;
      const isLarge = offset < 0 || (offset >= 2 * MIB2 && offset < 6 * MIB2);
      if (!isLarge || b.core.mmu.lookup(lo, hi, false, mode) === 0) continue;
      const piece = offset < 0 ? lo - (lo % GIB) : lo - (lo % MIB4);
      large.set(hi * 2 ** 32 + piece, offset < 0 ? lo >= GIB : offset >= 4 * MIB2);
    }
    let { lo, hi } = address(false);
    if (rnd(20) === 0) lo = (lo + TLB_ENTRIES * 4096) >>> 0; // the same entries, another page
    if (rnd(20) === 0) hi = 0x8000;
    for (const t of cores) t.memory.bytes.fill(1, REGION_PAGES, REGION_PAGES + 8 * REGION_PAGE_COUNT);
    const before = seen(a, lo);
    assertEquals(before, seen(b, lo));
    const done = invalidate(lo, hi);
    const what = `case ${i}: ${(BigInt(hi) << 32n | BigInt(lo)).toString(16)}`;
    const around = [lo - (lo % GIB), lo - (lo % MIB4)].some((at) => large.has(hi * 2 ** 32 + at));
    assertEquals(done, around || hi === 0x8000 ? 0 : 1, what);
    if (done === 0) {
      counts.left++;
      assertEquals(seen(a, lo), before, what);
      if (hi === 0x8000) continue;
      a.core.mmu.invalidatePage(lo, hi);
    } else counts.done++;
    b.core.mmu.invalidatePage(lo, hi);
    const after = seen(b, lo);
    assertEquals(seen(a, lo), after, what);
    if (done !== 0 && JSON.stringify(before) !== JSON.stringify(after)) counts.dropped++;
  }
  assertEquals(Object.values(counts).every((n) => n > 200), true, JSON.stringify(counts));
});

Deno.test("INVLPG needs no microcode at privilege 0, unless large pages may be there", () => {
  const invlpg = (at: number) => [0x0f, 0x01, 0x3d, ...new Uint8Array(Uint32Array.of(at).buffer)];
  const t = new TestCpu(32);
  const { cpu } = t;
  t.run([...invlpg(0x40_0000), 0x40, ...invlpg(0x1234_5678), 0x40, 0xf4]); // inc eax behind each; hlt
  assertEquals([cpu.core.s.gpr32(0), cpu.counters()["microcode.invlpg"]], [2, undefined]);
});
