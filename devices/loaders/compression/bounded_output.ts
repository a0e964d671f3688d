// SPDX-License-Identifier: MIT
/** Output that comes piece by piece, of unknown length, but never more than a limit. @module */
import { ConfigError } from "../../../cpu/base/assert.ts";

/** See the module's description. */
export class BoundedOutput {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** `why`: the message of the error for more than `limit` bytes. */
  constructor(readonly limit: number, readonly why = `more than ${limit} bytes of output`) {}

  /** Takes a copy of `part`; throws ConfigError when it is too much. */
  push(part: Uint8Array): void {
    if (part.length > this.limit - this.#length) {
      throw new ConfigError(this.why);
    }
    this.#parts.push(part.slice());
    this.#length += part.length;
  }

  /** Everything so far. */
  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
