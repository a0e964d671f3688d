// SPDX-License-Identifier: MIT
/** The command line: what may be said, checked and turned into plain data. Touches nothing of the host. @module */
import {
  Argument,
  Command,
  CommanderError,
  InvalidArgumentError,
  Option,
} from "npm:@commander-js/extra-typings@15.1.0";
import { ConfigError } from "../../cpu/base/assert.ts";
import { DEFAULT_CPU, parseCpuModel } from "../../cpu/base/cpu_model.ts";
import { type TestChoices, testCommand } from "../ci/test_options.ts";
import { net, type NetChoice } from "./net_options.ts";
import { share, type ShareChoice } from "./share_options.ts";
import { filled, memory, module, type ModuleChoice, refuseRepeats, regex, timeout } from "./values.ts";
import { type DiskChoice, diskChoice } from "../disk/disk_choice.ts";
import { completions, SHELLS } from "../shell/completions.ts";
import { shellCommands } from "../shell/shell_commands.ts";
import { diskCommand, type DiskTask } from "../disk/disk_options.ts";
import { type BootChoice, bootChoice } from "../boot/boot_choice.ts";

/** Version that --version prints. */
export const VERSION = "0.1.0";

/** What may be traced with --trace. */
export const TRACE_CATEGORIES = [
  "bus",
  "cpu",
  "evtchn",
  "exception",
  "hypercall",
  "interrupt",
  "net",
  "xen",
  "xenbus",
  "xenstore",
] as const;

/** Where a console of the guest goes. */
export type ConsoleTarget = "stdio" | "none" | { readonly file: string };

/** What `run` was asked to do. */
export interface RunChoices {
  readonly boot: BootChoice;
  readonly initrd?: string;
  readonly modules: readonly ModuleChoice[];
  readonly append: string;
  readonly memoryBytes: number;
  readonly type?: "hvm" | "pvh";
  readonly nets: readonly NetChoice[];
  readonly disks: readonly DiskChoice[];
  readonly shares: readonly ShareChoice[];
  readonly pcap?: string;
  readonly serial: ConsoleTarget;
  readonly console: ConsoleTarget;
  readonly engine: "interp" | "jit" | "kvm" | "auto";
  readonly cpu: string;
  readonly cpuVendor: "intel" | "amd";
  readonly icount: boolean;
  /** The date at power-on; absent: the default of the machine. */
  readonly rtc?: Date | "host";
  readonly hypercallPages: 1 | 2;
  readonly patch: boolean;
  readonly xenVersion: string;
  readonly reboot: boolean;
  readonly maxReboots: number;
  readonly panic: "end" | "ignore";
  readonly failOn?: RegExp;
  readonly timeoutSeconds?: number;
  readonly stats?: "text" | "json";
  readonly trace: readonly string[];
  /** Where traces go; absent: stderr. */
  readonly traceFile?: string;
}

/** What the command line means: run a machine, do something with an image, or print something and end. */
export type CommandLine =
  | { readonly run: RunChoices }
  | { readonly test: TestChoices }
  | { readonly disk: DiskTask }
  | { readonly status: number; readonly stdout: string; readonly stderr: string };

const STDIO: ConsoleTarget = "stdio";
/** Options that may be there several times. In `test` also kernels are. */
const REPEATABLE = ["net", "disk", "share", "trace", "fail-on", "run", "kernel", "module"];

/** `help run` as `run --help`; commander's own answers unknown commands with help for the program. */
function withoutHelp([first, ...rest]: readonly string[], commands: readonly string[]): string[] {
  if (first !== "help") return first === undefined ? [] : [first, ...rest];
  const [command] = rest;
  return command === undefined || commands.includes(command) ? [...rest, "--help"] : rest;
}

/** Understands `args`. Never throws for what the user wrote. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  let stdout = "";
  let stderr = "";
  let run: RunChoices | undefined;
  let test: TestChoices | undefined;
  let disk: DiskTask | undefined;
  const output = {
    writeOut: (text: string) => void (stdout += text),
    writeErr: (text: string) => void (stderr += text),
    // one line, whatever is added to it
    outputError: (text: string, write: (text: string) => void) => {
      const line = text.trim().replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ")
        .replace(
          /^unknown option '(--[a-z-]+)=.*/,
          (all, name) => switches().includes(name) ? `option '${name}' takes no value` : all,
        );
      write(`xenner: ${line}\n`);
    },
    getOutHasColors: () => false,
    getErrHasColors: () => false,
    getOutHelpWidth: () => 110,
    getErrHelpWidth: () => 110,
  };
  const program = new Command("xenner")
    .description("Runs unmodified kernels with Xen PV-on-HVM drivers.")
    .version(VERSION)
    .configureOutput(output)
    .exitOverride()
    .helpCommand("help [command]", "display help for command");
  program.addCommand(runCommand((choices) => run = choices).copyInheritedSettings(program));
  program.addCommand(testCommand((choices) => test = choices).copyInheritedSettings(program));
  const disks = diskCommand((task) => disk = task).copyInheritedSettings(program);
  for (const command of disks.commands) command.copyInheritedSettings(disks);
  program.addCommand(disks);
  let script: string | undefined;
  program.addCommand(
    new Command("completions").description("prints a script that completes command lines in a shell")
      .addArgument(new Argument("<shell>", "which").choices(SHELLS))
      .action((shell) => void (script = completions(shell, shellCommands(program))))
      .copyInheritedSettings(program),
  );
  const switches = () =>
    program.commands.flatMap(({ options }) => options).filter(({ required, optional }) =>
      !required && !optional
    )
      .map(({ long }) => long);
  refuseRepeats(program, REPEATABLE);
  try {
    program.parse(withoutHelp(args, program.commands.map((command) => command.name())), { from: "user" });
  } catch (error) {
    if (error instanceof ConfigError) return { status: 2, stdout, stderr: `xenner: ${error.message}\n` };
    if (!(error instanceof CommanderError)) throw error;
    return { status: error.exitCode === 0 ? 0 : 2, stdout, stderr };
  }
  if (script !== undefined) return { status: 0, stdout: script, stderr };
  if (test !== undefined) return { test };
  if (disk !== undefined) return { disk };
  return run === undefined ? { status: 2, stdout, stderr: program.helpInformation() } : { run };
}

function runCommand(done: (choices: RunChoices) => void) {
  return new Command("run")
    .description("boots a kernel")
    .option(
      "-k, --kernel <file>",
      "bzImage or ELF file to boot (default: GRUB, from the first disk)",
      oneKernel,
    )
    .option(
      "--firmware <file>",
      "GRUB for Xen's PVH platform, grub-i386-xen_pvh.bin, or a BIOS like SeaBIOS: boots from a disk",
      filled,
    )
    .option("-i, --initrd <file>", "initramfs", filled)
    .option(
      "--module <file>",
      'for Multiboot and PVH kernels, repeatable: "FILE its command line"; Xen takes the kernel of dom0, then its initrd',
      module,
    )
    .option("-a, --append <string>", "kernel command line", "")
    .option("-m, --memory <size>", "RAM; K, M and G are understood", memory, 512 * 2 ** 20)
    .addOption(
      new Option(
        "-t, --type <platform>",
        "PC with the Xen platform device, or PVH (default: by the kernel's format)",
      )
        .choices(["hvm", "pvh"]),
    )
    .option(
      "-n, --net <end>",
      "network interface, repeatable: user[,hostfwd=tcp:ADDR:PORT-:PORT][,dns=ADDR][,restrict][,net=NET/N] | " +
        "tap,ifname=NAME | hub=NAME[,responder] | stream,connect=HOST:PORT | stream,listen=unix:PATH | passt | none; each takes ,mac=XX:… ,queues=N " +
        "(default: user; with --icount no interface)",
      net,
    )
    .option(
      "-d, --disk <file>",
      "disk, repeatable: FILE[,ro][,format=raw|qcow2][,vdev=xvda][,cache=writeback|unsafe][,snapshot]; ,, is a comma",
      diskChoice,
    )
    .option(
      "--share <folder>",
      "folder of the host for `mount -t 9p -o trans=xen TAG /mnt`, repeatable: PATH,tag=TAG[,ro]; ,, is a comma",
      share,
    )
    .option(
      "--root <folder>",
      "folder of the host as root file system, with a kernel of 9P in it or by --kernel",
      filled,
    )
    .option("--pcap <file>", "capture every network interface as pcapng", filled)
    .option("--serial <target>", "16550 serial port: stdio | none | file:PATH", target, STDIO)
    .option("--console <target>", "Xen PV console: stdio | none | file:PATH", target, STDIO)
    .addOption(
      new Option(
        "--engine <engine>",
        "interp is for comparisons; kvm is experimental; auto: kvm if it works, else jit",
      )
        .choices(["interp", "jit", "kvm", "auto"]).default("jit"),
    )
    .option(
      "--cpu <model>",
      "x86-64-v1 | x86-64-v2 | x86-64-v3 | max (short: v1, v2, v3), then ,+FEATURE ,-FEATURE as in /proc/cpuinfo",
      cpu,
      DEFAULT_CPU,
    )
    .addOption(
      new Option("--cpu-vendor <vendor>", "whose processor it is").choices(["intel", "amd"]).default("intel"),
    )
    .option("--icount", "time follows the instruction count: runs repeat exactly", false)
    .option(
      "--rtc <date>",
      "date at power-on, like 2026-01-31T12:00:00Z, or host (default: host; 2026-01-01 with --icount)",
      rtc,
    )
    .addOption(
      new Option("--hypercall-pages <n>", "hypercall pages the guest is told to load").choices(["1", "2"])
        .default("1"),
    )
    .option("--no-patch", "leave VMCALL and VMMCALL in a kernel alone where the engine cannot see them (kvm)")
    .option("--xen-version <major.minor>", "Xen version the guest sees", xenVersion, "4.17")
    .option("--no-reboot", "a reboot of the guest ends the run")
    .option(
      "--max-reboots <n>",
      "more reboots in a row, each within a minute, end the run with status 7",
      reboots,
      10,
    )
    .addOption(
      new Option("--panic <what>", "a panic of the guest ends the run with status 4, or does not")
        .choices(["end", "ignore"]).default("end"),
    )
    .option("--fail-on <regex>", "a line on a console that matches ends the run with status 5", regex)
    .option("--timeout <seconds>", "end with status 124 after this time", timeout)
    .addOption(
      new Option("--stats [format]", "print counters at the end").choices(["text", "json"]).preset("text"),
    )
    .option(
      "--trace <categories>",
      `trace to stderr, separated by commas: all, ${TRACE_CATEGORIES.join(", ")}`,
      trace,
    )
    .option("--trace-file <file>", "where traces go instead of stderr", filled)
    .addHelpText(
      "after",
      "\nExit status: 0 the guest powered off, 1 it crashed, 2 bad usage or input, 3 a host resource is missing," +
        "\n             4 the guest panicked, 5 --fail-on matched, 6 init exited with another status than 0," +
        "\n             7 it did nothing but reboot, 124 timeout, 128+N ended by signal N." +
        "\nCtrl-A x quits, Ctrl-A h helps.",
    )
    .action((o) => {
      if (o.pcap !== undefined && o.net === undefined && o.icount) {
        throw new ConfigError("Cannot capture with --pcap: there is no network interface, add --net");
      }
      if (o.icount && o.engine === "kvm") {
        throw new ConfigError("Cannot use --icount with --engine kvm: KVM does not count instructions");
      }
      if (o.traceFile !== undefined && o.trace === undefined) {
        throw new ConfigError("Cannot fill --trace-file: nothing is traced, add --trace=CATEGORY");
      }
      done({
        boot: bootChoice(o),
        modules: o.module ?? [],
        append: o.append,
        memoryBytes: o.memory,
        nets: o.net ?? [],
        disks: o.disk ?? [],
        shares: o.share ?? [],
        serial: o.serial,
        console: o.console,
        engine: o.engine,
        cpu: o.cpu,
        cpuVendor: o.cpuVendor,
        icount: o.icount,
        hypercallPages: o.hypercallPages === "2" ? 2 : 1,
        patch: o.patch,
        xenVersion: o.xenVersion,
        reboot: o.reboot,
        maxReboots: o.maxReboots,
        panic: o.panic === "ignore" ? "ignore" : "end",
        trace: o.trace ?? [],
        ...(o.initrd !== undefined && { initrd: o.initrd }),
        ...(o.type !== undefined && { type: o.type }),
        ...(o.failOn !== undefined && { failOn: o.failOn }),
        ...(o.rtc !== undefined && { rtc: o.rtc }),
        ...(o.traceFile !== undefined && { traceFile: o.traceFile }),
        ...(o.pcap !== undefined && { pcap: o.pcap }),
        ...(o.timeout !== undefined && { timeoutSeconds: o.timeout }),
        ...(o.stats !== undefined && { stats: o.stats === "json" ? "json" : "text" }),
      });
    });
}

/** Throws ConfigError. */
function cpu(text: string): string {
  parseCpuModel(text);
  return text;
}

/** `test` takes several. */
function oneKernel(text: string, before?: string): string {
  const path = filled(text);
  if (before !== undefined) throw new ConfigError("Cannot use --kernel twice: it has one value");
  return path;
}

function reboots(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It is a whole number.");
  return Number(text);
}

function rtc(text: string): Date | "host" {
  if (text === "host") return text;
  // a time without a zone would depend on where the host stands
  const date = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?Z)?$/.test(text) ? new Date(text) : new Date(NaN);
  const year = date.getUTCFullYear();
  // a 30th of February would be a day in March
  const real = !Number.isNaN(year) && date.toISOString().startsWith(text.slice(0, 10));
  if (!real || year < 1970 || year >= 2100) {
    throw new InvalidArgumentError(
      "It is host, or UTC like 2026-01-31 or 2026-01-31T12:00:00Z, 1970 to 2099.",
    );
  }
  return date;
}

function target(text: string): ConsoleTarget {
  if (text === "stdio" || text === "none") return text;
  if (text.startsWith("file:") && text.length > 5) return { file: text.slice(5) };
  throw new InvalidArgumentError("It is stdio, none or file:PATH.");
}

function xenVersion(text: string): string {
  if (!/^\d{1,4}\.\d{1,4}$/.test(text)) throw new InvalidArgumentError("It looks like 4.17.");
  return text;
}

function trace(text: string, before: readonly string[] = []): string[] {
  const names = text.split(",");
  const known: readonly string[] = TRACE_CATEGORIES;
  for (const name of names) {
    if (name !== "all" && !known.includes(name)) {
      throw new InvalidArgumentError(`There is no category "${name}"; there are all, ${known.join(", ")}.`);
    }
  }
  return [...before, ...(names.includes("all") ? known : names)];
}
