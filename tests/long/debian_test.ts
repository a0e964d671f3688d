// SPDX-License-Identifier: MIT
/** A whole Debian: the demo, and GRUB from its disk. Both need what `deno task debian` makes. */
import { assert, assertEquals } from "@std/assert";
import { debianFiles } from "../../scripts/debian/make_debian.ts";
import { DebianPackages, exists } from "../../scripts/guests/debian_packages.ts";
import { PACKAGE_CACHE } from "../../scripts/guests/manifest.ts";
import { Child, script, xenner } from "../../scripts/host/child.ts";

const { image } = debianFiles();
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

/** Debian's GRUB for Xen's PVH platform; undefined where its package cannot be had. */
async function firmware(): Promise<string | undefined> {
  const root = new URL("grub-root/", PACKAGE_CACHE);
  const file = new URL("usr/lib/grub-xen/grub-i386-xen_pvh.bin", root);
  try {
    if (!await exists(file)) {
      const packages = new DebianPackages(PACKAGE_CACHE);
      await packages.require("grub-xen-host");
      await packages.unpack("grub-xen-host", root);
    }
    return file.pathname;
  } catch {
    return undefined;
  }
}

const grub = skipped === "" ? await firmware() : undefined;
const noGrub = skipped || (grub === undefined ? " (skipped: no package grub-xen-host)" : "");
Deno.test({
  name: `GRUB boots Debian from its disk as PVH, and disk and network work after it${noGrub}`,
  ignore: noGrub !== "",
  async fn() {
    const child = new Child(
      xenner([
        ...["run", "--disk", `${image},snapshot`, "--firmware", grub ?? "", "--memory", "1G"],
        ...["--net", "hub=grub,responder", "--timeout", String(PATIENCE_MS / 1000)],
      ]),
      undefined,
      "piped",
    );
    const until = async (pattern: RegExp, from = 0) => {
      const found = await child.match(pattern, PATIENCE_MS, from);
      assert(found !== undefined, `no ${pattern} in\n${child.stdout.slice(-4000)}${child.stderr}`);
    };
    const run = async (command: string, wanted: RegExp) => {
      const from = child.stdout.length;
      await child.type(`${command}; echo "XENNER-"DONE\n`);
      await until(/XENNER-DONE/, from);
      assert(wanted.test(child.stdout.slice(from)), child.stdout.slice(from));
    };
    try {
      await until(/GNU GRUB/);
      await until(/Booting paravirtualized kernel on Xen PVH/);
      await until(/login: /);
      await child.type("root\n");
      await until(/root@debian:~# /);
      await run("dmesg -n 1; findmnt -no SOURCE /", /^\/dev\/xvda/m);
      await run(
        "dd if=/dev/zero of=/root/x bs=64k count=64 conv=fsync status=none && echo writ''ten",
        /^written/m,
      );
      await run("ping -c 3 -W 60 10.0.2.2", / 0% packet loss/);
      await child.type("systemctl poweroff\n");
      assertEquals(await child.status, 0, child.stdout.slice(-2000) + child.stderr);
    } finally {
      child.kill();
    }
  },
});
