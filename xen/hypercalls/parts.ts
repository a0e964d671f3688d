// SPDX-License-Identifier: MIT
/** The parts of the platform that hypercalls work on, and what a hypercall is. @module */
import type { Clock } from "../../cpu/base/clock.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import type { EventChannels } from "../events/event_channels.ts";
import type { GrantTable } from "../memory/grant_table.ts";
import type { GuestCall } from "./guest_call.ts";
import type { GuestMemoryMap } from "../memory/memory_map.ts";
import type { HvmParams } from "./hvm_params.ts";
import type { Physmap } from "../memory/physmap.ts";
import type { Scheduler } from "../time/scheduler.ts";
import type { SharedInfo } from "../memory/shared_info.ts";
import type { XenTimers } from "../time/timers.ts";
import type { Upcall } from "../events/upcall.ts";

/** What the guest is told about the hypervisor. */
export interface VersionInfo {
  readonly major: number;
  readonly minor: number;
  /** What follows the minor number, such as ".0". */
  readonly extra: string;
  /** The domain's UUID, 16 bytes. */
  readonly uuid: Uint8Array;
}

/** See the module's description. */
export interface XenParts {
  readonly domid: number;
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly version: VersionInfo;
  readonly memoryMap: GuestMemoryMap;
  readonly physmap: Physmap;
  readonly shared: SharedInfo;
  readonly upcall: Upcall;
  readonly events: EventChannels;
  readonly grants: GrantTable;
  readonly params: HvmParams;
  readonly timers: XenTimers;
  readonly scheduler: Scheduler;
  /** Bytes the guest wrote to the hypervisor's console; valid during the call only. */
  consoleWrite(bytes: Uint8Array): void;
  /** True when some other interrupt waits for the vCPU (interrupt controllers). */
  interruptPending(): boolean;
  /** Raises an NMI; false when the machine cannot. */
  sendNmi(): boolean;
  /** The guest asked for SHUTDOWN_* `reason`. True: it stops; false: it goes on (suspend cancelled). */
  shutdown(reason: number): boolean;
}

/** One hypercall: its number is where it stands in the table. */
export interface Hypercall {
  /** As in `__HYPERVISOR_<name>`. */
  readonly name: string;
  /** Names of the first argument's values, for traces. */
  readonly operations?: readonly (string | undefined)[];
  /** Returns what the guest gets in EAX or RAX: an integer; negative numbers are errors. */
  run(call: GuestCall): number;
}
