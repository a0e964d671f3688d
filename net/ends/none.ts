// SPDX-License-Identifier: MIT
/** A network end with no cable: swallows what is sent, never receives. @module */
import type { FrameReceiver, NetEnd } from "./end.ts";
import { OFFLOAD_ALL } from "./end.ts";
import type { Frame } from "../frames/frame.ts";

/** See the module's description. */
export class NoneEnd implements NetEnd {
  readonly name = "none";
  readonly silent = true;
  /** Nobody looks, so nothing needs to be finished. */
  readonly offloads = OFFLOAD_ALL;

  send(_frame: Frame): boolean {
    return true;
  }
  attach(_receiver: FrameReceiver | undefined): void {}
  receiverChanged(): void {}
  poll(): number {
    return 0;
  }
  pollFd(): number {
    return -1;
  }
  close(): void {}
}
