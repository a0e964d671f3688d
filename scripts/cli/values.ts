// SPDX-License-Identifier: MIT
/** Values of options that several commands have. They throw what commander, or the program, prints in one line. @module */
import { type CommandUnknownOpts, InvalidArgumentError } from "npm:@commander-js/extra-typings@15.1.0";
import { ConfigError } from "../../cpu/base/assert.ts";
import { parseSize } from "../../cpu/base/sizes.ts";
import { checkRamBytes } from "../../devices/loaders/memory_map.ts";
import { matchesEveryLine } from "../../devices/machine/console_watch.ts";

/** Longest --timeout that a timer takes. */
const MAX_TIMEOUT_SECONDS = 2_000_000;

/** Refuses options of `command`, and of those below it, that are there twice with two values, but for the `repeatable`. */
export function refuseRepeats(command: CommandUnknownOpts, repeatable: readonly string[]): void {
  for (const option of command.options) {
    if (!(option.required || option.optional) || repeatable.includes(option.name())) continue;
    let seen = false;
    command.on(`option:${option.name()}`, () => {
      if (seen) throw new ConfigError(`Cannot use --${option.name()} twice: it has one value`);
      seen = true;
    });
  }
  for (const below of command.commands) refuseRepeats(below, repeatable);
}

/** A size of RAM. */
export function memory(text: string): number {
  return checkRamBytes(parseSize(text));
}

/** A path. */
export function filled(text: string): string {
  if (text === "") throw new InvalidArgumentError("It is the path of a file.");
  return text;
}

/** Seconds. */
export function timeout(text: string): number {
  const seconds = Number(text);
  if (!/^[\d.]+$/.test(text) || !(seconds > 0 && seconds <= MAX_TIMEOUT_SECONDS)) {
    throw new InvalidArgumentError(`It is a number of seconds, above 0 and up to ${MAX_TIMEOUT_SECONDS}.`);
  }
  return seconds;
}

/** Several --fail-on are alternatives. */
export function regex(text: string, before?: RegExp): RegExp {
  try {
    if (matchesEveryLine(new RegExp(text))) throw new InvalidArgumentError("It would match every line.");
    return new RegExp(before === undefined ? text : `${before.source}|${text}`);
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw error;
    throw new InvalidArgumentError(`${error instanceof Error ? error.message : error}.`);
  }
}

/** A file that the kernel is given beside itself. */
export interface ModuleChoice {
  readonly path: string;
  readonly cmdline: string;
}

/** --module: a path, and behind its first blank the text that goes with it. */
export function module(text: string, before: readonly ModuleChoice[] = []): ModuleChoice[] {
  const [, path = "", cmdline = ""] = /^(\S*)\s*(.*)$/s.exec(text.trim()) ?? [];
  if (path === "") throw new InvalidArgumentError("It is the path of a file, and perhaps its command line.");
  return [...before, { path, cmdline }];
}
