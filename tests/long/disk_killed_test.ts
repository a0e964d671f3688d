// SPDX-License-Identifier: MIT
/**
 * The whole program is killed while a guest writes files with fsync: the file system is right, and every file the guest
 * was told is safe is there. Twice each in the suite; XENNER_KILLS=20 does more. Before a kill the program is stopped
 * some times, and a copy of its image looked at: it is what a kill would have left then (XENNER_STOPS, 3 by default).
 */
import { assert, assertEquals } from "@std/assert";
import { noQemuImg, qemuImg, random, run, withFolder } from "../../devices/storage/_images.ts";
import { Child, xenner } from "../../scripts/host/child.ts";
import { guestCommandLine, guestFiles } from "../../scripts/guests/manifest.ts";
import { missing } from "../_boot.ts";
import { writeScriptInitramfs } from "../_script.ts";

const ROUNDS = Number(Deno.env.get("XENNER_KILLS") ?? 2);
const STOPS = Number(Deno.env.get("XENNER_STOPS") ?? 3);

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

/** Stops the program and waits until none of its threads does anything any more. */
async function stop(child: Child): Promise<void> {
  child.kill("SIGSTOP");
  const tasks = `/proc/${child.pid}/task`;
  const isStopped = (task: string) => /^State:\s+T/m.test(Deno.readTextFileSync(`${tasks}/${task}/status`));
  while (![...Deno.readDirSync(tasks)].every(({ name }) => isStopped(name))) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Looks at an image that a program left which had printed `output`; how many files it looked for. */
async function verify(
  folder: string,
  disk: string,
  format: "raw" | "qcow2",
  output: string,
): Promise<number> {
  const copy = `${folder}/copy.img`;
  if (format === "qcow2") {
    const { code, text } = await run("qemu-img", "check", disk);
    assertEquals(code, 0, text); // not even a cluster that nobody uses: they were all counted at the first write
    await qemuImg("convert", "-f", "qcow2", "-O", "raw", disk, copy);
  } else await Deno.copyFile(disk, copy);
  // what a mount does after a power failure, then the real check
  await run("e2fsck", "-fy", "-E", "journal_only", copy);
  const checked = await run("e2fsck", "-fn", copy);
  assertEquals(checked.code, 0, checked.text);
  const safe = [...output.matchAll(/XENNER-SAFE file=(\d+)\/(\d+)\r?\n/g)].map(([, r, i]) => [r, Number(i)]);
  const last = Math.max(...safe.map(([, i]) => Number(i)));
  const since = Math.floor(last / 40) * 40; // those before were removed, the last of them perhaps just now
  let found = 0;
  for (const [r, i] of safe.slice(-5)) {
    if (Number(i) <= since || last % 40 === 39) continue;
    const { text } = await run("debugfs", "-R", `cat /${r}/${i}`, copy);
    const lines = Array.from({ length: 3001 - Number(i) }, (_, n) => `${n + Number(i)}\n`).join("");
    assert(text.includes(lines), `file ${r}/${i} of ${last}: ${text.slice(0, 200)}`);
    found++;
  }
  return found;
}

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
        const soon = () => new Promise((resolve) => setTimeout(resolve, next(3000)));
        let found = 0, looks = 0;
        for (let round = 1; round <= ROUNDS; round++) {
          const child = new Child(xenner([
            ...["run", "--kernel", guestFiles("cloud").vmlinuz.pathname, "--initrd", initrd, "--disk", disk],
            ...["--append", guestCommandLine({ run: ["script"] }), "--timeout", "3000", "--net", "none"],
          ]));
          try {
            const started = await child.match(/XENNER-SAFE file=[^\n]*\n/, 1_500_000);
            assert(started !== undefined, `${child.stdout.slice(-2000)}\n${child.stderr}`);
            for (let i = 0; i < STOPS; i++) {
              await soon();
              await stop(child);
              const left = `${folder}/left.${format}`, { stdout } = child;
              await Deno.copyFile(disk, left);
              child.kill("SIGCONT");
              found += await verify(folder, left, format, stdout);
              looks++;
            }
            await soon();
          } finally {
            child.kill("SIGKILL");
            await child.status;
          }
          found += await verify(folder, disk, format, child.stdout);
          looks++;
        }
        assert(found > looks / 2, `${found} files in ${looks} looks`); // else it tests nothing
      }),
  });
}
