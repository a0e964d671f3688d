// SPDX-License-Identifier: MIT
/**
 * `deno task test`: makes the guests, runs every test, says what was skipped and why, and ends with one plain line:
 * `N passed, N failed, N skipped`. Arguments go to `deno test`; without them the files that took longest the last
 * time come first.
 * @module
 */
import { readJunit } from "./junit.ts";
import { makeGuests } from "../guests/make_guests.ts";
import { ROOT, sourceFiles } from "./sources.ts";
import { secondsByFile, slowestFirst, summarize } from "./test_report.ts";

/** How long files took, by path. */
const TIMES = new URL(".cache/test_seconds.json", ROOT);

async function main(args: readonly string[]): Promise<number> {
  try {
    await makeGuests({ progress: (what) => console.log(`guests: ${what}`) });
  } catch (error) {
    console.log(
      `guests: ${error instanceof Error ? error.message : error}; tests that boot them are skipped`,
    );
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
        ...(everything ? await allTests() : args),
      ],
      cwd: ROOT,
      stdin: "null",
    }).spawn().status;
    const cases = readJunit(await Deno.readTextFile(report));
    const { lines, failed } = summarize(cases, code);
    for (const line of lines) console.log(line);
    if (everything) await remember(secondsByFile(cases));
    return code !== 0 ? code : failed > 0 ? 1 : 0;
  } finally {
    await Deno.remove(report);
  }
}

/** Every test file. */
async function allTests(): Promise<string[]> {
  let seconds: Record<string, number> = {};
  try {
    seconds = JSON.parse(await Deno.readTextFile(TIMES));
  } catch {
    // never run here: any order will do
  }
  return slowestFirst((await sourceFiles(ROOT)).filter((file) => file.endsWith("_test.ts")), seconds);
}

async function remember(seconds: Readonly<Record<string, number>>): Promise<void> {
  await Deno.mkdir(new URL(".", TIMES), { recursive: true });
  await Deno.writeTextFile(TIMES, JSON.stringify(seconds, null, 1));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
