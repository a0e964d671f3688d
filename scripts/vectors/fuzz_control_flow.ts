// SPDX-License-Identifier: MIT
/** Random control flow for `deno task fuzz`: every engine against the interpreter. @module */
import { ENGINES } from "../../cpu/_bare_cpu.ts";
import { Random } from "../../cpu/isa/_cases.ts";
import { compareControlFlow, ControlFlowCpu } from "../../cpu/translate/_control_flow.ts";
import type { Round, Wanted } from "./fuzz_round.ts";

/** Control flow as a group, at privilege `ring`; `system`: with privileged instructions. */
export function controlFlow(
  { bits, engines }: Wanted,
  system: boolean,
  ring: 0 | 3 = 0,
): Promise<Round | string> {
  if (bits !== 64 && ring === 0) return Promise.resolve("its programs are of 64-bit code");
  const place = { ring, bits };
  const interpreter = new ControlFlowCpu(ENGINES[0], place);
  const machines = engines.filter((how) => how !== ENGINES[0]).map((how) => ({
    name: how.name,
    cpu: new ControlFlowCpu(how, place),
  }));
  if (machines.length === 0) return Promise.resolve("the interpreter would be compared with itself");
  const what = system ? "privileged code" : `control flow at privilege ${ring}`;
  return Promise.resolve((seed: number) => {
    const instructions = new Map<string, number>();
    const different: { what: string; text: string }[] = [];
    for (const { name, cpu } of machines) {
      const before = cpu.t.cpu.instructions;
      const difference = compareControlFlow(new Random(seed), interpreter, cpu, system);
      if (difference !== undefined) different.push({ what, text: `  ${name}, ${difference}` });
      instructions.set(name, cpu.t.cpu.instructions - before);
    }
    return Promise.resolve({ runs: machines.length, instructions, different });
  });
}
