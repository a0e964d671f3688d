// SPDX-License-Identifier: MIT
/**
 * Guests of our own under KVM: the hypercall pages loaded by the MSR and called through the port, in 32-bit and in 64-bit
 * code, the console, interrupts, saving, and ends.
 */
import { assert, assertEquals } from "@std/assert";
import type { Machine } from "../../devices/machine/machine.ts";
import { HYPERCALL_PORT } from "../../xen/platform/hypercall_page.ts";
import { XENVER_version } from "../../xen/public/version.ts";
import { __HYPERVISOR_xen_version } from "../../xen/public/xen.ts";
import { SPIN, tinyGuest } from "../_tiny_guest.ts";
import { EAX, ECX, EDI, EDX, ESI } from "../guests/_assembler.ts";
import { GuestProgram, HYPERCALL_PAGES_AT } from "../guests/_guest_program.ts";
import type { CrashedMachines } from "./_crashed_machines.ts";
import { noHypercalls, noKvm, withKvm } from "./_kvm.ts";

const XEN_4_17 = 0x4_0011;
const DEBUG_PORT = 0xe9, LAPIC_ID = 0xfee0_0020, LAPIC_VERSION = 0xfee0_0030;
const skipped = noKvm();
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `KVM: ${name}${skipped}`, ignore: skipped !== "", fn });

/** Answers of Xen, a line on the console; waits for somebody to set `go`, and switches off. */
function program(mode: 32 | 64): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.loadHypercallPages();
  g.openConsole();
  g.hypercall(__HYPERVISOR_xen_version, [XENVER_version, 0]);
  g.store("version", EAX);
  g.print(`${mode} bit\n`);
  g.label("wait");
  g.load(EAX, "go");
  g.aluValue("cmp", EAX, 0);
  g.j("e", "wait");
  g.print("gone\n");
  g.powerOff("page");
  g.variable("version");
  g.variable("go");
  return g;
}
function u32(machine: Machine, gpa: number): number {
  return new DataView(machine.readMemory(gpa, 4).slice().buffer).getUint32(0, true);
}
const GO = Uint8Array.of(1, 0, 0, 0);

for (const mode of [32, 64] as const) {
  for (const hypercallPages of [1, 2] as const) {
    test(`the guest loads ${hypercallPages} page(s) by the MSR and calls Xen by the port, ${mode} bit`, async () => {
      const g = program(mode);
      await withKvm(g.image(), async (machine, run) => {
        machine.writeMemory(g.addressOf("go"), GO);
        const { exit, console } = await run();
        assertEquals(exit, { reason: "poweroff" }, machine.crashReport());
        assertEquals(console, `${mode} bit\ngone\n`);
        assertEquals(u32(machine, g.addressOf("version")), XEN_4_17);
        const { counters } = machine.stats();
        assertEquals(counters["exit.wrmsr"], hypercallPages); // each page is an MSR write that came to us
        assert((counters["exit.io"] ?? 0) >= 6); // and each call an OUT
        assertEquals(counters["hypercall.xen_version"], 1);
        const entry = machine.readMemory(HYPERCALL_PAGES_AT + __HYPERVISOR_xen_version * 32, 16);
        const page = hypercallPages === 1 ? entry : machine.readMemory(HYPERCALL_PAGES_AT + 4096, 4096);
        assert(page.some((byte, i) => byte === 0xe7 && page[i + 1] === HYPERCALL_PORT), "OUT to the port");
      }, { hypercallPages });
    });
  }
}

/** Two calls by the instruction itself, one after the other; the second ends the machine. */
function inline(mode: 32 | 64, way: "vmcall" | "vmmcall"): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.hypercall(__HYPERVISOR_xen_version, [XENVER_version, 0], way);
  g.store("version", EAX);
  g.powerOff(way);
  g.variable("version");
  return g;
}
const unseen = noHypercalls();
for (const mode of [32, 64] as const) {
  for (const way of ["vmcall", "vmmcall"] as const) {
    Deno.test({
      name: `KVM: ${way} itself reaches Xen, ${mode} bit${unseen}`,
      ignore: unseen !== "",
      async fn() {
        const g = inline(mode, way);
        await withKvm(g.image(), async (machine, run) => {
          const { exit } = await run();
          assertEquals(exit, { reason: "poweroff" }, machine.crashReport());
          assertEquals(u32(machine, g.addressOf("version")), XEN_4_17);
          assertEquals(machine.stats().counters["exit.xen"], 2);
        });
      },
    });
  }
}

for (const mode of [32, 64] as const) {
  test(`a machine saved in the middle goes on in another, ${mode} bit`, async () => {
    const g = program(mode), image = g.image();
    const snapshot = await withKvm(image, async (machine, run) => {
      machine.on("console", () => machine.stop());
      const { exit, console } = await run();
      assertEquals([exit.reason, console], ["stopped", `${mode} bit\n`]);
      return structuredClone(machine.save());
    });
    await withKvm(image, async (machine, run) => {
      machine.restore(snapshot);
      machine.writeMemory(g.addressOf("go"), GO);
      const { exit, console } = await run();
      assertEquals([exit.reason, console], ["poweroff", "gone\n"], machine.crashReport());
    });
  });
}

/** What a repeated OUT prints, which comes in pieces of a page at most; and what a repeated IN gets from the CMOS. */
const LONG_TEXT = "string I/O, ".repeat(400);
const CMOS_STATUS_D = 0x0d;
function strings(mode: 32 | 64): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.loadHypercallPages();
  g.db(0xfc); // cld
  g.mov(ESI, "text");
  g.mov(ECX, LONG_TEXT.length);
  g.mov(EDX, DEBUG_PORT);
  g.db(0xf3, 0x6e); // rep outsb
  g.store("after", ESI);
  g.db(0xb0, CMOS_STATUS_D, 0xe6, 0x70); // mov al,0dh; out 70h,al
  g.mov(EDI, "read");
  g.mov(ECX, 3);
  g.mov(EDX, 0x71);
  g.db(0xf3, 0x6c); // rep insb
  g.mov(ESI, LAPIC_ID);
  g.mov(EDI, "registers");
  g.db(0xa5, 0xa5); // movsd; movsd: from MMIO, and what follows it
  g.mov(ESI, LAPIC_VERSION);
  g.db(0xad, 0xab); // lodsd; stosd
  g.powerOff("port");
  g.label("text");
  g.text(LONG_TEXT);
  for (const name of ["after", "read"]) g.variable(name);
  g.variable("registers", 3);
  return g;
}
for (const mode of [32, 64] as const) {
  test(`string and repeated I/O, and string instructions on MMIO, ${mode} bit`, async () => {
    const g = strings(mode);
    await withKvm(g.image(), async (machine, run) => {
      const { exit, debug } = await run();
      assertEquals(exit, { reason: "poweroff" }, machine.crashReport());
      assertEquals(debug, LONG_TEXT);
      assertEquals(u32(machine, g.addressOf("after")), g.addressOf("text") + LONG_TEXT.length);
      assertEquals(u32(machine, g.addressOf("read")), 0x80_8080); // VRT, three times
      const registers = [0, 4, 8].map((at) => u32(machine, g.addressOf("registers") + at));
      assertEquals([registers[0], (registers[2] as number) & 0xff], [0, 0x14], "local APIC");
    });
  });
}

/** Ten ticks of the PIT at 100 Hz through the 8259, a dot for each; without IRET, which not every KVM can emulate. */
function ticks(mode: 32 | 64): GuestProgram {
  const g = new GuestProgram(mode);
  const out = (port: number, ...values: readonly number[]) =>
    values.forEach((value) => g.db(0xb0, value, 0xe6, port)); // mov al,value; out port,al
  g.label("main");
  g.loadHypercallPages();
  g.catchAll("tick");
  out(0x20, 0x11);
  out(0x21, 0x20, 4, 1, 0xfe); // vectors from 32 on, edges, nothing but IRQ 0
  out(0x43, 0x34); // channel 0, rate generator
  out(0x40, 0x9c, 0x2e);
  g.label("wait");
  g.db(0xfb, 0xf4); // sti; hlt
  g.jmp("wait");
  g.label("tick");
  out(0xe9, ".".charCodeAt(0));
  out(0x20, 0x20); // EOI
  g.aluMemory("add", "count", 1);
  g.load(EAX, "count");
  g.aluValue("cmp", EAX, 10);
  g.j("b", "wait");
  g.powerOff("page");
  g.variable("count");
  return g;
}
for (const mode of [32, 64] as const) {
  test(`interrupts of the 8259 end HLT, ${mode} bit`, async () => {
    await withKvm(ticks(mode).image(), async (machine, run) => {
      const { exit, debug } = await run();
      assertEquals([exit.reason, debug], ["poweroff", ".".repeat(10)], machine.crashReport());
      const { counters } = machine.stats();
      assertEquals(counters["interrupts"], 10);
      assert((counters["exit.hlt"] ?? 0) >= 9);
    });
  });
}

test("a guest that spins does not keep the event loop; it can be stopped, and its registers set", async () => {
  await withKvm(tinyGuest(SPIN), async (machine, run) => {
    let turns = 0;
    const interval = setInterval(() => ++turns === 5 && machine.stop(), 1);
    const { exit } = await run();
    clearInterval(interval);
    assertEquals([exit.reason, turns], ["stopped", 5]);
    const { rip } = machine.registers();
    machine.setRegister("rbx", 0x1234_5678n);
    const again = setTimeout(() => machine.stop(), 10);
    assertEquals((await run()).exit.reason, "stopped");
    clearTimeout(again);
    assertEquals([machine.registers().rip, machine.registers().rbx], [rip, 0x1234_5678n]);
  });
});

test("a triple fault is a crash, and a closed machine gives everything back", async () => {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("_crashed_machines.ts", import.meta.url).pathname],
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const { before, after, crashes } = JSON.parse(new TextDecoder().decode(stdout)) as CrashedMachines;
  assertEquals([before, after, crashes.length], [[0, 0], [0, 0], 3]);
  for (const { exit, held, rip } of crashes) {
    assertEquals([exit, held], [{ reason: "crash", detail: "triple fault" }, [3, 1]]); // KVM, machine, vCPU
    // KVM on AMD's processors has reset it by then (APM Vol. 2 §15.14.3: the state is undefined)
    assert(rip === "100000" || rip === "fff0", rip);
  }
});
