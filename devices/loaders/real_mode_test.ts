// SPDX-License-Identifier: MIT
// Where boot sectors and BIOS images go, and what a BIOS is told: SDM Vol. 3A §10.1.4, Xen hvmloader/seabios.c.
import { assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { KiB, MiB } from "../../cpu/base/bits.ts";
import { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { loadKernel, platformOf } from "./kernel.ts";
import { pcMemoryMap } from "./memory_map.ts";

const RAM = 16 * MiB;
const e820 = pcMemoryMap(RAM, true);

function bootSector(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length).fill(0x90);
  bytes.set([0x55, 0xaa], 510);
  return bytes;
}
function bios(length: number, jump = 0xea): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length).fill(0x11);
  bytes[length - 16] = jump;
  return bytes;
}
function rig(bytes: Uint8Array, more: { readonly cmdline?: string; readonly initrd?: Uint8Array } = {}) {
  const memory = new GuestMemory(RAM);
  const { cmdline = "", initrd } = more;
  const state = loadKernel(memory, {
    kernel: { name: "k", bytes },
    cmdline,
    e820,
    rsdp: 0xff_0000,
    ...(initrd && { initrd: { name: "i", bytes: initrd } }),
  });
  return { state, view: new DataView(memory.bytes.buffer, memory.map.ram, RAM) };
}

Deno.test("a boot sector starts at 0000:7C00 with DL=80H, all of the file in place", async () => {
  const { state, view } = rig(bootSector(3000));
  const { mode, rip, gprs, cr0, cs, data, rflags, idtLimit } = await state;
  assertEquals([mode, rip, gprs.rdx, gprs.rsp, cr0 & 1, rflags], [16, 0x7c00, 0x80, 0x7c00, 0, 2]);
  assertEquals([cs.selector, cs.base, cs.limit, data.base, data.limit, idtLimit], [
    0,
    0,
    0xffff,
    0,
    0xffff,
    0x3ff,
  ]);
  assertEquals([view.getUint16(0x7dfe, true), view.getUint8(0x7c00 + 2999)], [0xaa55, 0x90]);
});

for (const size of [64, 128, 256]) {
  Deno.test(`a BIOS of ${size} KiB ends at 1 MiB and starts at F000:FFF0`, async () => {
    const { state, view } = rig(bios(size * KiB));
    const { mode, rip, cs, data } = await state;
    assertEquals([mode, rip, cs.selector, cs.base, data.base], [16, 0xfff0, 0xf000, 0xf_0000, 0]);
    assertEquals([view.getUint8(MiB - size * KiB), view.getUint8(MiB - size * KiB - 1)], [0x11, 0]);
    assertEquals(view.getUint8(0xf_fff0), 0xea);
  });
}

Deno.test("a BIOS finds Xen's structure at 1000H: the memory map and the ACPI tables", async () => {
  const { state, view } = rig(bios(64 * KiB));
  await state;
  const at = 0x1000;
  const text = new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + at, 14));
  assertEquals([text, view.getUint8(at + 14)], ["XenHVMSeaBIOS\0", 32]);
  let sum = 0;
  for (let i = 0; i < 32; i++) sum += view.getUint8(at + i);
  assertEquals(sum % 256, 0);
  const [tables = 0, tablesNr, map = 0, mapNr] = [16, 20, 24, 28].map((offset) =>
    view.getUint32(at + offset, true)
  );
  assertEquals([tablesNr, view.getUint32(tables, true)], [1, 0xff_0000]);
  assertEquals(mapNr, e820.length);
  assertEquals(
    e820.map((_, i) => ({
      addr: Number(view.getBigUint64(map + 20 * i, true)),
      size: Number(view.getBigUint64(map + 20 * i + 8, true)),
      type: view.getUint32(map + 20 * i + 16, true),
    })),
    e820,
  );
  assertEquals(e820.find(({ addr }) => addr === 0xff_0000), { addr: 0xff_0000, size: 0x1_0000, type: 2 });
});

Deno.test("what starts in real mode takes a PC, and nothing beside it", async () => {
  for (const bytes of [bootSector(512), bios(64 * KiB), bios(128 * KiB, 0xe9)]) {
    assertEquals(platformOf({ name: "k", bytes }), "hvm");
    for (const more of [{ cmdline: "quiet" }, { initrd: new Uint8Array(1) }]) {
      await assertRejects(() => rig(bytes, more).state, ConfigError, 'Cannot give "k" a command line');
    }
  }
  await assertRejects(() => rig(bootSector(700 * KiB)).state, ConfigError, "with a BIOS as --firmware");
  await assertRejects(() => rig(bios(64 * KiB, 0x90)).state, ConfigError, "neither a bzImage nor an ELF");
});
