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
    [patched(18, 183), "it is an ELF file for 64-bit ARM (e_machine 183), not for x86"],
    [patched(18, 0xff, 0x7f), "it is an ELF file for another machine (e_machine 32767), not for x86"],
    [patched(16, 1), "it is an object file (ET_REL): link it to an executable first"],
    [patched(16, 4), "it is a core dump (ET_CORE), not an executable"],
    [patched(56, 0), "it has no program headers: link it to an executable first"],
    [patched(56, 0, 8), "it has 2048 program headers, more than 1024"],
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

/** A note: name "Xen", or another; name and descriptor padded to `pad` bytes. */
function note(type: number, desc: readonly number[], pad: number, name = "Xen"): number[] {
  const text = [...name, "\0"].map((c) => c.charCodeAt(0));
  const u32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
  const out = [...u32(text.length), ...u32(desc.length), ...u32(type), ...text];
  while (out.length % pad !== 0) out.push(0);
  out.push(...desc);
  while (out.length % pad !== 0) out.push(0);
  return out;
}
const ENTRY = [0x10, 0, 0x10, 0];
/** The property of .note.gnu.property, which is what makes linkers align to 8. */
const PROPERTY = [2, 0, 0, 0xc0, 4, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
const NOTE_CASES:
  readonly (readonly [string, 32 | 64, { notes: readonly number[]; align: number; inSection?: boolean }])[] =
    [
      ["32 bits, alignment 4", 32, { notes: [...note(17, [1, 2, 3], 4), ...note(18, ENTRY, 4)], align: 4 }],
      ["32 bits, alignment 8, which pads by 4", 32, {
        notes: [...note(17, [1, 0, 0, 0], 4), ...note(18, ENTRY, 4)],
        align: 8,
      }],
      ...[0, 1, 4, 16].map((align) =>
        [`64 bits, alignment ${align}, which pads by 4`, 64, {
          notes: [...note(17, [1, 0, 0, 0], 4), ...note(18, ENTRY, 4)],
          align,
        }] as const
      ),
      ["64 bits, padded by 8", 64, {
        notes: [...note(17, [1, 0, 0, 0], 8), ...note(18, ENTRY, 8)],
        align: 8,
      }],
      ["64 bits, alignment 8 but padded by 4", 64, {
        notes: [...note(17, [1, 0, 0, 0], 4), ...note(18, ENTRY, 4)],
        align: 8,
      }],
      ["64 bits, a property padded by 8 and then notes padded by 4", 64, {
        notes: [...note(5, PROPERTY, 8, "GNU"), ...note(6, [0x78, 0], 4), ...note(18, ENTRY, 4)],
        align: 8,
      }],
      ["an entry of 8 bytes", 64, { notes: note(18, [...ENTRY, 0, 0, 0, 0], 4), align: 4 }],
      ["several entries, of which the last counts", 64, {
        notes: [...note(18, [1, 2, 3, 4], 4), ...note(18, ENTRY, 4)],
        align: 4,
      }],
      ["a section but no segment, 32 bits", 32, { notes: note(18, ENTRY, 4), align: 4, inSection: true }],
      ["a section but no segment, 64 bits", 64, {
        notes: [...note(17, [1, 0, 0, 0], 4), ...note(18, ENTRY, 4)],
        align: 8,
        inSection: true,
      }],
    ];
for (const [name, bits, recipe] of NOTE_CASES) {
  Deno.test(`parseElf finds the PVH entry in notes with ${name}`, () => {
    const elf = parseElf({ name: "k", bytes: makeElf({ bits, ...recipe }) });
    assertEquals([xenNoteNumber(elf, XEN_ELFNOTE_PHYS32_ENTRY), elf.notesBroken], [0x10_0010n, false]);
  });
}

Deno.test("parseElf says that notes are broken which lie about their sizes, and reads those before", () => {
  const lies: number[][] = [
    [0xff, 0xff, 0xff, 0xff, 4, 0, 0, 0, 18, 0, 0, 0],
    [4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 18, 0, 0, 0, 0x58, 0x65, 0x6e, 0],
    [4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0, 0x58, 0x65, 0x6e, 0, 1],
    [1, 2, 3],
  ];
  for (const align of [4, 8]) {
    const good = note(18, ENTRY, align);
    for (const lie of lies) {
      const parse = (notes: number[]) => parseElf({ name: "k", bytes: makeElf({ bits: 64, notes, align }) });
      assertEquals(parse(lie).notesBroken, true);
      const elf = parse([...good, ...lie]);
      assertEquals([xenNoteNumber(elf, XEN_ELFNOTE_PHYS32_ENTRY), elf.notesBroken], [0x10_0010n, true]);
    }
  }
});

Deno.test("an entry note of an odd size is refused", () => {
  for (const length of [0, 3, 5, 9]) {
    const notes = note(18, new Array(length).fill(0), 4);
    const elf = parseElf({ name: "k", bytes: makeElf({ bits: 64, notes, align: 4 }) });
    assertThrows(
      () => xenNoteNumber(elf, XEN_ELFNOTE_PHYS32_ENTRY),
      ConfigError,
      `its Xen note 18 has ${length} bytes: it takes 4 or 8`,
    );
  }
});

Deno.test("parseElf takes no more notes than any kernel has, however many a file claims", () => {
  const notes = new Array(5000).fill(note(1, [], 4, "A")).flat();
  const elf = parseElf({ name: "k", bytes: makeElf({ bits: 64, notes, align: 4 }) });
  assertEquals([elf.notes.length, elf.notesBroken], [4096, true]);
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
