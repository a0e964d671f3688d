// SPDX-License-Identifier: MIT
/** Debian with a folder of the host's: Linux's own 9P client over Xen's transport. */
import { assert, assertEquals } from "@std/assert";
import { run, withFolder } from "../../devices/storage/_images.ts";
import type { GuestName } from "../../scripts/guests/manifest.ts";
import { boot, missing } from "../_boot.ts";
import { sha256, writeScriptInitramfs } from "../_script.ts";

const SCRIPT = `
mkdir /mnt /ro
mount -t 9p -o trans=xen,version=9p2000.L rw /mnt || echo XENNER-ERROR mount rw
mount -t 9p -o trans=xen,version=9p2000.L ro /ro || echo XENNER-ERROR mount ro
echo "XENNER-MANY count=$(ls /mnt/many | wc -l) sum=$(ls -l /mnt/many | wc -l)"
dd if=/dev/urandom of=/mnt/new bs=50000 count=41 conv=fsync 2>/dev/null
mv /mnt/new /mnt/many/moved
ln -s many/moved /mnt/link
mkdir /mnt/dir
ln /mnt/many/moved /mnt/dir/hard
set -- $(sha256sum /mnt/link)
echo "XENNER-SUM sha256=$1"
chmod 600 /mnt/host; echo more >>/mnt/host
rm /mnt/many/file7
mknod /mnt/null c 1 3 2>/dev/null && echo XENNER-ERROR mknod
cat /mnt/out/secret 2>/dev/null && echo XENNER-ERROR escaped
echo "XENNER-LINK target=$(readlink /mnt/out)"
(echo x >/ro/new) 2>/dev/null && echo XENNER-ERROR ro
(echo x >>/ro/file) 2>/dev/null && echo XENNER-ERROR ro
rm /ro/file 2>/dev/null && echo XENNER-ERROR ro
echo "XENNER-RO text=$(cat /ro/file)"
umount /mnt /ro
`;

const ROWS: readonly [guest: GuestName, options: readonly string[]][] = [
  ["generic", []],
  ["pae", ["--type", "pvh"]],
];
for (const [guest, options] of ROWS) {
  const skipped = missing(guest);
  Deno.test({
    name: `Debian's shared folder: guest and host see the same, ${[guest, ...options].join(" ")}${skipped}`,
    ignore: skipped !== "",
    fn: () =>
      withFolder(async (folder) => {
        const rw = `${folder}/rw`, ro = `${folder}/ro`, initrd = `${folder}/initrd`;
        await Deno.mkdir(`${rw}/many`, { recursive: true });
        await Deno.mkdir(ro);
        for (let i = 0; i < 600; i++) await Deno.writeTextFile(`${rw}/many/file${i}`, "");
        await Deno.writeTextFile(`${rw}/host`, "host\n");
        await Deno.writeTextFile(`${ro}/file`, "kept");
        await Deno.writeTextFile(`${folder}/secret`, "secret");
        await Deno.symlink(folder, `${rw}/out`);
        await writeScriptInitramfs(initrd, guest, SCRIPT);
        const shares = ["--share", `${rw},tag=rw`, "--share", `${ro},tag=ro,ro`];
        const booted = await boot(guest, { run: ["script"] }, [...shares, ...options], undefined, initrd);
        const tail = booted.output.slice(-3000);
        assertEquals(booted.status, 0, booted.errors);
        assert(!booted.output.includes("XENNER-ERROR"), tail);
        assert(booted.output.includes("XENNER-MANY count=600 sum=601"), tail);
        assert(booted.output.includes(`XENNER-LINK target=${folder}`), tail);
        assert(booted.output.includes("XENNER-RO text=kept"), tail);
        const moved = await Deno.readFile(`${rw}/many/moved`);
        assertEquals(moved.length, 50_000 * 41);
        assertEquals(booted.report("SUM").values.get("sha256"), await sha256(moved));
        assertEquals(await Deno.readFile(`${rw}/dir/hard`), moved);
        assertEquals(await Deno.readLink(`${rw}/link`), "many/moved");
        assertEquals(await Deno.readTextFile(`${rw}/host`), "host\nmore\n");
        assertEquals((Deno.statSync(`${rw}/host`).mode ?? 0) & 0o777, 0o600);
        assertEquals(await exists(`${rw}/many/file7`), false);
        assertEquals([...Deno.readDirSync(ro)].map(({ name }) => name), ["file"]);
      }),
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}

for (
  const [what, args, line] of [
    ["missing", ["--share", "/no/such,tag=a"], /Cannot share "\/no\/such": no such folder/],
    ["a file", ["--share", "/etc/hostname,tag=a"], /Cannot share "\/etc\/hostname": it is no folder/],
    ["without a tag", ["--share", "/tmp"], /add ,tag=NAME/],
    ["with a bad tag", ["--share", "/tmp,tag=a b"], /Cannot use "a b" as /],
    ["with an unknown option", ["--share", "/tmp,tag=a,fast"], /no option "fast"/],
    ["twice there", ["--share", "/tmp,tag=a", "--share", "/var,tag=a"], /two folders as "a"/],
  ] as const
) {
  Deno.test(`a share that is ${what} ends the command line with status 2 and one line`, async () => {
    const { code, text } = await run(
      Deno.execPath(),
      ...["run", "-A", new URL("../../mod.ts", import.meta.url).pathname, "run"],
      ...["--kernel", import.meta.filename as string, ...args],
    );
    assertEquals([code, line.test(text), text.trim().split("\n").length], [2, true, 1], text);
  });
}
