// SPDX-License-Identifier: MIT
import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { PERM_OWNER, PERM_READ, PERM_WRITE, type Permission, permissionsFor, Tree } from "./tree.ts";

const node = (owner: number, value = "", children: string[] = []) => ({
  value,
  children: new Set(children),
  permissions: [{ domid: owner, access: 0 }],
});

Deno.test("xenstore tree: every change has a generation of its own", () => {
  const tree = new Tree();
  tree.set("/a", node(1, "x"));
  const first = tree.get("/a")?.generation;
  tree.set("/a", node(1, "x"));
  assertNotEquals(tree.get("/a")?.generation, first);
  const second = tree.get("/a")?.generation as number;
  tree.delete("/a");
  tree.set("/a", node(1, "x"));
  assertEquals((tree.get("/a")?.generation as number) > second + 1, true); // also the removal counts
});

Deno.test("xenstore tree: nodes are counted by their owners", () => {
  const tree = new Tree();
  tree.set("/a", node(1));
  tree.set("/b", node(1));
  tree.set("/b", node(2)); // changes hands
  tree.set("/c", node(2));
  tree.delete("/c");
  tree.delete("/c");
  assertEquals([0, 1, 2, 3].map((domid) => tree.owned(domid)), [1, 1, 1, 0]);
  assertEquals(tree.size, 3);
  assertThrows(() => tree.delete("/"));
});

Deno.test("xenstore tree: the first entry of the permissions names the owner and is for all not listed", () => {
  const permissions: Permission[] = [{ domid: 1, access: PERM_READ }, { domid: 2, access: PERM_WRITE }];
  const everything = PERM_READ | PERM_WRITE | PERM_OWNER;
  assertEquals([0, 1, 2, 3].map((domid) => permissionsFor(permissions, domid)), [
    everything,
    everything,
    PERM_WRITE,
    PERM_READ,
  ]);
});

Deno.test("xenstore tree: a snapshot has nodes, their order, generations and owners, and shares nothing", () => {
  const tree = new Tree();
  tree.set("/z", node(1, "v", ["b", "a"]));
  tree.set("/y", node(2));
  tree.delete("/y");
  const state = tree.save();
  const next = new Tree();
  next.set("/gone", node(9));
  next.restore(structuredClone(state));
  assertEquals(next.save(), state);
  assertEquals([...next.get("/z")?.children ?? []], ["b", "a"]);
  assertEquals([next.owned(1), next.owned(2), next.owned(9), next.get("/gone")], [1, 0, 0, undefined]);
  for (const both of [tree, next]) both.set("/x", node(1));
  assertEquals(next.get("/x")?.generation, tree.get("/x")?.generation);
});
