// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import plugin, { importProblem, isDoor } from "./lint_plugin.ts";

const CASES: readonly (readonly [path: string, specifier: string, allowed: boolean])[] = [
  ["cpu/base/bits.ts", "./assert.ts", true],
  ["cpu/base/bits.ts", "../cpu.ts", false],
  ["cpu/mmu/mmu.ts", "../base/bits.ts", true],
  ["cpu/mmu/mmu.ts", "../../devices/bus/bus.ts", false],
  ["cpu/mmu/mmu.ts", "../../xen/public/xen.ts", false],
  ["devices/legacy/i8254.ts", "../../cpu/base/clock.ts", true],
  ["devices/legacy/i8254.ts", "../../../cpu/cpu.ts", false],
  ["devices/legacy/i8254.ts", "../../xen/public/xen.ts", false],
  ["devices/legacy/i8254.ts", "../bus/bus.ts", true],
  ["devices/legacy/i8254.ts", "../pci/pci.ts", false],
  ["devices/nowhere/chip.ts", "../bus/bus.ts", false],
  ["devices/loaders/compression/xz.ts", "../kernel.ts", false],
  ["devices/loaders/kernel.ts", "./compression/xz.ts", true],
  ["devices/machine/machine.ts", "../../xen/platform/platform.ts", true],
  ["devices/machine/machine.ts", "../../scripts/cli/cli.ts", false],
  ["devices/machine/machine.ts", "../../cpu/engines.ts", true],
  ["devices/machine/machine.ts", "../../cpu/base/engine.ts", true],
  ["devices/machine/board/board.ts", "../../../cpu/cpu.ts", false],
  ["devices/machine/board/board.ts", "../../../cpu/state/state.ts", false],
  ["scripts/cli/stats.ts", "../../cpu/mmu/mmu.ts", false],
  ["scripts/cli/stats.ts", "../../cpu/base/bits.ts", true],
  ["xen/hypercalls/domain.ts", "../public/xen.ts", true],
  ["xen/hypercalls/domain.ts", "../platform/platform.ts", false],
  ["xen/hypercalls/domain.ts", "../../net/netback/netback.ts", false],
  ["xen/public/xen.ts", "../hypercalls/domain.ts", false],
  ["net/netback/netback.ts", "../../xen/backend/host.ts", true],
  ["net/netback/netback.ts", "../../xen/hypercalls/domain.ts", false],
  ["net/netback/netback.ts", "../host/tap.ts", false],
  ["net/netback/netback.ts", "./_frontend.ts", false],
  ["net/netback/netback_test.ts", "./_frontend.ts", true],
  ["net/netback/netback_test.ts", "@std/assert", true],
  ["net/netback/netback.ts", "@std/assert", false],
  ["net/netback/netback.ts", "npm:fzstd@0.1.1", true],
  ["net/netback/netback.ts", "../../../elsewhere.ts", false],
  ["mod.ts", "./scripts/cli/cli.ts", true],
  ["mod.ts", "./scripts/demo.ts", false],
  ["scripts/cli/cli.ts", "../../devices/machine/machine.ts", true],
  ["scripts/cli/cli.ts", "@std/cli", false],
  ["scripts/cli/cli.ts", "../../cpu/isa/_oracle.ts", false],
  ["scripts/vectors/record.ts", "../../cpu/isa/_oracle.ts", true],
];
for (const [path, specifier, allowed] of CASES) {
  Deno.test(`${path} may ${allowed ? "" : "not "}import ${specifier}`, () => {
    assertEquals(importProblem(path, specifier) === undefined, allowed);
  });
}

Deno.test("doors are the host ends, scripts and tests", () => {
  assertEquals(
    ["net/host/tap.ts", "scripts/cli/cli.ts", "cpu/mmu/mmu_test.ts", "mod.ts"].filter(isDoor).length,
    4,
  );
  assertEquals(["net/netback/netback.ts", "cpu/mmu/mmu.ts", "devices/machine/machine.ts"].filter(isDoor), []);
});

const file = (path: string) => new URL(`../../${path}`, import.meta.url).href;
const LICENSE = "// SPDX-License-Identifier: MIT\n";
/** Which of our rules complain about `source` at `path`. */
function complaints(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, file(path), source).map(({ id }) => id);
}

Deno.test("the rules see imports, re-exports, dynamic imports and host access in real source", () => {
  for (
    const statement of [
      'import "../../net/host/tap.ts";',
      'export * from "../../net/host/tap.ts";',
      'await import("../../net/host/tap.ts");',
    ]
  ) {
    assertEquals(complaints("cpu/x.ts", LICENSE + statement), ["xenner/layers"], statement);
  }
  for (
    const expression of ["Deno.pid", "Date.now()", "Math.random()", "performance.now()", "console.log(1)"]
  ) {
    assertEquals(
      complaints("cpu/x.ts", `${LICENSE}export const x = ${expression};`),
      ["xenner/doors"],
      expression,
    );
  }
  assertEquals(complaints("cpu/x.ts", LICENSE + "export const x = Math.max(1, 2);"), []);
  assertEquals(complaints("cpu/x.ts", "export const x = 1;\n"), ["xenner/license"]);
});
