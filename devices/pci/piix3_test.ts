// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import type { IrqLine } from "../../cpu/base/bus.ts";
import { Piix3, pirqOf, PIRQRCA, XBCS } from "./piix3.ts";

function rig() {
  const seen = { apic: [false, false, false, false], isa: new Array<boolean>(16).fill(false), resets: 0 };
  const apic = (i: number): IrqLine => ({ set: (on) => seen.apic[i] = on });
  const chip = new Piix3("piix3", {
    apic: [apic(0), apic(1), apic(2), apic(3)],
    isa: seen.isa.map((_, i) => ({ set: (on) => seen.isa[i] = on })),
    reset: () => seen.resets++,
  });
  const isa = () => seen.isa.flatMap((on, irq) => on ? [irq] : []);
  return { chip, seen, isa };
}

Deno.test("Piix3 powers on as its datasheet says: PIRQs routed nowhere", () => {
  const { chip, seen } = rig();
  assertEquals(chip.readConfig(0, 4), 0x7000_8086);
  assertEquals(chip.readConfig(0x0a, 2), 0x0601);
  assertEquals(chip.readConfig(0x0e, 1), 0x80);
  assertEquals(chip.readConfig(PIRQRCA, 4), 0x8080_8080);
  assertEquals(chip.readConfig(XBCS, 2), 0x0003);
  assertEquals(chip.resetControl.readPort(1, 1), 0);
  assertEquals(seen.resets, 0);
});

Deno.test("Piix3 swizzles slots over the four PIRQs", () => {
  assertEquals([pirqOf(1, 1), pirqOf(1, 4), pirqOf(2, 1), pirqOf(3, 1), pirqOf(5, 1), pirqOf(4, 2)], [
    0,
    3,
    1,
    2,
    0,
    0,
  ]);
});

Deno.test("Piix3 raises and drops the I/O APIC pin and the routed ISA interrupt", () => {
  const { chip, seen, isa } = rig();
  const line = chip.intx(3, 0, 1); // PIRQC
  line.set(true);
  assertEquals([seen.apic, isa()], [[false, false, true, false], []]);
  chip.writeConfig(PIRQRCA + 2, 1, 11);
  assertEquals(isa(), [11]);
  chip.writeConfig(PIRQRCA + 2, 1, 5);
  assertEquals(isa(), [5]);
  chip.writeConfig(PIRQRCA + 2, 1, 0x80 | 5);
  assertEquals(isa(), []);
  for (const reserved of [0, 1, 2, 8, 13]) {
    chip.writeConfig(PIRQRCA + 2, 1, reserved);
    assertEquals(isa(), [], `${reserved}`);
  }
  line.set(false);
  assertEquals(seen.apic, [false, false, false, false]);
});

Deno.test("Piix3 keeps a shared line up until its last source lets go", () => {
  const { chip, seen, isa } = rig();
  chip.writeConfig(PIRQRCA, 4, 0x0a0b_0a0b); // A and C on 11, B and D on 10
  const sources = [chip.intx(1, 0, 1), chip.intx(1, 3, 1), chip.intx(5, 0, 1), chip.intx(3, 0, 1)];
  for (const source of sources) source.set(true);
  for (const source of sources.slice(0, 3)) {
    assertEquals([seen.apic[0], isa()], [true, [11]]);
    source.set(false);
    source.set(false);
  }
  assertEquals([seen.apic[0], seen.apic[2], isa()], [false, true, [11]]);
  sources[3]?.set(false);
  assertEquals(isa(), []);
});

Deno.test("Piix3 resets when RCPU rises in RC, and only then", () => {
  const { chip, seen } = rig();
  chip.resetControl.writePort(1, 1, 0x02);
  chip.resetControl.writePort(1, 2, 0x06); // not a byte access
  chip.resetControl.writePort(0, 1, 0x06); // not RC
  assertEquals(seen.resets, 0);
  chip.resetControl.writePort(1, 1, 0x06); // FADT's reset value
  chip.resetControl.writePort(1, 1, 0x06);
  assertEquals(seen.resets, 1);
  assertEquals(chip.resetControl.readPort(1, 1), 0x06);
  assertEquals(chip.resetControl.readPort(1, 4), 0xffff_ffff);
  chip.reset();
  chip.resetControl.writePort(1, 1, 0x0e);
  assertEquals(seen.resets, 2);
});

Deno.test("Piix3 drives the same pins after save and restore with a line asserted", () => {
  const a = rig();
  a.chip.writeConfig(PIRQRCA, 1, 10);
  a.chip.intx(1, 0, 1).set(true);
  const b = rig();
  b.chip.restore(structuredClone(a.chip.save()));
  assertEquals([b.seen.apic[0], b.isa()], [true, [10]]);
  b.chip.intx(1, 0, 1).set(false);
  assertEquals([b.seen.apic[0], b.isa()], [false, []]);
  a.chip.reset();
  assertEquals([a.seen.apic[0], a.isa()], [false, []]);
});

Deno.test("Piix3 takes PIRQRC in any access size and ignores reserved bits", () => {
  const { chip } = rig();
  chip.writeConfig(PIRQRCA, 2, 0x7a7b);
  assertEquals(chip.readConfig(PIRQRCA, 2), 0x0a0b);
  assertEquals(chip.readConfig(PIRQRCA + 1, 1), 0x0a);
  chip.writeConfig(0xf0, 4, 0xffff_ffff);
  assertEquals(chip.readConfig(0xf0, 4), 0);
});
