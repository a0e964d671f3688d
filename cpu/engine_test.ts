// SPDX-License-Identifier: MIT
// The engines through their interface. Values after INIT: SDM Vol. 3A table 9-1; NMIs: §6.7.
import { ConfigError } from "./base/assert.ts";
import { assertEquals, assertThrows } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, noHooks, STACK_TOP, TestCpu } from "./_bare_cpu.ts";
import type { Engine } from "./base/engine.ts";
import { MiB } from "./base/bits.ts";
import { GuestMemory } from "./base/guest_memory.ts";
import { engineFactory } from "./engines.ts";
import { STATE_FORMAT } from "./state/saved_state.ts";

/** Mixes registers, carry from turn to turn, memory, x87 and SSE; then HLT. EAX, EBX, EDX, EDI and the data matter. */
const MIXER = [
  [0xb9, 0xa0, 0x86, 0x01, 0x00], // mov ecx,100000
  [0xbf, 0x00, 0x00, 0x30, 0x00], // mov edi,DATA_BASE
  [0xd9, 0xe8], // fld1
  [0xf8], // clc
  // again:
  [0x83, 0xd3, 0x00], // adc ebx,0
  [0x69, 0xc0, 0x0d, 0x66, 0x19, 0x00], // imul eax,eax,1664525
  [0x05, 0x5f, 0xf3, 0x6e, 0x3c], // add eax,1013904223
  [0xd9, 0xe8], // fld1
  [0xde, 0xc1], // faddp
  [0x66, 0x0f, 0x6e, 0xc8], // movd xmm1,eax
  [0x66, 0x0f, 0xfe, 0xc1], // paddd xmm0,xmm1
  [0x05, 0x01, 0x00, 0x00, 0x80], // add eax,0x80000001
  [0x89, 0x07], // mov [edi],eax
  [0x8d, 0x7f, 0x04], // lea edi,[edi+4]
  [0xe2, 0xd8 + 0], // loop again (the offset is filled in below)
  [0xdf, 0x3f], // fistp qword [edi]
  [0x66, 0x0f, 0x7e, 0xc2], // movd edx,xmm0
  [0x83, 0xd3, 0x00], // adc ebx,0
].flat();
const LOOP = MIXER.lastIndexOf(0xe2), AGAIN = MIXER.indexOf(0xf8) + 1;
MIXER[LOOP + 1] = (AGAIN - LOOP - 2) & 0xff;

function outcome(t: TestCpu): unknown {
  const { gprs, rip, rflags } = t.cpu.readRegisters();
  const data = new Uint8Array(400_008);
  t.memory.read(DATA_BASE, data);
  return [gprs, rip, rflags, t.cpu.instructions, data.reduce((sum, b) => (Math.imul(sum, 31) + b) | 0, 0)];
}

for (const options of ENGINES) {
  for (const bits of [32, 64] as const) {
    Deno.test(`Engine saved in the middle of a run goes on in another one: ${options.name}, ${bits} bit`, () => {
      const straight = new TestCpu(bits, options), first = new TestCpu(bits, options);
      assertEquals(straight.run(MIXER, 10_000_000), "halted");
      assertEquals(first.run(MIXER, 300_000), "budget");
      const state = structuredClone(first.cpu.save());
      const second = new TestCpu(bits, options);
      second.run([0x0f, 0xa2, 0xd9, 0xee]); // something else: cpuid, fldz
      second.memory.bytes.set(first.memory.bytes.subarray(first.memory.map.ram), first.memory.map.ram);
      second.cpu.load(state);
      assertEquals(second.cpu.readRegisters(), first.cpu.readRegisters());
      assertEquals(second.cpu.instructions, first.cpu.instructions);
      for (const t of [first, second]) {
        assertEquals(t.cpu.run(10_000_000), "halted");
        assertEquals(outcome(t), outcome(straight));
      }
    });
  }
}

Deno.test("Engine loads what another kind of engine has saved, halted or not, and refuses other formats", () => {
  const a = new TestCpu(64, { engine: "interp" }), b = new TestCpu(64, { engine: "jit" });
  a.run([0xb8, 1, 2, 3, 4]);
  assertEquals([a.cpu.halted, b.cpu.halted], [true, false]);
  b.cpu.load(a.cpu.save());
  assertEquals([b.cpu.halted, b.cpu.readRegisters()], [true, a.cpu.readRegisters()]);
  assertThrows(() => b.cpu.load({ format: "kvm/1", data: {} }), ConfigError, STATE_FORMAT);
  assertEquals(b.cpu.readRegisters().gprs.rax, 0x0403_0201n); // nothing changed
});

async function engine(name: "interp" | "jit"): Promise<Engine> {
  const factory = await engineFactory(name, () => {
    throw new Error("there is no KVM in this test");
  });
  return factory.create(new GuestMemory(2 * MiB, factory.reservedBytes), noHooks());
}

Deno.test("Engine registers go in and out as plain data", async () => {
  const e = await engine("interp");
  const before = e.readRegisters();
  assertEquals([before.rip, before.segments.cs.base, before.control.cr0], [
    0xfff0n,
    0xffff_0000n,
    0x6000_0010n,
  ]);
  assertEquals([before.debug[6], before.debug[7]], [0xffff_0ff0n, 0x400n]);
  const flat = { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b };
  const user = { selector: 0x23, base: 0n, limit: 0xffff_ffff, attributes: 0xc0f3 };
  e.writeRegisters({
    gprs: { rax: -1n, r15: 5n },
    rip: 0x1000n,
    rflags: 0x246n,
    control: { cr0: 0x11n, cr2: 7n },
    segments: { cs: { ...flat, selector: 0x1b, attributes: 0xc0fb }, ss: user, ds: user },
    gdtr: { base: 0x1234n, limit: 0xff },
    idtr: { base: 0x5678n, limit: 0x7ff },
  });
  const after = e.readRegisters();
  assertEquals([after.gprs.rax, after.gprs.r15, after.gprs.rbx], [0xffff_ffff_ffff_ffffn, 5n, 0n]);
  assertEquals([after.rip, after.rflags, after.control.cr0, after.control.cr2], [0x1000n, 0x246n, 0x11n, 7n]);
  assertEquals([after.gdtr, after.idtr], [{ base: 0x1234n, limit: 0xff }, { base: 0x5678n, limit: 0x7ff }]);
  assertEquals([e.vcpu.cpl, e.vcpu.codeBits, after.segments.ss], [3, 32, user]);
  e.writeRegisters(before);
  assertEquals(e.readRegisters(), before);
});

const IA32_EFER = 0xc000_0080, IA32_PAT = 0x277, IA32_MTRR_DEF_TYPE = 0x2ff, IA32_TSC = 0x10;
Deno.test("Engine INIT leaves x87, SSE, the TSC and MSRs alone, a reset does not", () => {
  const t = new TestCpu(64), { cpu } = t;
  const touched = () => {
    t.reset();
    t.run([
      ...[0xd9, 0xeb], // fldpi
      ...[0x66, 0x0f, 0x76, 0xc0], // pcmpeqd xmm0,xmm0
    ]);
    assertEquals(cpu.writeMsr(IA32_PAT, 0n), true);
    assertEquals(cpu.writeMsr(IA32_MTRR_DEF_TYPE, 0xc06n), true);
    assertEquals(cpu.writeMsr(IA32_TSC, 1000n), true);
    assertEquals(cpu.writeMsr(0x1234_5678, 1n), false);
    cpu.writeRegisters({ control: { cr0: 0x8000_0011n } }); // CD and NW clear
  };
  /** FTW, the low dword of XMM0, PAT, TSC offset, CR0, EFER. */
  const seen = () => {
    const { fields } = cpu.save().data as { fields: Record<string, Uint8Array> };
    const u64 = (name: string) => new DataView((fields[name] as Uint8Array).buffer).getBigUint64(0, true);
    const ftw = (fields.x87 as Uint8Array)[4];
    const { control } = cpu.readRegisters();
    return [ftw, u64("xmm"), u64("pat"), cpu.tscOffset, control.cr0, control.efer];
  };
  touched();
  cpu.init();
  assertEquals(seen(), [0x80, (1n << 64n) - 1n, 0n, 1000n, 0x10n, 0n]);
  assertEquals([cpu.readRegisters().rip, cpu.readRegisters().gprs.rdx, cpu.halted], [
    0xfff0n,
    0x3_0661n,
    false,
  ]);
  touched();
  cpu.reset();
  assertEquals(seen(), [0, 0n, 0x0007_0406_0007_0406n, 0n, 0x6000_0010n, 0n]);
  assertEquals(cpu.writeMsr(IA32_EFER, 1n << 8n), true);
});

const HANDLER = 0x11_0000;
const IRET = { 32: [0xcf], 64: [0x48, 0xcf] } as const;
for (const options of ENGINES) {
  for (const bits of [32, 64] as const) {
    const machine = () => {
      const t = new TestCpu(bits, options);
      t.handlers({ 2: HANDLER });
      return t;
    };
    const rbx = (t: TestCpu) => t.cpu.readRegisters().gprs.rbx;

    Deno.test(`an NMI is taken though IF is clear, once: ${options.name}, ${bits} bit`, () => {
      const t = machine();
      t.write(HANDLER, [0x83, 0xc3, 0x01, ...IRET[bits]]); // add ebx,1; iret
      t.cpu.requestNmi();
      assertEquals(t.run([0x90]), "halted");
      assertEquals([rbx(t), t.cpu.readRegisters().gprs.rsp], [1n, BigInt(STACK_TOP)]);
      assertEquals(t.cpu.readRegisters().rflags & 0x200n, 0n);
      assertEquals([t.cpu.run(1000), t.cpu.counters()["nmis"]], ["halted", 1]);
    });

    Deno.test(`an NMI wakes from HLT and goes on behind it: ${options.name}, ${bits} bit`, () => {
      const t = machine();
      t.write(HANDLER, [0x83, 0xc3, 0x01, ...IRET[bits]]);
      t.write(CODE_BASE + 1, [0xb9, 7, 0, 0, 0, 0xf4]); // mov ecx,7; hlt
      assertEquals(t.run([]), "halted");
      t.cpu.requestNmi();
      t.write(CODE_BASE + 1, [0xb9, 7, 0, 0, 0, 0xf4]);
      assertEquals([t.cpu.run(1000), rbx(t), t.cpu.readRegisters().gprs.rcx], ["halted", 1n, 7n]);
    });

    Deno.test(`an NMI in the handler of one waits for IRET: ${options.name}, ${bits} bit`, () => {
      const t: TestCpu = new TestCpu(bits, {
        ...options,
        hooks: {
          bus: {
            readPort: () => 0,
            writePort: () => t.cpu.requestNmi(),
            readMmio: () => 0,
            writeMmio: () => {},
          },
        },
      });
      t.handlers({ 2: HANDLER });
      t.write(HANDLER, [
        ...[0x83, 0xc3, 0x01], // add ebx,1
        ...[0x83, 0xfb, 0x02], // cmp ebx,2
        ...[0x74, 0x04], // je out
        ...[0xe6, 0x10], // out 0x10,al: asks for another one
        ...[0x89, 0xd9], // mov ecx,ebx: still 1
        ...IRET[bits],
      ]);
      t.cpu.requestNmi();
      assertEquals(t.run([0x90]), "halted");
      const { gprs } = t.cpu.readRegisters();
      assertEquals([gprs.rbx, gprs.rcx, t.cpu.counters()["nmis"]], [2n, 1n, 2]);
    });
  }
}
