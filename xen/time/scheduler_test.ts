// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { FakeVcpu } from "../_rig.ts";
import { RUNSTATE_blocked, RUNSTATE_offline, RUNSTATE_running } from "../public/vcpu.ts";
import { Scheduler } from "./scheduler.ts";

function setUp() {
  const memory = new GuestMemory(0x1_0000);
  const clock = new ManualClock();
  const scheduler = new Scheduler(clock, new FakeVcpu(memory, clock));
  const changes: boolean[] = [];
  scheduler.onBlockedChanged = (blocked) => changes.push(blocked);
  const ram = new DataView(memory.view.buffer, memory.map.ram, 0x1_0000);
  const view = new DataView(new ArrayBuffer(64));
  /** state, then nanoseconds running, runnable, blocked, offline: struct vcpu_runstate_info, 64-bit. */
  const runstate = (now: boolean) => {
    scheduler.writeRunstate(view, 64, now);
    return [view.getInt32(0, true), ...[0, 1, 2, 3].map((i) => Number(view.getBigUint64(16 + 8 * i, true)))];
  };
  return { clock, scheduler, changes, ram, runstate };
}

Deno.test("scheduler: what wakes a poll, and that nothing of it is left", () => {
  const { clock, scheduler, changes } = setUp();
  scheduler.poll([3, 5], 1000);
  scheduler.portPending(4);
  assertEquals(scheduler.blocked, true);
  scheduler.portPending(5);
  assertEquals([scheduler.blocked, changes], [false, [true, false]]);
  scheduler.block();
  scheduler.portPending(5); // a plain block has no ports
  clock.advance(2000); // and the old deadline is gone
  assertEquals(scheduler.blocked, true);
  scheduler.wake();
  scheduler.poll([], clock.nowNs() + 10);
  clock.advance(10);
  assertEquals(scheduler.blocked, false);
});

Deno.test("scheduler: a stopped vCPU stays stopped until it is resumed", () => {
  const { scheduler, changes } = setUp();
  scheduler.stop();
  scheduler.wake();
  scheduler.block();
  scheduler.wake();
  assertEquals([scheduler.blocked, scheduler.stopped], [true, true]);
  scheduler.resume();
  assertEquals([scheduler.blocked, scheduler.stopped, changes.at(-1)], [false, false, false]);
});

Deno.test("scheduler: runstate accounts every nanosecond once", () => {
  const { clock, scheduler, runstate } = setUp();
  clock.advance(5);
  scheduler.block();
  clock.advance(7);
  assertEquals(runstate(false), [RUNSTATE_blocked, 5, 0, 0, 0]);
  assertEquals(runstate(true), [RUNSTATE_blocked, 5, 0, 7, 0]);
  scheduler.wake();
  clock.advance(11);
  scheduler.stop();
  clock.advance(13);
  assertEquals(runstate(true), [RUNSTATE_offline, 16, 0, 7, 13]);
  scheduler.reset();
  assertEquals(runstate(true), [RUNSTATE_running, 0, 0, 0, 0]);
});

Deno.test("scheduler: the guest's area is written when it runs again, in its width, and no more once unregistered", () => {
  const { clock, scheduler, ram } = setUp();
  scheduler.registerArea(0x2000n, 32);
  clock.advance(9);
  scheduler.block();
  clock.advance(4);
  scheduler.wake();
  // 32-bit: state at 0, state_entry_time at 4, time[4] at 12
  assertEquals([ram.getUint32(0x2004, true), ram.getUint32(0x200c, true), ram.getUint32(0x201c, true)], [
    13,
    9,
    4,
  ]);
  scheduler.registerArea(0n, 32);
  scheduler.block();
  clock.advance(4);
  scheduler.wake();
  assertEquals(ram.getUint32(0x2004, true), 13);
});

Deno.test("scheduler: a snapshot in a poll goes on waiting for the same ports and time", () => {
  const first = setUp();
  first.clock.advance(3);
  first.scheduler.registerArea(0x2000n, 64);
  first.scheduler.poll([5], 100);
  const state = structuredClone(first.scheduler.save());
  for (const end of ["port", "time"] as const) {
    const next = setUp();
    next.clock.advance(50);
    next.scheduler.restore(state);
    assertEquals(next.scheduler.save(), state);
    assertEquals(next.scheduler.blocked, true);
    if (end === "port") next.scheduler.portPending(5);
    else next.clock.advance(50);
    assertEquals(next.scheduler.blocked, false);
    assertEquals(next.runstate(false)[3], end === "port" ? 47 : 97);
  }
});
