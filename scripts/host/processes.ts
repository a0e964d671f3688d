// SPDX-License-Identifier: MIT
/** Running other programs from scripts: what failed is said in one line. @module */
import { ConfigError } from "../../cpu/base/assert.ts";

/** How to run a program. */
export interface RunOptions {
  readonly cwd?: string;
  /** Shows its output only when it fails. */
  readonly quiet?: boolean;
}

/** Runs `command`; throws ConfigError when it is missing or fails. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<void> {
  await output(command, args, { ...options, text: false });
}

/** Runs `command` and returns what it prints. */
export async function runText(command: string, args: readonly string[]): Promise<string> {
  return await output(command, args, { quiet: true, text: true });
}

/** True when `command` can be found. */
export async function hasProgram(command: string): Promise<boolean> {
  try {
    await new Deno.Command(command, { args: ["--version"], stdin: "null", stdout: "null", stderr: "null" })
      .output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function output(
  command: string,
  args: readonly string[],
  options: RunOptions & { readonly text: boolean },
): Promise<string> {
  const shown = `${command} ${args.join(" ")}`;
  let result: Deno.CommandOutput;
  const piped = options.quiet === true || options.text;
  try {
    result = await new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: piped ? "piped" : "inherit",
      stderr: piped ? "piped" : "inherit",
      env: { LC_ALL: "C" },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new ConfigError(`Cannot run "${command}": it is not installed`, "host", { cause: error });
  }
  if (!result.success) {
    const said = piped ? new TextDecoder().decode(result.stderr).trim() : "";
    throw new ConfigError(`Cannot run "${shown}": exit status ${result.code}${said && `: ${said}`}`, "host");
  }
  return options.text ? new TextDecoder().decode(result.stdout) : "";
}
