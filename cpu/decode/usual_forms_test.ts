// SPDX-License-Identifier: MIT
/** The list of usual forms is what its task would write: whole instructions, each form once. @module */
import { assertEquals } from "@std/assert";
import { levelFeatures } from "../base/cpu_model.ts";
import { Decoder } from "./decoder.ts";
import { USUAL_FORMS, usualInstructions } from "./usual_forms.ts";

Deno.test("the usual forms are whole instructions of x86-64-v2, or two of which the second branches on flags", () => {
  const words = USUAL_FORMS.trim().split(/\s+/);
  const decoded = [...usualInstructions(new Decoder(levelFeatures("x86-64-v2")))];
  assertEquals(decoded.length, words.length);
  const seen = new Set<string>();
  decoded.forEach((insns, i) => {
    assertEquals(insns.reduce((sum, { length }) => sum + length, 0) * 2, words[i]?.length, words[i]);
    assertEquals(
      insns.length === 1 || (insns.length === 2 && insns[1]?.row.text.startsWith("Jcc")),
      true,
      words[i],
    );
    const form = insns.map(({ row, formKey }) => `${row.id} ${formKey}`).join();
    assertEquals(seen.has(form), false, words[i]);
    seen.add(form);
  });
  assertEquals(seen.size > 1000, true);
});

Deno.test("what a processor does not have is not among its usual forms", () => {
  const all = [...usualInstructions(new Decoder(levelFeatures("x86-64-v2")))].flat();
  const old = [...usualInstructions(new Decoder(levelFeatures("x86-64-v1")))].flat();
  const popcnt = (insns: typeof all) => insns.some(({ row }) => row.text.startsWith("POPCNT"));
  assertEquals([popcnt(all), popcnt(old)], [true, false]);
});
