// SPDX-License-Identifier: MIT
/** A file of the user's that is in memory already; its name is for messages only. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { Gpa } from "../../cpu/base/bits.ts";

/** Kernel, initrd or module. */
export interface NamedFile {
  /** Path, or whatever the user calls it. */
  readonly name: string;
  /** Its content. */
  readonly bytes: Uint8Array;
  /**
   * Where in the guest's RAM `bytes` lie, when the file was unpacked there: what is written to them changes the file.
   * @internal
   */
  readonly inRam?: Gpa | undefined;
}

/** A file that a kernel is given beside itself, and the text that goes with it. */
export interface BootModule {
  /** Its content and name. */
  readonly file: NamedFile;
  /** Its command line; may be empty. */
  readonly cmdline: string;
}

/** The error for a file that cannot be booted. */
export function badKernel(file: NamedFile, why: string): ConfigError {
  return new ConfigError(`Cannot load kernel "${file.name}": ${why}`);
}
