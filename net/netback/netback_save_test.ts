// SPDX-License-Identifier: MIT
/** Snapshots of netback: what one backend saved another goes on with, over a copy of the guest. @module */
import { assertEquals } from "@std/assert";
import {
  NETIF_RSP_OKAY,
  XEN_NETIF_EXTRA_TYPE_MCAST_ADD,
  XEN_NETIF_GSO_TYPE_TCPV4,
} from "../../xen/public/io/netif.ts";
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialising,
  XenbusStateInitWait,
} from "../../xen/public/io/xenbus.ts";
import { frameOf, OFFLOAD_ALL } from "../ends/end.ts";
import { Hub } from "../ends/hub.ts";
import { Collector, tcpGso } from "../frames/_frames.ts";
import { FrontQueue, plain, type Rig, rigOnHub, type TxSlot } from "./_frontend.ts";
import { Netback, type NetbackState } from "./netback.ts";

const MAC = "00:16:3e:00:00:01";

/** The guest of `r` elsewhere, as a snapshot has it, with a backend restored from `state`. */
function revive(r: Rig, state = r.netback.save()) {
  const host = r.host.copy();
  const hub = new Hub();
  const peer = hub.port("peer");
  const seen = new Collector(peer, OFFLOAD_ALL);
  const netback = new Netback(host, hub.port("end"), { devid: 0, mac: MAC });
  const record: NetbackState = structuredClone(state);
  const queues = r.queues.map((queue) => new FrontQueue(host, true, queue));
  netback.restore(record);
  host.settle();
  const path = `/local/domain/0/backend/vif/${host.domid}/0`;
  return {
    host,
    netback,
    peer,
    seen,
    queues,
    queue: queues[0] as FrontQueue,
    /** A granted page that holds `bytes`: its reference. */
    gref(bytes: Uint8Array): number {
      const page = host.grantPage(true);
      page.bytes.set(bytes);
      return page.gref;
    },
    offered: (name: string) => host.guestRead(`${path}/${name}`),
    setState(value: number) {
      host.guestWrite(`/local/domain/${host.domid}/device/vif/0/state`, value);
      host.settle();
    },
  };
}

Deno.test("a restored Netback goes on both ways: posted buffers and requests nobody had looked at", () => {
  const { r, peer, seen } = rigOnHub();
  r.queue.post(8);
  for (let i = 0; i < 3; i++) peer.send(frameOf(plain(100, i)));
  r.queue.send([{ gref: r.page(plain(60, 1)).gref, size: 60, id: 11 }]);
  r.queue.push([{ gref: r.page(plain(61, 2)).gref, size: 61, id: 12 }]); // and then the snapshot is taken
  assertEquals([seen.frames.length, r.queue.received().length], [1, 3]);
  assertEquals(r.queue.responses(), [{ id: 11, status: NETIF_RSP_OKAY }]);

  const two = revive(r);
  assertEquals([two.host.grants.mapCount, two.host.events.boundCount], [2, 2]);
  assertEquals(two.offered("state"), String(XenbusStateConnected));
  two.netback.poll();
  assertEquals(two.seen.frames.map((frame) => frame.bytes()), [plain(61, 2)]);
  assertEquals(two.queue.responses(), [{ id: 12, status: NETIF_RSP_OKAY }]);
  two.queue.send([{ gref: two.gref(plain(60, 3)), size: 60, id: 13 }]);
  assertEquals(two.seen.frames[1]?.bytes(), plain(60, 3));
  assertEquals(two.queue.responses(), [{ id: 13, status: NETIF_RSP_OKAY }]);
  two.peer.send(frameOf(plain(200, 4)));
  assertEquals(two.queue.received().map((packet) => packet.bytes), [plain(200, 4)]);
  assertEquals(two.host.events.take(two.queue.rxPort), 1);
  for (let i = 0; i < 5; i++) two.peer.send(frameOf(plain(64, i)));
  assertEquals(two.queue.received().length, 4, "8 buffers were posted: 3 were used before, 1 after");
  two.queue.post(1);
  assertEquals(two.queue.received().length, 1, "what had no room waited at the hub");
  assertEquals(seen.frames.length, 1, "the old backend has nothing to do with it");
});

Deno.test("a snapshot keeps what the frontend accepts, the link and the multicast list", () => {
  const { r, peer } = rigOnHub({ nodes: { "request-multicast-control": 1 } });
  const wanted = [0x01, 0, 0x5e, 0, 0, 7];
  const slot: TxSlot = { gref: 0, size: 0, flags: 8 };
  r.queue.send([slot, { type: XEN_NETIF_EXTRA_TYPE_MCAST_ADD, u: wanted }]);
  r.queue.post(40);
  peer.send(tcpGso({ payload: 20_000, gsoSize: 1448 }));
  assertEquals(r.queue.received()[0]?.gso, { size: 1448, type: XEN_NETIF_GSO_TYPE_TCPV4 });
  const two = revive(r);
  two.peer.send(tcpGso({ payload: 20_000, gsoSize: 1448 }));
  assertEquals(two.queue.received()[0]?.gso, { size: 1448, type: XEN_NETIF_GSO_TYPE_TCPV4 });
  for (const last of [7, 8]) {
    const frame = plain(60);
    frame.set([...wanted.slice(0, 5), last]);
    two.peer.send(frameOf(frame));
  }
  assertEquals(two.queue.received().map(({ bytes }) => bytes[5]), [7]);

  r.netback.setLink(false);
  const three = revive(r);
  three.peer.send(frameOf(plain(60)));
  assertEquals([three.queue.received().length, three.offered("carrier")], [0, "0"]);
  three.netback.setLink(true);
  three.peer.send(frameOf(plain(60)));
  assertEquals([three.queue.received().length, three.offered("carrier")], [1, "1"]);
});

Deno.test("frames that wait for room are in the snapshot, in order", () => {
  const { r, peer } = rigOnHub();
  for (let i = 0; i < 3; i++) peer.send(frameOf(plain(100, i)));
  const two = revive(r);
  two.queue.post(4);
  assertEquals(two.queue.received().map(({ bytes }) => bytes), [0, 1, 2].map((i) => plain(100, i)));
});

Deno.test("several queues come back each with its own rings and ports", () => {
  const { r } = rigOnHub({ queues: 3 });
  r.queues.forEach((queue, i) => queue.send([{ gref: r.page(plain(60, i)).gref, size: 60 }]));
  const two = revive(r);
  assertEquals([two.host.grants.mapCount, two.host.events.boundCount], [6, 6]);
  two.queues.forEach((queue) => queue.send([{ gref: two.gref(plain(60)), size: 60 }]));
  assertEquals([two.seen.frames.length, two.queues.map((queue) => queue.responses().length)], [3, [2, 2, 2]]);
});

const STATES: [when: string, connect: boolean, state: number][] = [
  ["before the frontend came", false, XenbusStateInitWait],
  ["while it is connected", true, XenbusStateConnected],
];
for (const [when, connect, wanted] of STATES) {
  Deno.test(`the handshake goes on after a snapshot ${when}`, () => {
    const { r } = rigOnHub({ connect });
    const two = revive(r);
    assertEquals(two.offered("state"), String(wanted));
    two.setState(XenbusStateConnected);
    assertEquals(two.offered("state"), String(XenbusStateConnected));
    two.queue.send([{ gref: two.gref(plain(60)), size: 60 }]);
    assertEquals(two.seen.frames.length, 1);
    two.setState(XenbusStateClosing);
    assertEquals([two.host.grants.mapCount, two.host.events.boundCount], [0, 0]);
    two.setState(XenbusStateClosed);
    two.setState(XenbusStateInitialising);
    assertEquals(two.offered("state"), String(XenbusStateInitWait));
  });
}

Deno.test("a change of the frontend that nobody had looked at when the snapshot was taken counts", () => {
  const { r } = rigOnHub();
  r.write("state", XenbusStateClosing); // without settle(): the watch has not fired
  const two = revive(r);
  assertEquals([two.offered("state"), two.host.grants.mapCount], [String(XenbusStateClosing), 0]);
});

Deno.test("a guest that took back its ring loses the device at restore, and nothing is thrown", () => {
  const { r } = rigOnHub();
  const state = r.netback.save();
  r.host.grants.revoke(r.queue.rxPage.gref);
  const two = revive(r, state);
  assertEquals([two.offered("state"), two.host.grants.mapCount, two.host.events.boundCount], [
    String(XenbusStateClosing),
    0,
    0,
  ]);
});

Deno.test("ring positions that do not fit the ring close the device", () => {
  const { r } = rigOnHub();
  const state = r.netback.save();
  const queues = state.queues.map((queue) => ({ ...queue, tx: { ...queue.tx, rspProdPvt: 1000 } }));
  const two = revive(r, { ...state, queues });
  two.netback.poll();
  assertEquals([two.offered("state"), two.host.grants.mapCount], [String(XenbusStateClosing), 0]);
});

Deno.test("reset lets go of everything and offers the device anew", () => {
  let removed = 0;
  const { r, seen } = rigOnHub({ netback: { onRemoved: () => removed++ } });
  r.netback.reset();
  r.host.settle();
  assertEquals([r.host.grants.mapCount, r.host.events.boundCount, removed], [0, 0, 0]);
  assertEquals([r.state, r.host.store.read(`${r.netback.xenbus.frontend.path}/tx-ring-ref`)], [
    XenbusStateInitWait,
    undefined,
  ]);
  const queue = new FrontQueue(r.host, true);
  for (
    const [name, value] of Object.entries({
      "request-rx-copy": 1,
      "tx-ring-ref": queue.txPage.gref,
      "rx-ring-ref": queue.rxPage.gref,
      "event-channel-tx": queue.txPort,
      "event-channel-rx": queue.rxPort,
    })
  ) r.write(name, value);
  r.setState(XenbusStateConnected);
  queue.send([{ gref: r.page(plain(60)).gref, size: 60 }]);
  assertEquals([r.state, seen.frames.length], [XenbusStateConnected, 1]);
});
