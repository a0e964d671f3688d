// SPDX-License-Identifier: MIT
import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { XEN_EINVAL, XEN_ENOSPC, XEN_ETIME } from "../public/errno.ts";
import { XenTimers } from "./timers.ts";

const SECOND = 1e9;

function setUp() {
  const clock = new ManualClock();
  const ticks: number[] = [];
  const barks: number[] = [];
  const timers = new XenTimers(clock, () => ticks.push(clock.nowNs()), () => barks.push(clock.nowNs()));
  return { clock, timers, ticks, barks };
}

Deno.test("timers: the single-shot timer fires once; a new time takes the place of the old one", () => {
  const { clock, timers, ticks } = setUp();
  timers.setSingleshot(100, false);
  timers.setSingleshot(50, false);
  clock.advance(200);
  assertEquals(ticks, [50]);
  assertEquals(timers.setSingleshot(199, true), -XEN_ETIME);
  assertEquals(timers.setSingleshot(199, false), 0); // late: at once
  clock.advance(0);
  assertEquals(ticks, [50, 200]);
  timers.setSingleshot(300, false);
  timers.stopSingleshot();
  clock.advance(200);
  assertEquals(ticks.length, 2);
});

Deno.test("timers: set_timer_op takes 0 as off, and a wrapped time as soon", () => {
  const { clock, timers, ticks } = setUp();
  timers.setTimerOp(500);
  timers.setTimerOp(0);
  clock.advance(1000);
  assertEquals(ticks, []);
  timers.setTimerOp(-5);
  clock.advance(SECOND);
  timers.setTimerOp(2 ** 60);
  clock.advance(SECOND);
  assertEquals(ticks, [1000 + SECOND / 10, 1000 + SECOND + SECOND / 10]);
});

Deno.test("timers: the period keeps its phase; missed ticks are dropped", () => {
  const { clock, timers, ticks } = setUp();
  assertEquals([999_999, 2 ** 53].map((period) => timers.setPeriodic(period)), [-XEN_EINVAL, -XEN_EINVAL]);
  timers.setPeriodic(1_000_000);
  clock.advance(3_500_000);
  assertEquals(ticks, [1_000_000, 2_000_000, 3_000_000]);
  timers.stopPeriodic();
  clock.advance(SECOND);
  assertEquals(ticks.length, 3);
});

Deno.test("timers: two watchdogs, each of which is to be poked", () => {
  const { clock, timers, barks } = setUp();
  assertEquals([timers.watchdog(3, 1), timers.watchdog(1, 1)], [-XEN_EINVAL, -XEN_EINVAL]);
  assertEquals([timers.watchdog(0, 10), timers.watchdog(0, 20), timers.watchdog(0, 1)], [1, 2, -XEN_ENOSPC]);
  clock.advance(9 * SECOND);
  assertEquals([timers.watchdog(1, 10), timers.watchdog(2, 0)], [0, 0]);
  clock.advance(9 * SECOND);
  assertEquals(barks, []);
  clock.advance(1 * SECOND);
  assertEquals(barks, [19 * SECOND]);
});

Deno.test("timers: a new watchdog of no time barks at once, as Xen's does", () => {
  const { clock, timers, barks } = setUp();
  clock.advance(5);
  assertEquals(timers.watchdog(0, 0), 1);
  clock.advance(0);
  assertEquals(barks, [5]);
});

Deno.test("timers: set without end, they fill no memory", () => {
  const { clock, timers } = setUp();
  for (let i = 0; i < 10_000; i++) {
    timers.setSingleshot(SECOND + i, false);
    timers.setPeriodic(1_000_000 + i);
    timers.watchdog(i === 0 ? 0 : 1, 100);
  }
  assert(clock.size < 200, `${clock.size} timers are held`);
});

Deno.test("timers: a snapshot fires when the original would have; reset fires nothing", () => {
  const first = setUp();
  first.timers.setSingleshot(500, false);
  first.timers.setPeriodic(1_000_000);
  first.timers.watchdog(0, 1);
  const state = structuredClone(first.timers.save());
  const next = setUp();
  next.timers.restore(state);
  for (const { clock } of [first, next]) clock.advance(SECOND + 1);
  assertEquals([next.ticks, next.barks], [first.ticks, first.barks]);
  assertEquals([next.ticks.length, next.barks], [1001, [SECOND]]);
  next.timers.reset();
  next.clock.advance(10 * SECOND);
  assertEquals(next.ticks.length, 1001);
});
