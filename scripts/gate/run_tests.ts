// SPDX-License-Identifier: MIT
/**
 * `deno task test`: makes its guests, runs every test but those in tests/long/, says what was skipped and why, and ends
 * with one plain line: `N passed, N failed, N skipped`. Arguments go to `deno test`; without them the files that took
 * longest the last time come first. `deno task test:long` runs those in tests/long/, with guests of their own.
 * @module
 */
import { readJunit } from "./junit.ts";
import { makeDebian } from "../debian/make_debian.ts";
import { makeGuests } from "../guests/make_guests.ts";
import type { GuestName } from "../guests/manifest.ts";
import type { PackageGuestName } from "../guests/package_files.ts";
import { ROOT, sourceFiles } from "./sources.ts";
import { secondsByFile, slowestFirst, summarize } from "./test_report.ts";

/** Tests that take long and tell little that is new: more kernels, more repetitions. */
const LONG = "tests/long/";
/** What the other tests boot. */
const GUESTS: readonly (GuestName | PackageGuestName)[] = ["cloud", "generic", "bullseye", "pae", "seabios"];
/** How long files took, by path. */
const TIMES = new URL(".cache/test_seconds.json", ROOT);

async function main(all: readonly string[]): Promise<number> {
  const long = all[0] === "--long";
  const args = long ? all.slice(1) : all;
  try {
    await makeGuests({ ...(!long && { names: GUESTS }), progress: (what) => console.log(`guests: ${what}`) });
  } catch (error) {
    console.log(
      `guests: ${error instanceof Error ? error.message : error}; tests that boot them are skipped`,
    );
  }
  if (long) {
    try {
      await makeDebian({ progress: (what) => console.log(`debian: ${what}`) });
    } catch (error) {
      console.log(`debian: ${error instanceof Error ? error.message : error}; its tests are skipped`);
    }
  }
  const everything = args.length === 0;
  const report = await Deno.makeTempFile({ prefix: "xenner-test-", suffix: ".xml" });
  try {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "test",
        "-A",
        "--parallel",
        "--reporter=dot",
        `--junit-path=${report}`,
        ...(everything ? await allTests(long) : args),
      ],
      cwd: ROOT,
      stdin: "null",
    }).spawn().status;
    const cases = readJunit(await Deno.readTextFile(report));
    const { lines, failed } = summarize(cases, code);
    for (const line of lines) console.log(line);
    if (everything && !long) await remember(secondsByFile(cases));
    return code !== 0 ? code : failed > 0 ? 1 : 0;
  } finally {
    await Deno.remove(report);
  }
}

/** The long test files, or all others. */
async function allTests(long: boolean): Promise<string[]> {
  let seconds: Record<string, number> = {};
  try {
    seconds = JSON.parse(await Deno.readTextFile(TIMES));
  } catch {
    // never run here: any order will do
  }
  const files = (await sourceFiles(ROOT)).filter((file) => file.endsWith("_test.ts"));
  return slowestFirst(files.filter((file) => file.startsWith(LONG) === long), seconds);
}

async function remember(seconds: Readonly<Record<string, number>>): Promise<void> {
  await Deno.mkdir(new URL(".", TIMES), { recursive: true });
  await Deno.writeTextFile(TIMES, JSON.stringify(seconds, null, 1));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
