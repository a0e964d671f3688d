// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import {
  type XenbusState,
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
} from "../public/io/xenbus.ts";
import { FakeHost } from "./_fake_host.ts";
import { type BackendDriver, FrontendError, parseU32, XenbusBackend } from "./xenbus.ts";

const FRONT = "/local/domain/1/device/vif/0";
const BACK = "/local/domain/0/backend/vif/1/0";

function setUp() {
  const host = new FakeHost(1);
  const log: string[] = [];
  const behaviour = { fail: "", draining: false };
  const driver: BackendDriver = {
    offer: () => ({ "feature-sg": 1 }),
    connect: (frontend) => {
      log.push(`connect ${frontend.requireU32("ring-ref")}`);
      if (behaviour.fail !== "") throw new FrontendError(behaviour.fail);
      return { "multi-queue-used": 1 };
    },
    disconnect: () => log.push("disconnect"),
    get draining() {
      return behaviour.draining;
    },
    frontendChanged: (frontend, name) => log.push(`${name}=${frontend.read(name)}`),
  };
  const backend = new XenbusBackend(host, driver, {
    type: "vif",
    devid: 0,
    backendNodes: { mac: "00:16:3e:00:00:01", handle: 0 },
    frontendNodes: { mac: "00:16:3e:00:00:01", handle: 0 },
    onRemoved: () => log.push("removed"),
  });
  backend.start();
  host.settle();
  /** The frontend goes to `state`; returns the state the backend then shows. */
  const front = (state: XenbusState) => {
    host.guestWrite(`${FRONT}/state`, state);
    host.settle();
    return Number(host.guestRead(`${BACK}/state`));
  };
  host.guestWrite(`${FRONT}/ring-ref`, 8);
  host.settle();
  return { host, backend, log, behaviour, front };
}

Deno.test("xenbus makes the nodes that libxl makes, with its permissions", () => {
  const { host } = setUp();
  const expected = {
    [`${FRONT}/backend`]: BACK,
    [`${FRONT}/backend-id`]: "0",
    [`${FRONT}/state`]: "1",
    [`${FRONT}/mac`]: "00:16:3e:00:00:01",
    [`${BACK}/frontend`]: FRONT,
    [`${BACK}/frontend-id`]: "1",
    [`${BACK}/online`]: "1",
    [`${BACK}/state`]: "2",
    [`${BACK}/hotplug-status`]: "connected",
    [`${BACK}/feature-sg`]: "1",
    [`${BACK}/handle`]: "0",
  };
  for (const [path, value] of Object.entries(expected)) {
    assertEquals([path, host.guestRead(path)], [path, value]);
  }
  assertThrows(() => host.guestWrite(`${BACK}/state`, 4), Error, "EACCES");
  host.guestWrite(`${FRONT}/state`, 1);
});

Deno.test("xenbus connects a frontend that goes straight to Connected (netfront)", () => {
  const { log, front, host } = setUp();
  assertEquals(front(XenbusStateConnected), XenbusStateConnected);
  assertEquals(log, ["connect 8"]);
  assertEquals(host.guestRead(`${BACK}/multi-queue-used`), "1");
});

Deno.test("xenbus connects once for a frontend that passes Initialised (blkfront)", () => {
  const { log, front } = setUp();
  assertEquals(front(XenbusStateInitialised), XenbusStateConnected);
  assertEquals(front(XenbusStateConnected), XenbusStateConnected);
  assertEquals(log, ["connect 8"]);
});

Deno.test("xenbus reports other nodes of the frontend while connected, and only then", () => {
  const { log, front, host } = setUp();
  front(XenbusStateConnected);
  host.guestWrite(`${FRONT}/request-multicast-control`, 1);
  host.settle();
  front(XenbusStateClosing);
  host.guestWrite(`${FRONT}/request-multicast-control`, 0);
  host.settle();
  assertEquals(log, ["connect 8", "request-multicast-control=1", "disconnect"]);
});

Deno.test("xenbus follows a driver that unbinds and binds again", () => {
  const { log, front } = setUp();
  front(XenbusStateConnected);
  assertEquals(front(XenbusStateClosing), XenbusStateClosing);
  assertEquals(front(XenbusStateClosed), XenbusStateClosed);
  assertEquals(front(XenbusStateInitialising), XenbusStateInitWait);
  assertEquals(front(XenbusStateConnected), XenbusStateConnected);
  assertEquals(log, ["connect 8", "disconnect", "connect 8"]);
});

Deno.test("xenbus follows a new kernel that starts over without closing (kexec)", () => {
  const { log, front } = setUp();
  front(XenbusStateConnected);
  assertEquals(front(XenbusStateInitialising), XenbusStateInitWait);
  assertEquals(log, ["connect 8", "disconnect"]);
  assertEquals(front(XenbusStateInitialised), XenbusStateConnected);
});

Deno.test("xenbus copes with states it had no time to see", () => {
  const { log, front, host } = setUp();
  front(XenbusStateConnected);
  for (const state of [5, 6, 1]) host.guestWrite(`${FRONT}/state`, state);
  host.settle();
  assertEquals(host.guestRead(`${BACK}/state`), "2");
  assertEquals(log, ["connect 8", "disconnect"]);
});

Deno.test("xenbus closes the device of a frontend that breaks the protocol, and lets it try again", () => {
  const { log, front, host, behaviour, backend } = setUp();
  behaviour.fail = "Ring page cannot be mapped";
  assertEquals(front(XenbusStateConnected), XenbusStateClosing);
  assertEquals(log, ["connect 8", "disconnect"]);
  assertEquals(
    host.store.read("/local/domain/0/error/backend/vif/1/0/error"),
    "Ring page cannot be mapped",
  );
  assertEquals(front(XenbusStateConnected), XenbusStateClosing); // not without closing first
  assertEquals(front(XenbusStateClosed), XenbusStateClosed);
  behaviour.fail = "";
  assertEquals(front(XenbusStateInitialising), XenbusStateInitWait);
  assertEquals(front(XenbusStateConnected), XenbusStateConnected);
  backend.guard(() => {
    throw new FrontendError("later");
  });
  assertEquals(backend.state, XenbusStateClosing);
  assertEquals(log, ["connect 8", "disconnect", "connect 8", "disconnect"]);
  assertThrows(() =>
    backend.guard(() => {
      throw new RangeError("ours");
    }), RangeError);
});

Deno.test("xenbus treats a missing or malformed node as the frontend's error", () => {
  for (const value of [undefined, "", "-1", "8x", "4294967296", "99999999999999999999", " 8"]) {
    const { host, front, backend } = setUp();
    if (value === undefined) host.store.remove(`${FRONT}/ring-ref`);
    else host.guestWrite(`${FRONT}/ring-ref`, value);
    assertEquals(front(XenbusStateConnected), XenbusStateClosing);
    assertEquals(backend.state, XenbusStateClosing);
  }
});

Deno.test("xenbus ignores states that are none", () => {
  const { host, front, log } = setUp();
  front(XenbusStateConnected);
  for (const state of ["9", "4294967295", "7", "8", "2"]) {
    host.guestWrite(`${FRONT}/state`, state);
    host.settle();
    assertEquals(host.guestRead(`${BACK}/state`), "4");
  }
  assertEquals(log, ["connect 8"]);
});

Deno.test("xenbus lets go when the guest removes the frontend's directory", () => {
  const { host, log, front, backend } = setUp();
  front(XenbusStateConnected);
  host.store.remove(FRONT);
  host.settle();
  assertEquals(backend.state, XenbusStateClosed);
  assertEquals(log, ["connect 8", "disconnect"]);
});

Deno.test("xenbus unplugs when the frontend has closed", () => {
  const { host, log, front, backend } = setUp();
  front(XenbusStateConnected);
  backend.unplug();
  host.settle();
  assertEquals([host.guestRead(`${BACK}/state`), host.guestRead(`${BACK}/online`)], ["5", "0"]);
  front(XenbusStateClosing);
  assertEquals(front(XenbusStateInitialising), XenbusStateClosing); // no way back
  host.guestWrite(`${FRONT}/state`, XenbusStateClosed);
  host.settle();
  assertEquals(host.store.list(BACK), undefined);
  assertEquals(host.store.list(FRONT), undefined);
  assertEquals(log, ["connect 8", "disconnect", "removed"]);
  host.store.write(`${FRONT}/state`, "1");
  host.settle();
  assertEquals(host.store.list(BACK), undefined);
});

Deno.test("xenbus removes a connected device at once when told to", () => {
  const { host, log, front, backend } = setUp();
  front(XenbusStateConnected);
  backend.remove();
  backend.remove();
  host.settle();
  assertEquals(log, ["connect 8", "disconnect", "removed"]);
  assertEquals(host.store.list(BACK), undefined);
});

Deno.test("parseU32 takes unsigned decimals of 32 bits", () => {
  assertEquals(["0", "42", "4294967295"].map(parseU32), [0, 42, 4294967295]);
  assertEquals(["", "0x1", "1 ", "4294967296", "１"].map(parseU32), Array(5).fill(undefined));
});

Deno.test("xenbus after a reset is as it was when it started, whatever the frontend left behind", () => {
  const { host, log, front, backend } = setUp();
  const before = JSON.stringify(backend.save());
  front(XenbusStateConnected);
  host.guestWrite(`${FRONT}/left-behind`, 1);
  backend.reset();
  host.settle();
  assertEquals(log, ["connect 8", "disconnect"]);
  assertEquals(JSON.stringify(backend.save()), before);
  assertEquals([host.guestRead(`${FRONT}/left-behind`), host.guestRead(`${BACK}/state`)], [undefined, "2"]);
  host.guestWrite(`${FRONT}/ring-ref`, 9);
  assertEquals(front(XenbusStateConnected), XenbusStateConnected);
  assertEquals(log.at(-1), "connect 9");
});

Deno.test("xenbus that was removed stays away after a reset", () => {
  const { host, backend } = setUp();
  backend.remove();
  backend.reset();
  host.settle();
  assertEquals(host.store.list("/local/domain/0/backend/vif/1"), []);
});

for (
  const state of [
    XenbusStateInitialising,
    XenbusStateConnected,
    XenbusStateClosing,
    XenbusStateClosed,
  ] as const
) {
  Deno.test(`xenbus saved with the frontend in state ${state} goes on from there in another machine`, () => {
    const first = setUp();
    if (state !== XenbusStateInitialising) first.front(XenbusStateConnected);
    if (state !== XenbusStateConnected) first.front(state);
    const next = setUp();
    if (state !== XenbusStateConnected) next.front(XenbusStateConnected); // undone by restore
    next.log.length = 0;
    next.host.store.restore(structuredClone(first.host.store.save()));
    next.backend.restore(structuredClone(first.backend.save()));
    next.host.settle();
    assertEquals(next.backend.save(), first.backend.save());
    // The driver is asked for nothing: what it shares with the frontend it restores itself.
    assertEquals(next.log, state === XenbusStateConnected ? [] : ["disconnect"]);
    for (const machine of [first, next]) {
      machine.log.length = 0;
      const seen =
        ([XenbusStateClosing, XenbusStateClosed, XenbusStateInitialising, XenbusStateConnected] as const).map(
          (to) => machine.front(to),
        );
      assertEquals(seen, [XenbusStateClosing, XenbusStateClosed, XenbusStateInitWait, XenbusStateConnected]);
    }
    assertEquals(next.log, first.log);
  });
}

Deno.test("xenbus restored from before its start, or after its end, watches only when it should", () => {
  const first = setUp();
  first.backend.remove();
  const next = setUp();
  next.host.store.restore(structuredClone(first.host.store.save()));
  next.backend.restore(structuredClone(first.backend.save()));
  next.host.settle();
  next.host.store.write(`${FRONT}/state`, "4");
  next.host.settle();
  assertEquals(next.log, []);
  const other = setUp();
  next.host.store.restore(structuredClone(other.host.store.save()));
  next.backend.restore(structuredClone(other.backend.save()));
  assertEquals(next.front(XenbusStateConnected), XenbusStateConnected);
});

/** What Linux does when a driver is bound: it watches the backend's state. */
function bind({ host }: ReturnType<typeof setUp>): void {
  host.store.guestActed("watches", `${BACK}/state`);
  host.settle();
}
/** Linux looks for the node of which it heard that it has changed. */
function look({ host }: ReturnType<typeof setUp>): void {
  if (host.guestRead(`${FRONT}/state`) === undefined) host.store.guestActed("misses", FRONT);
  host.settle();
}

Deno.test("xenbus gives a driver a new device that is bound to a closed one (blkfront)", () => {
  const guest = setUp();
  const { host, log, front, backend } = guest;
  for (const way of [[XenbusStateClosed], [XenbusStateClosing, XenbusStateClosed]] as const) {
    host.guestWrite(`${FRONT}/ring-ref`, 8);
    front(XenbusStateConnected);
    for (const state of way) front(state);
    look(guest); // nothing happens without a driver
    assertEquals([host.guestRead(`${FRONT}/state`), host.guestRead(`${BACK}/state`)], ["6", "6"]);
    bind(guest);
    assertEquals([host.store.list(FRONT), host.store.list(BACK), backend.started], [
      undefined,
      undefined,
      true,
    ]);
    look(guest);
    assertEquals([host.guestRead(`${FRONT}/state`), host.guestRead(`${BACK}/state`)], ["1", "2"]);
  }
  host.guestWrite(`${FRONT}/ring-ref`, 9);
  assertEquals(front(XenbusStateConnected), XenbusStateConnected);
  assertEquals(log, ["connect 8", "disconnect", "connect 8", "disconnect", "connect 9"]);
});

Deno.test("xenbus leaves the device of a driver alone that says Initialising when it begins (netfront)", () => {
  const guest = setUp();
  const { host, front } = guest;
  bind(guest);
  front(XenbusStateConnected);
  bind(guest);
  front(XenbusStateClosed);
  host.guestWrite(`${FRONT}/state`, XenbusStateInitialising);
  bind(guest);
  assertEquals(host.guestRead(`${BACK}/state`), "2");
  assertEquals(front(XenbusStateConnected), XenbusStateConnected);
});

Deno.test("xenbus with a device that is about to come back is saved, reset, unplugged and removed", () => {
  const gone = () => {
    const guest = setUp();
    guest.front(XenbusStateConnected);
    guest.front(XenbusStateClosed);
    bind(guest);
    guest.log.length = 0;
    return guest;
  };
  const first = gone(), next = setUp();
  next.front(XenbusStateConnected);
  next.host.store.restore(structuredClone(first.host.store.save()));
  next.backend.restore(structuredClone(first.backend.save()));
  next.host.settle();
  assertEquals(next.backend.save(), first.backend.save());
  look(next);
  assertEquals(next.host.guestRead(`${BACK}/state`), "2");
  const reset = gone();
  reset.backend.reset();
  reset.host.settle();
  assertEquals(reset.host.guestRead(`${BACK}/state`), "2");
  for (const end of ["unplug", "remove"] as const) {
    const guest = gone();
    guest.backend[end]();
    look(guest);
    assertEquals([guest.host.store.list(FRONT), guest.log], [undefined, ["removed"]]);
  }
  // restored to before: it is there
  const back = gone(), before = setUp();
  back.host.store.restore(structuredClone(before.host.store.save()));
  back.backend.restore(structuredClone(before.backend.save()));
  back.host.settle();
  back.host.store.guestActed("misses", FRONT);
  assertEquals(back.front(XenbusStateConnected), XenbusStateConnected);
});

Deno.test("xenbus says Closed when the driver is done, whatever happens meanwhile", () => {
  const { host, front, backend, behaviour, log } = setUp();
  behaviour.draining = true;
  front(XenbusStateConnected);
  assertEquals(front(XenbusStateClosing), XenbusStateClosing);
  assertEquals(front(XenbusStateClosed), XenbusStateClosing);
  behaviour.draining = false;
  backend.drained();
  assertEquals(host.guestRead(`${BACK}/state`), "6");
  front(XenbusStateInitialising);
  front(XenbusStateConnected);
  behaviour.draining = true;
  assertEquals(front(XenbusStateClosed), XenbusStateConnected);
  assertEquals(front(XenbusStateInitialising), XenbusStateInitWait); // it is wanted again
  behaviour.draining = false;
  backend.drained();
  assertEquals(host.guestRead(`${BACK}/state`), "2");
  front(XenbusStateConnected);
  behaviour.draining = true;
  backend.unplug();
  front(XenbusStateClosed);
  assertEquals([host.guestRead(`${BACK}/state`), log.includes("removed")], ["5", false]);
  behaviour.draining = false;
  backend.drained();
  assertEquals([host.store.list(BACK), log.includes("removed")], [undefined, true]);
});
