// SPDX-License-Identifier: MIT
// Where interrupts are taken: at every instruction boundary where IF allows (SDM Vol. 3A §6.8), but in the shadow of STI,
// MOV SS and POP SS. And instructions that the machine wants executed again.
import { assertEquals } from "@std/assert";
import { CODE_BASE, ENGINES, GDT, STACK_TOP, TestCpu } from "./_bare_cpu.ts";

const HANDLER = 0x11_0000, VECTOR = 0x20;
/** A device whose registers lie here: any write raises its interrupt. */
const DEVICE = 0x1000_0000;
const le32 = (n: number) => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];
const CLI = 0xfa, STI = 0xfb, NOP = 0x90, HLT = 0xf4;
const INC_ECX = [0x83, 0xc1, 0x01];
/** pushf; or dword [esp],0x200; popf */
const POPF_SETS_IF = [0x9c, 0x81, 0x0c, 0x24, 0, 2, 0, 0, 0x9d];
/** A frame for IRETQ, whose RIP is four bytes behind, and a look at the GDT, so that the TLB has it. */
const IRETQ_FRAME = [
  [0x8b, 0x04, 0x25, ...le32(GDT)], // mov eax,[GDT]
  [0x89, 0xe2, 0x6a, 0x10, 0x52], // mov edx,esp; push 10H; push rdx
  [0x9c, 0x81, 0x0c, 0x24, ...le32(0x200), 0x6a, 8], // pushf; or dword [rsp],200H; push 8
  [0x68, ...le32(CODE_BASE + 31)],
].flat();
/** mov dword [DEVICE],eax through EDI */
const STORE = [0x89, 0x07];

interface Case {
  readonly name: string;
  readonly bits?: 32 | 64;
  /** Pending from the start, else from the first write to the device or the port. */
  readonly pending: boolean;
  readonly code: (bits: 32 | 64) => number[];
  /** Offset in `code` of the instruction before which the interrupt is taken; undefined: never. */
  readonly at: number | undefined;
}

const CASES: readonly Case[] = [
  { name: "POPF that sets IF", pending: true, code: () => [...POPF_SETS_IF, NOP, CLI], at: 9 },
  {
    name: "POPF that sets IF, right before CLI",
    pending: true,
    code: () => [...POPF_SETS_IF, CLI, NOP],
    at: 9,
  },
  { name: "STI: after one more instruction", pending: true, code: () => [STI, NOP, CLI, NOP], at: 2 },
  { name: "STI and CLI: never", pending: true, code: () => [STI, CLI, NOP], at: undefined },
  { name: "STI twice: the second has no shadow", pending: true, code: () => [STI, STI, CLI], at: 2 },
  {
    name: "STI at the end of a page",
    pending: true,
    code: () => [0xe9, ...le32(0xffa), ...Array(0xffa).fill(HLT), STI, NOP, CLI, NOP],
    at: 0x1001,
  },
  { name: "STI and HLT", pending: true, code: () => [STI, HLT], at: 2 },
  {
    name: "STI, MOV SS: another instruction",
    bits: 32,
    pending: true,
    code: () => [0x8c, 0xd0, STI, 0x8e, 0xd0, NOP, CLI],
    at: 6,
  },
  {
    name: "MOV SS: not before the next instruction",
    bits: 32,
    pending: false,
    code: () => [0x8c, 0xd0, STI, NOP, 0xe7, 0x10, NOP, CLI],
    at: 6,
  },
  {
    name: "MOV SS that changes the mode: not before the next instruction",
    bits: 32,
    pending: true,
    code: () => [0xb8, 0x18, 0, 0, 0, 0xbb, 0x10, 0, 0, 0, 0x8e, 0xd0, STI, 0x8e, 0xd3, NOP, NOP, CLI],
    at: 16,
  },
  { name: "OUT", pending: false, code: () => [STI, NOP, 0xe6, 0x10, NOP, CLI], at: 4 },
  { name: "OUT, right before CLI", pending: false, code: () => [STI, NOP, 0xe6, 0x10, CLI, NOP], at: 4 },
  { name: "a store to a device", pending: false, code: () => [STI, NOP, ...STORE, NOP, CLI], at: 4 },
  {
    name: "a store to a device, right before CLI",
    pending: false,
    code: () => [STI, NOP, ...STORE, CLI, NOP],
    at: 4,
  },
  {
    name: "an exchange with a device",
    pending: false,
    code: () => [STI, NOP, 0x87, 0x07, NOP, CLI],
    at: 4,
  },
  {
    name: "a store to a device with IF clear, then STI",
    pending: false,
    code: () => [...STORE, NOP, STI, NOP, CLI],
    at: 5,
  },
  {
    name: "a store to a device in the shadow of STI",
    pending: false,
    code: () => [STI, ...STORE, NOP, CLI],
    at: 3,
  },
  {
    name: "a short REP STOS to a device",
    pending: false,
    code: () => [STI, 0xb9, ...le32(5), 0xf3, 0xab, CLI],
    at: 8,
  },
  {
    name: "IRET that sets IF",
    bits: 32,
    pending: true,
    code: () => [0x9c, 0x81, 0x0c, 0x24, 0, 2, 0, 0, 0x0e, 0x68, ...le32(CODE_BASE + 15), 0xcf, NOP, CLI],
    at: 15,
  },
  {
    name: "OUT with IF clear, then POPF",
    pending: false,
    code: () => [0xe6, 0x10, ...POPF_SETS_IF, NOP, CLI],
    at: 11,
  },
  {
    name: "OUT with IF clear, then IRETQ",
    bits: 64,
    pending: false,
    code: () => [...IRETQ_FRAME, 0xe6, 0x10, 0x48, 0xcf, NOP, CLI],
    at: IRETQ_FRAME.length + 4,
  },
  {
    name: "IRETQ that sets IF",
    bits: 64,
    pending: true,
    code: () => [...IRETQ_FRAME, 0xe6, 0x10, 0x48, 0xcf, NOP, CLI],
    at: IRETQ_FRAME.length + 4,
  },
  {
    name: "MOV to CR8",
    bits: 64,
    pending: false,
    code: () => [STI, NOP, 0x44, 0x0f, 0x22, 0xc0, NOP, CLI],
    at: 6,
  },
  {
    name: "WRMSR",
    pending: false,
    code: () => [STI, NOP, 0xb9, ...le32(0x80b), 0x0f, 0x30, NOP, CLI],
    at: 9,
  },
  {
    name: "IF clear all the time: never",
    pending: true,
    code: () => [NOP, ...STORE, 0xe6, 0x10, NOP],
    at: undefined,
  },
];

for (const options of ENGINES) {
  for (const { name, bits: only, pending, code, at } of CASES) {
    for (const bits of only === undefined ? [32, 64] as const : [only]) {
      Deno.test(`interrupts at boundaries, ${name}: ${options.name}, ${bits} bit`, () => {
        let waits = pending;
        const raise = () => void (waits = true);
        const t = new TestCpu(bits, {
          ...options,
          hooks: {
            bus: { readPort: () => 0, writePort: raise, readMmio: () => 0, writeMmio: raise },
            interrupts: {
              get pending() {
                return waits;
              },
              acknowledge: () => (waits = false, VECTOR),
            },
            writeTpr: raise,
            writeMsr: () => (raise(), true),
          },
        });
        t.handlers({ [VECTOR]: HANDLER });
        t.write(HANDLER, [HLT]);
        // A segment that is not flat, for changes of mode.
        t.memory.view.setBigUint64(t.memory.offsetOf(GDT + 0x18), 0x00cf_9300_1000_ffffn, true);
        t.cpu.writeRegisters({ gdtr: { base: BigInt(GDT), limit: 0x1f }, gprs: { rdi: BigInt(DEVICE) } });
        assertEquals(t.run(code(bits)), "halted");
        const { rip, gprs } = t.cpu.readRegisters();
        if (at === undefined) return assertEquals(rip, BigInt(CODE_BASE + code(bits).length + 1));
        assertEquals(rip, BigInt(HANDLER + 1));
        const { view } = t.memory;
        const saved = view.getUint32(t.memory.offsetOf(Number(gprs.rsp)), true);
        assertEquals(saved - CODE_BASE, at);
      });
    }
  }

  Deno.test(`interrupts at boundaries, a task switch that sets IF: ${options.name}`, () => {
    let waits = true;
    const t = new TestCpu(32, {
      ...options,
      hooks: {
        interrupts: {
          get pending() {
            return waits;
          },
          acknowledge: () => (waits = false, VECTOR),
        },
      },
    });
    t.handlers({ [VECTOR]: HANDLER });
    t.write(HANDLER, [HLT]);
    const { view } = t.memory;
    const at = (gpa: number) => t.memory.offsetOf(gpa);
    const OLD_TSS = 0x31_0000, NEW_TSS = 0x31_1000, selector = 0x18;
    // A 32-bit TSS, available; SDM Vol. 3A figure 8-2.
    view.setUint32(at(GDT + selector), (NEW_TSS & 0xffff) << 16 | 0x67, true);
    view.setUint32(at(GDT + selector + 4), 0x8900 | NEW_TSS >>> 16, true);
    for (
      const [offset, value] of [
        [0x20, CODE_BASE + 7], // EIP: behind the jump
        [0x24, 0x202], // EFLAGS
        [0x38, STACK_TOP - 64], // ESP
        ...[0x48, 0x50, 0x54, 0x58, 0x5c].map((segment) => [segment, 16] as const),
        [0x4c, 8], // CS
      ] as const
    ) view.setUint32(at(NEW_TSS + offset), value, true);
    const before = t.cpu.readRegisters().segments;
    const { gdtr } = t.cpu.readRegisters();
    // The old TSS is known by its register only: a jump clears its busy bit in the table, so it has an entry, too.
    view.setUint32(at(GDT + 0x20), (OLD_TSS & 0xffff) << 16 | 0x67, true);
    view.setUint32(at(GDT + 0x24), 0x8b00 | OLD_TSS >>> 16, true);
    t.cpu.writeRegisters({
      gdtr: { ...gdtr, limit: 0x27 },
      segments: {
        tr: { ...before.tr, selector: 0x20, base: BigInt(OLD_TSS), limit: 0x67, attributes: 0x8b },
      },
    });
    assertEquals(t.run([0xea, 0, 0, 0, 0, selector, 0, CLI, NOP]), "halted");
    const { rip, gprs } = t.cpu.readRegisters();
    assertEquals(rip, BigInt(HANDLER + 1));
    assertEquals(view.getUint32(at(Number(gprs.rsp)), true), CODE_BASE + 7);
  });

  for (const bits of [32, 64] as const) {
    for (const [what, call] of [["VMCALL", [0x0f, 0x01, 0xc1]], ["OUT", [0xe7, 0xe4]]] as const) {
      Deno.test(`${what} is executed again when that is asked for: ${options.name}, ${bits} bit`, () => {
        let waits = false;
        const seen: string[] = [];
        const hypercall = () => {
          const { vcpu } = t.cpu;
          seen.push(`call with rcx ${vcpu.readGpr("rcx")}`);
          if (vcpu.readGpr("rcx") === 0n) return;
          vcpu.writeGpr("rcx", vcpu.readGpr("rcx") - 1n);
          vcpu.retryInstruction();
          if (vcpu.readGpr("rcx") === 1n) waits = true;
        };
        const t: TestCpu = new TestCpu(bits, {
          ...options,
          hooks: {
            hypercall,
            bus: { readPort: () => 0, writePort: hypercall, readMmio: () => 0, writeMmio: () => {} },
            interrupts: {
              get pending() {
                return waits;
              },
              acknowledge: () => (waits = false, seen.push("interrupt"), VECTOR),
            },
          },
        });
        t.handlers({ [VECTOR]: HANDLER });
        t.write(HANDLER, bits === 64 ? [0x48, 0xcf] : [0xcf]);
        t.cpu.writeRegisters({ rflags: 0x202n, gprs: { rcx: 2n, rbx: 0n } });
        const code = [NOP, ...call, 0x83, 0xc3, 0x01]; // add ebx,1
        assertEquals(t.run(code), "halted");
        assertEquals(seen, ["call with rcx 2", "interrupt", "call with rcx 1", "call with rcx 0"]);
        assertEquals(t.cpu.readRegisters().gprs.rbx, 1n);
        // A request outside of any call is forgotten.
        t.cpu.vcpu.retryInstruction();
        seen.length = 0;
        assertEquals(t.run(code), "halted");
        assertEquals(seen, ["call with rcx 0"]);
      });
    }
  }
}

Deno.test("a run in which calls are executed again and again is stopped like any other", () => {
  let calls = 0;
  const t: TestCpu = new TestCpu(64, {
    hooks: {
      hypercall: () => {
        t.cpu.vcpu.retryInstruction();
        if (++calls === 3) t.cpu.requestStop();
      },
    },
  });
  assertEquals([t.run([NOP, 0x0f, 0x01, 0xc1, ...INC_ECX]), calls], ["stopped", 3]);
  assertEquals(t.cpu.vcpu.rip, BigInt(CODE_BASE + 1));
});
