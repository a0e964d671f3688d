// SPDX-License-Identifier: MIT
import { assert, assertEquals } from "@std/assert";
import { SystemClock } from "./host_clock.ts";

const never = new Promise<void>(() => {});
const withFfi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
const skipped = withFfi ? "" : " (skipped: needs --allow-ffi)";

async function timed(fn: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await fn();
  return performance.now() - start;
}

Deno.test({
  name: `SystemClock sleeps to a fraction of a millisecond${skipped}`,
  ignore: !withFfi,
  async fn() {
    const clock = new SystemClock();
    const times: number[] = [];
    for (let i = 0; i < 20; i++) times.push(await timed(() => clock.sleep(0.3, never, [])));
    clock.close();
    assert(Math.min(...times) >= 0.3, `slept ${Math.min(...times)} ms`);
    assert(Math.min(...times) < 1, `slept ${Math.min(...times)} ms`);
  },
});

Deno.test({
  name: `SystemClock is woken early, each time anew${skipped}`,
  ignore: !withFfi,
  async fn() {
    const clock = new SystemClock();
    for (let i = 0; i < 3; i++) {
      let wakeUp = () => {};
      const wake = new Promise<void>((resolve) => wakeUp = resolve);
      setTimeout(() => wakeUp(), 5);
      assert(await timed(() => clock.sleep(20_000, wake, [])) < 5000);
    }
    assert(await timed(() => clock.sleep(10, never, [])) >= 10, "a wake-up is used up");
    assert(await timed(() => clock.sleep(20_000, Promise.resolve(), [])) < 5000);
    clock.close();
  },
});

Deno.test({
  name: "SystemClock without FFI sleeps by timers",
  permissions: "none",
  async fn() {
    const clock = new SystemClock();
    assert(await timed(() => clock.sleep(3, never, [])) >= 2.5);
    assert(await timed(() => clock.sleep(20_000, Promise.resolve(), [])) < 5000);
  },
});

Deno.test("SystemClock.breathe lets timers and promises run", async () => {
  const clock = new SystemClock();
  let fired = false;
  setTimeout(() => fired = true, 1);
  for (let i = 0; i < 100_000 && !fired; i++) await clock.breathe();
  assertEquals(fired, true);
});
