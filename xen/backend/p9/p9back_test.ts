// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { PAGE_SIZE } from "../../../cpu/base/bits.ts";
import { xen_9pfs_data_intf, XEN_9PFS_REFS, XEN_FLEX_RING_SIZE } from "../../public/io/9pfs.ts";
import { FakeHost, type GrantedPage } from "../_fake_host.ts";
import { P9back } from "./p9back.ts";
import type { P9Service } from "./service.ts";

const AT = xen_9pfs_data_intf.at;
const DIR = "/local/domain/1/device/9pfs/0";
const BACK = "/local/domain/0/backend/9pfs/1/0";

/** Answers with the request, reversed behind the header; remembers what it was asked. */
class Echo implements P9Service {
  readonly readonly = false;
  readonly asked: Uint8Array[] = [];
  resets = 0;
  /** Answers are given by {@linkcode release}. */
  slow = false;
  #waiting: (() => void)[] = [];

  handle(message: Uint8Array<ArrayBuffer>): Uint8Array | Promise<Uint8Array> {
    this.asked.push(message.slice());
    const answer = Uint8Array.of(...message.subarray(0, 7), ...message.slice(7).reverse());
    if (!this.slow) return answer;
    return new Promise((resolve) => this.#waiting.push(() => resolve(answer)));
  }

  async release(): Promise<void> {
    for (const go of this.#waiting.splice(0)) go();
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }

  reset(): void {
    this.resets++;
  }

  save() {
    return { msize: 1, fids: [] };
  }
  restore(): void {}
  close(): void {}
}

/** The frontend's half. */
class Front {
  readonly intf: GrantedPage;
  readonly pages: GrantedPage[];
  readonly port: number;
  readonly size: number;

  constructor(readonly host: FakeHost, order: number, from?: Front) {
    this.size = XEN_FLEX_RING_SIZE(order);
    this.intf = from === undefined ? host.grantPage() : host.samePage(from.intf);
    this.pages = Array.from(
      { length: 2 ** order },
      (_, i) => from === undefined ? host.grantPage() : host.samePage(from.pages[i] as GrantedPage),
    );
    this.port = from?.port ?? host.events.allocate();
    if (from !== undefined) return;
    this.intf.view.setUint32(AT.ring_order, order, true);
    this.pages.forEach(({ gref }, i) => this.intf.view.setUint32(XEN_9PFS_REFS + 4 * i, gref, true));
  }

  /** Puts bytes into "out" and sends the event. */
  send(bytes: Uint8Array): void {
    const prod = this.intf.view.getUint32(AT.out_prod, true);
    bytes.forEach((byte, i) => this.#page(this.size + ((prod + i) & (this.size - 1)), byte));
    this.intf.view.setUint32(AT.out_prod, prod + bytes.length, true);
    this.host.events.send(this.port);
  }

  /** Takes all of "in". */
  receive(): number[] {
    const { view } = this.intf;
    const got: number[] = [];
    let cons = view.getUint32(AT.in_cons, true);
    for (; cons !== view.getUint32(AT.in_prod, true); cons = (cons + 1) >>> 0) {
      got.push(this.#page(cons & (this.size - 1)));
    }
    view.setUint32(AT.in_cons, cons, true);
    return got;
  }

  #page(at: number, value?: number): number {
    const { bytes } = this.pages[Math.floor(at / PAGE_SIZE)] as GrantedPage;
    if (value !== undefined) bytes[at % PAGE_SIZE] = value;
    return bytes[at % PAGE_SIZE] as number;
  }
}

function setUp(order = 1, rings = 1) {
  const host = new FakeHost(1, 512);
  const service = new Echo();
  const back = new P9back(host, { service, devid: 0, tag: "t" });
  back.start();
  host.settle();
  const fronts = Array.from({ length: rings }, () => new Front(host, order));
  const connect = (more: Record<string, string | number> = {}) => {
    const nodes: Record<string, string | number> = { version: "1", "num-rings": rings };
    fronts.forEach(({ intf, port }, i) => {
      nodes[`ring-ref${i}`] = intf.gref;
      nodes[`event-channel-${i}`] = port;
    });
    for (const [name, value] of Object.entries({ ...nodes, ...more, state: 3 })) {
      host.guestWrite(`${DIR}/${name}`, value);
    }
    host.settle();
    return host.guestRead(`${BACK}/state`);
  };
  return { host, service, back, fronts, front: fronts[0] as Front, connect };
}

/** size[4] type tag[2] and `n` bytes. */
function message(n: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(7 + n);
  new DataView(bytes.buffer).setUint32(0, bytes.length, true);
  for (let i = 4; i < bytes.length; i++) bytes[i] = i * 7 + seed;
  return bytes;
}

function answerTo(request: Uint8Array): number[] {
  return [...request.subarray(0, 7), ...request.slice(7).reverse()];
}

Deno.test("9pfs offers what Linux looks for before it connects", () => {
  const { host, connect } = setUp();
  assertEquals(host.guestRead(`${BACK}/versions`), "1");
  assertEquals(host.guestRead(`${BACK}/max-rings`), "4");
  assertEquals(host.guestRead(`${BACK}/max-ring-page-order`), "7");
  assertEquals(host.guestRead(`${DIR}/tag`), "t");
  assertEquals(host.guestRead(`${BACK}/state`), "2");
  assertEquals(connect(), "4");
});

Deno.test("9pfs carries messages round the ring's end, in pieces, several at once", () => {
  const { front, connect, host, service } = setUp();
  connect();
  for (let i = 0; i < 40; i++) {
    const request = message(i * 37, i);
    front.send(request.subarray(0, 3));
    front.send(request.subarray(3, 9));
    assertEquals(front.receive(), i === 0 ? answerTo(request) : []);
    if (i > 0) front.send(request.subarray(9));
    if (i > 0) assertEquals(front.receive(), answerTo(request));
  }
  const [a, b] = [message(4), message(9)];
  front.send(Uint8Array.of(...a, ...b));
  assertEquals(front.receive(), [...answerTo(a), ...answerTo(b)]);
  assertEquals(service.asked.length, 42);
  assertEquals(host.events.take(front.port) > 0, true);
});

Deno.test("9pfs waits with an answer until the frontend makes room", () => {
  const { front, connect, host, service } = setUp();
  connect();
  const big = message(2500);
  front.send(big);
  front.send(big);
  front.send(message(1)); // not begun: the answer before it waits
  assertEquals(service.asked.length, 2);
  assertEquals(front.receive(), answerTo(big));
  host.events.send(front.port);
  assertEquals(front.receive(), [...answerTo(big), ...answerTo(message(1))]);
});

Deno.test("9pfs closes the device for what no frontend may send, and lets go of all", () => {
  for (const size of [0, 6, 4097, 0xffff_ffff]) {
    const { front, connect, host, service } = setUp();
    connect();
    const bad = message(10);
    new DataView(bad.buffer).setUint32(0, size, true);
    front.send(bad);
    assertEquals([host.guestRead(`${BACK}/state`), service.asked.length, service.resets], ["5", 0, 1]);
    assertEquals([host.grants.mapCount, host.events.boundCount], [0, 0]);
  }
});

Deno.test("9pfs refuses bad handshakes and keeps nothing", () => {
  const rows: [Record<string, string | number>, number][] = [
    [{ version: "2" }, 1],
    [{ "num-rings": 0 }, 1],
    [{ "num-rings": 5 }, 1],
    [{ "num-rings": "many" }, 1],
    [{ "ring-ref0": 9999 }, 1],
    [{ "event-channel-0": 9999 }, 1],
    [{}, 0],
    [{}, 8],
    [{}, 0xffff_ffff],
  ];
  for (const [nodes, order] of rows) {
    const { front, connect, host } = setUp();
    front.intf.view.setUint32(AT.ring_order, order, true);
    assertEquals(connect(nodes), "5", JSON.stringify([nodes, order]));
    assertEquals([host.grants.mapCount, host.events.boundCount], [0, 0]);
  }
  const { front, connect, host } = setUp();
  front.intf.view.setUint32(XEN_9PFS_REFS + 4, 9999, true); // one of the data pages
  assertEquals([connect(), host.grants.mapCount], ["5", 0]);
});

Deno.test("9pfs never reads more than a ring, whatever the indices say", () => {
  const { front, connect, host } = setUp();
  connect();
  for (const prod of [0x8000_0000, 0xffff_fff0, 12345, 4096]) {
    front.intf.view.setUint32(AT.out_prod, prod, true);
    front.intf.view.setUint32(AT.in_cons, prod ^ 0x55aa, true);
    host.events.send(front.port); // answered, refused or waiting: no exception
  }
});

Deno.test("9pfs serves one request at a time and every ring in turn", async () => {
  const { fronts: [a, b], connect, service, back } = setUp(1, 2);
  connect();
  service.slow = true;
  (a as Front).send(Uint8Array.of(...message(1), ...message(2)));
  (b as Front).send(message(3));
  assertEquals([service.asked.length, back.underWay], [1, 1]);
  await service.release();
  assertEquals((a as Front).receive(), answerTo(message(1)));
  await service.release();
  assertEquals((b as Front).receive(), answerTo(message(3)));
  await service.release();
  assertEquals((a as Front).receive(), answerTo(message(2)));
  assertEquals(back.underWay, 0);
});

Deno.test("9pfs drops the answer to a connection that has gone, and then serves the next", async () => {
  const { host, front, connect, service } = setUp();
  connect();
  service.slow = true;
  front.send(message(5));
  host.guestWrite(`${DIR}/state`, 5);
  host.guestWrite(`${DIR}/state`, 6);
  host.settle();
  assertEquals([host.grants.mapCount, service.resets], [0, 1]);
  host.guestWrite(`${DIR}/state`, 1);
  host.settle();
  assertEquals(connect(), "4");
  service.slow = false;
  front.send(message(6));
  assertEquals(front.receive(), []);
  await service.release();
  assertEquals(front.receive(), answerTo(message(6)));
});

Deno.test("9pfs is saved in the middle of a request and does it once more", async () => {
  const { host, front, connect, service, back } = setUp();
  connect();
  service.slow = true;
  front.send(message(5));
  const state = structuredClone(back.save());
  const copy = host.copy();
  const later = new Echo();
  const restored = new P9back(copy, { service: later, devid: 0, tag: "t" });
  restored.restore(state);
  const copied = new Front(copy, 1, front);
  assertEquals(copied.receive(), answerTo(message(5)));
  copied.send(message(8));
  assertEquals(copied.receive(), answerTo(message(8)));
  await service.release();
});
