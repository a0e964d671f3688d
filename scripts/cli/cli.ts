// SPDX-License-Identifier: MIT
/**
 * The program: what `deno run -A mod.ts …` does, as an entry of its own, `./cli` of the package: for `deno bundle`, `deno
 * compile`, and to run with few permissions. Importing it does nothing but to give {@linkcode main}.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { reason } from "../../devices/loaders/host_file.ts";
import { parseCommandLine } from "./options.ts";
import { runMachine } from "./run_machine.ts";

/** Exit statuses for what the user has to change, and for what the host does not have. */
const STATUS_INPUT = 2;
const STATUS_HOST = 3;
/** Exit status for a bug of ours: EX_SOFTWARE of sysexits.h. */
const STATUS_INTERNAL_ERROR = 70;

/** Runs the command line; ends the process. */
export async function main(args: readonly string[]): Promise<never> {
  Deno.exit(await statusOf(args));
}

async function statusOf(args: readonly string[]): Promise<number> {
  const commandLine = parseCommandLine(args);
  if ("status" in commandLine) {
    const failure = say(Deno.stdout, commandLine.stdout);
    say(Deno.stderr, commandLine.stderr);
    if (failure === undefined) return commandLine.status;
    say(Deno.stderr, `xenner: Cannot write to standard output: ${reason(failure)}\n`);
    return commandLine.status || STATUS_HOST;
  }
  try {
    if ("run" in commandLine) return await runMachine(commandLine.run);
    // loaded when they are asked for: a run begins sooner without them
    if ("test" in commandLine) {
      const { runTests } = await import("../ci/run_tests.ts");
      return await runTests(commandLine.test, args);
    }
    const { doDiskTask } = await import("../disk/disk_tasks.ts");
    const { status, lines } = await doDiskTask(commandLine.disk);
    const failure = say(Deno.stdout, lines.map((line) => line + "\n").join(""));
    if (failure === undefined) return status;
    say(Deno.stderr, `xenner: Cannot write to standard output: ${reason(failure)}\n`);
    return status || STATUS_HOST;
  } catch (error) {
    if (error instanceof ConfigError) {
      say(Deno.stderr, `xenner: ${error.message}\n`);
      return error.kind === "host" ? STATUS_HOST : STATUS_INPUT;
    }
    say(Deno.stderr, `xenner: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
    return STATUS_INTERNAL_ERROR;
  }
}

/** Prints; what keeps it from that, but for a reader who has gone, is returned and changes nothing else. */
function say(to: { writeSync(bytes: Uint8Array): number }, text: string): unknown {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
    return undefined;
  } catch (error) {
    return error instanceof Deno.errors.BrokenPipe ? undefined : error;
  }
}

if (import.meta.main) await main(Deno.args);
