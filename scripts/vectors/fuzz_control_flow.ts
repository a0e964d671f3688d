// SPDX-License-Identifier: MIT
/** Random control flow for `deno task fuzz`: the JIT against the interpreter. @module */
import { Random } from "../../cpu/isa/_cases.ts";
import { compareControlFlow, ControlFlowCpu } from "../../cpu/translate/_control_flow.ts";
import type { Round, Wanted } from "./fuzz_round.ts";

/** Control flow as a group, at privilege `ring`; `system`: with privileged instructions. */
export function controlFlow({ bits }: Wanted, system: boolean, ring: 0 | 3 = 0): Promise<Round | string> {
  if (bits !== 64 && ring === 0) return Promise.resolve("its programs are of 64-bit code");
  const place = { ring, bits };
  const interpreter = new ControlFlowCpu({ engine: "interp", compileAtOnce: false }, place);
  const jit = new ControlFlowCpu({ engine: "jit", compileAtOnce: true }, place);
  return Promise.resolve((seed: number) => {
    const before = jit.t.cpu.instructions;
    const difference = compareControlFlow(new Random(seed), interpreter, jit, system);
    const different = difference === undefined
      ? []
      : [{ what: system ? "privileged code" : `control flow at privilege ${ring}`, text: difference }];
    const instructions = new Map([["jit", jit.t.cpu.instructions - before]]);
    return Promise.resolve({ runs: 1, instructions, different });
  });
}
