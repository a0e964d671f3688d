// SPDX-License-Identifier: MIT
/** A folder of the host's as root file system: kernels of 64 and 32 bits, busybox and a whole Debian. */
import { assert, assertEquals } from "@std/assert";
import { run, withFolder } from "../../devices/storage/_images.ts";
import { Child, xenner } from "../../scripts/host/child.ts";
import { guestFiles, type GuestName } from "../../scripts/guests/manifest.ts";
import { debianFiles } from "../../scripts/debian/make_debian.ts";
import { missing } from "../_boot.ts";
import { makeRootFolder } from "../_root_folder.ts";

const INIT = `
export PATH=/bin
busybox mount -t proc proc /proc
echo "XENNER-ROOT $(busybox grep ' / ' /proc/mounts | busybox tail -1)"
echo written >/from-guest
busybox mkdir /dir
busybox mkfifo /fifo || echo XENNER-ERROR mkfifo
busybox mknod /device c 1 3 2>/dev/null && echo XENNER-ERROR mknod
busybox cp /bin/busybox /dir/setuid
busybox chown 12:34 /dir/setuid
busybox chmod 4755 /dir/setuid
echo "XENNER-MODE $(busybox stat -c '%a %u %g' /dir/setuid)"
busybox su -s /bin/busybox nobody -- 2>/dev/null
busybox sync
busybox poweroff -f
`;

const ROWS: readonly [guest: GuestName, options: readonly string[]][] = [
  ["generic", []],
  ["pae", ["--type", "pvh"]],
];
for (const [guest, options] of ROWS) {
  const skipped = missing(guest) || (Deno.uid() === 0 ? "" : " (skipped: not root)");
  Deno.test({
    name: `--root: a folder with busybox boots, ${[guest, ...options].join(" ")}${skipped}`,
    ignore: skipped !== "",
    fn: () =>
      withFolder(async (root) => {
        await makeRootFolder(root, guest, INIT);
        const child = new Child(xenner([
          ...["run", "--root", root, "--kernel", guestFiles(guest).vmlinuz.pathname, "--net", "none"],
          ...["--append", "console=hvc0 panic=-1", "--timeout", "300", ...options],
        ]));
        const status = await child.status;
        const tail = `${child.stdout.slice(-3000)}\n${child.stderr}`;
        assertEquals(status, 0, tail);
        assert(!child.stdout.includes("XENNER-ERROR"), tail);
        assert(/XENNER-ROOT xenner-root \/ 9p rw/.test(child.stdout), tail);
        assert(child.stdout.includes("XENNER-MODE 4755 12 34"), tail);
        assertEquals(await Deno.readTextFile(`${root}/from-guest`), "written\n");
        const { mode, uid, gid } = await Deno.stat(`${root}/dir/setuid`);
        assertEquals([(mode ?? 0) & 0o7777, uid, gid], [0o4755, 12, 34]);
        assertEquals((await Deno.lstat(`${root}/fifo`)).isFifo, true);
      }),
  });
}

const debian = debianFiles().root;
const noDebian = (() => {
  try {
    return Deno.statSync(`${debian}/sbin/init`).isFile ? "" : " (skipped: no root folder)";
  } catch {
    return " (skipped: run deno task debian as root)";
  }
})();

/** What the shell is told: compiles a program and runs it. */
const BUILD = [
  "cd /srv",
  `printf '#include <stdio.h>\\nint main(void) { printf("sum %%d\\\\n", 6 * 7); return 0; }\\n' >program.c`,
  "/sbin/getcap /bin/ping",
  "tcc -o program program.c && ./program",
  "sync; echo XENNER-BUILT $?",
  "poweroff -f",
];

Deno.test({
  name:
    `--root: a folder made by mmdebstrap comes to a shell, and builds a C program that is right on the host${noDebian}`,
  ignore: noDebian !== "",
  async fn() {
    for (const name of ["program", "program.c"]) {
      await Deno.remove(`${debian}/srv/${name}`).catch(() => {});
    }
    const child = new Child(
      xenner([
        ...["run", "--root", debian, "--memory", "512M", "--net", "none", "--timeout", "900"],
        ...["--append", "console=hvc0 panic=-1 init=/bin/bash"],
      ]),
      undefined,
      "piped",
    );
    try {
      assert(await child.match(/root@.*# /, 600_000) !== undefined, child.stdout.slice(-3000) + child.stderr);
      for (const line of BUILD) await child.type(`${line}\n`);
      const status = await child.status;
      const tail = `${child.stdout.slice(-3000)}\n${child.stderr}`;
      assert(/^sum 42\r?$/m.test(child.stdout), tail);
      assert(/^\/bin\/ping cap_net_raw=ep\r?$/m.test(child.stdout), tail); // an extended attribute
      assert(/^XENNER-BUILT 0\r?$/m.test(child.stdout), tail);
      assertEquals(status, 0, tail);
      const built = await run(`${debian}/srv/program`);
      assertEquals(built, { code: 0, text: "sum 42\n" });
    } finally {
      child.kill();
    }
  },
});
