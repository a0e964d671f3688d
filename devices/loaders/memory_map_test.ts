// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { GiB, KiB, MiB } from "../../cpu/base/bits.ts";
import { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { BootPlan, checkRamBytes, E820_RAM, pcMemoryMap, writeBiosDataArea } from "./memory_map.ts";

Deno.test("pcMemoryMap describes a PC: sorted, without overlap, RAM in two pieces", () => {
  for (const ramBytes of [2 * MiB, 256 * MiB, 3 * GiB]) {
    const map = pcMemoryMap(ramBytes);
    for (let i = 1; i < map.length; i++) {
      const before = map[i - 1];
      assertEquals(before !== undefined && before.addr + before.size <= (map[i]?.addr ?? 0), true);
    }
    const ram = map.filter((e) => e.type === E820_RAM).map((e) => [e.addr, e.addr + e.size]);
    assertEquals(ram, [[0, 639 * KiB], [1 * MiB, ramBytes]]);
  }
});

Deno.test("checkRamBytes refuses what the machine cannot have", () => {
  for (const bad of [0, -1, NaN, 1 * MiB, 2 * MiB + 1, 3 * GiB + 4096, Infinity]) {
    assertThrows(() => checkRamBytes(bad), ConfigError, "it takes 2 MiB to 3 GiB, in whole pages");
  }
});

Deno.test("writeBiosDataArea puts COM1, the EBDA and the memory size where a BIOS does", () => {
  const memory = new GuestMemory(2 * MiB);
  memory.bytes.fill(0xa5, memory.map.ram, memory.map.ram + 4096);
  writeBiosDataArea(memory);
  const view = new DataView(memory.bytes.buffer, memory.map.ram);
  assertEquals([view.getUint16(0x400, true), view.getUint16(0x402, true)], [0x3f8, 0]);
  assertEquals([view.getUint16(0x40e, true), view.getUint16(0x413, true)], [0x9fc0, 639]);
});

Deno.test("BootPlan finds the lowest and the highest free place and never hands out a byte twice", () => {
  const plan = new BootPlan(new GuestMemory(4 * MiB), pcMemoryMap(4 * MiB));
  assertEquals(plan.allocate(100, "a"), 0x1000); // page 0 has the interrupt vectors
  assertEquals(plan.allocate(0x2000, "b"), 0x2000);
  assertEquals(plan.allocate(0x1000, "c", { from: "top" }), 4 * MiB - 0x1000);
  assertEquals(plan.allocate(0x1000, "d", { from: "top", max: 4 * MiB - 0x800 }), 4 * MiB - 0x2000);
  assertEquals(plan.allocate(0x1000, "e", { from: "top", max: 1 * MiB }), 0x9e000); // below the EBDA
  assertEquals(plan.allocate(0x10_0000, "f"), 0x10_0000);
  assertEquals(plan.allocate(0x1000, "g", { min: 0x1800, align: 0x4000 }), 0x4000);
});

Deno.test("BootPlan refuses places that are taken, not RAM, or not there", () => {
  const plan = new BootPlan(new GuestMemory(4 * MiB), pcMemoryMap(4 * MiB));
  plan.take(0x10_0000, 0x1000, "kernel");
  const cases: [() => void, string][] = [
    [
      () => plan.take(0x10_0fff, 1, "x"),
      "Cannot place x at 0x100fff..0x101000: kernel at 0x100000..0x101000",
    ],
    [() => plan.take(0x9_f000, 0x1000, "x"), "the extended BIOS data area at 0x9fc00..0xa0000 is in the way"],
    [() => plan.take(0xb_8000, 0x1000, "x"), "video memory at 0xa0000..0xe0000 is in the way"],
    [
      () => plan.take(0xf_f000, 0x2000, "x"),
      "x at 0xff000..0x101000: kernel at 0x100000..0x101000 is in the way",
    ],
    [
      () => plan.take(0xf_f000, 1, "x"),
      "the area of ACPI tables and BIOS at 0xe0000..0x100000 is in the way",
    ],
    [() => plan.take(0x3f_f000, 0x2000, "x"), "RAM ends at 0x400000, give the guest more"],
    [() => plan.take(3 * GiB, 1, "x"), "RAM never reaches beyond 0xc0000000, link it lower"],
    [() => plan.take(2 ** 64, 4096, "x"), "RAM never reaches beyond 0xc0000000, link it lower"],
    [() => plan.take(0, 16, "x"), "the area of interrupt vectors and BIOS data at 0x0..0x1000 is in the way"],
    [
      () => plan.allocate(4 * MiB, "x"),
      "Cannot place x: no 4194304 bytes of RAM are free below 0x400000, give",
    ],
    [() => plan.allocate(MiB, "x", { max: MiB }), "are free below 0x100000, where the kernel wants it"],
  ];
  for (const [act, message] of cases) assertThrows(act, ConfigError, message);
});
