// SPDX-License-Identifier: MIT
/**
 * MC146818 real-time clock with 128 bytes of CMOS RAM. Rules: Motorola MC146818A datasheet (ADI-1018); CMOS map
 * of the IBM PC AT and what SeaBIOS reads from it.
 *
 * The time is `wall()` plus an offset that the guest changes by setting the clock; nothing runs each second
 * unless an interrupt wants it. `wall` gives UNIX seconds *with fraction* and must advance with the clock.
 * Flags of register C are brought up to date whenever somebody looks. An update cycle ends at the second.
 *
 * Not done: daylight saving (DSE is only stored), the square-wave pin, divider settings for other crystals
 * (they count like 32.768 kHz); the day of the week follows from the date and cannot be set apart.
 * @module
 */
import { GiB, KiB, MiB } from "../../cpu/base/bits.ts";
import type { AccessSize, IrqLine, PortDevice } from "../../cpu/base/bus.ts";
import type { Clock } from "../../cpu/base/clock.ts";
import { Deadline } from "../bus/deadline.ts";

export const SECONDS = 0;
export const SECONDS_ALARM = 1;
export const MINUTES = 2;
export const MINUTES_ALARM = 3;
export const HOURS = 4;
export const HOURS_ALARM = 5;
export const DAY_OF_WEEK = 6; // Sunday: 1
export const DATE_OF_MONTH = 7;
export const MONTH = 8;
export const YEAR = 9;
export const A = 0x0a;
export const A_UIP = 1 << 7; // update in progress
export const A_RS = 0x0f; // rate of the periodic interrupt
export const B = 0x0b;
export const B_24_12 = 1 << 1; // 24-hour mode
export const B_DM = 1 << 2; // binary, not BCD
export const B_SQWE = 1 << 3;
export const B_UIE = 1 << 4;
export const B_AIE = 1 << 5;
export const B_PIE = 1 << 6;
export const B_SET = 1 << 7; // updates off while the time is set
export const C = 0x0c;
export const C_UF = 1 << 4; // update ended
export const C_AF = 1 << 5; // alarm
export const C_PF = 1 << 6; // periodic
export const C_IRQF = 1 << 7;
export const D = 0x0d;
export const D_VRT = 1 << 7; // valid RAM and time
/** Where the PC AT keeps the century; the FADT's CENTURY field says so too. */
export const CENTURY = 0x32;

const HOUR_PM = 0x80;
const ALARM_ANY = 0xc0; // "don't care": two top bits set
/** Datasheet: UIP rises 244 µs before the update cycle, which takes 1984 µs at 32.768 kHz. */
const UIP_SECONDS = (244 + 1984) * 1e-6;
const MIN_TIMER_NS = 1000;

/** All the state. */
export interface Mc146818State {
  index: number; // last value written to the index port; bit 7 is the NMI mask
  ram: number[]; // 128 bytes; time registers count only while the clock is stopped
  offset: number; // seconds from wall time to the guest's time
  lastSecond: number; // guest second up to which C_UF and C_AF are done
  lastPeriod: number; // periodic tick up to which C_PF is done
}

/** What the chip is connected to. */
export interface Mc146818Wires {
  readonly clock: Clock;
  readonly irq: IrqLine;
  /** UNIX time in seconds, with fraction. */
  wall(): number;
}

const TIME_REGISTERS: readonly number[] = [
  SECONDS,
  MINUTES,
  HOURS,
  DAY_OF_WEEK,
  DATE_OF_MONTH,
  MONTH,
  YEAR,
  CENTURY,
];

/** The chip: index port at 0, data port at 1. */
export class Mc146818 implements PortDevice<Mc146818State> {
  readonly portCount = 2;
  readonly maxAccess = 1;
  #s: Mc146818State;
  readonly #timer: Deadline;

  constructor(readonly name: string, readonly wires: Mc146818Wires) {
    this.#timer = new Deadline(wires.clock, () => this.#update());
    const ram: number[] = new Array(128).fill(0);
    ram[A] = 0x26; // 32.768 kHz, 1024 Hz: as PC firmware leaves it
    ram[B] = B_24_12;
    ram[D] = D_VRT;
    this.#s = { index: 0, ram, offset: 0, lastSecond: Math.floor(wires.wall()), lastPeriod: 0 };
    this.#s.lastPeriod = this.#period();
  }

  /** The RESET pin: interrupts off; time and CMOS live on. */
  reset(): void {
    const s = this.#s;
    s.index = 0;
    s.ram[B] = this.#reg(B) & ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s.ram[C] = 0;
    s.lastSecond = Math.floor(this.#time());
    s.lastPeriod = this.#period();
    this.#update();
  }

  save(): Mc146818State {
    return structuredClone(this.#s);
  }

  restore(state: Mc146818State): void {
    this.#s = structuredClone(state);
    this.#update();
  }

  /** Whether port 0x70 bit 7 masks NMI. */
  get nmiMasked(): boolean {
    return (this.#s.index & 0x80) !== 0;
  }

  /** Puts a byte into CMOS RAM, as firmware would; indexes below 0x0e are the clock's and stay. */
  setByte(index: number, value: number): void {
    if (index > D && index < 128 && index !== CENTURY) this.#s.ram[index] = value & 0xff;
  }

  /** A byte of CMOS RAM, as firmware reads it. */
  byte(index: number): number {
    return this.#reg(index & 0x7f);
  }

  /** Fills in the sizes that firmware and old kernels read, for RAM below and above 4 GiB. */
  setMemorySize(below4GiB: number, above4GiB = 0): void {
    const word = (index: number, value: number) => {
      this.setByte(index, value);
      this.setByte(index + 1, value >> 8);
    };
    const extended = Math.min(Math.max(0, Math.floor(below4GiB / KiB) - 1024), 0xffff);
    word(0x15, Math.min(640, Math.floor(below4GiB / KiB)));
    word(0x17, extended);
    word(0x30, extended);
    word(0x34, Math.min(Math.max(0, Math.floor((below4GiB - 16 * MiB) / (64 * KiB))), 0xffff));
    const high = Math.floor(Math.min(above4GiB, 1024 * GiB - 1) / (64 * KiB));
    word(0x5b, high & 0xffff);
    this.setByte(0x5d, high >> 16);
  }

  readPort(offset: number, _size: AccessSize): number {
    if ((offset & 1) === 0) return 0xff; // the index is write-only
    const s = this.#s;
    const index = s.index & 0x7f;
    if (index === A) return this.#reg(A) | (this.#updating() ? A_UIP : 0);
    if (index === C) {
      this.#sync();
      const flags = this.#reg(C);
      s.ram[C] = 0;
      this.#update();
      return flags | ((flags & this.#reg(B)) !== 0 ? C_IRQF : 0);
    }
    if (TIME_REGISTERS.includes(index) && !this.#stopped()) return this.#encodedTime(index);
    return this.#reg(index);
  }

  writePort(offset: number, _size: AccessSize, value: number): void {
    value &= 0xff;
    const s = this.#s;
    if ((offset & 1) === 0) {
      s.index = value;
      return;
    }
    this.#sync();
    const index = s.index & 0x7f;
    if (index === A || index === B) {
      this.#writeControl(index, value);
    } else if (TIME_REGISTERS.includes(index)) {
      if (this.#stopped()) {
        s.ram[index] = value;
      } else {
        this.#stopTime();
        s.ram[index] = value;
        this.#startTime(false);
      }
    } else if (index !== C && index !== D) {
      s.ram[index] = value;
    }
    this.#update();
  }

  #writeControl(index: number, value: number): void {
    const s = this.#s;
    const wasStopped = this.#stopped();
    const wasInReset = this.#dividerReset();
    if (!wasStopped && (index === B ? (value & B_SET) !== 0 : dividerReset(value))) this.#stopTime();
    if (index === B && (value & B_SET) !== 0 && (this.#reg(B) & B_SET) === 0) value &= ~B_UIE;
    s.ram[index] = index === A ? value & ~A_UIP : value;
    if (wasStopped && !this.#stopped()) this.#startTime(wasInReset);
    s.lastPeriod = this.#period();
  }

  #reg(index: number): number {
    return this.#s.ram[index] ?? 0;
  }

  #dividerReset(): boolean {
    return dividerReset(this.#reg(A));
  }

  #stopped(): boolean {
    return (this.#reg(B) & B_SET) !== 0 || this.#dividerReset();
  }

  /** The guest's time in UNIX seconds, when it runs. */
  #time(): number {
    return this.wires.wall() + this.#s.offset;
  }

  /** Copies the running time into the registers. */
  #stopTime(): void {
    for (const index of TIME_REGISTERS) this.#s.ram[index] = this.#encodedTime(index);
  }

  /** Runs on from what the registers say. After a divider reset the first update comes half a second later. */
  #startTime(afterDividerReset: boolean): void {
    const s = this.#s;
    const date = new Date(0);
    date.setUTCFullYear(
      this.#decode(this.#reg(CENTURY)) * 100 + this.#decode(this.#reg(YEAR)),
      this.#decode(this.#reg(MONTH)) - 1,
      this.#decode(this.#reg(DATE_OF_MONTH)),
    );
    date.setUTCHours(
      this.#decodeHour(this.#reg(HOURS)),
      this.#decode(this.#reg(MINUTES)),
      this.#decode(this.#reg(SECONDS)),
    );
    const old = this.#time();
    const fraction = afterDividerReset ? 0.5 : old - Math.floor(old);
    const seconds = date.getTime() / 1000;
    s.offset = seconds + fraction - this.wires.wall();
    s.lastSecond = seconds;
  }

  #encodedTime(index: number): number {
    const date = new Date(Math.floor(this.#time()) * 1000);
    switch (index) {
      case SECONDS:
        return this.#encode(date.getUTCSeconds());
      case MINUTES:
        return this.#encode(date.getUTCMinutes());
      case HOURS:
        return this.#encodeHour(date.getUTCHours());
      case DAY_OF_WEEK:
        return this.#encode(date.getUTCDay() + 1);
      case DATE_OF_MONTH:
        return this.#encode(date.getUTCDate());
      case MONTH:
        return this.#encode(date.getUTCMonth() + 1);
      case YEAR:
        return this.#encode(date.getUTCFullYear() % 100);
      default:
        return this.#encode(Math.floor(date.getUTCFullYear() / 100));
    }
  }

  #encode(value: number): number {
    return (this.#reg(B) & B_DM) !== 0 ? value & 0xff : ((Math.floor(value / 10) << 4) | value % 10) & 0xff;
  }

  #decode(value: number): number {
    return (this.#reg(B) & B_DM) !== 0 ? value : (value >> 4) * 10 + (value & 15);
  }

  #encodeHour(hour: number): number {
    if ((this.#reg(B) & B_24_12) !== 0) return this.#encode(hour);
    return this.#encode(hour % 12 || 12) | (hour >= 12 ? HOUR_PM : 0);
  }

  #decodeHour(value: number): number {
    if ((this.#reg(B) & B_24_12) !== 0) return this.#decode(value);
    return this.#decode(value & ~HOUR_PM) % 12 + ((value & HOUR_PM) !== 0 ? 12 : 0);
  }

  #updating(): boolean {
    const time = this.#time();
    return !this.#stopped() && time - Math.floor(time) >= 1 - UIP_SECONDS;
  }

  /** Periodic interrupts per second, 0 when off. Datasheet table 5, 32.768 kHz time base. */
  #rate(): number {
    const rs = this.#reg(A) & A_RS;
    if (rs === 0 || this.#dividerReset()) return 0;
    return rs <= 2 ? 512 >> rs : 65_536 >> rs;
  }

  #period(): number {
    return Math.floor(this.wires.clock.nowNs() * this.#rate() / 1e9);
  }

  /** Value an alarm register asks for: -1 when any, NaN when no time ever shows it. */
  #alarmField(index: number, encoded: (value: number) => number, limit: number): number {
    const alarm = this.#reg(index);
    if (alarm >= ALARM_ANY) return -1;
    for (let value = 0; value < limit; value++) if (encoded(value) === alarm) return value;
    return NaN;
  }

  /** First second after `after` at which the alarm matches, Infinity when never. */
  #nextAlarm(after: number): number {
    const hour = this.#alarmField(HOURS_ALARM, (value) => this.#encodeHour(value), 24);
    const minute = this.#alarmField(MINUTES_ALARM, (value) => this.#encode(value), 60);
    const second = this.#alarmField(SECONDS_ALARM, (value) => this.#encode(value), 60);
    if (Number.isNaN(hour + minute + second)) return Infinity;
    let t = after + 1;
    for (let step = 0; step < 24 + 60 + 60 + 3; step++) { // every field is met once at most
      const hours = Math.floor(t / 3600);
      const minutes = Math.floor(t / 60);
      if (hour >= 0 && mod(hours, 24) !== hour) t = (hours + 1) * 3600;
      else if (minute >= 0 && mod(minutes, 60) !== minute) t = (minutes + 1) * 60;
      else if (second >= 0 && mod(t, 60) !== second) t++;
      else return t;
    }
    return Infinity;
  }

  /** Sets the flags of register C for what has happened since the last look. */
  #sync(): void {
    const s = this.#s;
    let flags = this.#reg(C);
    const period = this.#period();
    if (period > s.lastPeriod) flags |= C_PF;
    s.lastPeriod = period;
    if (!this.#stopped()) {
      const second = Math.floor(this.#time());
      if (second > s.lastSecond) {
        flags |= C_UF;
        if (this.#nextAlarm(s.lastSecond) <= second) flags |= C_AF;
      }
      s.lastSecond = second;
    }
    s.ram[C] = flags;
  }

  /** Drives the pin, and arms the timer for the next flag that would raise it. */
  #update(): void {
    this.#sync();
    const enabled = this.#reg(B) & (B_PIE | B_AIE | B_UIE);
    const wanted = enabled & ~this.#reg(C);
    this.wires.irq.set((enabled & this.#reg(C)) !== 0);
    const now = this.wires.clock.nowNs();
    let due = Infinity;
    const rate = this.#rate();
    if ((wanted & B_PIE) !== 0 && rate > 0) due = Math.ceil((this.#s.lastPeriod + 1) * 1e9 / rate);
    if ((wanted & (B_UIE | B_AIE)) !== 0 && !this.#stopped()) {
      const time = this.#time();
      const second = (wanted & B_UIE) !== 0 ? Math.floor(time) + 1 : this.#nextAlarm(Math.floor(time));
      due = Math.min(due, now + (second - time) * 1e9);
    }
    this.#timer.set(Math.max(due, now + MIN_TIMER_NS));
  }
}

/** DV2..DV0 = 11x hold the divider in reset. */
function dividerReset(a: number): boolean {
  return (a & 0x60) === 0x60;
}

function mod(a: number, n: number): number {
  return ((a % n) + n) % n;
}
