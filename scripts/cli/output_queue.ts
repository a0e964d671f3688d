// SPDX-License-Identifier: MIT
/**
 * Bytes on their way out to something that may be slow, full or gone: never blocks the machine. What is more than the
 * limit is dropped, and counted.
 * @module
 */

/** Where bytes go; Deno.stdout, or a file. */
export interface ByteWriter {
  write(bytes: Uint8Array): Promise<number>;
}

/** See the module's description. */
export class OutputQueue {
  /** Bytes dropped because the reader is too slow. */
  dropped = 0;
  #pending: Uint8Array[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #failed = false;

  /** `onFailure` is told once, when writing fails (as when the reader has gone). */
  constructor(
    readonly writer: ByteWriter,
    readonly onFailure: (error: unknown) => void,
    readonly limitBytes = 16 << 20,
  ) {}

  /** Takes a copy of `bytes`. */
  push(bytes: Uint8Array): void {
    if (this.#failed || bytes.length === 0) return;
    if (this.#bytes + bytes.length > this.limitBytes) {
      this.dropped += bytes.length;
      return;
    }
    this.#pending.push(bytes.slice());
    this.#bytes += bytes.length;
    this.#writing ??= this.#write();
  }

  /** Resolves when everything is out, or writing has failed. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #write(): Promise<void> {
    try {
      await Promise.resolve(); // so that what is printed in one go is written in one go
      while (this.#pending.length > 0) {
        const bytes = concat(this.#pending.splice(0), this.#bytes);
        this.#bytes = 0;
        for (let at = 0; at < bytes.length;) at += await this.writer.write(bytes.subarray(at));
      }
    } catch (error) {
      this.#failed = true;
      this.#pending = [];
      this.#bytes = 0;
      this.onFailure(error);
    } finally {
      this.#writing = undefined;
    }
  }
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
