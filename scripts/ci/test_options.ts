// SPDX-License-Identifier: MIT
/** The command line of `xenner test`. @module */
import { Command, InvalidArgumentError, Option } from "npm:@commander-js/extra-typings@15.1.0";
import { ConfigError } from "../../cpu/base/assert.ts";
import type { MachineType } from "../../devices/machine/machine_options.ts";
import { filled, memory, regex, timeout } from "../cli/values.ts";
import type { Job } from "./job.ts";

/** Most boots of one matrix. */
const MOST_JOBS = 1000;

/** What `test` was asked to do. */
export interface TestChoices {
  /** Kernels × types × engines. */
  readonly matrix: readonly Job[];
  readonly commands: readonly string[];
  readonly folder: string;
  readonly append: string;
  readonly timeoutSeconds: number;
  readonly processes: number;
  readonly slurm: boolean;
  /** Guests are on a user network. */
  readonly network: boolean;
  readonly initrd?: string;
  readonly busybox?: string;
  readonly memoryBytes?: number;
  readonly failOn?: RegExp;
  readonly junit?: string;
  readonly json?: string;
  /** The one boot of the matrix that this process does. */
  readonly only?: number;
}

/** The command; `done` gets what it was asked. */
export function testCommand(done: (choices: TestChoices) => void) {
  return new Command("test")
    .description("boots kernels, runs commands in them with the current folder at hand, and ends as they do")
    .requiredOption("-k, --kernel <file,...>", "kernels to boot", list)
    .requiredOption("-r, --run <command>", "shell command to run in /work, repeatable", commands)
    .option("-t, --type <hvm,pvh>", "machines to boot them on", choicesOf("hvm", "pvh"), ["hvm"])
    .option("--engine <interp,jit>", "engines to run them on", choicesOf("interp", "jit"), ["jit"])
    .option(
      "-d, --dir <folder>",
      "what is /work in the guest; .git, node_modules and .cache stay behind",
      filled,
      ".",
    )
    .option("-i, --initrd <file>", "initramfs to put all of it on: modules, programs", filled)
    .option(
      "--busybox <file>",
      "a busybox that needs no libraries (default: that of the guests, or /bin/busybox)",
      filled,
    )
    .option("-a, --append <string>", "more for the kernel command line", "")
    .option("-m, --memory <size>", "RAM (default: enough for the folder, at least 512M)", memory)
    .option("--fail-on <regex>", "a line on a console that matches fails the boot with status 5", regex)
    .option("--timeout <seconds>", "a boot that takes longer fails with status 124", timeout, 600)
    .option("-j, --jobs <n>", "boots at a time (default: one for each processor)", whole(1, 1024))
    .addOption(new Option("--slurm", "boots as an array job of Slurm, through sbatch").default(false))
    .option("--junit <file>", "results as JUnit's XML", filled)
    .option("--json <file>", "results as JSON", filled)
    .addOption(
      new Option("-n, --net <net>", "network of the guests: the host's, without privilege, or none").choices([
        "user",
        "none",
      ]).default("user"),
    )
    .option("--only <n>", "only boot number n of the matrix, from 0 on", whole(0, MOST_JOBS))
    .addHelpText(
      "after",
      "\nExit status: one boot: that of the first command that fails, or as of run. Several: 0 when all succeed, else 1.",
    )
    .action((o) => {
      const matrix = o.kernel.flatMap((kernel) =>
        o.type.flatMap((type) =>
          o.engine.map((engine) => ({ kernel, type: type as MachineType, engine: engine as Job["engine"] }))
        )
      );
      if (matrix.length > MOST_JOBS) {
        throw new ConfigError(`Cannot boot ${matrix.length} times: ${MOST_JOBS} is the most`);
      }
      if (o.only !== undefined && o.slurm === true) {
        throw new ConfigError("Cannot use --only with --slurm: one boot is no array job");
      }
      if (o.junit !== undefined && o.junit === o.json) {
        throw new ConfigError(`Cannot write --junit and --json to the same file "${o.junit}"`);
      }
      if (o.only !== undefined && o.only >= matrix.length) {
        throw new ConfigError(`Cannot do only boot ${o.only}: there are 0 to ${matrix.length - 1}`);
      }
      done({
        matrix,
        commands: o.run,
        folder: o.dir,
        append: o.append,
        timeoutSeconds: o.timeout,
        processes: o.jobs ?? navigator.hardwareConcurrency,
        slurm: o.slurm === true,
        network: o.net === "user",
        ...(o.initrd !== undefined && { initrd: o.initrd }),
        ...(o.busybox !== undefined && { busybox: o.busybox }),
        ...(o.memory !== undefined && { memoryBytes: o.memory }),
        ...(o.failOn !== undefined && { failOn: o.failOn }),
        ...(o.junit !== undefined && { junit: o.junit }),
        ...(o.json !== undefined && { json: o.json }),
        ...(o.only !== undefined && { only: o.only }),
      });
    });
}

function list(text: string, before: readonly string[] = []): string[] {
  const all = text.split(",");
  if (all.includes("")) throw new InvalidArgumentError("One of them has no name.");
  all.unshift(...before);
  if (new Set(all).size < all.length) throw new InvalidArgumentError("One of them is there twice.");
  return all;
}
function commands(text: string, before: readonly string[] = []): string[] {
  if (text.trim() === "") throw new InvalidArgumentError("There is nothing to run.");
  return [...before, text];
}
function choicesOf(...choices: readonly string[]) {
  return (text: string): string[] => {
    const all = text.split(",");
    if (new Set(all).size < all.length) throw new InvalidArgumentError("One of them is there twice.");
    if (all.some((one) => !choices.includes(one))) {
      throw new InvalidArgumentError(`Allowed choices are ${choices.join(", ")}.`);
    }
    return all;
  };
}
function whole(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d{1,9}$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It is a whole number, ${least} to ${most}.`);
    }
    return value;
  };
}
