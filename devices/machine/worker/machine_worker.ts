// SPDX-License-Identifier: MIT
/** The worker's side of a machine with `worker: true`: makes it, calls its methods, tells of its events. @module */
import { ConfigError } from "../../../cpu/base/assert.ts";
import { PortEnd } from "../../../net/ends/port_end.ts";
import { createMachine } from "../create_machine.ts";
import type { NetSpec } from "../create_options.ts";
import type { Machine, MachineEvents } from "../machine.ts";
import {
  type FromWorker,
  recordError,
  type ToWorker,
  type WorkerNet,
  type WorkerOptions,
} from "./messages.ts";

/** This thread, as workers see it. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
}
const scope = globalThis as unknown as WorkerScope;

/** Methods of the machine that may be called from outside; their arguments and results are plain. */
const METHODS = [
  ...[
    "run",
    "stop",
    "pause",
    "resume",
    "reset",
    "close",
    "save",
    "restore",
    "stats",
    "registers",
    "readMemory",
  ],
  ...["writeMemory", "requestShutdown", "sysrq", "setMemoryTarget", "setLink", "sendNmi", "sendConsole"],
  ...["sendSerial"],
] as const satisfies readonly (keyof Machine)[];

let machine: Machine | undefined;
const listeners = new Map<keyof MachineEvents, () => void>();
const watches = new Map<number, () => void>();

async function create({ plain, nets }: WorkerOptions): Promise<void> {
  machine = await createMachine({ ...plain, nets: nets.map(netOf) });
  machine.on("console", (bytes, which, at) => {
    scope.postMessage({ kind: "event", event: "console", args: [bytes.slice(), which, at] });
  });
  scope.postMessage({ kind: "created", type: machine.type });
}

function netOf(net: WorkerNet, i: number): NetSpec {
  const capture = net.captured
    ? (block: Uint8Array<ArrayBuffer>) => scope.postMessage({ kind: "captured", net: i, block })
    : undefined;
  const end = "port" in net
    ? { end: new PortEnd(net.port) }
    : net.spec === "none"
    ? { none: true as const }
    : net.spec;
  return { ...net.common, ...end, ...(capture && { capture }) };
}

function call(method: string, args: readonly unknown[]): unknown {
  if (machine === undefined) throw new Error("there is no machine yet");
  const { xenstore } = machine;
  switch (method) {
    case "xenstore.read":
      return xenstore.read(args[0] as string);
    case "xenstore.list":
      return xenstore.list(args[0] as string);
    case "xenstore.write":
      return xenstore.write(args[0] as string, args[1] as string);
    case "xenstore.remove":
      return xenstore.remove(args[0] as string);
    case "xenstore.watch": {
      const watch = args[1] as number;
      const cancel = xenstore.watch(args[0] as string, (path) => {
        scope.postMessage({ kind: "watched", watch, path });
      });
      return void watches.set(watch, cancel);
    }
    case "xenstore.unwatch":
      return watches.get(args[0] as number)?.();
    case "hold":
      return machine.hold(args[0] as boolean);
  }
  const known = METHODS.find((name) => name === method);
  if (known === undefined) {
    throw new ConfigError(`Cannot call ${method} of a machine in a worker: there is none`);
  }
  return (machine[known] as (...args: unknown[]) => unknown)(...args);
}

function listen(event: keyof MachineEvents, on: boolean): void {
  listeners.get(event)?.();
  listeners.delete(event);
  if (!on || event === "console" || machine === undefined) return; // consoles are always told of
  const tell = (...args: unknown[]) => scope.postMessage({ kind: "event", event, args });
  listeners.set(event, machine.on(event, tell));
}

scope.onmessage = async ({ data }) => {
  if (data.kind === "listen") return listen(data.event, data.on);
  const id = data.kind === "call" ? data.id : 0;
  try {
    if (data.kind === "create") return await create(data.options);
    scope.postMessage({ kind: "result", id, value: await call(data.method, data.args) });
  } catch (error) {
    scope.postMessage({ kind: "error", id, error: recordError(error) });
  }
};
