// SPDX-License-Identifier: MIT
/**
 * The user's terminal as the guest's: raw while the machine runs, put back on every way out of the program. What is
 * typed goes to the guest, but for the Ctrl-A keys; input that is no terminal goes there as it is.
 * @module
 */
import { ESCAPE_HELP, type EscapeAction, EscapeKeys } from "./escape_keys.ts";

/** How many typed bytes wait for a guest that does not read. */
const MAX_WAITING_BYTES = 64 * 1024;
const RETRY_MS = 10;
const CHUNK_BYTES = 4096;
/** Ways out of the program that pass no `finally`. */
const LAST_EVENTS = ["unload", "error", "unhandledrejection"] as const;

/** What the terminal needs of the machine. */
export interface TerminalWires {
  /** Types at the guest; returns how many bytes it took. */
  send(bytes: Uint8Array): number;
  quit(): void;
  /** Typing goes to the next console; returns its name. */
  switchConsole(): string;
  /** Prints on the terminal. */
  print(text: string): void;
  /** The terminal has this size: at first, and whenever it changes. */
  resized(columns: number, rows: number): void;
}

/** Standard input, connected to a guest. */
export class Terminal {
  readonly #wires: TerminalWires;
  readonly #interactive = Deno.stdin.isTerminal();
  readonly #keys = new EscapeKeys();
  #raw = false;
  #closed = false;
  #waiting: Uint8Array = new Uint8Array(0);
  readonly #onLastEvent = () => this.restore();

  constructor(wires: TerminalWires) {
    this.#wires = wires;
    if (this.#interactive) {
      Deno.stdin.setRaw(true);
      this.#raw = true;
      for (const event of LAST_EVENTS) globalThis.addEventListener(event, this.#onLastEvent);
      this.#measure();
      this.#watchSize(true);
    }
    void this.#read();
  }

  /** Puts the terminal back; harmless when it is. */
  restore(): void {
    this.#closed = true;
    for (const event of LAST_EVENTS) globalThis.removeEventListener(event, this.#onLastEvent);
    if (!this.#raw) return;
    this.#raw = false;
    this.#watchSize(false);
    try {
      Deno.stdin.setRaw(false);
    } catch {
      // the terminal has gone: there is nothing to put back
    }
  }

  readonly #measure = (): void => {
    try {
      const { columns, rows } = Deno.consoleSize();
      this.#wires.resized(columns, rows);
    } catch {
      // what is printed goes elsewhere, or the terminal does not know
    }
  };

  #watchSize(on: boolean): void {
    try {
      if (on) Deno.addSignalListener("SIGWINCH", this.#measure);
      else Deno.removeSignalListener("SIGWINCH", this.#measure);
    } catch {
      // not on this system
    }
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(CHUNK_BYTES);
    while (!this.#closed) {
      let count: number | null;
      try {
        count = await Deno.stdin.read(buffer);
      } catch {
        return; // the terminal has gone: the guest goes on without input
      }
      if (count === null || this.#closed) return;
      const bytes = buffer.slice(0, count);
      if (this.#interactive) {
        for (let at = 0; at < bytes.length && !this.#closed; at++) { // one by one: keys act where they stand
          const { data, actions } = this.#keys.feed(bytes.subarray(at, at + 1));
          if (data.length > 0) this.#queue(data);
          for (const action of actions) this.#act(action);
          if (actions.includes("quit")) break; // what follows is nobody's
        }
      } else {
        this.#queue(bytes);
        while (this.#waiting.length > 0 && !this.#closed) {
          await new Promise((done) => setTimeout(done, RETRY_MS));
        }
      }
    }
  }

  #act(action: EscapeAction): void {
    switch (action) {
      case "quit":
        return this.#wires.quit();
      case "help":
        return this.#wires.print(ESCAPE_HELP);
      case "switch":
        this.#waiting = new Uint8Array(0); // it was not for the other one
        return this.#wires.print(`\r\nxenner: typing goes to ${this.#wires.switchConsole()}\r\n`);
    }
  }

  #queue(bytes: Uint8Array): void {
    if (this.#waiting.length > 0) {
      const room = Math.max(0, MAX_WAITING_BYTES - this.#waiting.length);
      const more = new Uint8Array(this.#waiting.length + Math.min(room, bytes.length));
      more.set(this.#waiting);
      more.set(bytes.subarray(0, room), this.#waiting.length);
      this.#waiting = more; // and the retry is under way
      return;
    }
    this.#waiting = bytes;
    this.#send();
  }

  #send(): void {
    if (this.#closed || this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.subarray(this.#wires.send(this.#waiting));
    if (this.#waiting.length > 0) setTimeout(() => this.#send(), RETRY_MS);
  }
}
