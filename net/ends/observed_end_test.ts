// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { frameOf } from "./end.ts";
import { Hub } from "./hub.ts";
import { type PacketEvent, PacketWatch } from "./observed_end.ts";
import { Collector, tcpGso } from "../frames/_frames.ts";

function watched() {
  const hub = new Hub();
  const end = new PacketWatch(hub.port("lan"), 3);
  const guest = new Collector(end);
  const peer = hub.port();
  const outside = new Collector(peer);
  const events: PacketEvent[] = [];
  return { end, guest, peer, outside, events };
}

Deno.test("PacketWatch shows copies of frames in both directions, and passes them on", () => {
  const { end, guest, peer, outside, events } = watched();
  end.listener = (event) => events.push(event);
  const sent = new Uint8Array(60).fill(0xaa);
  end.send(frameOf(sent));
  peer.send(frameOf(new Uint8Array(61).fill(0xbb)));
  end.send(tcpGso({ payload: 3000, gsoSize: 1000, cuts: [100, 2000] }));
  sent.fill(0);
  assertEquals(events.map(({ frame: _, ...rest }) => rest), [
    { net: 3, name: "lan", direction: "tx", blankChecksum: false, gsoSize: 0 },
    { net: 3, name: "lan", direction: "rx", blankChecksum: false, gsoSize: 0 },
    { net: 3, name: "lan", direction: "tx", blankChecksum: true, gsoSize: 1000 },
  ]);
  assertEquals(events[0]?.frame, new Uint8Array(60).fill(0xaa));
  assertEquals(events[1]?.frame, new Uint8Array(61).fill(0xbb));
  assertEquals(events[2]?.frame, tcpGso({ payload: 3000, gsoSize: 1000 }).bytes());
  assertEquals([guest.frames.length, outside.frames.length], [1, 2]);
});

Deno.test("PacketWatch shows nothing while nobody listens", () => {
  const { end, guest, peer, events } = watched();
  end.listener = (event) => events.push(event);
  end.listener = undefined;
  end.send(frameOf(new Uint8Array(60)));
  peer.send(frameOf(new Uint8Array(60)));
  assertEquals([events.length, guest.frames.length], [0, 1]);
});

Deno.test("PacketWatch shows a frame that had to wait once, when the guest gets it", () => {
  const { end, guest, peer, events } = watched();
  end.listener = (event) => events.push(event);
  guest.room = 0;
  peer.send(frameOf(new Uint8Array(60)));
  assertEquals([end.poll(), events.length], [0, 0]);
  guest.room = 1;
  assertEquals([end.poll(), events.length], [1, 1]);
});
