// SPDX-License-Identifier: MIT
/**
 * The interrupt controllers of a PC, wired up: 8259 pair, IOAPIC and local APIC. An interrupt line goes to the
 * pair (IRQ 0-15) and to the IOAPIC (input n; IRQ 0 on input 2, which the MADT must say in an interrupt source
 * override). The pair's INT goes to LINT0, and to IOAPIC input 0 for ExtINT entries there.
 *
 * Every call of {@linkcode InterruptController.line} gives a driver of its own; the line is up while any driver
 * is, so shared (PCI) lines need no more. Restore the devices first and this last: then their lines moving
 * about makes no interrupts.
 *
 * The cause of a level can go away where nobody can tell: Xen's upcall ends when the guest writes to its own memory.
 * Such a line is driven through {@linkcode InterruptController.sampled}, and its level is asked for whenever a chip is
 * about to decide by it: before an interrupt is offered or taken, at every EOI, when an input is unmasked or changes its
 * trigger mode, and when the guest reads a request register. On hardware the pin is simply looked at.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import type { Device, InterruptSource, IrqLine } from "../../cpu/base/bus.ts";
import { I8259Pair, type I8259PairState } from "./i8259.ts";
import { Ioapic, IOAPIC_PINS, type IoapicState } from "./ioapic.ts";
import { Lapic, type LapicState, type LapicWires } from "./lapic.ts";

const ISA_IRQS = 16;
const TIMER_IRQ = 0;
/** IOAPIC input of ISA IRQ 0. */
export const TIMER_IOAPIC_PIN = 2;
const EXTINT_IOAPIC_PIN = 0;

/** State of all of them. */
export interface InterruptState {
  pic: I8259PairState;
  ioapic: IoapicState;
  lapic: LapicState;
}

/** A line whose level is asked for while it is up. */
class SampledLine implements IrqLine {
  constructor(readonly line: IrqLine, readonly level: () => boolean, readonly up: Set<SampledLine>) {}
  set(asserted: boolean): void {
    if (asserted) this.up.add(this);
    else this.up.delete(this);
    this.line.set(asserted);
  }
}

/** What they are connected to; see {@linkcode LapicWires} for the rest. */
export interface InterruptWires extends Omit<LapicWires, "intr" | "eoi" | "extInt" | "sample" | "accepting"> {
  /** The CPU's INTR pin: high while something is pending. Poll `pending` instead, if you like. */
  readonly intr?: IrqLine;
}

/** See the module's description. Map `pic.master`, `pic.slave`, `pic.elcr`, `ioapic` and `lapic` on the bus. */
export class InterruptController implements InterruptSource, Device<InterruptState> {
  readonly pic: I8259Pair;
  readonly ioapic: Ioapic;
  readonly lapic: Lapic;
  #extra: InterruptSource | undefined;
  #local = false; // level of the local APIC's INTR
  readonly #wires: InterruptWires;
  /** Sampled lines that are up. Most often there is none, and then sampling costs one comparison. */
  readonly #sampledUp = new Set<SampledLine>();
  readonly #sample = (): void => {
    if (this.#sampledUp.size > 0) this.#resample();
  };
  /** Drivers that hold each input up. */
  readonly #picDrivers = new Uint16Array(ISA_IRQS);
  readonly #ioapicDrivers = new Uint16Array(IOAPIC_PINS);

  constructor(readonly name: string, wires: InterruptWires) {
    this.#wires = wires;
    this.lapic = new Lapic(`${name}.lapic`, {
      ...wires,
      tscToNs: (tsc) => wires.tscToNs(tsc),
      nmi: () => wires.nmi(),
      init: () => wires.init?.(),
      mapped: (base) => wires.mapped?.(base),
      intr: {
        set: (asserted) => {
          this.#local = asserted;
          this.update();
        },
      },
      eoi: (vector) => this.ioapic.eoi(vector),
      extInt: () => this.pic.acknowledge(),
      sample: this.#sample,
      accepting: () => this.ioapic.retry(),
    });
    this.ioapic = new Ioapic(`${name}.ioapic`, {
      sample: this.#sample,
      send: (vector, mode, level, destination, logical) =>
        this.lapic.receive(vector, mode, level, destination, logical),
    });
    this.pic = new I8259Pair(`${name}.pic`, {
      set: (asserted) => {
        this.lapic.setLint(0, asserted);
        this.ioapic.setPin(EXTINT_IOAPIC_PIN, asserted);
      },
    }, this.#sample);
  }

  /** A source that goes before all others, such as Xen's vector callback. It calls {@linkcode update}. */
  get extra(): InterruptSource | undefined {
    return this.#extra;
  }
  set extra(source: InterruptSource | undefined) {
    this.#extra = source;
    this.update();
  }

  /** Drives INTR from what is pending. For `extra` to call when its own `pending` has changed. */
  update(): void {
    this.#wires.intr?.set(this.pending);
  }

  /** True when some line can become an NMI. */
  get canRaiseNmi(): boolean {
    return this.ioapic.sendsNmi || this.lapic.lint0SendsNmi;
  }

  get pending(): boolean {
    this.#sample();
    return this.#local || (this.#extra !== undefined && this.#extra.pending);
  }

  acknowledge(): number {
    this.#sample();
    if (this.#extra?.pending) {
      const vector = this.#extra.acknowledge();
      this.update();
      if (vector >= 0) return vector;
    }
    return this.#local ? this.lapic.acknowledge() : -1;
  }

  /**
   * A driver of interrupt line `n`: below 16 ISA IRQ n, from 16 on the IOAPIC's input n (GSI). Line 2 is IOAPIC
   * input 2 only, which it shares with IRQ 0: the 8259 pair has its cascade there.
   */
  line(n: number): IrqLine {
    assert(Number.isInteger(n) && n >= 0 && n < IOAPIC_PINS, "interrupt lines are 0 to 23");
    const pin = n === TIMER_IRQ ? TIMER_IOAPIC_PIN : n;
    let level = false;
    return {
      set: (asserted) => {
        if (asserted === level) return;
        level = asserted;
        if (n < ISA_IRQS && this.#drive(this.#picDrivers, n, asserted)) this.pic.setIrq(n, asserted);
        if (this.#drive(this.#ioapicDrivers, pin, asserted)) this.ioapic.setPin(pin, asserted);
      },
    };
  }

  /**
   * A driver for `line` that need not be told when the cause of its level goes away: from `set(true)` on `level` is asked
   * whenever the level matters, and the line goes down when it says so. It must not drive interrupt lines itself.
   */
  sampled(line: IrqLine, level: () => boolean): IrqLine {
    return new SampledLine(line, level, this.#sampledUp);
  }

  #resample(): void {
    for (const line of this.#sampledUp) if (!line.level()) line.set(false);
  }

  reset(): void {
    this.ioapic.reset();
    this.lapic.reset();
    this.pic.reset();
  }

  save(): InterruptState {
    this.#sample();
    return { pic: this.pic.save(), ioapic: this.ioapic.save(), lapic: this.lapic.save() };
  }

  restore(state: InterruptState): void {
    this.pic.restore(state.pic); // moves LINT0 and an IOAPIC input, which the next two overwrite
    this.ioapic.restore(state.ioapic);
    this.lapic.restore(state.lapic);
    this.#followLines();
    this.update();
  }

  /** Inputs whose drivers moved while the state was restored: what happened since then is not lost. */
  #followLines(): void {
    for (let irq = 0; irq < ISA_IRQS; irq++) this.pic.setIrq(irq, this.#picDrivers[irq] !== 0);
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      if (pin !== EXTINT_IOAPIC_PIN) this.ioapic.setPin(pin, this.#ioapicDrivers[pin] !== 0);
    }
  }

  /** Counts a driver in or out; true when that changed the level. */
  #drive(drivers: Uint16Array, index: number, asserted: boolean): boolean {
    const before = drivers[index] ?? 0;
    drivers[index] = asserted ? before + 1 : before - 1;
    return asserted ? before === 0 : before === 1;
  }
}
