// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { FREE, PML4, TestCore } from "../_test_core.ts";
import { PAGE_HAS_CODE } from "../base/guest_memory.ts";
import { SIZE_STACK } from "./linear_memory.ts";
import { FLAG_AC, S, TLB_MODE_SUPERVISOR } from "../state/state.ts";
import { FAULT, NEXT } from "../state/status.ts";

const PD = PML4 + 0x2000, PT = PML4 + 0x3000;

/** Long mode; linear 0x400000 and 0x401000 are pages FREE and FREE+0x3000; 0x402000 absent, 0x403000 read-only. */
function paged(): TestCore {
  const t = new TestCore().long();
  t.write64(PML4 + 0x1000, BigInt(PD) | 7n);
  t.write64(PD, 0x87n);
  t.write64(PD + 8, 0x20_0087n);
  t.write64(PD + 16, BigInt(PT) | 7n);
  t.write64(PT, BigInt(FREE) | 7n);
  t.write64(PT + 8, BigInt(FREE + 0x3000) | 7n);
  t.write64(PT + 24, BigInt(FREE + 0x4000) | 5n);
  t.core.mmu.flush();
  return t;
}
function address(t: TestCore, value: bigint): void {
  t.core.s.set64(S.memAddr, value);
}

Deno.test("slow accesses cross pages", () => {
  const t = paged(), { mem, s } = t.core;
  s.set64(S.memData, 0x8877_6655_4433_2211n);
  address(t, 0x40_0ffdn);
  assertEquals(mem.slowStore(0, 8), NEXT);
  assertEquals([t.read32(FREE + 0xffc) >>> 8, t.read32(FREE + 0x3000)], [0x33_2211, 0x7766_5544]);
  s.set64(S.memData, 0n);
  assertEquals(mem.slowLoad(0, 8), NEXT);
  assertEquals(s.get64(S.memData), 0x8877_6655_4433_2211n);
});

Deno.test("a store whose second page is absent writes nothing", () => {
  const t = paged(), { mem, s } = t.core;
  s.set64(S.memData, ~0n & 0xffff_ffff_ffff_ffffn);
  address(t, 0x40_1ffen);
  assertEquals([mem.slowStore(0, 4), t.fault], [FAULT, "14:2"]);
  assertEquals([t.core.fault.addressLo, t.read16(FREE + 0x3ffe)], [0x40_2000, 0]);
});

Deno.test("slowUpdate faults as a write, before anything is read", () => {
  const t = paged(), { mem } = t.core;
  address(t, 0x40_3000n);
  assertEquals(mem.slowLoad(0, 4), NEXT);
  assertEquals([mem.slowUpdate(0, 4), t.fault], [FAULT, "14:3"]);
});

Deno.test("eight-byte MMIO is two four-byte accesses; three bytes are two and one", () => {
  const t = new TestCore().long(), { mem, s } = t.core;
  address(t, 0x3000_0000n);
  assertEquals(mem.slowLoad(0, 8), NEXT);
  assertEquals(s.get64(S.memData), 0x1122_3344_1122_3344n);
  s.set64(S.memData, 0xaabb_ccddn);
  assertEquals(mem.store(0x3000_0ffd, 0, 3, TLB_MODE_SUPERVISOR), true);
  assertEquals(t.log.mmio, [
    "read 30000000 4",
    "read 30000004 4",
    "write 30000ffd 2 ccdd",
    "write 30000fff 1 bb",
  ]);
});

Deno.test("an access may be half memory, half MMIO", () => {
  const t = new TestCore().long(), { mem, s } = t.core;
  t.write16(0x3f_fffe, 0xbeef); // RAM ends at 4 MiB
  address(t, 0x3f_fffen);
  assertEquals(mem.slowLoad(0, 4), NEXT);
  assertEquals(s.get32(S.memData), 0x3344_beef);
  assertEquals(t.log.mmio, ["read 400000 2"]);
});

Deno.test("writes to watched pages are announced first", () => {
  const t = paged(), { mem, s } = t.core;
  const host = t.memory.offsetOf(FREE);
  const seen: number[][] = [];
  t.memory.setAttribute(host, PAGE_HAS_CODE, true);
  t.memory.onCodeWrite = (page, from, to) => seen.push([page, from, to, t.read32(FREE + 0x10)]);
  s.set64(S.memData, 7n);
  address(t, 0x40_0010n);
  assertEquals(mem.slowStore(0, 4), NEXT);
  assertEquals([seen, t.read32(FREE + 0x10)], [[[host, 0x10, 0x14, 0]], 7]);
});

Deno.test("non-canonical addresses are #GP(0), with the stack segment #SS(0)", () => {
  const t = paged(), { mem } = t.core;
  address(t, 0x8000_0000_0000n);
  assertEquals([mem.slowLoad(0, 8), t.fault], [FAULT, "13:0"]);
  assertEquals([mem.slowStore(0, 8 | SIZE_STACK), t.fault], [FAULT, "12:0"]);
  address(t, 0x7fff_ffff_fffcn); // canonical start, not end
  t.write64(PML4 + 255 * 8, t.read64(PML4));
  t.write64(PML4 + 0x1000 + 511 * 8, 0x87n);
  assertEquals([mem.slowLoad(0, 8), t.fault], [FAULT, "13:0"]);
});

Deno.test("outside long mode addresses wrap at 4 GiB", () => {
  const t = new TestCore().protected32(), { mem, s } = t.core;
  t.memory.mapFrame(0xf_ffff, t.memory.allocatePage());
  t.write16(0xffff_fffe, 0x1234);
  t.write16(0, 0x5678);
  address(t, 0x1_ffff_fffen); // bits above 31 are not there
  assertEquals(mem.slowLoad(0, 4), NEXT);
  assertEquals(s.get32(S.memData), 0x5678_1234);
});

Deno.test("alignment is checked at CPL 3 with CR0.AM and EFLAGS.AC, also where the TLB would hit", () => {
  const t = new TestCore().long(3), { core } = t, { mem, s, mmu } = core;
  const at = TestCore.user(FREE) + 2;
  assertEquals(mem.read32(at, 0, core.dataMode), 0);
  assertEquals(mmu.lookup(at, 0, false, core.dataMode) !== 0, true);
  s.set64(S.cr0, s.get64(S.cr0) | (1n << 18n));
  core.setRflags(core.rflags | FLAG_AC);
  core.updateMode();
  assertEquals(mmu.lookup(at, 0, false, core.dataMode), 0);
  address(t, BigInt(at));
  assertEquals([mem.slowLoad(0, 4), t.fault], [FAULT, "17:0"]);
  assertEquals(mem.slowLoad(0, 2), NEXT);
  assertEquals(mmu.lookup(at, 0, false, core.dataMode), 0);
});

Deno.test("the host copies through page tables, also user pages under SMAP, and fails without a fault", () => {
  const t = paged(), { core } = t;
  core.s.set64(S.cr4, core.s.get64(S.cr4) | (1n << 21n));
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
  assertEquals(core.mem.copyToGuest(0x40_0ff8n, bytes), true);
  const back = new Uint8Array(16);
  assertEquals(core.mem.copyFromGuest(0x40_0ff8n, back), true);
  assertEquals(back, bytes);
  assertEquals(t.read64(FREE + 0x3000), 0x100f_0e0d_0c0b_0a09n);
  assertEquals(core.mem.copyFromGuest(0x40_1ff8n, back), false);
  assertEquals(core.mem.copyToGuest(0x40_3000n, bytes), false);
  assertEquals([core.mem.translateForHost(0x40_1123n, false), core.mem.translateForHost(0x40_2000n, false)], [
    FREE + 0x3123,
    undefined,
  ]);
  assertEquals(core.mem.translateForHost(1n << 47n, false), undefined);
});
