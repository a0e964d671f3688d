// SPDX-License-Identifier: MIT
/**
 * Guests of our own that are saved and go on in another machine again and again: by instruction count they end exactly
 * as they do when nobody disturbs them.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../cpu/base/assert.ts";
import type { BoardState } from "../devices/machine/board/board.ts";
import { Machine } from "../devices/machine/machine.ts";
import { type Frame, frameOf, OFFLOAD_NONE } from "../net/ends/end.ts";
import { Hub } from "../net/ends/hub.ts";
import { netfrontEcho } from "./guests/_netfront_guest.ts";
import { type GuestRun, runGuest } from "./guests/_run_guest.ts";
import { debugPrint, SPIN, tinyGuest } from "./_tiny_guest.ts";
import { PIT_TICKS } from "./guests/_pit_guest.ts";

/** All that a run leaves behind. */
async function outcome(run: GuestRun) {
  const { exit, machine, console, debug, warnings, saves } = await runGuest(run);
  return {
    saves,
    end: {
      exit,
      console,
      debug,
      warnings,
      instructions: machine.stats().instructions,
      registers: machine.registers(),
      now: machine.board.clock.nowNs(),
    },
  };
}

for (const engine of ["interp", "jit"] as const) {
  Deno.test(`snapshot: timers, interrupt controllers and instruction count go on as they were, ${engine}`, async () => {
    const run: GuestRun = { image: tinyGuest(PIT_TICKS), engine, slices: 2000 };
    const whole = await outcome(run);
    assertEquals(whole.end.exit.reason, "crash");
    assertEquals(whole.end.debug, "..........");
    for (const saveEvery of [1, 3]) {
      const pieces = await outcome({ ...run, saveEvery });
      assert(pieces.saves > 3, `saved ${pieces.saves} times`);
      assertEquals(pieces.end, whole.end);
    }
  });

  Deno.test(`snapshot: a guest with a network goes on, ${engine}`, async () => {
    const sizes = [60, 1514, 333, 1000, 64];
    const echo = async (saveEvery?: number) => {
      const hub = new Hub();
      const port = hub.port("test");
      const received: number[] = [];
      port.attach({
        accepts: OFFLOAD_NONE,
        window: () => [],
        deliver: (f: Frame) => received.push(f.length) > 0,
        flush() {},
      });
      let next = 0;
      const result = await outcome({
        image: netfrontEcho(64, sizes.length).image(),
        engine,
        nets: [{ end: hub.port("guest"), mac: Uint8Array.of(0, 0x16, 0x3e, 0, 0, 1) }],
        ...(saveEvery !== undefined && { saveEvery }),
        between(_machine, printed) {
          const size = sizes[next];
          if (printed !== "ready\n" || size === undefined || received.length < next) return;
          const bytes = new Uint8Array(size).fill(next);
          bytes.set([0, 0x16, 0x3e, 0, 0, 1, 2, 0, 0, 0, 0, 0x99, 0x88, 0xb5]);
          if (port.send(frameOf(bytes))) next++;
        },
      });
      return { ...result, received };
    };
    const whole = await echo();
    assertEquals([whole.received, whole.end.exit.reason], [sizes, "poweroff"]);
    const pieces = await echo(1);
    assert(pieces.saves > 5, `saved ${pieces.saves} times`);
    assertEquals([pieces.received, pieces.end], [whole.received, whole.end]);
  });
}

Deno.test("snapshot: what does not fit is refused in one line", async () => {
  const clock = {
    monotonicNs: () => 0,
    unixSeconds: () => 0,
    sleep: () => Promise.resolve(),
    breathe: () => Promise.resolve(),
  };
  const make = (memoryBytes: number) =>
    Machine.create({
      kernel: { name: "guest", bytes: tinyGuest([...debugPrint("x"), ...SPIN]) },
      clock,
      memoryBytes,
    });
  const machine = await make(4 << 20);
  const snapshot = machine.save();
  const other = await make(8 << 20);
  assertThrows(() => other.restore(snapshot), ConfigError, "made with memoryBytes 4194304");
  assertThrows(() => machine.restore({ ...snapshot, version: 99 }), ConfigError, "has version 99");
  assertThrows(() => machine.restore({} as typeof snapshot), ConfigError, "it is none");
  const board = snapshot.board as BoardState;
  const engine = { ...board.engine, format: "other/7" };
  assertThrows(
    () => machine.restore({ ...snapshot, board: { ...board, engine } }),
    ConfigError,
    "other/7",
  );
  machine.restore(snapshot);
  machine.close();
  other.close();
});
