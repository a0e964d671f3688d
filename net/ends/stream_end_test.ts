// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import { Collector, tcpGso } from "../frames/_frames.ts";
import { putBe32 } from "../frames/headers.ts";
import { frameOf } from "./end.ts";
import { StreamEnd } from "./stream_end.ts";
import { FakeNetwork, FakeTcp } from "./user/_fake_network.ts";

function connected() {
  const network = new FakeNetwork();
  const tracer = new Tracer();
  const seen = { closed: 0, lost: 0, woken: 0 };
  const end = new StreamEnd("peer", { closed: () => seen.closed++, lost: () => seen.lost++ }, tracer);
  end.wakeWith(() => seen.woken++);
  const connect = () => {
    const stream = new FakeTcp(network, { address: "", port: 0 });
    stream.events = end.connect(stream);
    end.begin();
    return stream;
  };
  return { network, tracer, seen, end, connect, stream: connect() };
}

const behindLength = (...frames: Uint8Array[]) =>
  frames.flatMap((frame) => {
    const length = new Uint8Array(4);
    putBe32(length, 0, frame.length);
    return [...length, ...frame];
  });

Deno.test("StreamEnd puts each frame behind its length, whole and with its checksum", () => {
  const { end, stream, network } = connected();
  end.send(frameOf(new Uint8Array(60).fill(1)));
  assertEquals(end.offloads, 0); // whoever sends makes frames complete
  end.send(tcpGso({ payload: 100, gsoSize: 1000, cuts: [14, 40] }));
  network.run();
  const bytes = Uint8Array.from(stream.got);
  assertEquals(bytes.subarray(0, 5), Uint8Array.of(0, 0, 0, 60, 1));
  assertEquals(bytes.subarray(64, 68), Uint8Array.of(0, 0, 0, 154));
  assertEquals(bytes.length, 64 + 158);
  assertEquals(end.send(frameOf(new Uint8Array(13))), false);
});

Deno.test("StreamEnd takes frames out of whatever pieces the stream comes in", () => {
  const { end, stream, network, seen } = connected();
  const receiver = new Collector(end);
  const frames = [60, 1514, 14, 65_535].map((length, i) => new Uint8Array(length).fill(i));
  const bytes = behindLength(...frames);
  for (let at = 0, size = 1; at < bytes.length; at += size, size = size * 3 % 5003) {
    stream.feed(bytes.slice(at, at + size));
    network.run();
    end.poll();
  }
  assertEquals(receiver.frames.map((frame) => frame.length), [60, 1514, 14, 65_535]);
  assertEquals(receiver.frames.map((frame) => frame.bytes()), frames);
  assertEquals(seen.woken > 0, true);
});

Deno.test("StreamEnd leaves frames in the stream while the receiver has no room, and reads no more than it can keep", () => {
  const { end, stream, network } = connected();
  const receiver = new Collector(end);
  receiver.room = 1;
  for (let i = 0; i < 1500; i++) stream.feed(behindLength(new Uint8Array(1000).fill(i)));
  network.run();
  end.poll();
  network.run();
  assertEquals(receiver.frames.length, 1);
  assertEquals(stream.unread > 500_000, true);
  receiver.room = Infinity;
  for (let i = 0; i < 20; i++) {
    end.poll();
    network.run();
  }
  assertEquals(
    receiver.frames.map((frame) => frame.bytes()[0]),
    Array.from({ length: 1500 }, (_, i) => i & 255),
  );
});

Deno.test("StreamEnd drops and counts what a peer does not read, whole frames only", () => {
  const { end, stream, network, tracer } = connected();
  stream.take(0);
  for (let i = 0; i < 1000; i++) end.send(frameOf(new Uint8Array(1000).fill(i)));
  const dropped = tracer.counters.get("net.stream.dropped");
  assertEquals(dropped, 1000 - Math.floor((512 << 10) / 1004));
  stream.take(Infinity);
  for (let i = 0; i < 5; i++) network.run();
  assertEquals(stream.got.length, (1000 - dropped) * 1004);
});

Deno.test("StreamEnd lets go of a peer that sends no frames, and of one that ends; another may come", () => {
  const { end, stream, network, seen, connect } = connected();
  const receiver = new Collector(end);
  stream.feed([0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
  network.run();
  end.poll();
  assertEquals([stream.closed, seen.lost, end.connected], [true, 1, false]);
  assertEquals(end.send(frameOf(new Uint8Array(60))), false);
  const second = connect();
  assertEquals(end.connect(new FakeTcp(network, { address: "", port: 0 })), undefined); // one at a time
  second.feed([0, 0, 0, 5, 1, 2, 3, 4, 5, ...behindLength(new Uint8Array(60))]); // a runt first
  network.run();
  end.poll();
  assertEquals(receiver.frames.length, 1);
  second.end();
  network.run();
  assertEquals([second.closed, seen.lost], [true, 2]);
  connect();
  end.close();
  assertEquals(seen.closed, 1);
});
