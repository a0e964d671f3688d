// SPDX-License-Identifier: MIT
/** Our x87 against the host's, instruction by instruction, on random and special operands. @module */
import { assertEquals } from "@std/assert";
import { everyEncoding, judge } from "../cpu/fpu/_vectors.ts";
import { makeCases, runNative, whyNot } from "./_x87_native.ts";

const reason = whyNot();
const note = reason === undefined ? "" : ` (skipped: ${reason})`;

for (const seed of [1, 2]) {
  Deno.test({
    name: `every x87 encoding does what the host's FPU does, seed ${seed}${note}`,
    ignore: reason !== undefined,
    fn: async () => {
      const input = makeCases(everyEncoding(), 60, seed);
      assertEquals(judge(input, await runNative(input)), []);
    },
  });
}
