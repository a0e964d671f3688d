// SPDX-License-Identifier: MIT
/**
 * bzImage: the setup header in front of a Linux kernel. Rules: Linux Documentation/arch/x86/boot.rst; fields and
 * flags carry its names. Protocol 2.06 (Linux 2.6.22) or newer: older ones start in real mode.
 * @module
 */
import { badKernel, type NamedFile } from "./named_file.ts";

// Offsets in the file, and in boot_params too.
export const SETUP_SECTS = 0x1f1;
export const SYSSIZE = 0x1f4;
export const BOOT_FLAG = 0x1fe;
export const JUMP = 0x200;
export const HEADER = 0x202;
export const VERSION = 0x206;
export const TYPE_OF_LOADER = 0x210;
export const LOADFLAGS = 0x211;
export const LOADED_HIGH = 1 << 0;
export const KERNEL_VERSION = 0x20e; // from 200H on
export const CODE32_START = 0x214;
export const RAMDISK_IMAGE = 0x218;
export const RAMDISK_SIZE = 0x21c;
export const CMD_LINE_PTR = 0x228;
export const INITRD_ADDR_MAX = 0x22c;
export const KERNEL_ALIGNMENT = 0x230;
export const RELOCATABLE_KERNEL = 0x234;
export const XLOADFLAGS = 0x236;
export const XLF_KERNEL_64 = 1 << 0;
export const XLF_CAN_BE_LOADED_ABOVE_4G = 1 << 1;
export const CMDLINE_SIZE = 0x238;
export const PAYLOAD_OFFSET = 0x248;
export const PAYLOAD_LENGTH = 0x24c;
export const SETUP_DATA = 0x250;
export const PREF_ADDRESS = 0x258;
export const INIT_SIZE = 0x260;

export const BOOT_FLAG_MAGIC = 0xaa55;
export const HEADER_MAGIC = 0x5372_6448; // "HdrS"
/** The first with SETUP_DATA. */
export const SETUP_DATA_VERSION = 0x0209;
/** The first with a command line of known size and an initrd limit, and Linux's first with a 32-bit entry to rely on. */
const OLDEST_VERSION = 0x0206;
const HEADER_END = 0x268;
const SECTOR = 512;
const NO_REAL_MODE = "and there is no loader for that";
const OLD_LOAD_ADDRESS = 0x10_0000;

/** What a loader needs of the header. */
export interface SetupHeader {
  readonly version: number;
  /** Bytes of the header itself, from SETUP_SECTS to its end. */
  readonly raw: Uint8Array;
  /** Where the protected-mode code starts in the file, and its length. */
  readonly protectedModeOffset: number;
  readonly protectedModeBytes: number;
  readonly code32Start: number;
  readonly initrdAddrMax: number;
  readonly relocatable: boolean;
  readonly kernelAlignment: number;
  /** XLF_* flags. */
  readonly xloadflags: number;
  readonly cmdlineSize: number;
  /** From the start of the protected-mode code. */
  readonly payloadOffset: number;
  readonly payloadLength: number;
  readonly prefAddress: number;
  /** Memory the kernel wants from where it runs, before it reads the memory map. */
  readonly initSize: number;
}

/** True when `bytes` has a Linux setup header. */
export function isBzImage(bytes: Uint8Array): boolean {
  if (bytes.length < VERSION) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint16(BOOT_FLAG, true) === BOOT_FLAG_MAGIC && view.getUint32(HEADER, true) === HEADER_MAGIC;
}

/** Parses the header of `file`; the protected-mode code lies inside the file. */
export function parseSetupHeader(file: NamedFile): SetupHeader {
  const { bytes } = file;
  if (!isBzImage(bytes)) throw badKernel(file, "it is not a bzImage");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_END) throw badKernel(file, `it is truncated: ${bytes.length} bytes`);
  const version = view.getUint16(VERSION, true);
  const name = `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;
  if (version < OLDEST_VERSION) {
    throw badKernel(
      file,
      `its boot protocol ${name} is older than 2.06: it starts in real mode, ${NO_REAL_MODE}`,
    );
  }
  if ((view.getUint8(LOADFLAGS) & LOADED_HIGH) === 0) {
    throw badKernel(file, `it is a zImage, not a bzImage: it starts in real mode, ${NO_REAL_MODE}`);
  }
  if (view.getUint32(CODE32_START, true) === 0) {
    throw badKernel(
      file,
      `it has no 32-bit entry point (boot protocol ${name}): it starts in real mode, ${NO_REAL_MODE}`,
    );
  }
  const protectedModeOffset = ((view.getUint8(SETUP_SECTS) || 4) + 1) * SECTOR;
  const announced = view.getUint32(SYSSIZE, true) * 16;
  const protectedModeBytes = Math.min(announced, bytes.length - protectedModeOffset);
  if (protectedModeBytes <= 0 || protectedModeBytes < announced - 15) {
    throw badKernel(file, `it is truncated: ${bytes.length} bytes of ${protectedModeOffset + announced}`);
  }
  const u32From = (since: number, at: number, otherwise: number) =>
    version >= since ? view.getUint32(at, true) : otherwise;
  return {
    version,
    raw: bytes.subarray(SETUP_SECTS, HEADER + view.getUint8(JUMP + 1)),
    protectedModeOffset,
    protectedModeBytes,
    code32Start: view.getUint32(CODE32_START, true),
    initrdAddrMax: view.getUint32(INITRD_ADDR_MAX, true),
    relocatable: view.getUint8(RELOCATABLE_KERNEL) !== 0,
    kernelAlignment: view.getUint32(KERNEL_ALIGNMENT, true),
    xloadflags: version >= 0x020c ? view.getUint16(XLOADFLAGS, true) : 0,
    cmdlineSize: view.getUint32(CMDLINE_SIZE, true),
    payloadOffset: u32From(0x0208, PAYLOAD_OFFSET, 0),
    payloadLength: u32From(0x0208, PAYLOAD_LENGTH, 0),
    prefAddress: version >= 0x020a ? Number(view.getBigUint64(PREF_ADDRESS, true)) : OLD_LOAD_ADDRESS,
    // Before 2.10 nobody says; three times the compressed size holds for the kernels of that time.
    initSize: u32From(0x020a, INIT_SIZE, 3 * protectedModeBytes),
  };
}

/** What `uname -r` will say, from the header's kernel_version; undefined when it does not say. */
export function kernelRelease(bytes: Uint8Array): string | undefined {
  if (bytes.length < KERNEL_VERSION + 2) return undefined;
  const at = HEADER - 2 +
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint16(KERNEL_VERSION, true);
  const text = new TextDecoder("latin1").decode(bytes.subarray(at, at + 128));
  return /^[^\0 ]+/.exec(text)?.[0];
}
