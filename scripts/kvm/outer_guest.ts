// SPDX-License-Identifier: MIT
/**
 * The outer guest: Debian's kernel under QEMU, whose TCG emulates a processor with AMD's SVM. In it there is a /dev/kvm,
 * on any host. Its output is passed on as it comes; it ends with its command, after a time limit, or with us.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { hasProgram, runText } from "../host/processes.ts";

/** One run. */
export interface OuterRun {
  readonly vmlinuz: URL;
  /** One archive behind the other. */
  readonly initramfs: readonly Uint8Array<ArrayBuffer>[];
  /** Most seconds from QEMU's start to its end. */
  readonly seconds: number;
  readonly output: (bytes: Uint8Array) => void;
}

const QEMU = "qemu-system-x86_64";
const MEMORY = "3G", CPUS = 2;
/**
 * The processor. QEMU 7.2 sets wrong flags after CMPXCHG16B, of which kernels from 6.12 on die at random; before 8.2 it does
 * not tell the hypervisor of XSETBV (no intercept), so that guests lose their XCR0 at the next exit, and XRSTOR of what XSAVE
 * has not saved kills their processes.
 */
const CPU = "max,cx16=off", NO_XSAVE = ",xsave=off";
const XSETBV_IS_TOLD = [8, 2] as const;
/**
 * Linux changes its own code whenever a processor of KVM's is made (a static key around preempt notifiers). With two
 * processors under QEMU 7.2 one of them was seen to execute an INT3 that the other had taken back; since 8.0 QEMU locks
 * pages before it translates them.
 */
const CHANGES_ARE_SEEN = [8, 0] as const;
/** Status of timeout(1) when it had to end the program. */
const TIMED_OUT = 124;
/** How long a QEMU gets that does not end when it is told. */
const GRACE_SECONDS = 5;

/** How it ended. */
export type OuterEnd =
  | { readonly kind: "status"; readonly status: number }
  /** The guest, or QEMU, died before its command ended. */
  | { readonly kind: "died"; readonly why: string }
  /** After its time, or by a signal to us. */
  | { readonly kind: "late" }
  | { readonly kind: "stopped" };

/** What QEMU of this version can be asked for. */
async function processors(): Promise<string[]> {
  const [, major = 0, minor = 0] =
    /version (\d+)\.(\d+)/.exec(await runText(QEMU, ["--version"]))?.map(Number) ?? [];
  const since = ([wantedMajor, wantedMinor]: readonly [number, number]) =>
    major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  const model = since(XSETBV_IS_TOLD) ? CPU : CPU + NO_XSAVE;
  return ["-cpu", model, "-smp", String(since(CHANGES_ARE_SEEN) ? CPUS : 1)];
}

/** Runs it. Throws ConfigError when there is no QEMU. */
export async function runOuterGuest(run: OuterRun): Promise<OuterEnd> {
  if (!await hasProgram(QEMU)) {
    throw new ConfigError(
      `Cannot run the outer guest: there is no ${QEMU}; install it (Debian: qemu-system-x86)`,
      "host",
    );
  }
  const folder = await Deno.makeTempDir({ prefix: "xenner-outer-" });
  const initramfs = `${folder}/initramfs`, told = `${folder}/status`;
  try {
    await Deno.writeFile(initramfs, new Blob([...run.initramfs]).stream());
    // timeout(1) ends QEMU in time even when this process has been killed
    const child = new Deno.Command("timeout", {
      args: [
        ...["--foreground", `--kill-after=${GRACE_SECONDS}`, String(run.seconds), QEMU],
        ...["-M", "pc", "-accel", "tcg,thread=multi", ...await processors(), "-m", MEMORY],
        ...["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-serial", `file:${told}`],
        ...["-kernel", run.vmlinuz.pathname, "-initrd", initramfs],
        ...["-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check"],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    let stopped = false;
    const end = () => {
      stopped = true;
      child.kill("SIGTERM");
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, end);
    try {
      for await (const bytes of child.stdout) run.output(bytes);
      const { code } = await child.status;
      const status = /^status (\d+)$/m.exec(await Deno.readTextFile(told))?.[1];
      if (status !== undefined) return { kind: "status", status: Number(status) };
      if (stopped) return { kind: "stopped" };
      return code === TIMED_OUT ? { kind: "late" } : { kind: "died", why: `QEMU ended with status ${code}` };
    } finally {
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.removeSignalListener(signal, end);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
