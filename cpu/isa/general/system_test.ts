// SPDX-License-Identifier: MIT
/** System rows, run through emitted code. Expected values: SDM Vol. 2, the instruction named in the test. @module */
import { assertEquals } from "@std/assert";
import type { EngineHooks } from "../../base/engine.ts";
import {
  CR4_FSGSBASE,
  CR4_SMAP,
  EXC_GP,
  EXC_NM,
  EXC_PF,
  EXC_UD,
  FLAG_DF,
  FLAG_IF,
  FLAG_ZF,
  FS,
  GS,
  S,
  segmentLayout,
  SS,
} from "../../state/state.ts";
import { CODE_BASE, DATA_BASE, STACK_TOP, TestCpu } from "../../_bare_cpu.ts";

const RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RSI = 6, RDI = 7;
const GDT = 0x5000, IDT = 0x6000, HANDLER = 0x11_0000;
const CODE64 = 8, DATA = 16, CODE32 = 24;
const HLT = 0xf4;

/** A CPU with descriptor tables; every vector's handler is HLT. */
function machine(bits: 32 | 64, hooks: Partial<EngineHooks> = {}): TestCpu {
  const t = new TestCpu(bits, { hooks });
  const { view } = t.memory;
  const at = (gpa: number) => t.memory.offsetOf(gpa);
  const code = bits === 64 ? 0x00af_9a00_0000_ffffn : 0x00cf_9a00_0000_ffffn;
  view.setBigUint64(at(GDT + CODE64), code, true);
  view.setBigUint64(at(GDT + DATA), 0x00cf_9200_0000_ffffn, true);
  view.setBigUint64(at(GDT + CODE32), 0x00cf_9a00_0000_ffffn, true);
  for (let vector = 0; vector < 48; vector++) {
    const gate = (BigInt(HANDLER >>> 16) << 48n) | (0x8e00n << 32n) | (BigInt(CODE64) << 16n) |
      BigInt(HANDLER & 0xffff);
    view.setBigUint64(at(IDT + vector * (bits / 32) * 8), gate, true);
  }
  t.write(HANDLER, [HLT]);
  setTables(t);
  return t;
}
function setTables(t: TestCpu): void {
  const { s } = t.cpu.core;
  s.set64(S.gdtrBase, BigInt(GDT));
  s.set32(S.gdtrLimit, 0x1f);
  s.set64(S.idtrBase, BigInt(IDT));
  s.set32(S.idtrLimit, 0x2ff);
}
/** Vector taken by the last run, -1 for none. */
const taken = (t: TestCpu) => t.cpu.exceptions.findIndex((n) => n > 0);
/** Runs, and gives the vector. */
function run(t: TestCpu, code: readonly number[]): number {
  t.cpu.exceptions.fill(0);
  t.run(code);
  return taken(t);
}
const read64 = (t: TestCpu, gpa: number) => t.memory.view.getBigUint64(t.memory.offsetOf(gpa), true);

Deno.test("LGDT and SGDT move limit and base; a 16-bit operand takes 24 bits of the base", () => {
  for (const bits of [32, 64] as const) {
    const t = machine(bits);
    const { s } = t.cpu.core;
    t.write(DATA_BASE, [0x27, 0, 0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0]);
    s.setGpr(RBX, BigInt(DATA_BASE));
    assertEquals(run(t, [0x0f, 0x01, 0x13, 0x0f, 0x01, 0x43, 0x20]), -1); // lgdt [rbx]; sgdt [rbx + 32]
    assertEquals(s.get64(S.gdtrBase), 0x1234_5678n);
    const stored = read64(t, DATA_BASE + 32) & 0xffff_ffff_ffffn;
    assertEquals(stored, 0x1234_5678_0027n);
  }
  const t = machine(32);
  t.write(DATA_BASE, [0x27, 0, 0x78, 0x56, 0x34, 0x12]);
  t.cpu.core.s.setGpr(RBX, BigInt(DATA_BASE));
  assertEquals(run(t, [0x66, 0x0f, 0x01, 0x1b]), -1); // o16 lidt [ebx]
  assertEquals(t.cpu.core.s.get64(S.idtrBase), 0x34_5678n);
});

Deno.test("exceptions save the faulting RIP, traps the next one", () => {
  const t = machine(64);
  const saved = () => Number(read64(t, Number(t.cpu.core.s.gpr(RSP))));
  for (
    const [code, offset] of [
      [[0x90, 0xcc], 2], // int3
      [[0x90, 0xcd, 0x21], 3], // int 0x21
      [[0x90, 0x0f, 0x0b], 1], // ud2
      [[0x90, 0x31, 0xc9, 0xf7, 0xf1], 3], // div ecx
      [[0x90, 0x0f, 0xff], 1], // undefined
    ] as const
  ) {
    t.cpu.core.s.setGpr(RSP, BigInt(STACK_TOP));
    run(t, code);
    assertEquals(saved(), CODE_BASE + offset);
    assertEquals(t.cpu.core.s.gpr(RSP), BigInt(STACK_TOP - 40));
  }
});

Deno.test("STI holds an interrupt back for one instruction, POPF does not", () => {
  let pending = true;
  const interrupts = {
    get pending() {
      return pending;
    },
    acknowledge() {
      pending = false;
      return 0x20;
    },
  };
  const t = machine(64, { interrupts });
  const { s } = t.cpu.core;
  const resumeAt = () => Number(read64(t, Number(s.gpr(RSP)))) - CODE_BASE;
  run(t, [0xfa, 0xfb, 0xff, 0xc0, 0xff, 0xc0]); // cli; sti; inc eax; inc eax
  assertEquals(resumeAt(), 4);
  pending = true;
  t.reset();
  setTables(t);
  s.setGpr(RAX, 0x202n);
  run(t, [0x50, 0x9d, 0xff, 0xc0, 0xfa]); // push rax; popf; inc eax; cli
  assertEquals(resumeAt(), 2);
  assertEquals(s.get32(S.eflags) & FLAG_IF, 0); // an interrupt gate clears it
});

Deno.test("POPF and PUSHF carry every flag they may", () => {
  const t = machine(64);
  const { core } = t.cpu;
  for (const image of [0x002, 0x8d7, 0x0020_4402, 0x3046]) {
    core.s.setGpr(RAX, BigInt(image));
    run(t, [0x50, 0x9d, 0x9c, 0x5b]); // push rax; popf; pushf; pop rbx
    assertEquals(core.s.gpr(RBX), BigInt(image));
    assertEquals(core.rflags, image);
  }
  core.s.setGpr(RAX, 0x0020_4402n);
  run(t, [0x50, 0x9d, 0x66, 0x6a, 0x46, 0x66, 0x9d]); // push 0x46; popfw: the upper half stays
  assertEquals(core.rflags, 0x0020_0046);
});

Deno.test("STAC and CLAC open and close user pages under SMAP", () => {
  const t = machine(64);
  const { core } = t.cpu;
  const page = 0x40_0000;
  const { view } = t.memory;
  for (const table of [0x1000, 0x2000]) view.setUint8(t.memory.offsetOf(table), 7);
  view.setBigUint64(t.memory.offsetOf(0x3000 + (page >> 21) * 8), BigInt(page) | 0x87n, true);
  core.s.set64(S.cr4, core.s.get64(S.cr4) | BigInt(CR4_SMAP));
  core.mmu.flush();
  core.updateMode();
  core.s.setGpr(RBX, BigInt(page));
  const load = [0x8b, 0x03];
  assertEquals(run(t, load), EXC_PF);
  const again = () => (core.setRflags(2), core.s.setGpr(RSP, BigInt(STACK_TOP)));
  again();
  assertEquals(run(t, [0x0f, 0x01, 0xcb, ...load, 0x0f, 0x01, 0xca]), -1); // stac; load; clac
  assertEquals(run(t, load), EXC_PF);
  again();
  assertEquals(run(t, [0x0f, 0x01, 0xcb, ...load, 0x0f, 0x01, 0xca, ...load]), EXC_PF);
});

Deno.test("SWAPGS exchanges, WRFSBASE sets what FS: addresses use", () => {
  const t = machine(64);
  const { s } = t.cpu.core;
  const gsBase = S.es + GS * segmentLayout.size;
  s.set64(gsBase, 0x1111n);
  s.set64(S.kernelGsBase, 0x2222n);
  assertEquals(run(t, [0x0f, 0x01, 0xf8]), -1);
  assertEquals([s.get64(gsBase), s.get64(S.kernelGsBase)], [0x2222n, 0x1111n]);
  s.setGpr(RAX, BigInt(DATA_BASE));
  t.write(DATA_BASE + 8, [0x5a]);
  const code = [
    0xf3,
    0x48,
    0x0f,
    0xae,
    0xd0,
    0x64,
    0x0f,
    0xb6,
    0x1c,
    0x25,
    8,
    0,
    0,
    0,
    0xf3,
    0x48,
    0x0f,
    0xae,
    0xc1,
  ];
  assertEquals(run(t, code), EXC_UD); // wrfsbase without CR4.FSGSBASE
  s.setGpr(RSP, BigInt(STACK_TOP));
  s.set64(S.cr4, s.get64(S.cr4) | BigInt(CR4_FSGSBASE));
  assertEquals(run(t, code), -1); // wrfsbase rax; movzx ebx, byte fs:[8]; rdfsbase rcx
  assertEquals([s.gpr(RBX), s.gpr(RCX)], [0x5an, BigInt(DATA_BASE)]);
  assertEquals(s.get64(S.es + FS * segmentLayout.size), BigInt(DATA_BASE));
});

Deno.test("UMIP hides descriptor tables, selectors and CR0 from programs", () => {
  const t = machine(64);
  const { core } = t.cpu;
  const asUser = (code: readonly number[], umip: boolean) => {
    for (const entry of [0x1000, 0x2000, 0x3000, 0x3008]) {
      const at = t.memory.offsetOf(entry); // the first 4 MiB are for users too
      t.memory.view.setUint8(at, t.memory.view.getUint8(at) | 4);
    }
    core.s.set64(S.cr4, umip ? core.s.get64(S.cr4) | 0x800n : core.s.get64(S.cr4) & ~0x800n);
    core.setCpl(3);
    core.updateMode();
    core.mmu.flush();
    const vector = run(t, [...code, 0x0f, 0x0b]); // UD2 ends it
    t.reset();
    setTables(t);
    return vector;
  };
  const memory = (reg: number) => [0x0f, 0x01, (reg << 3) | 4, 0x25, 0x00, 0x00, 0x30, 0x00];
  const hidden = [memory(0), memory(1), [0x0f, 0x01, 0xe0], [0x0f, 0x00, 0xc0], [0x0f, 0x00, 0xc8]];
  for (const code of hidden) {
    assertEquals(asUser(code, false), EXC_UD, `${code}`);
    assertEquals(asUser(code, true), EXC_GP, `${code} under UMIP`);
  }
  // SWAPGS and INVLPG (of a page far from all that are mapped) are not for programs at all.
  assertEquals(asUser([0x0f, 0x01, 0xf8], false), EXC_GP);
  assertEquals(asUser([0x0f, 0x01, 0x3c, 0x25, 0, 0, 0, 0x70], false), EXC_GP);
});

Deno.test("ARPL raises the RPL and says so in ZF", () => {
  const t = machine(32);
  const arpl = (destination: number, source: number) => {
    const vector = run(t, [0xb8, destination, 0, 0, 0, 0xb9, source, 0, 0, 0, 0x63, 0xc8]);
    return [vector, t.cpu.core.s.gpr32(RAX), t.cpu.core.rflags & FLAG_ZF];
  };
  assertEquals(arpl(0x10, 0x0b), [-1, 0x13, FLAG_ZF]);
  assertEquals(arpl(0x13, 0x08), [-1, 0x13, 0]);
});

Deno.test("WAIT, x87 and MMX are not available under CR0.TS, WAIT only with CR0.MP; MONITOR and MWAIT never", () => {
  const t = machine(64);
  const wait = [0x9b], fld1 = [0xd9, 0xe8], emms = [0x0f, 0x77];
  const under = (bits: bigint, code: readonly number[]) => {
    t.cpu.core.s.set64(S.cr0, 0x8000_0011n | bits);
    t.cpu.core.updateMode();
    return run(t, code);
  };
  assertEquals([wait, fld1, emms].map((code) => under(0n, code)), [-1, -1, -1]);
  assertEquals([wait, fld1, emms].map((code) => under(8n, code)), [-1, 7, 7]);
  assertEquals([wait, fld1].map((code) => under(10n, code)), [7, 7]);
  assertEquals([[0x0f, 0x01, 0xc8], [0x0f, 0x01, 0xc9]].map((code) => under(0n, code)), [EXC_UD, EXC_UD]);
});

Deno.test("MOV to and from control registers uses the whole register and REX.R", () => {
  let tpr = 5;
  const t = machine(64, { readTpr: () => tpr, writeTpr: (v) => void (tpr = v) });
  const { s } = t.cpu.core;
  s.setGpr(RDX, 9n);
  // mov rax, cr3; o16 mov rbx, cr0; mov rcx, cr8; mov cr8, rdx
  assertEquals(
    run(t, [0x0f, 0x20, 0xd8, 0x66, 0x0f, 0x20, 0xc3, 0x44, 0x0f, 0x20, 0xc1, 0x44, 0x0f, 0x22, 0xc2]),
    -1,
  );
  assertEquals([s.gpr(RAX), s.gpr(RBX), s.gpr(RCX), tpr], [0x1000n, 0x8000_0011n, 5n, 9]);
  assertEquals(run(t, [0x0f, 0x20, 0xc8]), EXC_UD); // CR1
});

Deno.test("IN, OUT, INS and OUTS reach the ports with their sizes", () => {
  const log: string[] = [];
  const t = machine(64, {
    bus: {
      readPort: (port, size) => (log.push(`in ${port} ${size}`), 0x8765_4321),
      writePort: (port, size, value) => log.push(`out ${port} ${size} ${value.toString(16)}`),
      readMmio: () => 0,
      writeMmio: () => {},
    },
  });
  const { s } = t.cpu.core;
  s.setGpr(RAX, 0xffff_ffff_ffff_ffffn);
  s.setGpr(RDX, 0x3f8n);
  run(t, [0xe4, 0xfe, 0x66, 0xed]); // in al, 0xfe; in ax, dx
  assertEquals(s.gpr(RAX), 0xffff_ffff_ffff_4321n);
  run(t, [0x48, 0xed, 0xee, 0x66, 0xe7, 0x80]); // rex.w in eax, dx; out dx, al; out 0x80, ax
  assertEquals(s.gpr(RAX), 0x8765_4321n);
  assertEquals(log, ["in 254 1", "in 1016 2", "in 1016 4", "out 1016 1 21", "out 128 2 4321"]);
  log.length = 0;
  t.write(DATA_BASE, [1, 2, 3]);
  s.setGpr(RCX, 3n);
  s.setGpr(RSI, BigInt(DATA_BASE));
  s.setGpr(RDI, BigInt(DATA_BASE + 16));
  run(t, [0xf3, 0x6e, 0x6d]); // rep outsb; insd
  assertEquals(log, ["out 1016 1 1", "out 1016 1 2", "out 1016 1 3", "in 1016 4"]);
  assertEquals([s.gpr(RCX), s.gpr(RDI)], [0n, BigInt(DATA_BASE + 20)]);
});

Deno.test("LAR, LSL and VERR look into the GDT and report in ZF", () => {
  const t = machine(64);
  const { core } = t.cpu;
  core.s.setGpr(RCX, BigInt(DATA));
  core.s.setGpr(RAX, 0x55n);
  run(t, [0x0f, 0x02, 0xc1, 0x0f, 0x03, 0xd9]); // lar eax, ecx; lsl ebx, ecx
  assertEquals([core.s.gpr(RAX), core.s.gpr(RBX)], [0xcf_9200n, 0xffff_ffffn]);
  assertEquals(core.rflags & FLAG_ZF, FLAG_ZF);
  core.s.setGpr(RCX, 0x1000n); // beyond the limit
  core.s.setGpr(RAX, 0x55n);
  run(t, [0x0f, 0x02, 0xc1]);
  assertEquals([core.s.gpr(RAX), core.rflags & FLAG_ZF], [0x55n, 0]);
  run(t, [0x0f, 0x00, 0xe1]); // verr cx
  assertEquals(core.rflags & FLAG_ZF, 0);
});

Deno.test("far jumps, calls and returns change CS; IRET comes back", () => {
  const t = machine(32);
  const { s } = t.cpu.core;
  const selector = () => s.segment(1).selector;
  // call 24:CODE+8 pushes CS and EIP; there: pop eax; pop ebx; hlt
  const target = CODE_BASE + 8;
  const bytes = [target & 0xff, (target >> 8) & 0xff, target >> 16, 0];
  assertEquals(run(t, [0x9a, ...bytes, CODE32, 0, HLT, 0x58, 0x5b]), -1);
  assertEquals([selector(), s.gpr(RAX), s.gpr(RBX)], [CODE32, BigInt(CODE_BASE + 7), 8n]);
  // jmp far [ebx], then retf to where EAX says
  t.write(DATA_BASE, [...bytes, CODE64, 0]);
  s.setGpr(RBX, BigInt(DATA_BASE));
  s.setGpr(RAX, BigInt(CODE_BASE + 6));
  assertEquals(run(t, [0xff, 0x2b, 0x90, 0x90, 0x90, 0x90, HLT, 0x90, 0x6a, CODE32, 0x50, 0xcb]), -1);
  assertEquals([selector(), s.get64(S.rip)], [CODE32, BigInt(CODE_BASE + 7)]);
  // pushf; push cs; push eax; iret
  assertEquals(run(t, [0x9c, 0x0e, 0x50, 0xcf, HLT, HLT, HLT]), -1);
  assertEquals(s.get64(S.rip), BigInt(CODE_BASE + 7));
  assertEquals(s.gpr(RSP), BigInt(STACK_TOP));
});

Deno.test("segment registers load from the GDT and read back; MOV CS is undefined", () => {
  const t = machine(32);
  const { s } = t.cpu.core;
  s.setGpr(RAX, 0xffff_0000n | BigInt(DATA));
  s.setGpr(RBX, 0xffff_ffffn);
  // mov ds, eax; push ds; pop es; mov ebx, es; mov ss, eax; mov [DATA], ss
  const store = [0x8c, 0x15, 0, 0, 0x30, 0];
  assertEquals(run(t, [0x8e, 0xd8, 0x1e, 0x07, 0x8c, 0xc3, 0x8e, 0xd0, ...store]), -1);
  assertEquals([s.gpr(RBX), s.segment(SS).selector], [BigInt(DATA), DATA]);
  assertEquals(read64(t, DATA_BASE) & 0xffffn, BigInt(DATA));
  assertEquals(run(t, [0x8e, 0xc8]), EXC_UD);
  s.setGpr(RAX, 0x40n);
  assertEquals(run(t, [0x8e, 0xd8]), EXC_GP);
  // lss esp, [DATA]: both or nothing
  t.write(DATA_BASE, [0, 0, 0x18, 0, DATA, 0]);
  assertEquals(run(t, [0x0f, 0xb2, 0x25, 0, 0, 0x30, 0]), -1);
  assertEquals(s.gpr(RSP), 0x18_0000n);
  t.write(DATA_BASE, [0, 0, 0x17, 0, 0x40, 0]);
  assertEquals(run(t, [0x0f, 0xb2, 0x25, 0, 0, 0x30, 0]), EXC_GP);
  assertEquals(s.gpr(RSP), 0x18_0000n - 16n);
});

Deno.test("a near branch with prefix 66 in 32-bit code goes to 16 bits of its target", () => {
  const t = machine(32);
  const { s } = t.cpu.core;
  t.write(0x0013, [HLT]);
  assertEquals(run(t, [0x66, 0xeb, 0x10]), -1);
  assertEquals(s.get64(S.rip), 0x14n);
  s.setGpr(RCX, 1n);
  assertEquals(run(t, [0x66, 0xe3, 0x10]), -1); // jecxz, not taken
  assertEquals(s.get64(S.rip), BigInt(CODE_BASE + 4));
  t.write(0x0014, [HLT]);
  assertEquals(run(t, [0x66, 0xe8, 0x10, 0]), -1); // call
  assertEquals(s.gpr(RSP), BigInt(STACK_TOP - 2));
});

Deno.test("SYSCALL saves RIP and flags and goes to LSTAR", () => {
  const t = machine(64);
  const { s } = t.cpu.core;
  s.set64(S.star, BigInt(CODE64) << 32n);
  s.set64(S.lstar, BigInt(HANDLER));
  s.set64(S.fmask, BigInt(FLAG_DF));
  assertEquals(run(t, [0xfd, 0x0f, 0x05]), -1); // std; syscall
  assertEquals([s.gpr(RCX), s.gpr(11) & 0x400n], [BigInt(CODE_BASE + 3), 0x400n]);
  assertEquals([s.get64(S.rip), s.get32(S.eflags) & FLAG_DF], [BigInt(HANDLER + 1), 0]);
});

Deno.test("LDMXCSR refuses reserved bits, STMXCSR stores", () => {
  const t = machine(64);
  const { s } = t.cpu.core;
  s.setGpr(RBX, BigInt(DATA_BASE));
  t.write(DATA_BASE, [0x80, 0x3f, 0, 0]);
  assertEquals(run(t, [0x0f, 0xae, 0x13, 0x0f, 0xae, 0x5b, 4]), -1);
  assertEquals(read64(t, DATA_BASE) >> 32n, 0x3f80n);
  t.write(DATA_BASE, [0, 0, 1, 0]);
  assertEquals(run(t, [0x0f, 0xae, 0x13]), EXC_GP);
});

Deno.test("RDRAND and RDSEED: a number of the machine's, CF set and the other flags clear", () => {
  const numbers = [0x1111_2222_3333_4444n, 0x5555_6666_7777_8888n];
  const t = machine(64, { random: () => numbers.shift() ?? 0n });
  const { s } = t.cpu.core;
  t.cpu.core.setRflags(0x8d6);
  s.setGpr(RDX, 0xffff_ffff_ffff_ffffn);
  assertEquals(run(t, [0x48, 0x0f, 0xc7, 0xf0, 0x66, 0x0f, 0xc7, 0xfa]), -1); // rdrand rax; rdseed dx
  assertEquals([s.gpr(RAX), s.gpr(RDX)], [0x1111_2222_3333_4444n, 0xffff_ffff_ffff_8888n]);
  assertEquals(t.cpu.core.rflags & 0x8d5, 1);
});

Deno.test("without a source of chance RDRAND repeats from power-on, and does not repeat itself", () => {
  const four = () => {
    const t = machine(64), values: bigint[] = [];
    for (let i = 0; i < 4; i++) {
      run(t, [0x48, 0x0f, 0xc7, 0xf0]);
      values.push(t.cpu.core.s.gpr(RAX));
    }
    return values;
  };
  const first = four();
  assertEquals(first, four());
  assertEquals(new Set(first).size, 4);
  assertEquals(first[0], 0xe220_a839_7b1d_cdafn); // SplitMix64 of seed 0: Vigna, prng.di.unimi.it/splitmix64.c
});

Deno.test("RDPID reads TSC_AUX, all of the register in 64-bit code", () => {
  for (const bits of [32, 64] as const) {
    const t = machine(bits), { s } = t.cpu.core;
    s.set64(S.tscAux, 0x8765_4321n);
    s.setGpr(RAX, 0xffff_ffff_ffff_ffffn);
    assertEquals(run(t, [0xf3, 0x0f, 0xc7, 0xf8]), -1);
    if (bits === 64) assertEquals(s.gpr(RAX), 0x8765_4321n);
    else assertEquals(s.gpr(RAX) & 0xffff_ffffn, 0x8765_4321n);
  }
});

Deno.test("INVPCID takes its descriptor from memory, above CPL 0 it does not look", () => {
  const t = machine(64), { s } = t.cpu.core;
  s.setGpr(RBX, BigInt(DATA_BASE));
  t.write(DATA_BASE, new Uint8Array(16));
  s.setGpr(RAX, 2n);
  const invpcid = [0x66, 0x0f, 0x38, 0x82, 0x03];
  assertEquals(run(t, invpcid), -1);
  t.write(DATA_BASE, [0, 0x10]);
  assertEquals(run(t, invpcid), EXC_GP);
  s.setGpr(RAX, 1n << 32n); // all of the register counts
  t.write(DATA_BASE, [0, 0]);
  assertEquals(run(t, invpcid), EXC_GP);
});

Deno.test("CLFLUSH, CLFLUSHOPT and CLWB fault as loads do", () => {
  for (const code of [[0x0f, 0xae, 0x3b], [0x66, 0x0f, 0xae, 0x3b], [0x66, 0x0f, 0xae, 0x33]]) {
    const t = machine(64);
    t.cpu.core.s.setGpr(RBX, BigInt(DATA_BASE));
    assertEquals(run(t, code), -1);
    t.cpu.core.s.setGpr(RBX, 0x7000_0000_0000n);
    assertEquals(run(t, code), EXC_PF);
  }
});

Deno.test("RDFSBASE and WRGSBASE want CR4.FSGSBASE, WRGSBASE a canonical address; 32 bits are zero-extended", () => {
  const t = machine(64);
  const { s } = t.cpu.core;
  const base = (index: number) => s.segment(index).base;
  const rdfsbase = [0xf3, 0x48, 0x0f, 0xae, 0xc0], wrgsbase = [0xf3, 0x48, 0x0f, 0xae, 0xdb]; // rax; rbx
  assertEquals([run(t, rdfsbase), run(t, wrgsbase)], [EXC_UD, EXC_UD]);
  s.set32(S.cr4, s.get32(S.cr4) | CR4_FSGSBASE);
  s.setGpr(RBX, 0x7fff_1234_5678n);
  assertEquals([run(t, wrgsbase), base(GS)], [-1, 0x7fff_1234_5678n]);
  assertEquals([run(t, [0xf3, 0x0f, 0xae, 0xc9]), s.gpr(RCX)], [-1, 0x1234_5678n]); // rdgsbase ecx
  s.setGpr(RBX, 0x8000_0000_0000n);
  assertEquals([run(t, wrgsbase), t.cpu.lastFault.errorCode, base(GS)], [EXC_GP, 0, 0x7fff_1234_5678n]);
  s.setGpr(RBX, 0xffff_ffff_0000_1000n);
  assertEquals([run(t, [0xf3, 0x0f, 0xae, 0xd3]), base(FS)], [-1, 0x1000n]); // wrfsbase ebx
  assertEquals([run(t, rdfsbase), s.gpr(RAX)], [-1, 0x1000n]);
});

Deno.test("LDMXCSR checks its bits, behind the ways SSE traps; STMXCSR", () => {
  const t = machine(64);
  const { core } = t.cpu, { s } = core;
  const ldmxcsr = [0x0f, 0xae, 0x13], stmxcsr = [0x0f, 0xae, 0x5b, 4];
  s.setGpr(RBX, BigInt(DATA_BASE));
  t.write(DATA_BASE, [0xc0, 0x9f, 0, 0]);
  assertEquals([run(t, ldmxcsr), s.get32(S.mxcsr)], [-1, 0x9fc0]);
  assertEquals([run(t, stmxcsr), read64(t, DATA_BASE)], [-1, 0x9fc0_0000_9fc0n]);
  t.write(DATA_BASE, [0, 0, 1, 0]);
  assertEquals([run(t, ldmxcsr), t.cpu.lastFault.errorCode, s.get32(S.mxcsr)], [EXC_GP, 0, 0x9fc0]);
  for (const [cr0, vector] of [[8, EXC_NM], [4, EXC_UD]] as const) {
    s.set32(S.cr0, s.get32(S.cr0) & ~12 | cr0);
    core.updateMode();
    assertEquals([run(t, ldmxcsr), run(t, stmxcsr)], [vector, vector]);
  }
});

Deno.test("MOV from control registers: those there are, at privilege 0", () => {
  const t = machine(64, { readTpr: () => 5 });
  const { core } = t.cpu, { s } = core;
  s.set64(S.cr2, 0xffff_8000_1234_5678n);
  const registers = [S.cr0, undefined, S.cr2, S.cr3, S.cr4];
  for (let n = 0; n < 16; n++) {
    const at = registers[n];
    const vector = run(t, [n < 8 ? 0x40 : 0x44, 0x0f, 0x20, 0xc3 | (n & 7) << 3]); // mov rbx, crn
    if (n === 8) assertEquals([vector, s.gpr(RBX)], [-1, 5n]);
    else if (at === undefined) assertEquals(vector, EXC_UD, `CR${n}`);
    else assertEquals([vector, s.gpr(RBX)], [-1, s.get64(at)], `CR${n}`);
  }
  core.setCpl(1);
  core.updateMode();
  assertEquals(run(t, [0x0f, 0x20, 0xd3]), EXC_GP);
});
