// SPDX-License-Identifier: MIT
/** When hot blocks are compiled: at once by a guest that always runs, in its sleep by one that sleeps often. @module */
import { assertEquals } from "@std/assert";
import { HotQueue } from "./hot_queue.ts";
import type { HotBlock } from "./regions.ts";

const block = (n: number) => ({ block: { start: n }, linear: 0n }) as unknown as HotBlock;
const MILLION = 1 << 20, LONGEST = 5 << 17;

function queueOf(count: number): HotQueue {
  const queue = new HotQueue();
  for (let i = 0; i < count; i++) queue.add(block(i), 5 * MILLION);
  return queue;
}

Deno.test("a busy guest's blocks are due together, or when the first has waited long", () => {
  assertEquals(queueOf(0).isDue(100 * MILLION), false);
  assertEquals(queueOf(15).isDue(5 * MILLION), false);
  assertEquals(queueOf(16).isDue(5 * MILLION), true);
  assertEquals(queueOf(1).isDue(5 * MILLION + LONGEST - 1), false);
  assertEquals(queueOf(1).isDue(5 * MILLION + LONGEST), true);
});

Deno.test("a guest that halted a moment ago has them compiled in its sleep, unless it never sleeps for long", () => {
  const queue = queueOf(100);
  queue.halted(5 * MILLION);
  assertEquals(queue.isDue(5 * MILLION + 200_000), false);
  assertEquals(queue.isDue(5 * MILLION + 300_000), true); // it does not halt any more
  queue.halted(5 * MILLION + LONGEST - 1);
  assertEquals(queue.isDue(5 * MILLION + LONGEST - 1), false);
  assertEquals(queue.isDue(5 * MILLION + LONGEST), true); // it halts, but nothing was done meanwhile
});

Deno.test("a sleeping guest's blocks are taken in pieces, first come first, and what comes then waits anew", () => {
  const queue = queueOf(20);
  const starts = (blocks: readonly HotBlock[]) => blocks.map(({ block }) => block.start);
  assertEquals(starts(queue.takeSome()), Array.from({ length: 16 }, (_, i) => i));
  assertEquals(starts(queue.takeSome()), [16, 17, 18, 19]);
  assertEquals([queue.length, queue.takeSome(), queue.takeAll()], [0, [], []]);
  queue.add(block(7), 9 * MILLION);
  assertEquals([queue.isDue(9 * MILLION + LONGEST - 1), queue.isDue(9 * MILLION + LONGEST)], [false, true]);
  assertEquals(starts(queue.takeAll()), [7]);
});
