// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { guestCommandLine, guestReports } from "./manifest.ts";

Deno.test("guestCommandLine says what /init of the guests reads", () => {
  assertEquals(
    guestCommandLine({
      run: ["ping", "get"],
      ip: { address: "10.0.0.2", gateway: "10.0.0.1" },
      url: "http://10.0.0.1:80/x",
    }),
    "console=hvc0 panic=-1 ip=10.0.0.2::10.0.0.1:255.255.255.0 xenner.run=ping,get xenner.url=http://10.0.0.1:80/x",
  );
  assertEquals(
    guestCommandLine({ run: ["shell"], console: "ttyS0", ip: "dhcp", extra: "quiet" }),
    "console=ttyS0 panic=-1 ip=dhcp xenner.run=shell quiet",
  );
});

Deno.test("guestReports finds reports between other lines", () => {
  const reports = guestReports(
    "boot\r\nXENNER-PING sent=10 received=9 average_ms=0.5\r\n[ 1.0] x\nXENNER-GET failed\r\n",
  );
  assertEquals(reports.map(({ kind, text }) => [kind, text]), [
    ["PING", "sent=10 received=9 average_ms=0.5"],
    ["GET", "failed"],
  ]);
  assertEquals(reports[0]?.values.get("received"), "9");
});
