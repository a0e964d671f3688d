// SPDX-License-Identifier: MIT
/**
 * Our x87 against a real one, instruction by instruction, on random and special operands. What that did is recorded;
 * a host that can runs the same cases too, and must agree with the record.
 * @module
 */
import { assertEquals } from "@std/assert";
import { differences, judge } from "../cpu/fpu/_vectors.ts";
import { casesOf, readX87, runNative, SEEDS, whyNot } from "./_x87_native.ts";

const reason = whyNot();
const note = reason === undefined ? "" : ` (skipped: ${reason})`;

for (const seed of SEEDS) {
  Deno.test(`every x87 encoding does what a real FPU did, seed ${seed}`, async () => {
    const input = casesOf(seed);
    assertEquals(judge(input, await readX87(seed, input)), []);
  });
  Deno.test({
    name: `the host's FPU does what is recorded, seed ${seed}${note}`,
    ignore: reason !== undefined,
    fn: async () => {
      const input = casesOf(seed);
      assertEquals(differences(input, await runNative(input), await readX87(seed, input)), []);
    },
  });
}
