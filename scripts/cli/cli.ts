// SPDX-License-Identifier: MIT
/** The program: what `deno run -A mod.ts …` does. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import { parseCommandLine } from "./options.ts";
import { runMachine } from "./run_machine.ts";

/** Exit status for a bug of ours: EX_SOFTWARE of sysexits.h. */
const STATUS_INTERNAL_ERROR = 70;

/** Runs the command line; ends the process. */
export async function main(args: readonly string[]): Promise<never> {
  Deno.exit(await statusOf(args));
}

async function statusOf(args: readonly string[]): Promise<number> {
  const commandLine = parseCommandLine(args);
  if (!("run" in commandLine)) {
    say(Deno.stdout, commandLine.stdout);
    say(Deno.stderr, commandLine.stderr);
    return commandLine.status;
  }
  try {
    return await runMachine(commandLine.run);
  } catch (error) {
    if (error instanceof ConfigError) {
      say(Deno.stderr, `xenner: ${error.message}\n`);
      return error.kind === "host" ? 3 : 2;
    }
    say(Deno.stderr, `xenner: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
    return STATUS_INTERNAL_ERROR;
  }
}

/** Prints, unless nobody listens any more. */
function say(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
