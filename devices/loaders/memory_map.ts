// SPDX-License-Identifier: MIT
/**
 * Physical memory of the PC as firmware would describe it (INT 15h, AX=E820h), and a planner that places boot
 * data in it. RAM starts at 0 and ends at 3 GiB at most; the PCI hole is above. Rules: ACPI 6.4 §15.
 *
 *     0000_0000  RAM, 639 KiB            000e_0000  reserved: ACPI tables, BIOS
 *     0009_fc00  reserved (EBDA)         0010_0000  RAM
 *     000a_0000  VGA, nothing            c000_0000  PCI memory, up to the I/O APIC at fec0_0000
 *                                        feff_8000  reserved: Xen's special pages (8 of them)
 * @module
 */
import { assert, ConfigError } from "../../cpu/base/assert.ts";
import { GiB, type Gpa, hex, KiB, MiB, PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { SparseMover } from "./in_place/sparse_move.ts";

export const E820_RAM = 1;
export const E820_RESERVED = 2;
export const E820_ACPI = 3;
export const E820_NVS = 4;

/** One range of the memory map. */
export interface E820Entry {
  readonly addr: Gpa;
  readonly size: number;
  readonly type: number;
}

/** [start, end) of physical memory. */
export interface MemoryRange {
  readonly start: Gpa;
  readonly end: Gpa;
}

/** End of conventional memory: 639 KiB, then 1 KiB of extended BIOS data area. */
export const LOW_RAM_END = 639 * KiB;
/** Where ACPI tables go: guests look for the RSDP from here on. */
export const BIOS_AREA: MemoryRange = { start: 0xe_0000, end: 1 * MiB };
/** Where a BIOS image ends. */
export const BIOS_END: Gpa = BIOS_AREA.end;
/** At the end of RAM when there is a BIOS, which has the place where tables are otherwise. */
export const HIGH_TABLES_BYTES = 64 * KiB;
/** PCI memory windows. */
export const PCI_MEMORY: MemoryRange = { start: 3 * GiB, end: 0xfec0_0000 };
/** The special pages of a Xen HVM domain; order as in libxc (xenstore is page 4, console page 7). */
export const XEN_SPECIAL_PAGES: MemoryRange = { start: 0xfeff_8000, end: 0xff00_0000 };
/** Least and most RAM. */
export const MIN_RAM_BYTES = 2 * MiB;
export const MAX_RAM_BYTES = 3 * GiB;

/** Checks a RAM size from the user; returns it. */
export function checkRamBytes(ramBytes: number): number {
  if (!(ramBytes >= MIN_RAM_BYTES && ramBytes <= MAX_RAM_BYTES && ramBytes % PAGE_SIZE === 0)) {
    const meant = Number.isInteger(ramBytes) && ramBytes >= 2 && ramBytes <= MAX_RAM_BYTES / MiB;
    throw new ConfigError(
      `Cannot give the guest ${ramBytes} bytes of RAM: it takes 2 MiB to 3 GiB, in whole pages` +
        (meant ? `; for MiB write ${ramBytes}M` : ""),
    );
  }
  return ramBytes;
}

/** Bytes of an entry as INT 15h, AX=E820h gives it: in boot_params, in what a BIOS and Multiboot kernels are told. */
export const E820_ENTRY_BYTES = 20;

/** Stores `entries` from `at` on, `stride` bytes apart. */
export function storeE820(
  view: DataView,
  at: number,
  entries: readonly E820Entry[],
  stride = E820_ENTRY_BYTES,
): void {
  for (const { addr, size, type } of entries) {
    view.setBigUint64(at, BigInt(addr), true);
    view.setBigUint64(at + 8, BigInt(size), true);
    view.setUint32(at + 16, type, true);
    at += stride;
  }
}

/** The memory map of a PC with `ramBytes` of RAM, sorted; `highTables`: with {@linkcode HIGH_TABLES_BYTES} at its end. */
export function pcMemoryMap(ramBytes: number, highTables = false): E820Entry[] {
  checkRamBytes(ramBytes);
  const tables = highTables ? ramBytes - HIGH_TABLES_BYTES : ramBytes;
  const range = (type: number, { start, end }: MemoryRange) => ({ addr: start, size: end - start, type });
  return [
    range(E820_RAM, { start: 0, end: LOW_RAM_END }),
    range(E820_RESERVED, { start: LOW_RAM_END, end: 640 * KiB }),
    range(E820_RESERVED, BIOS_AREA),
    range(E820_RAM, { start: 1 * MiB, end: tables }),
    ...highTables ? [range(E820_RESERVED, { start: tables, end: ramBytes })] : [],
    range(E820_RESERVED, XEN_SPECIAL_PAGES),
  ];
}

/** Writes what guests read of the BIOS data area: COM1, end of conventional memory, segment of the EBDA. */
export function writeBiosDataArea(memory: GuestMemory): void {
  const bda = memory.sliceForWrite(0x400, 0x100);
  assert(bda !== undefined, "RAM starts at 0");
  bda.fill(0);
  const view = new DataView(bda.buffer, bda.byteOffset, bda.byteLength);
  view.setUint16(0x00, 0x3f8, true); // port of COM1
  view.setUint16(0x0e, LOW_RAM_END >> 4, true); // segment of the EBDA
  view.setUint16(0x13, LOW_RAM_END / KiB, true); // KiB of conventional memory
}

/** What lies in the hole between conventional memory and 1 MiB, for messages. */
const HOLE: readonly (MemoryRange & { readonly what: string })[] = [
  { what: "the extended BIOS data area", start: LOW_RAM_END, end: 640 * KiB },
  { what: "video memory", start: 640 * KiB, end: BIOS_AREA.start },
  { what: "the area of ACPI tables and BIOS", ...BIOS_AREA },
];

/** Where {@linkcode BootPlan.allocate} looks. */
export interface Placement {
  readonly align?: number;
  readonly min?: Gpa;
  /** End of the last byte, exclusive. */
  readonly max?: Gpa;
  /** Lowest free place (default) or highest. */
  readonly from?: "bottom" | "top";
}

/** From so many bytes on it pays to look for what is zeros already. */
const WORTH_A_LOOK = 64 * KiB;

/** Hands out RAM for kernel, initrd and boot data, so that nothing overlaps. */
export class BootPlan {
  #mover: SparseMover | undefined;
  readonly #taken: (MemoryRange & { readonly what: string })[] = [
    { start: 0, end: PAGE_SIZE, what: "the area of interrupt vectors and BIOS data" },
  ];

  constructor(readonly memory: GuestMemory, readonly e820: readonly E820Entry[]) {}

  /** End of the highest RAM. */
  get ramEnd(): number {
    return Math.max(0, ...this.#ram().map((range) => range.end));
  }

  #ram(): MemoryRange[] {
    return this.e820.filter((e) => e.type === E820_RAM).map((e) => ({ start: e.addr, end: e.addr + e.size }));
  }

  /** Claims [start, start+bytes) for `what`, which wants to be there. */
  take(start: Gpa, bytes: number, what: string): Gpa {
    const end = start + bytes;
    const cannot = (why: string) =>
      new ConfigError(`Cannot place ${what} at ${hex(start)}..${hex(end)}: ${why}`);
    const obstacle = [...this.#taken, ...HOLE].find((range) => start < range.end && end > range.start);
    if (obstacle !== undefined) {
      throw cannot(`${obstacle.what} at ${hex(obstacle.start)}..${hex(obstacle.end)} is in the way`);
    }
    if (end > MAX_RAM_BYTES) throw cannot(`RAM never reaches beyond ${hex(MAX_RAM_BYTES)}, link it lower`);
    if (!this.#ram().some((range) => start >= range.start && end <= range.end)) {
      throw cannot(`RAM ends at ${hex(this.ramEnd)}, give the guest more`);
    }
    this.#taken.push({ start, end, what });
    return start;
  }

  /** Claims `bytes` somewhere for `what`. */
  allocate(bytes: number, what: string, placement: Placement = {}): Gpa {
    const { align = PAGE_SIZE, min = 0, max = this.ramEnd, from = "bottom" } = placement;
    const top = from === "top";
    const size = Math.max(bytes, 1);
    const candidates: number[] = [];
    // A best place touches the edge of a RAM range or of something taken.
    const edges = [min, max, ...[...this.#ram(), ...this.#taken].flatMap(({ start, end }) => [start, end])];
    for (const edge of edges) {
      const start = top ? Math.floor((edge - size) / align) * align : Math.ceil(edge / align) * align;
      const end = start + size;
      if (start < min || end > max) continue;
      if (!this.#ram().some((range) => start >= range.start && end <= range.end)) continue;
      if (this.#taken.some((range) => start < range.end && end > range.start)) continue;
      candidates.push(start);
    }
    if (candidates.length === 0) {
      const hint = max < this.ramEnd ? "where the kernel wants it" : "give the guest more";
      throw new ConfigError(
        `Cannot place ${what}: no ${bytes} bytes of RAM are free below ${hex(max)}, ${hint}`,
      );
    }
    const start = top ? Math.max(...candidates) : Math.min(...candidates);
    this.#taken.push({ start, end: start + size, what });
    return start;
  }

  /** Writes `bytes` at `start`, which was claimed, and zeros up to `total`. */
  write(start: Gpa, bytes: Uint8Array, total = bytes.length): void {
    assert(this.memory.write(start, bytes), "claimed memory is RAM");
    this.#clear(start + bytes.length, start + total);
  }

  /** The same with `bytes` bytes that are in RAM at `from`, perhaps where they belong. */
  move(from: Gpa, start: Gpa, bytes: number, total = bytes): void {
    if (from !== start) this.#sparse.move(this.#offset(from, bytes), this.#offset(start, bytes), bytes);
    this.#clear(start + bytes, start + total);
  }

  /** Clears what nobody has claimed of [start, end). */
  clearAround(start: Gpa, end: Gpa): void {
    for (const range of [...this.#taken.toSorted((a, b) => a.start - b.start), { start: end, end }]) {
      this.#clear(start, Math.min(range.start, end));
      start = Math.max(start, range.end);
    }
  }

  #clear(start: Gpa, end: Gpa): void {
    if (end <= start) return;
    const bytes = end - start, at = this.#offset(start, bytes);
    if (bytes < WORTH_A_LOOK) this.memory.bytes.fill(0, at, at + bytes);
    else this.#sparse.clear(at, bytes);
  }
  #offset(start: Gpa, bytes: number): number {
    const slice = this.memory.sliceForWrite(start, bytes);
    assert(slice !== undefined, "claimed memory is RAM");
    return slice.byteOffset;
  }
  get #sparse(): SparseMover {
    return this.#mover ??= new SparseMover(this.memory.memory);
  }
}
