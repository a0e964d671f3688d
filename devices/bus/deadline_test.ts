// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { Deadline } from "./deadline.ts";

Deno.test("Deadline fires once at the last time set, rounded up, and can be set again from its callback", () => {
  const clock = new ManualClock();
  const fired: number[] = [];
  const deadline: Deadline = new Deadline(clock, () => {
    fired.push(clock.nowNs());
    if (fired.length < 3) deadline.set(clock.nowNs() + 10);
  });
  deadline.set(1000);
  deadline.set(49.5);
  deadline.set(49.6); // rounds to the same: nothing to do
  clock.advance(2000);
  assertEquals(fired, [50, 60, 70]);
});

for (const never of [Infinity, NaN, 2 ** 60]) {
  Deno.test(`Deadline set to ${never} disarms`, () => {
    const clock = new ManualClock();
    const deadline = new Deadline(clock, () => {
      throw new Error("fired");
    });
    deadline.set(10);
    deadline.set(never);
    clock.advance(100);
    assertEquals(clock.nextDeadlineNs(), Infinity);
  });
}
