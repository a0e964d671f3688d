// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { strayFiles, vagueClasses } from "./package.ts";

Deno.test("tests, benches and what only they use are not published", () => {
  const files = [
    "mod.ts",
    "cpu/cpu.ts",
    "cpu/cpu_test.ts",
    "net/host/tap_bench.ts",
    "net/ends/_dhcp.ts",
    "devices/loaders/testdata/sample.ts",
    "tests/guests/x.ts",
    "README.md",
  ];
  assertEquals(strayFiles(files), files.slice(2, 7));
});

Deno.test("an exported class says itself what it is", () => {
  const declared = (name: string, kind: string, doc?: string) => ({
    name,
    declarations: [{ kind, ...(doc !== undefined && { jsDoc: { doc } }) }],
  });
  const symbols = [
    declared("Good", "class", "Does things."),
    declared("None", "class"),
    declared("Elsewhere", "class", "See the module's description."),
    declared("Not", "interface", "See the module's description."),
  ];
  assertEquals(vagueClasses({ nodes: { "file:///mod.ts": { symbols } } }), ["None", "Elsewhere"]);
});
