// SPDX-License-Identifier: MIT
/** Completions as the shells themselves make them of the scripts. @module */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseCommandLine } from "../cli/options.ts";
import { hasProgram } from "../host/processes.ts";
import { SHELLS } from "./completions.ts";

function scriptFor(shell: string): string {
  const line = parseCommandLine(["completions", shell]);
  assert("status" in line && line.status === 0 && line.stderr === "");
  return line.stdout;
}

const withBash = await hasProgram("bash");
const TABS: readonly (readonly [words: string[], offers: RegExp])[] = [
  [["xenner", ""], /\brun\b.*\btest\b/],
  [["xenner", "ru"], /^run$/],
  [["xenner", "run", "--ker"], /^--kernel$/],
  [["xenner", "run", "--engine", ""], /^interp jit kvm auto$/],
  [["xenner", "run", "-t", "p"], /^pvh$/],
  [["xenner", "run", "--engine", "jit", "--pan"], /^--panic$/],
  [["xenner", "run", "--kernel", "/etc/host"], /\/etc\/hostname/],
  [["xenner", "disk", "c"], /\bcreate\b.*\bcheck\b|\bcheck\b.*\bcreate\b/],
  [["xenner", "disk", "check", "--rep"], /^--repair$/],
  [["xenner", "test", "--jun"], /^--junit$/],
  [["xenner", "completions", "z"], /^zsh$/],
];
for (const [words, offers] of TABS) {
  Deno.test({
    name: `bash completes "${words.join(" ")}"${withBash ? "" : " (skipped: needs bash)"}`,
    ignore: !withBash,
    async fn() {
      const script = `${
        scriptFor("bash")
      }\nCOMP_WORDS=("$@") COMP_CWORD=$(($# - 1))\n_xenner\necho "\${COMPREPLY[*]}"`;
      const { stdout, stderr, success } = await new Deno.Command("bash", {
        args: ["--norc", "-c", script, "bash", ...words],
        stdin: "null",
      }).output();
      assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
      assertMatch(new TextDecoder().decode(stdout).trim(), offers);
    },
  });
}

for (const shell of ["zsh", "fish"]) {
  const there = await hasProgram(shell);
  Deno.test({
    name: `${shell} takes its script${there ? "" : ` (skipped: needs ${shell})`}`,
    ignore: !there,
    async fn() {
      const { success, stderr } = await new Deno.Command(shell, {
        args: ["-n", "-c", scriptFor(shell)],
        stdin: "null",
      }).output();
      assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
    },
  });
}

Deno.test("every option of every command is in every script", () => {
  for (const shell of SHELLS) {
    const script = scriptFor(shell);
    for (const option of ["kernel", "max-reboots", "junit", "repair", "hypercall-pages"]) {
      assert(script.includes(option), `${shell}: ${option}`);
    }
  }
});

Deno.test("a shell that there is no script for is refused in one line", () => {
  for (const args of [["completions", "tcsh"], ["completions"], ["completions", ""]]) {
    const line = parseCommandLine(args);
    assert("status" in line && line.status === 2);
    assertMatch(line.stderr, /^xenner: [^\n]*(bash, zsh, fish|missing required argument)[^\n]*\n$/);
  }
});
