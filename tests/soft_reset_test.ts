// SPDX-License-Identifier: MIT
/** Guests of our own that ask for SHUTDOWN_soft_reset and go on, as kexec does: everything of Xen's is bound again. @module */
import { assert, assertEquals } from "@std/assert";
import { type Frame, frameOf, OFFLOAD_NONE } from "../net/ends/end.ts";
import { Hub } from "../net/ends/hub.ts";
import { ENGINES } from "./_engines.ts";
import { netfrontSoftReset } from "./guests/_netfront_guest.ts";
import { runGuest } from "./guests/_run_guest.ts";
import { ASKS_XENSTORE_TWICE } from "./guests/_soft_reset_guest.ts";
import { tinyGuest } from "./_tiny_guest.ts";

for (const { engine, skipped } of ENGINES) {
  const ignore = skipped !== "";
  const name = `soft reset: xenstore answers before and after it, ${engine}${skipped}`;
  Deno.test({ name, ignore }, async () => {
    for (const type of ["hvm", "pvh"] as const) {
      const { debug, exit } = await runGuest({ image: tinyGuest(ASKS_XENSTORE_TWICE), engine, type });
      assertEquals([debug, exit.reason], ["YR0Y\n", "crash"]); // it ends by ud2
    }
  });

  for (const saveEvery of [undefined, 2]) {
    const saved = saveEvery === undefined ? "" : ", saved again and again";
    const name = `soft reset: a connected netfront starts over, twice, ${engine}${saved}${skipped}`;
    Deno.test({ name, ignore }, async () => {
      const FRAMES = 3, ROUNDS = 3;
      const hub = new Hub();
      const port = hub.port("test");
      const received: number[] = [];
      port.attach({
        accepts: OFFLOAD_NONE,
        window: () => [],
        deliver: (f: Frame) => received.push(f.length) > 0,
        flush() {},
      });
      let sent = 0;
      const size = (n: number) => 60 + 100 * n;
      const g = netfrontSoftReset(64, FRAMES, ROUNDS);
      const { exit, console, machine, saves, u32 } = await runGuest({
        image: g.image(),
        engine,
        nets: [{ end: hub.port("guest"), mac: Uint8Array.of(0, 0x16, 0x3e, 0, 0, 1) }],
        slices: 2000,
        ...(saveEvery !== undefined && { saveEvery }),
        between(_machine, printed) {
          const ready = printed.split("ready\n").length - 1;
          if (sent >= ready * FRAMES || received.length < sent) return;
          const bytes = new Uint8Array(size(sent)).fill(sent);
          bytes.set([0, 0x16, 0x3e, 0, 0, 1, 2, 0, 0, 0, 0, 0x99, 0x88, 0xb5]);
          if (port.send(frameOf(bytes))) sent++;
        },
      });
      assertEquals(
        [exit, u32(g.addressOf("unexpected"))],
        [{ reason: "poweroff" }, 0],
        machine.crashReport(),
      );
      assertEquals(saves > 0, saveEvery !== undefined);
      assertEquals(console, "ready\n".repeat(ROUNDS));
      assertEquals(received, Array.from({ length: FRAMES * ROUNDS }, (_, i) => size(i)));
      assert(machine.board.memory.hasFrame(0x10), "its RAM is where it was");
    });
  }
}
