// SPDX-License-Identifier: MIT
// A machine in real mode: vectors at 0, segments of 64 KiB, and limits that outlive protected mode ("unreal" mode).
// Rules: SDM Vol. 3A §20.1, §9.9 (switching modes).
import { assertEquals } from "@std/assert";
import { realModeMachine, serialOf, SLEEPLESS } from "./_real_mode.ts";

const POWER_OFF = [0xba, 0x04, 0xb0, 0xb8, 0x00, 0x20, 0xef]; // mov dx,0b004h; mov ax,2000h; out dx,ax
const SEGMENT = 0x7c0;
const TO_SERIAL = [0xba, 0xf8, 3, 0xee]; // mov dx,3f8h; out dx,al
const print = (c: string) => [0xb0, c.charCodeAt(0), ...TO_SERIAL];

const output = (image: readonly number[], engine: "interp" | "jit") =>
  serialOf((serial) =>
    realModeMachine(Uint8Array.from(image), SEGMENT, { engine, clock: SLEEPLESS, serial })
  );
/** `image` padded up to `at`, then `more`. */
const place = (image: readonly number[], at: number, more: readonly number[]) => [
  ...image,
  ...new Array(at - image.length).fill(0x90),
  ...more,
];

for (const engine of ["interp", "jit"] as const) {
  Deno.test(`real mode: INT by the vector table at 0, and back, ${engine}`, async () => {
    const code = [
      ...[0x31, 0xc0, 0x8e, 0xc0], // xor ax,ax; mov es,ax
      ...[0x26, 0xc7, 0x06, 0x80, 0, 0x80, 0], // mov word es:[20h*4],80h
      ...[0x26, 0x8c, 0x0e, 0x82, 0], // mov es:[20h*4+2],cs
      ...[0xcd, 0x20],
      ...print("b"),
      ...POWER_OFF,
    ];
    assertEquals(await output(place(code, 0x80, [...print("a"), 0xcf]), engine), "ab poweroff");
  });

  Deno.test(`real mode: beyond 64 KiB is #GP, until protected mode has set a larger limit, ${engine}`, async () => {
    const code = [
      ...[0x31, 0xc0, 0x8e, 0xc0], // xor ax,ax; mov es,ax
      ...[0x26, 0xc7, 0x06, 0x34, 0, 0xe0, 0], // vector 13: 0e0h
      ...[0x26, 0x8c, 0x0e, 0x36, 0],
      ...[0x66, 0xbb, 0, 0, 0x20, 0], // mov ebx,200000h
      ...[0x67, 0x26, 0x8a, 0x03], // mov al,es:[ebx]: #GP, whose handler skips its four bytes
      ...[0xfa, 0x0f, 0x01, 0x16, 0xd0, 0], // cli; lgdt [0d0h]
      ...[0x0f, 0x20, 0xc0, 0x0c, 1, 0x0f, 0x22, 0xc0], // mov eax,cr0; or al,1; mov cr0,eax
      ...[0xb9, 8, 0, 0x8e, 0xc1], // mov cx,8; mov es,cx
      ...[0x24, 0xfe, 0x0f, 0x22, 0xc0], // and al,0feh; mov cr0,eax
      ...[0x31, 0xc9, 0x8e, 0xc1], // xor cx,cx; mov es,cx
      ...[0x67, 0x26, 0xc6, 0x03, 0x75], // mov byte es:[ebx],'u'
      ...[0x67, 0x26, 0x8a, 0x03, ...TO_SERIAL], // mov al,es:[ebx]
      ...POWER_OFF,
    ];
    const gdt = [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0]; // at 0c0h
    const pointer = [15, 0, 0xc0, 0x7c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]; // at 0d0h: the GDT lies at 7cc0h
    // push bp; mov bp,sp; add word [bp+2],4; pop bp; iret
    const handler = [...print("g"), 0x55, 0x89, 0xe5, 0x83, 0x46, 2, 4, 0x5d, 0xcf];
    assertEquals(await output(place(code, 0xc0, [...gdt, ...pointer, ...handler]), engine), "gu poweroff");
  });
}
