// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import type { TestCase } from "./junit.ts";
import { secondsByFile, slowestFirst, summarize } from "./test_report.ts";

const test = (name: string, outcome: TestCase["outcome"], file = "./a_test.ts", seconds = 1): TestCase => ({
  file,
  name,
  outcome,
  seconds,
});

Deno.test("the summary names what was skipped and what failed, and counts at the end", () => {
  const cases = [test("one", "passed"), test("two (skipped: no root)", "skipped"), test("three", "failed")];
  assertEquals(summarize(cases, 1), {
    lines: [
      "",
      "Skipped:",
      "  ./a_test.ts: two (skipped: no root)",
      "",
      "Failed:",
      "  ./a_test.ts: three",
      "",
      "1 passed, 1 failed, 1 skipped",
    ],
    failed: 1,
  });
});

Deno.test("a skipped test that does not say why has failed", () => {
  const { lines, failed } = summarize([test("quiet", "skipped"), test("quieter (skipped: )", "skipped")], 0);
  assertEquals(failed, 2);
  assertEquals(lines.at(-1), "0 passed, 2 failed, 0 skipped");
});

Deno.test("a file that does not load is a failure without a test", () => {
  assertEquals(summarize([test("one", "passed")], 1).lines.slice(-1), ["1 passed, 1 failed, 0 skipped"]);
  assertEquals(summarize([test("one", "passed")], 0).failed, 0);
});

Deno.test("files that are not known to be quick come first, then the slowest", () => {
  const seconds = secondsByFile([
    test("x", "passed", "./cpu/a_test.ts", 1),
    test("y", "passed", "./cpu/a_test.ts", 2.005),
    test("z", "passed", "./cpu/b_test.ts", 4),
  ]);
  assertEquals(seconds, { "cpu/a_test.ts": 3.01, "cpu/b_test.ts": 4 });
  assertEquals(
    slowestFirst(["cpu/a_test.ts", "cpu/b_test.ts", "net/new_test.ts", "tests/new_test.ts"], seconds),
    [
      "tests/new_test.ts",
      "net/new_test.ts",
      "cpu/b_test.ts",
      "cpu/a_test.ts",
    ],
  );
});
