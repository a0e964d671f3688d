// SPDX-License-Identifier: MIT
/**
 * ELF executables for x86, 32 and 64 bits: program headers and notes. Rules: System V ABI (gABI) chapters 4 and
 * 5; Xen public/elfnote.h. Not done: sections, symbols, dynamic linking.
 * @module
 */
import { hex } from "../../cpu/base/bits.ts";
import type { BootPlan } from "./memory_map.ts";
import { badKernel, type NamedFile } from "./named_file.ts";

const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46] as const;
const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const EM_386 = 3;
const EM_X86_64 = 62;
export const PT_LOAD = 1;
export const PT_NOTE = 4;

export const XEN_ELFNOTE_ENTRY = 1;
export const XEN_ELFNOTE_HYPERCALL_PAGE = 2;
export const XEN_ELFNOTE_VIRT_BASE = 3;
export const XEN_ELFNOTE_PADDR_OFFSET = 4;
export const XEN_ELFNOTE_XEN_VERSION = 5;
export const XEN_ELFNOTE_GUEST_OS = 6;
export const XEN_ELFNOTE_GUEST_VERSION = 7;
export const XEN_ELFNOTE_LOADER = 8;
export const XEN_ELFNOTE_FEATURES = 10;
export const XEN_ELFNOTE_SUPPORTED_FEATURES = 17;
export const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** A program header. */
export interface ElfSegment {
  readonly type: number;
  readonly offset: number;
  readonly paddr: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

/** A note of a PT_NOTE segment. */
export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly desc: Uint8Array;
}

/** A parsed executable. */
export interface ElfFile {
  readonly file: NamedFile;
  readonly bits: 32 | 64;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly ElfNote[];
}

/** True when `bytes` starts like an ELF file. */
export function isElf(bytes: Uint8Array): boolean {
  return ELF_MAGIC.every((byte, i) => bytes[i] === byte);
}

/** Parses headers and notes; every segment lies inside the file. */
export function parseElf(file: NamedFile): ElfFile {
  const { bytes } = file;
  if (!isElf(bytes)) throw badKernel(file, "it is not an ELF file");
  const truncated = () => badKernel(file, "it is a truncated ELF file");
  if (bytes.length < 52) throw truncated();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elfClass = view.getUint8(4);
  if ((elfClass !== ELFCLASS32 && elfClass !== ELFCLASS64) || view.getUint8(5) !== ELFDATA2LSB) {
    throw badKernel(file, "it is not a little-endian ELF file of 32 or 64 bits");
  }
  const wide = elfClass === ELFCLASS64;
  if (wide && bytes.length < 64) throw truncated();
  const machine = view.getUint16(18, true);
  if (machine !== EM_386 && machine !== EM_X86_64) {
    throw badKernel(file, `it is an ELF file for another machine (e_machine ${machine})`);
  }
  const word = (at: number) => wide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true);
  const entry = wide ? view.getBigUint64(24, true) : BigInt(view.getUint32(24, true));
  const phoff = word(wide ? 32 : 28);
  const phentsize = view.getUint16(wide ? 54 : 42, true);
  const phnum = view.getUint16(wide ? 56 : 44, true);
  if (phnum > 0 && phentsize < (wide ? 56 : 32)) throw badKernel(file, "its program headers are malformed");
  if (phoff + phnum * phentsize > bytes.length) throw truncated();
  const segments: ElfSegment[] = [];
  const notes: ElfNote[] = [];
  for (let i = 0; i < phnum; i++) {
    const at = phoff + i * phentsize;
    const segment: ElfSegment = {
      type: view.getUint32(at, true),
      offset: word(at + (wide ? 8 : 4)),
      paddr: word(at + (wide ? 24 : 12)),
      fileBytes: word(at + (wide ? 32 : 16)),
      memoryBytes: word(at + (wide ? 40 : 20)),
    };
    segments.push(segment);
    if (segment.type !== PT_LOAD && segment.type !== PT_NOTE) continue;
    if (segment.offset + segment.fileBytes > bytes.length) throw truncated();
    if (segment.type === PT_LOAD && segment.memoryBytes < segment.fileBytes) {
      throw badKernel(file, "one of its segments is bigger in the file than in memory");
    }
    if (segment.type === PT_NOTE) {
      const align = word(at + (wide ? 48 : 28)) === 8 ? 8 : 4;
      readNotes(bytes.subarray(segment.offset, segment.offset + segment.fileBytes), align, notes);
    }
  }
  return { file, bits: wide ? 64 : 32, entry, segments, notes };
}

function readNotes(bytes: Uint8Array, align: number, into: ElfNote[]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const round = (n: number) => Math.ceil(n / align) * align;
  for (let at = 0; at + 12 <= bytes.length;) {
    const nameBytes = view.getUint32(at, true);
    const descBytes = view.getUint32(at + 4, true);
    const desc = round(at + 12 + nameBytes);
    if (desc + descBytes > bytes.length) return;
    const name = latin1(bytes.subarray(at + 12, at + 12 + nameBytes));
    into.push({ name, type: view.getUint32(at + 8, true), desc: bytes.subarray(desc, desc + descBytes) });
    at = round(desc + descBytes);
  }
}

/** Text up to the first NUL. */
function latin1(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder("latin1").decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Value of the Xen note `type` as a number of 1 to 8 bytes; undefined when there is none. */
export function xenNoteNumber(elf: ElfFile, type: number): bigint | undefined {
  const note = elf.notes.find((n) => n.name === "Xen" && n.type === type);
  if (note === undefined || note.desc.length === 0 || note.desc.length > 8) return undefined;
  return note.desc.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Value of the Xen note `type` as text; undefined when there is none. */
export function xenNoteString(elf: ElfFile, type: number): string | undefined {
  const note = elf.notes.find((n) => n.name === "Xen" && n.type === type);
  return note && latin1(note.desc);
}

/** Claims and writes every PT_LOAD at its physical address. */
export function loadElfSegments(plan: BootPlan, elf: ElfFile): void {
  const loads = elf.segments.filter((s) => s.type === PT_LOAD && s.memoryBytes > 0);
  if (loads.length === 0) throw badKernel(elf.file, "it has nothing to load");
  for (const { paddr, memoryBytes, offset, fileBytes } of loads) {
    plan.take(paddr, memoryBytes, `kernel "${elf.file.name}"`);
    plan.write(paddr, elf.file.bytes.subarray(offset, offset + fileBytes), memoryBytes);
  }
}

/** Fails unless physical address `entry` lies in a loaded segment. */
export function checkEntry(elf: ElfFile, entry: number): number {
  const inside = elf.segments.some((s) =>
    s.type === PT_LOAD && entry >= s.paddr && entry < s.paddr + s.memoryBytes
  );
  if (!inside) throw badKernel(elf.file, `its entry point ${hex(entry)} is in none of its segments`);
  return entry;
}
