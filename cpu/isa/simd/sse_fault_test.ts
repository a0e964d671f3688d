// SPDX-License-Identifier: MIT
/**
 * SSE, MMX and x87 instructions that fault have changed nothing, and the right fault comes first: SDM Vol. 3A §6.5,
 * table 2-2 (CR0.EM, CR0.TS), §13.1; Vol. 1 §8.7 (#MF).
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import {
  CR0_EM,
  CR0_TS,
  CR4_OSFXSR,
  DS,
  EXC_GP,
  EXC_MF,
  EXC_NM,
  EXC_PF,
  EXC_SS,
  EXC_UD,
  S,
  SS,
  XMM_BASE,
} from "../../state/state.ts";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../../_bare_cpu.ts";
import { X87_STATE } from "../../fpu/x87_state.ts";
import { Random } from "../_cases.ts";
import { FX, isVectorRow, vectorCase } from "./_vector_cases.ts";
import { type Row, rows } from "../mod.ts";

const ABSENT = 0x40_0000; // a large page
const CROSSING = ABSENT - 8;
/** TestCpu's page directory. */
const DIRECTORY = 0x3000;
const HLT = 0xf4;
const FSW_ZE = 1 << 2, FSW_ES = 1 << 7;

type How = typeof ENGINES[number];
/** A test for each way to run code. */
function test(name: string, body: (how: How) => void): void {
  for (const how of ENGINES) Deno.test(`${name} (${how.name})`, () => body(how));
}

function withHole(how: How): TestCpu {
  const t = new TestCpu(64, how);
  t.memory.view.setBigUint64(t.memory.offsetOf(DIRECTORY + (ABSENT >> 21) * 8), 0n, true);
  t.cpu.core.mmu.flush();
  return t;
}
/** The vector of the exception, or -1. */
function run(t: TestCpu, code: readonly number[], at = CODE_BASE): number {
  const { cpu } = t;
  t.write(at, [...code, HLT]);
  cpu.halted = false;
  cpu.core.s.set64(S.rip, BigInt(at));
  cpu.exceptions.fill(0);
  return cpu.run(1000) === "halted" ? -1 : cpu.exceptions.findIndex((n) => n > 0);
}
/** Registers and flags. */
function snapshot(t: TestCpu): string {
  const { core } = t.cpu;
  const { bytes } = t.memory;
  return [
    bytes.slice(S.gpr, S.gpr + 16 * 8),
    bytes.slice(XMM_BASE, XMM_BASE + 256),
    bytes.slice(S.x87, S.x87 + X87_STATE.size),
    core.rflags,
    core.s.get32(S.mxcsr),
  ].join(" ");
}
function random(t: TestCpu, row: Row, r: Random, operand: number, pending = false): readonly number[] {
  const one = vectorCase(row, r, { bits: 64, scratch: DATA_BASE, operand });
  const { core } = t.cpu;
  t.reset();
  t.memory.view.setBigUint64(t.memory.offsetOf(DIRECTORY + (ABSENT >> 21) * 8), 0n, true);
  core.mmu.flush();
  one.gpr.forEach((value, i) => core.s.setGpr(i, value));
  core.setRflags(one.flags);
  t.memory.bytes.set(one.memory.subarray(FX.xmm, FX.xmm + 256), XMM_BASE);
  t.memory.bytes.set(one.memory.subarray(FX.st, FX.st + 128), S.x87 + X87_STATE.at.r);
  const { at } = X87_STATE;
  const { view } = t.memory;
  view.setUint16(S.x87 + at.fsw, 5 << 11 | (pending ? FSW_ZE | FSW_ES : 0), true);
  view.setUint16(S.x87 + at.fcw, pending ? 0x37b : 0x37f, true);
  view.setUint8(S.x87 + at.ftw, 0xff);
  return one.code;
}
const chosen = rows.filter((row) => isVectorRow(row, 64));
const isX87 = (row: Row) => row.text.startsWith("x87");
const isMmx = (row: Row) => row.options.reg === "mmx" || row.options.rm === "mmx" || row.text === "EMMS";

test("SSE, MMX and x87 instructions whose operand is not there change nothing", (how) => {
  const t = withHole(how);
  const r = new Random(1);
  let faults = 0;
  for (const row of chosen.filter((row) => row.hasModrm && row.modrmForm !== "reg")) {
    for (let n = 0; n < (isX87(row) ? 60 : 6); n++) {
      for (const operand of [ABSENT + 64, CROSSING]) {
        const code = random(t, row, r, operand);
        const before = snapshot(t);
        t.memory.bytes.fill(0xa5, t.memory.offsetOf(CROSSING), t.memory.offsetOf(CROSSING) + 8);
        const hex = code.map((b) => b.toString(16)).join(" ");
        const vector = run(t, code);
        if (vector === -1 && operand === CROSSING) continue; // it fits in front of the hole
        assert(
          vector === EXC_PF || (vector === EXC_GP && operand === CROSSING),
          `${row.text}: ${hex}: ${vector}`,
        );
        assertEquals(snapshot(t), before, `${row.text}: ${hex}`);
        assertEquals(
          t.memory.view.getBigUint64(t.memory.offsetOf(CROSSING), true),
          0xa5a5_a5a5_a5a5_a5a5n,
          hex,
        );
        faults++;
      }
    }
  }
  assert(faults > 3000, `${faults} faults`);
});

// A Zen 4 does so, in a small program in C that looks at its signal's registers.
test("MASKMOVQ whose bytes are not there has made the x87 MMX all the same", (how) => {
  const t = withHole(how);
  const { view } = t.memory;
  t.cpu.core.s.setGpr(7, BigInt(ABSENT));
  view.setUint16(S.x87 + X87_STATE.at.fcw, 0x37f, true);
  view.setUint8(S.x87 + X87_STATE.at.ftw, 0);
  view.setBigUint64(S.x87 + X87_STATE.at.r, 0x80n, true); // MM0, the mask
  const code = [0xd9, 0xe8, 0xd9, 0xee, 0x0f, 0xf7, 0xc0]; // fld1; fldz; maskmovq mm0, mm0
  assertEquals(run(t, code), EXC_PF);
  const { at } = X87_STATE;
  assertEquals([view.getUint16(S.x87 + at.fsw, true), view.getUint8(S.x87 + at.ftw)], [0, 0xff]);
});

test("CR0.EM, CR0.TS and CR4.OSFXSR stop SSE, MMX and x87 instructions before anything happens", (how) => {
  const t = withHole(how);
  const r = new Random(2);
  for (const row of chosen.filter((row) => !/^CRC32/.test(row.text))) {
    for (
      const [cr0, osfxsr, vector] of [
        [CR0_TS, true, EXC_NM],
        [CR0_EM, true, isX87(row) ? EXC_NM : EXC_UD],
        [0, false, EXC_UD],
      ] as const
    ) {
      if (!osfxsr && (isX87(row) || isMmx(row))) continue;
      const code = random(t, row, r, ABSENT + 64);
      const { core } = t.cpu;
      core.s.set64(S.cr0, core.s.get64(S.cr0) | BigInt(cr0));
      if (!osfxsr) core.s.set64(S.cr4, core.s.get64(S.cr4) & ~BigInt(CR4_OSFXSR));
      core.updateMode();
      const before = snapshot(t);
      assertEquals(run(t, code), vector, row.text);
      assertEquals(snapshot(t), before, row.text);
    }
  }
});

test("a pending x87 exception is reported by MMX and waiting x87 instructions, before their memory", (how) => {
  const t = withHole(how);
  const r = new Random(3);
  for (const row of chosen.filter((row) => isMmx(row) || isX87(row))) {
    for (let n = 0; n < 20; n++) {
      const code = random(t, row, r, ABSENT + 64, true);
      const modrm = code.at(row.hasModrm ? -6 : -1) as number;
      const noWait = isX87(row) && (row.opcode === 0xd9 || row.opcode === 0xdd) && ((modrm >> 3) & 7) >= 6;
      const mmxFree = /^CVTPI2P/.test(row.text);
      const before = snapshot(t);
      assertEquals(run(t, code), noWait || mmxFree ? EXC_PF : EXC_MF, row.text);
      assertEquals(snapshot(t), before, row.text);
    }
  }
});

test("x87 memory operands obey segment limits", (how) => {
  const t = new TestCpu(32, how);
  const { s } = t.cpu.core;
  for (
    const [segment, code, vector] of [
      [DS, [0xdd, 0x05, 0xf9, 0x0f, 0, 0], EXC_GP], // FLD m64 at ff9
      [DS, [0xdd, 0x05, 0xf8, 0x0f, 0, 0], -1],
      [DS, [0xdd, 0x35, 0x95, 0x0f, 0, 0], EXC_GP], // FNSAVE, 108 bytes, at f95
      [DS, [0xdd, 0x35, 0x94, 0x0f, 0, 0], -1],
      [DS, [0x66, 0xdd, 0x35, 0xa2, 0x0f, 0, 0], -1], // 94 bytes
      [SS, [0xbd, 0xf7, 0x0f, 0, 0, 0xdb, 0x7d, 0], EXC_SS], // MOV EBP, ff7; FSTP m80
      [SS, [0xbd, 0xf6, 0x0f, 0, 0, 0xdb, 0x7d, 0], -1],
    ] as const
  ) {
    t.reset();
    s.setSegment(segment, { ...s.segment(segment), base: 0x20_0000n, limit: 0xfff });
    t.cpu.core.updateMode();
    assertEquals(run(t, code), vector, code.map((b) => b.toString(16)).join(" "));
  }
});

test("FNSTENV stores where the last x87 instruction and its operand were", (how) => {
  const t = new TestCpu(64, how);
  const at = CODE_BASE + 0x123;
  // FLD dword [300010]; FNSTENV [300040]
  assertEquals(
    run(t, [0xd9, 0x04, 0x25, 0x10, 0, 0x30, 0, 0xd9, 0x34, 0x25, 0x40, 0, 0x30, 0], at),
    -1,
  );
  const { view } = t.memory;
  const env = t.memory.offsetOf(DATA_BASE + 0x40);
  assertEquals([0, 4, 8, 12, 20].map((i) => view.getUint32(env + i, true)), [
    0xffff_037f,
    0xffff_3800,
    0xffff_7fff, // R7 holds zero
    at,
    DATA_BASE + 0x10,
  ]);
  assertEquals(view.getUint32(env + 16, true) >>> 16, 0x104); // FOP: low bits of D9, ModRM
});
