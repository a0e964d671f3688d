// SPDX-License-Identifier: MIT
/**
 * `deno task demo:debian [--engine=NAME] [--grub]`: boots a whole Debian from a disk of its own: systemd up to the
 * login prompt, ssh through the user network (and a TAP, where there can be one), a package of ours installed, files
 * written with fsync, power-off; then the host looks for those files in the image. Prints how long everything took.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { hasProgram, run, runText } from "../host/processes.ts";
import {
  GUEST_ADDRESS,
  HOST_ADDRESS,
  openTapNamespace,
  type TapNamespace,
  whyNoTap,
} from "../host/tap_namespace.ts";
import { DebianGuest, type SshAddress, SshKey } from "./debian_guest.ts";
import { makeDebian } from "./make_debian.ts";
import { ROOT_ON_DISK } from "./recipe.ts";

const TIMEOUT_SECONDS = 1800;
const FILE_MIB = 4;
/** What the console shows on the way, and what that means. */
const MILESTONES: readonly (readonly [string, RegExp])[] = [
  ["kernel started", /Linux version/],
  ["init started", /systemd\[1\]: systemd [\d.]+|Welcome to /],
  ["login prompt", /login: /],
];

/** How the demo runs. */
interface Choices {
  readonly engine?: string;
}

/** What has to be undone; last first. */
const cleanups: (() => void)[] = [];
function cleanUp(): void {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
}

function say(line: string): void {
  console.log(`demo: ${line}`);
}

function parse(args: readonly string[]): Choices {
  let engine: string | undefined;
  for (const arg of args) {
    const match = /^--engine=(\w+)$/.exec(arg);
    if (match === null) {
      throw new ConfigError(`Cannot understand ${JSON.stringify(arg)}: there is --engine=NAME`);
    }
    engine = match[1];
  }
  return { ...(engine !== undefined && { engine }) };
}

/** A namespace with a TAP, if there can be one; says why when there cannot. */
async function tryTap(): Promise<TapNamespace | undefined> {
  let missing = await whyNoTap();
  if (missing === undefined) {
    try {
      const namespace = await openTapNamespace();
      cleanups.push(() => namespace.close());
      return namespace;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      missing = error.message;
    }
  }
  say(`no TAP: ${missing}`);
  return undefined;
}

/** A package that says hello; returns its file. */
async function makePackage(folder: string): Promise<string> {
  const tree = `${folder}/package`;
  await Deno.mkdir(`${tree}/DEBIAN`, { recursive: true });
  await Deno.mkdir(`${tree}/usr/bin`, { recursive: true });
  await Deno.writeTextFile(
    `${tree}/DEBIAN/control`,
    "Package: xenner-hello\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\n" +
      "Description: says hello\n",
  );
  await Deno.writeTextFile(
    `${tree}/usr/bin/xenner-hello`,
    "#!/bin/sh\necho hello from an installed package\n",
    {
      mode: 0o755,
    },
  );
  const deb = `${folder}/xenner-hello.deb`;
  await run("dpkg-deb", ["--root-owner-group", "--build", tree, deb], { quiet: true });
  return deb;
}

/** One row of the summary. */
interface Step {
  /** Since the start of the machine. */
  readonly seconds: number;
  readonly what: string;
  readonly text: string;
  readonly fine: boolean;
}

/** The steps so far, with the time each took. */
class Steps {
  readonly rows: Step[] = [];
  readonly startedMs = performance.now();

  get seconds(): number {
    return (performance.now() - this.startedMs) / 1000;
  }

  add(what: string, text: string, fine = true): void {
    const { seconds } = this;
    this.rows.push({ seconds, what, text, fine });
    say(`${seconds.toFixed(1)} s: ${what}: ${text}${fine ? "" : "   <-- wrong"}`);
  }

  /** Runs `command` in the guest; fine when its output fits. Resolves to what it matched. */
  async ssh(
    guest: DebianGuest,
    address: SshAddress,
    what: string,
    command: string,
    wanted: RegExp,
  ): Promise<string | undefined> {
    const before = this.seconds;
    const { code, stdout, stderr } = await guest.ssh(address, command);
    const fine = code === 0 && wanted.test(stdout);
    const said = (fine ? stdout : `status ${code} ${stdout} ${stderr}`).trim().replaceAll(/\s*\n\s*/g, "; ");
    this.add(what, `${said} (${(this.seconds - before).toFixed(1)} s)`, fine);
    return fine ? wanted.exec(stdout)?.[0] : undefined;
  }
}

async function demo({ engine }: Choices): Promise<boolean> {
  const { image, kernel, initrd } = await makeDebian({ progress: say });
  const folder = await Deno.makeTempDir({ prefix: "xenner-debian-" });
  cleanups.push(() => Deno.removeSync(folder, { recursive: true }));
  const key = await SshKey.make(folder);
  const deb = await makePackage(folder);
  const disk = `${folder}/disk.qcow2`;
  await xennerDisk("create", disk, "--backing", image);
  const namespace = await tryTap();
  const port = 20_000 + Deno.pid % 10_000;
  const user: SshAddress = { host: "127.0.0.1", port };
  const nets = ["--net", `user,hostfwd=tcp:127.0.0.1:${port}-:22`];
  const append = [ROOT_ON_DISK, key.kernelArgument];
  if (namespace !== undefined) {
    nets.push("--net", `tap,ifname=${namespace.tap}`);
    say(`network namespace ${namespace.name} with ${namespace.tap}, ${HOST_ADDRESS}`);
  }
  say("booting Debian from its disk as a Xen HVM guest");
  const steps = new Steps();
  let seen = 0;
  const guest = new DebianGuest(
    [
      ...["run", "--kernel", kernel, "--initrd", initrd, "--disk", disk, "--memory", "1G", ...nets],
      ...["--append", append.join(" "), "--timeout", String(TIMEOUT_SECONDS)],
      ...(engine === undefined ? [] : ["--engine", engine]),
    ],
    key,
    namespace,
    (text) => {
      Deno.stdout.writeSync(new TextEncoder().encode(text));
      for (let next; (next = MILESTONES[seen]) !== undefined && next[1].test(guest.child.stdout); seen++) {
        steps.add("boot", next[0]);
      }
    },
  );
  cleanups.push(() => guest.child.kill());
  await guest.waitForSsh(user, TIMEOUT_SECONDS * 1000);
  steps.add("ssh", `logged in at ${user.host} port ${user.port}, through the user network`);
  const ssh = (what: string, command: string, wanted: RegExp, at = user) =>
    steps.ssh(guest, at, what, command, wanted);
  await ssh("kernel", "uname -sr; cat /sys/hypervisor/type", /Linux 6[^]*xen/);
  await ssh("root", "findmnt -no SOURCE,FSTYPE /", /\/dev\/xvda ext4/);
  if (namespace !== undefined) {
    await ssh("ssh by TAP", "ip -4 -o addr show eth1", new RegExp(GUEST_ADDRESS), {
      host: GUEST_ADDRESS,
      port: 22,
    });
  }
  const sent = await guest.ssh(user, "cat >hello.deb", await Deno.readFile(deb));
  steps.add("package", "sent to the guest", sent.code === 0);
  await ssh(
    "install",
    "dpkg -i ./hello.deb >/dev/null && xenner-hello",
    /hello from an installed package/,
  );
  const sum = await ssh(
    "fsync",
    `dd if=/dev/urandom of=/srv/written bs=64k count=${
      FILE_MIB * 16
    } conv=fsync status=none && sha256sum </srv/written`,
    /^[0-9a-f]{64}/,
  );
  await ssh(
    "units",
    "systemctl is-system-running; systemctl --failed --no-legend | head -5",
    /^(running|starting)/,
  );
  await guest.ssh(user, "systemctl poweroff");
  const status = await guest.child.status;
  for (const line of guest.child.stderr.trim().split("\n").filter((text) => text !== "")) say(line);
  steps.add("power-off", status === 0 ? "clean" : `exit status ${status}`, status === 0);
  await lookInside(steps, folder, disk, sum);
  console.log("\nSummary");
  for (const { seconds, what, text, fine } of steps.rows) {
    console.log(
      `  ${seconds.toFixed(1).padStart(7)} s  ${what.padEnd(12)} ${text}${fine ? "" : "   <-- wrong"}`,
    );
  }
  const wrong = steps.rows.filter(({ fine }) => !fine).map(({ what }) => what);
  console.log(wrong.length === 0 ? "\nEverything worked." : `\nNot as it should be: ${wrong.join(", ")}.`);
  return wrong.length === 0;
}

/** The host's own tools, about what the guest has written. */
async function lookInside(
  steps: Steps,
  folder: string,
  disk: string,
  sum: string | undefined,
): Promise<void> {
  if (await hasProgram("qemu-img")) {
    await run("qemu-img", ["check", "-q", disk], { quiet: true });
    steps.add("qemu-img", "check finds nothing");
  }
  const raw = `${folder}/disk.img`;
  await xennerDisk("convert", disk, raw);
  await run("e2fsck", ["-fn", raw], { quiet: true });
  steps.add("e2fsck", "the file system is clean");
  await run("debugfs", ["-R", `dump /srv/written ${folder}/written`, raw], { quiet: true });
  const text = await runText("sha256sum", [`${folder}/written`]);
  steps.add(
    "file",
    "the one that was synced has the same SHA-256",
    sum !== undefined && text.startsWith(sum),
  );
}

async function xennerDisk(...args: string[]): Promise<void> {
  const mod = new URL("../../mod.ts", import.meta.url).pathname;
  await run(Deno.execPath(), ["run", "-A", mod, "disk", ...args], { quiet: true });
}

if (import.meta.main) {
  for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    Deno.addSignalListener(signal, () => {
      cleanUp();
      Deno.exit(status);
    });
  }
  let status = 1;
  try {
    status = await demo(parse(Deno.args)) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`demo: ${error.message}`);
    status = error.kind === "host" ? 3 : 2;
  } finally {
    cleanUp();
  }
  Deno.exit(status);
}
