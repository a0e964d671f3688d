// SPDX-License-Identifier: MIT
/** Which shared libraries a program asks for: DT_NEEDED of 64-bit ELF files (System V ABI, chapter 5). @module */

const MAGIC = 0x7f45_4c46;
const HEADER_BYTES = 64;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;

/** Names like "libc.so.6", in the file's order; none for what is no ELF file or is linked statically. */
export function neededLibraries(file: Uint8Array): string[] {
  if (file.length < HEADER_BYTES) return [];
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint32(0) !== MAGIC || file[4] !== 2 || file[5] !== 1) return [];
  const loads: { readonly address: number; readonly offset: number; readonly size: number }[] = [];
  let dynamic: { readonly offset: number; readonly size: number } | undefined;
  const table = Number(view.getBigUint64(32, true));
  const entryBytes = view.getUint16(54, true), count = view.getUint16(56, true);
  for (let i = 0, at = table; i < count && at + 56 <= file.length; i++, at += entryBytes) {
    const type = view.getUint32(at, true);
    const offset = Number(view.getBigUint64(at + 8, true));
    const address = Number(view.getBigUint64(at + 16, true));
    const size = Number(view.getBigUint64(at + 32, true));
    if (type === PT_LOAD) loads.push({ address, offset, size });
    if (type === PT_DYNAMIC) dynamic = { offset, size };
  }
  if (dynamic === undefined) return [];
  const names: number[] = [];
  let strings = 0;
  const end = Math.min(file.length, dynamic.offset + dynamic.size);
  for (let at = dynamic.offset; at + 16 <= end; at += 16) {
    const tag = Number(view.getBigInt64(at, true)), value = Number(view.getBigUint64(at + 8, true));
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
