// SPDX-License-Identifier: MIT
/**
 * What stands in place of a BIOS for systems that ask it from real mode before they look at what their loader told
 * them (Xen's trampoline, old boot loaders): the interrupt vectors at 0, handlers that say "not supported" by CF=1 and
 * AH=86H, the two that tell of equipment and memory, letters by INT 10H AH=0EH that go to the first serial port, hardware interrupts that are acknowledged, and at the reset vector
 * of real mode a reset. Rules: IBM PS/2 BIOS Interface Technical Reference; F000:FF53 is where its dummy handler is.
 * Not done: everything else. A whole BIOS is a file of its own.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";

const SEGMENT = 0xf000;
const DUMMY = 0xff53; // IRET
const NOT_SUPPORTED = 0xff60;
const WORD_OF_BIOS_DATA = 0xff70; // two of them, 16 bytes apart
const TELETYPE = 0xff40;
const MASTER_INTERRUPT = 0xff90, SLAVE_INTERRUPT = 0xffa0;
const RESET = 0xfff0, MODEL = 0xfffe;
const MODEL_AT = 0xfc;
const EQUIPMENT = 0x410, MEMORY_KIB = 0x413;

const PUSH_AX = 0x50, POP_AX = 0x58, IRET = 0xcf;
const out = (port: number) => [0xe6, port];
const EOI = 0x20;
const movAl = (value: number) => [0xb0, value];

/** Where vectors lead: the first and last of them, and the offset in F000. */
const VECTORS: readonly (readonly [first: number, last: number, offset: number])[] = [
  [0x00, 0xff, DUMMY],
  [0x08, 0x0f, MASTER_INTERRUPT],
  [0x10, 0x1f, NOT_SUPPORTED],
  [0x10, 0x10, TELETYPE],
  [0x11, 0x11, WORD_OF_BIOS_DATA],
  [0x12, 0x12, WORD_OF_BIOS_DATA + 16],
  [0x70, 0x77, SLAVE_INTERRUPT],
];

/** Ports of the PC that it runs on; all but COM1 are below 100H. */
export interface BiosPorts {
  readonly picMaster: number;
  readonly picSlave: number;
  readonly i8042Command: number;
  readonly com1: number;
}

/** Puts vectors and handlers into RAM. */
export function writeBiosServices(memory: GuestMemory, ports: BiosPorts): void {
  const put = (offset: number, code: readonly number[]) =>
    assert(memory.write(SEGMENT * 16 + offset, Uint8Array.from(code)), "below 1 MiB is RAM");
  const vectors = new Uint16Array(512);
  for (const [first, last, offset] of VECTORS) {
    for (let n = first; n <= last; n++) vectors.set([offset, SEGMENT], n * 2);
  }
  assert(memory.write(0, new Uint8Array(vectors.buffer)), "RAM starts at 0");
  put(DUMMY, [IRET]);
  // cmp ah,0eh; jne NOT_SUPPORTED; push dx; mov dx,com1; out dx,al; pop dx
  const elsewhere = NOT_SUPPORTED - (TELETYPE + 5);
  const { com1 } = ports;
  put(TELETYPE, [0x80, 0xfc, 0x0e, 0x75, elsewhere, 0x52, 0xba, com1 & 0xff, com1 >> 8, 0xee, 0x5a, IRET]);
  // push bp; mov bp,sp; or byte [bp+6],1; pop bp; mov ah,86h
  put(NOT_SUPPORTED, [0x55, 0x89, 0xe5, 0x80, 0x4e, 6, 1, 0x5d, 0xb4, 0x86, IRET]);
  // push ds; xor ax,ax; mov ds,ax; mov ax,[word]; pop ds
  [EQUIPMENT, MEMORY_KIB].forEach((at, i) =>
    put(WORD_OF_BIOS_DATA + 16 * i, [0x1e, 0x31, 0xc0, 0x8e, 0xd8, 0xa1, at & 0xff, at >> 8, 0x1f, IRET])
  );
  const master = [...movAl(EOI), ...out(ports.picMaster)];
  put(MASTER_INTERRUPT, [PUSH_AX, ...master, POP_AX, IRET]);
  put(SLAVE_INTERRUPT, [PUSH_AX, ...movAl(EOI), ...out(ports.picSlave), ...master, POP_AX, IRET]);
  // the reset line, by the keyboard controller; cli; hlt
  put(RESET, [...movAl(0xfe), ...out(ports.i8042Command), 0xfa, 0xf4]);
  put(MODEL, [MODEL_AT]);
}
