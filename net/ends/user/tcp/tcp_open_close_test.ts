// SPDX-License-Identifier: MIT
/** TCP of the user network: how connections begin and end, as a guest sees it. @module */
import { assert, assertEquals } from "@std/assert";
import { GUEST, Guest, GuestTcp, pattern, SYN_OPTIONS } from "../_guest.ts";
import { arpRequest } from "../neighbors.ts";
import { GUEST_MAC } from "../_guest.ts";
import { parseIpv4 } from "../../../frames/addresses.ts";

const flagsOf = (tcp: GuestTcp) => tcp.received().map(({ flags }) => flags);

function opened(to?: string): { guest: Guest; tcp: GuestTcp } {
  const guest = new Guest();
  const tcp = new GuestTcp(guest, to);
  tcp.open();
  return { guest, tcp };
}

for (const to of ["192.0.2.1", "2001:db8::1"]) {
  Deno.test(`a SYN is answered when the host's connection stands, with what it offered, ${to}`, () => {
    const guest = new Guest();
    const tcp = new GuestTcp(guest, to);
    tcp.send("S", undefined, { options: SYN_OPTIONS });
    assertEquals(guest.host.tcp[0]?.to, { address: to, port: 80 });
    assertEquals(tcp.received(), []);
    tcp.seq--;
    tcp.send("S", undefined, { options: SYN_OPTIONS }); // again, as it gets no answer
    assertEquals(guest.host.tcp.length, 1);
    guest.host.tcp[0]?.accept();
    guest.turn();
    const [answer, ...more] = tcp.received();
    assertEquals(more, []);
    assertEquals(answer?.flags, "SA");
    assertEquals(answer?.ack, tcp.seq);
    const mss = to.includes(":") ? 1440 : 1460;
    assertEquals(
      [...answer?.options ?? []],
      [2, 4, mss >>> 8, mss & 0xff, 1, 1, 4, 2, 1, 3, 3, 4],
    );
  });
}

Deno.test("what a SYN does not offer is not used", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.send("S");
  guest.host.tcp[0]?.accept();
  guest.turn();
  assertEquals([...tcp.received()[0]?.options ?? []], [2, 4, 5, 0xb4]);
});

Deno.test("a SYN-ACK that is lost comes again, and at last nothing does", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.send("S", undefined, { options: SYN_OPTIONS });
  guest.host.tcp[0]?.accept();
  guest.turn();
  assertEquals(flagsOf(tcp), ["SA"]);
  let times = 0;
  for (let s = 0; s < 200; s++) {
    guest.wait(1000);
    times += flagsOf(tcp).length;
  }
  assertEquals(times, 5);
  assertEquals(guest.net.open.tcp, 0);
  assert(guest.host.tcp[0]?.closed);
});

Deno.test("a SYN that comes again after the SYN-ACK gets it again", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.send("S", undefined, { options: SYN_OPTIONS });
  guest.host.tcp[0]?.accept();
  guest.turn();
  assertEquals(flagsOf(tcp), ["SA"]);
  tcp.seq--;
  tcp.send("S", undefined, { options: SYN_OPTIONS });
  assertEquals(flagsOf(tcp), ["SA"]);
});

Deno.test("a refused connection is refused: RST with the right acknowledgement", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.send("S");
  guest.host.tcp[0]?.fail("refused");
  guest.turn();
  const [answer] = tcp.received();
  assertEquals([answer?.flags, answer?.seq, answer?.ack], ["RA", 0, tcp.seq]);
  assertEquals(guest.net.open.tcp, 0);
});

Deno.test("an unreachable host is told by ICMP, with the SYN's sequence number", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.send("S");
  guest.host.tcp[0]?.fail("unreachable");
  guest.turn();
  const [icmp] = guest.packets(1);
  assertEquals([icmp?.[34], icmp?.[35]], [3, 1]);
  assertEquals(icmp?.subarray(42 + 20 + 4, 42 + 20 + 8).toHex(), ((tcp.seq - 1) >>> 0).toString(16));
});

Deno.test("an answer to nobody is a RST; a RST to nobody is nothing", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.send("A", pattern(10), { ack: 1234, seq: 5 });
  const [answer] = tcp.received();
  assertEquals([answer?.flags, answer?.seq], ["R", 1234]);
  tcp.send("F", undefined, { seq: 77 });
  const [second] = tcp.received();
  assertEquals([second?.flags, second?.seq, second?.ack], ["RA", 0, 78]);
  tcp.send("R");
  assertEquals(tcp.received(), []);
});

Deno.test("the guest closes first: its FIN arrives when all data has, then the peer's", () => {
  const { guest, tcp } = opened();
  const [host] = guest.host.tcp;
  host?.take(0);
  tcp.send("PA", pattern(100));
  tcp.send("FA");
  assertEquals(tcp.received().at(-1)?.ack, tcp.seq);
  assertEquals(host?.ended, false);
  host?.take(Infinity);
  guest.turn();
  assertEquals(host?.got, [...pattern(100)]);
  assertEquals(host?.ended, true);
  host?.feed(pattern(50)); // half closed: the other direction goes on
  guest.turn();
  const [data] = tcp.received();
  assertEquals(data?.payload, pattern(50));
  tcp.ack += 50;
  tcp.send("A");
  host?.end();
  guest.turn();
  assertEquals(flagsOf(tcp), ["FA"]);
  tcp.ack++;
  tcp.send("A");
  assertEquals(guest.net.open.tcp, 0);
  assertEquals(host?.closed, true);
});

Deno.test("the peer closes first: FIN-WAIT-2, the guest still sends, TIME-WAIT, then nothing is left", () => {
  const { guest, tcp } = opened();
  const [host] = guest.host.tcp;
  host?.feed(pattern(20));
  host?.end();
  guest.turn();
  const [data, ...rest] = tcp.received();
  assertEquals(data?.payload.length, 20);
  assert(data?.flags === "FPA" || rest[0]?.flags === "FA");
  tcp.ack += 21;
  tcp.send("A");
  tcp.send("PA", pattern(30));
  guest.turn();
  assertEquals(host?.got.length, 30);
  tcp.received();
  tcp.send("FA");
  assertEquals(tcp.received().map(({ flags, ack }) => [flags, ack]), [["A", tcp.seq]]);
  assertEquals(host?.ended, true);
  tcp.seq--; // the last ACK was lost
  tcp.send("FA");
  assertEquals(tcp.received().map(({ flags, ack }) => [flags, ack]), [["A", tcp.seq]]);
  guest.wait(30_000);
  assertEquals(guest.net.open.tcp, 0);
  assertEquals(host?.closed, true);
});

Deno.test("both close at once: CLOSING, then TIME-WAIT", () => {
  const { guest, tcp } = opened();
  const [host] = guest.host.tcp;
  host?.end();
  guest.turn();
  assertEquals(flagsOf(tcp), ["FA"]);
  tcp.send("FA"); // does not acknowledge ours
  assertEquals(tcp.received().map(({ flags, ack }) => [flags, ack]), [["A", tcp.seq]]);
  tcp.ack++;
  tcp.send("A");
  assertEquals(guest.net.open.tcp, 1);
  guest.wait(30_000);
  assertEquals(guest.net.open.tcp, 0);
});

Deno.test("a new SYN ends TIME-WAIT", () => {
  const { guest, tcp } = opened();
  guest.host.tcp[0]?.end();
  guest.turn();
  tcp.ack++;
  tcp.send("FA");
  tcp.received();
  tcp.seq += 1000;
  tcp.open();
  assertEquals(guest.host.tcp.length, 2);
});

Deno.test("a lost FIN comes again", () => {
  const { guest, tcp } = opened();
  guest.host.tcp[0]?.end();
  guest.turn();
  assertEquals(flagsOf(tcp), ["FA"]);
  guest.wait(1001); // nobody looked for a second: the guest gets a chance to answer
  assertEquals(flagsOf(tcp), []);
  guest.wait(51);
  assertEquals(flagsOf(tcp), ["FA"]);
});

Deno.test("RST of the peer reaches the guest, RST of the guest the peer", () => {
  const { guest, tcp } = opened();
  guest.host.tcp[0]?.fail("reset");
  guest.turn();
  const [answer] = tcp.received();
  assertEquals([answer?.flags, answer?.seq, answer?.ack], ["RA", tcp.ack, tcp.seq]);
  const other = opened();
  other.tcp.send("R");
  assertEquals(other.guest.host.tcp[0]?.closed, true);
  assertEquals(other.guest.net.open.tcp, 0);
});

Deno.test("a RST or SYN that does not fit exactly gets a challenge, RFC 5961", () => {
  const { guest, tcp } = opened();
  tcp.send("R", undefined, { seq: tcp.seq + 10 });
  assertEquals(tcp.received().map(({ flags, ack }) => [flags, ack]), [["A", tcp.seq]]);
  tcp.send("S", undefined, { seq: tcp.seq + 10, options: SYN_OPTIONS });
  assertEquals(tcp.received().map(({ flags, ack }) => [flags, ack]), [["A", tcp.seq]]);
  tcp.send("R", undefined, { seq: tcp.seq - 1 });
  assertEquals(tcp.received(), []);
  assertEquals(guest.net.open.tcp, 1);
});

Deno.test("a guest that gives up before the host's connection stands takes it back", () => {
  const guest = new Guest();
  const tcp = new GuestTcp(guest);
  tcp.send("S");
  tcp.send("R");
  assertEquals(guest.host.tcp[0]?.closed, true);
  assertEquals(guest.net.open.tcp, 0);
});

Deno.test("an acknowledgement of what was never sent is answered and ignored", () => {
  const { guest, tcp } = opened();
  tcp.send("A", pattern(5), { ack: tcp.ack + 100, seq: tcp.seq });
  assertEquals(tcp.received().map(({ flags, ack }) => [flags, ack]), [["A", tcp.seq]]);
  assertEquals(guest.host.tcp[0]?.got, []);
});

Deno.test("a guest that went away: idle connections are asked, then given up", () => {
  const { guest, tcp } = opened();
  guest.wait(7_200_000);
  const [probe] = tcp.received();
  assertEquals([probe?.flags, probe?.seq], ["A", (tcp.ack - 1) >>> 0]);
  tcp.send("A");
  for (let i = 0; i < 12; i++) guest.wait(7_200_000);
  assertEquals(guest.net.open.tcp, 0);
});

/** A guest with a forwarded port, known to the network. */
function forwarded(): { guest: Guest; tcp: GuestTcp } {
  const guest = new Guest({ hostfwd: ["tcp:127.0.0.1:2222-:22"] });
  return { guest, tcp: new GuestTcp(guest, "10.0.2.2", 50_123, 22) };
}
const announce = (guest: Guest) =>
  guest.send(arpRequest(GUEST_MAC, parseIpv4(GUEST), parseIpv4("10.0.2.2")).bytes());

Deno.test("a forwarded port: the guest is looked for, then gets a SYN from the gateway", () => {
  const { guest, tcp } = forwarded();
  assertEquals(guest.host.listeners[0]?.at, { address: "127.0.0.1", port: 2222 });
  const peer = guest.host.listeners[0]?.connect({ address: "127.0.0.1", port: 50_123 });
  guest.turn();
  const asked = guest.take().map((bytes) => bytes.subarray(12, 14).toHex() + bytes.subarray(38, 42).toHex());
  assertEquals(asked, ["0806" + "0a00020f"]);
  announce(guest);
  const [syn] = tcp.received();
  assertEquals([syn?.flags, syn?.sourcePort], ["S", 50_123]);
  tcp.ack = ((syn?.seq ?? 0) + 1) >>> 0;
  tcp.send("SA", undefined, { options: SYN_OPTIONS });
  assertEquals(flagsOf(tcp), ["A"]);
  peer?.feed(pattern(10));
  guest.turn();
  assertEquals(tcp.received()[0]?.payload, pattern(10));
  tcp.ack += 10;
  tcp.send("PA", pattern(5));
  assertEquals(peer?.got, [...pattern(5)]);
});

Deno.test("a forwarded port where nobody listens: the peer's connection ends", () => {
  const { guest, tcp } = forwarded();
  announce(guest);
  const peer = guest.host.listeners[0]?.connect({ address: "127.0.0.1", port: 50_123 });
  guest.turn();
  const [syn] = tcp.received();
  tcp.ack = ((syn?.seq ?? 0) + 1) >>> 0;
  tcp.send("RA", undefined, { seq: 0 });
  assertEquals(peer?.closed, true);
  assertEquals(guest.net.open.tcp, 0);
});

Deno.test("a forwarded port and a guest that never answers: SYN again and again, then the end", () => {
  const { guest, tcp } = forwarded();
  announce(guest);
  const peer = guest.host.listeners[0]?.connect({ address: "127.0.0.1", port: 50_123 });
  guest.turn();
  for (let s = 0; s < 100; s++) guest.wait(1000);
  assertEquals(flagsOf(tcp), Array(6).fill("S"));
  assertEquals(peer?.closed, true);
});

Deno.test("both open at once: SYN-RECEIVED on either side, then it stands", () => {
  const { guest, tcp } = forwarded();
  announce(guest);
  const peer = guest.host.listeners[0]?.connect({ address: "127.0.0.1", port: 50_123 });
  guest.turn();
  const [syn] = tcp.received();
  tcp.send("S", undefined, { options: SYN_OPTIONS });
  const [answer] = tcp.received();
  assertEquals([answer?.flags, answer?.seq, answer?.ack], ["SA", syn?.seq, tcp.seq]);
  tcp.ack = ((syn?.seq ?? 0) + 1) >>> 0;
  tcp.send("A");
  peer?.feed([1, 2, 3]);
  guest.turn();
  assertEquals([...tcp.received()[0]?.payload ?? []], [1, 2, 3]);
});

Deno.test("a peer of the same port twice gets another one: both connections live", () => {
  const { guest } = forwarded();
  announce(guest);
  guest.host.listeners[0]?.connect({ address: "127.0.0.1", port: 50_123 });
  guest.host.listeners[0]?.connect({ address: "127.0.0.2", port: 50_123 });
  guest.turn();
  assertEquals(guest.net.open.tcp, 2);
});

Deno.test("closing the network closes everything of the host", () => {
  const { guest } = forwarded();
  announce(guest);
  const peer = guest.host.listeners[0]?.connect({ address: "127.0.0.1", port: 50_123 });
  guest.net.close();
  assertEquals([guest.host.listeners[0]?.closed, peer?.closed], [true, true]);
});
