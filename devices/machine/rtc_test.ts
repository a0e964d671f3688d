// SPDX-License-Identifier: MIT
/** The date that guests see, and what traces show of it all. @module */
import { assertEquals } from "@std/assert";
import { createMachine, type CreateOptions, Tracer } from "../../mod.ts";
import { tinyGuest, TRIPLE_FAULT } from "../../tests/_tiny_guest.ts";

/** mov al,9; out 0x70,al; in al,0x71; out 0xe9,al: the year of the RTC, in BCD. */
const PRINT_YEAR = [0xb0, 9, 0xe6, 0x70, 0xe4, 0x71, 0xe6, 0xe9];

async function yearSeen(options: Partial<CreateOptions>): Promise<string> {
  const machine = await createMachine({
    kernel: tinyGuest([...PRINT_YEAR, ...TRIPLE_FAULT]),
    memory: "4M",
    ...options,
  });
  const seen: number[] = [];
  machine.on("console", (bytes) => seen.push(...bytes));
  await machine.run();
  machine.close();
  return seen.map((byte) => byte.toString(16)).join();
}

Deno.test("the date is the host's, with icount a fixed one, or as rtc says", async () => {
  const inYear = (year: number) => ({ unixSeconds: () => Date.UTC(year, 5) / 1000 });
  const clock = { monotonicNs: () => 0, sleep: () => Promise.resolve(), breathe: () => Promise.resolve() };
  assertEquals(await yearSeen({ clock: { ...clock, ...inYear(2044) } }), "44");
  assertEquals(await yearSeen({ clock: { ...clock, ...inYear(2044) }, icount: true }), "26");
  assertEquals(await yearSeen({ clock: { ...clock, ...inYear(2044) }, icount: true, rtc: "host" }), "44");
  const rtc = new Date(Date.UTC(2031, 11, 31));
  assertEquals(await yearSeen({ rtc }), "31");
  assertEquals(await yearSeen({ rtc, icount: true }), "31");
});

Deno.test("exceptions are traced with the error code in hex, and the CR2 of this fault", async () => {
  const lines: string[] = [];
  const tracer = new Tracer();
  tracer.configure((_, message) => lines.push(message), ["exception"]);
  const machine = await createMachine({
    // mov eax,0x200000; mov cr3,eax; mov eax,cr0; or eax,PG; mov cr0,eax: nothing is mapped
    kernel: tinyGuest([
      ...[0xb8, 0, 0, 0x20, 0, 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xc0],
      ...[0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0, 0x90],
    ]),
    memory: "4M",
    tracer,
  });
  assertEquals((await machine.run()).reason, "crash");
  machine.close();
  assertEquals(lines[0], "vector 14 error 0x0 rip 0x100013 cr2 0x100013");
});

Deno.test("event channels are traced: bound, sent, pending, closed", async () => {
  const lines: string[] = [];
  const tracer = new Tracer();
  tracer.configure((category, message) => lines.push(`${category} ${message}`), ["evtchn"]);
  const machine = await createMachine({ kernel: tinyGuest(TRIPLE_FAULT), memory: "4M", tracer });
  const { events } = machine.board.xen.platform;
  assertEquals(lines, ["evtchn port 1 bound, unbound", "evtchn port 2 bound, unbound"]);
  const port = events.bindIpi(0);
  events.send(port);
  events.send(port);
  events.close(port);
  machine.close();
  assertEquals(lines.slice(2), [
    `evtchn port ${port} bound, ipi`,
    `evtchn port ${port} sent`,
    `evtchn port ${port} pending`,
    `evtchn port ${port} sent`,
    `evtchn port ${port} pending already`,
    `evtchn port ${port} closed`,
  ]);
});
