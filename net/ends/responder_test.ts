// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { parseIpv6 } from "../frames/addresses.ts";
import { fold, internetChecksum, storeChecksum, sumBytes, sumPseudoHeader } from "../frames/checksum.ts";
import { DHCPDISCOVER } from "./dhcp.ts";
import { GUEST_MAC, hex, message, yiaddr } from "./_dhcp.ts";
import { frameOf } from "./end.ts";
import { putBe16 } from "../frames/headers.ts";
import { Hub } from "./hub.ts";
import { Responder, type ResponderOptions } from "./responder.ts";
import { Collector } from "../frames/_frames.ts";

const GATEWAY_MAC = "52550a000202";

function rig(options: ResponderOptions = {}) {
  const hub = new Hub();
  const guest = hub.port();
  const seen = new Collector(guest);
  const tracer = new Tracer();
  const responder = new Responder(hub.port(), { ...options, tracer });
  const ask = (bytes: Uint8Array): Uint8Array | undefined => {
    seen.frames = [];
    guest.send(frameOf(bytes));
    return seen.frames[0]?.bytes();
  };
  return { ask, responder, tracer };
}

Deno.test("Responder answers ARP for its address only", () => {
  const { ask } = rig();
  const request = (target: string) =>
    hex("ffffffffffff", GUEST_MAC, "0806 0001 0800 06 04 0001", GUEST_MAC, "0a00020f 000000000000", target);
  assertEquals(
    ask(request("0a000202")),
    hex(GUEST_MAC, GATEWAY_MAC, "0806 0001 0800 06 04 0002", GATEWAY_MAC, "0a000202", GUEST_MAC, "0a00020f"),
  );
  assertEquals(ask(request("0a000203")), undefined);
});

/** ICMP echo from 10.0.2.15 to 10.0.2.2. */
function echo(payload: Uint8Array, destination = "0a000202"): Uint8Array {
  const ip = hex("4500 0000 0001 4000 4001 0000 0a00020f", destination);
  putBe16(ip, 2, 28 + payload.length);
  storeChecksum(ip, 10, sumBytes(ip));
  const icmp = new Uint8Array([8, 0, 0, 0, 0x12, 0x34, 0, 1, ...payload]);
  storeChecksum(icmp, 2, sumBytes(icmp));
  return new Uint8Array([...hex(GATEWAY_MAC, GUEST_MAC, "0800"), ...ip, ...icmp]);
}

Deno.test("Responder answers ICMP echo with the same payload and right checksums", () => {
  const { ask, tracer } = rig();
  for (const length of [0, 1, 56, 57, 1472]) {
    const payload = new Uint8Array(length).map((_, i) => i * 3);
    const reply = ask(echo(payload)) ?? new Uint8Array();
    assertEquals(reply.subarray(0, 14), hex(GUEST_MAC, GATEWAY_MAC, "0800"));
    assertEquals(reply.subarray(26, 34), hex("0a000202 0a00020f"));
    assertEquals([internetChecksum(reply.subarray(14, 34)), internetChecksum(reply.subarray(34))], [0, 0]);
    assertEquals([reply[34], ...reply.subarray(38, 42)], [0, 0x12, 0x34, 0, 1]);
    assertEquals(reply.subarray(42), payload);
  }
  assertEquals(tracer.counters.get("net.responder.echo"), 5);
});

Deno.test("Responder leaves alone what is not for it or is damaged", () => {
  const { ask } = rig();
  const good = echo(new Uint8Array(8));
  const spoiled = (at: number, value: number) => {
    const bytes = good.slice();
    bytes[at] = value;
    return bytes;
  };
  assertEquals(ask(echo(new Uint8Array(8), "0a000207")), undefined);
  assertEquals(ask(spoiled(0, 0x02)), undefined); // another host's MAC
  assertEquals(ask(spoiled(14, 0x44)), undefined); // header too short
  assertEquals(ask(spoiled(16, 0xff)), undefined); // longer than the frame
  assertEquals(ask(spoiled(20, 0x20)), undefined); // a fragment
  assertEquals(ask(spoiled(34, 0)), undefined); // an echo reply
  for (let cut = 14; cut < good.length; cut++) assertEquals(ask(good.subarray(0, cut)), undefined);
});

/** An ICMPv6 message in a frame, with its checksum. */
function icmp6(from: string, to: string, hopLimit: number, message: Uint8Array): Uint8Array {
  const ip = new Uint8Array(40 + message.length);
  ip.set([0x60, 0, 0, 0, 0, message.length, 58, hopLimit]);
  ip.set(parseIpv6(from), 8);
  ip.set(parseIpv6(to), 24);
  ip.set(message, 40);
  const pseudo = sumPseudoHeader(ip, 0, { version: 6, protocol: 58, length: message.length });
  storeChecksum(ip, 42, fold(pseudo + sumBytes(ip, 40)));
  return new Uint8Array([...hex("3333ff000002", GUEST_MAC, "86dd"), ...ip]);
}
function checkIcmp6(frame: Uint8Array | undefined, type: number, from: string, to: string): Uint8Array {
  const ip = frame?.subarray(14) ?? new Uint8Array(48);
  assertEquals(ip[40], type);
  assertEquals([ip.slice(8, 24), ip.slice(24, 40)], [parseIpv6(from), parseIpv6(to)]);
  const pseudo = sumPseudoHeader(ip, 0, { version: 6, protocol: 58, length: ip.length - 40 });
  assertEquals(fold(pseudo + sumBytes(ip, 40)), 0xffff);
  return ip.subarray(40);
}

Deno.test("Responder speaks enough IPv6: neighbours, routers, echo", () => {
  const { ask } = rig();
  const solicit = new Uint8Array([135, 0, 0, 0, 0, 0, 0, 0, ...parseIpv6("fec0::2")]);
  const advert = checkIcmp6(
    ask(icmp6("fec0::15", "ff02::1:ff00:2", 255, solicit)),
    136,
    "fec0::2",
    "fec0::15",
  );
  assertEquals([advert[4], advert.slice(24)], [0xe0, hex("0201", GATEWAY_MAC)]);
  assertEquals(ask(icmp6("fec0::15", "ff02::1:ff00:2", 64, solicit)), undefined); // from beyond a router
  const duplicate = checkIcmp6(ask(icmp6("::", "ff02::1:ff00:2", 255, solicit)), 136, "fec0::2", "ff02::1");
  assertEquals(duplicate[4], 0xa0);

  const router = checkIcmp6(
    ask(icmp6("::", "ff02::2", 255, hex("85 00 0000 00000000"))),
    134,
    "fe80::2",
    "ff02::1",
  );
  assertEquals([router[26], router[27], router.slice(40, 56)], [64, 0xc0, parseIpv6("fec0::")]);

  const ping = checkIcmp6(
    ask(icmp6("fec0::15", "fec0::2", 64, hex("80 00 0000 1234 0001 616263"))),
    129,
    "fec0::2",
    "fec0::15",
  );
  assertEquals(ping.subarray(4), hex("1234 0001 616263"));
});

Deno.test("Responder carries DHCP in UDP, by broadcast MAC from an unconfigured guest", () => {
  const { ask } = rig();
  const payload = message(DHCPDISCOVER, "");
  const udp = new Uint8Array([...hex("0044 0043 0000 0000"), ...payload]);
  putBe16(udp, 4, udp.length);
  const ip = hex("4500 0000 0000 0000 4011 0000 00000000 ffffffff");
  putBe16(ip, 2, 20 + udp.length);
  const reply = ask(new Uint8Array([...hex("ffffffffffff", GUEST_MAC, "0800"), ...ip, ...udp])) ??
    new Uint8Array(400);
  assertEquals(reply.subarray(0, 14), hex(GUEST_MAC, GATEWAY_MAC, "0800"));
  assertEquals(internetChecksum(reply.subarray(14, 34)), 0);
  assertEquals(reply.subarray(34, 38), hex("0043 0044"));
  const length = reply.length - 34;
  const pseudo = sumPseudoHeader(reply, 14, { version: 4, protocol: 17, length });
  assertEquals(fold(pseudo + sumBytes(reply, 34)), 0xffff);
  assertEquals(yiaddr(reply.subarray(42)), "10.0.2.15");
});

Deno.test("Responder refuses addresses that make no sense", () => {
  const bad: ResponderOptions[] = [
    { ipv4: "10.0.2.2" },
    { ipv4: "10.0.2.256/24" },
    { ipv4: "10.0.2.2/31" },
    { ipv6: "fec0:::2/64" },
    { ipv6: "fec0::2/129" },
    { mac: "52:55" },
    { firstLease: "10.0.3.1" },
    { dns: "here" },
  ];
  for (const options of bad) assertThrows(() => rig(options), ConfigError, "Cannot");
});
