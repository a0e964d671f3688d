// SPDX-License-Identifier: MIT
/**
 * 8254 programmable interval timer. Rules: Intel 8254 datasheet (231164-005).
 *
 * Nothing ticks: a channel records when its counting element was loaded, and count and OUT are functions of the
 * time since. The OUT pin of channel 0 is driven at its rising edges and at register accesses; the falling
 * edge is shown just before the next rising one, so a mode 2 or 3 timer costs one host timer per period.
 * Periods that pass unpolled become one edge.
 *
 * Not done: counts a mode forbids (1 in modes 2 and 3) make no edge; BCD digits above 9 count as their value.
 * @module
 */
import { bits } from "../../cpu/base/bits.ts";
import type { AccessSize, IrqLine, PortDevice } from "../../cpu/base/bus.ts";
import type { Clock } from "../../cpu/base/clock.ts";
import { Deadline } from "../bus/deadline.ts";

/** Input frequency of all channels in a PC. */
export const PIT_HZ = 1_193_182;
export const CW = 3; // control word register; counters are at offsets 0..2
export const CW_SC = [7, 6] as const; // select counter; 3: read-back command
export const CW_RW = [5, 4] as const; // 0: latch, 1: LSB, 2: MSB, 3: LSB then MSB
export const CW_M = [3, 1] as const; // mode
export const CW_BCD = 1 << 0;
export const READ_BACK_COUNT = 1 << 5; // low: latch count
export const READ_BACK_STATUS = 1 << 4; // low: latch status
export const STATUS_OUTPUT = 1 << 7;
export const STATUS_NULL_COUNT = 1 << 6; // the count written is not in the counting element yet

/** State of one channel. Ticks are input clock pulses since machine start; -1 stands for "none". */
export interface ChannelState {
  control: number; // D5..D0 of the control word
  gate: boolean;
  reload: number; // count register: 1..0x10000, 0 when nothing was written since the control word
  fresh: boolean; // the count register waits for a load
  period: number; // what the counting element was loaded with
  loaded: boolean; // false from the control word to the first load
  start: number; // tick of that load
  held: number; // ticks counted when GATE stopped it, -1 when running
  switchAt: number; // tick at which the fresh count takes over (modes 2 and 3)
  writeLow: number; // LSB of a two-byte write under way
  readHigh: boolean; // the next read of a two-byte pair gives the MSB
  latchedCount: number;
  latchedStatus: number;
}

/** State of the chip. */
export interface I8254State {
  channels: ChannelState[];
  seen: number; // tick up to which channel 0's edges have been shown
}

function powerOn(): I8254State {
  const channel = (gate: boolean): ChannelState => ({
    control: 0x30, // undefined in the datasheet: mode 0, nothing counting
    gate,
    reload: 0,
    fresh: true,
    period: 0,
    loaded: false,
    start: 0,
    held: -1,
    switchAt: -1,
    writeLow: -1,
    readHigh: false,
    latchedCount: -1,
    latchedStatus: -1,
  });
  return { channels: [channel(true), channel(true), channel(false)], seen: 0 };
}

/** First nanosecond of tick `tick`. */
export function pitTickToNs(tick: number): number {
  const ns = Math.ceil(tick * 1e9 / PIT_HZ);
  return nsToPitTick(ns) < tick ? ns + 1 : ns;
}
/** Input clock pulses in `ns`. */
export function nsToPitTick(ns: number): number {
  return Math.floor(ns * PIT_HZ / 1e9);
}

function modeOf(c: ChannelState): number {
  const mode = bits(c.control, ...CW_M);
  return mode > 5 ? mode & 3 : mode; // M2 is don't-care in modes 2 and 3
}

/** Ticks counted since the load; negative when the load is still to come. */
function elapsed(c: ChannelState, now: number): number {
  return c.held >= 0 ? c.held : now - c.start;
}

/** Level of OUT at `now`. */
function outAt(c: ChannelState, now: number): boolean {
  const mode = modeOf(c);
  if (!c.loaded) return mode !== 0;
  const e = elapsed(c, now);
  if (mode === 0) return e >= c.period;
  if (e < 0) return true;
  switch (mode) {
    case 1:
      return e >= c.period;
    case 2:
      return !c.gate || e % c.period !== c.period - 1 || c.period === 1;
    case 3:
      return !c.gate || e % c.period < Math.ceil(c.period / 2);
    default:
      return e !== c.period;
  }
}

/** The counting element at `now`, in binary. */
function countAt(c: ChannelState, now: number): number {
  if (!c.loaded) return 0;
  const e = Math.max(0, elapsed(c, now));
  const n = c.period;
  const half = Math.ceil(n / 2);
  const modulus = (c.control & CW_BCD) !== 0 ? 10_000 : 0x1_0000;
  switch (modeOf(c)) {
    case 2:
      return n - e % n;
    case 3: {
      const phase = e % n < half ? e % n : e % n - half;
      return n - (n & 1) - 2 * phase; // odd counts load one less
    }
    default:
      return ((n - e) % modulus + modulus) % modulus;
  }
}

/** Ticks from the load to the first rising edge of OUT; Infinity when there is none. */
function firstRise(c: ChannelState): number {
  switch (modeOf(c)) {
    case 2:
    case 3:
      return c.period > 1 ? c.period : Infinity;
    case 4:
    case 5:
      return c.period + 1;
    default:
      return c.period;
  }
}

/** First rising edge of OUT after `now`, Infinity when none comes. */
function nextRise(c: ChannelState, now: number): number {
  if (!c.loaded || c.held >= 0) return Infinity;
  const first = firstRise(c);
  const e = now - c.start;
  if (e < first) return c.start + first;
  const mode = modeOf(c);
  if ((mode !== 2 && mode !== 3) || first === Infinity) return Infinity;
  return c.start + (Math.floor(e / c.period) + 1) * c.period;
}

/** Loads the counting element from the count register at tick `at`. */
function load(c: ChannelState, at: number): void {
  c.period = c.reload;
  c.loaded = true;
  c.start = at;
  c.held = -1;
  c.switchAt = -1;
  c.fresh = false;
}

/** Lets a fresh count take over whose time has come. */
function advance(c: ChannelState, now: number): void {
  if (c.switchAt < 0 || now < c.switchAt) return;
  const at = c.switchAt;
  // In mode 3 the count changes at the end of a half cycle: of the high one, when OUT is low from there.
  const afterHigh = modeOf(c) === 3 && (at - c.start) % c.period !== 0;
  load(c, afterHigh ? at - Math.ceil(c.reload / 2) : at);
}

/** What the chip is connected to. */
export interface I8254Wires {
  readonly clock: Clock;
  /** OUT of channel 0. */
  readonly irq: IrqLine;
}

/** The chip: counters 0..2 at offsets 0..2, control word at 3. */
export class I8254 implements PortDevice<I8254State> {
  readonly portCount = 4;
  readonly maxAccess = 1;
  #s = powerOn();
  readonly #timer: Deadline;

  constructor(readonly name: string, readonly wires: I8254Wires) {
    this.#timer = new Deadline(wires.clock, () => this.#update());
  }

  /** GATE of channel 2 keeps its level: it belongs to port 0x61. */
  reset(): void {
    const gates = this.#s.channels.map((c) => c.gate);
    this.#s = powerOn();
    this.#s.channels.forEach((c, i) => c.gate = gates[i] ?? true);
    this.#s.seen = this.#now();
    this.#update();
  }

  save(): I8254State {
    return structuredClone(this.#s);
  }

  restore(state: I8254State): void {
    this.#s = structuredClone(state);
    this.#update();
  }

  /** Level of a channel's OUT pin now. */
  out(channel: 0 | 1 | 2): boolean {
    this.#update();
    return outAt(this.#channel(channel), this.#now());
  }

  /** Drives a channel's GATE pin. */
  setGate(channel: 0 | 1 | 2, level: boolean): void {
    const c = this.#channel(channel);
    if (c.gate === level) return;
    this.#update();
    const now = this.#now();
    const mode = modeOf(c);
    c.gate = level;
    if (mode === 1 || mode === 5) {
      if (level && c.reload > 0) load(c, now + 1); // trigger
    } else if (!level) {
      if (c.loaded) c.held = Math.max(0, now - c.start);
      c.switchAt = -1;
    } else if (mode === 2 || mode === 3) {
      if (c.reload > 0) load(c, now + 1);
    } else if (c.held >= 0) {
      c.start = now - c.held;
      c.held = -1;
    }
    this.#update();
  }

  readPort(offset: number, _size: AccessSize): number {
    if ((offset & 3) === CW) return 0xff; // no register: the bus floats
    this.#update();
    const c = this.#channel(offset & 3);
    if (c.latchedStatus >= 0) {
      const status = c.latchedStatus;
      c.latchedStatus = -1;
      return status;
    }
    const count = c.latchedCount >= 0 ? c.latchedCount : this.#visibleCount(c);
    const access = bits(c.control, ...CW_RW);
    const high = access === 2 || (access === 3 && c.readHigh);
    if (access === 3) c.readHigh = !c.readHigh;
    if (access !== 3 || high) c.latchedCount = -1;
    return high ? count >> 8 : count & 0xff;
  }

  writePort(offset: number, _size: AccessSize, value: number): void {
    this.#update();
    value &= 0xff;
    if ((offset & 3) !== CW) this.#writeCount(this.#channel(offset & 3), value);
    else if (bits(value, ...CW_SC) === 3) this.#readBack(value);
    else if (bits(value, ...CW_RW) === 0) this.#latchCount(this.#channel(bits(value, ...CW_SC)));
    else this.#writeControl(this.#channel(bits(value, ...CW_SC)), value);
    this.#update();
  }

  #channel(index: number): ChannelState {
    return this.#s.channels[index] as ChannelState;
  }

  #now(): number {
    return nsToPitTick(this.wires.clock.nowNs());
  }

  #writeControl(c: ChannelState, value: number): void {
    c.control = value & 0x3f;
    c.reload = 0;
    c.fresh = true;
    c.loaded = false;
    c.held = c.switchAt = -1;
    c.writeLow = c.latchedCount = c.latchedStatus = -1;
    c.readHigh = false;
  }

  #writeCount(c: ChannelState, value: number): void {
    const access = bits(c.control, ...CW_RW);
    if (access === 3 && c.writeLow < 0) {
      c.writeLow = value;
      if (modeOf(c) === 0) c.loaded = false; // the first byte stops counting, OUT goes low
      return;
    }
    const raw = access === 3 ? c.writeLow | (value << 8) : access === 2 ? value << 8 : value;
    c.writeLow = -1;
    if ((c.control & CW_BCD) !== 0) {
      const decimal = (raw & 15) + 10 * ((raw >> 4) & 15) + 100 * ((raw >> 8) & 15) + 1000 * (raw >> 12);
      c.reload = decimal % 10_000 || 10_000;
    } else {
      c.reload = raw || 0x1_0000;
    }
    c.fresh = true;
    this.#countWritten(c, this.#now());
  }

  #countWritten(c: ChannelState, now: number): void {
    const mode = modeOf(c);
    if (mode === 1 || mode === 5) return; // waits for a trigger
    const periodic = mode === 2 || mode === 3;
    if (periodic && c.gate && c.loaded && c.start <= now) {
      const n = c.period;
      const half = mode === 3 ? Math.ceil(n / 2) : n;
      const into = (now - c.start) % n;
      c.switchAt = now - into + (into < half ? half : n);
    } else {
      load(c, now + 1);
      if (!c.gate) c.held = 0; // loaded, but not counting
    }
  }

  #visibleCount(c: ChannelState): number {
    const count = countAt(c, this.#now());
    if ((c.control & CW_BCD) === 0) return count & 0xffff;
    const digit = (unit: number) => Math.floor(count / unit) % 10;
    return (digit(1000) << 12) | (digit(100) << 8) | (digit(10) << 4) | digit(1);
  }

  #latchCount(c: ChannelState): void {
    if (c.latchedCount < 0) c.latchedCount = this.#visibleCount(c);
  }

  #readBack(command: number): void {
    const now = this.#now();
    for (let i = 0; i < 3; i++) {
      if ((command & (2 << i)) === 0) continue;
      const c = this.#channel(i);
      if ((command & READ_BACK_COUNT) === 0) this.#latchCount(c);
      if ((command & READ_BACK_STATUS) === 0 && c.latchedStatus < 0) {
        const waiting = c.fresh || (c.held < 0 && now < c.start);
        c.latchedStatus = (outAt(c, now) ? STATUS_OUTPUT : 0) | (waiting ? STATUS_NULL_COUNT : 0) | c.control;
      }
    }
  }

  /** Brings every channel up to now, shows channel 0's OUT, and arms the timer for its next rising edge. */
  #update(): void {
    const s = this.#s;
    const now = this.#now();
    const c = this.#channel(0);
    let rose = nextRise(c, s.seen) <= (c.switchAt < 0 ? now : Math.min(now, c.switchAt));
    for (const channel of s.channels) advance(channel, now);
    rose ||= nextRise(c, s.seen) <= now;
    s.seen = now;
    if (rose) this.wires.irq.set(false);
    this.wires.irq.set(outAt(c, now));
    const next = nextRise(c, now);
    const due = c.switchAt < 0 ? next : Math.min(next, c.switchAt);
    this.#timer.set(due === Infinity ? Infinity : pitTickToNs(due));
  }
}
