// SPDX-License-Identifier: MIT
/**
 * Level-triggered lines: what happens at each place where a chip looks at one, when the cause has gone without a word
 * and when it has not. Rules: 82093AA §3.2.4 (Remote IRR, trigger mode), 8259A datasheet (level mode: the request must
 * be removed before EOI, or it interrupts again), 82371SB §2.5.7 (ELCR), SDM Vol. 3A §11.8.5 (EOI).
 * @module
 */
import { assertEquals } from "@std/assert";
import type { IrqLine } from "../../cpu/base/bus.ts";
import { Piix3, PIRQRCA } from "../pci/piix3.ts";
import { ACPI_ENABLE, APMC, Piix4Pm, PM1_EN, PM1_STS, TMR_EN, TMR_STS } from "../pci/piix4_pm.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { Uart16550 } from "../legacy/uart16550.ts";
import { Rig } from "./_rig.ts";

const NONE = -1;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const REMOTE_IRR = 1 << 14;

/** A cause that comes with `raise` and goes without a word. */
class Cause {
  there = false;
  /** How often it was asked for. */
  asked = 0;
  readonly #line: IrqLine;
  constructor(rig: Rig, line: IrqLine) {
    this.#line = rig.ic.sampled(line, () => {
      this.asked++;
      return this.there;
    });
  }
  raise(): void {
    this.there = true;
    this.#line.set(true);
  }
}

/** A way in, from a line to the CPU, and the way its end is told. */
interface Way {
  readonly name: string;
  /** A rig on which `line` is level-triggered and delivers `vector`. */
  make(): Rig;
  readonly line: number;
  readonly vector: number;
  /** From INTA to the moment when the next interrupt could come. */
  end(rig: Rig): void;
}

const pic = (icw4 = 1): Rig => {
  const rig = new Rig().boot(icw4);
  rig.ic.pic.elcr.writePort(0, 1, 0x20); // IRQ 5
  rig.ic.pic.elcr.writePort(1, 1, 0x08); // IRQ 11
  return rig;
};
const ioapic = (): Rig => new Rig().boot().maskPic().entry(18, LEVEL | 0x61);
const x2apic = (): Rig => {
  const rig = ioapic();
  rig.ic.lapic.writeMsr(0x1b, 0xfee0_0d00n);
  return rig;
};
const lint = (): Rig => pic().apic(0x350, LEVEL | 0x71); // Fixed, level-triggered, on LINT0
const master = (rig: Rig) => rig.ic.pic.master;
const slave = (rig: Rig) => rig.ic.pic.slave;

const WAYS: readonly Way[] = [
  { name: "IOAPIC, EOI by MMIO", make: ioapic, line: 18, vector: 0x61, end: (rig) => rig.eoi() },
  {
    name: "IOAPIC, EOI by x2APIC MSR",
    make: x2apic,
    line: 18,
    vector: 0x61,
    end: (rig) => rig.ic.lapic.writeMsr(0x80b, 0n),
  },
  {
    name: "IOAPIC, EOI by edge mode and back (Linux on version 0x11)",
    make: ioapic,
    line: 18,
    vector: 0x61,
    end: (rig) => rig.entry(18, MASKED | 0x61).entry(18, MASKED | LEVEL | 0x61).eoi().entry(18, LEVEL | 0x61),
  },
  {
    name: "IOAPIC, masked during the handler",
    make: ioapic,
    line: 18,
    vector: 0x61,
    end: (rig) => rig.entry(18, MASKED | LEVEL | 0x61).eoi().entry(18, LEVEL | 0x61),
  },
  {
    name: "LINT0, fixed and level-triggered, from the 8259",
    make: lint,
    line: 5,
    vector: 0x71,
    end: (rig) => rig.eoi(),
  },
  {
    name: "8259, non-specific EOI",
    make: pic,
    line: 5,
    vector: 0x35,
    end: (rig) => master(rig).writePort(0, 1, 0x20),
  },
  {
    name: "8259, specific EOI",
    make: pic,
    line: 5,
    vector: 0x35,
    end: (rig) => master(rig).writePort(0, 1, 0x65),
  },
  {
    name: "8259, rotate on non-specific EOI",
    make: pic,
    line: 5,
    vector: 0x35,
    end: (rig) => master(rig).writePort(0, 1, 0xa0),
  },
  {
    name: "8259, rotate on specific EOI",
    make: pic,
    line: 5,
    vector: 0x35,
    end: (rig) => master(rig).writePort(0, 1, 0xe5),
  },
  { name: "8259, automatic EOI", make: () => pic(3), line: 5, vector: 0x35, end: () => {} },
  {
    name: "8259, masked with EOI before the handler, then unmasked (Linux)",
    make: pic,
    line: 5,
    vector: 0x35,
    end: (rig) => {
      master(rig).writePort(1, 1, 0x20);
      master(rig).writePort(0, 1, 0x65);
      master(rig).writePort(1, 1, 0);
    },
  },
  {
    name: "8259 slave, both EOIs",
    make: pic,
    line: 11,
    vector: 0x3b,
    end: (rig) => {
      slave(rig).writePort(0, 1, 0x63);
      master(rig).writePort(0, 1, 0x62);
    },
  },
  {
    name: "8259, special mask mode",
    make: pic,
    line: 5,
    vector: 0x35,
    end: (rig) => {
      master(rig).writePort(1, 1, 0x20);
      master(rig).writePort(0, 1, 0x68);
      master(rig).writePort(0, 1, 0x65);
      master(rig).writePort(0, 1, 0x48);
      master(rig).writePort(1, 1, 0);
    },
  },
];

for (const { name, make, line, vector, end } of WAYS) {
  Deno.test(`a level whose cause went without a word interrupts once: ${name}`, () => {
    const rig = make();
    const cause = new Cause(rig, rig.ic.line(line));
    cause.raise();
    assertEquals([rig.intr, rig.ic.pending, rig.take()], [true, true, vector]);
    cause.there = false;
    end(rig);
    assertEquals([rig.ic.pending, rig.intr, rig.take()], [false, false, NONE]);
    cause.raise();
    assertEquals([rig.intr, rig.take()], [true, vector]);
  });
  Deno.test(`a level whose cause is still there interrupts again: ${name}`, () => {
    const rig = make();
    const cause = new Cause(rig, rig.ic.line(line));
    cause.raise();
    for (let i = 0; i < 3; i++) {
      assertEquals([rig.ic.pending, rig.take()], [true, vector]);
      end(rig);
    }
    assertEquals(rig.intr, true);
  });
}

Deno.test("an 8259 level that goes before INTA is offered no more", () => {
  const rig = pic();
  const cause = new Cause(rig, rig.ic.line(5));
  cause.raise();
  assertEquals(rig.intr, true);
  cause.there = false;
  assertEquals([rig.ic.pending, rig.intr, rig.take()], [false, false, NONE]);
});

Deno.test("a local APIC keeps a request whose level has gone: it was a message", () => {
  const rig = ioapic();
  const cause = new Cause(rig, rig.ic.line(18));
  cause.raise();
  cause.there = false;
  assertEquals([rig.take(), rig.readEntry(18)], [0x61, LEVEL | REMOTE_IRR | 0x61]);
  rig.eoi();
  assertEquals([rig.take(), rig.readEntry(18)], [NONE, LEVEL | 0x61]);
});

Deno.test("request register and poll of an 8259 show levels as they are now", () => {
  const rig = pic();
  master(rig).writePort(1, 1, 0xff);
  const cause = new Cause(rig, rig.ic.line(5));
  cause.raise();
  master(rig).writePort(0, 1, 0x0a);
  assertEquals(master(rig).readPort(0, 1), 0x20);
  cause.there = false;
  assertEquals(master(rig).readPort(0, 1), 0);
  cause.raise();
  master(rig).writePort(1, 1, 0);
  cause.there = false;
  master(rig).writePort(0, 1, 0x0c);
  assertEquals(master(rig).readPort(0, 1), 0);
});

Deno.test("unmasking an input and changing its trigger mode look at the level", () => {
  const BEFORE = { masked: MASKED | LEVEL | 0x61, edge: 0x62, "masked edge": MASKED | 0x61 };
  for (const [name, low] of Object.entries(BEFORE)) {
    for (const there of [true, false]) {
      const rig = ioapic().entry(18, low);
      const cause = new Cause(rig, rig.ic.line(18));
      cause.raise();
      assertEquals(rig.take(), name === "edge" ? 0x62 : NONE, name);
      if (name === "edge") rig.eoi();
      cause.there = there;
      rig.entry(18, LEVEL | 0x61);
      assertEquals(
        [rig.take(), rig.readEntry(18) & REMOTE_IRR],
        there ? [0x61, REMOTE_IRR] : [NONE, 0],
        name,
      );
    }
  }
});

Deno.test("ELCR: an input that becomes level-triggered requests while it is up, and only then", () => {
  const rig = new Rig().boot();
  const cause = new Cause(rig, rig.ic.line(5));
  cause.raise();
  assertEquals(rig.take(), 0x35); // the edge
  master(rig).writePort(0, 1, 0x65);
  assertEquals(rig.take(), NONE);
  rig.ic.pic.elcr.writePort(0, 1, 0x20);
  assertEquals(rig.take(), 0x35);
  rig.ic.pic.elcr.writePort(0, 1, 0);
  master(rig).writePort(0, 1, 0x65);
  cause.there = false;
  rig.ic.pic.elcr.writePort(0, 1, 0x20);
  assertEquals([rig.ic.pending, rig.take()], [false, NONE]);
});

Deno.test("a line is up while any driver is, sampled or not", () => {
  const rig = ioapic();
  const [one, two] = [new Cause(rig, rig.ic.line(18)), new Cause(rig, rig.ic.line(18))];
  const plain = rig.ic.line(18);
  for (const raise of [() => one.raise(), () => two.raise(), () => plain.set(true)]) raise();
  assertEquals(rig.take(), 0x61);
  one.there = false;
  rig.eoi();
  assertEquals(rig.take(), 0x61);
  two.there = false;
  rig.eoi();
  assertEquals(rig.take(), 0x61);
  plain.set(false);
  rig.eoi();
  assertEquals(rig.take(), NONE);
});

Deno.test("a sampled line is asked only while it is up", () => {
  const rig = ioapic();
  const cause = new Cause(rig, rig.ic.line(18));
  rig.eoi().take();
  assertEquals([rig.ic.pending, cause.asked], [false, 0]);
  cause.raise();
  cause.there = false;
  rig.eoi();
  const { asked } = cause;
  rig.eoi().eoi().take();
  assertEquals([asked > 0, cause.asked], [true, asked]);
});

Deno.test("a level that nobody took is sent when the local APIC takes messages again", () => {
  const WAYS_BACK: [string, (rig: Rig) => void, (rig: Rig) => void][] = [
    ["software enable", (rig) => rig.apic(0xf0, 0xff), (rig) => rig.apic(0xf0, 0x1ff)],
    ["global enable", (rig) => rig.ic.lapic.writeMsr(0x1b, 0xfee0_0000n), (rig) => {
      rig.ic.lapic.writeMsr(0x1b, 0xfee0_0900n);
      rig.apic(0xf0, 0x1ff);
    }],
    [
      "logical ID",
      (rig) => rig.entry(18, MASKED).entry(18, LEVEL | 1 << 11 | 0x61),
      (rig) => rig.apic(0xd0, 1 << 24),
    ],
  ];
  for (const [name, off, on] of WAYS_BACK) {
    const rig = ioapic();
    rig.ic.ioapic.writeMmio(0, 4, 0x11 + 2 * 18);
    if (name === "logical ID") rig.ic.ioapic.writeMmio(0x10, 4, 1 << 24);
    off(rig);
    const line = rig.ic.line(18);
    line.set(true);
    assertEquals([rig.take(), rig.readEntry(18) & REMOTE_IRR], [NONE, 0], name);
    on(rig);
    assertEquals([rig.take(), rig.readEntry(18) & REMOTE_IRR], [0x61, REMOTE_IRR], name);
  }
});

Deno.test("a snapshot has levels as they are, also when their cause went and nobody had looked", () => {
  for (const there of [true, false]) {
    const a = ioapic();
    const cause = new Cause(a, a.ic.line(18));
    cause.raise();
    a.take();
    cause.there = there;
    const state = a.ic.save();
    const b = new Rig();
    const again = new Cause(b, b.ic.line(18));
    if (there) again.raise(); // devices are restored first
    b.ic.restore(structuredClone(state));
    b.eoi();
    assertEquals(b.take(), there ? 0x61 : NONE);
    again.there = false;
    b.eoi();
    again.raise();
    assertEquals(b.take(), 0x61);
  }
});

Deno.test("a PCI interrupt pin is a level at the IOAPIC and at the ISA interrupt it is routed to", () => {
  const rig = pic().entry(18, LEVEL | 0x61);
  const piix3 = new Piix3("piix3", {
    apic: [rig.ic.line(16), rig.ic.line(17), rig.ic.line(18), rig.ic.line(19)],
    isa: Array.from({ length: 16 }, (_, n) => n === 11 ? rig.ic.line(11) : undefined),
    reset: () => {},
  });
  piix3.writeConfig(PIRQRCA + 2, 1, 11);
  const cause = new Cause(rig, piix3.intx(3, 0, 1)); // slot 3, INTA#: PIRQC
  cause.raise();
  assertEquals([rig.take(), rig.take()], [0x3b, 0x61]); // ExtINT goes first
  cause.there = false;
  rig.eoi();
  slave(rig).writePort(0, 1, 0x63);
  master(rig).writePort(0, 1, 0x62);
  assertEquals([rig.ic.pending, rig.take()], [false, NONE]);
  cause.raise();
  assertEquals([rig.take(), rig.take()], [0x3b, 0x61]);
});

Deno.test("a 16550 on a level-triggered ISA interrupt asks until its cause is served", () => {
  const rig = new Rig().boot();
  rig.ic.pic.elcr.writePort(0, 1, 0x10); // IRQ 4
  const uart = new Uart16550("com1", { irq: rig.ic.line(4), send: () => {} });
  uart.writePort(1, 1, 1); // IER: received data
  uart.receive(Uint8Array.of(65, 66));
  const eoi = () => master(rig).writePort(0, 1, 0x64);
  for (let i = 0; i < 3; i++) {
    assertEquals(rig.take(), 0x34);
    eoi();
  }
  assertEquals([uart.readPort(0, 1), rig.take()], [65, 0x34]);
  eoi();
  assertEquals([uart.readPort(0, 1), rig.take()], [66, NONE]);
});

Deno.test("an SCI on the IOAPIC asks at each EOI until its status is cleared", () => {
  const rig = new Rig().boot().maskPic().entry(9, LEVEL | 0x59);
  const { pmBlock, smi } = new Piix4Pm("pm", {
    mapper: { map: () => ({ remove: () => {} }) },
    clock: rig.clock,
    sci: rig.ic.line(9),
    tracer: new Tracer(),
    powerOff: () => {},
  });
  smi.writePort(APMC, 1, ACPI_ENABLE);
  pmBlock.writePort(PM1_EN, 2, TMR_EN);
  assertEquals(rig.take(), NONE);
  rig.clock.advance(3e9); // the PM timer's top bit changes every 2.34 s
  for (let i = 0; i < 3; i++) {
    assertEquals(rig.take(), 0x59);
    rig.eoi();
  }
  assertEquals(rig.take(), 0x59);
  pmBlock.writePort(PM1_STS, 2, TMR_STS);
  rig.eoi();
  assertEquals([rig.intr, rig.take()], [false, NONE]);
});
