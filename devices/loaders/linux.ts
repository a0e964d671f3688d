// SPDX-License-Identifier: MIT
/**
 * Boot by the Linux protocol: a bzImage at its 32- or 64-bit entry, or a vmlinux (the ELF file inside) at
 * startup_64, which skips the decompressor. ESI/RSI = boot_params. Rules: Linux Documentation/arch/x86/boot.rst
 * and zero-page.rst; a vmlinux wants the same state as the 64-bit entry (head_64.S).
 * Not done: setup_data but a seed, EFI hand-over, initrd above 4 GiB, kernels loaded elsewhere than they prefer.
 * @module
 */
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { MiB } from "../../cpu/base/bits.ts";
import { layout } from "../../cpu/base/layout.ts";
import * as b from "./bzimage.ts";
import { checkEntry, type ElfFile, loadElfSegments, parseElf } from "./elf.ts";
import { buildEntryState, type EntryState } from "./entry_state.ts";
import { BootPlan, storeE820 } from "./memory_map.ts";
import { badKernel } from "./named_file.ts";
import { type BootOptions, encodeCommandLine, isLinux, LINUX_CMDLINE_SIZE } from "./pvh.ts";

// boot_params, besides the setup header.
export const ACPI_RSDP_ADDR = 0x070;
export const E820_ENTRIES = 0x1e8;
export const E820_TABLE = 0x2d0;
const E820_MAX_ENTRIES = 128;
const BOOT_PARAMS_BYTES = 4096;
const LOADER_UNDEFINED = 0xff; // TYPE_OF_LOADER of a loader without a number
/** Distance of the 64-bit entry from the 32-bit one. */
export const ENTRY_64_OFFSET = 0x200;
/** Initrd limit of a vmlinux that came without a setup header (Linux's own default). */
const DEFAULT_INITRD_ADDR_MAX = 0x7fff_ffff;

/** An element of the list that SETUP_DATA begins; `len` bytes follow. */
export const setup_data = layout({ next: "u64", type: "u32", len: "u32" });
/** Random bytes, which Linux 6.0 and newer starts its generator with. */
export const SETUP_RNG_SEED = 9;

/** What the setup header of a kernel adds to the options. */
type HeaderLimits = Pick<b.SetupHeader, "version" | "raw" | "initrdAddrMax" | "cmdlineSize" | "code32Start">;

/** Loads a bzImage; `entry` 64 unless told, or when the kernel has none, 32. */
export function loadBzImage(memory: GuestMemory, options: BootOptions & { entry?: 32 | 64 }): EntryState {
  const { kernel, e820 } = options;
  const header = b.parseSetupHeader(kernel);
  const has64 = (header.xloadflags & b.XLF_KERNEL_64) !== 0;
  const mode = options.entry ?? (has64 ? 64 : 32);
  if (mode === 64 && !has64) throw badKernel(kernel, "it has no 64-bit entry point");
  const plan = new BootPlan(memory, e820);
  const load = header.code32Start;
  const runs = header.relocatable ? Math.max(load, header.prefAddress) : header.prefAddress;
  const end = Math.max(load + header.protectedModeBytes, runs + header.initSize);
  plan.take(load, end - load, `kernel "${kernel.name}"`);
  const code = header.protectedModeOffset;
  plan.write(load, kernel.bytes.subarray(code, code + header.protectedModeBytes));
  const bootParams = writeBootParams(plan, options, header);
  return buildEntryState(plan, mode, mode === 64 ? load + ENTRY_64_OFFSET : load, { rsi: bootParams });
}

/** True when `elf` is a 64-bit Linux kernel. */
export function isLinuxVmlinux(elf: ElfFile): boolean {
  return elf.bits === 64 && elf.entry < 2n ** 32n && isLinux(elf);
}

/** Loads a 64-bit vmlinux; `header` of the bzImage it came out of, if it did. */
export function loadVmlinux(
  memory: GuestMemory,
  options: BootOptions & { header?: b.SetupHeader | undefined },
): EntryState {
  const { kernel, header } = options;
  const elf = parseElf(kernel);
  if (!isLinuxVmlinux(elf)) throw badKernel(kernel, "it is not a 64-bit Linux kernel");
  const plan = new BootPlan(memory, options.e820);
  loadElfSegments(plan, elf);
  const entry = checkEntry(elf, elf.entry);
  const bootParams = writeBootParams(
    plan,
    options,
    header ?? {
      version: b.SETUP_DATA_VERSION,
      raw: new Uint8Array(0),
      initrdAddrMax: DEFAULT_INITRD_ADDR_MAX,
      cmdlineSize: LINUX_CMDLINE_SIZE,
      code32Start: 0,
    },
  );
  return buildEntryState(plan, 64, entry, { rsi: bootParams });
}

/** Places boot_params, command line and initrd; returns the address of boot_params. */
function writeBootParams(plan: BootPlan, options: BootOptions, header: HeaderLimits): number {
  const { initrd, e820, rsdp, seed } = options;
  const bytes = new Uint8Array(BOOT_PARAMS_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(header.raw.subarray(0, E820_TABLE - b.SETUP_SECTS), b.SETUP_SECTS);
  view.setUint16(b.BOOT_FLAG, b.BOOT_FLAG_MAGIC, true);
  view.setUint32(b.HEADER, b.HEADER_MAGIC, true);
  view.setUint8(b.TYPE_OF_LOADER, LOADER_UNDEFINED);
  view.setUint8(b.LOADFLAGS, view.getUint8(b.LOADFLAGS) | b.LOADED_HIGH);
  view.setUint32(b.CODE32_START, header.code32Start, true);

  const cmdline = encodeCommandLine(options.cmdline, header.cmdlineSize);
  const base = plan.allocate(BOOT_PARAMS_BYTES, "boot_params", { max: 1 * MiB });
  const cmdlineAt = plan.allocate(cmdline.length, "the command line", { max: 1 * MiB });
  plan.write(cmdlineAt, cmdline);
  view.setUint32(b.CMD_LINE_PTR, cmdlineAt, true);

  if (initrd !== undefined && initrd.bytes.length > 0) {
    const max = Math.min(plan.ramEnd, header.initrdAddrMax + 1);
    const at = plan.allocate(initrd.bytes.length, `initrd "${initrd.name}"`, { from: "top", max });
    plan.write(at, initrd.bytes);
    view.setUint32(b.RAMDISK_IMAGE, at, true);
    view.setUint32(b.RAMDISK_SIZE, initrd.bytes.length, true);
  }

  if (seed !== undefined && header.version >= b.SETUP_DATA_VERSION) {
    const element = new Uint8Array(setup_data.size + seed.length);
    const fields = new DataView(element.buffer);
    fields.setUint32(setup_data.at.type, SETUP_RNG_SEED, true);
    fields.setUint32(setup_data.at.len, seed.length, true);
    element.set(seed, setup_data.size);
    const at = plan.allocate(element.length, "the random seed", { max: 1 * MiB });
    plan.write(at, element);
    view.setBigUint64(b.SETUP_DATA, BigInt(at), true);
  }

  const entries = e820.slice(0, E820_MAX_ENTRIES);
  view.setUint8(E820_ENTRIES, entries.length);
  storeE820(view, E820_TABLE, entries);
  view.setBigUint64(ACPI_RSDP_ADDR, BigInt(rsdp ?? 0), true);
  plan.write(base, bytes);
  return base;
}
