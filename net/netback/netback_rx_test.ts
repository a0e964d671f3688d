// SPDX-License-Identifier: MIT
/** Receive queues, through a whole netback or alone on a ring. @module */
import { assertEquals, assertThrows } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import { FakeHost } from "../../xen/backend/_fake_host.ts";
import { FrontendError } from "../../xen/backend/frontend_error.ts";
import { BackRing } from "../../xen/backend/ring.ts";
import { sring } from "../../xen/public/io/ring.ts";
import {
  NETIF_RSP_ERROR,
  NETIF_RX_ENTRY,
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from "../../xen/public/io/netif.ts";
import { XenbusStateClosing, XenbusStateConnected } from "../../xen/public/io/xenbus.ts";
import { type Frame, frameOf, type NetEnd, OFFLOAD_ALL, VIRTIO_NET_HDR_F_DATA_VALID } from "../ends/end.ts";
import { FrontQueue, plain, Rig, rigOnHub } from "./_frontend.ts";
import { RxQueue } from "./netback_rx.ts";
import { tcpGso } from "../frames/_frames.ts";

Deno.test("RxQueue: frames land in the guest's buffers, with one event per batch", () => {
  const { r, peer, queue } = rigOnHub();
  queue.post(8);
  peer.send(frameOf(plain(60, 3)));
  assertEquals(r.host.events.take(queue.rxPort), 1);
  peer.send(frameOf(plain(1514, 4))); // not asked for: rsp_event is behind
  assertEquals(r.host.events.take(queue.rxPort), 0);
  assertEquals(queue.received().map((packet) => packet.bytes), [plain(60, 3), plain(1514, 4)]);
  assertEquals(r.tracer.counters.get("net.rx.packets"), 2);
  assertEquals(r.tracer.counters.get("net.rx.bytes"), 1574);
});

for (const version of [4, 6] as const) {
  Deno.test(`RxQueue: a 64 KiB GSO frame over IPv${version} takes 16 buffers and an extra info`, () => {
    const { peer, queue } = rigOnHub();
    queue.post(100);
    const frame = tcpGso({ payload: 65_000, gsoSize: 1448, version });
    for (let i = 0; i < 3; i++) peer.send(frame);
    const packets = queue.received();
    assertEquals(packets.length, 3);
    for (const packet of packets) {
      assertEquals(packet.bytes, frame.bytes());
      assertEquals(packet.status.length, 16);
      assertEquals(
        packet.flags,
        NETRXF_extra_info | NETRXF_more_data | NETRXF_csum_blank | NETRXF_data_validated,
      );
      const type = version === 4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
      assertEquals(packet.gso, { size: 1448, type });
    }
  });
}

Deno.test("RxQueue: checksum metadata becomes flags", () => {
  const { peer, queue } = rigOnHub();
  queue.post(8);
  const frame = frameOf(plain(60));
  frame.flags = VIRTIO_NET_HDR_F_DATA_VALID;
  peer.send(frame);
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received().map((packet) => packet.flags), [NETRXF_data_validated, 0]);
});

Deno.test("RxQueue: without buffers frames wait, and posting some brings them at once", () => {
  const { r, peer, queue } = rigOnHub();
  for (let i = 0; i < 5; i++) peer.send(frameOf(plain(60, i)));
  assertEquals(queue.received(), []);
  queue.post(3);
  assertEquals(
    queue.received().map((packet) => packet.bytes[20]),
    [0, 1, 2].map((seed) => plain(60, seed)[20]),
  );
  queue.post(3);
  assertEquals(queue.received().length, 2);
  assertEquals(r.host.events.take(queue.rxPort) > 0, true);
});

Deno.test("RxQueue: a frame of many slots waits until all of them are there", () => {
  const { r, peer, queue } = rigOnHub();
  queue.post(5);
  peer.send(tcpGso({ payload: 30_000, gsoSize: 1448 }));
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received(), []);
  assertEquals(r.tracer.counters.get("net.rx.no_buffers") > 0, true);
  queue.post(10);
  assertEquals(queue.received().map((packet) => packet.bytes.length), [30_054, 60]);
});

Deno.test("RxQueue: a bad buffer is answered with an error and the frame takes the next", () => {
  const { r, peer, queue } = rigOnHub();
  queue.post(1, 4711);
  queue.post(4);
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received().map((packet) => packet.status), [[NETIF_RSP_ERROR], [60]]);
  assertEquals(r.tracer.counters.get("net.rx.errors"), 1);
  assertEquals(r.state, XenbusStateConnected);
});

Deno.test("RxQueue: a bad buffer inside a chain costs the ones before it, not the frame", () => {
  const { peer, queue } = rigOnHub();
  queue.post(2);
  queue.post(1, 4711);
  queue.post(20);
  peer.send(tcpGso({ payload: 20_000, gsoSize: 1448 }));
  const packets = queue.received();
  assertEquals(packets.map((packet) => packet.bytes.length), [0, 0, 0, 20_054]);
});

Deno.test("RxQueue: a read-only buffer is refused", () => {
  const { r, peer, queue } = rigOnHub();
  queue.post(1, r.page(plain(60)).gref);
  queue.post(1);
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received().map((packet) => packet.status), [[NETIF_RSP_ERROR], [60]]);
});

Deno.test("RxQueue: without sg a frame of more than a page is dropped", () => {
  const { r, peer, queue } = rigOnHub({ nodes: { "feature-sg": 0 } });
  queue.post(8);
  peer.send(frameOf(plain(5000)));
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received().map((packet) => packet.bytes.length), [60]);
  assertEquals(r.tracer.counters.get("net.rx.dropped"), 1);
});

Deno.test("RxQueue: a producer beyond the ring closes the device, not the sender", () => {
  const { r, peer, queue } = rigOnHub();
  queue.rx.view.setUint32(0, 5000, true);
  assertEquals(peer.send(frameOf(plain(60))), true);
  assertEquals(r.state, XenbusStateClosing);
  assertEquals(peer.send(frameOf(plain(60))), true);
});

// ---- the window: an end that reads into guest memory, as TAP does

/** An end that puts frames into the receiver's window first, with the rest elsewhere. */
function windowed() {
  let receiver: Parameters<NetEnd["attach"]>[0];
  const end: NetEnd = {
    name: "windowed",
    offloads: OFFLOAD_ALL,
    send: () => true,
    attach: (to) => void (receiver = to),
    receiverChanged: () => {},
    poll: () => 0,
    pollFd: () => -1,
    close: () => {},
  };
  const put = (frame: Frame): boolean => {
    const bytes = frame.bytes();
    const window = receiver?.window();
    if (receiver === undefined || window === undefined) return false;
    const out = frameOf(new Uint8Array(0)).copyOffload(frame);
    let at = 0;
    for (const slice of window) {
      const part = bytes.subarray(at, at + slice.length);
      slice.set(part);
      out.append(slice.subarray(0, part.length));
      at += part.length;
    }
    out.append(bytes.subarray(at));
    const taken = receiver.deliver(out, at);
    receiver.flush();
    return taken;
  };
  return { end, put, windowSlices: () => receiver?.window()?.length };
}

Deno.test("RxQueue in place: every order of shapes keeps every byte", () => {
  const shapes = [
    frameOf(plain(60, 1)),
    tcpGso({ payload: 20_000, gsoSize: 1448 }),
    frameOf(plain(9000, 2)), // several buffers without extra info
    tcpGso({ payload: 60_000, gsoSize: 1448, version: 6 }),
    tcpGso({ payload: 1000, gsoSize: 500 }), // GSO in one buffer
    frameOf(plain(4096, 3)),
    frameOf(plain(4097, 4)),
  ];
  const { end, put } = windowed();
  const r = new Rig(end);
  r.queue.post(200);
  for (const first of shapes) {
    for (const second of shapes) {
      assertEquals([put(first), put(second)], [true, true]);
      const [a, b] = r.queue.received();
      assertEquals(a?.bytes, first.bytes());
      assertEquals(b?.bytes, second.bytes());
      r.queue.post(r.queue.rx.free > 60 ? 60 : r.queue.rx.free);
    }
  }
});

Deno.test("RxQueue in place: the window follows the size of frames", () => {
  const { end, put, windowSlices } = windowed();
  const r = new Rig(end);
  r.queue.post(100);
  assertEquals(windowSlices(), 1);
  put(tcpGso({ payload: 20_000, gsoSize: 1448 }));
  assertEquals(windowSlices(), 5);
  put(frameOf(plain(60)));
  assertEquals(windowSlices(), 1);
});

Deno.test("RxQueue in place: a bad buffer behind the window does not lose the frame's start", () => {
  const { end, put } = windowed();
  const r = new Rig(end);
  r.queue.post(1);
  r.queue.post(1, 4711);
  r.queue.post(20);
  const frame = frameOf(plain(9000));
  assertEquals(put(frame), true);
  assertEquals(r.queue.received().map((packet) => packet.bytes), [
    new Uint8Array(),
    new Uint8Array(),
    frame.bytes(),
  ]);
});

// ---- a queue alone

/** An RxQueue over a ring that starts at `start`. */
function alone(start = 0, sg = true) {
  const host = new FakeHost(1, 600);
  const front = new FrontQueue(host, false);
  const { view } = front.rx;
  for (const index of [sring.at.req_prod, sring.at.rsp_prod]) view.setUint32(index, start, true);
  for (const index of [sring.at.req_event, sring.at.rsp_event]) view.setUint32(index, start + 1, true);
  front.rx.reqProdPvt = front.rx.rspCons = start;
  const spy = { notified: 0 };
  const queue = new RxQueue({
    ring: new BackRing([front.rxPage], NETIF_RX_ENTRY),
    grants: host.grants,
    port: { notify: () => void spy.notified++, close: () => {} },
    sg,
    name: "alone",
    tracer: new Tracer(),
  });
  return { front, queue, spy };
}

Deno.test("RxQueue answers with the id it read, in the buffer it checked, whatever the guest writes meanwhile", () => {
  const { front, queue } = alone();
  front.post(2);
  const window = queue.window();
  assertEquals(window?.map((slice) => slice.length), [4096]);
  window?.[0]?.set(plain(60));
  const slots = new Uint8Array(front.rx.view.buffer, front.rx.view.byteOffset + sring.size, 8).fill(0xff);
  assertEquals(queue.deliver(frameOf(window?.[0]?.subarray(0, 60) ?? slots), 60), true);
  queue.flush();
  const [packet] = front.received(); // throws when the id is another one
  assertEquals(packet?.bytes, plain(60));
});

Deno.test("RxQueue notifies when it showed something the guest waits for, and only then", () => {
  const { front, queue, spy } = alone();
  front.post(8);
  queue.flush();
  assertEquals(spy.notified, 0);
  queue.deliver(frameOf(plain(60)), 0);
  queue.deliver(frameOf(plain(60)), 0);
  assertEquals([front.received().length, spy.notified], [0, 0]); // not shown yet
  queue.flush();
  queue.flush();
  assertEquals([spy.notified, front.received().length], [1, 2]);
  front.rx.view.setUint32(sring.at.rsp_event, front.rx.rspCons + 3, true);
  for (let i = 0; i < 2; i++) {
    queue.deliver(frameOf(plain(60)), 0);
    queue.flush();
  }
  assertEquals(spy.notified, 1);
  queue.deliver(frameOf(plain(60)), 0);
  queue.flush();
  assertEquals(spy.notified, 2);
});

Deno.test("RxQueue without enough buffers asks for an event at the one it needs", () => {
  const { front, queue } = alone();
  assertEquals(queue.window(), undefined);
  const wanted = () => front.rx.view.getUint32(sring.at.req_event, true);
  assertEquals(wanted(), 1);
  front.post(2);
  assertEquals([queue.deliver(frameOf(plain(9000)), 0), wanted()], [false, 3]);
  front.post(1);
  assertEquals(queue.deliver(frameOf(plain(9000)), 0), true);
});

for (const start of [0xffff_fff0, 0x7fff_fff0]) {
  Deno.test(`RxQueue passes ${start.toString(16)} as any other index`, () => {
    const { front, queue, spy } = alone(start);
    front.post(16);
    for (let i = 0; i < 40; i++) {
      assertEquals(queue.deliver(frameOf(plain(60 + i)), 0), true);
      queue.flush();
      assertEquals(front.received().map(({ bytes }) => bytes), [plain(60 + i)]);
      front.post(1);
    }
    assertEquals(spy.notified, 40);
  });
}

Deno.test("RxQueue: a producer that goes back between window and frame is the frontend's error at the next look", () => {
  const { front, queue } = alone();
  front.post(4);
  const window = queue.window();
  front.rx.view.setUint32(sring.at.req_prod, 0xffff_ff00, true);
  assertEquals(queue.deliver(frameOf(window?.[0]?.subarray(0, 60) ?? new Uint8Array()), 60), true);
  assertThrows(() => queue.window(), FrontendError, "beyond the ring");
});

Deno.test("RxQueue: bad grants without end are answered, and the ring is empty then", () => {
  const { front, queue } = alone();
  front.post(256, 4711);
  assertEquals(queue.window(), undefined);
  queue.flush();
  assertEquals(front.received().length, 256);
  front.post(256);
  assertEquals(queue.window()?.length, 1);
});

Deno.test("RxQueue without sg: a page fits, one byte more is dropped, and the next frame comes", () => {
  const { front, queue } = alone(0, false);
  front.post(8);
  for (const length of [4096, 4097, 60]) assertEquals(queue.deliver(frameOf(plain(length)), 0), true);
  queue.flush();
  assertEquals(front.received().map(({ bytes }) => bytes.length), [4096, 60]);
});
