// SPDX-License-Identifier: MIT
/** Liveness and path lengths against a search of all paths of random graphs. @module */
import { assertEquals } from "@std/assert";
import { Random } from "../../isa/_cases.ts";
import { randomGraph } from "./_random_graph.ts";
import { analyse } from "./graph.ts";
import { type BlockUse, liveOut, longestPaths } from "./liveness.ts";

Deno.test("a thing is live when some path reads it before it writes it", () => {
  const random = new Random(3);
  for (let n = 0; n < 200; n++) {
    const graph = randomGraph(random, 1 + random.below(20));
    const uses: BlockUse[] = graph.successors.map((to) => ({
      reads: random.u32() & random.u32() & 0xff,
      writes: random.u32() & 0xff,
      leaves: to.length === 0 || random.below(5) === 0 ? 0x3f : 0,
    }));
    const flow = analyse(graph, false);
    const out = liveOut(flow, uses);
    for (const node of flow.order) {
      if (node === flow.root) continue;
      for (let thing = 0; thing < 8; thing++) {
        const bit = 1 << thing;
        const seen = new Set<number>();
        let live = ((uses[node] as BlockUse).leaves & bit) !== 0;
        const todo = [...graph.successors[node] as number[]];
        for (let at = todo.pop(); at !== undefined && !live; at = todo.pop()) {
          if (seen.has(at)) continue;
          seen.add(at);
          const use = uses[at] as BlockUse;
          if ((use.reads & bit) !== 0) live = true;
          else if ((use.writes & bit) === 0) {
            if ((use.leaves & bit) !== 0) live = true;
            todo.push(...graph.successors[at] as number[]);
          }
        }
        assertEquals(((out[node] as number) & bit) !== 0, live, `graph ${n}, node ${node}, thing ${thing}`);
      }
    }
  }
});

Deno.test("no walk from a checkpoint to the next weighs more than the longest path", () => {
  const random = new Random(4);
  for (let n = 0; n < 200; n++) {
    const graph = randomGraph(random, 1 + random.below(40));
    const weights = graph.successors.map(() => 1 + random.below(20));
    const flow = analyse(graph, true);
    const longest = longestPaths(flow, weights);
    for (let walk = 0; walk < 50; walk++) {
      const start = flow.entries[random.below(flow.entries.length)] as number;
      let node = start, spent = 0;
      for (;;) {
        spent += weights[node] as number;
        const ways = graph.successors[node] as readonly number[];
        if (ways.length === 0) break;
        node = ways[random.below(ways.length)] as number;
        if (flow.entries.includes(node)) break;
      }
      assertEquals(spent <= (longest[start] as number), true, `graph ${n}, from ${start}`);
    }
  }
});

Deno.test("the longest path is the heavier side of a branch, up to the loop's header", () => {
  const graph = { successors: [[1, 2], [3], [3], [0, 4], []], entries: [0] };
  const flow = analyse(graph, true);
  assertEquals([...longestPaths(flow, [1, 10, 5, 2, 7])].slice(0, 5), [20, 19, 14, 9, 7]);
});
