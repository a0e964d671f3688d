// SPDX-License-Identifier: MIT
// Expected values are those of the SDM, Vol. 3A chapter "APIC", unless a test says otherwise.
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { Lapic } from "./lapic.ts";

const [TPR, PPR, EOI, LDR, DFR, SVR] = [0x80, 0xa0, 0xb0, 0xd0, 0xe0, 0xf0];
const [ISR, TMR, IRR, ESR, ICR, ICR2] = [0x100, 0x180, 0x200, 0x280, 0x300, 0x310];
const [LVT_TIMER, LINT0, LINT1, LVT_ERROR, TMICT, TMCCT, TDCR] = [
  0x320,
  0x350,
  0x360,
  0x370,
  0x380,
  0x390,
  0x3e0,
];
const [APIC_BASE, TSC_DEADLINE] = [0x1b, 0x6e0];

class Rig {
  clock: ManualClock;
  intr = false;
  eois: number[] = [];
  nmis = 0;
  inits = 0;
  mapped: (number | undefined)[] = [];
  extInt: number[] = [];
  lapic: Lapic;
  constructor(clock = new ManualClock()) {
    this.clock = clock;
    this.lapic = new Lapic("lapic", {
      clock,
      timerHz: 1e9,
      tscToNs: (tsc) => Number(tsc) / 2, // a 2 GHz TSC
      intr: { set: (on) => void (this.intr = on) },
      eoi: (vector) => void this.eois.push(vector),
      extInt: () => {
        const vector = this.extInt.shift() ?? -1;
        if (this.extInt.length === 0) this.lapic.setLint(0, false);
        return vector;
      },
      nmi: () => void this.nmis++,
      init: () => void this.inits++,
      mapped: (base) => void this.mapped.push(base),
    });
  }
  on(): this {
    return this.write(SVR, 0x1ff);
  }
  x2(): this {
    this.lapic.writeMsr(APIC_BASE, 0xfee0_0d00n);
    return this;
  }
  read(offset: number): number {
    return this.lapic.readMmio(offset, 4);
  }
  write(offset: number, value: number): this {
    this.lapic.writeMmio(offset, 4, value);
    return this;
  }
  take(): number {
    return this.lapic.acknowledge();
  }
}

for (
  const [name, offset, expected] of [
    ["ID", 0x20, 0],
    ["version", 0x30, 0x0005_0014],
    ["TPR", TPR, 0],
    ["PPR", PPR, 0],
    ["LDR", LDR, 0],
    ["DFR", DFR, 0xffff_ffff],
    ["SVR", SVR, 0xff],
    ["ISR 0", ISR, 0],
    ["TMR 7", TMR + 0x70, 0],
    ["IRR 3", IRR + 0x30, 0],
    ["ESR", ESR, 0],
    ["ICR", ICR, 0],
    ["LVT timer", LVT_TIMER, 0x1_0000],
    ["LVT LINT0", LINT0, 0x1_0000],
    ["LVT error", LVT_ERROR, 0x1_0000],
    ["initial count", TMICT, 0],
    ["current count", TMCCT, 0],
    ["divide configuration", TDCR, 0],
  ] as const
) {
  Deno.test(`Lapic after power-on and after reset: ${name}`, () => {
    const rig = new Rig();
    assertEquals(rig.read(offset), expected);
    rig.on().write(TPR, 0x55).write(LINT0, 0x731).write(LVT_TIMER, 0x2_0031).write(TMICT, 99).write(
      TDCR,
      0xb,
    );
    rig.write(LDR, 0xff00_0000).write(DFR, 0).write(LVT_ERROR, 0x33);
    rig.lapic.reset();
    assertEquals([rig.read(offset), rig.intr, rig.clock.nextDeadlineNs()], [expected, false, Infinity]);
  });
}

Deno.test("Lapic takes nothing while software-disabled, and masks its LVT", () => {
  const rig = new Rig();
  assertEquals(rig.lapic.inject(0x40), false);
  rig.write(LINT0, 0x700);
  assertEquals(rig.read(LINT0), 0x1_0700);
  rig.on().write(LINT0, 0x700).write(LVT_TIMER, 0x31);
  assertEquals([rig.read(LINT0), rig.read(LVT_TIMER)], [0x700, 0x31]);
  rig.write(SVR, 0xff);
  assertEquals([rig.read(LINT0), rig.read(LVT_TIMER)], [0x1_0700, 0x1_0031]);
});

Deno.test("Lapic moves a vector from IRR to ISR and out at EOI; EOI of an edge is not broadcast", () => {
  const rig = new Rig().on();
  assertEquals(rig.lapic.inject(0x63), true);
  assertEquals([rig.intr, rig.read(IRR + 0x30), rig.read(ISR + 0x30)], [true, 8, 0]);
  assertEquals(rig.take(), 0x63);
  assertEquals([rig.intr, rig.read(IRR + 0x30), rig.read(ISR + 0x30), rig.read(PPR)], [false, 0, 8, 0x60]);
  rig.write(EOI, 0);
  assertEquals([rig.read(ISR + 0x30), rig.read(PPR), rig.eois], [0, 0, []]);
  rig.write(EOI, 0); // nothing in service
  assertEquals([rig.take(), rig.lapic.pending], [-1, false]);
});

Deno.test("Lapic nests by priority class: the higher four bits decide", () => {
  const rig = new Rig().on();
  rig.lapic.inject(0x51);
  assertEquals(rig.take(), 0x51);
  rig.lapic.inject(0x5f); // same class: waits
  rig.lapic.inject(0x41);
  assertEquals(rig.intr, false);
  rig.lapic.inject(0x60);
  assertEquals([rig.intr, rig.take()], [true, 0x60]);
  rig.write(EOI, 0);
  assertEquals(rig.intr, false);
  rig.write(EOI, 0);
  assertEquals(rig.take(), 0x5f);
  rig.write(EOI, 0);
  assertEquals(rig.take(), 0x41);
});

Deno.test("Lapic TPR and CR8 hold vectors back", () => {
  const rig = new Rig().on().write(TPR, 0x4f);
  rig.lapic.inject(0x4f);
  assertEquals([rig.intr, rig.lapic.cr8, rig.read(PPR)], [false, 4, 0x4f]);
  rig.lapic.cr8 = 3;
  assertEquals([rig.intr, rig.read(TPR)], [true, 0x30]);
  rig.lapic.cr8 = 15;
  assertEquals([rig.intr, rig.take()], [false, -1]);
  rig.write(TPR, 0);
  assertEquals(rig.take(), 0x4f);
  rig.write(TPR, 0x42); // PPR is TPR when its class is not below the one in service
  assertEquals(rig.read(PPR), 0x42);
  rig.write(TPR, 0x3f);
  assertEquals(rig.read(PPR), 0x40);
});

Deno.test("Lapic broadcasts the EOI of a level-triggered vector, and TMR follows the last message", () => {
  const rig = new Rig().on();
  assertEquals(rig.lapic.receive(0x71, 0, true, 0, false), true);
  assertEquals(rig.read(TMR + 0x30), 1 << 17);
  rig.take();
  rig.write(EOI, 0);
  assertEquals(rig.eois, [0x71]);
  rig.lapic.receive(0x71, 0, false, 0, false);
  assertEquals(rig.read(TMR + 0x30), 0);
});

for (
  const [name, dfr, ldr, destination, logical, taken] of [
    ["physical, ours", -1, 0, 0, false, true],
    ["physical, another", -1, 0, 1, false, false],
    ["physical, broadcast", -1, 0, 0xff, false, true],
    ["flat, ours", -1, 0x0600_0000, 0x04, true, true],
    ["flat, another", -1, 0x0600_0000, 0x09, true, false],
    ["cluster, ours", 0, 0x2100_0000, 0x23, true, true],
    ["cluster, other member", 0, 0x2100_0000, 0x22, true, false],
    ["cluster, other cluster", 0, 0x2100_0000, 0x31, true, false],
    ["logical broadcast", 0, 0x2100_0000, 0xff, true, true],
  ] as const
) {
  Deno.test(`Lapic destination: ${name}`, () => {
    const rig = new Rig().on().write(DFR, dfr).write(LDR, ldr);
    assertEquals(rig.lapic.receive(0x41, 1, false, destination, logical), taken);
    assertEquals(rig.take(), taken ? 0x41 : -1);
  });
}

Deno.test("Lapic messages: NMI, INIT and ExtINT; start-up means nothing to a CPU that runs", () => {
  const rig = new Rig().on();
  assertEquals([rig.lapic.receive(0, 4, false, 0, false), rig.nmis], [true, 1]);
  assertEquals([rig.lapic.receive(0, 5, true, 0, false), rig.lapic.receive(8, 6, false, 0, false)], [
    true,
    true,
  ]);
  assertEquals([rig.intr, rig.inits], [false, 1]);
  rig.extInt = [0x20];
  rig.lapic.receive(0, 7, false, 0, false);
  assertEquals([rig.intr, rig.take(), rig.intr], [true, 0x20, false]);
});

Deno.test("Lapic ESR: illegal vectors and registers, latched by a write, one interrupt per kind", () => {
  const rig = new Rig().on().write(LVT_ERROR, 0x3e);
  assertEquals(rig.lapic.inject(0x0f), false); // received illegal vector
  assertEquals([rig.read(ESR), rig.take()], [0, 0x3e]);
  rig.write(EOI, 0).write(ICR, 0x4_4005); // send illegal vector, to self
  assertEquals(rig.take(), 0x3e);
  rig.write(EOI, 0);
  assertEquals([rig.read(0x3f0), rig.take()], [0, 0x3e]); // self IPI: no such register in xAPIC mode
  rig.write(EOI, 0).write(0x400, 1).write(ESR, 0);
  assertEquals([rig.intr, rig.read(ESR)], [false, 0xe0]);
  rig.write(ESR, 0);
  assertEquals(rig.read(ESR), 0);
  rig.write(LVT_ERROR, 0x05); // the error interrupt is illegal itself: no recursion
  rig.lapic.inject(1);
  rig.write(ESR, 0);
  assertEquals([rig.read(ESR), rig.intr], [0x40, false]);
});

for (
  const [name, icr2, icr, vector] of [
    ["self", 0, 0x4_4081, 0x81],
    ["all including self", 0, 0x8_4081, 0x81],
    ["all excluding self", 0, 0xc_4081, -1],
    ["physical 0", 0, 0x4081, 0x81],
    ["physical 1", 0x0100_0000, 0x4081, -1],
    ["broadcast", 0xff00_0000, 0x4081, 0x81],
    ["logical", 0x0100_0000, 0x4881, 0x81],
    ["lowest priority", 0, 0x4181, 0x81],
    ["INIT to self", 0, 0x4500, -1],
    ["start-up to another", 0x0100_0000, 0x4608, -1],
  ] as const
) {
  Deno.test(`Lapic ICR in xAPIC mode: ${name}`, () => {
    const rig = new Rig().on().write(LDR, 0x0100_0000).write(ICR2, icr2).write(ICR, icr);
    assertEquals([rig.take(), rig.read(ICR2), rig.read(ICR)], [vector, icr2, icr]);
  });
}

for (
  const [name, icr2, icr, inits] of [
    ["physical", 0, 0x4500, 1],
    ["physical, level assert", 0, 0xc500, 1],
    ["level de-assert", 0, 0x8500, 0],
    ["logical", 0x0100_0000, 0x4d00, 1],
    ["all including self", 0, 0x8_4500, 1],
    ["all but self", 0, 0xc_4500, 0],
    ["another", 0x0100_0000, 0x4500, 0],
    ["start-up", 0, 0x4608, 0],
  ] as const
) {
  Deno.test(`Lapic ICR sends INIT: ${name}`, () => {
    const rig = new Rig().on().write(LDR, 0x0100_0000).write(ICR2, icr2).write(ICR, icr);
    assertEquals([rig.inits, rig.take()], [inits, -1]);
  });
}

Deno.test("Lapic ICR sends NMI to self; delivery status always reads idle", () => {
  const rig = new Rig().on().write(ICR, 0x5400);
  assertEquals([rig.nmis, rig.read(ICR)], [1, 0x4400]);
});

Deno.test("Lapic LINT0 as ExtINT passes the 8259's INT, before our own vectors, and follows its level", () => {
  const rig = new Rig();
  rig.lapic.setVirtualWire();
  assertEquals([rig.read(SVR), rig.read(LINT0), rig.read(LINT1)], [0x1ff, 0x700, 0x400]);
  rig.lapic.setLint(0, true);
  assertEquals(rig.intr, true);
  rig.lapic.setLint(0, false);
  assertEquals([rig.intr, rig.take()], [false, -1]);
  rig.extInt = [0x21, 0x22];
  rig.lapic.setLint(0, true);
  rig.lapic.inject(0xf0);
  assertEquals([rig.take(), rig.take(), rig.take(), rig.intr], [0x21, 0x22, 0xf0, false]);
  rig.extInt = [0x23];
  rig.lapic.setLint(0, true);
  rig.write(LINT0, 0x1_0700);
  assertEquals(rig.intr, false);
});

Deno.test("Lapic LINT0 as fixed edge, fixed level and NMI", () => {
  const rig = new Rig().on().write(LINT0, 0x35);
  rig.lapic.setLint(0, true);
  assertEquals([rig.take(), rig.take()], [0x35, -1]);
  rig.write(EOI, 0).write(LINT0, 0x8036); // level, and the pin is up
  assertEquals([rig.read(LINT0), rig.take()], [0xc036, 0x36]);
  rig.write(EOI, 0);
  assertEquals([rig.take(), rig.read(LINT0)], [0x36, 0xc036]); // still up: again
  rig.lapic.setLint(0, false);
  rig.write(EOI, 0);
  assertEquals([rig.take(), rig.read(LINT0)], [-1, 0x8036]);
  rig.write(LINT0, 0x8400);
  rig.lapic.setLint(0, true);
  assertEquals([rig.nmis, rig.intr], [1, false]);
});

Deno.test("Lapic LINT1 as NMI interrupts once per edge, and not when masked", () => {
  const rig = new Rig().on().write(LINT1, 0x400);
  rig.lapic.setLint(1, true);
  rig.lapic.setLint(1, true);
  assertEquals(rig.nmis, 1);
  rig.lapic.setLint(1, false);
  rig.write(LINT1, 0x1_0400);
  rig.lapic.setLint(1, true);
  assertEquals(rig.nmis, 1);
});

Deno.test("Lapic globally disabled: LINT0 is INTR, LINT1 is NMI, registers are gone, state is lost", () => {
  const rig = new Rig().on().write(TPR, 0x70);
  rig.lapic.inject(0x90);
  assertEquals(rig.lapic.writeMsr(APIC_BASE, 0xfee0_0000n), true);
  assertEquals([rig.lapic.mode, rig.mapped.at(-1), rig.intr, rig.read(SVR)], [
    "disabled",
    undefined,
    false,
    0xffff_ffff,
  ]);
  rig.extInt = [0x28];
  rig.lapic.setLint(0, true);
  assertEquals([rig.intr, rig.take()], [true, 0x28]);
  rig.lapic.setLint(1, true);
  assertEquals([rig.nmis, rig.lapic.inject(0x90), rig.lapic.receive(0x90, 0, false, 0, false)], [
    1,
    false,
    false,
  ]);
  rig.lapic.writeMsr(APIC_BASE, 0xfee0_0800n);
  assertEquals([rig.read(TPR), rig.read(SVR), rig.read(IRR + 0x40)], [0, 0xff, 0]);
});

const BASE = 0xfee0_0000n;
for (
  const [name, path, last] of [
    ["xAPIC to disabled", [0x800n], [0x000n, true]],
    ["xAPIC to x2APIC", [0x800n], [0xc00n, true]],
    ["xAPIC to EXTD alone", [0x800n], [0x400n, false]],
    ["disabled to xAPIC", [0x000n], [0x800n, true]],
    ["disabled to x2APIC", [0x000n], [0xc00n, false]],
    ["disabled to EXTD alone", [0x000n], [0x400n, false]],
    ["x2APIC to xAPIC", [0xc00n], [0x800n, false]],
    ["x2APIC to disabled", [0xc00n], [0x000n, true]],
    ["x2APIC to EXTD alone", [0xc00n], [0x400n, false]],
    ["x2APIC to itself", [0xc00n], [0xc00n, true]],
    ["reserved bit 9", [], [0xa00n, false]],
    ["reserved bit 0", [], [0x801n, false]],
    ["address past MAXPHYADDR", [], [0x800n | 1n << 40n, false]],
    ["bit 63", [], [0x800n | 1n << 63n, false]],
  ] as const
) {
  Deno.test(`Lapic IA32_APIC_BASE: ${name} ${last[1] ? "works" : "faults and changes nothing"}`, () => {
    const { lapic } = new Rig();
    for (const flags of path) assertEquals(lapic.writeMsr(APIC_BASE, BASE | flags), true);
    const before = lapic.readMsr(APIC_BASE);
    assertEquals(lapic.writeMsr(APIC_BASE, BASE | last[0]), last[1]);
    assertEquals(lapic.readMsr(APIC_BASE), last[1] ? BASE | last[0] | 0x100n : before);
  });
}

Deno.test("Lapic tells where its page goes", () => {
  const rig = new Rig();
  assertEquals(rig.lapic.readMsr(APIC_BASE), 0xfee0_0900n);
  rig.lapic.writeMsr(APIC_BASE, 0xd_0000_0900n);
  rig.x2();
  rig.lapic.reset();
  assertEquals(rig.mapped, [0xd_0000_0000, undefined, 0xfee0_0000]);
});

Deno.test("Lapic in x2APIC mode: registers by MSR, ID and LDR in 32 bits, the page is gone", () => {
  const rig = new Rig().on().x2();
  const { lapic } = rig;
  assertEquals([lapic.readMsr(0x802), lapic.readMsr(0x803), lapic.readMsr(0x80d), lapic.readMsr(0x80f)], [
    0n,
    0x0005_0014n,
    1n,
    0x1ffn,
  ]);
  assertEquals([rig.read(0x30), lapic.readMmio(0x30, 1)], [0xffff_ffff, 0xff]);
  rig.write(SVR, 0);
  assertEquals(lapic.readMsr(0x80f), 0x1ffn);
  assertEquals(lapic.writeMsr(0x808, 0x20n), true);
  lapic.inject(0x45);
  assertEquals([lapic.readMsr(0x822), rig.take(), lapic.readMsr(0x812), lapic.readMsr(0x80a)], [
    0x20n,
    0x45,
    0x20n,
    0x40n,
  ]);
  assertEquals([lapic.writeMsr(0x80b, 0n), lapic.readMsr(0x812)], [true, 0n]);
});

for (
  const [destination, logical, taken] of [[0, false, true], [3, false, false], [1, true, true], [
    2,
    true,
    false,
  ]]
) {
  Deno.test(`Lapic in x2APIC mode ${taken ? "takes" : "leaves"} 8-bit messages to ${logical ? "L" : "P"}${destination}`, () => {
    const { lapic } = new Rig().on().x2();
    assertEquals(lapic.receive(0x41, 0, false, destination as number, logical as boolean), taken as boolean);
  });
}

for (
  const [name, value, vector] of [
    ["self shorthand", 0x4_4092n, 0x92],
    ["physical 0", 0x4092n, 0x92],
    ["physical 255 is another CPU", 0xff_0000_4092n, -1],
    ["broadcast", 0xffff_ffff_0000_4092n, 0x92],
    ["logical cluster 0, bit 0", 0x0000_0001_0000_4892n, 0x92],
    ["logical cluster 1, bit 0", 0x0001_0001_0000_4892n, -1],
  ] as const
) {
  Deno.test(`Lapic ICR in x2APIC mode: ${name}`, () => {
    const rig = new Rig().on().x2();
    assertEquals([rig.lapic.writeMsr(0x830, value), rig.lapic.readMsr(0x830)], [true, value]);
    assertEquals(rig.take(), vector);
  });
}

Deno.test("Lapic self IPI register", () => {
  const rig = new Rig().on().x2();
  assertEquals([rig.lapic.writeMsr(0x83f, 0x77n), rig.take()], [true, 0x77]);
  assertEquals(rig.lapic.writeX2apic(0x83f, 0x78, 0), true);
  rig.lapic.writeMsr(0x80b, 0n);
  assertEquals(rig.take(), 0x78);
});

// SDM table 11-6 and §11.12.1.3: reads of write-only, writes of read-only, reserved registers and bits.
for (const index of [0x800, 0x809, 0x80b, 0x80c, 0x80e, 0x82f, 0x831, 0x83d, 0x83f, 0x840, 0x8ff]) {
  Deno.test(`Lapic RDMSR ${index.toString(16)} faults in x2APIC mode`, () => {
    assertEquals(new Rig().on().x2().lapic.readMsr(index), undefined);
  });
}
for (
  const [index, value] of [
    [0x802, 0n],
    [0x803, 0n],
    [0x808, 0x100n],
    [0x80a, 0n],
    [0x80b, 1n],
    [0x80d, 1n],
    [0x80e, 0n],
    [0x80f, 0x1_0000n],
    [0x810, 0n],
    [0x81f, 0n],
    [0x827, 0n],
    [0x828, 1n],
    [0x82f, 0n],
    [0x830, 1n << 20n],
    [0x831, 0n],
    [0x832, 1n << 20n],
    [0x837, 1n << 8n],
    [0x838, 1n << 32n],
    [0x839, 0n],
    [0x83e, 4n],
    [0x83f, 0x100n],
    [0x840, 0n],
  ] as const
) {
  Deno.test(`Lapic WRMSR ${index.toString(16)} of ${value.toString(16)} faults in x2APIC mode`, () => {
    const { lapic } = new Rig().on().x2();
    const before = lapic.save();
    assertEquals(lapic.writeMsr(index, value), false);
    assertEquals(lapic.save(), before);
  });
}

Deno.test("Lapic x2APIC MSRs fault in xAPIC mode; ownsMsr names exactly ours", () => {
  const { lapic } = new Rig().on();
  assertEquals([lapic.readMsr(0x802), lapic.writeMsr(0x808, 0n)], [undefined, false]);
  const ours = [0x1a, 0x1b, 0x6e0, 0x7ff, 0x800, 0x8ff, 0x900].map((index) => lapic.ownsMsr(index));
  assertEquals(ours, [false, true, true, false, true, true, false]);
});

Deno.test("Lapic timer raises its vector, once, and not when masked", () => {
  const rig = new Rig().on().write(TDCR, 0xb).write(LVT_TIMER, 0xec).write(TMICT, 1000);
  rig.clock.advance(999);
  assertEquals([rig.intr, rig.read(TMCCT)], [false, 1]);
  rig.clock.advance(1);
  assertEquals([rig.intr, rig.read(TMCCT), rig.take()], [true, 0, 0xec]);
  rig.write(EOI, 0).write(LVT_TIMER, 0x1_00ec).write(TMICT, 10);
  rig.clock.advance(5000);
  assertEquals(rig.intr, false);
});

Deno.test("Lapic timer in TSC-deadline mode, by MSR in either APIC mode", () => {
  const rig = new Rig().on().write(LVT_TIMER, 0x4_00ec);
  assertEquals([rig.lapic.writeMsr(TSC_DEADLINE, 5000n), rig.lapic.readMsr(TSC_DEADLINE)], [true, 5000n]);
  rig.clock.advance(2499);
  assertEquals(rig.intr, false);
  rig.clock.advance(1);
  assertEquals([rig.intr, rig.lapic.readMsr(TSC_DEADLINE)], [true, 0n]);
  rig.take();
  rig.x2().lapic.writeMsr(0x80b, 0n);
  rig.lapic.writeMsr(TSC_DEADLINE, 1n); // long past
  assertEquals([rig.take(), rig.lapic.readMsr(TSC_DEADLINE)], [0xec, 0n]);
});

Deno.test("Lapic takes aligned 32-bit writes only, and reads bytes within a register", () => {
  const rig = new Rig().on();
  rig.lapic.writeMmio(TPR, 1, 0x50);
  rig.lapic.writeMmio(TPR, 2, 0x50);
  rig.lapic.writeMmio(TPR + 4, 4, 0x50);
  assertEquals(rig.read(TPR), 0);
  assertEquals([rig.lapic.readMmio(0x30, 1), rig.lapic.readMmio(0x32, 2), rig.lapic.readMmio(0x33, 1)], [
    0x14,
    0x05,
    0,
  ]);
  assertEquals([rig.lapic.readMmio(0x34, 4), rig.lapic.readMmio(0x32, 4), rig.read(0x0)], [0, 0, 0]);
  rig.write(0x20, 0xff00_0000).write(0x30, 0).write(PPR, 0xff);
  assertEquals([rig.read(0x20), rig.read(0x30), rig.read(PPR)], [0, 0x0005_0014, 0]);
});

Deno.test("Lapic goes on the same after save and restore: in service, level, timer running, x2APIC", () => {
  const a = new Rig().on().write(TDCR, 0xb).write(LVT_TIMER, 0x2_00ec).write(TMICT, 1000).x2();
  a.lapic.receive(0x71, 0, true, 0, false);
  a.take();
  a.lapic.inject(0x61);
  a.clock.advance(400);
  const b = new Rig(a.clock);
  b.lapic.restore(structuredClone(a.lapic.save()));
  assertEquals([b.lapic.mode, b.mapped, b.intr, b.lapic.readMsr(0x839)], [
    "x2apic",
    [undefined],
    false,
    600n,
  ]);
  b.lapic.writeMsr(0x80b, 0n);
  assertEquals([b.eois, b.take()], [[0x71], 0x61]);
  b.clock.advance(600);
  assertEquals(b.take(), 0xec);
  b.lapic.writeMsr(0x80b, 0n);
  b.clock.advance(1000);
  assertEquals(b.take(), 0xec);
});
