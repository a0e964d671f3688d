// SPDX-License-Identifier: MIT
/**
 * Instructions that cross from one page into another: in loops, with code that changes in either page, pages that move,
 * are not there or may not be executed. Rules: SDM Vol. 3A §4.7 (page faults), §4.10 (TLBs), §9.3 (self-modifying code).
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { CODE_BASE, ENGINES, TestCpu } from "../_bare_cpu.ts";
import { CS, S, SS } from "../state/state.ts";

const le32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const HLT = 0xf4, RET = 0xc3, STC = 0xf9, RAX = 0, RCX = 1, RBX = 3, RSI = 6, RDI = 7;
const PAGE_TABLE = 0x9000;
/** Two linear pages, with tables of 4 KiB, and where they are. */
const LINEAR = 0x20_0000, FIRST = 0x40_0000, SECOND = 0x50_0000, OTHER = 0x60_0000;
/** `stc`, the last byte but three of the first page, then `adc eax, imm32` with two bytes of the immediate there. */
const START = LINEAR + 0xffc, ADC = START + 1;
/** Handler of page faults: RBX = CR2, RSI = error code, RDI = RIP. */
const ON_PAGE_FAULT = CODE_BASE + 0x800;
const NX = 1n << 63n;

/** Runs from `rip` until HLT, in slices as a machine has them. */
function go(t: TestCpu, rip: number): void {
  t.cpu.halted = false;
  t.cpu.core.s.set64(S.rip, BigInt(rip));
  let end = t.cpu.run(1_000_000);
  while (end === "budget") end = t.cpu.run(1_000_000);
  assertEquals(end, "halted");
}
function map(t: TestCpu, page: number, entry: bigint): void {
  t.memory.view.setBigUint64(t.memory.offsetOf(PAGE_TABLE) + 8 * page, entry, true);
}
/** A CPU with `adc eax, immediate` over the border of the two pages, and `rest` behind it. */
function crossing(
  how: ConstructorParameters<typeof TestCpu>[1],
  immediate: number,
  rest: readonly number[],
): TestCpu {
  const t = new TestCpu(64, how);
  const bytes = le32(immediate);
  t.memory.view.setBigUint64(t.memory.offsetOf(0x3000) + 8, BigInt(PAGE_TABLE) | 3n, true);
  map(t, 0, BigInt(FIRST) | 3n);
  map(t, 1, BigInt(SECOND) | 3n);
  t.write(FIRST + 0xffc, [STC, 0x15, ...bytes.slice(0, 2)]);
  t.write(SECOND, [...bytes.slice(2), ...rest]);
  t.cpu.core.s.setGpr(RAX, 0n);
  return t;
}
const loop = (body: readonly number[]) => {
  const code = [...body, 0xff, 0xc9]; // dec ecx
  return [...code, 0x75, 0x100 - (code.length + 8), HLT]; // jnz START
};
const sum32 = (values: readonly number[]) => values.reduce((a, b) => (a + b) >>> 0, 0);

Deno.test("a loop around an instruction that crosses is a region, in the number of instructions of handlers", () => {
  const turns = 1_000_000;
  const counts = (["interp", "jit"] as const).map((engine) => {
    const t = crossing({ engine }, 0x0102_0304, loop([]));
    t.cpu.core.s.setGpr(RCX, BigInt(turns));
    go(t, START);
    assertEquals(t.cpu.core.s.gpr32(RAX), Math.imul(0x0102_0305, turns) >>> 0);
    const counters = t.cpu.counters();
    if (engine === "jit") {
      const share = (counters["instructions.handlers"] as number) / t.cpu.instructions;
      assert(share < 0.5, `${share} of the instructions ran in handlers`);
    }
    return t.cpu.instructions;
  });
  assertEquals(counts[0], counts[1]);
});

Deno.test("the instruction of a block that crosses is decoded anew as it was", () => {
  const t = crossing({}, 0x0102_0304, [HLT]);
  // What follows the first page in memory is something else.
  t.write(FIRST + 0x1000, [0x0f, 0x0b, 0x0f, 0x0b]);
  go(t, START);
  const { blocks } = t.cpu;
  const found = [...blocks.known()].filter(({ secondHost }) => secondHost !== 0);
  assertEquals(found.map(({ length, secondHost }) => [length, secondHost]), [[5, t.memory.offsetOf(SECOND)]]);
  const insns = found.flatMap((block) => blocks.instructionsOf(block));
  assertEquals(insns.map(({ length, immLow, poff }) => [length, immLow, poff]), [[5, 0x0102_0304, 0xffd]]);
});

for (const how of ENGINES) {
  const test = (name: string, f: () => void) => Deno.test(`${name} (${how.name})`, f);

  test("32-bit code without paging goes around an instruction that crosses", () => {
    const t = new TestCpu(32, how);
    t.write(CODE_BASE + 0xffc, [STC, 0x15, ...le32(0x1122_3344), ...loop([])]);
    t.cpu.core.s.setGpr(RAX, 0n);
    t.cpu.core.s.setGpr(RCX, 1000n);
    go(t, CODE_BASE + 0xffc);
    assertEquals(t.cpu.core.s.gpr32(RAX), Math.imul(0x1122_3345, 1000) >>> 0);
  });

  test("code of a segment that begins within a page crosses where its linear addresses do", () => {
    const t = new TestCpu(32, how), { core } = t.cpu, base = 0x8010;
    core.s.set64(S.cr0, 0x10n);
    core.s.set64(S.cr4, 0n);
    core.s.setSegment(SS, { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 });
    core.s.setSegment(CS, { selector: base >> 4, base: BigInt(base), limit: 0xffff, attributes: 0x9b });
    core.updateMode();
    t.write(0x8ffe, [0x05, 0x34, 0x12, 0x49, 0x75, 0xfa, HLT]); // add ax, 0x1234; dec cx; jnz
    core.s.setGpr(RAX, 0n);
    core.s.setGpr(RCX, 10n);
    go(t, 0x8ffe - base);
    assertEquals(core.s.gpr32(RAX), 0x1234 * 10 & 0xffff);
  });

  for (const [where, at] of [["first", START + 2], ["second", LINEAR + 0x1000]] as const) {
    test(`a loop changes its crossing instruction in the ${where} page`, () => {
      const turns = 200;
      const t = crossing(how, 0, loop([0x88, 0x0c, 0x25, ...le32(at)])); // mov [at], cl
      t.cpu.core.s.setGpr(RCX, BigInt(turns));
      go(t, START);
      const shift = 8 * (at - (START + 2));
      const added = Array.from({ length: turns }, (_, i) => i === 0 ? 1 : ((turns - i + 1) << shift) + 1);
      assertEquals(t.cpu.core.s.gpr32(RAX), sum32(added));
    });
  }

  test("writes beside a crossing instruction leave it, in either page", () => {
    const t = crossing(how, 7, loop([]));
    const run = () => {
      t.cpu.core.s.setGpr(RAX, 0n);
      t.cpu.core.s.setGpr(RCX, 10n);
      go(t, START);
      assertEquals(t.cpu.core.s.gpr32(RAX), 80);
      return t.cpu.blocks.invalidated;
    };
    run();
    const before = run();
    t.write(SECOND + 0x20, [1, 2, 3]);
    t.write(FIRST + 0xff0, [1, 2, 3]);
    assertEquals(run(), before);
  });

  test("the second page is another one after INVLPG, over and over", () => {
    const turns = 1000;
    const t = crossing(how, 0x0001_0001, [RET]);
    t.write(OTHER, [2, 0, RET]);
    t.write(CODE_BASE, [
      ...[0xe8, ...le32(START - CODE_BASE - 5)], // call START
      ...[0x81, 0x34, 0x25, ...le32(PAGE_TABLE + 8), ...le32(SECOND ^ OTHER)], // xor dword [entry]
      ...[0x0f, 0x01, 0x3c, 0x25, ...le32(LINEAR + 0x1000)], // invlpg
      ...[0xff, 0xc9, 0x75, 0xe4], // dec ecx; jnz CODE_BASE
      HLT,
    ]);
    t.cpu.core.s.setGpr(RCX, BigInt(turns));
    go(t, CODE_BASE);
    assertEquals(t.cpu.core.s.gpr32(RAX), turns / 2 * (0x0001_0002 + 0x0002_0002));
  });

  for (
    const [name, entry, code] of [["is not there", 0n, 0x10], [
      "is no code",
      BigInt(SECOND) | 3n | NX,
      0x11,
    ]] as const
  ) {
    test(`the second page ${name}: #PF at the instruction, for the second page`, () => {
      const t = crossing(how, 7, loop([]));
      t.handlers({ 14: ON_PAGE_FAULT });
      t.write(ON_PAGE_FAULT, [0x0f, 0x20, 0xd3, 0x5e, 0x5f, HLT]); // mov rbx, cr2; pop rsi; pop rdi
      const { s, mmu } = t.cpu.core;
      s.set64(S.efer, s.get64(S.efer) | 0x800n); // NXE
      const good = BigInt(SECOND) | 3n;
      for (let round = 0; round < 3; round++) {
        map(t, 1, good);
        mmu.flush(true);
        s.setGpr(RAX, 0n);
        s.setGpr(RCX, 100n);
        go(t, START);
        assertEquals(s.gpr32(RAX), 800);
        map(t, 1, entry);
        mmu.flush(true);
        s.setGpr(RAX, 5n);
        go(t, START);
        const seen = [s.gpr32(RAX), s.gpr32(RBX), s.gpr32(RSI), s.gpr32(RDI)];
        assertEquals(seen, [5, LINEAR + 0x1000, code, ADC]);
      }
    });
  }
}
