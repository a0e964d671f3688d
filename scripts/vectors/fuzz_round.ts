// SPDX-License-Identifier: MIT
/** What the groups of `deno task fuzz` are asked for, and what they answer. @module */
import type { ENGINES } from "../../cpu/_bare_cpu.ts";

/** What somebody asks for. */
export interface Wanted {
  readonly bits: 32 | 64;
  readonly rows: RegExp;
  readonly engines: readonly typeof ENGINES[number][];
}
/** What came of one program. */
export interface Outcome {
  /** Programs or cases that were run, and instructions by engine. */
  readonly runs: number;
  readonly instructions: ReadonlyMap<string, number>;
  readonly different: readonly { readonly what: string; readonly text: string }[];
}
/** Runs the program of a seed. */
export type Round = (seed: number) => Promise<Outcome>;
