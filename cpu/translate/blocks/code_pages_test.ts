// SPDX-License-Identifier: MIT
/** Pages know the blocks that have code in them, and forget those that go. @module */
import { assertEquals } from "@std/assert";
import { MiB, PAGE_SIZE } from "../../base/bits.ts";
import { GuestMemory, PAGE_HAS_CODE } from "../../base/guest_memory.ts";
import { CPU_RESERVED_BYTES } from "../../state/state.ts";
import { BlockIndex } from "./block_index.ts";
import { CodePages } from "./code_pages.ts";

/** Pages of memory, and what puts a block of `length` bytes there. */
function pages() {
  const memory = new GuestMemory(4 * MiB, CPU_RESERVED_BYTES);
  const index = new BlockIndex(), code = new CodePages(memory, index);
  const page = memory.map.ram + MiB, watched: number[] = [];
  code.onWatched = (page) => void watched.push(page);
  const put = (host: number, length: number, secondHost = 0) => {
    const place = index.take(host, 2, 2);
    index.add(place, { length, records: 2, counting: 1, secondHost, leavesCanonical: false });
    code.add(place);
    return place;
  };
  const marked = (at: number) => (memory.attributes(at) & PAGE_HAS_CODE) !== 0;
  return { index, code, page, watched, put, marked };
}

Deno.test("a write takes the blocks that it hits, and the page is code no more when all are gone", () => {
  const { code, page, watched, put, marked } = pages();
  const places = [0, 10, 20, 200].map((at) => put(page + at, 10));
  assertEquals([watched, marked(page), code.occupancy], [[page], true, { pages: 1, listed: 4 }]);
  assertEquals([code.touches(page, 128, 192), code.touches(page, 192, 200)], [false, true]);
  assertEquals(code.take(page, 30, 200), []);
  assertEquals(code.take(page, 19, 21).sort(), [places[1], places[2]]);
  assertEquals([marked(page), code.occupancy], [true, { pages: 1, listed: 2 }]);
  assertEquals(code.take(page, 200, 201), [places[3]]);
  assertEquals([code.touches(page, 192, 256), code.touches(page, 0, 1)], [false, true]);
  assertEquals(code.take(page, 0, PAGE_SIZE), [places[0]]);
  assertEquals([marked(page), code.occupancy, watched], [false, { pages: 0, listed: 0 }, [page]]);
  put(page, 5);
  assertEquals([marked(page), watched], [true, [page, page]]);
});

Deno.test("a block that crosses is in the lists of both its pages, also when they follow each other or are one", () => {
  for (const distance of [1, 7, 0]) {
    const { code, page, put, marked } = pages();
    const second = page + distance * PAGE_SIZE;
    const crossing = put(page + PAGE_SIZE - 3, 8, second), other = put(page + 100, 4);
    assertEquals(code.occupancy, { pages: distance === 0 ? 1 : 2, listed: 3 });
    assertEquals(code.take(second, 5, 6), []);
    assertEquals(code.take(second, 4, 5), [crossing]);
    code.remove(crossing, second);
    assertEquals([marked(page), code.occupancy.pages], [true, 1]);
    code.remove(other);
    assertEquals([marked(page), code.occupancy.pages], [false, 0]);
  }
});

Deno.test("clearing unmarks every page", () => {
  const { index, code, page, put, marked } = pages();
  for (let i = 0; i < 10; i++) put(page + i * PAGE_SIZE + PAGE_SIZE - 1, 2, page + (i + 1) * PAGE_SIZE);
  assertEquals(code.occupancy, { pages: 11, listed: 20 });
  code.clear();
  index.clear();
  assertEquals(code.occupancy, { pages: 0, listed: 0 });
  for (let i = 0; i <= 10; i++) assertEquals(marked(page + i * PAGE_SIZE), false);
  put(page, 3);
  assertEquals([marked(page), code.occupancy], [true, { pages: 1, listed: 1 }]);
});
