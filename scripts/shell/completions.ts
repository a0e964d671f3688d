// SPDX-License-Identifier: MIT
/**
 * `xenner completions bash|zsh|fish`: a script for the shell, made of the commands and options that there are. Values that
 * are one of a few are offered; all others are taken for names of files.
 * @module
 */

/** A command line's option, as far as a shell cares. */
export interface ShellOption {
  /** "--kernel", "-k". */
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  /** What the value may be; empty: anything, so names of files. */
  readonly choices: readonly string[];
}

/** A command. */
export interface ShellCommand {
  /** Words of its own: "run", or "disk create". */
  readonly name: string;
  readonly description: string;
  readonly options: readonly ShellOption[];
  /** Commands below it, or what its argument may be. */
  readonly words: readonly string[];
}

/** Shells that there are scripts for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
/** One of them. */
export type Shell = typeof SHELLS[number];

/** The script for `shell`. The first command is the program, with no name. */
export function completions(shell: Shell, commands: readonly ShellCommand[]): string {
  switch (shell) {
    case "bash":
      return bash(commands);
    case "zsh": // its emulation of bash's completion is all that is needed
      return `#compdef xenner\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
    case "fish":
      return fish(commands);
  }
}

function bash(commands: readonly ShellCommand[]): string {
  const lines = [
    "# xenner: source this file, or put it where bash-completion looks",
    "_xenner() {",
    "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= words= i",
    "  COMPREPLY=()",
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    '    case "$command ${COMP_WORDS[i]}" in',
  ];
  const named = commands.filter(({ name }) => name !== "");
  lines.push(`      ${named.map(({ name }) => quote(before(name) + " " + last(name))).join(" | ")})`);
  lines.push('        command="${command:+$command }${COMP_WORDS[i]}" ;;', "    esac", "  done");
  lines.push('  case "$command $before" in');
  for (const { name, options } of commands) {
    for (const { names, choices } of options.filter(({ takesValue }) => takesValue)) {
      const patterns = names.map((option) => quote(`${name} ${option}`)).join(" | ");
      const reply = choices.length > 0
        ? `compgen -W ${quote(choices.join(" "))} -- "$word"`
        : 'compgen -f -- "$word"';
      lines.push(`    ${patterns}) COMPREPLY=($(${reply})); return ;;`);
    }
  }
  lines.push("  esac", '  case "$command" in');
  for (const { name, options, words } of commands) {
    const all = [...words, ...options.flatMap(({ names }) => names)].join(" ");
    lines.push(`    ${quote(name)}) words=${quote(all)} ;;`);
  }
  lines.push("  esac", '  COMPREPLY=($(compgen -W "$words" -- "$word"))');
  lines.push('  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))', "}");
  lines.push("complete -o filenames -F _xenner xenner", "");
  return lines.join("\n");
}

function fish(commands: readonly ShellCommand[]): string {
  const lines = ["# xenner: put this into ~/.config/fish/completions/xenner.fish"];
  for (const { name, options, words } of commands) {
    const path = name.split(" ").filter((word) => word !== "");
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
    const none = commands[0]?.words.join(" ") ?? "";
    const when = path.length > 0 ? seen : `not __fish_seen_subcommand_from ${none}`;
    if (words.length > 0) {
      const unused = path.length > 0
        ? `${when}; and not __fish_seen_subcommand_from ${words.join(" ")}`
        : when;
      lines.push(`complete -c xenner -f -n ${quote(unused)} -a ${quote(words.join(" "))}`);
    }
    for (const { names, description, takesValue, choices } of options) {
      const flags = names.map((option) =>
        option.startsWith("--") ? `-l ${option.slice(2)}` : `-s ${option.slice(1)}`
      );
      const value = !takesValue
        ? []
        : choices.length > 0
        ? ["-x", "-a", quote(choices.join(" "))]
        : ["-r", "-F"];
      lines.push(
        ["complete -c xenner -n", quote(when), ...flags, ...value, "-d", quote(description)].join(" "),
      );
    }
  }
  return lines.join("\n") + "\n";
}

/** The words before the last one: what has been seen when the last is met. */
function before(name: string): string {
  return name.split(" ").slice(0, -1).join(" ");
}
function last(name: string): string {
  return name.split(" ").at(-1) ?? "";
}
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
