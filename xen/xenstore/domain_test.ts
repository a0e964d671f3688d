// SPDX-License-Identifier: MIT
/** Expected nodes are those of docs/misc/xenstore-paths.pandoc, with libxl's permissions. */
import { assertEquals } from "@std/assert";
import { XS_MKDIR, XS_READ, XS_WATCH, XS_WRITE } from "../public/io/xs_wire.ts";
import { Client } from "./_client.ts";
import { populateDomain, requestShutdown } from "./domain.ts";
import { XenstoreServer } from "./server.ts";

function setUp() {
  const server = new XenstoreServer({ defer: () => {} });
  populateDomain(server, {
    domid: 7,
    name: "guest",
    uuid: "12345678-0000-0000-0000-000000000000",
    memoryKiB: 65_536,
    vcpus: 2,
    store: { port: 1, gfn: 0xfeffc },
    console: { port: 2, gfn: 0xfefff },
  });
  return { server, guest: new Client(server, 7), stranger: new Client(server, 8) };
}

Deno.test("xenstore domain: the guest finds out who and what it is, and where its rings are", () => {
  const { guest } = setUp();
  const nodes = {
    "vm": "/vm/12345678-0000-0000-0000-000000000000",
    "/vm/12345678-0000-0000-0000-000000000000/uuid": "12345678-0000-0000-0000-000000000000",
    "name": "guest",
    "domid": "7",
    "memory/target": "65536",
    "cpu/0/availability": "online",
    "cpu/1/availability": "online",
    "store/port": "1",
    "store/ring-ref": "1044476",
    "console/port": "2",
    "console/ring-ref": "1044479",
    "console/type": "xenconsoled",
    "control/platform-feature-xs_reset_watches": "1",
  };
  for (const [path, value] of Object.entries(nodes)) {
    assertEquals([path, guest.call(XS_READ, `${path}\0`)], [path, value]);
  }
});

Deno.test("xenstore domain: what the guest may change, and what it may not", () => {
  const { guest } = setUp();
  for (
    const path of [
      "control/shutdown",
      "control/feature-poweroff",
      "data/x",
      "attr/os/x",
      "drivers/0",
      "error/x",
    ]
  ) {
    assertEquals([path, guest.call(XS_WRITE, `${path}\0v`)], [path, "OK\0"]);
  }
  for (
    const path of [
      "name",
      "memory/target",
      "cpu/0/availability",
      "store/port",
      "console/port",
      "device/vif",
      "x",
    ]
  ) {
    assertEquals([path, guest.call(XS_WRITE, `${path}\0v`)], [path, ["EACCES"]]);
    assertEquals(guest.call(XS_MKDIR, `${path}/y\0`), ["EACCES"]);
  }
});

Deno.test("xenstore domain: another guest sees nothing of it", () => {
  const { stranger } = setUp();
  for (const path of ["/local/domain/7/name", "/local/domain/7/console/port", "/local/domain/7/data"]) {
    assertEquals([path, stranger.call(XS_READ, `${path}\0`)], [path, ["EACCES"]]);
  }
});

Deno.test("xenstore domain: a request to shut down reaches a guest that watches for it", () => {
  const { server, guest } = setUp();
  guest.call(XS_WATCH, "control/shutdown\0s\0");
  guest.events();
  requestShutdown(server, 7, "reboot");
  assertEquals(guest.events(), ["control/shutdown s"]);
  assertEquals(guest.call(XS_READ, "control/shutdown\0"), "reboot");
  assertEquals(guest.call(XS_WRITE, "control/shutdown\0"), "OK\0"); // it acknowledges
  assertEquals(server.read("/local/domain/7/control/shutdown"), "");
});
