// SPDX-License-Identifier: MIT
/** Runs a guest of our own in a machine whose time is the instruction count, under a limit. @module */
import { MiB } from "../../cpu/base/bits.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import type { EngineName } from "../../cpu/base/engine.ts";
import { Machine } from "../../devices/machine/machine.ts";
import type {
  ExitInfo,
  HostClock,
  MachineOptions,
  MachineType,
  NetOptions,
} from "../../devices/machine/machine_options.ts";

/** RAM of the machine. */
export const RAM_BYTES = 16 * MiB;

/** A slice under KVM is a matter of time, however much of that the guest gets: so many for each. */
const KVM_SLICES = 20;
/** And between two saves, of which there are to be some however quick the host is. */
const KVM_SLICES_SAVED = 4;

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
  /** After every so many slices the machine is saved, and a new one goes on from there. */
  readonly saveEvery?: number;
  /** Called before the first instruction. */
  readonly prepare?: (machine: Machine) => void;
}

/** What came of it. */
export interface GuestResult {
  readonly exit: ExitInfo;
  readonly machine: Machine;
  /** What it printed on the PV console and by console_io. */
  readonly console: string;
  /** What it printed on port 0xe9. */
  readonly debug: string;
  /** Machines that were saved. */
  readonly saves: number;
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
  let debug = "";
  let slices = (run.slices ?? 200) * (run.engine === "kvm" ? KVM_SLICES : 1);
  const saveEvery = (run.saveEvery ?? Infinity) * (run.engine === "kvm" ? KVM_SLICES_SAVED : 1);
  let untilSave = saveEvery;
  let saving = false;
  let saves = 0;
  const started: { machine?: Machine } = {};
  const clock = new CountingClock(() => {
    const { machine } = started;
    if (machine === undefined) return;
    if (--slices <= 0) return machine.stop();
    run.between?.(machine, console);
    if (--untilSave > 0) return;
    untilSave = saveEvery;
    saving = true;
    machine.stop();
  });
  const warnings: string[] = [];
  const tracer = new Tracer();
  tracer.configure((category, message) => category === "warning" && warnings.push(message));
  const options: MachineOptions = {
    kernel: { name: "guest", bytes: run.image },
    clock,
    tracer,
    icount: run.engine !== "kvm", // which counts none
    noReboot: true,
    memoryBytes: RAM_BYTES,
    console: { output: (bytes) => console += String.fromCharCode(...bytes) },
    ...(run.engine && { engine: run.engine }),
    ...(run.type && { type: run.type }),
    ...(run.hypercallPages && { hypercallPages: run.hypercallPages }),
    ...(run.nets && { nets: run.nets }),
  };
  const make = async () => {
    const made = await Machine.create(options);
    made.on("console", (bytes, which) => {
      if (which === "debug") debug += String.fromCharCode(...bytes);
    });
    return started.machine = made;
  };
  let machine = await make();
  try {
    run.prepare?.(machine);
    let exit = await machine.run();
    while (saving && exit.reason === "stopped") {
      saving = false;
      saves++;
      const snapshot = structuredClone(machine.save());
      machine = await make(); // the old one keeps nothing but the network ends, which are the new one's
      machine.restore(snapshot);
      exit = await machine.run();
    }
    const last = machine;
    const u32 = (gpa: number) => new DataView(last.readMemory(gpa, 4).buffer).getUint32(0, true);
    return { exit, machine, console, debug, saves, warnings, u32 };
  } finally {
    machine.close();
  }
}
