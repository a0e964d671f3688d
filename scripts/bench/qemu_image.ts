// SPDX-License-Identifier: MIT
/**
 * A kernel for QEMU that runs the bench's programs: starts by PVH, enters 64-bit mode with the first 16 MiB mapped by
 * 2 MiB pages, and writes to the debug port 0xE9, for each run, "S", "E" and eight bytes each: the result, and how far the
 * TSC went meanwhile.
 * @module
 */
import { Assembler, EAX, EBX, ECX, EDI, ESI, ESP } from "../../tests/guests/_assembler.ts";
import { enterLongMode } from "../../tests/guests/_long_mode.ts";
import { pvhImage } from "../../tests/guests/_pvh_image.ts";
import { MEMORY_BYTES, type Program } from "./programs.ts";

/** What a run writes. */
export const START = 0x53, END = 0x45, RUN_BYTES = 18;

const BASE = 0x10_0000, STACK = 0x20_0000, MEMORY_AT = 0x40_0000, TOP = MEMORY_AT + MEMORY_BYTES;
const PML4 = 0x20_0000, PDPT = 0x20_1000, PD = 0x20_2000;
const PRESENT_WRITABLE = 3, LARGE = 0x80, LARGE_BYTES = 0x20_0000;
const CODE = 0x08;
const CR4_OSFXSR = 1 << 9;

/** The ELF file: every program `times` times, one after the other. */
export function qemuImage(programs: readonly Program[], times: number): Uint8Array<ArrayBuffer> {
  const a = new Assembler(BASE);
  a.mov(ESP, STACK);
  a.storeValue(PML4, PDPT | PRESENT_WRITABLE);
  a.storeValue(PDPT, PD | PRESENT_WRITABLE);
  for (let i = 0; i * LARGE_BYTES < TOP; i++) {
    a.storeValue(PD + i * 8, (i * LARGE_BYTES) | LARGE | PRESENT_WRITABLE);
  }
  a.readCr(4);
  a.aluValue("or", EAX, CR4_OSFXSR);
  a.writeCr(4);
  enterLongMode(a, { pml4: PML4, gdtr: "gdtr", code: CODE });
  for (const { name, amount } of programs) {
    a.mov(EBX, times);
    a.label(`again ${name}`);
    write(a, START);
    readTsc(a);
    a.db(0x49, 0x89, 0xd3); // mov r11, rdx
    a.mov(EDI, MEMORY_AT);
    a.mov(ESI, amount);
    a.call(name);
    a.db(0x49, 0x89, 0xc0); // mov r8, rax
    readTsc(a);
    a.db(0x4c, 0x29, 0xda, 0x49, 0x87, 0xd0); // sub rdx, r11; xchg rdx, r8
    write(a, END);
    writeRdx(a);
    a.db(0x4c, 0x89, 0xc2); // mov rdx, r8
    writeRdx(a);
    a.aluValue("sub", EBX, 1);
    a.j("ne", `again ${name}`);
  }
  a.label("end");
  a.hlt();
  a.jmp("end");
  for (const { name, code } of programs) {
    a.align(64);
    a.label(name);
    a.db(...code);
  }
  a.align(8);
  a.label("gdt");
  a.dd(0, 0, 0xffff, 0x00af_9b00);
  a.align(4);
  a.db(0, 0);
  a.label("gdtr");
  a.db(15, 0);
  a.dd("gdt", 0);
  return pvhImage(a.assemble(), { bits: 64, base: BASE, memoryBytes: TOP - BASE });
}

/** RDX = TSC, after all that is before it. */
function readTsc(a: Assembler): void {
  a.db(0x0f, 0xae, 0xe8, 0x0f, 0x31); // lfence; rdtsc
  a.db(0x48, 0xc1, 0xe2, 32, 0x48, 0x09, 0xc2); // shl rdx, 32; or rdx, rax
}

function writeRdx(a: Assembler): void {
  a.mov(ECX, 8);
  a.db(0x88, 0xd0); // mov al, dl
  a.db(0xe6, 0xe9); // out 0xe9, al
  a.db(0x48, 0xc1, 0xea, 8); // shr rdx, 8
  a.db(0xff, 0xc9, 0x75, 0xf4); // dec ecx; jnz to mov al, dl
}

function write(a: Assembler, byte: number): void {
  a.db(0xb0, byte, 0xe6, 0xe9); // mov al, byte; out 0xe9, al
}
