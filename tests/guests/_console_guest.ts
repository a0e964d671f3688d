// SPDX-License-Identifier: MIT
/** A Debian guest at whose shell a test types: for what has to happen while the guest runs. @module */
import { guestCommandLine, guestFiles, type GuestRun } from "../../scripts/guests/manifest.ts";
import { Child, xenner } from "../../scripts/host/child.ts";
import type { TapNamespace } from "../../scripts/host/tap_namespace.ts";

const PATIENCE_MS = 300_000;

/** See the module's description. */
export class ConsoleGuest {
  readonly #child: Child;
  #commands = 0;

  /** Boots the cloud kernel up to its shell, which comes after the steps of `run`; `inside`: where its TAP is. */
  constructor(run: GuestRun, options: readonly string[], append = "", inside?: TapNamespace) {
    const { vmlinuz, initramfs } = guestFiles("cloud");
    const line = xenner([
      ...["run", "--kernel", vmlinuz.pathname, "--initrd", initramfs.pathname],
      ...["--append", `${guestCommandLine(run)} ${append}`],
      ...["--timeout", String(PATIENCE_MS / 1000), ...options],
    ]);
    this.#child = new Child(inside?.inside(line.command, line.args) ?? line, undefined, "piped");
  }

  /** Waits until the console shows `pattern`; throws when it never does. `from`: where to start looking. */
  async shows(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    const found = await this.#child.match(pattern, PATIENCE_MS, from);
    if (found !== undefined) return found;
    throw new Error(`no ${pattern} in:\n${this.#child.stdout.slice(-3000)}\n${this.#child.stderr}`);
  }

  /** The shell is there. */
  async booted(): Promise<void> {
    await this.shows(/built-in shell/);
  }

  /** Runs a command in the guest; what it printed. */
  async sh(command: string): Promise<string> {
    const from = this.#child.stdout.length;
    const n = ++this.#commands;
    // the marks are computed, so that the echo of what is typed has none of them
    await this.#child.type(`echo B$((${n}))B; ${command}; echo E$((${n}))E\n`);
    const found = await this.shows(new RegExp(`B${n}B\\s*\\n([^]*?)E${n}E`), from);
    return (found[1] as string).replaceAll("\r", "");
  }

  /** What the program said on stderr so far. */
  get errors(): string {
    return this.#child.stderr;
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Powers off; the exit status. */
  async powerOff(): Promise<number> {
    await this.#child.type("poweroff -f\n");
    return await this.#child.status;
  }

  /** Ends it, whatever state it is in. */
  async close(): Promise<void> {
    this.#child.kill();
    await this.#child.status;
  }
}

/** Why there is no such guest here, for a test's name; "" when there is. */
export function noConsoleGuest(): string {
  const { vmlinuz, initramfs } = guestFiles("cloud");
  for (const file of [vmlinuz, initramfs]) {
    try {
      Deno.statSync(file);
    } catch {
      return ` (skipped: no ${file.pathname.split("/").slice(-3).join("/")}; run deno task guests)`;
    }
  }
  return "";
}
