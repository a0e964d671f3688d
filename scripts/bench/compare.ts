// SPDX-License-Identifier: MIT
/**
 * `deno task bench:compare REV [cpu] [boot] [work] [--repeat=N]`: measures this tree and the revision REV in turn, REV
 * first, and prints ratios; below 1 this tree is faster. REV is checked out into a temporary folder. Programs run on a
 * bare CPU and guests with both engines; a boot counts by CPU time.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { makeGuests } from "../guests/make_guests.ts";
import { Child, script } from "../host/child.ts";
import { run } from "../host/processes.ts";
import { measureBoot } from "./guests.ts";
import { PROGRAMS } from "./programs.ts";
import { median, ratio, type Row } from "./report.ts";
import { measureWork } from "./guest_work/guests.ts";
import { WORK } from "./guest_work/rows.ts";
import { makeWorkInitramfs } from "./guest_work/userland.ts";

const ENGINES = ["interp", "jit"] as const;
const PARTS = ["cpu", "boot", "work"] as const;
type Part = typeof PARTS[number];
const HERE = new URL("../../", import.meta.url);

/** Times of both trees, by the name of a row. */
type Times = Map<string, { readonly before: number[]; readonly after: number[] }>;

function add(times: Times, row: string, which: "before" | "after", seconds: number): void {
  const entry = times.get(row) ?? { before: [], after: [] };
  entry[which].push(seconds);
  times.set(row, entry);
}

async function programSeconds(tree: URL, program: string, engine: string): Promise<number[]> {
  const child = new Child(script("bench/program_child.ts", [tree.href, program, engine, "3"]));
  if (await child.status !== 0) {
    throw new Error(`${program} did not run in ${tree.pathname}: ${child.stderr}`);
  }
  return JSON.parse(child.stdout);
}

async function measure(
  parts: readonly Part[],
  tree: URL,
  which: "before" | "after",
  times: Times,
): Promise<void> {
  for (const engine of ENGINES) {
    if (parts.includes("cpu")) {
      for (const { name, what } of PROGRAMS) {
        const seconds = await programSeconds(tree, name, engine);
        add(times, `${what}, ${engine}`, which, Math.min(...seconds));
      }
    }
    if (parts.includes("boot")) {
      const { cpuSeconds } = await measureBoot({ name: engine, kind: `xenner ${engine}`, type: "hvm" }, tree);
      add(times, `boot to /init, CPU time, ${engine}`, which, cpuSeconds);
    }
    if (parts.includes("work")) {
      const file = await Deno.makeTempFile({ prefix: "xenner-bench-", suffix: ".cpio" });
      try {
        await Deno.writeFile(file, await makeWorkInitramfs("amd64", WORK));
        for (const [name, { seconds }] of await measureWork(engine, file, WORK, tree)) {
          add(times, `${WORK.find((work) => work.name === name)?.what ?? name}, ${engine}`, which, seconds);
        }
      } finally {
        await Deno.remove(file);
      }
    }
  }
}

async function main(args: readonly string[]): Promise<void> {
  const [revision, ...rest] = args;
  if (revision === undefined || revision.startsWith("-")) {
    throw new ConfigError("Cannot compare: say with which revision, as in bench:compare HEAD~5 cpu");
  }
  const wrong = rest.find((arg) => !PARTS.includes(arg as Part) && !/^--repeat=[1-9]\d?$/.test(arg));
  if (wrong !== undefined) {
    throw new ConfigError(
      `Cannot compare ${JSON.stringify(wrong)}: choose from ${PARTS.join(", ")} and --repeat=N`,
    );
  }
  const chosen = PARTS.filter((part) => rest.includes(part));
  const parts = chosen.length > 0 ? chosen : PARTS;
  const repeat = Number(rest.findLast((arg) => arg.startsWith("--repeat="))?.slice("--repeat=".length) ?? 3);
  if (parts.includes("boot") || parts.includes("work")) await makeGuests({ names: ["cloud"] });
  const folder = await Deno.makeTempDir({ prefix: "xenner-compare-" });
  const tree = new URL(`file://${folder}/tree/`);
  await run("git", ["-C", HERE.pathname, "worktree", "add", "--detach", "--quiet", tree.pathname, revision]);
  try {
    const times: Times = new Map();
    for (let i = 0; i < repeat; i++) {
      console.error(`bench: round ${i + 1} of ${repeat}`);
      await measure(parts, tree, "before", times);
      await measure(parts, HERE, "after", times);
    }
    console.log(`| work | ${revision} s | now s | ratio |\n| --- | --: | --: | --: |`);
    for (const [what, seconds] of times) {
      const row: Row = { name: what, what, seconds: { ...seconds } };
      const cells = [median(seconds.before).toFixed(3), median(seconds.after).toFixed(3)];
      console.log(`| ${what} | ${cells.join(" | ")} | ${ratio(row, "after", "before")?.toFixed(2) ?? "-"} |`);
    }
  } finally {
    await run("git", ["-C", HERE.pathname, "worktree", "remove", "--force", tree.pathname]);
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`bench: ${error.message}`);
    Deno.exit(error.kind === "host" ? 3 : 2);
  }
}
