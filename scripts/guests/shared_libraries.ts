// SPDX-License-Identifier: MIT
/** Which shared libraries a program asks for: DT_NEEDED of little-endian ELF files (System V ABI, chapter 5). @module */

const MAGIC = 0x7f45_4c46;
const LITTLE_ENDIAN = 1;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;

/** Where fields are, by ELF class: of the header, of a program header, and how long an address is. */
const CLASSES: Readonly<
  Record<number, {
    readonly header: number;
    readonly phoff: number;
    readonly phentsize: number;
    readonly p: { readonly offset: number; readonly address: number; readonly size: number };
    readonly word: number;
  }>
> = {
  1: { header: 52, phoff: 28, phentsize: 42, p: { offset: 4, address: 8, size: 16 }, word: 4 },
  2: { header: 64, phoff: 32, phentsize: 54, p: { offset: 8, address: 16, size: 32 }, word: 8 },
};

/** Names like "libc.so.6", in the file's order; none for what is no ELF file or is linked statically. */
export function neededLibraries(file: Uint8Array): string[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const layout = CLASSES[file[4] ?? 0];
  if (layout === undefined || file.length < layout.header) return [];
  if (view.getUint32(0) !== MAGIC || file[5] !== LITTLE_ENDIAN) return [];
  const { phoff, phentsize, p, word } = layout;
  const read = (at: number) => word === 8 ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true);
  const entryBytes = view.getUint16(phentsize, true), count = view.getUint16(phentsize + 2, true);
  const loads: { readonly address: number; readonly offset: number; readonly size: number }[] = [];
  let dynamic: { readonly offset: number; readonly size: number } | undefined;
  for (let i = 0, at = read(phoff); i < count && at + entryBytes <= file.length; i++, at += entryBytes) {
    const type = view.getUint32(at, true);
    const segment = { offset: read(at + p.offset), address: read(at + p.address), size: read(at + p.size) };
    if (type === PT_LOAD) loads.push(segment);
    if (type === PT_DYNAMIC) dynamic = segment;
  }
  if (dynamic === undefined) return [];
  const names: number[] = [];
  let strings = 0;
  const end = Math.min(file.length, dynamic.offset + dynamic.size);
  for (let at = dynamic.offset; at + 2 * word <= end; at += 2 * word) {
    const tag = read(at), value = read(at + word);
    if (tag === DT_NULL) break;
    if (tag === DT_NEEDED) names.push(value);
    if (tag === DT_STRTAB) strings = value;
  }
  const load = loads.find(({ address, size }) => address <= strings && strings < address + size);
  if (load === undefined) return [];
  const decoder = new TextDecoder();
  return names.map((name) => {
    const from = strings - load.address + load.offset + name;
    return decoder.decode(file.subarray(from, file.indexOf(0, from)));
  });
}
