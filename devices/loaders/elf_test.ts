// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { guestFile } from "./_guest_files.ts";
import {
  parseElf,
  PT_LOAD,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_PHYS32_ENTRY,
  xenNoteNumber,
  xenNoteString,
} from "./elf.ts";
import { makeElf } from "./testdata/make_elf.ts";

for (const bits of [32, 64] as const) {
  Deno.test(`parseElf reads segments and Xen notes of an ELF${bits} file`, () => {
    const elf = parseElf({ name: "k", bytes: makeElf({ bits, phys32Entry: 0x10_0010 }) });
    assertEquals([elf.bits, elf.entry], [bits, 0x10_0000n]);
    const load = elf.segments.find((s) => s.type === PT_LOAD);
    assertEquals([load?.paddr, load?.fileBytes, load?.memoryBytes], [0x10_0000, 64, 8192]);
    assertEquals(xenNoteNumber(elf, XEN_ELFNOTE_PHYS32_ENTRY), 0x10_0010n);
    assertEquals(xenNoteString(elf, XEN_ELFNOTE_GUEST_OS), "test");
    assertEquals(xenNoteNumber(elf, 99), undefined);
  });
}

Deno.test("parseElf refuses other files with one clear line", () => {
  const good = makeElf({ bits: 64, phys32Entry: 0x10_0010 });
  const patched = (at: number, ...values: number[]) => {
    const bytes = good.slice();
    bytes.set(values, at);
    return bytes;
  };
  const cases: [Uint8Array, string][] = [
    [new Uint8Array(0), "it is not an ELF file"],
    [new TextEncoder().encode("#!/bin/sh\n"), "it is not an ELF file"],
    [good.subarray(0, 20), "it is a truncated ELF file"],
    [good.subarray(0, 60), "it is a truncated ELF file"],
    [good.subarray(0, 100), "it is a truncated ELF file"],
    [good.subarray(0, good.length - 1), "it is a truncated ELF file"],
    [patched(5, 2), "it is not a little-endian ELF file of 32 or 64 bits"],
    [patched(18, 183), "it is an ELF file for another machine (e_machine 183)"],
    [patched(54, 8), "its program headers are malformed"],
    [patched(32, 0, 0, 0, 0, 0, 0, 0, 0x7f), "it is a truncated ELF file"],
  ];
  for (const [bytes, why] of cases) {
    assertThrows(() => parseElf({ name: "k", bytes }), ConfigError, `Cannot load kernel "k": ${why}`);
  }
});

Deno.test("parseElf answers any damaged file with a result or a ConfigError", () => {
  const good = makeElf({ bits: 64, phys32Entry: 0x10_0010 });
  let seed = 7;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    const bytes = good.slice();
    for (let n = 0; n <= i % 4; n++) bytes[4 + random(bytes.length - 4)] = random(256);
    try {
      parseElf({ name: "k", bytes });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      refused++;
    }
  }
  assertEquals(refused > 100 && refused < 3000, true, `${refused}`);
});

const vmlinux = guestFile("cloud/vmlinux");
Deno.test({
  name: `parseElf finds the PVH entry of Debian's cloud kernel${vmlinux.skip}`,
  ignore: vmlinux.skip !== "",
  fn() {
    const elf = parseElf(vmlinux.read());
    assertEquals(elf.bits, 64);
    assertEquals(xenNoteString(elf, XEN_ELFNOTE_GUEST_OS), "linux");
    const entry = Number(xenNoteNumber(elf, XEN_ELFNOTE_PHYS32_ENTRY) ?? 0n);
    const inside = elf.segments.some((s) =>
      s.type === PT_LOAD && entry >= s.paddr && entry < s.paddr + s.fileBytes
    );
    assertEquals(inside, true);
  },
});
