// SPDX-License-Identifier: MIT
/**
 * Memtest86+ 6.10 as Debian has it: one whole pass of its tests, 64 and 32 bits, without an error. It is a guest that
 * sets up its own page tables, moves itself about and runs from both places, and touches every byte in every way.
 * @module
 */
import { assertEquals } from "@std/assert";
import { createMachine } from "../../mod.ts";
import { SystemClock } from "../../net/host/host_clock.ts";
import { packageFile } from "../../scripts/guests/package_files.ts";
import { missingFiles } from "../_boot.ts";

/** A pass is over, and how many errors there were. Its screen is drawn on the serial port field by field. */
const PASSED = /Pass:\s+1\s+Errors:\s+(\d+)/;
/**
 * What a pass does by default, besides #1 and #2, which may be over before the screen says so; so may all others of a small
 * memory, but #10, which waits minutes for bits to fade: guest time goes faster than the host's.
 */
const TESTS = [0, 3, 4, 5, 6, 7, 8, 9, 10];
const SLOW_TEST = 10;
const SPEED = 16;

class FastClock extends SystemClock {
  [Symbol.dispose](): void {
    this.close();
  }
  override monotonicNs(): number {
    return super.monotonicNs() * SPEED;
  }
  override sleep(ms: number, wake: Promise<void>, fds: readonly number[]): Promise<void> {
    return super.sleep(ms / SPEED, wake, fds);
  }
}

for (const bits of ["x64", "ia32"] as const) {
  const kernel = packageFile("memtest", `${bits}.bin`);
  const skipped = missingFiles([kernel], packageFile("memtest", "missing"));
  for (const [memory, engine] of [["24M", "jit"], ["512M", "jit"], ["24M", "interp"]] as const) {
    Deno.test({
      name: `memtest86+ ${bits}, ${memory}, a whole pass, ${engine}${skipped}`,
      ignore: skipped !== "",
      async fn() {
        using clock = new FastClock();
        let log = "";
        let fields = "";
        await using machine = await createMachine({
          kernel,
          engine,
          memory,
          append: "console=ttyS0,115200 nopause",
          clock,
          serial: (bytes) => {
            const text = new TextDecoder("latin1").decode(bytes);
            log += text;
            fields = (fields + text).slice(-4000);
            if (PASSED.test(fields)) machine.stop();
          },
        });
        assertEquals((await machine.run()).reason, "stopped");
        assertEquals(PASSED.exec(fields)?.[1], "0");
        const seen = new Set(Array.from(log.matchAll(/#(\d+) +\[/g), ([, number]) => Number(number)));
        const expected = memory === "512M" ? TESTS : [SLOW_TEST];
        assertEquals(expected.filter((number) => !seen.has(number)), []);
      },
    });
  }
}
