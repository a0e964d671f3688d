// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { parseIpv4 } from "../frames/addresses.ts";
import {
  DHCPACK,
  DHCPDISCOVER,
  DHCPINFORM,
  DHCPNAK,
  DHCPOFFER,
  DHCPRELEASE,
  DHCPREQUEST,
  DhcpServer,
} from "./dhcp.ts";
import { hex, message, yiaddr } from "./_dhcp.ts";

const SERVER_OPTIONS = {
  server: parseIpv4("10.0.2.2"),
  prefixLength: 24,
  first: parseIpv4("10.0.2.15"),
  count: 2,
  dns: parseIpv4("10.0.2.3"),
};

Deno.test("DhcpServer: discover, offer, request, acknowledge", () => {
  const server = new DhcpServer(SERVER_OPTIONS);
  const offer = server.handle(message(DHCPDISCOVER, "3705 01 03 06 0f 1c"));
  assertEquals([offer?.type, yiaddr(offer?.payload), offer?.broadcast], [DHCPOFFER, "10.0.2.15", false]);
  assertEquals(offer?.payload.subarray(0, 8), hex("02 01 06 00 cafebabe"));
  const ack = server.handle(message(DHCPREQUEST, "3204 0a00020f 3604 0a000202"));
  assertEquals([ack?.type, yiaddr(ack?.payload)], [DHCPACK, "10.0.2.15"]);
  assertEquals(
    ack?.payload.subarray(240, 279),
    hex("350105 36040a000202 330400015180 0104ffffff00 1c040a0002ff 03040a000202 06040a000203"),
  );
  assertEquals(ack?.payload[279], 0xff);
  assertEquals(ack?.destination, parseIpv4("10.0.2.15"));
});

Deno.test("DhcpServer: each client its own address, until there are no more", () => {
  const server = new DhcpServer(SERVER_OPTIONS);
  const offered = (mac: string) => yiaddr(server.handle(message(DHCPDISCOVER, "", { mac }))?.payload);
  assertEquals(["020000000001", "020000000002", "020000000001", "020000000003"].map(offered), [
    "10.0.2.15",
    "10.0.2.16",
    "10.0.2.15",
    undefined,
  ]);
});

Deno.test("DhcpServer: refuses a wrong address, answers by broadcast when asked", () => {
  const server = new DhcpServer(SERVER_OPTIONS);
  const nak = server.handle(message(DHCPREQUEST, "3204 c0a80001"));
  assertEquals([nak?.type, nak?.broadcast, nak?.destination.join(".")], [DHCPNAK, true, "255.255.255.255"]);
  const wide = server.handle(message(DHCPDISCOVER, "", { flags: "8000" }));
  assertEquals([wide?.broadcast, wide?.destination.join(".")], [true, "255.255.255.255"]);
  const renewal = server.handle(message(DHCPREQUEST, "", { ciaddr: "0a00020f" }));
  assertEquals([renewal?.type, renewal?.destination], [DHCPACK, parseIpv4("10.0.2.15")]);
  const inform = server.handle(message(DHCPINFORM, "", { ciaddr: "0a000263" }));
  assertEquals([inform?.type, yiaddr(inform?.payload)], [DHCPACK, "0.0.0.0"]);
});

const SILENT: [string, Uint8Array][] = [
  ["another server's request", message(DHCPREQUEST, "3604 0a000209")],
  ["a release", message(DHCPRELEASE, "")],
  ["no message type", message(DHCPDISCOVER, "").fill(0, 240, 243)],
  ["a reply", message(DHCPDISCOVER, "").fill(2, 0, 1)],
  ["a wrong cookie", message(DHCPDISCOVER, "").fill(0, 236, 237)],
  ["a short message", message(DHCPDISCOVER, "").subarray(0, 239)],
  ["an option that leaves the message", message(DHCPDISCOVER, "").fill(200, 241, 242)],
];
for (const [what, bytes] of SILENT) {
  Deno.test(`DhcpServer: silent on ${what}`, () => {
    assertEquals(new DhcpServer(SERVER_OPTIONS).handle(bytes), undefined);
  });
}

Deno.test("DhcpServer: leases are in a snapshot, and new clients get other addresses", () => {
  const offered = (server: DhcpServer, mac: string) =>
    yiaddr(server.handle(message(DHCPDISCOVER, "", { mac }))?.payload);
  const one = new DhcpServer(SERVER_OPTIONS);
  offered(one, "020000000007");
  const two = new DhcpServer(SERVER_OPTIONS);
  offered(two, "020000000009"); // forgotten by the restore
  two.restore(structuredClone(one.save()));
  assertEquals(two.leases(), ["02:00:00:00:00:07 10.0.2.15"]);
  assertEquals(["020000000008", "020000000007", "020000000009"].map((mac) => offered(two, mac)), [
    "10.0.2.16",
    "10.0.2.15",
    undefined,
  ]);
});
