// SPDX-License-Identifier: MIT
/**
 * The guests of tests, demo and benches: which Debian packages they come from, where `deno task guests` puts
 * them, and what the kernel command line tells their /init (scripts/guests/init).
 * @module
 */
import type { Architecture, Suite } from "./debian_packages.ts";

/** Where guests are kept. */
export const GUEST_CACHE = new URL("../../.cache/guests/", import.meta.url);
/** Where downloaded packages are kept. */
export const PACKAGE_CACHE = new URL("packages/", GUEST_CACHE);
/** Debian's package of a busybox that needs no libraries, and the program in it. */
export const BUSYBOX_PACKAGE = { name: "busybox-static", path: "bin/busybox" } as const;

/** A kernel that guests run. */
export interface GuestKernel {
  /** Debian's package that depends on the newest kernel of this kind. */
  readonly metaPackage: string;
  /** Drivers that the guest needs, in no order; those that are modules there come along with their dependencies. */
  readonly modules: readonly string[];
  /** Where it comes from; absent: this system's own package sources. */
  readonly suite?: Suite;
}

/** What every guest has. */
export const DRIVERS = ["xen-netfront", "xen-blkfront"];
/** Shared folders; Debian's cloud kernels do not know 9P. */
const WITH_9P = [...DRIVERS, "9p", "9pnet_xen"];
const AMD64 = "amd64";

/** Debian's kernels. Those of other suites are there for the tests alone: each is a Linux of another age or make. */
export const GUEST_KERNELS = {
  cloud: { metaPackage: "linux-image-cloud-amd64", modules: DRIVERS },
  generic: { metaPackage: "linux-image-amd64", modules: WITH_9P },
  bullseye: kernelOf("linux-image-cloud-amd64", "bullseye"), // 5.10
  backports: kernelOf("linux-image-cloud-amd64", "bookworm-backports"), // 6.12
  trixie: kernelOf("linux-image-cloud-amd64", "trixie"), // 6.12
  sid: kernelOf("linux-image-cloud-amd64", "sid"), // the newest there is
  rt: kernelOf("linux-image-rt-amd64", "bookworm"), // 6.1, PREEMPT_RT
  pae: { ...kernelOf("linux-image-686-pae", "bookworm", "i386"), modules: WITH_9P }, // 6.1, 32 bits
} satisfies Readonly<Record<string, GuestKernel>>;

/** Name of a {@linkcode GuestKernel}. */
export type GuestName = keyof typeof GUEST_KERNELS;

function kernelOf(metaPackage: string, suite: string, architecture: Architecture = AMD64): GuestKernel {
  return { metaPackage, modules: DRIVERS, suite: { suite, architecture } };
}

/** The busybox of the guests. */
export function busyboxOf(architecture: Architecture): URL {
  return new URL(architecture === AMD64 ? "busybox" : `busybox-${architecture}`, GUEST_CACHE);
}

/** Files of one guest. */
export interface GuestFiles {
  /** A bzImage. */
  readonly vmlinuz: URL;
  /** The ELF file inside it. */
  readonly vmlinux: URL;
  /** busybox, /init and the modules. */
  readonly initramfs: URL;
  /** Why there is no such guest: one line, written when making it has failed. */
  readonly missing: URL;
}

/** Where the files of guest `name` are. */
export function guestFiles(name: GuestName): GuestFiles {
  return {
    vmlinuz: new URL(`${name}/vmlinuz`, GUEST_CACHE),
    vmlinux: new URL(`${name}/vmlinux`, GUEST_CACHE),
    initramfs: new URL(`${name}/initramfs.cpio`, GUEST_CACHE),
    missing: new URL(`${name}/missing`, GUEST_CACHE),
  };
}

/** What /init does, one after the other; after the last the machine powers off. */
export type GuestStep =
  | "shell"
  | "script"
  | "ping"
  | "get"
  | "put"
  | "send"
  | "receive"
  | "idle"
  | "crash"
  | "halt"
  | "kexec"
  | "reboot"
  | "poweroff";

/** What the guest is told. */
export interface GuestRun {
  readonly run: readonly GuestStep[];
  /** "hvc0" (the Xen PV console, default) or "ttyS0". */
  readonly console?: "hvc0" | "ttyS0";
  /** "dhcp", or a static address. */
  readonly ip?: "dhcp" | { readonly address: string; readonly gateway?: string; readonly netmask?: string };
  /** Address to ping; the gateway by default. */
  readonly peer?: string;
  /** How many pings. */
  readonly count?: number;
  /** What `get` downloads. */
  readonly url?: string;
  /** ADDRESS:PORT that `put` sends to. */
  readonly put?: string;
  /** ADDRESS:PORT that `send` sends zeros to. */
  readonly send?: string;
  /** ADDRESS:PORT that `receive` reads from. */
  readonly receive?: string;
  /** How much `put` and `send` send. */
  readonly mib?: number;
  /** How long `idle` idles. */
  readonly seconds?: number;
  /** Anything else. */
  readonly extra?: string;
}

/** The kernel command line for `run`. */
export function guestCommandLine(run: GuestRun): string {
  const words = [`console=${run.console ?? "hvc0"}`, "panic=-1"];
  if (run.ip === "dhcp") words.push("ip=dhcp");
  else if (run.ip) {
    words.push(`ip=${run.ip.address}::${run.ip.gateway ?? ""}:${run.ip.netmask ?? "255.255.255.0"}`);
  }
  const option = (name: string, value: string | number | undefined) => {
    if (value !== undefined) words.push(`xenner.${name}=${value}`);
  };
  option("run", run.run.join(","));
  option("peer", run.peer);
  option("count", run.count);
  option("url", run.url);
  option("put", run.put);
  option("send", run.send);
  option("receive", run.receive);
  option("mib", run.mib);
  option("seconds", run.seconds);
  // Linux as an HVM guest tells Xen of a panic at once only with this; else it takes the PC's way to reboot
  if (run.run.includes("crash")) words.push("xen_legacy_crash");
  if (run.extra !== undefined) words.push(run.extra);
  return words.join(" ");
}

/** A line that /init prints for programs: `XENNER-PING sent=10 received=10`. */
export interface GuestReport {
  /** "PING" */
  readonly kind: string;
  readonly values: ReadonlyMap<string, string>;
  /** What follows the kind. */
  readonly text: string;
}

/** The reports in a guest's console output. */
export function guestReports(output: string): GuestReport[] {
  return Array.from(output.matchAll(/XENNER-([A-Z]+) ?([^\r\n]*)/g), ([, kind = "", text = ""]) => ({
    kind,
    text,
    values: new Map(Array.from(text.matchAll(/(\w+)=(\S*)/g), ([, key = "", value = ""]) => [key, value])),
  }));
}
