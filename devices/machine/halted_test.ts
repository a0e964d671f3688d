// SPDX-License-Identifier: MIT
/** Guests that stop for good, and guests that only look like it. @module */
import { assertEquals } from "@std/assert";
import { tinyGuest, TRIPLE_FAULT } from "../../tests/_tiny_guest.ts";
import { runGuest } from "../../tests/guests/_run_guest.ts";

const HALTED = { reason: "halted", detail: "HLT with interrupts off, and nothing that could end it" };
const HLT = 0xf4, CLI = 0xfa, STI = 0xfb;
/** jmp back to the start */
const again = (length: number) => [0xeb, 0x100 - length - 2];
/** mov al,value; out port,al */
const out = (port: number, value: number) => [0xb0, value, 0xe6, port];
/** The PIT at 100 Hz, through the 8259 or the I/O APIC. */
const PIT = [...out(0x43, 0x34), ...out(0x40, 0x9c), ...out(0x40, 0x2e)];
const PIC = [
  ...[...out(0x20, 0x11), ...out(0x21, 32), ...out(0x21, 4), ...out(0x21, 1), ...out(0x21, 0xfe)],
];
/** mov eax,value; mov [address],eax */
const store = (address: number, value: number) => {
  const le = (v: number) => [0, 8, 16, 24].map((shift) => (v >>> shift) & 0xff);
  return [0xb8, ...le(value), 0xa3, ...le(address)];
};
/** Entry 2 of the I/O APIC, where the PIT is. */
const ioapic = (low: number) => [...store(0xfec0_0000, 0x14), ...store(0xfec0_0010, low)];
const NMI = 0x400;

for (const engine of ["interp", "jit"] as const) {
  const ends = async (name: string, code: readonly number[], exit: unknown) => {
    const result = await runGuest({ image: tinyGuest(code), engine, type: "hvm", slices: 100 });
    assertEquals(result.exit, exit, name);
  };
  Deno.test(`halted: HLT with interrupts off ends the run, ${engine}`, async () => {
    await ends("at once", [CLI, HLT], HALTED);
    await ends("in a loop", [CLI, HLT, ...again(2)], HALTED);
    await ends("with a timer that interrupts", [CLI, ...PIC, ...PIT, HLT], HALTED);
    await ends("with an interrupt that waits", [
      CLI,
      ...PIC,
      ...PIT,
      ...[0xb9, 0, 0, 0xc0, 0, 0xe2, 0xfe],
      HLT,
    ], HALTED);
    await ends("with an NMI that is masked", [CLI, ...ioapic(NMI | 0x1_0000), ...PIT, HLT], HALTED);
  });
  Deno.test(`halted: an NMI, an open interrupt or a watchdog is waited for, ${engine}`, async () => {
    // without an IDT, whatever comes is a triple fault
    const crash = { reason: "crash", detail: "triple fault" };
    await ends("an NMI from the PIT", [CLI, ...ioapic(NMI), ...PIT, HLT], crash);
    await ends("an interrupt from the PIT", [STI, ...PIC, ...PIT, HLT], crash);
    await ends("a triple fault is none", [CLI, ...TRIPLE_FAULT], crash);
    // SCHEDOP_watchdog: id 0, 1 s at 0x90000; eax 29 sched_op, ebx 6, ecx 0x90000
    const watchdog = [
      ...store(0x9_0000, 0),
      ...store(0x9_0004, 1),
      0xbb,
      6,
      0,
      0,
      0,
      0xb9,
      0,
      0,
      9,
      0,
      0xb8,
      29,
      0,
      0,
      0,
      0xe7,
      0xe4,
    ];
    await ends("Xen's watchdog", [CLI, ...watchdog, HLT], {
      reason: "crash",
      detail: "the guest's watchdog expired (SHUTDOWN_watchdog)",
    });
    // VCPUOP_down of the last vCPU: eax 24 vcpu_op, ebx 2, ecx 0
    await ends("VCPUOP_down", [CLI, 0xbb, 2, 0, 0, 0, 0x31, 0xc9, 0xb8, 24, 0, 0, 0, 0xe7, 0xe4, HLT], {
      reason: "poweroff",
    });
  });
}
