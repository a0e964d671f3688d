// SPDX-License-Identifier: MIT
/**
 * Finds out what kind of kernel the user gave us and loads it by the best protocol it has.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { isBzImage, parseSetupHeader } from "./bzimage.ts";
import { extractVmlinux, isExtractable, unpackKernel } from "./decompress.ts";
import { isElf, parseElf, XEN_ELFNOTE_PHYS32_ENTRY, xenNoteNumber } from "./elf.ts";
import type { EntryState } from "./entry_state.ts";
import { isLinuxVmlinux, loadBzImage, loadVmlinux } from "./linux.ts";
import { isMultiboot, loadMultiboot, noModules } from "./multiboot.ts";
import { badKernel, type NamedFile } from "./named_file.ts";
import { type BootOptions, loadPvh } from "./pvh.ts";
import { RoomInRam } from "./in_place/room_in_ram.ts";
import { isBiosImage, isBootSector, loadBios, loadBootSector } from "./real_mode.ts";

/**
 * - `pvh`: an ELF file, or the one inside a bzImage, at its PVH entry;
 * - `linux`: a 64-bit vmlinux, or the one inside a bzImage, at startup_64;
 * - `bzimage64`, `bzimage32`: a bzImage as a boot loader would start it, decompressor and all;
 * - `multiboot`: a kernel with a Multiboot header;
 * - `auto`: a boot sector or a BIOS: in real mode; bzImage: `linux` if that works, else as a boot loader would; ELF:
 *   `pvh` if it can, else `multiboot`, else `linux`.
 */
export type BootProtocol = "auto" | "pvh" | "linux" | "multiboot" | "bzimage64" | "bzimage32";

/** Which platform a kernel, unpacked, takes for granted: a PC, or Xen's PVH. */
export function platformOf(kernel: NamedFile): "hvm" | "pvh" {
  if (isBzImage(kernel.bytes) || isBootSector(kernel.bytes) || isBiosImage(kernel.bytes)) return "hvm";
  return isMultiboot(kernel.bytes) && !(isElf(kernel.bytes) && hasPvhEntry(kernel)) ? "hvm" : "pvh";
}

function hasPvhEntry(kernel: NamedFile): boolean {
  return xenNoteNumber(parseElf(kernel), XEN_ELFNOTE_PHYS32_ENTRY) !== undefined;
}

/** What else can be asked for. */
export interface LoadOptions extends BootOptions {
  readonly protocol?: BootProtocol;
  /** Nobody has used RAM above 1 MiB yet: it holds zeros. */
  readonly fresh?: boolean;
  /** Given the ELF file that will be loaded, not asked about a decompressor's; returns it as it shall be. */
  readonly prepare?: ((elf: NamedFile) => NamedFile) | undefined;
}

/** Loads kernel, initrd and boot data into RAM; returns how the boot CPU starts. */
export async function loadKernel(memory: GuestMemory, given: LoadOptions): Promise<EntryState> {
  const { initrd, protocol = "auto", prepare = (elf) => elf } = given;
  const inRam = given.fresh === true && given.prepare === undefined;
  const room = inRam ? new RoomInRam(memory, given.e820) : undefined;
  if (given.kernel.bytes.length === 0) throw badKernel(given.kernel, "it is empty");
  if (initrd !== undefined && initrd.bytes.length === 0) throw emptyFile("initrd", initrd.name);
  for (const { file } of given.modules ?? []) {
    if (file.bytes.length === 0) throw emptyFile("module", file.name);
  }
  const kernel = await unpackKernel(given.kernel);
  const options = { ...given, kernel };
  const elf = isElf(kernel.bytes);
  if (protocol === "auto" && !elf && !isBzImage(kernel.bytes)) {
    if (isBiosImage(kernel.bytes)) return loadBios(memory, options);
    if (isBootSector(kernel.bytes) && otherFile(kernel.bytes) === undefined) {
      return loadBootSector(memory, options);
    }
  }
  const pvh = elf && hasPvhEntry(kernel);
  if (protocol === "multiboot" || (protocol === "auto" && !pvh && isMultiboot(kernel.bytes))) {
    return loadMultiboot(memory, options);
  }
  if (elf) {
    options.kernel = prepare(kernel);
    if (protocol === "pvh") return loadPvh(memory, options);
    const linux = isLinuxVmlinux(parseElf(kernel));
    if (protocol === "auto" && (pvh || !linux)) return loadPvh(memory, options);
    if (given.modules?.length) throw noModules(kernel);
    if (protocol === "linux" || protocol === "auto") return loadVmlinux(memory, options);
    throw badKernel(kernel, `it is an ELF file, not a bzImage for ${protocol}`);
  }
  if (given.modules?.length) throw noModules(kernel);
  if (!isBzImage(kernel.bytes)) throw badKernel(kernel, whatElse(kernel.bytes));
  switch (protocol) {
    case "bzimage32":
      return loadBzImage(memory, { ...options, entry: 32 });
    case "bzimage64":
      return loadBzImage(memory, { ...options, entry: 64 });
    case "pvh":
      return loadPvh(memory, {
        ...options,
        kernel: prepare(await extractVmlinux(kernel, room)),
        cmdlineSize: parseSetupHeader(kernel).cmdlineSize,
      });
    case "linux":
      return loadVmlinux(memory, {
        ...options,
        kernel: prepare(await extractVmlinux(kernel, room)),
        header: parseSetupHeader(kernel),
      });
    case "auto": {
      if (!isExtractable(kernel)) return loadBzImage(memory, options);
      const vmlinux = await extractVmlinux(kernel, room);
      if (!isElf(vmlinux.bytes) || !isLinuxVmlinux(parseElf(vmlinux))) {
        room?.leave(vmlinux);
        return loadBzImage(memory, options);
      }
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
  const other = otherFile(bytes) ??
    (isBootSector(bytes) || isBiosImage(bytes) ? "it starts a PC, hvm" : undefined);
  return other === undefined ? neither : `${neither}: ${other}`;
}

function otherFile(bytes: Uint8Array): string | undefined {
  const found = OTHER_FILES.find(([offset, text]) =>
    [...text].every((c, i) => bytes[offset + i] === c.charCodeAt(0))
  );
  return found?.[2];
}

function emptyFile(what: string, name: string): ConfigError {
  return new ConfigError(`Cannot load ${what} "${name}": it is empty`);
}
