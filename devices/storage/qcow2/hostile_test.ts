// SPDX-License-Identifier: MIT
/** Images made to harm: refused in one line, or an error for the guest; never an exception of another kind, never much memory. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../../cpu/base/assert.ts";
import { exercise, noise, noQemuImg, qemuImg, random, run, withFolder } from "../_images.ts";
import { DiskError } from "../disk_error.ts";
import { openDisk } from "../open_disk.ts";
import { createQcow2 } from "./open_qcow2.ts";

const MIB = 1 << 20;
const SIZE = 4 * MIB;

/** Changes bytes of a file. */
async function poke(
  path: string,
  changes: readonly (readonly [at: number, bytes: readonly number[]])[],
): Promise<void> {
  const file = await Deno.open(path, { read: true, write: true });
  try {
    for (const [at, bytes] of changes) {
      await file.seek(at, Deno.SeekMode.Start);
      await file.write(Uint8Array.from(bytes));
    }
  } finally {
    file.close();
  }
}
const u32 = (value: number) => [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255];
const u64 = (value: number) => [...u32(Math.floor(value / 2 ** 32)), ...u32(value % 2 ** 32)];

const REFUSED: readonly [string, number, readonly number[], RegExp][] = [
  ["version 4", 4, u32(4), /version 4/],
  ["clusters of 2^40", 20, u32(40), /clusters of 2\^40/],
  ["clusters of 1 byte", 20, u32(0), /clusters of 2\^0/],
  ["encryption", 32, u32(1), /encrypted/],
  ["a giant disk", 24, u64(2 ** 60), /not allowed/],
  ["no size", 24, u64(0), /empty/],
  ["half a sector", 24, u64(700), /not allowed/],
  ["a giant L1 table", 36, u32(0xffff_ffff), /L1 table/],
  ["an L1 table too short", 36, u32(0), /L1 table/],
  ["an L1 table past the end", 40, u64(2 ** 50), /L1 table/],
  ["an L1 table between clusters", 40, u64(65536 + 8), /L1 table/],
  ["a huge refcount table", 56, u32(0x7fff_ffff), /refcount table/],
  ["no refcount table", 56, u32(0), /refcount table/],
  ["a refcount table past the end", 48, u64(2 ** 45), /refcount table/],
  ["counts of 2^40 bits", 96, u32(40), /2\^40 bits/],
  ["a header of 4 GiB", 100, u32(0xffff_fff8), /header/],
  ["an external data file", 76, u32(4), /external data file/],
  ["extended L2 entries", 76, u32(16), /extended L2/],
  ["a feature nobody knows", 72, u32(1 << 20), /nobody knows/],
  ["damage that is known", 76, u32(2), /damaged/],
  ["2^31 snapshots", 60, u32(0x7fff_ffff), /snapshots/],
  ["a compression nobody knows", 104, [9], /compression type 9/],
];
for (const [what, at, bytes, line] of REFUSED) {
  Deno.test(`a qcow2 image with ${what} is refused`, () =>
    withFolder(async (folder) => {
      const image = `${folder}/a.qcow2`;
      await createQcow2(image, { size: SIZE });
      await poke(image, [[at, bytes]]);
      const error = await assertRejects(() => openDisk(image), ConfigError);
      assert(line.test(error.message), error.message);
    }));
}

Deno.test("a qcow2 file that is cut off is refused, wherever it ends", () =>
  withFolder(async (folder) => {
    const image = `${folder}/a.qcow2`;
    for (const length of [4, 71, 72, 100, 104, 512, 65536, 2 * 65536]) {
      await createQcow2(image, { size: SIZE }, true);
      await Deno.truncate(image, length);
      await assertRejects(() => openDisk(image, { format: "qcow2" }), ConfigError);
    }
  }));

/** What the L2 table's first entry says; it lies at cluster 4, and cluster 5 is data. */
const ENTRIES: readonly [string, readonly number[]][] = [
  ["data past the end", u64(2 ** 40)],
  ["data between clusters", u64(5 * 65536 + 512)],
  ["compressed data past the end", [0x40, 0, 0x7f, 0, 0, 0, 0, 0]],
  ["compressed data in the header", [0x40, 0, 0, 0, 0, 0, 0, 100]],
  ["compressed data that is none", [0x7f, 0xff, 0, 0, 0, 5, 0, 0]],
];
for (const [what, entry] of ENTRIES) {
  Deno.test(`a qcow2 image whose table promises ${what} gives an I/O error there, and the rest works`, () =>
    withFolder(async (folder) => {
      const image = `${folder}/a.qcow2`;
      await createQcow2(image, { size: SIZE });
      const first = await openDisk(image);
      await first.write(65536, noise(65536, 1));
      await first.close?.();
      const l1 = new DataView((await Deno.readFile(image)).buffer).getUint32(3 * 65536 + 4);
      await poke(image, [[l1, entry]]);
      const store = await openDisk(image);
      const bytes = new Uint8Array(65536);
      await assertRejects(async () => await store.read(0, bytes), DiskError);
      await store.read(65536, bytes);
      assertEquals(bytes, noise(65536, 1));
      await store.write(2 * 65536, noise(4096, 2));
      await store.flush();
      await store.close?.();
    }));
}

for (
  const [what, target] of [["itself", 0], ["the L1 table", 3 * 65536], ["the refcount table", 65536], [
    "nowhere",
    2 ** 41,
  ]] as const
) {
  Deno.test(`a qcow2 image whose L1 entry leads to ${what} ends no process`, () =>
    withFolder(async (folder) => {
      const image = `${folder}/a.qcow2`;
      await createQcow2(image, { size: SIZE });
      await poke(image, [[3 * 65536, [0x80, ...u64(target).slice(1)]]]);
      const store = await openDisk(image);
      const work = async () => {
        const bytes = new Uint8Array(SIZE);
        await store.read(0, bytes);
        await store.write(0, bytes.subarray(0, MIB));
        await store.discard?.(0, SIZE);
        await store.flush();
      };
      await work().catch((error) => assert(error instanceof DiskError, String(error)));
      await (async () => await store.close?.())().catch((error) => assert(error instanceof DiskError));
    }));
}

Deno.test("backing files that lead back, or nowhere, are refused", () =>
  withFolder(async (folder) => {
    const make = (name: string, backing: string, format = "qcow2") =>
      createQcow2(`${folder}/${name}`, { size: SIZE, backing: { name: backing, format } });
    await make("self", "self");
    await make("a", "b");
    await make("b", "./a");
    await make("lost", "nothing-here");
    await make("net", "nbd://localhost/x");
    await make("json", 'json:{"driver":"raw"}');
    await make("odd", "a", "vmdk");
    for (
      const [name, line] of [
        ["self", /its own backing file/],
        ["a", /its own backing file/],
        ["lost", /nothing-here": no such file/],
        ["net", /is not a file/],
        ["json", /is not a file/],
        ["odd", /"vmdk", which is not understood/],
      ] as const
    ) {
      for (const readonly of [true, false]) {
        const error = await assertRejects(() => openDisk(`${folder}/${name}`, { readonly }), ConfigError);
        assert(line.test(error.message), error.message);
      }
    }
  }));

Deno.test({
  name: `a compressed cluster that would unpack without end is an I/O error${noQemuImg}`,
  ignore: noQemuImg !== "",
  fn: () =>
    withFolder(async (folder) => {
      for (const compression of ["zlib", "zstd"]) {
        const image = `${folder}/${compression}`;
        await Deno.writeFile(`${folder}/raw`, noise(65536, 8).fill(7, 100));
        await qemuImg(
          ...["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", `compression_type=${compression}`],
          ...[`${folder}/raw`, image],
        );
        await Deno.writeFile(`${folder}/zeros`, new Uint8Array(64 * MIB));
        const tool = compression === "zlib" ? "gzip" : "zstd";
        assertEquals((await run("sh", "-c", `${tool} -9 -c ${folder}/zeros >${folder}/bomb`)).code, 0);
        const bomb = await Deno.readFile(`${folder}/bomb`);
        const packed = [...(compression === "zlib" ? bomb.subarray(16) : bomb)]; // behind gzip's header and name
        const bytes = await Deno.readFile(image);
        const view = new DataView(bytes.buffer);
        const l2 = view.getUint32(view.getUint32(44) + 4);
        await poke(image, [[view.getUint32(l2 + 4), packed.slice(0, 60000)]]);
        const store = await openDisk(image, { readonly: true });
        const into = new Uint8Array(65536);
        try {
          await store.read(0, into); // a cluster of it is all that comes out
        } catch (error) {
          assert(error instanceof DiskError, String(error));
        }
        await store.close?.();
      }
    }),
});

Deno.test("images with random damage never throw anything but a DiskError or ConfigError", () =>
  withFolder(async (folder) => {
    const image = `${folder}/a.qcow2`;
    const next = random(99);
    for (let round = 0; round < 60; round++) {
      await createQcow2(image, { size: SIZE, clusterBits: round % 2 === 0 ? 12 : 9 }, true);
      const first = await openDisk(image);
      await exercise(first, new Uint8Array(SIZE), 6, round);
      await first.close?.();
      const { size } = await Deno.stat(image);
      const area = next(2) === 0 ? 112 : Math.min(size, 65536);
      await poke(image, Array.from({ length: 1 + next(20) }, () => [next(area), [next(256)]] as const));
      try {
        const store = await openDisk(image, { format: "qcow2" });
        const bytes = new Uint8Array(16384);
        for (let i = 0; i < 10; i++) {
          const at = next(Math.min(store.size, SIZE) / 512 - 32) * 512;
          try {
            if (next(2) === 0) await store.read(at, bytes);
            else await store.write(at, bytes);
            if (next(3) === 0) await store.flush();
            if (next(3) === 0) await store.discard?.(at, bytes.length);
          } catch (error) {
            if (!(error instanceof DiskError)) throw error;
          }
        }
        await store.close?.();
      } catch (error) {
        if (!(error instanceof DiskError || error instanceof ConfigError)) throw error;
      }
    }
  }));
