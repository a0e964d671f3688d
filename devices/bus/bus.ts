// SPDX-License-Identifier: MIT
/**
 * The bus between the CPU and the devices: one byte-granular table for the 64 Ki I/O ports, and a short list of
 * MMIO ranges behind a page cache. The caller says where each device sits; devices see offsets. Accesses that
 * a device cannot take whole (too wide for it, or past its end) are halved until they fit, low address first,
 * as a chipset does. Nobody home: reads are all ones, writes vanish, both are counted
 * (`bus.unclaimed.port`, `bus.unclaimed.mmio`) and traced as "bus": probing is how kernels find out what there is.
 *
 * Ranges may overlap, because guests move PCI BARs: the higher `priority` wins, then the newer one.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import { type Gpa, hex, PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { AccessSize, Bus, MmioDevice, PortDevice } from "../../cpu/base/bus.ts";
import type { Tracer } from "../../cpu/base/trace.ts";

const PORTS = 0x1_0000;
const CACHE_WAYS = 64; // pages remembered; direct-mapped

/** A device's place on the bus, until removed. */
export interface Mapping {
  readonly base: number;
  remove(): void;
}

/** Options of {@linkcode SystemBus.addPorts} and {@linkcode SystemBus.addMmio}. */
export interface MapOptions {
  /** Bytes or ports claimed; the device's own size unless told. */
  readonly length?: number;
  /** Who wins where ranges overlap. Fixed chips 0 (default); use -1 for what a guest can move. */
  readonly priority?: number;
}

interface Range<D> {
  readonly device: D;
  readonly base: number;
  readonly end: number;
  readonly priority: number;
  readonly order: number;
}
type PortRange = Range<PortDevice> & { readonly slot: number; readonly maxAccess: number };
type MmioRange = Range<MmioDevice>;

function beats(a: Range<unknown>, b: Range<unknown>): boolean {
  return a.priority > b.priority || (a.priority === b.priority && a.order > b.order);
}

/** See the module's description. */
export class SystemBus implements Bus {
  readonly #tracer: Tracer;
  #order = 0;
  /** Slot of the range that owns each port, 0 for nobody. */
  readonly #owner = new Uint16Array(PORTS);
  readonly #slots: (PortRange | undefined)[] = [undefined];
  /** Best first. */
  #mmio: MmioRange[] = [];
  readonly #cachedPage = new Float64Array(CACHE_WAYS).fill(-1);
  readonly #cachedRanges: (readonly MmioRange[])[] = new Array(CACHE_WAYS).fill([]);

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Puts `device` at port `base`. */
  addPorts(base: number, device: PortDevice, options: MapOptions = {}): Mapping {
    const end = base + (options.length ?? device.portCount);
    assert(base >= 0 && end <= PORTS && end > base, "port range lies in the port space");
    let slot = this.#slots.indexOf(undefined, 1);
    if (slot < 0) slot = this.#slots.length;
    const range: PortRange = {
      device,
      base,
      end,
      slot,
      maxAccess: device.maxAccess ?? 4,
      priority: options.priority ?? 0,
      order: this.#order++,
    };
    this.#slots[slot] = range;
    this.#assignPorts(base, end);
    return {
      base,
      remove: () => {
        if (this.#slots[slot] !== range) return;
        this.#slots[slot] = undefined;
        this.#assignPorts(base, end);
      },
    };
  }

  /** Puts `device` at physical address `base`. */
  addMmio(base: Gpa, device: MmioDevice, options: MapOptions = {}): Mapping {
    const end = base + (options.length ?? device.mmioBytes);
    assert(base >= 0 && end > base && Number.isSafeInteger(end), "MMIO range lies in the address space");
    const range: MmioRange = { device, base, end, priority: options.priority ?? 0, order: this.#order++ };
    this.#setMmio([...this.#mmio, range]);
    return { base, remove: () => this.#setMmio(this.#mmio.filter((other) => other !== range)) };
  }

  readPort(port: number, size: AccessSize): number {
    port &= 0xffff;
    const range = this.#slots[this.#owner[port] as number];
    if (range !== undefined && size <= range.maxAccess && this.#ownsAll(range, port, size)) {
      return range.device.readPort(port - range.base, size);
    }
    if (this.#portsUnclaimed(port, size)) {
      this.#unclaimed("port", "read", port, size);
      return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    }
    const half = size === 4 ? 2 : 1;
    const low = this.readPort(port, half);
    return ((this.readPort(port + half, half) << (8 * half)) | low) >>> 0;
  }

  writePort(port: number, size: AccessSize, value: number): void {
    port &= 0xffff;
    const range = this.#slots[this.#owner[port] as number];
    if (range !== undefined && size <= range.maxAccess && this.#ownsAll(range, port, size)) {
      range.device.writePort(port - range.base, size, value);
    } else if (this.#portsUnclaimed(port, size)) {
      this.#unclaimed("port", "write", port, size, value);
    } else {
      const half = size === 4 ? 2 : 1;
      this.writePort(port, half, half === 2 ? value & 0xffff : value & 0xff);
      this.writePort(port + half, half, half === 2 ? value >>> 16 : (value >>> 8) & 0xff);
    }
  }

  readMmio(gpa: Gpa, size: AccessSize): number {
    const range = this.#findMmio(gpa, size);
    if (range !== undefined) return range.device.readMmio(gpa - range.base, size);
    if (this.#mmioUnclaimed(gpa, size)) {
      this.#unclaimed("mmio", "read", gpa, size);
      return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    }
    const half = size === 4 ? 2 : 1;
    const low = this.readMmio(gpa, half);
    return ((this.readMmio(gpa + half, half) << (8 * half)) | low) >>> 0;
  }

  writeMmio(gpa: Gpa, size: AccessSize, value: number): void {
    const range = this.#findMmio(gpa, size);
    if (range !== undefined) {
      range.device.writeMmio(gpa - range.base, size, value);
    } else if (this.#mmioUnclaimed(gpa, size)) {
      this.#unclaimed("mmio", "write", gpa, size, value);
    } else {
      const half = size === 4 ? 2 : 1;
      this.writeMmio(gpa, half, half === 2 ? value & 0xffff : value & 0xff);
      this.writeMmio(gpa + half, half, half === 2 ? value >>> 16 : (value >>> 8) & 0xff);
    }
  }

  #ownsAll(range: PortRange, port: number, size: number): boolean {
    if (port + size > range.end) return false;
    for (let i = 1; i < size; i++) if (this.#owner[port + i] !== range.slot) return false;
    return true;
  }

  #portsUnclaimed(port: number, size: number): boolean {
    for (let i = 0; i < size; i++) if (this.#owner[(port + i) & 0xffff] !== 0) return false;
    return true;
  }

  #assignPorts(base: number, end: number): void {
    this.#owner.fill(0, base, end);
    const ranges = this.#slots.filter((range) => range !== undefined && range.base < end && range.end > base);
    (ranges as PortRange[]).sort((a, b) => beats(a, b) ? 1 : -1);
    for (const range of ranges as PortRange[]) {
      this.#owner.fill(range.slot, Math.max(base, range.base), Math.min(end, range.end));
    }
  }

  #setMmio(ranges: MmioRange[]): void {
    this.#mmio = ranges.sort((a, b) => beats(a, b) ? -1 : 1);
    this.#cachedPage.fill(-1);
    this.#cachedRanges.fill([]);
  }

  /** Ranges that touch the page of `gpa`, best first. */
  #rangesAt(gpa: Gpa): readonly MmioRange[] {
    const page = Math.floor(gpa / PAGE_SIZE);
    const way = page % CACHE_WAYS;
    if (this.#cachedPage[way] !== page) {
      const start = page * PAGE_SIZE;
      this.#cachedPage[way] = page;
      this.#cachedRanges[way] = this.#mmio.filter((r) => r.base < start + PAGE_SIZE && r.end > start);
    }
    return this.#cachedRanges[way] as readonly MmioRange[];
  }

  /** The range that owns all of [gpa, gpa+size); undefined when nobody does. */
  #findMmio(gpa: Gpa, size: number): MmioRange | undefined {
    for (const range of this.#rangesAt(gpa)) {
      if (gpa >= range.base && gpa + size <= range.end) return range;
      if (gpa < range.end && gpa + size > range.base) return undefined; // a better one owns a part
    }
    return undefined;
  }

  #mmioUnclaimed(gpa: Gpa, size: number): boolean {
    return !this.#mmio.some((range) => gpa < range.end && gpa + size > range.base);
  }

  #unclaimed(space: "port" | "mmio", verb: "read" | "write", at: number, size: number, value?: number): void {
    this.#tracer.counters.add(space === "port" ? "bus.unclaimed.port" : "bus.unclaimed.mmio");
    if (!this.#tracer.on("bus")) return;
    const what = value === undefined ? "" : `: ${hex(value)}`;
    this.#tracer.log("bus", `${verb} of ${size} at unclaimed ${space} ${hex(at)}${what}`);
  }
}
