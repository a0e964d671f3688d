// SPDX-License-Identifier: MIT
/**
 * Xenner: a PC emulator that runs unmodified kernels with Xen PV-on-HVM drivers. This is its embedding API.
 *
 * ```ts no-eval
 * import { createMachine } from "./mod.ts";
 *
 * const machine = await createMachine({
 *   kernel: "vmlinuz",
 *   initrd: "initramfs.cpio",
 *   append: "console=hvc0",
 *   memory: "512M",
 *   nets: [{ tap: { ifname: "tap0" } }],
 *   console: (bytes) => Deno.stdout.writeSync(bytes),
 * });
 * machine.on("hypercall", ({ name, operation, result }) => console.log(name, operation, result));
 * machine.on("packet", ({ direction, frame }) => console.log(direction, frame.length));
 * const { reason } = await machine.run(); // "poweroff", "crash", …
 * machine.close();
 * ```
 *
 * Importing it does nothing and needs no permission. What needs one: reading files (`read`), TAP devices (`ffi`; with
 * `ffi` an idle machine also sleeps more exactly).
 * @module
 */
export { ConfigError, type ConfigErrorKind } from "./cpu/base/assert.ts";
export { Counters, Tracer, type TraceSink } from "./cpu/base/trace.ts";
export { GPR_NAMES, type GprName } from "./cpu/base/vcpu.ts";
export type { EngineName, WasmEngineName } from "./cpu/base/engine.ts";
export {
  type CodeWindow,
  type ConsoleName,
  type HypercallEvent,
  type HypercallHook,
  type HypercallRequest,
  Machine,
  type MachineEvents,
  type MachineSnapshot,
  type Moment,
  type ShutdownRequest,
} from "./devices/machine/machine.ts";
export type {
  ConsoleSink,
  DiskOptions,
  ExitInfo,
  ExitReason,
  HostClock,
  MachineOptions,
  MachineStats,
  MachineType,
  NetOptions,
  ShareOptions,
} from "./devices/machine/machine_options.ts";
export type { P9FidState, P9Service, P9ServiceState } from "./xen/backend/p9/service.ts";
export type { ShareSpec } from "./devices/machine/shares.ts";
export type { BlockStore } from "./xen/backend/block_store.ts";
export { type DiskCommon, type DiskSpec, MachineDisk } from "./devices/machine/disks.ts";
export type { DiskFileOptions, DiskFormat } from "./devices/storage/open_disk.ts";
export type { CacheMode } from "./devices/storage/raw_store.ts";
export {
  type ExecResult,
  GuestConsole,
  type GuestConsoleWires,
} from "./devices/machine/api/guest_console.ts";
export { GuestStore, type GuestStoreWires } from "./devices/machine/api/guest_store.ts";
export type { BootModule, NamedFile } from "./devices/loaders/named_file.ts";
export {
  type EndState,
  type Frame,
  frameOf,
  type FrameReceiver,
  type FrameState,
  type NetEnd,
} from "./net/ends/end.ts";
export type { DhcpState } from "./net/ends/dhcp.ts";
export { Hub } from "./net/ends/hub.ts";
export { Responder, type ResponderOptions } from "./net/ends/responder.ts";
export type { Direction, PacketEvent } from "./net/ends/observed_end.ts";
export type { UserNetworkOptions } from "./net/ends/user/user_addresses.ts";
export type { StreamOptions } from "./net/ends/stream_address.ts";
export { TapDevice, type TapOptions } from "./net/host/tap.ts";

export { WorkerMachine, type WorkerStore } from "./devices/machine/worker/worker_machine.ts";
export { createMachine, hubByName } from "./devices/machine/create_machine.ts";
export type {
  CreateOptions,
  FileSource,
  ModuleSpec,
  NetCommon,
  NetSpec,
} from "./devices/machine/create_options.ts";

if (import.meta.main) {
  // by an address that is made here: what is written out would be loaded by whoever imports this file
  const program = new URL("./scripts/cli/cli.ts", import.meta.url).href;
  const { main } = await import(program).catch((error: Error) => {
    console.error(
      `xenner: Cannot load the command line: ${error.message.split("\n")[0]}; start ${program} itself`,
    );
    Deno.exit(3);
  });
  await main(Deno.args);
}
