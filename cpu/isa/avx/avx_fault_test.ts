// SPDX-License-Identifier: MIT
/**
 * VEX-encoded instructions that fault have changed nothing, but for gathers, which have done the elements before; and what
 * must be enabled. SDM Vol. 2A §2.4, §2.5; Vol. 2, VGATHERDPS, VMASKMOV; Vol. 3A §6.5.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../../_bare_cpu.ts";
import {
  CR0_EM,
  CR0_PE,
  CR0_TS,
  CR4_OSFXSR,
  CR4_OSXSAVE,
  EXC_GP,
  EXC_NM,
  EXC_PF,
  EXC_UD,
  S,
  XMM_BASE,
  YMM_HIGH,
} from "../../state/state.ts";
import { Random } from "../_cases.ts";
import { YMM_AT } from "../_native_runner.ts";
import { rows } from "../mod.ts";
import { FX } from "../simd/_vector_cases.ts";
import { avxCase, isAvxRow } from "./_avx_cases.ts";

const ABSENT = 0x40_0000; // a large page
const CROSSING = ABSENT - 8;
/** TestCpu's page directory. */
const DIRECTORY = 0x3000;
const HLT = 0xf4, NONE = -1;

type How = typeof ENGINES[number];
/** A test for each way to run code. */
function test(name: string, body: (how: How) => void): void {
  for (const how of ENGINES) Deno.test(`${name} (${how.name})`, () => body(how));
}
function map(t: TestCpu, present: boolean): void {
  const entry = present ? BigInt(ABSENT) | 0x83n : 0n;
  t.memory.view.setBigUint64(t.memory.offsetOf(DIRECTORY + (ABSENT >> 21) * 8), entry, true);
  t.cpu.core.mmu.flush();
}
/** AVX on, a hole at ABSENT. */
function prepare(t: TestCpu): void {
  t.reset();
  const { core } = t.cpu;
  core.s.set32(S.cr4, core.s.get32(S.cr4) | CR4_OSXSAVE);
  core.s.set32(S.xcr0, 7);
  core.updateMode();
  if (t.bits === 64) map(t, false);
}
/** The vector of the exception, or -1. */
function run(t: TestCpu, code: readonly number[]): number {
  const { cpu } = t;
  t.write(CODE_BASE, [...code, HLT]);
  cpu.halted = false;
  cpu.core.s.set64(S.rip, BigInt(CODE_BASE));
  cpu.exceptions.fill(0);
  return cpu.run(1000) === "halted" ? NONE : cpu.exceptions.findIndex((n) => n > 0);
}
/** Registers and flags. */
function snapshot(t: TestCpu): string {
  const { core } = t.cpu, { bytes } = t.memory;
  return [
    bytes.slice(S.gpr, S.gpr + 16 * 8),
    bytes.slice(XMM_BASE, XMM_BASE + YMM_HIGH + 256),
    core.rflags,
    core.s.get32(S.mxcsr),
  ].join(" ");
}
const bytes = (hex: string) => hex.split(" ").map((byte) => parseInt(byte, 16));
/** Dwords of YMM register `n`, lowest first. */
function setYmm(t: TestCpu, n: number, dwords: readonly number[]): void {
  dwords.forEach((value, i) => t.memory.view.setUint32(ymmAt(n, i), value, true));
}
function ymm(t: TestCpu, n: number): number[] {
  return Array.from({ length: 8 }, (_, i) => t.memory.view.getUint32(ymmAt(n, i), true));
}
const ymmAt = (n: number, dword: number) => XMM_BASE + 16 * n + (dword < 4 ? 0 : YMM_HIGH - 16) + 4 * dword;

test("VEX-encoded instructions whose operand is not there change nothing", (how) => {
  const t = new TestCpu(64, how), r = new Random(1);
  let faults = 0;
  for (const row of rows.filter((row) => isAvxRow(row, 64) && row.hasModrm && row.modrmForm !== "reg")) {
    if (/MASKMOV|GATHER/.test(row.text)) continue; // the mask may leave all out
    for (let n = 0; n < 2; n++) {
      for (const operand of [ABSENT + 64, CROSSING]) {
        const one = avxCase(row, r, { bits: 64, scratch: DATA_BASE, operand });
        prepare(t);
        one.gpr.forEach((value, i) => t.cpu.core.s.setGpr(i, value));
        t.memory.bytes.set(one.memory.subarray(FX.xmm, FX.xmm + 256), XMM_BASE);
        t.memory.bytes.set(one.memory.subarray(YMM_AT, YMM_AT + 256), XMM_BASE + YMM_HIGH);
        const before = snapshot(t), hex = one.code.map((b) => b.toString(16)).join(" ");
        t.memory.bytes.fill(0xa5, t.memory.offsetOf(CROSSING), t.memory.offsetOf(CROSSING) + 8);
        const vector = run(t, one.code);
        if (vector === NONE && operand === CROSSING) continue; // it fits in front of the hole
        assert(
          vector === EXC_PF || (vector === EXC_GP && operand === CROSSING),
          `${row.text}: ${hex}: ${vector}`,
        );
        assertEquals(snapshot(t), before, `${row.text}: ${hex}`);
        const stored = t.memory.view.getBigUint64(t.memory.offsetOf(CROSSING), true);
        assertEquals(stored, 0xa5a5_a5a5_a5a5_a5a5n, hex);
        faults++;
      }
    }
  }
  assert(faults > 1000, `${faults} faults`);
});

test("CR4.OSXSAVE, XCR0 and protected mode make VEX #UD, CR0.TS #NM; CR0.EM and CR4.OSFXSR mean nothing to it", (how) => {
  const vaddps = bytes("c5 fc 58 c1"), vzeroupper = bytes("c5 f8 77");
  const change = (t: TestCpu, cr0: number, cr4: number, xcr0: number) => {
    const { core } = t.cpu;
    prepare(t);
    core.s.set32(S.cr0, core.s.get32(S.cr0) ^ cr0);
    core.s.set32(S.cr4, core.s.get32(S.cr4) ^ cr4);
    core.s.set32(S.xcr0, xcr0);
    core.updateMode();
  };
  const t = new TestCpu(64, how);
  for (const code of [vaddps, vzeroupper]) {
    for (
      const [what, cr0, cr4, xcr0, vector] of [
        ["everything on", 0, 0, 7, NONE],
        ["CR4.OSXSAVE", 0, CR4_OSXSAVE, 7, EXC_UD],
        ["XCR0.AVX", 0, 0, 3, EXC_UD],
        ["XCR0.SSE", 0, 0, 5, EXC_UD],
        ["CR0.TS", CR0_TS, 0, 7, EXC_NM],
        ["CR0.TS without XCR0.AVX", CR0_TS, 0, 3, EXC_UD],
        ["CR0.EM", CR0_EM, 0, 7, NONE],
        ["CR4.OSFXSR", 0, CR4_OSFXSR, 7, NONE],
      ] as const
    ) {
      change(t, cr0, cr4, xcr0);
      assertEquals(run(t, code), vector, what);
    }
  }
  const real = new TestCpu(32, how);
  change(real, CR0_PE, 0, 7);
  assertEquals(run(real, vaddps), EXC_UD);
  change(real, 0, 0, 7);
  assertEquals(run(real, vaddps), NONE);
});

test("XSETBV turns AVX on for the instruction behind it", (how) => {
  const t = new TestCpu(64, how);
  prepare(t);
  const { s } = t.cpu.core;
  s.set32(S.xcr0, 3);
  t.cpu.core.updateMode();
  s.setGpr(0, 7n);
  s.setGpr(1, 0n);
  s.setGpr(2, 0n);
  assertEquals([run(t, bytes("0f 01 d1 c5 fc 58 c1")), s.get32(S.xcr0)], [NONE, 7]);
  s.setGpr(0, 3n);
  assertEquals([run(t, bytes("0f 01 d1 c5 fc 58 c1")), s.get32(S.xcr0)], [EXC_UD, 3]);
});

test("aligned moves want the alignment of their size, others none", (how) => {
  const t = new TestCpu(64, how);
  const at = (hex: string, address: number) => {
    prepare(t);
    t.cpu.core.s.setGpr(3, BigInt(address));
    return run(t, bytes(hex));
  };
  for (const hex of ["c5 fc 28 03", "c5 fc 29 03", "c5 fd 6f 03", "c5 fd e7 03", "c4 e2 7d 2a 03"]) {
    assertEquals([at(hex, DATA_BASE), at(hex, DATA_BASE + 16)], [NONE, EXC_GP], hex);
  }
  for (const hex of ["c5 f8 28 03", "c5 f9 7f 03"]) {
    assertEquals([at(hex, DATA_BASE + 16), at(hex, DATA_BASE + 8)], [NONE, EXC_GP], hex);
  }
  for (const hex of ["c5 fc 10 03", "c5 f8 58 03", "c5 fc 58 03"]) {
    assertEquals(at(hex, DATA_BASE + 1), NONE, hex);
  }
});

test("a gather that faults has done the elements before it, and goes on there", (how) => {
  const t = new TestCpu(64, how);
  const gather = bytes("c4 e2 6d 90 04 8b"); // vpgatherdd ymm0, [rbx + ymm1 * 4], ymm2
  const ones = 0xffff_ffff, old = 0x0d0d_0d0d;
  prepare(t);
  t.cpu.core.s.setGpr(3, BigInt(ABSENT - 16));
  for (let i = 0; i < 4; i++) {
    t.memory.view.setUint32(t.memory.offsetOf(ABSENT - 16 + 4 * i), 0x100 + i, true);
  }
  for (let i = 0; i < 8; i++) t.memory.view.setUint32(t.memory.offsetOf(ABSENT + 4 * i), 0x200 + i, true);
  setYmm(t, 0, Array(8).fill(old));
  setYmm(t, 1, [3, 2, 1, 7, 0, 4, 5, 6]);
  setYmm(t, 2, [0x8000_0000, 0x7fff_ffff, ones, 0x8000_0001, ones, 0, ones, 1]);
  assertEquals([run(t, gather), t.cpu.core.s.get64(S.cr2)], [EXC_PF, BigInt(ABSENT + 12)]);
  assertEquals(ymm(t, 0), [0x103, old, 0x101, old, old, old, old, old]);
  assertEquals(ymm(t, 2), [0, 0, 0, ones, ones, 0, ones, 0]);
  map(t, true);
  assertEquals(run(t, gather), NONE);
  assertEquals(ymm(t, 0), [0x103, old, 0x101, 0x203, 0x100, old, 0x201, old]);
  assertEquals(ymm(t, 2), Array(8).fill(0));
});

test("a masked store stores all that the mask says or nothing, and looks at nothing else", (how) => {
  const t = new TestCpu(64, how);
  const store = bytes("c4 e2 75 8e 03"), load = bytes("c4 e2 75 8c 03"); // vpmaskmovd [rbx], ymm1, ymm0 and back
  const here = t.memory.offsetOf(ABSENT - 16);
  const attempt = (code: readonly number[], mask: readonly number[]) => {
    prepare(t);
    t.cpu.core.s.setGpr(3, BigInt(ABSENT - 16));
    t.memory.bytes.fill(0xa5, here, here + 16);
    setYmm(t, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
    setYmm(t, 1, mask);
    return run(t, code);
  };
  const stored = () => Array.from({ length: 4 }, (_, i) => t.memory.view.getUint32(here + 4 * i, true));
  const on = 0x8000_0000, untouched = 0xa5a5_a5a5;
  assertEquals(attempt(store, [on, 0, on, 0x7fff_ffff, 0, 0, 0, 0]), NONE);
  assertEquals(stored(), [1, untouched, 3, untouched]);
  assertEquals(attempt(store, [on, on, on, on, 0, 0, 0, on]), EXC_PF);
  assertEquals(stored(), Array(4).fill(untouched));
  assertEquals(attempt(load, [on, 0, 0, on, 0, 0, 0, 0]), NONE);
  assertEquals(ymm(t, 0), [untouched, 0, 0, untouched, 0, 0, 0, 0]);
  assertEquals(attempt(load, [on, 0, 0, on, on, 0, 0, 0]), EXC_PF);
  assertEquals(ymm(t, 0), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("legacy SSE leaves upper halves alone, VEX.128 clears them, VZEROALL clears all", (how) => {
  const t = new TestCpu(64, how);
  const high = (code: string) => {
    prepare(t);
    for (const n of [0, 1, 2]) setYmm(t, n, [1, 2, 3, 4, 5, 6, 7, 8]);
    assertEquals(run(t, bytes(code)), NONE);
    return [0, 1, 2].map((n) => ymm(t, n)[7]);
  };
  assertEquals(high("66 0f fe c1"), [8, 8, 8]); // paddd xmm0, xmm1
  assertEquals(high("0f 28 c1"), [8, 8, 8]); // movaps
  assertEquals(high("c5 f1 fe c2"), [0, 8, 8]); // vpaddd xmm0, xmm1, xmm2
  assertEquals(high("c5 f2 10 c2"), [0, 8, 8]); // vmovss
  assertEquals(high("c5 f9 6e c0"), [0, 8, 8]); // vmovd xmm0, eax
  assertEquals(high("c5 f1 72 f2 03"), [8, 0, 8]); // vpslld xmm1, xmm2, 3
  assertEquals(high("c5 f8 77"), [0, 0, 0]);
  assertEquals(ymm(t, 1), [1, 2, 3, 4, 0, 0, 0, 0]);
  assertEquals(high("c5 fc 77"), [0, 0, 0]);
  assertEquals(ymm(t, 1), Array(8).fill(0));
});
