// SPDX-License-Identifier: MIT
/**
 * The whole program is killed while a guest writes files with fsync: the file system is right, and every file the guest
 * was told is safe is there. Twice each in the suite; XENNER_KILLS=20 does more.
 */
import { assert, assertEquals } from "@std/assert";
import { noQemuImg, qemuImg, random, run, withFolder } from "../../devices/storage/_images.ts";
import { Child, xenner } from "../../scripts/host/child.ts";
import { guestCommandLine, guestFiles } from "../../scripts/guests/manifest.ts";
import { missing } from "../_boot.ts";
import { writeScriptInitramfs } from "../_script.ts";

const ROUNDS = Number(Deno.env.get("XENNER_KILLS") ?? 2);

/** Writes files of some pages without end, and says of each when it is safe. */
const WRITER = `
mkdir /mnt
mount -t ext4 /dev/xvda /mnt || echo XENNER-ERROR mount
round=$(cat /mnt/round 2>/dev/null || echo 0)
round=$((round + 1))
echo $round >/mnt/round
sync
mkdir -p /mnt/$round
i=0
while true; do
  i=$((i + 1))
  seq $i 3000 >/tmp/part
  dd if=/tmp/part of=/mnt/$round/$i bs=64k conv=fsync 2>/dev/null && sync && echo "XENNER-SAFE file=$round/$i"
  [ $((i % 40)) -ne 0 ] || rm -rf /mnt/$round/*
done
`;

for (const format of ["raw", "qcow2"] as const) {
  const skipped = missing("cloud") || noQemuImg;
  Deno.test({
    name: `Debian's disk: what was synced survives kill -9 of the program, ${format}${skipped}`,
    ignore: skipped !== "",
    fn: () =>
      withFolder(async (folder) => {
        const raw = `${folder}/disk.img`, initrd = `${folder}/initrd`;
        const disk = format === "raw" ? raw : `${folder}/disk.qcow2`;
        const made = await run("mke2fs", "-q", "-t", "ext4", raw, "32M");
        assertEquals(made.code, 0, made.text);
        if (format === "qcow2") await qemuImg("convert", "-f", "raw", "-O", "qcow2", raw, disk);
        await writeScriptInitramfs(initrd, "cloud", WRITER);
        const next = random(format.length);
        for (let round = 1; round <= ROUNDS; round++) {
          const child = new Child(xenner([
            ...["run", "--kernel", guestFiles("cloud").vmlinuz.pathname, "--initrd", initrd, "--disk", disk],
            ...["--append", guestCommandLine({ run: ["script"] }), "--timeout", "300", "--net", "none"],
          ]));
          const started = await child.match(/XENNER-SAFE/, 300_000);
          if (started !== undefined) await new Promise((resolve) => setTimeout(resolve, next(3000)));
          child.kill("SIGKILL");
          await child.status;
          assert(started !== undefined, `${child.stdout.slice(-2000)}\n${child.stderr}`);
          if (format === "qcow2") {
            const { code, text } = await run("qemu-img", "check", disk);
            assertEquals(code, 0, text); // not even a cluster that nobody uses: they were all counted at the first write
            await qemuImg("convert", "-f", "qcow2", "-O", "raw", disk, raw);
          }
          // what a mount does after a power failure, then the real check
          const copy = `${folder}/copy.img`;
          await Deno.copyFile(raw, copy);
          await run("e2fsck", "-fy", "-E", "journal_only", copy);
          const checked = await run("e2fsck", "-fn", copy);
          assertEquals(checked.code, 0, checked.text);
          const safe = [...child.stdout.matchAll(/XENNER-SAFE file=(\d+)\/(\d+)\r?\n/g)].map((
            [, r, i],
          ) => [r, Number(i)]);
          const last = Math.max(...safe.map(([, i]) => Number(i)));
          const since = Math.floor(last / 40) * 40; // those before were removed, the last of them perhaps just now
          for (const [r, i] of safe.slice(-5)) {
            if (Number(i) <= since || last % 40 === 39) continue;
            const { text } = await run("debugfs", "-R", `cat /${r}/${i}`, copy);
            const lines = Array.from({ length: 3001 - Number(i) }, (_, n) => `${n + Number(i)}\n`).join("");
            assert(text.includes(lines), `file ${r}/${i} of ${last}: ${text.slice(0, 200)}`);
          }
        }
      }),
  });
}
