// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Child, script, xenner } from "./child.ts";

Deno.test("children run without their runtime's noise: a type check says nothing", async () => {
  const { command, args: [run = "", ...rest] } = script("host/processes.ts", []);
  const child = new Child({ command, args: [run, "--check", "--reload=file:///", ...rest] });
  assertEquals([await child.status, child.stderr], [0, ""]);
  assertEquals(xenner([]).args.slice(0, 3), [run, ...rest.slice(0, 2)]);
});
