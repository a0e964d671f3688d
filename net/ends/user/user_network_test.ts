// SPDX-License-Identifier: MIT
/** The user network but for TCP: addresses, UDP, pings, DHCP, bounds, what hostile guests send. @module */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../cpu/base/assert.ts";
import { parseIpv4, parseIpv6 } from "../../frames/addresses.ts";
import { sumBytes } from "../../frames/checksum.ts";
import { be16, be32, putBe16 } from "../../frames/headers.ts";
import { type Frame, frameOf } from "../end.ts";
import { message } from "../_dhcp.ts";
import {
  checksum,
  GUEST,
  Guest,
  GUEST6,
  GUEST_MAC,
  GuestTcp,
  ipFrame,
  pattern,
  SYN_OPTIONS,
} from "./_guest.ts";
import { arpRequest } from "./neighbors.ts";
import { MOST_CONNECTIONS } from "./tcp/tcp_stack.ts";
import { UserAddresses } from "./user_addresses.ts";

function udp(
  to: string,
  port: number,
  payload: Uint8Array,
  { from = to.includes(":") ? GUEST6 : GUEST, ownPort = 5000 } = {},
): Uint8Array<ArrayBuffer> {
  const datagram = new Uint8Array(8 + payload.length);
  putBe16(datagram, 0, ownPort);
  putBe16(datagram, 2, port);
  putBe16(datagram, 4, datagram.length);
  datagram.set(payload, 8);
  const bytes = ipFrame({ from, to, protocol: 17, payload: datagram });
  checksum(bytes, 17, 6);
  return bytes;
}

function echo(to: string, type: number, seq: number): Uint8Array<ArrayBuffer> {
  const v6 = to.includes(":");
  const payload = Uint8Array.of(type, 0, 0, 0, 0x12, 0x34, 0, seq, 1, 2, 3, 4);
  const bytes = ipFrame({ from: v6 ? GUEST6 : GUEST, to, protocol: v6 ? 58 : 1, payload });
  checksum(bytes, v6 ? 58 : 1, 2);
  return bytes;
}

for (
  const [peer, seen] of [["192.0.2.9", "192.0.2.9"], ["2001:db8::9", "2001:db8::9"], [
    "127.0.0.1",
    "10.0.2.2",
  ]]
) {
  Deno.test(`a datagram goes out, the answer of ${peer} comes back from ${seen}, strangers do not`, () => {
    const guest = new Guest();
    guest.send(udp(seen as string, 123, pattern(40)));
    const [socket] = guest.host.udp;
    assertEquals(socket?.sent, [{ bytes: pattern(40), to: { address: peer as string, port: 123 } }]);
    socket?.receive(pattern(20), { address: peer as string, port: 123 });
    socket?.receive(pattern(20), { address: peer as string, port: 124 });
    guest.turn();
    const packets = guest.packets(17);
    assertEquals(packets.length, 1);
    const l4 = seen?.includes(":") ? 54 : 34;
    const [packet = new Uint8Array(0)] = packets;
    const address = seen?.includes(":") ? parseIpv6(seen) : parseIpv4(seen as string);
    assertEquals(packet.subarray(l4 === 54 ? 22 : 26).subarray(0, address.length), address);
    assertEquals([be16(packet, l4), be16(packet, l4 + 2)], [123, 5000]);
    assertEquals(packet.subarray(l4 + 8), pattern(20));
    const copy = packet.slice();
    checksum(copy, 17, 6);
    assertEquals(packet, copy);
    assertEquals(guest.count("udp.uninvited"), 1);
  });
}

Deno.test("one port, one socket for all its peers; it is closed when nobody uses it", () => {
  const guest = new Guest();
  for (const to of ["192.0.2.1", "192.0.2.2", "192.0.2.1"]) guest.send(udp(to, 7, pattern(3)));
  assertEquals(guest.host.udp.length, 1);
  assertEquals(guest.host.udp[0]?.sent.map(({ to }) => to.address), ["192.0.2.1", "192.0.2.2", "192.0.2.1"]);
  guest.wait(60_000);
  guest.send(udp("192.0.2.1", 7, pattern(3)));
  guest.wait(100_000);
  assertEquals(guest.host.udp[0]?.closed, false);
  for (let i = 0; i < 30; i++) guest.wait(5000);
  assertEquals(guest.host.udp[0]?.closed, true);
  assertEquals(guest.net.open.udp, 0);
});

Deno.test("sockets are bounded: the one that was used longest ago gives way", () => {
  const guest = new Guest();
  for (let i = 0; i < 300; i++) {
    guest.send(udp("192.0.2.1", 7, pattern(3), { ownPort: 10_000 + i }));
    guest.send(udp("192.0.2.1", 7, pattern(3), { ownPort: 9_999 }));
  }
  assertEquals(guest.net.open.udp, 256);
  assertEquals(guest.host.udp.map(({ closed }) => closed).indexOf(false), 1); // 9999
});

Deno.test("long datagrams come in fragments and go out whole", () => {
  const guest = new Guest();
  const datagram = udp("192.0.2.1", 7, pattern(4000));
  const payload = datagram.subarray(34);
  const parts = [[2960, 4008], [0, 1480], [1480, 2960]] as const;
  for (const [from, to] of parts) {
    const fragment = from >>> 3 | (to < 4008 ? 0x2000 : 0);
    guest.send(
      ipFrame({ from: GUEST, to: "192.0.2.1", protocol: 17, payload: payload.slice(from, to), fragment }),
    );
  }
  assertEquals(guest.host.udp[0]?.sent[0]?.bytes, pattern(4000));
  guest.host.udp[0]?.receive(pattern(4000), { address: "192.0.2.1", port: 7 });
  guest.turn();
  const packets = guest.packets(17);
  assertEquals(packets.map((bytes) => [be16(bytes, 20), bytes.length - 34]), [
    [0x2000, 1480],
    [0x2000 | 185, 1480],
    [370, 1048],
  ]);
  assertEquals(new Set(packets.map((bytes) => be16(bytes, 18))).size, 1);
  assertEquals(packets.flatMap((bytes) => [...bytes.subarray(34)]).slice(8), [...pattern(4000)]);
});

/** A fragment of IPv6 with a fragment header as RFC 8200 §4.5 has it; `before`: extension headers in front of it. */
function fragment6(
  part: Uint8Array,
  { offset, more, next = 17, before }: { offset: number; more: boolean; next?: number; before?: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const header = Uint8Array.of(next, 0, offset >>> 8, offset & 0xf8 | Number(more), 0xde, 0xad, 0xbe, 0xef);
  return ipFrame({
    from: GUEST6,
    to: "2001:db8::1",
    protocol: before === undefined ? 44 : 0,
    payload: Uint8Array.of(...before ?? [], ...header, ...part),
  });
}
/** Hop-by-hop options: the fragment header is next, PadN. */
const OPTIONS = Uint8Array.of(44, 0, 1, 4, 0, 0, 0, 0);

for (const before of [undefined, OPTIONS]) {
  const what = before === undefined ? "" : " behind options";
  Deno.test(`long datagrams of IPv6 come in fragments${what} and go out whole`, () => {
    const guest = new Guest();
    const payload = udp("2001:db8::1", 7, pattern(4000)).slice(54);
    for (const [from, to] of [[2896, 4008], [0, 1448], [1448, 2896]] as const) {
      assertEquals(guest.host.udp, []);
      guest.send(
        fragment6(payload.slice(from, to), { offset: from, more: to < 4008, ...(before && { before }) }),
      );
    }
    assertEquals(guest.host.udp[0]?.sent[0]?.bytes, pattern(4000));
    guest.host.udp[0]?.receive(pattern(4000), { address: "2001:db8::1", port: 7 });
    guest.turn();
    const packets = guest.packets(44);
    // next header and what is reserved, then offset and M; the payload's length counts the fragment header
    assertEquals(packets.map((b) => [be16(b, 54), be16(b, 56), b.length - 62, be16(b, 18)]), [
      [0x1100, 1, 1448, 1456],
      [0x1100, 1448 | 1, 1448, 1456],
      [0x1100, 2896, 1112, 1120],
    ]);
    assertEquals(new Set(packets.map((bytes) => be32(bytes, 58))).size, 1);
    const whole = Uint8Array.from(packets.flatMap((bytes) => [...bytes.subarray(62)]));
    assertEquals(whole.subarray(8), pattern(4000));
    // its checksum is that of a datagram in one piece
    const inOne = ipFrame({ from: "2001:db8::1", to: GUEST6, protocol: 17, payload: whole.slice() });
    const sent = be16(inOne, 60);
    checksum(inOne, 17, 6);
    assertEquals(be16(inOne, 60), sent);
  });
}

Deno.test("an IPv6 packet that is its only fragment is a packet; one with fragments inside is malformed", () => {
  const guest = new Guest();
  const payload = udp("2001:db8::1", 7, pattern(100)).slice(54);
  guest.send(fragment6(payload, { offset: 0, more: false }));
  assertEquals(guest.host.udp[0]?.sent[0]?.bytes, pattern(100));
  const inner = fragment6(payload, { offset: 0, more: false }).subarray(54);
  guest.send(fragment6(inner, { offset: 0, more: false, next: 44 }));
  assertEquals([guest.host.udp[0]?.sent.length, guest.count("malformed")], [1, 1]);
});

Deno.test("the longest datagrams of either version pass both ways", () => {
  const guest = new Guest();
  for (
    const [to, bytes, header, part] of [["192.0.2.1", 65_507, 34, 1480], [
      "2001:db8::1",
      65_527,
      54,
      1448,
    ]] as const
  ) {
    const payload = udp(to, 7, new Uint8Array(bytes)).slice(header);
    for (let offset = 0; offset < payload.length; offset += part) {
      const piece = payload.slice(offset, offset + part);
      const more = offset + part < payload.length;
      const fragment = offset >>> 3 | (more ? 0x2000 : 0);
      guest.send(
        header === 54
          ? fragment6(piece, { offset, more })
          : ipFrame({ from: GUEST, to, protocol: 17, payload: piece, fragment }),
      );
    }
    const socket = guest.host.udp.at(-1);
    assertEquals(socket?.sent[0]?.bytes.length, bytes);
    socket?.receive(new Uint8Array(bytes), { address: to, port: 7 });
    guest.turn();
    assertEquals(guest.take().length, Math.ceil(payload.length / part));
    socket?.receive(new Uint8Array(bytes + 1), { address: to, port: 7 });
  }
  assertEquals(guest.count("udp.too_long"), 2);
});

Deno.test("a TCP segment may come in fragments", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.open();
  const payload = tcp.segment("PA", pattern(2000)).slice(34);
  const to = "192.0.2.1";
  guest.send(ipFrame({ from: GUEST, to, protocol: 6, payload: payload.slice(0, 1480), fragment: 0x2000 }));
  guest.send(ipFrame({ from: GUEST, to, protocol: 6, payload: payload.slice(1480), fragment: 185 }));
  assertEquals(Uint8Array.from(guest.host.tcp[0]?.got ?? []), pattern(2000));
});

Deno.test("long pings of the gateway come and go in fragments", () => {
  const guest = new Guest();
  const long = Uint8Array.of(8, 0, 0, 0, 0x12, 0x34, 0, 1, ...pattern(3000));
  const request = ipFrame({ from: GUEST, to: "10.0.2.2", protocol: 1, payload: long });
  checksum(request, 1, 2);
  const payload = request.slice(34);
  for (const [from, to] of [[0, 1480], [1480, 2960], [2960, 3008]] as const) {
    const fragment = from >>> 3 | (to < 3008 ? 0x2000 : 0);
    guest.send(
      ipFrame({ from: GUEST, to: "10.0.2.2", protocol: 1, payload: payload.slice(from, to), fragment }),
    );
  }
  const packets = guest.packets(1);
  assertEquals(packets.map((b) => [be16(b, 20), b.length - 34]), [[0x2000, 1480], [0x20b9, 1480], [370, 48]]);
  const answer = Uint8Array.from(packets.flatMap((bytes) => [...bytes.subarray(34)]));
  assertEquals([answer[0], sumBytes(answer)], [0, 0xffff]);
  assertEquals(answer.subarray(4), long.subarray(4));
});

Deno.test("fragments that overlap, leave the datagram or never end go nowhere", () => {
  const guest = new Guest();
  const part = (from: number, length: number, more: boolean) =>
    guest.send(ipFrame({
      from: GUEST,
      to: "192.0.2.1",
      protocol: 17,
      payload: new Uint8Array(length),
      fragment: from >>> 3 | (more ? 0x2000 : 0),
    }));
  part(0, 16, true);
  part(8, 16, false);
  part(65_528, 64, false);
  part(0, 13, true);
  assertEquals(guest.host.udp, []);
});

Deno.test("the name server of the network is the host's; other ports of it are closed", () => {
  const guest = new Guest();
  guest.send(udp("10.0.2.3", 53, pattern(30)));
  assertEquals(guest.host.udp[0]?.sent[0]?.to, { address: "192.0.2.53", port: 53 });
  guest.host.udp[0]?.receive(pattern(60), { address: "192.0.2.53", port: 53 });
  guest.turn();
  assertEquals(guest.packets(17)[0]?.subarray(26, 30), parseIpv4("10.0.2.3"));
  const tcp = new GuestTcp(guest, "10.0.2.3", 53);
  tcp.open();
  assertEquals(guest.host.tcp[0]?.to, { address: "192.0.2.53", port: 53 });
  guest.send(udp("10.0.2.3", 54, pattern(30)));
  assertEquals(guest.packets(1)[0]?.subarray(34, 36), Uint8Array.of(3, 3));
});

Deno.test("pings: the gateway answers itself, the world by the host's socket", () => {
  const guest = new Guest({}, (host) => host.echo = true);
  guest.send(echo("10.0.2.2", 8, 1));
  assertEquals(guest.packets(1)[0]?.subarray(34, 35), Uint8Array.of(0));
  guest.send(echo("192.0.2.7", 8, 9));
  const [asked] = guest.host.echoes;
  assertEquals(asked?.to, "192.0.2.7");
  const reply = asked?.message.slice() ?? new Uint8Array(0);
  reply[0] = 0;
  putBe16(reply, 4, 999); // the host's identifier
  guest.host.echoReplies.push(reply);
  guest.turn();
  const [answer = new Uint8Array(0)] = guest.packets(1);
  const copy = answer.slice();
  checksum(copy, 1, 2);
  assertEquals(answer, copy);
  assertEquals(answer.subarray(26, 30), parseIpv4("192.0.2.7"));
  assertEquals([be16(answer, 38), be16(answer, 40)], [0x1234, 9]);
  guest.host.echoReplies.push(reply); // twice
  guest.turn();
  assertEquals(guest.packets(1), []);
});

Deno.test("a machine sleeps on the socket that was asked last, until no answer can come", () => {
  const guest = new Guest({}, (host) => host.echo = true);
  assertEquals(guest.net.pollFd(), -1);
  guest.send(echo("2001:db8::7", 128, 1));
  assertEquals(guest.net.pollFd(), 96);
  guest.send(echo("192.0.2.7", 8, 1));
  assertEquals(guest.net.pollFd(), 94);
  guest.wait(11_000);
  assertEquals(guest.net.pollFd(), -1);
});

for (const [to, type, protocol] of [["192.0.2.7", 8, 1], ["2001:db8::7", 128, 58]] as const) {
  Deno.test(`without a socket for pings ${to} is unreachable`, () => {
    const guest = new Guest();
    guest.send(echo(to, type, 1));
    const [answer] = guest.packets(protocol);
    const l4 = protocol === 1 ? 34 : 54;
    assertEquals(answer?.[l4], protocol === 1 ? 3 : 1);
    const copy = answer?.slice() ?? new Uint8Array(0);
    checksum(copy, protocol, 2);
    assertEquals(answer, copy);
  });
}

Deno.test("DHCP: addresses from .15, gateway .2, name server .3; another network has others", () => {
  for (const [net, prefix] of [["10.0.2.0/24", "0a0002"], ["192.168.50.0/25", "c0a832"]] as const) {
    const guest = new Guest({ net });
    const discover = message(1, "");
    const datagram = new Uint8Array(8 + discover.length);
    putBe16(datagram, 0, 68);
    putBe16(datagram, 2, 67);
    putBe16(datagram, 4, datagram.length);
    datagram.set(discover, 8);
    const mac = new Uint8Array(6).fill(255);
    const frame = ipFrame({ from: "0.0.0.0", to: "255.255.255.255", protocol: 17, payload: datagram, mac });
    checksum(frame, 17, 6);
    guest.send(frame);
    const offer = guest.packets(17)[0]?.subarray(42) ?? new Uint8Array(0);
    assertEquals(offer.subarray(16, 20).toHex(), `${prefix}0f`);
    assert(offer.toHex().includes(`0604${prefix}03`), "name server");
    assert(offer.toHex().includes(`0304${prefix}02`), "router");
  }
});

Deno.test("router advertisements name the name server and come again before they expire", () => {
  const guest = new Guest();
  const solicit = new Uint8Array(8);
  solicit[0] = 133;
  const bytes = ipFrame({
    from: "fe80::1",
    to: "ff02::2",
    protocol: 58,
    payload: solicit,
    mac: Uint8Array.of(0x33, 0x33, 0, 0, 0, 2),
  });
  checksum(bytes, 58, 2);
  guest.send(bytes);
  const [advert] = guest.packets(58);
  assertEquals(advert?.[54], 134);
  assert(advert?.toHex().includes("19030000"), "RDNSS");
  guest.wait(600_000);
  assertEquals(guest.packets(58)[0]?.[54], 134);
});

Deno.test("restrict: the gateway answers pings and DHCP, nothing else goes anywhere but what is forwarded", () => {
  const guest = new Guest({ restrict: true, guestfwd: ["tcp:10.0.2.100:80-127.0.0.1:8080"] });
  for (const to of ["10.0.2.2", "192.0.2.1", "10.0.2.3"]) {
    const tcp = new GuestTcp(guest, to);
    tcp.send("S");
    assertEquals(tcp.received().map(({ flags }) => flags), ["RA"]);
    guest.send(udp(to, 53, pattern(3)));
  }
  assertEquals([guest.host.tcp.length, guest.host.udp.length], [0, 0]);
  guest.take();
  guest.send(echo("10.0.2.2", 8, 1));
  assertEquals(guest.packets(1).length, 1);
  guest.send(arpRequest(GUEST_MAC, parseIpv4(GUEST), parseIpv4("10.0.2.100")).bytes());
  assertEquals(guest.take().length, 1);
  new GuestTcp(guest, "10.0.2.100", 80).open();
  assertEquals(guest.host.tcp[0]?.to, { address: "127.0.0.1", port: 8080 });
});

Deno.test("UDP through a forwarded port, and back to whoever spoke", () => {
  const guest = new Guest({ hostfwd: ["udp:127.0.0.1:5353-:53"] });
  guest.send(arpRequest(GUEST_MAC, parseIpv4(GUEST), parseIpv4("10.0.2.2")).bytes());
  guest.take();
  const [socket] = guest.host.udp;
  assertEquals(socket?.at, { address: "127.0.0.1", port: 5353 });
  socket?.receive(pattern(5), { address: "127.0.0.1", port: 6000 });
  guest.turn();
  const [packet = new Uint8Array(0)] = guest.packets(17);
  assertEquals([be16(packet, 34), be16(packet, 36)], [6000, 53]);
  assertEquals(packet.subarray(26, 30), parseIpv4("10.0.2.2"));
  guest.send(udp("10.0.2.2", 6000, pattern(9), { ownPort: 53 }));
  assertEquals(socket?.sent, [{ bytes: pattern(9), to: { address: "127.0.0.1", port: 6000 } }]);
  for (let i = 0; i < 100; i++) guest.wait(5000);
  assertEquals(socket?.closed, false);
});

for (
  const to of [
    "0.0.0.1",
    "127.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "10.0.2.77",
    "::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "fe80::99",
  ]
) {
  Deno.test(`${to} leads nowhere`, () => {
    const plain = to.startsWith("::ffff:") ? "::ffff:7f00:1" : to;
    const guest = new Guest();
    guest.send(udp(plain, 53, pattern(4)));
    new GuestTcp(guest, plain).send("S");
    assertEquals([guest.host.tcp.length, guest.host.udp.length], [0, 0]);
  });
}

Deno.test("connections are bounded, and each that ends makes room for another", () => {
  const guest = new Guest();
  const all = Array.from(
    { length: MOST_CONNECTIONS + 10 },
    (_, i) => new GuestTcp(guest, "192.0.2.1", 80, 1000 + i),
  );
  for (const tcp of all) guest.net.send(frameOf(tcp.segment("S", undefined, { options: SYN_OPTIONS })));
  assertEquals([guest.net.open.tcp, guest.host.tcp.length], [MOST_CONNECTIONS, MOST_CONNECTIONS]);
  assertEquals(guest.count("tcp.full"), 10);
  guest.host.tcp[0]?.fail("refused");
  guest.net.send(frameOf((all.at(-1) as GuestTcp).segment("S")));
  assertEquals(guest.net.open.tcp, MOST_CONNECTIONS);
});

Deno.test("damaged frames are counted and go nowhere", () => {
  const guest = new Guest();
  const good = new GuestTcp(guest).segment("S", undefined, { options: SYN_OPTIONS });
  const damage: ((bytes: Uint8Array) => Uint8Array | void)[] = [
    (b) => void (b[24] = (b[24] as number) ^ 1), // IPv4 checksum
    (b) => void (b[51] = (b[51] as number) ^ 1), // TCP checksum
    (b) => void (b[46] = 0xf0), // header longer than the packet
    (b) => void (b[46] = 0x10), // shorter than can be
    (b) => b.subarray(0, b.length - 1),
    (b) => b.subarray(0, 40),
    (b) => void (b[14] = 0x41),
  ];
  for (const [i, change] of damage.entries()) {
    const bytes = good.slice();
    guest.send(change(bytes) ?? bytes);
    assertEquals([guest.count("malformed"), guest.host.tcp.length], [i + 1, 0]);
  }
  guest.send(good);
  assertEquals(guest.host.tcp.length, 1);
});

Deno.test("arbitrary and half-right frames never throw, and keep nothing for ever", () => {
  const guest = new Guest({ hostfwd: ["tcp::2222-:22", "udp::2223-:22"] });
  let seed = 42;
  const random = () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 8;
  const tcp = new GuestTcp(guest);
  const bases = [
    tcp.segment("S", undefined, { options: SYN_OPTIONS }),
    tcp.segment("A", pattern(100)),
    tcp.segment("FPA", pattern(10), { options: SYN_OPTIONS }),
    udp("192.0.2.1", 53, pattern(100)),
    udp("2001:db8::1", 53, pattern(100)),
    echo("192.0.2.1", 8, 1),
    echo("fec0::2", 128, 1),
    arpRequest(GUEST_MAC, parseIpv4(GUEST), parseIpv4("10.0.2.2")).bytes(),
  ];
  for (let i = 0; i < 20_000; i++) {
    const base = bases[i % bases.length] as Uint8Array;
    const bytes = base.slice(0, random() % 8 === 0 ? random() % base.length : base.length);
    for (let n = random() % 4; n > 0; n--) bytes[12 + random() % (bytes.length - 12)] = random();
    const frame: Frame = frameOf(bytes);
    frame.flags = random() % 3; // checksums that nobody looks at, to get further
    guest.net.send(frame);
    if (i % 16 === 0) {
      guest.turn();
      for (const host of guest.host.tcp) if (random() % 4 === 0 && !host.closed) host.accept();
      guest.take();
    }
  }
  for (let i = 0; i < 200; i++) guest.wait(60_000), guest.take();
  for (let i = 0; i < 200; i++) guest.wait(7_300_000), guest.take();
  assertEquals(guest.net.open, { tcp: 0, udp: 1 });
});

Deno.test("a snapshot: whoever wakes up with connections finds them reset", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.open();
  const state = structuredClone(guest.net.save());
  assertEquals(guest.net.open.tcp, 1);
  const other = new Guest();
  const again = new GuestTcp(other);
  again.ack = tcp.ack;
  again.seq = tcp.seq;
  other.net.restore(state);
  other.turn();
  assertEquals(again.received().map(({ flags, seq }) => [flags, seq]), [["RA", tcp.ack]]);
  guest.net.restore(state); // the same process
  assertEquals([guest.net.open.tcp, guest.host.tcp[0]?.closed], [0, true]);
});

Deno.test("without a receiver nothing is kept and nothing is lost that was not there", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.open();
  guest.net.attach(undefined);
  guest.host.tcp[0]?.feed(pattern(100));
  guest.turn();
  guest.net.attach(guest);
  guest.turn();
  assertEquals(tcp.received()[0]?.payload, pattern(100));
});

const WRONG: readonly [ConstructorParameters<typeof UserAddresses>[0], RegExp][] = [
  [{ net: "10.0.2.0" }, /write it like 10\.0\.2\.0\/24/],
  [{ net: "10.0.2.0/30" }, /\/8 to \/27/],
  [{ net: "10.0.2.256/24" }, /IPv4 address/],
  [{ host: "10.0.3.2" }, /gateway: it is outside/],
  [{ dns: "10.0.2.2" }, /it is the gateway/],
  [{ hostfwd: ["2222-22"] }, /hostfwd=2222-22: it is no forward; write it like tcp:127/],
  [{ hostfwd: ["tcp::0-:22"] }, /0 is no port/],
  [{ hostfwd: ["tcp::65536-:22"] }, /65536 is no port/],
  [{ hostfwd: ["tcp::22-192.168.0.1:22"] }, /outside the network/],
  [{ guestfwd: ["tcp:192.168.0.1:22-:22"] }, /outside the network/],
  [{ hostfwd: ["icmp::1-:1"] }, /no forward/],
  [{ net: "0.0.0.0/8" }, /guests have no addresses there/],
  [{ net: "172.16.0.0/12", host: "172.31.255.255" }, /gateway: it is the network's broadcast address/],
  [{ dns: "10.0.2.0" }, /name server: it is the network's own/],
  [{ host: "10.0.2.15" }, /gateway: it is the first guest's/],
  [
    { hostfwd: ["tcp::22-:22", "udp::22-:22", "tcp:0.0.0.0:22-:80"] },
    /hostfwd=tcp:0.0.0.0:22-:80: that port leads somewhere/,
  ],
  [{ guestfwd: ["tcp::80-:80", "tcp:10.0.2.100:80-:81"] }, /guestfwd=tcp:10\.0\.2\.100:80-:81: that port/],
];
for (const [options, says] of WRONG) {
  Deno.test(`${JSON.stringify(options)} is refused`, () => {
    const error = assertThrows(() => new UserAddresses(options, () => undefined), ConfigError);
    assert(says.test((error as Error).message), (error as Error).message);
  });
}
