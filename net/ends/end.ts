// SPDX-License-Identifier: MIT
/**
 * What carries a guest's frames outside: a {@linkcode NetEnd} (TAP, hub port, none, …), and what takes the
 * frames that come from there: a {@linkcode FrameReceiver} (netback, or the responder). Wrappers such as the
 * pcapng capture are both.
 *
 * Sending pushes. Receiving is polled and has back-pressure: the end asks for room first, and while there is none it
 * leaves frames where they are (in the TAP's queue, where the host's stack sees them). Nothing here blocks.
 * @module
 */
import type { Frame, FrameState } from "../frames/frame.ts";

export * from "../frames/frame.ts";
export * from "../frames/offloads.ts";

/** Takes frames from an end. */
export interface FrameReceiver {
  /** OFFLOAD_* it can take. Call `receiverChanged` of the end when it changes. */
  readonly accepts: number;
  /**
   * Room for the next frame: writable slices in which an end may put its first bytes (possibly none, then the end
   * uses a buffer of its own), or undefined when there is no room: then stop reading. Valid until the next call
   * of the receiver; asking again without delivering is harmless.
   */
  window(): readonly Uint8Array[] | undefined;
  /**
   * Takes one frame that fits `accepts`, copying what it keeps. The first `inPlace` bytes already lie in the window,
   * in order (0: no window was asked for). False: no room for it after all; nothing was taken (and the window's
   * content is scratch), try again later.
   */
  deliver(frame: Frame, inPlace: number): boolean;
  /** After a batch of deliveries: the time to notify. */
  flush(): void;
}

/** What a snapshot keeps of an end: frames that it took off the wire and that wait for room at the receiver. */
export interface EndState {
  /** Oldest first. */
  readonly waiting: readonly FrameState[];
}

/** A host end of a network device. */
export interface NetEnd {
  /** For messages: "tap0", "hub". */
  readonly name: string;
  /**
   * True while what it stands for is not there: a TAP that was deleted, a port that was unplugged. It may come back, which
   * `poll` finds out. Absent: never.
   */
  readonly gone?: boolean;
  /** OFFLOAD_* that `send` takes as they are; the sender makes frames fit with `conform` of gso.ts. */
  readonly offloads: number;
  /** Sends one frame. False when it was dropped, for whatever reason: the sender counts and goes on. */
  send(frame: Frame): boolean;
  /** Chooses who gets incoming frames; without one they are dropped. What arrived earlier is dropped too. */
  attach(receiver: FrameReceiver | undefined): void;
  /** To be called when the receiver's `accepts` has changed. */
  receiverChanged(): void;
  /**
   * Delivers what has arrived, as far as the receiver has room; returns how many frames. Never blocks. `idle`, the default:
   * the receiver has nothing else to do, so what could wait for more of its like comes now.
   */
  poll(idle?: boolean): number;
  /** File descriptor to sleep on until poll() would find something; -1: none, or no use now (no room). */
  pollFd(): number;
  /** For ends whose frames come by no descriptor: what to call when poll() would find something. */
  wakeWith?(wake: () => void): void;
  /** What was sent last wants no answer soon: there is no hurry to poll. Absent: it may. */
  readonly unhurried?: boolean;
  /** No frames ever come from it. Absent: they may. */
  readonly silent?: boolean;
  /** It waits for something outside: time that a machine makes up (icount) passes no faster than the host's meanwhile. */
  readonly awaiting?: boolean;
  /** The plain record of a snapshot. An end that keeps no frames has none. */
  save?(): EndState;
  /** Restores what an end, perhaps of another kind, has saved. Call it after `attach`, which drops what waits. */
  restore?(state: EndState): void;
  /** Lets go of everything; the end is of no use then. */
  close(): void;
}

/** Connects two ends: what comes in at one goes out at the other. Poll both. */
export function crossConnect(a: NetEnd, b: NetEnd): void {
  a.attach(forwarder(b));
  b.attach(forwarder(a));
}

function forwarder(to: NetEnd): FrameReceiver {
  const anywhere: Uint8Array[] = [];
  return {
    get accepts() {
      return to.offloads;
    },
    window: () => anywhere,
    deliver(frame) {
      to.send(frame); // a drop is counted there; there is nothing to push back on
      return true;
    },
    flush() {},
  };
}
