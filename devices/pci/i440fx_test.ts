// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import type { AccessSize } from "../../cpu/base/bus.ts";
import { confadd, I440fx, PAM0, SMRAM } from "./i440fx.ts";
import { PciBus } from "./pci.ts";

function rig() {
  const seen: [offset: number, size: AccessSize, value: number][] = [];
  const pci = new PciBus();
  const chip = new I440fx("i440fx", {
    pci,
    isa: {
      readPort: (offset) => 0x50 + offset,
      writePort: (offset, size, value) => void seen.push([offset, size, value]),
    },
  });
  pci.add(0, 0, chip);
  return { chip, pci, seen };
}

Deno.test("I440fx powers on as its datasheet says", () => {
  const { chip } = rig();
  assertEquals(chip.readPort(0, 4), 0); // CONFADD
  assertEquals(chip.readConfig(0, 4), 0x1237_8086);
  assertEquals(chip.readConfig(8, 4), 0x0600_0002);
  assertEquals(chip.readConfig(PAM0, 1), 0);
  assertEquals(chip.readConfig(SMRAM, 1), 0x02);
});

Deno.test("I440fx reaches configuration space by mechanism 1 in bytes, words and dwords", () => {
  const { chip } = rig();
  chip.writePort(0, 4, confadd(0, 0, 0));
  assertEquals(chip.readPort(0, 4), 0x8000_0000);
  assertEquals(chip.readPort(4, 4), 0x1237_8086);
  assertEquals(chip.readPort(6, 2), 0x1237);
  assertEquals(chip.readPort(5, 1), 0x80);
  chip.writePort(0, 4, confadd(0, 0, 0x58));
  chip.writePort(5, 1, 0x30); // PAM0
  assertEquals(chip.readConfig(PAM0, 1), 0x30);
});

Deno.test("I440fx reads all ones from absent functions, other buses, and with CONE clear", () => {
  const { chip } = rig();
  for (const address of [confadd(5, 0, 0), confadd(0, 1, 0), 0x8001_0000, 0x0000_0000]) {
    chip.writePort(0, 4, address);
    assertEquals(chip.readPort(4, 4), 0xffff_ffff);
    assertEquals(chip.readPort(4, 2), 0xffff);
    chip.writePort(4, 4, 0);
  }
});

Deno.test("I440fx passes what is not a dword at 0xcf8 on to the ISA bus", () => {
  const { chip, seen } = rig();
  chip.writePort(0, 4, confadd(0, 0, 8));
  chip.writePort(1, 1, 6);
  chip.writePort(0, 2, 0x1234);
  assertEquals(seen, [[1, 1, 6], [0, 2, 0x1234]]);
  assertEquals(chip.readPort(1, 1), 0x51);
  assertEquals(chip.readPort(0, 4), confadd(0, 0, 8)); // untouched
  assertEquals(chip.readPort(7, 2), 0xffff); // crosses the dword
});

Deno.test("I440fx has no interrupt pin to raise", () => {
  assertEquals(rig().chip.readConfig(0x3c, 2), 0);
});

Deno.test("I440fx goes on in the middle of a configuration cycle after save and restore", () => {
  const a = rig();
  a.chip.writePort(0, 4, confadd(0, 0, 0x58));
  a.chip.writePort(5, 1, 0x10);
  const b = rig();
  b.chip.restore(structuredClone(a.chip.save()));
  assertEquals(b.chip.readPort(5, 1), 0x10);
  b.chip.reset();
  assertEquals([b.chip.readPort(0, 4), b.chip.readConfig(PAM0, 1)], [0, 0]);
});
