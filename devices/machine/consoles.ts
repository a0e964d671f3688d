// SPDX-License-Identifier: MIT
/** What the guest prints and what is typed: first serial port, PV console, debug port. @module */
import { KiB } from "../../cpu/base/bits.ts";
import type { Uart16550 } from "../legacy/uart16550.ts";

/** Bytes typed at the serial port that may wait for the guest. */
const SERIAL_INPUT_BYTES = 64 * KiB;

/** Where bytes come from. */
export type ConsoleName = "serial" | "console" | "debug";

/** See the module's description. Single bytes are gathered until `flush`. */
export class Consoles {
  #serial: number[] = [];
  #debug: number[] = [];
  #input = new Uint8Array();

  /** `print` gets what is complete; bytes are valid during the call. */
  constructor(readonly print: (bytes: Uint8Array, which: ConsoleName) => void) {}

  serial(byte: number): void {
    this.#serial.push(byte);
  }
  debug(byte: number): void {
    this.#debug.push(byte);
  }
  flush(): void {
    if (this.#serial.length > 0) this.print(Uint8Array.from(this.#serial.splice(0)), "serial");
    if (this.#debug.length > 0) this.print(Uint8Array.from(this.#debug.splice(0)), "debug");
  }

  /** Gives the UART what it has room for. */
  feed(uart: Uart16550): void {
    if (this.#input.length > 0) this.#input = this.#input.subarray(uart.receive(this.#input));
  }
  /** Types at the serial port; returns how many bytes were accepted. */
  type(bytes: Uint8Array): number {
    const waiting = this.#input;
    const accepted = bytes.subarray(0, SERIAL_INPUT_BYTES - waiting.length);
    if (accepted.length === 0) return 0;
    const both = new Uint8Array(waiting.length + accepted.length);
    both.set(waiting);
    both.set(accepted, waiting.length);
    this.#input = both;
    return accepted.length;
  }

  /** What was typed and has not reached the guest. */
  save(): Uint8Array {
    return this.#input.slice();
  }
  restore(input: Uint8Array): void {
    this.#input = input.slice();
  }
}
