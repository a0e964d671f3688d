// SPDX-License-Identifier: MIT
/** What createMachine takes: files, sizes, network interfaces as people name them. @module */
import type { Tracer } from "../../cpu/base/trace.ts";
import type { NetEnd } from "../../net/ends/end.ts";
import type { UserNetworkOptions } from "../../net/ends/user/user_addresses.ts";
import type { Hub } from "../../net/ends/hub.ts";
import type { StreamOptions } from "../../net/ends/stream_address.ts";
import type { NamedFile } from "../loaders/named_file.ts";
import type { DiskSpec } from "./disks.ts";
import type { ShareSpec } from "./shares.ts";
import type { HostClock, MachineType } from "./machine_options.ts";

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
  | (NetCommon & { readonly user: true | UserNetworkOptions })
  | (NetCommon & { readonly hub: Hub | string })
  | (NetCommon & { readonly stream: StreamOptions })
  | (NetCommon & { readonly passt: true | readonly string[] })
  | (NetCommon & { readonly end: NetEnd })
  | (NetCommon & { readonly none: true });

/** A file that the kernel is given beside itself, and the text that goes with it. */
export interface ModuleSpec {
  /** Its content, or where to read it. */
  readonly file: FileSource;
  /** Default: empty. */
  readonly cmdline?: string;
}

/** Everything {@linkcode createMachine} wants; only the kernel, or a root with one in it, is needed. */
export interface CreateOptions {
  /** A bzImage or an ELF file. */
  readonly kernel?: FileSource;
  /**
   * A folder of the host's as the guest's root file system, by 9P. Default of `kernel`: the last in its boot folder; of
   * `initrd`: one made of that kernel's modules there.
   */
  readonly root?: string | URL;
  /** An initramfs. */
  readonly initrd?: FileSource;
  /** For kernels that take several files, Xen for one: `{ file: "vmlinuz", cmdline: "console=hvc0" }` and so on. */
  readonly modules?: readonly ModuleSpec[];
  /** Kernel command line. */
  readonly append?: string;
  /** RAM in bytes, or like "512M"; default 512 MiB. */
  readonly memory?: number | string;
  /** hvm: a PC; pvh: Xen's PVH platform. Default: hvm for a bzImage, pvh for an ELF file. */
  readonly type?: MachineType;
  /** Network interfaces, in the order of the guest's devices. */
  readonly nets?: readonly NetSpec[];
  /** Disks, xvda first. */
  readonly disks?: readonly DiskSpec[];
  /** Folders of the host's, which the guest mounts: `mount -t 9p -o trans=xen TAG /mnt`. */
  readonly shares?: readonly ShareSpec[];
  /** Gets what the guest writes to its first serial port. Copy bytes you keep. */
  readonly serial?: (bytes: Uint8Array) => void;
  /** Gets what the guest writes to its Xen console. Copy bytes you keep. */
  readonly console?: (bytes: Uint8Array) => void;
  /** "jit" (default), "interp" (for comparisons), or "kvm" (experimental): the host's own processor, by /dev/kvm. */
  readonly engine?: "interp" | "jit" | "kvm";
  /**
   * The processor: a level (x86-64-v1, x86-64-v2, x86-64-v3, max; short: v1, v2, v3) and features to add or take away, like
   * "v2,+movbe,-sse4.2". Default: "x86-64-v2,+sha_ni".
   */
  readonly cpu?: string;
  /** Whose processor it says it is, and behaves like where they differ; default "intel". */
  readonly cpuVendor?: "intel" | "amd";
  /** Time follows the instruction count: a run without input is the same every time. */
  readonly icount?: boolean;
  /** The date at power-on, or "host": the host's clock. Default: the host's clock; with icount 2026-01-01 00:00 UTC. */
  readonly rtc?: Date | "host";
  /** How many hypercall pages the guest is told to load; default 1. */
  readonly hypercallPages?: 1 | 2;
  /**
   * Whether VMCALL and VMMCALL by which a Linux kernel calls Xen are replaced in it, by the call through the port that the
   * hypercall pages make, where the engine cannot see them. Default: true.
   */
  readonly patch?: boolean;
  /** Xen version the guest sees; default "4.17". */
  readonly xenVersion?: string;
  /** A guest's reboot ends the run. */
  readonly noReboot?: boolean;
  /** "end" (default): a panic that the guest shows ends the run, with "panic" or "init". "ignore": it does not. */
  readonly panic?: "end" | "ignore";
  /** A line on a console that matches ends the run with "fail-on", one second later. */
  readonly failOn?: RegExp;
  /** More reboots than this, each within a minute, end the run with "reboot-loop". Default: no limit. */
  readonly maxReboots?: number;
  /** For counters, warnings and traces. */
  readonly tracer?: Tracer;
  /** Instead of the host's clocks; closing it is left to you. */
  readonly clock?: HostClock;
}
