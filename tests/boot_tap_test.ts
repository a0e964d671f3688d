// SPDX-License-Identifier: MIT
/** Debian's cloud kernel and a host, over a TAP device. Without TAP devices the tests are skipped and say so. @module */
import { assert, assertEquals } from "@std/assert";
import { Child, script } from "../scripts/host/child.ts";
import type { ServerReady, ServerReceived } from "../scripts/host/file_server.ts";
import { GUEST_ADDRESS, HOST_ADDRESS, openTapNamespace, whyNoTap } from "../scripts/host/tap_namespace.ts";
import { boot, missing } from "./_boot.ts";

const noTap = await whyNoTap();
for (const engine of ["interp", "jit"] as const) {
  const skipped = missing("cloud") || (noTap === undefined ? "" : ` (skipped: ${noTap})`);
  Deno.test({
    name: `xen-netfront talks TCP both ways with the host over TAP, ${engine}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const namespace = await openTapNamespace();
      const { command, args } = script("host/file_server.ts", [HOST_ADDRESS, "4"]);
      const server = new Child(namespace.inside(command, args));
      try {
        const line = await server.match(/^\{"url".*\}$/m);
        assert(line !== undefined, server.stderr);
        const ready: ServerReady = JSON.parse(line?.[0] ?? "");
        const { status, errors, report } = await boot(
          "cloud",
          {
            run: ["ping", "get", "put"],
            ip: { address: GUEST_ADDRESS, gateway: HOST_ADDRESS },
            count: 10,
            url: ready.url,
            put: ready.sink,
            mib: 2,
          },
          ["--engine", engine, "--net", `tap,ifname=${namespace.tap}`],
          namespace,
        );
        assertEquals(status, 0, errors);
        assertEquals(report("NET").values.get("driver"), "vif"); // the name xen-netfront registers
        assertEquals(report("PING").values.get("received"), "10");
        assertEquals(report("GET").values.get("bytes"), String(ready.bytes));
        assertEquals(report("GET").values.get("sha256"), ready.sha256);
        const arrived = await server.match(/^\{"received".*\}$/m, 10_000);
        const received: ServerReceived = JSON.parse(arrived?.[0] ?? "{}");
        assertEquals(received.received, 2 << 20);
        assertEquals(report("PUT").values.get("sha256"), received.sha256);
      } finally {
        server.kill();
        await server.status;
        namespace.close();
      }
    },
  });
}
