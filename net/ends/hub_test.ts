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

Deno.test("two hubs joined twice drop what circles", () => {
  const tracer = new Tracer();
  const [one, two] = [new Hub(tracer), new Hub(tracer)];
  crossConnect(one.port(), two.port());
  crossConnect(one.port(), two.port());
  one.port().send(frameOf(HELLO));
  assertEquals(tracer.counters.get("net.hub.loop") > 0, true);
});
