// SPDX-License-Identifier: MIT
/**
 * A console of the guest as programs use it: wait for text, type, run a command on the shell that listens there. What was
 * printed and not waited for yet is kept, its last megabyte.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";

const KEPT_CHARACTERS = 1 << 20;
const SHOWN_CHARACTERS = 200;

/** What it is connected to. */
export interface GuestConsoleWires {
  /** Types; returns how many bytes were accepted. */
  send(bytes: Uint8Array): number;
  /** Calls `fn` after `ms`, unless the result is called before. */
  after(ms: number, fn: () => void): () => void;
}

/** What a command of {@linkcode GuestConsole.exec} did. */
export interface ExecResult {
  /** Exit status. */
  readonly status: number;
  /** What the shell and its command printed, errors among it. */
  readonly output: string;
}

interface Waiter {
  readonly pattern: RegExp;
  found(match: RegExpExecArray): void;
  fail(why: string): void;
}

/** See the module's description. */
export class GuestConsole {
  readonly #wires: GuestConsoleWires;
  readonly #decoder = new TextDecoder();
  readonly #waiters: Waiter[] = [];
  #text = "";
  #typing: Uint8Array[] = [];
  #commands = 0;

  /** Machines make theirs. */
  constructor(wires: GuestConsoleWires) {
    this.#wires = wires;
  }

  /**
   * Waits until the guest has printed what matches, and forgets everything up to its end. Rejects with ConfigError when the
   * run ends before, or after `timeoutMs`.
   */
  expect(
    pattern: RegExp | string,
    { timeoutMs = 60_000 }: { readonly timeoutMs?: number } = {},
  ): Promise<RegExpExecArray> {
    const source = typeof pattern === "string" ? RegExp.escape(pattern) : pattern.source;
    const flags = typeof pattern === "string" ? "" : pattern.flags.replaceAll(/[gy]/g, "");
    return new Promise((resolve, reject) => {
      const cancel = this.#wires.after(timeoutMs, () => waiter.fail(`nothing after ${timeoutMs} ms`));
      const leave = () => {
        cancel();
        const at = this.#waiters.indexOf(waiter);
        if (at >= 0) this.#waiters.splice(at, 1);
      };
      const waiter: Waiter = {
        pattern: new RegExp(source, flags),
        found: (match) => {
          leave();
          resolve(match);
        },
        fail: (why) => {
          leave();
          const seen = JSON.stringify(this.#text.slice(-SHOWN_CHARACTERS));
          reject(
            new ConfigError(`Cannot find ${String(pattern)} on the console: ${why}; it ends with ${seen}`),
          );
        },
      };
      this.#waiters.push(waiter);
      this.#match();
    });
  }

  /** Types `text`; what the guest does not take at once is typed later, in order. */
  type(text: string): void {
    this.#typing.push(new TextEncoder().encode(text));
    this.pump();
  }

  /** Runs one line on the shell that waits for input there. */
  async exec(command: string, options: { readonly timeoutMs?: number } = {}): Promise<ExecResult> {
    if (/[\r\n]/.test(command)) {
      throw new ConfigError("Cannot run a command of several lines: put ; between them");
    }
    const n = ++this.#commands;
    // in two parts: the shell echoes what is typed
    this.type(`printf 'XEN%s\\n' NER-${n}-; { ${command}; }; printf 'XEN%s %s\\n' NER-${n}= $?\n`);
    await this.expect(new RegExp(`XENNER-${n}-\r?\n`), options);
    const match = await this.expect(new RegExp(`([^]*?)XENNER-${n}= (\\d+)\r?\n`), options);
    return { status: Number(match[2]), output: (match[1] ?? "").replaceAll("\r\n", "\n") };
  }

  /**
   * The guest printed this.
   * @internal
   */
  printed(bytes: Uint8Array): void {
    this.#text = (this.#text + this.#decoder.decode(bytes, { stream: true })).slice(-KEPT_CHARACTERS);
    if (this.#waiters.length > 0) this.#match();
    this.pump();
  }
  /**
   * Types what waits.
   * @internal
   */
  pump(): void {
    for (let first = this.#typing[0]; first !== undefined; first = this.#typing[0]) {
      const rest = first.subarray(this.#wires.send(first));
      if (rest.length === 0) this.#typing.shift();
      else {
        this.#typing[0] = rest;
        return;
      }
    }
  }
  /**
   * The run has ended: nothing more comes.
   * @internal
   */
  ended(why: string): void {
    for (const waiter of [...this.#waiters]) waiter.fail(why);
  }

  /** One after the other: who waits first gets what comes first. */
  #match(): void {
    for (let waiter = this.#waiters[0]; waiter !== undefined; waiter = this.#waiters[0]) {
      const match = waiter.pattern.exec(this.#text);
      if (match === null) return;
      this.#text = this.#text.slice(match.index + match[0].length);
      waiter.found(match);
    }
  }
}
