// SPDX-License-Identifier: MIT
/** The embedding API as somebody else's project sees it: imported from a URL, next to an empty deno.json. @module */
import { assertEquals } from "@std/assert";
import { debugPrint, tinyGuest, TRIPLE_FAULT } from "./tiny_guest.ts";

const ROOT = new URL("../", import.meta.url);

/** Serves the project's sources; `fetched` gets the paths. */
function serveProject(fetched: string[]): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "localhost", port: 0, onListen: () => {} }, async (request) => {
    const path = decodeURIComponent(new URL(request.url).pathname).slice(1);
    fetched.push(path);
    const url = new URL(path, ROOT);
    if (!url.href.startsWith(ROOT.href)) return new Response(null, { status: 403 });
    try {
      return new Response(await Deno.readFile(url), {
        headers: { "content-type": "application/typescript" },
      });
    } catch {
      return new Response(null, { status: 404 });
    }
  });
}

/** Runs `source` in an empty project that imports mod.ts from a server; what it prints. */
async function runElsewhere(
  source: string,
  permissions: string[] = [],
): Promise<{ out: string; fetched: string[] }> {
  const fetched: string[] = [];
  const server = serveProject(fetched);
  const dir = await Deno.makeTempDir();
  try {
    const host = `localhost:${server.addr.port}`;
    await Deno.writeTextFile(`${dir}/deno.json`, "{}");
    await Deno.writeTextFile(`${dir}/main.ts`, source.replaceAll("MOD", `http://${host}/mod.ts`));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-lock", `--allow-import=${host}`, ...permissions, "main.ts"],
      cwd: dir,
      stdin: "null",
      env: { NO_COLOR: "1" },
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 0, said);
    return { out: new TextDecoder().decode(stdout), fetched };
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("mod.ts loads from http://localhost into an empty project, without any permission", async () => {
  const { out, fetched } = await runElsewhere(`
    const before = performance.now();
    const x = await import("MOD");
    console.log(typeof x.createMachine, typeof x.Hub, typeof x.TapDevice.open);
  `);
  assertEquals(out, "function function function\n");
  assertEquals(fetched.includes("mod.ts"), true);
});

Deno.test("a machine of bytes runs elsewhere without any permission", async () => {
  const { out } = await runElsewhere(`
    import { createMachine } from "MOD";
    const elf = Uint8Array.from(ELF);
    const machine = await createMachine({ kernel: elf, memory: "4M" });
    let text = "";
    machine.on("console", (bytes: Uint8Array) => text += new TextDecoder().decode(bytes));
    const info = await machine.run();
    machine.close();
    console.log(text, info.reason, info.detail);
  `.replace("ELF", JSON.stringify([...tinyGuest([...debugPrint("hi"), ...TRIPLE_FAULT])])));
  assertEquals(out, "hi crash triple fault\n");
});
