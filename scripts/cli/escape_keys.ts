// SPDX-License-Identifier: MIT
/** Ctrl-A keys, as QEMU's -nographic has them: taken out of what the user types. @module */

const CTRL_A = 0x01;

/** What the user asked for. */
export type EscapeAction = "quit" | "help" | "switch";

/** What Ctrl-A h prints. */
export const ESCAPE_HELP =
  "\r\nCtrl-A h       this help\r\nCtrl-A x       quit\r\nCtrl-A c       type at the other console\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n";

/** Splits typed bytes into those for the guest and those for us; a sequence may span calls. */
export class EscapeKeys {
  #armed = false;

  /** What of `bytes` is for the guest, and what the user asked for. Nothing after "quit" counts. */
  feed(bytes: Uint8Array): { readonly data: Uint8Array; readonly actions: readonly EscapeAction[] } {
    const data: number[] = [];
    const actions: EscapeAction[] = [];
    for (const byte of bytes) {
      if (!this.#armed) {
        if (byte === CTRL_A) this.#armed = true;
        else data.push(byte);
        continue;
      }
      this.#armed = false;
      switch (byte) {
        case CTRL_A:
        case 0x61: // a
          data.push(CTRL_A);
          break;
        case 0x78: // x
        case 0x58:
          actions.push("quit");
          return { data: Uint8Array.from(data), actions };
        case 0x63: // c
        case 0x43:
          actions.push("switch");
          break;
        case 0x68: // h
        case 0x3f: // ?
          actions.push("help");
          break;
        default: // unknown: nothing, as QEMU does
      }
    }
    return { data: Uint8Array.from(data), actions };
  }
}
