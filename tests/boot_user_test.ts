// SPDX-License-Identifier: MIT
/**
 * Debian's cloud kernel on the user network, which is what an interface is connected to when nothing is said: real servers
 * on the host's loopback, and the host as a client of the guest. Needs no privilege.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Child, script, xenner } from "../scripts/host/child.ts";
import type { ServerReady, ServerReceived } from "../scripts/host/file_server.ts";
import { guestCommandLine, guestFiles } from "../scripts/guests/manifest.ts";
import { boot, missing } from "./_boot.ts";
import { readCapture } from "./_capture.ts";

const skipped = missing("cloud");
/** The host's loopback, as guests see it. */
const HOST = "10.0.2.2";

Deno.test({
  name:
    `a guest reaches servers of the host both ways without a privilege, and nothing is sent twice${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const server = new Child(script("host/file_server.ts", ["127.0.0.1", "8"]));
    const dir = await Deno.makeTempDir({ prefix: "xenner-user-" });
    try {
      const line = await server.match(/^\{"url".*\}$/m);
      assert(line !== undefined, server.stderr);
      const ready: ServerReady = JSON.parse(line[0]);
      const here = (text: string) => text.replace("127.0.0.1", HOST);
      const { status, errors, report } = await boot("cloud", {
        run: ["ping", "get", "put"],
        ip: "dhcp",
        count: 3,
        url: here(ready.url),
        put: here(ready.sink),
        mib: 4,
      }, ["--stats=json", "--pcap", `${dir}/capture`]);
      assertEquals(status, 0, errors);
      const capture = readCapture(await Deno.readFile(`${dir}/capture`));
      assertEquals(capture.badChecksums, 0, capture.wrong.join("\n"));
      assertEquals(capture.connections, 2);
      assert(capture.data > 200, `${capture.data} segments`);
      assertEquals(report("NET").values.get("address"), "10.0.2.15/24");
      assertEquals(report("PING").values.get("received"), "3");
      assertEquals(report("GET").values.get("sha256"), ready.sha256);
      const arrived = await server.match(/^\{"received".*\}$/m, 10_000);
      const received: ServerReceived = JSON.parse(arrived?.[0] ?? "{}");
      assertEquals(received.received, 4 << 20);
      assertEquals(report("PUT").values.get("sha256"), received.sha256);
      const { counters } = JSON.parse(errors.trim().split("\n").at(-1) ?? "");
      assertEquals(counters["net.user.tcp.opened"], 2);
      assertEquals(counters["net.user.tcp.retransmitting"], undefined);
      assertEquals(counters["net.user.malformed"], undefined);
      // which way large frames go depends on how fast the servers are
      const large = (counters["net.rx.gso"] ?? 0) + (counters["net.tx.gso"] ?? 0);
      assert(large > 0, "segmentation was not left to the guest");
    } finally {
      server.kill();
      await server.status;
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test({
  name: `a forwarded port leads into the guest; a half-closed connection still answers${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = probe.addr as Deno.NetAddr;
    probe.close();
    const { vmlinuz, initramfs } = guestFiles("cloud");
    const guest = new Child(
      xenner([
        ...["run", "--kernel", vmlinuz.pathname, "--initrd", initramfs.pathname, "--timeout", "300"],
        ...["--append", guestCommandLine({ run: ["shell"], ip: "dhcp" })],
        ...["--net", `user,hostfwd=tcp:127.0.0.1:${port}-:2222`],
      ]),
      undefined,
      "piped",
    );
    try {
      assert(await guest.match(/Welcome/, 200_000), guest.stdout.slice(-2000) + guest.stderr);
      await guest.type("nc -l -p 2222 -e cat; echo SERVED-$?\n");
      await guest.match(/-e cat/, 60_000);
      const connection = await connectUntilServed(port);
      const sent = crypto.getRandomValues(new Uint8Array(65_536));
      const sending = (async () => {
        for (let at = 0; at < sent.length;) at += await connection.write(sent.subarray(at));
        await connection.closeWrite();
      })();
      const echoed = new Uint8Array(await new Response(connection.readable).arrayBuffer());
      await sending;
      assertEquals(echoed, sent);
      assert(await guest.match(/SERVED-0/, 60_000), guest.stdout.slice(-2000));
      await guest.type("poweroff -f\n");
      assertEquals(await guest.status, 0, guest.stderr);
    } finally {
      guest.kill();
      await guest.status;
    }
  },
});

/** Connects until the guest's server is there: before that the guest refuses, and we close. */
async function connectUntilServed(port: number): Promise<Deno.TcpConn> {
  for (let tries = 0; tries < 60; tries++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (await isEstablished(connection)) return connection;
    connection.close();
  }
  throw new Error("the guest's server does not answer");
}

/** As the host's kernel sees it. */
async function isEstablished(connection: Deno.TcpConn): Promise<boolean> {
  const { port } = connection.localAddr as Deno.NetAddr;
  const own = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  const lines = (await Deno.readTextFile("/proc/net/tcp")).split("\n").map((line) =>
    line.trim().split(/\s+/)
  );
  return lines.some(([, local, , state]) => `${local} `.endsWith(own) && state === "01");
}
