// SPDX-License-Identifier: MIT
/**
 * The PV console of a guest: one page with a ring each way. Rules: Xen public/io/console.h. Indices run freely;
 * when the guest makes them disagree by more than a ring holds, what is pending in that direction is skipped, as
 * xenconsoled does, and the console goes on.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import { XENCONS_IN_SIZE, xencons_interface, XENCONS_OUT_SIZE } from "../public/io/console.ts";

const AT = xencons_interface.at;

/** Input that may wait for the guest to make room. */
export const CONSOLE_INPUT_LIMIT = 64 * 1024;

/** What a console is connected to. */
export interface ConsoleWires {
  /** The guest's page, live. */
  readonly page: Uint8Array;
  /** Raises the guest's console event. */
  readonly notify: () => void;
  /** Takes what the guest prints; the bytes are the callee's. */
  readonly output: (bytes: Uint8Array) => void;
  readonly tracer?: Tracer;
}

/** What a snapshot keeps of a console besides its page. */
export interface ConsoleState {
  /** Input that waits for room in the ring. */
  readonly input: Uint8Array;
}

/** See the module's description. */
export class ConsoleBackend {
  readonly #view: DataView;
  #input: number[] = [];

  /** Leaves the page as it is: the guest may have printed already. */
  constructor(readonly wires: ConsoleWires) {
    const { page } = wires;
    this.#view = new DataView(page.buffer, page.byteOffset, PAGE_SIZE);
  }

  /** Bytes of input that wait for room in the ring. */
  get pendingInput(): number {
    return this.#input.length;
  }

  /** The guest sent an event: takes its output, and gives it input that waited for room. */
  onEvent(): void {
    const took = this.#takeOutput();
    const gave = this.#giveInput();
    if (took || gave) this.wires.notify();
  }

  /** Input for the guest. Returns how many bytes were accepted; fewer when the guest does not read. */
  send(bytes: Uint8Array): number {
    const n = Math.min(bytes.length, CONSOLE_INPUT_LIMIT - this.#input.length);
    for (let i = 0; i < n; i++) this.#input.push(bytes[i] as number);
    if (this.#giveInput()) this.wires.notify();
    return n;
  }

  /** Forgets the input that waits; the page is its owner's. */
  reset(): void {
    this.#input = [];
  }

  /** The plain record of a snapshot; the page is saved where it is. */
  save(): ConsoleState {
    return { input: Uint8Array.from(this.#input) };
  }

  /** Restores what `save` gave. */
  restore(state: ConsoleState): void {
    this.#input = [...state.input];
  }

  #takeOutput(): boolean {
    const view = this.#view;
    const cons = view.getUint32(AT.out_cons, true);
    const prod = view.getUint32(AT.out_prod, true);
    const n = (prod - cons) >>> 0;
    if (n === 0) return false;
    if (n > XENCONS_OUT_SIZE) {
      this.wires.tracer?.warnOnce("console.overrun", "console: output index beyond the ring, output skipped");
    } else {
      const bytes = new Uint8Array(n);
      for (let i = 0; i < n; i++) bytes[i] = view.getUint8(AT.out + ((cons + i) & (XENCONS_OUT_SIZE - 1)));
      this.wires.output(bytes);
    }
    view.setUint32(AT.out_cons, prod, true);
    return true;
  }

  #giveInput(): boolean {
    if (this.#input.length === 0) return false;
    const view = this.#view;
    const prod = view.getUint32(AT.in_prod, true);
    const used = (prod - view.getUint32(AT.in_cons, true)) >>> 0;
    if (used > XENCONS_IN_SIZE) {
      this.wires.tracer?.warnOnce("console.input", "console: input index beyond the ring, input waits");
      return false;
    }
    const n = Math.min(XENCONS_IN_SIZE - used, this.#input.length);
    if (n === 0) return false;
    for (let i = 0; i < n; i++) {
      view.setUint8(AT.in + ((prod + i) & (XENCONS_IN_SIZE - 1)), this.#input[i] as number);
    }
    this.#input = this.#input.slice(n);
    view.setUint32(AT.in_prod, prod + n, true);
    return true;
  }
}
