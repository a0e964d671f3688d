// SPDX-License-Identifier: MIT
/** Which code goes when there is too much. @module */
import { assert, assertEquals } from "@std/assert";
import { CodeRoom } from "./code_room.ts";

const INSTRUCTIONS = 100;
/** A room with modules of two functions each, numbered from 0; what is added has the numbers that follow. */
function room(most: number) {
  const uses: number[] = [];
  const all = new CodeRoom<number>(most, (code) => uses[code] as number);
  const add = (modules: number) => {
    for (let i = 0; i < modules; i++) {
      uses.push(0, 0);
      all.add([uses.length - 2, uses.length - 1], INSTRUCTIONS);
    }
  };
  add(1);
  const each = all.bytes;
  return { all, uses, add, each };
}

Deno.test("with too much code the older modules that were used least go, as many as an eighth of the room needs", () => {
  const { each } = room(0);
  const { all, uses, add } = room(16 * each);
  add(15);
  assertEquals(all.excess(), []);
  for (let code = 0; code < 32; code++) uses[code] = 10;
  uses[6] = uses[7] = uses[10] = 1;
  uses[20] = uses[21] = 0; // of the younger half
  add(1);
  const gone = all.excess();
  assertEquals(gone.slice(0, 4), [6, 7, 10, 11]);
  assertEquals(gone.length, 6);
  for (const code of gone) all.delete(code);
  assertEquals(all.bytes, 14 * each);
  assertEquals(all.excess(), []);
});

Deno.test("code that is used no more goes, however often it was used before, and what is used stays", () => {
  const { each } = room(0);
  const { all, uses, add } = room(16 * each);
  add(15);
  uses[0] = uses[2] = 1e6;
  const gone = new Set<number>();
  for (let turn = 0; turn < 20; turn++) {
    uses[2]! += 5;
    add(2);
    for (const code of all.excess()) {
      gone.add(code);
      all.delete(code);
    }
    assert(all.bytes <= 16 * each);
  }
  assertEquals([gone.has(0), gone.has(2)], [true, false]);
});

Deno.test("a module has its room until all of its functions have ended", () => {
  const { all, each } = room(0);
  all.delete(0);
  assertEquals([all.bytes, all.excess()], [each, [1]]);
  all.delete(1);
  assertEquals([all.bytes, all.excess()], [0, []]);
});
