// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Rig } from "./_rig.ts";

Deno.test("InterruptController at power-on delivers nothing from any line", () => {
  const rig = new Rig();
  for (let n = 0; n < 24; n++) rig.ic.line(n).set(true);
  assertEquals([rig.intr, rig.ic.pending, rig.take()], [false, false, -1]);
});

for (let irq = 0; irq < 16; irq++) {
  if (irq === 2) continue;
  Deno.test(`InterruptController brings ISA IRQ ${irq} through the 8259s and LINT0`, () => {
    const rig = new Rig().boot();
    const line = rig.ic.line(irq);
    line.set(true);
    assertEquals([rig.intr, rig.take(), rig.intr], [true, 0x30 + irq, false]);
    line.set(false);
  });
}

for (let n = 0; n < 24; n++) {
  const pin = n === 0 ? 2 : n;
  Deno.test(`InterruptController brings line ${n} to IOAPIC input ${pin}, edge and level`, () => {
    const rig = new Rig().boot().maskPic().entry(pin, 0x50 + n);
    const line = rig.ic.line(n);
    line.set(true);
    assertEquals([rig.intr, rig.take(), rig.intr], [true, 0x50 + n, false]);
    line.set(false);
    rig.eoi().entry(pin, 0x8050 + n);
    line.set(true);
    assertEquals(rig.take(), 0x50 + n);
    rig.eoi(); // broadcast: the line is still up
    assertEquals(rig.take(), 0x50 + n);
    line.set(false);
    rig.eoi();
    assertEquals([rig.intr, rig.take()], [false, -1]);
  });
}

Deno.test("InterruptController ORs the drivers of a line", () => {
  const rig = new Rig().boot().maskPic().entry(16, 0x8041);
  const [a, b] = [rig.ic.line(16), rig.ic.line(16)];
  a.set(true);
  b.set(true);
  a.set(true);
  rig.take();
  a.set(false);
  a.set(false);
  rig.eoi();
  assertEquals(rig.take(), 0x41);
  b.set(false);
  rig.eoi();
  assertEquals(rig.take(), -1);
});

Deno.test("InterruptController takes the 8259s directly while the local APIC is disabled", () => {
  const rig = new Rig().boot();
  rig.ic.lapic.writeMsr(0x1b, 0xfee0_0000n);
  rig.ic.line(4).set(true);
  assertEquals([rig.intr, rig.take()], [true, 0x34]);
});

Deno.test("InterruptController delivers the 8259s as ExtINT through IOAPIC input 0", () => {
  const rig = new Rig().boot().entry(0, 0x0700);
  rig.ic.lapic.writeMmio(0x350, 4, 0x1_0700); // LINT0 masked
  rig.ic.line(1).set(true);
  rig.ic.line(3).set(true);
  assertEquals(rig.take(), 0x31);
  rig.ic.pic.master.writePort(0, 1, 0x20);
  assertEquals(rig.take(), 0x33);
  assertEquals(rig.intr, false);
});

Deno.test("InterruptController serves its extra source before ExtINT before the local APIC", () => {
  const rig = new Rig().boot();
  let vector = 0xf3;
  rig.ic.extra = {
    get pending() {
      return vector >= 0;
    },
    acknowledge: () => {
      const taken = vector;
      vector = -1;
      return taken;
    },
  };
  rig.ic.lapic.inject(0xfe);
  rig.ic.line(7).set(true);
  assertEquals([rig.intr, rig.take(), rig.take(), rig.take(), rig.intr], [true, 0xf3, 0x37, 0xfe, false]);
  vector = 0xf3;
  rig.ic.update();
  assertEquals(rig.intr, true);
  rig.ic.extra = undefined;
  assertEquals(rig.intr, false);
});

Deno.test("InterruptController goes to the next source when the extra one changed its mind", () => {
  const rig = new Rig().boot();
  rig.ic.lapic.inject(0x80);
  rig.ic.extra = { pending: true, acknowledge: () => -1 };
  assertEquals(rig.take(), 0x80);
});

Deno.test("InterruptController delivers NMI from the IOAPIC", () => {
  const rig = new Rig().boot().entry(20, 0x0400);
  rig.ic.line(20).set(true);
  assertEquals([rig.nmis, rig.intr], [1, false]);
});

Deno.test("InterruptController goes on the same after save and restore with a level in service", () => {
  const a = new Rig().boot().entry(17, 0x8061);
  const b = new Rig();
  const lines = [a, b].map((rig) => [rig.ic.line(17), rig.ic.line(4)] as const);
  lines[0]?.[0].set(true);
  a.take();
  lines[0]?.[1].set(true);
  a.ic.lapic.inject(0x45);
  lines[1]?.forEach((line) => line.set(true)); // the devices are restored first, then the controllers
  b.ic.restore(structuredClone(a.ic.save()));
  for (const [i, rig] of [a, b].entries()) {
    assertEquals([rig.intr, rig.take()], [true, 0x34]);
    assertEquals(rig.take(), -1); // 0x45 waits behind 0x61
    rig.eoi();
    assertEquals(rig.take(), 0x61); // the line is still up
    lines[i]?.[0].set(false);
    rig.eoi();
    assertEquals(rig.take(), 0x45);
  }
  b.ic.reset();
  assertEquals([b.intr, b.ic.pending, b.ic.pic.int], [false, false, false]);
});
