// SPDX-License-Identifier: MIT
// Addresses that are not canonical, and near branches beyond the limit of CS. Vectors of user-mode cases: an Intel Xeon, by
// the signals its exceptions become (#SS: SIGBUS); the others: SDM Vol. 2 and Vol. 3A §6.15, APM Vol. 2 §8.2.
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, STACK_TOP, TestCpu } from "./_bare_cpu.ts";
import { EXC_GP, EXC_SS, S } from "./state/state.ts";

const BAD = 0x8000_0000_0000_0000n;
const HANDLER = 0x11_0000;

/** CODE_BASE once more, see atTheHole: the last megabyte below the hole between the canonical halves, and the first above. */
const LOWER_END = 0x7fff_fff0_0000n, UPPER_START = 0xffff_8000_0010_0000n;

/** Runs code, from the address `start`; vector and error code of what it faulted with, and where, or "none". */
function faultOf(t: TestCpu, code: readonly number[], start = BigInt(CODE_BASE)): string {
  t.cpu.exceptions.fill(0);
  if (code.length > 0) t.write(CODE_BASE, [...code, 0xf4]);
  t.cpu.halted = false;
  t.cpu.core.s.set64(S.rip, start);
  let end = t.cpu.run(1_000_000);
  while (end === "budget") end = t.cpu.run(1_000_000);
  const vector = t.cpu.exceptions.findIndex((n) => n > 0);
  if (vector < 0) return "none";
  const view = t.memory.view, at = t.memory.offsetOf(Number(t.cpu.vcpu.readGpr("rsp")));
  const wide = t.bits === 64;
  const error = view.getUint32(at, true);
  const rip = wide ? view.getBigUint64(at + 8, true) : BigInt(view.getUint32(at + 4, true));
  return `${vector}(${error})+${rip - start}`;
}

/** A CPU whose exceptions lead to HLT on a stack of their own. */
function withHandlers(how: typeof ENGINES[number], bits: 32 | 64 = 64): TestCpu {
  const t = new TestCpu(bits, how);
  t.handlers({ 12: HANDLER, 13: HANDLER });
  t.write(HANDLER, [0xf4]);
  if (bits === 64) {
    const { view } = t.memory;
    const at = (gpa: number) => t.memory.offsetOf(gpa);
    for (const vector of [12, 13]) view.setUint8(at(0x6000 + vector * 16 + 4), 1); // IST1
    const { core } = t.cpu;
    core.setSegment(7, 0x28, 0x7000, 0, 0x67, 0x8b);
    view.setBigUint64(at(0x7000 + 0x24), BigInt(STACK_TOP - 0x1000), true);
  }
  return t;
}

/** The same with the first two megabytes of memory also at either end of the hole. */
function atTheHole(how: typeof ENGINES[number]): TestCpu {
  const t = withHandlers(how);
  const put = (gpa: number, index: number, entry: number) =>
    t.memory.view.setBigUint64(t.memory.offsetOf(gpa) + 8 * index, BigInt(entry), true);
  put(0x1000, 255, 0xa003); // PML4
  put(0x1000, 256, 0x2003);
  put(0xa000, 511, 0xb003);
  put(0xb000, 511, 0x83);
  return t;
}

const OPERANDS: readonly (readonly [name: string, code: readonly number[], vector: number, reg: string])[] = [
  ["mov ecx,[rax]", [0x8b, 0x08], EXC_GP, "rax"],
  ["mov ecx,[rbp]", [0x8b, 0x4d, 0], EXC_SS, "rbp"],
  ["mov [rbp],ecx", [0x89, 0x4d, 0], EXC_SS, "rbp"],
  ["add [rbp+8],ecx", [0x01, 0x4d, 8], EXC_SS, "rbp"],
  ["ds mov ecx,[rbp]", [0x3e, 0x8b, 0x4d, 0], EXC_SS, "rbp"],
  ["es mov ecx,[rbp]", [0x26, 0x8b, 0x4d, 0], EXC_SS, "rbp"],
  ["cs mov ecx,[rbp]", [0x2e, 0x8b, 0x4d, 0], EXC_SS, "rbp"],
  ["ss mov ecx,[rax]", [0x36, 0x8b, 0x08], EXC_GP, "rax"],
  ["fs mov ecx,[rbp]", [0x64, 0x8b, 0x4d, 0], EXC_GP, "rbp"],
  ["gs mov ecx,[rsp]", [0x65, 0x8b, 0x0c, 0x24], EXC_GP, "rsp"],
  ["mov ecx,[rsp+8]", [0x8b, 0x4c, 0x24, 8], EXC_SS, "rsp"],
  ["mov ecx,[rcx+rbp]", [0x8b, 0x0c, 0x29], EXC_GP, "rbp"],
  ["mov ecx,[rbp+rsi]", [0x8b, 0x4c, 0x35, 0], EXC_SS, "rsi"],
  ["mov ecx,[rbp*1]", [0x8b, 0x0c, 0x2d, 0, 0, 0, 0], EXC_GP, "rbp"],
  ["movaps xmm0,[rbp]", [0x0f, 0x28, 0x45, 0], EXC_SS, "rbp"],
  ["movaps xmm0,[rbp+1]", [0x0f, 0x28, 0x45, 1], EXC_GP, "rbp"],
  ["movups xmm0,[rbp]", [0x0f, 0x10, 0x45, 0], EXC_SS, "rbp"],
  ["fxsave [rbp]", [0x0f, 0xae, 0x45, 0], EXC_SS, "rbp"],
  ["fxsave [rbp+4]", [0x0f, 0xae, 0x45, 4], EXC_SS, "rbp"],
  ["fxrstor [rsi]", [0x0f, 0xae, 0x0e], EXC_GP, "rsi"],
  ["fld qword [rbp]", [0xdd, 0x45, 0], EXC_SS, "rbp"],
  ["fld tword [rbp]", [0xdb, 0x6d, 0], EXC_SS, "rbp"],
  ["ds fld qword [rbp]", [0x3e, 0xdd, 0x45, 0], EXC_SS, "rbp"],
  ["ldmxcsr [rbp]", [0x0f, 0xae, 0x55, 0], EXC_SS, "rbp"],
  ["cmpxchg8b [rbp]", [0x0f, 0xc7, 0x4d, 0], EXC_SS, "rbp"],
  ["clflush [rbp]", [0x0f, 0xae, 0x7d, 0], EXC_SS, "rbp"],
  ["bt [rbp],ecx", [0x0f, 0xa3, 0x4d, 0], EXC_SS, "rbp"],
  ["push rax", [0x50], EXC_SS, "rsp"],
  ["pop rcx", [0x59], EXC_SS, "rsp"],
  ["push [rbp]", [0xff, 0x75, 0], EXC_SS, "rbp"],
  ["push [rax]", [0xff, 0x30], EXC_GP, "rax"],
  ["pop [rbp]", [0x8f, 0x45, 0], EXC_SS, "rbp"],
  ["pop [rax]", [0x8f, 0x00], EXC_GP, "rax"],
  ["leave", [0xc9], EXC_SS, "rbp"],
  ["enter 8,0", [0xc8, 8, 0, 0], EXC_SS, "rsp"],
  ["lodsb", [0xac], EXC_GP, "rsi"],
  ["xlat", [0xd7], EXC_GP, "rbx"],
  ["jmp [rbp]", [0xff, 0x65, 0], EXC_SS, "rbp"],
  ["jmp rax", [0xff, 0xe0], EXC_GP, "rax"],
  ["call rax", [0xff, 0xd0], EXC_GP, "rax"],
];

for (const how of ENGINES) {
  Deno.test(`canonical: operands raise #SS by RSP and RBP as base, else #GP (${how.name})`, () => {
    for (const [name, code, vector, reg] of OPERANDS) {
      const t = withHandlers(how);
      const gprs = {
        rax: 0n,
        rbx: 0n,
        rcx: 0n,
        rbp: BigInt(DATA_BASE),
        rsi: BigInt(DATA_BASE),
        rsp: BigInt(STACK_TOP),
      };
      t.cpu.writeRegisters({ gprs: { ...gprs, [reg]: BAD } });
      assertEquals(faultOf(t, code), `${vector}(0)+0`, name);
      assertEquals(t.cpu.vcpu.readGpr("rcx"), 0n, name);
    }
  });

  Deno.test(`canonical: a near branch to nowhere faults itself and leaves RSP alone (${how.name})`, () => {
    const branches: readonly (readonly [string, readonly number[], number])[] = [
      ["ret", [0x50, 0xc3], 1],
      ["ret 8", [0x50, 0xc2, 8, 0], 1],
      ["jmp [rsp]", [0x50, 0xff, 0x24, 0x24], 1],
      ["call [rsp]", [0x50, 0xff, 0x14, 0x24], 1],
    ];
    for (const [name, code, at] of branches) {
      for (const bad of [BAD, 0x0000_8000_0000_0000n, 0xffff_7fff_ffff_ffffn]) {
        const t = withHandlers(how);
        t.cpu.writeRegisters({ gprs: { rax: bad, rsp: BigInt(STACK_TOP) } });
        assertEquals(faultOf(t, code), `13(0)+${at}`, name);
        const frame = t.memory.offsetOf(Number(t.cpu.vcpu.readGpr("rsp")));
        assertEquals(t.memory.view.getBigUint64(frame + 32, true), BigInt(STACK_TOP - 8), name);
      }
    }
    // The stack is looked at first.
    const t = withHandlers(how);
    t.cpu.writeRegisters({ gprs: { rax: BAD, rsp: BAD } });
    assertEquals(faultOf(t, [0xff, 0xd0]), "12(0)+0");
  });

  Deno.test(`canonical: a relative branch out of either half faults itself (${how.name})`, () => {
    const up = [0, 0, 0x10, 0], down = [0, 0, 0xe0, 0xff]; // over 1 MiB and back over 2
    const out: readonly (readonly [string, (d: number[]) => number[], at: number, before?: number[]])[] = [
      ["jmp rel", (d) => [0xe9, ...d], 0],
      ["call rel", (d) => [0xe8, ...d], 0],
      ["jz rel", (d) => [0x0f, 0x84, ...d], 2, [0x39, 0xc0]],
      ["jnz rel, not taken", (d) => [0x0f, 0x85, ...d], -1, [0x39, 0xc0]],
      ["call rel without a stack", (d) => [0xe8, ...d], 3, [0x48, 0x89, 0xdc]], // mov rsp,rbx
    ];
    for (const [half, distance] of [[LOWER_END, up], [UPPER_START, down]] as const) {
      for (const [name, code, at, before = []] of out) {
        const t = atTheHole(how);
        t.cpu.writeRegisters({ gprs: { rax: 0n, rbx: BAD, rcx: 9n, rsp: BigInt(STACK_TOP) } });
        const vector = name.endsWith("stack") ? EXC_SS : EXC_GP;
        const wanted = at < 0 ? "none" : `${vector}(0)+${at}`;
        assertEquals(faultOf(t, [...before, ...code(distance)], half), wanted, name);
        if (at < 0) continue;
        const frame = t.memory.offsetOf(Number(t.cpu.vcpu.readGpr("rsp")));
        const rsp = name.endsWith("stack") ? BAD : BigInt(STACK_TOP);
        assertEquals(t.memory.view.getBigUint64(frame + 32, true), rsp, name);
      }
    }
  });

  Deno.test(`canonical: LOOP and JRCXZ at the last page, hot, leave RCX alone where they fault (${how.name})`, () => {
    // 1: dec eax; jnz 1; then a branch over the border from the last bytes of the page.
    const turns = [0xff, 0xc8, 0x75, 0xfc];
    const branches: readonly (readonly [string, readonly number[], rcx: bigint])[] = [
      ["loop", [0xe2, 0x7e], 9n],
      ["loope", [0xe1, 0x7e], 9n],
      ["jrcxz", [0xe3, 0x7e], 0n],
    ];
    for (const [name, code, rcx] of branches) {
      const t = atTheHole(how);
      t.write(0x1f_ffe0, [...turns, ...code, 0xf4]);
      t.cpu.writeRegisters({ gprs: { rax: 100_000n, rcx, rsp: BigInt(STACK_TOP) } });
      const start = LOWER_END + BigInt(0x1f_ffe0 - CODE_BASE);
      for (let round = 0; round < 2; round++) {
        t.cpu.writeRegisters({ gprs: { rax: 100_000n } });
        assertEquals(faultOf(t, [], start), "13(0)+4", name);
        assertEquals(t.cpu.vcpu.readGpr("rcx"), rcx, name);
        t.cpu.writeRegisters({ gprs: { rsp: BigInt(STACK_TOP) } });
      }
    }
  });

  Deno.test(`canonical: near branches beyond the limit of CS fault themselves (${how.name})`, () => {
    const far = [0, 0, 0x10, 0]; // + 1 MiB
    const branches: readonly (readonly [string, number[], number, number[]?])[] = [
      ["jmp rel", [0xe9, ...far], 0],
      ["jz rel", [0x0f, 0x84, ...far], 2, [0x39, 0xc0]],
      ["jnz rel, not taken", [0x0f, 0x85, ...far], -1, [0x39, 0xc0]],
      ["call rel", [0xe8, ...far], 0],
      ["jmp eax", [0xff, 0xe0], 0],
      ["call eax", [0xff, 0xd0], 0],
      ["ret", [0xc3], 1, [0x50]],
      ["loop", [0xe2, 0x7e], 0],
    ];
    for (const [name, code, at, before = []] of branches) {
      const t = withHandlers(how, 32);
      const { core } = t.cpu;
      core.s.set32(S.cs + 8, name === "loop" ? CODE_BASE + 0x40 : 0x18_0000);
      core.updateMode();
      t.cpu.writeRegisters({ gprs: { rax: 0x20_0000n, rcx: 9n, rsp: BigInt(STACK_TOP) } });
      assertEquals(faultOf(t, [...before, ...code]), at < 0 ? "none" : `13(0)+${at}`, name);
      assertEquals(t.cpu.vcpu.readGpr("rcx"), 9n, name);
    }
  });

  Deno.test(`canonical: MSRs that hold addresses, bases of LDT and TSS (${how.name})`, () => {
    const wrmsr = [0x0f, 0x30];
    for (const msr of [0x175, 0x176, 0xc000_0082, 0xc000_0083, 0xc000_0100, 0xc000_0101, 0xc000_0102]) {
      const t = withHandlers(how);
      t.cpu.writeRegisters({ gprs: { rcx: BigInt(msr), rdx: 0x8000n, rax: 0n } });
      assertEquals(faultOf(t, wrmsr), "13(0)+0", msr.toString(16));
    }
    for (const [name, type, modrm] of [["lldt", 0x82, 0xd0], ["ltr", 0x89, 0xd8]] as const) {
      for (
        const [high, expected] of [[0x8000, "13(24)+0"], [0x7fff, "none"], [0xffff_8000, "none"]] as const
      ) {
        const t = withHandlers(how);
        const { view } = t.memory, at = t.memory.offsetOf(0x5000 + 24);
        view.setBigUint64(at, (BigInt(type) << 40n) | 0x67n, true);
        view.setUint32(at + 8, high, true);
        view.setUint32(at + 12, 0, true);
        t.cpu.writeRegisters({ gdtr: { base: 0x5000n, limit: 0x3f }, gprs: { rax: 24n } });
        assertEquals(faultOf(t, [0x0f, 0x00, modrm]), expected, `${name} ${high.toString(16)}`);
        if (expected !== "none") assertEquals(view.getUint8(at + 5), type, "not marked busy");
      }
    }
  });
}

for (const how of ENGINES) {
  Deno.test(`16-bit code above 64 KiB: EIP runs on; 16-bit branches cut it, 32-bit ones do not (${how.name})`, () => {
    const t = new TestCpu(32, how);
    const { core } = t.cpu;
    core.s.set32(S.cs + 12, 0x9b | (1 << 7) | (1 << 15)); // D clear, 4 GiB
    core.updateMode();
    t.write(0x10, [0x43, 0xf4]); // inc bx; hlt
    t.write(CODE_BASE + 0x100, [0x43, 0x43, 0xf4]);
    t.cpu.writeRegisters({ gprs: { rbx: 0n } });
    t.run([0x43, 0x43, 0x66, 0xe9, 0xf8, 0, 0, 0]); // jmp dword +0xf8
    assertEquals([t.cpu.vcpu.readGpr("rbx"), t.cpu.vcpu.rip], [4n, BigInt(CODE_BASE + 0x103)]);
    t.run([0x43, 0xe9, 0x0c, 0]); // jmp word +0xc: to 0x10
    assertEquals([t.cpu.vcpu.readGpr("rbx"), t.cpu.vcpu.rip], [6n, 0x12n]);
  });
}
