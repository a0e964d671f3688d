// SPDX-License-Identifier: MIT
/** What is made of a finished test run: its summary, and the order of the next one. @module */
import type { TestCase } from "./junit.ts";

/** The lines that say what was skipped and what failed, the last of them `N passed, N failed, N skipped`. */
export interface Summary {
  readonly lines: readonly string[];
  readonly failed: number;
}

/** `code`: exit status of `deno test`. */
export function summarize(cases: readonly TestCase[], code: number): Summary {
  const lines: string[] = [];
  const list = (title: string, tests: readonly TestCase[]) => {
    if (tests.length > 0) lines.push("", title, ...tests.map(({ file, name }) => `  ${file}: ${name}`));
  };
  const count = (outcome: TestCase["outcome"]) => cases.filter((test) => test.outcome === outcome);
  const passed = count("passed"), failed = count("failed"), skipped = count("skipped");
  const unexplained = skipped.filter(({ name }) => !/\(skipped: .+\)/s.test(name));
  list("Skipped:", skipped.filter((test) => !unexplained.includes(test)));
  list("Skipped without a reason in the name, so failed:", unexplained);
  list("Failed:", failed);
  // what failed outside any test (a module that does not load) has no test case
  const others = code !== 0 && failed.length === 0 ? 1 : 0;
  if (others > 0) lines.push("", `deno test ended with status ${code}: see above`);
  const bad = failed.length + unexplained.length + others;
  lines.push("", `${passed.length} passed, ${bad} failed, ${skipped.length - unexplained.length} skipped`);
  return { lines, failed: bad };
}

/** How long each file took. */
export function secondsByFile(cases: readonly TestCase[]): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const { file, seconds: more } of cases) {
    const path = file.replace(/^\.\//, "");
    seconds[path] = Math.round(((seconds[path] ?? 0) + more) * 100) / 100;
  }
  return seconds;
}

/** Slowest first, so that no core waits for the last one. Unknown ones come before: those of tests/ boot guests. */
export function slowestFirst(files: readonly string[], seconds: Readonly<Record<string, number>>): string[] {
  const weight = (file: string) => seconds[file] ?? (file.startsWith("tests/") ? 2e6 : 1e6);
  return files.toSorted((a, b) => weight(b) - weight(a));
}
