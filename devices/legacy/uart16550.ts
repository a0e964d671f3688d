// SPDX-License-Identifier: MIT
/**
 * 16550A UART with FIFOs. Rules: PC16550D datasheet (National Semiconductor, 1995).
 *
 * The line is infinitely fast: a byte written to THR is sent at once, so THRE and TEMT are always set, and a
 * receive FIFO below its trigger level reports the character timeout at once. Input that does not fit in the
 * FIFO waits in a backlog outside the chip (as if the sender obeyed flow control), so it never overruns.
 * Not done: word length and parity do not change the data; the DMA mode pins; baud rate has no effect.
 * @module
 */
import { bits } from "../../cpu/base/bits.ts";
import type { AccessSize, IrqLine, PortDevice } from "../../cpu/base/bus.ts";
import { type ByteRegisters, readAsBytes, writeAsBytes } from "../bus/byte_access.ts";

export const RBR = 0; // receiver buffer (read, DLAB=0)
export const THR = 0; // transmitter holding (write, DLAB=0)
export const DLL = 0; // divisor latch, low byte (DLAB=1)
export const DLM = 1; // divisor latch, high byte (DLAB=1)
export const IER = 1; // interrupt enable
export const IER_ERBFI = 1 << 0; // received data available
export const IER_ETBEI = 1 << 1; // transmitter holding register empty
export const IER_ELSI = 1 << 2; // receiver line status
export const IER_EDSSI = 1 << 3; // modem status
export const IIR = 2; // interrupt identification (read)
export const IIR_MODEM_STATUS = 0x0;
export const IIR_NONE = 0x1;
export const IIR_THRE = 0x2;
export const IIR_RECEIVED_DATA = 0x4;
export const IIR_LINE_STATUS = 0x6;
export const IIR_TIMEOUT = 0xc;
export const IIR_FIFOS_ENABLED = 0xc0;
export const FCR = 2; // FIFO control (write)
export const FCR_ENABLE = 1 << 0;
export const FCR_RCVR_RESET = 1 << 1;
export const FCR_XMIT_RESET = 1 << 2;
export const FCR_TRIGGER = [7, 6] as const; // receiver trigger level
export const LCR = 3; // line control
export const LCR_WLS = [1, 0] as const; // word length select
export const LCR_DLAB = 1 << 7; // divisor latch access
export const MCR = 4; // modem control
export const MCR_DTR = 1 << 0;
export const MCR_RTS = 1 << 1;
export const MCR_OUT1 = 1 << 2;
export const MCR_OUT2 = 1 << 3;
export const MCR_LOOP = 1 << 4;
export const LSR = 5; // line status
export const LSR_DR = 1 << 0; // data ready
export const LSR_OE = 1 << 1; // overrun error
export const LSR_PE = 1 << 2; // parity error
export const LSR_FE = 1 << 3; // framing error
export const LSR_BI = 1 << 4; // break interrupt
export const LSR_THRE = 1 << 5; // transmitter holding register empty
export const LSR_TEMT = 1 << 6; // transmitter empty
export const LSR_ERROR_IN_FIFO = 1 << 7;
export const MSR = 6; // modem status
export const MSR_DCTS = 1 << 0;
export const MSR_DDSR = 1 << 1;
export const MSR_TERI = 1 << 2; // trailing edge of RI
export const MSR_DDCD = 1 << 3;
export const MSR_CTS = 1 << 4;
export const MSR_DSR = 1 << 5;
export const MSR_RI = 1 << 6;
export const MSR_DCD = 1 << 7;
export const SCR = 7; // scratch

const FIFO_BYTES = 16;
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;
const LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI;
/** Modem inputs of a terminal that is switched on and ready. */
const TERMINAL_READY = MSR_CTS | MSR_DSR | MSR_DCD;
/** Most bytes waiting outside the chip; {@linkcode Uart16550.receive} takes no more. */
const BACKLOG_BYTES = 4096;

/** All of a {@linkcode Uart16550}. */
export interface UartState {
  ier: number;
  fcr: number;
  lcr: number;
  mcr: number;
  /** Error bits only; the rest of LSR is derived. */
  lsrErrors: number;
  msr: number;
  scr: number;
  divisor: number;
  /** Receiver FIFO, or one entry: byte | LSR error bits << 8. */
  rx: number[];
  /** Input waiting for room in the receiver, same form. */
  backlog: number[];
  /** The THRE interrupt condition (edge, reset by reading IIR). */
  threPending: boolean;
}

function powerOn(): UartState {
  return {
    ier: 0,
    fcr: 0,
    lcr: 0,
    mcr: 0,
    lsrErrors: 0,
    msr: TERMINAL_READY,
    scr: 0,
    divisor: 1,
    rx: [],
    backlog: [],
    threPending: false,
  };
}

/** Where a {@linkcode Uart16550} is connected. */
export interface UartWires {
  /** INTRPT pin. */
  readonly irq: IrqLine;
  /** SOUT: gets each byte the guest transmits. */
  send(byte: number): void;
}

/** One 16550A: eight ports. */
export class Uart16550 implements PortDevice<UartState>, ByteRegisters {
  readonly portCount = 8;
  #s = powerOn();

  constructor(readonly name: string, readonly wires: UartWires) {}

  reset(): void {
    const backlog = this.#s.backlog; // it is outside the chip
    this.#s = powerOn();
    this.#s.backlog = backlog;
    this.#updateIrq();
  }

  save(): UartState {
    return structuredClone(this.#s);
  }

  restore(state: UartState): void {
    this.#s = structuredClone(state);
    this.#updateIrq();
  }

  /** SIN: bytes from outside. Returns how many were taken; offer the rest again later. */
  receive(bytes: Uint8Array): number {
    const s = this.#s;
    const n = Math.min(bytes.length, this.receiveRoom);
    for (let i = 0; i < n; i++) s.backlog.push(bytes[i] as number);
    this.#refill();
    this.#updateIrq();
    return n;
  }

  /** How many bytes {@linkcode receive} would take now. */
  get receiveRoom(): number {
    return BACKLOG_BYTES - this.#s.backlog.length;
  }

  /** SIN: a break condition (Linux's magic SysRq prefix). */
  receiveBreak(): void {
    if (this.receiveRoom === 0) return;
    this.#s.backlog.push(LSR_BI << 8);
    this.#refill();
    this.#updateIrq();
  }

  readPort(offset: number, size: AccessSize): number {
    return readAsBytes(this, offset, size);
  }

  writePort(offset: number, size: AccessSize, value: number): void {
    writeAsBytes(this, offset, size, value);
  }

  readByte(offset: number): number {
    const s = this.#s;
    let value = 0xff;
    switch (offset) {
      case RBR:
        if (s.lcr & LCR_DLAB) return s.divisor & 0xff;
        value = this.#takeReceived();
        break;
      case IER:
        return s.lcr & LCR_DLAB ? s.divisor >> 8 : s.ier;
      case IIR: {
        const id = this.#pendingId();
        value = id | (s.fcr & FCR_ENABLE ? IIR_FIFOS_ENABLED : 0);
        if (id === IIR_THRE) s.threPending = false;
        break;
      }
      case LCR:
        return s.lcr;
      case MCR:
        return s.mcr;
      case LSR:
        value = this.#lsr();
        s.lsrErrors = 0;
        if (s.rx.length > 0) s.rx[0] = (s.rx[0] as number) & 0xff;
        break;
      case MSR:
        value = s.msr;
        s.msr &= 0xf0;
        break;
      case SCR:
        return s.scr;
    }
    this.#updateIrq();
    return value;
  }

  writeByte(offset: number, value: number): void {
    const s = this.#s;
    switch (offset) {
      case THR:
        if (s.lcr & LCR_DLAB) s.divisor = (s.divisor & 0xff00) | value;
        else {
          if (s.mcr & MCR_LOOP) this.#loopBack(value);
          else this.wires.send(value);
          s.threPending = true; // empty again at once
        }
        break;
      case IER:
        if (s.lcr & LCR_DLAB) s.divisor = (s.divisor & 0xff) | (value << 8);
        else {
          const enabled = value & ~s.ier;
          s.ier = value & (IER_ERBFI | IER_ETBEI | IER_ELSI | IER_EDSSI);
          if (enabled & IER_ETBEI) s.threPending = true; // THR is empty: the interrupt is due now
        }
        break;
      case FCR:
        this.#writeFcr(value);
        break;
      case LCR:
        s.lcr = value;
        break;
      case MCR:
        s.mcr = value & (MCR_DTR | MCR_RTS | MCR_OUT1 | MCR_OUT2 | MCR_LOOP);
        this.#updateModemInputs();
        this.#refill();
        break;
      case SCR:
        s.scr = value;
        break;
    }
    this.#updateIrq();
  }

  #writeFcr(value: number): void {
    const s = this.#s;
    const toggled = (value ^ s.fcr) & FCR_ENABLE;
    // Datasheet 8.4: the other bits are only programmed when bit 0 is written as one.
    s.fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
    if (toggled || (value & FCR_ENABLE && value & FCR_RCVR_RESET)) {
      s.rx = [];
      this.#refill();
    }
  }

  #lsr(): number {
    const s = this.#s;
    let value = LSR_THRE | LSR_TEMT | s.lsrErrors;
    if (s.rx.length > 0) value |= LSR_DR;
    if (s.fcr & FCR_ENABLE && s.rx.some((entry) => entry >> 8 !== 0)) value |= LSR_ERROR_IN_FIFO;
    return value;
  }

  #takeReceived(): number {
    const s = this.#s;
    const entry = s.rx.shift();
    if (entry === undefined) return 0;
    const next = s.rx[0];
    if (next !== undefined) s.lsrErrors |= next >> 8;
    this.#refill();
    return entry & 0xff;
  }

  #capacity(): number {
    return this.#s.fcr & FCR_ENABLE ? FIFO_BYTES : 1;
  }

  /** Puts a character into the receiver, which has room. */
  #push(entry: number): void {
    const s = this.#s;
    s.rx.push(entry);
    if (s.rx.length === 1) s.lsrErrors |= entry >> 8;
  }

  /** Moves input into the receiver; in loopback SIN is disconnected. */
  #refill(): void {
    const s = this.#s;
    if (s.backlog.length === 0 || s.mcr & MCR_LOOP) return;
    const room = this.#capacity() - s.rx.length;
    if (room <= 0) return;
    for (const entry of s.backlog.splice(0, room)) this.#push(entry);
  }

  #loopBack(byte: number): void {
    const s = this.#s;
    if (s.rx.length < this.#capacity()) return this.#push(byte);
    s.lsrErrors |= LSR_OE;
    if (!(s.fcr & FCR_ENABLE)) s.rx[0] = byte; // without FIFOs the old character is destroyed
  }

  /** In loopback the modem outputs feed the modem inputs. */
  #updateModemInputs(): void {
    const s = this.#s;
    const before = s.msr & 0xf0;
    let now = TERMINAL_READY;
    if (s.mcr & MCR_LOOP) {
      now = (s.mcr & MCR_RTS ? MSR_CTS : 0) | (s.mcr & MCR_DTR ? MSR_DSR : 0) |
        (s.mcr & MCR_OUT1 ? MSR_RI : 0) | (s.mcr & MCR_OUT2 ? MSR_DCD : 0);
    }
    const changed = before ^ now;
    if (changed & MSR_CTS) s.msr |= MSR_DCTS;
    if (changed & MSR_DSR) s.msr |= MSR_DDSR;
    if (changed & MSR_DCD) s.msr |= MSR_DDCD;
    if (changed & MSR_RI && !(now & MSR_RI)) s.msr |= MSR_TERI;
    s.msr = now | (s.msr & 0x0f);
  }

  /** Highest-priority interrupt (datasheet table IV). */
  #pendingId(): number {
    const s = this.#s;
    if (s.ier & IER_ELSI && s.lsrErrors & LSR_ERRORS) return IIR_LINE_STATUS;
    if (s.ier & IER_ERBFI && s.rx.length > 0) {
      if (!(s.fcr & FCR_ENABLE)) return IIR_RECEIVED_DATA;
      const trigger = TRIGGER_LEVELS[bits(s.fcr, ...FCR_TRIGGER)] ?? 1;
      return s.rx.length >= trigger ? IIR_RECEIVED_DATA : IIR_TIMEOUT;
    }
    if (s.ier & IER_ETBEI && s.threPending) return IIR_THRE;
    if (s.ier & IER_EDSSI && s.msr & 0x0f) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  #updateIrq(): void {
    this.wires.irq.set(this.#pendingId() !== IIR_NONE);
  }
}
