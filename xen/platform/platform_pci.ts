// SPDX-License-Identifier: MIT
/**
 * The Xen platform PCI device, 5853:0001: what its BARs and the fixed ports 0x10..0x13 do. Rules: Xen
 * docs/misc/hvm-emulated-unplug; behavior of QEMU's xen_platform. Where it sits on the bus is the machine's affair.
 *
 * Guests ask for the magic number, say which driver they are, and then have emulated disks and NICs unplugged.
 * @module
 */
import type { AccessSize, MmioDevice, PortDevice } from "../../cpu/base/bus.ts";
import { MiB } from "../../cpu/base/bits.ts";
import type { Tracer } from "../../cpu/base/trace.ts";

/** Identification and resources of the device in PCI configuration space. */
export const XEN_PLATFORM_PCI = {
  vendorId: 0x5853,
  deviceId: 0x0001,
  subsystemVendorId: 0x5853,
  subsystemId: 0x0001,
  revision: 1,
  classCode: 0xff80, // "other", as QEMU has it
  progIf: 0,
  interruptPin: 1, // INTA#
  /** BAR 0: I/O. */
  ioBytes: 0x100,
  /** BAR 1: prefetchable memory, room for guests to place shared pages in. */
  mmioBytes: 16 * MiB,
} as const;

/** First of the fixed ports. */
export const XEN_PLATFORM_IOPORT = 0x10;
/** Word read from the first port: the unplug protocol is here. */
export const XEN_IOPORT_MAGIC_VAL = 0x49d2;
/** Version of the protocol, read as a byte at offset 2. */
export const XEN_IOPORT_PROTOCOL_VERSION = 1;

/** Unplug IDE disks, not CD-ROMs. */
export const UNPLUG_ALL_IDE_DISKS = 1 << 0;
/** Unplug NICs. */
export const UNPLUG_ALL_NICS = 1 << 1;
/** Unplug IDE disks but the primary master. */
export const UNPLUG_AUX_IDE_DISKS = 1 << 2;
/** Unplug NVMe disks. */
export const UNPLUG_NVME_DISKS = 1 << 3;

const OFFSET_MAGIC = 0; // word read; word write: unplug mask; long write: build number; byte: flags
const OFFSET_PRODUCT = 2; // word write: product number; byte read: version; byte write: log character
const BAR_FLAGS = 0;
const BAR_UNPLUG = 4; // SUSE kernels write 1: everything
const BAR_UNPLUG_SELECT = 8; // 1: disks, 2: NICs
const PFFLAG_ROM_LOCK = 1 << 0;
const LOG_BYTES = 160;

/** What the device pulls at. */
export interface PlatformPciWires {
  /** The guest wants emulated devices gone: UNPLUG_* bits. */
  unplug(mask: number): void;
}

/** What a snapshot keeps. */
export interface PlatformPciState {
  readonly flags: number;
  readonly product: number;
  readonly build: number;
  readonly unplugged: number;
  readonly log: string;
}

const powerOn = (): PlatformPciState => ({ flags: 0, product: 0, build: 0, unplugged: 0, log: "" });

/** The fixed ports; owns the state, the BARs share it. */
export class XenPlatformPorts implements PortDevice<PlatformPciState> {
  readonly name = "xen-platform";
  readonly portCount = 4;
  readonly #tracer: Tracer;
  readonly #wires: PlatformPciWires;
  #s = powerOn();

  constructor(tracer: Tracer, wires: PlatformPciWires) {
    this.#tracer = tracer;
    this.#wires = wires;
  }

  /** What the guest's driver said about itself, and UNPLUG_* bits it asked for. */
  get state(): PlatformPciState {
    return this.#s;
  }

  readPort(offset: number, size: AccessSize): number {
    if (offset === OFFSET_MAGIC && size === 2) return XEN_IOPORT_MAGIC_VAL;
    if (offset === OFFSET_MAGIC && size === 1) return this.#s.flags;
    if (offset === OFFSET_PRODUCT && size === 1) return XEN_IOPORT_PROTOCOL_VERSION;
    return 2 ** (8 * size) - 1;
  }

  writePort(offset: number, size: AccessSize, value: number): void {
    if (offset === OFFSET_MAGIC) {
      if (size === 1) this.setFlags(value);
      else if (size === 2) this.unplug(value);
      else {
        this.#s = { ...this.#s, build: value >>> 0 };
        this.#tracer.log("xen", `platform: driver product ${this.#s.product}, build ${value >>> 0}`);
      }
    } else if (offset === OFFSET_PRODUCT) {
      if (size === 2) this.#s = { ...this.#s, product: value & 0xffff };
      else if (size === 1) this.logCharacter(value);
    }
  }

  /** Asks for devices to be unplugged; the ABI gives no way to refuse. */
  unplug(mask: number): void {
    this.#s = { ...this.#s, unplugged: this.#s.unplugged | mask };
    this.#tracer.counters.add("xen.unplug");
    this.#tracer.log("xen", `platform: unplug mask 0x${mask.toString(16)}`);
    this.#wires.unplug(mask);
  }

  /** PFFLAG_ROM_LOCK is kept, without an effect on the ROM area. */
  setFlags(value: number): void {
    this.#s = { ...this.#s, flags: value & PFFLAG_ROM_LOCK };
  }

  /** One character of the guest's log; lines go to the trace category "xen". */
  logCharacter(value: number): void {
    const character = value & 0xff;
    if (character !== 0x0a) {
      const printable = character >= 0x20 && character < 0x7f ? String.fromCharCode(character) : ".";
      this.#s = { ...this.#s, log: this.#s.log + printable };
      if (this.#s.log.length < LOG_BYTES) return;
    }
    this.#tracer.log("xen", `guest: ${this.#s.log}`);
    this.#s = { ...this.#s, log: "" };
  }

  reset(): void {
    this.#s = powerOn();
  }

  save(): PlatformPciState {
    return { ...this.#s };
  }

  restore(state: PlatformPciState): void {
    this.#s = { ...state };
  }
}

/** BAR 0 of the device. */
export class XenPlatformIoBar implements PortDevice<null> {
  readonly name = "xen-platform-io";
  readonly portCount = XEN_PLATFORM_PCI.ioBytes;
  readonly #ports: XenPlatformPorts;

  constructor(ports: XenPlatformPorts) {
    this.#ports = ports;
  }

  readPort(offset: number, size: AccessSize): number {
    return offset === BAR_FLAGS ? this.#ports.readPort(OFFSET_MAGIC, 1) : 2 ** (8 * size) - 1;
  }

  writePort(offset: number, _size: AccessSize, value: number): void {
    switch (offset) {
      case BAR_FLAGS:
        this.#ports.setFlags(value);
        break;
      case BAR_UNPLUG:
        if (value === 1) this.#ports.unplug(UNPLUG_ALL_IDE_DISKS | UNPLUG_ALL_NICS);
        break;
      case BAR_UNPLUG_SELECT:
        if (value === 1) this.#ports.unplug(UNPLUG_ALL_IDE_DISKS);
        else if (value === 2) this.#ports.unplug(UNPLUG_ALL_NICS);
        else this.#ports.logCharacter(value);
        break;
    }
  }

  reset(): void {}
  save(): null {
    return null;
  }
  restore(_state: null): void {}
}

/** BAR 1 of the device: empty unless the guest has shared pages placed over it. */
export class XenPlatformMmioBar implements MmioDevice<null> {
  readonly name = "xen-platform-mmio";
  readonly mmioBytes = XEN_PLATFORM_PCI.mmioBytes;

  readMmio(_offset: number, _size: AccessSize): number {
    return 0;
  }
  writeMmio(_offset: number, _size: AccessSize, _value: number): void {}
  reset(): void {}
  save(): null {
    return null;
  }
  restore(_state: null): void {}
}
