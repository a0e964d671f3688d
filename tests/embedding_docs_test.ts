// SPDX-License-Identifier: MIT
/** The programs of docs/EMBEDDING.md are compiled, short, and do what they say. @module */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { guestFiles } from "../scripts/guests/manifest.ts";
import { missing } from "./_boot.ts";

const ROOT = new URL("../", import.meta.url);
const text = await Deno.readTextFile(new URL("docs/EMBEDDING.md", ROOT));
const programs = [...text.matchAll(/## ([^\n]+)\n\n```ts no-eval\n([^]*?)```/g)];
const skipped = missing("cloud");
const SHOWN: readonly (readonly [name: string, output: RegExp])[] = [
  ["Run a command and get its output", /^0 \d+\.\d+\S*-amd64\npoweroff\n$/],
  ["Capture packets to a file", /^poweroff\n$/],
  ["Log hypercalls", /^\d+ \w+ [^]*\n\d+ event_channel_op send \d+,\d+ 0\n[^]*poweroff\n$/],
];

Deno.test("docs/EMBEDDING.md has three programs of about ten lines", () => {
  assertEquals(programs.map(([, name]) => name), SHOWN.map(([name]) => name));
  for (const [, name, source = ""] of programs) assert(source.trim().split("\n").length <= 12, name);
});

for (const [i, [name, output]] of SHOWN.entries()) {
  Deno.test({
    name: `docs/EMBEDDING.md: ${name}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const dir = await Deno.makeTempDir({ prefix: "xenner-embedding-" });
      try {
        const { vmlinuz, initramfs } = guestFiles("cloud");
        await Deno.symlink(vmlinuz, `${dir}/vmlinuz`);
        await Deno.symlink(initramfs, `${dir}/initramfs.cpio`);
        const source = (programs[i]?.[2] ?? "").replaceAll("./mod.ts", new URL("mod.ts", ROOT).href);
        await Deno.writeTextFile(`${dir}/main.ts`, source);
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "--check", "-A", "main.ts"],
          cwd: dir,
          stdin: "null",
          env: { NO_COLOR: "1" },
        }).output();
        assertEquals(code, 0, new TextDecoder().decode(stderr));
        assertMatch(new TextDecoder().decode(stdout), output);
        if (source.includes("pcapng")) assert((await Deno.stat(`${dir}/guest.pcapng`)).size > 1000);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}
