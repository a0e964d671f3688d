// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { LapicTimer, TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE } from "./lapic_timer.ts";

class Rig {
  fired: number[] = [];
  timer: LapicTimer;
  constructor(readonly clock = new ManualClock(), timerHz = 1e9) {
    this.timer = new LapicTimer(
      { clock, timerHz, tscToNs: (tsc) => Number(tsc) },
      () => void this.fired.push(clock.nowNs()),
    );
    this.timer.divide = 0b1011;
  }
}

Deno.test("LapicTimer at power-on stands still", () => {
  const rig = new Rig();
  rig.clock.advance(1e9);
  const { initialCount, currentCount, tscDeadline } = rig.timer;
  assertEquals([rig.fired, initialCount, currentCount, tscDeadline, rig.clock.size], [[], 0, 0, 0n, 0]);
});

// SDM figure 11-10: the divide value of each encoding.
for (
  const [bits, divisor] of [
    [0b0000, 2],
    [0b0001, 4],
    [0b0010, 8],
    [0b0011, 16],
    [0b1000, 32],
    [0b1001, 64],
    [0b1010, 128],
    [0b1011, 1],
  ] as const
) {
  Deno.test(`LapicTimer divides by ${divisor}`, () => {
    const rig = new Rig();
    rig.timer.divide = bits | 4; // bit 2 is 0
    rig.timer.initialCount = 100;
    rig.clock.advance(60 * divisor);
    assertEquals([rig.timer.currentCount, rig.timer.divide], [40, bits]);
    rig.clock.advance(1000 * divisor);
    assertEquals(rig.fired, [100 * divisor]);
  });
}

Deno.test("LapicTimer one-shot fires once, and a write of 0 stops it", () => {
  const rig = new Rig();
  rig.timer.initialCount = 10;
  rig.clock.advance(50);
  assertEquals([rig.fired, rig.timer.initialCount, rig.timer.currentCount], [[10], 10, 0]);
  rig.timer.initialCount = 10;
  rig.timer.initialCount = 0;
  rig.clock.advance(50);
  assertEquals(rig.fired, [10]);
});

Deno.test("LapicTimer periodic reloads, keeps its phase with a period that is no whole nanosecond", () => {
  const rig = new Rig(new ManualClock(), 3e9);
  rig.timer.setMode(TIMER_PERIODIC);
  rig.timer.initialCount = 100; // 33.33 ns
  rig.clock.advance(201);
  assertEquals(rig.fired, [34, 67, 100, 134, 167, 200]);
  rig.timer.setMode(TIMER_ONE_SHOT); // the count goes on, and stops at 0
  rig.clock.advance(200);
  assertEquals([rig.fired.at(-1), rig.fired.length, rig.timer.currentCount], [234, 7, 0]);
});

Deno.test("LapicTimer makes one expiry of the periods that passed unpolled", () => {
  let now = 0;
  let fired = 0;
  const clock = { nowNs: () => now, at: (deadlineNs: number) => ({ deadlineNs, cancel: () => {} }) };
  const timer = new LapicTimer({ clock, timerHz: 1e9, tscToNs: Number }, () => void fired++);
  timer.divide = 0b1011;
  timer.setMode(TIMER_PERIODIC);
  timer.initialCount = 1;
  now = 1_000_000_007;
  timer.divide = 0b1011;
  assertEquals([fired, timer.currentCount], [1, 1]);
});

Deno.test("LapicTimer keeps its count when the divider changes", () => {
  const rig = new Rig();
  rig.timer.initialCount = 1000;
  rig.clock.advance(400);
  rig.timer.divide = 0b0000;
  assertEquals(rig.timer.currentCount, 600);
  rig.clock.advance(1199);
  assertEquals([rig.fired, rig.timer.currentCount], [[], 1]);
  rig.clock.advance(1);
  assertEquals(rig.fired, [1600]);
});

Deno.test("LapicTimer TSC-deadline: fires and disarms, 0 disarms, other modes ignore the MSR", () => {
  const rig = new Rig();
  rig.timer.tscDeadline = 5n;
  assertEquals(rig.timer.tscDeadline, 0n);
  rig.timer.setMode(TIMER_TSC_DEADLINE);
  rig.timer.tscDeadline = 500n;
  rig.timer.initialCount = 7;
  assertEquals([rig.timer.initialCount, rig.timer.currentCount], [0, 0]);
  rig.clock.advance(1000);
  assertEquals([rig.fired, rig.timer.tscDeadline], [[500], 0n]);
  rig.timer.tscDeadline = 1500n;
  rig.timer.tscDeadline = 0n;
  rig.timer.tscDeadline = 0xffff_ffff_ffff_ffffn; // centuries ahead
  rig.clock.advance(1e9);
  assertEquals(rig.fired, [500]);
  rig.timer.tscDeadline = rig.timer.tscDeadline - 1n;
  rig.timer.tscDeadline = 900n; // past
  assertEquals(rig.fired, [500, 1_000_001_000]);
});

Deno.test("LapicTimer is disarmed by going to and from TSC-deadline mode", () => {
  const rig = new Rig();
  rig.timer.initialCount = 100;
  rig.timer.setMode(TIMER_TSC_DEADLINE);
  rig.timer.tscDeadline = 300n;
  rig.timer.setMode(TIMER_PERIODIC);
  rig.clock.advance(1000);
  assertEquals([rig.fired, rig.timer.initialCount, rig.timer.tscDeadline, rig.timer.divide], [
    [],
    0,
    0n,
    0xb,
  ]);
});

Deno.test("LapicTimer goes on the same after save and restore, and stops at reset", () => {
  const a = new Rig();
  a.timer.setMode(TIMER_PERIODIC);
  a.timer.initialCount = 100;
  a.clock.advance(130);
  const b = new Rig(a.clock);
  b.timer.restore(structuredClone(a.timer.save()));
  assertEquals(b.timer.currentCount, 70);
  a.timer.reset();
  b.clock.advance(170);
  assertEquals([a.fired, b.fired], [[100], [200, 300]]);
  b.timer.reset();
  b.clock.advance(1000);
  assertEquals(b.fired, [200, 300]);
});

Deno.test("LapicTimer re-armed without end keeps few host timers", () => {
  const rig = new Rig();
  rig.timer.setMode(TIMER_TSC_DEADLINE);
  for (let i = 0; i < 10_000; i++) rig.timer.tscDeadline = 1_000_000_000_000n - BigInt(i);
  assertEquals(rig.clock.size < 200, true);
});
