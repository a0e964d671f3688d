// SPDX-License-Identifier: MIT
// What PC firmware leaves in the MTRRs: SDM Vol. 3A §12.11.
import { assertEquals } from "@std/assert";
import { setMtrrs } from "./firmware.ts";

function mtrrs(holeStart: number): Map<number, bigint> {
  const values = new Map<number, bigint>();
  setMtrrs(
    { physicalAddressBits: 32, writeMsr: (index, value) => (values.set(index, value), true) },
    holeStart,
  );
  return values;
}

Deno.test("firmware MTRRs leave an uncacheable hole below 4 GiB", () => {
  const half = mtrrs(0xe000_0000);
  assertEquals(half.get(0x2ff), 0xc06n);
  assertEquals([half.get(0x200), half.get(0x201), half.get(0x203)], [0xe000_0000n, 0xe000_0800n, undefined]);
  assertEquals([half.get(0x250), half.get(0x259)], [0x0606_0606_0606_0606n, 0n]); // video memory
  const more = mtrrs(0xd000_0000); // 256 MiB + 512 MiB
  assertEquals([0x200, 0x201, 0x202, 0x203].map((index) => more.get(index)), [
    0xd000_0000n,
    0xf000_0800n,
    0xe000_0000n,
    0xe000_0800n,
  ]);
});
