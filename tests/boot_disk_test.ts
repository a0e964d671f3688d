// SPDX-License-Identifier: MIT
/** Debian with a disk: what the guest reads and writes is what is in the image, for the host's own tools too. */
import { assert, assertEquals } from "@std/assert";
import { noQemuImg, qemuImg, run, withFolder } from "../devices/storage/_images.ts";
import type { GuestName } from "../scripts/guests/manifest.ts";
import { boot, missing } from "./_boot.ts";
import { diskNoise, SUMS, sumsOf, written } from "./_disk_sums.ts";
import { sha256, writeScriptInitramfs } from "./_script.ts";

const SUM_ROWS: readonly [guest: GuestName, format: "raw" | "qcow2", options: readonly string[]][] = [
  ["cloud", "raw", []],
  ["cloud", "raw", ["--type", "pvh"]],
  ["cloud", "qcow2", []],
  ["cloud", "qcow2", ["--type", "pvh", "--icount"]],
  ["generic", "raw", []],
  ["pae", "raw", []],
];
for (const [guest, format, options] of SUM_ROWS) {
  const skipped = missing(guest) || (format === "qcow2" ? noQemuImg : "");
  const what = [guest, format, ...options].join(" ");
  Deno.test({
    name: `Debian's disk: guest and host agree about its SHA-256, ${what}${skipped}`,
    ignore: skipped !== "",
    fn: () =>
      withFolder(async (folder) => {
        const image = `${folder}/disk.img`, initrd = `${folder}/initrd`;
        const before = diskNoise();
        await Deno.writeFile(image, before);
        const disk = format === "raw" ? image : `${image}.qcow2`;
        if (format === "qcow2") await qemuImg("convert", "-f", "raw", "-O", "qcow2", image, disk);
        await writeScriptInitramfs(initrd, guest, SUMS);
        const booted = await boot(
          guest,
          { run: ["script"] },
          ["--disk", disk, ...options],
          undefined,
          initrd,
        );
        assertEquals(booted.status, 0, booted.errors);
        const after = written(before);
        assertEquals(
          sumsOf(booted.output),
          [await sha256(before), await sha256(after)],
          booted.output.slice(-2000),
        );
        if (format === "qcow2") {
          await qemuImg("check", disk);
          await qemuImg("convert", "-f", "qcow2", "-O", "raw", disk, image);
        }
        assertEquals(await Deno.readFile(image), after);
      }),
  });
}

/** Mounts, writes files with fsync, reads back one that the host wrote. */
const EXT4 = `
mkdir /mnt
mount -t ext4 /dev/xvda /mnt || echo XENNER-ERROR mount
echo "XENNER-HOST text=$(cat /mnt/from-host)"
mkdir /mnt/dir
for i in 1 2 3 4 5 6 7 8; do
  seq $i 20000 >/mnt/dir/$i
  dd if=/mnt/dir/$i of=/mnt/copy$i bs=8k conv=fsync 2>/dev/null
done
rm /mnt/copy3
umount /mnt
`;

const noExt4 = await (async () => {
  for (const tool of ["mke2fs", "e2fsck", "debugfs"]) {
    try {
      await run(tool, "-V");
    } catch {
      return ` (skipped: no ${tool})`;
    }
  }
  return missing("cloud");
})();

Deno.test({
  name: `Debian's disk: an ext4 of the host's is written by the guest, and e2fsck and debugfs agree${noExt4}`,
  ignore: noExt4 !== "",
  fn: () =>
    withFolder(async (folder) => {
      const image = `${folder}/disk.img`, initrd = `${folder}/initrd`, root = `${folder}/root`;
      await Deno.mkdir(root);
      await Deno.writeTextFile(`${root}/from-host`, "hello");
      const made = await run("mke2fs", "-q", "-t", "ext4", "-d", root, image, "24M");
      assertEquals(made.code, 0, made.text);
      await writeScriptInitramfs(initrd, "cloud", EXT4);
      const booted = await boot("cloud", { run: ["script"] }, ["--disk", image], undefined, initrd);
      assertEquals(booted.status, 0, booted.errors);
      assert(booted.output.includes("XENNER-HOST text=hello"), booted.output.slice(-3000));
      const checked = await run("e2fsck", "-fn", image);
      assertEquals(checked.code, 0, checked.text);
      for (const i of [1, 2, 4, 8]) {
        const { text } = await run("debugfs", "-R", `cat /copy${i}`, image);
        const lines = Array.from({ length: 20001 - i }, (_, n) => `${n + i}\n`).join("");
        assert(text.includes(lines), `copy${i} has ${text.length} bytes`);
      }
      const { text } = await run("debugfs", "-R", "stat /copy3", image);
      assert(/not found/.test(text), text);
    }),
});
