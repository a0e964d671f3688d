// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { absolutePath, baseName, childPath, parentPath } from "./path.ts";

Deno.test("xenstore path: relative ones start at the domain's home, which says nothing about what is valid", () => {
  const table: [path: string, absolute: string | undefined][] = [
    ["/", "/"],
    ["/a/b-c_d@E9", "/a/b-c_d@E9"],
    ["a/b", "/local/domain/7/a/b"],
    ["", undefined],
    ["//", undefined],
    ["/a/", undefined],
    ["a/", undefined],
    ["a//b", undefined],
    ["/a b", undefined],
    ["/a\0", undefined],
    ["/ä", undefined],
    ["..", undefined],
    ["@introduceDomain", undefined], // a watch, no node
    ["/" + "a".repeat(3071), "/" + "a".repeat(3071)],
    ["/" + "a".repeat(3072), undefined],
    ["a".repeat(2048), "/local/domain/7/" + "a".repeat(2048)],
    ["a".repeat(2049), undefined],
  ];
  for (const [path, absolute] of table) assertEquals([path, absolutePath(path, 7)], [path, absolute]);
});

Deno.test("xenstore path: up, last component, down", () => {
  assertEquals(["/a/b", "/a", "/"].map(parentPath), ["/a", "/", "/"]);
  assertEquals(["/a/b", "/a"].map(baseName), ["b", "a"]);
  assertEquals([childPath("/", "a"), childPath("/a", "b")], ["/a", "/a/b"]);
});
