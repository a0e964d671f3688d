// SPDX-License-Identifier: MIT
// Waveforms are those of the timing diagrams in the 8254 datasheet ("Mode 0" to "Mode 5" figures), clock by clock.
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { I8254, nsToPitTick, PIT_HZ, pitTickToNs } from "./i8254.ts";

const CW = 3;

class Rig {
  clock = new ManualClock();
  edges: number[] = []; // ticks of rising edges
  level = false;
  pit = new I8254("pit", {
    clock: this.clock,
    irq: {
      set: (on) => {
        if (on && !this.level) this.edges.push(nsToPitTick(this.clock.nowNs()));
        this.level = on;
      },
    },
  });
  #tick = 0;

  /** Goes `n` input clocks ahead. */
  run(n = 1): this {
    this.#tick += n;
    this.clock.advance(pitTickToNs(this.#tick) - this.clock.nowNs());
    return this;
  }
  write(offset: number, ...bytes: number[]): this {
    for (const byte of bytes) this.pit.writePort(offset, 1, byte);
    return this;
  }
  read(offset: number): number {
    return this.pit.readPort(offset, 1);
  }
  word(offset: number): number {
    return this.read(offset) | (this.read(offset) << 8);
  }
  /** OUT of channel 2 in the next `n` clocks, one character each. */
  wave(n: number): string {
    let s = "";
    for (let i = 0; i < n; i++) s += this.run().pit.out(2) ? "1" : "0";
    return s;
  }
  gate(level: boolean): this {
    this.pit.setGate(2, level);
    return this;
  }
}

Deno.test("I8254 tick and time conversions agree at every boundary", () => {
  for (let tick = 0; tick < 3000; tick += 7) {
    for (const t of [tick, tick * 1_000_003]) {
      const ns = pitTickToNs(t);
      assertEquals([nsToPitTick(ns), ns === 0 ? -1 : nsToPitTick(ns - 1)], [t, t - 1]);
    }
  }
  assertEquals(nsToPitTick(1e9), PIT_HZ);
});

Deno.test("I8254 at power-on counts nothing and holds its IRQ low", () => {
  const rig = new Rig();
  rig.run(200_000);
  assertEquals([rig.level, rig.edges, rig.pit.out(0), rig.pit.out(2)], [false, [], false, false]);
  assertEquals(rig.read(CW), 0xff);
});

Deno.test("I8254 mode 0: OUT high N+1 clocks after the count, and count 4,3,2,1,0,FFFF,FFFE", () => {
  const rig = new Rig().gate(true).write(CW, 0x90).write(2, 4);
  assertEquals(rig.pit.out(2), false);
  const counts = [];
  let out = "";
  for (let i = 0; i < 7; i++) {
    out += rig.run().pit.out(2) ? "1" : "0";
    counts.push(rig.write(CW, 0x80).read(2)); // counter latch
  }
  assertEquals(out, "0000111");
  assertEquals(counts, [4, 3, 2, 1, 0, 0xff, 0xfe]);
});

Deno.test("I8254 mode 0: GATE low stops counting; a new count starts over", () => {
  const rig = new Rig().gate(true).write(CW, 0x90).write(2, 3);
  rig.run(2).gate(false); // count is 2
  assertEquals(rig.wave(10), "0000000000");
  assertEquals(rig.read(2), 2);
  rig.gate(true);
  assertEquals(rig.wave(3), "011");
  rig.write(2, 2);
  assertEquals(rig.wave(4), "0011");
});

Deno.test("I8254 mode 0: the first of two count bytes stops counting and takes OUT low", () => {
  const rig = new Rig().gate(true).write(CW, 0xb0).write(2, 2, 0).run(5);
  assertEquals(rig.pit.out(2), true);
  rig.write(2, 3);
  assertEquals(rig.wave(10), "0000000000");
  rig.write(2, 0);
  assertEquals(rig.wave(5), "00011");
});

Deno.test("I8254 mode 0: a count written with GATE low is loaded, and takes N clocks after GATE", () => {
  const rig = new Rig().write(CW, 0x90).write(2, 3);
  assertEquals(rig.wave(6), "000000");
  assertEquals(rig.gate(true).wave(4), "0011");
});

Deno.test("I8254 mode 1: one-shot of N clocks from the trigger, retriggerable", () => {
  const rig = new Rig().write(CW, 0x92).write(2, 3);
  assertEquals(rig.wave(4), "1111");
  rig.gate(true);
  assertEquals(rig.wave(5), "00011");
  rig.gate(false).gate(true);
  assertEquals(rig.wave(2), "00");
  rig.gate(false).gate(true);
  assertEquals(rig.wave(5), "00011");
  rig.gate(false).gate(true).run().write(2, 5); // takes effect with the next trigger only
  assertEquals(rig.wave(3), "001");
  rig.gate(false).gate(true);
  assertEquals(rig.wave(7), "0000011");
});

Deno.test("I8254 mode 2: low for the last clock of every N; GATE low forces high and restarts", () => {
  const rig = new Rig().gate(true).write(CW, 0x94).write(2, 3);
  assertEquals(rig.wave(9), "110110110");
  rig.gate(false);
  assertEquals(rig.wave(5), "11111");
  rig.gate(true);
  assertEquals(rig.wave(6), "110110");
});

Deno.test("I8254 mode 2: a new count waits for the end of the cycle", () => {
  const rig = new Rig().gate(true).write(CW, 0x94).write(2, 4).run(2);
  rig.write(2, 5).write(CW, 0xe8); // read-back: status of channel 2
  assertEquals(rig.read(2), 0xd4); // OUT, null count, LSB only, mode 2
  assertEquals(rig.wave(8), "10111101");
  rig.write(CW, 0xe8);
  assertEquals(rig.read(2) & 0x40, 0);
});

Deno.test("I8254 mode 3: half high, half low; an odd count is high one clock longer", () => {
  const even = new Rig().gate(true).write(CW, 0x96).write(2, 4);
  assertEquals(even.wave(12), "110011001100");
  const odd = new Rig().gate(true).write(CW, 0x96).write(2, 5);
  assertEquals(odd.wave(15), "111001110011100");
  odd.gate(false);
  assertEquals(odd.wave(3), "111");
  odd.gate(true);
  assertEquals(odd.wave(5), "11100");
});

Deno.test("I8254 mode 3 counts by two: 4,2,4,2 and 4,2,0,4,2 for 5", () => {
  const even = new Rig().gate(true).write(CW, 0x96).write(2, 4).run();
  assertEquals([0, 1, 2, 3].map((i) => even.run(i ? 1 : 0).read(2)), [4, 2, 4, 2]);
  const odd = new Rig().gate(true).write(CW, 0x96).write(2, 5).run();
  assertEquals([0, 1, 2, 3, 4, 5].map((i) => odd.run(i ? 1 : 0).read(2)), [4, 2, 0, 4, 2, 4]);
});

Deno.test("I8254 mode 3: a new count waits for the end of the half cycle", () => {
  const high = new Rig().gate(true).write(CW, 0x96).write(2, 6).run(2); // one clock into the high half
  high.write(2, 4);
  assertEquals(high.wave(8), "10011001");
  const low = new Rig().gate(true).write(CW, 0x96).write(2, 6).run(5); // one clock into the low half
  low.write(2, 4);
  assertEquals(low.wave(6), "011001");
});

Deno.test("I8254 mode 4: strobe of one clock N+1 clocks after the count; GATE low holds the count", () => {
  const rig = new Rig().gate(true).write(CW, 0x98).write(2, 3);
  assertEquals(rig.wave(7), "1110111");
  rig.write(2, 3).run(2).gate(false);
  assertEquals(rig.wave(4), "1111");
  rig.gate(true);
  assertEquals(rig.wave(4), "1011");
});

Deno.test("I8254 mode 5: strobe N+1 clocks after the trigger; GATE low does not matter", () => {
  const rig = new Rig().write(CW, 0x9a).write(2, 3);
  assertEquals(rig.wave(6), "111111");
  rig.gate(true);
  assertEquals(rig.run().pit.out(2), true);
  rig.gate(false);
  assertEquals(rig.wave(5), "11011");
});

for (
  const [mode, count, edges] of [
    [0, 10, [11]],
    [2, 10, [0, 11, 21, 31, 41]],
    [3, 10, [0, 11, 21, 31, 41]],
    [4, 10, [0, 12]],
  ] as const
) {
  Deno.test(`I8254 mode ${mode} raises the IRQ of channel 0 at clocks ${edges}`, () => {
    const rig = new Rig().write(CW, 0x30 | mode << 1).write(0, count, 0).run(45);
    assertEquals(rig.edges, [...edges]);
    rig.write(CW, 0x30); // mode 0: OUT low, no more
    rig.run(100);
    assertEquals([rig.level, rig.edges.length], [false, edges.length]);
  });
}

Deno.test("I8254 keeps its IRQ period when the count changes on the fly", () => {
  const rig = new Rig().write(CW, 0x34).write(0, 10, 0).run(5).write(0, 20, 0).run(50);
  assertEquals(rig.edges, [0, 11, 31, 51]);
});

Deno.test("I8254 makes one edge of the periods that passed unpolled", () => {
  let now = 0;
  let rises = 0;
  const clock = { nowNs: () => now, at: (deadlineNs: number) => ({ deadlineNs, cancel: () => {} }) };
  const pit = new I8254("pit", { clock, irq: { set: (on) => void (on && rises++) } });
  pit.writePort(CW, 1, 0x34);
  for (const b of [100, 0]) pit.writePort(0, 1, b);
  rises = 0;
  now = 1e9;
  pit.readPort(0, 1);
  assertEquals(rises, 1);
});

Deno.test("I8254 illegal counts and forbidden BCD digits neither hang nor fire", () => {
  for (const mode of [2, 3]) {
    const rig = new Rig().write(CW, 0x30 | mode << 1).write(0, 1, 0).run(1000);
    assertEquals([rig.edges, rig.clock.size], [[0], 0]);
  }
  const rig = new Rig().write(CW, 0x35).write(0, 0xff, 0xff).run(2);
  assertEquals(rig.word(0), 0x6664); // 15*1111 = 16665; the figure has 4 digits
});

Deno.test("I8254 counter latch holds until read, and a second latch is ignored", () => {
  const rig = new Rig().write(CW, 0x34).write(0, 0x34, 0x12).run(5);
  rig.write(CW, 0x00).run(100).write(CW, 0x00);
  assertEquals(rig.word(0), 0x1230);
  assertEquals(rig.word(0), 0x1234 - 104);
});

Deno.test("I8254 reads LSB only, MSB only, or LSB then MSB as programmed", () => {
  for (const [rw, expected] of [[1, [0x00, 0x00]], [2, [0x80, 0x80]], [3, [0x00, 0x80]]] as const) {
    const rig = new Rig().write(CW, 0x34).write(0, 0, 0x80).write(CW, rw << 4 | 4);
    if (rw !== 1) rig.write(0, ...(rw === 3 ? [0, 0x80] : [0x80]));
    else rig.write(0, 0);
    rig.run();
    assertEquals([rig.read(0), rig.read(0)], [...expected]);
  }
});

Deno.test("I8254 read-back latches status and counts of several channels; status comes first", () => {
  const rig = new Rig().gate(true).write(CW, 0x34, 0xb6).write(0, 0x10, 0).write(2, 0x00, 0x02).run(3);
  rig.write(CW, 0xca).run(5); // count and status of channels 0 and 2
  assertEquals(rig.read(0), 0xb4); // OUT, RW 3, mode 2
  assertEquals(rig.word(0), 0x0e);
  assertEquals(rig.read(2), 0xb6);
  assertEquals(rig.word(2), 0x1fc);
  rig.write(CW, 0xb0, 0xe8); // control word for channel 2, then status: OUT low, null count
  assertEquals(rig.read(2), 0x70);
});

Deno.test("I8254 counts in BCD: 0 is 10000, and goes 9999, 9998", () => {
  const rig = new Rig().gate(true).write(CW, 0xb1).write(2, 0, 0).run(2);
  assertEquals(rig.word(2), 0x9999);
  rig.write(2, 0x00, 0x10).run(2);
  assertEquals(rig.word(2), 0x0999);
  rig.run(1000);
  assertEquals([rig.word(2), rig.pit.out(2)], [0x9999, true]);
});

Deno.test("I8254 takes the low byte of a wider access and wraps offsets", () => {
  const rig = new Rig();
  rig.pit.writePort(7, 2, 0xff14);
  rig.pit.writePort(4, 4, 0xffff_ff09);
  rig.run(3);
  assertEquals(rig.pit.readPort(0, 4), 7);
});

Deno.test("I8254 goes on the same after save and restore in mid-count, half-written and latched", () => {
  const a = new Rig().gate(true).write(CW, 0x34).write(0, 100, 0).write(CW, 0xb0).write(2, 0x55).run(30);
  a.write(CW, 0x00);
  const b = new Rig().run(30);
  b.pit.restore(structuredClone(a.pit.save()));
  b.edges = [];
  assertEquals(b.word(0), 71);
  b.write(2, 0x01).run(1);
  assertEquals(b.word(2), 0x155);
  b.run(100);
  assertEquals(b.edges, [101]);
  b.pit.reset();
  b.run(1000);
  assertEquals([b.edges, b.level, b.clock.size], [[101], false, 0]);
});
