// SPDX-License-Identifier: MIT
/** The nodes that blocks become in a region, and where it is entered. @module */
import { PAGE_MASK } from "../../base/bits.ts";
import type { Instruction } from "../../decode/instruction.ts";
import type { Edge, RegionNode } from "../../emit/region/compile_region.ts";
import type { Summary } from "../../emit/region/summary.ts";
import type { Neighbour } from "../../emit/region/region_frame.ts";
import { H_COVERED, RECORD_BYTES } from "../../state/record.ts";
import type { Block } from "../blocks/block.ts";
import type { Member, Target } from "./members.ts";

/**
 * Blocks cut behind instructions that always leave; those in `wanted` are entries. `linear`: address of the page where the
 * region was found; `handlerOf`: the handler of a record without regions.
 */
export function nodesOf(
  members: readonly Member[],
  linear: bigint,
  wanted: ReadonlySet<Block>,
  handlerOf: (at: number) => number,
): { nodes: RegionNode[]; entries: number[] } {
  const nodes: RegionNode[] = [];
  const first = new Map<Block, number>();
  const entries = new Set<number>();
  const parts = members.map((member) => {
    first.set(member.block, nodes.length);
    const cuts = [0];
    for (let next = 1; next < member.insns.length; next++) {
      if (!(member.summaries[next - 1] as Summary).leaves) continue;
      if (handlerOf(member.block.start + next * RECORD_BYTES) !== H_COVERED) cuts.push(next);
    }
    for (let part = 0; part < cuts.length; part++) nodes.push(undefined as unknown as RegionNode);
    return cuts;
  });
  const nodeOf = (target: Target | undefined) => target && first.get(target.block);
  const edge = (target: Target | undefined): Edge | undefined => {
    const to = nodeOf(target);
    return to === undefined ? undefined : { to, crossing: target?.crossing };
  };
  const neighbour = (target: Target | undefined): Neighbour | undefined =>
    target === undefined || first.has(target.block) ? undefined : neighbourAt(target.block);
  const called: Block[] = [], returned: Block[] = [];
  members.forEach((member, m) => {
    const { block, insns, facts, summaries } = member;
    const cuts = parts[m] as number[];
    const base = first.get(block) as number;
    const page = block.host - (block.host & PAGE_MASK), distance = distanceOf(member.linear, linear);
    cuts.forEach((from, part) => {
      const to = cuts[part + 1] ?? insns.length;
      const isLast = to === insns.length && summaries[to - 1]?.leaves !== true;
      const isWhole = to - from === insns.length;
      const start = block.start + from * RECORD_BYTES;
      nodes[base + part] = {
        start,
        handler: handlerOf(start),
        insns: isWhole ? insns : insns.slice(from, to),
        facts: isWhole ? facts : facts.slice(from, to),
        summaries: isWhole ? summaries : summaries.slice(from, to),
        secondHost: block.secondHost,
        count: insns.length,
        taken: isLast ? edge(member.taken) : undefined,
        fall: isLast ? edge(member.fall) : undefined,
        takenNeighbour: isLast ? neighbour(member.taken) : undefined,
        fallNeighbour: isLast ? neighbour(member.fall) : undefined,
        page,
        after: isLast ? nodeOf(member.after) : undefined,
        computed: isLast ? nodeOf(member.computed) : undefined,
        returns: isLast && /^RET( imm16)?$/.test(insns[to - 1]?.row.text ?? ""),
        address: distance + (insns[from] as Instruction).poff,
      };
      if (part > 0 || m === 0 || wanted.has(block)) entries.add(base + part);
    });
    if (member.computed !== undefined) called.push(member.computed.block);
    if (member.after !== undefined) {
      returned.push(member.after.block);
      if (member.taken !== undefined) called.push(member.taken.block);
    }
  });
  for (const block of [...called, ...returned]) {
    const node = first.get(block);
    if (node !== undefined) entries.add(node);
  }
  // Entering for an instruction that leaves at once is a waste.
  const useful = [...entries].filter((n) => (nodes[n] as RegionNode).summaries[0]?.leaves !== true);
  return { nodes, entries: useful };
}

function distanceOf(to: bigint, from: bigint): number {
  return to === from ? 0 : Number(BigInt.asIntN(64, to - from));
}
function neighbourAt({ start, host }: Block): Neighbour {
  return { record: start, page: host - (host & PAGE_MASK) };
}
