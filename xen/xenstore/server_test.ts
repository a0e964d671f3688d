// SPDX-License-Identifier: MIT
/** Domain 0's door to the store, and the skeleton of a domain. */
import { assert, assertEquals } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import { XS_DIRECTORY, XS_READ, XS_WATCH, XS_WRITE } from "../public/io/xs_wire.ts";
import { populateDomain, requestShutdown } from "./domain.ts";
import { XenstoreServer } from "./server.ts";
import { Client } from "./_client.ts";

function setUp() {
  const deferred: (() => void)[] = [];
  const tracer = new Tracer();
  const server = new XenstoreServer({ defer: (fn) => deferred.push(fn), tracer });
  const settle = () => {
    while (deferred.length > 0) deferred.shift()?.();
  };
  return { server, settle, deferred, tracer };
}

Deno.test("store: domain 0 reads, writes, lists and removes", () => {
  const { server } = setUp();
  server.write("/a/b", "1");
  server.mkdir("/a/c");
  server.mkdir("/a/b");
  assertEquals([server.read("/a/b"), server.read("/a"), server.read("/x")], ["1", "", undefined]);
  assertEquals([server.list("/a"), server.list("/x")], [["b", "c"], undefined]);
  server.remove("/a/b");
  server.remove("/a/b");
  server.remove("/never/was");
  assertEquals(server.list("/a"), ["c"]);
});

Deno.test("store: a watch fires once at registration, later per change, never from inside the caller", () => {
  const { server, settle } = setUp();
  const heard: string[] = [];
  server.write("/a/b", "");
  const watch = server.watch("/a", (path) => heard.push(path));
  assertEquals(heard, []);
  settle();
  assertEquals(heard, ["/a"]);
  server.write("/a/b", "1");
  server.write("/a/b", "2"); // before the first was heard: one event is enough
  server.remove("/a");
  assertEquals(heard, ["/a"]);
  settle();
  assertEquals(heard, ["/a", "/a/b", "/a"]);
  server.write("/a/b", "1");
  watch.cancel();
  server.write("/a/c", "1");
  settle();
  assertEquals(heard.length, 3);
});

Deno.test("store: a watch may write what it watches without end, a turn at a time", () => {
  const { server, deferred } = setUp();
  let fired = 0;
  server.watch("/loop", () => server.write("/loop", String(++fired)));
  for (let turn = 0; turn < 5; turn++) deferred.shift()?.();
  assertEquals(fired, 5);
  assertEquals(deferred.length, 1);
});

Deno.test("store: requests are counted, and traced when asked for", () => {
  const { server, tracer } = setUp();
  const lines: string[] = [];
  tracer.configure((category, message) => lines.push(`${category} ${message}`), ["xenstore"]);
  const guest = new Client(server, 1);
  guest.call(XS_READ, "/local/domain/1/x\0");
  assertEquals(lines, ['xenstore d1 READ "/local/domain/1/x\\u0000" -> EACCES']);
  assertEquals(tracer.counters.get("xenstore.requests"), 1);
});

Deno.test("domain skeleton: a guest finds what Linux looks for and may write what it must", () => {
  const { server } = setUp();
  const uuid = "01234567-89ab-cdef-0123-456789abcdef";
  populateDomain(server, {
    domid: 1,
    name: "test",
    uuid,
    memoryKiB: 131072,
    vcpus: 2,
    store: { port: 1, gfn: 0xfeff_c },
    console: { port: 2, gfn: 0xfeff_f },
  });
  const guest = new Client(server, 1);
  const reads: Record<string, string> = {
    "domid": "1",
    "name": "test",
    "vm": `/vm/${uuid}`,
    [`/vm/${uuid}/uuid`]: uuid,
    "memory/target": "131072",
    "memory/static-max": "131072",
    "cpu/0/availability": "online",
    "cpu/1/availability": "online",
    "store/port": "1",
    "store/ring-ref": "1044476",
    "console/port": "2",
    "console/ring-ref": "1044479",
    "console/type": "xenconsoled",
    "control/platform-feature-xs_reset_watches": "1",
    "control/shutdown": "",
    "device": "",
  };
  for (const [path, value] of Object.entries(reads)) {
    assertEquals([path, guest.call(XS_READ, path + "\0")], [path, value]);
  }
  assertEquals(guest.call(XS_DIRECTORY, "cpu\0"), "0\x001\0");
  for (const path of ["control/shutdown", "control/feature-poweroff", "data/x", "attr/os", "error/y"]) {
    assertEquals([path, guest.call(XS_WRITE, `${path}\0`)], [path, "OK\0"]);
  }
  for (const path of ["name", "domid", "memory/target", "device/x", "vm", "console/tty", "cpu/2"]) {
    assertEquals([path, guest.call(XS_WRITE, `${path}\0`)], [path, ["EACCES"]]);
  }
  const before = server.tree.owned(1);
  assert(before < 20, "the skeleton leaves the guest its quota");
  requestShutdown(server, 1, "reboot");
  assertEquals(guest.call(XS_READ, "control/shutdown\0"), "reboot");
});

Deno.test("xenstore: a flood of changes makes a bounded number of events for domain 0", () => {
  const due: (() => void)[] = [];
  const server = new XenstoreServer({ defer: (fn) => due.push(fn) });
  server.write("/a", "");
  const heard: string[] = [];
  server.watch("/a", (path) => heard.push(path));
  due.splice(0).forEach((fn) => fn());
  for (let i = 0; i < 50_000; i++) {
    server.write(`/a/${i}`, "");
    server.remove(`/a/${i}`);
  }
  heard.length = 0;
  due.splice(0).forEach((fn) => fn());
  assertEquals([heard.length, heard.includes("/a/7"), heard.at(-1)], [1001, true, "/a"]);
});

Deno.test("store: whoever waits for a guest's watch, or for it to miss a node, hears once, and not from inside", () => {
  const { server, settle } = setUp();
  const guest = new Client(server);
  server.write("/local/domain/1", "");
  server.setPermissions("/local/domain/1", ["n0", "r1"]);
  server.write("/local/domain/1/there", "");
  const heard: string[] = [];
  const wait = (what: "watches" | "misses", path: string) =>
    server.whenGuest(what, path, () => heard.push(`${what} ${path}`));
  wait("watches", "/local/domain/1/there");
  wait("misses", "/local/domain/1/gone");
  wait("misses", "/local/domain/1/other").cancel();
  const late = wait("misses", "/local/domain/1/late");
  guest.call(XS_READ, "there\0");
  guest.call(XS_READ, "gone-too\0");
  guest.call(XS_READ, "other\0");
  guest.call(XS_READ, "/hidden\0");
  guest.call(XS_WATCH, "there/below\0t\0");
  guest.call(XS_READ, "there\0", 77); // no such transaction
  settle();
  assertEquals(heard, []);
  guest.call(XS_WATCH, "there\0t\0");
  guest.call(XS_DIRECTORY, "gone/below\0");
  guest.call(XS_DIRECTORY, "gone\0");
  guest.call(XS_DIRECTORY, "late\0");
  late.cancel(); // it is on its way
  assertEquals(heard, []);
  settle();
  guest.call(XS_DIRECTORY, "gone\0");
  settle();
  assertEquals(heard, ["watches /local/domain/1/there", "misses /local/domain/1/gone"]);
});
