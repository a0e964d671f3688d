// SPDX-License-Identifier: MIT
/** A network device whose host end goes and comes back. @module */
import { assertEquals } from "@std/assert";
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitWait,
} from "../../xen/public/io/xenbus.ts";
import { FakeHost } from "../../xen/backend/_fake_host.ts";
import { type Frame, type NetEnd, OFFLOAD_ALL } from "../ends/end.ts";
import { Hub } from "../ends/hub.ts";
import { Netback } from "./netback.ts";
import { FrontQueue, Rig, type RigOptions } from "./_frontend.ts";

/** An end that can go. */
class FlightyEnd implements NetEnd {
  readonly name = "flighty";
  readonly offloads = OFFLOAD_ALL;
  gone = false;
  sent = 0;
  polls = 0;
  send(_frame: Frame): boolean {
    if (!this.gone) this.sent++;
    return !this.gone;
  }
  attach(): void {}
  receiverChanged(): void {}
  poll(): number {
    this.polls++;
    return 0;
  }
  pollFd(): number {
    return -1;
  }
  close(): void {}
}

function rig(options: RigOptions = {}) {
  const end = new FlightyEnd();
  const r = new Rig(end, options);
  const set = (gone: boolean) => {
    end.gone = gone;
    r.netback.poll();
    r.host.settle();
  };
  /** Connects with rings of its own, as a driver does that finds a new device. */
  const plug = () => {
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
    return queue;
  };
  return { end, r, set, plug };
}
const page = (r: Rig) => [{ gref: r.page(new Uint8Array(60)).gref, size: 60 }];

Deno.test("the end's device goes: the guest is asked to let go, then the nodes go; it comes back with the device", () => {
  let removed = 0;
  const { end, r, set, plug } = rig({ netback: { onRemoved: () => removed++ } });
  for (let i = 0; i < 3; i++) {
    set(true);
    assertEquals([r.state, r.offered("carrier"), r.offered("online")], [XenbusStateClosing, "0", "0"]);
    r.setState(XenbusStateClosed);
    assertEquals([r.offered("state"), r.host.grants.mapCount, r.host.events.boundCount], [undefined, 0, 0]);
    const { polls } = end;
    r.netback.poll();
    assertEquals(end.polls, polls + 1, "the end is asked whether it is back");
    set(false);
    assertEquals([r.state, r.offered("carrier"), r.offered("online")], [XenbusStateInitWait, "1", "1"]);
    plug().send(page(r));
    assertEquals([r.state, end.sent], [XenbusStateConnected, i + 1]);
  }
  assertEquals(removed, 0, "nobody unplugged it");
});

Deno.test("a device that is back before the guest let go of the old one waits for that", () => {
  const { r, set, plug, end } = rig();
  set(true);
  set(false);
  assertEquals(r.state, XenbusStateClosing);
  r.setState(XenbusStateClosed);
  assertEquals(r.offered("state"), undefined);
  set(false);
  assertEquals(r.state, XenbusStateInitWait);
  plug().send(page(r));
  assertEquals(end.sent, 1);
});

Deno.test("frames sent while the device is away are dropped and answered", () => {
  const { r, end } = rig();
  end.gone = true;
  r.queue.send(page(r));
  assertEquals([r.queue.responses().length, end.sent, r.tracer.counters.get("net.tx.dropped")], [1, 0, 1]);
});

Deno.test("a device that is not there at the start is offered when it comes", () => {
  const end = new FlightyEnd();
  end.gone = true;
  const host = new FakeHost();
  const netback = new Netback(host, end, { devid: 0, mac: "00:16:3e:00:00:01" });
  const state = () => host.guestRead(`${netback.xenbus.path}/state`);
  netback.start();
  netback.poll();
  host.settle();
  assertEquals(state(), undefined);
  end.gone = false;
  netback.poll();
  host.settle();
  assertEquals(state(), String(XenbusStateInitWait));
});

Deno.test("a device unplugged while its end is away stays unplugged, and says so once", () => {
  let removed = 0;
  const { r, set } = rig({ netback: { onRemoved: () => removed++ } });
  set(true);
  r.setState(XenbusStateClosed);
  r.netback.unplug();
  r.netback.unplug();
  set(false);
  assertEquals([r.offered("state"), removed], [undefined, 1]);
});

Deno.test("reset and snapshots keep that the end's device is away", () => {
  const { r, set } = rig();
  set(true);
  r.netback.reset();
  r.host.settle();
  assertEquals([r.offered("state"), r.netback.save().gone], [undefined, true]);
  set(false);
  assertEquals(r.state, XenbusStateInitWait);
});

Deno.test("a hub's port that is closed takes the device with it", () => {
  const hub = new Hub();
  const port = hub.port();
  const r = new Rig(port);
  port.close();
  r.netback.poll();
  r.host.settle();
  assertEquals(r.state, XenbusStateClosing);
  r.queue.send(page(r));
  assertEquals(r.queue.responses().length, 1);
});
