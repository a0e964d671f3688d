// SPDX-License-Identifier: MIT
/** One boot of `xenner test`: a kernel on a machine of one kind runs the commands. @module */
import { MiB } from "../../cpu/base/bits.ts";
import { createMachine } from "../../devices/machine/create_machine.ts";
import type { MachineType } from "../../devices/machine/machine_options.ts";
import { outcomeOf } from "../cli/outcome.ts";
import { type CommandResult, Frames } from "./frames.ts";

/** What is booted. */
export interface Job {
  readonly kernel: string;
  readonly type: MachineType;
  readonly engine: "interp" | "jit";
}

/** What came of it. */
export interface JobResult extends Job {
  /** "ran": all commands have ended; else why not, as ExitInfo.reason, or "timeout". */
  readonly outcome: string;
  /** Exit status: that of the first command that failed, else as of `xenner run`. */
  readonly status: number;
  /** One line, unless every command ended with 0. */
  readonly why?: string;
  readonly commands: readonly CommandResult[];
  /** The kernel's log. */
  readonly log: string;
  readonly seconds: number;
}

/** How jobs are run. */
export interface JobOptions {
  readonly commands: readonly string[];
  readonly initramfs: Uint8Array;
  readonly append: string;
  /** Absent: enough for the initramfs. */
  readonly memoryBytes?: number;
  readonly failOn?: RegExp;
  readonly timeoutSeconds: number;
  /** The guest is on a user network. */
  readonly network: boolean;
  /** Output of commands as it comes. */
  readonly print?: (text: string, to: "stdout" | "stderr") => void;
}

const STATUS_TIMEOUT = 124;
/** Kept of the kernel's log, its end. */
const LOG_CHARACTERS = 1 << 20;

/** Boots, runs, and looks what has come of it. Throws ConfigError for what cannot be booted. */
export async function runJob(job: Job, options: JobOptions): Promise<JobResult> {
  const frames = new Frames(options.commands, options.print ?? (() => {}));
  const decoder = new TextDecoder();
  let log = "";
  const size = options.initramfs.length;
  const enough = Math.min(3072, Math.max(512, 256 + Math.ceil(size / MiB) * 3)) * MiB;
  const machine = await createMachine({
    ...job,
    initrd: { name: "initramfs", bytes: options.initramfs },
    append: `console=ttyS0 panic=-1 ${options.append}`.trim(),
    memory: options.memoryBytes ?? enough,
    noReboot: true,
    nets: options.network ? [{ user: true }] : [],
    serial: (bytes) => log = (log + decoder.decode(bytes, { stream: true })).slice(-LOG_CHARACTERS),
    console: (bytes) => {
      frames.feed(bytes);
      if (frames.done) machine.stop();
    },
    ...(options.failOn && { failOn: options.failOn }),
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    machine.stop();
  }, options.timeoutSeconds * 1000);
  try {
    const info = await machine.run();
    const common = { ...job, commands: frames.results, log, seconds: machine.stats().seconds };
    if (info.reason === "fail-on") {
      return { ...common, outcome: info.reason, ...statusAndWhy(outcomeOf(info)) };
    }
    if (
      frames.done ||
      frames.results.filter(({ status }) => status !== undefined).length === options.commands.length
    ) {
      const failed = frames.results.find(({ status }) => status !== 0);
      if (failed === undefined) return { ...common, outcome: "ran", status: 0 };
      const status = failed.status ?? 1;
      return {
        ...common,
        outcome: "ran",
        status,
        why: `status ${status} of ${JSON.stringify(failed.command)}`,
      };
    }
    if (late) {
      const why = `timeout after ${options.timeoutSeconds} s`;
      return { ...common, outcome: "timeout", status: STATUS_TIMEOUT, why };
    }
    return { ...common, outcome: info.reason, ...statusAndWhy(outcomeOf(info)) };
  } finally {
    clearTimeout(timer);
    machine.close();
  }
}

/** A guest that ended before its commands did has failed, however it ended. */
function statusAndWhy({ status, why }: { readonly status: number; readonly why?: string }) {
  return { status: status === 0 ? 1 : status, why: why ?? "the guest has ended before its commands" };
}
