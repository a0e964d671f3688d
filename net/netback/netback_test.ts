// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import {
  NETIF_RSP_DROPPED,
  NETIF_RSP_ERROR,
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
  XEN_NETIF_EXTRA_FLAG_MORE,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_EXTRA_TYPE_HASH,
  XEN_NETIF_EXTRA_TYPE_MCAST_ADD,
  XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from "../../xen/public/io/netif.ts";
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialising,
  XenbusStateInitWait,
} from "../../xen/public/io/xenbus.ts";
import {
  type Frame,
  frameOf,
  type NetEnd,
  OFFLOAD_ALL,
  OFFLOAD_NONE,
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from "../ends/end.ts";
import { Hub } from "../ends/hub.ts";
import { Netback } from "./netback.ts";
import { Rig, type RigOptions, type TxSlot } from "./_frontend.ts";
import { Collector, tcpGso } from "../frames/_frames.ts";

function rig(options: RigOptions = {}, accepts = OFFLOAD_ALL) {
  const hub = new Hub();
  const peer = hub.port("peer");
  const seen = new Collector(peer, accepts);
  const r = new Rig(hub.port("end"), options);
  return { r, peer, seen, queue: r.queue };
}

/** Bytes of a frame that is no IP. */
function plain(length: number, seed = 1): Uint8Array {
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);
  bytes.set([0x02, 0, 0, 0, 0, 9, 0x02, 0, 0, 0, 0, 8, 0x88, 0xb5]);
  return bytes;
}
const gsoExtra = (size: number, type: number, flags = 0): TxSlot => ({
  type: XEN_NETIF_EXTRA_TYPE_GSO,
  flags,
  u: [size & 0xff, size >>> 8, type, 0, 0, 0],
});

// ---- negotiation

Deno.test("Netback offers what it does, and nothing else", () => {
  const { r } = rig({ connect: false });
  assertEquals(r.state, XenbusStateInitWait);
  const names = [
    "feature-sg",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-ipv6-csum-offload",
    "feature-rx-copy",
  ];
  assertEquals(names.map((name) => r.offered(name)), ["1", "1", "1", "1", "1"]);
  assertEquals(r.offered("feature-rx-flip"), "0");
  assertEquals(r.offered("feature-ctrl-ring"), undefined);
  assertEquals(r.offered("feature-gso-tcpv4-prefix"), undefined);
  assertEquals(r.offered("multi-queue-max-queues"), "4");
  assertEquals(r.offered("mac"), "00:16:3e:00:00:01");
});

Deno.test("Netback connects, and lets go of everything when the frontend closes", () => {
  const { r } = rig();
  assertEquals(r.state, XenbusStateConnected);
  assertEquals([r.host.grants.mapCount, r.host.events.boundCount], [2, 2]);
  r.setState(XenbusStateClosing);
  assertEquals([r.host.grants.mapCount, r.host.events.boundCount], [0, 0]);
  r.setState(XenbusStateClosed);
  assertEquals(r.state, XenbusStateClosed);
  r.setState(XenbusStateInitialising);
  assertEquals(r.state, XenbusStateInitWait);
});

const REFUSED: [string, RigOptions][] = [
  ["no rx-copy", { nodes: { "request-rx-copy": 0 } }],
  ["no ring reference", { nodes: { "tx-ring-ref": null } }],
  ["a ring reference that is no number", { nodes: { "rx-ring-ref": "x" } }],
  ["a ring reference that is not granted", { nodes: { "rx-ring-ref": 99999 } }],
  ["an event channel that is not ours", { nodes: { "event-channel-rx": 4000 } }],
  ["half of split event channels", { nodes: { "event-channel-rx": null } }],
  ["no event channel at all", { nodes: { "event-channel-tx": null, "event-channel-rx": null } }],
  ["no queues", { nodes: { "multi-queue-num-queues": 0 } }],
  ["more queues than offered", { queues: 5 }],
  ["fewer queues than it says", { queues: 2, nodes: { "multi-queue-num-queues": 3 } }],
];
for (const [what, options] of REFUSED) {
  Deno.test(`Netback refuses a frontend with ${what}, and keeps nothing of it`, () => {
    const { r } = rig(options);
    assertEquals(r.state, XenbusStateClosing);
    assertEquals([r.host.grants.mapCount, r.host.events.boundCount], [0, 0]);
  });
}

Deno.test("Netback refuses a multicast or malformed MAC address from the user", () => {
  const end = new Hub().port();
  for (const mac of ["01:00:00:00:00:00", "00:16:3e:00:00", "zz:16:3e:00:00:01"]) {
    assertThrows(() => new Netback(rig().r.host, end, { devid: 1, mac }), ConfigError);
  }
});

const ACCEPTS: [string, Record<string, number>, number][] = [
  ["everything", {}, 0b1111],
  ["no checksum offload, so no GSO for IPv4 either", { "feature-no-csum-offload": 1 }, 0b1010],
  ["no IPv6 checksum offload", { "feature-ipv6-csum-offload": 0 }, 0b0101],
  ["no sg, so no GSO", { "feature-sg": 0 }, 0b0011],
  ["no GSO", { "feature-gso-tcpv4": 0, "feature-gso-tcpv6": 0 }, 0b0011],
];
for (const [what, nodes, expected] of ACCEPTS) {
  Deno.test(`Netback tells the end what the guest takes: ${what}`, () => {
    let accepts = -1;
    const port = new Hub().port();
    const end: NetEnd = {
      name: "spy",
      offloads: OFFLOAD_ALL,
      send: (frame) => port.send(frame),
      attach: (receiver) => {
        accepts = receiver?.accepts ?? -1;
      },
      receiverChanged: () => {},
      poll: () => 0,
      pollFd: () => -1,
      close: () => {},
    };
    new Rig(end, { nodes });
    assertEquals(accepts, expected);
  });
}

// ---- transmit

Deno.test("transmit: a packet in one slot arrives, with one response and one event", () => {
  const { r, seen, queue } = rig();
  const bytes = plain(100);
  queue.send([{ gref: r.page(bytes, 500).gref, offset: 500, size: 100, id: 77 }]);
  assertEquals(seen.frames[0]?.bytes(), bytes);
  assertEquals(queue.responses(), [{ id: 77, status: NETIF_RSP_OKAY }]);
  assertEquals(r.host.events.take(queue.txPort), 1);
  assertEquals(r.tracer.counters.get("net.tx.packets"), 1);
  assertEquals(r.tracer.counters.get("net.tx.bytes"), 100);
});

Deno.test("transmit: a batch gives one event, and none when the guest wants none", () => {
  const { r, queue } = rig();
  const gref = r.page(plain(60)).gref;
  queue.send(Array.from({ length: 40 }, (_, id) => ({ gref, size: 60, id })));
  assertEquals(r.host.events.take(queue.txPort), 1);
  assertEquals(queue.responses().length, 40);
  queue.tx.view.setUint32(12, queue.tx.rspCons + 100, true); // rsp_event
  queue.send([{ gref, size: 60 }]);
  assertEquals(r.host.events.take(queue.txPort), 0);
  assertEquals(queue.responses().length, 1);
});

Deno.test("transmit: the ring wraps many times", () => {
  const { r, seen, queue } = rig();
  const gref = r.page(plain(60)).gref;
  for (let i = 0; i < 50; i++) {
    queue.send(Array.from({ length: 97 }, (_, id) => ({ gref, size: 60, id })));
    assertEquals(queue.responses().map((response) => response.id), Array.from({ length: 97 }, (_, id) => id));
  }
  assertEquals(seen.frames.length, 50 * 97);
});

Deno.test("transmit: a chain of 18 slots is put together in order", () => {
  const { r, seen, queue } = rig();
  const bytes = plain(18 * 200);
  const slots = Array.from({ length: 18 }, (_, i) => ({
    gref: r.page(bytes.subarray(i * 200, i * 200 + 200), i).gref,
    offset: i,
    size: i === 0 ? bytes.length : 200,
    flags: i < 17 ? NETTXF_more_data : 0,
    id: 100 + i,
  }));
  queue.send(slots);
  assertEquals(seen.frames[0]?.bytes(), bytes);
  assertEquals(queue.responses(), slots.map(({ id }) => ({ id, status: NETIF_RSP_OKAY })));
});

for (const version of [4, 6] as const) {
  Deno.test(`transmit: TCP over IPv${version} GSO carries its metadata`, () => {
    const { r, seen, queue } = rig();
    const bytes = tcpGso({ payload: 9000, gsoSize: 1400, version }).bytes();
    const [first, ...rest] = r.chain(bytes, NETTXF_csum_blank | NETTXF_data_validated | NETTXF_extra_info);
    const type = version === 4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
    queue.send([first as TxSlot, gsoExtra(1400, type), ...rest]);
    const frame = seen.frames[0] as Frame;
    assertEquals(frame.bytes(), bytes);
    const l4 = version === 4 ? 34 : 54;
    assertEquals(
      [frame.flags, frame.gsoType, frame.gsoSize, frame.csumStart, frame.csumOffset, frame.hdrLen],
      [
        VIRTIO_NET_HDR_F_NEEDS_CSUM,
        version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
        1400,
        l4,
        16,
        l4 + 20,
      ],
    );
    assertEquals(queue.responses().map((response) => response.status), [0, NETIF_RSP_NULL, 0, 0]);
    assertEquals(r.tracer.counters.get("net.tx.gso"), 1);
  });
}

Deno.test("transmit: GSO without csum_blank gets the pseudo-header sum, in a copy", () => {
  const { r, seen, queue } = rig();
  const right = tcpGso({ payload: 3000, gsoSize: 1000 }).bytes();
  const sent = right.slice();
  sent.set([0xde, 0xad], 50);
  const page = r.page(sent);
  queue.send([{ gref: page.gref, size: sent.length, flags: NETTXF_extra_info }, gsoExtra(1000, 1)]);
  assertEquals(seen.frames[0]?.bytes(), right);
  assertEquals([page.bytes[50], page.bytes[51]], [0xde, 0xad]);
});

Deno.test("transmit: offloads are done in software for a peer without them, from read-only grants", () => {
  const { r, seen, queue } = rig({}, OFFLOAD_NONE);
  const bytes = tcpGso({ payload: 3000, gsoSize: 1000 }).bytes();
  const flags = NETTXF_extra_info | NETTXF_csum_blank;
  queue.send([{ gref: r.page(bytes).gref, size: bytes.length, flags }, gsoExtra(1000, 1)]);
  assertEquals(seen.frames.map((frame) => [frame.length, frame.flags]), [[1054, 0], [1054, 0], [1054, 0]]);
});

Deno.test("transmit: data_validated becomes DATA_VALID", () => {
  const { r, seen, queue } = rig();
  queue.send([{ gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_data_validated }]);
  assertEquals(seen.frames[0]?.flags, VIRTIO_NET_HDR_F_DATA_VALID);
});

/** Requests that are answered with an error, and do not disturb their neighbours. */
const ERRORS: [string, (r: Rig) => TxSlot[], number[]][] = [
  ["a grant that is none", () => [{ gref: 4711, size: 60 }], [NETIF_RSP_ERROR]],
  ["a packet shorter than an Ethernet header", (r) => [{ gref: r.page(plain(60)).gref, size: 13 }], [
    NETIF_RSP_ERROR,
  ]],
  ["an empty packet", (r) => [{ gref: r.page(plain(60)).gref, size: 0 }], [NETIF_RSP_ERROR]],
  [
    "slots larger than the packet",
    (r) => {
      const gref = r.page(plain(60)).gref;
      return [{ gref, size: 60, flags: NETTXF_more_data }, { gref, size: 61 }];
    },
    [NETIF_RSP_ERROR, NETIF_RSP_ERROR],
  ],
  [
    "19 slots",
    (r) => {
      const gref = r.page(plain(60)).gref;
      return Array.from(
        { length: 19 },
        (_, i) => ({ gref, size: i === 0 ? 1900 : 100, flags: i < 18 ? 4 : 0 }),
      );
    },
    Array(19).fill(NETIF_RSP_ERROR),
  ],
  [
    "a bad grant late in the chain",
    (r) => [{ gref: r.page(plain(60)).gref, size: 120, flags: NETTXF_more_data }, { gref: 4711, size: 60 }],
    [NETIF_RSP_ERROR, NETIF_RSP_ERROR],
  ],
  [
    "a blank checksum on something without one",
    (r) => [{ gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_csum_blank }],
    [NETIF_RSP_ERROR],
  ],
  [
    "GSO on something that is not TCP",
    (r) => [{ gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_extra_info }, gsoExtra(1000, 1)],
    [NETIF_RSP_ERROR, NETIF_RSP_NULL],
  ],
  [
    "GSO of the other IP version",
    (r) => {
      const bytes = tcpGso({ payload: 3000, gsoSize: 1000 }).bytes();
      return [{ gref: r.page(bytes).gref, size: bytes.length, flags: NETTXF_extra_info }, gsoExtra(1000, 2)];
    },
    [NETIF_RSP_ERROR, NETIF_RSP_NULL],
  ],
];
for (const [what, slots, expected] of ERRORS) {
  Deno.test(`transmit: ${what} is answered with an error`, () => {
    const { r, seen, queue } = rig();
    const good = { gref: r.page(plain(60)).gref, size: 60, id: 200 };
    queue.send([good, ...slots(r), good]);
    const statuses = queue.responses().map((response) => response.status);
    assertEquals(statuses, [NETIF_RSP_OKAY, ...expected, NETIF_RSP_OKAY]);
    assertEquals(seen.frames.length, 2);
    assertEquals(r.state, XenbusStateConnected);
    assertEquals(r.tracer.counters.get("net.tx.errors"), 1);
  });
}

/** Requests that end the connection. */
const FATAL: [string, (r: Rig) => TxSlot[]][] = [
  ["a slot that crosses its page", (r) => [{ gref: r.page(plain(60)).gref, offset: 4090, size: 60 }]],
  ["an offset beyond the page", (r) => [{ gref: r.page(plain(60)).gref, offset: 0xffff, size: 60 }]],
  ["a later slot that crosses its page", (r) => {
    const gref = r.page(plain(60)).gref;
    return [{ gref, size: 120, flags: NETTXF_more_data }, { gref, offset: 4090, size: 60 }];
  }],
  ["a chain without its end", (r) => [{ gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_more_data }]],
  [
    "an extra info that is not there",
    (r) => [{ gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_extra_info }],
  ],
  ["extra infos without end", (r) => [
    { gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_extra_info },
    gsoExtra(1000, 1, XEN_NETIF_EXTRA_FLAG_MORE),
    gsoExtra(1000, 1, XEN_NETIF_EXTRA_FLAG_MORE),
  ]],
  ["an extra info of type 0", (r) => [
    { gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_extra_info },
    { type: 0 },
  ]],
  ["an extra info of type 5", (r) => [
    { gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_extra_info },
    { type: 5 },
  ]],
  ["a GSO size of zero", (r) => [
    { gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_extra_info },
    gsoExtra(0, 1),
  ]],
  ["an unknown GSO type", (r) => [
    { gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_extra_info },
    gsoExtra(1000, 3),
  ]],
  ["a chain of 21 slots", (r) => {
    const gref = r.page(plain(60)).gref;
    return Array.from(
      { length: 21 },
      (_, i) => ({ gref, size: i === 0 ? 2100 : 100, flags: i < 20 ? 4 : 0 }),
    );
  }],
];
for (const [what, slots] of FATAL) {
  Deno.test(`transmit: ${what} closes the device and nothing else`, () => {
    const { r, seen, queue } = rig();
    queue.send([{ gref: r.page(plain(60)).gref, size: 60 }, ...slots(r)]);
    assertEquals(r.state, XenbusStateClosing);
    assertEquals([r.host.grants.mapCount, r.host.events.boundCount], [0, 0]);
    assertEquals(seen.frames.length, 1);
    assertEquals(r.netback.poll(), 0);
  });
}

Deno.test("transmit: a producer beyond the ring closes the device", () => {
  const { r, queue } = rig();
  queue.tx.view.setUint32(0, 5000, true);
  r.host.events.send(queue.txPort);
  assertEquals(r.state, XenbusStateClosing);
});

Deno.test("transmit: arbitrary slots never throw and never leave a response unwritten", () => {
  let x = 12345;
  const random = (n: number) => ((x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 8) % n;
  for (let round = 0; round < 300; round++) {
    const { r, queue } = rig();
    const grefs = [
      r.page(plain(4096)).gref,
      r.page(tcpGso({ payload: 3000, gsoSize: 500 }).bytes()).gref,
      4711,
    ];
    for (let batch = 0; batch < 4 && r.state === XenbusStateConnected; batch++) {
      const slots: TxSlot[] = Array.from(
        { length: 1 + random(30) },
        () =>
          random(5) === 0 ? { type: random(6), flags: random(2), u: [random(256), random(8), random(3)] } : {
            gref: grefs[random(grefs.length)] as number,
            offset: random(3) === 0 ? random(4096) : 0,
            size: random(3000),
            flags: random(16),
            id: random(65536),
          },
      );
      queue.send(slots);
      if (r.state === XenbusStateConnected) {
        assertEquals(queue.responses().length, slots.length, `round ${round}`);
      }
    }
  }
});

Deno.test("transmit: with the link down packets are dropped and answered so", () => {
  const { r, seen, queue, peer } = rig();
  queue.post(4);
  r.netback.setLink(false);
  assertEquals(r.offered("carrier"), "0");
  queue.send([{ gref: r.page(plain(60)).gref, size: 60 }]);
  peer.send(frameOf(plain(60)));
  assertEquals(queue.responses(), [{ id: 0, status: NETIF_RSP_DROPPED }]);
  r.netback.setLink(true);
  queue.send([{ gref: r.page(plain(60)).gref, size: 60 }]);
  peer.send(frameOf(plain(60)));
  assertEquals([seen.frames.length, queue.received().length, r.offered("carrier")], [1, 1, "1"]);
});

Deno.test("transmit: what the frontend queued before we connected goes out at the first poll", () => {
  const { r, seen, queue } = rig({ connect: false });
  queue.send([{ gref: r.page(plain(60)).gref, size: 60 }]);
  r.setState(XenbusStateConnected);
  r.netback.poll();
  assertEquals(seen.frames.length, 1);
});

// ---- receive

Deno.test("receive: frames land in the guest's buffers, with one event per batch", () => {
  const { r, peer, queue } = rig();
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
  Deno.test(`receive: a 64 KiB GSO frame over IPv${version} takes 16 buffers and an extra info`, () => {
    const { peer, queue } = rig();
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

Deno.test("receive: checksum metadata becomes flags", () => {
  const { peer, queue } = rig();
  queue.post(8);
  const frame = frameOf(plain(60));
  frame.flags = VIRTIO_NET_HDR_F_DATA_VALID;
  peer.send(frame);
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received().map((packet) => packet.flags), [NETRXF_data_validated, 0]);
});

Deno.test("receive: without buffers frames wait, and posting some brings them at once", () => {
  const { r, peer, queue } = rig();
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

Deno.test("receive: a frame of many slots waits until all of them are there", () => {
  const { r, peer, queue } = rig();
  queue.post(5);
  peer.send(tcpGso({ payload: 30_000, gsoSize: 1448 }));
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received(), []);
  assertEquals(r.tracer.counters.get("net.rx.no_buffers") > 0, true);
  queue.post(10);
  assertEquals(queue.received().map((packet) => packet.bytes.length), [30_054, 60]);
});

Deno.test("receive: a bad buffer is answered with an error and the frame takes the next", () => {
  const { r, peer, queue } = rig();
  queue.post(1, 4711);
  queue.post(4);
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received().map((packet) => packet.status), [[NETIF_RSP_ERROR], [60]]);
  assertEquals(r.tracer.counters.get("net.rx.errors"), 1);
  assertEquals(r.state, XenbusStateConnected);
});

Deno.test("receive: a bad buffer inside a chain costs the ones before it, not the frame", () => {
  const { peer, queue } = rig();
  queue.post(2);
  queue.post(1, 4711);
  queue.post(20);
  peer.send(tcpGso({ payload: 20_000, gsoSize: 1448 }));
  const packets = queue.received();
  assertEquals(packets.map((packet) => packet.bytes.length), [0, 0, 0, 20_054]);
});

Deno.test("receive: a read-only buffer is refused", () => {
  const { r, peer, queue } = rig();
  queue.post(1, r.page(plain(60)).gref);
  queue.post(1);
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received().map((packet) => packet.status), [[NETIF_RSP_ERROR], [60]]);
});

Deno.test("receive: without sg a frame of more than a page is dropped", () => {
  const { r, peer, queue } = rig({ nodes: { "feature-sg": 0 } });
  queue.post(8);
  peer.send(frameOf(plain(5000)));
  peer.send(frameOf(plain(60)));
  assertEquals(queue.received().map((packet) => packet.bytes.length), [60]);
  assertEquals(r.tracer.counters.get("net.rx.dropped"), 1);
});

Deno.test("receive: a producer beyond the ring closes the device, not the sender", () => {
  const { r, peer, queue } = rig();
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

Deno.test("receive in place: every order of shapes keeps every byte", () => {
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

Deno.test("receive in place: the window follows the size of frames", () => {
  const { end, put, windowSlices } = windowed();
  const r = new Rig(end);
  r.queue.post(100);
  assertEquals(windowSlices(), 1);
  put(tcpGso({ payload: 20_000, gsoSize: 1448 }));
  assertEquals(windowSlices(), 5);
  put(frameOf(plain(60)));
  assertEquals(windowSlices(), 1);
});

Deno.test("receive in place: a bad buffer behind the window does not lose the frame's start", () => {
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

// ---- multicast, queues, unplug

const GROUP = [0x01, 0, 0x5e, 0, 0, 0xfb];
function multicast(): Frame {
  const bytes = plain(60);
  bytes.set(GROUP);
  return frameOf(bytes);
}
const broadcast = frameOf(plain(60));
broadcast.slices[0]?.fill(0xff, 0, 6);

Deno.test("multicast control: lists, filters once asked to, and lets broadcasts through", () => {
  const { r, peer, queue } = rig();
  queue.post(20);
  const count = () => {
    peer.send(multicast());
    peer.send(broadcast);
    return queue.received().length;
  };
  const change = (type: number) => {
    queue.send([{ gref: 0, size: 0, flags: NETTXF_extra_info }, { type, u: GROUP }]);
    return queue.responses().map((response) => response.status);
  };
  assertEquals(count(), 2);
  r.write("request-multicast-control", 1);
  r.host.settle();
  assertEquals(count(), 1);
  assertEquals(change(XEN_NETIF_EXTRA_TYPE_MCAST_ADD), [NETIF_RSP_OKAY, NETIF_RSP_NULL]);
  assertEquals(count(), 2);
  assertEquals(change(XEN_NETIF_EXTRA_TYPE_MCAST_DEL), [NETIF_RSP_OKAY, NETIF_RSP_NULL]);
  assertEquals(count(), 1);
  assertEquals(r.tracer.counters.get("net.rx.filtered"), 2);
});

Deno.test("multicast control: the list is bounded", () => {
  const { queue } = rig();
  const statuses: number[] = [];
  for (let i = 0; i < 66; i++) {
    const extra = { type: XEN_NETIF_EXTRA_TYPE_MCAST_ADD, u: [1, 0, 0, 0, 0, i] };
    queue.send([{ gref: 0, size: 0, flags: NETTXF_extra_info }, extra]);
    statuses.push(queue.responses()[0]?.status ?? 99);
  }
  assertEquals(statuses.slice(62), [NETIF_RSP_OKAY, NETIF_RSP_OKAY, NETIF_RSP_ERROR, NETIF_RSP_ERROR]);
});

Deno.test("a hash in an extra info is accepted and ignored", () => {
  const { r, seen, queue } = rig();
  const extra = { type: XEN_NETIF_EXTRA_TYPE_HASH, u: [1, 1, 2, 3, 4, 5] };
  queue.send([{ gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_extra_info }, extra]);
  assertEquals(queue.responses().map((response) => response.status), [NETIF_RSP_OKAY, NETIF_RSP_NULL]);
  assertEquals(seen.frames.length, 1);
});

Deno.test("several queues: each sends, and received flows spread without mixing", () => {
  const { r, peer, seen } = rig({ queues: 3 });
  assertEquals(r.state, XenbusStateConnected);
  for (const queue of r.queues) {
    queue.post(60);
    queue.send([{ gref: r.page(plain(60)).gref, size: 60 }]);
  }
  assertEquals(seen.frames.length, 3);
  for (let port = 0; port < 48; port++) {
    const frame = tcpGso({ payload: 100, gsoSize: 100 });
    (frame.slices[0] as Uint8Array)[35] = port;
    frame.gsoType = 0;
    peer.send(frame);
    peer.send(frame);
  }
  const ports = r.queues.map((queue) => queue.received().map((packet) => packet.bytes[35] as number));
  assertEquals(ports.flat().length, 96);
  ports.forEach((list, i) => {
    assertEquals(list.length > 0, true, `queue ${i} is used`);
    for (const port of list) assertEquals(list.filter((other) => other === port).length, 2);
  });
});

Deno.test("one event channel for both directions works", () => {
  const { r, peer, seen, queue } = rig({ split: false });
  queue.post(4);
  queue.send([{ gref: r.page(plain(60)).gref, size: 60 }]);
  peer.send(frameOf(plain(60)));
  assertEquals([seen.frames.length, queue.received().length], [1, 1]);
});

Deno.test("unplug: the guest closes, the nodes go, the end is free", () => {
  let removed = 0;
  const { r, peer } = rig({ netback: { onRemoved: () => removed++ } });
  r.netback.unplug();
  r.host.settle();
  assertEquals([r.state, removed], [XenbusStateClosing, 0]);
  r.setState(XenbusStateClosed);
  assertEquals([removed, r.host.grants.mapCount, r.offered("state")], [1, 0, undefined]);
  assertEquals(peer.send(frameOf(plain(60))), true);
});

Deno.test("two guests on a hub: what one sends the other receives, GSO whole", () => {
  const hub = new Hub();
  const one = new Rig(hub.port());
  const two = new Rig(hub.port(), {}, 2);
  two.queue.post(40);
  const bytes = tcpGso({ payload: 20_000, gsoSize: 1448 }).bytes();
  const [first, ...rest] = one.chain(bytes, NETTXF_csum_blank | NETTXF_extra_info);
  one.queue.send([first as TxSlot, gsoExtra(1448, 1), ...rest]);
  const [packet] = two.queue.received();
  assertEquals(packet?.bytes, bytes);
  assertEquals(packet?.gso, { size: 1448, type: XEN_NETIF_GSO_TYPE_TCPV4 });
  assertEquals(two.host.events.take(two.queue.rxPort), 1);
});
