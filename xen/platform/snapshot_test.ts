// SPDX-License-Identifier: MIT
/**
 * Everything in xen/ saved in the middle of what a guest does, restored beside a copy of its RAM, and gone on with: as
 * the machine composes it.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import { Blkback } from "../backend/blkback.ts";
import type { BlockStore } from "../backend/block_store.ts";
import { ConsoleBackend } from "../backend/console.ts";
import { FrontRing } from "../backend/_fake_host.ts";
import { GTF_permit_access } from "../public/grant_table.ts";
import { BLKIF_OP_READ, BLKIF_OP_WRITE, blkifLayouts } from "../public/io/blkif.ts";
import { xencons_interface } from "../public/io/console.ts";
import {
  XS_RM,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
} from "../public/io/xs_wire.ts";
import { xenRig } from "../_rig.ts";
import { decode, encode, type Received, RingClient } from "../xenstore/_client.ts";
import { populateDomain } from "../xenstore/domain.ts";
import { XenstoreRing } from "../xenstore/ring.ts";
import { XenstoreServer } from "../xenstore/server.ts";

const VBD = "/local/domain/1/device/vbd/51712";
const RING_GFN = 0x60, DATA_GFN = 0x61;
const RING_REF = 8, DATA_REF = 9;

/** A disk whose answers the test gives. */
function slowDisk() {
  const log: string[] = [];
  const waiting: (() => void)[] = [];
  const later = (what: string) => {
    log.push(what);
    return new Promise<void>((done) => waiting.push(done));
  };
  const store: BlockStore = {
    size: 1 << 20,
    readonly: false,
    read: (offset, into) => later(`read ${offset} ${into.length}`).then(() => void into.fill(0x77)),
    write: (offset, from) => later(`write ${offset} ${from[0]}`),
    flush: () => {},
  };
  return { store, log, waiting };
}
const turns = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

/** A platform with xenstore, console and a disk, wired as devices/machine does. */
function makeMachine() {
  const rig = xenRig();
  const { platform, memory } = rig;
  const deferred: (() => void)[] = [];
  const settle = () => {
    for (let fn = deferred.shift(); fn !== undefined; fn = deferred.shift()) fn();
  };
  const page = (offset: number) => memory.bytes.subarray(offset, offset + PAGE_SIZE);
  const xenstore = new XenstoreServer({ defer: (fn) => deferred.push(fn) });
  const notify = { store: () => {}, console: () => {} };
  const storeRing = new XenstoreRing(xenstore, 1, page(platform.store.page), () => notify.store());
  let printed = "";
  const console = new ConsoleBackend({
    page: page(platform.console.page),
    notify: () => notify.console(),
    output: (bytes) => void (printed += new TextDecoder().decode(bytes)),
  });
  const bind = () => {
    const store = platform.events.bindInterdomain(platform.store.port, () => storeRing.onEvent());
    const out = platform.events.bindInterdomain(platform.console.port, () => console.onEvent());
    assert(store !== undefined && out !== undefined, "both rings are bound");
    notify.store = () => store?.notify();
    notify.console = () => out?.notify();
  };
  bind();
  populateDomain(xenstore, {
    domid: 1,
    name: "guest",
    uuid: "u",
    memoryKiB: 4096,
    vcpus: 1,
    store: platform.store,
  });
  const disk = slowDisk();
  const blkback = new Blkback(
    { domid: 1, grants: platform.grants, events: platform.events, store: xenstore },
    { store: disk.store, device: "xvda" },
  );
  blkback.start();
  settle();
  const guest = new RingClient(page(platform.store.page));
  /** Sends bytes to xenstore; returns what comes back. */
  const talk = (...messages: Uint8Array[]): Received[] => {
    for (const message of messages) {
      guest.put(message);
      platform.events.send(platform.store.port);
      settle();
    }
    guest.received = [];
    while (guest.take() > 0) platform.events.send(platform.store.port);
    return decode(Uint8Array.from(guest.received));
  };
  return {
    rig,
    xenstore,
    storeRing,
    console,
    blkback,
    disk,
    guest,
    bind,
    settle,
    talk,
    printed: () => printed,
    save: () => ({
      platform: platform.save(),
      xenstore: xenstore.save(),
      storeRing: storeRing.save(),
      console: console.save(),
      blkback: blkback.save(),
    }),
  };
}
type TestMachine = ReturnType<typeof makeMachine>;

/** Another machine with the same RAM and state. */
function restored(from: TestMachine): TestMachine {
  const state = structuredClone(from.save());
  const to = makeMachine();
  to.rig.memory.bytes.set(
    from.rig.memory.bytes.subarray(
      from.rig.memory.map.ram,
      from.rig.memory.map.ram + from.rig.memory.ramBytes,
    ),
    to.rig.memory.map.ram,
  );
  to.rig.platform.restore(state.platform);
  to.bind();
  to.xenstore.restore(state.xenstore);
  to.storeRing.restore(state.storeRing);
  to.console.restore(state.console);
  to.blkback.restore(state.blkback);
  to.rig.platform.grants.dropOrphans();
  to.settle();
  return to;
}

const replies = (messages: Received[]) => messages.map(({ type, payload }) => [type, payload]);

Deno.test("snapshot: a guest in the middle of a xenstore conversation goes on", () => {
  const first = makeMachine();
  first.talk(encode(XS_WATCH, 1, 0, "data\0abs\0"), encode(XS_WATCH, 2, 0, "/local/domain/1/data\0full\0"));
  first.talk(encode(XS_WRITE, 3, 0, "data/kept\0old"), encode(XS_WRITE, 4, 0, "data/gone\0x"));
  const [started] = first.talk(encode(XS_TRANSACTION_START, 5, 0, "\0"));
  const tx = Number(started?.payload.replace("\0", ""));
  first.talk(encode(XS_WRITE, 6, tx, "data/kept\0new"), encode(XS_RM, 7, tx, "data/gone\0"));
  // half a request is on its way, and half an answer
  const write = encode(XS_WRITE, 8, 0, "data/later\0v");
  assertEquals(first.talk(write.subarray(0, 20)), []);

  const second = restored(first);
  assertEquals(second.xenstore.read("/local/domain/1/data/kept"), "old");
  assertEquals(replies(second.talk(write.subarray(20))), [
    [XS_WRITE, "OK\0"],
    [XS_WATCH_EVENT, "data/later\0abs\0"],
    [XS_WATCH_EVENT, "/local/domain/1/data/later\0full\0"],
  ]);
  // "data" had a child more, but the transaction looked at it before: it has to be done again
  assertEquals(replies(second.talk(encode(XS_TRANSACTION_END, 9, tx, "T\0"))), [[0x10, "EAGAIN\0"]]);
  assertEquals(replies(first.talk(encode(XS_TRANSACTION_END, 9, tx, "T\0"))).length > 0, true);
});

Deno.test("snapshot: an open transaction commits after it, and fires the watches", () => {
  const first = makeMachine();
  first.talk(encode(XS_WRITE, 3, 0, "data/kept\0old"), encode(XS_WRITE, 4, 0, "data/gone\0x"));
  first.talk(encode(XS_WATCH, 1, 0, "data\0t\0"));
  const [started] = first.talk(encode(XS_TRANSACTION_START, 5, 0, "\0"));
  const tx = Number(started?.payload.replace("\0", ""));
  first.talk(encode(XS_WRITE, 6, tx, "data/kept\0new"), encode(XS_RM, 7, tx, "data/gone\0"));
  const second = restored(first);
  for (const machine of [first, second]) {
    assertEquals(replies(machine.talk(encode(XS_TRANSACTION_END, 9, tx, "T\0"))), [
      [XS_TRANSACTION_END, "OK\0"],
      [XS_WATCH_EVENT, "data/kept\0t\0"],
      [XS_WATCH_EVENT, "data/gone\0t\0"],
    ]);
    assertEquals(machine.xenstore.list("/local/domain/1/data"), ["kept"]);
    assertEquals(machine.xenstore.read("/local/domain/1/data/kept"), "new");
  }
  // generations and ids go on where they were: the next transaction is the same in both
  assertEquals(
    replies(second.talk(encode(XS_TRANSACTION_START, 10, 0, "\0"))),
    replies(first.talk(encode(XS_TRANSACTION_START, 10, 0, "\0"))),
  );
});

Deno.test("snapshot: answers that the guest has not fetched come, from the byte it had reached", () => {
  const first = makeMachine();
  const big = "x".repeat(1000);
  first.talk(encode(XS_WRITE, 1, 0, `data/a\0${big}`));
  for (let i = 0; i < 3; i++) {
    first.guest.put(encode(2, 10 + i, 0, "data/a\0"));
    first.rig.platform.events.send(first.rig.platform.store.port);
  }
  first.guest.received = [];
  first.guest.take(700);
  const second = restored(first);
  second.guest.received = [...first.guest.received];
  for (const { guest, rig: { platform } } of [first, second]) {
    do platform.events.send(platform.store.port); while (guest.take(333) > 0);
    assertEquals(guest.messages().map((m) => [m.reqId, m.payload === big]), [[10, true], [11, true], [
      12,
      true,
    ]]);
  }
});

Deno.test("snapshot: watches of domain 0 hear of what was not told yet", () => {
  const server = new XenstoreServer({ defer: () => {} });
  server.watch("/a", () => {});
  server.write("/a/b", "1");
  const state = structuredClone(server.save());
  const seen: string[] = [];
  const due: (() => void)[] = [];
  const next = new XenstoreServer({ defer: (fn) => due.push(fn) });
  next.watch("/a", (path) => seen.push(path));
  next.restore(state);
  for (let fn = due.shift(); fn !== undefined; fn = due.shift()) fn();
  assertEquals([seen, next.read("/a/b")], [["/a", "/a/b"], "1"]);
});

Deno.test("snapshot: a store whose guest is unknown is refused in one line", () => {
  const server = new XenstoreServer({ defer: () => {} });
  server.introduce(7, () => {});
  const other = new XenstoreServer({ defer: () => {} });
  assertThrows(() => other.restore(server.save()), RangeError, "domain 7 is not introduced");
});

Deno.test("snapshot: console input that waits for room arrives", () => {
  const first = makeMachine();
  const typed = "0123456789".repeat(150);
  assertEquals(first.console.send(new TextEncoder().encode(typed)), 1500);
  assertEquals(first.console.pendingInput, 476);
  const second = restored(first);
  const { platform, memory } = second.rig;
  const view = new DataView(memory.view.buffer, platform.console.page, PAGE_SIZE);
  let got = "";
  for (let round = 0; round < 2; round++) {
    const prod = view.getUint32(xencons_interface.at.in_prod, true);
    for (let i = got.length; i < prod; i++) got += String.fromCharCode(view.getUint8(i % 1024));
    view.setUint32(xencons_interface.at.in_cons, prod, true);
    platform.events.send(platform.console.port);
  }
  assertEquals(got, typed);
});

/** Connects the guest's end of the disk; returns its ring and port. */
function connectDisk(machine: TestMachine) {
  const { rig, xenstore, settle } = machine;
  const { platform, memory } = rig;
  const table = platform.grants.framePage(0) as number;
  const entry = (gref: number, gfn: number) => {
    memory.view.setUint16(table + 8 * gref, GTF_permit_access, true);
    memory.view.setUint16(table + 8 * gref + 2, 0, true);
    memory.view.setUint32(table + 8 * gref + 4, gfn, true);
  };
  entry(RING_REF, RING_GFN);
  entry(DATA_REF, DATA_GFN);
  const port = platform.events.allocUnbound(0);
  const ring = diskRing(machine);
  xenstore.write(`${VBD}/ring-ref`, String(RING_REF));
  xenstore.write(`${VBD}/event-channel`, String(port));
  xenstore.write(`${VBD}/state`, "3");
  settle();
  assertEquals(xenstore.read("/local/domain/0/backend/vbd/1/51712/state"), "4");
  return { ring, port };
}

function diskRing({ rig }: TestMachine, from?: FrontRing): FrontRing {
  const { memory } = rig;
  const at = memory.offsetOf(RING_GFN * PAGE_SIZE);
  const view = new DataView(memory.view.buffer, at, PAGE_SIZE);
  const kept = new Uint8Array(memory.view.buffer, at, PAGE_SIZE).slice();
  const ring = new FrontRing(view, blkifLayouts.x86_64.entryBytes);
  if (from === undefined) return ring;
  new Uint8Array(memory.view.buffer, at, PAGE_SIZE).set(kept);
  ring.reqProdPvt = from.reqProdPvt;
  ring.rspCons = from.rspCons;
  return ring;
}

function request(ring: FrontRing, operation: number, id: number, sector: number): void {
  const { at } = blkifLayouts.x86_64.blkif_request;
  const slot = ring.nextRequest();
  ring.view.setUint8(slot + at.operation, operation);
  ring.view.setUint8(slot + at.nr_segments, 1);
  ring.view.setBigUint64(slot + at.id, BigInt(id), true);
  ring.view.setBigUint64(slot + at.sector_number, BigInt(sector), true);
  ring.view.setUint32(slot + at.seg, DATA_REF, true);
  ring.view.setUint8(slot + at.seg + 4, 0);
  ring.view.setUint8(slot + at.seg + 5, 7);
}

const answers = (ring: FrontRing) => {
  const { at } = blkifLayouts.x86_64.blkif_response;
  return ring.takeResponses().map((slot) => [
    Number(ring.view.getBigUint64(slot + at.id, true)),
    ring.view.getInt16(slot + at.status, true),
  ]);
};

Deno.test("snapshot: a disk's requests under way are done by the restored machine", async () => {
  const first = makeMachine();
  const { ring, port } = connectDisk(first);
  const data = first.rig.memory.offsetOf(DATA_GFN * PAGE_SIZE);
  first.rig.memory.bytes.fill(0x55, data, data + PAGE_SIZE);
  request(ring, BLKIF_OP_WRITE, 1, 8);
  request(ring, BLKIF_OP_READ, 2, 16);
  ring.pushRequests();
  first.rig.platform.events.send(port);
  first.disk.waiting[1]?.(); // the read is answered, the write is not
  await turns();
  assertEquals(answers(ring), [[2, 0]]);
  // The guest may not end a grant that is mapped, but it may write what it likes: the ring stays where it was.
  first.rig.memory.view.setUint32(
    (first.rig.platform.grants.framePage(0) as number) + 8 * RING_REF + 4,
    0x99,
    true,
  );

  const second = restored(first);
  assertEquals(second.blkback.xenbus.state, 4);
  assertEquals(second.disk.log, ["write 4096 85"]); // with the data as it was when the request was taken
  const after = diskRing(second, ring);
  request(after, BLKIF_OP_READ, 3, 24);
  after.pushRequests();
  second.rig.platform.events.send(port);
  for (const done of second.disk.waiting) done();
  await turns();
  assertEquals(answers(after), [[1, 0], [3, 0]]);
  assertEquals(second.rig.memory.bytes[second.rig.memory.offsetOf(DATA_GFN * PAGE_SIZE)], 0x77);
  assertEquals(second.rig.platform.events.isPending(port), true);
});

Deno.test("snapshot: what drains for a closed connection still holds the next one", async () => {
  const first = makeMachine();
  const { ring, port } = connectDisk(first);
  request(ring, BLKIF_OP_WRITE, 1, 8);
  ring.pushRequests();
  first.rig.platform.events.send(port);
  for (const state of ["5", "6"]) {
    first.xenstore.write(`${VBD}/state`, state);
    first.settle();
  }
  const second = restored(first);
  second.xenstore.write(`${VBD}/state`, "1");
  second.settle();
  const next = connectDisk(second);
  request(next.ring, BLKIF_OP_READ, 2, 8);
  next.ring.pushRequests();
  second.rig.platform.events.send(next.port);
  assertEquals(second.disk.log, ["write 4096 0"]);
  second.disk.waiting[0]?.();
  await turns();
  assertEquals(second.disk.log, ["write 4096 0", "read 4096 4096"]);
});

Deno.test("snapshot: grants nobody takes over are let go of", () => {
  const first = makeMachine();
  connectDisk(first);
  const state = structuredClone(first.rig.platform.save());
  const next = makeMachine();
  next.rig.platform.restore(state);
  const flags = () =>
    next.rig.memory.view.getUint16((next.rig.platform.grants.framePage(0) as number) + 8 * RING_REF, true);
  assertEquals(flags(), GTF_permit_access | 0x18); // GTF_reading, GTF_writing
  next.rig.platform.grants.dropOrphans();
  assertEquals(flags(), GTF_permit_access);
});
