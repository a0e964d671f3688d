// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ManualClock } from "./clock.ts";

Deno.test("TimerQueue fires in deadline order, ties in order of creation, and never a cancelled timer", () => {
  const clock = new ManualClock();
  const seen: string[] = [];
  clock.at(20, () => seen.push("b"));
  clock.at(10, () => seen.push("a"));
  clock.at(20, () => seen.push("c"));
  const dead = clock.at(15, () => seen.push("never"));
  dead.cancel();
  dead.cancel();
  clock.advance(19);
  assertEquals(seen, ["a"]);
  clock.advance(1);
  assertEquals(seen, ["a", "b", "c"]);
  assertEquals(clock.size, 0);
  assertEquals(clock.nextDeadlineNs(), Infinity);
});

Deno.test("TimerQueue drops cancelled timers, so that re-arming far ahead does not grow it", () => {
  const clock = new ManualClock();
  const fired: number[] = [];
  for (let i = 0; i < 50; i++) clock.at(1000 - i, () => fired.push(1000 - i));
  for (let i = 0; i < 10_000; i++) clock.at(1e9 - i, () => fired.push(-1)).cancel();
  assertEquals(clock.size < 250, true);
  clock.advance(2e9);
  assertEquals(fired, Array.from({ length: 50 }, (_, i) => 951 + i));
});

Deno.test("TimerQueue runs a timer that a timer creates, when it is due too", () => {
  const clock = new ManualClock();
  const seen: number[] = [];
  clock.at(5, () => clock.at(5, () => seen.push(clock.nowNs())));
  clock.advance(5);
  assertEquals(seen, [5]);
});
