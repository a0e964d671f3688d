// SPDX-License-Identifier: MIT
// What a system in real mode finds behind the interrupt vectors: IBM PS/2 BIOS Interface Technical Reference.
import { assertEquals } from "@std/assert";
import { realModeMachine } from "../machine/_real_mode.ts";

const POWER_OFF = [0xba, 0x04, 0xb0, 0xb8, 0x00, 0x20, 0xef]; // mov dx,0b004h; mov ax,2000h; out dx,ax
const SEGMENT = 0x1000;

async function run(engine: "interp" | "jit", code: readonly number[]) {
  let text = "";
  const machine = await realModeMachine(Uint8Array.from(code), SEGMENT, {
    engine,
    icount: true,
    noReboot: true,
    serial: { output: (bytes) => void (text += new TextDecoder().decode(bytes)) },
    clock: {
      monotonicNs: () => 0,
      unixSeconds: () => 1_700_000_000,
      breathe: () => Promise.resolve(),
      sleep: () => Promise.reject(new Error("nobody sleeps here")),
    },
  });
  const { reason } = await machine.run();
  const words = new Uint16Array(machine.readMemory(SEGMENT * 16 + 0x100, 16).buffer);
  await machine.close();
  return { reason, words, text };
}
/** mov [at],ax */
const store = (at: number) => [0xa3, at, 0x01];
const FLAGS_TO_AX = [0x9c, 0x58]; // pushf; pop ax

for (const engine of ["interp", "jit"] as const) {
  Deno.test(`in place of a BIOS: not supported is CF and AH=86H, memory is told, ${engine}`, async () => {
    const { reason, words } = await run(engine, [
      ...[0x66, 0xb8, 0x20, 0xe8, 0, 0, 0xf8, 0xcd, 0x15], // mov eax,0e820h; clc; int 15h
      ...store(0),
      ...FLAGS_TO_AX,
      ...store(2),
      ...[0xcd, 0x12],
      ...store(4),
      ...[0xb8, 0x34, 0x12, 0xf8, 0xcd, 0x60], // mov ax,1234h; clc; int 60h
      ...store(6),
      ...FLAGS_TO_AX,
      ...store(8),
      ...POWER_OFF,
    ]);
    assertEquals(reason, "poweroff");
    assertEquals([words[0], (words[1] ?? 0) & 1], [0x8620, 1]);
    assertEquals(words[2], 639);
    assertEquals([words[3], (words[4] ?? 1) & 1], [0x1234, 0]);
  });

  Deno.test(`in place of a BIOS: letters go to the serial port, and nothing else of INT 10H, ${engine}`, async () => {
    const { reason, text, words } = await run(engine, [
      ...[0xb8, 0x48, 0x0e, 0xcd, 0x10, 0xb8, 0x69, 0x0e, 0xcd, 0x10], // mov ax,0e48h; int 10h; mov ax,0e69h; int 10h
      ...[0xb8, 0x03, 0x00, 0xf8, 0xcd, 0x10], // mov ax,3; clc; int 10h
      ...store(0),
      ...POWER_OFF,
    ]);
    assertEquals([reason, text, words[0]], ["poweroff", "Hi", 0x8603]);
  });

  Deno.test(`in place of a BIOS: timer interrupts are acknowledged and go on, ${engine}`, async () => {
    const { reason, words } = await run(engine, [
      ...[0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21], // ICW1-4: from 08h
      ...[0xb0, 0xfe, 0xe6, 0x21], // IRQ 0 alone
      ...[0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x00, 0xe6, 0x40, 0xb0, 0x10, 0xe6, 0x40], // counter 0: mode 2, 1000h
      ...[0xb9, 5, 0, 0xfb, 0xf4, 0xe2, 0xfd], // mov cx,5; sti; hlt; loop
      ...[0xb0, 0x0b, 0xe6, 0x20, 0xe4, 0x20, 0xb4, 0x77], // OCW3: what is in service; in al,20h; mov ah,77h
      ...[0xfa],
      ...store(0),
      ...POWER_OFF,
    ]);
    assertEquals([reason, words[0]], ["poweroff", 0x7700]);
  });

  Deno.test(`in place of a BIOS: a jump to FFFF:0 resets, ${engine}`, async () => {
    assertEquals((await run(engine, [0xea, 0, 0, 0xff, 0xff])).reason, "reboot");
  });
}
