// SPDX-License-Identifier: MIT
/**
 * One channel of an IDE controller with up to two ATA disks: what a BIOS and boot loaders need. Rules: ATA/ATAPI-7
 * (T13/1532D) Vol. 1 and 2, PIO data-in, data-out and non-data commands, 28- and 48-bit addresses, CHS.
 * A store may take its time: the disk is busy then.
 * Not done: DMA, packet devices, power management beyond saying yes, SMART, security; DEVICE RESET is for packet devices.
 * @module
 */
import type { AccessSize, IrqLine, PortDevice } from "../../../cpu/base/bus.ts";
import type { BlockStore } from "../../../xen/backend/block_store.ts";
import { HEADS, identify, MOST_MULTIPLE, SECTOR_BYTES, SECTORS_PER_TRACK } from "./identify.ts";

const DATA = 0, ERROR = 1, COUNT = 2, LBA_LOW = 3, LBA_HIGH = 5, DEVICE = 6, STATUS = 7;
export const FEATURES = ERROR, COMMAND = STATUS;
export const STATUS_ERR = 1 << 0, STATUS_DRQ = 1 << 3, STATUS_DSC = 1 << 4, STATUS_DRDY = 1 << 6;
export const STATUS_DF = 1 << 5, STATUS_BSY = 1 << 7;
export const ERROR_ABRT = 1 << 2, ERROR_IDNF = 1 << 4;
const DEVICE_DEV = 1 << 4, DEVICE_LBA = 1 << 6, DEVICE_HEAD = 0x0f;
export const CONTROL_NIEN = 1 << 1, CONTROL_SRST = 1 << 2;
const CONTROL_HOB = 1 << 7;
const PASSED = 1; // diagnostic code

const READ_SECTORS = 0x20, READ_SECTORS_NO_RETRY = 0x21, READ_SECTORS_EXT = 0x24, READ_MULTIPLE_EXT = 0x29;
const WRITE_SECTORS = 0x30,
  WRITE_SECTORS_NO_RETRY = 0x31,
  WRITE_SECTORS_EXT = 0x34,
  WRITE_MULTIPLE_EXT = 0x39;
const READ_VERIFY = 0x40, READ_VERIFY_NO_RETRY = 0x41, READ_VERIFY_EXT = 0x42;
const READ_MULTIPLE = 0xc4, WRITE_MULTIPLE = 0xc5, SET_MULTIPLE_MODE = 0xc6;
const EXECUTE_DEVICE_DIAGNOSTIC = 0x90, INITIALIZE_DEVICE_PARAMETERS = 0x91, RECALIBRATE = 0x10;
const STANDBY_IMMEDIATE = 0xe0, IDLE_IMMEDIATE = 0xe1, STANDBY = 0xe2, IDLE = 0xe3, CHECK_POWER_MODE = 0xe5;
const FLUSH_CACHE = 0xe7, FLUSH_CACHE_EXT = 0xea, IDENTIFY_DEVICE = 0xec, SET_FEATURES = 0xef;
const ACTIVE = 0xff; // CHECK POWER MODE says

const EXTENDED = [
  READ_SECTORS_EXT,
  READ_MULTIPLE_EXT,
  WRITE_SECTORS_EXT,
  WRITE_MULTIPLE_EXT,
  READ_VERIFY_EXT,
];
const READS = [READ_SECTORS, READ_SECTORS_NO_RETRY, READ_SECTORS_EXT, READ_MULTIPLE, READ_MULTIPLE_EXT];
const WRITES = [WRITE_SECTORS, WRITE_SECTORS_NO_RETRY, WRITE_SECTORS_EXT, WRITE_MULTIPLE, WRITE_MULTIPLE_EXT];
const VERIFIES = [READ_VERIFY, READ_VERIFY_NO_RETRY, READ_VERIFY_EXT];
const MULTIPLES = [READ_MULTIPLE, READ_MULTIPLE_EXT, WRITE_MULTIPLE, WRITE_MULTIPLE_EXT];
const NOTHING_TO_DO = [RECALIBRATE, SET_FEATURES, STANDBY_IMMEDIATE, IDLE_IMMEDIATE, STANDBY, IDLE];

/** A transfer: blocks of `block` sectors pass through the data port, an interrupt for each. */
interface Transfer {
  readonly kind: "read" | "write" | "identify";
  /** The next sector of the disk, and how many are left with those in `bytes`. */
  lba: number;
  left: number;
  readonly block: number;
  /** What passes now, and how far. */
  bytes: Uint8Array<ArrayBuffer>;
  at: number;
}

/** What a snapshot keeps. */
export interface AtaChannelState {
  /** Written last and before that: FEATURES, COUNT and LBA, by register. */
  now: number[];
  before: number[];
  device: number;
  control: number;
  status: number;
  error: number;
  /** The disk asks for an interrupt. */
  irq: boolean;
  /** By disk. */
  multiple: number[];
  transfer: Transfer | undefined;
  /** What the store is doing; done again after a restore. */
  working: "read" | "write" | "flush" | undefined;
  unplugged: boolean;
}

/** Where a channel is connected. */
export interface AtaChannelWires {
  readonly irq: IrqLine;
  /** Master and slave. */
  readonly disks: readonly (BlockStore | undefined)[];
  /** The store has answered outside the CPU's run. */
  answered(): void;
}

const powerOn = (): AtaChannelState => ({
  now: [0, 0, 1, 1, 0, 0],
  before: [0, 0, 0, 0, 0, 0],
  device: 0,
  control: 0,
  status: STATUS_DRDY | STATUS_DSC,
  error: PASSED,
  irq: false,
  multiple: [0, 0],
  transfer: undefined,
  working: undefined,
  unplugged: false,
});

/** The command block's ports, and {@linkcode control}. */
export class AtaChannel implements PortDevice<AtaChannelState> {
  readonly portCount = 8;
  /** The port of device control and alternate status. */
  readonly control: PortDevice;
  #s = powerOn();
  /** Changes when what the store does has nobody waiting for it any more. */
  #turn = 0;

  constructor(readonly name: string, readonly wires: AtaChannelWires) {
    this.control = {
      name,
      portCount: 1,
      maxAccess: 1,
      reset: () => {},
      save: () => undefined,
      restore: () => {},
      readPort: () => this.#status(),
      writePort: (_offset, _size, value) => this.#writeControl(value),
    };
  }

  /** A disk is at work: its answer comes from outside. */
  get working(): boolean {
    return this.#s.working !== undefined;
  }

  /** The guest has drivers of its own for these disks: they are gone until the next reset. */
  unplug(): void {
    this.#turn++;
    this.#s = { ...powerOn(), unplugged: true };
    this.#updateIrq();
  }

  reset(): void {
    this.#turn++;
    this.#s = powerOn();
    this.#updateIrq();
  }
  save(): AtaChannelState {
    return structuredClone(this.#s);
  }
  restore(state: AtaChannelState): void {
    this.#turn++;
    this.#s = structuredClone(state);
    this.#updateIrq();
    if (this.#s.working !== undefined) this.#work(this.#s.working);
  }

  readPort(offset: number, size: AccessSize): number {
    if (offset === DATA) return this.#readData(size);
    const s = this.#s;
    if (size !== 1) return 2 ** (8 * size) - 1;
    if (this.#disk === undefined) return 0;
    switch (offset) {
      case ERROR:
        return s.error;
      case DEVICE:
        return s.device | 0xa0; // two bits that were always set
      case STATUS: {
        const status = this.#status();
        s.irq = false;
        this.#updateIrq();
        return status;
      }
    }
    return ((s.control & CONTROL_HOB ? s.before : s.now)[offset] as number) & 0xff;
  }

  writePort(offset: number, size: AccessSize, value: number): void {
    const s = this.#s;
    if (offset === DATA) return this.#writeData(size, value);
    if (size !== 1 || s.status & STATUS_BSY) return;
    s.control &= ~CONTROL_HOB;
    if (offset === DEVICE) s.device = value & (DEVICE_DEV | DEVICE_LBA | DEVICE_HEAD);
    else if (offset === COMMAND) this.#command(value);
    else {
      s.before[offset] = s.now[offset] as number;
      s.now[offset] = value;
    }
  }

  get #disk(): BlockStore | undefined {
    return this.#s.unplugged ? undefined : this.wires.disks[this.#number];
  }
  get #number(): 0 | 1 {
    return this.#s.device & DEVICE_DEV ? 1 : 0;
  }
  get #sectors(): number {
    return Math.floor((this.#disk?.size ?? 0) / SECTOR_BYTES);
  }
  #status(): number {
    return this.#disk === undefined ? 0 : this.#s.status;
  }

  #writeControl(value: number): void {
    const s = this.#s;
    const before = s.control;
    s.control = value & (CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB);
    if (value & CONTROL_SRST && !(before & CONTROL_SRST)) {
      this.#turn++;
      this.#s = { ...powerOn(), control: s.control, unplugged: s.unplugged, status: STATUS_BSY };
    } else if (before & CONTROL_SRST && !(value & CONTROL_SRST)) s.status = STATUS_DRDY | STATUS_DSC;
    this.#updateIrq();
  }

  #command(command: number): void {
    const s = this.#s;
    const disk = this.#disk;
    if (command === EXECUTE_DEVICE_DIAGNOSTIC) {
      this.#s = { ...powerOn(), control: s.control, unplugged: s.unplugged };
      return this.#finish();
    }
    if (disk === undefined) return;
    s.transfer = undefined;
    s.error = 0;
    if (READS.includes(command)) return this.#start("read", command);
    if (WRITES.includes(command)) {
      return disk.readonly ? this.#finish(ERROR_ABRT) : this.#start("write", command);
    }
    if (VERIFIES.includes(command)) {
      const { lba, count } = this.#address(command);
      return this.#finish(lba + count > this.#sectors ? ERROR_IDNF : 0);
    }
    if (NOTHING_TO_DO.includes(command)) return this.#finish();
    switch (command) {
      case IDENTIFY_DEVICE: {
        const bytes = identify(this.#sectors, this.name, s.multiple[this.#number] ?? 0);
        s.transfer = { kind: "identify", lba: 0, left: 1, block: 1, bytes, at: 0 };
        return this.#request();
      }
      case SET_MULTIPLE_MODE: {
        const sectors = s.now[COUNT] as number;
        if (sectors > MOST_MULTIPLE || (sectors & (sectors - 1)) !== 0) return this.#finish(ERROR_ABRT);
        s.multiple[this.#number] = sectors;
        return this.#finish();
      }
      case INITIALIZE_DEVICE_PARAMETERS: // the geometry that IDENTIFY tells, and no other
        return this.#finish(
          (s.device & DEVICE_HEAD) === HEADS - 1 && s.now[COUNT] === SECTORS_PER_TRACK ? 0 : ERROR_ABRT,
        );
      case CHECK_POWER_MODE:
        s.now[COUNT] = ACTIVE;
        return this.#finish();
      case FLUSH_CACHE:
      case FLUSH_CACHE_EXT:
        return this.#work("flush");
    }
    this.#finish(ERROR_ABRT);
  }

  /** Where a command reads or writes, and how many sectors. */
  #address(command: number): { readonly lba: number; readonly count: number } {
    const { now, before, device } = this.#s;
    const bytes = (of: readonly number[]) =>
      (of[LBA_LOW] as number) + (of[LBA_LOW + 1] as number) * 2 ** 8 + (of[LBA_HIGH] as number) * 2 ** 16;
    if (EXTENDED.includes(command)) {
      const count = (now[COUNT] as number) + (before[COUNT] as number) * 2 ** 8;
      return { lba: bytes(now) + bytes(before) * 2 ** 24, count: count || 2 ** 16 };
    }
    const count = now[COUNT] || 2 ** 8;
    const head = device & DEVICE_HEAD;
    if (device & DEVICE_LBA) return { lba: bytes(now) + head * 2 ** 24, count };
    const sector = now[LBA_LOW] as number;
    const cylinder = (now[LBA_LOW + 1] as number) + (now[LBA_HIGH] as number) * 2 ** 8;
    // sectors of a track count from 1: there is no sector 0, and none beyond the last
    if (sector === 0 || sector > SECTORS_PER_TRACK) return { lba: Infinity, count };
    return { lba: (cylinder * HEADS + head) * SECTORS_PER_TRACK + sector - 1, count };
  }

  #start(kind: "read" | "write", command: number): void {
    const s = this.#s;
    const { lba, count } = this.#address(command);
    const block = MULTIPLES.includes(command) ? s.multiple[this.#number] as number : 1;
    if (block === 0) return this.#finish(ERROR_ABRT);
    if (lba + count > this.#sectors) return this.#finish(ERROR_IDNF);
    s.transfer = { kind, lba, left: count, block, bytes: new Uint8Array(0), at: 0 };
    if (kind === "read") return this.#work("read");
    this.#makeRoom();
    s.status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ; // the first block of data-out comes without an interrupt
  }

  /** One block of the transfer, empty. */
  #makeRoom(): void {
    const { transfer } = this.#s;
    if (transfer === undefined) return;
    transfer.bytes = new Uint8Array(Math.min(transfer.block, transfer.left) * SECTOR_BYTES);
    transfer.at = 0;
  }

  #readData(size: AccessSize): number {
    const { transfer, status } = this.#s;
    if (transfer === undefined || transfer.kind === "write" || !(status & STATUS_DRQ)) {
      return 2 ** (8 * size) - 1;
    }
    let value = 0;
    for (let i = 0; i < size; i++) value += (transfer.bytes[transfer.at + i] ?? 0) * 2 ** (8 * i);
    transfer.at += size;
    if (transfer.at >= transfer.bytes.length) this.#passed(transfer);
    return value;
  }

  #writeData(size: AccessSize, value: number): void {
    const { transfer, status } = this.#s;
    if (transfer?.kind !== "write" || !(status & STATUS_DRQ)) return;
    for (let i = 0; i < size; i++) transfer.bytes[transfer.at + i] = (value >>> (8 * i)) & 0xff;
    transfer.at += size;
    if (transfer.at >= transfer.bytes.length) this.#work("write");
  }

  /** The guest has read a block. */
  #passed(transfer: Transfer): void {
    const s = this.#s;
    advance(transfer);
    if (transfer.left > 0) return this.#work("read");
    s.transfer = undefined;
    s.status = STATUS_DRDY | STATUS_DSC;
  }

  /** Has the store do it; the disk is busy until it has. */
  #work(kind: "read" | "write" | "flush"): void {
    const s = this.#s;
    const turn = ++this.#turn;
    s.working = kind;
    s.status = STATUS_BSY;
    const done = (failed: boolean) => {
      if (turn !== this.#turn) return; // reset or restored meanwhile
      s.working = undefined;
      if (failed) return this.#finish(ERROR_ABRT);
      if (kind === "read") this.#request();
      else if (kind === "write") this.#written();
      else this.#finish();
    };
    let answer: void | Promise<void>;
    try {
      answer = this.#ask(kind);
    } catch {
      return done(true);
    }
    if (answer === undefined) return done(false);
    const outside = (failed: boolean) => {
      done(failed);
      this.wires.answered();
    };
    answer.then(() => outside(false), () => outside(true));
  }

  #ask(kind: "read" | "write" | "flush"): void | Promise<void> {
    const disk = this.#disk;
    const { transfer } = this.#s;
    if (kind === "flush" || disk === undefined || transfer === undefined) return disk?.flush();
    if (kind === "write") return disk.write(transfer.lba * SECTOR_BYTES, transfer.bytes);
    this.#makeRoom();
    return disk.read(transfer.lba * SECTOR_BYTES, transfer.bytes);
  }

  #written(): void {
    const { transfer } = this.#s;
    if (transfer === undefined) return;
    advance(transfer);
    if (transfer.left === 0) return this.#finish();
    this.#makeRoom();
    this.#request();
  }

  /** A block may pass. */
  #request(): void {
    this.#s.status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
    this.#s.irq = true;
    this.#updateIrq();
  }

  /** The command is over. */
  #finish(error = 0): void {
    const s = this.#s;
    s.transfer = undefined;
    s.working = undefined;
    if (error !== 0) s.error = error;
    s.status = STATUS_DRDY | STATUS_DSC | (error === 0 ? 0 : STATUS_ERR);
    s.irq = true;
    this.#updateIrq();
  }

  #updateIrq(): void {
    const { irq, control } = this.#s;
    this.wires.irq.set(irq && !(control & CONTROL_NIEN) && this.#disk !== undefined);
  }
}

/** What was to pass has passed. */
function advance(transfer: Transfer): void {
  const sectors = transfer.bytes.length / SECTOR_BYTES;
  transfer.lba += sectors;
  transfer.left -= sectors;
}
