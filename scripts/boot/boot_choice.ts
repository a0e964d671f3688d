// SPDX-License-Identifier: MIT
/** What a machine starts with: a kernel of the user's, or GRUB or a BIOS, which find one on a disk. @module */
import { ConfigError } from "../../cpu/base/assert.ts";

/**
 * A kernel; firmware (undefined: that of this system); or a folder as root file system, with a kernel (undefined: the one
 * in it).
 */
export type BootChoice =
  | { readonly kernel: string }
  | { readonly root: string; readonly kernel: string | undefined }
  | { readonly firmware: string | undefined };

/** Where distributions put GRUB for Xen's PVH platform; first Debian's grub-xen-host. */
export const FIRMWARE_PATHS = [
  "/usr/lib/grub-xen/grub-i386-xen_pvh.bin",
  "/usr/lib/xen/boot/pvhgrub32.bin",
] as const;

/** What the options of `run` mean. Throws ConfigError when they are too few or too many. */
export function bootChoice(options: {
  readonly kernel?: string | undefined;
  readonly firmware?: string | undefined;
  readonly root?: string | undefined;
  readonly initrd?: string | undefined;
  readonly append: string;
  readonly disk?: readonly unknown[] | undefined;
  readonly type?: string | undefined;
}): BootChoice {
  const { kernel, firmware, root, initrd, append, disk = [], type } = options;
  if (root !== undefined) {
    if (firmware !== undefined) throw new ConfigError("Cannot boot two things: give --root or --firmware");
    return { root, kernel };
  }
  if (kernel !== undefined) {
    if (firmware !== undefined) throw new ConfigError("Cannot boot two things: give --kernel or --firmware");
    return { kernel };
  }
  if (disk.length === 0 && firmware === undefined) {
    throw new ConfigError(
      "Cannot boot: give a kernel with --kernel, a disk with --disk, or a folder with --root",
    );
  }
  if (initrd !== undefined) throw new ConfigError("Cannot boot from a disk with --initrd: add --kernel");
  if (append !== "") {
    throw new ConfigError("Cannot boot from a disk with --append: its boot loader says it; or add --kernel");
  }
  if (type === "hvm" && firmware === undefined) {
    throw new ConfigError(
      "Cannot boot from a disk with --type hvm: GRUB needs pvh; or give a BIOS with --firmware",
    );
  }
  return { firmware };
}
