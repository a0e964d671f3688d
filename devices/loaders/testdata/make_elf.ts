// SPDX-License-Identifier: MIT
/** Writes small ELF files for loader tests: one PT_LOAD, one PT_NOTE with Xen notes. @module */

/** What goes into the file. */
export interface ElfRecipe {
  readonly bits: 32 | 64;
  readonly phys32Entry?: number;
  readonly paddr?: number;
  readonly memoryBytes?: number;
  readonly guestOs?: string;
  /** The content of the PT_NOTE, instead of what the others say. */
  readonly notes?: readonly number[];
  /** Alignment that it claims; default 4. */
  readonly align?: number;
  /** Makes it an SHT_NOTE section, with no PT_NOTE. */
  readonly inSection?: boolean;
}

/** 64 bytes 1..64 at `paddr` (1 MiB), zeros after them. */
export function makeElf(recipe: ElfRecipe): Uint8Array<ArrayBuffer> {
  const { bits, paddr = 0x10_0000, memoryBytes = 8192, guestOs = "test", align = 4, inSection = false } =
    recipe;
  const wide = bits === 64;
  const notes: number[] = [...recipe.notes ?? []];
  const note = (type: number, desc: number[]) => {
    const u32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
    const pad = new Array((4 - (desc.length % 4)) % 4).fill(0);
    notes.push(...u32(4), ...u32(desc.length), ...u32(type), 0x58, 0x65, 0x6e, 0, ...desc, ...pad);
  };
  if (recipe.notes === undefined) note(6, [...guestOs, "\0"].map((c) => c.charCodeAt(0)));
  if (recipe.notes === undefined && recipe.phys32Entry !== undefined) {
    const e = recipe.phys32Entry;
    note(18, [e & 0xff, (e >>> 8) & 0xff, (e >>> 16) & 0xff, e >>> 24]);
  }
  const [ehsize, phsize] = wide ? [64, 56] : [52, 32];
  const noteAt = ehsize + 2 * phsize;
  const loadAt = noteAt + notes.length;
  const sectionAt = loadAt + 64;
  const shsize = wide ? 64 : 40;
  const bytes = new Uint8Array(sectionAt + (inSection ? shsize : 0));
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  const word = (at: number, value: number) =>
    wide ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true);
  view.setUint16(16, 2, true);
  view.setUint16(18, wide ? 62 : 3, true);
  word(24, paddr);
  word(wide ? 32 : 28, ehsize);
  view.setUint16(wide ? 54 : 42, phsize, true);
  view.setUint16(wide ? 56 : 44, 2, true);
  const segment = (i: number, type: number, offset: number, at: number, file: number, memory: number) => {
    const p = ehsize + i * phsize;
    view.setUint32(p, type, true);
    word(p + (wide ? 8 : 4), offset);
    word(p + (wide ? 24 : 12), at);
    word(p + (wide ? 32 : 16), file);
    word(p + (wide ? 40 : 20), memory);
    word(p + (wide ? 48 : 28), type === 4 ? align : 4);
  };
  if (inSection) {
    word(wide ? 40 : 32, sectionAt);
    view.setUint16(wide ? 58 : 46, shsize, true);
    view.setUint16(wide ? 60 : 48, 1, true);
    view.setUint32(sectionAt + 4, 7, true);
    word(sectionAt + (wide ? 24 : 16), noteAt);
    word(sectionAt + (wide ? 32 : 20), notes.length);
    word(sectionAt + (wide ? 48 : 32), align);
  }
  segment(0, inSection ? 0 : 4, noteAt, 0, notes.length, notes.length);
  segment(1, 1, loadAt, paddr, 64, memoryBytes);
  bytes.set(notes, noteAt);
  for (let i = 0; i < 64; i++) bytes[loadAt + i] = i + 1;
  return bytes;
}
