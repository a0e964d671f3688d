// SPDX-License-Identifier: MIT
/** qcow2 images: random operations against a model, with qemu-img as judge of what is left behind. */
import { assert, assertEquals } from "@std/assert";
import { contents, exercise, noise, noQemuImg, qemuImg, run, withFolder } from "../_images.ts";
import { openDisk } from "../open_disk.ts";
import { createQcow2 } from "./open_qcow2.ts";

const MIB = 1 << 20;
const qemu = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test({ name: name + noQemuImg, ignore: noQemuImg !== "", fn: () => withFolder(body) });

/** The image is what the model is, and right. */
async function judge(folder: string, image: string, model: Uint8Array<ArrayBuffer>): Promise<void> {
  await Deno.writeFile(`${folder}/model.raw`, model);
  const { code, text } = await run("qemu-img", "check", image);
  assertEquals(code, 0, text);
  await qemuImg("compare", "-F", "raw", image, `${folder}/model.raw`);
}

const SHAPES: readonly [string, readonly string[]][] = [
  ["version 3", []],
  ["version 2", ["compat=0.10"]],
  ["clusters of 512 bytes", ["cluster_size=512"]],
  ["clusters of 2 MiB", ["cluster_size=2M"]],
  ["counts of 1 bit", ["refcount_bits=1"]],
  ["counts of 64 bits", ["refcount_bits=64", "cluster_size=4k"]],
  ["preallocated metadata", ["preallocation=metadata"]],
  ["lazy counts", ["lazy_refcounts=on"]],
];
for (const [what, options] of SHAPES) {
  qemu(`a qcow2 image of ${what} does what a model does, and qemu-img finds it right`, async (folder) => {
    const image = `${folder}/a.qcow2`;
    const size = 8 * MIB + 512;
    await qemuImg("create", "-q", "-f", "qcow2", ...options.flatMap((o) => ["-o", o]), image, String(size));
    const model = new Uint8Array(size);
    for (let round = 0; round < 3; round++) {
      const store = await openDisk(image);
      await exercise(store, model, 80, 100 + round);
      if (round === 1) { // discarded is zero here, as there is nothing below
        await store.discard?.(MIB, 4 * MIB);
        const bytes = new Uint8Array(4 * MIB);
        await store.read(MIB, bytes);
        model.set(bytes, MIB);
      }
      assertEquals(await contents(store), model);
      await store.close?.();
      await judge(folder, image, model);
    }
  });
}

qemu("a qcow2 image counts its clusters many at a time, and discarding changes no count", async (folder) => {
  const image = `${folder}/a.qcow2`;
  await createQcow2(image, { size: 64 * MIB });
  const model = new Uint8Array(64 * MIB);
  const store = await openDisk(image);
  const counts = async () => (await Deno.readFile(image)).subarray(2 * 65536, 3 * 65536); // the first block of them
  const put = async (at: number, length: number, seed: number) => {
    const bytes = noise(length, seed);
    await store.write(at, bytes);
    model.set(bytes, at);
    await store.flush();
  };
  await put(5 * MIB + 512, 512, 1);
  const before = await counts();
  assert(before.some((byte, i) => byte !== 0 && i > 100));
  await put(0, 3 * MIB, 2);
  await put(60 * MIB + 1024, 100_000, 3);
  await store.discard?.(MIB, MIB);
  model.fill(0, MIB, 2 * MIB);
  await store.flush();
  await put(MIB + 4096, 4096, 4); // what was there before does not come back around it
  assertEquals(await counts(), before);
  assertEquals(await contents(store), model);
  // a writer that never closes: qemu-img finds nothing to repair
  await Deno.copyFile(image, `${folder}/copy.qcow2`);
  await judge(folder, `${folder}/copy.qcow2`, model);
  await store.close?.();
  // the next one does not trust what lies in places that are reserved
  await Deno.writeFile(`${folder}/model.raw`, model);
  const again = await openDisk(image);
  await again.discard?.(0, MIB);
  model.fill(0, 0, MIB);
  const bytes = noise(4096, 5);
  await again.write(40 * MIB + 8192, bytes);
  model.set(bytes, 40 * MIB + 8192);
  assertEquals(await contents(again), model);
  await again.close?.();
  await judge(folder, image, model);
});

for (const compat of ["1.1", "0.10"]) {
  qemu(
    `a qcow2 image of version ${compat} on a backing file copies what it writes beside`,
    async (folder) => {
      const model = new Uint8Array(6 * MIB);
      model.set(noise(4 * MIB + 300, 5)); // the image below ends earlier, and within a sector
      await Deno.writeFile(`${folder}/base.raw`, model.subarray(0, 4 * MIB + 300));
      await qemuImg(
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        "base.raw",
        "-F",
        "raw",
        `${folder}/mid.qcow2`,
        "5M",
      );
      const top = `${folder}/top.qcow2`;
      await qemuImg(
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        `compat=${compat}`,
        "-b",
        "mid.qcow2",
        "-F",
        "qcow2",
        top,
        "6M",
      );
      const store = await openDisk(top);
      assertEquals(await contents(store), model);
      await exercise(store, model, 120, 7);
      assertEquals(await contents(store), model);
      await store.close?.();
      await judge(folder, top, model);
      assertEquals((await Deno.stat(`${folder}/base.raw`)).size, 4 * MIB + 300);
    },
  );
}

for (const compression of ["zlib", "zstd"]) {
  qemu(`compressed clusters (${compression}) are read, and written over`, async (folder) => {
    const model = noise(3 * MIB, 3);
    for (let i = 0; i < model.length; i++) if (i % 4096 > 500) model[i] = i >> 12;
    await Deno.writeFile(`${folder}/a.raw`, model);
    const image = `${folder}/a.qcow2`;
    await qemuImg(
      ...["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", `compression_type=${compression}`],
      ...[`${folder}/a.raw`, image],
    );
    const readonly = await openDisk(image, { readonly: true });
    assertEquals(await contents(readonly), model);
    await readonly.close?.();
    const store = await openDisk(image);
    await exercise(store, model, 60, 9);
    assertEquals(await contents(store), model);
    await store.close?.();
    await judge(folder, image, model);
  });
}

qemu("an internal snapshot keeps what it had while the disk is written", async (folder) => {
  const image = `${folder}/a.qcow2`;
  const model = noise(2 * MIB, 4);
  await Deno.writeFile(`${folder}/a.raw`, model);
  await qemuImg("convert", "-f", "raw", "-O", "qcow2", `${folder}/a.raw`, image);
  await qemuImg("snapshot", "-c", "before", image);
  const now = model.slice();
  const store = await openDisk(image);
  await exercise(store, now, 60, 21);
  await store.close?.();
  await judge(folder, image, now);
  await qemuImg("snapshot", "-a", "before", image);
  await judge(folder, image, model);
});

qemu("what is made here is what qemu-img makes of it", async (folder) => {
  for (const [version, clusterBits] of [[3, 16], [2, 16], [3, 9], [3, 21], [2, 12]] as const) {
    const image = `${folder}/${version}-${clusterBits}.qcow2`;
    await createQcow2(image, { size: 5 * MIB, version, clusterBits });
    const info = JSON.parse(await qemuImg("info", "--output=json", image));
    assertEquals([info["virtual-size"], info["cluster-size"]], [5 * MIB, 2 ** clusterBits]);
    const model = new Uint8Array(5 * MIB);
    const store = await openDisk(image);
    await exercise(store, model, 50, clusterBits);
    await store.close?.();
    await judge(folder, image, model);
  }
});

qemu("an image whose refcount table grows is right", async (folder) => {
  for (const version of [2, 3] as const) {
    const image = `${folder}/${version}.qcow2`;
    const size = 24 * MIB; // of clusters of 512 bytes: three times what a table of one cluster counts
    await createQcow2(image, { size, version, clusterBits: 9 });
    const model = noise(size, version);
    for (const [from, to] of [[0, 5], [5, 9], [9, 24]] as const) {
      const store = await openDisk(image);
      await store.write(from * MIB, model.subarray(from * MIB, to * MIB));
      await store.flush();
      assertEquals((await run("qemu-img", "check", image)).code, 1); // locked: the table is written for all that
      await store.close?.();
      const { code, text } = await run("qemu-img", "check", image);
      assertEquals(code, 0, text);
    }
    await judge(folder, image, model);
  }
});

qemu("an image of 4 TiB is opened at once, and written at its end", async (folder) => {
  const image = `${folder}/a.qcow2`;
  const size = 4 * 2 ** 40;
  await createQcow2(image, { size });
  const store = await openDisk(image);
  await store.write(size - 4096, noise(4096, 1));
  await store.flush();
  const back = new Uint8Array(8192);
  await store.read(size - 8192, back);
  assertEquals(back.subarray(4096), noise(4096, 1));
  await store.close?.();
  const { size: length, blocks } = await Deno.stat(image);
  assert((blocks ?? 0) * 512 < 2 * MIB && length < 128 * MIB); // the rest is holes for what comes later
  assertEquals((await run("qemu-img", "check", image)).code, 0);
});
