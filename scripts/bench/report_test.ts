// SPDX-License-Identifier: MIT
import { assertEquals, assertMatch } from "@std/assert";
import { chartOf, geometricMean, median, ratio, type Row, tableOf } from "./report.ts";

const ROWS: readonly Row[] = [
  { name: "a", what: "a & b", seconds: { jit: [3, 1, 2], tcg: [1, 1] } },
  { name: "c", what: "c", seconds: { jit: [1], tcg: [2], v86: [10] } },
  { name: "d", what: "d", seconds: { jit: [], tcg: [2] } },
];

Deno.test("medians of odd, even and no counts", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 2, 3]), 2.5);
  assertEquals(median([]), NaN);
});

Deno.test("ratios are times over times; rows that one has not done are left out of the mean", () => {
  assertEquals(ROWS.map((row) => ratio(row, "jit", "tcg")), [2, 0.5, undefined]);
  assertEquals(geometricMean(ROWS, "jit", "tcg")?.toFixed(6), "1.000000");
  assertEquals(geometricMean(ROWS, "jit", "v86")?.toFixed(6), "0.100000");
  assertEquals(geometricMean(ROWS, "jit", "bochs"), undefined);
});

Deno.test("the table has medians with least and most, ratios to each peer, and their means", () => {
  const { head, body } = tableOf(ROWS, ["jit", "tcg", "v86"], "jit");
  assertEquals(head, ["work", "jit s", "tcg s", "v86 s", "jit/tcg", "jit/v86"]);
  assertEquals(body[0], ["a & b", "2.000 (1.000–3.000)", "1.000 (1.000–1.000)", "-", "2.00", "-"]);
  assertEquals(body[2], ["d", "-", "2.000", "-", "-", "-"]);
  assertEquals(body.at(-1), ["geometric mean", "", "", "", "1.00", "0.10"]);
});

Deno.test("the chart names each measured row and is XML", () => {
  const svg = chartOf(ROWS, "jit", "tcg");
  assertMatch(svg, /a &amp; b/);
  assertEquals(svg.match(/<rect /g)?.length, 3); // background and two bars
});
