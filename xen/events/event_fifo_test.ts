// SPDX-License-Identifier: MIT
/** The queues as a guest takes them apart: Linux's consume_one_event, against words it must not be trusted with. */
import { assert, assertEquals } from "@std/assert";
import { xenRig } from "../_rig.ts";
import { FifoEvents } from "./event_fifo.ts";

const CONTROL = 0x40_000;
const ARRAY = 0x41_000;
const PENDING = 1 << 31, MASKED = 1 << 30, LINKED = 1 << 29;
const LINK = 0x1_ffff;

function setUp() {
  const rig = xenRig();
  const { memory, platform: { upcall } } = rig;
  const fifo = new FifoEvents(memory, upcall, memory.offsetOf(CONTROL), 4096);
  assertEquals(fifo.expandArray(ARRAY / 4096), 0);
  const word = (port: number) => rig.ram.getInt32(ARRAY + 4 * port, true);
  const setWord = (port: number, value: number) => rig.ram.setInt32(ARRAY + 4 * port, value, true);
  const heads = new Map<number, number>();
  /** Takes one event off queue `q` as Linux does; undefined when it is empty. */
  const consume = (q: number): number | undefined => {
    let head = heads.get(q) ?? 0;
    if (head === 0) head = rig.ram.getUint32(CONTROL + 8 + 4 * q, true);
    if (head === 0) return undefined;
    const taken = word(head);
    const next = taken & LINK;
    setWord(head, taken & ~(LINKED | LINK | PENDING));
    heads.set(q, next);
    if (next === 0) {
      rig.ram.setUint32(CONTROL, rig.ram.getUint32(CONTROL, true) & ~(1 << q), true);
      rig.ram.setUint32(CONTROL + 8 + 4 * q, 0, true);
    }
    return (taken & PENDING) !== 0 ? head : -head;
  };
  const drain = (q: number) => {
    const order: number[] = [];
    for (let port = consume(q); port !== undefined; port = consume(q)) order.push(port);
    return order;
  };
  return { rig, fifo, word, setWord, consume, drain };
}

Deno.test("FIFO events: come in the order they were raised, each queue for itself", () => {
  const { fifo, drain } = setUp();
  fifo.setPriority(9, 2);
  for (const port of [5, 9, 3, 5, 7]) fifo.setPending(port);
  assertEquals([drain(7), drain(2)], [[5, 3, 7], [9]]);
  fifo.setPending(3);
  assertEquals(drain(7), [3]);
});

Deno.test("FIFO events: a port that changes its queue does not break the old one", () => {
  const { fifo, drain } = setUp();
  fifo.setPending(5);
  assertEquals(drain(7), [5]); // the tail of queue 7 is 5 still
  fifo.setPriority(5, 3);
  fifo.setPending(5);
  fifo.setPending(6); // must not be linked behind 5, which is in queue 3
  assertEquals([drain(3), drain(7)], [[5], [6]]);
});

Deno.test("FIFO events: cleared while linked, the guest finds it not pending and goes on to the next", () => {
  const { fifo, drain } = setUp();
  for (const port of [4, 5, 6]) fifo.setPending(port);
  fifo.clearPending(5);
  assertEquals([fifo.isBusy(5), fifo.isPending(5)], [true, false]);
  assertEquals(drain(7), [4, -5, 6]);
  assertEquals(fifo.isBusy(5), false);
});

Deno.test("FIFO events: whatever the guest writes into words, no port is lost for good", () => {
  let seed = 12345; // the judge: after the guest behaves again, every port still arrives
  const random = (n: number) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % n;
  const { fifo, setWord, drain, rig } = setUp();
  for (let round = 0; round < 3000; round++) {
    const port = 1 + random(1000);
    const what = random(3);
    if (what === 0) setWord(port, Math.imul(seed, 2654435761) | 0);
    else if (what === 1) fifo.setPriority(port, random(16));
    else fifo.setPending(port);
  }
  for (let port = 0; port < 1024; port++) setWord(port, 0);
  for (let q = 0; q < 16; q++) rig.ram.setUint32(CONTROL + 8 + 4 * q, 0, true);
  rig.ram.setUint32(CONTROL, 0, true);
  const all = new Set<number>();
  for (let port = 1; port < 1000; port++) {
    fifo.setPriority(port, port % 16);
    assertEquals(fifo.setPending(port), true);
  }
  for (let q = 0; q < 16; q++) for (const port of drain(q)) all.add(port);
  assert(all.size === 999, `${all.size} of 999 ports arrived`);
});

Deno.test("FIFO events: pending before their page, they arrive with it; a masked one waits", () => {
  const { fifo, rig } = setUp();
  assertEquals([fifo.setPending(1500), fifo.isPending(1500), fifo.isBusy(1500)], [false, true, false]);
  assertEquals(fifo.expandArray(0x43), 0);
  assertEquals(rig.ram.getInt32(0x43_000 + 4 * (1500 - 1024), true), PENDING | LINKED);
  rig.ram.setInt32(0x43_000 + 4 * (1500 - 1024), 0, true);
  rig.ram.setInt32(ARRAY + 4 * 8, MASKED, true);
  fifo.setPending(8);
  assertEquals(rig.ram.getInt32(ARRAY + 4 * 8, true), MASKED | PENDING);
});

Deno.test("FIFO events: a snapshot has pages, tails, priorities and what is deferred", () => {
  const first = setUp();
  first.fifo.setPriority(5, 3);
  for (const port of [5, 6, 2000]) first.fifo.setPending(port);
  const next = setUp();
  next.rig.memory.bytes.set(
    first.rig.memory.bytes.subarray(first.rig.memory.map.ram),
    first.rig.memory.map.ram,
  );
  const fifo = new FifoEvents(
    next.rig.memory,
    next.rig.platform.upcall,
    next.rig.memory.offsetOf(CONTROL),
    4096,
  );
  fifo.restore(structuredClone(first.fifo.save()));
  assertEquals(fifo.save(), first.fifo.save());
  fifo.setPending(7);
  assertEquals([next.drain(3), next.drain(7)], [[5], [6, 7]]);
  assertEquals(fifo.isPending(2000), true);
});
