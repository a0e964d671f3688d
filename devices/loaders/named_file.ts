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

/** The error for a file that cannot be booted. */
export function badKernel(file: NamedFile, why: string): ConfigError {
  return new ConfigError(`Cannot load kernel "${file.name}": ${why}`);
}
