// SPDX-License-Identifier: MIT
/**
 * A console of the guest as programs use it: wait for text, type, run a command on the shell that listens there, or read
 * and write it as Web Streams. What was printed and not waited for yet is kept, its last megabyte.
 * @module
 */
import { checkBytes, timeoutOf, wrong } from "../check_options.ts";
import { ConfigError } from "../../../cpu/base/assert.ts";
import { ConsoleReader } from "./console_reader.ts";

const KEPT_CHARACTERS = 1 << 20;
const SHOWN_CHARACTERS = 200;

/** What it is connected to. */
export interface GuestConsoleWires {
  /** Types; returns how many bytes were accepted. */
  send(bytes: Uint8Array): number;
  /** Calls `fn` after `ms`, unless the result is called before. */
  after(ms: number, fn: () => void): () => void;
  /** True: the guest stands still, for nobody reads what it prints; false: it goes on. */
  hold(held: boolean): void;
}

/** What a command of {@linkcode GuestConsole.exec} did. */
export interface ExecResult {
  /** Exit status. */
  readonly status: number;
  /** What the shell and its command printed, errors among it. */
  readonly output: string;
}

/** Bytes on their way to the guest. */
interface Typing {
  rest: Uint8Array;
  /** Told when the guest's side has taken all of it, or why it never will. */
  readonly done?: { resolve(): void; reject(why: unknown): void };
}

/** How soon what the guest had no room for is tried again, if nothing happens before. */
const RETRY_MS = 20;

interface Waiter {
  readonly pattern: RegExp;
  found(match: RegExpExecArray): void;
  fail(why: string): void;
}

/** How long is waited for text unless something else is said. */
const EXPECT_MS = 60_000;
/** Longest wait of a timer: longer ones would be over at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** Calls `fn` after `ms`, or after the longest time a timer takes; what is returned cancels it. */
export function afterMs(ms: number, fn: () => void): () => void {
  const timer = setTimeout(fn, Math.min(ms, LONGEST_MS));
  return () => clearTimeout(timer);
}

/**
 * A console of the guest: {@linkcode expect} waits for what it prints, {@linkcode type} types, {@linkcode exec} runs a command
 * on the shell that listens there; {@linkcode readable} and {@linkcode writable} are Web Streams, and it can be iterated
 * over: `for await (const bytes of machine.console)`. What was printed and not waited for yet is kept, its last megabyte.
 */
export class GuestConsole {
  readonly #wires: GuestConsoleWires;
  readonly #decoder = new TextDecoder();
  readonly #waiters: Waiter[] = [];
  #text = "";
  #typing: Typing[] = [];
  #cancelRetry: (() => void) | undefined;
  #commands = 0;
  #reader: ConsoleReader | undefined;
  #writable: WritableStream<Uint8Array | string> | undefined;
  /** Why nothing can be typed any more. */
  #closed: string | undefined;

  /** Machines make theirs. */
  constructor(wires: GuestConsoleWires) {
    this.#wires = wires;
  }

  /**
   * Waits until the guest has printed what matches, and forgets everything up to its end. Rejects with ConfigError when the
   * run ends before, or after `timeoutMs`.
   */
  async expect(
    pattern: RegExp | string,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<RegExpExecArray> {
    if (typeof pattern !== "string" && !(pattern instanceof RegExp)) {
      throw wrong("what to expect", pattern, "a string or a regular expression");
    }
    const timeoutMs = timeoutOf(options) ?? EXPECT_MS;
    if (this.#closed !== undefined) {
      throw new ConfigError(`Cannot find ${String(pattern)} on the console: ${this.#closed}`);
    }
    const source = typeof pattern === "string" ? RegExp.escape(pattern) : pattern.source;
    const flags = typeof pattern === "string" ? "" : pattern.flags.replaceAll(/[gy]/g, "");
    return await new Promise((resolve, reject) => {
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
    if (typeof text !== "string") throw wrong("what to type", text, "a string");
    if (this.#closed !== undefined) throw new ConfigError(`Cannot type: ${this.#closed}`);
    this.#typing.push({ rest: new TextEncoder().encode(text) });
    this.pump();
  }

  /**
   * What the guest prints from the first use on, as it comes. A reader that is slow holds the guest back, as with a pipe:
   * cancel the stream when nobody wants it any more. It ends when the guest or the machine does; then this is a new one.
   */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#reader ??= new ConsoleReader((held) => this.#wires.hold(held), (reader) => {
      if (this.#reader === reader) this.#reader = undefined;
    });
    if (this.#closed !== undefined) this.#reader.end();
    return this.#reader.stream;
  }

  /** What is typed, as bytes or text. A write is done when the guest's side has taken it: 64 KiB may wait there. */
  get writable(): WritableStream<Uint8Array | string> {
    return this.#writable ??= new WritableStream({
      write: (chunk) =>
        new Promise<void>((resolve, reject) => {
          if (this.#closed !== undefined) return reject(new ConfigError(`Cannot type: ${this.#closed}`));
          if (typeof chunk !== "string") checkBytes(chunk);
          const rest = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk.slice();
          this.#typing.push({ rest, done: { resolve, reject } });
          this.pump();
        }),
    });
  }

  /** {@linkcode readable}, chunk by chunk. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array<ArrayBuffer>> {
    return this.readable[Symbol.asyncIterator]();
  }

  /** Runs one line on the shell that waits for input there. */
  async exec(command: string, options: { readonly timeoutMs?: number } = {}): Promise<ExecResult> {
    if (typeof command !== "string") throw wrong("the command", command, "a string");
    if (/[\r\n]/.test(command)) {
      throw new ConfigError("Cannot run a command of several lines: put ; between them");
    }
    const n = ++this.#commands;
    timeoutOf(options); // before anything is typed
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
    this.#reader?.push(bytes);
    if (this.#waiters.length > 0) this.#match();
    if (this.#typing.length > 0) this.pump();
  }
  /**
   * Types what waits.
   * @internal
   */
  pump(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    for (let first = this.#typing[0]; first !== undefined; first = this.#typing[0]) {
      first.rest = first.rest.subarray(this.#wires.send(first.rest));
      if (first.rest.length > 0) { // perhaps the guest reads without printing anything
        this.#cancelRetry = this.#wires.after(RETRY_MS, () => this.pump());
        return;
      }
      this.#typing.shift();
      first.done?.resolve();
    }
  }
  /**
   * The run has ended: nothing more comes.
   * @internal
   */
  ended(why: string): void {
    for (const waiter of [...this.#waiters]) waiter.fail(why);
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }
  /**
   * The guest has ended: what it printed can be read to its end.
   * @internal
   */
  finished(): void {
    this.#reader?.end();
    this.#reader = undefined;
  }
  /**
   * The machine is closed: nothing can be typed any more.
   * @internal
   */
  close(why: string): void {
    this.#closed ??= why;
    this.ended(why);
    this.finished();
    for (const { done } of this.#typing.splice(0)) done?.reject(new ConfigError(`Cannot type: ${why}`));
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
