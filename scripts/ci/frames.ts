// SPDX-License-Identifier: MIT
/** Reads what the script of guest_init.ts sends: which command runs, its output and errors, its status. @module */
import { END_OF_OUTPUT } from "./guest_init.ts";

/** What came of one command. */
export interface CommandResult {
  readonly command: string;
  stdout: string;
  stderr: string;
  /** Absent: it has not ended. */
  status?: number;
}

/** Output of one command at most; the rest is dropped. */
const MOST_OUTPUT = 64 << 20;

/** See the module's description. */
export class Frames {
  /** What has been run so far. */
  readonly results: CommandResult[] = [];
  /** All have been run. */
  done = false;
  readonly #commands: readonly string[];
  readonly #print: (text: string, to: "stdout" | "stderr") => void;
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** `print` gets output as it comes. */
  constructor(commands: readonly string[], print: (text: string, to: "stdout" | "stderr") => void) {
    this.#commands = commands;
    this.#print = print;
  }

  /** The guest wrote this on its Xen console. */
  feed(bytes: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = (lines.pop() ?? "").slice(0, MOST_OUTPUT);
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    const kind = line.slice(0, 2), text = line.slice(2);
    const current = this.results.at(-1);
    if (line === "d") this.done = true;
    else if (kind === "r ") {
      const command = this.#commands[Number(text)];
      if (command !== undefined) this.results.push({ command, stdout: "", stderr: "" });
    } else if (current === undefined) return; // before the first one: not from our script
    else if (kind === "o ") this.#output(current, "stdout", text);
    else if (kind === "e ") this.#output(current, "stderr", text);
    else if (kind === "x ") current.status = Number(text) & 0xff;
  }

  #output(current: CommandResult, to: "stdout" | "stderr", line: string): void {
    const text = line.endsWith(END_OF_OUTPUT) ? line.slice(0, -END_OF_OUTPUT.length) : line + "\n";
    if (text === "" || current[to].length + text.length > MOST_OUTPUT) return;
    current[to] += text;
    this.#print(text, to);
  }
}
