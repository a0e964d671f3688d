// SPDX-License-Identifier: MIT
/**
 * Makes a machine out of what people have: file names, sizes as text, names of TAP devices and hubs. The embedding API
 * and the command line both stand on it; it alone opens host ends.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { parseSize } from "../../cpu/base/sizes.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { readHostFile } from "../loaders/host_file.ts";
import type { NamedFile } from "../loaders/named_file.ts";
import { Machine } from "./machine.ts";
import type { ConsoleSink, HostClock, MachineType, NetOptions } from "./machine_options.ts";
import { parseMac } from "../../net/frames/addresses.ts";
import type { NetEnd } from "../../net/ends/end.ts";
import { SystemClock } from "../../net/host/host_clock.ts";
import { Hub } from "../../net/ends/hub.ts";
import { NoneEnd } from "../../net/ends/none.ts";
import { PcapngCapture } from "../../net/ends/pcapng.ts";
import { TapDevice } from "../../net/host/tap.ts";

/** A file's content, or where to read it. */
export type FileSource = Uint8Array | NamedFile | string | URL;

/** What every network interface may have. */
export interface NetCommon {
  /** "00:16:3e:00:00:01"; chosen when absent. */
  readonly mac?: string;
  /** Most queues offered to the guest; default 1. */
  readonly queues?: number;
  /** Gets a pcapng file of everything that passes, block by block. */
  readonly capture?: (block: Uint8Array<ArrayBuffer>) => void;
}

/** One network interface of the guest: what it is connected to. */
export type NetSpec =
  | "none"
  | (NetCommon & { readonly tap: { readonly ifname?: string } })
  | (NetCommon & { readonly hub: Hub | string })
  | (NetCommon & { readonly end: NetEnd })
  | (NetCommon & { readonly none: true });

/** Everything {@linkcode createMachine} wants; only the kernel is needed. */
export interface CreateOptions {
  /** A bzImage or an ELF file. */
  readonly kernel: FileSource;
  /** An initramfs. */
  readonly initrd?: FileSource;
  /** Kernel command line. */
  readonly append?: string;
  /** RAM in bytes, or like "512M"; default 512 MiB. */
  readonly memory?: number | string;
  /** hvm: a PC; pvh: Xen's PVH platform. Default: hvm for a bzImage, pvh for an ELF file. */
  readonly type?: MachineType;
  /** Network interfaces, in the order of the guest's devices. */
  readonly nets?: readonly NetSpec[];
  /** Gets what the guest writes to its first serial port. Copy bytes you keep. */
  readonly serial?: (bytes: Uint8Array) => void;
  /** Gets what the guest writes to its Xen console. Copy bytes you keep. */
  readonly console?: (bytes: Uint8Array) => void;
  /** "interp" (default) or "jit" (experimental). */
  readonly engine?: "interp" | "jit";
  /** Time follows the instruction count: a run without input is the same every time. */
  readonly icount?: boolean;
  /** How many hypercall pages the guest is told to load; default 1. */
  readonly hypercallPages?: 1 | 2;
  /** Xen version the guest sees; default "4.17". */
  readonly xenVersion?: string;
  /** A guest's reboot ends the run. */
  readonly noReboot?: boolean;
  /** For counters, warnings and traces. */
  readonly tracer?: Tracer;
  /** Instead of the host's clocks; closing it is left to you. */
  readonly clock?: HostClock;
}

/** Hubs by name: shared by all machines of this process. */
const hubs = new Map<string, Hub>();

/** The hub of this process that is called `name`; made when there is none. */
export function hubByName(name: string): Hub {
  let hub = hubs.get(name);
  if (hub === undefined) hubs.set(name, hub = new Hub());
  return hub;
}

/** Makes a machine and loads its kernel. Rejects with {@linkcode ConfigError} when that cannot be done. */
export async function createMachine(options: CreateOptions): Promise<Machine> {
  const memoryBytes = typeof options.memory === "string" ? parseSize(options.memory) : options.memory;
  const xenVersion = options.xenVersion === undefined ? undefined : parseXenVersion(options.xenVersion);
  const ownClock = options.clock === undefined ? new SystemClock() : undefined;
  const clock = options.clock ?? ownClock as SystemClock;
  const tracer = options.tracer ?? new Tracer();
  const kernel = await load(options.kernel, "kernel");
  const initrd = options.initrd === undefined ? undefined : await load(options.initrd, "initrd");
  const nets: NetOptions[] = [];
  try {
    for (const spec of options.nets ?? []) nets.push(openNet(spec, clock, tracer));
    return await Machine.create({
      kernel,
      clock,
      tracer,
      nets,
      ...(ownClock && { onClose: () => ownClock.close() }),
      ...(initrd && { initrd }),
      ...(memoryBytes !== undefined && { memoryBytes }),
      ...(options.append !== undefined && { append: options.append }),
      ...(options.type && { type: options.type }),
      ...(options.serial && { serial: sink(options.serial) }),
      ...(options.console && { console: sink(options.console) }),
      ...(options.engine && { engine: options.engine }),
      ...(options.icount !== undefined && { icount: options.icount }),
      ...(options.hypercallPages && { hypercallPages: options.hypercallPages }),
      ...(xenVersion && { xenVersion }),
      ...(options.noReboot !== undefined && { noReboot: options.noReboot }),
    });
  } catch (error) {
    for (const { end } of nets) end.close();
    throw error;
  }
}

function sink(output: (bytes: Uint8Array) => void): ConsoleSink {
  return { output };
}

async function load(source: FileSource, what: string): Promise<NamedFile> {
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

function openNet(spec: NetSpec, clock: HostClock, tracer: Tracer): NetOptions {
  const common: NetCommon = spec === "none" ? {} : spec;
  const mac = common.mac === undefined ? undefined : parseMac(common.mac);
  if (common.mac !== undefined && (mac === undefined || ((mac[0] as number) & 1) !== 0)) {
    throw new ConfigError(`Cannot use ${JSON.stringify(common.mac)} as MAC address of an interface`);
  }
  let end = openEnd(spec, tracer);
  if (common.capture !== undefined) {
    const epoch = BigInt(Math.round(clock.unixSeconds() * 1e9 - clock.monotonicNs()));
    end = new PcapngCapture(end, common.capture, {
      clock: {
        nowNs: () => Math.floor(clock.monotonicNs()),
        at: () => {
          throw new Error("a capture sets no timers");
        },
      },
      epochNs: epoch,
    });
  }
  return { end, ...(mac && { mac }), ...(common.queues !== undefined && { queues: common.queues }) };
}

function openEnd(spec: NetSpec, tracer: Tracer): NetEnd {
  if (spec === "none" || "none" in spec) return new NoneEnd();
  if ("end" in spec) return spec.end;
  if ("hub" in spec) return (typeof spec.hub === "string" ? hubByName(spec.hub) : spec.hub).port();
  const { ifname } = spec.tap;
  return TapDevice.open({ tracer, ...(ifname !== undefined && { name: ifname }) });
}
