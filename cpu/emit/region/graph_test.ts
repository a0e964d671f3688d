// SPDX-License-Identifier: MIT
/** Orders and dominators against their definitions, computed by removing nodes. @module */
import { assert, assertEquals } from "@std/assert";
import { Random } from "../../isa/_cases.ts";
import { randomGraph } from "./_random_graph.ts";
import { analyse, dominates, edgeKind, type Graph } from "./graph.ts";

/** Nodes that can be reached from the entries without going through `without`. */
function reachable(graph: Graph, entries: readonly number[], without: number): Set<number> {
  const seen = new Set<number>(), todo = entries.filter((e) => e !== without);
  for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    todo.push(...(graph.successors[node] as number[]).filter((to) => to !== without));
  }
  return seen;
}

Deno.test("a node dominates what cannot be reached without it, in random graphs", () => {
  const random = new Random(7);
  for (let n = 0; n < 300; n++) {
    const graph = randomGraph(random, 1 + random.below(24));
    const flow = analyse(graph, random.below(2) === 0);
    const all = reachable(graph, flow.entries, -1);
    assertEquals(new Set(flow.order), new Set([...all, flow.root]));
    for (const a of all) {
      const without = reachable(graph, flow.entries, a);
      for (const b of all) assertEquals(dominates(flow, a, b), !without.has(b), `graph ${n}: ${a} and ${b}`);
    }
  }
});

Deno.test("edges that go back lead to entries or to what dominates their source", () => {
  const random = new Random(8);
  for (let n = 0; n < 300; n++) {
    const graph = randomGraph(random, 1 + random.below(40));
    for (const headersAreEntries of [false, true]) {
      const flow = analyse(graph, headersAreEntries);
      for (const from of flow.order) {
        for (const to of graph.successors[from] ?? []) {
          const kind = edgeKind(flow, from, to);
          if (kind === "dispatch") assert(flow.entries.includes(to));
          if (kind === "back") assert(dominates(flow, to, from) && flow.isLoopHeader[to]);
          if (kind === "back" && headersAreEntries) assert(flow.entries.includes(to));
          if (kind === "forward") assert((flow.position[from] as number) < (flow.position[to] as number));
        }
      }
    }
  }
});

Deno.test("a loop around a call has its return point as an entry and needs no dispatch for it", () => {
  // 0: header, 1: calls 3, 2: return point, back to 0; 3: the function, returns (no edge).
  const flow = analyse({ successors: [[1], [3], [0], []], entries: [0, 2] }, true);
  assertEquals(flow.entries, [0, 2]);
  assertEquals(edgeKind(flow, 2, 0), "forward");
});

Deno.test("nested loops: the inner one is structured when headers are entries, both when not", () => {
  const graph = { successors: [[1], [1, 2], [0, 3], []], entries: [0] };
  const inner = analyse(graph, true), both = analyse(graph, false);
  assertEquals([edgeKind(inner, 1, 1), edgeKind(inner, 2, 0)], ["back", "dispatch"]);
  assertEquals([edgeKind(both, 1, 1), edgeKind(both, 2, 0)], ["back", "back"]);
  assertEquals([inner.entries, both.entries], [[0, 1], [0]]);
});
