// SPDX-License-Identifier: MIT
/** What a machine is made of and how it ends: the types that mod.ts, the command line and the machine share. @module */
import type { EngineFactory, EngineName } from "../../cpu/base/engine.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import type { BootModule, NamedFile } from "../loaders/named_file.ts";
import type { BlockStore } from "../../xen/backend/block_store.ts";
import type { P9Service } from "../../xen/backend/p9/service.ts";
import type { NetEnd } from "../../net/ends/end.ts";

/** hvm: a PC with the Xen platform device; pvh: Xen's PVH platform, without most PC devices. */
export type MachineType = "hvm" | "pvh";

/** A byte stream of the guest: what it prints goes to `output`. */
export interface ConsoleSink {
  /** Gets what the guest printed. Copy bytes you keep. */
  output(bytes: Uint8Array): void;
}

/** One network interface. */
export interface NetOptions {
  /** The host's end; the machine takes it over and closes it. */
  readonly end: NetEnd;
  /** Six bytes; default 00:16:3e:00:00:NN. */
  readonly mac?: Uint8Array;
  /** Most queues offered to the guest; default 1. */
  readonly queues?: number;
}

/** One disk. */
export interface DiskOptions {
  /** What is on it; the machine takes it over and closes it. */
  readonly store: BlockStore;
  /** "xvda" and so on, each once. */
  readonly device: string;
}

/** One folder of the host's, which the guest mounts. */
export interface ShareOptions {
  /** Serves it; the machine takes it over and closes it. */
  readonly service: P9Service;
  /** What the guest mounts it by. */
  readonly tag: string;
}

/** The host's clocks and its source of chance, injected: nothing below the command line reads them itself. */
export interface HostClock {
  /** Monotonic nanoseconds. */
  monotonicNs(): number;
  /** UNIX time in seconds, with fraction. */
  unixSeconds(): number;
  /**
   * 64 random bits, for RDRAND and for the seed that Linux is started with. Absent: RDRAND's numbers are the same every
   * time, as with icount, and there is no seed.
   */
  random64?(): bigint;
  /** Resolves after `ms` milliseconds, or earlier when `wake` resolves or one of the descriptors has input. */
  sleep(ms: number, wake: Promise<void>, fds: readonly number[]): Promise<void>;
  /** Lets the event loop run once; soon back. */
  breathe(): Promise<void>;
}

/** Everything Machine.create wants. */
export interface MachineOptions {
  /** A bzImage or an ELF file. */
  readonly kernel: NamedFile;
  /** An initramfs. */
  readonly initrd?: NamedFile;
  /** For Multiboot and PVH kernels; the initrd comes last. */
  readonly modules?: readonly BootModule[];
  /** Kernel command line. */
  readonly append?: string;
  /** Bytes of RAM: whole pages, up to 3 GiB. Default 512 MiB. */
  readonly memoryBytes?: number;
  /** Default: hvm for a bzImage, pvh for an ELF file. */
  readonly type?: MachineType;
  /** Network interfaces, in the order of the guest's devices. */
  readonly nets?: readonly NetOptions[];
  /** Disks. */
  readonly disks?: readonly DiskOptions[];
  /** Folders of the host's. */
  readonly shares?: readonly ShareOptions[];
  /** The first 16550. */
  readonly serial?: ConsoleSink;
  /** The Xen PV console (and console_io). */
  readonly console?: ConsoleSink;
  /** How instructions are executed; default "jit". */
  readonly engine?: EngineName;
  /**
   * Another engine instead.
   * @internal
   */
  readonly engineFactory?: EngineFactory;
  /**
   * The processor: a level (x86-64-v1, x86-64-v2, x86-64-v3, max; short: v1, v2, v3) and features to add or take away, like
   * "v2,+movbe,-sse4.2". Default: "x86-64-v2,+sha_ni".
   */
  readonly cpu?: string;
  /** Whose processor it says it is, and behaves like where they differ; default "intel". */
  readonly cpuVendor?: "intel" | "amd";
  /** Time follows the instruction count: a run is the same every time. */
  readonly icount?: boolean;
  /** The date at power-on, or "host": the host's clock. Default: the host's clock; with icount 2026-01-01 00:00 UTC. */
  readonly rtc?: Date | "host";
  /** How many hypercall pages the guest is told to load. */
  readonly hypercallPages?: 1 | 2;
  /**
   * Whether VMCALL and VMMCALL by which a Linux kernel calls Xen are replaced in it, by the call through the port that the
   * hypercall pages make, where the engine cannot see them. Default: true.
   */
  readonly patch?: boolean;
  /** Xen version the guest sees; default 4.17. */
  readonly xenVersion?: { readonly major: number; readonly minor: number };
  /** A guest's reboot ends the run with reason "reboot" instead of restarting. */
  readonly noReboot?: boolean;
  /** "end" (default): a panic that the guest shows ends the run, with "panic" or "init". "ignore": it does not. */
  readonly panic?: "end" | "ignore";
  /** A line on a console that matches ends the run with "fail-on", one second later. */
  readonly failOn?: RegExp;
  /** More reboots than this, each within a minute, end the run with "reboot-loop". Default: no limit. */
  readonly maxReboots?: number;
  /** For counters, warnings and traces. */
  readonly tracer?: Tracer;
  /** The host's clocks. */
  readonly clock: HostClock;
  /** Called by Machine.close, at its end: for what was made for this machine only. */
  readonly onClose?: () => void;
}

/** The date at power-on of machines whose time follows the instruction count. */
export const ICOUNT_DATE: Date = new Date(Date.UTC(2026, 0, 1));

/** How a run ended. "halted": the CPU waits with interrupts off, as systems do that cannot switch the power off. */
export type ExitReason =
  | "poweroff"
  | "halted"
  | "reboot"
  | "crash"
  | "suspend"
  | "stopped"
  /** The guest's kernel said that it panicked: by pvpanic, or on a console. */
  | "panic"
  /** The guest's first program has ended, which ends a Linux. */
  | "init"
  /** A line matched `failOn`. */
  | "fail-on"
  /** It did nothing but reboot. */
  | "reboot-loop";

/** What Machine.run resolves to. */
export interface ExitInfo {
  /** Why. */
  readonly reason: ExitReason;
  /** What happened, one line, where there is more to say. */
  readonly detail?: string;
  /** For "init": its exit status, or 128 and the number of the signal that killed it. */
  readonly status?: number;
}

/** Counters of a machine, for --stats. */
export interface MachineStats {
  /** Guest instructions executed. */
  readonly instructions: number;
  /** Time it ran, sleep included. */
  readonly seconds: number;
  /** Million instructions per second of that time. */
  readonly mips: number;
  /** By name: exits, exceptions, hypercalls, interrupts, network and device counters. */
  readonly counters: Readonly<Record<string, number>>;
}

/** UNIX seconds at power-on; undefined: the host's clock says, also later. */
export function startOf(
  { rtc, icount }: { readonly rtc?: Date | "host"; readonly icount?: boolean },
): number | undefined {
  const date = rtc ?? (icount === true ? ICOUNT_DATE : "host");
  return date === "host" ? undefined : date.getTime() / 1000;
}
