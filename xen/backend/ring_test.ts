// SPDX-License-Identifier: MIT
/** Expected indices and notifications follow the macros of public/io/ring.h, worked by hand. */
import { assertEquals, assertThrows } from "@std/assert";
import { NETIF_TX_ENTRY } from "../public/io/netif.ts";
import { sring } from "../public/io/ring.ts";
import { FrontendError } from "./frontend_error.ts";
import { BackRing } from "./ring.ts";
import { FrontRing } from "./_fake_host.ts";

const AT = sring.at;

function pages(count: number) {
  const buffer = new ArrayBuffer(count * 4096);
  return Array.from({ length: count }, (_, i) => ({
    bytes: new Uint8Array(buffer, i * 4096, 4096),
    view: new DataView(buffer, i * 4096, 4096),
  }));
}

function setUp(start = 0) {
  const page = pages(1)[0] as ReturnType<typeof pages>[number];
  const front = new FrontRing(page.view, NETIF_TX_ENTRY);
  front.reqProdPvt = front.rspCons = start;
  for (const index of [AT.req_prod, AT.rsp_prod]) page.view.setUint32(index, start, true);
  for (const index of [AT.req_event, AT.rsp_event]) page.view.setUint32(index, start + 1, true);
  const back = new BackRing([page], NETIF_TX_ENTRY);
  /** The frontend puts `n` requests whose first word counts up from `first`. */
  const push = (n: number, first = 0) => {
    for (let i = 0; i < n; i++) page.view.setUint32(front.nextRequest(), first + i, true);
    return front.pushRequests();
  };
  /** The backend takes everything and answers with the first word plus 1000. */
  const serve = () => {
    let served = 0;
    for (; back.unconsumedRequests() > 0; served++) {
      const word = page.view.getUint32(back.takeRequest(), true);
      page.view.setUint32(back.nextResponse(), word + 1000, true);
    }
    return served;
  };
  return { page, front, back, push, serve };
}

for (const start of [0, 0xffff_ff80]) {
  Deno.test(`back ring passes requests and responses in order, starting at index ${start}`, () => {
    const { page, front, back, push, serve } = setUp(start);
    let sent = 0;
    for (const n of [1, 256, 100, 200, 256]) {
      push(n, sent);
      assertEquals(back.unconsumedRequests(), n);
      assertEquals(serve(), n);
      back.pushResponses();
      const words = front.takeResponses().map((at) => page.view.getUint32(at, true));
      assertEquals(words, Array.from({ length: n }, (_, i) => sent + i + 1000));
      sent += n;
    }
    assertEquals(back.reqCons, (start + sent) >>> 0);
  });
}

Deno.test("back ring hands out no more requests than it has room to answer", () => {
  const { page, back, push } = setUp();
  push(256);
  for (let i = 0; i < 256; i++) back.takeRequest();
  assertEquals(back.unconsumedRequests(), 0);
  for (let i = 0; i < 3; i++) back.nextResponse();
  page.view.setUint32(AT.req_prod, 259, true); // the frontend does not wait for the responses to be pushed
  assertEquals(back.unconsumedRequests(), 3);
});

Deno.test("back ring refuses a producer that is further ahead than the ring holds", () => {
  const { page, back } = setUp();
  page.view.setUint32(AT.req_prod, 256, true);
  assertEquals(back.unconsumedRequests(), 256);
  for (const bad of [257, 0x8000_0000, 0xffff_ffff]) {
    page.view.setUint32(AT.req_prod, bad, true);
    assertThrows(() => back.unconsumedRequests(), FrontendError);
    assertThrows(() => back.finalCheckForRequests(), FrontendError);
    assertThrows(() => new BackRing([page], NETIF_TX_ENTRY), FrontendError);
  }
});

Deno.test("back ring attaches where the last backend stopped", () => {
  const { page, push, serve, back } = setUp();
  push(5);
  serve();
  back.pushResponses();
  push(2, 50);
  const next = new BackRing([page], NETIF_TX_ENTRY);
  assertEquals(next.unconsumedRequests(), 2);
  assertEquals(page.view.getUint32(next.takeRequest(), true), 50);
});

Deno.test("back ring asks for an event only when it has found nothing", () => {
  const { back, push, serve } = setUp();
  assertEquals(push(1), true); // req_event starts at 1
  assertEquals(back.finalCheckForRequests(), true);
  assertEquals(push(1), false); // the backend is known to be at work
  serve();
  back.pushResponses();
  assertEquals(back.finalCheckForRequests(), false);
  assertEquals(push(1), true);
  back.takeRequest();
  back.requestEventAfter(3);
  assertEquals(push(2), false);
  assertEquals(push(1), true);
});

Deno.test("back ring notifies when the responses pass the frontend's rsp_event, and only then", () => {
  const { page, back, push, serve } = setUp();
  push(10);
  serve();
  page.view.setUint32(AT.rsp_event, 1, true);
  assertEquals(back.pushResponses(), true);
  assertEquals(back.pushResponses(), false); // nothing new
  push(10);
  page.view.setUint32(AT.rsp_event, 25, true);
  serve();
  assertEquals(back.pushResponses(), false);
  push(10);
  serve();
  assertEquals(back.pushResponses(), true);
});

Deno.test("back ring of several pages copies slots that straddle a boundary", () => {
  const all = pages(4);
  const entry = 112;
  const back = new BackRing(all, entry);
  assertEquals(back.size, 128); // (16384 - 64) / 112 = 145
  const buffer = new Uint8Array(all[0]?.bytes.buffer as ArrayBuffer);
  for (let i = 64; i < buffer.length; i++) buffer[i] = i % 251;
  all[0]?.view.setUint32(AT.req_prod, 128, true);
  const into = new Uint8Array(entry);
  for (let i = 0; i < 128; i++) {
    const at = 64 + i * entry;
    back.copyRequest(into);
    assertEquals(into, buffer.slice(at, at + entry));
    back.putResponse(new Uint8Array(16).fill(0xee));
    assertEquals(buffer.slice(at, at + 17), Uint8Array.from([...Array(16).fill(0xee), (at + 16) % 251]));
  }
  assertEquals(back.unconsumedRequests(), 0);
});
