// SPDX-License-Identifier: MIT
// Protection keys. Expected values: SDM Vol. 3A §4.6.2 (rights), §4.7 (error code bit 5), Vol. 2B RDPKRU, WRPKRU, Vol. 1
// §13.5.7 (state component 9).
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../_bare_cpu.ts";
import { FREE, PML4, TestCore } from "../_test_core.ts";
import { parseCpuModel } from "../base/cpu_model.ts";
import { ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE } from "../mmu/mmu.ts";
import { CR4_OSXSAVE, CR4_PKE, S, TLB_MODE_SUPERVISOR, TLB_MODE_USER } from "../state/state.ts";
import { cpuidLeaf } from "./cpuid.ts";

const VA = 0x40_3000;
const PDPT = PML4 + 0x1000, PD = PML4 + 0x2000, PT = PML4 + 0x3000;
const USER = TLB_MODE_USER, SUPERVISOR = TLB_MODE_SUPERVISOR;
const KEY = 5, AD = 1 << (2 * KEY), WD = 2 << (2 * KEY);
const WP = 0x8001_0011n, NO_WP = 0x8000_0011n;

// name, bits of the entry, PKRU, CR0, access, mode, error code (-1: allowed)
const RIGHTS: [string, bigint, number, bigint, number, number, number][] = [
  ["no rights are taken away", 7n, 0, WP, ACCESS_WRITE, USER, -1],
  ["another key's are", 7n, ~(AD | WD), WP, ACCESS_WRITE, USER, -1],
  ["AD, user reads", 7n, AD, WP, ACCESS_READ, USER, 0x25],
  ["AD, user writes", 7n, AD, WP, ACCESS_WRITE, USER, 0x27],
  ["AD, user fetches", 7n, AD | WD, WP, ACCESS_EXEC, USER, -1],
  ["AD, supervisor reads", 7n, AD, NO_WP, ACCESS_READ, SUPERVISOR, 0x21],
  ["AD, supervisor writes", 7n, AD, NO_WP, ACCESS_WRITE, SUPERVISOR, 0x23],
  ["WD, user reads", 7n, WD, WP, ACCESS_READ, USER, -1],
  ["WD, user writes", 7n, WD, NO_WP, ACCESS_WRITE, USER, 0x27],
  ["WD, supervisor writes, WP", 7n, WD, WP, ACCESS_WRITE, SUPERVISOR, 0x23],
  ["WD, supervisor writes", 7n, WD, NO_WP, ACCESS_WRITE, SUPERVISOR, -1],
  ["a supervisor's page has no key", 3n, AD | WD, WP, ACCESS_WRITE, SUPERVISOR, -1],
  ["a page that is read-only, too", 5n, WD, WP, ACCESS_WRITE, USER, 0x27],
  ["a page that is read-only only", 5n, 0, WP, ACCESS_WRITE, USER, 7],
  ["an absent page", 6n, AD, WP, ACCESS_READ, USER, 4],
];
function mapped(pte: bigint): TestCore {
  const t = new TestCore({ features: parseCpuModel("max").features }).long();
  t.write64(PML4, BigInt(PDPT) | 7n);
  t.write64(PDPT, BigInt(PD) | 7n);
  t.write64(PD + 2 * 8, BigInt(PT) | 7n);
  t.write64(PT + 3 * 8, BigInt(FREE) | pte | (BigInt(KEY) << 59n));
  t.core.mmu.flush();
  return t;
}
for (const [name, pte, pkru, cr0, access, mode, expected] of RIGHTS) {
  Deno.test(`protection keys: ${name}`, () => {
    const t = mapped(pte), { s, mmu } = t.core;
    s.set64(S.cr0, cr0);
    s.set32(S.pkru, pkru);
    s.set64(S.cr4, s.get64(S.cr4) | BigInt(CR4_PKE));
    const gpa = mmu.translate(VA, 0, access, mode);
    assertEquals(expected === -1 ? gpa : [gpa, t.fault], expected === -1 ? FREE : [-1, `14:${expected}`]);
    // What the TLB has grants no more than the walk does.
    if (access !== ACCESS_EXEC && (pkru & AD) !== 0 && pte === 7n) {
      assertEquals(mmu.lookup(VA, 0, false, mode), 0);
    }
    // Without CR4.PKE the bits mean nothing.
    s.set64(S.cr4, s.get64(S.cr4) & ~BigInt(CR4_PKE));
    mmu.flush();
    const rights = pte & 7n;
    const granted = rights === 7n || rights === 3n || access === ACCESS_READ && (rights & 1n) !== 0n;
    assertEquals(mmu.translate(VA, 0, access, mode) === FREE, granted);
  });
}

Deno.test("protection keys: CPUID, CR4, RDPKRU and WRPKRU follow the feature and CR4.PKE", () => {
  const max = new TestCore({ features: parseCpuModel("max").features }).long();
  const v3 = new TestCore({ features: parseCpuModel("v3").features }).long();
  const word = (t: TestCore) => cpuidLeaf(t.core, 7, 0)[2] & 0x18;
  assertEquals([word(v3), word(max)], [0, 8]);
  const cr4 = (t: TestCore) => Number(t.core.s.get64(S.cr4)) | CR4_PKE;
  const set = (t: TestCore) => t.run("mov_to_cr", 4, cr4(t));
  set(v3);
  assertEquals([v3.fault, word(v3)], ["13:0", 0]);
  max.run("rdpkru");
  assertEquals(max.fault, "6:-1");
  set(max);
  assertEquals(word(max), 0x18);
  const { s } = max.core;
  const put = (eax: number, ecx: number, edx: number) => {
    s.setGpr(0, 0xffff_ffff_0000_0000n | BigInt(eax));
    s.setGpr32(1, ecx);
    s.setGpr32(2, edx);
  };
  put(0x5555_5554, 0, 0);
  max.run("wrpkru");
  assertEquals(s.get64(S.pkru), 0x5555_5554n);
  put(1, 0, 0);
  s.setGpr(2, 7n << 32n);
  max.run("rdpkru");
  assertEquals([s.gpr(0), s.gpr(2)], [0x5555_5554n, 0n]);
  for (const [name, ecx, edx] of [["wrpkru", 1, 0], ["wrpkru", 0, 1], ["rdpkru", 1, 0]] as const) {
    put(9, ecx, edx);
    max.run(name);
    assertEquals([max.fault, s.get32(S.pkru)], ["13:0", 0x5555_5554]);
  }
});

const WRPKRU = [0x0f, 0x01, 0xef], RDPKRU = [0x0f, 0x01, 0xee];
const XSAVE_AREA = 0x11_0000;
/** The page of DATA_BASE is the user's, with key 1; a #PF counts in R15, takes the code into R14, gives all rights and goes on. */
function keyed(how: typeof ENGINES[number]): TestCpu {
  const t = new TestCpu(64, how), handler = CODE_BASE + 0x1000;
  t.handlers({ 14: handler });
  t.write(handler, [
    ...[0x41, 0x5e, 0x49, 0xff, 0xc7, 0x50, 0x51, 0x52], // pop r14; inc r15; push rax, rcx, rdx
    ...[0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2, ...WRPKRU, 0x5a, 0x59, 0x58, 0x48, 0xcf],
  ]);
  const { view } = t.memory, at = (gpa: number) => t.memory.offsetOf(gpa);
  for (const table of [0x1000, 0x2000]) {
    view.setBigUint64(at(table), view.getBigUint64(at(table), true) | 7n, true);
  }
  view.setBigUint64(at(0x3000 + 8), (1n << 59n) | 0x20_0087n, true);
  const { s } = t.cpu.core;
  s.set64(S.cr4, s.get64(S.cr4) | BigInt(CR4_PKE | CR4_OSXSAVE));
  s.set64(S.xcr0, 0x207n);
  t.cpu.core.mmu.flush();
  t.cpu.core.updateMode();
  return t;
}
const le = (n: number) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24];

for (const how of ENGINES) {
  Deno.test(`protection keys: WRPKRU takes rights away that the TLB has (${how.name})`, () => {
    const t = keyed(how);
    t.run(
      [
        ...[0xbb, ...le(200), 0xbe, ...le(DATA_BASE)], // mov ebx, 200; mov esi, data
        ...[0xff, 0x06], // inc dword [rsi]: may
        ...[0xb8, ...le(4), 0x31, 0xc9, 0x31, 0xd2, ...WRPKRU], // key 1: AD
        ...[0xff, 0x06], // inc dword [rsi]: faults once
        ...[0xb8, ...le(8), ...WRPKRU, 0x8b, 0x3e], // WD: may be read
        ...[0xff, 0x06], // and, as CR0.WP is clear, written by a supervisor
        ...[0x31, 0xc0, ...WRPKRU],
        ...[0xff, 0xcb, 0x75, 0x100 - 37], // dec ebx; jnz
      ].slice(),
      1_000_000,
    );
    const { s } = t.cpu.core;
    assertEquals(t.memory.view.getUint32(t.memory.offsetOf(DATA_BASE), true), 600);
    assertEquals([s.gpr(15), s.gpr(14), s.gpr(7)], [200n, 0x23n, 599n]);
  });

  Deno.test(`protection keys: XSAVE and XRSTOR have PKRU as component 9 (${how.name})`, () => {
    const t = keyed(how);
    const mask = [0xb8, ...le(0x200), 0x31, 0xd2]; // mov eax, component 9; xor edx, edx
    t.run([
      ...[0x31, 0xc9, 0x31, 0xd2, 0xb8, ...le(0x5555_5550), ...WRPKRU],
      ...[...mask, 0x48, 0x0f, 0xae, 0x24, 0x25, ...le(XSAVE_AREA)], // xsave64
      ...[0xb8, ...le(4), ...WRPKRU, ...mask, 0x48, 0x0f, 0xae, 0x2c, 0x25, ...le(XSAVE_AREA)], // xrstor64
      ...[...RDPKRU, 0x89, 0xc3], // rdpkru; mov ebx, eax
      ...[0xff, 0x04, 0x25, ...le(DATA_BASE)], // inc dword [data]: key 1 has all rights
      ...[0xc7, 0x04, 0x25, ...le(XSAVE_AREA + 2688), ...le(4)],
      ...[...mask, 0x48, 0x0f, 0xae, 0x2c, 0x25, ...le(XSAVE_AREA)],
      ...[0xff, 0x04, 0x25, ...le(DATA_BASE)], // faults
    ]);
    const { s } = t.cpu.core, { view } = t.memory;
    assertEquals(view.getUint32(t.memory.offsetOf(XSAVE_AREA) + 512, true), 0x200);
    assertEquals(s.gpr(3), 0x5555_5550n);
    assertEquals([s.gpr(15), s.gpr(14), s.get32(S.pkru)], [1n, 0x23n, 0]);
    assertEquals(view.getUint32(t.memory.offsetOf(DATA_BASE), true), 2);
  });
}
