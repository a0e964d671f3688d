// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import { crossConnect, Frame, frameOf, OFFLOAD_ALL, OFFLOAD_NONE, VIRTIO_NET_HDR_GSO_NONE } from "./end.ts";
import { Hub } from "./hub.ts";
import { tcpGso } from "../frames/_frames.ts";
import { Collector } from "../frames/_frames.ts";

const HELLO = new Uint8Array(60).fill(7);

Deno.test("Hub hands a frame to every other port, once", () => {
  const hub = new Hub();
  const ends = [hub.port(), hub.port(), hub.port()];
  const seen = ends.map((end) => new Collector(end));
  assertEquals(ends[0]?.send(frameOf(HELLO)), true);
  assertEquals(seen.map((c) => c.frames.length), [0, 1, 1]);
  assertEquals(seen[1]?.frames[0]?.bytes(), HELLO);
  assertEquals(seen[1]?.flushes, 1);
});

Deno.test("Hub keeps frames for a port without room and delivers them in order on poll", () => {
  const hub = new Hub();
  const [a, b] = [hub.port(), hub.port()];
  const seen = new Collector(b);
  seen.room = 1;
  for (let i = 0; i < 4; i++) a.send(frameOf(new Uint8Array(60).fill(i)));
  assertEquals(seen.frames.length, 1);
  assertEquals(b.poll(), 0);
  seen.room = 10;
  assertEquals(b.poll(), 3);
  assertEquals(seen.frames.map((frame) => frame.bytes()[0]), [0, 1, 2, 3]);
  assertEquals(b.poll(), 0);
});

Deno.test("Hub drops and counts when a port's queue is full", () => {
  const tracer = new Tracer();
  const hub = new Hub(tracer);
  const [a, b] = [hub.port(), hub.port()];
  const seen = new Collector(b);
  seen.room = 0;
  for (let i = 0; i < 1030; i++) a.send(frameOf(HELLO));
  assertEquals(tracer.counters.get("net.hub.dropped"), 6);
  seen.room = 5000;
  assertEquals(b.poll(), 1024);
});

Deno.test("Hub segments only for the port that does not take GSO frames", () => {
  const hub = new Hub();
  const [a, b, c] = [hub.port(), hub.port(), hub.port()];
  const whole = new Collector(b, OFFLOAD_ALL);
  const cut = new Collector(c, OFFLOAD_NONE);
  a.send(tcpGso({ payload: 3000, gsoSize: 1000 }));
  assertEquals(whole.frames.map((frame) => frame.length), [3054]);
  assertEquals(cut.frames.map((frame) => frame.length), [1054, 1054, 1054]);
  assertEquals(cut.frames.map((frame) => frame.gsoType), Array(3).fill(VIRTIO_NET_HDR_GSO_NONE));
});

Deno.test("Hub refuses runts, and forgets a closed port", () => {
  const hub = new Hub();
  const [a, b] = [hub.port(), hub.port()];
  const seen = new Collector(b);
  assertEquals(a.send(frameOf(new Uint8Array(13))), false);
  assertEquals(a.send(new Frame()), false);
  b.close();
  a.send(frameOf(HELLO));
  assertEquals(seen.frames.length, 0);
});

/** A frame between two addresses that end in these bytes. */
function between(to: number, from: number): Frame {
  const bytes = new Uint8Array(60);
  bytes.set([2, 0, 0, 0, to >>> 8, to, 2, 0, 0, 0, from >>> 8, from]);
  return frameOf(bytes);
}

Deno.test("Hub learns where an address is: what is for it goes nowhere else, wherever it moves", () => {
  const hub = new Hub();
  const [a, b, c] = [hub.port(), hub.port(), hub.port()];
  const seen = [a, b, c].map((end) => new Collector(end));
  const counts = () => seen.map(({ frames }) => frames.splice(0).length);
  a.send(between(2, 1));
  assertEquals(counts(), [0, 1, 1]); // nobody knows 2
  b.send(between(1, 2));
  assertEquals(counts(), [1, 0, 0]);
  a.send(between(2, 1));
  assertEquals(counts(), [0, 1, 0]);
  c.send(between(1, 2)); // 2 has moved
  assertEquals(counts(), [1, 0, 0]);
  a.send(between(2, 1));
  assertEquals(counts(), [0, 0, 1]);
  a.send(between(1, 1)); // its own
  assertEquals(counts(), [0, 0, 0]);
  a.send(frameOf(new Uint8Array(60).fill(0xff)));
  assertEquals(counts(), [0, 1, 1]);
  c.close(); // and with it what was there
  a.send(between(2, 1));
  assertEquals(counts(), [0, 1, 0]);
});

Deno.test("Hub forgets the oldest address when a guest makes up too many, and never one from a group", () => {
  const hub = new Hub();
  const [a, b, c] = [hub.port(), hub.port(), hub.port()];
  const seen = [a, b, c].map((end) => new Collector(end));
  b.send(between(9, 5000));
  for (let i = 0; i < 1024; i++) a.send(between(9, i));
  for (const { frames } of seen) frames.length = 0;
  a.send(between(5000, 3)); // forgotten: to everybody
  assertEquals(seen.map(({ frames }) => frames.length), [0, 1, 1]);
  const group = between(9, 1).bytes();
  group.fill(0xff, 6, 12);
  b.send(frameOf(group));
  a.send(frameOf(new Uint8Array(60).fill(0xff)));
  assertEquals(seen.map(({ frames }) => frames.length), [1, 2, 2]); // 9 is known
});

Deno.test("two hubs joined twice drop what circles", () => {
  const tracer = new Tracer();
  const [one, two] = [new Hub(tracer), new Hub(tracer)];
  crossConnect(one.port(), two.port());
  crossConnect(one.port(), two.port());
  one.port().send(frameOf(HELLO));
  assertEquals(tracer.counters.get("net.hub.loop") > 0, true);
});
