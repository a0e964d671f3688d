// SPDX-License-Identifier: MIT
/** What commander knows about the command line, for completions. @module */
import type { CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import type { ShellCommand } from "./completions.ts";

/** `program`, and every command below it. */
export function shellCommands(program: CommandUnknownOpts, path: readonly string[] = []): ShellCommand[] {
  const help = program.createHelp();
  const commands = help.visibleCommands(program);
  const own: ShellCommand = {
    name: path.join(" "),
    description: program.description(),
    options: help.visibleOptions(program).map((
      { short, long, description, required, argChoices },
    ) => ({
      names: [long, short].filter((name) => name !== undefined && name !== null),
      description,
      takesValue: required, // one that may be left out stands behind =
      choices: argChoices ?? [],
    })),
    words: [
      ...commands.map((command) => command.name()),
      ...help.visibleArguments(program).flatMap(({ argChoices }) => argChoices ?? []),
    ],
  };
  return [own, ...commands.flatMap((command) => shellCommands(command, [...path, command.name()]))];
}
