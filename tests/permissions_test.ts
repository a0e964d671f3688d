// SPDX-License-Identifier: MIT
/** The README's table of least permissions: what each row allows suffices for what it is for, and less does not. @module */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { hasProgram } from "../scripts/host/processes.ts";
import { debugPrint, tinyGuest, TRIPLE_FAULT } from "./_tiny_guest.ts";

const ROOT = new URL("../", import.meta.url);
const CLI = new URL("scripts/cli/cli.ts", ROOT).pathname;
const LIBC = "/lib/x86_64-linux-gnu/libc.so.6";
/** A loopback address that is this process's alone, so that its ports are free. */
const OWN = `127.${64 + (Deno.pid >>> 16) % 128}.${(Deno.pid >>> 8) & 255}.${Deno.pid & 255}`;
const readme = await Deno.readTextFile(new URL("README.md", ROOT));
const dir = await Deno.makeTempDir({ prefix: "xenner-permissions-" });
globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
const kernel = `${dir}/kernel`;
await Deno.writeFile(kernel, tinyGuest([...debugPrint("hi"), ...TRIPLE_FAULT]));

async function deno(permissions: readonly string[], ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", ...permissions, ...args],
    cwd: dir,
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

/** A program of somebody else's, which runs a machine made with `options`. */
async function program(name: string, options: string): Promise<string> {
  const path = `${dir}/${name}.ts`;
  const mod = new URL("mod.ts", ROOT).href;
  await Deno.writeTextFile(
    path,
    `import { createMachine } from "${mod}";
    const machine = await createMachine({ memory: "4M", ${options} });
    console.log((await machine.run()).reason);
    await machine.close();`,
  );
  return path;
}

const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async () => new Response(await Deno.readFile(kernel)),
);
server.unref();
const host = `127.0.0.1:${server.addr.port}`;
const bytes = `kernel: Uint8Array.from([${(await Deno.readFile(kernel)).join()}])`;
const linux = Deno.build.os === "linux" && await Deno.stat(LIBC).then(() => true, () => false);

const passt = linux && await hasProgram("passt");

/** A row of the table, permissions that are its, and what they are for. `less`: what does not suffice. */
const ROWS: readonly {
  readonly row: string;
  readonly allow: readonly string[];
  readonly less?: readonly string[];
  readonly args: readonly string[];
  readonly code: number;
  readonly shows: RegExp;
}[] = [
  { row: "| none ", allow: [], args: [await program("bytes", bytes)], code: 0, shows: /^crash\n$/ },
  {
    row: "| `--allow-read=FILE,…`",
    allow: [`--allow-read=${kernel}`],
    less: [],
    args: [CLI, "run", "-k", kernel],
    code: 1,
    shows: /^hi$/,
  },
  {
    row: "| `--allow-net=HOST`",
    allow: [`--allow-net=${host}`],
    less: ["--allow-net=127.0.0.2"],
    args: [await program("url", `kernel: "http://${host}/kernel"`)],
    code: 0,
    shows: /^crash\n$/,
  },
  {
    row: "| `--allow-write=FILE,…`",
    allow: [`--allow-read=${dir}`, `--allow-write=${dir}/log`],
    less: [`--allow-read=${dir}`],
    args: [CLI, "run", "-k", kernel, "--serial", `file:${dir}/log`],
    code: 1,
    shows: /^$/,
  },
  {
    row: "| `--allow-write=FILE,…`",
    allow: [`--allow-read=${kernel}`, `--allow-write=${dir}/capture`],
    less: [`--allow-read=${kernel}`],
    args: [CLI, "run", "-k", kernel, "--net", "none", "--pcap", `${dir}/capture`],
    code: 1,
    shows: /^hi$/,
  },
  {
    row: "| `--allow-net`, and `--allow-read=PATH`, `--allow-write=PATH` for `unix:`",
    allow: ["--allow-net", `--allow-read=${kernel},${dir}/socket`, `--allow-write=${dir}/socket`],
    less: [`--allow-read=${kernel},${dir}/socket`, `--allow-write=${dir}/socket`],
    args: [CLI, "run", "-k", kernel, "--net", `stream,listen=unix:${dir}/socket`],
    code: 1,
    shows: /^hi$/,
  },
  {
    row: "| `--allow-net`, `--allow-read=/etc/resolv.conf`",
    allow: ["--allow-net", "--allow-read=/etc/resolv.conf"],
    less: ["--allow-read=/etc/resolv.conf"],
    args: [await program("forward", `${bytes}, nets: [{ user: { hostfwd: ["tcp:${OWN}:20113-:22"] } }]`)],
    code: 0,
    shows: /^crash\n$/,
  },
  {
    row: "| `--allow-read` of Xenner's own files",
    allow: [`--allow-read=${ROOT.pathname}`],
    less: [],
    args: [await program("worker", `${bytes}, worker: true`)],
    code: 0,
    shows: /^crash\n$/,
  },
  ...(passt
    ? [{
      row: "| `--allow-run=passt`, `--allow-net`, `--allow-read`, `--allow-write`, `--allow-sys=uid`",
      allow: ["--allow-run=passt", "--allow-net", "--allow-read", "--allow-write", "--allow-sys=uid"],
      less: ["--allow-run=passt", "--allow-read", "--allow-write", "--allow-sys=uid"],
      args: [CLI, "run", "-k", kernel, "--net", "passt"],
      code: 1,
      shows: /^hi$/,
    }]
    : []),
  ...(linux
    ? [{
      row: "| `--allow-ffi`, `--allow-read=FILE`, `--allow-write=FILE`",
      allow: ["--allow-ffi", `--allow-read=${dir}`, `--allow-write=${dir}`],
      less: [`--allow-read=${dir}`, `--allow-write=${dir}`],
      args: [await program("disk", `${bytes}, disks: ["${dir}/disk"]`)],
      code: 0,
      shows: /^crash\n$/,
    }, {
      row: "| `--allow-ffi`, or just the C library: `--allow-ffi=/lib/x86_64-linux-gnu/libc.so.6`",
      allow: [`--allow-ffi=${LIBC}`],
      less: [`--allow-ffi=/lib/other.so`],
      args: [
        await program(
          "sleep",
          `${bytes}, clock: await (async () => {
            const { waitReadable } = await import("${new URL("net/host/wait.ts", ROOT).href}");
            await waitReadable([], 1);
          })()`,
        ),
      ],
      code: 0,
      shows: /^crash\n$/,
    }]
    : []),
];
await Deno.writeFile(`${dir}/disk`, new Uint8Array(4096));

for (const { row, allow, less, args, code, shows } of ROWS) {
  Deno.test(`least permissions: ${row.slice(2)}`, async () => {
    assert(readme.includes(`\n${row}`), "the README has no such row");
    const enough = await deno(allow, ...args);
    assertEquals(enough.code, code, enough.err);
    assertMatch(enough.out, shows);
    if (less === undefined) return;
    const missing = await deno(less, ...args);
    assert(missing.code !== code, "less suffices as well");
    assertMatch(missing.err, /--allow-|permission|not permitted/i);
  });
}
