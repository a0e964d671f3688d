// SPDX-License-Identifier: MIT
/**
 * Conventional PCI: one bus, type 0 functions. Rules: PCI Local Bus Specification 3.0, chapter 6.
 *
 * A function keeps its 256 bytes of configuration space in a {@linkcode PciConfigSpace}, which also decodes its
 * base address registers and maps them through a {@linkcode PciMapper} whenever the guest moves or enables
 * them. A range that would wrap around its address space, or starts at 0, is not decoded.
 * Not done: bridges (no bus but 0), 64-bit BARs, expansion ROMs, PCI Express.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import { GiB } from "../../cpu/base/bits.ts";
import type { AccessSize, Device, IrqLine, MmioDevice, PortDevice } from "../../cpu/base/bus.ts";

export const PCI_VENDOR_ID = 0x00;
export const PCI_DEVICE_ID = 0x02;
export const PCI_COMMAND = 0x04;
export const PCI_COMMAND_IO = 1 << 0;
export const PCI_COMMAND_MEMORY = 1 << 1;
export const PCI_COMMAND_MASTER = 1 << 2;
export const PCI_COMMAND_PARITY = 1 << 6;
export const PCI_COMMAND_SERR = 1 << 8;
export const PCI_COMMAND_INTX_DISABLE = 1 << 10;
export const PCI_STATUS = 0x06;
export const PCI_STATUS_INTERRUPT = 1 << 3;
export const PCI_STATUS_ERRORS = 0xf900; // write one to clear
export const PCI_REVISION_ID = 0x08;
export const PCI_CLASS_PROG = 0x09; // three bytes: interface, sub-class, base class
export const PCI_HEADER_TYPE = 0x0e;
export const PCI_HEADER_MULTI_FUNCTION = 1 << 7;
export const PCI_BASE_ADDRESS_0 = 0x10;
export const PCI_BASE_ADDRESS_SPACE_IO = 1 << 0;
export const PCI_BASE_ADDRESS_MEM_PREFETCH = 1 << 3;
export const PCI_SUBSYSTEM_VENDOR_ID = 0x2c;
export const PCI_SUBSYSTEM_ID = 0x2e;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;

const CONFIG_BYTES = 256;
const IO_SPACE_BYTES = 0x1_0000;
const MEMORY_SPACE_BYTES = 4 * GiB;
const MIN_IO_BYTES = 4;
const MIN_MEMORY_BYTES = 16;

/** Something a function makes visible in I/O or memory space. */
export type PciWindow =
  | { readonly kind: "io"; readonly device: PortDevice }
  | { readonly kind: "memory"; readonly device: MmioDevice; readonly prefetchable?: boolean };

/** The machine's end: puts windows on the system bus, below everything at a fixed address. */
export interface PciMapper {
  /** Maps `window` at `base` until the result is removed. `base` and the size are in range. */
  map(window: PciWindow, base: number): { remove(): void };
}

/** Who a function is. `classCode` is base class << 16 | sub-class << 8 | interface. */
export interface PciIdentity {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly classCode: number;
  readonly revisionId?: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  readonly multiFunction?: boolean;
  /** 1 to 4 for INTA# to INTD#. */
  readonly interruptPin?: number;
}

/** Where a function is connected. */
export interface PciWires {
  readonly mapper: PciMapper;
  /** Its INTx# line: true is asserted (electrically low). */
  readonly intx?: IrqLine;
}

/** One function as the bus sees it. Offsets lie in 0..255 and accesses do not cross a dword. */
export interface PciFunction<State = unknown> extends Device<State> {
  readConfig(offset: number, size: AccessSize): number;
  writeConfig(offset: number, size: AccessSize, value: number): void;
}

/** All of a {@linkcode PciConfigSpace}. */
export interface PciConfigState {
  config: Uint8Array;
}

/** Bytes a window takes: a power of two. */
export function windowBytes(window: PciWindow): number {
  const wanted = window.kind === "io" ? window.device.portCount : window.device.mmioBytes;
  const least = window.kind === "io" ? MIN_IO_BYTES : MIN_MEMORY_BYTES;
  return Math.max(least, 2 ** Math.ceil(Math.log2(wanted)));
}

/** A window that is mapped, or not, as configuration space says now. Reset and restore just call `place`. */
export class WindowSlot {
  #base = 0;
  #mapping: { remove(): void } | undefined;

  constructor(readonly window: PciWindow, readonly mapper: PciMapper) {}

  /** Decodes the window at `base`, nowhere when undefined or impossible. */
  place(base: number | undefined): void {
    const bytes = windowBytes(this.window);
    const limit = this.window.kind === "io" ? IO_SPACE_BYTES : MEMORY_SPACE_BYTES;
    // A BAR being sized holds all ones: the range that touches the end of the space is not an address.
    const wanted = base === undefined || base === 0 || base + bytes >= limit ? 0 : base;
    if (wanted === this.#base) return;
    this.#mapping?.remove();
    this.#mapping = wanted === 0 ? undefined : this.mapper.map(this.window, wanted);
    this.#base = wanted;
  }
}

/** Configuration space of one function: header, BARs, command register, INTx#. */
export class PciConfigSpace {
  readonly #initial = new Uint8Array(CONFIG_BYTES);
  readonly #writable = new Uint8Array(CONFIG_BYTES);
  readonly #writeOneToClear = new Uint8Array(CONFIG_BYTES);
  readonly #slots: (WindowSlot | undefined)[];
  #s: PciConfigState;
  #view: DataView;
  /** Called after a guest wrote bytes [offset, offset+size), and after reset and restore with all of it. */
  onWrite: (offset: number, size: number) => void = () => {};

  /** `bars`: windows of BAR 0 to 5. */
  constructor(
    readonly identity: PciIdentity,
    readonly wires: PciWires,
    bars: readonly (PciWindow | undefined)[] = [],
  ) {
    assert(bars.length <= 6, "a type 0 function has six BARs");
    this.define(PCI_VENDOR_ID, 2, identity.vendorId);
    this.define(PCI_DEVICE_ID, 2, identity.deviceId);
    this.define(PCI_REVISION_ID, 4, (identity.revisionId ?? 0) | (identity.classCode << 8));
    this.define(PCI_HEADER_TYPE, 1, identity.multiFunction ? PCI_HEADER_MULTI_FUNCTION : 0);
    this.define(PCI_SUBSYSTEM_VENDOR_ID, 2, identity.subsystemVendorId ?? 0);
    this.define(PCI_SUBSYSTEM_ID, 2, identity.subsystemId ?? 0);
    this.define(PCI_INTERRUPT_PIN, 1, identity.interruptPin ?? 0);
    if (identity.interruptPin) this.define(PCI_INTERRUPT_LINE, 1, 0, 0xff);
    let command = PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE;
    bars.forEach((window, i) => {
      if (window === undefined) return;
      const io = window.kind === "io";
      command |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
      const flags = window.kind === "io"
        ? PCI_BASE_ADDRESS_SPACE_IO
        : window.prefetchable
        ? PCI_BASE_ADDRESS_MEM_PREFETCH
        : 0;
      const bytes = windowBytes(window);
      assert(bytes <= (io ? 256 : GiB), "BAR size is sane");
      this.define(PCI_BASE_ADDRESS_0 + 4 * i, 4, flags, (-bytes) >>> 0);
    });
    this.define(PCI_COMMAND, 2, 0, command);
    this.#defineBytes(this.#writeOneToClear, PCI_STATUS, 2, PCI_STATUS_ERRORS);
    this.#slots = bars.map((window) => window && new WindowSlot(window, wires.mapper));
    this.#s = { config: this.#initial.slice() };
    this.#view = new DataView(this.#s.config.buffer);
  }

  /** Declares a register: its value after reset and the bits a guest can write. Only while constructing. */
  define(offset: number, size: AccessSize, initial: number, writable = 0): void {
    this.#defineBytes(this.#initial, offset, size, initial);
    this.#defineBytes(this.#writable, offset, size, writable);
    if (this.#s !== undefined) this.#defineBytes(this.#s.config, offset, size, initial);
  }

  #defineBytes(into: Uint8Array, offset: number, size: number, value: number): void {
    assert(offset >= 0 && offset + size <= CONFIG_BYTES, "register lies in configuration space");
    for (let i = 0; i < size; i++) into[offset + i] = (value >>> (8 * i)) & 0xff;
  }

  reset(): void {
    this.#set(this.#initial.slice());
  }

  save(): PciConfigState {
    return structuredClone(this.#s);
  }

  restore(state: PciConfigState): void {
    const config = new Uint8Array(CONFIG_BYTES);
    config.set(state.config.subarray(0, CONFIG_BYTES));
    this.#set(config);
  }

  #set(config: Uint8Array<ArrayBuffer>): void {
    this.#s = { config };
    this.#view = new DataView(config.buffer);
    this.#update();
    this.onWrite(0, CONFIG_BYTES);
  }

  read(offset: number, size: AccessSize): number {
    if (offset < 0 || offset + size > CONFIG_BYTES) {
      return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    }
    switch (size) {
      case 1:
        return this.#view.getUint8(offset);
      case 2:
        return this.#view.getUint16(offset, true);
      case 4:
        return this.#view.getUint32(offset, true);
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset < 0 || offset + size > CONFIG_BYTES) return;
    const config = this.#s.config;
    for (let i = 0; i < size; i++) {
      const byte = (value >>> (8 * i)) & 0xff;
      const mask = this.#writable[offset + i] as number;
      const clear = byte & (this.#writeOneToClear[offset + i] as number);
      config[offset + i] = ((config[offset + i] as number) & ~mask & ~clear) | (byte & mask);
    }
    this.#update();
    this.onWrite(offset, size);
  }

  /** The function asserts or releases its interrupt; the pin follows unless the guest disabled INTx. */
  setInterrupt(asserted: boolean): void {
    const config = this.#s.config;
    const status = config[PCI_STATUS] as number;
    config[PCI_STATUS] = asserted ? status | PCI_STATUS_INTERRUPT : status & ~PCI_STATUS_INTERRUPT;
    this.#updateIntx();
  }

  /** Base of BAR `index` as programmed, enabled or not. */
  barBase(index: number): number {
    const raw = this.read(PCI_BASE_ADDRESS_0 + 4 * index, 4);
    return raw & PCI_BASE_ADDRESS_SPACE_IO ? (raw & ~0x3) >>> 0 : (raw & ~0xf) >>> 0;
  }

  #update(): void {
    const command = this.read(PCI_COMMAND, 2);
    this.#slots.forEach((slot, i) => {
      if (slot === undefined) return;
      const enable = slot.window.kind === "io" ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
      slot.place(command & enable ? this.barBase(i) : undefined);
    });
    this.#updateIntx();
  }

  #updateIntx(): void {
    const enabled = (this.read(PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE) === 0;
    this.wires.intx?.set(enabled && (this.read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT) !== 0);
  }
}

/** A device and function number in one byte. */
export function devfn(device: number, fn: number): number {
  return (device << 3) | fn;
}

/** Bus 0: up to 32 devices of 8 functions. Absent functions read as all ones. */
export class PciBus {
  readonly #functions: (PciFunction | undefined)[] = new Array(256).fill(undefined);

  /** Plugs `fn` in at device number `device`, function number `number`. */
  add(device: number, number: number, fn: PciFunction): void {
    assert(device >= 0 && device < 32 && number >= 0 && number < 8, "device and function number in range");
    assert(this.#functions[devfn(device, number)] === undefined, "PCI function number is free");
    this.#functions[devfn(device, number)] = fn;
  }

  /** The function at `device`.`number`. */
  at(device: number, number: number): PciFunction | undefined {
    return this.#functions[devfn(device, number)];
  }

  /** Every function with its devfn, in order. */
  *functions(): Generator<[devfn: number, fn: PciFunction]> {
    for (const [index, fn] of this.#functions.entries()) if (fn !== undefined) yield [index, fn];
  }
}
