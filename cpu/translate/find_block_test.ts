// SPDX-License-Identifier: MIT
/**
 * Blocks that are known are found without TypeScript, wherever linear addresses lead now, and never where they led
 * before. Rules: SDM Vol. 3A §4.10.
 * @module
 */
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../_bare_cpu.ts";
import { JUMP_CACHE_BITS, JUMP_CACHE_HASH, S, TLB_ENTRIES } from "../state/state.ts";

const le32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const HLT = 0xf4, RET = 0xc3;
const PAGE_DIRECTORY = 0x3000;
const TURNS = 1000;
/** Exits of a run in which everything is found after the first few turns. */
const FEW = 40;

function go(t: TestCpu, rip: number): void {
  t.cpu.halted = false;
  t.cpu.core.s.set64(S.rip, BigInt(rip));
  assertEquals(t.cpu.run(10_000_000), "halted");
}
const jumpIndex = (at: number) => Math.imul(at, JUMP_CACHE_HASH) >>> (32 - JUMP_CACHE_BITS);
const largePage = (t: TestCpu, index: number, frame: number) =>
  t.memory.view.setBigUint64(t.memory.offsetOf(PAGE_DIRECTORY) + 8 * index, BigInt(frame) | 0x83n, true);

/** `before` and a call of rax and of rdx, TURNS times. */
const calls = (before: readonly number[]) => {
  const body = [...before, 0xff, 0xd0, 0xff, 0xd2]; // call rax; call rdx
  return [0xb9, ...le32(TURNS), ...body, 0xff, 0xc9, 0x75, 0x100 - body.length - 4, HLT]; // dec ecx; jnz
};
const INC_EBX = [0xff, 0xc3, RET], INC_ESI = [0xff, 0xc6, RET];

for (const how of ENGINES) {
  const test = (name: string, f: () => void) => Deno.test(`${name} (${how.name})`, f);
  const run = (t: TestCpu, code: readonly number[], a: number, b: number) => {
    t.write(a, INC_EBX);
    t.write(b, INC_ESI);
    t.write(CODE_BASE, code);
    const { s } = t.cpu.core;
    s.setGpr(0, BigInt(a));
    s.setGpr(2, BigInt(b));
    for (const register of [3, 6]) s.setGpr(register, 0n);
    go(t, CODE_BASE);
    assertEquals([s.gpr32(3), s.gpr32(6)], [TURNS, TURNS]);
    assertEquals(t.cpu.exits.dispatch < FEW, true, `${t.cpu.exits.dispatch} exits`);
  };

  test("two functions share an entry of the jump cache", () => {
    const a = DATA_BASE + 0x100;
    let b = a + 0x1000;
    while (jumpIndex(b) !== jumpIndex(a)) b += 16;
    run(new TestCpu(64, how), calls([]), a, b);
  });

  test("two functions share an entry of the TLBs", () => {
    const t = new TestCpu(64, how), a = DATA_BASE, b = a + TLB_ENTRIES * 4096;
    largePage(t, b >>> 21, 0x40_0000);
    t.write(0x40_0000 + (b & 0x1f_ffff), INC_ESI);
    t.memory.mapFrame(b >>> 12, t.memory.offsetOf(0x40_0000 + (b & 0x1f_ffff))); // for run's write, the same page
    run(t, calls([]), a, b);
  });

  test("the address space is another one, and another one", () => {
    const reload = [0x41, 0x0f, 0x20, 0xd8, 0x41, 0x0f, 0x22, 0xd8]; // mov r8, cr3; mov cr3, r8
    run(new TestCpu(64, how), calls(reload), DATA_BASE, DATA_BASE + 0x1000);
  });

  test("INVLPG within a large page: code elsewhere in it is another's now", () => {
    const t = new TestCpu(64, how);
    const at = 0x20_1000; // in the second large page
    t.write(at, [0xb3, 1, RET]); // mov bl, 1
    t.write(0x40_1000, [0xb3, 2, RET]); // mov bl, 2
    const code = [
      ...[0xff, 0xd0], // call rax
      ...[0x88, 0xdf], // mov bh, bl
      ...[0xc7, 0x04, 0x25, ...le32(PAGE_DIRECTORY + 8), ...le32(0x40_0083)], // the page directory's entry
      ...[0x0f, 0x01, 0x3c, 0x25, ...le32(at + 0x5000)], // invlpg
      ...[0xff, 0xd0], // call rax
      HLT,
    ];
    t.write(CODE_BASE, code);
    t.cpu.core.s.setGpr(0, BigInt(at));
    // The TLB's entry for the code is another's by then: what the code TLB has is all there is.
    const evict = at + TLB_ENTRIES * 4096;
    largePage(t, evict >>> 21, 0x60_0000);
    t.write(at, [0xb3, 1, 0xa0, ...le32(evict), ...le32(0), RET]); // mov bl, 1; mov al, [evict]: RAX is lost
    t.write(CODE_BASE, [...code.slice(0, 2), 0xb8, ...le32(at), ...code.slice(2)]); // mov eax, at
    go(t, CODE_BASE);
    assertEquals(t.cpu.core.s.gpr32(3) & 0xffff, 0x0102);
  });

  test("REP MOVS between pages that share an entry of the TLB walks once per page", () => {
    const t = new TestCpu(64, how), bytes = 0x10_0000;
    const from = 0x40_0000, to = from + TLB_ENTRIES * 4096, frame = 0x60_0000;
    largePage(t, to >>> 21, frame);
    const { view } = t.memory;
    for (let i = 0; i < bytes; i += 4) view.setUint32(t.memory.offsetOf(from + i), i * 0x9e37_79b1, true);
    t.write(CODE_BASE, [0xf3, 0x48, 0xa5, HLT]); // rep movsq
    const { s } = t.cpu.core;
    s.setGpr(1, BigInt(bytes / 8));
    s.setGpr(6, BigInt(from));
    s.setGpr(7, BigInt(to));
    const before = t.cpu.instructions;
    go(t, CODE_BASE);
    for (let i = 0; i < bytes; i += 4) {
      const word = view.getUint32(t.memory.offsetOf(frame + i), true);
      if (word !== (i * 0x9e37_79b1 >>> 0)) assertEquals(word, i * 0x9e37_79b1 >>> 0, `byte ${i}`);
    }
    assertEquals([s.gpr(1), s.gpr(6), s.gpr(7)], [0n, BigInt(from + bytes), BigInt(to + bytes)]);
    // An element at a time would cost one instruction's time each.
    assertEquals(t.cpu.instructions - before < bytes / 8 / 8, true, `${t.cpu.instructions - before}`);
    assertEquals(t.cpu.slowAccesses < FEW, true);
  });

  test("REP MOVS makes no page dirty that it does not write", () => {
    const t = new TestCpu(64, how);
    const dirty = (index: number) =>
      Number(t.memory.view.getBigUint64(t.memory.offsetOf(PAGE_DIRECTORY) + 8 * index, true) >> 5n) & 3;
    t.handlers({ 14: CODE_BASE + 0x100 });
    t.write(CODE_BASE, [0xf3, 0xa4, HLT]); // rep movsb
    t.write(CODE_BASE + 0x100, [HLT]);
    largePage(t, 2, 0x40_0000);
    largePage(t, 3, 0);
    t.memory.view.setBigUint64(t.memory.offsetOf(PAGE_DIRECTORY) + 8 * 3, 0n, true); // no source
    const { s } = t.cpu.core;
    s.setGpr(1, 8n);
    s.setGpr(6, BigInt(0x60_0000));
    s.setGpr(7, BigInt(0x40_0000));
    go(t, CODE_BASE);
    assertEquals([t.cpu.lastFault.vector, dirty(2)], [14, 0]);
    s.setGpr(6, BigInt(0x40_0000 - 4)); // the other way round: read, then written
    go(t, CODE_BASE);
    assertEquals([s.gpr(1), dirty(2)], [0n, 3]);
  });
}

Deno.test("CR3 loads forget what is not global, whatever an entry held before and after", () => {
  const t = new TestCpu(64, { engine: "interp", compileAtOnce: false });
  const { core } = t.cpu, { s, mmu } = core;
  s.set64(S.cr4, s.get64(S.cr4) | (1n << 7n)); // PGE
  const pages = [DATA_BASE, DATA_BASE + TLB_ENTRIES * 4096]; // one entry
  const run = (page: number, isGlobal: boolean) => {
    const entry = t.memory.offsetOf(PAGE_DIRECTORY) + 8 * (page >>> 21);
    t.memory.view.setBigUint64(entry, BigInt(DATA_BASE & ~0x1f_ffff) | (isGlobal ? 0x183n : 0x83n), true);
    go(t, page);
    assertEquals(mmu.lookupCode(page, 0) !== 0, true);
  };
  t.write(DATA_BASE, [HLT]);
  let seed = 5;
  const random = (n: number) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0, (seed >>> 16) % n);
  for (let i = 0; i < 300; i++) {
    const page = pages[random(2)]!, isGlobal = random(2) === 1;
    for (const p of pages) mmu.invalidatePage(p, 0);
    run(page, isGlobal);
    const keepGlobal = random(4) !== 0;
    mmu.flush(keepGlobal);
    const kept = mmu.lookupCode(page, 0) !== 0;
    assertEquals(kept, isGlobal && keepGlobal, `turn ${i}`);
    // Neither may the code TLB know it: another page is there now.
    const exits = t.cpu.exits.dispatch;
    go(t, page);
    assertEquals(t.cpu.exits.dispatch, exits);
    assertEquals(t.cpu.blocks.occupancy.code <= 2, true);
  }
});
