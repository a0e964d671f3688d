// SPDX-License-Identifier: MIT
/** A whole Debian: the demo, GRUB from its disk, reboots. Both need what `deno task debian` makes. */
import { assert, assertEquals } from "@std/assert";
import { debianFiles } from "../../scripts/debian/make_debian.ts";
import { ROOT_ON_DISK } from "../../scripts/debian/recipe.ts";
import { exists } from "../../scripts/guests/debian_packages.ts";
import { packageFile } from "../../scripts/guests/package_files.ts";
import { Child, script, xenner } from "../../scripts/host/child.ts";
import { missingFiles } from "../_boot.ts";

const { image, kernel, initrd } = debianFiles();
const skipped = await exists(image) ? "" : " (skipped: run deno task debian)";
const PATIENCE_MS = 1_800_000;

Deno.test({
  name: `a whole Debian: the demo works from the boot to the power-off${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const child = new Child(script("debian/demo_debian.ts", []));
    try {
      const status = await child.status;
      assert(
        status === 0 && child.stdout.includes("Everything worked."),
        child.stdout.slice(-6000) + child.stderr,
      );
    } finally {
      child.kill();
    }
  },
});

/** Somebody at the console of a machine with that Debian. */
class Session {
  readonly child: Child;
  #from = 0;

  constructor(options: readonly string[]) {
    const line = xenner([
      ...["run", "--disk", `${image},snapshot`, "--memory", "1G", "--net", "hub=debian,responder"],
      ...["--max-reboots", "30", "--timeout", "14400", ...options],
    ]);
    this.child = new Child(line, undefined, "piped");
  }

  /** Waits for `pattern` behind what was waited for before. */
  async until(pattern: RegExp): Promise<void> {
    const { child } = this;
    const found = await child.match(pattern, PATIENCE_MS, this.#from);
    assert(found !== undefined, `no ${pattern} in\n${child.stdout.slice(-4000)}${child.stderr}`);
    this.#from += found.index + found[0].length;
  }

  /** Runs a command whose output must match. */
  async run(command: string, wanted: RegExp): Promise<void> {
    const from = this.#from;
    await this.child.type(`${command}; echo "XENNER-"DONE\n`);
    await this.until(/XENNER-DONE/);
    const text = this.child.stdout.slice(from);
    assert(wanted.test(text), text);
  }

  /** Logs in, and looks whether disk and network work; `name` is new on the disk. */
  async works(name: string, before: readonly string[]): Promise<void> {
    await this.until(/login: /);
    await this.child.type("root\n");
    await this.until(/root@debian:~# /);
    await this.run("dmesg -n 1; findmnt -no SOURCE /", /^\/dev\/xvda/m);
    await this.run(
      `dd if=/dev/zero of=/srv/zeros bs=64k count=64 conv=fsync status=none && echo ${name} >/srv/in-${name} && ` +
        "sync && echo 3 >/proc/sys/vm/drop_caches && cat /srv/in-*",
      new RegExp([...before, name].toSorted().map((one) => `^${one}\\r?\\n`).join(""), "m"),
    );
    await this.run(
      "n=0; while ! ip -4 addr show eth0 | grep -q inet && [ $n -lt 1800 ]; do sleep 1; n=$((n+1)); done; " +
        "ping -c 3 -W 60 10.0.2.2",
      / 0% packet loss/,
    );
  }

  async powerOff(): Promise<void> {
    await this.child.type("systemctl poweroff\n");
    assertEquals(await this.child.status, 0, this.child.stdout.slice(-2000) + this.child.stderr);
  }
}

/** Debian's GRUB for Xen's PVH platform. */
const grub = packageFile("grub", "pvh.bin");
const noGrub = skipped || missingFiles([grub], packageFile("grub", "missing"));
Deno.test({
  name: `GRUB boots Debian from its disk as PVH, and disk and network work after it${noGrub}`,
  ignore: noGrub !== "",
  async fn() {
    const session = new Session(["--firmware", grub.pathname]);
    try {
      await session.until(/GNU GRUB/);
      await session.until(/Booting paravirtualized kernel on Xen PVH/);
      await session.works("grub", []);
      await session.powerOff();
    } finally {
      session.child.kill();
    }
  },
});

/** How often it reboots itself; the last time by kexec. XENNER_REBOOTS=10 does more. */
const REBOOTS = Number(Deno.env.get("XENNER_REBOOTS") ?? 1);
Deno.test({
  name: `a whole Debian reboots itself, and once by kexec; disk and network work each time${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const session = new Session([
      ...["--kernel", kernel, "--initrd", initrd, "--append", ROOT_ON_DISK],
    ]);
    const done: string[] = [];
    const next = async () => {
      const name = String.fromCharCode(97 + done.length);
      await session.works(name, done);
      done.push(name);
    };
    try {
      for (let i = 0; i < REBOOTS; i++) {
        await next();
        await session.child.type("systemctl reboot\n");
      }
      await next();
      await session.run(
        "kexec -l /boot/vmlinuz --initrd=/boot/initrd.img --reuse-cmdline && echo load''ed",
        /^loaded/m,
      );
      await session.child.type("systemctl kexec\n");
      await next();
      await session.powerOff();
    } finally {
      session.child.kill();
    }
  },
});
