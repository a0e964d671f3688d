// SPDX-License-Identifier: MIT
/** Debian's cloud kernel, saved in the middle of its boot, goes on in another machine and finds its network. @module */
import { assert, assertEquals } from "@std/assert";
import { createMachine, Hub, type MachineSnapshot, Responder } from "../mod.ts";
import { guestCommandLine, guestFiles, guestReports } from "../scripts/guests/manifest.ts";
import { missing, NETWORK } from "./_boot.ts";

/** The kernel has found Xen, xenstore and its console, and has not got to its network. */
const MIDDLE = "Grant table initialized";
/** /init has brought the network up: rings are connected. */
const CONNECTED = "XENNER-NET";

for (const engine of ["interp", "jit"] as const) {
  const skipped = missing("cloud");
  Deno.test({
    name: `Debian, saved in mid-boot and with its network up, goes on in new machines, ${engine}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const { vmlinuz, initramfs } = guestFiles("cloud");
      const hub = new Hub();
      new Responder(hub.port());
      let output = "";
      const make = async () =>
        await createMachine({
          kernel: vmlinuz,
          initrd: initramfs,
          append: guestCommandLine(NETWORK),
          memory: "256M",
          engine,
          nets: [{ hub, mac: "00:16:3e:00:00:07" }],
          console: (bytes) => output += new TextDecoder().decode(bytes),
        });
      let machine = await make();
      for (const until of [MIDDLE, CONNECTED]) {
        const off = machine.on("console", () => output.includes(until) && machine.stop());
        assertEquals(await machine.run(), { reason: "stopped" }, output.slice(-2000));
        off();
        const snapshot: MachineSnapshot = structuredClone(machine.save());
        const { instructions } = machine.stats();
        machine.close();
        assert(!output.includes("XENNER-PING"));
        machine = await make();
        machine.restore(snapshot);
        assertEquals(machine.stats().instructions, instructions);
      }
      assertEquals(await machine.run(), { reason: "poweroff" }, output.slice(-2000) + machine.crashReport());
      machine.close();
      const reports = guestReports(output);
      const pings = reports.filter(({ kind }) => kind === "PING").map(({ values }) => values);
      assertEquals(pings.map((values) => [values.get("sent"), values.get("received")]), [["3", "3"]], output);
      assertEquals(reports.filter(({ kind }) => kind === "INIT").length, 1, "it booted once");
    },
  });
}
