// SPDX-License-Identifier: MIT
/**
 * 8042 keyboard controller of a PS/2, with nothing plugged into its keyboard and mouse sockets: self-tests pass,
 * and a byte for a device comes back as a transmit timeout at once (status TIMEOUT, data 0xfe), as a real
 * controller does some milliseconds later. So Linux's probe of both ports ends without waiting. Rules: IBM PS/2
 * Technical Reference, "Keyboard and Auxiliary Device Controller".
 *
 * The A20 gate is remembered and reported, but address line 20 is always enabled. Not done: devices, passwords.
 * @module
 */
import type { AccessSize, IrqLine, PortDevice } from "../../cpu/base/bus.ts";
import type { Tracer } from "../../cpu/base/trace.ts";

export const STR_OBF = 1 << 0; // output buffer full
export const STR_SYS = 1 << 2; // system flag: self-test passed
export const STR_CMDDAT = 1 << 3; // the last write was a command
export const STR_KEYLOCK = 1 << 4; // not locked
export const STR_AUXDATA = 1 << 5; // the output buffer holds auxiliary data
export const STR_TIMEOUT = 1 << 6;
export const CTR_KBDINT = 1 << 0; // keyboard interrupt enable
export const CTR_AUXINT = 1 << 1; // auxiliary interrupt enable
export const CTR_SYS = 1 << 2;
export const CTR_KBDDIS = 1 << 4; // keyboard clock disabled
export const CTR_AUXDIS = 1 << 5; // auxiliary clock disabled
export const CTR_XLATE = 1 << 6; // translate scan codes
export const CMD_READ_RAM = 0x20; // to 0x3f; byte 0 is the controller command byte (CTR)
export const CMD_WRITE_RAM = 0x60; // to 0x7f
export const CMD_AUX_DISABLE = 0xa7;
export const CMD_AUX_ENABLE = 0xa8;
export const CMD_AUX_TEST = 0xa9;
export const CMD_SELF_TEST = 0xaa;
export const CMD_KBD_TEST = 0xab;
export const CMD_KBD_DISABLE = 0xad;
export const CMD_KBD_ENABLE = 0xae;
export const CMD_READ_INPUT_PORT = 0xc0;
export const CMD_READ_OUTPUT_PORT = 0xd0;
export const CMD_WRITE_OUTPUT_PORT = 0xd1;
export const CMD_WRITE_KBD_BUFFER = 0xd2;
export const CMD_WRITE_AUX_BUFFER = 0xd3;
export const CMD_WRITE_AUX = 0xd4;
export const CMD_PULSE_OUTPUT = 0xf0; // to 0xff: pulses the output port bits that are 0
export const OUTPUT_PORT_RESET = 1 << 0; // low resets the CPU
export const OUTPUT_PORT_A20 = 1 << 1;
export const SELF_TEST_OK = 0x55;
export const NO_RESPONSE = 0xfe; // with STR_TIMEOUT: the device does not answer

const INPUT_PORT = 0xa0; // keyboard not locked, colour display

/** All of an {@linkcode I8042}. */
export interface I8042State {
  /** SYS, CMDDAT, and OBF, AUXDATA, TIMEOUT of the byte in the output buffer. */
  status: number;
  output: number;
  ram: number[];
  outputPort: number;
  /** The command that waits for its data byte, 0 for none. */
  command: number;
}

function powerOn(): I8042State {
  const ram = new Array(32).fill(0);
  ram[0] = CTR_KBDDIS | CTR_AUXDIS; // the ports are closed until somebody opens them
  return { status: STR_KEYLOCK, output: 0, ram, outputPort: OUTPUT_PORT_RESET | OUTPUT_PORT_A20, command: 0 };
}

/** Where an {@linkcode I8042} is connected. */
export interface I8042Wires {
  readonly keyboardIrq: IrqLine;
  readonly auxIrq: IrqLine;
  readonly tracer: Tracer;
  /** The guest asks for a reset; do it once the current instruction has ended. */
  reset(): void;
}

/** The controller: two devices of one port each, {@linkcode data} (0x60) and {@linkcode command} (0x64). */
export class I8042 {
  #s = powerOn();
  readonly data: PortDevice<I8042State>;
  /** State goes with {@linkcode data}. */
  readonly command: PortDevice<undefined>;

  constructor(readonly name: string, readonly wires: I8042Wires) {
    this.data = {
      name,
      portCount: 1,
      reset: () => this.reset(),
      save: () => this.save(),
      restore: (state) => this.restore(state),
      readPort: (_offset, size) => widen(this.#readData(), size),
      writePort: (_offset, _size, value) => this.#writeData(value & 0xff),
    };
    this.command = {
      name: `${name}.command`,
      portCount: 1,
      reset: () => {},
      save: () => undefined,
      restore: () => {},
      readPort: (_offset, size) => widen(this.#s.status, size),
      writePort: (_offset, _size, value) => this.#writeCommand(value & 0xff),
    };
  }

  reset(): void {
    this.#s = powerOn();
    this.#updateIrq();
  }

  save(): I8042State {
    return structuredClone(this.#s);
  }

  restore(state: I8042State): void {
    this.#s = structuredClone(state);
    this.#updateIrq();
  }

  #readData(): number {
    this.#s.status &= ~(STR_OBF | STR_AUXDATA | STR_TIMEOUT);
    this.#updateIrq();
    return this.#s.output;
  }

  #respond(byte: number, flags = 0): void {
    const s = this.#s;
    s.output = byte;
    s.status = (s.status & ~(STR_AUXDATA | STR_TIMEOUT)) | STR_OBF | flags;
  }

  #writeData(value: number): void {
    const s = this.#s;
    const command = s.command;
    s.command = 0;
    s.status &= ~STR_CMDDAT;
    if (command >= CMD_WRITE_RAM && command < CMD_WRITE_RAM + 32) {
      s.ram[command - CMD_WRITE_RAM] = value;
      if (command === CMD_WRITE_RAM) {
        s.status = value & CTR_SYS ? s.status | STR_SYS : s.status & ~STR_SYS;
      }
    } else {
      switch (command) {
        case CMD_WRITE_OUTPUT_PORT:
          s.outputPort = value | OUTPUT_PORT_RESET;
          if ((value & OUTPUT_PORT_RESET) === 0) this.wires.reset();
          break;
        case CMD_WRITE_KBD_BUFFER:
          this.#respond(value);
          break;
        case CMD_WRITE_AUX_BUFFER:
          this.#respond(value, STR_AUXDATA);
          break;
        case CMD_WRITE_AUX:
          this.#respond(NO_RESPONSE, STR_AUXDATA | STR_TIMEOUT);
          break;
        default: // a byte for the keyboard; sending opens its clock again
          s.ram[0] = (s.ram[0] as number) & ~CTR_KBDDIS;
          this.#respond(NO_RESPONSE, STR_TIMEOUT);
      }
    }
    this.#updateIrq();
  }

  #writeCommand(value: number): void {
    const s = this.#s;
    s.command = 0;
    s.status |= STR_CMDDAT;
    const ctr = s.ram[0] as number;
    if (value >= CMD_READ_RAM && value < CMD_READ_RAM + 32) {
      this.#respond(s.ram[value - CMD_READ_RAM] as number);
    } else if (value >= CMD_WRITE_RAM && value < CMD_WRITE_RAM + 32) {
      s.command = value;
    } else if (value >= CMD_PULSE_OUTPUT) {
      if ((value & OUTPUT_PORT_RESET) === 0) this.wires.reset();
    } else {
      switch (value) {
        case CMD_AUX_DISABLE:
          s.ram[0] = ctr | CTR_AUXDIS;
          break;
        case CMD_AUX_ENABLE:
          s.ram[0] = ctr & ~CTR_AUXDIS;
          break;
        case CMD_KBD_DISABLE:
          s.ram[0] = ctr | CTR_KBDDIS;
          break;
        case CMD_KBD_ENABLE:
          s.ram[0] = ctr & ~CTR_KBDDIS;
          break;
        case CMD_AUX_TEST:
        case CMD_KBD_TEST:
          this.#respond(0); // no fault on clock and data lines
          break;
        case CMD_SELF_TEST:
          s.status |= STR_SYS;
          s.ram[0] = ctr | CTR_SYS;
          this.#respond(SELF_TEST_OK);
          break;
        case CMD_READ_INPUT_PORT:
          this.#respond(INPUT_PORT);
          break;
        case CMD_READ_OUTPUT_PORT:
          this.#respond(s.outputPort);
          break;
        case CMD_WRITE_OUTPUT_PORT:
        case CMD_WRITE_KBD_BUFFER:
        case CMD_WRITE_AUX_BUFFER:
        case CMD_WRITE_AUX:
          s.command = value;
          break;
        default:
          this.wires.tracer.unimplemented(`${this.name}: command ${value}`);
      }
    }
    this.#updateIrq();
  }

  #updateIrq(): void {
    const { status, ram } = this.#s;
    const ctr = ram[0] as number;
    const aux = (status & STR_AUXDATA) !== 0;
    const full = (status & STR_OBF) !== 0;
    this.wires.keyboardIrq.set(full && !aux && (ctr & CTR_KBDINT) !== 0);
    this.wires.auxIrq.set(full && aux && (ctr & CTR_AUXINT) !== 0);
  }
}

function widen(byte: number, size: AccessSize): number {
  return size === 1 ? byte : ((size === 2 ? 0xff00 : 0xffff_ff00) | byte) >>> 0;
}
