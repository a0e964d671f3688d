// SPDX-License-Identifier: MIT
/**
 * Faults are precise (SDM Vol. 3A §6.5): an instruction that faults has changed nothing, a string instruction has
 * changed what its finished iterations did. Expected values are the state before, or follow from the operands.
 * @module
 */
import { assertEquals } from "@std/assert";
import { EXC_PF, FLAG_DF, S } from "../state/state.ts";
import { ENGINES, TestCpu } from "../_bare_cpu.ts";
import { isComparable, Random, randomCase } from "./_cases.ts";
import { SCRATCH_BYTES } from "./_native_runner.ts";
import { rows } from "./mod.ts";

const CODE = 0x10_0000;
/** A page whose mapping the tests change: the first above a large page of ordinary memory. */
const GUARDED = 0x40_0000;
const PAGE_TABLE = 0x8000, DIRECTORY_32 = 0x9000;
const PTE_P = 1, PTE_RW = 2, PTE_PS = 1 << 7;
const HLT = 0xf4;

type How = typeof ENGINES[number];

/** A CPU with paging on whose page GUARDED is read-only or absent. */
function guarded(bits: 32 | 64, mapping: "absent" | "read-only", how: How): TestCpu {
  const t = new TestCpu(bits, how);
  const { view } = t.memory;
  const { s, mmu } = t.cpu.core;
  const at = (gpa: number) => t.memory.offsetOf(gpa);
  const entry = mapping === "absent" ? 0 : GUARDED | PTE_P;
  if (bits === 64) {
    view.setBigUint64(at(0x3000 + (GUARDED >> 21) * 8), BigInt(PAGE_TABLE | PTE_P | PTE_RW), true);
    for (let i = 1; i < 512; i++) {
      view.setBigUint64(at(PAGE_TABLE + i * 8), BigInt(GUARDED + i * 4096 | PTE_P | PTE_RW), true);
    }
    view.setBigUint64(at(PAGE_TABLE), BigInt(entry), true);
    s.set64(S.cr0, 0x8001_0011n);
  } else {
    view.setUint32(at(DIRECTORY_32), PTE_P | PTE_RW | PTE_PS, true);
    view.setUint32(at(DIRECTORY_32 + 4), PAGE_TABLE | PTE_P | PTE_RW, true);
    for (let i = 1; i < 1024; i++) {
      view.setUint32(at(PAGE_TABLE + i * 4), GUARDED + i * 4096 | PTE_P | PTE_RW, true);
    }
    view.setUint32(at(PAGE_TABLE), entry, true);
    s.set64(S.cr3, BigInt(DIRECTORY_32));
    s.set64(S.cr4, s.get64(S.cr4) & ~(1n << 5n) | 1n << 4n); // PSE, not PAE
    s.set64(S.cr0, 0x8001_0011n);
  }
  mmu.flush();
  t.cpu.core.updateMode();
  return t;
}

/** Runs code; the exception's vector, or -1 when it reached HLT. */
function run(t: TestCpu, code: readonly number[], flags = 0x202): number {
  const { cpu } = t;
  t.write(CODE, [...code, HLT]);
  cpu.halted = false;
  cpu.core.s.set64(S.rip, BigInt(CODE));
  cpu.core.setRflags(flags);
  cpu.exceptions.fill(0);
  return cpu.run(100_000) === "halted" ? -1 : cpu.exceptions.findIndex((n) => n > 0);
}
const registers = (t: TestCpu) =>
  Array.from({ length: 16 }, (_, r) => t.cpu.core.s.gpr(r).toString(16)).join(" ");

/** FNV-1a. */
function seedOf(text: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193) >>> 0;
  return hash;
}

/** A test for each way to run code. */
function test(name: string, body: (how: How) => void): void {
  for (const how of ENGINES) Deno.test(`${name} (${how.name})`, () => body(how));
}

for (const bits of [64, 32] as const) {
  for (const mapping of ["absent", "read-only"] as const) {
    test(`integer instructions of ${bits}-bit code change nothing when a page is ${mapping}`, (how) => {
      const t = guarded(bits, mapping, how);
      const { core } = t.cpu;
      const at = t.memory.offsetOf(GUARDED);
      const faulting = new Set<string>();
      for (const row of rows.filter((r) => isComparable(r, bits))) {
        const random = new Random(seedOf(row.text)); // of its own: other rows come and go
        for (let n = 0; n < 8; n++) {
          const one = randomCase(row, random, { bits, code: CODE, scratch: GUARDED + 1024 });
          one.gpr.forEach((value, r) => core.s.setGpr(r, value));
          t.memory.bytes.set(one.memory, at + 1024);
          const before = registers(t);
          if (run(t, one.code, one.flags) !== EXC_PF) continue;
          const hex = one.code.map((b) => b.toString(16)).join(" ");
          assertEquals(registers(t), before, `${row.text}: ${hex}`);
          assertEquals(core.rflags, one.flags, `${row.text}: ${hex}`);
          assertEquals(t.memory.bytes.slice(at + 1024, at + 1024 + SCRATCH_BYTES), one.memory, row.text);
          faulting.add(row.text);
        }
      }
      // All rows with a memory operand that is written, at least.
      for (
        const name of ["ADD r/m, r", "SHL r/m, CL", "XADD r/m, r", "CMPXCHG r/m, r", "BTS r/m, r", "POP r/m"]
      ) {
        assertEquals(faulting.has(name), true, name);
      }
    });
  }
}

const RAX = 0, RCX = 1, RSP = 4, RSI = 6, RDI = 7;
const pattern = (n: number) => Uint8Array.from({ length: n }, (_, i) => i * 7 + 1);

/** Name, bytes, element size, and how far the destination is from the page that is missing. */
const REP: readonly (readonly [string, number[], number, number])[] = [
  ["MOVSB", [0xf3, 0xa4], 1, 256],
  ["MOVSQ", [0xf3, 0x48, 0xa5], 8, 256],
  ["MOVSQ that straddles pages", [0xf3, 0x48, 0xa5], 8, 252],
  ["MOVSB longer than a page", [0xf3, 0xa4], 1, 9000],
];
for (const [name, code, size, room] of REP) {
  test(`REP ${name} stops at a missing page with the copied part done`, (how) => {
    const t = guarded(64, "absent", how);
    const { s } = t.cpu.core;
    const bytes = pattern(room + 64);
    t.write(0x30_0000, bytes);
    s.setGpr(RSI, 0x30_0000n);
    s.setGpr(RDI, BigInt(GUARDED - room));
    s.setGpr(RCX, 20_000n);
    assertEquals(run(t, code), EXC_PF);
    const done = Math.floor(room / size);
    assertEquals(s.gpr(RCX), BigInt(20_000 - done));
    assertEquals(s.gpr(RSI), BigInt(0x30_0000 + done * size));
    assertEquals(s.gpr(RDI), BigInt(GUARDED - room + done * size));
    const at = t.memory.offsetOf(GUARDED - room);
    assertEquals(t.memory.bytes.slice(at, at + done * size), bytes.slice(0, done * size));
  });
}

test("REP STOSB downwards stops at a missing page", (how) => {
  const t = guarded(64, "absent", how);
  const { s } = t.cpu.core;
  s.setGpr(RAX, 0x5an);
  s.setGpr(RDI, BigInt(GUARDED + 4096 + 99));
  s.setGpr(RCX, 500n);
  assertEquals(run(t, [0xf3, 0xaa], 0x202 | FLAG_DF), EXC_PF);
  assertEquals(s.gpr(RCX), 400n);
  assertEquals(s.gpr(RDI), BigInt(GUARDED + 4095));
  const at = t.memory.offsetOf(GUARDED + 4096);
  assertEquals(t.memory.bytes.slice(at, at + 101), Uint8Array.of(...Array(100).fill(0x5a), 0));
});

test("REPE CMPSB that faults keeps the flags from before it", (how) => {
  const t = guarded(64, "absent", how);
  const { s } = t.cpu.core;
  s.setGpr(RSI, 0x30_0000n);
  s.setGpr(RDI, BigInt(GUARDED - 100));
  s.setGpr(RCX, 500n);
  assertEquals(run(t, [0xf3, 0xa6], 0x202 | 0x891), EXC_PF);
  assertEquals(s.gpr(RCX), 400n);
  assertEquals(t.cpu.core.rflags, 0x202 | 0x891);
});

test("POP r/m uses the popped stack pointer in its address, and keeps it when the store faults", (how) => {
  const t = guarded(64, "absent", how);
  const { s } = t.cpu.core;
  t.write(0x30_0000, [1, 2, 3, 4, 5, 6, 7, 8]);
  s.setGpr(RSP, 0x30_0000n);
  assertEquals(run(t, [0x8f, 0x44, 0x24, 0x10]), -1); // pop qword [rsp + 16]
  assertEquals(s.gpr(RSP), 0x30_0008n);
  assertEquals(t.memory.view.getBigUint64(t.memory.offsetOf(0x30_0018), true), 0x0807_0605_0403_0201n);
  s.setGpr(RSP, 0x30_0000n);
  s.setGpr(RAX, BigInt(GUARDED));
  assertEquals(run(t, [0x8f, 0x00]), EXC_PF); // pop qword [rax]
  assertEquals(s.gpr(RSP), 0x30_0000n);
});

/** The fast path of REP MOVS and STOS against one element at a time, on overlapping and distant ranges. */
for (const distance of [-4097, -300, -8, -1, 0, 1, 3, 8, 64, 300, 5000]) {
  test(`REP MOVS by ${distance} bytes copies element by element`, (how) => {
    const t = new TestCpu(64, how);
    const { s } = t.cpu.core;
    for (const [size, code] of [[1, [0xf3, 0xa4]], [4, [0xf3, 0xa5]], [8, [0xf3, 0x48, 0xa5]]] as const) {
      const count = 10_000 / size, from = 0x30_2ffd;
      const memory = Uint8Array.from({ length: 0x8000 }, (_, i) => (i * 31) >> 3);
      t.write(0x30_0000, memory);
      s.setGpr(RSI, BigInt(from));
      s.setGpr(RDI, BigInt(from + distance));
      s.setGpr(RCX, BigInt(count));
      t.run(code);
      for (let i = 0; i < count * size; i += size) {
        const at = from - 0x30_0000 + i;
        memory.set(memory.slice(at, at + size), at + distance);
      }
      const at = t.memory.offsetOf(0x30_0000);
      assertEquals(t.memory.bytes.slice(at, at + memory.length), memory, `${size} bytes`);
      assertEquals(s.gpr(RCX), 0n);
      assertEquals(s.gpr(RSI), BigInt(from + count * size));
    }
  });
}

test("REP STOS fills across pages with any value", (how) => {
  const t = new TestCpu(64, how);
  const { s } = t.cpu.core;
  for (const value of [0n, 0x0101_0101_0101_0101n, 0x1122_3344_5566_7788n]) {
    for (
      const [size, code] of [[1, [0xf3, 0xaa]], [2, [0x66, 0xf3, 0xab]], [8, [0xf3, 0x48, 0xab]]] as const
    ) {
      const from = 0x30_0ff5, length = 9600;
      t.write(0x30_0000, new Uint8Array(0x4000).fill(0xcc));
      s.setGpr(RAX, value);
      s.setGpr(RDI, BigInt(from));
      s.setGpr(RCX, BigInt(length / size));
      t.run(code);
      const want = new Uint8Array(0x4000).fill(0xcc);
      for (let i = 0; i < length; i++) {
        want[from - 0x30_0000 + i] = Number(value >> BigInt(i % size * 8) & 0xffn);
      }
      const at = t.memory.offsetOf(0x30_0000);
      assertEquals(
        t.memory.bytes.slice(at, at + want.length),
        want,
        `${size} bytes of ${value.toString(16)}`,
      );
      assertEquals(s.gpr(RDI), BigInt(from + length));
    }
  }
});
