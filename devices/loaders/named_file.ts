// SPDX-License-Identifier: MIT
/** A file of the user's that is in memory already; its name is for messages only. @module */
import { ConfigError } from "../../cpu/base/assert.ts";

/** Kernel, initrd or module. */
export interface NamedFile {
  /** Path, or whatever the user calls it. */
  readonly name: string;
  /** Its content. */
  readonly bytes: Uint8Array;
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
