// SPDX-License-Identifier: MIT
/**
 * 82371AB (PIIX4) power management function: PM1a event and control blocks, PM timer, SCI, soft off, and the
 * SMI command port by which an operating system switches to ACPI mode. Rules: Intel 82371AB datasheet (order
 * 290562) §7; ACPI 6.4 §4.8.3. Registers carry their ACPI names.
 *
 * There is no system management mode: ACPI_ENABLE and ACPI_DISABLE take effect at once, as if firmware had.
 * Not done: general purpose events, SMBus, sleeping states other than S5, device traps and throttling.
 * @module
 */
import { bits } from "../../cpu/base/bits.ts";
import type { AccessSize, IrqLine, PortDevice } from "../../cpu/base/bus.ts";
import type { Clock, Timer } from "../../cpu/base/clock.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import { type ByteRegisters, readAsBytes, writeAsBytes } from "../bus/byte_access.ts";
import { PciConfigSpace, type PciConfigState, type PciFunction, type PciMapper, WindowSlot } from "./pci.ts";

export const PMBASE = 0x40; // configuration: base of the I/O block, bits 15:6
export const PMREGMISC = 0x80; // configuration
export const PMREGMISC_PMIOSE = 1 << 0; // PM I/O space enable

export const PM1_STS = 0; // power management 1 status, write one to clear
export const TMR_STS = 1 << 0;
export const GBL_STS = 1 << 5;
export const PWRBTN_STS = 1 << 8;
export const RTC_STS = 1 << 10;
export const WAK_STS = 1 << 15;
export const PM1_EN = 2; // power management 1 enable
export const TMR_EN = 1 << 0;
export const GBL_EN = 1 << 5;
export const PWRBTN_EN = 1 << 8;
export const RTC_EN = 1 << 10;
export const PM1_CNT = 4; // power management 1 control
export const SCI_EN = 1 << 0;
export const SLP_TYP = [12, 10] as const;
export const SLP_EN = 1 << 13;
export const PM_TMR = 8; // power management timer, 24 bits
export const PM_BLOCK_BYTES = 64;

export const APMC = 0; // SMI command port, at 0xb2
export const APMS = 1; // scratch, at 0xb3
export const ACPI_ENABLE = 0xf1; // FADT.ACPI_ENABLE
export const ACPI_DISABLE = 0xf0; // FADT.ACPI_DISABLE

/** SLP_TYP of S5, as \_S5 in the DSDT says. */
export const SLP_TYP_S5 = 0;
/** Frequency of the PM timer. */
export const PM_TIMER_HZ = 3_579_545;

const STATUS_BITS = GBL_STS | PWRBTN_STS | RTC_STS | WAK_STS; // TMR_STS is derived
const ENABLE_BITS = TMR_EN | GBL_EN | PWRBTN_EN | RTC_EN;
const TIMER_MASK = 0xff_ffff;
const HALF_PERIOD = 2 ** 23; // TMR_STS is set whenever bit 23 changes
const NS_PER_S = 1_000_000_000;

/** All of a {@linkcode Piix4Pm}. */
export interface Piix4PmState {
  config: PciConfigState;
  sts: number;
  en: number;
  cnt: number;
  /** Half periods the timer had done when TMR_STS was last cleared. */
  halfPeriodsSeen: number;
  apmc: number;
  apms: number;
}

/** Where a {@linkcode Piix4Pm} is connected. */
export interface Piix4PmWires {
  readonly mapper: PciMapper;
  readonly clock: Clock;
  /** System control interrupt, level. */
  readonly sci: IrqLine;
  readonly tracer: Tracer;
  /** The guest switched itself off (S5); do it once the current instruction has ended. */
  powerOff(): void;
}

/** Timer ticks since machine start; exact for as long as the clock is. */
function ticksAt(ns: number): number {
  const s = Math.floor(ns / NS_PER_S);
  return s * PM_TIMER_HZ + Math.floor(((ns - s * NS_PER_S) * PM_TIMER_HZ) / NS_PER_S);
}

/** First nanosecond at which {@linkcode ticksAt} returns `ticks`. */
function nsAt(ticks: number): number {
  const s = Math.floor(ticks / PM_TIMER_HZ);
  return s * NS_PER_S + Math.ceil(((ticks - s * PM_TIMER_HZ) * NS_PER_S) / PM_TIMER_HZ);
}

/** The PM function: a PCI function that decodes a block of 64 ports, and {@linkcode smi}. */
export class Piix4Pm implements PciFunction<Piix4PmState> {
  readonly #config: PciConfigSpace;
  readonly #slot: WindowSlot;
  readonly #chip: ByteRegisters;
  #s = { sts: 0, en: 0, cnt: 0, halfPeriodsSeen: 0, apmc: 0, apms: 0 };
  #timer: Timer | undefined;

  /** The block PMBASE points at. */
  readonly pmBlock: PortDevice;
  /** Ports 0xb2 and 0xb3. */
  readonly smi: PortDevice;

  constructor(readonly name: string, readonly wires: Piix4PmWires) {
    this.#config = new PciConfigSpace({
      vendorId: 0x8086,
      deviceId: 0x7113,
      classCode: 0x068000,
      revisionId: 0x03,
      interruptPin: 1,
    }, wires);
    this.#config.define(PMBASE, 4, 0x0000_0001, 0x0000_ffc0);
    this.#config.define(PMREGMISC, 1, 0, PMREGMISC_PMIOSE);
    const stateless = { name, reset: () => {}, save: () => undefined, restore: () => {} };
    this.#chip = {
      portCount: PM_BLOCK_BYTES,
      readByte: (offset) => this.#readByte(offset),
      writeByte: (offset, value) => this.#writeByte(offset, value),
    };
    this.pmBlock = {
      ...stateless,
      portCount: PM_BLOCK_BYTES,
      readPort: (offset, size) => this.#readPm(offset, size),
      writePort: (offset, size, value) => this.#writePm(offset, size, value),
    };
    const smi: ByteRegisters = {
      portCount: 2,
      readByte: (offset) => offset === APMC ? this.#s.apmc : this.#s.apms,
      writeByte: (offset, value) => this.#writeSmi(offset, value),
    };
    this.smi = {
      ...stateless,
      portCount: 2,
      readPort: (offset, size) => readAsBytes(smi, offset, size),
      writePort: (offset, size, value) => writeAsBytes(smi, offset, size, value),
    };
    this.#slot = new WindowSlot({ kind: "io", device: this.pmBlock }, wires.mapper);
    this.#config.onWrite = () => this.#place();
  }

  reset(): void {
    const halfPeriodsSeen = this.#halfPeriods();
    this.#s = { sts: 0, en: 0, cnt: 0, halfPeriodsSeen, apmc: 0, apms: 0 };
    this.#config.reset();
    this.#updateIrq();
  }

  save(): Piix4PmState {
    return { config: this.#config.save(), ...this.#s };
  }

  restore(state: Piix4PmState): void {
    const { config, ...rest } = structuredClone(state);
    this.#s = rest;
    this.#config.restore(config);
    this.#updateIrq();
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.#config.write(offset, size, value);
  }

  /** The user presses the power button; a guest that listens shuts itself down. */
  pressPowerButton(): void {
    this.#s.sts |= PWRBTN_STS;
    this.#updateIrq();
  }

  #place(): void {
    const enabled = this.#config.read(PMREGMISC, 1) & PMREGMISC_PMIOSE;
    this.#slot.place(enabled ? this.#config.read(PMBASE, 4) & 0xffc0 : undefined);
  }

  #halfPeriods(): number {
    return Math.floor(ticksAt(this.wires.clock.nowNs()) / HALF_PERIOD);
  }

  #status(): number {
    return this.#s.sts | (this.#halfPeriods() !== this.#s.halfPeriodsSeen ? TMR_STS : 0);
  }

  #readPm(offset: number, size: AccessSize): number {
    if (offset === PM_TMR && size === 4) return ticksAt(this.wires.clock.nowNs()) % (TIMER_MASK + 1);
    return readAsBytes(this.#chip, offset, size);
  }

  #writePm(offset: number, size: AccessSize, value: number): void {
    if (offset === PM1_CNT && size !== 1) return this.#writeControl(value & 0xffff);
    writeAsBytes(this.#chip, offset, size, value);
  }

  #readByte(offset: number): number {
    const shift = 8 * (offset & 1);
    switch (offset & ~1) {
      case PM1_STS:
        return (this.#status() >> shift) & 0xff;
      case PM1_EN:
        return (this.#s.en >> shift) & 0xff;
      case PM1_CNT:
        return (this.#s.cnt >> shift) & 0xff;
      case PM1_CNT + 2:
        return 0;
      case PM_TMR:
      case PM_TMR + 2:
        return (ticksAt(this.wires.clock.nowNs()) % (TIMER_MASK + 1) >> (8 * (offset & 3))) & 0xff;
    }
    this.wires.tracer.warnOnce(`${this.name}.unclaimed`, `${this.name}: read of PM register ${offset}`);
    return 0xff;
  }

  #writeByte(offset: number, value: number): void {
    const s = this.#s;
    const shift = 8 * (offset & 1);
    const field = value << shift;
    switch (offset & ~1) {
      case PM1_STS:
        s.sts &= ~field;
        if (field & TMR_STS) s.halfPeriodsSeen = this.#halfPeriods();
        break;
      case PM1_EN:
        s.en = ((s.en & ~(0xff << shift)) | field) & ENABLE_BITS;
        break;
      case PM1_CNT:
        return this.#writeControl((s.cnt & ~(0xff << shift)) | field);
      case PM1_CNT + 2:
      case PM_TMR: // read only
      case PM_TMR + 2:
        return;
      default:
        this.wires.tracer.warnOnce(`${this.name}.unclaimed`, `${this.name}: write of PM register ${offset}`);
        return;
    }
    this.#updateIrq();
  }

  #writeControl(value: number): void {
    // SLP_EN is write-only. SCI_EN belongs to firmware: only the SMI command changes it.
    this.#s.cnt = (value & (0b111 << SLP_TYP[1])) | (this.#s.cnt & SCI_EN);
    if ((value & SLP_EN) === 0) return;
    const type = bits(value, ...SLP_TYP);
    if (type === SLP_TYP_S5) this.wires.powerOff();
    else this.wires.tracer.unimplemented(`${this.name}: sleep type ${type}`);
  }

  #writeSmi(offset: number, value: number): void {
    const s = this.#s;
    if (offset === APMS) {
      s.apms = value;
      return;
    }
    s.apmc = value;
    if (value === ACPI_ENABLE) s.cnt |= SCI_EN;
    else if (value === ACPI_DISABLE) s.cnt &= ~SCI_EN;
    else this.wires.tracer.unimplemented(`${this.name}: SMI command ${value}`);
    this.#updateIrq();
  }

  #updateIrq(): void {
    const s = this.#s;
    const pending = (this.#status() & s.en & (STATUS_BITS | TMR_STS)) !== 0;
    this.wires.sci.set(pending && (s.cnt & SCI_EN) !== 0);
    this.#timer?.cancel();
    this.#timer = undefined;
    if (s.en & TMR_EN && (this.#status() & TMR_STS) === 0) {
      const next = nsAt((this.#halfPeriods() + 1) * HALF_PERIOD);
      this.#timer = this.wires.clock.at(next, () => this.#updateIrq());
    }
  }
}
