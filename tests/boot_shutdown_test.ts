// SPDX-License-Identifier: MIT
/** The toolstack asks Debian to shut down: control/shutdown in xenstore. @module */
import { assertEquals } from "@std/assert";
import { createMachine } from "../mod.ts";
import { guestCommandLine, guestFiles } from "../scripts/guests/manifest.ts";
import { missing } from "./_boot.ts";

const skipped = missing("cloud");

for (const [what, reason] of [["poweroff", "poweroff"], ["reboot", "reboot"]] as const) {
  Deno.test({
    name: `a guest that is asked to ${what} does it${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const { vmlinuz, initramfs } = guestFiles("cloud");
      let screen = "";
      const machine = await createMachine({
        kernel: vmlinuz,
        initrd: initramfs,
        append: guestCommandLine({ run: ["shell"] }),
        noReboot: true,
      });
      machine.on("console", (bytes) => {
        const before = screen.includes("Welcome.");
        screen += new TextDecoder().decode(bytes);
        if (!before && screen.includes("Welcome.")) void shellIsThere();
      });
      let size = "";
      const shellIsThere = async () => {
        if (what === "poweroff") { // and the size of a terminal reaches the shell on the way
          machine.xenstore.write("console/size", "101x31");
          for (let tries = 0; tries < 200 && size !== "31 101\n"; tries++) {
            size = (await machine.console.exec("sleep 0.2; stty size")).output;
          }
        }
        machine.requestShutdown(what);
      };
      const timer = setTimeout(() => machine.stop(), 600_000);
      try {
        assertEquals((await machine.run()).reason, reason, screen.slice(-2000));
        if (what === "poweroff") assertEquals(size, "31 101\n");
      } finally {
        clearTimeout(timer);
        machine.close();
      }
    },
  });
}
