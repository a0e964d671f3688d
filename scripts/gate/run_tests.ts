// SPDX-License-Identifier: MIT
/**
 * `deno task test`: makes the guests, runs every test, says what was skipped and why, and ends with one plain line:
 * `N passed, N failed, N skipped`. Arguments go to `deno test`.
 * @module
 */
import { readJunit, type TestCase } from "./junit.ts";
import { makeGuests } from "../guests/make_guests.ts";

async function main(args: readonly string[]): Promise<number> {
  try {
    await makeGuests({ progress: (what) => console.log(`guests: ${what}`) });
  } catch (error) {
    console.log(
      `guests: ${error instanceof Error ? error.message : error}; tests that boot them are skipped`,
    );
  }
  const report = await Deno.makeTempFile({ prefix: "xenner-test-", suffix: ".xml" });
  try {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--parallel", "--reporter=dot", `--junit-path=${report}`, ...args],
      stdin: "null",
    }).spawn().status;
    const cases = readJunit(await Deno.readTextFile(report));
    return summary(cases, code);
  } finally {
    await Deno.remove(report);
  }
}

function summary(cases: readonly TestCase[], code: number): number {
  const count = (outcome: TestCase["outcome"]) => cases.filter((test) => test.outcome === outcome);
  const skipped = count("skipped");
  const failed = count("failed");
  if (skipped.length > 0) console.log("\nSkipped:");
  for (const { file, name } of skipped) console.log(`  ${file}: ${name}`);
  if (failed.length > 0) console.log("\nFailed:");
  for (const { file, name } of failed) console.log(`  ${file}: ${name}`);
  // what failed outside any test (a module that does not load) has no test case
  const others = code !== 0 && failed.length === 0 ? 1 : 0;
  if (others > 0) console.log(`\ndeno test ended with status ${code}: see above`);
  console.log(
    `\n${count("passed").length} passed, ${failed.length + others} failed, ${skipped.length} skipped`,
  );
  return code;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
