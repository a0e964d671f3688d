// SPDX-License-Identifier: MIT
/**
 * Boot by the Multiboot protocol: stock Xen, and kernels that GRUB's `multiboot` starts. 32-bit protected mode
 * without paging, EBX = the information structure. Rules: Multiboot Specification 0.6.96. A module's string, and the
 * kernel's, begin with a file name, as QEMU and GRUB Legacy have it: Xen drops the first word unless GRUB 2 says it is
 * the loader.
 * Not done: video modes, symbols, drives, the APM table; Multiboot 2 (Xen has both headers).
 * @module
 */
import { hex } from "../../cpu/base/bits.ts";
import { ConfigError } from "../../cpu/base/assert.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { layout } from "../../cpu/base/layout.ts";
import { checkEntry, isElf, loadElfSegments, parseElf } from "./elf.ts";
import { buildEntryState, type EntryState } from "./entry_state.ts";
import { BootPlan, E820_ENTRY_BYTES, E820_RAM, LOW_RAM_END, storeE820 } from "./memory_map.ts";
import { badKernel, type NamedFile } from "./named_file.ts";
import { type BootOptions, encodeCommandLine, placeModules } from "./pvh.ts";

const HEADER_MAGIC = 0x1bad_b002;
export const BOOTLOADER_MAGIC = 0x2bad_b002;
/** The header lies, aligned to 4, in so many bytes of the file. */
const SEARCH_BYTES = 8192;
/** In the header: what the kernel needs. The lower half has to be understood. */
const HEADER_PAGE_ALIGN = 1 << 0;
const HEADER_MEMORY_INFO = 1 << 1;
const HEADER_VIDEO_MODE = 1 << 2;
const HEADER_AOUT_KLUDGE = 1 << 16;
const UNDERSTOOD = HEADER_PAGE_ALIGN | HEADER_MEMORY_INFO | HEADER_VIDEO_MODE;

const INFO_MEMORY = 1 << 0;
const INFO_CMDLINE = 1 << 2;
const INFO_MODS = 1 << 3;
const INFO_MEM_MAP = 1 << 6;
const INFO_BOOT_LOADER_NAME = 1 << 9;
const LOADER_NAME = "Xenner";

const header = layout({
  magic: "u32",
  flags: "u32",
  checksum: "u32",
  header_addr: "u32",
  load_addr: "u32",
  load_end_addr: "u32",
  bss_end_addr: "u32",
  entry_addr: "u32",
});
export const multiboot_info = layout({
  flags: "u32",
  mem_lower: "u32",
  mem_upper: "u32",
  boot_device: "u32",
  cmdline: "u32",
  mods_count: "u32",
  mods_addr: "u32",
  syms0: "u32",
  syms1: "u32",
  syms2: "u32",
  syms3: "u32",
  mmap_length: "u32",
  mmap_addr: "u32",
  drives_length: "u32",
  drives_addr: "u32",
  config_table: "u32",
  boot_loader_name: "u32",
  apm_table: "u32",
});
export const multiboot_module = layout({ mod_start: "u32", mod_end: "u32", string: "u32", reserved: "u32" });
/** `size` counts from the field behind it. */
export const MMAP_ENTRY_BYTES = 4 + E820_ENTRY_BYTES;

/** Where the Multiboot header of `bytes` is; undefined when there is none. */
function headerAt(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 12 <= Math.min(bytes.length, SEARCH_BYTES); at += 4) {
    if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
    const sum = HEADER_MAGIC + view.getUint32(at + 4, true) + view.getUint32(at + 8, true);
    if (sum % 2 ** 32 === 0) return at;
  }
  return undefined;
}

/** True when `bytes` is a kernel for the Multiboot protocol. */
export function isMultiboot(bytes: Uint8Array): boolean {
  return headerAt(bytes) !== undefined;
}

/** Loads kernel and modules; an initrd is the last module. */
export function loadMultiboot(memory: GuestMemory, options: BootOptions): EntryState {
  const { kernel, e820 } = options;
  const plan = new BootPlan(memory, e820);
  const entry = loadImage(plan, kernel);
  const placed = placeModules(plan, options).map(({ file, cmdline, start }) => ({
    start,
    end: start + file.bytes.length,
    string: encodeCommandLine(named(file, cmdline)),
  }));
  const strings = [
    encodeCommandLine(named(kernel, options.cmdline)),
    encodeCommandLine(LOADER_NAME),
    ...placed.map(({ string }) => string),
  ];

  const modsAt = multiboot_info.size;
  const mmapAt = modsAt + placed.length * multiboot_module.size;
  let stringAt = mmapAt + e820.length * MMAP_ENTRY_BYTES;
  const bytes = new Uint8Array(stringAt + strings.reduce((sum, { length }) => sum + length, 0));
  const base = plan.allocate(bytes.length, "the Multiboot information", { max: LOW_RAM_END });
  const [cmdline = 0, loader = 0, ...moduleStrings] = strings.map((string) => {
    bytes.set(string, stringAt);
    stringAt += string.length;
    return base + stringAt - string.length;
  });
  const view = new DataView(bytes.buffer);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const { at } = multiboot_info;
  u32(at.flags, INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MEM_MAP | INFO_BOOT_LOADER_NAME);
  u32(at.mem_lower, LOW_RAM_END >> 10);
  u32(at.mem_upper, (e820.find((e) => e.type === E820_RAM && e.addr === 2 ** 20)?.size ?? 0) >>> 10);
  u32(at.cmdline, cmdline);
  u32(at.mods_count, placed.length);
  u32(at.mods_addr, base + modsAt);
  u32(at.mmap_length, e820.length * MMAP_ENTRY_BYTES);
  u32(at.mmap_addr, base + mmapAt);
  u32(at.boot_loader_name, loader);
  placed.forEach(({ start, end }, i) => {
    const entryAt = modsAt + i * multiboot_module.size;
    u32(entryAt + multiboot_module.at.mod_start, start);
    u32(entryAt + multiboot_module.at.mod_end, end);
    u32(entryAt + multiboot_module.at.string, moduleStrings[i] as number);
  });
  e820.forEach((_, i) => u32(mmapAt + i * MMAP_ENTRY_BYTES, E820_ENTRY_BYTES));
  storeE820(view, mmapAt + 4, e820, MMAP_ENTRY_BYTES);
  plan.write(base, bytes);
  return buildEntryState(plan, 32, entry, { rax: BOOTLOADER_MAGIC, rbx: base });
}

/** What stands for the file, and what it is told. The file's name is one word. */
function named({ name }: NamedFile, cmdline: string): string {
  const word = (name.split("/").at(-1) ?? "").replaceAll(/\s/g, "_") || "file";
  return cmdline === "" ? word : `${word} ${cmdline}`;
}

/** Puts the image where its header, or else its program headers, want it; returns the entry point. */
function loadImage(plan: BootPlan, kernel: NamedFile): number {
  const { bytes } = kernel;
  const found = headerAt(bytes);
  if (found === undefined) throw badKernel(kernel, "it has no Multiboot header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint32(found + header.at.flags, true);
  const unknown = flags & 0xffff & ~UNDERSTOOD;
  if (unknown !== 0) throw badKernel(kernel, `its Multiboot header wants what is not there: ${hex(unknown)}`);
  if ((flags & HEADER_AOUT_KLUDGE) === 0) {
    if (!isElf(bytes)) {
      throw badKernel(kernel, "its Multiboot header has no addresses, and it is no ELF file");
    }
    const elf = parseElf(kernel);
    loadElfSegments(plan, elf);
    return checkEntry(elf, elf.entry);
  }
  if (bytes.length < found + header.size) throw badKernel(kernel, "its Multiboot header is truncated");
  const field = (name: keyof typeof header.at) => view.getUint32(found + header.at[name], true);
  const load = field("load_addr"), start = found - (field("header_addr") - load);
  const loaded = field("load_end_addr") === 0 ? bytes.length - start : field("load_end_addr") - load;
  const total = Math.max(loaded, field("bss_end_addr") - load);
  if (start < 0 || loaded <= 0 || start + loaded > bytes.length) {
    throw badKernel(kernel, "the addresses in its Multiboot header do not fit the file");
  }
  const entry = field("entry_addr");
  if (entry < load || entry >= load + loaded) {
    throw badKernel(kernel, `its entry point ${hex(entry)} is not in what is loaded`);
  }
  plan.take(load, total, `kernel "${kernel.name}"`);
  plan.write(load, bytes.subarray(start, start + loaded), total);
  return entry;
}

/** The error when a kernel is given modules that its protocol cannot take. */
export function noModules(kernel: NamedFile): ConfigError {
  return new ConfigError(
    `Cannot give modules to "${kernel.name}": only Multiboot and PVH kernels take them; Linux has its initrd`,
  );
}
