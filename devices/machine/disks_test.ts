// SPDX-License-Identifier: MIT
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { MemoryBlockStore } from "../../xen/backend/block_store.ts";
import { FakeHost } from "../../xen/backend/_fake_host.ts";
import { Blkback } from "../../xen/backend/blkback.ts";
import { noQemuImg, qemuImg, withFolder } from "../storage/_images.ts";
import { openDisk } from "../storage/open_disk.ts";
import { createQcow2 } from "../storage/qcow2/open_qcow2.ts";
import { MachineDisk, nameDisks, openDisks } from "./disks.ts";

Deno.test("disks get the names they ask for, the others those that are free", () => {
  assertEquals(nameDisks([undefined, "xvda", undefined, "xvdp"]), ["xvdb", "xvda", "xvdc", "xvdp"]);
  const all = nameDisks(Array(16).fill(undefined));
  assertEquals([all[0], all[15], new Set(all).size], ["xvda", "xvdp", 16]);
});

Deno.test("too many disks, and names that are none or taken, are refused", () => {
  for (const names of [Array(17).fill(undefined), ["xvdc", "xvdc"], ["sda"], ["xvdq"], ["xvda1"], [""]]) {
    assertThrows(() => nameDisks(names), ConfigError);
  }
});

Deno.test("a disk may be a store of the caller's, with and without a name", async () => {
  const [a, b] = [new MemoryBlockStore(new Uint8Array(512)), new MemoryBlockStore(new Uint8Array(1024))];
  const disks = await openDisks([{ store: a, vdev: "xvdb" }, b]);
  assertEquals(disks.map(({ store, device }) => [store.size, device]), [[512, "xvdb"], [1024, "xvda"]]);
});

Deno.test("when one disk cannot be opened, the others are closed", async () => {
  let closed = 0;
  const store = { size: 512, read() {}, write() {}, flush() {}, close: () => void closed++ };
  await assertRejects(() => openDisks([store, "/no/such/disk"]), ConfigError);
  assertEquals(closed, 1);
});

Deno.test({
  name: `a disk grows while it is in use, raw and qcow2, and never shrinks${noQemuImg}`,
  ignore: noQemuImg !== "",
  fn: () =>
    withFolder(async (folder) => {
      await Deno.writeFile(`${folder}/raw`, new Uint8Array(1 << 20));
      await createQcow2(`${folder}/qcow2`, { size: 1 << 20 });
      for (const format of ["raw", "qcow2"]) {
        const path = `${folder}/${format}`;
        const store = await openDisk(path);
        const blkback = new Blkback(new FakeHost(), { store, device: "xvdc" });
        let told = 0;
        const disk = new MachineDisk(blkback, () => told++);
        assertEquals([disk.name, disk.size, disk.readonly], ["xvdc", 1 << 20, false]);
        await disk.resize("3M");
        assertEquals([disk.size, told], [3 << 20, 1]);
        await store.write((3 << 20) - 512, new Uint8Array(512).fill(9));
        await store.flush();
        await assertRejects(() => disk.resize(1 << 20), ConfigError, "only grows");
        await assertRejects(() => disk.resize((3 << 20) + 1), ConfigError, "no multiple of 512");
        await assertRejects(() => disk.resize(NaN), ConfigError, "no multiple of 512");
        if (format === "qcow2") {
          await assertRejects(() => disk.resize(2 ** 40), ConfigError, "L1 table reaches to 536870912 bytes");
        }
        assertEquals([disk.size, told], [3 << 20, 1]);
        await store.close?.();
        if (format === "qcow2") await qemuImg("check", path);
        const info = JSON.parse(await qemuImg("info", "--output=json", "-f", format, path));
        assertEquals(info["virtual-size"], 3 << 20);
        const again = await openDisk(path);
        const last = new Uint8Array(512);
        await again.read((3 << 20) - 512, last);
        assertEquals([again.size, last[0], last[511]], [3 << 20, 9, 9]);
        await again.close?.();
      }
    }),
});

Deno.test("a store of the caller's that has no resize has grown before", async () => {
  const store = { size: 512, read() {}, write() {}, flush() {} };
  const disk = new MachineDisk(new Blkback(new FakeHost(), { store, device: "xvda" }), () => {});
  await assertRejects(() => disk.resize(1024), ConfigError, "has no resize");
  store.size = 1024;
  await disk.resize(1024);
  assertEquals(disk.size, 1024);
});
