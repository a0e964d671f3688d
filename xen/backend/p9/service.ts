// SPDX-License-Identifier: MIT
/** What a 9P backend hands its messages to: a server, without its transport. @module */

/** A 9P server for one client. Messages are whole: size[4] type[1] tag[2] and so on. */
export interface P9Service {
  /** The guest may not write. */
  readonly readonly: boolean;
  /**
   * Answers one message; the next comes after the answer. Never throws, never rejects. Answers that come by a promise
   * are to requests that may be done twice. `limit`: bytes an answer may have.
   */
  handle(message: Uint8Array<ArrayBuffer>, limit: number): Uint8Array | Promise<Uint8Array>;
  /** The client has gone: forgets its fids. */
  reset(): void;
  /** The plain record of a snapshot. */
  save(): P9ServiceState;
  /** Restores what `save` gave; a file that is not where it was is stale. */
  restore(state: P9ServiceState): void;
  /** Lets go of everything. */
  close(): void;
}

/** What a snapshot keeps of a client. Files are the host's and not in it. */
export interface P9ServiceState {
  /** Negotiated; 0 before Tversion. */
  readonly msize: number;
  /** All of them, open or not. */
  readonly fids: readonly P9FidState[];
}

/** One fid. Names are byte strings. */
export interface P9FidState {
  /** Its number. */
  readonly fid: number;
  /** From the root of the share. */
  readonly path: readonly string[];
  /** Device and inode, to know it by. */
  readonly id: string;
  /** Who attached, by the guest's numbers; absent: nobody said. */
  readonly uid?: number;
  /** With what it was opened; absent when it is not open. */
  readonly flags?: number;
}
