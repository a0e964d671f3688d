// SPDX-License-Identifier: MIT
/**
 * A machine in one plain record: it survives structured cloning, and says by itself what it is. Host ends, consoles and
 * files are not in it; a machine made the same way is, and goes on with its own.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { MachineType } from "./machine_options.ts";

const FORMAT = "xenner-machine";
/** Of the record below with all that is in it. */
const VERSION = 5;

/** See the module's description. */
export interface MachineSnapshot {
  /** "xenner-machine". */
  readonly format: string;
  /** Of the record and all that is in it. */
  readonly version: number;
  /** hvm or pvh. */
  readonly type: MachineType;
  /** It started with a BIOS, and has what such a machine has. */
  readonly bios: boolean;
  /** Its processor: model and vendor. */
  readonly cpu: string;
  /** Bytes of RAM. */
  readonly memoryBytes: number;
  /** Number of network interfaces. */
  readonly nets: number;
  /** Number of disks. What is on them is not in the snapshot. */
  readonly disks: number;
  /** Number of shared folders. What is in them is not in the snapshot. */
  readonly shares: number;
  /** Instructions executed since the first power-on. */
  readonly instructions: number;
  /** RAM, CPU, chips, Xen: for the program that made it. */
  readonly board: unknown;
  /** Typed at the serial port, not yet read. */
  readonly serialInput: Uint8Array;
}

/** What a machine and a snapshot must have in common. */
export type SnapshotKind = Pick<
  MachineSnapshot,
  "type" | "bios" | "cpu" | "memoryBytes" | "nets" | "disks" | "shares"
>;

/** Puts a record together. */
export function makeSnapshot(
  kind: SnapshotKind,
  content: Pick<MachineSnapshot, "instructions" | "board" | "serialInput">,
): MachineSnapshot {
  return { format: FORMAT, version: VERSION, ...kind, ...content };
}

/** Throws ConfigError unless `snapshot` can be loaded into a machine of `kind`. */
export function checkSnapshot(snapshot: MachineSnapshot, kind: SnapshotKind): void {
  const refuse = (why: string): never => {
    throw new ConfigError(`Cannot restore the snapshot: ${why}`);
  };
  if (snapshot?.format !== FORMAT) refuse("it is none");
  if (snapshot.version !== VERSION) {
    refuse(`it has version ${snapshot.version}, this program reads ${VERSION}`);
  }
  for (const name of ["type", "bios", "cpu", "memoryBytes", "nets", "disks", "shares"] as const) {
    if (snapshot[name] === kind[name]) continue;
    refuse(`it was made with ${name} ${snapshot[name]}, this machine has ${kind[name]}`);
  }
}
