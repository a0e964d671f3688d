// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Collector } from "../frames/_frames.ts";
import { crossConnect, frameOf, OFFLOAD_ALL, OFFLOAD_NONE } from "./end.ts";
import { Hub } from "./hub.ts";
import { NoneEnd } from "./none.ts";

Deno.test("NoneEnd swallows what is sent and never receives", () => {
  const end = new NoneEnd();
  const seen = new Collector(end);
  assertEquals([end.send(frameOf(new Uint8Array(60))), end.offloads], [true, OFFLOAD_ALL]);
  assertEquals([end.poll(), end.pollFd(), seen.frames.length], [0, -1, 0]);
  end.close();
});

Deno.test("crossConnect forwards both ways, and frames fit the other side", () => {
  const [left, right] = [new Hub(), new Hub()];
  const [a, b] = [left.port(), right.port()];
  crossConnect(a, b);
  const [guestA, guestB] = [left.port(), right.port()];
  const [seenA, seenB] = [new Collector(guestA), new Collector(guestB, OFFLOAD_NONE)];
  guestA.send(frameOf(new Uint8Array(60).fill(1)));
  guestB.send(frameOf(new Uint8Array(61).fill(2)));
  assertEquals([seenB.frames.map((frame) => frame.length), seenA.frames.map((frame) => frame.length)], [
    [60],
    [61],
  ]);
});
