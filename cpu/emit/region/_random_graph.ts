// SPDX-License-Identifier: MIT
/** Seeded random graphs of several shapes, for tests. @module */
import { Random } from "../../isa/_cases.ts";
import type { Graph } from "./graph.ts";

/** At most two successors a node, as basic blocks have. */
export function randomGraph(random: Random, size: number): Graph {
  const shape = random.below(4);
  const successors = Array.from({ length: size }, (_, node) => {
    const near = () => Math.min(size - 1, Math.max(0, node + random.below(7) - 2));
    const ahead = () => Math.min(size - 1, node + 1 + random.below(4));
    const any = () => random.below(size);
    const count = random.below(8) === 0 ? 0 : 1 + random.below(2);
    return Array.from({ length: count }, (_, i) => {
      if (shape === 0) return any(); // mostly irreducible
      if (shape === 1) return near();
      if (shape === 2) return random.below(6) === 0 ? any() : ahead(); // mostly forward
      return i === 0
        ? Math.min(size - 1, node + 1)
        : random.below(3) === 0
        ? Math.max(0, node - random.below(5))
        : ahead();
    });
  });
  const entries = [0];
  for (let n = random.below(4); n > 0; n--) entries.push(random.below(size));
  return { successors, entries: [...new Set(entries)] };
}
