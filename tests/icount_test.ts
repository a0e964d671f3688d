// SPDX-License-Identifier: MIT
/** Debian under --icount: two runs are the same to the instruction, the traffic on a hub included. @module */
import { assertEquals } from "@std/assert";
import { boot, HUB, missing, NETWORK } from "./_boot.ts";

const skipped = missing("cloud");

Deno.test({
  name: `two --icount runs are equal: instructions, console, capture${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "xenner-icount-" });
    try {
      const run = async (name: string) => {
        const { status, output, errors } = await boot("cloud", NETWORK, [
          ...HUB,
          ...["--icount", "--stats=json", "--pcap", `${dir}/${name}`],
        ]);
        const { instructions, counters } = JSON.parse(errors.trim().split("\n").at(-1) ?? "");
        return { status, output, instructions, counters, capture: await Deno.readFile(`${dir}/${name}`) };
      };
      const first = await run("first");
      assertEquals(first.status, 0);
      assertEquals(first.output.includes("XENNER-PING sent=3 received=3"), true, first.output.slice(-2000));
      assertEquals(first.capture.length > 1000, true); // ARP, DHCP and pings
      const second = await run("second"); // some seconds later: the date is not the host's
      assertEquals(second.instructions, first.instructions);
      assertEquals(second, first);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
