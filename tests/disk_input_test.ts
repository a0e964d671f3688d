// SPDX-License-Identifier: MIT
/** Disks, roots and firmware that cannot be used: one line that says why, status 2 or 3, and nothing else. */
import { assertEquals } from "@std/assert";
import { noQemuImg, qemuImg, run, withFolder } from "../devices/storage/_images.ts";
import { Child } from "../scripts/host/child.ts";

const MOD = new URL("../mod.ts", import.meta.url).pathname;

/** What there is in the folder $ of a row's arguments. */
async function prepare(folder: string): Promise<void> {
  const at = (name: string) => `${folder}/${name}`;
  await Deno.writeFile(at("good"), new Uint8Array(4096));
  await Deno.symlink("good", at("same"));
  await Deno.writeFile(at("empty"), new Uint8Array(0));
  await Deno.writeFile(at("odd"), new Uint8Array(1000));
  await Deno.writeFile(at("vmdk"), new TextEncoder().encode("KDMV" + " ".repeat(508)));
  await Deno.mkdir(at("folder"));
  await Deno.writeFile(at("unreadable"), new Uint8Array(4096), { mode: 0 });
  await Deno.mkdir(at("root/boot"), { recursive: true });
  await Deno.mkdir(at("old/boot"), { recursive: true });
  await Deno.writeFile(at("old/boot/vmlinuz-1.2.3"), new Uint8Array(4096));
  if (noQemuImg !== "") return;
  await qemuImg("create", "-q", "-f", "qcow2", at("whole"), "1M");
  await Deno.writeFile(at("truncated"), (await Deno.readFile(at("whole"))).subarray(0, 70_000));
  const image = await Deno.readFile(at("whole"));
  image.set([0, 0, 0, 9], 4); // version
  await Deno.writeFile(at("future"), image);
}

const disk = (name: string) => ["--disk", `$/${name}`];
/** Status, what it says; a row of qemu-img is left out without it. */
const ROWS: readonly [what: string, args: readonly string[], status: number, line: RegExp, qemu?: true][] = [
  ["a disk that is missing", disk("none"), 2, /Cannot use disk ".*none": no such file/],
  ["a disk that is a directory", disk("folder"), 2, /Cannot use disk ".*folder": it is a directory/],
  ["a disk that is no file", ["--disk", "/dev/null"], 2, /neither a file nor a block device/],
  ["a disk that is empty", disk("empty"), 2, /it is empty/],
  ["a disk that is no multiple of a sector", disk("odd"), 2, /its size of 1000 bytes is no multiple of 512/],
  ["a disk of a foreign format", disk("vmdk"), 2, /it looks like VMDK, which is not understood/],
  ["a disk given twice", [...disk("good"), ...disk("same")], 3, /in use by another program, or given twice/],
  ["a disk that is cut off", disk("truncated"), 2, /Cannot use disk ".*truncated": /, true],
  ["a disk of a later version", disk("future"), 2, /qcow2 version 9 is not understood/, true],
  ["a raw disk that is said to be qcow2", disk("good,format=qcow2"), 2, /it is no qcow2 image/],
  ["a disk with an unknown option", ["--disk", "x,fast"], 2, /no option "fast"/],
  ["a disk with a bad name", ["--disk", "x,vdev=sda"], 2, /vdev is xvda to xvdp/],
  ["seventeen disks", Array(17).fill(disk("good")).flat(), 2, /at most 16/],
  ["a root that is missing", ["--root", "$/none"], 2, /Cannot boot ".*none": no such folder/],
  [
    "a root without a kernel",
    ["--root", "$/root"],
    2,
    /there is no vmlinuz-\* in its boot folder; give a kernel/,
  ],
  [
    "a root without modules",
    ["--root", "$/old"],
    2,
    /Cannot read ".*modules\/1\.2\.3\/modules\.dep": no such file/,
  ],
  [
    "firmware that is missing",
    [...disk("good"), "--firmware", "$/none"],
    2,
    /Cannot read kernel ".*none": no such file/,
  ],
  [
    "firmware that is none",
    [...disk("good"), "--firmware", "$/good"],
    2,
    /neither a bzImage nor an ELF file/,
  ],
];

const unreadable: typeof ROWS = Deno.uid() === 0
  ? []
  : [["a disk that may not be read", disk("unreadable"), 2, /permission denied/]];

for (const [what, args, status, line, qemu] of [...ROWS, ...unreadable]) {
  const skipped = qemu === true ? noQemuImg : "";
  Deno.test({
    name: `${what} ends the command line with status ${status} and one line${skipped}`,
    ignore: skipped !== "",
    fn: () =>
      withFolder(async (folder) => {
        await prepare(folder);
        const kernel = args.some((arg) => arg === "--root" || arg === "--firmware")
          ? []
          : ["--kernel", "/etc/hostname"];
        const given = args.map((arg) => arg.replace("$/", `${folder}/`));
        const { code, text } = await run(Deno.execPath(), "run", "-A", MOD, "run", ...kernel, ...given);
        assertEquals([code, line.test(text), text.trim().split("\n").length], [status, true, 1], text);
      }),
  });
}

Deno.test("a disk that another program has open is said to be in use, with status 3", () =>
  withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/disk`, new Uint8Array(4096));
    const hold =
      `import { openDisk } from "${new URL("../devices/storage/open_disk.ts", import.meta.url)}";` +
      `await openDisk("${folder}/disk"); console.log("open"); setInterval(() => {}, 1000);`;
    const holder = new Child({ command: Deno.execPath(), args: ["eval", hold] });
    try {
      await holder.match(/open/);
      const args = ["run", "-A", MOD, "run", "--kernel", "/etc/hostname", "--disk", `${folder}/disk`];
      const { code, text } = await run(Deno.execPath(), ...args);
      assertEquals([code, /in use by another program/.test(text), text.trim().split("\n").length], [
        3,
        true,
        1,
      ], text);
    } finally {
      holder.kill("SIGKILL");
      await holder.status;
    }
  }));
