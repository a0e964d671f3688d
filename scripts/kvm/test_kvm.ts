// SPDX-License-Identifier: MIT
/**
 * `deno task test:kvm [--direct|--outer] [--kernel=NAME] [--seconds=N] [ARGUMENTS | -- COMMAND...]`: the tests of the KVM
 * engine where there is a KVM: on this host when its processor has VMX or SVM and /dev/kvm can be opened, else in an outer
 * guest under QEMU. Arguments go to `deno test`; a command runs instead of it, in the source tree.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { whyNoKvm } from "../host/why_no_kvm.ts";
import { ROOT, sourceFiles } from "../gate/sources.ts";
import { makeGuests } from "../guests/make_guests.ts";
import type { GuestName } from "../guests/manifest.ts";
import { runOuterGuest } from "./outer_guest.ts";
import { OUTER_KERNELS, outerInitramfs, type OuterKernel, outerKernel, quoted } from "./outer_files.ts";

const TESTS = ["tests/kvm/", "cpu/kvm/"];
const GUESTS: readonly GuestName[] = ["cloud", "bullseye", "backports"];
/** Of the outer guest: its KVM has Xen's hypercalls, which that of bookworm has not. */
const DEFAULT_KERNEL: OuterKernel = "backports";
const DEFAULT_SECONDS = 1800;
/** For TAP devices in there. */
const PROGRAMS = ["/sbin/ip"];

/** What was asked for. */
interface Wanted {
  readonly where: "direct" | "outer" | undefined;
  readonly kernel: OuterKernel;
  readonly seconds: number;
  readonly args: readonly string[];
  readonly command: readonly string[] | undefined;
  readonly programs: readonly string[];
  readonly files: readonly string[];
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
  const seconds = Number(value("seconds") ?? DEFAULT_SECONDS);
  if (!(seconds >= 1)) {
    throw new ConfigError(`Cannot take --seconds=${value("seconds")}: a number of seconds`);
  }
  const ours = /^--(direct|outer|(kernel|seconds|programs|files)=.*)$/;
  return {
    where: own.includes("--direct") ? "direct" : own.includes("--outer") ? "outer" : undefined,
    kernel: kernel as OuterKernel,
    seconds,
    args: own.filter((arg) => !ours.test(arg)),
    command: dashes < 0 ? undefined : all.slice(dashes + 1),
    programs: list("programs"),
    files: list("files"),
  };
}

async function main(all: readonly string[]): Promise<number> {
  const wanted = parse(all);
  const say = (what: string) => console.log(`kvm: ${what}`);
  const why = wanted.where === "outer" ? "as asked" : whyNoKvm();
  await makeGuests({ names: GUESTS, progress: (what) => console.log(`guests: ${what}`) });
  const test = [
    "test",
    "-A",
    ...wanted.args,
    ...(wanted.args.some((arg) => !arg.startsWith("-")) ? [] : TESTS),
  ];
  if (wanted.where === "direct" || why === undefined) {
    say(`on this host${why === undefined ? "" : `, as asked, although ${why}`}`);
    const [command, ...args] = wanted.command ?? [Deno.execPath(), ...test];
    const child = new Deno.Command(command as string, { args, cwd: ROOT, stdin: "null" });
    return (await child.spawn().status).code;
  }
  say(`in an outer guest under QEMU with Debian's kernel of ${wanted.kernel}: ${why}`);
  const kernel = await outerKernel(wanted.kernel, say);
  const modules = (await sourceFiles(ROOT)).filter((file) => TESTS.some((folder) => file.startsWith(folder)));
  const line = wanted.command?.join(" ") ??
    ["deno", ...test, "--no-check", "--cached-only"].map(quoted).join(" ");
  const initramfs = await outerInitramfs({
    kernel,
    command: `echo "kvm: Linux $(uname -r) is up after $(cut -d' ' -f1 /proc/uptime) s"\n${line}\n`,
    environment: { NO_COLOR: "1", XENNER_TEST_KVM: "1" },
    guests: GUESTS,
    programs: [...PROGRAMS, ...wanted.programs],
    files: wanted.files,
    modules: [...modules, "scripts/cli/cli.ts", "mod.ts", "scripts/host/file_server.ts"],
  });
  say(`its initramfs has ${Math.round(initramfs.length / 1e6)} MB`);
  return await runOuterGuest({
    vmlinuz: kernel.vmlinuz,
    initramfs,
    seconds: wanted.seconds,
    output: (bytes) => Deno.stdout.writeSync(bytes),
  });
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
