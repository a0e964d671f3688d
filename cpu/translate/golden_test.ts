// SPDX-License-Identifier: MIT
/**
 * What a dozen short blocks become, for review: `deno task golden` writes the files anew, and their difference says
 * what a change of emission does.
 * @module
 */
import { assertEquals } from "@std/assert";
import { goldenText } from "./_golden.ts";

for (const how of ["handlers", "interp", "jit"] as const) {
  Deno.test(`emitted code is as in testdata/${how}.wat; if that is meant: deno task golden`, async () => {
    const file = new URL(`testdata/${how}.wat`, import.meta.url);
    const text = await goldenText(how);
    if (Deno.args.includes("--update")) Deno.writeTextFileSync(file, text);
    assertEquals(text, Deno.readTextFileSync(file));
  });
}
