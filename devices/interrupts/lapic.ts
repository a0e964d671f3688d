// SPDX-License-Identifier: MIT
/**
 * Local APIC of a machine with one CPU: xAPIC (MMIO) and x2APIC (MSRs). Rules: Intel SDM Vol. 3A chapter 11
 * "APIC" (section numbers as of 2023). Version 0x14, six LVT entries, no EOI-broadcast suppression.
 *
 * The 8259 pair hangs on LINT0: an ExtINT entry there, or a globally disabled APIC, passes its INT through,
 * and {@linkcode Lapic.acknowledge} then does the INTA cycle. ExtINT goes before the APIC's own vectors.
 *
 * Not done: other CPUs (start-up messages mean nothing to one that runs, SMI is swallowed), the ID register is read-only, APR and
 * RRD read 0, thermal and performance LVT entries hold their value but nothing raises them.
 * @module
 */
import type { AccessSize, InterruptSource, IrqLine, MmioDevice } from "../../cpu/base/bus.ts";
import { DELMOD_ExtINT, DELMOD_Fixed, DELMOD_INIT, DELMOD_LowestPriority, DELMOD_NMI } from "./ioapic.ts";
import { LapicTimer, type LapicTimerState, type LapicTimerWires } from "./lapic_timer.ts";

// Register numbers: MMIO offset / 0x10, x2APIC MSR - 0x800 (SDM table 11-1).
export const APIC_ID = 0x02;
export const APIC_VERSION = 0x03;
export const APIC_TPR = 0x08; // task priority
export const APIC_APR = 0x09; // arbitration priority
export const APIC_PPR = 0x0a; // processor priority
export const APIC_EOI = 0x0b;
export const APIC_RRD = 0x0c; // remote read
export const APIC_LDR = 0x0d; // logical destination
export const APIC_DFR = 0x0e; // destination format
export const APIC_SVR = 0x0f; // spurious vector
export const SVR_ENABLE = 1 << 8; // software enable
export const APIC_ISR = 0x10; // 8 registers
export const APIC_TMR = 0x18; // 8 registers
export const APIC_IRR = 0x20; // 8 registers
export const APIC_ESR = 0x28; // error status
export const ESR_SEND_ILLEGAL = 1 << 5;
export const ESR_RECEIVE_ILLEGAL = 1 << 6;
export const ESR_ILLEGAL_REGISTER = 1 << 7;
export const APIC_ICR = 0x30; // interrupt command
export const ICR_LOGICAL = 1 << 11;
export const ICR_ASSERT = 1 << 14;
export const ICR_LEVEL = 1 << 15;
export const APIC_ICR2 = 0x31; // its high half; xAPIC only
export const APIC_LVT_TIMER = 0x32;
export const APIC_LVT_THERMAL = 0x33;
export const APIC_LVT_PMC = 0x34;
export const APIC_LVT_LINT0 = 0x35;
export const APIC_LVT_LINT1 = 0x36;
export const APIC_LVT_ERROR = 0x37;
export const LVT_REMOTE_IRR = 1 << 14;
export const LVT_LEVEL = 1 << 15;
export const LVT_MASK = 1 << 16;
export const APIC_TMICT = 0x38; // initial count
export const APIC_TMCCT = 0x39; // current count
export const APIC_TDCR = 0x3e; // divide configuration
export const APIC_SELF_IPI = 0x3f; // x2APIC only

export const IA32_APIC_BASE = 0x1b;
export const APIC_BASE_BSP = 1 << 8;
export const APIC_BASE_EXTD = 1 << 10; // x2APIC mode
export const APIC_BASE_EN = 1 << 11; // global enable
export const IA32_TSC_DEADLINE = 0x6e0;
export const X2APIC_MSR = 0x800;
/** Where the registers are after reset. */
export const APIC_DEFAULT_BASE = 0xfee0_0000;

const VERSION = 0x14 | (6 - 1) << 16;
const DELMOD = 7 << 8;
/** Bits of each LVT entry that keep what is written, from APIC_LVT_TIMER on. */
const LVT_WRITABLE = [0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff] as const;
/** The same with the read-only bits: what x2APIC takes without #GP. */
const LVT_DEFINED = [0x7_10ff, 0x1_17ff, 0x1_17ff, 0x1_f7ff, 0x1_f7ff, 0x1_10ff] as const;
const ICR_DEFINED = 0xc_dfff;
const ICR_KEPT = 0xc_cfff;

/** All the state. */
export interface LapicState {
  mode: "disabled" | "xapic" | "x2apic";
  base: number;
  tpr: number;
  ldr: number; // xAPIC: bits 31:24
  dfr: number;
  svr: number;
  esr: number;
  errors: number; // since the last write to ESR
  icr: number;
  icr2: number;
  lvt: number[];
  irr: number[]; // 8 words of 32 bits each, also isr and tmr
  isr: number[];
  tmr: number[];
  lint: [boolean, boolean]; // levels of the pins
  extInt: boolean; // an ExtINT message waits
  timer: LapicTimerState | null; // filled in by save
}

function powerOn(): LapicState {
  const words = () => new Array<number>(8).fill(0);
  return {
    mode: "xapic",
    base: APIC_DEFAULT_BASE,
    tpr: 0,
    ldr: 0,
    dfr: 0xffff_ffff,
    svr: 0xff,
    esr: 0,
    errors: 0,
    icr: 0,
    icr2: 0,
    lvt: new Array(6).fill(LVT_MASK),
    irr: words(),
    isr: words(),
    tmr: words(),
    lint: [false, false],
    extInt: false,
    timer: null,
  };
}

/** What the APIC is connected to. */
export interface LapicWires extends LapicTimerWires {
  /** High while {@linkcode Lapic.pending}. */
  readonly intr: IrqLine;
  /** EOI broadcast for level-triggered vectors. */
  eoi(vector: number): void;
  /** Brings the LINT pins up to date; called before their level decides something. Default: they always are. */
  sample?(): void;
  /** It takes messages, or other ones, that it did not take before: a level is sent again. */
  accepting?(): void;
  /** The 8259 pair's INTA cycle: gives its vector. */
  extInt(): number;
  /** A non-maskable interrupt for the CPU. */
  nmi(): void;
  /** An INIT for the CPU. */
  init?(): void;
  /** The register page moved; undefined when it is not in the address space. */
  mapped?(base: number | undefined): void;
  /** MAXPHYADDR, for IA32_APIC_BASE. Default 40. */
  physicalAddressBits?(): number;
}

/** Highest bit set in 256, -1 when none. */
function highest(words: readonly number[]): number {
  for (let i = 7; i >= 0; i--) {
    const word = words[i] ?? 0;
    if (word !== 0) return i * 32 + 31 - Math.clz32(word);
  }
  return -1;
}
function setBit(words: number[], bit: number, on: boolean): void {
  const word = words[bit >> 5] ?? 0;
  words[bit >> 5] = (on ? word | (1 << (bit & 31)) : word & ~(1 << (bit & 31))) >>> 0;
}
function testBit(words: readonly number[], bit: number): boolean {
  return (((words[bit >> 5] ?? 0) >>> (bit & 31)) & 1) !== 0;
}

/** See the module's description. */
export class Lapic implements MmioDevice<LapicState>, InterruptSource {
  readonly mmioBytes = 0x1000;
  readonly id = 0;
  #s = powerOn();
  /** The vector to take next, -1 when none; derived by #update. */
  #vector = -1;
  readonly #timer: LapicTimer;

  constructor(readonly name: string, readonly wires: LapicWires) {
    this.#timer = new LapicTimer(wires, () => this.#deliverLvt(APIC_LVT_TIMER));
  }

  /** LINT pins keep their level: they belong to others. */
  reset(): void {
    this.#s = { ...powerOn(), lint: this.#s.lint };
    this.#timer.reset();
    this.wires.mapped?.(APIC_DEFAULT_BASE);
    this.#update();
  }

  /** INIT: as RESET, but IA32_APIC_BASE keeps address and mode (SDM Vol. 3A §11.4.7.3, §11.12.5.1). */
  init(): void {
    const { lint, mode, base } = this.#s;
    this.#s = { ...powerOn(), lint, mode, base };
    this.#timer.reset();
    this.#update();
  }

  save(): LapicState {
    return structuredClone({ ...this.#s, timer: this.#timer.save() });
  }

  restore(state: LapicState): void {
    this.#s = structuredClone(state);
    if (state.timer !== null) this.#timer.restore(state.timer);
    this.#s.timer = null;
    this.wires.mapped?.(this.#s.mode === "xapic" ? this.#s.base : undefined);
    this.#update();
  }

  /** As PC firmware leaves it: enabled, 8259 on LINT0, NMI on LINT1 ("virtual wire mode"). */
  setVirtualWire(): void {
    this.#s.svr |= SVR_ENABLE;
    this.#writeLvt(APIC_LVT_LINT0, DELMOD_ExtINT << 8);
    this.#writeLvt(APIC_LVT_LINT1, DELMOD_NMI << 8);
    this.#update();
  }

  /** True when LINT0, where the 8259 pair hangs, raises NMIs. LINT1 is the NMI button, which nobody waits for. */
  get lint0SendsNmi(): boolean {
    return (this.#lvt(APIC_LVT_LINT0) & (LVT_MASK | DELMOD)) === DELMOD_NMI << 8;
  }

  /** Operating mode, from IA32_APIC_BASE. */
  get mode(): "disabled" | "xapic" | "x2apic" {
    return this.#s.mode;
  }

  /** CR8: bits 7:4 of the task priority. */
  get cr8(): number {
    return this.#s.tpr >> 4;
  }
  set cr8(value: number) {
    this.#s.tpr = (value & 15) << 4;
    this.#update();
  }

  /** True while an interrupt waits that the priorities let through. */
  get pending(): boolean {
    return this.#vector >= 0 || this.#extIntPending();
  }

  /** Takes it: an 8259 vector, or the highest of ours, which goes into service. */
  acknowledge(): number {
    const s = this.#s;
    let vector: number;
    if (this.#extIntPending()) {
      vector = this.wires.extInt();
      if (!s.lint[0]) s.extInt = false; // while INT is up there is more to fetch
    } else {
      vector = this.#vector;
      if (vector < 0) return -1;
      setBit(s.irr, vector, false);
      setBit(s.isr, vector, true);
    }
    this.#update();
    return vector;
  }

  /** Raises an edge-triggered vector, as a message to us would; false when the APIC takes none. */
  inject(vector: number): boolean {
    return this.#accept(vector, false);
  }

  /** A message from an IOAPIC or an MSI, with 8-bit destination. True when it is for us and accepted. */
  receive(
    vector: number,
    deliveryMode: number,
    level: boolean,
    destination: number,
    logical: boolean,
  ): boolean {
    const broadcast = destination === 0xff;
    if (this.#s.mode === "disabled" || !(broadcast || this.#isFor(destination, logical))) return false;
    return this.#deliver(vector, deliveryMode, level);
  }

  /** Drives LINT0 or LINT1. */
  setLint(pin: 0 | 1, asserted: boolean): void {
    const s = this.#s;
    if (s.lint[pin] === asserted) return;
    s.lint[pin] = asserted;
    const entry = this.#lvt(APIC_LVT_LINT0 + pin);
    if (asserted && s.mode === "disabled") {
      if (pin === 1) this.wires.nmi();
    } else if (asserted && (entry & LVT_MASK) === 0 && (entry & DELMOD) !== DELMOD_ExtINT << 8) {
      // Levels wait in #update; NMI is edge-triggered whatever the entry says.
      if ((entry & DELMOD) !== 0 || (entry & LVT_LEVEL) === 0) this.#deliverLvt(APIC_LVT_LINT0 + pin);
    }
    this.#update();
  }

  readMmio(offset: number, size: AccessSize): number {
    if (this.#s.mode !== "xapic") return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    const value = this.#read(offset >> 4);
    const byte = offset & 15;
    if (value === undefined) this.#error(ESR_ILLEGAL_REGISTER);
    if (value === undefined || byte + size > 4) return 0; // undefined by the SDM
    return size === 4 ? value : (value >>> (8 * byte)) & (size === 2 ? 0xffff : 0xff);
  }

  writeMmio(offset: number, size: AccessSize, value: number): void {
    // "Must be accessed with 32-bit loads and stores aligned on 128-bit boundaries"; anything else is dropped.
    if (this.#s.mode !== "xapic" || size !== 4 || (offset & 15) !== 0) return;
    const register = offset >> 4;
    value >>>= 0;
    switch (register) {
      case APIC_LDR:
        this.#s.ldr = (value & 0xff00_0000) >>> 0;
        this.wires.accepting?.();
        break;
      case APIC_DFR:
        this.#s.dfr = (value | 0x0fff_ffff) >>> 0;
        this.wires.accepting?.();
        break;
      case APIC_ICR2:
        this.#s.icr2 = (value & 0xff00_0000) >>> 0;
        break;
      case APIC_ICR:
        this.#s.icr = value & ICR_KEPT;
        this.#command(this.#s.icr2 >>> 24, this.#s.icr2 >>> 24 === 0xff);
        break;
      case APIC_SELF_IPI:
        this.#error(ESR_ILLEGAL_REGISTER);
        break;
      default:
        if (!this.#write(register, value) && this.#read(register) === undefined) {
          this.#error(ESR_ILLEGAL_REGISTER);
        }
    }
    this.#update();
  }

  /** True for the MSRs that {@linkcode readMsr} and {@linkcode writeMsr} answer for. */
  ownsMsr(index: number): boolean {
    return index === IA32_APIC_BASE || index === IA32_TSC_DEADLINE || (index & ~0xff) === X2APIC_MSR;
  }

  /** RDMSR; undefined: #GP(0). */
  readMsr(index: number): bigint | undefined {
    const s = this.#s;
    if (index === IA32_APIC_BASE) {
      const mode = { disabled: 0, xapic: APIC_BASE_EN, x2apic: APIC_BASE_EN | APIC_BASE_EXTD }[s.mode];
      return BigInt(s.base + (APIC_BASE_BSP | mode));
    }
    if (index === IA32_TSC_DEADLINE) return this.#timer.tscDeadline;
    const register = index - X2APIC_MSR;
    if (s.mode !== "x2apic" || register < 0 || register > 0xff) return undefined;
    switch (register) {
      case APIC_APR:
      case APIC_EOI:
      case APIC_RRD:
      case APIC_DFR:
      case APIC_ICR2:
        return undefined;
      case APIC_ICR:
        return BigInt(s.icr2) << 32n | BigInt(s.icr);
    }
    const value = this.#read(register);
    return value === undefined ? undefined : BigInt(value);
  }

  /** WRMSR; false: #GP(0), and nothing changed. */
  writeMsr(index: number, value: bigint): boolean {
    if (index === IA32_APIC_BASE) return this.#writeBase(value);
    if (index === IA32_TSC_DEADLINE) {
      this.#timer.tscDeadline = BigInt.asUintN(64, value);
      return true;
    }
    return this.writeX2apic(
      index,
      Number(BigInt.asUintN(32, value)),
      Number(BigInt.asUintN(32, value >> 32n)),
    );
  }

  /** WRMSR of an x2APIC register as two u32 halves, without bigint; false: #GP(0). */
  writeX2apic(index: number, low: number, high: number): boolean {
    const s = this.#s;
    const register = index - X2APIC_MSR;
    if (s.mode !== "x2apic" || register < 0 || register > 0xff) return false;
    if (high !== 0 && register !== APIC_ICR) return false;
    let taken = true;
    switch (register) {
      case APIC_ICR:
        if ((low & ~ICR_DEFINED) !== 0) return false;
        s.icr = low & ICR_KEPT;
        s.icr2 = high;
        this.#command(high, high === 0xffff_ffff);
        break;
      case APIC_SELF_IPI:
        if (low > 0xff) return false;
        this.#sendFixed(low);
        break;
      default:
        taken = (low & ~definedBits(register)) === 0 && this.#write(register, low);
    }
    this.#update();
    return taken;
  }

  /** IA32_APIC_BASE and its state machine (SDM figure 11-27). */
  #writeBase(value: bigint): boolean {
    const s = this.#s;
    const limit = 2 ** (this.wires.physicalAddressBits?.() ?? 40);
    if (value < 0n || value >= BigInt(limit)) return false;
    const number = Number(value);
    const flags = number % 0x1000;
    if ((flags & ~(APIC_BASE_BSP | APIC_BASE_EXTD | APIC_BASE_EN)) !== 0) return false;
    const extended = (flags & APIC_BASE_EXTD) !== 0;
    const enabled = (flags & APIC_BASE_EN) !== 0;
    if (extended && (!enabled || s.mode === "disabled")) return false;
    if (!extended && enabled && s.mode === "x2apic") return false;
    const mode = !enabled ? "disabled" : extended ? "x2apic" : "xapic";
    if (mode === "disabled" && s.mode !== "disabled") {
      this.#s = { ...powerOn(), lint: s.lint };
      this.#timer.reset();
    }
    this.#s.mode = mode;
    this.#s.base = number - flags;
    this.wires.mapped?.(mode === "xapic" ? this.#s.base : undefined);
    this.#update();
    this.wires.accepting?.(); // the logical ID is another one in x2APIC mode
    return true;
  }

  /** A register's value as the mode has it; undefined where there is none. */
  #read(register: number): number | undefined {
    const s = this.#s;
    const x2 = s.mode === "x2apic";
    if (register >= APIC_ISR && register < APIC_ESR) {
      const words = register < APIC_TMR ? s.isr : register < APIC_IRR ? s.tmr : s.irr;
      return words[register & 7] ?? 0;
    }
    if (register >= APIC_LVT_TIMER && register <= APIC_LVT_ERROR) return this.#lvt(register);
    switch (register) {
      case APIC_ID:
        return x2 ? this.id : this.id << 24;
      case APIC_VERSION:
        return VERSION;
      case APIC_TPR:
        return s.tpr;
      case APIC_PPR:
        return this.#ppr();
      case APIC_APR:
      case APIC_EOI:
      case APIC_RRD:
        return 0;
      case APIC_LDR:
        return x2 ? this.#x2apicLdr() : s.ldr;
      case APIC_DFR:
        return s.dfr;
      case APIC_SVR:
        return s.svr;
      case APIC_ESR:
        return s.esr;
      case APIC_ICR:
        return s.icr;
      case APIC_ICR2:
        return s.icr2;
      case APIC_TMICT:
        return this.#timer.initialCount;
      case APIC_TMCCT:
        return this.#timer.currentCount;
      case APIC_TDCR:
        return this.#timer.divide;
    }
    return undefined;
  }

  /** Writes a register that both modes have; false when there is none to write. */
  #write(register: number, value: number): boolean {
    const s = this.#s;
    if (register >= APIC_LVT_TIMER && register <= APIC_LVT_ERROR) {
      this.#writeLvt(register, value);
      return true;
    }
    switch (register) {
      case APIC_TPR:
        s.tpr = value & 0xff;
        return true;
      case APIC_EOI:
        this.#endOfInterrupt();
        return true;
      case APIC_SVR:
        s.svr = value & 0x3ff;
        if ((value & SVR_ENABLE) === 0) s.lvt = s.lvt.map((entry) => entry | LVT_MASK);
        else this.wires.accepting?.();
        return true;
      case APIC_ESR:
        s.esr = s.errors;
        s.errors = 0;
        return true;
      case APIC_TMICT:
        this.#timer.initialCount = value;
        return true;
      case APIC_TDCR:
        this.#timer.divide = value;
        return true;
    }
    return false;
  }

  #lvt(register: number): number {
    return this.#s.lvt[register - APIC_LVT_TIMER] ?? LVT_MASK;
  }

  #writeLvt(register: number, value: number): void {
    const s = this.#s;
    const index = register - APIC_LVT_TIMER;
    const masked = (s.svr & SVR_ENABLE) === 0 ? LVT_MASK : 0;
    this.wires.sample?.();
    const keep = (value & LVT_LEVEL) !== 0 ? this.#lvt(register) & LVT_REMOTE_IRR : 0;
    s.lvt[index] = (value & (LVT_WRITABLE[index] ?? 0)) | keep | masked;
    if (register === APIC_LVT_TIMER) this.#timer.setMode((value >> 17) & 3);
  }

  #x2apicLdr(): number {
    return ((this.id >> 4) << 16) | (1 << (this.id & 15));
  }

  #ppr(): number {
    const { tpr, isr } = this.#s;
    const serviced = Math.max(0, highest(isr));
    return (tpr & 0xf0) >= (serviced & 0xf0) ? tpr : serviced & 0xf0;
  }

  #extIntPending(): boolean {
    const s = this.#s;
    if (s.extInt) return true;
    if (!s.lint[0]) return false;
    return s.mode === "disabled" ||
      (this.#lvt(APIC_LVT_LINT0) & (LVT_MASK | DELMOD)) === DELMOD_ExtINT << 8;
  }

  /** Sets IRR; false when the APIC is disabled or the vector is one it refuses. */
  #accept(vector: number, level: boolean): boolean {
    const s = this.#s;
    if (s.mode === "disabled" || (s.svr & SVR_ENABLE) === 0) return false;
    if (vector < 16) {
      this.#error(ESR_RECEIVE_ILLEGAL);
      return false;
    }
    setBit(s.irr, vector & 0xff, true);
    setBit(s.tmr, vector & 0xff, level);
    this.#update();
    return true;
  }

  #deliver(vector: number, deliveryMode: number, level: boolean): boolean {
    switch (deliveryMode) {
      case DELMOD_Fixed:
      case DELMOD_LowestPriority:
        return this.#accept(vector, level);
      case DELMOD_NMI:
        this.wires.nmi();
        return true;
      case DELMOD_ExtINT:
        this.#s.extInt = true;
        this.#update();
        return true;
      case DELMOD_INIT:
        this.wires.init?.();
        return true;
      default:
        return true; // SMI is swallowed; a start-up message is for a CPU that waits for it after INIT, as the first one does not
    }
  }

  /** A local event: what the LVT entry makes of it. */
  #deliverLvt(register: number): void {
    const entry = this.#lvt(register);
    if ((entry & LVT_MASK) !== 0) return;
    const isTimerOrError = register === APIC_LVT_TIMER || register === APIC_LVT_ERROR;
    this.#deliver(entry & 0xff, isTimerOrError ? DELMOD_Fixed : (entry >> 8) & 7, false);
  }

  /** Records an error; each kind interrupts once until ESR is written. */
  #error(bit: number): void {
    if ((this.#s.errors & bit) !== 0) return;
    this.#s.errors |= bit;
    this.#deliverLvt(APIC_LVT_ERROR);
  }

  /** True when a message to `destination` is for us (SDM §11.6.2). */
  #isFor(destination: number, logical: boolean): boolean {
    const s = this.#s;
    if (!logical) return destination === this.id;
    if (s.mode === "x2apic") {
      const ldr = this.#x2apicLdr();
      return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0;
    }
    const ldr = s.ldr >>> 24;
    if (s.dfr >>> 28 === 0xf) return (destination & ldr) !== 0; // flat model
    return destination >> 4 === ldr >> 4 && (destination & ldr & 15) !== 0;
  }

  /** Carries out the interrupt command in ICR. */
  #command(destination: number, broadcast: boolean): void {
    const { icr } = this.#s;
    const mode = (icr >> 8) & 7;
    const shorthand = (icr >> 18) & 3; // 0: none, 1: self, 2: all, 3: all but self
    const forUs = shorthand === 0
      ? broadcast || this.#isFor(destination, (icr & ICR_LOGICAL) !== 0)
      : shorthand !== 3;
    if (mode === DELMOD_Fixed || mode === DELMOD_LowestPriority) {
      if (forUs || (icr & 0xff) < 16) this.#sendFixed(icr & 0xff);
    } else if (mode === DELMOD_INIT && (icr & (ICR_LEVEL | ICR_ASSERT)) === ICR_LEVEL) {
      // INIT level de-assert: sets arbitration IDs, and those are not emulated.
    } else if (forUs && mode !== DELMOD_ExtINT) {
      this.#deliver(icr & 0xff, mode, false);
    }
  }

  /** An IPI to ourselves. IPIs are edge-triggered whatever ICR's trigger mode says. */
  #sendFixed(vector: number): void {
    if (vector < 16) this.#error(ESR_SEND_ILLEGAL);
    else this.#accept(vector, false);
  }

  #endOfInterrupt(): void {
    this.wires.sample?.(); // first of all: a level whose cause has gone must not be taken for a new interrupt
    const s = this.#s;
    const vector = highest(s.isr);
    if (vector < 0) return;
    setBit(s.isr, vector, false);
    if (!testBit(s.tmr, vector)) return;
    for (const register of [APIC_LVT_LINT0, APIC_LVT_LINT1]) {
      const entry = this.#lvt(register);
      if ((entry & LVT_REMOTE_IRR) !== 0 && (entry & 0xff) === vector) {
        s.lvt[register - APIC_LVT_TIMER] = entry & ~LVT_REMOTE_IRR;
      }
    }
    this.wires.eoi(vector);
  }

  /** Raises level-triggered LINT entries, derives the vector to take from the record, and drives INTR. */
  #update(): void {
    const s = this.#s;
    for (let pin = 0; pin < 2; pin++) {
      const entry = this.#lvt(APIC_LVT_LINT0 + pin);
      const ready = (entry & (LVT_MASK | LVT_LEVEL | LVT_REMOTE_IRR | DELMOD)) === LVT_LEVEL;
      if (!ready || !s.lint[pin] || (entry & 0xff) < 16) continue;
      s.lvt[3 + pin] = entry | LVT_REMOTE_IRR;
      setBit(s.irr, entry & 0xff, true);
      setBit(s.tmr, entry & 0xff, true);
    }
    const requested = highest(s.irr);
    this.#vector = requested >= 0 && (requested & 0xf0) > (this.#ppr() & 0xf0) ? requested : -1;
    this.wires.intr.set(this.pending);
  }
}

/** Bits of an x2APIC register that may be written without #GP. */
function definedBits(register: number): number {
  if (register >= APIC_LVT_TIMER && register <= APIC_LVT_ERROR) {
    return LVT_DEFINED[register - APIC_LVT_TIMER] ?? 0;
  }
  switch (register) {
    case APIC_TPR:
      return 0xff;
    case APIC_EOI:
    case APIC_ESR:
      return 0;
    case APIC_SVR:
      return 0x3ff;
    case APIC_TDCR:
      return 0xb;
    default:
      return -1;
  }
}
