// SPDX-License-Identifier: MIT
/** A writer that is killed at any moment: nothing that was flushed is lost, and qemu-img finds no fault with the image. */
import { assert, assertEquals } from "@std/assert";
import { Child } from "../../../scripts/host/child.ts";
import { noQemuImg, qemuImg, run, withFolder } from "../_images.ts";
import { openDisk } from "../open_disk.ts";
import { createQcow2 } from "./open_qcow2.ts";
import { placeOf, RECORD, recordOf } from "./_writer.ts";

const SIZE = 48 << 20;
const ROUNDS = Number(Deno.env.get("XENNER_KILLS") ?? 4);

/** Runs the writer and kills it `ms` after its first flush; how far it said it was. */
async function killWriter(path: string, seed: number, ms: number): Promise<number> {
  const writer = new URL("_writer.ts", import.meta.url).pathname;
  const child = new Child({ command: Deno.execPath(), args: ["run", "-A", writer, path, String(seed)] });
  assert(await child.match(/\n/) !== undefined, child.stderr);
  await new Promise((resolve) => setTimeout(resolve, ms));
  child.kill("SIGKILL");
  await child.status;
  return Number(child.stdout.trimEnd().split("\n").filter((line) => line !== "").at(-1));
}

const SHAPES: readonly [string, (folder: string) => Promise<void>][] = [
  ["raw", (folder) => Deno.writeFile(`${folder}/disk`, new Uint8Array(SIZE))],
  ["qcow2", (folder) => createQcow2(`${folder}/disk`, { size: SIZE })],
  ["qcow2 of version 2", (folder) => createQcow2(`${folder}/disk`, { size: SIZE, version: 2 })],
  [
    "qcow2 of clusters of 512 bytes",
    (folder) => createQcow2(`${folder}/disk`, { size: SIZE, clusterBits: 9 }),
  ],
  ["qcow2 on a backing file", async (folder) => {
    await Deno.writeFile(`${folder}/base`, new Uint8Array(SIZE));
    await qemuImg("create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw", `${folder}/disk`);
  }],
];
for (const [what, make] of SHAPES) {
  Deno.test({
    name: `${what}: what was flushed is there after kill -9, and the image is right${noQemuImg}`,
    ignore: noQemuImg !== "",
    fn: () =>
      withFolder(async (folder) => {
        await make(folder);
        const disk = `${folder}/disk`;
        const places = SIZE / RECORD;
        let written = 0;
        for (let round = 0; round < ROUNDS; round++) {
          const from = written;
          written = await killWriter(disk, from, 20 + 67 * round % 300);
          assert(written > from);
          if (what !== "raw") {
            const { code, text } = await run("qemu-img", "check", disk);
            // where counts change with each cluster: killed between two of a flush's writes, one that nobody uses may be
            // counted, never the other way round
            const fine = code === 0 || code === 3 && what !== "qcow2";
            assert(fine, `${text} (round ${round}, status ${code})`);
          }
          const store = await openDisk(disk);
          const bytes = new Uint8Array(RECORD);
          for (let n = Math.max(0, written - places); n < written; n++) {
            await store.read(placeOf(n, places) * RECORD, bytes);
            const later = n + places; // may have been begun already
            if (bytes[0] === recordOf(later)[0] && bytes[1] === recordOf(later)[1]) continue;
            assertEquals(bytes, recordOf(n), `record ${n} of ${written}`);
          }
          await store.close?.();
          if (what !== "raw") {
            const { code, text } = await run("qemu-img", "check", disk);
            // version 3 says that its writer is gone, and was counted anew
            assert(code === 0 || code === 3 && what.includes("version 2"), text);
          }
        }
      }),
  });
}
