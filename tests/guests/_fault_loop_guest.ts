// SPDX-License-Identifier: MIT
/**
 * A guest that faults for ever: the page-fault gate leads, on a stack of its own (IST), to a handler that is not mapped.
 * Prints "f" on port 0xe9 first.
 * @module
 */
import { Assembler, EAX, ESP } from "./_assembler.ts";
import { enterLongMode } from "./_long_mode.ts";
import { pvhImage } from "./_pvh_image.ts";

const BASE = 0x10_0000,
  PML4 = 0x11_0000,
  TSS = 0x11_3000,
  IDT = 0x11_4000,
  STACK = 0x11_6000,
  END = 0x11_7000;
const CODE = 8, TSS_SELECTOR = 24;
/** Neither is mapped: only the first 2 MiB are. */
const NOWHERE = 0x3000_0000, HANDLER = 0x4000_0000;
const PAGE_FAULT = 14;

/** See the module's description. */
export function faultLoopGuest(): Uint8Array<ArrayBuffer> {
  const a = new Assembler(BASE);
  a.mov(ESP, STACK);
  a.storeValue(PML4, PML4 + 0x1000 + 7);
  a.storeValue(PML4 + 0x1000, PML4 + 0x2000 + 7);
  a.storeValue(PML4 + 0x2000, 0x87);
  a.storeValue(TSS + 0x24, STACK); // IST1
  a.storeValue(IDT + PAGE_FAULT * 16, CODE << 16);
  a.storeValue(IDT + PAGE_FAULT * 16 + 4, HANDLER | 0x8e01);
  enterLongMode(a, { pml4: PML4, gdtr: "gdtr", code: CODE });
  a.mov(EAX, TSS_SELECTOR);
  a.ltrAx();
  a.lidt("idtr");
  a.db(0xb0, 0x66, 0xe6, 0xe9); // mov al,'f'; out 0xe9,al
  a.mov(EAX, NOWHERE);
  a.db(0x89, 0x00); // mov [rax],eax
  a.hlt();
  a.align(8);
  a.label("gdt");
  a.dd(0, 0, 0x0000_ffff, 0x00af_9b00, 0x0000_ffff, 0x00cf_9300);
  a.dd(((TSS & 0xffff) << 16) | 0x67, 0x8900 | (TSS >> 16), 0, 0);
  a.label("gdtr");
  a.db(39, 0);
  a.dd("gdt", 0);
  a.label("idtr");
  a.db(0xff, 0x0f);
  a.dd(IDT, 0);
  return pvhImage(a.assemble(), { bits: 64, base: BASE, memoryBytes: END - BASE });
}
