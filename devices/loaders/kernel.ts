// SPDX-License-Identifier: MIT
/**
 * Finds out what kind of kernel the user gave us and loads it by the best protocol it has.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { BOOT_FLAG, BOOT_FLAG_MAGIC, isBzImage, NO_REAL_MODE, parseSetupHeader } from "./bzimage.ts";
import { extractVmlinux, isExtractable, unpackKernel } from "./decompress.ts";
import { isElf, parseElf, XEN_ELFNOTE_PHYS32_ENTRY, xenNoteNumber } from "./elf.ts";
import type { EntryState } from "./entry_state.ts";
import { isLinuxVmlinux, loadBzImage, loadVmlinux } from "./linux.ts";
import { badKernel, type NamedFile } from "./named_file.ts";
import { type BootOptions, loadPvh } from "./pvh.ts";

/**
 * - `pvh`: an ELF file, or the one inside a bzImage, at its PVH entry;
 * - `linux`: a 64-bit vmlinux, or the one inside a bzImage, at startup_64;
 * - `bzimage64`, `bzimage32`: a bzImage as a boot loader would start it, decompressor and all;
 * - `auto`: bzImage: `linux` if that works, else as a boot loader would; ELF: `pvh` if it can, else `linux`.
 */
export type BootProtocol = "auto" | "pvh" | "linux" | "bzimage64" | "bzimage32";

/** What else can be asked for. */
export interface LoadOptions extends BootOptions {
  readonly protocol?: BootProtocol;
  /** Given the ELF file that will be loaded, not asked about a decompressor's; returns it as it shall be. */
  readonly prepare?: ((elf: NamedFile) => NamedFile) | undefined;
}

/** Loads kernel, initrd and boot data into RAM; returns how the boot CPU starts. */
export async function loadKernel(memory: GuestMemory, given: LoadOptions): Promise<EntryState> {
  const { initrd, protocol = "auto", prepare = (elf) => elf } = given;
  if (given.kernel.bytes.length === 0) throw badKernel(given.kernel, "it is empty");
  if (initrd !== undefined && initrd.bytes.length === 0) throw badInitrd(initrd.name);
  const kernel = await unpackKernel(given.kernel);
  const options = { ...given, kernel };
  if (isElf(kernel.bytes)) {
    options.kernel = prepare(kernel);
    if (protocol === "pvh") return loadPvh(memory, options);
    if (protocol === "linux") return loadVmlinux(memory, options);
    if (protocol !== "auto") throw badKernel(kernel, `it is an ELF file, not a bzImage for ${protocol}`);
    const elf = parseElf(kernel);
    const pvh = xenNoteNumber(elf, XEN_ELFNOTE_PHYS32_ENTRY) !== undefined;
    return pvh || !isLinuxVmlinux(elf) ? loadPvh(memory, options) : loadVmlinux(memory, options);
  }
  if (!isBzImage(kernel.bytes)) throw badKernel(kernel, whatElse(kernel.bytes));
  switch (protocol) {
    case "bzimage32":
      return loadBzImage(memory, { ...options, entry: 32 });
    case "bzimage64":
      return loadBzImage(memory, { ...options, entry: 64 });
    case "pvh":
      return loadPvh(memory, {
        ...options,
        kernel: prepare(await extractVmlinux(kernel)),
        cmdlineSize: parseSetupHeader(kernel).cmdlineSize,
      });
    case "linux":
      return loadVmlinux(memory, {
        ...options,
        kernel: prepare(await extractVmlinux(kernel)),
        header: parseSetupHeader(kernel),
      });
    case "auto": {
      if (!isExtractable(kernel)) return loadBzImage(memory, options);
      const vmlinux = await extractVmlinux(kernel);
      if (!isElf(vmlinux.bytes) || !isLinuxVmlinux(parseElf(vmlinux))) return loadBzImage(memory, options);
      return loadVmlinux(memory, { ...options, kernel: prepare(vmlinux), header: parseSetupHeader(kernel) });
    }
  }
}

/** Files that people take for kernels: what they start with, and what to say. */
const OTHER_FILES: readonly (readonly [offset: number, text: string, what: string])[] = [
  [0, "070701", "it is a cpio archive: give it as initrd"],
  [0, "!<arch>\n", "it is an archive (a Debian package?): unpack it and give the vmlinuz in it"],
  [257, "ustar", "it is a tar archive: unpack it and give the kernel in it"],
  [0, "QFI\xfb", "it is a disk image: boot the kernel in it"],
  [0x8001, "CD001", "it is an image of a CD: boot the kernel in it"],
  [0x38, "ARMd", "it is a kernel for 64-bit ARM, not for x86"],
  [0x38, "RSC\x05", "it is a kernel for RISC-V, not for x86"],
  [0, "\x27\x05\x19\x56", "it is a uImage, for U-Boot: give the kernel in it"],
  [0, "MZ", "it is an EFI or DOS program: it needs firmware, which is not there"],
];

/** What is wrong with a kernel that is no ELF file and no bzImage. */
function whatElse(bytes: Uint8Array): string {
  const neither = "it is neither a bzImage nor an ELF file";
  for (const [offset, text, what] of OTHER_FILES) {
    if ([...text].every((c, i) => bytes[offset + i] === c.charCodeAt(0))) return `${neither}: ${what}`;
  }
  const flag = (bytes[BOOT_FLAG] ?? 0) | ((bytes[BOOT_FLAG + 1] ?? 0) << 8);
  if (flag !== BOOT_FLAG_MAGIC) return neither;
  return `${neither}: it is a boot sector or a kernel before boot protocol 2.00, and starts in real mode, ${NO_REAL_MODE}`;
}

function badInitrd(name: string): ConfigError {
  return new ConfigError(`Cannot load initrd "${name}": it is empty`);
}
