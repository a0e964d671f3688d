// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { type Circle, circlesIn, describeCircle, moduleGraph } from "./circles.ts";
import { sourceFiles } from "./sources.ts";

/** The circles among files with these texts. */
async function circles(texts: Readonly<Record<string, string>>): Promise<Circle[]> {
  const folder = await Deno.makeTempDir({ prefix: "xenner-circles-" });
  try {
    for (const [file, text] of Object.entries(texts)) {
      await Deno.mkdir(`${folder}/${file}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${file}`, text);
    }
    const root = new URL(`file://${folder}/`);
    return circlesIn(await moduleGraph(root, await sourceFiles(root)));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("two files that import each other are a circle", async () => {
  const found = await circles({
    "a.ts": 'import { b } from "./b.ts"; export const a = () => b;',
    "b.ts": 'import { a } from "./a.ts"; export const b = () => a;',
    "c.ts": 'import { a } from "./a.ts"; export const c = a;',
  });
  assertEquals(found, [{ files: ["a.ts", "b.ts"], way: ["a.ts", "b.ts", "a.ts"] }]);
  assertEquals(describeCircle(found[0] as Circle), "circle of 2: a.ts → b.ts → a.ts\n  a.ts\n  b.ts\n");
});

Deno.test("three files in two folders are a circle, re-exports and dynamic imports included", async () => {
  assertEquals(
    await circles({
      "x/a.ts": 'export * from "../y/b.ts";',
      "y/b.ts": 'export const b = () => import("./c.ts");',
      "y/c.ts": 'import "../x/a.ts";',
    }),
    [{ files: ["x/a.ts", "y/b.ts", "y/c.ts"], way: ["x/a.ts", "y/b.ts", "y/c.ts", "x/a.ts"] }],
  );
});

Deno.test("types alone make a circle, too", async () => {
  for (
    const text of [
      'import type { A } from "./a.ts"; export type B = A;',
      'import { type A } from "./a.ts"; export type B = A;',
      'export type { A as B } from "./a.ts";',
      'export type B = import("./a.ts").A;',
    ]
  ) {
    const found = await circles({
      "a.ts": 'import type { B } from "./b.ts"; export interface A { b?: B }',
      "b.ts": text,
    });
    assertEquals(found.map(({ files }) => files), [["a.ts", "b.ts"]], text);
  }
});

Deno.test("a file that imports itself is a circle of one, one that says so in a comment is none", async () => {
  const text =
    '/**\n * ```ts\n * import { a } from "./mod.ts";\n * ```\n * {@link import("./mod.ts")}\n */\n';
  assertEquals(await circles({ "mod.ts": text + "export const a = 1;" }), []);
  assertEquals(
    await circles({ "mod.ts": 'import * as self from "./mod.ts"; export const a = () => self;' }),
    [
      { files: ["mod.ts"], way: ["mod.ts", "mod.ts"] },
    ],
  );
});

Deno.test("two circles are told apart, and a way that shares files is not two circles", () => {
  const graph = new Map([["a", ["b"]], ["b", ["a", "c"]], ["c", ["d"]], ["d", ["c"]], ["e", ["a", "c"]]]);
  assertEquals(circlesIn(graph).map(({ files }) => files), [["a", "b"], ["c", "d"]]);
  const eight = new Map([["m", ["a", "b"]], ["a", ["m"]], ["b", ["m"]]]);
  assertEquals(circlesIn(eight).map(({ files }) => files), [["a", "b", "m"]]);
});
