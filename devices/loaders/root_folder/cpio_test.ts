// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { type CpioEntry, writeCpio } from "./cpio.ts";

const text = (s: string) => new TextEncoder().encode(s);
const entries: readonly CpioEntry[] = [
  { type: "file", name: "init", mode: 0o755, data: text("#!/bin/sh\n") },
  { type: "directory", name: "proc", mode: 0o555 },
  { type: "symlink", name: "bin/sh", target: "busybox" },
  { type: "file", name: "lib/modules/empty.ko", data: new Uint8Array(0) },
  { type: "file", name: "lib/modules/odd.bin", data: new Uint8Array([1, 2, 3, 4, 5]) },
  { type: "character", name: "dev/console", major: 5, minor: 1 },
];

/** A program that reads archives: cpio(1), or busybox. */
function reader(): { command: string; args: string[] } | undefined {
  const cache = new URL("../../../.cache/guests/busybox", import.meta.url).pathname;
  for (const [command, ...args] of [["cpio"], ["busybox", "cpio"], [cache, "cpio"]] as const) {
    try {
      new Deno.Command(command, { args: ["--help"], stdout: "null", stderr: "null" }).outputSync();
      return { command, args };
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}
const cpio = reader();
const missing = cpio === undefined ? "cpio or busybox" : Deno.uid() === 0 ? "" : "root, to make device nodes";

Deno.test({
  name: `writeCpio's archives unpack with cpio(1)${missing && ` (skipped: needs ${missing})`}`,
  ignore: missing !== "",
  async fn() {
    if (cpio === undefined) return;
    const dir = await Deno.makeTempDir();
    try {
      const child = new Deno.Command(cpio.command, {
        args: [...cpio.args, "-idm"],
        cwd: dir,
        stdin: "piped",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(writeCpio(entries));
      await writer.close();
      const { success, stderr } = await child.output();
      assertEquals(success, true, new TextDecoder().decode(stderr));
      assertEquals(await Deno.readTextFile(`${dir}/init`), "#!/bin/sh\n");
      assertEquals((await Deno.stat(`${dir}/init`)).mode, 0o100755);
      assertEquals((await Deno.stat(`${dir}/proc`)).mode, 0o040555);
      assertEquals(await Deno.readLink(`${dir}/bin/sh`), "busybox");
      assertEquals((await Deno.stat(`${dir}/lib/modules/empty.ko`)).size, 0);
      assertEquals(await Deno.readFile(`${dir}/lib/modules/odd.bin`), new Uint8Array([1, 2, 3, 4, 5]));
      const node = await Deno.stat(`${dir}/dev/console`);
      assertEquals([node.isCharDevice, node.rdev, node.mode], [true, (5 << 8) | 1, 0o020600]);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test("writeCpio lays an archive out as cpio(5) says", () => {
  const bytes = writeCpio([{ type: "file", name: "ab", data: text("xyz") }]);
  const ascii = new TextDecoder().decode(bytes);
  assertEquals(ascii.slice(0, 6), "070701");
  assertEquals(ascii.slice(14, 22), "000081a4"); // S_IFREG | 0644
  assertEquals(ascii.slice(54, 62), "00000003"); // c_filesize
  assertEquals(ascii.slice(94, 102), "00000003"); // c_namesize with its NUL
  assertEquals(ascii.slice(110, 120), "ab\0\0\0\0xyz\0"); // name, padding to 116, data, padding
  assertEquals(bytes.length % 4, 0);
  assertEquals(ascii.includes("TRAILER!!!\0"), true);
});

for (const name of ["/init", "a//b", "../up", "a/./b", "", "TRAILER!!!"]) {
  Deno.test(`writeCpio refuses the name ${JSON.stringify(name)}`, () => {
    assertThrows(() => writeCpio([{ type: "directory", name }]), TypeError);
  });
}

Deno.test("writeCpio refuses the same name twice", () => {
  const entry: CpioEntry = { type: "directory", name: "a" };
  assertThrows(() => writeCpio([entry, entry]), TypeError);
});
