// SPDX-License-Identifier: MIT
/** Random control flow for `deno task fuzz`: every engine against the interpreter. @module */
import { ENGINES } from "../../cpu/_bare_cpu.ts";
import { Random } from "../../cpu/isa/_cases.ts";
import { compareControlFlow, ControlFlowCpu } from "../../cpu/translate/_control_flow.ts";
import { judge } from "../../cpu/translate/_judge.ts";
import type { ControlFlowPlace } from "../../cpu/translate/_program_place.ts";
import type { Round, Wanted } from "./fuzz_round.ts";

/** Whose code it is at privilege `ring`: that of a kernel with as many bits, at privilege 3 also of a wider one. */
function placesOf(bits: 32 | 64, ring: 0 | 3): readonly ControlFlowPlace[] {
  return ([64, 32] as const)
    .filter((kernel) => kernel === bits || (kernel > bits && ring === 3))
    .map((kernel) => ({ ring, bits, kernel }));
}

/** Control flow as a group, at privilege `ring`; `system`: with privileged instructions. */
export function controlFlow(
  { bits, engines }: Wanted,
  system: boolean,
  ring: 0 | 3 = 0,
): Promise<Round | string> {
  const others = engines.filter((how) => how !== ENGINES[0]);
  if (others.length === 0) return Promise.resolve("the interpreter would be compared with itself");
  const pairs = placesOf(bits, ring).flatMap((place) => {
    const interpreter = judge(place);
    const under = place.kernel === bits ? "" : " in compatibility mode";
    const what = system ? "privileged code" : `control flow at privilege ${ring}${under}`;
    return others.map((how) => ({ what, interpreter, name: how.name, cpu: new ControlFlowCpu(how, place) }));
  });
  return Promise.resolve((seed: number) => {
    const instructions = new Map<string, number>();
    const different: { what: string; text: string }[] = [];
    for (const { what, interpreter, name, cpu } of pairs) {
      const before = cpu.t.cpu.instructions;
      const difference = compareControlFlow(new Random(seed), interpreter, cpu, system);
      if (difference !== undefined) different.push({ what, text: `  ${name}, ${difference}` });
      instructions.set(name, (instructions.get(name) ?? 0) + cpu.t.cpu.instructions - before);
    }
    return Promise.resolve({ runs: pairs.length, instructions, different });
  });
}
