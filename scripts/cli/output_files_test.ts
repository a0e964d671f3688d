// SPDX-License-Identifier: MIT
import { assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { OutputFiles } from "./output_files.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Runs `use` in a folder of its own where "old" says "mine". */
async function inFolder(use: (path: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "xenner-outputs-" });
  try {
    await Deno.writeTextFile(`${folder}/old`, "mine");
    await use((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
function quiet(): OutputFiles {
  return new OutputFiles((line) => {
    throw new Error(line);
  });
}

Deno.test("an output file is emptied when the run begins, not before; what came before is kept", async () => {
  await inFolder(async (path) => {
    const files = quiet();
    const write = await files.open(path("old"), "capture");
    write(bytes("head "));
    assertEquals(await Deno.readTextFile(path("old")), "mine");
    files.begin();
    write(bytes("body"));
    files.close();
    assertEquals(await Deno.readTextFile(path("old")), "head body");
  });
});

Deno.test("a run that never begins leaves old files as they were and no new ones", async () => {
  await inFolder(async (path) => {
    await Deno.symlink("old", path("link"));
    const files = quiet();
    const writes = [await files.open(path("link"), "capture"), await files.open(path("new"), "serial file")];
    for (const write of writes) write(bytes("lost"));
    files.close();
    assertEquals(await Deno.readTextFile(path("old")), "mine");
    await assertRejects(() => Deno.stat(path("new")), Deno.errors.NotFound);
  });
});

for (const other of ["old", "./old", "symlink", "hard link", "../"]) {
  Deno.test(`one file for two outputs is refused: ${other}`, async () => {
    await inFolder(async (path) => {
      await Deno.symlink(path("old"), path("symlink"));
      await Deno.link(path("old"), path("hard link"));
      const folder = path("").split("/").at(-2) ?? "";
      const name = other === "../" ? path(`../${folder}/old`) : path(other);
      const files = quiet();
      await files.open(path("old"), "console file");
      const message = `Cannot write capture "${name}": it is the same file as console file "${path("old")}"`;
      await assertRejects(() => files.open(name, "capture"), ConfigError, message);
      files.close();
      assertEquals(await Deno.readTextFile(path("old")), "mine");
    });
  });
}

Deno.test("an output that only now is made is no second output", async () => {
  await inFolder(async (path) => {
    const files = quiet();
    await files.open(path("new"), "console file");
    await assertRejects(() => files.open(path("./new"), "capture"), ConfigError, "it is the same file as");
    files.close();
    await assertRejects(() => Deno.stat(path("new")), Deno.errors.NotFound);
  });
});

Deno.test("an input is no output", async () => {
  await inFolder(async (path) => {
    await Deno.link(path("old"), path("other"));
    const files = quiet();
    await files.avoid(path("nothing"), "the initrd");
    await files.avoid(path("old"), "the kernel");
    await assertRejects(
      () => files.open(path("other"), "capture"),
      ConfigError,
      "it is the same file as the kernel",
    );
    files.close();
    assertEquals(await Deno.readTextFile(path("old")), "mine");
  });
});

Deno.test("devices may be outputs as often as one likes", async () => {
  const files = quiet();
  for (const what of ["console file", "serial file"]) (await files.open("/dev/null", what))(bytes("x"));
  files.begin();
  files.close();
});

Deno.test("a full disk is said once, and swallows the rest", async () => {
  const said: string[] = [];
  const files = new OutputFiles((line) => said.push(line));
  const write = await files.open("/dev/full", "console file");
  files.begin();
  for (let i = 0; i < 3; i++) write(bytes("x"));
  files.close();
  assertEquals(said.length, 1);
  assertEquals(said[0]?.startsWith('warning: Cannot write console file "/dev/full": '), true, said[0]);
});
