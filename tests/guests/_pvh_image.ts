// SPDX-License-Identifier: MIT
/** An ELF file that starts by PVH: one PT_LOAD, one PT_NOTE. Rules: gABI chapter 5, Xen public/elfnote.h. @module */
import { layout } from "../../cpu/base/layout.ts";
import { PF_X, PT_LOAD, PT_NOTE, XEN_ELFNOTE_PHYS32_ENTRY } from "../../devices/loaders/elf.ts";

const header = {
  32: layout({
    ident: ["u8", 16],
    type: "u16",
    machine: "u16",
    version: "u32",
    entry: "u32",
    phoff: "u32",
    shoff: "u32",
    flags: "u32",
    ehsize: "u16",
    phentsize: "u16",
    phnum: "u16",
    shentsize: "u16",
    shnum: "u16",
    shstrndx: "u16",
  }),
  64: layout({
    ident: ["u8", 16],
    type: "u16",
    machine: "u16",
    version: "u32",
    entry: "u64",
    phoff: "u64",
    shoff: "u64",
    flags: "u32",
    ehsize: "u16",
    phentsize: "u16",
    phnum: "u16",
    shentsize: "u16",
    shnum: "u16",
    shstrndx: "u16",
  }),
} as const;
const programHeader = {
  32: layout({
    type: "u32",
    offset: "u32",
    vaddr: "u32",
    paddr: "u32",
    filesz: "u32",
    memsz: "u32",
    flags: "u32",
    align: "u32",
  }),
  64: layout({
    type: "u32",
    flags: "u32",
    offset: "u64",
    vaddr: "u64",
    paddr: "u64",
    filesz: "u64",
    memsz: "u64",
    align: "u64",
  }),
} as const;
const ET_EXEC = 2, EM_386 = 3, EM_X86_64 = 62;

/** `code` at physical `base`, entered there; `memoryBytes` are taken in all. */
export function pvhImage(
  code: Uint8Array,
  options: { readonly bits: 32 | 64; readonly base: number; readonly memoryBytes: number },
): Uint8Array<ArrayBuffer> {
  const { bits, base, memoryBytes } = options;
  const eh = header[bits], ph = programHeader[bits];
  const noteAt = eh.size + 2 * ph.size;
  const noteBytes = 12 + 4 + 4;
  const codeAt = noteAt + noteBytes;
  const bytes = new Uint8Array(codeAt + code.length);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: number) =>
    bits === 64 ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1]);
  view.setUint16(eh.at.type, ET_EXEC, true);
  view.setUint16(eh.at.machine, bits === 64 ? EM_X86_64 : EM_386, true);
  view.setUint32(eh.at.version, 1, true);
  word(eh.at.entry, base);
  word(eh.at.phoff, eh.size);
  view.setUint16(eh.at.ehsize, eh.size, true);
  view.setUint16(eh.at.phentsize, ph.size, true);
  view.setUint16(eh.at.phnum, 2, true);
  const segment = (i: number, type: number, offset: number, at: number, file: number, memory: number) => {
    const p = eh.size + i * ph.size;
    view.setUint32(p + ph.at.type, type, true);
    word(p + ph.at.offset, offset);
    word(p + ph.at.vaddr, at);
    word(p + ph.at.paddr, at);
    word(p + ph.at.filesz, file);
    word(p + ph.at.memsz, memory);
    view.setUint32(p + ph.at.flags, PF_X | 6, true); // and it is read and written
    word(p + ph.at.align, 4);
  };
  segment(0, PT_LOAD, codeAt, base, code.length, memoryBytes);
  segment(1, PT_NOTE, noteAt, 0, noteBytes, noteBytes);
  [4, 4, XEN_ELFNOTE_PHYS32_ENTRY].forEach((n, i) => view.setUint32(noteAt + i * 4, n, true));
  bytes.set([0x58, 0x65, 0x6e, 0], noteAt + 12); // "Xen"
  view.setUint32(noteAt + 16, base, true);
  bytes.set(code, codeAt);
  return bytes;
}
