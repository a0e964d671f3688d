// SPDX-License-Identifier: MIT
import * as assertions from "@std/assert";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";

Deno.test("what the types promise is there", async () => {
  const text = await Deno.readTextFile(new URL("./std_assert.d.ts", import.meta.url));
  const names = new Set([...text.matchAll(/^export function (\w+)/gm)].map(([, name]) => name as string));
  assertEquals(names.size > 5, true);
  assertEquals([...names].filter((name) => !(name in assertions)), []);
});

Deno.test("wrong calls do not compile", async () => {
  // Each line is an error without types: then nothing is expected here.
  // @ts-expect-error: too many arguments
  assertEquals(1, 1, "", 4, 5);
  // @ts-expect-error: a number is no string
  assertThrows(() => assertEquals(1, "1"));
  // @ts-expect-error: no such class
  assertThrows(() => assertThrows(() => {}, 5));
  // @ts-expect-error: nothing to await
  await assertRejects(() => assertRejects(() => {}));
});
