// SPDX-License-Identifier: MIT
/** What a machine in a worker and who made it say to each other. @module */
import { ConfigError, type ConfigErrorKind } from "../../../cpu/base/assert.ts";
import type { CreateOptions, NetCommon, NetSpec } from "../create_options.ts";
import type { MachineEvents } from "../machine.ts";

/** An interface that may pass between threads: a hub's port is a MessagePort, a capture a flag. */
export type WorkerNet =
  & { readonly common: Omit<NetCommon, "capture">; readonly captured: boolean }
  & ({ readonly port: MessagePort } | { readonly spec: NetSpec });

/** Options that may pass. */
export interface WorkerOptions {
  readonly plain: Omit<CreateOptions, "nets" | "serial" | "console" | "tracer" | "clock">;
  readonly nets: readonly WorkerNet[];
}

/** To the worker. A call of the machine has its method's name; of its xenstore "xenstore.read". */
export type ToWorker =
  | { readonly kind: "create"; readonly options: WorkerOptions }
  | { readonly kind: "call"; readonly id: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly kind: "listen"; readonly event: keyof MachineEvents; readonly on: boolean };

/** From the worker. */
export type FromWorker =
  | { readonly kind: "created"; readonly type: "hvm" | "pvh" }
  | { readonly kind: "result"; readonly id: number; readonly value: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: ErrorRecord }
  | { readonly kind: "event"; readonly event: keyof MachineEvents; readonly args: readonly unknown[] }
  | { readonly kind: "captured"; readonly net: number; readonly block: Uint8Array<ArrayBuffer> }
  | { readonly kind: "watched"; readonly watch: number; readonly path: string };

/** An error that passes; classes do not. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly config?: ConfigErrorKind;
}

/** For the way over. */
export function recordError(error: unknown): ErrorRecord {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { name, message, ...(error instanceof ConfigError && { config: error.kind }) };
}

/** On the other side. */
export function errorOf({ name, message, config }: ErrorRecord): Error {
  if (config !== undefined) return new ConfigError(message, config);
  const error = name === "RangeError" ? new RangeError(message) : new Error(message);
  error.name = name;
  return error;
}
