// SPDX-License-Identifier: MIT
/**
 * Boots Debian guests under our program and under QEMU and measures from outside: seconds on the wall and of CPU until
 * /init runs, memory, CPU while idle, the network over a TAP.
 * @module
 */
import { Child, type CommandLine, script, xenner } from "../host/child.ts";
import { guestCommandLine, guestFiles, guestReports, type GuestRun } from "../guests/manifest.ts";
import { GUEST_ADDRESS, HOST_ADDRESS, type TapNamespace } from "../host/tap_namespace.ts";
import { QEMU, QEMU_FIRMWARE } from "./qemu.ts";
import type { StreamDone, StreamsReady } from "./stream_server.ts";

/** Which emulator, and how it is used. */
export interface Emulator {
  readonly name: string;
  readonly kind: "xenner interp" | "xenner jit" | "xenner kvm" | "qemu" | "qemu kvm";
  /** hvm: bzImage on a PC; pvh: the PVH entry of the kernel. */
  readonly type: "hvm" | "pvh";
}

/** How long anything may take. */
const TIMEOUT_MS = 900_000;
const MEMORY = "512M";
/** Linux counts CPU time in these (USER_HZ of proc(5)) on every architecture that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** What a guest's interface is connected to: a TAP, or the emulator's own user network. */
type Net = { readonly tap: string } | "user";

/** The emulator's command line for `run`. */
function commandOf(emulator: Emulator, run: GuestRun, net?: Net, tree?: URL): CommandLine {
  const files = guestFiles("cloud");
  const { initramfs } = files;
  if (emulator.kind.startsWith("qemu")) {
    const accelerator = emulator.kind === "qemu kvm" ? ["kvm", "-cpu", "host"] : ["tcg", "-cpu", "max"];
    const kernel = emulator.type === "pvh" ? files.vmlinux : files.vmlinuz;
    return {
      command: QEMU,
      args: [
        ...(emulator.kind === "qemu kvm" ? QEMU_FIRMWARE : []),
        ...["-M", "pc", "-accel", ...accelerator, "-m", MEMORY, "-nodefaults", "-display", "none"],
        ...["-no-reboot", "-serial", "stdio", "-kernel", kernel.pathname],
        ...["-initrd", (net === undefined ? initramfs : VIRTIO_INITRAMFS).pathname],
        ...["-append", guestCommandLine({ ...run, console: "ttyS0" })],
        ...(net === undefined ? [] : [
          "-netdev",
          net === "user" ? "user,id=n" : `tap,id=n,ifname=${net.tap},script=no,downscript=no,vhost=off`,
          ...["-device", "virtio-net-pci,netdev=n,romfile="],
        ]),
      ],
    };
  }
  // KVM's boots are compared, and may be in an outer guest, where taking the kernel out of its bzImage takes long
  const kernel = emulator.kind === "xenner kvm" && emulator.type === "pvh" ? files.vmlinux : files.vmlinuz;
  return xenner([
    ...["run", "--type", emulator.type, "--engine", emulator.kind.slice("xenner ".length)],
    ...["--memory", MEMORY, "--kernel", kernel.pathname, "--initrd", initramfs.pathname],
    ...["--append", guestCommandLine(run)],
    ...(net === undefined ? [] : ["--net", net === "user" ? net : `tap,ifname=${net.tap}`]),
  ], tree);
}

/** Initramfs with virtio drivers, for QEMU; made by virtioInitramfs. */
export const VIRTIO_INITRAMFS = new URL("initramfs-virtio.cpio", guestFiles("cloud").initramfs);

/** What a process has used so far; proc(5). */
export interface Usage {
  readonly cpuSeconds: number;
  readonly residentMiB: number;
  readonly peakMiB: number;
}

/** Of the process `pid`, all its threads. */
export function usageOf(pid: number): Usage {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /, "").split(" ");
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1]);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND, // utime, stime
    residentMiB: kib("VmRSS") / 1024,
    peakMiB: kib("VmHWM") / 1024,
  };
}

/** Waits for what `child` prints, by default the guest itself; an error when that, or the guest, ends without. */
export async function until(guest: Child, pattern: RegExp, child = guest): Promise<RegExpExecArray> {
  const ended = guest.status.then(() => child.match(pattern, 0));
  const found = await Promise.race([child.match(pattern, TIMEOUT_MS), ended]);
  if (found === undefined) {
    throw new Error(`The guest said nothing like ${pattern}:\n${guest.stdout.slice(-2000)}${guest.stderr}`);
  }
  return found;
}

/** One boot. */
export interface Boot {
  /** From the start of the process to the XENNER-INIT line. */
  readonly seconds: number;
  /** CPU time of the process up to there, all its threads: other processes disturb it less. */
  readonly cpuSeconds: number;
  /** What the guest says. */
  readonly uptime: number;
}

/** Boots to /init; ours by the sources in `tree`; `extra` goes to the kernel's command line. */
export async function measureBoot(emulator: Emulator, tree?: URL, extra?: string): Promise<Boot> {
  const start = performance.now();
  const run: GuestRun = { run: ["idle"], seconds: 100, ...(extra !== undefined && { extra }) };
  const guest = new Child(commandOf(emulator, run, undefined, tree));
  try {
    await until(guest, /XENNER-INIT [^\n]*\n/);
    const seconds = (performance.now() - start) / 1000;
    const { cpuSeconds } = usageOf(guest.pid);
    const uptime = Number(guestReports(guest.stdout).find((r) => r.kind === "INIT")?.values.get("uptime"));
    return { seconds, cpuSeconds, uptime };
  } finally {
    guest.kill("SIGKILL");
    await guest.status;
  }
}

/** An idle guest. */
export interface Idle {
  /** Of one core. */
  readonly cpuPercent: number;
  readonly residentMiB: number;
  readonly peakMiB: number;
}

const IDLE_SETTLE_MS = 3000, IDLE_MS = 10_000;

/** Boots, sleeps, and looks at what that costs. */
export async function measureIdle(emulator: Emulator): Promise<Idle> {
  const guest = new Child(commandOf(emulator, { run: ["idle"], seconds: 100 }));
  const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));
  try {
    await until(guest, /XENNER-IDLE [^\n]*\n/);
    await sleep(IDLE_SETTLE_MS);
    const before = usageOf(guest.pid).cpuSeconds, start = performance.now();
    await sleep(IDLE_MS);
    const { cpuSeconds, residentMiB, peakMiB } = usageOf(guest.pid);
    const seconds = (performance.now() - start) / 1000;
    return { cpuPercent: (cpuSeconds - before) / seconds * 100, residentMiB, peakMiB };
  } finally {
    guest.kill("SIGKILL");
    await guest.status;
  }
}

/** What the network does; Mbit/s as the host's end sees it. */
export interface NetFigures {
  readonly sendMbits: number;
  readonly receiveMbits: number;
  readonly pingMs: number;
}

/** The host's loopback, and what guests of a user network call it. */
const LOOPBACK = "127.0.0.1", USER_GATEWAY = "10.0.2.2";

/** `mib` MiB of zeros each way over TCP, then `pings` pings: over the TAP of `namespace`, or a user network. */
export async function measureNet(
  emulator: Emulator,
  namespace: TapNamespace | undefined,
  mib: number,
  pings: number,
): Promise<NetFigures> {
  const inside = (line: CommandLine) => namespace?.inside(line.command, line.args) ?? line;
  const here = namespace === undefined ? LOOPBACK : HOST_ADDRESS;
  const server = new Child(inside(script("bench/stream_server.ts", [here, String(mib)])));
  const seen = (address: string) => address.replace(LOOPBACK, USER_GATEWAY);
  let guest: Child | undefined;
  try {
    const ready: StreamsReady = JSON.parse((await until(server, /^\{"discard".*\}$/m))[0]);
    const run: GuestRun = {
      run: ["send", "receive", "ping"],
      ip: namespace === undefined ? "dhcp" : { address: GUEST_ADDRESS, gateway: HOST_ADDRESS },
      count: pings,
      mib,
      ...{ send: seen(ready.discard), receive: seen(ready.source) },
    };
    guest = new Child(inside(commandOf(emulator, run, namespace === undefined ? "user" : namespace)));
    const rate = (done: StreamDone) => done.bytes * 8 / done.seconds / 1e6;
    const sent: StreamDone = JSON.parse(
      (await until(guest, /^\{"stream":"discard".*\}$/m, server))[0],
    );
    const received: StreamDone = JSON.parse(
      (await until(guest, /^\{"stream":"source".*\}$/m, server))[0],
    );
    if (sent.bytes !== mib << 20) throw new Error(`The guest sent ${sent.bytes} bytes`);
    await until(guest, /XENNER-PING [^\n]*\n/);
    const ping = guestReports(guest.stdout).find((r) => r.kind === "PING")?.values;
    if (ping?.get("received") !== String(pings)) throw new Error("The guest lost pings");
    return {
      sendMbits: rate(sent),
      receiveMbits: rate(received),
      pingMs: Number(ping.get("average_ms")),
    };
  } finally {
    guest?.kill("SIGKILL");
    await guest?.status;
    server.kill();
    await server.status;
  }
}
