// SPDX-License-Identifier: MIT
/**
 * A machine saved under one engine goes on under another: general, vector and x87 registers, MSRs, modes and the guest's
 * time, for both vendors, whichever the host's processor is of.
 */
import { assert, assertEquals } from "@std/assert";
import type { EngineName } from "../../cpu/base/engine.ts";
import type { MachineSnapshot } from "../../devices/machine/machine.ts";
import { EAX, EBX, ECX, EDX } from "../guests/_assembler.ts";
import { GuestProgram } from "../guests/_guest_program.ts";
import { cpuForKvm, noKvm, notHardware, withMachine } from "./_kvm.ts";

const IA32_SYSENTER_EIP = 0x176;
const GO = Uint8Array.of(1, 0, 0, 0);
const XMM3 = [0x0123_4567, 0x89ab_cdef, 0xfedc_ba98, 0x7654_3210];
/** The double nearest to pi. */
const PI = [0x5444_2d18, 0x4009_21fb];

/** Fills registers, says so, waits for `go`, stores what the registers hold, and ends. `fpu`: those of x87 and SSE too. */
function program(mode: 32 | 64, fpu: boolean): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.loadHypercallPages();
  g.openConsole();
  if (fpu) {
    g.db(0x0f, 0x20, 0xe0, 0x0d, 0, 6, 0, 0, 0x0f, 0x22, 0xe0); // CR4: OSFXSR, OSXMMEXCPT
    g.db(0x0f, 0x20, 0xc0, 0x83, 0xe0, 0xf3, 0x0f, 0x22, 0xc0); // CR0: no EM, no TS
    g.mov(EAX, "values");
    g.db(0x0f, 0x10, 0x18); // movups xmm3, [eax]
    g.db(0xdb, 0xe3, 0xd9, 0xeb); // fninit; fldpi
  }
  g.mov(ECX, IA32_SYSENTER_EIP);
  g.mov(EAX, 0x1234_5678);
  g.mov(EDX, 0);
  g.db(0x0f, 0x30); // wrmsr
  g.print("filled\n");
  g.label("wait");
  g.mov(EBX, 0x5eed_5eed);
  g.load(EAX, "go");
  g.aluValue("cmp", EAX, 0);
  g.j("e", "wait");
  g.store("ebx", EBX);
  g.mov(ECX, IA32_SYSENTER_EIP);
  g.db(0x0f, 0x32); // rdmsr
  g.store("msr", EAX);
  if (fpu) {
    g.mov(EAX, "xmm");
    g.db(0x0f, 0x11, 0x18); // movups [eax], xmm3
    g.mov(EAX, "pi");
    g.db(0xdd, 0x18); // fstp qword [eax]
  }
  g.print("kept\n");
  g.powerOff("page");
  g.align(4);
  g.label("values");
  g.dd(...XMM3);
  for (const name of ["go", "ebx", "msr"]) g.variable(name);
  g.variable("xmm", 4);
  g.variable("pi", 2);
  return g;
}

/** The engines that it runs under, one after the other. */
const WAYS: readonly (readonly EngineName[])[] = [["jit", "kvm", "jit"], ["kvm", "interp", "kvm"]];
const missing = noKvm();
const fpu = notHardware() === ""; // an emulation of the guest's kernel code knows no x87
for (const mode of [32, 64] as const) {
  for (const cpuVendor of ["intel", "amd"] as const) {
    for (const way of WAYS) {
      const name = `${mode} bit, ${cpuVendor}, ${way.join(" to ")}${fpu ? ", with x87 and SSE" : ""}`;
      Deno.test({
        name: `KVM: a machine goes on under another engine: ${name}${missing}`,
        ignore: missing !== "",
        fn: () => goOn(program(mode, fpu), way, cpuVendor),
      });
    }
  }
}

async function goOn(g: GuestProgram, way: readonly EngineName[], cpuVendor: "intel" | "amd") {
  let snapshot: MachineSnapshot | undefined;
  const cpu = cpuForKvm();
  for (const [i, engine] of way.entries()) {
    await withMachine(g.image(), async (machine, run) => {
      if (snapshot !== undefined) machine.restore(snapshot);
      if (i < way.length - 1) {
        if (i === 0) machine.on("console", () => machine.stop());
        else setTimeout(() => machine.stop(), 20); // it spins, and goes on doing so
        assertEquals((await run()).exit.reason, "stopped", machine.crashReport());
        snapshot = structuredClone(machine.save());
        return;
      }
      machine.writeMemory(g.addressOf("go"), GO);
      const { exit, console } = await run();
      assertEquals([exit.reason, console], ["poweroff", "kept\n"], machine.crashReport());
      const words = (label: string, count: number) => {
        const bytes = machine.readMemory(g.addressOf(label), count * 4).slice();
        return [...new Uint32Array(bytes.buffer)];
      };
      assertEquals([words("ebx", 1), words("msr", 1)], [[0x5eed_5eed], [0x1234_5678]]);
      if (fpu) assertEquals([words("xmm", 4), words("pi", 2)], [XMM3, PI]);
    }, { engine, cpu, cpuVendor });
  }
  assert(snapshot !== undefined);
}
