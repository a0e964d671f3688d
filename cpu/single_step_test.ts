// SPDX-License-Identifier: MIT
// EFLAGS.TF: where traps come, with which flags in the saved image. Values: the host's CPU (an x86-64 program that steps
// itself and logs each SIGTRAP: POPF, IRET, REP MOVS and CMPS, MOV SS); SDM Vol. 3B §17.3.1.4 for the others.
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, STACK_TOP, TestCpu } from "./_bare_cpu.ts";

const DEBUG_HANDLER = 0x11_0000, INT_HANDLER = 0x11_0100, SYSCALL_HANDLER = 0x11_0200, SUBROUTINE = 0x11_0300;
const TF = 0x100, RF = 0x1_0000, IF = 0x200;
const NOP = 0x90, HLT = 0xf4, STI = 0xfb;
const INC = [0x83, 0xc3, 0x01]; // add ebx,1
/** pushf; and dword [esp],~TF; popf */
const CLEAR_TF = [0x9c, 0x81, 0x24, 0x24, 0xff, 0xfe, 0xff, 0xff, 0x9d];

/** Steps through `code`: "offset" of each trap, with "tf" or "rf" where the saved image has them. */
function step(bits: 32 | 64, options: typeof ENGINES[number], code: readonly number[], set: {
  readonly rcx?: bigint;
  readonly flags?: number;
  readonly before?: (t: TestCpu) => void;
} = {}): { readonly traps: string[]; readonly t: TestCpu } {
  const t = new TestCpu(bits, options);
  const iret = bits === 64 ? [0x48, 0xcf] : [0xcf];
  t.handlers({ 1: DEBUG_HANDLER, 0x21: INT_HANDLER });
  t.write(DEBUG_HANDLER, [HLT, ...iret]);
  t.write(INT_HANDLER, [NOP, ...INC, ...iret]);
  t.write(SYSCALL_HANDLER, [NOP, HLT]);
  t.write(SUBROUTINE, [...INC, 0xc3]);
  const start = () =>
    t.cpu.writeRegisters({
      gprs: {
        rax: 0n,
        rbx: 0n,
        rcx: set.rcx ?? 0n,
        rsp: BigInt(STACK_TOP),
        rsi: BigInt(DATA_BASE),
        rdi: BigInt(DATA_BASE + 64),
      },
      rflags: 2n,
    });
  start();
  set.before?.(t);
  start();
  t.cpu.writeRegisters({ rflags: BigInt(2 | TF | (set.flags ?? 0)) });
  const traps: string[] = [];
  const { view } = t.memory;
  let result = t.run(code);
  while (result === "halted" && t.cpu.vcpu.rip === BigInt(DEBUG_HANDLER + 1) && traps.length < 40) {
    const at = t.memory.offsetOf(Number(t.cpu.vcpu.readGpr("rsp")));
    const flags = view.getUint32(at + (bits === 64 ? 16 : 8), true);
    const offset = view.getUint32(at, true) - CODE_BASE;
    const where = offset >= 0x1_0000 ? `handler+${(offset - 0x1_0000) & 0xff}` : `${offset}`;
    traps.push([where, ...(flags & TF ? ["tf"] : []), ...(flags & RF ? ["rf"] : [])].join(" "));
    t.cpu.halted = false;
    result = t.cpu.run(100_000);
  }
  return { traps, t };
}

interface Case {
  readonly name: string;
  readonly bits?: 32 | 64;
  readonly code: readonly number[];
  readonly rcx?: bigint;
  readonly flags?: number;
  readonly traps: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: "each instruction",
    code: [NOP, ...INC, NOP, ...CLEAR_TF],
    traps: ["1 tf", "4 tf", "5 tf", "6 tf", "13 tf", "14"],
  },
  {
    name: "POPF that clears TF, and no further",
    code: [...CLEAR_TF, NOP, NOP],
    traps: ["1 tf", "8 tf", "9"],
  },
  {
    name: "REP MOVS: each iteration",
    code: [0xf3, 0xa4, ...CLEAR_TF],
    rcx: 3n,
    traps: ["0 tf rf", "0 tf rf", "2 tf", "3 tf", "10 tf", "11"],
  },
  {
    name: "REP STOS: each iteration",
    code: [0xf3, 0xaa, ...CLEAR_TF],
    rcx: 2n,
    traps: ["0 tf rf", "2 tf", "3 tf", "10 tf", "11"],
  },
  {
    name: "REP MOVS without iterations: once",
    code: [0xf3, 0xa4, ...CLEAR_TF],
    rcx: 0n,
    traps: ["2 tf", "3 tf", "10 tf", "11"],
  },
  {
    name: "REP OUTS: each iteration",
    code: [0xf3, 0x6e, ...CLEAR_TF],
    rcx: 2n,
    traps: ["0 tf rf", "2 tf", "3 tf", "10 tf", "11"],
  },
  {
    name: "REP INS: each iteration",
    code: [0xf3, 0x6c, ...CLEAR_TF],
    rcx: 2n,
    traps: ["0 tf rf", "2 tf", "3 tf", "10 tf", "11"],
  },
  {
    name: "REPE CMPS: until they differ",
    code: [0xf3, 0xa6, ...CLEAR_TF],
    rcx: 9n,
    traps: ["0 tf rf", "0 tf rf", "2 tf", "3 tf", "10 tf", "11"],
  },
  {
    name: "a jump to itself has no RF",
    code: [0xe2, 0xfe, ...CLEAR_TF],
    rcx: 3n,
    traps: ["0 tf", "0 tf", "2 tf", "3 tf", "10 tf", "11"],
  },
  {
    name: "MOV SS: not before the next instruction",
    code: [0x8c, 0xd0, 0x8e, 0xd0, NOP, ...CLEAR_TF],
    traps: ["2 tf", "5 tf", "6 tf", "13 tf", "14"],
  },
  {
    name: "POP SS: not before the next instruction",
    bits: 32,
    code: [0x16, 0x17, NOP, ...CLEAR_TF],
    traps: ["1 tf", "3 tf", "4 tf", "11 tf", "12"],
  },
  {
    name: "STI has no such shadow",
    code: [STI, NOP, ...CLEAR_TF],
    traps: ["1 tf", "2 tf", "3 tf", "10 tf", "11"],
  },
  {
    name: "INT n: not in its handler",
    code: [0xcd, 0x21, NOP, ...CLEAR_TF],
    traps: ["3 tf", "4 tf", "11 tf", "12"],
  },
  {
    name: "IRET that clears TF",
    bits: 32,
    code: [0x9c, 0x81, 0x24, 0x24, 0xff, 0xfe, 0xff, 0xff, 0x0e, 0x68, ...[0x0f, 0, 0x10, 0], 0xcf, NOP, NOP],
    traps: ["1 tf", "8 tf", "9 tf", "14 tf", "15"],
  },
  {
    name: "HLT: the trap ends it",
    code: [HLT, NOP, ...CLEAR_TF],
    traps: ["1 tf", "2 tf", "3 tf", "10 tf", "11"],
  },
  {
    name: "a call and its return",
    code: [0xe8, ...[0xfb, 0x02, 0x01, 0x00], NOP, ...CLEAR_TF],
    traps: ["handler+0 tf", "handler+3 tf", "5 tf", "6 tf", "7 tf", "14 tf", "15"],
  },
  {
    name: "a loop",
    code: [...INC, 0xe2, 0xfb, ...CLEAR_TF],
    rcx: 2n,
    traps: ["3 tf", "0 tf", "3 tf", "5 tf", "6 tf", "13 tf", "14"],
  },
];

for (const options of ENGINES) {
  for (const { name, bits: only, code, traps, ...set } of CASES) {
    for (const bits of only === undefined ? [32, 64] as const : [only]) {
      Deno.test(`single steps, ${name}: ${options.name}, ${bits} bit`, () => {
        const differ = (t: TestCpu) => {
          t.write(DATA_BASE, [1, 1, 2]);
          t.write(DATA_BASE + 64, [1, 1, 1]);
        };
        const fresh = step(bits, options, code, { ...set, before: differ });
        assertEquals(fresh.traps, traps);
        // The same code once without TF, so that it is known by then, compiled or not.
        const seen = step(bits, options, code, {
          ...set,
          before: (t) => (differ(t), t.run(code)),
        });
        if (code[0] !== HLT) assertEquals(seen.traps, traps);
      });
    }
  }

  const IA32_STAR = 0xc000_0081, IA32_LSTAR = 0xc000_0082, IA32_FMASK = 0xc000_0084;
  const inHandler = ["handler+0 tf", "handler+1 tf", "handler+2 tf"];
  for (const [fmask, traps] of [[TF, []], [0, inHandler]] as const) {
    Deno.test(`single steps, SYSCALL with FMASK ${fmask}: ${options.name}`, () => {
      const before = (t: TestCpu) => {
        t.cpu.writeMsr(IA32_STAR, 8n << 32n);
        t.cpu.writeMsr(IA32_LSTAR, BigInt(SYSCALL_HANDLER));
        t.cpu.writeMsr(IA32_FMASK, BigInt(fmask));
      };
      assertEquals(step(64, options, [0x0f, 0x05], { before }).traps.slice(0, 3), [...traps]);
    });
  }
}

Deno.test("a single step leaves BS in DR6, and the trap's handler runs without TF", () => {
  const { traps, t } = step(64, ENGINES[0], [NOP, ...CLEAR_TF], { flags: IF });
  assertEquals(traps.length, 4);
  assertEquals(t.cpu.readRegisters().debug[6], 0xffff_4ff0n);
});
