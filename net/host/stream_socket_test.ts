// SPDX-License-Identifier: MIT
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { Collector } from "../frames/_frames.ts";
import { frameOf, type NetEnd } from "../ends/end.ts";
import type { StreamEnd } from "../ends/stream_end.ts";
import { parseStreamAddress } from "../ends/stream_address.ts";
import { openPasst, openStream } from "./stream_socket.ts";

/** Waits until `ready`, polling the ends meanwhile. */
async function until(ready: () => boolean, ...ends: NetEnd[]): Promise<void> {
  for (let tries = 0; !ready(); tries++) {
    assert(tries < 2000, "it does not happen");
    for (const end of ends) end.poll();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function freePort(): number {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr as Deno.NetAddr;
  probe.close();
  return port;
}

const FRAME = new Uint8Array(1500).map((_, i) => i);

for (const kind of ["tcp", "unix"]) {
  Deno.test(`two ends over ${kind}: frames pass, the server takes one client at a time and the next one later`, async () => {
    const directory = await Deno.makeTempDir();
    const where = kind === "tcp" ? `127.0.0.1:${freePort()}` : `unix:${directory}/socket`;
    const server = await openStream({ listen: where });
    const client = await openStream({ connect: where });
    try {
      await until(() => server.connected);
      const [atServer, atClient] = [new Collector(server), new Collector(client)];
      client.send(frameOf(FRAME));
      server.send(frameOf(FRAME.subarray(0, 60)));
      await until(() => atServer.frames.length + atClient.frames.length === 2, server, client);
      assertEquals(atServer.frames[0]?.bytes(), FRAME);
      assertEquals(atClient.frames[0]?.bytes(), FRAME.subarray(0, 60));
      client.close();
      await until(() => !server.connected, server);
      const next = await openStream({ connect: where });
      try {
        await until(() => server.connected);
        next.send(frameOf(FRAME));
        await until(() => atServer.frames.length === 2, server);
      } finally {
        next.close();
      }
    } finally {
      client.close();
      server.close();
      await Deno.remove(directory, { recursive: true });
    }
  });
}

Deno.test("a client looks for its server again", async () => {
  const where = `127.0.0.1:${freePort()}`;
  const first = await openStream({ listen: where });
  const client = await openStream({ connect: where });
  let second: StreamEnd | undefined;
  try {
    await until(() => first.connected);
    first.close();
    await until(() => !client.connected, client);
    const server = second = await openStream({ listen: where });
    await until(() => client.connected && server.connected, client);
  } finally {
    client.close();
    second?.close();
  }
});

Deno.test("what cannot be opened is one clear line", async () => {
  const nobody = `127.0.0.1:${freePort()}`;
  const refused = await assertRejects(() => openStream({ connect: nobody }), ConfigError);
  assertEquals((refused as Error).message, `Cannot connect to ${nobody}: nobody listens there`);
  const missing = await assertRejects(() => openStream({ connect: "unix:/nowhere/s" }), ConfigError);
  assertEquals((missing as Error).message, "Cannot connect to unix:/nowhere/s: there is no such file");
  const server = await openStream({ listen: nobody });
  const taken = await assertRejects(() => openStream({ listen: nobody }), ConfigError);
  assertEquals((taken as Error).message, `Cannot listen on ${nobody}: the port is in use`);
  server.close();
  await assertRejects(() => openStream({}), ConfigError, "either connect= or listen=");
  for (const text of ["", "1234x", "a:0", "a:65536", "unix:", "[::1"]) {
    assertThrows(() => parseStreamAddress(text), ConfigError, "write it like 127.0.0.1:1234 or unix:PATH");
  }
  assertEquals(parseStreamAddress("[::1]:80"), { transport: "tcp", hostname: "::1", port: 80 });
});

const passt = await new Deno.Command("passt", { args: ["--version"], stdout: "null", stderr: "null" })
  .output()
  .then(() => true, () => false);
Deno.test({
  name: `passt answers ARP for its gateway, and ends with the end${passt ? "" : " (skipped: no passt)"}`,
  ignore: !passt,
  async fn() {
    const end = await openPasst(["--address", "10.9.0.2", "--netmask", "24", "--gateway", "10.9.0.1"]);
    try {
      const seen = new Collector(end);
      const request = new Uint8Array(60);
      request.set(
        Uint8Array.fromHex(
          "ffffffffffff0200000000010806000108000604000102000000000" + "10a0900020000000000000a090001",
        ),
      );
      end.send(frameOf(request));
      await until(
        () => seen.frames.some((frame) => frame.bytes().subarray(12, 22).toHex() === "08060001080006040002"),
        end,
      );
    } finally {
      end.close();
    }
    await assertRejects(
      () => openPasst(["--no-such-option"]),
      ConfigError,
      "unrecognized option '--no-such-option'",
    );
  },
});
