// SPDX-License-Identifier: MIT
/**
 * `deno task fuzz [--seconds=N] [--seed=N] [--groups=NAME,…] [--rows=REGEXP] [--bits=64|32] [--engines=REGEXP]`: random
 * programs on the host's CPU and on every engine, until time is up. Says what differs, made as small as it gets, and how
 * to have it again. Where the host runs no 32-bit programs, and at privilege 0, the interpreter is the judge.
 * @module
 */
import { parseArgs } from "node:util";
import { ENGINES } from "../../cpu/_bare_cpu.ts";
import { GROUPS } from "./fuzz_groups.ts";
import type { Round } from "./fuzz_round.ts";

/** A number given as an option. */
function number(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name}=${text}: give a whole number`);
  return Number(text);
}
function regexp(name: string, text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new Error(`--${name}=${text}: give a regular expression`);
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      seed: { type: "string", default: "1" },
      groups: { type: "string", default: GROUPS.map(({ name }) => name).join(",") },
      rows: { type: "string", default: "" },
      bits: { type: "string", default: "64" },
      engines: { type: "string", default: "" },
    },
  });
  if (values.bits !== "64" && values.bits !== "32") throw new Error(`--bits=${values.bits}: give 64 or 32`);
  const engines = ENGINES.filter(({ name }) => regexp("engines", values.engines).test(name));
  if (engines.length === 0) {
    throw new Error(`--engines=${values.engines}: there are ${ENGINES.map((e) => e.name).join("; ")}`);
  }
  const wanted = {
    bits: values.bits === "64" ? 64 : 32,
    rows: regexp("rows", values.rows),
    engines,
  } as const;
  const rounds: { name: string; round: Round }[] = [];
  for (const name of values.groups.split(",")) {
    const group = GROUPS.find((group) => group.name === name);
    if (group === undefined) {
      throw new Error(`--groups=${name}: there are ${GROUPS.map(({ name }) => name).join(", ")}`);
    }
    const round = await group.start(wanted);
    if (typeof round === "string") console.log(`${name}: not now: ${round}`);
    else rounds.push({ name, round });
  }
  if (rounds.length === 0) throw new Error("nothing is left to do");
  const end = performance.now() + number("seconds", values.seconds) * 1000;
  const differences = new Map<string, number>();
  const counts = new Map<string, number>();
  let seed = number("seed", values.seed), programs = 0;
  for (; performance.now() < end; seed++) {
    const { name, round } = rounds[seed % rounds.length] as typeof rounds[number];
    const { instructions, different, runs } = await round(seed).catch((cause: Error) => {
      throw new Error(`--groups=${name} --seed=${seed}: ${cause.message}`, { cause });
    });
    programs += runs;
    for (const [engine, n] of instructions) counts.set(engine, (counts.get(engine) ?? 0) + n);
    for (const { what, text } of different) {
      const seen = (differences.get(what) ?? 0) + 1;
      differences.set(what, seen);
      if (seen <= 3) console.log(`${what} (--groups=${name} --seed=${seed}, when it is alone)\n${text}`);
    }
  }
  for (const [what, seen] of differences) console.log(`${seen} × ${what}`);
  for (const [engine, n] of counts) console.log(`${n} instructions by ${engine}`);
  console.log(`${programs} runs, seeds ${values.seed} to ${seed - 1}, ${differences.size} things differ`);
  return differences.size === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main();
  } catch (error) {
    console.error((error as Error).message);
    Deno.exitCode = 2;
  }
}
