// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { crowdedFolders, MOST_FILES } from "./folders.ts";

const files = (folder: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${folder}file${i}.ts`);

Deno.test("a folder with more than 14 files is named, also the root", () => {
  assertEquals(crowdedFolders(files("a/b/", MOST_FILES)), []);
  assertEquals(crowdedFolders([...files("a/b/", 15), "a/x.ts"]).map((line) => line.split(",")[0]), [
    "a/b/ has 15 files besides tests",
  ]);
  assertEquals(crowdedFolders(files("", 15)).map((line) => line.split(" ")[0]), ["./"]);
});

Deno.test("tests, benches, helpers and files in folders of the folder do not count", () => {
  const others = ["a/x_test.ts", "a/x_bench.ts", "a/_x.ts", ...files("a/b/", 5)];
  assertEquals(crowdedFolders([...files("a/", MOST_FILES), ...others]), []);
});
