// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Collector, tcpGso } from "../frames/_frames.ts";
import { DeliveryQueue } from "./delivery_queue.ts";
import { frameOf, OFFLOAD_ALL, OFFLOAD_NONE } from "./end.ts";
import { NoneEnd } from "./none.ts";

const LIMITS = { frames: 4, bytes: 1000 };
const of = (length: number, value = 0) => frameOf(new Uint8Array(length).fill(value));

function rig(room = Infinity, accepts: number = OFFLOAD_ALL, limits = LIMITS) {
  const seen = new Collector(new NoneEnd(), accepts);
  seen.room = room;
  return {
    seen,
    queue: new DeliveryQueue(limits),
    values: () => seen.frames.map((frame) => frame.bytes()[0]),
  };
}

Deno.test("DeliveryQueue delivers at once while there is room", () => {
  const { seen, queue } = rig();
  assertEquals([queue.offer(seen, of(60)), queue.waiting, seen.frames.length], [1, 0, 1]);
});

Deno.test("DeliveryQueue keeps order: a new frame does not overtake one that waits", () => {
  const { seen, queue, values } = rig(0);
  queue.offer(seen, of(60, 1));
  seen.room = 10;
  assertEquals(queue.offer(seen, of(60, 2)), 0);
  assertEquals([queue.drain(seen), queue.waiting, values()], [2, 0, [1, 2]]);
});

Deno.test("DeliveryQueue keeps copies", () => {
  const { seen, queue, values } = rig(0);
  const bytes = new Uint8Array(60).fill(7);
  queue.offer(seen, frameOf(bytes));
  bytes.fill(9);
  seen.room = 1;
  queue.drain(seen);
  assertEquals(values(), [7]);
});

Deno.test("DeliveryQueue drains as far as there is room, and goes on later", () => {
  const { seen, queue, values } = rig(0);
  for (let i = 0; i < 4; i++) queue.offer(seen, of(60, i));
  const drained = [];
  for (const room of [1, 0, 2, 5]) {
    seen.room = room;
    drained.push(queue.drain(seen));
  }
  assertEquals([drained, queue.waiting, values()], [[1, 0, 2, 1], 0, [0, 1, 2, 3]]);
});

Deno.test("DeliveryQueue drops the newest beyond its frames and its bytes, and counts them", () => {
  const { seen, queue, values } = rig(0);
  for (let i = 0; i < 6; i++) queue.offer(seen, of(60, i));
  assertEquals([queue.waiting, queue.dropped], [4, 2]);
  seen.room = 2;
  queue.drain(seen); // what was delivered makes room
  queue.offer(seen, of(60, 8));
  assertEquals([queue.waiting, queue.dropped], [3, 2]);
  queue.offer(seen, of(821, 9)); // 180 bytes wait
  assertEquals(queue.dropped, 3);
  queue.offer(seen, of(820, 10));
  assertEquals(queue.dropped, 3);
  seen.room = 10;
  queue.drain(seen);
  assertEquals(values(), [0, 1, 2, 3, 8, 10]);
});

Deno.test("DeliveryQueue makes frames fit: a GSO frame becomes segments, of which some may wait", () => {
  const { seen, queue } = rig(2, OFFLOAD_NONE, { frames: 10, bytes: 100_000 });
  assertEquals([queue.offer(seen, tcpGso({ payload: 5000, gsoSize: 1000 })), queue.waiting], [2, 3]);
  seen.room = 10;
  queue.drain(seen);
  assertEquals(seen.frames.map((frame) => [frame.length, frame.gsoSize]), Array(5).fill([1054, 0]));
});

Deno.test("DeliveryQueue saves what waits and restores no more than its limits", () => {
  const { seen, queue } = rig(0, OFFLOAD_ALL, { frames: 10, bytes: 10_000 });
  for (let i = 0; i < 6; i++) queue.offer(seen, of(60, i));
  seen.room = 1;
  queue.drain(seen);
  const state = structuredClone(queue.save());
  const two = rig();
  two.queue.offer(two.seen, of(60, 99));
  two.queue.restore(state);
  assertEquals(two.queue.waiting, 4);
  two.queue.drain(two.seen);
  assertEquals(two.values(), [99, 1, 2, 3, 4]);
  two.queue.restore([...state, of(2000).save()]);
  two.queue.clear();
  assertEquals([two.queue.waiting, two.queue.save()], [0, []]);
});
