// SPDX-License-Identifier: MIT
/** Places keep their room, and blocks are found by place, mode and first record while they are there. @module */
import { assertEquals } from "@std/assert";
import { RECORD_BYTES } from "../../state/record.ts";
import { ARENA_BASE, ARENA_BYTES } from "../../state/state.ts";
import { type BlockFacts, BlockIndex, MOST_PLACES } from "./block_index.ts";

const FACTS = { length: 4, counting: 0, secondHost: 0, leavesCanonical: false };

/** Puts a block of so many records in: its place; 0: there is no room. */
function put(index: BlockIndex, host: number, modeBits: number, records: number): number {
  const place = index.take(host, modeBits, records);
  if (place !== 0) index.add(place, { ...FACTS, records });
  return place;
}

Deno.test("blocks are found by place and mode, high addresses too, and by their first record", () => {
  const index = new BlockIndex();
  const hosts = [0x10_0000, 0x10_0001, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0];
  const keys = hosts.flatMap((host) => [2, 0xfff7].map((modeBits) => [host, modeBits] as const));
  for (const [host, modeBits] of keys) {
    const place = put(index, host, modeBits, 3), start = index.startOf(place);
    assertEquals([index.find(host, modeBits), index.startingAt(start)], [place, place]);
    assertEquals(index.startingAt(start + RECORD_BYTES), 0);
    assertEquals([index.hostOf(place), index.modeOf(place)], [host, modeBits]);
  }
  assertEquals([index.find(0x10_0002, 2), index.find(0x10_0000, 3)], [0, 0]);
  assertEquals([index.size, [...index.places()].length], [keys.length, keys.length]);
});

Deno.test("what a block is comes back as it was put in, the largest and the smallest", () => {
  const index = new BlockIndex();
  const all: BlockFacts[] = [
    { length: 1, records: 1, counting: 0, secondHost: 0, leavesCanonical: false },
    { length: 96 * 15, records: 99, counting: 3, secondHost: 0, leavesCanonical: true },
    { length: 15, records: 3, counting: 1, secondHost: 0xffff_f000, leavesCanonical: false },
  ];
  all.forEach((facts, i) => {
    const place = index.take(0x1000 * i, 2, facts.records);
    index.add(place, facts);
    const start = index.startOf(place), end = start + facts.records * RECORD_BYTES;
    assertEquals([index.lengthOf(place), index.endOf(place)], [facts.length, end]);
    assertEquals(index.countingOf(place), facts.counting === 0 ? 0 : end - facts.counting * RECORD_BYTES);
    assertEquals([index.secondHostOf(place), index.leavesCanonical(place)], [
      facts.secondHost,
      facts.leavesCanonical,
    ]);
  });
});

Deno.test("the next block of a place has the room of the last one, if it fits", () => {
  const index = new BlockIndex();
  const place = put(index, 0x10_0000, 2, 5), first = index.startOf(place);
  index.remove(place);
  assertEquals([index.find(0x10_0000, 2), index.startingAt(first), index.size], [0, 0, 0]);
  assertEquals([put(index, 0x10_0000, 2, 5), index.startOf(place), index.startingAt(first)], [
    place,
    first,
    place,
  ]);
  const end = index.endOf(place);
  index.remove(place);
  put(index, 0x10_0000, 2, 6);
  const longer = index.startOf(place);
  assertEquals([longer, index.startingAt(first)], [end, 0]);
  assertEquals(index.arenaBytes, (5 + 6) * RECORD_BYTES);
  // Room that has become longer is not forgotten when a short block comes between.
  index.remove(place);
  put(index, 0x10_0000, 2, 1);
  index.remove(place);
  put(index, 0x10_0000, 2, 6);
  assertEquals(index.startOf(place), longer);
});

Deno.test("neither places nor room are without end, and clearing gives all back", () => {
  const index = new BlockIndex();
  for (let i = 0; i < MOST_PLACES; i++) assertEquals(put(index, i * 16, 2, 1) !== 0, true);
  assertEquals([put(index, MOST_PLACES * 16, 2, 1), index.size], [0, MOST_PLACES]);
  const before = index.startOf(index.find(0, 2));
  index.clear();
  assertEquals([index.size, index.arenaBytes, index.find(0, 2)], [0, 0, 0]);
  assertEquals(index.startingAt(before), 0);
  let records = 0;
  for (let i = 0; put(index, i * 16, 2, 98) !== 0; i++) records += 98;
  assertEquals(records, ARENA_BYTES / RECORD_BYTES - (ARENA_BYTES / RECORD_BYTES) % 98);
  assertEquals(index.startOf(index.find(0, 2)), ARENA_BASE);
});
