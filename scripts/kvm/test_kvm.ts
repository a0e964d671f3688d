// SPDX-License-Identifier: MIT
/**
 * `deno task test:kvm [--direct|--outer] [--kernel=NAME] [--filter=TEXT] [--resume] [--limit=SECONDS] [--seconds=N] [FILE...]`:
 * the tests of the KVM engine where there is a KVM: on this host when its processor has VMX or SVM and /dev/kvm can be opened,
 * else in an outer guest under QEMU. `--limit` is for each test, `--seconds` for all; `--resume` leaves out those that passed
 * the last time. Ends with what was skipped and why, what failed, and the counts.
 *
 * `--ratios [--repeat=N]` measures beside QEMU instead (scripts/bench/kvm_ratios.ts).
 * `-- COMMAND...` runs a command there instead, in the source tree; `--programs=` and `--files=` take more of this system in.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { writeCpio } from "../../devices/loaders/root_folder/cpio.ts";
import { whyNoKvm } from "../host/why_no_kvm.ts";
import { ROOT, sourceFiles } from "../gate/sources.ts";
import { exists } from "../guests/debian_packages.ts";
import { makeGuests } from "../guests/make_guests.ts";
import type { GuestName } from "../guests/manifest.ts";
import { packageFile } from "../guests/package_files.ts";
import { outcomeLine, readOutcomes, summary, type TestOutcome } from "./outcomes.ts";
import { type OuterEnd, runOuterGuest } from "./outer_guest.ts";
import {
  CACHE,
  OUTER_KERNELS,
  outerInitramfs,
  type OuterKernel,
  outerKernel,
  quoted,
} from "./outer_files.ts";

/** Where tests of KVM are; of files outside tests/kvm/ those that say so in their names are run. */
const TESTS = [
  ...["hostile_guest", "long_hypercall", "own_netfront", "soft_reset"].map((name) => `tests/${name}_test.ts`),
  "tests/kvm/",
];
const RUNNER = "scripts/kvm/run_tests.ts", RATIOS = "scripts/bench/kvm_ratios.ts";
/** The other one that ratios are made with, and what it needs. */
const QEMU = "/usr/bin/qemu-system-x86_64";
const QEMU_FILES = [
  ...["bios-256k.bin", "vgabios-stdvga.bin"].map((name) => `/usr/share/seabios/${name}`),
  ...["kvmvapic.bin", "linuxboot_dma.bin", "pvh.bin"].map((name) => `/usr/share/qemu/${name}`),
];
const GUESTS: readonly GuestName[] = ["cloud", "bullseye", "backports", "trixie", "sid"];
/** Of the outer guest: its KVM has Xen's hypercalls, which that of bookworm has not. */
const DEFAULT_KERNEL: OuterKernel = "backports";
const DEFAULT_SECONDS = 4 * 3600;
/** For TAP devices in there, and for disks. */
const PROGRAMS = ["/sbin/ip", "/sbin/mke2fs"];
/** What GRUB is in. */
const GRUB = "grub";
/** Names of tests that need not run, one a line, in the outer guest. */
const DONE = "/done";

/** What was asked for. */
interface Wanted {
  readonly where: "direct" | "outer" | undefined;
  readonly kernel: OuterKernel;
  readonly seconds: number;
  readonly resume: boolean;
  /** Options of the runner. */
  readonly options: readonly string[];
  readonly files: readonly string[];
  readonly command: readonly string[] | undefined;
  readonly programs: readonly string[];
  readonly more: readonly string[];
}

function parse(all: readonly string[]): Wanted {
  const dashes = all.indexOf("--");
  const own = dashes < 0 ? all : all.slice(0, dashes);
  const value = (name: string) => own.findLast((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  const list = (name: string) => (value(name) ?? "").split(",").filter((word) => word !== "");
  const kernel = value("kernel") ?? DEFAULT_KERNEL;
  if (!(OUTER_KERNELS as readonly string[]).includes(kernel)) {
    throw new ConfigError(`Cannot take --kernel=${kernel}: there are ${OUTER_KERNELS.join(", ")}`);
  }
  for (const name of ["seconds", "limit"]) {
    if (!(Number(value(name) ?? 1) >= 1)) {
      throw new ConfigError(`Cannot take --${name}=${value(name)}: a number of seconds`);
    }
  }
  const known = /^--((direct|outer|resume|ratios)$|(kernel|seconds|limit|filter|repeat|programs|files)=)/;
  const unknown = own.find((arg) => arg.startsWith("-") && !known.test(arg));
  if (unknown !== undefined) throw new ConfigError(`Cannot take ${unknown}: no such option`);
  const ratios = own.includes("--ratios");
  return {
    where: own.includes("--direct") ? "direct" : own.includes("--outer") ? "outer" : undefined,
    kernel: kernel as OuterKernel,
    seconds: Number(value("seconds") ?? DEFAULT_SECONDS),
    resume: own.includes("--resume"),
    options: own.filter((arg) => /^--(limit|filter)=/.test(arg)),
    files: own.filter((arg) => !arg.startsWith("-")),
    command: dashes >= 0 ? all.slice(dashes + 1) : ratios ? ratiosCommand(own) : undefined,
    programs: [...list("programs"), ...(ratios ? [QEMU] : [])],
    more: [...list("files"), ...(ratios ? QEMU_FILES : [])],
  };
}

function ratiosCommand(own: readonly string[]): string[] {
  return ["deno", "run", "-A", "--cached-only", RATIOS, ...own.filter((arg) => arg.startsWith("--repeat="))];
}

const say = (what: string) => console.log(`kvm: ${what}`);

/** What tests came to, by name. Kept in a file, so that `--resume` knows. */
type Outcomes = Map<string, TestOutcome>;

function outcomesFile(where: string): URL {
  return new URL(`outcomes-${where}`, CACHE);
}
/** Those that passed the last time. */
async function passedBefore(where: string): Promise<Outcomes> {
  try {
    const all = readOutcomes(await Deno.readTextFile(outcomesFile(where)));
    return new Map(all.filter(({ outcome }) => outcome === "passed").map((one) => [one.name, one]));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}
async function keep(where: string, outcomes: Outcomes): Promise<void> {
  await Deno.mkdir(CACHE, { recursive: true });
  const lines = [...outcomes.values()].map((one) => `${outcomeLine(one)}\n`);
  await Deno.writeTextFile(outcomesFile(where), lines.join(""));
}

/** Collects what is told in a stream of output, which is shown. */
class Listener {
  #text = "";
  readonly #decoder = new TextDecoder();
  constructor(readonly outcomes: Outcomes) {}
  readonly hear = (bytes: Uint8Array): void => {
    Deno.stdout.writeSync(bytes);
    const lines = (this.#text + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#text = lines.pop() ?? "";
    for (const one of readOutcomes(lines.join("\n"))) this.outcomes.set(one.name, one);
  };
}

/** Runs what is wanted once, but for tests that are in `outcomes`; which gets the others. */
type Attempt = (outcomes: Outcomes) => Promise<OuterEnd>;

function onThisHost(wanted: Wanted, tests: readonly string[]): Attempt {
  return async (outcomes) => {
    const done = await Deno.makeTempFile({ prefix: "xenner-done-" });
    try {
      await Deno.writeTextFile(done, [...outcomes.keys()].join("\n"));
      const runner = [Deno.execPath(), "run", "-A", RUNNER, ...wanted.options, `--done=${done}`, ...tests];
      const [command, ...args] = wanted.command ?? runner;
      const options = { args, cwd: ROOT, stdin: "null", stdout: "piped" } as const;
      const child = new Deno.Command(command as string, options).spawn();
      const listener = new Listener(outcomes);
      for await (const bytes of child.stdout) listener.hear(bytes);
      return { kind: "status", status: (await child.status).code };
    } finally {
      await Deno.remove(done);
    }
  };
}

/** GRUB, where it could be had. */
async function grubFiles(): Promise<string[]> {
  const file = packageFile(GRUB, "pvh.bin");
  return await exists(file) ? [file.pathname] : [];
}

async function inOuterGuest(wanted: Wanted, tests: readonly string[]): Promise<Attempt> {
  const kernel = await outerKernel(wanted.kernel, say);
  const runner = [
    "deno",
    "run",
    "-A",
    "--cached-only",
    RUNNER,
    ...wanted.options,
    `--done=${DONE}`,
    ...tests,
  ];
  const line = wanted.command?.join(" ") ?? runner.map(quoted).join(" ");
  const initramfs = await outerInitramfs({
    kernel,
    command: `echo "kvm: Linux $(uname -r) is up after $(cut -d' ' -f1 /proc/uptime) s"\n${line}\n`,
    environment: { NO_COLOR: "1" },
    guests: GUESTS,
    programs: [...PROGRAMS, ...wanted.programs],
    files: [...await grubFiles(), ...wanted.more],
    modules: [...tests, RUNNER, RATIOS, "scripts/cli/cli.ts", "mod.ts", "scripts/host/file_server.ts"],
  });
  say(`its initramfs has ${Math.round(initramfs.length / 1e6)} MB`);
  return (outcomes) => {
    const data = new TextEncoder().encode([...outcomes.keys()].join("\n"));
    const done = writeCpio([{ type: "file", name: DONE.slice(1), data, mode: 0o644 }]);
    return runOuterGuest({
      vmlinuz: kernel.vmlinuz,
      initramfs: [initramfs, done],
      seconds: wanted.seconds,
      output: new Listener(outcomes).hear,
    });
  };
}

async function main(all: readonly string[]): Promise<number> {
  const wanted = parse(all);
  const why = wanted.where === "outer" ? "as asked" : await whyNoKvm();
  await makeGuests({ names: [...GUESTS, GRUB], progress: (what) => console.log(`guests: ${what}`) });
  const direct = wanted.where === "direct" || why === undefined;
  const where = direct ? "direct" : wanted.kernel;
  const tests = wanted.files.length > 0
    ? wanted.files
    : (await sourceFiles(ROOT)).filter((file) =>
      file.endsWith("_test.ts") && TESTS.some((start) => file.startsWith(start))
    );
  if (direct) say(`on this host${why === undefined ? "" : `, as asked, although ${why}`}`);
  else say(`in an outer guest under QEMU with Debian's kernel of ${wanted.kernel}: ${why}`);

  const outcomes = wanted.resume ? await passedBefore(where) : new Map();
  const attempt = direct ? onThisHost(wanted, tests) : await inOuterGuest(wanted, tests);
  for (;;) {
    const before = outcomes.size;
    const end = await attempt(outcomes);
    if (wanted.command === undefined) await keep(where, outcomes);
    if (end.kind === "died" && outcomes.size > before) {
      say(`the outer guest died (${end.why}); another goes on with what is left`);
      continue;
    }
    if (end.kind === "status" && wanted.command !== undefined) return end.status;
    for (const line of summary([...outcomes.values()])) console.log(line);
    if (end.kind === "status") return end.status;
    const reason = end.kind === "late"
      ? `its ${wanted.seconds} s are over`
      : end.kind === "stopped"
      ? "by a signal"
      : end.why;
    throw new ConfigError(
      `The outer guest did not come to its end: ${reason}; --resume goes on where it was`,
      "host",
    );
  }
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`kvm: ${error.message}`);
    Deno.exit(error.kind === "host" ? 3 : 2);
  }
}
