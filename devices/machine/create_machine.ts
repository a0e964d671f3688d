// SPDX-License-Identifier: MIT
/**
 * Makes a machine out of what people have: file names, sizes as text, names of TAP devices and hubs. The embedding API
 * and the command line both stand on it; it alone opens host ends. What only some machines have is loaded when one has it:
 * the others begin sooner.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { parseSize } from "../../cpu/base/sizes.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { readHostFile } from "../loaders/host_file.ts";
import type { BootModule, NamedFile } from "../loaders/named_file.ts";
import { checkedOptions } from "./check_options.ts";
import type { CreateOptions, FileSource, NetCommon, NetSpec } from "./create_options.ts";
import { closeDisks, openDisks } from "./disks.ts";
import { Machine } from "./machine.ts";
import type { WorkerMachine } from "./worker/worker_machine.ts";
import type { RootBoot } from "../loaders/root_folder/root_folder.ts";
import { closeShares, openShares, pathOf, type ShareSpec } from "./shares.ts";
import {
  type ConsoleSink,
  type DiskOptions,
  type NetOptions,
  type ShareOptions,
  startOf,
} from "./machine_options.ts";
import { parseInterfaceMac } from "../../net/frames/addresses.ts";
import type { NetEnd } from "../../net/ends/end.ts";
import { SystemClock } from "../../net/host/host_clock.ts";
import { Hub } from "../../net/ends/hub.ts";
import { NoneEnd } from "../../net/ends/none.ts";

/** Hubs by name: shared by all machines of this process. */
const hubs = new Map<string, Hub>();

/** The hub of this process that is called `name`; made when there is none. */
export function hubByName(name: string): Hub {
  let hub = hubs.get(name);
  if (hub === undefined) hubs.set(name, hub = new Hub());
  return hub;
}

/** Makes a machine that runs in a worker, a thread of its own. */
export function createMachine(options: CreateOptions & { readonly worker: true }): Promise<WorkerMachine>;
/** Makes a machine and loads its kernel. Rejects with {@linkcode ConfigError} when that cannot be done. */
export function createMachine(options: CreateOptions & { readonly worker?: false }): Promise<Machine>;
export async function createMachine(
  options: CreateOptions & { readonly worker?: boolean },
): Promise<Machine | WorkerMachine> {
  const { worker = false, ...others } = checkedOptions(options);
  if (!worker) return await create(others);
  const { WorkerMachine } = await import("./worker/worker_machine.ts");
  return await WorkerMachine.create(others, hubByName);
}

/** Makes one in this thread. The options were checked. */
async function create(options: CreateOptions): Promise<Machine> {
  const memoryBytes = typeof options.memory === "string" ? parseSize(options.memory) : options.memory;
  const xenVersion = options.xenVersion === undefined ? undefined : parseXenVersion(options.xenVersion);
  const ownClock = options.clock === undefined ? new SystemClock() : undefined;
  const clock = options.clock ?? ownClock as SystemClock;
  const tracer = options.tracer ?? new Tracer();
  const { kernel, initrd, append, root } = await loadBoot(options);
  const modules: BootModule[] = [];
  for (const { file, cmdline = "" } of options.modules ?? []) {
    modules.push({ file: await load(file, "module"), cmdline });
  }
  const nets: NetOptions[] = [];
  let disks: readonly DiskOptions[] = [];
  let shares: readonly ShareOptions[] = [];
  let made: Machine | undefined;
  // by instruction count captures have the guest's time too, and are the same every time
  const captures: CaptureTime = options.icount === true
    ? { epochSeconds: startOf(options) ?? clock.unixSeconds(), nowNs: () => made?.board.clock.nowNs() ?? 0 }
    : {
      epochSeconds: clock.unixSeconds() - clock.monotonicNs() / 1e9,
      nowNs: () => Math.floor(clock.monotonicNs()),
    };
  try {
    for (const spec of options.nets ?? []) nets.push(await openNet(spec, captures, tracer));
    shares = await openShares([...options.shares ?? [], ...root]);
    disks = await openDisks(options.disks ?? []);
    return made = await Machine.create({
      kernel,
      clock,
      tracer,
      nets,
      disks,
      shares,
      ...(ownClock && { onClose: () => ownClock.close() }),
      modules,
      ...(initrd && { initrd }),
      ...(memoryBytes !== undefined && { memoryBytes }),
      ...(append !== undefined && { append }),
      ...(options.type && { type: options.type }),
      ...(options.serial && { serial: sink(options.serial) }),
      ...(options.console && { console: sink(options.console) }),
      ...(options.engine && { engine: options.engine }),
      ...(options.cpu !== undefined && { cpu: options.cpu }),
      ...(options.cpuVendor && { cpuVendor: options.cpuVendor }),
      ...(options.icount !== undefined && { icount: options.icount }),
      ...(options.rtc !== undefined && { rtc: options.rtc }),
      ...(options.hypercallPages && { hypercallPages: options.hypercallPages }),
      ...(options.patch !== undefined && { patch: options.patch }),
      ...(xenVersion && { xenVersion }),
      ...(options.panic !== undefined && { panic: options.panic }),
      ...(options.failOn !== undefined && { failOn: options.failOn }),
      ...(options.maxReboots !== undefined && { maxReboots: options.maxReboots }),
      ...(options.noReboot !== undefined && { noReboot: options.noReboot }),
    });
  } catch (error) {
    for (const { end } of nets) end.close();
    closeShares(shares);
    await closeDisks(disks);
    throw error;
  }
}

/** What the guest starts with, and the share that is its root, if there is one. */
async function loadBoot(options: CreateOptions): Promise<Partial<RootBoot> & Loaded> {
  const kernel = options.kernel === undefined ? undefined : await load(options.kernel, "kernel");
  const initrd = options.initrd === undefined ? undefined : await load(options.initrd, "initrd");
  const { append } = options;
  if (options.root !== undefined) {
    const { prepareRoot, ROOT_TAG } = await import("../loaders/root_folder/root_folder.ts");
    const path = pathOf(options.root);
    const boot = await prepareRoot(path, { kernel, initrd, append: append ?? "" });
    return { ...boot, root: [{ path, tag: ROOT_TAG, owners: true }] };
  }
  if (kernel === undefined) throw new ConfigError("Cannot make a machine: the option kernel is missing");
  return { kernel, root: [], ...(initrd && { initrd }), ...(append !== undefined && { append }) };
}

/** See {@linkcode loadBoot}. */
interface Loaded {
  readonly kernel: NamedFile;
  readonly root: readonly ShareSpec[];
}

function sink(output: (bytes: Uint8Array) => void): ConsoleSink {
  return { output };
}

async function load(source: FileSource, what: string): Promise<NamedFile> {
  if (typeof source === "string" && /^(https?|file|data|blob):/.test(source)) {
    if (!URL.canParse(source)) {
      throw new ConfigError(`Cannot read ${what} ${JSON.stringify(source)}: it is no URL`);
    }
    source = new URL(source);
  }
  if (typeof source === "string" || source instanceof URL) return await readHostFile(source, what);
  return source instanceof Uint8Array ? { name: what, bytes: source } : source;
}

/** "4.17" as numbers. Throws ConfigError. */
function parseXenVersion(text: string): { readonly major: number; readonly minor: number } {
  const match = /^(\d{1,4})\.(\d{1,4})$/.exec(text);
  if (match === null) {
    throw new ConfigError(`Cannot use ${JSON.stringify(text)} as Xen version: write it like 4.17`);
  }
  return { major: Number(match[1]), minor: Number(match[2]) };
}

/** When frames pass: nanoseconds since `epochSeconds` of UNIX time. */
interface CaptureTime {
  readonly epochSeconds: number;
  nowNs(): number;
}

async function openNet(spec: NetSpec, time: CaptureTime, tracer: Tracer): Promise<NetOptions> {
  const common: NetCommon = spec === "none" ? {} : spec;
  const mac = common.mac === undefined ? undefined : parseInterfaceMac(common.mac);
  if (common.mac !== undefined && mac === undefined) {
    throw new ConfigError(`Cannot use ${JSON.stringify(common.mac)} as MAC address of an interface`);
  }
  let end = await openEnd(spec, tracer);
  if (common.capture !== undefined) {
    const { PcapngCapture } = await import("../../net/ends/pcapng.ts");
    end = new PcapngCapture(end, common.capture, {
      clock: {
        nowNs: () => time.nowNs(),
        at: () => {
          throw new Error("a capture sets no timers");
        },
      },
      epochNs: BigInt(Math.round(time.epochSeconds * 1e9)),
    });
  }
  return { end, ...(mac && { mac }), ...(common.queues !== undefined && { queues: common.queues }) };
}

async function openEnd(spec: NetSpec, tracer: Tracer): Promise<NetEnd> {
  if (spec === "none" || "none" in spec) return new NoneEnd();
  if ("end" in spec) return spec.end;
  if ("hub" in spec) return (typeof spec.hub === "string" ? hubByName(spec.hub) : spec.hub).port();
  if ("stream" in spec || "passt" in spec) {
    const { openPasst, openStream } = await import("../../net/host/stream_socket.ts");
    if ("stream" in spec) return await openStream(spec.stream, tracer);
    return await openPasst(spec.passt === true ? [] : spec.passt, tracer);
  }
  if ("user" in spec) {
    const { UserNetwork } = await import("../../net/ends/user/user_network.ts");
    const { DenoNetwork } = await import("../../net/host/deno_network.ts");
    const network = new UserNetwork(new DenoNetwork(tracer), {
      ...(spec.user === true ? {} : spec.user),
      tracer,
    });
    try {
      await network.opened();
    } catch (error) {
      network.close();
      throw error;
    }
    return network;
  }
  const { TapDevice } = await import("../../net/host/tap.ts");
  const { ifname } = spec.tap;
  return TapDevice.open({ tracer, ...(ifname !== undefined && { name: ifname }) });
}
