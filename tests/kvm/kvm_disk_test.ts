// SPDX-License-Identifier: MIT
/**
 * Disks under KVM: what Debian's blkfront has written and flushed is what is in the image; GRUB for Xen's PVH platform starts
 * a kernel from one. On processors with VMX or SVM only, as all boots under KVM.
 */
import { assert, assertEquals } from "@std/assert";
import { run, withFolder } from "../../devices/storage/_images.ts";
import { guestCommandLine, guestFiles } from "../../scripts/guests/manifest.ts";
import { packageFile } from "../../scripts/guests/package_files.ts";
import { Child, xenner } from "../../scripts/host/child.ts";
import { missing, missingFiles } from "../_boot.ts";
import { diskNoise, SUMS, sumsOf, written } from "../_disk_sums.ts";
import { sha256, writeScriptInitramfs } from "../_script.ts";
import { BOOT_OPTIONS, bootAs, noKvm, notHardware } from "./_kvm.ts";

const GUEST = "bullseye"; // calls Xen in a way that works with every KVM, loaded by GRUB too
const skipped = noKvm() || notHardware() || missing(GUEST);

const grub = packageFile("grub", "pvh.bin");
const noGrub = skipped || missingFiles([grub], packageFile("grub", "missing")) || await noMke2fs();

async function noMke2fs(): Promise<string> {
  try {
    await run("mke2fs", "-V");
    return "";
  } catch {
    return " (skipped: no mke2fs)";
  }
}

Deno.test({
  name: `KVM: GRUB starts a kernel from a disk as PVH${noGrub}`,
  ignore: noGrub !== "",
  fn: () =>
    withFolder(async (folder) => {
      const image = `${folder}/disk.img`, root = `${folder}/root`;
      await Deno.mkdir(`${root}/boot/grub`, { recursive: true });
      const { vmlinuz, initramfs } = guestFiles(GUEST);
      await Deno.copyFile(vmlinuz, `${root}/boot/vmlinuz`);
      await Deno.copyFile(initramfs, `${root}/boot/initrd`);
      const line = guestCommandLine({ run: ["poweroff"] });
      const config = `echo "GRUB is here"\nlinux /boot/vmlinuz ${line}\ninitrd /boot/initrd\nboot\n`;
      await Deno.writeTextFile(`${root}/boot/grub/grub.cfg`, config);
      const made = await run("mke2fs", "-q", "-t", "ext2", "-d", root, image, "48M");
      assertEquals(made.code, 0, made.text);
      const options = ["--firmware", grub.pathname, "--disk", image, "--net", "none"];
      const child = new Child(xenner(["run", ...BOOT_OPTIONS, ...options]));
      try {
        assertEquals(await child.status, 0, child.stdout.slice(-4000) + child.stderr);
        for (const text of ["GRUB is here", "Hypervisor detected: Xen HVM", "XENNER-INIT"]) {
          assert(child.stdout.includes(text), `no ${text} in:\n${child.stdout.slice(-4000)}`);
        }
      } finally {
        child.kill();
      }
    }),
});

for (const type of ["pvh", "hvm"]) {
  Deno.test({
    name: `KVM: guest and host agree about a disk's SHA-256, ${type}${skipped}`,
    ignore: skipped !== "",
    fn: () =>
      withFolder(async (folder) => {
        const image = `${folder}/disk.img`, initrd = `${folder}/initrd`;
        const before = diskNoise(), after = written(before);
        await Deno.writeFile(image, before);
        await writeScriptInitramfs(initrd, GUEST, SUMS);
        const options = ["--net", "none", "--disk", image];
        const { status, output, errors } = await bootAs(type, GUEST, { run: ["script"] }, options, initrd);
        assertEquals(status, 0, errors);
        assertEquals(sumsOf(output), [await sha256(before), await sha256(after)], output.slice(-2000));
        assertEquals(await Deno.readFile(image), after);
      }),
  });
}
