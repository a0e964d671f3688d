// SPDX-License-Identifier: MIT
/** ELF files of a few bytes that boot by PVH: guests for tests of what is around the guest. @module */

const LOAD_AT = 0x10_0000;
const CODE_AT = 0x100;
const NOTE_AT = 0x200;
const PT_LOAD = 1;
const PT_NOTE = 4;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** An executable that runs `code` (up to 256 bytes) in 32-bit protected mode without paging. */
export function tinyGuest(code: readonly number[]): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(NOTE_AT + 20);
  const view = new DataView(file.buffer);
  const words = (at: number, ...values: number[]) =>
    values.forEach((value, i) => view.setUint32(at + 4 * i, value, true));
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]); // ELFCLASS32, ELFDATA2LSB, EV_CURRENT
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 3, true); // EM_386
  words(20, 1, LOAD_AT, 52); // version, entry, phoff
  view.setUint16(40, 52, true); // ehsize
  view.setUint16(42, 32, true); // phentsize
  view.setUint16(44, 2, true); // phnum
  words(52, PT_LOAD, CODE_AT, LOAD_AT, LOAD_AT, code.length, code.length, 5, 0x1000);
  words(84, PT_NOTE, NOTE_AT, 0, 0, 20, 20, 4, 4);
  file.set(code, CODE_AT);
  words(NOTE_AT, 4, 4, XEN_ELFNOTE_PHYS32_ENTRY);
  file.set(new TextEncoder().encode("Xen\0"), NOTE_AT + 12);
  words(NOTE_AT + 16, LOAD_AT);
  return file;
}

/** `mov al,c; out 0xe9,al` for each character: the debug console. */
export function debugPrint(text: string): number[] {
  return Array.from(new TextEncoder().encode(text)).flatMap((byte) => [0xb0, byte, 0xe6, 0xe9]);
}

/** ud2 without an IDT: a triple fault. */
export const TRIPLE_FAULT: readonly number[] = [0x0f, 0x0b];
/** jmp $ */
export const SPIN: readonly number[] = [0xeb, 0xfe];
/** Prints "y" on the first serial port without end: mov dx,0x3f8; mov al,'y'; out dx,al; jmp back to out. */
export const YES_ON_SERIAL: readonly number[] = [0x66, 0xba, 0xf8, 0x03, 0xb0, 0x79, 0xee, 0xeb, 0xfd];
/** Copies from the first serial port to the debug console: waits for LSR.DR, reads RBR, prints, starts again. */
export const SERIAL_TO_DEBUG: readonly number[] = [
  ...[0x66, 0xba, 0xfd, 0x03], // mov dx,0x3fd
  ...[0xec, 0xa8, 0x01, 0x74, 0xfb], // in al,dx; test al,1; jz back to in
  ...[0xb2, 0xf8, 0xec, 0xe6, 0xe9], // mov dl,0xf8; in al,dx; out 0xe9,al
  ...[0xeb, 0xf0], // jmp to the start
];
