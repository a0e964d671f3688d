// SPDX-License-Identifier: MIT
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { run, withFolder } from "./_images.ts";
import { type DiskFileOptions, openDisk } from "./open_disk.ts";

/** What makes the file, how it is opened, and what the one line must say. */
const BAD: readonly [string, (path: string) => Promise<unknown>, DiskFileOptions, RegExp][] = [
  ["missing", async () => {}, {}, /no such file$/],
  ["a directory", (path) => Deno.mkdir(path), {}, /it is a directory$/],
  ["empty", (path) => Deno.writeFile(path, new Uint8Array(0)), {}, /it is empty$/],
  [
    "of half a sector",
    (path) => Deno.writeFile(path, new Uint8Array(768)),
    {},
    /768 bytes is no multiple of 512/,
  ],
  ["a pipe", (path) => run("mkfifo", path), {}, /neither a file nor a block device$/],
  [
    "below a file",
    async (path) => void await Deno.writeFile(path, new Uint8Array(512)),
    {},
    /not a directory$/,
  ],
  ["VMDK", (path) => Deno.writeTextFile(path, "KDMV".padEnd(1024)), {}, /looks like VMDK/],
  ["VHDX", (path) => Deno.writeTextFile(path, "vhdxfile".padEnd(1024)), {}, /looks like VHDX/],
  ["not qcow2 as said", (path) => Deno.writeFile(path, new Uint8Array(1024)), { format: "qcow2" }, /qcow2/],
];
for (const [what, make, options, line] of BAD) {
  Deno.test(`a disk that is ${what} is refused in one line`, () =>
    withFolder(async (folder) => {
      const path = `${folder}/disk`;
      await make(path);
      const name = what === "below a file" ? `${path}/disk` : path;
      const error = await assertRejects(() => openDisk(name, options), ConfigError);
      assert(line.test(error.message), error.message);
      assert(error.message.startsWith("Cannot use disk ") && !error.message.includes("\n"), error.message);
    }));
}

Deno.test("a file is opened by one writer, or by readers", () =>
  withFolder(async (folder) => {
    const path = `${folder}/disk`;
    await Deno.writeFile(path, new Uint8Array(4096));
    const writer = await openDisk(path);
    for (const readonly of [false, true]) {
      const error = await assertRejects(() => openDisk(path, { readonly }), ConfigError);
      assertEquals([error.kind, /in use/.test(error.message)], ["host", true]);
    }
    await writer.close?.();
    const readers = [await openDisk(path, { readonly: true }), await openDisk(path, { snapshot: true })];
    await assertRejects(() => openDisk(path), ConfigError);
    for (const reader of readers) await reader.close?.();
    await (await openDisk(path)).close?.();
  }));

Deno.test("a file of another format is raw when one says so", () =>
  withFolder(async (folder) => {
    const path = `${folder}/disk`;
    await Deno.writeTextFile(path, "KDMV".padEnd(1024));
    const store = await openDisk(path, { format: "raw" });
    assertEquals(store.size, 1024);
    await store.close?.();
  }));
