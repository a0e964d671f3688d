// SPDX-License-Identifier: MIT
import { assert, assertEquals } from "@std/assert";
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import {
  XENSTORE_ERROR_PROTO,
  XENSTORE_ERROR_RINGIDX,
  XENSTORE_RECONNECT,
  XS_DIRECTORY,
  XS_READ,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
} from "../public/io/xs_wire.ts";
import { XenstoreRing } from "./ring.ts";
import { XenstoreServer } from "./server.ts";
import { encode, RingClient } from "./_client.ts";

function setUp() {
  const server = new XenstoreServer({ defer: () => {} });
  server.write("/local/domain/1/data", "");
  server.setPermissions("/local/domain/1/data", ["n1"]);
  const page = new Uint8Array(PAGE_SIZE).fill(0xa5);
  const seen = { notified: 0 };
  const ring = new XenstoreRing(server, 1, page, () => seen.notified++);
  const guest = new RingClient(page);
  /** Sends all bytes and takes all that comes, as the ring allows. */
  const exchange = (bytes: Uint8Array, portion = Infinity) => {
    for (let at = 0; at < bytes.length;) {
      const n = guest.put(bytes.subarray(at, at + Math.min(portion, bytes.length - at)));
      ring.onEvent();
      if (guest.take() + n === 0) throw new Error("The ring is stuck");
      at += n;
    }
    while (ring.onEvent(), guest.take() > 0);
    return guest.messages();
  };
  return { server, ring, guest, page, seen, exchange };
}

Deno.test("xenstore ring: a fresh page is empty and says what the server can do", () => {
  const { guest, page } = setUp();
  for (const index of ["req_cons", "req_prod", "rsp_cons", "rsp_prod", "connection", "error"] as const) {
    assertEquals(guest.get(index), 0);
  }
  assertEquals(guest.get("server_features"), 3);
  assertEquals(page[2076], 0xa5); // beyond the structure
});

Deno.test("xenstore ring: a request gives a reply and an event to the guest", () => {
  const { exchange, seen } = setUp();
  assertEquals(exchange(encode(XS_WRITE, 5, 0, "data/a\0hello")), [
    { type: XS_WRITE, reqId: 5, txId: 0, payload: "OK\0" },
  ]);
  assert(seen.notified >= 1);
});

Deno.test("xenstore ring: an event without a request notifies nobody", () => {
  const { ring, seen } = setUp();
  ring.onEvent();
  assertEquals(seen.notified, 0);
});

for (const portion of [1, 7, 16, 1000]) {
  Deno.test(`xenstore ring: messages larger than the ring pass in portions of ${portion}, indices wrapping`, () => {
    const { server, guest, exchange, seen } = setUp();
    for (const index of ["req_cons", "req_prod", "rsp_cons", "rsp_prod"] as const) {
      guest.set(index, 0xffff_fff0);
    }
    const value = "0123456789abcdef".repeat(125);
    server.setPermissions("/local/domain/1/data", ["b1"]);
    const got = exchange(
      Uint8Array.from([
        ...encode(XS_WRITE, 1, 0, "data/a\0" + value),
        ...encode(XS_READ, 2, 0, "data/a\0"),
        ...encode(XS_READ, 3, 0, "data/none\0"),
      ]),
      portion,
    );
    assertEquals(got.map((m) => m.payload), ["OK\0", value, "ENOENT\0"]);
    assert(guest.get("rsp_prod") < 0x8000_0000);
    assert(seen.notified > 1);
  });
}

Deno.test("xenstore ring: watch events come at any time and wait for room", () => {
  const { server, ring, guest, seen, exchange } = setUp();
  exchange(encode(XS_WATCH, 1, 0, "data\0token\0"));
  guest.received = [];
  seen.notified = 0;
  for (let i = 0; i < 100; i++) server.write(`/local/domain/1/data/${i}`, "");
  assert(seen.notified > 0);
  assertEquals(guest.take(), 1024);
  while (ring.onEvent(), guest.take() > 0);
  const events = guest.messages();
  assertEquals(events.map((m) => m.type), Array(100).fill(XS_WATCH_EVENT));
  assertEquals(events[99]?.payload, "data/99\0token\0");
});

Deno.test("xenstore ring: a guest that does not read its replies is not served further", () => {
  const { server, ring, guest } = setUp();
  for (let i = 0; i < 80; i++) server.write(`/local/domain/1/data/${"x".repeat(40)}${i}`, "");
  let sent = 0;
  for (let i = 0; i < 1000; i++) {
    const request = encode(XS_DIRECTORY, i, 0, "data\0");
    if (1024 - ((guest.get("req_prod") - guest.get("req_cons")) >>> 0) < request.length) break;
    guest.put(request);
    sent++;
    ring.onEvent();
  }
  assert(sent > 20 && sent < 100, `${sent} requests of 3.4 KB replies were taken`);
  for (let turns = 0; turns < 10_000 && guest.take() > 0; turns++) ring.onEvent();
  assertEquals(guest.messages().map((m) => m.reqId), Array.from({ length: sent }, (_, i) => i));
});

Deno.test("xenstore ring: a request index beyond the ring stops it until the guest reconnects", () => {
  const { server, ring, guest, exchange, seen } = setUp();
  exchange(encode(XS_WATCH, 1, 0, "data\0token\0"));
  exchange(encode(XS_READ, 1, 0, "data\0").subarray(0, 20)); // half a message
  guest.set("req_prod", (guest.get("req_cons") + 1025) >>> 0);
  ring.onEvent();
  assertEquals(guest.get("error"), XENSTORE_ERROR_RINGIDX);
  guest.set("req_prod", guest.get("req_cons"));
  guest.put(encode(XS_READ, 2, 0, "data\0"));
  ring.onEvent();
  assertEquals(guest.get("rsp_prod"), guest.get("rsp_cons"));
  seen.notified = 0;
  guest.set("connection", XENSTORE_RECONNECT);
  ring.onEvent();
  assertEquals(seen.notified, 1);
  assertEquals((["connection", "error", "req_prod", "rsp_prod"] as const).map((f) => guest.get(f)), [
    0,
    0,
    0,
    0,
  ]);
  guest.received = [];
  server.write("/local/domain/1/data", "quiet"); // the watch is gone
  assertEquals(exchange(encode(XS_READ, 3, 0, "data\0")).map((m) => m.payload), ["quiet"]);
});

Deno.test("xenstore ring: a payload longer than the limit stops it", () => {
  const { ring, guest } = setUp();
  const request = encode(XS_READ, 1, 0, "");
  new DataView(request.buffer).setUint32(12, 4097, true);
  guest.put(request);
  ring.onEvent();
  assertEquals(guest.get("error"), XENSTORE_ERROR_PROTO);
});

Deno.test("xenstore ring: a response index beyond the ring stops it", () => {
  const { ring, guest } = setUp();
  guest.put(encode(XS_READ, 1, 0, "data\0"));
  guest.set("rsp_cons", 1);
  ring.onEvent();
  assertEquals(guest.get("error"), XENSTORE_ERROR_RINGIDX);
});

Deno.test("xenstore ring: firmware may zero the page before the kernel takes it over", () => {
  const { page, guest, exchange } = setUp();
  assertEquals(exchange(encode(XS_READ, 1, 0, "data\0")).length, 1);
  page.fill(0);
  guest.received = [];
  assertEquals(exchange(encode(XS_READ, 2, 0, "data\0")).map((m) => m.reqId), [2]);
});

Deno.test("xenstore ring: what a guest never reads is bounded", () => {
  const { server, ring, guest } = setUp();
  for (let i = 0; i < 100; i++) {
    guest.put(encode(XS_WATCH, i, 0, `data\0${"t".repeat(400)}${i}\0`));
    ring.onEvent();
    guest.take();
  }
  let taken = 0;
  for (let i = 0; i < 300; i++) server.write("/local/domain/1/data", "x"); // 30,000 events of 420 bytes
  while (ring.onEvent(), guest.take() > 0) taken = guest.received.length;
  assert(taken > 3_000_000 && taken < 4_300_000, `${taken} bytes were kept`);
});
