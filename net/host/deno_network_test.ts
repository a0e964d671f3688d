// SPDX-License-Identifier: MIT
import { assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import type { HostFailure } from "../ends/user/host_network.ts";
import { DenoNetwork, MOST_DIALING } from "./deno_network.ts";

/** Events that note what came. */
function noted() {
  const seen: string[] = [];
  const events = {
    connected: () => void seen.push("connected"),
    received: (bytes: number) => void seen.push(`received ${bytes}`),
    sent: (bytes: number) => void seen.push(`sent ${bytes}`),
    failed: (why: HostFailure) => void seen.push(why),
  };
  return { seen, events };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 20));

Deno.test("connections on their way are bounded, those that were given up too", async () => {
  const ends: (() => void)[] = [];
  const network = new DenoNetwork(
    undefined,
    () => new Promise((_, reject) => void ends.push(() => reject(new Deno.errors.TimedOut("late")))),
  );
  const { seen, events } = noted();
  for (let i = 0; i < 2000; i++) network.connectTcp({ address: "192.0.2.1", port: 80 }, events).close();
  await turn();
  assertEquals([ends.length, seen.length], [MOST_DIALING, 0]); // closed: nothing is told
  network.connectTcp({ address: "192.0.2.1", port: 80 }, events);
  await turn();
  assertEquals(seen, ["unreachable"]);
  for (const end of ends.splice(0)) end();
  await turn();
  network.connectTcp({ address: "192.0.2.1", port: 80 }, events);
  assertEquals(ends.length, 1);
  ends[0]?.();
  await turn();
  assertEquals(seen, ["unreachable", "unreachable"]);
});

Deno.test("a connection: connected, read, written, half-closed, and the end told once", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const { seen, events } = noted();
  const network = new DenoNetwork();
  const accepted = listener.accept();
  const connection = network.connectTcp({ address: "127.0.0.1", port }, events);
  const peer = await accepted;
  await turn();
  const buffer = new Uint8Array(100);
  connection.read(buffer);
  await peer.write(new Uint8Array(10));
  await turn();
  connection.write(new Uint8Array(7));
  await turn();
  connection.closeWrite();
  assertEquals([await peer.read(buffer), await peer.read(buffer)], [7, null]);
  connection.read(buffer);
  await peer.closeWrite();
  await turn();
  assertEquals(seen, ["connected", "received 10", "sent 7", "received 0"]);
  connection.close();
  peer.close();
  listener.close();
  network.connectTcp({ address: "127.0.0.1", port }, events);
  await turn();
  assertEquals(seen.at(-1), "refused");
});

Deno.test("a port for datagrams that cannot be had is told once, to who waits for it", async () => {
  const network = new DenoNetwork();
  const failures: string[] = [];
  const open = (address: string, port: number) =>
    network.openUdp(4, { address, port }, () => {}, (why) => failures.push(why));
  const first = open("127.0.0.1", 40_000 + Deno.pid % 20_000);
  await first.bound;
  const second = open("127.0.0.1", 40_000 + Deno.pid % 20_000);
  await assertRejects(() => second.bound, ConfigError, "the port is in use");
  const elsewhere = open("192.0.2.1", 2222); // TEST-NET-1, RFC 5737
  await assertRejects(() => elsewhere.bound, ConfigError, "192.0.2.1:2222: the host has no such address");
  for (const socket of [first, second, elsewhere]) socket.close();
  assertEquals(failures, []);
});

for (const version of [4, 6] as const) {
  const address = version === 4 ? "127.0.0.1" : "::1";
  Deno.test(`datagrams both ways over IPv${version}`, async () => {
    const network = new DenoNetwork();
    const got: string[] = [];
    const failures: string[] = [];
    const fixed = 20_000 + Deno.pid % 20_000 + version;
    const server = network.openUdp(version, { address, port: fixed }, (bytes, from) => {
      got.push(`server ${bytes.length}`);
      server.send(new Uint8Array(5), from);
    }, (why) => failures.push(why));
    const client = network.openUdp(version, undefined, (bytes, from) => {
      got.push(`client ${bytes.length} ${from.address} ${from.port}`);
    }, (why) => failures.push(why));
    await turn();
    client.send(new Uint8Array(3), { address, port: fixed });
    for (let tries = 0; tries < 100 && got.length < 2; tries++) await turn();
    client.close();
    server.close();
    assertEquals([got, failures], [["server 3", `client 5 ${address} ${fixed}`], []]);
  });
}
