// SPDX-License-Identifier: MIT
import { assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { decompress } from "./decompress.ts";
import { decodeBlock } from "./compression/lz4.ts";
import { packed } from "./testdata/packed.ts";
import { sample } from "./testdata/sample.ts";

const bytesOf = (base64: string) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

for (const [format, base64] of Object.entries(packed)) {
  Deno.test(`decompress undoes what the real tool made: ${format}`, async () => {
    assertEquals(await decompress({ name: "k", bytes: bytesOf(base64) }), sample());
  });

  Deno.test(`decompress answers damaged ${format} data with a ConfigError or the right length, always`, async () => {
    const good = bytesOf(base64);
    let seed = 1;
    const random = (n: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const bad = good.slice(0, i % 3 === 0 ? 8 + random(good.length - 8) : good.length);
      for (let n = i % 3; n > 0; n--) bad[6 + random(bad.length - 6)] = random(256);
      if (i % 3 === 0) bad.set(good.subarray(-4), bad.length - 4); // truncated, but the size is believable
      try {
        const size = new DataView(bad.buffer).getUint32(bad.length - 4, true);
        assertEquals((await decompress({ name: "k", bytes: bad })).length, size);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        refused++;
      }
    }
    if (refused < 100) throw new Error(`only ${refused} of 300 refused`);
  });
}

Deno.test("decompress names what it cannot read", async () => {
  const cases: [number[], string][] = [
    [[0x42, 0x5a, 0x68, 0x39], 'Cannot load kernel "k": bzip2 compression is not supported'],
    [[0x89, 0x4c, 0x5a, 0x4f], 'Cannot load kernel "k": lzo compression is not supported'],
    [[1, 2, 3, 4], 'Cannot load kernel "k": it is compressed in an unknown way'],
    [[], 'Cannot load kernel "k": it is compressed in an unknown way'],
    [[0x1f, 0x8b], 'Cannot load kernel "k": its payload is truncated'],
  ];
  for (const [magic, message] of cases) {
    await assertRejects(() => decompress({ name: "k", bytes: Uint8Array.from(magic) }), ConfigError, message);
  }
  const huge = bytesOf(packed.lz4);
  huge.fill(0xff, huge.length - 4);
  await assertRejects(
    () => decompress({ name: "k", bytes: huge }),
    ConfigError,
    "it would decompress to 4294967295",
  );
});

Deno.test("an LZ4 match may not reach before its block", () => {
  const output = new Uint8Array(100);
  for (const block of [[0x10, 0x41, 0x02, 0x00, 0x00], [0x10, 0x41, 0x00, 0x00, 0x00]]) {
    try {
      decodeBlock(Uint8Array.from(block), output, 50);
      throw new Error("accepted");
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
  }
});
