// SPDX-License-Identifier: MIT
/**
 * Finds out what kind of kernel the user gave us and loads it by the best protocol it has.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { isBzImage, parseSetupHeader } from "./bzimage.ts";
import { extractVmlinux, isExtractable } from "./decompress.ts";
import { isElf, parseElf, XEN_ELFNOTE_PHYS32_ENTRY, xenNoteNumber } from "./elf.ts";
import type { EntryState } from "./entry_state.ts";
import { isLinuxVmlinux, loadBzImage, loadVmlinux } from "./linux.ts";
import { badKernel } from "./named_file.ts";
import { type BootOptions, loadPvh } from "./pvh.ts";

/**
 * - `pvh`: an ELF file, or the one inside a bzImage, at its PVH entry;
 * - `linux`: a 64-bit vmlinux, or the one inside a bzImage, at startup_64;
 * - `bzimage64`, `bzimage32`: a bzImage as a boot loader would start it, decompressor and all;
 * - `auto`: bzImage: `linux` if that works, else as a boot loader would; ELF: `pvh` if it can, else `linux`.
 */
export type BootProtocol = "auto" | "pvh" | "linux" | "bzimage64" | "bzimage32";

/** Loads kernel, initrd and boot data into RAM; returns how the boot CPU starts. */
export async function loadKernel(
  memory: GuestMemory,
  options: BootOptions & { protocol?: BootProtocol },
): Promise<EntryState> {
  const { kernel, initrd, protocol = "auto" } = options;
  if (kernel.bytes.length === 0) throw badKernel(kernel, "it is empty");
  if (initrd !== undefined && initrd.bytes.length === 0) throw badInitrd(initrd.name);
  if (isElf(kernel.bytes)) {
    if (protocol === "pvh") return loadPvh(memory, options);
    if (protocol === "linux") return loadVmlinux(memory, options);
    if (protocol !== "auto") throw badKernel(kernel, `it is an ELF file, not a bzImage for ${protocol}`);
    const elf = parseElf(kernel);
    const pvh = xenNoteNumber(elf, XEN_ELFNOTE_PHYS32_ENTRY) !== undefined;
    return pvh || !isLinuxVmlinux(elf) ? loadPvh(memory, options) : loadVmlinux(memory, options);
  }
  if (!isBzImage(kernel.bytes)) throw badKernel(kernel, "it is neither a bzImage nor an ELF file");
  switch (protocol) {
    case "bzimage32":
      return loadBzImage(memory, { ...options, entry: 32 });
    case "bzimage64":
      return loadBzImage(memory, { ...options, entry: 64 });
    case "pvh":
      return loadPvh(memory, { ...options, kernel: await extractVmlinux(kernel) });
    case "linux":
      return loadVmlinux(memory, {
        ...options,
        kernel: await extractVmlinux(kernel),
        header: parseSetupHeader(kernel),
      });
    case "auto": {
      if (!isExtractable(kernel)) return loadBzImage(memory, options);
      const vmlinux = await extractVmlinux(kernel);
      if (!isElf(vmlinux.bytes) || !isLinuxVmlinux(parseElf(vmlinux))) return loadBzImage(memory, options);
      return loadVmlinux(memory, { ...options, kernel: vmlinux, header: parseSetupHeader(kernel) });
    }
  }
}

function badInitrd(name: string): ConfigError {
  return new ConfigError(`Cannot load initrd "${name}": it is empty`);
}
