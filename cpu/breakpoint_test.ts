// SPDX-License-Identifier: MIT
// DR0-3, DR6, DR7. Expected values: SDM Vol. 3B §17.2-17.3 (faults before the instruction, traps behind it, lengths, RF),
// Vol. 3A §6.8.3 (MOV SS).
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, STACK_TOP, TestCpu } from "./_bare_cpu.ts";
import { S } from "./state/state.ts";

const DEBUG_HANDLER = 0x11_0000, INT_HANDLER = 0x11_0100;
const NOP = 0x90, HLT = 0xf4;
const RF = 1 << 16, TF = 1 << 8;

/** A breakpoint: R/W and LEN as DR7 has them. */
interface Breakpoint {
  readonly at: number;
  readonly use: "execute" | "write" | "io" | "access";
  readonly len?: 1 | 2 | 4 | 8;
  readonly enabled?: boolean;
}
function dr7Of(breakpoints: readonly Breakpoint[]): number {
  return breakpoints.reduce((dr7, { use, len = 1, enabled = true }, n) => {
    const field = ["execute", "write", "io", "access"].indexOf(use) | ({ 1: 0, 2: 1, 4: 3, 8: 2 }[len] << 2);
    return dr7 | (field << (16 + n * 4)) | (enabled ? 1 << (n * 2) : 0);
  }, 0x400) >>> 0;
}

interface Run {
  /** Offset of each #DB, the low bits of DR6, "rf" if the image has it. */
  readonly traps: string[];
  readonly t: TestCpu;
}
/**
 * Runs code with breakpoints set by MOV to DR, as the guest does it; the handler continues with RF set.
 */
function debug(
  how: typeof ENGINES[number],
  breakpoints: readonly Breakpoint[],
  code: readonly number[],
  set: {
    readonly bits?: 32 | 64;
    readonly flags?: number;
    readonly before?: (t: TestCpu) => void;
    rcx?: bigint;
  } = {},
): Run {
  const bits = set.bits ?? 64;
  const t = new TestCpu(bits, how);
  const iret = bits === 64 ? [0x48, 0xcf] : [0xcf];
  t.handlers({ 1: DEBUG_HANDLER, 0x21: INT_HANDLER });
  t.write(DEBUG_HANDLER, [HLT, ...iret]);
  t.write(INT_HANDLER, [NOP, ...iret]);
  t.cpu.core.s.set64(S.cr4, t.cpu.core.s.get64(S.cr4) | 8n); // DE
  const prologue = [
    ...breakpoints.flatMap((
      { at },
      n,
    ) => [0xb8, at & 255, (at >> 8) & 255, at >> 16, 0, 0x0f, 0x23, 0xc0 | (n << 3)]),
    0xb8,
    ...[0, 8, 16, 24].map((shift) => (dr7Of(breakpoints) >>> shift) & 255),
    0x0f,
    0x23,
    0xf8, // mov dr7,eax
  ];
  const start = CODE_BASE - prologue.length;
  t.write(start, prologue);
  t.write(CODE_BASE, [...code, HLT]);
  const registers = {
    rax: 0x1234n,
    rbx: BigInt(DATA_BASE),
    rcx: set.rcx ?? 4n,
    rdx: 0x60n,
    rsi: BigInt(DATA_BASE + 256),
  };
  t.cpu.writeRegisters({
    rip: BigInt(start),
    rflags: 2n,
    gprs: { ...registers, rdi: BigInt(DATA_BASE), rsp: BigInt(STACK_TOP) },
  });
  set.before?.(t);
  const { view } = t.memory;
  const traps: string[] = [];
  let result = t.cpu.run(100_000);
  while (result === "halted" && t.cpu.vcpu.rip === BigInt(DEBUG_HANDLER + 1) && traps.length < 20) {
    const at = t.memory.offsetOf(Number(t.cpu.vcpu.readGpr("rsp")));
    const flagsAt = at + (bits === 64 ? 16 : 8);
    const flags = view.getUint32(flagsAt, true), dr6 = t.cpu.core.s.get32(S.dr + 48) & 0xe00f;
    traps.push(`${view.getUint32(at, true) - CODE_BASE} ${dr6.toString(16)}${flags & RF ? " rf" : ""}`);
    t.cpu.core.s.set32(S.dr + 48, 0xffff_0ff0);
    view.setUint32(flagsAt, flags | RF, true);
    t.cpu.halted = false;
    result = t.cpu.run(100_000);
  }
  assertEquals(t.cpu.vcpu.rip, BigInt(CODE_BASE + code.length + 1), traps.join(", "));
  return { traps, t };
}
const x = (offset: number): Breakpoint => ({ at: CODE_BASE + offset, use: "execute" });
const w = (offset: number, len: Breakpoint["len"] = 1): Breakpoint => ({
  at: DATA_BASE + offset,
  use: "write",
  len,
});
const rw = (offset: number, len: Breakpoint["len"] = 1): Breakpoint => ({
  at: DATA_BASE + offset,
  use: "access",
  len,
});
const STORE = [0x89, 0x03]; // mov [rbx],eax
const LOAD = [0x8b, 0x0b]; // mov ecx,[rbx]

const CASES: readonly (readonly [
  name: string,
  breakpoints: readonly Breakpoint[],
  code: readonly number[],
  traps: readonly string[],
  set?: { bits?: 32 | 64; before?: (t: TestCpu) => void; rcx?: bigint },
])[] = [
  ["an instruction breakpoint is a fault with RF clear", [x(1)], [NOP, NOP, NOP], ["1 1"]],
  ["in 32-bit code", [x(1)], [NOP, NOP, NOP], ["1 1"], { bits: 32 }],
  ["each time round", [x(1)], [NOP, NOP, 0xe2, 0xfc], ["1 1", "1 1", "1 1"], { rcx: 3n }],
  ["two at one place", [x(2), x(2)], [NOP, NOP, NOP], ["2 3"]],
  ["one that is not enabled comes along", [x(1), { ...x(1), enabled: false }], [NOP, NOP], ["1 3"]],
  ["in the midst of an instruction: none", [x(1)], [0xb9, 1, 0, 0, 0, NOP], []],
  ["a write is a trap behind it", [w(0)], [...STORE, NOP], ["2 1"]],
  ["a read does not meet one for writes", [w(0)], [...LOAD, NOP], []],
  ["a read meets one for accesses", [rw(0)], [...LOAD, NOP], ["2 1"]],
  ["a read-modify-write", [rw(0)], [0x01, 0x03, NOP], ["2 1"]],
  ["lengths: last byte of four", [w(3)], [...STORE, NOP], ["2 1"]],
  ["lengths: behind four", [w(4)], [...STORE, NOP], []],
  ["lengths: low bits do not count", [w(7, 8)], [...STORE, NOP], ["2 1"]],
  ["lengths: two bytes at an odd address", [w(5, 2)], [0x88, 0x43, 4], ["3 1"]],
  ["lengths: two bytes, behind them", [w(5, 2)], [0x88, 0x43, 6], []],
  ["two at once", [w(0), rw(2)], [...STORE, NOP], ["2 3"]],
  ["PUSH", [{ at: STACK_TOP - 8, use: "write", len: 8 }], [0x50, 0x58], ["1 1"]],
  ["a call's return address", [{ at: STACK_TOP - 4, use: "write" }], [0xe8, 0, 0, 0, 0, 0x58], ["5 1"]],
  ["crossing into another page", [{ at: DATA_BASE + 4096, use: "write" }], [0x89, 0x83, 0xfe, 0x0f, 0, 0], [
    "6 1",
  ]],
  ["SSE", [rw(12)], [0x0f, 0x10, 0x03], ["3 1"]],
  ["x87", [rw(4)], [0xdd, 0x03, 0xdd, 0xd8], ["2 1"]],
  ["REP STOS: behind the iteration", [w(2)], [0xf3, 0xaa, NOP], ["0 1 rf"]],
  ["REP STOS: behind the last one", [w(3)], [0xf3, 0xaa, NOP], ["2 1"]],
  ["REP MOVS: source", [rw(257)], [0xf3, 0xa4, NOP], ["0 1 rf"]],
  ["at REP: before its first iteration", [x(1)], [NOP, 0xf3, 0xaa, NOP], ["1 1"]],
  ["MOV SS puts off its own data breakpoint", [rw(0)], [0x8e, 0x13, NOP, NOP], ["3 1"], {
    before: (t) => t.memory.view.setUint16(t.memory.offsetOf(DATA_BASE), 16, true),
  }],
  ["MOV SS keeps an instruction breakpoint off", [x(5), x(6)], [0xb8, 16, 0, 0, 0, 0x8e, 0xd0, NOP, NOP], [
    "5 1",
  ]],
  ["behind MOV SS", [x(7)], [0xb8, 16, 0, 0, 0, 0x8e, 0xd0, NOP, NOP], []],
  ["IN", [{ at: 0x60, use: "io" }], [0xec, NOP], ["1 1"]],
  ["OUT of four bytes", [{ at: 0x63, use: "io" }], [0xef, NOP], ["1 1"]],
  ["OUT elsewhere", [{ at: 0x61, use: "io" }], [0xee, NOP], []],
  ["REP OUTS", [{ at: 0x60, use: "io" }], [0xf3, 0x6e, NOP], ["0 1 rf", "2 1"], { rcx: 2n }],
];

for (const how of ENGINES) {
  for (const [name, breakpoints, code, traps, set] of CASES) {
    Deno.test(`breakpoints: ${name} (${how.name})`, () => {
      assertEquals(debug(how, breakpoints, code, set).traps, traps);
    });
  }

  Deno.test(`breakpoints: a data breakpoint and a single step are one #DB (${how.name})`, () => {
    const popf = [0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d]; // pushf; or dword [rsp],TF; popf
    const clear = [0x9c, 0x81, 0x24, 0x24, 0xff, 0xfe, 0xff, 0xff, 0x9d];
    const { traps } = debug(how, [w(0)], [...popf, ...STORE, ...clear]);
    assertEquals(traps, ["11 4001", "12 4000", "19 4000", "20 4000"]);
  });

  Deno.test(`breakpoints: what is not near one for data does not leave emitted code (${how.name})`, () => {
    // mov ecx,1000; mov rdi,data; l: inc dword [rdi+2000h]; add eax,[rdi+80h]; dec ecx; jnz l: the second is in its page
    const loop = (away: number) => [
      ...[
        0xb9,
        0xe8,
        3,
        0,
        0,
        0xff,
        0x87,
        0,
        0x20,
        0,
        0,
        0x03,
        0x87,
        0x80,
        away,
        0,
        0,
        0xff,
        0xc9,
        0x75,
        0xf0,
      ],
    ];
    for (const [away, slow] of [[0x30, 0], [0, 1000]] as const) {
      const seen: number[] = [];
      for (const breakpoints of [[], [w(0)]]) {
        const { traps, t } = debug(how, breakpoints, [...STORE, ...loop(away)]);
        assertEquals(traps, breakpoints.length === 0 ? [] : ["2 1"]);
        assertEquals(t.memory.view.getUint32(t.memory.offsetOf(DATA_BASE + 0x2000), true), 1000);
        seen.push(t.cpu.slowAccesses, t.cpu.exits.dispatch + t.cpu.exits.slice + t.cpu.exits.fault);
      }
      const [slowWithout, exitsWithout, slowWith, exitsWith] = seen as [number, number, number, number];
      assertEquals(slowWith - slowWithout < slow + 20, true, `slow accesses: ${seen}`);
      assertEquals(exitsWith - exitsWithout < 20, true, `ways out: ${seen}`);
    }
  });

  Deno.test(`breakpoints: one that moves is looked for where it is (${how.name})`, () => {
    // store; mov eax,data+1000h; mov dr0,rax; store; mov [rbx+1000h],eax; and back
    const move = (to: number) => [0xb8, to & 255, (to >> 8) & 255, to >> 16, 0, 0x0f, 0x23, 0xc0];
    const far = [0x89, 0x83, 0, 0x10, 0, 0];
    const code = [
      ...STORE,
      ...far,
      ...move(DATA_BASE + 0x1000),
      ...STORE,
      ...far,
      ...move(DATA_BASE),
      ...far,
      ...STORE,
    ];
    assertEquals(debug(how, [w(0)], code).traps, ["2 1", "24 1", "40 1"]);
  });

  Deno.test(`breakpoints: nothing is left when they are taken away (${how.name})`, () => {
    const off = [0xb8, 0, 4, 0, 0, 0x0f, 0x23, 0xf8];
    const { traps, t } = debug(how, [w(0)], [...STORE, ...off, ...STORE]);
    assertEquals(traps, ["2 1"]);
    const slow = t.cpu.slowAccesses;
    t.cpu.writeRegisters({ gprs: { rbx: BigInt(DATA_BASE) } });
    t.run([...STORE, ...STORE, ...STORE]);
    assertEquals(t.cpu.slowAccesses <= slow + 1, true, "stores are fast again");
  });

  Deno.test(`breakpoints: RF that IRET has popped is for one instruction, and saved if none has come (${how.name})`, () => {
    for (const atOnce of [false, true]) {
      const interrupts = { pending: false, acknowledge: () => (interrupts.pending = false, 0x40) };
      const writePort = () => {
        interrupts.pending = true;
        t.cpu.interruptsChanged();
      };
      const bus = { readPort: () => 0, writePort, readMmio: () => 0, writeMmio: () => {} };
      const t: TestCpu = new TestCpu(64, { ...how, hooks: { interrupts, bus } });
      t.handlers({ 0x40: INT_HANDLER });
      t.write(INT_HANDLER, [0x4c, 0x0b, 0x44, 0x24, 0x10, 0x48, 0xcf]); // or r8,[rsp+16]: the image; iretq
      const { core } = t.cpu;
      core.s.set64(S.dr, BigInt(DATA_BASE));
      core.s.set32(S.dr + 56, dr7Of([w(0)]));
      core.mmu.flush();
      core.setRflags(2);
      core.updateMode();
      t.cpu.writeRegisters({ gprs: { rcx: 50n, r8: 0n, rsp: BigInt(STACK_TOP) } });
      const toIret = [
        ...[0x48, 0x89, 0xe0, 0x6a, 0x10, 0x50], // mov rax,rsp; push 16; push rax
        ...[0x68, 0x02, atOnce ? 2 : 0, 0x01, 0x00, 0x6a, 0x08], // push RF|2, with IF or not; push 8
        ...[0x48, 0x8d, 0x05, 3, 0, 0, 0, 0x50, 0x48, 0xcf], // lea rax,[behind]; push rax; iretq
      ];
      const turn = [0xfa, 0xe6, 0x80, ...toIret]; // cli; out
      const rest = [0xeb, 0, 0xeb, 0, 0xfb, NOP, NOP, 0xff, 0xc9]; // two jumps; sti; dec ecx
      const back = 0x100 - (turn.length + rest.length + 2);
      t.run([...turn, ...rest, 0x75, back]); // jnz
      assertEquals([t.cpu.interrupts, t.cpu.vcpu.readGpr("rcx")], [50, 0n]);
      assertEquals((t.cpu.vcpu.readGpr("r8") & BigInt(RF)) !== 0n, atOnce);
    }
  });

  Deno.test(`breakpoints: DR7.GD is a fault with BD, and goes off (${how.name})`, () => {
    const t = new TestCpu(64, how);
    t.handlers({ 1: DEBUG_HANDLER });
    t.write(DEBUG_HANDLER, [HLT]);
    t.cpu.core.s.set32(S.dr + 56, 0x2400);
    t.run([NOP, 0x0f, 0x23, 0xc0]);
    const at = t.memory.offsetOf(Number(t.cpu.vcpu.readGpr("rsp")));
    assertEquals(t.memory.view.getUint32(at, true) - CODE_BASE, 1);
    assertEquals(t.memory.view.getUint32(at + 16, true) & (RF | TF), RF);
    assertEquals([t.cpu.core.s.get32(S.dr + 48) & 0xe00f, t.cpu.core.s.get32(S.dr + 56)], [0x2000, 0x400]);
  });
}
