// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { BLKIF_OP_READ, BLKIF_RSP_ERROR, BLKIF_RSP_OKAY } from "../public/io/blkif.ts";
import type { BlockRequest } from "./blkback_request.ts";
import { BlockWork } from "./blkback_work.ts";

/** A read of `length` bytes. */
function read(length: number): BlockRequest {
  const data = new Uint8Array(length);
  return {
    operation: BLKIF_OP_READ,
    idLow: length,
    idHigh: 0,
    start: 0,
    length,
    segments: new Uint32Array(0),
    data,
  };
}

Deno.test("ordered work is finished in the order it came, never at once, however the store is", async () => {
  const slow = Promise.withResolvers<void>();
  const store = {
    size: 4096,
    read(_: number, into: Uint8Array): void | Promise<void> {
      if (into.length === 512) return slow.promise;
      if (into.length === 1536) throw new Error("broken");
    },
    write() {},
    flush() {},
  };
  const finished: [number, number, boolean][] = [];
  const work = new BlockWork(store, () => {}, true);
  for (const length of [512, 1024, 1536, 2048]) {
    work.submit(read(length), (status, later) => finished.push([length, status, later]));
  }
  for (let i = 0; i < 20; i++) await Promise.resolve();
  assertEquals([finished, work.count], [[], 4]);
  slow.resolve();
  for (let i = 0; i < 20; i++) await Promise.resolve();
  assertEquals(finished, [
    [512, BLKIF_RSP_OKAY, true],
    [1024, BLKIF_RSP_OKAY, true],
    [1536, BLKIF_RSP_ERROR, true],
    [2048, BLKIF_RSP_OKAY, true],
  ]);
  assertEquals([work.count, work.bytes], [0, 0]);
});
