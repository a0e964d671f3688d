// SPDX-License-Identifier: MIT
/** `xenner disk`: images made, copied and checked through the command line, with qemu-img as judge. */
import { assert, assertEquals } from "@std/assert";
import { noise, noQemuImg, qemuImg, run, withFolder } from "../devices/storage/_images.ts";
import { xenner } from "../scripts/host/child.ts";

async function disk(...args: string[]): Promise<{ code: number; text: string }> {
  const line = xenner(["disk", ...args]);
  return await run(line.command, ...line.args);
}

Deno.test({
  name: `disk create, convert, info and check agree with qemu-img${noQemuImg}`,
  ignore: noQemuImg !== "",
  fn: () =>
    withFolder(async (folder) => {
      const raw = `${folder}/a.img`,
        image = `${folder}/a.qcow2`,
        top = `${folder}/top.qcow2`,
        back = `${folder}/b.img`;
      const bytes = new Uint8Array(5 << 20);
      bytes.set(noise(70000, 3), 1 << 20);
      await Deno.writeFile(raw, bytes);
      assertEquals((await disk("convert", raw, image)).code, 0);
      await qemuImg("check", image);
      await qemuImg("compare", "-f", "raw", raw, image);
      // clusters are reserved as a hole: what counts is what the host has written
      const { blocks } = await Deno.stat(image);
      assert(blocks !== null && blocks * 512 < 600_000, `${blocks} blocks`);
      assertEquals((await disk("create", top, "--backing", "a.qcow2", "--cluster-size", "4k")).code, 0);
      await qemuImg("compare", "-f", "raw", raw, top);
      assertEquals((await disk("convert", top, back)).code, 0);
      assertEquals(await Deno.readFile(back), bytes);
      const { text } = await disk("info", top);
      for (
        const line of ["format: qcow2", "disk: 5 MiB", "clusters: 4 KiB", "backing file: a.qcow2 (qcow2)"]
      ) {
        assert(text.includes(line), text);
      }
      assertEquals(await disk("check", top), { code: 0, text: "nothing is wrong\n" });
      const file = await Deno.open(image, { write: true });
      await file.seek(2 * 65536 + 2 * 7, Deno.SeekMode.Start); // cluster 7's count
      await file.write(Uint8Array.of(0, 9));
      file.close();
      assertEquals((await disk("check", image)).code, 4);
      assertEquals((await disk("check", "--repair", image)).code, 0);
      await qemuImg("check", image);
    }),
});

Deno.test("disk refuses in one line what cannot be", () =>
  withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/there.img`, new Uint8Array(1024));
    const rows: readonly [readonly string[], number, RegExp][] = [
      [["create", `${folder}/there.img`, "1M"], 2, /it exists already/],
      [["create", `${folder}/new.img`], 2, /needs a size/],
      [["create", `${folder}/new.img`, "1000"], 2, /not whole sectors/],
      [["create", `${folder}/new.img`, "much"], 2, /as a size/],
      [["create", `${folder}/new.qcow2`, "--backing", "none"], 2, /none": no such file/],
      [["create", `${folder}/no/new.qcow2`, "1M"], 2, /no such file/],
      [["create", `${folder}/new.qcow2`, "1M", "--cluster-size", "3k"], 2, /power of two/],
      [["convert", `${folder}/gone`, `${folder}/new.img`], 2, /no such file/],
      [["info", folder], 2, /it is a directory/],
      [["check", `${folder}/gone`], 2, /no such file/],
      [["shrink", "x"], 2, /shrink/],
    ];
    for (const [args, status, line] of rows) {
      const { code, text } = await disk(...args);
      assertEquals(
        [code, line.test(text), text.trim().split("\n").length],
        [status, true, 1],
        `${args}: ${text}`,
      );
    }
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["there.img"]);
  }));
