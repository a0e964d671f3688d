// SPDX-License-Identifier: MIT
/** What the protocols of a user network see of the guest's interface. @module */
import type { Frame } from "../end.ts";
import type { TcpTuple } from "./tcp/tcp_connection.ts";

/** MTU of the guest's side. */
export const MTU = 1500;

/** The guest's interface, as the protocols see it. */
export interface UserLink {
  /** OFFLOAD_* of the guest. */
  readonly accepts: number;
  /** Sends now; false: there is no room, nothing was sent. */
  deliver(frame: Frame): boolean;
  /** Sends now or as soon as there is room; with too much waiting it is dropped. */
  post(frame: Frame): void;
  /** Something has to be done soon. */
  wake(): void;
  /** Something has to be done at `ms`. */
  timer(ms: number): void;
  count(what: string): void;
  /** The guest's packet cannot get where it should. */
  unreachable(tuple: TcpTuple, mac: Uint8Array, seq: number): void;
  /** The guest's address on the link; undefined: it was asked for. */
  resolve(guest: Uint8Array): Uint8Array | undefined;
}
