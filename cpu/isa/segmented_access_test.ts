// SPDX-License-Identifier: MIT
/**
 * Accesses by a segment with a base, a limit and a type outside 64-bit code (SDM Vol. 3A §5.3-5.4): what emitted code
 * lets through by itself and what it leaves is what linearAddress (cpu/segments/segmentation.ts) says, on all engines.
 * @module
 */
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../_bare_cpu.ts";
import { ALL_FEATURES } from "../base/cpu_features.ts";
import { Decoder } from "../decode/decoder.ts";
import { summarize } from "../emit/region/summary.ts";
import { linearAddress } from "../segments/segmentation.ts";
import { EXC_GP, FS, S, SEG_DB, SEG_G, SEG_UNUSABLE } from "../state/state.ts";

const RAX = 0, RCX = 1, RBX = 3, HLT = 0xf4;
const TURNS = 50;

/** What the loops do, all at FS:[EBX]. */
const ACCESSES = [
  { name: "mov al, m", code: [0x64, 0x8a, 0x03], bytes: 1, writes: false },
  { name: "mov eax, m", code: [0x64, 0x8b, 0x03], bytes: 4, writes: false },
  { name: "movups xmm0, m", code: [0x64, 0x0f, 0x10, 0x03], bytes: 16, writes: false },
  { name: "mov m, al", code: [0x64, 0x88, 0x03], bytes: 1, writes: true },
  { name: "mov m, ax", code: [0x64, 0x66, 0x89, 0x03], bytes: 2, writes: true },
  { name: "add m, eax", code: [0x64, 0x01, 0x03], bytes: 4, writes: true },
  { name: "movups m, xmm0", code: [0x64, 0x0f, 0x11, 0x03], bytes: 16, writes: true },
] as const;
const DATA = 0x93, READ_ONLY = 0x91, EXPANDS_DOWN = 0x97, CODE = 0x9b, EXECUTE_ONLY = 0x99;
const SEGMENTS = [
  [DATA, 0xfff],
  [DATA, 0xffff_ffff],
  [DATA, 0],
  [DATA | SEG_UNUSABLE, 0xffff_ffff],
  [READ_ONLY, 0xfff],
  [EXPANDS_DOWN, 0xfff],
  [CODE, 0xfff],
  [EXECUTE_ONLY, 0xfff],
] as const;

/** Runs an access TURNS times; its exception, or -1. */
function run(t: TestCpu, code: readonly number[], offset: number): number {
  const { cpu } = t, { s } = cpu.core;
  t.write(CODE_BASE, [...code, 0x49, 0x75, 0x100 - code.length - 3, HLT]); // dec ecx; jnz
  cpu.halted = false;
  cpu.exceptions.fill(0);
  s.set64(S.rip, BigInt(CODE_BASE));
  s.setGpr32(RAX, 0x0102_0304);
  s.setGpr32(RCX, TURNS);
  s.setGpr32(RBX, offset);
  cpu.run(100_000);
  return cpu.exceptions.indexOf(1);
}

for (const how of ENGINES) {
  Deno.test(`accesses within and beyond a segment (${how.name})`, () => {
    const counts = { done: 0, faults: 0 };
    for (const { name, code, bytes, writes } of ACCESSES) {
      const t = new TestCpu(32, how), { core } = t.cpu;
      const end = DATA_BASE + 0x2000;
      for (const [type, limit] of SEGMENTS) {
        const edge = [-16, -15, -4, -3, -2, -1, 0, 1, 2].map((n) => (limit + 1 + n) >>> 0);
        for (const offset of new Set([0, 0x10, ...edge, 0xffff_fff0, 0xffff_fffc, 0xffff_ffff])) {
          const load = (type: number, limit: number) => {
            const attributes = type | SEG_G | SEG_DB;
            core.s.setSegment(FS, { selector: 0x18, base: BigInt(DATA_BASE), limit, attributes });
            core.updateMode();
          };
          t.reset();
          load(DATA, 0xffff_ffff);
          run(t, code, offset); // the TLB has the page then
          t.memory.bytes.fill(0x55, t.memory.offsetOf(DATA_BASE - 0x1000), t.memory.offsetOf(end));
          load(type, limit);
          const linear = linearAddress(core, FS, offset, bytes, writes);
          const what = `${name}, ${type.toString(16)}, limit ${limit.toString(16)}, ${offset.toString(16)}`;
          const vector = run(t, code, offset);
          assertEquals(vector, linear < 0 ? EXC_GP : -1, what);
          if (linear < 0) {
            counts.faults++;
            assertEquals(core.s.gpr32(RCX), TURNS, what);
          } else counts.done++;
          const before = new Uint8Array(0x3000).fill(0x55);
          const after = new Uint8Array(0x3000);
          t.memory.read(DATA_BASE - 0x1000, after);
          const changed = [...after.keys()].filter((i) => after[i] !== before[i]);
          const places = Array.from({ length: bytes }, (_, i) => linear - DATA_BASE + 0x1000 + i);
          assertEquals(changed, linear < 0 || !writes ? [] : places, what);
        }
      }
    }
    assertEquals(counts.done > 100 && counts.faults > 100, true, JSON.stringify(counts));
  });
}

for (const how of ENGINES) {
  Deno.test(`accesses within a segment are no concern of TypeScript (${how.name})`, () => {
    const t = new TestCpu(32, how), { s } = t.cpu.core;
    const attributes = DATA | SEG_G | SEG_DB;
    s.setSegment(FS, { selector: 0x18, base: BigInt(DATA_BASE), limit: 0xffff_ffff, attributes });
    t.cpu.core.updateMode();
    for (const { name, code } of ACCESSES) {
      run(t, code, 0x20);
      s.set32(S.memAddr, 0xdead_beef); // where it would find the offset
      assertEquals([run(t, code, 0x20), s.get32(S.memAddr)], [-1, 0xdead_beef], name);
    }
  });
}

Deno.test("regions need not be left to access a segment with a base", () => {
  const decoder = new Decoder(new Set(ALL_FEATURES));
  const mode = { codeBits: 32, stackBits: 32, flat: true, fpuTrap: false, avxTrap: false } as const;
  for (const { name, code } of ACCESSES) {
    const insn = decoder.decode(Uint8Array.from(code), 0, code.length, 0, mode)!;
    const { leaves, stores } = summarize(insn);
    assertEquals({ leaves, stores }, { leaves: false, stores: name.includes(" m,") }, name);
  }
});
