// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Elcr, I8259, I8259Pair } from "./i8259.ts";

const CMD = 0;
const DATA = 1;

function chip(levelMask?: () => number): { pic: I8259; seen: { int: boolean } } {
  const seen = { int: false };
  const int = { set: (on: boolean) => void (seen.int = on) };
  return { pic: new I8259("pic", true, levelMask ? { int, levelMask } : { int }), seen };
}

/** A single chip in 8086 mode, vectors from 0x20. */
function ready(icw4 = 0x01, icw1 = 0x13): { pic: I8259; seen: { int: boolean } } {
  const c = chip();
  c.pic.writePort(CMD, 1, icw1);
  c.pic.writePort(DATA, 1, 0x20);
  c.pic.writePort(DATA, 1, icw4);
  return c;
}

const isr = (pic: I8259) => (pic.writePort(CMD, 1, 0x0b), pic.readPort(CMD, 1));
const irr = (pic: I8259) => (pic.writePort(CMD, 1, 0x0a), pic.readPort(CMD, 1));

/** As a PC BIOS leaves it, vectors 0x20 and 0x28. */
function pair(): { pics: I8259Pair; seen: { int: boolean } } {
  const seen = { int: false };
  const pics = new I8259Pair("pic", { set: (on) => void (seen.int = on) });
  for (const [p, base, icw3] of [[pics.master, 0x20, 0x04], [pics.slave, 0x28, 0x02]] as const) {
    p.writePort(CMD, 1, 0x11);
    p.writePort(DATA, 1, base);
    p.writePort(DATA, 1, icw3);
    p.writePort(DATA, 1, 0x01);
  }
  return { pics, seen };
}

Deno.test("I8259 after ICW1: IMR clear, status read gives IRR, IR7 lowest, no INT before the last ICW", () => {
  const { pic, seen } = chip();
  pic.writePort(DATA, 1, 0xaa);
  assertEquals(pic.readPort(DATA, 1), 0xaa);
  pic.writePort(CMD, 1, 0x13);
  assertEquals(pic.readPort(DATA, 1), 0);
  pic.setPin(3, true);
  assertEquals(pic.readPort(CMD, 1), 0x08);
  pic.writePort(DATA, 1, 0x40);
  assertEquals(seen.int, false);
  pic.writePort(DATA, 1, 0x01);
  assertEquals(seen.int, true);
  assertEquals(pic.vector(pic.acknowledge()), 0x43);
});

Deno.test("I8259 forgets edges at ICW1: an input must go low and high again", () => {
  const { pic, seen } = ready();
  pic.setPin(1, true);
  pic.writePort(CMD, 1, 0x13);
  pic.writePort(DATA, 1, 0x20);
  pic.writePort(DATA, 1, 0x01);
  assertEquals(seen.int, false);
  pic.setPin(1, false);
  pic.setPin(1, true);
  assertEquals(seen.int, true);
});

for (let level = 0; level < 8; level++) {
  Deno.test(`I8259 raises INT for IR${level}, drops it at INTA, and edge mode needs a new edge`, () => {
    const { pic, seen } = ready();
    pic.setPin(level, true);
    assertEquals(seen.int, true);
    assertEquals(irr(pic), 1 << level);
    assertEquals(pic.acknowledge(), level);
    assertEquals([seen.int, irr(pic), isr(pic)], [false, 0, 1 << level]);
    pic.writePort(CMD, 1, 0x20); // non-specific EOI
    assertEquals([seen.int, isr(pic)], [false, 0]);
    pic.setPin(level, false);
    pic.setPin(level, true);
    assertEquals(seen.int, true);
    pic.writePort(DATA, 1, 1 << level);
    assertEquals(seen.int, false);
  });
}

Deno.test("I8259 edge request that drops before INTA becomes a spurious IR7, not in service", () => {
  const { pic, seen } = ready();
  pic.setPin(4, true);
  pic.setPin(4, false);
  assertEquals(seen.int, false);
  assertEquals(pic.vector(pic.acknowledge()), 0x27);
  assertEquals(isr(pic), 0);
});

Deno.test("I8259 level mode (LTIM) asks again after EOI while the pin is high", () => {
  const { pic, seen } = ready(0x01, 0x1b);
  pic.setPin(5, true);
  assertEquals(pic.acknowledge(), 5);
  assertEquals([seen.int, irr(pic)], [false, 0x20]);
  pic.writePort(CMD, 1, 0x65); // specific EOI of 5
  assertEquals(seen.int, true);
  pic.setPin(5, false);
  assertEquals(seen.int, false);
});

Deno.test("I8259 nests: a higher level interrupts, a lower one waits for EOI", () => {
  const { pic, seen } = ready();
  pic.setPin(4, true);
  assertEquals(pic.acknowledge(), 4);
  pic.setPin(6, true);
  assertEquals(seen.int, false);
  pic.setPin(1, true);
  assertEquals(seen.int, true);
  assertEquals(pic.acknowledge(), 1);
  pic.writePort(CMD, 1, 0x20);
  assertEquals([isr(pic), seen.int], [0x10, false]);
  pic.writePort(CMD, 1, 0x20);
  assertEquals([isr(pic), seen.int], [0, true]);
});

Deno.test("I8259 special mask mode lets lower levels through a masked level in service", () => {
  const { pic, seen } = ready();
  pic.setPin(2, true);
  pic.acknowledge();
  pic.writePort(DATA, 1, 0x04);
  pic.setPin(6, true);
  assertEquals(seen.int, false);
  pic.writePort(CMD, 1, 0x68); // ESMM, SMM
  assertEquals(seen.int, true);
  assertEquals(pic.acknowledge(), 6);
  pic.writePort(CMD, 1, 0x20); // non-specific EOI does not clear the masked IS bit
  assertEquals(isr(pic), 0x04);
  pic.writePort(CMD, 1, 0x48); // ESMM, not SMM
  pic.setPin(7, true);
  assertEquals(seen.int, false);
});

// Datasheet, "Automatic Rotation" figure: IR4 and IR6 in service, IR4 gets the EOI with rotation.
Deno.test("I8259 rotates priority on EOI", () => {
  const { pic, seen } = ready();
  pic.setPin(6, true);
  assertEquals(pic.acknowledge(), 6);
  pic.setPin(4, true);
  assertEquals(pic.acknowledge(), 4);
  pic.writePort(CMD, 1, 0xa0); // rotate on non-specific EOI: IR4 becomes lowest, IR5 highest
  assertEquals(isr(pic), 0x40);
  pic.setPin(5, true);
  assertEquals(seen.int, true);
  assertEquals(pic.acknowledge(), 5);
  pic.writePort(CMD, 1, 0xe6); // rotate on specific EOI of 6
  assertEquals(isr(pic), 0x20);
  pic.setPin(7, true); // IR7 is highest now
  assertEquals(pic.acknowledge(), 7);
});

Deno.test("I8259 set priority (OCW2 R SL) makes a level lowest", () => {
  const { pic } = ready();
  pic.writePort(CMD, 1, 0xc5);
  pic.setPin(0, true);
  pic.setPin(6, true);
  assertEquals(pic.acknowledge(), 6);
});

Deno.test("I8259 AEOI leaves nothing in service, and rotates when told", () => {
  const { pic, seen } = ready(0x03);
  pic.writePort(CMD, 1, 0x80);
  pic.setPin(2, true);
  pic.setPin(3, true);
  assertEquals([pic.acknowledge(), isr(pic), seen.int], [2, 0, true]);
  pic.setPin(2, false);
  pic.setPin(2, true); // lowest now
  assertEquals(pic.acknowledge(), 3);
  pic.writePort(CMD, 1, 0x00); // stop rotating
  assertEquals(pic.acknowledge(), 2);
  pic.setPin(4, false);
  pic.setPin(4, true);
  assertEquals(pic.acknowledge(), 4);
});

Deno.test("I8259 poll: the next read acknowledges, once", () => {
  const { pic, seen } = ready();
  pic.writePort(CMD, 1, 0x0c);
  assertEquals(pic.readPort(CMD, 1), 0x00);
  pic.setPin(5, true);
  pic.writePort(CMD, 1, 0x0c);
  assertEquals(pic.readPort(CMD, 1), 0x85);
  assertEquals(seen.int, false);
  assertEquals(isr(pic), 0x20);
});

Deno.test("I8259 answers both offsets at any size with the byte that belongs there", () => {
  const { pic } = ready();
  pic.writePort(DATA, 4, 0x1234_56fb);
  assertEquals(pic.readPort(DATA, 4), 0xfb);
  assertEquals(pic.readPort(3, 2), 0xfb); // one address line: the chip repeats
  pic.writePort(CMD, 2, 0xff0b);
  assertEquals(pic.readPort(2, 1), 0);
});

Deno.test("I8259 behaves the same after save and restore in the middle of ICWs and of service", () => {
  const a = ready();
  a.pic.setPin(1, true);
  a.pic.acknowledge();
  a.pic.setPin(3, true);
  const b = chip();
  b.pic.restore(structuredClone(a.pic.save()));
  assertEquals([b.seen.int, isr(b.pic), irr(b.pic)], [false, 2, 8]);
  b.pic.writePort(CMD, 1, 0x20);
  assertEquals(b.seen.int, true);
  b.pic.writePort(CMD, 1, 0x13);
  const c = chip();
  c.pic.restore(b.pic.save());
  c.pic.writePort(DATA, 1, 0x70); // ICW2
  c.pic.writePort(DATA, 1, 0x01); // ICW4
  assertEquals([c.pic.vector(0), c.pic.readPort(DATA, 1)], [0x70, 0]);
  c.pic.reset();
  assertEquals(c.seen.int, false);
});

Deno.test("I8259Pair gives the slave's vectors through IR2, and needs both EOIs", () => {
  const { pics, seen } = pair();
  pics.setIrq(8, true);
  assertEquals(seen.int, true);
  assertEquals(pics.acknowledge(), 0x28);
  assertEquals([isr(pics.master), isr(pics.slave)], [0x04, 0x01]);
  pics.setIrq(12, true); // lower than 8: waits
  pics.setIrq(3, true); // lower than the cascade: waits
  assertEquals(seen.int, false);
  pics.setIrq(1, true); // higher than the cascade
  assertEquals(pics.acknowledge(), 0x21);
  pics.master.writePort(CMD, 1, 0x20);
  pics.slave.writePort(CMD, 1, 0x20);
  assertEquals(seen.int, false); // master still has IR2 in service
  pics.master.writePort(CMD, 1, 0x20);
  assertEquals(pics.acknowledge(), 0x2c);
  pics.slave.writePort(CMD, 1, 0x20);
  pics.master.writePort(CMD, 1, 0x62);
  assertEquals(pics.acknowledge(), 0x23);
});

Deno.test("I8259Pair in special fully nested mode lets a higher slave request through the cascade", () => {
  const { pics, seen } = pair();
  for (const v of [0x20, 0x04, 0x11]) {
    if (v === 0x20) pics.master.writePort(CMD, 1, 0x11);
    pics.master.writePort(DATA, 1, v);
  }
  pics.setIrq(12, true);
  assertEquals(pics.acknowledge(), 0x2c);
  pics.setIrq(8, true);
  assertEquals(seen.int, true);
  assertEquals(pics.acknowledge(), 0x28);
});

Deno.test("I8259Pair: a slave request that goes away leaves IRQ 7, and the slave alone says IRQ 15", () => {
  const { pics, seen } = pair();
  pics.setIrq(9, true);
  pics.setIrq(9, false);
  assertEquals([seen.int, pics.acknowledge()], [false, 0x27]);
  assertEquals(pics.slave.vector(pics.slave.acknowledge()), 0x2f);
  assertEquals([isr(pics.master), isr(pics.slave)], [0, 0]);
});

Deno.test("I8259Pair without an ICW3 bit for IR2 does not ask the slave", () => {
  const { pics } = pair();
  pics.master.writePort(CMD, 1, 0x11);
  for (const v of [0x20, 0x00, 0x01]) pics.master.writePort(DATA, 1, v);
  pics.setIrq(8, true);
  assertEquals(pics.acknowledge(), 0x22);
  assertEquals(isr(pics.slave), 0);
});

Deno.test("Elcr keeps IRQ 0, 1, 2, 8 and 13 edge, and makes the others level in the pair", () => {
  const { pics, seen } = pair();
  pics.elcr.writePort(0, 1, 0xff);
  pics.elcr.writePort(1, 1, 0xff);
  assertEquals([pics.elcr.readPort(0, 1), pics.elcr.readPort(1, 1)], [0xf8, 0xde]);
  pics.setIrq(10, true);
  assertEquals(pics.acknowledge(), 0x2a);
  pics.slave.writePort(CMD, 1, 0x20);
  pics.master.writePort(CMD, 1, 0x20);
  assertEquals(seen.int, true);
  pics.elcr.writePort(1, 1, 0);
  assertEquals(seen.int, false);
});

Deno.test("Elcr power-on, save, restore and reset", () => {
  let changes = 0;
  const elcr = new Elcr("elcr", { changed: () => void changes++ });
  assertEquals([elcr.readPort(0, 1), elcr.readPort(1, 2)], [0, 0]);
  elcr.writePort(1, 4, 0xffff_0a0c);
  const other = new Elcr("elcr", { changed: () => void changes++ });
  other.restore(elcr.save());
  assertEquals(other.levels, 0x0c00);
  other.reset();
  assertEquals([other.levels, changes], [0, 3]);
});

Deno.test("I8259Pair behaves the same after save and restore between INTA and EOI", () => {
  const a = pair();
  a.pics.elcr.writePort(1, 1, 0x08);
  a.pics.setIrq(11, true);
  a.pics.acknowledge();
  a.pics.setIrq(4, true);
  const b = pair();
  b.pics.restore(structuredClone(a.pics.save()));
  assertEquals(b.seen.int, false);
  b.pics.setIrq(11, false);
  b.pics.slave.writePort(CMD, 1, 0x20);
  b.pics.master.writePort(CMD, 1, 0x20);
  assertEquals(b.pics.acknowledge(), 0x24);
  b.pics.reset();
  assertEquals([b.seen.int, b.pics.elcr.levels, b.pics.int], [false, 0, false]);
});
