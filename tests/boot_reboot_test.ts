// SPDX-License-Identifier: MIT
/** Debian's cloud kernel that reboots again and again, with a network. @module */
import { assert, assertEquals } from "@std/assert";
import { Child, xenner } from "../scripts/host/child.ts";
import { guestCommandLine, guestFiles, guestReports, type GuestRun } from "../scripts/guests/manifest.ts";
import { GUEST_ADDRESS, HOST_ADDRESS, openTapNamespace, whyNoTap } from "../scripts/host/tap_namespace.ts";
import { HUB, missing, TIMEOUT_SECONDS } from "./_boot.ts";

const noTap = await whyNoTap();
for (const net of ["hub", "TAP"] as const) {
  const why = net === "TAP" ? noTap : undefined;
  const skipped = missing("cloud") || (why === undefined ? "" : ` (skipped: ${why})`);
  Deno.test({
    name: `a guest that reboots finds its network again: ${net}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const namespace = net === "TAP" ? await openTapNamespace() : undefined;
      const { vmlinuz, initramfs } = guestFiles("cloud");
      const run: GuestRun = {
        run: ["ping", "reboot"],
        ip: namespace ? { address: GUEST_ADDRESS, gateway: HOST_ADDRESS } : "dhcp",
        count: 3,
      };
      const line = xenner([
        "run",
        ...["--kernel", vmlinuz.pathname, "--initrd", initramfs.pathname],
        ...["--append", guestCommandLine(run)],
        ...(namespace ? ["--net", `tap,ifname=${namespace.tap}`] : HUB),
        ...["--timeout", String(TIMEOUT_SECONDS), "--stats=json"],
      ]);
      const child = new Child(namespace?.inside(line.command, line.args) ?? line);
      try {
        // until the third boot has begun
        let from = 0;
        for (const event of [/reboot: Restarting system/, /reboot: Restarting system/, /Linux version/]) {
          const found = await child.match(event, TIMEOUT_SECONDS * 1000, from);
          assert(found !== undefined, `no ${event} in ${child.stdout.slice(-4000)}\n${child.stderr}`);
          from += (found?.index ?? 0) + 1;
        }
        const pings = guestReports(child.stdout).filter(({ kind }) => kind === "PING");
        assertEquals(pings.map(({ values }) => [values.get("sent"), values.get("received")]), [
          ["3", "3"],
          ["3", "3"],
        ]);
        child.kill();
        assertEquals(await child.status, 143, child.stderr);
        assertEquals(JSON.parse(child.stderr).counters["machine.resets"], 2);
      } finally {
        child.kill();
        await child.status;
        namespace?.close();
      }
    },
  });
}
