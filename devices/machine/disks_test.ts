// SPDX-License-Identifier: MIT
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { MemoryBlockStore } from "../../xen/backend/block_store.ts";
import { nameDisks, openDisks } from "./disks.ts";

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
