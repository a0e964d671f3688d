// SPDX-License-Identifier: MIT
/** What a guest prints as a Web Stream that holds the guest back while nobody reads. @module */

/** So much may wait for the reader. */
const HIGH_WATER_BYTES = 64 * 1024;

/** See the module's description. */
export class ConsoleReader {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #held = false;

  /** `hold`: whether the guest is to stand still. `left`: nobody reads any more. */
  constructor(readonly hold: (held: boolean) => void, readonly left: (reader: ConsoleReader) => void) {
    this.stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#setHeld(false),
      cancel: () => {
        this.#controller = undefined;
        this.#setHeld(false);
        this.left(this);
      },
    }, {
      highWaterMark: HIGH_WATER_BYTES,
      size: (chunk) => chunk?.length ?? 0,
    });
  }

  /** The guest printed this. */
  push(bytes: Uint8Array): void {
    const controller = this.#controller;
    if (controller === undefined || bytes.length === 0) return;
    controller.enqueue(bytes.slice() as Uint8Array<ArrayBuffer>);
    this.#setHeld((controller.desiredSize ?? 0) <= 0);
  }

  /** Nothing more comes. */
  end(): void {
    this.#controller?.close();
    this.#controller = undefined;
    this.#setHeld(false);
  }

  #setHeld(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    this.hold(held);
  }
}
