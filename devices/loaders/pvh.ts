// SPDX-License-Identifier: MIT
/**
 * Boot by the PVH protocol: an ELF file with XEN_ELFNOTE_PHYS32_ENTRY starts in 32-bit protected mode without
 * paging, EBX = hvm_start_info. Rules: Xen docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h.
 *
 * Linux that finds Xen's CPUID leaves after such a start takes itself for a PVH domain (no legacy devices); to
 * boot it as an HVM domain use the Linux protocol of `linux.ts`.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { layout } from "../../cpu/base/layout.ts";
import { type Gpa, hex } from "../../cpu/base/bits.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import {
  checkEntry,
  type ElfFile,
  loadElfSegments,
  parseElf,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_PHYS32_ENTRY,
  xenNoteNumber,
  xenNoteString,
} from "./elf.ts";
import { buildEntryState, type EntryState } from "./entry_state.ts";
import { BootPlan, type E820Entry } from "./memory_map.ts";
import { badKernel, type BootModule, type NamedFile } from "./named_file.ts";

export const XEN_HVM_START_MAGIC_VALUE = 0x336e_c578;

export const hvm_start_info = layout({
  magic: "u32",
  version: "u32",
  flags: "u32",
  nr_modules: "u32",
  modlist_paddr: "u64",
  cmdline_paddr: "u64",
  rsdp_paddr: "u64",
  memmap_paddr: "u64",
  memmap_entries: "u32",
  reserved: "u32",
});
export const hvm_modlist_entry = layout({ paddr: "u64", size: "u64", cmdline_paddr: "u64", reserved: "u64" });
export const hvm_memmap_table_entry = layout({ addr: "u64", size: "u64", type: "u32", reserved: "u32" });

/** What every boot protocol is given. */
export interface BootOptions {
  readonly kernel: NamedFile;
  readonly initrd?: NamedFile | undefined;
  /** For kernels that take several files: Xen, with the kernel of its first domain. */
  readonly modules?: readonly BootModule[] | undefined;
  readonly cmdline: string;
  readonly e820: readonly E820Entry[];
  /** Where the ACPI tables are; absent when there are none. */
  readonly rsdp?: Gpa | undefined;
  /** Random bytes to begin with, for protocols that have a place for them: that of Linux. */
  readonly seed?: Uint8Array | undefined;
}

/** Longest command line of a Linux for x86 that nobody has asked (COMMAND_LINE_SIZE - 1). */
export const LINUX_CMDLINE_SIZE = 2047;

/** The command line as the guest reads it: with a NUL at its end. `limit`: bytes the kernel takes before that. */
export function encodeCommandLine(cmdline: string, limit = Infinity): Uint8Array {
  if (cmdline.includes("\0")) {
    throw new ConfigError("Cannot pass a command line with a NUL in it: it would end there");
  }
  const bytes = new TextEncoder().encode(cmdline + "\0");
  if (bytes.length - 1 > limit) {
    throw new ConfigError(
      `Cannot pass a command line of ${bytes.length - 1} bytes: the kernel takes ${limit}`,
    );
  }
  return bytes;
}

/** True when `elf` says that it is a Linux kernel. */
export function isLinux(elf: ElfFile): boolean {
  return elf.notes.some((n) => n.name === "Linux") ||
    xenNoteString(elf, XEN_ELFNOTE_GUEST_OS)?.startsWith("linux") === true;
}

/** Places the modules, the initrd last, at the top of RAM. */
export function placeModules(
  plan: BootPlan,
  { modules = [], initrd }: BootOptions,
): (BootModule & { readonly start: Gpa })[] {
  const all = modules.map((module) => ({ ...module, what: "module" }));
  if (initrd !== undefined) all.push({ file: initrd, cmdline: "", what: "initrd" });
  return all.map(({ file, cmdline, what }) => {
    const start = plan.allocate(file.bytes.length, `${what} "${file.name}"`, { from: "top" });
    plan.write(start, file.bytes);
    return { file, cmdline, start };
  });
}

/** Loads everything into RAM; returns how the boot CPU starts. */
export function loadPvh(
  memory: GuestMemory,
  options: BootOptions & { cmdlineSize?: number | undefined },
): EntryState {
  const { kernel, e820 } = options;
  const elf = parseElf(kernel);
  const note = xenNoteNumber(elf, XEN_ELFNOTE_PHYS32_ENTRY);
  if (note === undefined) {
    const broken = elf.notesBroken ? "; some of its notes are malformed" : "";
    throw badKernel(kernel, `it has no PVH entry point (XEN_ELFNOTE_PHYS32_ENTRY)${broken}`);
  }
  if (note >= 2n ** 32n) {
    throw badKernel(kernel, `its PVH entry point ${hex(note)} is above 4 GiB, where 32-bit code cannot be`);
  }
  const plan = new BootPlan(memory, e820);
  const limit = options.cmdlineSize ?? (isLinux(elf) ? LINUX_CMDLINE_SIZE : undefined);
  loadElfSegments(plan, elf);
  const entry = checkEntry(elf, note);

  const cmdline = encodeCommandLine(options.cmdline, limit);
  const modules = placeModules(plan, options);
  const modlistAt = hvm_start_info.size;
  const memmapAt = modlistAt + modules.length * hvm_modlist_entry.size;
  const cmdlineAt = memmapAt + e820.length * hvm_memmap_table_entry.size;
  const texts = modules.map((module) =>
    module.cmdline === "" ? undefined : encodeCommandLine(module.cmdline)
  );
  let textAt = cmdlineAt + cmdline.length;
  const bytes = new Uint8Array(texts.reduce((sum, text) => sum + (text?.length ?? 0), textAt));
  const view = new DataView(bytes.buffer);
  const base = plan.allocate(bytes.length, "hvm_start_info");
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);

  const info = hvm_start_info.at;
  view.setUint32(info.magic, XEN_HVM_START_MAGIC_VALUE, true);
  view.setUint32(info.version, 1, true);
  view.setUint32(info.nr_modules, modules.length, true);
  u64(info.cmdline_paddr, base + cmdlineAt);
  u64(info.rsdp_paddr, options.rsdp ?? 0);
  u64(info.memmap_paddr, base + memmapAt);
  view.setUint32(info.memmap_entries, e820.length, true);
  if (modules.length > 0) u64(info.modlist_paddr, base + modlistAt);
  modules.forEach(({ file, start }, i) => {
    const entryAt = modlistAt + i * hvm_modlist_entry.size;
    u64(entryAt + hvm_modlist_entry.at.paddr, start);
    u64(entryAt + hvm_modlist_entry.at.size, file.bytes.length);
    const text = texts[i];
    if (text === undefined) return;
    u64(entryAt + hvm_modlist_entry.at.cmdline_paddr, base + textAt);
    bytes.set(text, textAt);
    textAt += text.length;
  });
  e820.forEach((range, i) => {
    const at = memmapAt + i * hvm_memmap_table_entry.size;
    u64(at + hvm_memmap_table_entry.at.addr, range.addr);
    u64(at + hvm_memmap_table_entry.at.size, range.size);
    view.setUint32(at + hvm_memmap_table_entry.at.type, range.type, true);
  });
  bytes.set(cmdline, cmdlineAt);
  plan.write(base, bytes);
  return buildEntryState(plan, 32, entry, { rbx: base });
}
