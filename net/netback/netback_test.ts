// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import {
  NETIF_RSP_ERROR,
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NETTXF_csum_blank,
  NETTXF_extra_info,
  XEN_NETIF_EXTRA_TYPE_HASH,
  XEN_NETIF_EXTRA_TYPE_MCAST_ADD,
  XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
  XEN_NETIF_GSO_TYPE_TCPV4,
} from "../../xen/public/io/netif.ts";
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialising,
  XenbusStateInitWait,
} from "../../xen/public/io/xenbus.ts";
import { type Frame, frameOf, type NetEnd, OFFLOAD_ALL } from "../ends/end.ts";
import { Hub } from "../ends/hub.ts";
import { NoneEnd } from "../ends/none.ts";
import { Netback } from "./netback.ts";
import { gsoExtra, plain, Rig, rigOnHub, type RigOptions, type TxSlot } from "./_frontend.ts";
import { tcpGso } from "../frames/_frames.ts";

// ---- negotiation

Deno.test("Netback offers what it does, and nothing else", () => {
  const { r } = rigOnHub({ connect: false });
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
  const { r } = rigOnHub();
  assertEquals(r.state, XenbusStateConnected);
  assertEquals([r.host.grants.mapCount, r.host.events.boundCount], [2, 2]);
  r.setState(XenbusStateClosing);
  assertEquals([r.host.grants.mapCount, r.host.events.boundCount], [0, 0]);
  r.setState(XenbusStateClosed);
  assertEquals(r.state, XenbusStateClosed);
  r.setState(XenbusStateInitialising);
  assertEquals(r.state, XenbusStateInitWait);
});

Deno.test("Netback is quiet until a frontend connects, and always at an end that gets no frames", () => {
  for (const [end, connected] of [[new Hub().port(), false], [new NoneEnd(), true]] as const) {
    const r = new Rig(end, { connect: false });
    assertEquals(r.netback.quiet, true);
    r.setState(XenbusStateConnected);
    assertEquals([r.state, r.netback.quiet], [XenbusStateConnected, false]); // it may have sent something before
    r.netback.poll();
    assertEquals(r.netback.quiet, connected);
    r.setState(XenbusStateClosing);
    assertEquals(r.netback.quiet, true);
  }
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
    const { r } = rigOnHub(options);
    assertEquals(r.state, XenbusStateClosing);
    assertEquals([r.host.grants.mapCount, r.host.events.boundCount], [0, 0]);
  });
}

Deno.test("Netback refuses a multicast or malformed MAC address from the user", () => {
  const end = new Hub().port();
  for (const mac of ["01:00:00:00:00:00", "00:16:3e:00:00", "zz:16:3e:00:00:01"]) {
    assertThrows(() => new Netback(rigOnHub().r.host, end, { devid: 1, mac }), ConfigError);
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
  const { r, peer, queue } = rigOnHub();
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
  const { queue } = rigOnHub();
  const statuses: number[] = [];
  for (let i = 0; i < 66; i++) {
    const extra = { type: XEN_NETIF_EXTRA_TYPE_MCAST_ADD, u: [1, 0, 0, 0, 0, i] };
    queue.send([{ gref: 0, size: 0, flags: NETTXF_extra_info }, extra]);
    statuses.push(queue.responses()[0]?.status ?? 99);
  }
  assertEquals(statuses.slice(62), [NETIF_RSP_OKAY, NETIF_RSP_OKAY, NETIF_RSP_ERROR, NETIF_RSP_ERROR]);
});

Deno.test("a hash in an extra info is accepted and ignored", () => {
  const { r, seen, queue } = rigOnHub();
  const extra = { type: XEN_NETIF_EXTRA_TYPE_HASH, u: [1, 1, 2, 3, 4, 5] };
  queue.send([{ gref: r.page(plain(60)).gref, size: 60, flags: NETTXF_extra_info }, extra]);
  assertEquals(queue.responses().map((response) => response.status), [NETIF_RSP_OKAY, NETIF_RSP_NULL]);
  assertEquals(seen.frames.length, 1);
});

Deno.test("several queues: each sends, and received flows spread without mixing", () => {
  const { r, peer, seen } = rigOnHub({ queues: 3 });
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
  const { r, peer, seen, queue } = rigOnHub({ split: false });
  queue.post(4);
  queue.send([{ gref: r.page(plain(60)).gref, size: 60 }]);
  peer.send(frameOf(plain(60)));
  assertEquals([seen.frames.length, queue.received().length], [1, 1]);
});

Deno.test("unplug: the guest closes, the nodes go, the end is free", () => {
  let removed = 0;
  const { r, peer } = rigOnHub({ netback: { onRemoved: () => removed++ } });
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
