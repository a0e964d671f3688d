// SPDX-License-Identifier: MIT
/** A guest of our own echoes frames through netfront, netback and a hub, in both modes and on each engine. @module */
import { assertEquals } from "@std/assert";
import { type Frame, frameOf, OFFLOAD_NONE } from "../net/ends/end.ts";
import { Hub } from "../net/ends/hub.ts";
import type { PacketEvent } from "../net/ends/observed_end.ts";
import { netfrontEcho } from "./guests/_netfront_guest.ts";
import { ENGINES } from "./_engines.ts";
import { runGuest } from "./guests/_run_guest.ts";

const OURS = [0x02, 0, 0, 0, 0, 0x99], GUEST = [0x00, 0x16, 0x3e, 0, 0, 1];
const ETHERTYPE = [0x88, 0xb5]; // local experimental

function frame(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set([...GUEST, ...OURS, ...ETHERTYPE]);
  for (let i = 14; i < length; i++) bytes[i] = i * 7 + seed;
  return bytes;
}
function echoed(sent: Uint8Array): Uint8Array {
  const bytes = sent.slice();
  bytes.set([...OURS, ...GUEST]);
  return bytes;
}

/** Smallest, largest, in between; more than there are receive buffers. */
const SIZES = [60, 1514, 14, 333, 1000, 64, 1513];

for (const mode of [32, 64] as const) {
  for (const { engine, skipped } of ENGINES) {
    const name = `own netfront: echoes frames from a hub, ${mode} bit, ${engine}${skipped}`;
    Deno.test({ name, ignore: skipped !== "" }, async () => {
      const hub = new Hub();
      const port = hub.port("test");
      const received: Uint8Array[] = [];
      port.attach({
        accepts: OFFLOAD_NONE,
        window: () => [],
        deliver: (f: Frame) => received.push(f.bytes()) > 0,
        flush() {},
      });
      const sent = SIZES.map(frame);
      let next = 0;
      const packets: PacketEvent[] = [];
      const hypercalls = new Map<string, number>();
      const g = netfrontEcho(mode, SIZES.length);
      const result = await runGuest({
        image: g.image(),
        engine,
        nets: [{ end: hub.port("guest"), mac: Uint8Array.from(GUEST) }],
        prepare(machine) {
          machine.on("packet", (event) => packets.push(event));
          machine.on("hypercall", ({ name }) => hypercalls.set(name, (hypercalls.get(name) ?? 0) + 1));
          const stop = [
            machine.on("packet", () => {
              throw new Error("a listener that was removed gets a packet");
            }),
            machine.on("hypercall", () => {
              throw new Error("a listener that was removed gets a hypercall");
            }),
          ];
          for (const remove of stop) remove();
        },
        between(_machine, printed) {
          // Two one at a time, then one each time the guest sleeps or a slice ends
          const bytes = sent[next];
          if (printed !== "ready\n" || bytes === undefined || received.length < Math.min(next, 2)) return;
          if (port.send(frameOf(bytes))) next++;
        },
      });
      assertEquals(
        [result.exit, result.u32(g.addressOf("unexpected"))],
        [{ reason: "poweroff" }, 0],
        result.machine.crashReport(),
      );
      assertEquals(result.console, "ready\nclosed\n");
      assertEquals(received, sent.map(echoed));
      assertEquals(result.warnings, []);
      const passed = (direction: "rx" | "tx") =>
        packets.filter((event) => event.direction === direction).map((event) => event.frame);
      assertEquals([passed("rx"), passed("tx")], [sent, sent.map(echoed)]);
      assertEquals([packets[0]?.net, packets[0]?.name], [0, "guest"]);
      const counted = Array.from(
        result.machine.tracer.counters.values,
        ([name, count]): [string, number] => [name, count],
      );
      assertEquals(
        new Map([...hypercalls].map(([name, count]) => [`hypercall.${name}`, count])),
        new Map(counted.filter(([name]) => name.startsWith("hypercall."))),
      );
    });
  }
}
