// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Ioapic, IOAPIC_PINS, IOREGSEL, IOWIN } from "./ioapic.ts";

class Rig {
  sent: string[] = [];
  accept = true;
  ioapic = new Ioapic("ioapic", {
    send: (vector, mode, level, destination, logical) => {
      this.sent.push(
        `${vector.toString(16)} m${mode} ${level ? "level" : "edge"} ${logical ? "L" : "P"}${destination}`,
      );
      return this.accept;
    },
  });
  read(index: number): number {
    this.ioapic.writeMmio(IOREGSEL, 4, index);
    return this.ioapic.readMmio(IOWIN, 4);
  }
  write(index: number, value: number): this {
    this.ioapic.writeMmio(IOREGSEL, 4, index);
    this.ioapic.writeMmio(IOWIN, 4, value);
    return this;
  }
  low(pin: number): number {
    return this.read(0x10 + 2 * pin);
  }
  entry(pin: number, low: number, high = 0): this {
    return this.write(0x11 + 2 * pin, high).write(0x10 + 2 * pin, low);
  }
  pulse(pin: number): this {
    this.ioapic.setPin(pin, true);
    this.ioapic.setPin(pin, false);
    return this;
  }
  take(): string[] {
    return this.sent.splice(0);
  }
}

Deno.test("Ioapic at power-on: version 0x11, 24 entries, all masked", () => {
  const rig = new Rig();
  assertEquals([rig.read(0), rig.read(1), rig.read(2)], [0, 0x0017_0011, 0]);
  for (let pin = 0; pin < IOAPIC_PINS; pin++) {
    assertEquals([rig.low(pin), rig.read(0x11 + 2 * pin)], [0x0001_0000, 0]);
    rig.pulse(pin);
  }
  assertEquals(rig.take(), []);
});

for (let pin = 0; pin < IOAPIC_PINS; pin++) {
  inputSendsEdgeAndLevel(pin);
}
function inputSendsEdgeAndLevel(pin: number): void {
  Deno.test(`Ioapic input ${pin} sends one message per edge, and one per EOI while a level lasts`, () => {
    const rig = new Rig().entry(pin, 0x31);
    rig.ioapic.setPin(pin, true);
    rig.ioapic.setPin(pin, true);
    assertEquals(rig.take(), ["31 m0 edge P0"]);
    rig.ioapic.setPin(pin, false);
    assertEquals(rig.take(), []);
    rig.entry(pin, 0x8031);
    rig.ioapic.setPin(pin, true);
    assertEquals([rig.take(), rig.low(pin)], [["31 m0 level P0"], 0xc031]);
    rig.ioapic.eoi(0x32);
    assertEquals(rig.take(), []);
    rig.ioapic.eoi(0x31);
    assertEquals(rig.take(), ["31 m0 level P0"]);
    rig.ioapic.setPin(pin, false);
    rig.ioapic.eoi(0x31);
    assertEquals([rig.take(), rig.low(pin)], [[], 0x8031]);
  });
}

Deno.test("Ioapic passes delivery mode, destination and destination mode on", () => {
  const rig = new Rig().entry(4, 0x0940, 0x0300_0000).pulse(4).entry(5, 0x0400, 0xff00_0000).pulse(5);
  assertEquals(rig.take(), ["40 m1 edge L3", "0 m4 edge P255"]);
});

Deno.test("Ioapic loses an edge on a masked input, and keeps a level", () => {
  const rig = new Rig().entry(1, 0x1_0021);
  rig.ioapic.setPin(1, true);
  rig.entry(1, 0x0021);
  assertEquals(rig.take(), []);
  rig.entry(2, 0x1_8022);
  rig.ioapic.setPin(2, true);
  assertEquals(rig.take(), []);
  rig.entry(2, 0x8022);
  assertEquals(rig.take(), ["22 m0 level P0"]);
});

Deno.test("Ioapic shows Remote IRR read-only, and clears it when the entry goes to edge mode", () => {
  const rig = new Rig().entry(3, 0x8033);
  rig.ioapic.setPin(3, true);
  rig.entry(3, 0x1_8033); // masking does not end it
  assertEquals(rig.low(3), 0x1_c033);
  rig.entry(3, 0x1_0033); // Linux's EOI without an EOI register: mask and edge, then level
  rig.entry(3, 0x8033);
  assertEquals(rig.take(), ["33 m0 level P0", "33 m0 level P0"]);
  rig.entry(6, 0xd034); // Remote IRR and Delivery Status cannot be set
  assertEquals(rig.low(6), 0x8034);
});

Deno.test("Ioapic leaves Remote IRR clear when nobody took the message", () => {
  const rig = new Rig().entry(3, 0x8033);
  rig.accept = false;
  rig.ioapic.setPin(3, true);
  assertEquals(rig.low(3), 0x8033);
  rig.accept = true;
  rig.write(0x16, 0x8033);
  assertEquals([rig.take().length, rig.low(3)], [2, 0xc033]);
});

Deno.test("Ioapic ends every entry with the vector of an EOI", () => {
  const rig = new Rig().entry(16, 0x8044).entry(17, 0x8044);
  rig.ioapic.setPin(16, true);
  rig.ioapic.setPin(17, true);
  rig.take();
  rig.ioapic.setPin(16, false);
  rig.ioapic.eoi(0x44);
  assertEquals([rig.take(), rig.low(16), rig.low(17)], [["44 m0 level P0"], 0x8044, 0xc044]);
});

Deno.test("Ioapic ID has four bits; version and reserved registers cannot be written", () => {
  const rig = new Rig().write(0, 0xffff_ffff).write(1, 0).write(0x40, 1).write(0x0f, 1).write(0xff, 1);
  assertEquals([rig.read(0), rig.read(2), rig.read(1)], [0x0f00_0000, 0x0f00_0000, 0x0017_0011]);
  assertEquals([rig.read(0x40), rig.read(0x0f), rig.read(0xff)], [0, 0, 0]);
  rig.write(0x10, 0xffff_ffff).write(0x11, 0xffff_ffff);
  assertEquals([rig.read(0x10), rig.read(0x11)], [0x0001_afff, 0xff00_0000]);
});

Deno.test("Ioapic takes the window as 32 bits only, the select register at any size, and floats elsewhere", () => {
  const { ioapic } = new Rig();
  ioapic.writeMmio(IOREGSEL, 1, 0x01);
  assertEquals([ioapic.readMmio(IOREGSEL, 1), ioapic.readMmio(IOWIN, 4)], [1, 0x0017_0011]);
  ioapic.writeMmio(IOREGSEL, 4, 0xffff_ff00);
  ioapic.writeMmio(IOWIN, 1, 0x0f);
  ioapic.writeMmio(IOWIN + 2, 2, 0x0f0f);
  ioapic.writeMmio(0x40, 4, 0x31); // no EOI register in this version
  assertEquals(ioapic.readMmio(IOWIN, 4), 0);
  assertEquals([ioapic.readMmio(IOWIN, 1), ioapic.readMmio(0x12, 2), ioapic.readMmio(0x40, 4)], [
    0xff,
    0xffff,
    0xffff_ffff,
  ]);
});

Deno.test("Ioapic goes on the same after save and restore between delivery and EOI", () => {
  const a = new Rig().entry(9, 0x8039);
  a.ioapic.setPin(9, true);
  a.ioapic.writeMmio(IOREGSEL, 4, 0x22);
  const b = new Rig();
  b.ioapic.restore(structuredClone(a.ioapic.save()));
  assertEquals([b.take(), b.ioapic.readMmio(IOWIN, 4)], [[], 0xc039]);
  b.ioapic.eoi(0x39);
  assertEquals(b.take(), ["39 m0 level P0"]);
  b.ioapic.reset();
  b.ioapic.eoi(0x39);
  assertEquals([b.take(), b.low(9)], [[], 0x1_0000]);
  b.entry(9, 0x8039); // the pin is still up
  assertEquals(b.take(), ["39 m0 level P0"]);
});
