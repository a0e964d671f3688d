// SPDX-License-Identifier: MIT
/**
 * RAM that a kernel is unpacked into, so that its largest segment lies where it belongs and need not be copied: host memory
 * that is touched for the first time costs more than what is written there.
 * @module
 */
import { type Gpa, MiB } from "../../../cpu/base/bits.ts";
import type { GuestMemory } from "../../../cpu/base/guest_memory.ts";
import type { Room } from "../compression/lz4_module.ts";
import { type ElfSegment, PT_LOAD, segmentsOf } from "../elf.ts";
import type { NamedFile } from "../named_file.ts";
import { E820_RAM, type E820Entry, type MemoryRange } from "../memory_map.ts";

/** See the module's description. All RAM above 1 MiB must hold zeros, as it does before anybody has used it. */
export class RoomInRam {
  /** Where the kernel's file is, when it is in RAM. */
  start: Gpa | undefined;

  constructor(readonly memory: GuestMemory, readonly e820: readonly E820Entry[]) {}

  /** Where an ELF file of `bytes` bytes that begins with `head` goes, if there is a place: `room` bytes are used. */
  take(head: Uint8Array, bytes: number, room: number): Room | undefined {
    const loads = segmentsOf(head, bytes)?.filter(isLoaded) ?? [];
    const [largest] = loads.toSorted((a, b) => b.fileBytes - a.fileBytes);
    if (largest === undefined) return undefined;
    const start = largest.paddr - largest.offset, end = start + room;
    const fits = this.e820.some(({ type, addr, size }) =>
      type === E820_RAM && addr <= start && end <= addr + size
    );
    if (!fits || start < 1 * MiB || !canMove(loads, start)) return undefined;
    this.start = start;
    return { memory: this.memory.memory, at: this.memory.offsetOf(start) };
  }

  /** The file that was unpacked there is not needed: RAM holds zeros again. */
  leave({ bytes, inRam }: NamedFile): void {
    if (inRam !== undefined) bytes.fill(0);
  }
}

function isLoaded({ type, memoryBytes }: ElfSegment): boolean {
  return type === PT_LOAD && memoryBytes > 0;
}

/** Whether segments of a file at `start` can go one after the other to where they belong: none overwrites what comes later. */
function canMove(loads: readonly ElfSegment[], start: Gpa): boolean {
  return loads.every(({ offset, fileBytes, paddr, memoryBytes }, i) => {
    const from = start + offset, target = { start: paddr, end: paddr + memoryBytes };
    if (paddr > from && overlap(target, { start: from, end: from + fileBytes })) return false;
    return loads.slice(i + 1).every((later) =>
      !overlap(target, { start: start + later.offset, end: start + later.offset + later.fileBytes })
    );
  });
}

function overlap(a: MemoryRange, b: MemoryRange): boolean {
  return a.start < b.end && b.start < a.end;
}
