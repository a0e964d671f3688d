// SPDX-License-Identifier: MIT
/** TCP of the user network: data, windows, what gets lost. @module */
import { assert, assertEquals } from "@std/assert";
import { be32 } from "../../../frames/headers.ts";
import { frameOf, OFFLOAD_ALL, OFFLOAD_CSUM, OFFLOAD_NONE } from "../../end.ts";
import type { FakeTcp } from "../_fake_network.ts";
import { Guest, GuestTcp, pattern, sackOption, type Segment, SYN_OPTIONS } from "../_guest.ts";
import { LARGEST_RING_BYTES, WINDOW_SHIFT } from "./tcp_connection.ts";

const NOTHING = new Uint8Array(0);

function opened(options = SYN_OPTIONS, to?: string): { guest: Guest; tcp: GuestTcp; host: FakeTcp } {
  const guest = new Guest();
  const tcp = new GuestTcp(guest, to);
  tcp.open(options);
  return { guest, tcp, host: guest.host.tcp[0] as FakeTcp };
}

/** Where the segments lie in the stream that began at `start`. */
const spans = (segments: Segment[], start: number) =>
  segments.map(({ seq, payload }) => [(seq - start) | 0, payload.length]);

Deno.test("out of order: what came ahead is kept and told by SACK, newest first; then all is acknowledged at once", () => {
  const { guest, tcp, host } = opened();
  const start = tcp.seq;
  const piece = (from: number, to: number) => tcp.send("A", pattern(to - from, from), { seq: start + from });
  piece(100, 200);
  let [ack] = tcp.received();
  assertEquals([ack?.ack, ack?.options.subarray(4).toHex()], [start, edges(start, 100, 200)]);
  piece(300, 400);
  [ack] = tcp.received();
  assertEquals(ack?.options.subarray(4).toHex(), edges(start, 300, 400, 100, 200));
  piece(50, 150);
  [ack] = tcp.received();
  assertEquals(ack?.options.subarray(4).toHex(), edges(start, 50, 200, 300, 400));
  assertEquals(host.got, []);
  piece(0, 60);
  [ack] = tcp.received();
  assertEquals([ack?.ack, ack?.options.subarray(4).toHex()], [start + 200 >>> 0, edges(start, 300, 400)]);
  piece(200, 300);
  [ack] = tcp.received();
  assertEquals([ack?.ack, ack?.options.length], [start + 400 >>> 0, 0]);
  guest.turn();
  assertEquals(host.got, [...pattern(400)]);
});

function edges(start: number, ...offsets: number[]): string {
  return offsets.map((offset) => ((start + offset) >>> 0).toString(16).padStart(8, "0")).join("");
}

Deno.test("a FIN that comes before the data waits for it", () => {
  const { guest, tcp, host } = opened();
  const start = tcp.seq;
  tcp.send("FA", pattern(10, 10), { seq: start + 10 });
  assertEquals(host.ended, false);
  tcp.send("A", pattern(10), { seq: start });
  assertEquals(tcp.received().at(-1)?.ack, (start + 21) >>> 0);
  guest.turn();
  assertEquals([host.got, host.ended], [[...pattern(20)], true]);
});

Deno.test("a peer that does not read closes the guest's window, and opens it again", () => {
  const { guest, tcp, host } = opened();
  host.take(0);
  let sent = 0;
  let window = 32 << 10;
  for (let i = 0; i < 1000 && window >= 1000; i++) {
    tcp.send("A", pattern(1000, sent));
    sent += 1000;
    const ack = tcp.received().at(-1);
    assertEquals(ack?.ack, tcp.seq);
    window = (ack?.window ?? 0) << WINDOW_SHIFT;
  }
  assert(sent >= 32_000 && sent <= LARGEST_RING_BYTES, String(sent));
  tcp.send("A", pattern(5000, sent), { seq: tcp.seq }); // more than fits: the rest is dropped
  const full = tcp.received().at(-1) as Segment;
  assertEquals(full.window, 0);
  sent += (full.ack - tcp.seq) | 0;
  tcp.seq = full.ack;
  tcp.send("A", pattern(1, sent), { seq: tcp.seq }); // a probe
  assertEquals(tcp.received().at(-1)?.ack, tcp.seq);
  host.take(Infinity);
  guest.turn();
  const update = tcp.received().at(-1);
  assert((update?.window ?? 0) << WINDOW_SHIFT >= 2 * 1460, "no window update");
  assertEquals(host.got, [...pattern(sent)]);
});

Deno.test("a guest that does not read holds the host back: what is kept is bounded, its window is respected", () => {
  const { guest, tcp, host } = opened();
  tcp.send("A", NOTHING, { window: 20 }); // << 7
  tcp.received();
  host.feed(pattern(2_000_000));
  guest.turn();
  const start = tcp.ack;
  const got = tcp.received();
  const total = got.reduce((sum, { payload }) => sum + payload.length, 0);
  assert(total <= 20 << 7 && total >= 1460, String(total));
  assert(host.unread >= 2_000_000 - LARGEST_RING_BYTES);
  tcp.ack = (start + total) >>> 0;
  tcp.send("A", NOTHING, { window: 0 });
  assertEquals(tcp.received(), []);
  guest.wait(1000); // the window is asked for
  const [probe] = tcp.received();
  assertEquals([probe?.flags, probe?.payload.length, probe?.seq], ["A", 0, (tcp.ack - 1) >>> 0]);
  tcp.send("A", NOTHING, { window: 0 });
  guest.wait(2100);
  assertEquals(tcp.received().length, 1);
  tcp.send("A", NOTHING, { window: 100 });
  assertEquals(be32(tcp.received()[0]?.payload ?? NOTHING, 0), be32(pattern(4, total), 0));
});

Deno.test("a window that never opens while the guest answers is asked for ever; without an answer it ends", () => {
  const { guest, tcp, host } = opened();
  tcp.send("A", NOTHING, { window: 0 });
  host.feed(pattern(100));
  guest.turn();
  for (let i = 0; i < 100; i++) {
    guest.wait(61_000);
    if (tcp.received().length > 0) tcp.send("A", NOTHING, { window: 0 });
  }
  assertEquals(guest.net.open.tcp, 1);
  for (let i = 0; i < 100; i++) guest.wait(61_000);
  assertEquals(guest.net.open.tcp, 0);
  assert(host.closed);
});

for (const to of ["192.0.2.1", "2001:db8::1"]) {
  Deno.test(`a guest with GSO gets frames of many segments, all others one segment each: ${to}`, () => {
    const mss = to.includes(":") ? 1440 : 1460;
    const many = opened(SYN_OPTIONS, to);
    many.host.feed(pattern(14_000));
    many.guest.turn();
    const [frame] = many.tcp.received();
    assertEquals([frame?.gsoSize, frame?.payload], [mss, pattern(14_000)]);
    for (const accepts of [OFFLOAD_CSUM, OFFLOAD_NONE]) {
      const { guest, tcp, host } = opened(SYN_OPTIONS, to);
      guest.accepts = accepts;
      host.feed(pattern(5000));
      guest.turn();
      const frames = tcp.received();
      assertEquals(frames.map(({ gsoSize }) => gsoSize), [0, 0, 0, 0]);
      assertEquals(frames.flatMap(({ payload }) => [...payload]), [...pattern(5000)]);
    }
  });
}

Deno.test("the guest's MSS is respected, and a ridiculous one is not", () => {
  const small = opened(Uint8Array.of(2, 4, 2, 0)); // 512
  small.guest.accepts = OFFLOAD_CSUM;
  small.host.feed(pattern(1100));
  small.guest.turn();
  assertEquals(small.tcp.received().map(({ payload }) => payload.length), [512, 512, 76]);
  const tiny = opened(Uint8Array.of(2, 4, 0, 1));
  tiny.guest.accepts = OFFLOAD_CSUM;
  tiny.host.feed(pattern(170));
  tiny.guest.turn();
  assertEquals(tiny.tcp.received().map(({ payload }) => payload.length), [88, 82]);
});

Deno.test("no room at the guest's interface: nothing is lost, it goes on where it stopped", () => {
  const { guest, tcp, host } = opened();
  guest.accepts = OFFLOAD_CSUM;
  guest.room = 2;
  host.feed(pattern(10_000));
  guest.turn();
  const start = tcp.ack;
  const first = tcp.received();
  assertEquals(spans(first, start), [[0, 1460], [1460, 1460]]);
  guest.room = Infinity;
  guest.turn();
  assertEquals(spans(tcp.received(), start)[0], [2920, 1460]);
});

/** Sends `segments` full segments to a guest without GSO; the window is wide. */
function flight(segments: number, options = SYN_OPTIONS) {
  const { guest, tcp, host } = opened(options);
  guest.accepts = OFFLOAD_CSUM;
  host.feed(pattern(segments * 1460));
  guest.turn();
  const start = tcp.ack;
  return { guest, tcp, host, start, first: spans(tcp.received(), start) };
}

Deno.test("fast retransmission: three segments' worth of SACK, then what is missing and nothing else", () => {
  const { guest, tcp, start, first } = flight(10);
  assertEquals(first.length, 10);
  const sack = (from: number, to: number) =>
    tcp.send("A", NOTHING, { options: sackOption(start + from * 1460, start + to * 1460), ack: start });
  sack(1, 2);
  sack(1, 3);
  assertEquals(tcp.received(), []);
  sack(1, 4);
  assertEquals(spans(tcp.received(), start), [[0, 1460]]);
  tcp.send("A", NOTHING, { ack: start + 4 * 1460, options: sackOption(start + 5 * 1460, start + 10 * 1460) });
  assertEquals(spans(tcp.received(), start), [[4 * 1460, 1460]]);
  tcp.ack = (start + 10 * 1460) >>> 0;
  tcp.send("A");
  assertEquals(tcp.received(), []);
  guest.wait(5000);
  assertEquals(tcp.received(), []);
});

Deno.test("of a segment that arrived in part only the rest is sent again", () => {
  const { tcp, start } = flight(10);
  tcp.send("A", NOTHING, { options: sackOption(start + 500, start + 14_600), ack: start });
  assertEquals(spans(tcp.received(), start), [[0, 500]]);
});

Deno.test("a retransmission that is lost as well is sent again when what followed it arrives, not by the timer", () => {
  const { guest, tcp, host, start } = flight(10);
  const sack = (to: number) =>
    tcp.send("A", NOTHING, { options: sackOption(start + 1460, start + to * 1460), ack: start });
  sack(10);
  assertEquals(spans(tcp.received(), start), [[0, 1460]]); // lost
  host.feed(pattern(4 * 1460)); // what the halved congestion window allows
  guest.turn();
  assertEquals(spans(tcp.received(), start), [10, 11, 12, 13].map((i) => [i * 1460, 1460]));
  sack(12);
  assertEquals(tcp.received(), []);
  sack(13);
  assertEquals(spans(tcp.received(), start), [[0, 1460]]);
  tcp.send("A", NOTHING, { ack: start + 14 * 1460 });
  guest.wait(5000);
  guest.wait(100);
  assertEquals(tcp.received(), []);
});

Deno.test("where segments overtake each other, what is missing gets a little time before it is sent again", () => {
  const { guest, tcp, host, start } = flight(10);
  guest.host.ms += 20; // the round trip
  const sack = (from: number, to: number, ack: number) =>
    tcp.send("A", NOTHING, {
      options: sackOption(start + from * 1460, start + to * 1460),
      ack: start + ack * 1460,
    });
  sack(1, 2, 0);
  tcp.send("A", NOTHING, { ack: start + 10 * 1460 }); // it was only late
  host.feed(pattern(10 * 1460));
  guest.turn();
  assertEquals(tcp.received().length, 10);
  sack(11, 20, 10);
  assertEquals(tcp.received(), []);
  guest.wait(9);
  assertEquals(tcp.received(), []);
  guest.wait(2);
  assertEquals(spans(tcp.received(), start), [[14_600, 1460]]);
});

Deno.test("where something was lost before, frames are a part of the window, and a silent tail is asked about early", () => {
  const { guest, tcp, host, start } = flight(10);
  guest.host.ms += 20; // the round trip
  tcp.send("A", NOTHING, { ack: start + 14_600 });
  host.feed(pattern(10 * 1460));
  guest.turn();
  tcp.received();
  tcp.send("A", NOTHING, { options: sackOption(start + 16_060, start + 29_200), ack: start + 14_600 });
  assertEquals(spans(tcp.received(), start), [[14_600, 1460]]);
  tcp.send("A", NOTHING, { ack: start + 29_200 });
  guest.accepts = OFFLOAD_ALL;
  host.feed(pattern(10 * 1460));
  guest.turn();
  const sent = spans(tcp.received(), start);
  assert(sent.length >= 4, `${sent.length} frames`);
  const end = Math.max(...sent.map(([from = 0, length = 0]) => from + length));
  guest.wait(39);
  assertEquals(tcp.received(), []);
  guest.wait(2);
  assertEquals(spans(tcp.received(), start), [[end - 1460, 1460]]); // all were lost
  tcp.send("A", NOTHING, { ack: start + 29_200, options: sackOption(start + end - 1460, start + end) });
  tcp.received(); // there was room for one more
  guest.wait(310); // one segment's worth of SACK is not enough: the timer
  guest.wait(60);
  assertEquals(spans(tcp.received(), start)[0], [29_200, 1460]);
});

Deno.test("fast retransmission without SACK: three duplicates, then a hole for each partial acknowledgement", () => {
  const { tcp, start } = flight(10, Uint8Array.of(2, 4, 5, 0xb4));
  for (let i = 0; i < 2; i++) tcp.send("A", NOTHING, { ack: start });
  assertEquals(tcp.received(), []);
  tcp.send("A", NOTHING, { ack: start });
  assertEquals(spans(tcp.received(), start), [[0, 1460]]);
  tcp.send("A", NOTHING, { ack: start + 3 * 1460 });
  assertEquals(spans(tcp.received(), start), [[3 * 1460, 1460]]);
});

Deno.test("the timer: the first segment after a second, then doubling; slow start over what was in flight", () => {
  const { guest, tcp, start } = flight(10);
  guest.wait(999);
  assertEquals(tcp.received(), []);
  guest.wait(2);
  assertEquals(spans(tcp.received(), start), [[0, 1460]]);
  guest.wait(1990);
  assertEquals(tcp.received(), []);
  guest.wait(20);
  assertEquals(spans(tcp.received(), start), [[0, 1460]]);
  tcp.send("A", NOTHING, { ack: start + 1460 });
  assertEquals(spans(tcp.received(), start), [[1460, 1460], [2920, 1460]]);
  tcp.send("A", NOTHING, { ack: start + 14_600 }); // the rest had arrived after all
  guest.wait(10_000);
  assertEquals(tcp.received(), []);
});

Deno.test("a guest on a short way that is silent for most of a second has lost nothing: its host is busy", () => {
  const { guest, tcp, host, start } = flight(10);
  guest.host.ms += 1; // the round trip
  tcp.send("A", NOTHING, { ack: start + 14_600 });
  host.feed(pattern(1460));
  guest.turn();
  assertEquals(spans(tcp.received(), start), [[14_600, 1460]]);
  for (let i = 0; i < 99; i++) guest.wait(10);
  assertEquals(tcp.received(), []);
  for (let i = 0; i < 2; i++) guest.wait(10);
  assertEquals(spans(tcp.received(), start), [[14_600, 1460]]);
});

Deno.test("a guest that never answers is given up, and the host's connection with it", () => {
  const { guest, tcp, host } = flight(3);
  for (let i = 0; i < 700; i++) guest.wait(1000);
  assert(tcp.received().at(-1)?.flags.includes("R"));
  assertEquals([guest.net.open.tcp, host.closed], [0, true]);
});

/** A guest that takes what comes, with SACK, and acknowledges every segment. */
class Taker {
  readonly pieces = new Map<number, Uint8Array>();
  next = 0;
  finished = false;
  readonly bytes: number[] = [];
  constructor(readonly tcp: GuestTcp, readonly start: number) {}

  /** Takes segments; returns how many there were. */
  take(loseAck: () => boolean): number {
    const segments = this.tcp.received();
    for (const { seq, payload, flags } of segments) {
      const at = (seq - this.start) | 0;
      if (payload.length > 0 && at + payload.length > this.next) this.pieces.set(at, payload);
      for (let found = true; found;) {
        found = false;
        for (const [from, piece] of this.pieces) {
          if (from > this.next) continue;
          this.pieces.delete(from);
          for (const byte of piece.subarray(this.next - from)) this.bytes.push(byte);
          this.next = Math.max(this.next, from + piece.length);
          found = true;
        }
      }
      if (flags.includes("F") && at + payload.length === this.next) this.finished = true;
      const ahead = [...this.pieces].sort(([a], [b]) => a - b).slice(0, 3);
      const options = ahead.length === 0 ? NOTHING : sackOption(
        ...ahead.flatMap(([from, piece]) => [this.start + from, this.start + from + piece.length]),
      );
      this.tcp.ack = (this.start + this.next + Number(this.finished)) >>> 0;
      if (!loseAck()) this.tcp.send("A", NOTHING, { options });
    }
    return segments.length;
  }
}

for (const loss of [0, 0.02, 0.2]) {
  Deno.test(`every byte arrives, in order, with ${loss * 100} % of the frames lost either way`, () => {
    const { guest, tcp, host } = opened();
    guest.accepts = OFFLOAD_CSUM;
    let seed = 12345;
    const lost = () => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % 1000 < loss * 1000;
    };
    guest.loses = lost;
    const taker = new Taker(tcp, tcp.ack);
    const size = 300_000;
    host.feed(pattern(size));
    host.end();
    let quiet = 0;
    for (let i = 0; i < 20_000 && !taker.finished; i++) {
      guest.turn();
      if (taker.take(lost) === 0) {
        quiet++;
        guest.wait(100);
      }
    }
    assert(taker.finished, `stuck at ${taker.next}`);
    assertEquals(taker.bytes.length, size);
    assert(taker.bytes.every((byte, i) => byte === pattern(1, i)[0]));
    if (loss === 0) assertEquals(quiet, 0); // nothing waited for a timer
  });
}

Deno.test("what a guest sends arrives in order, whatever order it comes in", () => {
  const { guest, tcp, host } = opened();
  const start = tcp.seq;
  const pieces = Array.from({ length: 20 }, (_, i) => i * 1000);
  let seed = 7;
  for (let round = 0; round < 3; round++) {
    const order = [...pieces];
    while (order.length > 0) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      const [from = 0] = order.splice((seed >>> 8) % order.length, 1);
      if (seed % 3 === 0 && round < 2) continue; // lost
      tcp.send("A", pattern(1000, from), { seq: start + from });
    }
  }
  guest.turn();
  assertEquals(host.got, [...pattern(20_000)]);
  assertEquals(tcp.received().at(-1)?.ack, (start + 20_000) >>> 0);
});

Deno.test("rings grow with what is needed, and all connections together are bounded", () => {
  const { guest } = opened();
  for (let i = 0; i < 200; i++) {
    const tcp = new GuestTcp(guest, "192.0.2.1", 80, 41_000 + i);
    tcp.open();
    guest.host.tcp.at(-1)?.feed(new Uint8Array(LARGEST_RING_BYTES * 2));
  }
  guest.turn();
  const kept = guest.host.tcp.map((host) => host.unread === 0 ? 0 : LARGEST_RING_BYTES * 2 - host.unread);
  const sum = kept.reduce((a, b) => a + b, 0);
  assert(sum <= (64 << 20) + 200 * (64 << 10), String(sum));
});

Deno.test("data of a busy guest is acknowledged together: when it is much, after a millisecond, or when the guest is idle", () => {
  const { guest, tcp } = opened();
  const acks = () => tcp.received().map(({ ack }) => ack);
  /** Sends and polls as a machine does whose guest goes on. */
  const send = (bytes: number) => {
    guest.net.send(frameOf(tcp.segment("A", pattern(bytes))));
    tcp.seq = (tcp.seq + bytes) >>> 0;
    guest.host.run();
    guest.net.poll(false);
  };
  send(1000);
  assertEquals([acks(), guest.net.unhurried], [[], false]); // it may be a question
  send(3000);
  assertEquals([acks(), guest.net.unhurried], [[], true]);
  send(1000);
  assertEquals([acks(), guest.net.unhurried], [[], true]); // the rest of what was written
  send(1000);
  assertEquals([acks(), guest.net.unhurried], [[], false]);
  guest.net.poll(true);
  assertEquals(acks(), [tcp.seq]);
  guest.net.poll(true);
  assertEquals(acks(), []); // once
  send(1000);
  guest.host.ms += 1;
  guest.net.poll(false);
  assertEquals(acks(), [tcp.seq]);
  let unheard = 0;
  for (; acks().length === 0; unheard += 1000) send(1000);
  assert(unheard > 8_000 && unheard <= 131_000, `${unheard}`); // of a window of 32 KiB
  guest.net.send(frameOf(tcp.segment("A", pattern(10), { seq: (tcp.seq + 100) >>> 0 })));
  guest.net.poll(false);
  assertEquals([acks(), guest.net.unhurried], [[tcp.seq], false]); // a gap is told at once
});

Deno.test("a guest that sends much and is busy is acknowledged together, once it knows how short the way is", () => {
  const { guest, tcp } = opened();
  const FRAMES = 120, BYTES = 30_000, EVERY_MS = 0.3;
  const payload = pattern(BYTES);
  const counts: number[] = [];
  let window = 32 << 10;
  for (let i = 0; i < FRAMES; i++) {
    assert(window >= BYTES, `frame ${i}: the window is closed`);
    guest.net.send(frameOf(tcp.segment("A", payload)));
    tcp.seq = (tcp.seq + BYTES) >>> 0;
    guest.host.ms += EVERY_MS / 2;
    guest.net.poll(false);
    guest.host.run(); // the host takes it all, between two looks
    guest.host.ms += EVERY_MS / 2;
    guest.net.poll(false);
    const said = tcp.received();
    for (const { ack, window: offered } of said) {
      window = (offered << WINDOW_SHIFT) + ((ack - tcp.seq) | 0) + BYTES;
    }
    window -= BYTES;
    counts.push(said.length);
  }
  const sum = (from: number, to: number) => counts.slice(from, to).reduce((a, b) => a + b, 0);
  assert(sum(0, 16) >= 12, `prompt at first: ${counts.slice(0, 16)}`);
  const later = sum(FRAMES / 2, FRAMES);
  assert(later <= FRAMES / 2 / 3, `${later} acknowledgements for ${FRAMES / 2} frames`);
  assert(later >= FRAMES / 2 * EVERY_MS / 2, `too few: ${later}`);
});

Deno.test("what only acknowledges is answered by nobody: there is no hurry to look", () => {
  const { guest, tcp, host } = opened();
  host.feed(pattern(3000));
  guest.turn();
  tcp.send("A", pattern(10), { ack: (tcp.ack + 1000) >>> 0 });
  assertEquals(guest.net.unhurried, false);
  guest.net.send(frameOf(tcp.segment("A", new Uint8Array(0))));
  assertEquals(guest.net.unhurried, true);
  guest.net.send(frameOf(tcp.segment("AF", new Uint8Array(0))));
  assertEquals(guest.net.unhurried, false);
});
