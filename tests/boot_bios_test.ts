// SPDX-License-Identifier: MIT
/**
 * Debian's SeaBIOS, started as Xen starts it, boots the first sector of a disk: memory map, keyboard and screen on the
 * serial port, INT 13H by LBA and geometry on an IDE disk. And a boot sector without any BIOS.
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { createMachine } from "../mod.ts";
import { packageFile } from "../scripts/guests/package_files.ts";
import { MemoryBlockStore } from "../xen/backend/block_store.ts";
import { missingFiles } from "./_boot.ts";

const bios = packageFile("seabios", "bios.bin");
const skipped = missingFiles([bios], packageFile("seabios", "missing"));
const POWER_OFF = [0xba, 0x04, 0xb0, 0xb8, 0x00, 0x20, 0xef]; // mov dx,0b004h; mov ax,2000h; out dx,ax
const ORIGIN = 0x7c00;
/** Data of the boot sector: the packet of INT 13H AH=42H, then a byte for the drive. */
const PACKET = 0x180, DRIVE = 0x190, E820_AT = 0x8600;
const low = (at: number) => [at & 0xff, at >> 8];
const int13 = [0xcd, 0x13, 0x72, 0xfe]; // int 13h; jc $

/** Reads sector 1 by LBA, sector 2 by geometry, prints both, writes the second to sector 3, asks for a memory range. */
const CODE = [
  ...[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, ...low(ORIGIN)], // xor ax,ax; ds, es, ss; mov sp
  ...[0x88, 0x16, ...low(ORIGIN + DRIVE)], // mov [DRIVE],dl
  ...[0xbe, ...low(ORIGIN + PACKET), 0xb4, 0x42, ...int13], // mov si,PACKET; mov ah,42h
  ...[0xb8, 0x01, 0x02, 0xb9, 0x03, 0x00, 0xb6, 0x00], // mov ax,0201h; mov cx,3; mov dh,0
  ...[0x8a, 0x16, ...low(ORIGIN + DRIVE), 0xbb, 0x00, 0x82, ...int13], // mov dl,[DRIVE]; mov bx,8200h
  ...[0xb8, 0x01, 0x03, 0xb9, 0x04, 0x00, 0xb6, 0x00], // mov ax,0301h; mov cx,4
  ...[0x8a, 0x16, ...low(ORIGIN + DRIVE), 0xbb, 0x00, 0x82, ...int13],
  ...[0x66, 0xb8, 0x20, 0xe8, 0, 0, 0x66, 0x31, 0xdb, 0x66, 0xb9, 20, 0, 0, 0], // mov eax,0e820h; xor ebx,ebx; mov ecx,20
  ...[0x66, 0xba, 0x50, 0x41, 0x4d, 0x53, 0xbf, ...low(E820_AT), 0xcd, 0x15], // mov edx,"SMAP"; mov di,E820_AT; int 15h
  ...[0xbe, 0x00, 0x80], // mov si,8000h
  ...[0xac, 0x84, 0xc0, 0x74, 0x09, 0xb4, 0x0e, 0xbb, 7, 0, 0xcd, 0x10, 0xeb, 0xf2], // lodsb; until 0: int 10h, ah=0eh
  ...[0xb4, 0x00, 0xcd, 0x16], // a key
  ...[0xa2, ...low(ORIGIN + DRIVE)], // mov [DRIVE],al
  ...POWER_OFF,
];

function disk(): Uint8Array {
  const bytes = new Uint8Array(1 << 20);
  bytes.set(CODE);
  bytes.set([16, 0, 1, 0, 0x00, 0x80, 0, 0, 1], PACKET); // one sector to 0000:8000, LBA 1
  bytes.set([0x55, 0xaa], 510);
  bytes.set(new TextEncoder().encode("read by LBA"), 512);
  bytes.set(new TextEncoder().encode("read by CHS"), 1024);
  return bytes;
}

for (const engine of ["jit", "interp"] as const) {
  Deno.test({
    name: `SeaBIOS boots a disk's first sector, which reads and writes it, ${engine}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const store = new MemoryBlockStore(disk());
      let typed = false;
      let text = "";
      await using machine = await createMachine({
        kernel: bios,
        memory: "32M",
        engine,
        icount: true,
        disks: [{ store }],
        serial: (bytes) => {
          text += new TextDecoder("latin1").decode(bytes);
          if (!typed && text.includes("read by LBA")) {
            typed = true;
            machine.sendSerial(new TextEncoder().encode("k"));
          }
        },
      });
      assertEquals((await machine.run()).reason, "poweroff");
      assertMatch(text, /Booting from Hard Disk/);
      assertEquals(new TextDecoder().decode(machine.readMemory(0x8200, 11)), "read by CHS");
      assertEquals(new TextDecoder().decode(store.bytes.subarray(3 * 512, 3 * 512 + 11)), "read by CHS");
      const range = new DataView(machine.readMemory(E820_AT, 20).buffer);
      assertEquals([range.getBigUint64(0, true), range.getBigUint64(8, true), range.getUint32(16, true)], [
        0n,
        0x9_fc00n,
        1,
      ]);
      assertEquals(machine.readMemory(ORIGIN + DRIVE, 1), Uint8Array.of("k".charCodeAt(0)));
    },
  });

  Deno.test(`a boot sector runs without a BIOS, and writes to the serial port, ${engine}`, async () => {
    const bytes = new Uint8Array(512);
    bytes.set([0x88, 0xd0, 0xb4, 0x0e, 0xcd, 0x10, 0xb8, 0x21, 0x0e, 0xcd, 0x10, ...POWER_OFF]); // mov al,dl; int 10h; "!"
    bytes.set([0x55, 0xaa], 510);
    const seen: number[] = [];
    await using machine = await createMachine({
      kernel: bytes,
      memory: "4M",
      engine,
      icount: true,
      serial: (more) => void seen.push(...more),
    });
    assertEquals([(await machine.run()).reason, seen], ["poweroff", [0x80, 0x21]]);
  });
}
