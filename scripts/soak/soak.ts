// SPDX-License-Identifier: MIT
/**
 * `deno task soak [--minutes=N] [--engine=jit|interp]`: a Debian guest that never rests, and whether this process grows
 * with it. The guest forks, sorts, packs and hashes as a compilation does, downloads over the user network, loads and
 * unloads a kernel module, and runs a program that keeps changing its own code. What is in use is printed every ten
 * seconds; at the end the task fails when it grew after the first third of the time.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { writeCpio } from "../../devices/loaders/root_folder/cpio.ts";
import { createMachine } from "../../mod.ts";
import { makeGuests } from "../guests/make_guests.ts";
import { guestCommandLine, guestFiles } from "../guests/manifest.ts";
import { rewritingProgram } from "./rewriting_program.ts";
import { complaints, type Sample } from "./verdict.ts";

const DOWNLOAD = new Uint8Array(1 << 20);
const REWRITES = 3000;
const TURN = "SOAK-TURN", BAD = "SOAK-BAD";

function script(url: string): string {
  return `head -c 262144 /bin/busybox >/tmp/file
while :; do
  /rewrite || echo "${BAD} self-changing code"
  rmmod xen_blkfront && insmod /lib/modules/xen_blkfront.ko || echo "${BAD} module"
  i=0; while [ $i -lt 10 ]; do /bin/busybox true; i=$((i + 1)); done
  find /bin /lib /sys/class | sort -r | awk '{ n += length($0) } END { print n }' >/dev/null
  [ "$(gzip -c </tmp/file | gunzip -c | sha256sum)" = "$(sha256sum </tmp/file)" ] || echo "${BAD} checksum"
  [ "$(wget -q -O - ${url} | wc -c)" = ${DOWNLOAD.length} ] || echo "${BAD} download"
  echo "${TURN}"
done
`;
}

function parse(args: readonly string[]): { minutes: number; engine: "jit" | "interp" } {
  let minutes = 5, engine: "jit" | "interp" = "jit";
  const words = args.flatMap((arg) => arg.split("="));
  for (let i = 0; i < words.length; i += 2) {
    const [name, value] = [words[i], words[i + 1]];
    if (name === "--minutes" && Number(value) > 0) minutes = Number(value);
    else if (name === "--engine" && (value === "jit" || value === "interp")) engine = value;
    else {throw new ConfigError(
        `Cannot soak with ${JSON.stringify(name)}: give --minutes=N, --engine=jit|interp`,
      );}
  }
  return { minutes, engine };
}

async function main(args: readonly string[]): Promise<number> {
  const { minutes, engine } = parse(args);
  await makeGuests({ names: ["cloud"], progress: (what) => console.error(`soak: ${what}`) });
  const files = guestFiles("cloud");
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(DOWNLOAD),
  );
  const url = `http://10.0.2.2:${server.addr.port}/`;
  const archive = writeCpio([
    { name: "script", type: "file", data: new TextEncoder().encode(script(url)), mode: 0o644 },
    { name: "rewrite", type: "file", data: rewritingProgram(REWRITES), mode: 0o755 },
  ]);
  const initrd = await Deno.makeTempFile({ prefix: "xenner-soak-", suffix: ".cpio" });
  try {
    await Deno.copyFile(files.initramfs, initrd);
    await Deno.writeFile(initrd, archive, { append: true });
    let turns = 0, bad = "", line = "";
    const decoder = new TextDecoder();
    const machine = await createMachine({
      ...{ kernel: files.vmlinuz.pathname, initrd, memory: "256M", engine },
      append: guestCommandLine({ run: ["script"], ip: "dhcp" }),
      nets: [{ user: true }],
      console: (bytes) => {
        const lines = (line + decoder.decode(bytes, { stream: true })).split("\n");
        line = lines.pop() ?? "";
        for (const text of lines) {
          if (text.startsWith(TURN)) turns++;
          if (text.startsWith(BAD)) bad = text;
        }
      },
    });
    const samples: Sample[] = [];
    const start = performance.now();
    const look = () => {
      const { counters } = machine.stats();
      const seconds = (performance.now() - start) / 1000;
      const sample = {
        ...{ seconds, turns, residentMiB: Deno.memoryUsage().rss / 2 ** 20 },
        slots: counters["code.slots"] ?? 0,
        arenaMiB: (counters["code.arena_bytes"] ?? 0) / 2 ** 20,
      };
      samples.push(sample);
      console.log(
        `${seconds.toFixed(0).padStart(5)} s  ${turns} turns  ${
          sample.residentMiB.toFixed(0)
        } MiB resident  ` +
          `${sample.slots} slots  ${sample.arenaMiB.toFixed(1)} MiB of arena  ${
            counters["code.blocks"]
          } blocks  ` +
          `${counters["regions.live"]} regions of ${
            ((counters["regions.bytes"] ?? 0) / 1e6).toFixed(0)
          } MB  ` +
          `${counters["regions.evicted"]} evicted  ${counters["code.resets"]} resets`,
      );
      if (bad !== "" || seconds >= minutes * 60) machine.stop();
    };
    const timer = setInterval(look, 10_000);
    const end = await machine.run();
    clearInterval(timer);
    machine.close();
    const wrong = bad !== ""
      ? [bad]
      : end.reason !== "stopped"
      ? [`the guest ended: ${end.reason}`]
      : complaints(samples);
    for (const complaint of wrong) console.log(`soak: ${complaint}`);
    console.log(wrong.length === 0 ? "soak: nothing grew" : "soak: FAILED");
    return wrong.length === 0 ? 0 : 1;
  } finally {
    await Deno.remove(initrd);
    await server.shutdown();
  }
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`soak: ${error.message}`);
    Deno.exit(2);
  }
}
