// SPDX-License-Identifier: MIT
/** Listeners of a machine. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { PacketEvent } from "../../net/ends/observed_end.ts";
import type { HypercallEvent, HypercallRequest } from "../../xen/hypercalls/hypercalls.ts";
import type { ConsoleName } from "./consoles.ts";
import type { ExitInfo } from "./machine_options.ts";

/** Where the guest was when something happened. */
export interface Moment {
  /** Guest time: nanoseconds since power-on. */
  readonly guestNs: number;
  /** Number of the virtual CPU: 0, there is one. */
  readonly vcpu: number;
  /** Its instruction pointer: of the instruction that made it happen, or that comes next. */
  readonly rip: bigint;
}

/**
 * Events and what listeners get; the last is always the {@linkcode Moment}. Listeners are called at once, from within what
 * happens: what they throw ends the run. Hypercalls and packets cost nothing while nobody listens.
 */
export interface MachineEvents {
  /** Bytes the guest printed; `which` is "serial", "console" or "debug". Copy them if you keep them. */
  console: (bytes: Uint8Array, which: ConsoleName, at: Moment) => void;
  /** The run has ended. */
  shutdown: (info: ExitInfo, at: Moment) => void;
  /** The guest was reset, and begins anew: it asked for that, or somebody did. `count`: the how many-th time. */
  reboot: (count: number, at: Moment) => void;
  /** The guest made a hypercall. */
  hypercall: (event: HypercallEvent, at: Moment) => void;
  /** A frame passed between the guest and what one of its interfaces is connected to. */
  packet: (event: PacketEvent, at: Moment) => void;
}

/**
 * Asked before every hypercall of the guest's kernel: a whole number is the guest's answer, and Xen does not see the call;
 * undefined leaves it to Xen. A long call that is continued is asked about each time.
 */
export type HypercallHook = (request: HypercallRequest, at: Moment) => number | undefined;

/** Names of all events. */
const EVENTS: readonly (keyof MachineEvents)[] = [
  "console",
  "shutdown",
  "reboot",
  "hypercall",
  "packet",
];

/** Throws ConfigError for an event that there is not, and for a listener that cannot be called. */
export function checkListener(event: unknown, listener: unknown): void {
  if (!EVENTS.some((known) => known === event)) {
    throw new ConfigError(`Cannot listen to ${JSON.stringify(event)}: there are ${EVENTS.join(", ")}`);
  }
  if (typeof listener === "function") return;
  throw new ConfigError(`Cannot listen to "${event}": the listener is no function`);
}

/** Who listens to what. */
export class Listeners {
  readonly #sets = new Map<keyof MachineEvents, Set<(...args: never[]) => void>>();

  /** `changed` is called after each change. */
  constructor(readonly changed: (event: keyof MachineEvents) => void) {}

  /** Adds a listener; the result removes it. */
  add<E extends keyof MachineEvents>(event: E, listener: MachineEvents[E]): () => void {
    let set = this.#sets.get(event);
    if (set === undefined) this.#sets.set(event, set = new Set());
    const entry = listener as (...args: never[]) => void;
    set.add(entry);
    this.changed(event);
    return () => {
      set.delete(entry);
      this.changed(event);
    };
  }
  /** True when somebody listens. */
  has(event: keyof MachineEvents): boolean {
    return (this.#sets.get(event)?.size ?? 0) > 0;
  }
  emit<E extends keyof MachineEvents>(event: E, ...args: Parameters<MachineEvents[E]>): void {
    const set = this.#sets.get(event);
    if (set === undefined) return;
    for (const listener of set) (listener as (...args: unknown[]) => void)(...args);
  }
}
