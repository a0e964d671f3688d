// SPDX-License-Identifier: MIT
/** Debian's kernel with a disk and a network that change under it: a larger disk, ten reboots, drivers bound again. */
import { assert, assertEquals } from "@std/assert";
import { run, withFolder } from "../../devices/storage/_images.ts";
import { createMachine } from "../../mod.ts";
import { guestCommandLine, guestFiles } from "../../scripts/guests/manifest.ts";
import { Child, xenner } from "../../scripts/host/child.ts";
import { HUB, missing } from "../_boot.ts";
import { writeScriptInitramfs } from "../_script.ts";

const MIB = 1 << 20;
const skipped = missing("cloud");

/** Runs the script of `initrd` with the disk `image`; a busy host may take long. */
async function runScript(initrd: string, image: string) {
  const child = new Child(xenner([
    ...["run", "--kernel", guestFiles("cloud").vmlinuz.pathname, "--initrd", initrd, "--disk", image, ...HUB],
    ...["--append", guestCommandLine({ run: ["script"] }), "--max-reboots", "20", "--timeout", "3000"],
  ]));
  try {
    const status = await child.status;
    return { status, output: child.stdout, errors: `${child.stdout.slice(-3000)}\n${child.stderr}` };
  } finally {
    child.kill();
  }
}

/** Counts on the disk how often it has started, and does so ten times. */
const REBOOT = `
mkdir -p /mnt
mount -t ext4 /dev/xvda /mnt || echo XENNER-ERROR mount
n=$(cat /mnt/count 2>/dev/null || echo 0)
n=$((n + 1))
echo $n >/mnt/count
ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0 2>/dev/null
ping -c 1 -W 20 10.0.2.2 >/dev/null || echo XENNER-ERROR ping $n
umount /mnt
echo "XENNER-STARTED n=$n"
[ $n -gt 10 ] || reboot -f
`;

Deno.test({
  name: `Debian's disk and network work through ten reboots in a row${skipped}`,
  ignore: skipped !== "",
  fn: () =>
    withFolder(async (folder) => {
      const image = `${folder}/disk.img`, initrd = `${folder}/initrd`;
      const made = await run("mke2fs", "-q", "-t", "ext4", image, "16M");
      assertEquals(made.code, 0, made.text);
      await writeScriptInitramfs(initrd, "cloud", REBOOT);
      const booted = await runScript(initrd, image);
      assertEquals(booted.status, 0, booted.errors);
      assert(!booted.output.includes("XENNER-ERROR"), booted.output.slice(-4000));
      const starts = [...booted.output.matchAll(/XENNER-STARTED n=(\d+)/g)].map(([, n]) => Number(n));
      assertEquals(starts, Array.from({ length: 11 }, (_, i) => i + 1));
      assertEquals((await run("e2fsck", "-fn", image)).code, 0);
    }),
});

/** Waits for a larger disk and writes at its end. */
const RESIZE = `
echo "XENNER-SIZE sectors=$(cat /sys/block/xvda/size)"
n=0
while [ "$(cat /sys/block/xvda/size)" -eq 8192 ] && [ $n -lt 3000 ]; do sleep 0.1; n=$((n + 1)); done
echo "XENNER-SIZE sectors=$(cat /sys/block/xvda/size)"
printf end | dd of=/dev/xvda bs=512 seek=16383 count=1 conv=sync,fsync 2>/dev/null || echo XENNER-ERROR write
`;

Deno.test({
  name: `Debian's disk grows while Debian runs${skipped}`,
  ignore: skipped !== "",
  fn: () =>
    withFolder(async (folder) => {
      const image = `${folder}/disk.img`, initrd = `${folder}/initrd`;
      await Deno.writeFile(image, new Uint8Array(4 * MIB));
      await writeScriptInitramfs(initrd, "cloud", RESIZE);
      let output = "";
      const decoder = new TextDecoder();
      await using machine = await createMachine({
        kernel: guestFiles("cloud").vmlinuz,
        initrd,
        append: guestCommandLine({ run: ["script"] }),
        disks: [image],
        console: (bytes) => output += decoder.decode(bytes, { stream: true }),
      });
      const run = machine.run();
      await machine.console.expect("XENNER-SIZE sectors=8192", { timeoutMs: 600_000 });
      await machine.disks[0]?.resize("8M");
      assertEquals((await run).reason, "poweroff", output.slice(-3000));
      assert(output.includes("XENNER-SIZE sectors=16384"), output.slice(-3000));
      assert(!output.includes("XENNER-ERROR"), output.slice(-3000));
      const bytes = await Deno.readFile(image);
      assertEquals([bytes.length, new TextDecoder().decode(bytes.subarray(16383 * 512, 16383 * 512 + 3))], [
        8 * MIB,
        "end",
      ]);
    }),
});

/** Unbinds and binds the drivers of disk and network, takes blkfront out and loads it again; both work after each. */
const REBIND = `
works() {
  n=0
  while [ ! -b /dev/xvda ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done
  echo "$1" | dd of=/dev/xvda bs=512 seek=$2 count=1 conv=sync,fsync 2>/dev/null || echo "XENNER-ERROR write $1"
  echo 3 >/proc/sys/vm/drop_caches
  text=$(dd if=/dev/xvda bs=512 skip=$2 count=1 2>/dev/null | head -n 1)
  n=0
  while [ ! -e /sys/class/net/eth0 ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done
  ip link set eth0 up
  ip addr add 10.0.2.15/24 dev eth0 2>/dev/null
  ping -c 1 -W 60 10.0.2.2 >/dev/null || echo "XENNER-ERROR ping $1"
  echo "XENNER-WORKS text=$text"
}
works first 1
cd /sys/bus/xen/drivers
for turn in second third; do
  echo vif-0 >vif/unbind || echo XENNER-ERROR unbind
  echo vbd-51712 >vbd/unbind || echo XENNER-ERROR unbind
  [ ! -e /dev/xvda ] && [ ! -e /sys/class/net/eth0 ] || echo XENNER-ERROR still there
  # one turn at once, one with a pause
  [ $turn = second ] || sleep 2
  [ ! -e /dev/xvda ] || echo XENNER-ERROR back too early
  echo vbd-51712 >vbd/bind || echo XENNER-ERROR bind
  echo vif-0 >vif/bind || echo XENNER-ERROR bind
  works $turn \${#turn}
done
echo vbd-51712 >vbd/unbind || echo XENNER-ERROR unbind # a bound device holds the module
n=0
while ! rmmod xen_blkfront 2>/dev/null && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done # somebody may still close the disk
[ ! -e /sys/module/xen_blkfront ] || echo XENNER-ERROR rmmod
insmod /lib/modules/$(grep blkfront /lib/modules/order) || echo XENNER-ERROR insmod
works fourth 9
`;

Deno.test({
  name: `Debian's disk and network work after their drivers were unbound, removed, and bound again${skipped}`,
  ignore: skipped !== "",
  fn: () =>
    withFolder(async (folder) => {
      const image = `${folder}/disk.img`, initrd = `${folder}/initrd`;
      await Deno.writeFile(image, new Uint8Array(MIB));
      await writeScriptInitramfs(initrd, "cloud", REBIND);
      const { status, output, errors } = await runScript(initrd, image);
      assertEquals(status, 0, errors);
      assert(!output.includes("XENNER-ERROR"), errors);
      const texts = [...output.matchAll(/XENNER-WORKS text=(\w+)/g)].map(([, text]) => text);
      assertEquals(texts, ["first", "second", "third", "fourth"], errors);
      const bytes = await Deno.readFile(image);
      const at = (sector: number) => new TextDecoder().decode(bytes.subarray(sector * 512, sector * 512 + 6));
      assertEquals([1, 6, 5, 9].map(at), ["first\n", "second", "third\n", "fourth"]);
    }),
});
