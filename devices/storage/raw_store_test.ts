// SPDX-License-Identifier: MIT
import { assert, assertEquals, assertRejects } from "@std/assert";
import { contents, exercise, noise, run, withFolder } from "./_images.ts";
import { DiskError } from "./disk_error.ts";
import { openDisk } from "./open_disk.ts";
import { createQcow2 } from "./qcow2/open_qcow2.ts";

const MIB = 1 << 20;

for (const snapshot of [false, true]) {
  Deno.test(`a raw disk${snapshot ? " with snapshot" : ""} does what a model does, at random`, () =>
    withFolder(async (folder) => {
      const path = `${folder}/disk.img`;
      const original = noise(2 * MIB + 512, 1);
      await Deno.writeFile(path, original);
      const store = await openDisk(path, { snapshot });
      const model = original.slice();
      await exercise(store, model, 300, 42);
      assertEquals(await contents(store), model);
      await store.close?.();
      assertEquals(await Deno.readFile(path), snapshot ? original : model);
    }));
}

Deno.test("a raw disk is discarded into holes, and reads as zeros there", () =>
  withFolder(async (folder) => {
    const path = `${folder}/disk.img`;
    await Deno.writeFile(path, noise(4 * MIB, 3));
    const store = await openDisk(path);
    await store.flush();
    const before = (await Deno.stat(path)).blocks as number;
    await store.discard?.(MIB, 2 * MIB);
    await store.flush();
    assert((await Deno.stat(path)).blocks as number <= before - 2 * MIB / 512);
    const bytes = new Uint8Array(MIB);
    await store.read(MIB, bytes);
    assert(bytes.every((byte) => byte === 0));
    await store.close?.();
  }));

Deno.test("what a raw disk reads that is not in memory comes from the host's device", () =>
  withFolder(async (folder) => {
    const path = `${folder}/disk.img`;
    const bytes = noise(3 * MIB, 9);
    await Deno.writeFile(path, bytes);
    assertEquals((await run("dd", `if=${path}`, "iflag=nocache", "count=0", "status=none")).code, 0);
    assertEquals((await run("sync", path)).code, 0);
    assertEquals((await run("dd", `if=${path}`, "iflag=nocache", "count=0", "status=none")).code, 0);
    const store = await openDisk(path, { readonly: true });
    assertEquals(store.readonly, true);
    assertEquals(await contents(store), bytes);
    await store.close?.();
  }));

Deno.test({
  name: "a write that finds no room on the host fails, and the rest goes on",
  ignore: Deno.uid() !== 0,
  fn: () =>
    withFolder(async (folder) => {
      if ((await run("mount", "-t", "tmpfs", "-o", "size=1M", "none", folder)).code !== 0) return;
      try {
        const path = `${folder}/disk.img`;
        await Deno.writeFile(path, new Uint8Array(0));
        await Deno.truncate(path, 8 * MIB);
        const store = await openDisk(path);
        const error = await assertRejects(async () => await store.write(0, noise(4 * MIB, 1)), DiskError);
        assert(error.message.includes("no space left"), error.message);
        await store.discard?.(0, 8 * MIB);
        await store.write(4096, noise(4096, 2));
        const back = new Uint8Array(4096);
        await store.read(4096, back);
        assertEquals(back, noise(4096, 2));
        await store.close?.();
      } finally {
        await run("umount", folder);
      }
    }),
});

Deno.test("a snapshot of a disk of petabytes needs no memory for what is not written", () =>
  withFolder(async (folder) => {
    const size = 2 ** 51;
    await createQcow2(`${folder}/a`, { size, clusterBits: 21 });
    const store = await openDisk(`${folder}/a`, { snapshot: true });
    await store.write(2 ** 43 - 512, noise(4096, 5));
    const back = new Uint8Array(8192);
    await store.read(2 ** 43 - 512, back);
    assertEquals([back.subarray(0, 4096), back.subarray(4096)], [noise(4096, 5), new Uint8Array(4096)]);
    await store.close?.();
  }));

Deno.test("a disk that is closed while it works finishes its work first", () =>
  withFolder(async (folder) => {
    const path = `${folder}/disk.img`;
    await Deno.writeFile(path, new Uint8Array(MIB));
    const store = await openDisk(path);
    const written = store.write(0, noise(MIB, 5));
    await store.close?.();
    await written;
    assertEquals(await Deno.readFile(path), noise(MIB, 5));
  }));
