// SPDX-License-Identifier: MIT
/**
 * ELF executables for x86, 32 and 64 bits: program headers and notes. Rules: System V ABI (gABI) chapters 4 and
 * 5; Xen public/elfnote.h. Not done: sections (but for notes that only they have), symbols, dynamic linking.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { hex } from "../../cpu/base/bits.ts";
import type { BootPlan } from "./memory_map.ts";
import { badKernel, type NamedFile } from "./named_file.ts";

const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46] as const;
const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ET_REL = 1;
const ET_CORE = 4;
const EM_386 = 3;
const EM_X86_64 = 62;
/** Other machines that kernels are for. */
const MACHINES: ReadonlyMap<number, string> = new Map([
  [2, "SPARC"],
  [8, "MIPS"],
  [20, "PowerPC"],
  [21, "64-bit PowerPC"],
  [22, "S/390"],
  [40, "ARM"],
  [43, "64-bit SPARC"],
  [50, "IA-64"],
  [183, "64-bit ARM"],
  [243, "RISC-V"],
  [258, "LoongArch"],
]);
export const PT_LOAD = 1;
export const PT_NOTE = 4;
/** Flag of a segment: it has code. */
export const PF_X = 1;
const SHT_NOTE = 7;
/** Most program headers and section headers, and notes: more than any kernel has, and few enough to look at. */
const MAX_HEADERS = 1024;
const MAX_NOTES = 4096;
const MAX_NAME_BYTES = 64;

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
  /** PF_*. */
  readonly flags: number;
  readonly offset: number;
  readonly paddr: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

/** A note of a PT_NOTE segment, or of an SHT_NOTE section. */
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
  /** True when notes end in the middle, or claim to be longer than what they are in. */
  readonly notesBroken: boolean;
}

/** True when `bytes` starts like an ELF file. */
export function isElf(bytes: Uint8Array): boolean {
  return ELF_MAGIC.every((byte, i) => bytes[i] === byte);
}

/** A table of headers: where its entries start in the file. */
interface HeaderTable {
  readonly offset: number;
  readonly entryBytes: number;
  readonly count: number;
}

/** What has notes in it. */
interface NoteRange {
  readonly offset: number;
  readonly bytes: number;
  readonly align: number;
}

/** What the headers say. */
interface Headers extends Pick<ElfFile, "bits" | "entry" | "segments"> {
  readonly noteRanges: readonly NoteRange[];
  readonly sections: HeaderTable;
  /** The number at `at` that is as wide as an address. */
  word(at: number): number;
}

/** Parses the headers of `file`, of which `fileBytes` exist; every segment lies inside of those. */
function parseHeaders(file: NamedFile, fileBytes: number): Headers {
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
    const name = MACHINES.get(machine) ?? "another machine";
    throw badKernel(file, `it is an ELF file for ${name} (e_machine ${machine}), not for x86`);
  }
  const type = view.getUint16(16, true);
  if (type === ET_REL) throw badKernel(file, "it is an object file (ET_REL): link it to an executable first");
  if (type === ET_CORE) throw badKernel(file, "it is a core dump (ET_CORE), not an executable");
  const word = (at: number) => wide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true);
  const half = (at: number) => view.getUint16(at, true);
  const programs = wide
    ? { offset: word(32), entryBytes: half(54), count: half(56) }
    : { offset: word(28), entryBytes: half(42), count: half(44) };
  const sections = wide
    ? { offset: word(40), entryBytes: half(58), count: half(60) }
    : { offset: word(32), entryBytes: half(46), count: half(48) };
  if (programs.count === 0) {
    throw badKernel(file, "it has no program headers: link it to an executable first");
  }
  if (programs.count > MAX_HEADERS) {
    throw badKernel(file, `it has ${programs.count} program headers, more than ${MAX_HEADERS}`);
  }
  if (programs.entryBytes < (wide ? 56 : 32)) throw badKernel(file, "its program headers are malformed");
  if (!fitsIn(bytes, programs)) throw truncated();
  const segments: ElfSegment[] = [];
  const noteRanges: NoteRange[] = [];
  for (const at of entriesOf(programs)) {
    const segment: ElfSegment = {
      type: view.getUint32(at, true),
      flags: view.getUint32(at + (wide ? 4 : 24), true),
      offset: word(at + (wide ? 8 : 4)),
      paddr: word(at + (wide ? 24 : 12)),
      fileBytes: word(at + (wide ? 32 : 16)),
      memoryBytes: word(at + (wide ? 40 : 20)),
    };
    segments.push(segment);
    if (segment.type !== PT_LOAD && segment.type !== PT_NOTE) continue;
    if (segment.offset + segment.fileBytes > fileBytes) throw truncated();
    if (segment.type === PT_LOAD && segment.memoryBytes < segment.fileBytes) {
      throw badKernel(file, "one of its segments is bigger in the file than in memory");
    }
    if (segment.type === PT_NOTE) {
      noteRanges.push({ ...segment, bytes: segment.fileBytes, align: word(at + (wide ? 48 : 28)) });
    }
  }
  const entry = wide ? view.getBigUint64(24, true) : BigInt(view.getUint32(24, true));
  return { bits: wide ? 64 : 32, entry, segments, noteRanges, sections, word };
}

/** The segments of a file of `fileBytes` bytes that begins with `head`; undefined: it is no ELF file, or its headers are elsewhere. */
export function segmentsOf(head: Uint8Array, fileBytes: number): readonly ElfSegment[] | undefined {
  try {
    return parseHeaders({ name: "", bytes: head }, fileBytes).segments;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/** Parses headers and notes; every segment lies inside the file. */
export function parseElf(file: NamedFile): ElfFile {
  const { bytes } = file;
  const { noteRanges, sections, word, ...headers } = parseHeaders(file, bytes.length);
  const wide = headers.bits === 64;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let found = readNotes(bytes, wide, noteRanges);
  // Xen's own loader looks at sections when segments have no note for it
  if (!found.notes.some(isXen) && fitsIn(bytes, sections) && sections.entryBytes >= (wide ? 64 : 40)) {
    const ranges: NoteRange[] = [];
    for (const at of entriesOf({ ...sections, count: Math.min(sections.count, MAX_HEADERS) })) {
      if (view.getUint32(at + 4, true) !== SHT_NOTE) continue;
      const range = {
        offset: word(at + (wide ? 24 : 16)),
        bytes: word(at + (wide ? 32 : 20)),
        align: word(at + (wide ? 48 : 32)),
      };
      if (range.offset + range.bytes <= bytes.length) ranges.push(range);
    }
    const more = readNotes(bytes, wide, ranges);
    if (more.notes.some(isXen)) found = more;
  }
  return { file, ...headers, notes: found.notes, notesBroken: found.broken };
}

function fitsIn(bytes: Uint8Array, { offset, entryBytes, count }: HeaderTable): boolean {
  return offset + count * entryBytes <= bytes.length;
}

function entriesOf({ offset, entryBytes, count }: HeaderTable): number[] {
  return Array.from({ length: count }, (_, i) => offset + i * entryBytes);
}

const isXen = (note: ElfNote) => note.name === "Xen";

/**
 * Reads the notes of `ranges`. Files of 32 bits pad names and descriptors to 4 bytes. Those of 64 bits should pad to
 * 8, and say so by their alignment; but most tools pad to 4 there too, also where the alignment is 8 because a linker
 * put notes of both kinds together: what makes sense to the end wins, and then what has notes of Xen's.
 */
function readNotes(
  bytes: Uint8Array,
  wide: boolean,
  ranges: readonly NoteRange[],
): { readonly notes: ElfNote[]; readonly broken: boolean } {
  const notes: ElfNote[] = [];
  let broken = false;
  for (const range of ranges) {
    const part = bytes.subarray(range.offset, range.offset + range.bytes);
    const readings = (wide && range.align === 8 ? [8, 4] as const : [4] as const).map((pad) =>
      readPadded(part, pad)
    );
    const score = ({ notes, broken }: typeof readings[number]) =>
      (broken ? 0 : 2) + (notes.some(isXen) ? 1 : 0);
    const best = readings.reduce((a, b) => score(b) > score(a) ? b : a);
    broken ||= best.broken;
    for (const note of best.notes.slice(0, MAX_NOTES - notes.length)) notes.push(note);
  }
  return { notes, broken };
}

/** Reads notes whose parts are padded to `pad` bytes; stops where one does not fit. */
function readPadded(bytes: Uint8Array, pad: 4 | 8): { readonly notes: ElfNote[]; readonly broken: boolean } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const round = (n: number) => Math.ceil(n / pad) * pad;
  const notes: ElfNote[] = [];
  let at = 0;
  while (at + 12 <= bytes.length) {
    if (notes.length === MAX_NOTES) return { notes, broken: true };
    const nameBytes = view.getUint32(at, true);
    const descBytes = view.getUint32(at + 4, true);
    const desc = round(at + 12 + nameBytes);
    if (desc + descBytes > bytes.length) return { notes, broken: true };
    const name = latin1(bytes.subarray(at + 12, at + 12 + Math.min(nameBytes, MAX_NAME_BYTES)));
    notes.push({ name, type: view.getUint32(at + 8, true), desc: bytes.subarray(desc, desc + descBytes) });
    at = round(desc + descBytes);
  }
  return { notes, broken: bytes.subarray(at).some((byte) => byte !== 0) };
}

/** Text up to the first NUL. */
function latin1(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder("latin1").decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/**
 * Value of the Xen note `type`, a number of 1, 2, 4 or 8 bytes; undefined when there is none. Of several the last one
 * counts, as in Xen.
 */
export function xenNoteNumber(elf: ElfFile, type: number): bigint | undefined {
  const note = elf.notes.findLast((n) => isXen(n) && n.type === type);
  if (note === undefined) return undefined;
  if (![1, 2, 4, 8].includes(note.desc.length)) {
    throw badKernel(elf.file, `its Xen note ${type} has ${note.desc.length} bytes: it takes 4 or 8`);
  }
  return note.desc.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Value of the Xen note `type` as text; undefined when there is none. */
export function xenNoteString(elf: ElfFile, type: number): string | undefined {
  const note = elf.notes.findLast((n) => isXen(n) && n.type === type);
  return note && latin1(note.desc);
}

/** Claims and writes every PT_LOAD at its physical address. A file that was unpacked in RAM is no more then. */
export function loadElfSegments(plan: BootPlan, elf: ElfFile): void {
  const loads = elf.segments.filter((s) => s.type === PT_LOAD && s.memoryBytes > 0);
  if (loads.length === 0) throw badKernel(elf.file, "it has nothing to load");
  for (const [i, { paddr, memoryBytes }] of loads.entries()) {
    plan.take(paddr, memoryBytes, `segment ${i + 1} of kernel "${elf.file.name}"`);
  }
  const { bytes, inRam } = elf.file;
  for (const { paddr, memoryBytes, offset, fileBytes } of loads) {
    if (inRam === undefined) plan.write(paddr, bytes.subarray(offset, offset + fileBytes), memoryBytes);
    else plan.move(inRam + offset, paddr, fileBytes, memoryBytes);
  }
  if (inRam !== undefined) plan.clearAround(inRam, inRam + bytes.length);
}

/** Fails unless physical address `entry` lies in a loaded segment; returns it as a number. */
export function checkEntry(elf: ElfFile, entry: bigint): number {
  const address = Number(entry);
  const inside = elf.segments.some((s) =>
    s.type === PT_LOAD && address >= s.paddr && address < s.paddr + s.memoryBytes
  );
  if (!inside) throw badKernel(elf.file, `its entry point ${hex(entry)} is in none of its segments`);
  return address;
}
