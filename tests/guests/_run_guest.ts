// SPDX-License-Identifier: MIT
/** Runs a guest of our own in a machine whose time is the instruction count, under a limit. @module */
import { MiB } from "../../cpu/base/bits.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import type { EngineName } from "../../cpu/base/engine.ts";
import { Machine } from "../../devices/machine/machine.ts";
import type { ExitInfo, HostClock, MachineType, NetOptions } from "../../devices/machine/machine_options.ts";

/** RAM of the machine. */
export const RAM_BYTES = 16 * MiB;

/** What a run is made of. */
export interface GuestRun {
  readonly image: Uint8Array;
  readonly engine?: EngineName;
  readonly type?: MachineType;
  readonly hypercallPages?: 1 | 2;
  readonly nets?: readonly NetOptions[];
  /** Slices of the CPU before the guest counts as hung ("stopped"). Default 200: 40 million instructions. */
  readonly slices?: number;
  /** Called between slices; `console`: what the guest has printed so far. */
  readonly between?: (machine: Machine, console: string) => void;
  /** Called before the first instruction. */
  readonly prepare?: (machine: Machine) => void;
}

/** What came of it. */
export interface GuestResult {
  readonly exit: ExitInfo;
  readonly machine: Machine;
  /** What it printed on the PV console and by console_io. */
  readonly console: string;
  readonly warnings: readonly string[];
  u32(gpa: number): number;
}

/** Every look at the clock is 5 ms later than the one before: the machine then gives way after each slice. */
class CountingClock implements HostClock {
  #ns = 0;
  constructor(readonly onTurn: () => void) {}
  monotonicNs(): number {
    return this.#ns += 5_000_000;
  }
  unixSeconds(): number {
    return 1_700_000_000;
  }
  sleep(): Promise<void> {
    this.onTurn();
    return Promise.resolve();
  }
  breathe(): Promise<void> {
    this.onTurn();
    return Promise.resolve();
  }
}

/** Boots `image` and runs it until it ends, or until its slices are used up. */
export async function runGuest(run: GuestRun): Promise<GuestResult> {
  let console = "";
  let slices = run.slices ?? 200;
  const started: { machine?: Machine } = {};
  const clock = new CountingClock(() => {
    const { machine } = started;
    if (machine === undefined) return;
    if (--slices <= 0) machine.stop();
    else run.between?.(machine, console);
  });
  const warnings: string[] = [];
  const tracer = new Tracer();
  tracer.configure((category, message) => category === "warning" && warnings.push(message));
  const machine = await Machine.create({
    kernel: { name: "guest", bytes: run.image },
    clock,
    tracer,
    icount: true,
    noReboot: true,
    memoryBytes: RAM_BYTES,
    console: { output: (bytes) => console += String.fromCharCode(...bytes) },
    ...(run.engine && { engine: run.engine }),
    ...(run.type && { type: run.type }),
    ...(run.hypercallPages && { hypercallPages: run.hypercallPages }),
    ...(run.nets && { nets: run.nets }),
  });
  started.machine = machine;
  try {
    run.prepare?.(machine);
    const exit = await machine.run();
    const u32 = (gpa: number) => new DataView(machine.readMemory(gpa, 4).buffer).getUint32(0, true);
    return { exit, machine, console, warnings, u32 };
  } finally {
    machine.close();
  }
}
