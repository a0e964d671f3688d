// SPDX-License-Identifier: MIT
/** Programs on a terminal, which script(1) makes. Tests only. @module */
import { hasProgram } from "../scripts/host/processes.ts";

/** Where a program runs that believes that somebody sits there. */
export interface Terminal {
  /** The process of script(1), whose child the program is. */
  readonly pid: number;
  /** Presses keys; "\x01" is Ctrl-A. */
  type(text: string): Promise<void>;
  /** Nothing more is typed. A program that has ended minds it as little as we do. */
  hangUp(): Promise<void>;
}

const available = await hasProgram("script");

/** A test that needs a terminal, or is skipped and says why. */
export function terminalTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `${name}${available ? "" : " (skipped: needs script(1))"}`, ignore: !available, fn });
}

/** Runs a line of shell on a terminal. `seen` gets all that is on the screen whenever there is more; so does the caller at the end. */
export async function onTerminal(
  line: string,
  seen: (screen: string, terminal: Terminal) => Promise<void> | void,
): Promise<string> {
  const child = new Deno.Command("script", {
    args: ["-q", "-c", line, "/dev/null"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    env: { SHELL: "/bin/sh" },
  }).spawn();
  const keys = child.stdin.getWriter();
  const terminal: Terminal = {
    pid: child.pid,
    type: (text) => keys.write(new TextEncoder().encode(text)),
    hangUp: () => keys.close().catch(() => {}),
  };
  let screen = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    screen += text;
    await seen(screen, terminal);
  }
  await terminal.hangUp();
  await child.status;
  return screen;
}
