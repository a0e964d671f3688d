// SPDX-License-Identifier: MIT
/** How many interrupts a Debian guest takes for its events, by each way of the event callback. @module */
import { assert, assertEquals } from "@std/assert";
import { ConsoleGuest, noConsoleGuest } from "./guests/_console_guest.ts";

/** Kernel parameters, and the line of /proc/interrupts that counts callbacks. */
const WAYS: [append: string, callback: RegExp][] = [
  ["xen_no_vector_callback", /IO-APIC +18-fasteoi +xen-platform-pci/],
  ["xen_no_vector_callback noapic", /XT-PIC +xen-platform-pci/],
];
const skipped = noConsoleGuest();

for (const [append, callback] of WAYS) {
  Deno.test({
    name: `Debian takes about one interrupt for an event with ${append}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const guest = new ConsoleGuest(
        { run: ["ping", "shell"], ip: "dhcp", count: 5 },
        ["--net", "hub=test,responder"],
        append,
      );
      try {
        await guest.booted();
        const lines = (await guest.sh("cat /proc/interrupts")).split("\n");
        const count = (line: string | undefined) => Number(/^ *\d+: +(\d+) /.exec(line ?? "")?.[1]);
        const callbacks = count(lines.find((line) => callback.test(line)));
        const events = lines.filter((line) => line.includes("xen-dyn")).reduce(
          (sum, line) => sum + count(line),
          0,
        );
        assert(events > 100, lines.join("\n"));
        // several events may share an interrupt; one that comes during the handler may cost a second
        assert(
          callbacks > events / 4 && callbacks < 2 * events,
          `${callbacks} interrupts for ${events} events`,
        );
        assertEquals(await guest.powerOff(), 0, guest.errors);
      } finally {
        await guest.close();
      }
    },
  });
}
