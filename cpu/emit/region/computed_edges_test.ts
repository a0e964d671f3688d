// SPDX-License-Identifier: MIT
/** Where returns and indirect branches of small graphs are expected to go. @module */
import { assertEquals } from "@std/assert";
import { type BranchingNode, computedEdges } from "./computed_edges.ts";

const to = (node: number) => ({ to: node });
/** A node at `address`; its page is where its address is, unless said otherwise. */
function node(address: number, more: Partial<BranchingNode> = {}): BranchingNode {
  const nowhere = {
    taken: undefined,
    fall: undefined,
    after: undefined,
    computed: undefined,
    returns: false,
  };
  return {
    insns: [{ poff: address & 0xfff }],
    address,
    page: 0x10_0000 + (address - (address & 0xfff)),
    ...nowhere,
    ...more,
  };
}
const targets = (nodes: readonly BranchingNode[]) =>
  computedEdges(nodes).map((edges) => edges.map((e) => e.to));

Deno.test("a function returns behind the calls that lead to it", () => {
  const nodes = [
    node(0, { taken: to(3), after: 1 }), // call f
    node(5, { computed: 3, after: 2 }), // call through a pointer, which went to f
    node(8, { returns: true }),
    node(16, { taken: to(5), fall: to(4) }), // f: jcc
    node(18, { returns: true }),
    node(20, { returns: true }),
  ];
  assertEquals(targets(nodes), [[], [3], [], [], [1, 2], [1, 2]]);
});

Deno.test("a function does not return behind the calls in functions that it calls", () => {
  const nodes = [
    node(0, { taken: to(2), after: 1 }), // call f
    node(5),
    node(16, { taken: to(4), after: 3 }), // f: call g
    node(21, { returns: true }),
    node(32, { returns: true }), // g
  ];
  assertEquals(targets(nodes), [[], [], [], [1], [3]]);
});

Deno.test("of many callers a return knows four", () => {
  const calls = Array.from({ length: 6 }, (_, i) => node(i * 8, { taken: to(12), after: 6 + i }));
  const afters = Array.from({ length: 6 }, (_, i) => node(i * 8 + 5));
  assertEquals(targets([...calls, ...afters, node(64, { returns: true })])[12], [6, 7, 8, 9]);
});

Deno.test("offsets count from the page that runs; another page is crossed into", () => {
  const [edges] = computedEdges([node(0x1ff0, { computed: 1, insns: [{ poff: 0xff0 }] }), node(0x3008)]);
  assertEquals(edges, [{ to: 1, offset: 0x2008, crossing: { distance: 0x2000, page: 0x10_3000 } }]);
  const [near] = computedEdges([node(0x1ff0, { computed: 1 }), node(0x1008)]);
  assertEquals(near, [{ to: 1, offset: 8, crossing: undefined }]);
  // Another address of the same page: no way is known from here.
  const [alias] = computedEdges([node(0x1ff0, { computed: 1 }), { ...node(0x1008), page: 0x20_0000 }]);
  assertEquals(alias, []);
});
