// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "./assert.ts";
import { formatSize, parseSize } from "./sizes.ts";

for (
  const [text, bytes] of [
    ["0", 0],
    ["4096", 4096],
    ["64K", 65536],
    ["512M", 536_870_912],
    ["512m", 536_870_912],
    ["1.5G", 1_610_612_736],
    ["2GiB", 2_147_483_648],
    ["1MB", 1_048_576],
    ["99999999G", undefined], // above 2^53
    ["", undefined],
    ["M", undefined],
    ["-1M", undefined],
    ["1T", undefined],
    ["1e9", undefined],
    ["0x100", undefined],
    ["0.3", undefined],
    ["512 M", undefined],
  ] as const
) {
  Deno.test(`parseSize takes ${JSON.stringify(text)} for ${bytes}`, () => {
    if (bytes === undefined) assertThrows(() => parseSize(text), ConfigError, "as a size");
    else assertEquals(parseSize(text), bytes);
  });
}

Deno.test("formatSize writes what people read", () => {
  assertEquals(
    ["512 MiB", "1.5 GiB", "100 bytes", "1 KiB"],
    [2 ** 29, 1.5 * 2 ** 30, 100, 1024].map(formatSize),
  );
});
