// SPDX-License-Identifier: MIT
/** Finds the file that a machine starts with. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import { type BootChoice, FIRMWARE_PATHS } from "./boot_choice.ts";

/** The file to load as kernel; undefined: it is in the root folder. Throws ConfigError when there is no GRUB here. */
export function fileToBoot(choice: BootChoice): string | undefined {
  if ("kernel" in choice) return choice.kernel;
  if (choice.firmware !== undefined) return choice.firmware;
  for (const path of FIRMWARE_PATHS) {
    try {
      if (Deno.statSync(path).isFile) return path;
    } catch {
      // the next one
    }
  }
  throw new ConfigError(
    `Cannot boot from the disk: there is no ${FIRMWARE_PATHS[0]}: install Debian's grub-xen-host, ` +
      "name a GRUB for Xen's PVH platform with --firmware, or a kernel with --kernel",
    "host",
  );
}
