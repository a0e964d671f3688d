// SPDX-License-Identifier: MIT
/** Places keep their room, and blocks are found by place, mode and first record while they are there. @module */
import { assertEquals } from "@std/assert";
import { RECORD_BYTES } from "../state/record.ts";
import { ARENA_BASE, ARENA_BYTES } from "../state/state.ts";
import type { Block } from "./block.ts";
import { BlockIndex, MOST_PLACES } from "./block_index.ts";

const MODE = { codeBits: 64, stackBits: 64, flat: true, fpuTrap: false, avxTrap: false } as const;

/** Puts a block of so many records in; undefined: there is no room. */
function put(index: BlockIndex, host: number, modeBits: number, records: number): Block | undefined {
  const place = index.take(host, modeBits, records);
  if (place === 0) return undefined;
  const start = index.startOf(place), end = start + records * RECORD_BYTES;
  const rest = {
    leavesCanonical: false,
    slot: 0,
    counting: 0,
    isWarm: false,
    timesWarm: 0,
    samples: 0,
    window: 0,
    looks: 0,
  };
  const block = { host, length: 4, secondHost: 0, modeBits, mode: MODE, start, end, place, ...rest };
  index.add(block);
  return block;
}

Deno.test("blocks are found by place and mode, high addresses too, and by their first record", () => {
  const index = new BlockIndex();
  const hosts = [0x10_0000, 0x10_0001, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0];
  const blocks = hosts.flatMap((host) => [2, 7].map((modeBits) => put(index, host, modeBits, 3) as Block));
  for (const block of blocks) {
    assertEquals(index.find(block.host, block.modeBits) === block, true);
    assertEquals(index.startingAt(block.start) === block, true);
    assertEquals(index.startingAt(block.start + RECORD_BYTES), undefined);
  }
  assertEquals([index.find(0x10_0002, 2), index.find(0x10_0000, 3)], [undefined, undefined]);
  assertEquals([index.size, [...index.known()].length], [blocks.length, blocks.length]);
});

Deno.test("the next block of a place has the room of the last one, if it fits", () => {
  const index = new BlockIndex();
  const first = put(index, 0x10_0000, 2, 5) as Block;
  index.remove(first);
  assertEquals([index.find(0x10_0000, 2), index.startingAt(first.start), index.size], [
    undefined,
    undefined,
    0,
  ]);
  const second = put(index, 0x10_0000, 2, 5) as Block;
  assertEquals([second.start, index.startingAt(first.start) === second], [first.start, true]);
  index.remove(second);
  const longer = put(index, 0x10_0000, 2, 6) as Block;
  assertEquals([longer.start, index.startingAt(first.start)], [first.end, undefined]);
  assertEquals(index.arenaBytes, (5 + 6) * RECORD_BYTES);
  // Room that has become longer is not forgotten when a short block comes between.
  index.remove(longer);
  index.remove(put(index, 0x10_0000, 2, 1) as Block);
  assertEquals((put(index, 0x10_0000, 2, 6) as Block).start, longer.start);
});

Deno.test("neither places nor room are without end, and clearing gives all back", () => {
  const index = new BlockIndex();
  for (let i = 0; i < MOST_PLACES; i++) assertEquals(put(index, i * 16, 2, 1) !== undefined, true);
  assertEquals([put(index, MOST_PLACES * 16, 2, 1), index.size], [undefined, MOST_PLACES]);
  const before = index.find(0, 2) as Block;
  index.clear();
  assertEquals([index.size, index.arenaBytes, index.find(0, 2)], [0, 0, undefined]);
  assertEquals(index.startingAt(before.start), undefined);
  let records = 0;
  for (let i = 0; put(index, i * 16, 2, 98) !== undefined; i++) records += 98;
  assertEquals(records, ARENA_BYTES / RECORD_BYTES - (ARENA_BYTES / RECORD_BYTES) % 98);
  assertEquals((index.find(0, 2) as Block).start, ARENA_BASE);
});
