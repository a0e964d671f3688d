// SPDX-License-Identifier: MIT
/** The embedding API as somebody else's project sees it: imported from a URL, next to an empty deno.json. @module */
import { assertEquals } from "@std/assert";
import { createMachine } from "../mod.ts";
import { debugPrint, SERIAL_TO_DEBUG, SPIN, tinyGuest, TRIPLE_FAULT } from "./_tiny_guest.ts";

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
  // the command line, and with it commander and iced-x86, are ./cli
  assertEquals(fetched.filter((path) => path.startsWith("scripts/")), []);
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

Deno.test("a machine tells of hypercalls and packets to those who listen", async () => {
  // XENVER_version by vmcall: mov eax,17; xor ebx,ebx; xor ecx,ecx; vmcall
  const version = [0xb8, 17, 0, 0, 0, 0x31, 0xdb, 0x31, 0xc9, 0x0f, 0x01, 0xc1];
  const { out } = await runElsewhere(`
    import { createMachine, type HypercallEvent, type PacketEvent } from "MOD";
    const machine = await createMachine({ kernel: Uint8Array.from(ELF), memory: "4M", xenVersion: "4.18" });
    const log = ({ name, operation, args, result }: HypercallEvent) =>
      console.log(name, operation, args.join(), result.toString(16));
    const once = machine.on("hypercall", (event: HypercallEvent) => (log(event), once()));
    machine.on("packet", (event: PacketEvent) => console.log(event.direction));
    const info = await machine.run();
    machine.close();
    console.log(info.detail);
  `.replace("ELF", JSON.stringify([...tinyGuest([...version, ...version, ...TRIPLE_FAULT])])));
  assertEquals(out, "xen_version version 0,0 40012\ntriple fault\n");
});

Deno.test("sendSerial says how many bytes it accepted; 64 KiB may wait", async () => {
  const machine = await createMachine({ kernel: tinyGuest(SPIN), memory: "4M" });
  assertEquals(machine.sendSerial(new Uint8Array(60_000)), 60_000);
  assertEquals(machine.sendSerial(new Uint8Array(60_000)), 5_536);
  assertEquals(machine.sendSerial(new Uint8Array(1)), 0);
  machine.close();
});

Deno.test("what sendSerial accepted reaches the guest, in order", async () => {
  const machine = await createMachine({ kernel: tinyGuest(SERIAL_TO_DEBUG), memory: "4M" });
  const typed = Uint8Array.from({ length: 30_000 }, (_, i) => i * 7 + (i >>> 8));
  let at = 0;
  const printed: number[] = [];
  const type = () => at += machine.sendSerial(typed.subarray(at, at + 20_000));
  machine.on("console", (bytes) => {
    printed.push(...bytes);
    if (at < typed.length) type();
    if (printed.length >= typed.length) machine.stop();
  });
  type();
  assertEquals(await machine.run(), { reason: "stopped" });
  assertEquals(Uint8Array.from(printed), typed);
  machine.close();
});

function openDescriptors(): string[] {
  return Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ""; // the folder's own
    }
  }).filter((target) => target.includes("eventfd"));
}
/** sti; hlt; jmp back to hlt, with no interrupt to come: sleeps until it is stopped. */
const SLEEP = [0xfb, 0xf4, 0xeb, 0xfd];

Deno.test({
  name: `closing a machine gives back what it slept on, also while it sleeps${
    Deno.build.os === "linux" ? "" : " (skipped: needs Linux)"
  }`,
  ignore: Deno.build.os !== "linux",
  async fn() {
    const before = openDescriptors();
    for (let i = 0; i < 3; i++) {
      const machine = await createMachine({
        kernel: tinyGuest([...debugPrint("z"), ...SLEEP]),
        memory: "4M",
      });
      const run = machine.run();
      await new Promise((resolve) => setTimeout(resolve, 50));
      assertEquals(openDescriptors().length, before.length + 1);
      if (i === 0) machine.stop(); // and closed when it has ended
      else machine.close();
      assertEquals(await run, { reason: "stopped" });
      machine.close();
      assertEquals(openDescriptors().length, before.length);
    }
  },
});
