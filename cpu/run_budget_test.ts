// SPDX-License-Identifier: MIT
// Whatever a guest does, run() comes back when its budget is spent. A guard throws where it would not.
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, STACK_TOP, TestCpu } from "./_bare_cpu.ts";
import { Tracer } from "./base/trace.ts";

const BUDGET = 20_000;
/** Deliveries, port and MMIO accesses and hypercalls that no run of this budget may reach. */
const GUARD = 400_000;
/** Not mapped in 64-bit mode; no memory in 32-bit mode. */
const NOWHERE = 0x8000_0000;
const HANDLER = 0x11_0000;
const le32 = (n: number) => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];
const UD2 = [0x0f, 0x0b];
/** Touches NOWHERE: mov eax,NOWHERE; mov [eax],eax. */
const TOUCH = [0xb8, ...le32(NOWHERE), 0x67, 0x89, 0x00];
const JMP_SELF = [0xeb, 0xfe];
const IRET = (bits: number) => bits === 64 ? [0x48, 0xcf] : [0xcf];
/** pushf; or dword [esp],0x100; popf */
const SET_TF = [0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d];

interface Loop {
  readonly name: string;
  readonly bits?: 32 | 64;
  readonly code: (bits: 32 | 64) => number[];
  /** Handlers by vector: code at HANDLER + 0x100 * vector, or an address. */
  readonly handlers?: (bits: 32 | 64) => Record<number, number[] | number>;
  readonly prepare?: (t: TestCpu) => void;
  readonly retries?: boolean;
  readonly interrupt?: { readonly vector: number };
  readonly result?: string;
}

const LOOPS: readonly Loop[] = [
  {
    name: "a page fault whose handler is not there",
    bits: 64,
    code: () => TOUCH,
    handlers: () => ({ 13: NOWHERE, 14: NOWHERE }),
  },
  { name: "an undefined instruction in its own handler", code: () => UD2, handlers: () => ({ 6: UD2 }) },
  {
    name: "a jump to nowhere, whose fault leads to nowhere",
    code: () => [0xb8, ...le32(NOWHERE), 0xff, 0xe0],
    handlers: () => ({ 13: NOWHERE, 14: NOWHERE }),
  },
  { name: "a fault whose handler returns to it", code: () => UD2, handlers: (bits) => ({ 6: IRET(bits) }) },
  {
    name: "a page fault whose handler returns to it",
    bits: 64,
    code: () => TOUCH,
    handlers: () => ({ 14: [0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf] }),
  },
  {
    name: "INT n in its own handler",
    code: () => [0xcd, 0x21],
    handlers: () => ({ 0x21: [0xbc, ...le32(STACK_TOP), 0xcd, 0x21] }),
  },
  {
    name: "INT3 whose handler is not there",
    code: () => [0xcc],
    handlers: () => ({ 3: NOWHERE, 13: NOWHERE, 14: NOWHERE }),
  },
  { name: "IRET to itself", bits: 32, code: () => [0x9c, 0x0e, 0x68, ...le32(CODE_BASE), 0xcf] },
  {
    name: "IRET to nowhere",
    bits: 32,
    code: () => [0x9c, 0x0e, 0x68, ...le32(NOWHERE), 0xcf],
    handlers: () => ({ 13: [0xcf] }),
  },
  {
    name: "a far jump to itself",
    bits: 32,
    code: () => [0xea, ...le32(CODE_BASE), 8, 0],
    handlers: () => ({}),
  },
  {
    name: "single steps of a jump to itself, the handler not there",
    code: () => [...SET_TF, ...JMP_SELF],
    handlers: () => ({ 1: NOWHERE, 13: NOWHERE, 14: NOWHERE }),
  },
  {
    name: "single steps of a jump to itself",
    code: () => [...SET_TF, ...JMP_SELF],
    handlers: (bits) => ({ 1: IRET(bits) }),
  },
  {
    name: "single steps of a long REP",
    code: () => [0xb9, ...le32(0x7fff_ffff), 0xbf, ...le32(DATA_BASE), ...SET_TF, 0xf3, 0xac],
    handlers: (bits) => ({ 1: IRET(bits), 13: IRET(bits) }),
    prepare: (t) => t.cpu.writeRegisters({ gprs: { rsi: BigInt(DATA_BASE) } }),
  },
  {
    name: "CR0 written again and again",
    code: (bits) => [0x0f, 0x20, 0xc0, 0x0f, 0x22, 0xc0, 0xeb, bits === 64 ? 0xf8 : 0xf8],
  },
  { name: "CR0.TS toggled", code: () => [0x0f, 0x20, 0xc0, 0x83, 0xf0, 0x08, 0x0f, 0x22, 0xc0, 0xeb, 0xf5] },
  {
    name: "INVLPG of the running page",
    code: () => [0x67, 0x0f, 0x01, 0x38, 0xeb, 0xfa],
    prepare: (t) => t.cpu.writeRegisters({ gprs: { rax: BigInt(CODE_BASE) } }),
  },
  {
    name: "a REP that faults in its first iteration",
    bits: 64,
    code: () => [0xb9, 0xff, 0xff, 0, 0, 0xbe, ...le32(NOWHERE), 0xbf, ...le32(DATA_BASE), 0xf3, 0xa4],
    handlers: (bits) => ({ 14: bits === 64 ? [0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf] : [] }),
  },
  {
    name: "REP OUTS without end",
    code: () => [0xb9, ...le32(0x7fff_ffff), 0xf3, 0x6e],
    prepare: (t) => t.cpu.writeRegisters({ gprs: { rsi: BigInt(DATA_BASE) } }),
  },
  {
    name: "REP INS to a device without end",
    bits: 32,
    code: () => [0xbf, ...le32(0x1000_0000), 0xb9, ...le32(0x0fff_ffff), 0xf3, 0x6c],
  },
  {
    name: "REP MOVS from device to device",
    bits: 32,
    code:
      () => [0xbf, ...le32(0x1000_0000), 0xbe, ...le32(0x1000_0000), 0xb9, ...le32(0x0fff_ffff), 0xf3, 0xa4],
  },
  { name: "CPUID and RDTSC", code: () => [0x0f, 0xa2, 0x0f, 0x31, 0xeb, 0xfa] },
  {
    name: "code that rewrites itself",
    code: () => [0x67, 0xc6, 0x05, ...le32(0), 0x90, 0x90, 0xeb, 0xf5],
    bits: 64,
  },
  {
    name: "MOV SS without end",
    code: () => [0x8c, 0xd0, 0x8e, 0xd0, 0x8e, 0xd0, 0x8e, 0xd0, 0xeb, 0xf8],
    handlers: () => ({}),
  },
  {
    name: "STI without end",
    code: () => [...Array(3000).fill(0xfb), 0xe9, ...le32(-3005)],
    handlers: (bits) => ({ 0x20: IRET(bits) }),
    interrupt: { vector: 0x20 },
  },
  {
    name: "an interrupt that is always there",
    code: () => [0xfb, ...JMP_SELF],
    handlers: (bits) => ({ 0x20: IRET(bits) }),
    interrupt: { vector: 0x20 },
  },
  {
    name: "an interrupt that is always there, to HLT",
    code: () => [0xfb, 0xf4, 0xeb, 0xfd],
    handlers: (bits) => ({ 0x20: IRET(bits) }),
    interrupt: { vector: 0x20 },
  },
  {
    name: "an interrupt that is always there, to nowhere",
    code: () => [0xfb, ...JMP_SELF],
    handlers: () => ({ 0x20: NOWHERE, 13: NOWHERE, 14: NOWHERE }),
    interrupt: { vector: 0x20 },
  },
  {
    name: "an interrupt that goes away when it is taken",
    code: () => [0xfb, ...JMP_SELF],
    interrupt: { vector: -1 },
  },
  { name: "a hypercall that is executed again for ever", code: () => [0x0f, 0x01, 0xc1], retries: true },
  { name: "a port write that is executed again for ever", code: () => [0xe7, 0xe4], retries: true },
  {
    name: "a REP OUTS whose write is executed again for ever",
    code: () => [0xb9, 4, 0, 0, 0, 0xf3, 0x6f],
    retries: true,
  },
  {
    name: "no IDT",
    code: () => UD2,
    prepare: (t) => t.cpu.writeRegisters({ idtr: { base: 0n, limit: 0 } }),
    result: "shutdown",
  },
];

function machine(loop: Loop, bits: 32 | 64, options: typeof ENGINES[number]): TestCpu {
  const tracer = new Tracer();
  let events = 0;
  const event = () => {
    if (++events > GUARD) throw new Error("run() does not come back");
  };
  tracer.configure(event, ["exception", "interrupt"]);
  const retry = () => (event(), loop.retries === true && t.cpu.vcpu.retryInstruction());
  const { interrupt } = loop;
  const t: TestCpu = new TestCpu(bits, {
    ...options,
    tracer,
    hooks: {
      bus: { readPort: () => (event(), 0), writePort: retry, readMmio: () => (event(), 0), writeMmio: event },
      hypercall: retry,
      interrupts: { pending: interrupt !== undefined, acknowledge: () => (event(), interrupt?.vector ?? -1) },
    },
  });
  const handlers: Record<number, number> = {};
  for (const [vector, code] of Object.entries(loop.handlers?.(bits) ?? {})) {
    const at = typeof code === "number" ? code : HANDLER + 0x100 * Number(vector);
    if (typeof code !== "number") t.write(at, code);
    handlers[Number(vector)] = at;
  }
  t.handlers(handlers);
  loop.prepare?.(t);
  return t;
}

for (const options of ENGINES) {
  for (const loop of LOOPS) {
    for (const bits of loop.bits === undefined ? [32, 64] as const : [loop.bits]) {
      Deno.test(`run() comes back from ${loop.name}: ${options.name}, ${bits} bit`, () => {
        const t = machine(loop, bits, options);
        assertEquals(t.run(loop.code(bits), BUDGET), loop.result ?? "budget");
        if (loop.result !== undefined) return;
        // Each slice spends some, and no more than about that.
        for (let slice = 0; slice < 3; slice++) {
          const before = t.cpu.instructions;
          assertEquals(t.cpu.run(BUDGET), "budget");
          const done = t.cpu.instructions - before;
          assertEquals([done > 0, done < 3 * BUDGET], [true, true], `${done} instructions`);
        }
      });
    }
  }
}
