// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { MiB } from "../../cpu/base/bits.ts";
import { A, B, C, CENTURY, D, Mc146818 } from "./mc146818.ts";

const SECOND = 1e9;
const MS = 1e6;
/** 2025-07-09 13:05:58 UTC, a Wednesday (`date -u -d @1752066358`). */
const START = 1_752_066_358;

class Rig {
  level = false;
  rises = 0;
  rtc: Mc146818;
  constructor(readonly clock = new ManualClock(), start = START) {
    this.rtc = new Mc146818("rtc", {
      clock,
      irq: {
        set: (on) => {
          if (on && !this.level) this.rises++;
          this.level = on;
        },
      },
      wall: () => start + clock.nowNs() / 1e9,
    });
  }
  read(index: number): number {
    this.rtc.writePort(0, 1, index);
    return this.rtc.readPort(1, 1);
  }
  write(index: number, value: number): this {
    this.rtc.writePort(0, 1, index);
    this.rtc.writePort(1, 1, value);
    return this;
  }
  /** Century, year, month, date, day of week, hours, minutes, seconds. */
  time(): number[] {
    return [CENTURY, 9, 8, 7, 6, 4, 2, 0].map((index) => this.read(index));
  }
}

Deno.test("Mc146818 at power-on: 32.768 kHz and 1024 Hz, BCD, 24 hours, no interrupt, valid RAM", () => {
  const rig = new Rig();
  assertEquals([rig.read(A), rig.read(B), rig.read(C), rig.read(D)], [0x26, 0x02, 0x00, 0x80]);
  assertEquals([rig.level, rig.clock.size], [false, 0]);
  assertEquals(rig.rtc.readPort(0, 1), 0xff);
});

Deno.test("Mc146818 tells the time in BCD and binary, 24 and 12 hours", () => {
  const rig = new Rig();
  assertEquals(rig.time(), [0x20, 0x25, 0x07, 0x09, 0x04, 0x13, 0x05, 0x58]);
  rig.write(B, 0x06);
  assertEquals(rig.time(), [20, 25, 7, 9, 4, 13, 5, 58]);
  rig.write(B, 0x00);
  assertEquals(rig.read(4), 0x81);
  rig.clock.advance(2 * SECOND);
  assertEquals([rig.read(2), rig.read(0)], [0x06, 0x00]);
  rig.clock.advance(11 * 3600 * SECOND);
  assertEquals(rig.read(4), 0x12); // midnight is 12 AM
  rig.clock.advance(12 * 3600 * SECOND);
  assertEquals(rig.read(4), 0x92);
});

Deno.test("Mc146818 takes a time set with SET, keeps it still meanwhile, and runs on from it", () => {
  const rig = new Rig();
  rig.clock.advance(300 * MS);
  rig.write(B, 0x82).write(CENTURY, 0x19).write(9, 0x99).write(8, 0x12).write(7, 0x31).write(4, 0x23);
  rig.write(2, 0x59).write(0, 0x59);
  rig.clock.advance(5 * SECOND);
  assertEquals(rig.time(), [0x19, 0x99, 0x12, 0x31, 0x04, 0x23, 0x59, 0x59]);
  rig.write(B, 0x02);
  rig.clock.advance(699 * MS);
  assertEquals(rig.read(0), 0x59); // the divider went on during SET
  rig.clock.advance(1 * MS);
  assertEquals(rig.time(), [0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00]); // a Saturday
});

Deno.test("Mc146818's first update comes 500 ms after a divider reset", () => {
  const rig = new Rig();
  rig.clock.advance(900 * MS);
  rig.write(A, 0x76).write(0, 0x10);
  rig.clock.advance(3 * SECOND);
  assertEquals(rig.read(0), 0x10);
  rig.write(A, 0x26);
  rig.clock.advance(499 * MS);
  assertEquals(rig.read(0), 0x10);
  rig.clock.advance(1 * MS);
  assertEquals(rig.read(0), 0x11);
});

Deno.test("Mc146818 takes a register written without SET, and 12-hour time", () => {
  const rig = new Rig().write(4, 0x07);
  rig.clock.advance(3 * SECOND);
  assertEquals(rig.time(), [0x20, 0x25, 0x07, 0x09, 0x04, 0x07, 0x06, 0x01]);
  rig.write(B, 0x04).write(4, 0x8c); // 12 PM in binary
  rig.write(B, 0x06);
  assertEquals(rig.read(4), 12);
});

Deno.test("Mc146818 shows UIP for 2228 us before the second, and not while SET", () => {
  const rig = new Rig();
  rig.clock.advance(SECOND - 2_229_000);
  assertEquals(rig.read(A) & 0x80, 0);
  rig.clock.advance(2000);
  assertEquals([rig.read(A) & 0x80, rig.read(0)], [0x80, 0x58]);
  rig.clock.advance(2_227_000);
  assertEquals([rig.read(A) & 0x80, rig.read(0)], [0, 0x59]);
  rig.write(B, 0x82);
  rig.clock.advance(SECOND - 1_000_000);
  assertEquals(rig.read(A) & 0x80, 0);
});

Deno.test("Mc146818 update-ended interrupt: once a second, down at the read of C", () => {
  const rig = new Rig();
  rig.read(C);
  rig.write(B, 0x12);
  rig.clock.advance(SECOND - 1);
  assertEquals(rig.level, false);
  rig.clock.advance(1000);
  assertEquals([rig.level, rig.read(C), rig.level, rig.read(C)], [true, 0xd0, false, 0]); // PF too: 1024 Hz
  rig.clock.advance(5 * SECOND);
  assertEquals([rig.rises, rig.read(C)], [2, 0xd0]); // nobody read C meanwhile: the pin stayed up
  rig.write(B, 0x92); // SET clears UIE
  assertEquals(rig.read(B), 0x82);
  rig.clock.advance(5 * SECOND);
  assertEquals([rig.level, rig.clock.size], [false, 0]);
});

Deno.test("Mc146818 raises its pin at once when a flag that is set becomes enabled", () => {
  const rig = new Rig();
  rig.clock.advance(2 * SECOND);
  rig.write(B, 0x12);
  assertEquals(rig.level, true);
  rig.write(B, 0x02);
  assertEquals(rig.level, false);
});

for (
  const [name, hours, minutes, seconds, afterSeconds] of [
    ["exact time", 0x13, 0x06, 0x30, 32],
    ["any hour, tomorrow's minute", 0xff, 0x05, 0x57, 3599],
    ["every second", 0xff, 0xff, 0xff, 1],
    ["every minute", 0xc0, 0xc0, 0x00, 2],
    ["tomorrow", 0x13, 0x05, 0x58, 86_400],
    ["no such time", 0x13, 0x05, 0x7f, 0],
  ] as const
) {
  Deno.test(`Mc146818 alarm: ${name}`, () => {
    const rig = new Rig().write(5, hours).write(3, minutes).write(1, seconds).write(A, 0x20);
    rig.read(C);
    rig.write(B, 0x22);
    if (afterSeconds === 0) {
      assertEquals(rig.clock.size, 0);
      rig.clock.advance(90_000 * SECOND);
      assertEquals([rig.level, rig.read(C)], [false, 0x10]);
      return;
    }
    rig.clock.advance(afterSeconds * SECOND - MS);
    assertEquals(rig.level, false);
    rig.clock.advance(2 * MS);
    assertEquals([rig.level, rig.read(C), rig.level], [true, 0xb0, false]);
  });
}

Deno.test("Mc146818 sees an alarm that passed unwatched, and 12-hour alarms", () => {
  const rig = new Rig().write(B, 0x00).write(5, 0x81).write(3, 0x06).write(1, 0x00); // 1:06:00 PM
  rig.clock.advance(3600 * SECOND);
  assertEquals(rig.read(C) & 0x20, 0x20);
  rig.clock.advance(3600 * SECOND);
  assertEquals(rig.read(C) & 0x20, 0);
});

// Datasheet table 5, 32.768 kHz.
for (const [rs, hz] of [[1, 256], [2, 128], [3, 8192], [6, 1024], [13, 8], [15, 2]] as const) {
  Deno.test(`Mc146818 periodic interrupt: rate select ${rs} is ${hz} Hz`, () => {
    const rig = new Rig();
    rig.write(A, 0x20 | rs).write(B, 0x42);
    rig.read(C);
    rig.rises = 0;
    for (let i = 0; i < 20; i++) {
      rig.clock.advance(Math.ceil(SECOND / hz) + 1000);
      assertEquals(rig.read(C) & 0xc0, 0xc0);
    }
    assertEquals(rig.rises, 20);
    rig.write(A, 0x20); // rate 0: off
    rig.read(C);
    rig.clock.advance(SECOND);
    assertEquals([rig.level, rig.clock.size], [false, 0]);
  });
}

Deno.test("Mc146818 keeps 114 bytes of RAM over reset; A's UIP, C and D cannot be written", () => {
  const rig = new Rig();
  for (let i = 0x0e; i < 128; i++) if (i !== CENTURY) rig.write(i, i ^ 0x5a);
  rig.write(B, 0x7a).write(C, 0xff).write(D, 0);
  rig.rtc.reset();
  assertEquals([rig.read(B), rig.read(C), rig.read(D)], [0x02, 0, 0x80]);
  for (let i = 0x0e; i < 128; i++) if (i !== CENTURY) assertEquals(rig.read(i), i ^ 0x5a);
  rig.write(A, 0xa6);
  assertEquals(rig.read(A), 0x26);
});

Deno.test("Mc146818 keeps the time a guest set over reset", () => {
  const rig = new Rig().write(4, 0x07);
  rig.rtc.reset();
  assertEquals(rig.read(4), 0x07);
});

Deno.test("Mc146818 index bit 7 masks NMI and does not change the index", () => {
  const rig = new Rig();
  assertEquals([rig.read(0x80 | D), rig.rtc.nmiMasked], [0x80, true]);
  assertEquals([rig.read(D), rig.rtc.nmiMasked], [0x80, false]);
});

Deno.test("Mc146818 memory size bytes: 128 MiB, and 3 GiB with 5 GiB above", () => {
  const rig = new Rig();
  const word = (i: number) => rig.read(i) | rig.read(i + 1) << 8;
  rig.rtc.setMemorySize(128 * MiB);
  assertEquals([word(0x15), word(0x17), word(0x30), word(0x34)], [640, 0xffff, 0xffff, 0x700]);
  rig.rtc.setMemorySize(3072 * MiB, 5120 * MiB);
  assertEquals([word(0x34), word(0x5b), rig.read(0x5d)], [0xbf00, 0x4000, 1]);
  rig.rtc.setMemorySize(16 * MiB);
  assertEquals([word(0x17), word(0x34), word(0x5b)], [15 * 1024, 0, 0]);
  rig.rtc.setByte(A, 0xff);
  rig.rtc.setByte(0x3d, 0x1ff);
  assertEquals([rig.read(A) & 0x7f, rig.read(0x3d)], [0x26, 0xff]);
});

Deno.test("Mc146818 survives any register values: time goes on, whatever was written", () => {
  const rig = new Rig();
  for (const junk of [0xff, 0x00, 0xaa, 0x7f]) {
    for (const b of [0x80, 0x82, 0x84, 0x86]) {
      rig.write(B, b);
      for (const i of [0, 2, 4, 6, 7, 8, 9, CENTURY, 1, 3, 5]) rig.write(i, junk);
      rig.write(B, (b & 0x7f) | 0x70);
      rig.clock.advance(3 * SECOND);
      assertEquals(rig.read(C) & 0x90, 0x90);
      for (const value of rig.time()) {
        assertEquals(Number.isInteger(value) && value >= 0 && value < 256, true);
      }
    }
  }
});

Deno.test("Mc146818 takes the low byte of wide accesses and has one address line", () => {
  const rig = new Rig();
  rig.rtc.writePort(2, 4, 0x1234_560d);
  assertEquals([rig.rtc.readPort(3, 4), rig.rtc.readPort(1, 2)], [0x80, 0x80]);
});

Deno.test("Mc146818 goes on the same after save and restore, in SET and with an alarm armed", () => {
  const a = new Rig().write(5, 0xff).write(3, 0xff).write(1, 0x05).write(A, 0x20).write(B, 0x22);
  a.write(4, 0x07).read(C);
  const b = new Rig(a.clock);
  b.rtc.restore(structuredClone(a.rtc.save()));
  a.clock.advance(6 * SECOND);
  assertEquals([b.level, b.read(4)], [false, 0x07]);
  a.clock.advance(1 * SECOND + MS);
  assertEquals([b.level, b.read(C)], [true, 0xb0]);
  b.write(B, 0x82).write(0, 0x42);
  const c = new Rig(a.clock);
  c.rtc.restore(b.rtc.save());
  assertEquals(c.read(0), 0x42);
  c.write(B, 0x02);
  a.clock.advance(SECOND);
  assertEquals(c.read(0), 0x43);
});
