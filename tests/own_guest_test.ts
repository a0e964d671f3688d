// SPDX-License-Identifier: MIT
/**
 * A guest of our own: a PVH image of a few KiB that takes the four steps to the hypercall pages (docs/ARCHITECTURE.md
 * §2) in 32-bit and in 64-bit mode, with one page and with two, on both engines, and looks at what it gets.
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import type { EngineName } from "../cpu/base/engine.ts";
import { XEN_EPERM } from "../xen/public/errno.ts";
import { HYPERCALL_PORT } from "../xen/platform/hypercall_page.ts";
import { XENVER_extraversion, XENVER_version } from "../xen/public/version.ts";
import { __HYPERVISOR_console_io, __HYPERVISOR_xen_version } from "../xen/public/xen.ts";
import { EAX, EBP, ECX, EDX } from "./guests/_assembler.ts";
import { GuestProgram, HYPERCALL_PAGES_AT, IMAGE_BASE } from "./guests/_guest_program.ts";
import { runGuest } from "./guests/_run_guest.ts";

const RAM_BYTES = 0x100_0000;
const XEN_4_17 = 0x4_0011;
/** Calls in a loop. */
const HOT_CALLS = 20_000;
const PATTERN = 0x5a5a_5a5a;

function program(mode: 32 | 64): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.loadHypercallPages();

  // xen_version by all three ways
  for (const way of ["page", "vmcall", "vmmcall"] as const) {
    g.hypercall(__HYPERVISOR_xen_version, [XENVER_version, 0], way);
    g.store(`version_${way}`, EAX);
    g.expect(XEN_4_17);
  }
  // Long enough for the block to be compiled
  g.mov(EBP, 2_000_000);
  g.label("count");
  g.aluValue("sub", EBP, 1);
  g.j("ne", "count");
  // EBP and the sum of the results survive
  g.mov(EBP, HOT_CALLS);
  g.label("hot");
  g.hypercall(__HYPERVISOR_xen_version, [XENVER_version, 0]);
  g.load(ECX, "sum");
  g.alu("add", ECX, EAX);
  g.store("sum", ECX);
  g.aluValue("sub", EBP, 1);
  g.j("ne", "hot");
  g.hypercall(__HYPERVISOR_xen_version, [XENVER_extraversion, "extra"]);
  g.expect(0);
  // A number far beyond the table
  g.arguments(0, 0, 0);
  g.mov(EAX, 0x1234_5678);
  g.vmcall();
  g.store("no_such_call", EAX);

  // Page numbers and addresses that are not there
  const load = (value: number) => {
    g.mov(EAX, value);
    g.mov(EDX, 0);
    g.load(ECX, "hypercall_msr");
    g.wrmsr();
  };
  g.mustGp(() => {
    g.load(EAX, "hypercall_pages");
    g.aluValue("or", EAX, HYPERCALL_PAGES_AT);
    g.mov(EDX, 0);
    g.load(ECX, "hypercall_msr");
    g.wrmsr();
  });
  g.mustGp(() => load(HYPERCALL_PAGES_AT | 0xfff));
  g.mustGp(() => load(RAM_BYTES));
  g.mustGp(() => {
    g.mov(EAX, HYPERCALL_PAGES_AT);
    g.mov(EDX, 1); // above 4 GiB
    g.load(ECX, "hypercall_msr");
    g.wrmsr();
  });
  g.load(EAX, "gp_count");
  g.store("gp_kernel", EAX);

  // Privilege 3: with the right to use ports, hypercalls are refused; without, the port faults
  g.asUser(true, () => {
    g.mov(EAX, __HYPERVISOR_xen_version);
    g.outEax(HYPERCALL_PORT);
    g.store("user_port", EAX);
    g.arguments(XENVER_version, 0);
    g.mov(EAX, __HYPERVISOR_xen_version);
    g.vmcall();
    g.store("user_vmcall", EAX);
  });
  g.asUser(false, () => {
    g.mov(EAX, __HYPERVISOR_xen_version);
    g.outEax(HYPERCALL_PORT);
    g.store("user_port_allowed", EAX);
  });
  g.load(EAX, "gp_count");
  g.store("gp_all", EAX);
  g.load(EAX, "gp_from_user");
  g.store("gp_cpl", EAX);

  // Both consoles
  g.hypercall(__HYPERVISOR_console_io, [0, 11, "console_io"]); // CONSOLEIO_write
  g.expect(0);
  g.openConsole();
  g.print(`${mode}-bit guest on the PV console\n`);
  g.print("x".repeat(1500) + "\n");
  g.print("y".repeat(1500) + "\n"); // wraps around in the ring
  g.powerOff();

  g.label("console_io");
  g.text("console_io\n");
  for (const name of ["version_page", "version_vmcall", "version_vmmcall", "no_such_call", "gp_kernel"]) {
    g.variable(name);
  }
  for (const name of ["user_port", "user_vmcall", "gp_all", "gp_cpl"]) g.variable(name);
  g.align(4);
  g.label("user_port_allowed");
  g.dd(PATTERN);
  g.variable("sum");
  g.variable("extra", 4);
  return g;
}

const errno = (n: number) => -n >>> 0;

for (const mode of [32, 64] as const) {
  for (const hypercallPages of [1, 2] as const) {
    for (const engine of ["interp", "jit"] as const satisfies readonly EngineName[]) {
      Deno.test(`own guest: ${mode} bit, ${hypercallPages} hypercall page(s), ${engine}`, async () => {
        const g = program(mode);
        const image = g.image();
        assertEquals(image.length < 8192, true);
        const result = await runGuest({ image, engine, hypercallPages });
        const value = (label: string) => result.u32(g.addressOf(label));
        assertEquals(
          [result.exit, value("unexpected")],
          [{ reason: "poweroff" }, 0],
          result.machine.crashReport(),
        );
        assertEquals(value("hypercall_pages"), hypercallPages);
        assertEquals(value("hypercall_msr"), 0x4000_0000);
        assertEquals(
          ["version_page", "version_vmcall", "version_vmmcall"].map(value),
          Array(3).fill(XEN_4_17),
        );
        assertEquals(value("no_such_call"), errno(38)); // XEN_ENOSYS
        assertEquals([value("gp_kernel"), value("gp_error")], [4, 0]);
        // two more: HLT in user mode, and OUT without the right
        assertEquals([value("gp_all"), value("gp_cpl")], [6, 3]);
        assertEquals([value("user_port"), value("user_vmcall")], [errno(XEN_EPERM), errno(XEN_EPERM)]);
        assertEquals(value("user_port_allowed"), PATTERN);
        const extra = result.machine.readMemory(g.addressOf("extra"), 16);
        assertMatch(new TextDecoder().decode(extra), /^\.0\0/);
        const wanted = `console_io\n${mode}-bit guest on the PV console\n${"x".repeat(1500)}\n${
          "y".repeat(1500)
        }\n`;
        assertEquals(result.console, wanted);
        // Alone, the entry points do the work; with page 1 they jump to it.
        const entry = result.machine.readMemory(HYPERCALL_PAGES_AT + __HYPERVISOR_xen_version * 32, 5);
        const jump = [0xe9, 0xfb, 0x0f, 0, 0];
        assertEquals(
          Array.from(entry),
          hypercallPages === 2 ? jump : [0xb8, __HYPERVISOR_xen_version, 0, 0, 0],
        );
        const { counters } = result.machine.stats();
        assertEquals(counters["hypercall.xen_version"], 4 + HOT_CALLS);
        assertEquals(value("sum"), (HOT_CALLS * XEN_4_17) >>> 0);
        assertEquals((counters["blocks.compiled"] ?? 0) > 0, true, "the loop is compiled");
      });
    }
  }
}

Deno.test("own guest: on the platform with PC devices, too", async () => {
  const g = program(64);
  const result = await runGuest({ image: g.image(), type: "hvm" });
  assertEquals(result.exit, { reason: "poweroff" });
});

Deno.test("own guest: a run by instruction count is the same every time", async () => {
  const image = program(64).image();
  const runs = [await runGuest({ image }), await runGuest({ image })];
  const [first, second] = runs.map(({ machine }) => [machine.stats().instructions, machine.registers()]);
  assertEquals(first, second);
});

Deno.test("own guest: without an exception handler for what happens, it triple-faults and that is a crash", async () => {
  const g = new GuestProgram(32);
  g.label("main");
  g.storeValue("idtr", 0);
  g.lidt("idtr");
  g.label("here");
  g.ud2();
  const result = await runGuest({ image: g.image() });
  assertEquals(result.exit, { reason: "crash", detail: "triple fault" });
  assertEquals(result.machine.registers().rip, BigInt(g.addressOf("here")));
  assertEquals(g.addressOf("here") > IMAGE_BASE, true);
});

Deno.test("own guest: SHUTDOWN_crash ends the run as a crash", async () => {
  const g = new GuestProgram(64);
  g.label("main");
  g.loadHypercallPages();
  g.crash();
  const { exit } = await runGuest({ image: g.image() });
  assertEquals(exit.reason, "crash");
  assertMatch(exit.detail ?? "", /SHUTDOWN_crash/);
});
