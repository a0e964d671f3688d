// SPDX-License-Identifier: MIT
/**
 * Reads what a guest prints for signs that it has failed: a kernel panic (Linux panic(), FreeBSD's, Xen's own), an init
 * that has exited, or what the user waits for. Without it a panic of Linux looks like a reboot, which it asks Xen for.
 * @module
 */
import type { ConsoleName } from "./consoles.ts";
import type { ExitInfo } from "./machine_options.ts";

/** Most of a line that is looked at. */
const LINE_CHARACTERS = 4096;
const LF = 0x0a;

/** What the watch has seen. "over": of a panic nothing more comes. */
export type Sighting = ExitInfo | "over";

/** Log level, time stamp and caller in front of a line of Linux's log. */
const STAMP = String.raw`^(?:<\d+>)?(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?`;
const PANIC = new RegExp(`${STAMP}Kernel panic - not syncing: ?(.*)$`);
const INIT = /^Attempted to kill init! exitcode=0x([0-9a-f]{8})/;
const PANIC_END = new RegExp(`${STAMP}---\\[ end Kernel panic`);
const XEN_PANIC = /^\(XEN\) (?:\[.*?\] )?Panic on CPU \d+:/;
/** FreeBSD: "panic: WHAT", and the processor on the next line. */
const BSD_PANIC = /^panic: (.*)$/;
const BSD_PANIC_CPU = /^cpuid = \d+/;

/** Lines that have nothing in common, not even that something is in them. */
const ANY_LINES = ["", "(a line)"];

/** Whether `pattern` says nothing about a line: it would end every run at once. */
export function matchesEveryLine(pattern: RegExp): boolean {
  return ANY_LINES.every((line) => lastingly(pattern).test(line));
}

/** A global pattern would remember where it was. */
function lastingly(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ""));
}

/** See the module's description. */
export class ConsoleWatch {
  readonly #failOn: RegExp | undefined;
  readonly #panics: boolean;
  readonly #found: (sighting: Sighting) => void;
  readonly #lines = new Map<ConsoleName, { text: string; before: string; readonly decoder: TextDecoder }>();

  /** `failOn`: what lines must not match; `panics`: look for them too. `found` may be told several things. */
  constructor(failOn: RegExp | undefined, panics: boolean, found: (sighting: Sighting) => void) {
    this.#failOn = failOn && lastingly(failOn);
    this.#panics = panics;
    this.#found = found;
  }

  /** The guest printed this. */
  feed(bytes: Uint8Array, which: ConsoleName): void {
    if (this.#failOn === undefined && !this.#panics) return;
    let line = this.#lines.get(which);
    if (line === undefined) {
      this.#lines.set(which, line = { text: "", before: "", decoder: new TextDecoder() });
    }
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(LF, at);
      const text = line.decoder.decode(bytes.subarray(at, end < 0 ? bytes.length : end), { stream: true });
      if (line.text.length < LINE_CHARACTERS) line.text += text;
      if (end < 0) return;
      at = end + 1;
      const whole = line.text.slice(0, LINE_CHARACTERS).replaceAll("\r", "");
      this.#look(whole, line.before);
      line.before = whole;
      line.text = "";
    }
  }

  #look(line: string, before: string): void {
    if (this.#failOn?.test(line)) this.#found({ reason: "fail-on", detail: printable(line) });
    if (!this.#panics) return;
    const [, panic] = PANIC.exec(line) ?? [];
    if (panic !== undefined) this.#found(verdictOf(panic));
    else if (PANIC_END.test(line)) this.#found("over");
    else if (XEN_PANIC.test(line)) this.#found({ reason: "panic", detail: printable(line) });
    else if (BSD_PANIC_CPU.test(line) && BSD_PANIC.test(before)) {
      this.#found({ reason: "panic", detail: printable(before) });
    }
  }
}

/** Linux panics also because init has ended: that is no fault of the kernel. */
function verdictOf(panic: string): ExitInfo {
  const [, code] = INIT.exec(panic) ?? [];
  if (code === undefined) return { reason: "panic", detail: printable(panic) };
  const wait = parseInt(code, 16); // as wait(2) gives it
  const signal = wait & 0x7f;
  if (signal !== 0) {
    return { reason: "init", status: 128 + signal, detail: `init was killed by signal ${signal}` };
  }
  const status = (wait >> 8) & 0xff;
  return { reason: "init", status, detail: `init exited with status ${status}` };
}

/** Without what a terminal would obey. */
function printable(line: string): string {
  // deno-lint-ignore no-control-regex
  return line.replaceAll(/\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f]/g, "").trim().slice(0, 200);
}
