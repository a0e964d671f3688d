// SPDX-License-Identifier: MIT
/**
 * Debian's Xen 4.17 as the guest, with Debian's kernel as its dom0: a hypervisor on the bare PC, which runs a
 * paravirtualized kernel in ring 3 beside its own. By Multiboot, through the command line, by instruction count.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Child, xenner } from "../../scripts/host/child.ts";
import { guestFiles } from "../../scripts/guests/manifest.ts";
import { packageFile } from "../../scripts/guests/package_files.ts";
import { missing, missingFiles } from "../_boot.ts";

const hypervisor = packageFile("xen", "xen.gz");
const skipped = missingFiles([hypervisor], packageFile("xen", "missing")) || missing("generic");
const { vmlinuz, initramfs } = guestFiles("generic");

/** Lines that a boot must show. */
const SHOWS = [
  /\(XEN\) Bootloader: Xenner/,
  /\(XEN\) Command line: console=com1 loglvl=all/,
  /\(XEN\) Multiboot-e820 RAM map:/,
  /Hypervisor detected: Xen PV/,
  /XENNER-HYPERVISOR type=xen guest=PV version=4\.17/,
  /\(XEN\) Hardware Dom0 halted: halting machine/,
];

Deno.test({
  name: `Debian's Xen boots a PV dom0 to its /init, and halts${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const { command, args } = xenner([
      ...["run", "--kernel", hypervisor.pathname, "--append", "console=com1 loglvl=all"],
      ...["--module", `${vmlinuz.pathname} console=hvc0 panic=-1 xenner.run=halt`],
      ...["--module", initramfs.pathname, "--memory", "768M", "--net", "none", "--icount"],
      ...["--timeout", "1200"],
    ]);
    const child = new Child({ command, args });
    try {
      const status = await child.status;
      for (const line of SHOWS) {
        assert(line.test(child.stdout), `no ${line} in:\n${child.stdout.slice(-4000)}\n${child.stderr}`);
      }
      assertEquals(status, 0, child.stderr);
    } finally {
      child.kill();
    }
  },
});
