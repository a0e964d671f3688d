// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Frames } from "./frames.ts";
import { END_OF_OUTPUT } from "./guest_init.ts";

function read(...chunks: string[]) {
  const printed: string[] = [];
  const frames = new Frames(["first", "second"], (text, to) => printed.push(`${to}: ${text}`));
  for (const chunk of chunks) frames.feed(new TextEncoder().encode(chunk));
  return { results: frames.results, done: frames.done, printed };
}
const SESSION = `r 0\no one\ne oops\no half${END_OF_OUTPUT}\ne ${END_OF_OUTPUT}\nx 3\n` +
  `r 1\no a b\no ${END_OF_OUTPUT}\ne e${END_OF_OUTPUT}\nx 0\nd\n`;
const RESULTS = [
  { command: "first", stdout: "one\nhalf", stderr: "oops\n", status: 3 },
  { command: "second", stdout: "a b\n", stderr: "e", status: 0 },
];

Deno.test("Frames tell output from errors, to the last line end", () => {
  const { results, done, printed } = read(SESSION);
  assertEquals([results, done], [RESULTS, true]);
  assertEquals(printed, ["stdout: one\n", "stderr: oops\n", "stdout: half", "stdout: a b\n", "stderr: e"]);
});

Deno.test("Frames come in any pieces", () => {
  assertEquals(read(...SESSION).results, RESULTS);
});

Deno.test("Frames of a guest that stops in the middle have no status", () => {
  const { results, done } = read("r 0\no one\no tw");
  assertEquals([results, done], [[{ command: "first", stdout: "one\n", stderr: "" }], false]);
});

Deno.test("Frames ignore what is none, and commands that nobody gave", () => {
  const { results } = read("hello\no nobody's\nr 7\no x\nx 5\nr 0\n???\nx 256\n");
  assertEquals(results, [{ command: "first", stdout: "", stderr: "", status: 0 }]);
});
