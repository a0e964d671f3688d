// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { neededLibraries } from "./shared_libraries.ts";

/** A file of two segments (all of it loaded at `base`, its dynamic section) that asks for two libraries. */
function elf(bits: 32 | 64, base: number): Uint8Array {
  const file = new Uint8Array(512);
  const view = new DataView(file.buffer);
  const word = (at: number, value: number) =>
    bits === 64 ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true);
  file.set([0x7f, 0x45, 0x4c, 0x46, bits / 32, 1]);
  const headers = 64, size = bits === 64 ? 56 : 32, dynamic = 200, strings = 400, w = bits / 8;
  word(bits === 64 ? 32 : 28, headers);
  view.setUint16(bits === 64 ? 54 : 42, size, true);
  view.setUint16(bits === 64 ? 56 : 44, 2, true);
  const segment = (i: number, type: number, offset: number, bytes: number) => {
    const at = headers + i * size;
    view.setUint32(at, type, true);
    word(at + (bits === 64 ? 8 : 4), offset);
    word(at + (bits === 64 ? 16 : 8), base + offset);
    word(at + (bits === 64 ? 32 : 16), bytes);
  };
  segment(0, 1, 0, 512);
  segment(1, 2, dynamic, 10 * w);
  [[1, 1], [1, 11], [5, base + strings], [0, 0]].forEach(([tag = 0, value = 0], i) => {
    word(dynamic + 2 * i * w, tag);
    word(dynamic + (2 * i + 1) * w, value);
  });
  file.set(new TextEncoder().encode("\0libc.so.6\0libz.so.1\0"), strings);
  return file;
}

Deno.test("what 32- and 64-bit ELF files ask for", () => {
  assertEquals(neededLibraries(elf(64, 0x40_0000)), ["libc.so.6", "libz.so.1"]);
  assertEquals(neededLibraries(elf(32, 0x804_8000)), ["libc.so.6", "libz.so.1"]);
});

Deno.test("scripts, short files and other byte orders ask for nothing", () => {
  assertEquals(neededLibraries(new TextEncoder().encode("#!/bin/sh\n")), []);
  assertEquals(neededLibraries(elf(64, 0).subarray(0, 40)), []);
  const big = elf(64, 0);
  big[5] = 2;
  assertEquals(neededLibraries(big), []);
});
