// SPDX-License-Identifier: MIT
/**
 * What starts in real mode: a boot sector at 0000:7C00, with more code behind it if there is any, and a BIOS image
 * that ends at 1 MiB and starts at F000:FFF0. A BIOS is told of memory and ACPI tables the way Xen's hvmloader tells
 * SeaBIOS: by a structure at 1000H. Rules: IBM PS/2 BIOS Interface Technical Reference (INT 19H); SDM Vol. 3A §10.1.4;
 * Xen tools/firmware/hvmloader/seabios.c.
 * Not done: the alias of the BIOS below 4 GiB; option ROMs.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { type Gpa, KiB } from "../../cpu/base/bits.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { layout } from "../../cpu/base/layout.ts";
import { BOOT_FLAG, BOOT_FLAG_MAGIC } from "./bzimage.ts";
import { type EntryState, realModeEntry } from "./entry_state.ts";
import { BIOS_END, BootPlan, E820_ENTRY_BYTES, LOW_RAM_END, storeE820 } from "./memory_map.ts";
import { badKernel } from "./named_file.ts";
import type { BootOptions } from "./pvh.ts";

const BOOT_SECTOR: Gpa = 0x7c00;
const FIRST_HARD_DISK = 0x80;
const SECTOR_BYTES = 512;

const BIOS_UNIT = 64 * KiB;
const MAX_BIOS_BYTES = 256 * KiB;
const BIOS_SEGMENT = 0xf000;
const RESET_VECTOR = 0xfff0;
/** JMP FAR, JMP rel16, JMP rel8. */
const JUMPS = [0xea, 0xe9, 0xeb];

const INFO: Gpa = 0x1000;
const INFO_SIGNATURE = "XenHVMSeaBIOS\0";
const seabios_info = layout({
  signature: ["u8", INFO_SIGNATURE.length],
  length: "u8",
  checksum: "u8",
  tables: "u32",
  tables_nr: "u32",
  e820: "u32",
  e820_nr: "u32",
});

/** True when `bytes` is as long as a BIOS and has a jump at its reset vector. */
export function isBiosImage(bytes: Uint8Array): boolean {
  const { length } = bytes;
  return length > 0 && length <= MAX_BIOS_BYTES && length % BIOS_UNIT === 0 && !isBootSector(bytes) &&
    JUMPS.includes(bytes[length - 16] as number);
}

/** True when the first sector of `bytes` ends as one that a BIOS starts. */
export function isBootSector(bytes: Uint8Array): boolean {
  return bytes.length >= SECTOR_BYTES &&
    ((bytes[BOOT_FLAG] as number) | ((bytes[BOOT_FLAG + 1] as number) << 8)) === BOOT_FLAG_MAGIC;
}

/** Puts the whole file where a BIOS puts its first sector. */
export function loadBootSector(memory: GuestMemory, options: BootOptions): EntryState {
  const { kernel, e820 } = options;
  refuseExtras(options);
  const { length } = kernel.bytes;
  if (BOOT_SECTOR + length > LOW_RAM_END) {
    throw badKernel(
      kernel,
      `it is a boot sector with more behind it than low memory takes: give it as --disk, with a BIOS as --firmware`,
    );
  }
  const plan = new BootPlan(memory, e820);
  plan.take(BOOT_SECTOR, length, `boot sector "${kernel.name}"`);
  plan.write(BOOT_SECTOR, kernel.bytes);
  return realModeEntry(0, BOOT_SECTOR, { rsp: BOOT_SECTOR, rdx: FIRST_HARD_DISK });
}

/** Puts the image below 1 MiB, and the structure that tells it of the machine at 1000H. */
export function loadBios(memory: GuestMemory, options: BootOptions): EntryState {
  const { kernel, e820, rsdp } = options;
  refuseExtras(options);
  const plan = new BootPlan(memory, e820);
  plan.write(BIOS_END - kernel.bytes.length, kernel.bytes);
  const tables = rsdp === undefined ? [] : [rsdp];
  const tablesAt = seabios_info.size;
  const e820At = tablesAt + 4 * tables.length;
  const bytes = new Uint8Array(e820At + e820.length * E820_ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const { at } = seabios_info;
  bytes.set(new TextEncoder().encode(INFO_SIGNATURE));
  view.setUint8(at.length, tablesAt);
  u32(at.tables, INFO + tablesAt);
  u32(at.tables_nr, tables.length);
  u32(at.e820, INFO + e820At);
  u32(at.e820_nr, e820.length);
  tables.forEach((table, i) => view.setUint32(tablesAt + 4 * i, table, true));
  storeE820(view, e820At, e820);
  const sum = bytes.subarray(0, tablesAt).reduce((sum, byte) => sum + byte, 0);
  view.setUint8(at.checksum, -sum & 0xff);
  plan.take(INFO, bytes.length, "what the BIOS is told");
  plan.write(INFO, bytes);
  return realModeEntry(BIOS_SEGMENT, RESET_VECTOR, {});
}

function refuseExtras({ kernel, initrd, cmdline, modules = [] }: BootOptions): void {
  if (initrd === undefined && cmdline === "" && modules.length === 0) return;
  throw new ConfigError(
    `Cannot give "${kernel.name}" a command line, initrd or modules: it starts in real mode and asks for none`,
  );
}
