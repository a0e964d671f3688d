// SPDX-License-Identifier: MIT
/**
 * 8259A programmable interrupt controller, and the pair of them in a PC. Rules: Intel 8259A datasheet
 * (231468-003); ELCR: 82371SB (PIIX3) datasheet §2.5.7.
 *
 * A request is what the datasheet draws: in edge mode the edge latch *and* the pin, so a line that drops before
 * INTA takes its request along. INT is off from ICW1 until the last ICW. The master's cascade inputs follow
 * the slave's INT as a level: in hardware INT drops during INTA and the next request makes a new edge, which is
 * the same thing. With an ELCR the LTIM bit does nothing, as in PIIX3.
 *
 * Not done: MCS-80/85 mode (ICW4 uPM=0 answers like 8086 mode), buffered mode (no pin to see it on).
 * @module
 */
import type { AccessSize, Device, IrqLine, PortDevice } from "../../cpu/base/bus.ts";

export const ICW1_IC4 = 1 << 0; // ICW4 follows
export const ICW1_SNGL = 1 << 1; // single: no ICW3
export const ICW1_LTIM = 1 << 3; // level triggered
export const ICW1_SELECT = 1 << 4; // this is ICW1
export const ICW4_uPM = 1 << 0; // 8086 mode
export const ICW4_AEOI = 1 << 1; // automatic end of interrupt
export const ICW4_SFNM = 1 << 4; // special fully nested mode
export const OCW2_EOI = 1 << 5;
export const OCW2_SL = 1 << 6; // specific: level in bits 2:0
export const OCW2_R = 1 << 7; // rotate
export const OCW3_RIS = 1 << 0; // with RR: next reads give ISR (else IRR)
export const OCW3_RR = 1 << 1; // read register
export const OCW3_P = 1 << 2; // poll
export const OCW3_SELECT = 1 << 3; // this is OCW3
export const OCW3_SMM = 1 << 5; // with ESMM: special mask mode
export const OCW3_ESMM = 1 << 6; // enable SMM bit
export const POLL_I = 1 << 7; // poll word: an interrupt is there

/** Where the chip is in its initialization sequence. */
type Init = "none" | "icw2" | "icw3" | "icw4" | "ready";

/** All the state of one chip. */
export interface I8259State {
  init: Init;
  icw1: number;
  icw2: number; // vector base, bits 7:3
  icw3: number;
  icw4: number;
  imr: number;
  isr: number;
  pins: number; // levels of IR7..IR0
  latch: number; // edges seen since INTA
  lowest: number; // level with the lowest priority
  rotateOnAeoi: boolean;
  specialMask: boolean;
  readIsr: boolean;
  poll: boolean;
}

const powerOn = (): I8259State => ({
  init: "none",
  icw1: 0,
  icw2: 0,
  icw3: 0,
  icw4: 0,
  imr: 0,
  isr: 0,
  pins: 0,
  latch: 0,
  lowest: 7,
  rotateOnAeoi: false,
  specialMask: false,
  readIsr: false,
  poll: false,
});

/** What a chip is connected to. */
export interface I8259Wires {
  readonly int: IrqLine;
  /** Inputs the chipset makes level-triggered; without it LTIM decides for all. */
  readonly levelMask?: () => number;
  /** Brings the inputs up to date; called before a level decides something. Default: they always are. */
  readonly sample?: () => void;
}

/** One 8259A: command port at 0, data port at 1. */
export class I8259 implements PortDevice<I8259State> {
  readonly portCount = 2;
  readonly maxAccess = 1;
  #s = powerOn();

  /** `isMaster`: the SP/EN pin; ICW3 is a mask of cascade inputs then. */
  constructor(readonly name: string, readonly isMaster: boolean, readonly wires: I8259Wires) {}

  /** Pins keep their level: they belong to the devices. */
  reset(): void {
    this.#s = { ...powerOn(), pins: this.#s.pins };
    this.#update();
  }

  save(): I8259State {
    return structuredClone(this.#s);
  }

  restore(state: I8259State): void {
    this.#s = structuredClone(state);
    this.#update();
  }

  /** Drives input IR`level`. */
  setPin(level: number, asserted: boolean): void {
    const s = this.#s;
    const bit = 1 << level;
    if (asserted === ((s.pins & bit) !== 0)) return;
    s.pins ^= bit;
    if (asserted) s.latch |= bit;
    else s.latch &= ~bit;
    this.#update();
  }

  /** Tells the chip that its `levelMask` wire changed. */
  triggerModeChanged(): void {
    this.#update();
  }

  /** The interrupt request register. */
  get irr(): number {
    const s = this.#s;
    return s.pins & (s.latch | this.#levelMask());
  }

  /** Whether the chip drives INT. */
  get int(): boolean {
    return this.#s.init === "ready" && this.#best() >= 0;
  }

  /** True when `level` has a slave behind it, by ICW3. */
  isCascade(level: number): boolean {
    const s = this.#s;
    return this.isMaster && (s.icw1 & ICW1_SNGL) === 0 && ((s.icw3 >> level) & 1) !== 0;
  }

  /** Vector for `level`: ICW2 bits 7:3 and the level. */
  vector(level: number): number {
    return (this.#s.icw2 & 0xf8) | level;
  }

  /** INTA: takes the highest-priority request and returns its level; 7, not in service, when there is none. */
  acknowledge(): number {
    const level = this.#take();
    this.#update();
    return level < 0 ? 7 : level;
  }

  readPort(offset: number, _size: AccessSize): number {
    this.wires.sample?.();
    const s = this.#s;
    if (s.poll) {
      s.poll = false;
      const level = this.#take();
      this.#update();
      return level < 0 ? 0 : POLL_I | level;
    }
    if ((offset & 1) !== 0) return s.imr;
    return s.readIsr ? s.isr : this.irr;
  }

  writePort(offset: number, _size: AccessSize, value: number): void {
    this.wires.sample?.();
    value &= 0xff;
    if ((offset & 1) !== 0) this.#writeData(value);
    else if ((value & ICW1_SELECT) !== 0) this.#writeIcw1(value);
    else if ((value & OCW3_SELECT) !== 0) this.#writeOcw3(value);
    else this.#writeOcw2(value);
    this.#update();
  }

  #writeIcw1(value: number): void {
    const s = this.#s;
    this.#s = { ...powerOn(), pins: s.pins, init: "icw2", icw1: value, icw2: s.icw2 };
  }

  #writeData(value: number): void {
    const s = this.#s;
    const afterIcw3 = (s.icw1 & ICW1_IC4) !== 0 ? "icw4" : "ready";
    switch (s.init) {
      case "icw2":
        s.icw2 = value;
        s.init = (s.icw1 & ICW1_SNGL) !== 0 ? afterIcw3 : "icw3";
        break;
      case "icw3":
        s.icw3 = value;
        s.init = afterIcw3;
        break;
      case "icw4":
        s.icw4 = value;
        s.init = "ready";
        break;
      case "none":
      case "ready":
        s.imr = value; // OCW1
        break;
    }
  }

  #writeOcw2(value: number): void {
    const s = this.#s;
    const specific = (value & OCW2_SL) !== 0;
    const rotate = (value & OCW2_R) !== 0;
    if ((value & OCW2_EOI) !== 0) {
      const level = specific ? value & 7 : this.#highest(s.specialMask ? s.isr & ~s.imr : s.isr);
      if (level < 0) return;
      s.isr &= ~(1 << level);
      if (rotate) s.lowest = level;
    } else if (!specific) {
      s.rotateOnAeoi = rotate;
    } else if (rotate) {
      s.lowest = value & 7; // set priority; SL without R and EOI is a no-operation
    }
  }

  #writeOcw3(value: number): void {
    const s = this.#s;
    if ((value & OCW3_ESMM) !== 0) s.specialMask = (value & OCW3_SMM) !== 0;
    if ((value & OCW3_P) !== 0) s.poll = true;
    else if ((value & OCW3_RR) !== 0) s.readIsr = (value & OCW3_RIS) !== 0;
  }

  #levelMask(): number {
    const s = this.#s;
    const cascade = this.isMaster && (s.icw1 & ICW1_SNGL) === 0 ? s.icw3 : 0;
    const level = this.wires.levelMask?.() ?? ((s.icw1 & ICW1_LTIM) !== 0 ? 0xff : 0);
    return cascade | level;
  }

  /** Highest-priority level in `set`, -1 when empty. */
  #highest(set: number): number {
    if (set === 0) return -1;
    for (let i = 1; i <= 8; i++) {
      const level = (this.#s.lowest + i) & 7;
      if ((set & (1 << level)) !== 0) return level;
    }
    return -1;
  }

  /** The level that INT is about, -1 when there is none. */
  #best(): number {
    const s = this.#s;
    const requests = this.irr & ~s.imr;
    if (requests === 0) return -1;
    if (s.specialMask) return this.#highest(requests & ~s.isr); // any unmasked level may interrupt
    for (let i = 1; i <= 8; i++) {
      const level = (s.lowest + i) & 7;
      const inService = (s.isr & (1 << level)) !== 0;
      const nested = (s.icw4 & ICW4_SFNM) !== 0 && this.isCascade(level);
      if ((requests & (1 << level)) !== 0 && (!inService || nested)) return level;
      if (inService) return -1; // everything below waits for EOI
    }
    return -1;
  }

  /** Moves the best request into service; -1 when there is none. */
  #take(): number {
    const s = this.#s;
    const level = s.init === "ready" ? this.#best() : -1;
    if (level < 0) return -1;
    s.latch &= ~(1 << level);
    if ((s.icw4 & ICW4_AEOI) === 0) s.isr |= 1 << level;
    else if (s.rotateOnAeoi) s.lowest = level;
    return level;
  }

  #update(): void {
    this.wires.int.set(this.int);
  }
}

/** Edge/level control registers; bit set: level. IRQ 0, 1, 2, 8 and 13 are always edge. */
export interface ElcrState {
  elcr1: number;
  elcr2: number;
}
const ELCR1_WRITABLE = 0xf8;
const ELCR2_WRITABLE = 0xde;

/** PIIX3's ELCR1 (offset 0, IRQ 0-7) and ELCR2 (offset 1, IRQ 8-15), at ports 0x4d0 and 0x4d1 of a PC. */
export class Elcr implements PortDevice<ElcrState> {
  readonly portCount = 2;
  readonly maxAccess = 1;
  #s: ElcrState = { elcr1: 0, elcr2: 0 };

  /** `changed`: called after a register changed. */
  constructor(readonly name: string, readonly wires: { changed(): void }) {}

  /** Bit n set: IRQ n is level-triggered. */
  get levels(): number {
    return this.#s.elcr1 | (this.#s.elcr2 << 8);
  }

  reset(): void {
    this.#s = { elcr1: 0, elcr2: 0 };
    this.wires.changed();
  }

  save(): ElcrState {
    return structuredClone(this.#s);
  }

  restore(state: ElcrState): void {
    this.#s = structuredClone(state);
    this.wires.changed();
  }

  readPort(offset: number, _size: AccessSize): number {
    return (offset & 1) === 0 ? this.#s.elcr1 : this.#s.elcr2;
  }

  writePort(offset: number, _size: AccessSize, value: number): void {
    if ((offset & 1) === 0) this.#s.elcr1 = value & ELCR1_WRITABLE;
    else this.#s.elcr2 = value & ELCR2_WRITABLE;
    this.wires.changed();
  }
}

/** State of the pair. */
export interface I8259PairState {
  master: I8259State;
  slave: I8259State;
  elcr: ElcrState;
}
const CASCADE = 2;

/** Two 8259As, the slave on the master's IR2, and their ELCR. Map `master`, `slave` and `elcr` on the bus. */
export class I8259Pair implements Device<I8259PairState> {
  readonly master: I8259;
  readonly slave: I8259;
  readonly elcr: Elcr;

  /** `int`: the master's INT output. `sample`: see {@linkcode I8259Wires}. */
  constructor(readonly name: string, int: IrqLine, readonly sample: () => void = () => {}) {
    this.elcr = new Elcr(`${name}.elcr`, {
      changed: () => {
        sample();
        this.slave.triggerModeChanged();
        this.master.triggerModeChanged();
      },
    });
    this.master = new I8259(`${name}.master`, true, {
      int,
      sample,
      levelMask: () => this.elcr.levels & 0xff,
    });
    this.slave = new I8259(`${name}.slave`, false, {
      int: { set: (asserted) => this.master.setPin(CASCADE, asserted) },
      sample,
      levelMask: () => this.elcr.levels >> 8,
    });
  }

  reset(): void {
    this.elcr.reset();
    this.slave.reset();
    this.master.reset();
  }

  save(): I8259PairState {
    return { master: this.master.save(), slave: this.slave.save(), elcr: this.elcr.save() };
  }

  restore(state: I8259PairState): void {
    this.elcr.restore(state.elcr);
    this.slave.restore(state.slave);
    this.master.restore(state.master);
  }

  /** Drives ISA interrupt `irq`, 0..15. IRQ 2 has no pin. */
  setIrq(irq: number, asserted: boolean): void {
    if (irq >= 8) this.slave.setPin(irq - 8, asserted);
    else if (irq !== CASCADE) this.master.setPin(irq, asserted);
  }

  /** Level of INT. */
  get int(): boolean {
    return this.master.int;
  }

  /** The CPU's INTA cycle: the vector, which is IRQ 7's (or 15's) when the request went away. */
  acknowledge(): number {
    this.sample();
    const level = this.master.acknowledge();
    if (level !== CASCADE || !this.master.isCascade(level)) return this.master.vector(level);
    return this.slave.vector(this.slave.acknowledge());
  }
}
