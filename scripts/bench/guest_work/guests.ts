// SPDX-License-Identifier: MIT
/**
 * Runs rows of work in a guest of each emulator and takes the time between two lines of its console, on the host's
 * clock: guests' own clocks are part of what is measured.
 * @module
 */
import { Child, type CommandLine, script, xenner } from "../../host/child.ts";
import { guestCommandLine, guestFiles } from "../../guests/manifest.ts";
import { QEMU } from "../qemu.ts";
import type { Work } from "./rows.ts";

/** Who runs the guest: a 64-bit one, but v86's. */
export type WorkEmulator = "interp" | "jit" | "tcg" | "v86";

/** How long a row took, and what it said. */
export interface WorkRun {
  readonly seconds: number;
  /** Of its output, SHA-256; and whether it ended well. */
  readonly proof: string;
}

const TIMEOUT_MS = 1_800_000;
const MEMORY_MIB = 1024;
/** The row that every guest does first. */
export const BOOT = "boot";

function commandOf(emulator: WorkEmulator, initramfs: string, tree?: URL): CommandLine {
  const files = guestFiles(emulator === "v86" ? "pae" : "cloud");
  const kernel = files.vmlinuz.pathname;
  const run = { run: ["script", "poweroff"] as const, extra: "quiet" };
  if (emulator === "tcg") {
    return {
      command: QEMU,
      args: [
        ...[
          "-M",
          "pc",
          "-accel",
          "tcg",
          "-cpu",
          "max",
          "-m",
          `${MEMORY_MIB}M`,
          "-nodefaults",
          "-display",
          "none",
        ],
        ...["-no-reboot", "-serial", "stdio", "-kernel", kernel, "-initrd", initramfs],
        ...["-append", guestCommandLine({ ...run, console: "ttyS0" })],
      ],
    };
  }
  if (emulator === "v86") {
    const append = guestCommandLine({ ...run, console: "ttyS0" });
    const { command, args } = script("bench/guest_work/v86_guest.ts", [
      kernel,
      initramfs,
      append,
      `${MEMORY_MIB}`,
    ]);
    // v86 is nobody's dependency but the bench's: not for the lock file
    const more = ["--unstable-raw-imports", "--no-lock"];
    return { command, args: args.flatMap((arg) => arg === "-A" ? [arg, ...more] : [arg]) };
  }
  return xenner([
    ...["run", "--engine", emulator, "--memory", `${MEMORY_MIB}M`, "--net", "none"],
    ...["--kernel", kernel, "--initrd", initramfs, "--append", guestCommandLine(run)],
  ], tree);
}

/**
 * Does all of `rows` in one guest whose initramfs is the file `initramfs`, ours by the sources in `tree`. Rows that it
 * did not reach are missing.
 */
export async function measureWork(
  emulator: WorkEmulator,
  initramfs: string,
  rows: readonly Work[],
  tree?: URL,
): Promise<Map<string, WorkRun>> {
  const runs = new Map<string, WorkRun>();
  const started = new Map<string, number>([[BOOT, performance.now()]]);
  let unread = "";
  const child = new Child(commandOf(emulator, initramfs, tree), (text) => {
    const now = performance.now();
    const lines = (unread + text).split("\n");
    unread = lines.pop() ?? "";
    for (const line of lines) {
      const [, what, rest = ""] = /XENNER-(INIT|START|END) ([^\r]*)/.exec(line) ?? [];
      const [name = ""] = rest.split(" ");
      if (what === "START") started.set(name, now);
      const of = what === "INIT" ? BOOT : what === "END" ? name : undefined;
      const start = of === undefined ? undefined : started.get(of);
      if (of === undefined || start === undefined) continue;
      runs.set(of, { seconds: (now - start) / 1000, proof: of === BOOT ? "" : rest.slice(name.length + 1) });
    }
  });
  try {
    const last = rows.at(-1)?.name ?? "";
    await Promise.race([child.match(new RegExp(`XENNER-END ${last} `), TIMEOUT_MS), child.status]);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
  if (runs.size === 0) {
    throw new Error(`The guest under ${emulator} came to nothing: ${child.stderr.slice(-500)}`);
  }
  return runs;
}
