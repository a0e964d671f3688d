// SPDX-License-Identifier: MIT
/**
 * Runs one program on a bare CPU of the source tree ROOT, in a process of its own so that two trees can be measured in
 * turn: `program_child.ts ROOT PROGRAM ENGINE TIMES` prints the seconds of each run as JSON.
 * @module
 */
import { PROGRAMS } from "./programs.ts";

if (import.meta.main) {
  const [root = "", name, engine = "", times] = Deno.args;
  const program = PROGRAMS.find((one) => one.name === name);
  if (program === undefined) throw new Error(`No program ${name}`);
  const { runOnTestCpu }: typeof import("./cpu.ts") = await import(
    new URL("scripts/bench/cpu.ts", root).href
  );
  const seconds: number[] = [];
  for (let i = 0; i < Number(times); i++) {
    seconds.push(runOnTestCpu(program, engine === "jit" ? "jit" : "interp").seconds);
  }
  console.log(JSON.stringify(seconds));
}
