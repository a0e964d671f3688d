// SPDX-License-Identifier: MIT
/** Transmit queues, through a whole netback or alone on a ring. @module */
import { assertEquals, assertThrows } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import { FakeHost } from "../../xen/backend/_fake_host.ts";
import { FrontendError } from "../../xen/backend/frontend_error.ts";
import { BackRing } from "../../xen/backend/ring.ts";
import { sring } from "../../xen/public/io/ring.ts";
import {
  NETIF_RSP_DROPPED,
  NETIF_RSP_ERROR,
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NETIF_TX_ENTRY,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
  XEN_NETIF_EXTRA_FLAG_MORE,
  XEN_NETIF_EXTRA_TYPE_HASH,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from "../../xen/public/io/netif.ts";
import { XenbusStateClosing, XenbusStateConnected } from "../../xen/public/io/xenbus.ts";
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
import { FrontQueue, gsoExtra, plain, Rig, rigOnHub, type TxSlot } from "./_frontend.ts";
import { TxQueue } from "./netback_tx.ts";
import { tcpGso } from "../frames/_frames.ts";

Deno.test("TxQueue: a packet in one slot arrives, with one response and one event", () => {
  const { r, seen, queue } = rigOnHub();
  const bytes = plain(100);
  queue.send([{ gref: r.page(bytes, 500).gref, offset: 500, size: 100, id: 77 }]);
  assertEquals(seen.frames[0]?.bytes(), bytes);
  assertEquals(queue.responses(), [{ id: 77, status: NETIF_RSP_OKAY }]);
  assertEquals(r.host.events.take(queue.txPort), 1);
  assertEquals(r.tracer.counters.get("net.tx.packets"), 1);
  assertEquals(r.tracer.counters.get("net.tx.bytes"), 100);
});

Deno.test("TxQueue: a batch gives one event, and none when the guest wants none", () => {
  const { r, queue } = rigOnHub();
  const gref = r.page(plain(60)).gref;
  queue.send(Array.from({ length: 40 }, (_, id) => ({ gref, size: 60, id })));
  assertEquals(r.host.events.take(queue.txPort), 1);
  assertEquals(queue.responses().length, 40);
  queue.tx.view.setUint32(12, queue.tx.rspCons + 100, true); // rsp_event
  queue.send([{ gref, size: 60 }]);
  assertEquals(r.host.events.take(queue.txPort), 0);
  assertEquals(queue.responses().length, 1);
});

Deno.test("TxQueue: the ring wraps many times", () => {
  const { r, seen, queue } = rigOnHub();
  const gref = r.page(plain(60)).gref;
  for (let i = 0; i < 50; i++) {
    queue.send(Array.from({ length: 97 }, (_, id) => ({ gref, size: 60, id })));
    assertEquals(queue.responses().map((response) => response.id), Array.from({ length: 97 }, (_, id) => id));
  }
  assertEquals(seen.frames.length, 50 * 97);
});

Deno.test("TxQueue: a chain of 18 slots is put together in order", () => {
  const { r, seen, queue } = rigOnHub();
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
  Deno.test(`TxQueue: TCP over IPv${version} GSO carries its metadata`, () => {
    const { r, seen, queue } = rigOnHub();
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

Deno.test("TxQueue: GSO without csum_blank gets the pseudo-header sum, in a copy", () => {
  const { r, seen, queue } = rigOnHub();
  const right = tcpGso({ payload: 3000, gsoSize: 1000 }).bytes();
  const sent = right.slice();
  sent.set([0xde, 0xad], 50);
  const page = r.page(sent);
  queue.send([{ gref: page.gref, size: sent.length, flags: NETTXF_extra_info }, gsoExtra(1000, 1)]);
  assertEquals(seen.frames[0]?.bytes(), right);
  assertEquals([page.bytes[50], page.bytes[51]], [0xde, 0xad]);
});

Deno.test("TxQueue: offloads are done in software for a peer without them, from read-only grants", () => {
  const { r, seen, queue } = rigOnHub({}, OFFLOAD_NONE);
  const bytes = tcpGso({ payload: 3000, gsoSize: 1000 }).bytes();
  const flags = NETTXF_extra_info | NETTXF_csum_blank;
  queue.send([{ gref: r.page(bytes).gref, size: bytes.length, flags }, gsoExtra(1000, 1)]);
  assertEquals(seen.frames.map((frame) => [frame.length, frame.flags]), [[1054, 0], [1054, 0], [1054, 0]]);
});

Deno.test("TxQueue: data_validated becomes DATA_VALID", () => {
  const { r, seen, queue } = rigOnHub();
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
  Deno.test(`TxQueue: ${what} is answered with an error`, () => {
    const { r, seen, queue } = rigOnHub();
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
  Deno.test(`TxQueue: ${what} closes the device and nothing else`, () => {
    const { r, seen, queue } = rigOnHub();
    queue.send([{ gref: r.page(plain(60)).gref, size: 60 }, ...slots(r)]);
    assertEquals(r.state, XenbusStateClosing);
    assertEquals([r.host.grants.mapCount, r.host.events.boundCount], [0, 0]);
    assertEquals(seen.frames.length, 1);
    assertEquals(r.netback.poll(), 0);
  });
}

Deno.test("TxQueue: a producer beyond the ring closes the device", () => {
  const { r, queue } = rigOnHub();
  queue.tx.view.setUint32(0, 5000, true);
  r.host.events.send(queue.txPort);
  assertEquals(r.state, XenbusStateClosing);
});

Deno.test("TxQueue: arbitrary slots never throw and never leave a response unwritten", () => {
  let x = 12345;
  const random = (n: number) => ((x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 8) % n;
  for (let round = 0; round < 300; round++) {
    const { r, queue } = rigOnHub();
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

Deno.test("TxQueue: with the link down packets are dropped and answered so", () => {
  const { r, seen, queue, peer } = rigOnHub();
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

Deno.test("TxQueue: what the frontend queued before we connected goes out at the first poll", () => {
  const { r, seen, queue } = rigOnHub({ connect: false });
  queue.send([{ gref: r.page(plain(60)).gref, size: 60 }]);
  r.setState(XenbusStateConnected);
  r.netback.poll();
  assertEquals(seen.frames.length, 1);
});

// ---- a queue alone

/** A TxQueue over a ring that starts at `start`, with an end and grants that the test looks into. */
function alone(start = 0) {
  const host = new FakeHost();
  const front = new FrontQueue(host, false);
  for (const index of [sring.at.req_prod, sring.at.rsp_prod]) front.tx.view.setUint32(index, start, true);
  for (const index of [sring.at.req_event, sring.at.rsp_event]) {
    front.tx.view.setUint32(index, start + 1, true);
  }
  front.tx.reqProdPvt = front.tx.rspCons = start;
  const sent: Uint8Array[] = [];
  const spy = {
    sent,
    notified: 0,
    /** Of the end. */
    unhurried: false,
    deferred: [] as (() => void)[],
    onSend: () => {},
    onAccess: () => {},
  };
  const end: NetEnd = {
    name: "spy",
    offloads: OFFLOAD_ALL,
    send: (frame) => {
      sent.push(frame.bytes());
      spy.onSend();
      return true;
    },
    attach: () => {},
    receiverChanged: () => {},
    poll: () => 0,
    pollFd: () => -1,
    close: () => {},
    get unhurried() {
      return spy.unhurried;
    },
  };
  const queue = new TxQueue({
    ring: new BackRing([front.txPage], NETIF_TX_ENTRY),
    grants: {
      map: () => -1,
      access: (...args) => {
        spy.onAccess();
        return host.grants.access(...args);
      },
    },
    end,
    port: { notify: () => void spy.notified++, close: () => {} },
    multicast: { add: () => true, remove: () => {} },
    linkUp: () => true,
    defer: (work) => spy.deferred.push(work),
    name: "alone",
    tracer: new Tracer(),
  });
  const page = host.grantPage(true);
  page.bytes.set(plain(200));
  return { host, front, queue, spy, slot: { gref: page.gref, size: 60 } };
}

Deno.test("TxQueue reads a slot once: what the guest writes there later changes nothing", () => {
  const { front, queue, spy, slot } = alone();
  front.push([{ ...slot, size: 120, flags: NETTXF_more_data, id: 1 }, { ...slot, id: 2 }]);
  spy.onAccess = () =>
    front.tx.view.buffer && new Uint8Array(
      front.tx.view.buffer,
      front.tx.view.byteOffset + sring.size,
      24,
    ).fill(0xff);
  assertEquals(queue.process(), false);
  assertEquals(spy.sent, [new Uint8Array([...plain(200).slice(0, 60), ...plain(200).slice(0, 60)])]);
  assertEquals(front.responses(), [{ id: 1, status: NETIF_RSP_OKAY }, { id: 2, status: NETIF_RSP_OKAY }]);
});

Deno.test("TxQueue ends a turn though the guest refills the ring while it is worked off", () => {
  const { front, queue, spy, slot } = alone();
  front.push([slot]);
  spy.onSend = () => void front.push([slot]); // responses are never taken: their slots are free again when written
  front.push([slot]);
  let turns = 0;
  while (queue.process() && turns < 3) turns++;
  assertEquals([turns, spy.sent.length % 1024 <= 4 && spy.sent.length >= 3 * 1024], [3, true]);
});

Deno.test("TxQueue that is closed from within a send writes and notifies no more", () => {
  const { front, queue, spy, slot } = alone();
  front.push([slot, slot, slot]);
  spy.onSend = () => queue.closed = true;
  assertEquals(queue.process(), false);
  assertEquals([spy.sent.length, spy.notified, front.responses()], [1, 0, []]);
  assertEquals(queue.process(), false);
  assertEquals(spy.sent.length, 1);
});

Deno.test("TxQueue: a stream under way is answered later, all of it at once", () => {
  const { front, queue, spy, slot } = alone();
  spy.unhurried = true;
  for (let id = 0; id < 3; id++) {
    front.push([{ ...slot, id }]);
    queue.process();
  }
  assertEquals([spy.sent.length, front.responses(), spy.notified, spy.deferred.length], [3, [], 0, 1]);
  for (const work of spy.deferred.splice(0)) work();
  assertEquals([front.responses().map(({ id }) => id), spy.notified], [[0, 1, 2], 1]);
  front.push([{ ...slot, id: 3 }]);
  queue.process();
  spy.unhurried = false; // now something that somebody waits for
  front.push([{ ...slot, id: 4 }]);
  queue.process();
  assertEquals([front.responses().map(({ id }) => id), spy.notified], [[3, 4], 2]);
  for (const work of spy.deferred.splice(0)) work();
  assertEquals([front.responses(), spy.notified], [[], 2]);
});

Deno.test("TxQueue: what is put off for a queue that is closed meanwhile is not done", () => {
  const { front, queue, spy, slot } = alone();
  spy.unhurried = true;
  front.push([slot]);
  queue.process();
  queue.closed = true;
  for (const work of spy.deferred.splice(0)) work();
  assertEquals([front.responses(), spy.notified], [[], 0]);
});

for (const start of [0xffff_fff0, 0x7fff_fff0]) {
  Deno.test(`TxQueue passes ${start.toString(16)} as any other index`, () => {
    const { front, queue, spy, slot } = alone(start);
    for (let i = 0; i < 40; i++) {
      front.push([{ ...slot, id: i }]);
      queue.process();
      assertEquals(front.responses(), [{ id: i, status: NETIF_RSP_OKAY }]);
    }
    assertEquals([spy.sent.length, spy.notified], [40, 40]);
  });
}

Deno.test("TxQueue: a producer that goes back is the frontend's error", () => {
  const { front, queue, slot } = alone();
  front.push([slot, slot]);
  queue.process();
  front.tx.view.setUint32(sring.at.req_prod, 0, true);
  assertThrows(() => queue.process(), FrontendError, "beyond the ring");
});

Deno.test("TxQueue: extra infos without end leave the ring, not the process", () => {
  const { front, queue, slot } = alone();
  const more = { type: XEN_NETIF_EXTRA_TYPE_HASH, flags: XEN_NETIF_EXTRA_FLAG_MORE };
  front.push([{ ...slot, flags: NETTXF_extra_info }, ...Array.from({ length: 255 }, () => more)]);
  assertThrows(() => queue.process(), FrontendError, "without its extra info");
});
