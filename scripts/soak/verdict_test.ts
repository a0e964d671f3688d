// SPDX-License-Identifier: MIT
/** Runs made up, and what is said of them. @module */
import { assertEquals } from "@std/assert";
import { complaints, type Sample } from "./verdict.ts";

function run(change: (i: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: 30 }, (_, i) => ({
    ...{ seconds: i * 10, residentMiB: 500, slots: 3000, arenaMiB: 10, turns: i * 4 },
    ...change(i),
  }));
}

Deno.test("a run that is flat after warming up is fine", () => {
  assertEquals(complaints(run(() => ({}))), []);
  assertEquals(complaints(run((i) => i < 10 ? { residentMiB: 200 + i * 30, slots: i * 300 } : {})), []);
  assertEquals(complaints(run((i) => ({ residentMiB: 500 + 40 * (i % 2) }))), []);
});

Deno.test("memory, slots and arena that grow to the end are named", () => {
  assertEquals(complaints(run((i) => ({ residentMiB: 300 + i * 30 }))), [
    "residentMiB grew from 870 to 1170",
  ]);
  assertEquals(complaints(run((i) => ({ slots: 1000 + i * 200 }))), ["slots grew from 4800 to 6800"]);
  assertEquals(complaints(run((i) => ({ arenaMiB: 1 + i }))), ["arenaMiB grew from 20 to 30"]);
});

Deno.test("a guest that slows to a crawl is named, and a run that is too short", () => {
  assertEquals(complaints(run((i) => ({ turns: i < 20 ? i * 4 : 80 }))), [
    "the guest did 0.00 turns a second, 0.40 before that",
  ]);
  assertEquals(complaints(run(() => ({ turns: 0 }))), ["the guest did not finish one turn"]);
  assertEquals(complaints(run(() => ({})).slice(0, 5)), ["the run was too short to say anything"]);
});
